"""Frames whose left atrium is cut off, against the others: the paper's §4.4 and Fig. 10."""

import math
from collections.abc import Sequence

import numpy as np

from metrics import agreement
from reports.cells import Cell, Missing, Table, number, ours
from reports.drawing import Drawing, new_figure
from reports.evaluation_folder import ALL, Evaluation, Row
from reports.style import OFF_CENTRE, PAPER_VIEWS


def off_centre_table(evaluation: Evaluation) -> Table | Missing:
    """The paper's §4.4 (Figs. 10 and 11): frames whose left atrium is cut off, against the others."""
    unit = evaluation.length_unit
    title = f"Off-centre frames (left atrium cut off) against centred ones, uncalibrated; lengths in {unit}"
    if not evaluation.frames:
        return Missing(title, "No frame was measured.")
    views = sorted({r.view for r in evaluation.frames if r.view}, reverse=True)
    rows: list[tuple[Cell, ...]] = []
    for view in (*views, ALL):
        for cut in (False, True):

            def member(row: Row, view: str = view, cut: bool = cut) -> bool:
                return view in (ALL, row.view) and (row.case in evaluation.off_centre) == cut

            frames = [r for r in evaluation.frames if member(r)]
            dice = [evaluation.series("dice", structure=s, where=member).values for s in ("LV", "LA")]
            x = evaluation.series("amvl_col_error", "pmvl_col_error", where=member).values
            y = evaluation.series("amvl_row_error", "pmvl_row_error", where=member).values
            distance = evaluation.series("amvl_error", "pmvl_error", where=member).values
            diameter = evaluation.series("annulus_diameter_error", where=member).values
            rows.append(
                (
                    Cell(f"{view}, {'off-centre' if cut else 'centred'}"),
                    *ours(
                        str(len(frames)),
                        str(sum(not math.isfinite(r.value) for r in frames)),
                        *(number(agreement.mean(d), 3) for d in dice),
                        number(agreement.percentiles(np.abs(x)).median),
                        number(agreement.percentiles(np.abs(y)).median),
                        number(agreement.percentiles(distance).median),
                        number(agreement.mean(np.abs(diameter))),
                    ),
                )
            )
    return Table(
        "off-centre",
        title,
        (
            ("", "view, group"),
            ("frames", "n"),
            ("frames", "failed"),
            ("mean Dice", "LV"),
            ("mean Dice", "LA"),
            ("hinge points, median", "|x error|"),
            ("hinge points, median", "|y error|"),
            ("hinge points, median", "distance"),
            ("diameter", "MAE"),
        ),
        tuple(rows),
        (
            "Off-centre: by construction where it is known (simulated frames), else LA labels reaching the edge of the "
            "image or sector. The paper sorts by eye, names no count, and sees the effect in A4C only.",
        ),
    )


def x_correlation(evaluation: Evaluation) -> Drawing | Missing:
    """Fig. 10 of the paper."""
    title = "Fig. 10. Predicted against reference x coordinate, A4C"

    def in_a4c(row: Row) -> bool:
        return row.view == "A4C"

    pairs = {
        label: evaluation.pairs(f"{point}_col_reference", f"{point}_col_predicted", where=in_a4c)
        for point, label in {"amvl": "aMVL", "pmvl": "pMVL"}.items()
    }
    if not any(reference.n for reference, _ in pairs.values()):
        return Missing(title, "No A4C frame has both predicted and reference hinge points.")
    unit = evaluation.length_unit
    figure = new_figure(3.2)
    grid = figure.subplots(1, 2)
    correlations: list[str] = []
    for axes, (label, (reference, predicted)) in zip(grid, pairs.items(), strict=True):
        cut = np.array([case in evaluation.off_centre for case in reference.cases], dtype=bool)
        low, high = _range([*reference.values, *predicted.values])
        axes.plot([low, high], [low, high], color="#666666", linewidth=0.8)
        for members, marker, colour, name in (
            (~cut, "o", PAPER_VIEWS["A4C"], "centred"),
            (cut, "^", OFF_CENTRE, "off-centre (LA cut off)"),
        ):
            axes.plot(
                reference.values[members],
                predicted.values[members],
                marker,
                color=colour,
                markersize=4,
                alpha=0.75,
                markeredgewidth=0,
                label=f"{name}",
            )
            r = agreement.pearson_r(reference.values[members], predicted.values[members])
            correlations.append(f"{label} {name} n = {int(members.sum())}, r = {number(r, 3)}")
        axes.set(title=label, xlim=(low, high), ylim=(low, high), aspect="equal", xlabel=f"reference x, {unit}")
    grid[0].set_ylabel(f"predicted x, {unit}")
    figure.legend(*grid[0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
    return Drawing(
        "fig-10-x-correlation",
        title,
        f"Distance from the image's left edge. {'; '.join(correlations)}. The paper sees a second group here and "
        "suspects frames centred on the LV, their left atrium cut off (its Fig. 11).",
        f"Predicted against reference x of both hinge points: {'; '.join(correlations)}.",
        figure,
    )


def _range(values: Sequence[float]) -> tuple[float, float]:
    low, high = min(values, default=0.0), max(values, default=1.0)
    margin = 0.06 * (high - low) or 1.0
    return low - margin, high + margin
