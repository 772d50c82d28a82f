"""The parity report, with outputs whose differences are known."""

import dataclasses
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from data_pipeline.sample import Sample, Structure
from data_pipeline.splits import Split
from export import parity
from export.parity import (
    Limits,
    ParityFrames,
    calibration_frames,
    limits_report,
    parity_frames,
    parity_report,
    require_parity,
    share_of_limits,
)
from shell.errors import UserError
from tests.export.drawn_heart import (
    BLOCK,
    CLASSES,
    SPACING_MM,
    heart_labels,
    heart_sample,
    heart_spec,
    write_heart_nifti,
)


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
    nothing = {"mean": 0.0, "median": 0.0, "p95": 0.0, "max": 0.0}
    assert report["hinge_points"] == {"frames": 2, "shift_px": nothing, "shift_mm": nothing}
    assert report["annulus_diameter"] == {"change_mm": {"frames": 2, **nothing}, "change_px": None}
    assert report["reference_dice"]["LV"] == {"frames": 0, "keras": None, "artefact": None, "change": None}
    assert report["judgement"] == {"frames": 0, "changed": []}
    assert (report["frames"], report["source"], report["failures"]) == (2, "drawn hearts", [])


def test_a_shift_by_two_columns_is_measured_in_px_and_mm() -> None:
    shifted = [OUTPUTS[0], output(heart_labels(), shift=2)]
    report = parity_report(OUTPUTS, shifted, FRAMES, heart_spec())
    # Two network columns are six native ones of 0.3 mm; the other frame of the two did not move.
    # Of the four points two moved: their 95th percentile lies between them, the median halfway to those that did not.
    assert report["hinge_points"]["shift_px"] == pytest.approx(
        {"mean": 3.0, "median": 3.0, "p95": 6.0, "max": 6.0}, abs=1e-4
    )
    assert report["hinge_points"]["shift_mm"] == pytest.approx(
        {"mean": 0.9, "median": 0.9, "p95": 6 * SPACING_MM[1], "max": 6 * SPACING_MM[1]}, abs=1e-4
    )
    assert report["annulus_diameter"]["change_mm"]["max"] == pytest.approx(0, abs=1e-4)  # moved, not wider
    assert report["probability_difference"]["max"] == pytest.approx(0.96)
    # LA: 16 columns, 14 in common; its corners are rounded alike.
    assert report["dice"]["LA"]["least"] == pytest.approx(14 / 16, abs=2e-3)
    assert report["dice"]["LA"]["mean"] == pytest.approx((1 + 14 / 16) / 2, abs=1e-3)


def labelled(sample: Sample) -> Sample:
    return dataclasses.replace(sample, labels=np.kron(heart_labels(), np.ones(BLOCK, np.uint8)))


def test_change_of_dice_against_the_reference() -> None:
    """Moved by two columns in one frame of two, the LA keeps 14 of 16 columns, and the wall, 4 rows of 24 columns above
    24 rows of twice 4, 4 · 22 + 24 · 2 · 2 of its 288 pixels. The third frame has no labels.
    """
    frames = ParityFrames((*map(labelled, FRAMES.samples), heart_sample()), "drawn hearts")
    shifted = [OUTPUTS[0], output(heart_labels(), shift=2), OUTPUTS[0]]
    report = parity_report([*OUTPUTS, OUTPUTS[0]], shifted, frames, heart_spec())
    against = report["reference_dice"]["LA"]
    assert against["frames"] == 2
    assert against["keras"] == pytest.approx(1, abs=2e-3)
    assert against["change"] == pytest.approx(-1 / 16, abs=2e-3)
    assert against["artefact"] - against["keras"] == against["change"]
    worst = (1 - (4 * 22 + 24 * 2 * 2) / 288) / 2
    assert report["reference_dice"]["MYO"]["change"] == pytest.approx(-worst, abs=5e-3)
    within = limits_report(report, Limits(dice_loss=worst + 0.01, hinge_shift_mm=1.0))
    assert within["within_limits"] is True
    assert within["measured"]["dice_loss"] == max(-one["change"] for one in report["reference_dice"].values())
    assert within["measured"]["hinge_shift_mm"] == report["hinge_points"]["shift_mm"]["median"]
    assert limits_report(report, Limits(dice_loss=worst - 0.01))["within_limits"] is False
    assert share_of_limits(report, Limits(dice_loss=2 * worst)) == pytest.approx(0.5, abs=0.02)


def test_limits_without_labels_or_hinge_points() -> None:
    """Dice between both stands in for labels that are not there; what cannot be measured is not held against anyone."""
    shifted = [OUTPUTS[0], output(heart_labels(), shift=2)]
    report = parity_report(OUTPUTS, shifted, FRAMES, heart_spec())
    assert limits_report(report, Limits())["measured"]["dice_loss"] == pytest.approx(
        (1 - (4 * 22 + 24 * 2 * 2) / 288) / 2, abs=5e-3
    )
    nothing = [output(np.zeros((64, 64), np.uint8))] * 2
    empty = limits_report(parity_report(nothing, nothing, FRAMES, heart_spec()), Limits(1e-4, 0.005, 0.3, 0.005))
    assert empty["measured"] == {"output": 0.0, "dice_loss": None, "hinge_shift_mm": None, "box_shift": None}
    assert empty["within_limits"] is True
    assert share_of_limits(parity_report(OUTPUTS, OUTPUTS, FRAMES, heart_spec()), Limits()) == 0


def test_an_output_that_is_no_number_is_beyond_every_limit() -> None:
    report = parity_report(OUTPUTS, OUTPUTS, FRAMES, heart_spec())
    report["outputs"]["probabilities"]["max"] = float("nan")
    assert limits_report(report, Limits(output=1.0))["within_limits"] is False
    assert share_of_limits(report, Limits(output=1.0)) == np.inf


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
        require_parity({"outputs": {"probabilities": {"max": difference}}}, Limits(output=1e-3), "unet1 as tflite")


def test_the_tolerance_itself_is_still_within_it() -> None:
    report = {"outputs": {"probabilities": {"max": 0.0}, "box": {"max": 1e-3}}}
    require_parity(report, Limits(output=1e-3), "unet1 as tflite")
    with pytest.raises(UserError, match="its output box differs"):
        require_parity(report, Limits(output=np.nextafter(1e-3, 0)), "unet1 as tflite")


def test_numbers_that_are_none_are_refused_in_every_format() -> None:
    require_parity({"outputs": {"probabilities": {"max": 0.4}}}, Limits(), "unet1 as tflite-int8")
    with pytest.raises(UserError, match="are finite"):
        require_parity({"outputs": {"probabilities": {"max": float("nan")}}}, Limits(), "unet1 as tflite-int8")


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


def test_validation_frames_first_then_test_then_training(drawn_camus: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parity, "FRAMES", 4)
    frames = parity_frames(f"camus:{drawn_camus}", split(("patient0002", "patient0003")))
    assert [sample.case_id for sample in frames.samples] == [
        f"patient000{number}_4CH_{phase}" for number in (2, 3) for phase in ("ED", "ES")
    ]
    assert frames.source == "validation frames of the run's data"
    monkeypatch.setattr(parity, "FRAMES", 6)
    frames = parity_frames(f"camus:{drawn_camus}", split(("patient0002", "patient0003")))
    assert {sample.patient_id for sample in frames.samples} == {"patient0002", "patient0003", "patient0004"}
    assert frames.source == "validation and test frames of the run's data"
    monkeypatch.setattr(parity, "FRAMES", 7)
    frames = parity_frames(f"camus:{drawn_camus}", split(("patient0002", "patient0003")))
    assert (len(frames.samples), frames.source) == (7, "validation, test and training frames of the run's data")


def test_at_most_so_many_frames_spread_over_views_phases_and_patients(
    drawn_camus: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parity, "FRAMES", 2)
    frames = parity_frames(f"camus:{drawn_camus}", split(("patient0002", "patient0003")))
    # In the order ED 2, ED 3, ES 2, ES 3 the middles of the two halves.
    assert [sample.case_id for sample in frames.samples] == ["patient0003_4CH_ED", "patient0003_4CH_ES"]
    assert all(sample.labels is not None for sample in frames.samples)


def test_calibration_frames_are_training_frames(drawn_camus: Path) -> None:
    frames = calibration_frames(f"camus:{drawn_camus}", split(("patient0002",)), 10)
    assert [sample.case_id for sample in frames.samples] == ["patient0001_4CH_ED", "patient0001_4CH_ES"]
    assert frames.source == "training frames of the run's data"
    assert len(calibration_frames(f"camus:{drawn_camus}", split(("patient0002",)), 1).samples) == 1


@pytest.fixture
def simulated(drawn_camus: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Specs that were opened; `phantom` is the drawn set, so that none has to be simulated."""
    opened: list[str] = []
    real = parity.open_dataset

    def open_dataset(spec: str, **options: object):
        opened.append(spec)
        return real(f"camus:{drawn_camus}" if spec == "phantom" else spec, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(parity, "open_dataset", open_dataset)
    return opened


def test_simulated_frames_where_the_data_is_gone(drawn_camus: Path, simulated: list[str]) -> None:
    frames = parity_frames(f"camus:{drawn_camus}/gone", split(("patient0002",)))
    assert simulated == [f"camus:{drawn_camus}/gone", "phantom"]
    assert frames.source.startswith("simulated frames")
    assert len(frames.samples) == 8
    calibration = calibration_frames(f"camus:{drawn_camus}/gone", split(("patient0002",)), 3)
    assert (len(calibration.samples), calibration.source) == (3, "simulated frames (the run's data is not there)")


def test_simulated_frames_where_there_is_no_training_frame(drawn_camus: Path, simulated: list[str]) -> None:
    nobody = Split(("patient0099",), ("patient0002",), (), "by hand")
    calibration = calibration_frames(f"camus:{drawn_camus}", nobody, 3)
    assert calibration.source == "simulated frames (the run's data has no training frames)"
    assert simulated == [f"camus:{drawn_camus}", "phantom"]


def test_without_any_frame_of_its_split_all_serve(drawn_camus: Path) -> None:
    frames = parity_frames(f"camus:{drawn_camus}", Split(("patient0099",), (), (), "by hand"))
    assert len(frames.samples) == 8
    assert "has none of its split" in frames.source
