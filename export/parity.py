"""Does an exported artefact say what the Keras model says? Same frames through both, every step of the measurement."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from cart.measure import (
    BOX,
    PROBABILITIES,
    ImageMeasurement,
    MeasurementSpec,
    Outputs,
    Predictor,
    measure_outputs,
    network_outputs,
)
from data_pipeline.preprocess import Region
from data_pipeline.regions import HeartCrop
from data_pipeline.sample import Case, Sample, Structure
from data_pipeline.spec import Dataset, open_dataset
from data_pipeline.splits import Split
from metrics.overlap import confusion_counts, dice
from postprocessing.hinge_points import HingePoints
from shell.errors import UserError
from shell.progress import progress

FRAMES = 60
"""Frames compared, spread evenly over those there are."""
PARTS = {"val": "validation", "test": "test", "train": "training"}
"""Parts of a split in the order in which they serve until there are `FRAMES`. Nothing is fitted to the first two."""
FLOAT32_TOLERANCE = 1e-4
"""Largest difference between two float32 computations of one network, of a probability or of a box's share of a side;
more means a broken artefact."""


@dataclass(frozen=True)
class Limits:
    """What a format may cost, as the mean or the median over the frames of its parity report; None: not limited.

    Attributes:
        output: largest difference of any value of an output. Beyond it the artefact is broken and is not written.
        dice_loss: mean Dice against the reference labels, of any structure, lower than Keras's by so much; of frames
            without labels, 1 − Dice between both.
        hinge_shift_mm: median distance of a hinge point from Keras's.
        box_shift: mean difference of a box's edge, as a share of the side.
    """

    output: float | None = None
    dice_loss: float | None = None
    hinge_shift_mm: float | None = None
    box_shift: float | None = None


EXACT = Limits(output=FLOAT32_TOLERANCE)
"""Of every format that computes in float32 with float32 weights."""
EXACT_AFTER_CROP = Limits(output=10 * FLOAT32_TOLERANCE)
"""The same where a second network sees the box that a first one found: the rounding of the box moves all it sees.
Measured on a trained LU-Net and 60 frames: 2e-4 at the worst pixel."""


@dataclass(frozen=True)
class ParityFrames:
    """Frames to compare on, and where they come from."""

    samples: tuple[Sample, ...]
    source: str


def parity_frames(data_spec: str, split: Split, structures: Sequence[Structure] | None = None) -> ParityFrames:
    """Validation frames of the data a run was trained on, with test frames where they are fewer than `FRAMES`, and then
    with training frames; where that data is gone, frames of the simulated default set.

    Args:
        data_spec: of that data.
        split: of it.
        structures: what the labels must have; None: the data set's usual labels.
    """
    opened = _opened(data_spec, structures)
    if opened is None:
        dataset = open_dataset("phantom", structures=structures)
        return _spread(dataset, dataset.cases, FRAMES, "simulated frames (the run's data is not there)")
    cases: list[Case] = []
    used: list[str] = []
    for part, name in PARTS.items():
        if len(cases) >= FRAMES:
            break
        if own := [case for case in opened.cases if case.patient_id in split.of(part)]:
            cases += own
            used.append(name)
    if not cases:
        return _spread(opened, opened.cases, FRAMES, "frames of the run's data (it has none of its split)")
    parts = " and ".join(part for part in (", ".join(used[:-1]), used[-1]) if part)
    return _spread(opened, cases, FRAMES, f"{parts} frames of the run's data")


def calibration_frames(
    data_spec: str, split: Split, count: int, structures: Sequence[Structure] | None = None
) -> ParityFrames:
    """So many training frames, spread evenly over views, phases and patients, the same at every call; where the run's
    data is gone, or has none, simulated frames, and `source` says so.
    """
    opened = _opened(data_spec, structures)
    cases = [case for case in opened.cases if case.patient_id in split.train] if opened else []
    if opened is None or not cases:
        why = "the run's data is not there" if opened is None else "the run's data has no training frames"
        dataset = open_dataset("phantom", structures=structures)
        return _spread(dataset, dataset.cases, count, f"simulated frames ({why})")
    return _spread(opened, cases, count, "training frames of the run's data")


def _opened(data_spec: str, structures: Sequence[Structure] | None) -> Dataset | None:
    try:
        return open_dataset(data_spec, structures=structures)
    except (UserError, OSError):
        return None


def _spread(dataset: Dataset, cases: Sequence[Case], count: int, source: str) -> ParityFrames:
    """At most `count` of the cases, equally far apart once sorted by view, phase and patient: each view and phase gets
    its share to within one, from patients all along the list.
    """
    order = sorted(cases, key=lambda case: (case.view or "", case.phase or "", case.case_id))
    count = min(count, len(order))
    chosen = [order[(2 * i + 1) * len(order) // (2 * count)] for i in range(count)]
    return ParityFrames(tuple(dataset.load(case) for case in sorted(chosen, key=lambda case: case.case_id)), source)


def outputs_of(predictor: Predictor, frames: ParityFrames, spec: MeasurementSpec, label: str) -> Sequence[Outputs]:
    """The network's outputs for each frame, one frame at a time, as on the cart."""
    return [
        network_outputs(sample.image, predictor=predictor, spec=spec, region=region_of(sample, spec))
        for sample in progress(frames.samples, label=label, unit="frames")
    ]


def parity_report(
    reference: Sequence[Outputs], exported: Sequence[Outputs], frames: ParityFrames, spec: MeasurementSpec
) -> dict[str, Any]:
    """What parity.json holds, `within_limits` apart.

    Args:
        reference: outputs of the Keras model in float32.
        exported: outputs of the artefact for the same frames.
        frames: those frames.
        spec: how both are measured.

    Returns:
        Plain JSON values. `outputs`: absolute difference of each output over all its values; `probability_difference`:
        the same of the probabilities alone, None where the network gives none; `dice`: between both label maps per
        structure on the native grid (mean and least; a frame where both are empty does not count); `reference_dice`:
        mean Dice per structure against the reference labels, of Keras and of the artefact, over the frames where both
        have one, and their difference; `hinge_points`: how far they move between both (mm where the spacing is known);
        `annulus_diameter`: artefact − Keras; `judgement`: frames of which one of the two is abstained from and the
        other not; `failures`: frames where one of the two found hinge points and the other did not.

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
    outlined = [s for s in spec.structures if s is not Structure.BACKGROUND and spec.segments]
    judged = [(s, a.judgement, b.judgement) for s, a, b in pairs if a.judgement and b.judgement]
    return {
        "frames": len(frames.samples),
        "source": frames.source,
        "reference": "the Keras model in float32",
        "outputs": differences,
        "probability_difference": differences.get(PROBABILITIES),
        "dice": {s.name: _dice(pairs, s) for s in outlined},
        "reference_dice": {s.name: _reference_dice(pairs, s) for s in outlined},
        "hinge_points": _hinge_shift(pairs),
        "annulus_diameter": _diameter_change(pairs),
        "judgement": {
            "frames": len(judged),
            "changed": [s.case_id for s, a, b in judged if a.abstained != b.abstained],
        },
        "failures": [
            s.case_id for s, a, b in pairs if (a.frame.hinge_points is None) != (b.frame.hinge_points is None)
        ],
    }


def limits_report(report: dict[str, Any], limits: Limits) -> dict[str, Any]:
    """What parity.json says of a format's limits.

    Args:
        report: of `parity_report`.
        limits: of the format.

    Returns:
        `limits`: they; `measured`: what the report has of each, None where it has nothing to say; `within_limits`.
    """
    losses = [
        -against["change"] if against["change"] is not None else 1 - report["dice"][name]["mean"]
        for name, against in report["reference_dice"].items()
        if against["change"] is not None or report["dice"][name]["mean"] is not None
    ]
    shift, box = report["hinge_points"]["shift_mm"], report["outputs"].get(BOX)
    measured = {
        "output": max(float(difference["max"]) for difference in report["outputs"].values()),
        "dice_loss": max(losses, default=None),
        "hinge_shift_mm": shift["median"] if shift else None,
        "box_shift": box["mean"] if box else None,
    }
    allowed = asdict(limits)
    within = all(allowed[name] is None or value is None or value <= allowed[name] for name, value in measured.items())
    return {"limits": allowed, "measured": measured, "within_limits": within}


def share_of_limits(report: dict[str, Any], limits: Limits) -> float:
    """How much of its limits an artefact uses up: the most of the shares; infinite where it gave no number."""
    found = limits_report(report, limits)
    shares = [
        value / found["limits"][name]
        for name, value in found["measured"].items()
        if value is not None and found["limits"][name] is not None
    ]
    most = float(np.max([0.0, *shares]))  # NaN if any is
    return most if np.isfinite(most) else np.inf


def require_parity(report: dict[str, Any], limits: Limits, what: str) -> None:
    """Refuses an artefact that does not compute what the Keras model computes, where its format must.

    Raises:
        UserError: an output's difference is beyond `limits.output`, or not a number.
    """
    for name, difference in report["outputs"].items():
        tolerance = np.inf if limits.output is None else limits.output  # what is no number is beyond any
        if not difference["max"] <= tolerance:
            raise UserError(
                f"{what}: its output {name} differs from the Keras model's by up to {difference['max']:.3g} "
                f"(at most {tolerance:g} may be); nothing was written. Check that the run's weights are finite"
            )


def region_of(sample: Sample, spec: MeasurementSpec) -> Region | None:
    """What the network sees of a frame of a data set; None: the whole."""
    return None if spec.crop_mm is None else HeartCrop(spec.crop_mm)(sample)


Pair = tuple[Sample, ImageMeasurement, ImageMeasurement]
"""A frame, measured by Keras's outputs, and by the artefact's."""


def _measured(sample: Sample, outputs: Outputs, spec: MeasurementSpec) -> ImageMeasurement:
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
    )


def _dice(pairs: Sequence[Pair], structure: Structure) -> dict[str, Any]:
    values = [_overlap(a.frame.label_map, b.frame.label_map, structure) for _, a, b in pairs]
    defined = [value for value in values if not np.isnan(value)]
    return {
        "frames": len(defined),
        "mean": float(np.mean(defined)) if defined else None,
        "least": min(defined, default=None),
    }


def _reference_dice(pairs: Sequence[Pair], structure: Structure) -> dict[str, Any]:
    both = [
        (_overlap(s.labels, a.frame.label_map, structure), _overlap(s.labels, b.frame.label_map, structure))
        for s, a, b in pairs
        if s.labels is not None and (s.labels == structure).any()
    ]
    if not both:
        return {"frames": 0, "keras": None, "artefact": None, "change": None}
    keras, artefact = (float(mean) for mean in np.mean(both, axis=0))
    return {"frames": len(both), "keras": keras, "artefact": artefact, "change": artefact - keras}


def _overlap(first: npt.NDArray[np.uint8], second: npt.NDArray[np.uint8], structure: Structure) -> float:
    return dice(confusion_counts(first == structure, second == structure))


def _hinge_shift(pairs: Sequence[Pair]) -> dict[str, Any]:
    shifts = [
        (sample, np.subtract(_rows_and_cols(a.frame.hinge_points), _rows_and_cols(b.frame.hinge_points)))
        for sample, a, b in pairs
        if a.frame.hinge_points and b.frame.hinge_points
    ]
    return {
        "frames": len(shifts),
        "shift_px": _distribution([_lengths(shift, (1.0, 1.0)) for _, shift in shifts]),
        "shift_mm": _distribution([_lengths(shift, s.spacing_mm) for s, shift in shifts if s.spacing_mm]),
    }


def _diameter_change(pairs: Sequence[Pair]) -> dict[str, Any]:
    """Of the diameter as measured: what a calibration subtracts from it is the same on both sides."""
    changes: dict[str, list[float]] = {"mm": [], "px": []}
    for _, a, b in pairs:
        if a.frame.annulus_diameter is not None and b.frame.annulus_diameter is not None:
            changes[a.frame.unit].append(b.frame.annulus_diameter - a.frame.annulus_diameter)
    return {
        f"change_{unit}": {"frames": len(found), "mean": float(np.mean(found)), **_distribution_of(np.abs(found))}
        if found
        else None
        for unit, found in changes.items()
    }


def _rows_and_cols(points: HingePoints) -> npt.NDArray[np.float64]:
    return np.array([points.amvl, points.pmvl])


def _lengths(shift: npt.NDArray[np.float64], pitch: tuple[float, float]) -> npt.NDArray[np.float64]:
    return np.hypot(*(shift * pitch).T)


def _distribution(values: Sequence[npt.NDArray[np.float64]]) -> dict[str, float] | None:
    """Of all lengths of all frames; None without a frame."""
    if not values:
        return None
    together = np.concatenate(values)
    return {"mean": float(together.mean()), **_distribution_of(together)}


def _distribution_of(values: npt.NDArray[np.float64]) -> dict[str, float]:
    return {
        "median": float(np.median(values)),
        "p95": float(np.percentile(values, 95)),
        "max": float(values.max()),
    }


def _extent(values: Sequence[npt.NDArray[np.float64]]) -> dict[str, float] | None:
    """Largest and mean of the values of all frames, which have equally many; None without a frame."""
    if not values:
        return None
    return {"max": float(np.max([v.max() for v in values])), "mean": float(np.mean([v.mean() for v in values]))}
