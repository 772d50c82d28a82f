"""The figures of the report: the hinge-point paper's, drawn from the evaluation's rows, and two of our own."""

from collections.abc import Callable

import matplotlib as mpl

from reports.cells import Missing
from reports.drawing import RC, Drawing
from reports.evaluation_folder import Evaluation
from reports.sections.annulus import diameter_agreement, sorted_diameters
from reports.sections.error_model import bias
from reports.sections.hinge_points import box_plots, sorted_errors
from reports.sections.off_centre import x_correlation
from reports.sections.segmentation import dice_by_epoch
from reports.sections.volumes import volume_agreement


def draw_figures(evaluation: Evaluation) -> dict[str, Drawing | Missing]:
    """Every figure of the report, by key; `Missing` where the evaluation has nothing to draw."""
    draw: dict[str, Callable[[Evaluation], Drawing | Missing]] = {
        "fig-03-dice-by-epoch": dice_by_epoch,
        "fig-06-sorted-errors": sorted_errors,
        "fig-07-sorted-diameters": sorted_diameters,
        "fig-08-box-plots": box_plots,
        "fig-09-bias": bias,
        "fig-10-x-correlation": x_correlation,
        "diameter-agreement": diameter_agreement,
        "volume-agreement": volume_agreement,
    }
    with mpl.rc_context(RC):
        return {key: function(evaluation) for key, function in draw.items()}
