"""The rows of one frame: overlap and distance of each structure, hinge points and annulus, flags."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from data_pipeline.sample import Sample, Structure
from evaluation.calibration import calibrated_rows
from evaluation.hinge_points import FramePoints, hinge_rows, points_of, scaled
from evaluation.rows import (
    CALIBRATED,
    EPI,
    FRAME,
    NO_CONTACT_LINE,
    NO_REFERENCE,
    NO_REFERENCE_CONTACT_LINE,
    CaseRow,
    Subject,
)
from metrics import overlap, surface
from postprocessing.calibration import Calibration
from postprocessing.hinge_points import HingePoints
from postprocessing.measurement import FLAGS, FrameMeasurement, measure_labels

RATIOS = {
    "dice": overlap.dice,
    "iou": overlap.iou,
    "cpa": overlap.cpa,
    "sensitivity": overlap.sensitivity,
    "specificity": overlap.specificity,
    "pixel_accuracy": overlap.pixel_accuracy,
}
DISTANCES = {
    "mean_absolute_distance": surface.mean_absolute_distance,
    "hausdorff": surface.hausdorff,
}

LA_CUT = "la_cut_by_sector"
LA_CUT_CONSTRUCTED = "la_cut_constructed"
REFERENCE_FLAGS = ("several_contact_segments", "one_pixel_contact", LA_CUT, "lv_cut_by_sector")
QUALITY_GRADES = {"Poor": 1, "Medium": 2, "Good": 3}


def frame_rows(
    sample: Sample,
    measurement: FrameMeasurement,
    *,
    structures: Sequence[Structure],
    anterior_side: str,
    calibration: Calibration | None,
) -> list[CaseRow]:
    """Everything there is to say about one frame.

    Args:
        sample: the frame with its reference labels, on the native grid; labels, spacing and truth may be None.
        measurement: the prediction, measured on the same grid.
        structures: the classes predicted; EPI is added where MYO is among them.
        anterior_side: `left` or `right`, for the reference's hinge points.
        calibration: fitted elsewhere (on validation), or None: then the `_calibrated` rows have no value.

    Returns:
        Rows as `rows.py` describes them, `_calibrated_in_sample` excepted (`calibrated_rows` makes those once all
        frames are there). Which rows there are does not depend on what could be measured.

    Raises:
        ValueError: the measurement's grid is not the sample's.
    """
    if measurement.label_map.shape != sample.image.shape:
        raise ValueError(
            f"`measurement` must be on the sample's native grid {sample.image.shape}. "
            f"Received: {measurement.label_map.shape} for {sample.case_id}"
        )
    reference = reference_measurement(sample, anterior_side)
    frame = Subject(
        sample.case_id,
        sample.patient_id,
        sample.view.value if sample.view else "",
        sample.phase.value if sample.phase else "",
        "px" if sample.spacing_mm is None else "mm",
    )
    rows = _structure_rows(frame, sample, measurement.label_map, structures)
    rows += hinge_rows(
        frame,
        prediction=points_of(measurement, sample.spacing_mm, NO_CONTACT_LINE),
        reference=points_of(reference, sample.spacing_mm, NO_REFERENCE_CONTACT_LINE)
        if reference
        else FramePoints(None, NO_REFERENCE),
        constructed=FramePoints(scaled(HingePoints(sample.truth.amvl, sample.truth.pmvl), sample.spacing_mm))
        if sample.truth
        else None,
    )
    rows += calibrated_rows(rows, calibration, suffix=CALIBRATED)
    return rows + _flag_rows(frame, sample, measurement, reference)


def reference_measurement(sample: Sample, anterior_side: str) -> FrameMeasurement | None:
    """The reference labels measured as the prediction is; None for an unlabelled frame."""
    if sample.labels is None:
        return None
    return measure_labels(sample.labels, spacing_mm=sample.spacing_mm, anterior_side=anterior_side, image=sample.image)


def _structure_rows(
    frame: Subject, sample: Sample, predicted: npt.NDArray[np.uint8], structures: Sequence[Structure]
) -> list[CaseRow]:
    codes: dict[str, tuple[Structure, ...]] = {s.name: (s,) for s in structures if s is not Structure.BACKGROUND}
    if Structure.LV in structures and Structure.MYO in structures:
        codes[EPI] = (Structure.LV, Structure.MYO)
    rows: list[CaseRow] = []
    for name, members in codes.items():
        if sample.labels is None:
            rows += [frame.failed_row(name, metric, "ratio", NO_REFERENCE) for metric in RATIOS]
            rows += [frame.failed_row(name, metric, frame.unit, NO_REFERENCE) for metric in DISTANCES]
            continue
        reference, prediction = np.isin(sample.labels, members), np.isin(predicted, members)
        counts = overlap.confusion_counts(reference, prediction)
        rows += [frame.row(name, metric, ratio(counts), "ratio") for metric, ratio in RATIOS.items()]
        distances = surface.surface_distances(reference, prediction, sample.spacing_mm or (1.0, 1.0))
        rows += [frame.row(name, metric, distance(distances), frame.unit) for metric, distance in DISTANCES.items()]
    return rows


def _flag_rows(
    frame: Subject, sample: Sample, measurement: FrameMeasurement, reference: FrameMeasurement | None
) -> list[CaseRow]:
    rows = [frame.row(FRAME, flag, flag in measurement.flags, "flag") for flag in FLAGS]
    if reference is not None:
        rows += [frame.row(FRAME, f"{flag}_reference", flag in reference.flags, "flag") for flag in REFERENCE_FLAGS]
    if sample.truth is not None:
        rows.append(frame.row(FRAME, LA_CUT_CONSTRUCTED, sample.truth.la_cut, "flag"))
    if sample.quality in QUALITY_GRADES:
        rows.append(frame.row(FRAME, "image_quality", QUALITY_GRADES[sample.quality], "grade"))
    return rows
