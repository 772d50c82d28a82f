"""The rows of a located box: how well it agrees with the box of the reference, and whether it encloses it."""

import numpy as np

from cart.measure import Box, BoxSpec, MeasurementSpec
from data_pipeline.sample import Sample
from evaluation.rows import BOX, NO_REFERENCE, NO_REFERENCE_BOX, CaseRow, Subject
from metrics.boxes import box_errors, box_of_mask, encloses, iou

BOX_IOU, BOX_OUT = "box_iou", "box_out"
BOX_ERRORS = ("box_row_centre_error", "box_col_centre_error", "box_height_error", "box_width_error")


def box_rows(frame: Subject, sample: Sample, box: Box, spec: BoxSpec) -> list[CaseRow]:
    """A predicted box against the reference's.

    Args:
        frame: what its rows have in common.
        sample: with the reference labels on the native grid, or without.
        box: predicted, pixel edges, native grid.
        spec: which structures the box is around, and the margin that it was taught.

    Returns:
        `box_iou` and the signed errors of centre and sides against the reference's box with that margin; `box_out`, 1
        where the box does not wholly enclose the reference itself, without margin. The status says so where the frame
        has no labels, or none of the structures.

    Source: lu_net paper §IV-B item 1. Deviation: signed errors, of which the summary takes the absolute values.
    """
    units = {BOX_IOU: "ratio", **dict.fromkeys(BOX_ERRORS, frame.unit), BOX_OUT: "flag"}
    mask = None if sample.labels is None else np.isin(sample.labels, spec.structures)
    if mask is None or not mask.any():
        status = NO_REFERENCE if mask is None else NO_REFERENCE_BOX
        return [frame.failed_row(BOX, metric, unit, status) for metric, unit in units.items()]
    reference = box_of_mask(mask, spec.margin)
    errors = box_errors(reference, box, sample.spacing_mm or (1.0, 1.0))
    values = (
        iou(reference, box),
        errors.centre_row,
        errors.centre_col,
        errors.height,
        errors.width,
        float(not encloses(box, mask)),
    )
    return [frame.row(BOX, metric, value, unit) for (metric, unit), value in zip(units.items(), values, strict=True)]


def reference_box(sample: Sample, spec: MeasurementSpec) -> Box | None:
    """The reference's box that the network should have found, or was shown alone; None where there is none."""
    box = spec.oracle or spec.box
    if box is None or sample.labels is None:
        return None
    mask = np.isin(sample.labels, box.structures)
    return box_of_mask(mask, box.margin) if mask.any() else None
