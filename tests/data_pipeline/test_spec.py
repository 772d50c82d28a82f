import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from data_pipeline import paths, spec
from data_pipeline.cache import build_cache
from data_pipeline.datasets import camus, phantom
from data_pipeline.phantom.writer import PhantomOptions, write_phantom
from data_pipeline.preprocess import Preprocessing
from data_pipeline.sample import Structure, View
from data_pipeline.spec import open_dataset
from shell.errors import UsageError, UserError
from tests.data_pipeline.camus_files import speckle, write_dataset, write_frame, write_lists


def test_opening_camus(tmp_path: Path):
    write_dataset(tmp_path, ["patient0001", "patient0002"])
    dataset = open_dataset(f"camus:{tmp_path}")
    assert (dataset.name, dataset.root, dataset.spec) == ("camus", tmp_path, f"camus:{tmp_path}")
    assert len(dataset.cases) == 8
    assert dataset.load(dataset.cases[0]).case_id == "patient0001_2CH_ED"
    assert dataset.official_split(1) is None


def test_lists_in_the_spec(tmp_path: Path):
    write_dataset(tmp_path / "camus", ["patient0001", "patient0002", "patient0003"], views=["4CH"])
    write_lists(tmp_path / "mine", 3, "patient0002", "patient0003", "patient0001")
    split = open_dataset(f"camus:{tmp_path}/camus?splits={tmp_path}/mine").official_split(3)
    assert split is not None
    assert (split.train, split.val, split.test) == (("patient0002",), ("patient0003",), ("patient0001",))


def test_a_fold_is_the_official_list_where_there_is_one_and_drawn_where_not(tmp_path: Path):
    names = [f"patient{number:04d}" for number in range(1, 13)]
    write_dataset(tmp_path / "camus", names, views=["4CH"])
    write_lists(tmp_path / "mine", 3, " ".join(names[2:]), names[0], names[1])
    shares = {"train_share": 0.5, "val_share": 0.25, "seed": 4}
    listed = open_dataset(f"camus:{tmp_path}/camus?splits={tmp_path}/mine").split(3, **shares)
    assert (listed.train, listed.val, listed.test) == (tuple(names[2:]), (names[0],), (names[1],))
    dataset = open_dataset(f"camus:{tmp_path}/camus")
    assert dataset.split(3, **shares).source == "fold 3 of 10, seed 4"
    drawn = dataset.split(None, **shares)
    assert (len(drawn.train), len(drawn.val), len(drawn.test)) == (6, 3, 3)
    unlabelled = [replace(case, label_path=None) if case.patient_id == names[0] else case for case in dataset.cases]
    assert names[0] not in replace(dataset, cases=tuple(unlabelled)).split(None, **shares).of("all")


def test_home_is_expanded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    write_dataset(tmp_path / "camus", ["patient0001"])
    monkeypatch.setenv("HOME", str(tmp_path))
    assert open_dataset("camus:~/camus").root == tmp_path / "camus"


def test_default_phantom(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    write_dataset(tmp_path, ["patient0001"])
    monkeypatch.setattr(phantom, "ensure_made", lambda options: tmp_path)
    monkeypatch.setattr(phantom, "list_cases", camus.list_cases)  # this one has no truth file
    dataset = open_dataset("phantom")
    assert (dataset.name, dataset.root, len(dataset.cases)) == ("phantom", tmp_path, 4)
    assert dataset.official_split(1) is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("camsu:here", r"sunnybrook, phantom, labelme\. Received: 'camsu:here'\. Did you mean camus\?"),
        ("nothing", r"known: camus, acdc, sunnybrook, phantom, labelme\. Received: 'nothing'\. Example: camus:"),
        ("", r"Received: ''"),
        ("../data/camus", r"unknown data set kind"),
        ("camus", r"a path is needed\. Received: 'camus'"),
        ("camus:", r"a path is needed"),
        ("camus:?splits=x", r"a path is needed"),
        ("camus:here?lists=x", r"camus takes `\?splits=DIR`, each at most once\. Received: 'camus:here\?lists=x'"),
        ("camus:here?splits=", r"camus takes"),
        ("camus:here?", r"camus takes"),
        ("camus:here?splits=a&splits=b", r"each at most once"),
        ("phantom:here?splits=x", r"phantom takes `\?views=A2C,A3C,A4C&patients=120&seed=2026`"),
        ("phantom:here?views=A2C", r"has its options already"),
        ("phantom?views=A2C,A5C", r"`views` must be among A2C, A3C, A4C\. Received: A5C"),
        ("phantom?views=,", r"`views` must be among A2C, A3C, A4C"),
        ("phantom?patients=many", r"`patients` must be a whole number\. Received: 'many'"),
        ("phantom?patients=0", r"`patients` must be in"),
    ],
)
def test_wrong_specs(text: str, message: str):
    with pytest.raises(UsageError, match=message):
        open_dataset(text)


def test_missing_counterparts_are_refused_at_once(tmp_path: Path):
    write_dataset(tmp_path, ["patient0001"])
    (tmp_path / "patient0001" / "patient0001_2CH_ED_gt.nii.gz").unlink()
    (tmp_path / "patient0001" / "patient0001_4CH_ES.nii.gz").unlink()
    with pytest.raises(UserError) as caught:
        open_dataset(f"camus:{tmp_path}")
    assert "patient0001_2CH_ED_gt.nii.gz" in str(caught.value)
    assert "patient0001_4CH_ES.nii.gz" in str(caught.value)
    assert "python -m data_pipeline.check camus:" in str(caught.value)
    assert len(open_dataset(f"camus:{tmp_path}", complete=False).cases) == 4


def test_missing_root(tmp_path: Path):
    with pytest.raises(UserError, match="nowhere: no such folder"):
        open_dataset(f"camus:{tmp_path}/nowhere")


def test_labelled(tmp_path: Path):
    write_dataset(tmp_path, ["patient0001", "patient0002"], views=["4CH"])
    dataset = open_dataset(f"camus:{tmp_path}")
    assert [case.case_id for case in dataset.labelled(["patient0002"])] == ["patient0002_4CH_ED", "patient0002_4CH_ES"]


def test_digest_is_of_the_content(tmp_path: Path):
    def digest(folder: str) -> str:
        return open_dataset(f"camus:{tmp_path / folder}").digest()

    write_dataset(tmp_path / "a", ["patient0001", "patient0002"], suffix=".mhd")
    first = digest("a")
    assert len(first) == 64
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    assert digest("b") == first
    raw = tmp_path / "b" / "patient0002" / "patient0002_4CH_ED.raw"
    content = bytearray(raw.read_bytes())
    content[7] ^= 1
    raw.write_bytes(content)
    changed = digest("b")
    assert changed != first
    (tmp_path / "b" / "patient0001" / "Info_2CH.cfg").write_text("EF: 50")
    assert digest("b") != changed
    write_frame(tmp_path / "a", "patient0003", image=speckle("new"))
    assert digest("a") != first


def test_digest_of_large_files_is_by_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    write_frame(tmp_path, "patient0001")
    sequence = tmp_path / "patient0001" / "patient0001_4CH_half_sequence.nii.gz"
    sequence.write_bytes(b"a" * 5000)
    monkeypatch.setattr(spec, "HASHED_BYTES", 4000)
    first = open_dataset(f"camus:{tmp_path}").digest()
    sequence.write_bytes(b"b" * 5000)
    assert open_dataset(f"camus:{tmp_path}").digest() == first
    sequence.write_bytes(b"a" * 5001)
    assert open_dataset(f"camus:{tmp_path}").digest() != first


def options_of(spec: str, monkeypatch: pytest.MonkeyPatch) -> PhantomOptions:
    """What the simulated data set of a SPEC would be made with."""
    made: list[PhantomOptions] = []
    monkeypatch.setattr(phantom, "ensure_made", lambda options: made.append(options) or Path("nowhere"))
    with pytest.raises(UserError, match="nowhere: no such folder"):
        open_dataset(spec)
    return made[0]


def test_options_of_the_simulated_set(monkeypatch: pytest.MonkeyPatch):
    three = options_of("phantom?views=4ch,A2C,A3C,A2C", monkeypatch)
    assert three == PhantomOptions(views=(View.A2C, View.A3C, View.A4C))
    assert options_of("phantom?patients=7&seed=3", monkeypatch) == PhantomOptions(patients=7, seed=3)
    assert options_of("phantom", monkeypatch) == options_of("phantom?views=A4C,A2C", monkeypatch) == PhantomOptions()


@pytest.fixture(scope="module")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("phantom") / "set"
    write_phantom(root, PhantomOptions(patients=1, seed=5, views=(View.A4C,)), workers=1)
    return root


def test_simulated_leaflets_are_cavity_unless_they_are_asked_for(simulated: Path, tmp_path: Path):
    grid = Preprocessing(64, 64)
    plain = open_dataset(f"phantom:{simulated}")
    usual = open_dataset(f"phantom:{simulated}", structures=(Structure.BACKGROUND, Structure.LV, Structure.LA))
    valve = (Structure.BACKGROUND, Structure.LV, Structure.LA, Structure.MV)
    with_valve = open_dataset(f"phantom:{simulated}", structures=valve)
    assert (plain.cases, plain.load, plain.structures) == (usual.cases, usual.load, usual.structures)
    assert Structure.MV not in plain.structures
    assert set(valve[1:]) <= set(with_valve.structures)
    assert plain.digest() == with_valve.digest()  # of the data set, whatever is loaded of it
    for one, other in zip(plain.cases, with_valve.cases, strict=True):
        assert (one.case_id, one.image_path, one.truth) == (other.case_id, other.image_path, other.truth)
        cavities, leaflets = plain.load(one), with_valve.load(other)
        assert cavities.labels is not None
        assert leaflets.labels is not None
        assert set(np.unique(cavities.labels)) == {0, 1, 2, 3}
        assert set(np.unique(leaflets.labels)) == {0, 1, 2, 3, 4, 5}
        np.testing.assert_array_equal(leaflets.labels, phantom.read_structures(one))
        painted = np.isin(leaflets.labels, (Structure.RV, Structure.MV))
        np.testing.assert_array_equal(leaflets.labels[~painted], cavities.labels[~painted])
    first = build_cache(plain.cases, plain.load, grid, valve, tmp_path)
    second = build_cache(with_valve.cases, with_valve.load, grid, valve, tmp_path)
    assert len(list(tmp_path.glob("*/images.npy"))) == 2  # neither is taken for the other
    assert 3 not in first.labels
    assert 3 in second.labels


def test_the_right_ventricle_without_leaflets_leaves_no_holes(simulated: Path):
    wanted = (Structure.BACKGROUND, Structure.LV, Structure.LA, Structure.RV)
    dataset, usual = open_dataset(f"phantom:{simulated}", structures=wanted), open_dataset(f"phantom:{simulated}")
    assert dataset.structures == (Structure.LV, Structure.MYO, Structure.LA, Structure.RV)
    for one, other in zip(dataset.cases, usual.cases, strict=True):
        labels, cavities = dataset.load(one).labels, usual.load(other).labels
        assert labels is not None
        assert cavities is not None
        assert set(np.unique(labels)) == {0, 1, 2, 3, 4}
        same = (labels == cavities) | (labels == Structure.RV)
        assert same.mean() > 0.998  # but for where the leaflets were


def test_missing_structure_files_are_refused_when_they_are_needed(simulated: Path, tmp_path: Path):
    shutil.copytree(simulated, tmp_path / "set")
    (tmp_path / "set" / "patient0001" / "patient0001_4CH_ES_structures.nii.gz").unlink()
    assert len(open_dataset(f"phantom:{tmp_path}/set").cases) == 2
    with pytest.raises(UserError, match=r"Missing: .*patient0001_4CH_ES_structures\.nii\.gz"):
        open_dataset(f"phantom:{tmp_path}/set", structures=(Structure.MV,))


def test_a_structure_that_a_data_set_does_not_label(tmp_path: Path):
    write_dataset(tmp_path, ["patient0001"])
    classes = (Structure.BACKGROUND, Structure.LV, Structure.LA, Structure.MV)
    assert open_dataset(f"camus:{tmp_path}", structures=classes[:3]).structures == (
        Structure.LV,
        Structure.MYO,
        Structure.LA,
    )
    with pytest.raises(UserError) as caught:
        open_dataset(f"camus:{tmp_path}", structures=classes)
    assert str(caught.value).startswith(f"{tmp_path}: its labels have LV, MYO, LA. Received: classes with MV. ")
    assert "--data phantom" in str(caught.value)
    assert "--set classes=BACKGROUND,LV,LA" in str(caught.value)


def test_cache_folder(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HOME", "/home/somebody")
    monkeypatch.setenv("ANNULUS_CACHE", "~/mine")
    assert paths.cache_folder() == Path("/home/somebody/mine")
    monkeypatch.delenv("ANNULUS_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", "/var/cached")
    assert paths.cache_folder() == Path("/var/cached/annulus")
    for xdg in ("", "not/absolute"):
        monkeypatch.setenv("XDG_CACHE_HOME", xdg)
        assert paths.cache_folder() == Path("/home/somebody/.cache/annulus")


@pytest.mark.data
def test_real_digest_and_seeded_split(camus_subset: Path):
    dataset = open_dataset(f"camus:{camus_subset}")
    assert len(dataset.cases) == 298
    assert dataset.digest() == open_dataset(f"camus:{camus_subset}/").digest()
