"""The rows of one frame: overlap and distance of each structure, hinge points and annulus, flags."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from data_pipeline.sample import Sample, Structure
from evaluation.calibration import calibrated_rows
from evaluation.hinge_points import FramePoints, hinge_rows, points_of, scaled
from evaluation.rows import (
    CALIBRATED,
    EPI,
    FIRST,
    FRAME,
    NO_LA_CLASS,
    NO_REFERENCE,
    NO_REFERENCE_CONTACT_LINE,
    NO_SEGMENTATION,
    NO_SPACING,
    NOT_FOUND_BY_NETWORK,
    UNKNOWN_ORIENTATION,
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
    "hausdorff95": surface.hausdorff95,
}
SURFACE_DICE = "surface_dice"
SURFACE_TOLERANCE_MM = 2.0
"""ASSUMED: what two experts differ by; the intra-observer d_m of the lu_net paper's Table II is 1.4 and 1.7 mm."""

LA_CUT = "la_cut_by_sector"
LA_CUT_CONSTRUCTED = "la_cut_constructed"
REFERENCE_FLAGS = ("several_contact_segments", "one_pixel_contact", LA_CUT, "lv_cut_by_sector")
QUALITY_GRADES = {"Poor": 1, "Medium": 2, "Good": 3}
PIXEL_ACCURACY, ORACLE_MARGIN = "pixel_accuracy", "oracle_margin"
FLAG_STRUCTURES: Mapping[str, frozenset[Structure]] = {
    "lv_missing": frozenset({Structure.LV}),
    "la_missing": frozenset({Structure.LA}),
    "fragments_removed": frozenset(),
    "several_contact_segments": frozenset({Structure.LV, Structure.LA}),
    "one_pixel_contact": frozenset({Structure.LV, Structure.LA}),
    "lv_cut_by_sector": frozenset({Structure.LV}),
    LA_CUT: frozenset({Structure.LA}),
    "holes": frozenset({Structure.LV}),
    "lv_la_gap": frozenset({Structure.LV, Structure.LA}),
    "hinge_points_outside_sector": frozenset({Structure.LV, Structure.LA}),
    "annulus_outside_15_60_mm": frozenset({Structure.LV, Structure.LA}),
}
"""What a network must outline for each of FLAGS to say anything."""
NO_SIDE = "left"  # what is passed on where no hinge point is named by it


def frame_rows(
    sample: Sample,
    measurement: FrameMeasurement,
    *,
    structures: Sequence[Structure],
    anterior_side: str | None,
    calibration: Calibration | None,
) -> list[CaseRow]:
    """Everything there is to say about one frame.

    Args:
        sample: the frame with its reference labels, on the native grid; labels, spacing and truth may be None.
        measurement: the prediction, measured on the same grid.
        structures: the classes predicted; EPI is added where MYO is among them.
        anterior_side: `left` or `right`, for the reference's hinge points; None where it is not known, or of a network
            that finds none.
        calibration: fitted elsewhere (on validation), or None: then the `_calibrated` rows have no value.

    Returns:
        Rows as `rows.py` describes them, `_calibrated_in_sample` excepted (`calibrated_rows` makes those once all
        frames are there). Which rows there are depends on the network, and not on what could be measured. Where the
        network is not made to find hinge points, neither the reference's nor the true ones have a value: there is
        nothing to compare them with.

    Raises:
        ValueError: the measurement's grid is not the sample's.
    """
    if measurement.label_map.shape != sample.image.shape:
        raise ValueError(
            f"`measurement` must be on the sample's native grid {sample.image.shape}. "
            f"Received: {measurement.label_map.shape} for {sample.case_id}"
        )
    reference = reference_measurement(sample, anterior_side or NO_SIDE)
    frame = subject_of(sample)
    rows: list[CaseRow] = []
    if measurement.status != NO_SEGMENTATION:
        rows += structure_rows(frame, sample, measurement.label_map, structures)
        rows.append(_accuracy_row(frame, sample, measurement.label_map, structures))
    if measurement.status in NOT_FOUND_BY_NETWORK:
        not_found = FramePoints(None, measurement.status)
        rows += hinge_rows(frame, prediction=not_found, reference=not_found, constructed=None)
    else:
        rows += hinge_rows(
            frame,
            prediction=points_of(measurement, sample.spacing_mm, measurement.status),
            reference=_reference_points(reference, sample.spacing_mm, is_oriented=anterior_side is not None),
            constructed=FramePoints(scaled(HingePoints(sample.truth.amvl, sample.truth.pmvl), sample.spacing_mm))
            if sample.truth
            else None,
        )
    rows += calibrated_rows(rows, calibration, suffix=CALIBRATED)
    return rows + _flag_rows(frame, sample, measurement, reference, structures)


def _reference_points(
    reference: FrameMeasurement | None, spacing_mm: tuple[float, float] | None, *, is_oriented: bool
) -> FramePoints:
    if reference is None:
        return FramePoints(None, NO_REFERENCE)
    points = points_of(reference, spacing_mm, NO_REFERENCE_CONTACT_LINE)
    return points if is_oriented or points.points is None else FramePoints(None, UNKNOWN_ORIENTATION)


def subject_of(sample: Sample) -> Subject:
    """What the rows of a frame have in common."""
    return Subject(
        sample.case_id,
        sample.patient_id,
        sample.view.value if sample.view else "",
        sample.phase.value if sample.phase else "",
        "px" if sample.spacing_mm is None else "mm",
    )


def first_rows(sample: Sample, label_map: npt.NDArray[np.uint8], *, structures: Sequence[Structure]) -> list[CaseRow]:
    """Overlap and distance of each structure by the first segmentation of a network that segments twice.

    Args:
        sample: as for `frame_rows`.
        label_map: (H, W) structure codes of the first segmentation, native grid.
        structures: the classes predicted.
    """
    rows = structure_rows(subject_of(sample), sample, label_map, structures)
    return [replace(row, metric=row.metric + FIRST) for row in rows]


def reference_measurement(sample: Sample, anterior_side: str) -> FrameMeasurement | None:
    """The reference labels measured as the prediction is; None for an unlabelled frame."""
    if sample.labels is None:
        return None
    return measure_labels(sample.labels, spacing_mm=sample.spacing_mm, anterior_side=anterior_side, image=sample.image)


def structure_members(structures: Sequence[Structure]) -> dict[str, tuple[Structure, ...]]:
    """What each name of a structure covers: EPI is LV and MYO, where both are among them."""
    members: dict[str, tuple[Structure, ...]] = {s.name: (s,) for s in structures if s is not Structure.BACKGROUND}
    if Structure.LV in structures and Structure.MYO in structures:
        members[EPI] = (Structure.LV, Structure.MYO)
    return members


def structure_rows(
    frame: Subject, sample: Sample, predicted: npt.NDArray[np.uint8], structures: Sequence[Structure]
) -> list[CaseRow]:
    """Overlap and distance of each structure; EPI is added where both LV and MYO are among them."""
    rows: list[CaseRow] = []
    for name, members in structure_members(structures).items():
        if sample.labels is None:
            rows += [frame.failed_row(name, metric, "ratio", NO_REFERENCE) for metric in RATIOS]
            rows += [frame.failed_row(name, metric, frame.unit, NO_REFERENCE) for metric in DISTANCES]
            rows.append(frame.failed_row(name, SURFACE_DICE, "ratio", NO_REFERENCE))
            continue
        reference, prediction = np.isin(sample.labels, members), np.isin(predicted, members)
        counts = overlap.confusion_counts(reference, prediction)
        rows += [frame.row(name, metric, ratio(counts), "ratio") for metric, ratio in RATIOS.items()]
        distances = surface.surface_distances(reference, prediction, sample.spacing_mm or (1.0, 1.0))
        rows += [frame.row(name, metric, distance(distances), frame.unit) for metric, distance in DISTANCES.items()]
        rows.append(
            frame.failed_row(name, SURFACE_DICE, "ratio", NO_SPACING)
            if sample.spacing_mm is None
            else frame.row(name, SURFACE_DICE, surface.surface_dice(distances, SURFACE_TOLERANCE_MM), "ratio")
        )
    return rows


def _accuracy_row(
    frame: Subject, sample: Sample, predicted: npt.NDArray[np.uint8], structures: Sequence[Structure]
) -> CaseRow:
    """The share of pixels with the right class; what the network has no class for is background to it."""
    if sample.labels is None:
        return frame.failed_row(FRAME, PIXEL_ACCURACY, "ratio", NO_REFERENCE)
    reference = np.where(np.isin(sample.labels, structures), sample.labels, Structure.BACKGROUND)
    return frame.row(FRAME, PIXEL_ACCURACY, float((reference == predicted).mean()), "ratio")


def _flag_rows(
    frame: Subject,
    sample: Sample,
    measurement: FrameMeasurement,
    reference: FrameMeasurement | None,
    structures: Sequence[Structure],
) -> list[CaseRow]:
    rows: list[CaseRow] = []
    for flag in FLAGS:
        if measurement.status == NO_SEGMENTATION:
            rows.append(frame.failed_row(FRAME, flag, "flag", NO_SEGMENTATION))
        elif not FLAG_STRUCTURES[flag] <= set(structures):
            rows.append(frame.failed_row(FRAME, flag, "flag", NO_LA_CLASS))
        else:
            rows.append(frame.row(FRAME, flag, flag in measurement.flags, "flag"))
    if reference is not None:
        rows += [frame.row(FRAME, f"{flag}_reference", flag in reference.flags, "flag") for flag in REFERENCE_FLAGS]
    if sample.truth is not None:
        rows.append(frame.row(FRAME, LA_CUT_CONSTRUCTED, sample.truth.la_cut, "flag"))
    if sample.quality in QUALITY_GRADES:
        rows.append(frame.row(FRAME, "image_quality", QUALITY_GRADES[sample.quality], "grade"))
    return rows
