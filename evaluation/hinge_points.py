"""The rows of the hinge points and the annulus: positions, errors, the diameter."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from evaluation.rows import ANNULUS, CONSTRUCTED, OK, REFERENCE_VS_CONSTRUCTED, CaseRow, Subject
from postprocessing.calibration import COORDINATES
from postprocessing.hinge_points import HingePoints
from postprocessing.measurement import FrameMeasurement

POINTS = ("amvl", "pmvl")


@dataclass(frozen=True)
class FramePoints:
    """Hinge points in the frame's unit, or why there are none (`points` is None)."""

    points: HingePoints | None
    status: str = OK


def points_of(measurement: FrameMeasurement, spacing_mm: tuple[float, float] | None, failure: str) -> FramePoints:
    """A frame's hinge points; the status `failure` where it has none."""
    if measurement.hinge_points is None:
        return FramePoints(None, failure)
    return FramePoints(scaled(measurement.hinge_points, spacing_mm))


def scaled(points: HingePoints, spacing_mm: tuple[float, float] | None) -> HingePoints:
    """Hinge points in mm from the centre of the image's first pixel; in pixels where the pitch is unknown."""
    row, col = spacing_mm or (1.0, 1.0)
    return HingePoints(
        amvl=(points.amvl[0] * row, points.amvl[1] * col), pmvl=(points.pmvl[0] * row, points.pmvl[1] * col)
    )


def points_from_rows(metrics: Mapping[str, CaseRow], name: str) -> FramePoints:
    """What `position_rows` made rows of, `name` being the ending of their metrics."""
    rows = [metrics[f"{coordinate}_{name}"] for coordinate in COORDINATES]
    values = [row.value for row in rows if row.value is not None]
    if len(values) < len(COORDINATES):
        return FramePoints(None, rows[0].status)
    return FramePoints(HingePoints(amvl=(values[0], values[1]), pmvl=(values[2], values[3])))


def hinge_rows(
    frame: Subject, *, prediction: FramePoints, reference: FramePoints, constructed: FramePoints | None
) -> list[CaseRow]:
    """Positions and errors of a frame: against the reference and, where there is one, the constructed truth."""
    rows = position_rows(frame, reference, "reference") + position_rows(frame, prediction, "predicted")
    rows += error_rows(frame, prediction, reference, "")
    if constructed is not None:
        rows += position_rows(frame, constructed, "constructed")
        rows += error_rows(frame, prediction, constructed, CONSTRUCTED)
        rows += error_rows(frame, reference, constructed, REFERENCE_VS_CONSTRUCTED)
    return rows


def position_rows(frame: Subject, points: FramePoints, name: str) -> list[CaseRow]:
    """Coordinates and diameter of one pair of hinge points."""
    metrics = (*COORDINATES, "annulus_diameter")
    if points.points is None:
        return [frame.failed_row(ANNULUS, f"{metric}_{name}", frame.unit, points.status) for metric in metrics]
    values = (*points.points.amvl, *points.points.pmvl, math.dist(points.points.amvl, points.points.pmvl))
    return [
        frame.row(ANNULUS, f"{metric}_{name}", value, frame.unit) for metric, value in zip(metrics, values, strict=True)
    ]


def error_rows(frame: Subject, points: FramePoints, target: FramePoints, suffix: str) -> list[CaseRow]:
    """Signed coordinate errors, Euclidean errors and the error of the diameter: `points` − `target`."""
    coordinates = [f"{coordinate}_error{suffix}" for coordinate in COORDINATES]
    distances = [f"{point}_error{suffix}" for point in POINTS]
    metrics = [*coordinates, *distances, f"annulus_diameter_error{suffix}"]
    if points.points is None or target.points is None:
        status = target.status if target.points is None else points.status
        return [frame.failed_row(ANNULUS, metric, frame.unit, status) for metric in metrics]
    measured, true = points.points, target.points
    amvl = np.subtract(measured.amvl, true.amvl)
    pmvl = np.subtract(measured.pmvl, true.pmvl)
    diameter = math.dist(measured.amvl, measured.pmvl) - math.dist(true.amvl, true.pmvl)
    values = [*amvl, *pmvl, math.hypot(*amvl), math.hypot(*pmvl), diameter]
    return [frame.row(ANNULUS, metric, value, frame.unit) for metric, value in zip(metrics, values, strict=True)]
