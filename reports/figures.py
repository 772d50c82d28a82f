"""The figures of the report: the papers', drawn from the evaluation's rows, and some of our own."""

from collections.abc import Callable

import matplotlib as mpl

from reports.cells import Missing
from reports.drawing import RC, Drawing
from reports.evaluation_folder import Evaluation
from reports.sections.annulus import diameter_agreement, sorted_diameters
from reports.sections.error_model import bias
from reports.sections.hinge_points import box_plots, sorted_errors
from reports.sections.localisation import overlap_by_epoch
from reports.sections.off_centre import x_correlation
from reports.sections.segmentation import dice_by_epoch
from reports.sections.short_axis import examples, mass_agreement
from reports.sections.short_axis import volume_agreement as short_axis_volumes
from reports.sections.trust import expected_against_measured, risk_coverage_curve
from reports.sections.volumes import volume_agreement

Draw = Callable[[Evaluation], Drawing | Missing]

OF_OUTLINES: dict[str, Draw] = {"fig-03-dice-by-epoch": dice_by_epoch, "volume-agreement": volume_agreement}
OF_HINGE_POINTS: dict[str, Draw] = {
    "fig-06-sorted-errors": sorted_errors,
    "fig-07-sorted-diameters": sorted_diameters,
    "fig-08-box-plots": box_plots,
    "fig-09-bias": bias,
    "fig-10-x-correlation": x_correlation,
    "diameter-agreement": diameter_agreement,
    "risk-coverage": risk_coverage_curve,
    "expected-error": expected_against_measured,
}
OF_SHORT_AXIS: dict[str, Draw] = {
    "fig-1-examples": examples,
    "fig-03-dice-by-epoch": dice_by_epoch,
    "sax-volume-agreement": short_axis_volumes,
    "sax-mass-agreement": mass_agreement,
}
OF_BOXES: dict[str, Draw] = {"box-iou-by-epoch": overlap_by_epoch}


def draw_figures(evaluation: Evaluation) -> dict[str, Drawing | Missing]:
    """Every figure that applies to the network, by key; `Missing` where the evaluation has nothing to draw."""
    draw = {
        **(OF_SHORT_AXIS if evaluation.is_short_axis else OF_OUTLINES if evaluation.segments else {}),
        **(OF_HINGE_POINTS if evaluation.no_hinge_points is None else {}),
        **(OF_BOXES if evaluation.locates else {}),
    }
    with mpl.rc_context(RC):
        return {key: function(evaluation) for key, function in draw.items()}
