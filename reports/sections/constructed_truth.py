"""Simulated frames against the hinge points they were constructed with."""

import numpy as np

from metrics import agreement
from reports.cells import Cell, Missing, Table, number, ours
from reports.evaluation_folder import ALL, Evaluation, figure_of


def constructed_table(evaluation: Evaluation) -> Table | Missing | None:
    """Simulated data: errors against the constructed hinge points beside those against the mask-derived ones."""
    if not evaluation.has_constructed_truth:
        return None
    unit = evaluation.length_unit
    comparisons = {
        "Prediction against the mask-derived reference": ("hinge", "annulus"),
        "Prediction against the constructed truth": ("hinge_constructed", "annulus_constructed"),
        "Mask-derived reference against the constructed truth": ("hinge_reference_vs_constructed", ""),
    }
    rows: list[tuple[Cell, ...]] = []
    for label, (hinge, annulus) in comparisons.items():
        rows.append(ours(label))
        for group in (*evaluation.subgroups, ALL):
            distance = evaluation.block(hinge, group, f"distance_{unit}", "before")
            x, y = (evaluation.block(hinge, group, f"{axis}_{unit}", "before") for axis in ("col", "row"))
            diameter = evaluation.block(annulus, group, f"diameter_{unit}", "before") if annulus else {}
            if not annulus:
                errors = evaluation.series("annulus_diameter_error_reference_vs_constructed", subgroup=group).values
                diameter = {
                    "bias": agreement.percentiles(errors).median,
                    "mae": agreement.mean(np.abs(errors)),
                }
            rows.append(
                (
                    Cell(group),
                    *ours(
                        str(evaluation.count(hinge, group, "frames")),
                        str(evaluation.count(hinge, group, "failed")),
                        number(figure_of(distance, "median")),
                        number(figure_of(distance, "mean")),
                        number(figure_of(x, "median_absolute")),
                        number(figure_of(y, "median_absolute")),
                        number(figure_of(diameter, "bias"), signed=True),
                        number(figure_of(diameter, "mae")),
                    ),
                )
            )
    return Table(
        "constructed",
        f"Simulated frames: against the mask-derived and against the constructed hinge points, {unit}",
        (
            ("", "view-phase"),
            ("frames", "n"),
            ("frames", "failed"),
            ("distance", "median"),
            ("distance", "mean"),
            ("median |error|", "x"),
            ("median |error|", "y"),
            ("diameter", "bias (median)"),
            ("diameter", "MAE"),
        ),
        tuple(rows),
        (
            "The last comparison is what reading hinge points off a mask costs by itself, with no network involved: no "
            "mask-based reference, CAMUS included, is better than that.",
        ),
    )
