"""The simulated data set on disk: the CAMUS layout, the truth file, the command, the default set."""

import hashlib
import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import nibabel
import numpy as np
import pytest

from data_pipeline.datasets import camus, phantom
from data_pipeline.phantom.__main__ import main
from data_pipeline.phantom.writer import PhantomOptions, read_truth, write_phantom
from data_pipeline.sample import Phase, Structure, View
from shell.errors import UsageError, UserError

OPTIONS = PhantomOptions(patients=2, seed=11, views=(View.A2C, View.A3C, View.A4C), sequences=True)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("phantom") / "set"
    write_phantom(folder, OPTIONS, workers=1)
    return folder


def digests(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_the_camus_reader_reads_it(root: Path):
    cases = camus.list_cases(root)
    assert len(cases) == 2 * 3 * 2
    assert {case.view for case in cases} == {View.A2C, View.A3C, View.A4C}
    for case in cases:
        sample = camus.load_sample(case)
        assert sample.labels is not None
        assert sample.labels.shape == sample.image.shape
        assert set(np.unique(sample.labels)) == {0, 1, 2, 3}
        assert sample.quality in ("Good", "Medium", "Poor")
        assert sample.spacing_mm is not None
        assert 0.31 <= sample.spacing_mm[0] == sample.spacing_mm[1] <= 0.37


def test_every_case_has_its_truth(root: Path):
    patients = read_truth(root)["patients"]
    for sample in phantom.iter_samples(root):
        truth = sample.truth
        assert truth is not None
        assert sample.spacing_mm is not None
        pitch = sample.spacing_mm[0]
        distance = np.hypot(truth.amvl[0] - truth.pmvl[0], truth.amvl[1] - truth.pmvl[1]) * pitch
        assert truth.annulus_diameter_mm == pytest.approx(distance, rel=1e-5)
        frame = patients[sample.patient_id]["frames"][sample.case_id]
        np.testing.assert_allclose(np.array(frame["amvl_mm"]), np.array(frame["amvl_px"]) * pitch, rtol=1e-5)
        assert truth.edv_ml is not None
        assert truth.esv_ml is not None
        assert truth.ef_percent == pytest.approx(100 * (truth.edv_ml - truth.esv_ml) / truth.edv_ml)
        assert sample.ef_percent == pytest.approx(truth.ef_percent, abs=0.5)  # the Info file rounds


def test_structures_lie_beside(root: Path):
    case = next(case for case in phantom.list_cases(root) if case.view is View.A4C and case.phase is Phase.ED)
    structures, labels = phantom.read_structures(case), phantom.load_sample(case).labels
    assert labels is not None
    assert Structure.MV in structures
    same = ~np.isin(structures, (Structure.RV, Structure.MV))
    np.testing.assert_array_equal(structures[same], labels[same])


def test_sequences_run_from_the_one_phase_to_the_other(root: Path):
    for patient in ("patient0001", "patient0002"):
        for view in ("2CH", "3CH", "4CH"):
            info = camus.read_info(root / patient / f"Info_{view}.cfg")
            name = f"{patient}_{view}_half_sequence"
            images = np.asarray(nibabel.load(root / patient / f"{name}.nii.gz").dataobj)
            labels = np.asarray(nibabel.load(root / patient / f"{name}_gt.nii.gz").dataobj)
            assert images.shape == labels.shape
            assert images.shape[2] == info.frames
            assert {info.ed_frame, info.es_frame} == {1, info.frames}
            for phase, number in (("ED", info.ed_frame), ("ES", info.es_frame)):
                still = np.asarray(nibabel.load(root / patient / f"{patient}_{view}_{phase}_gt.nii.gz").dataobj)
                np.testing.assert_array_equal(labels[:, :, number - 1], still)


def test_files_do_not_depend_on_workers_or_on_other_patients(root: Path, tmp_path: Path):
    views = PhantomOptions(patients=2, seed=11, views=(View.A4C,))
    write_phantom(tmp_path / "one", views, workers=1)
    write_phantom(tmp_path / "two", views, workers=2)
    assert digests(tmp_path / "one") == digests(tmp_path / "two")
    still = digests(tmp_path / "one")
    for name, digest in digests(root).items():
        if "4CH_E" in name:
            assert still[name] == digest


def test_a_foreign_folder_is_refused_and_an_older_set_replaced(tmp_path: Path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    small = PhantomOptions(patients=1, views=(View.A2C,))
    with pytest.raises(UserError, match="mine"):
        write_phantom(tmp_path / "mine", small)
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "years of work"
    write_phantom(tmp_path / "set", small)
    write_phantom(tmp_path / "set", PhantomOptions(patients=1, seed=1, views=(View.A2C,)))
    assert read_truth(tmp_path / "set")["options"]["seed"] == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine", "set"]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"patients": 0}, "patients"),
        ({"patients": 10000}, "patients"),
        ({"seed": -1}, "seed"),
        ({"off_centre_share": 1.5}, "off_centre_share"),
        ({"views": ()}, "views"),
        ({"views": (View.SAX,)}, "views"),
    ],
)
def test_impossible_options_are_refused(wrong: dict, message: str):
    with pytest.raises(UsageError, match=f"`{message}` must .*Received"):
        PhantomOptions(**wrong)


def test_the_command_writes_a_set(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    arguments = [str(tmp_path / "set"), "--patients", "1", "--seed", "4", "--views", "4CH", "--workers", "1"]
    assert main(arguments) == 0
    assert "1 patients" in capsys.readouterr().out
    assert {case.case_id for case in phantom.list_cases(tmp_path / "set")} == {
        "patient0001_4CH_ED",
        "patient0001_4CH_ES",
    }
    with pytest.raises(UsageError, match="--workers"):
        main([*arguments[:-1], "0"])


def test_a_mistake_is_one_line_and_exit_code_2(tmp_path: Path):
    command = [sys.executable, "-m", "data_pipeline.phantom", str(tmp_path / "set"), "--patients", "0"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parents[2], check=False)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "`patients` must be in" in done.stderr
    assert not (tmp_path / "set").exists()


@pytest.mark.parametrize(
    ("text", "message"),
    [("", "not valid JSON"), ("[]", "format"), ('{"format": 99}', "format"), ('{"format": 1}', "patients")],
)
def test_a_damaged_truth_file_is_named(root: Path, tmp_path: Path, text: str, message: str):
    (tmp_path / "patient0001").symlink_to(root / "patient0001", target_is_directory=True)
    (tmp_path / "truth.json").write_text(text)
    with pytest.raises(UserError, match=f"truth.json.*{message}"):
        phantom.list_cases(tmp_path)


def test_a_frame_that_the_truth_file_does_not_know_is_named(root: Path, tmp_path: Path):
    (tmp_path / "patient0001").symlink_to(root / "patient0001", target_is_directory=True)
    truth = json.loads((root / "truth.json").read_text())
    del truth["patients"]["patient0001"]["frames"]["patient0001_4CH_ED"]
    (tmp_path / "truth.json").write_text(json.dumps(truth))
    with pytest.raises(UserError, match="knows nothing of patient0001_4CH_ED"):
        phantom.list_cases(tmp_path)


def test_the_default_set_is_made_once_by_two_at_the_same_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    made = []

    def write(root: Path, options: PhantomOptions) -> None:
        made.append(root)
        write_phantom(root, PhantomOptions(patients=1, views=(View.A2C,)), workers=1)

    monkeypatch.setenv("ANNULUS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(phantom, "write_phantom", write)
    with ThreadPoolExecutor(2) as pool:
        roots = {task.result() for task in [pool.submit(phantom.ensure_made, PhantomOptions()) for _ in range(2)]}
    assert len(roots) == len(made) == 1
    abandoned = made[0].with_name(f".{made[0].name}.0123.tmp")
    abandoned.mkdir()
    assert phantom.ensure_made(PhantomOptions()) == made[0]
    assert not abandoned.exists()
    assert len(made) == 1
    assert PhantomOptions().generator_version in made[0].name
    assert len(phantom.list_cases(made[0])) == 2
