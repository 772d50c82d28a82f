"""The parity report, with outputs whose differences are known."""

import dataclasses
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from data_pipeline.sample import Structure
from data_pipeline.splits import Split
from export import parity
from export.parity import ParityFrames, parity_frames, parity_report, require_parity
from shell.errors import UserError
from tests.export.drawn_heart import CLASSES, SPACING_MM, heart_labels, heart_sample, heart_spec, write_heart_nifti


def output(labels: npt.NDArray[np.uint8], shift: int = 0) -> dict[str, npt.NDArray[np.float32]]:
    """(64, 64, 4) probabilities: 0.97 for the drawn class, 0.01 for each other; shifted by so many columns."""
    one_hot = labels[..., np.newaxis] == np.array([Structure[name] for name in CLASSES])
    return {"probabilities": np.roll(np.where(one_hot, 0.97, 0.01).astype(np.float32), shift, axis=1)}


FRAMES = ParityFrames((heart_sample(), heart_sample(view=None)), "drawn hearts")
OUTPUTS = [output(heart_labels()), output(heart_labels())]


def test_equal_outputs() -> None:
    report = parity_report(OUTPUTS, OUTPUTS, FRAMES, heart_spec())
    assert report["outputs"] == {"probabilities": {"max": 0.0, "mean": 0.0}}
    assert report["probability_difference"] == {"max": 0.0, "mean": 0.0}
    assert report["dice"]["LV"] == {"frames": 2, "mean": 1.0, "least": 1.0}
    assert list(report["dice"]) == ["LV", "MYO", "LA"]
    assert report["hinge_points"] == {
        "frames": 2,
        "shift_px": {"max": 0.0, "mean": 0.0},
        "shift_mm": {"max": 0.0, "mean": 0.0},
    }
    assert (report["frames"], report["source"], report["failures"]) == (2, "drawn hearts", [])


def test_a_shift_by_two_columns_is_measured_in_px_and_mm() -> None:
    shifted = [OUTPUTS[0], output(heart_labels(), shift=2)]
    report = parity_report(OUTPUTS, shifted, FRAMES, heart_spec())
    # Two network columns are six native ones of 0.3 mm; the other frame of the two did not move.
    assert report["hinge_points"]["shift_px"] == pytest.approx({"max": 6.0, "mean": 3.0}, abs=1e-4)
    assert report["hinge_points"]["shift_mm"] == pytest.approx({"max": 6 * SPACING_MM[1], "mean": 0.9}, abs=1e-4)
    assert report["probability_difference"]["max"] == pytest.approx(0.96)
    # LA: 16 columns, 14 in common; its corners are rounded alike.
    assert report["dice"]["LA"]["least"] == pytest.approx(14 / 16, abs=2e-3)
    assert report["dice"]["LA"]["mean"] == pytest.approx((1 + 14 / 16) / 2, abs=1e-3)


def test_every_output_is_compared_and_a_broken_frame_is_not_lost_among_sound_ones() -> None:
    spec = dataclasses.replace(heart_spec(), outputs=("probabilities", "box"))
    box = np.array([0.1, 0.9, 0.2, 0.8], np.float32)
    sound = [{**found, "box": box} for found in OUTPUTS]
    moved = [sound[0], {**OUTPUTS[1], "box": box + np.array([0, 0, 0, 0.04], np.float32)}]
    report = parity_report(sound, moved, FRAMES, spec)
    assert report["outputs"]["box"] == pytest.approx({"max": 0.04, "mean": 0.04 / 8})
    assert report["outputs"]["probabilities"] == {"max": 0.0, "mean": 0.0}
    with pytest.raises(KeyError, match="box"):
        parity_report(sound, OUTPUTS, FRAMES, spec)
    assert np.isnan(parity._extent([np.zeros(2), np.array([0.0, np.nan])])["max"])


def test_a_network_that_only_locates() -> None:
    spec = dataclasses.replace(heart_spec(), outputs=("box",))
    boxes = [{"box": np.array([0.1, 0.9, 0.2, 0.8], np.float32)}] * 2
    report = parity_report(boxes, boxes, FRAMES, spec)
    assert (report["probability_difference"], report["dice"], report["failures"]) == (None, {}, [])
    assert report["outputs"] == {"box": {"max": 0.0, "mean": 0.0}}
    assert report["hinge_points"] == {"frames": 0, "shift_px": None, "shift_mm": None}


def test_only_one_of_the_two_finding_hinge_points_is_a_failure() -> None:
    apart = [OUTPUTS[0], output(heart_labels(contact=False))]
    report = parity_report(OUTPUTS, apart, FRAMES, heart_spec())
    assert report["failures"] == [FRAMES.samples[1].case_id]
    assert report["hinge_points"]["frames"] == 1
    assert parity_report(apart, apart, FRAMES, heart_spec())["failures"] == []


def test_no_hinge_points_at_all() -> None:
    nothing = [output(np.zeros((64, 64), np.uint8))] * 2
    report = parity_report(nothing, nothing, FRAMES, heart_spec())
    assert report["hinge_points"] == {"frames": 0, "shift_px": None, "shift_mm": None}
    assert report["dice"]["LV"] == {"frames": 0, "mean": None, "least": None}


@pytest.mark.parametrize("difference", [2e-3, float("nan")])
def test_an_artefact_that_computes_something_else_is_refused(difference: float) -> None:
    with pytest.raises(UserError, match=r"unet1 as tflite.*nothing was written"):
        require_parity({"outputs": {"probabilities": {"max": difference}}}, 1e-3, "unet1 as tflite")


def test_the_tolerance_itself_is_still_within_it() -> None:
    report = {"outputs": {"probabilities": {"max": 0.0}, "box": {"max": 1e-3}}}
    require_parity(report, 1e-3, "unet1 as tflite")
    with pytest.raises(UserError, match="its output box differs"):
        require_parity(report, np.nextafter(1e-3, 0), "unet1 as tflite")


@pytest.fixture
def drawn_camus(tmp_path: Path) -> Path:
    for number in range(1, 5):
        folder = tmp_path / "camus" / f"patient{number:04d}"
        for phase in ("ED", "ES"):
            write_heart_nifti(folder / f"{folder.name}_4CH_{phase}.nii.gz")
            write_heart_nifti(folder / f"{folder.name}_4CH_{phase}_gt.nii.gz", labels=True)
    return tmp_path / "camus"


def split(val: tuple[str, ...]) -> Split:
    return Split(("patient0001",), val, ("patient0004",), "by hand")


def test_validation_frames_of_the_runs_data(drawn_camus: Path) -> None:
    frames = parity_frames(f"camus:{drawn_camus}", split(("patient0002", "patient0003")))
    assert [sample.case_id for sample in frames.samples] == [
        f"patient000{number}_4CH_{phase}" for number in (2, 3) for phase in ("ED", "ES")
    ]
    assert frames.source == "validation frames of the run's data"


def test_at_most_so_many_frames_spread_over_all(drawn_camus: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parity, "FRAMES", 2)
    frames = parity_frames(f"camus:{drawn_camus}", split(("patient0002", "patient0003")))
    assert [sample.case_id for sample in frames.samples] == ["patient0002_4CH_ED", "patient0003_4CH_ES"]


def test_without_validation_frames_all_serve(drawn_camus: Path) -> None:
    frames = parity_frames(f"camus:{drawn_camus}", split(()))
    assert len(frames.samples) == 8
    assert "has no validation frames" in frames.source


def test_simulated_frames_where_the_data_is_gone(drawn_camus: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    real = parity.open_dataset

    def open_dataset(spec: str):
        opened.append(spec)
        return real(f"camus:{drawn_camus}" if spec == "phantom" else spec)

    monkeypatch.setattr(parity, "open_dataset", open_dataset)
    frames = parity_frames(f"camus:{drawn_camus}/gone", split(("patient0002",)))
    assert opened == [f"camus:{drawn_camus}/gone", "phantom"]
    assert frames.source.startswith("simulated frames")
    assert len(frames.samples) == 8
