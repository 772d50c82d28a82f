"""The blocks of summary.json: the aggregates of one group of frames or patients, as `summary.py` describes them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from evaluation.boxes import BOX_ERRORS, BOX_IOU, BOX_OUT
from evaluation.frames import DISTANCES, PIXEL_ACCURACY, RATIOS, SURFACE_DICE
from evaluation.hinge_points import POINTS
from evaluation.rows import (
    ANNULUS,
    BOX,
    CALIBRATED,
    CALIBRATED_IN_SAMPLE,
    CONSTRUCTED,
    FRAME,
    OK,
    REFERENCE_VS_CONSTRUCTED,
    UNDEFINED,
    CaseRow,
)
from evaluation.short_axis import IN_PLANE, IN_PLANE_MEDIAN
from metrics import agreement
from postprocessing.calibration import COORDINATES

Json = dict[str, Any]
Rows = Mapping[tuple[str, str], CaseRow]
"""The rows of one case by structure and metric."""

VOLUME_DISTANCES = (IN_PLANE, IN_PLANE_MEDIAN)
STATES = {"before": "", "calibrated": CALIBRATED, "calibrated_in_sample": CALIBRATED_IN_SAMPLE}


@dataclass(frozen=True)
class Comparison:
    """Which positions are compared with which, and how the rows of their errors are called.

    Attributes:
        measured, target: `predicted`, `reference` or `constructed`: the ending of the position rows.
        against: the ending of the error rows.
        states: name in the summary and suffix of the rows, uncalibrated and calibrated.
    """

    measured: str
    target: str
    against: str
    states: Mapping[str, str]


TO_REFERENCE = Comparison("predicted", "reference", "", STATES)
TO_TRUTH = Comparison("predicted", "constructed", CONSTRUCTED, STATES)
REFERENCE_TO_TRUTH = Comparison("reference", "constructed", REFERENCE_VS_CONSTRUCTED, {"before": ""})


def metrics_block(frames: Sequence[Rows], suffix: str = "") -> Json:
    """STATISTICS of the overlap and the distances, by structure and metric: of the metrics with this suffix.

    Of frames, or with the suffix `_volume` of volumes.
    """
    series: dict[str, dict[str, list[CaseRow]]] = {}
    for frame in frames:
        for (structure, name), row in frame.items():
            metric = name.removesuffix(suffix)
            if structure == FRAME or not name.endswith(suffix):
                continue
            if metric in RATIOS or metric == SURFACE_DICE:
                series.setdefault(structure, {}).setdefault(metric, []).append(row)
            elif metric in DISTANCES or metric in VOLUME_DISTANCES:
                series.setdefault(structure, {}).setdefault(f"{metric}_{row.unit}", []).append(row)
    return {
        structure: {metric: _statistics(rows) for metric, rows in by_metric.items()}
        for structure, by_metric in series.items()
    }


def accuracy_block(frames: Sequence[Rows]) -> Json:
    """STATISTICS of the share of pixels with the right class; {} where the network outlines nothing."""
    rows = [frame[FRAME, PIXEL_ACCURACY] for frame in frames if (FRAME, PIXEL_ACCURACY) in frame]
    return _statistics(rows) if rows else {}


def localisation_block(frames: Sequence[Rows]) -> Json:
    """LOCALISATION."""
    located = [frame for frame in frames if (BOX, BOX_IOU) in frame]
    outs = _values([frame[BOX, BOX_OUT] for frame in located])
    block: Json = {
        "frames": len(located),
        "failed": sum(frame[BOX, BOX_IOU].status != OK for frame in located),
        "iou": _statistics([frame[BOX, BOX_IOU] for frame in located]),
        "out": int(sum(outs)),
        "out_share": agreement.mean(outs),
    }
    for unit, members in _by_unit(located).items():
        for error in BOX_ERRORS:
            name = error.removeprefix("box_").removesuffix("_error")
            block[f"{name}_{unit}"] = _statistics([frame[BOX, error] for frame in members], absolute=True)
    return block


def hinge_block(frames: Sequence[Rows], comparison: Comparison) -> Json:
    """HINGE."""
    block = _frames_and_failed(frames, comparison)
    for unit, members in _by_unit(frames).items():
        pooled = {"row": COORDINATES[0::2], "col": COORDINATES[1::2]}
        for name, coordinates in {**{c: (c,) for c in COORDINATES}, **pooled}.items():
            block[f"{name}_{unit}"] = {
                state: _signed(members, coordinates, comparison, suffix) for state, suffix in comparison.states.items()
            }
        for name, points in {**{p: (p,) for p in POINTS}, "distance": POINTS}.items():
            block[f"{name}_{unit}"] = {
                state: _statistics(
                    [row for p in points for row in _found(members, f"{p}_error{comparison.against}{suffix}")]
                )
                for state, suffix in comparison.states.items()
            }
    return block


def annulus_block(frames: Sequence[Rows], comparison: Comparison) -> Json:
    """ANNULUS."""
    block = _frames_and_failed(frames, comparison)
    diameter = ("annulus_diameter",)
    for unit, members in _by_unit(frames).items():
        _, target = _positions(members, diameter, comparison, "")
        by_state: Json = {}
        for state, suffix in comparison.states.items():
            signed = _signed(members, diameter, comparison, suffix)
            measured, _ = _positions(members, diameter, comparison, suffix)
            by_state[state] = {
                **signed,
                "median_predicted": agreement.percentiles(measured).median,
                "mae": signed["mean_absolute"],
                "loa": agreement.LIMITS_OF_AGREEMENT_SD * signed["sd"],
            }
        block[f"diameter_{unit}"] = {"median_reference": agreement.percentiles(target).median, **by_state}
    return block


def position_row(frame: Rows) -> CaseRow:
    """A row that every frame has, for its view, phase and unit."""
    return frame[ANNULUS, "amvl_error"]


def pair(case: Rows, structure: str, first: str, second: str) -> tuple[float, float] | None:
    """Two values of a case, None unless it has both."""
    a, b = case.get((structure, first)), case.get((structure, second))
    if a is None or b is None or a.value is None or b.value is None:
        return None
    return a.value, b.value


def unzipped(pairs: Sequence[tuple[float, float] | None]) -> tuple[list[float], list[float]]:
    """The two series of the pairs that are there."""
    there = [both for both in pairs if both is not None]
    return [first for first, _ in there], [second for _, second in there]


def _statistics(rows: Sequence[CaseRow], *, absolute: bool = False) -> Json:
    values = [abs(value) for value in _values(rows)] if absolute else _values(rows)
    spread = agreement.percentiles(values)
    undefined = sum(row.status == UNDEFINED for row in rows)
    return {
        "n": len(values),
        "mean": agreement.mean(values),
        "sd": agreement.standard_deviation(values),
        "median": spread.median,
        "p15": spread.p15,
        "p85": spread.p85,
        "undefined": undefined,
        "failed": len(rows) - len(values) - undefined,
    }


def _signed(frames: Sequence[Rows], quantities: Sequence[str], comparison: Comparison, suffix: str) -> Json:
    """SIGNED, of one quantity or of several pooled."""
    errors = [row for q in quantities for row in _found(frames, f"{q}_error{comparison.against}{suffix}")]
    values = _values(errors)
    spread = agreement.percentiles(values)
    absolute = [abs(value) for value in values]
    measured, target = _positions(frames, quantities, comparison, suffix)
    return {
        "n": len(values),
        "failed": len(errors) - len(values),
        "bias": spread.median,
        "p15": spread.p15,
        "p85": spread.p85,
        "mean": agreement.mean(values),
        "sd": agreement.standard_deviation(values),
        "median_absolute": agreement.percentiles(absolute).median,
        "mean_absolute": agreement.mean(absolute),
        "shapiro_wilk_p": agreement.shapiro_wilk_p(values),
        "r": agreement.pearson_r(target, measured),
    }


def _positions(
    frames: Sequence[Rows], quantities: Sequence[str], comparison: Comparison, suffix: str
) -> tuple[list[float], list[float]]:
    """Measured and target values of the frames that have both."""
    pairs = [
        pair(frame, ANNULUS, f"{q}_{comparison.measured}{suffix}", f"{q}_{comparison.target}")
        for q in quantities
        for frame in frames
    ]
    return unzipped(pairs)


def _frames_and_failed(frames: Sequence[Rows], comparison: Comparison) -> Json:
    errors = _found(frames, f"amvl_error{comparison.against}")
    return {"frames": len(errors), "failed": sum(row.status != OK for row in errors)}


def _by_unit(frames: Sequence[Rows]) -> dict[str, list[Rows]]:
    """Frames measured in mm and in px apart; mm where there is no frame, so that the keys are there."""
    units: dict[str, list[Rows]] = {}
    for frame in frames:
        units.setdefault(position_row(frame).unit, []).append(frame)
    return units or {"mm": []}


def _found(frames: Sequence[Rows], metric: str) -> list[CaseRow]:
    return [frame[ANNULUS, metric] for frame in frames if (ANNULUS, metric) in frame]


def _values(rows: Sequence[CaseRow]) -> list[float]:
    return [row.value for row in rows if row.value is not None]
