"""The calibration of the hinge points: fitted on rows, and the rows of what it changes."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Literal

import numpy as np

from evaluation.hinge_points import FramePoints, error_rows, points_from_rows, position_rows
from evaluation.rows import (
    CALIBRATION_UNIT_DIFFERS,
    CONSTRUCTED,
    NO_CALIBRATION,
    CaseRow,
    Subject,
    annulus_rows_by_case,
    subgroup,
)
from postprocessing.calibration import COORDINATES, Calibration, fit_calibration


def calibration_from_rows(
    rows: Iterable[CaseRow], *, fitted_on: Literal["validation", "in_sample"]
) -> Calibration | None:
    """Fits the systematic error of the hinge points on frames that have been measured.

    Args:
        rows: of any number of frames, as `frame_rows` gives them. Where both mm and px occur, mm is fitted.
        fitted_on: `validation` or `in_sample`.

    Returns:
        The calibration; None where not a single frame has both hinge points and a reference.

    Source: hinge_points paper §3.4 (bias = median error). Deviation: none.
    """
    errors: dict[str, dict[str, list[list[float]]]] = {"mm": {}, "px": {}}  # by unit and subgroup
    for metrics in annulus_rows_by_case(rows).values():
        signed = [metrics[f"{coordinate}_error"] for coordinate in COORDINATES]
        values = [row.value for row in signed if row.value is not None]
        if len(values) == len(COORDINATES):
            errors[signed[0].unit].setdefault(subgroup(signed[0]), []).append(values)
    unit = "mm" if errors["mm"] else "px"
    if not errors[unit]:
        return None
    return fit_calibration(
        {name: np.asarray(series) for name, series in errors[unit].items()}, unit=unit, fitted_on=fitted_on
    )


def in_sample_calibration(rows: Iterable[CaseRow]) -> Calibration | None:
    """The paper's calibration: fitted on the very frames it is then applied to, so it flatters; None for no frame."""
    return calibration_from_rows(rows, fitted_on="in_sample")


def calibrated_rows(rows: Iterable[CaseRow], calibration: Calibration | None, *, suffix: str) -> list[CaseRow]:
    """The hinge points of `rows` once more, with the systematic error taken off the prediction.

    Args:
        rows: of any number of frames, as `frame_rows` gives them.
        calibration: what to subtract; None gives the same rows without values.
        suffix: `CALIBRATED` or `CALIBRATED_IN_SAMPLE`.

    Returns:
        Predicted coordinates, diameter and errors with the suffix, for every frame among `rows`.
    """
    calibrated: list[CaseRow] = []
    for metrics in annulus_rows_by_case(rows).values():
        first = metrics["amvl_row_predicted"]
        frame = Subject(first.case, first.patient, first.view, first.phase, first.unit)
        prediction = _calibrated_points(points_from_rows(metrics, "predicted"), calibration, first)
        calibrated += position_rows(frame, prediction, "predicted" + suffix)
        diameter = metrics["annulus_diameter_reference"]
        calibrated.append(replace(diameter, metric=diameter.metric + suffix))  # unchanged: it completes the pair
        calibrated += error_rows(frame, prediction, points_from_rows(metrics, "reference"), suffix)
        if "amvl_row_constructed" in metrics:
            constructed = points_from_rows(metrics, "constructed")
            calibrated += error_rows(frame, prediction, constructed, CONSTRUCTED + suffix)
    return calibrated


def _calibrated_points(prediction: FramePoints, calibration: Calibration | None, row: CaseRow) -> FramePoints:
    if prediction.points is None:
        return prediction
    if calibration is None:
        return FramePoints(None, NO_CALIBRATION)
    if calibration.unit != row.unit:
        return FramePoints(None, CALIBRATION_UNIT_DIFFERS)
    # Points in mm are points on a grid of 1 mm pitch.
    spacing_mm = (1.0, 1.0) if row.unit == "mm" else None
    return FramePoints(calibration.apply(prediction.points, row.view or None, row.phase or None, spacing_mm))
