import shutil
from pathlib import Path

import pytest

from data_pipeline import paths, spec
from data_pipeline.datasets import camus, phantom
from data_pipeline.spec import DATASETS, open_dataset
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


def test_home_is_expanded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    write_dataset(tmp_path / "camus", ["patient0001"])
    monkeypatch.setenv("HOME", str(tmp_path))
    assert open_dataset("camus:~/camus").root == tmp_path / "camus"


def test_default_phantom(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    write_dataset(tmp_path, ["patient0001"])
    monkeypatch.setattr(phantom, "ensure_default", lambda: tmp_path)
    monkeypatch.setattr(phantom, "list_cases", camus.list_cases)  # this one has no truth file
    dataset = open_dataset("phantom")
    assert (dataset.name, dataset.root, len(dataset.cases)) == ("phantom", tmp_path, 4)
    assert dataset.official_split(1) is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("camsu:here", r"known: camus, phantom\. Received: 'camsu:here'\. Did you mean camus\?"),
        ("nothing", r"known: camus, phantom\. Received: 'nothing'\. Example: camus:"),
        ("", r"Received: ''"),
        ("../data/camus", r"unknown data set kind"),
        ("camus", r"a path is needed\. Received: 'camus'"),
        ("camus:", r"a path is needed"),
        ("camus:?splits=x", r"a path is needed"),
        ("camus:here?lists=x", r"no option but camus:PATH\?splits=DIR"),
        ("camus:here?splits=", r"no option but"),
        ("phantom:here?splits=x", r"no option but"),
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


def test_every_kind_can_list_and_load():
    for module in DATASETS.values():
        assert callable(module.list_cases)
        assert callable(module.load_sample)


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
