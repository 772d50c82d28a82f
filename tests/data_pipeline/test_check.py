from pathlib import Path

import numpy as np
import pytest

from data_pipeline import check
from shell.command import run_command
from tests.data_pipeline.camus_files import drawn_mask, speckle, write_dataset, write_frame, write_lists

PATIENTS = ["patient0001", "patient0002", "patient0003"]


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, list[str], str]:
    """Exit code, findings, summary line."""
    with pytest.raises(SystemExit) as exit_of:
        run_command(check.main, [str(argument) for argument in arguments])
    *findings, summary = capsys.readouterr().out.splitlines() or [""]
    return int(exit_of.value.code or 0), findings, summary


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Three whole patients with nothing wrong."""
    write_dataset(tmp_path / "camus", PATIENTS)
    return tmp_path / "camus"


@pytest.mark.parametrize("suffix", [".nii.gz", ".mhd"])
def test_nothing_wrong(tmp_path: Path, capsys: pytest.CaptureFixture[str], suffix: str):
    write_dataset(tmp_path, PATIENTS, suffix=suffix)
    code, findings, summary = run(capsys, f"camus:{tmp_path}")
    assert (code, findings) == (0, [])
    assert "12 frames of 3 patients, 0 error(s), 0 warning(s)" in summary


def test_everything_wrong_is_found_in_one_run(root: Path, capsys: pytest.CaptureFixture[str]):
    first, second, third = (root / patient for patient in PATIENTS)
    strange = drawn_mask()
    strange[0, 0] = 7
    write_frame(root, "patient0001", "2CH", "ED", mask=strange)
    nan = speckle("nan").astype(np.float32)
    nan[3, 3] = np.nan
    write_frame(root, "patient0001", "2CH", "ES", image=nan)
    write_frame(root, "patient0001", "4CH", "ED", mask=drawn_mask(shape=(24, 14)))
    cut = first / "patient0001_4CH_ES.nii.gz"
    cut.write_bytes(cut.read_bytes()[:40])
    (second / "patient0002_2CH_ED_gt.nii.gz").unlink()
    (second / "patient0002_2CH_ES.nii.gz").unlink()
    write_frame(root, "patient0002", "4CH", "ED", image=speckle("patient0003", "4CH", "ED"))
    (third / "patient0003_2CH_ES_gt.nii.gz").write_bytes(b"")
    code, findings, summary = run(capsys, f"camus:{root}")
    assert code == 1
    expected = {
        "patient0001_2CH_ED": "labels are 0 BACKGROUND",
        "patient0001_2CH_ES": "every pixel must be a finite number",
        "patient0001_4CH_ED": "its image's size 20 × 14. Received: 24 × 14",
        "patient0001_4CH_ES": "damaged or truncated",
        "patient0002_2CH_ED": "no such mask",
        "patient0002_2CH_ES": "no such image",
        "patient0003_2CH_ES": "the file is empty",
        "patient0002_4CH_ED": "the same pixels as patient0003_4CH_ED",
    }
    assert [line.split()[:2] for line in findings] == [["error", case] for case in expected]
    for line, part in zip(findings, expected.values(), strict=True):
        assert part in line
        assert ".nii.gz: " in line
    assert "12 frames of 3 patients, 8 error(s), 0 warning(s)" in summary


def test_another_pitch(root: Path, capsys: pytest.CaptureFixture[str]):
    path = root / "patient0001" / "patient0001_4CH_ED_gt.nii.gz"
    write_frame(root, "patient0001", spacing_mm=(0.6, 0.25))
    kept = path.read_bytes()
    write_frame(root, "patient0001")
    path.write_bytes(kept)
    code, findings, _ = run(capsys, f"camus:{root}")
    assert code == 1
    assert len(findings) == 1
    assert "pixel pitch (0.5, 0.25) mm. Received: (0.6, 0.25) mm" in findings[0]


def test_warnings_alone_leave_the_exit_code_at_0(root: Path, capsys: pytest.CaptureFixture[str]):
    no_la = np.where(drawn_mask() == 3, 0, drawn_mask()).astype(np.uint8)
    write_frame(root, "patient0001", "2CH", "ED", mask=no_la)
    apart = drawn_mask()
    apart[9] = 0
    write_frame(root, "patient0001", "4CH", "ED", mask=apart)
    write_frame(root, "patient0002", "4CH", "ES", image=speckle("patient0002", "4CH", "ED"), mask=drawn_mask(7))
    code, findings, summary = run(capsys, f"camus:{root}")
    assert code == 0
    assert [line.split()[:2] for line in findings] == [
        ["warning", "patient0001_2CH_ED"],
        ["warning", "patient0001_4CH_ED"],
        ["warning", "patient0002_4CH_ED"],
        ["warning", "patient0002_4CH_ED"],
    ]
    assert "Received: no LA" in findings[0]
    assert "Received: no contact" in findings[1]
    assert "Received: 3 mm2 at ED, 4 mm2 at ES" in findings[2]  # 24 and 28 pixels of 0.5 × 0.25 mm
    assert "the same pixels as patient0002_4CH_ES" in findings[3]
    assert "0 error(s), 4 warning(s)" in summary


def test_corner_contact_is_no_contact(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    mask = np.zeros((8, 6), np.uint8)
    mask[1, 1], mask[2, 2], mask[5, 5] = 1, 3, 2
    write_frame(tmp_path, "patient0001", mask=mask, image=speckle("corner", shape=(8, 6)))
    _, findings, _ = run(capsys, f"camus:{tmp_path}")
    assert len(findings) == 1
    assert "no contact" in findings[0]


def test_area_is_by_pitch(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    """Fewer pixels at ED, but larger ones: 24 of 0.5 × 0.5 against 28 of 0.25 × 0.25."""
    write_frame(tmp_path, "patient0001", phase="ED", spacing_mm=(0.5, 0.5))
    write_frame(tmp_path, "patient0001", phase="ES", spacing_mm=(0.25, 0.25), mask=drawn_mask(7))
    assert run(capsys, f"camus:{tmp_path}")[:2] == (0, [])


def test_frames_without_mask_or_pitch_are_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    write_dataset(tmp_path, PATIENTS, suffix=".mhd")
    for mask in tmp_path.glob("*/*_gt.*"):
        mask.unlink()
    header = tmp_path / "patient0001" / "patient0001_4CH_ED.mhd"
    header.write_text(header.read_text().replace("ElementSpacing = 0.308 0.154 1\n", ""))
    code, findings, _ = run(capsys, f"camus:{tmp_path}")
    assert code == 0
    assert [line.split()[:2] for line in findings] == [["warning", "dataset"]] * 2
    assert "12 of 12 without" in findings[0]
    assert "1 of 12 without" in findings[1]


def test_splits(root: Path, capsys: pytest.CaptureFixture[str]):
    for fold in range(1, 11):
        write_lists(root, fold, "patient0001", "patient0002", "patient0003")
    assert run(capsys, f"camus:{root}")[:2] == (0, [])
    write_lists(root, 4, "patient0001 patient0003", "patient0002", "patient0003")
    write_lists(root, 7, "patient0001", "patient0100", "patient0003")
    code, findings, _ = run(capsys, f"camus:{root}")
    assert code == 1
    assert [line.split()[0] for line in findings] == ["error", "warning"]
    assert "official fold 4" in findings[0]
    assert "Received twice: patient0003" in findings[0]
    assert "fold 7 needs patients" in findings[1]
    # A fold that was asked for must do; the others do not matter then.
    assert run(capsys, f"camus:{root}", "--fold", 1)[:2] == (0, [])
    assert run(capsys, f"camus:{root}", "--fold", 4)[0] == 1
    assert run(capsys, f"camus:{root}", "--fold", 7)[0] == 1


def test_patients_in_no_list(root: Path, capsys: pytest.CaptureFixture[str]):
    write_frame(root, "patient0009")
    write_lists(root, 2, "patient0001", "patient0002", "patient0003")
    code, findings, _ = run(capsys, f"camus:{root}", "--fold", 2)
    assert code == 0
    assert len(findings) == 1
    assert "1 in no list: patient0009" in findings[0]


@pytest.mark.parametrize("arguments", [[], ["camsu:x"], ["camus"], ["camus:x", "--fold", "two"], ["x", "--other"]])
def test_wrong_usage(capsys: pytest.CaptureFixture[str], arguments: list[str]):
    assert run(capsys, *arguments)[0] == 2


def test_wrong_fold(root: Path, capsys: pytest.CaptureFixture[str]):
    assert run(capsys, f"camus:{root}", "--fold", 11)[0] == 2


def test_nothing_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert run(capsys, f"camus:{tmp_path}/nowhere")[0] == 1
    assert run(capsys, f"camus:{tmp_path}")[0] == 1


def test_help_states_errors_warnings_and_an_example(capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as exit_of:
        check.main(["--help"])
    assert exit_of.value.code == 0
    text = capsys.readouterr().out
    for part in ("errors (", "warnings (", "exit code: 0", "python -m data_pipeline.check phantom"):
        assert part in text


@pytest.mark.data
def test_real_frames(camus_subset: Path, capsys: pytest.CaptureFixture[str]):
    code, findings, summary = run(capsys, f"camus:{camus_subset}")
    assert code == 0
    assert "298 frames of 226 patients, 0 error(s)" in summary
    # All patients are of the official training split: folds 4, 5 and 6 have nobody to validate or test on.
    assert [line.split("fold ")[1][0] for line in findings] == ["4", "5", "6"]
