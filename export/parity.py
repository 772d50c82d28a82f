"""Does an exported artefact say what the Keras model says? Same frames through both, every step of the measurement."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from cart.measure import PROBABILITIES, MeasurementSpec, Outputs, Predictor, measure_outputs, network_outputs
from data_pipeline.preprocess import Region
from data_pipeline.regions import HeartCrop
from data_pipeline.sample import Sample, Structure
from data_pipeline.spec import open_dataset
from data_pipeline.splits import Split
from metrics.overlap import confusion_counts, dice
from postprocessing.hinge_points import HingePoints
from postprocessing.measurement import FrameMeasurement
from shell.errors import UserError
from shell.progress import progress

FRAMES = 24
"""Frames compared, spread evenly over those there are."""
FLOAT32_TOLERANCE = 1e-4
"""Largest difference between two float32 computations of one network, of a probability or of a box's share of a side;
more means a broken artefact."""


@dataclass(frozen=True)
class ParityFrames:
    """Frames to compare on, and where they come from."""

    samples: tuple[Sample, ...]
    source: str


def parity_frames(data_spec: str, split: Split) -> ParityFrames:
    """Validation frames of the data a run was trained on; where that data is gone, of the simulated default set."""
    try:
        dataset, patients, source = open_dataset(data_spec), split.of("val"), "validation frames of the run's data"
    except (UserError, OSError):
        dataset, patients, source = open_dataset("phantom"), None, "simulated frames (the run's data is not there)"
    cases = [case for case in dataset.cases if patients is None or case.patient_id in patients]
    if not cases:
        cases, source = list(dataset.cases), "frames of the run's data (it has no validation frames)"
    chosen = sorted({round(i) for i in np.linspace(0, len(cases) - 1, min(FRAMES, len(cases)))})
    return ParityFrames(tuple(dataset.load(cases[i]) for i in chosen), source)


def calibration_frames(data_spec: str, split: Split, count: int) -> ParityFrames:
    """So many training frames, spread evenly over patients, views and phases."""
    dataset, patients = open_dataset(data_spec), split.of("train")
    cases = [case for case in dataset.cases if case.patient_id in patients]
    chosen = sorted({round(i) for i in np.linspace(0, len(cases) - 1, min(count, len(cases)))})
    return ParityFrames(tuple(dataset.load(cases[i]) for i in chosen), "training frames of the run's data")


def outputs_of(predictor: Predictor, frames: ParityFrames, spec: MeasurementSpec, label: str) -> Sequence[Outputs]:
    """The network's outputs for each frame, one frame at a time, as on the cart."""
    return [
        network_outputs(sample.image, predictor=predictor, spec=spec, region=region_of(sample, spec))
        for sample in progress(frames.samples, label=label, unit="frames")
    ]


def parity_report(
    reference: Sequence[Outputs], exported: Sequence[Outputs], frames: ParityFrames, spec: MeasurementSpec
) -> dict[str, Any]:
    """What parity.json holds.

    Args:
        reference: outputs of the Keras model in float32.
        exported: outputs of the artefact for the same frames.
        frames: those frames.
        spec: how both are measured.

    Returns:
        Plain JSON values: `outputs`: absolute difference of each output over all its values;
        `probability_difference`: the same of the probabilities alone, None where the network gives none; Dice between
        both label maps per structure on the native grid (mean and least; a frame where both are empty does not count);
        shift of the hinge points between both (mm where the spacing is known); `failures`: frames where one of the two
        found hinge points and the other did not.

    Raises:
        KeyError: the artefact lacks an output.
    """
    differences = {
        name: _extent([np.abs(a[name].astype(np.float64) - b[name]) for a, b in zip(reference, exported, strict=True)])
        for name in spec.outputs
    }
    pairs = [
        (sample, _measured(sample, a, spec), _measured(sample, b, spec))
        for sample, a, b in zip(frames.samples, reference, exported, strict=True)
    ]
    shifts = [
        (sample, np.subtract(_rows_and_cols(a.hinge_points), _rows_and_cols(b.hinge_points)))
        for sample, a, b in pairs
        if a.hinge_points and b.hinge_points
    ]
    return {
        "frames": len(frames.samples),
        "source": frames.source,
        "reference": "the Keras model in float32",
        "outputs": differences,
        "probability_difference": differences.get(PROBABILITIES),
        "dice": {s.name: _dice(pairs, s) for s in spec.structures if s is not Structure.BACKGROUND and spec.segments},
        "hinge_points": {
            "frames": len(shifts),
            "shift_px": _extent([_lengths(shift, (1.0, 1.0)) for _, shift in shifts]),
            "shift_mm": _extent([_lengths(shift, s.spacing_mm) for s, shift in shifts if s.spacing_mm]),
        },
        "failures": [s.case_id for s, a, b in pairs if (a.hinge_points is None) != (b.hinge_points is None)],
    }


def require_parity(report: dict[str, Any], tolerance: float, what: str) -> None:
    """Refuses an artefact that does not compute what the Keras model computes.

    Raises:
        UserError: an output's difference is beyond `tolerance`, or not a number.
    """
    for name, difference in report["outputs"].items():
        if not difference["max"] <= tolerance:
            raise UserError(
                f"{what}: its output {name} differs from the Keras model's by up to {difference['max']:.3g} "
                f"(at most {tolerance:g} may be); nothing was written. Check that the run's weights are finite"
            )


def _measured(sample: Sample, outputs: Outputs, spec: MeasurementSpec) -> FrameMeasurement:
    known = sample.view is not None and sample.view in spec.anterior_sides
    return measure_outputs(
        outputs,
        sample.image,
        sample.spacing_mm,
        sample.view,
        sample.phase,
        spec=spec,
        anterior_side=None if known else "left",  # either side will do where two outputs are compared
        region=region_of(sample, spec),
    ).frame


def region_of(sample: Sample, spec: MeasurementSpec) -> Region | None:
    """What the network sees of a frame of a data set; None: the whole."""
    return None if spec.crop_mm is None else HeartCrop(spec.crop_mm)(sample)


def _dice(pairs: Sequence[tuple[Sample, FrameMeasurement, FrameMeasurement]], structure: Structure) -> dict[str, Any]:
    values = [dice(confusion_counts(a.label_map == structure, b.label_map == structure)) for _, a, b in pairs]
    defined = [value for value in values if not np.isnan(value)]
    return {
        "frames": len(defined),
        "mean": float(np.mean(defined)) if defined else None,
        "least": min(defined, default=None),
    }


def _rows_and_cols(points: HingePoints) -> npt.NDArray[np.float64]:
    return np.array([points.amvl, points.pmvl])


def _lengths(shift: npt.NDArray[np.float64], pitch: tuple[float, float]) -> npt.NDArray[np.float64]:
    return np.hypot(*(shift * pitch).T)


def _extent(values: Sequence[npt.NDArray[np.float64]]) -> dict[str, float] | None:
    """Largest and mean of the values of all frames, which have equally many; None without a frame."""
    if not values:
        return None
    return {"max": float(np.max([v.max() for v in values])), "mean": float(np.mean([v.mean() for v in values]))}
