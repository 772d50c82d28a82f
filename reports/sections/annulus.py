"""The annulus diameter: Table 2 and Fig. 7 of the paper, and its agreement with the reference."""

import math

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes

from metrics import agreement
from reports import paper
from reports.cells import DASH, Cell, Missing, Table, above, between, from_paper, number, ours
from reports.drawing import Drawing, bland_altman_lines, bland_altman_points, new_figure, ranks
from reports.evaluation_folder import ALL, Evaluation, figure_of
from reports.style import PAPER_VIEWS, PREDICTED, REFERENCE

VIEW_MARKERS = {"A4C": "o", "A2C": "s", "A3C": "^"}


def diameter_table(evaluation: Evaluation) -> Table | Missing:
    """Table 2 of the paper."""
    unit = evaluation.length_unit
    title = f"Table 2. Median annulus diameter, {unit}"
    if not evaluation.frames:
        return Missing(title, "No frame was measured.")
    rows: list[tuple[Cell, ...]] = []
    for group in (*evaluation.subgroups, ALL):
        block = evaluation.block("annulus", group, f"diameter_{unit}")
        stated = paper.DIAMETER_MM.get(group)
        of_group = "" if group == ALL else f".{group}"
        sure_bias = between(*evaluation.confidence(f"annulus.median_bias_{unit}{of_group}"), 1, signed=True)
        sure_mae = between(*evaluation.confidence(f"annulus.mae_{unit}{of_group}"), 1)
        rows.append(
            (
                Cell(group),
                *from_paper(number(stated[0], 1) if stated else DASH),
                *ours(number(figure_of(block.get("before"), "median_predicted"), 1)),
                *ours(number(figure_of(block.get("calibrated"), "median_predicted"), 1)),
                *from_paper(number(stated[1], 1) if stated else DASH),
                *ours(number(figure_of(block, "median_reference"), 1)),
                *ours(
                    above(number(figure_of(block.get("before"), "bias"), 1, signed=True), sure_bias),
                    above(number(figure_of(block.get("before"), "mae"), 1), sure_mae),
                    str(int(figure_of(block.get("before"), "n", 0))),
                    str(evaluation.count("annulus", group, "failed")),
                ),
            )
        )
    notes = [
        "Calibrated: the systematic error of each coordinate, fitted on validation frames, taken off the prediction. "
        "Bias: median of predicted − reference. MAE: mean absolute error. Both uncalibrated"
        + (", with the 95 % CI below." if evaluation.confidence_figures else "."),
    ]
    if unit == "px":
        notes.append("The pixel pitch of these frames is unknown: our figures are in pixels and cannot be compared.")
    return Table(
        "table-2",
        title,
        (
            ("", "view-phase"),
            ("predicted", "paper, mm"),
            ("predicted", "ours"),
            ("predicted", "ours, calibrated"),
            ("reference", "paper, mm"),
            ("reference", "ours"),
            ("ours, error", "bias"),
            ("ours, error", "MAE"),
            ("frames", "n"),
            ("frames", "failed"),
        ),
        tuple(rows),
        tuple(notes),
    )


def sorted_diameters(evaluation: Evaluation) -> Drawing | Missing:
    """Fig. 7 of the paper."""
    title = "Fig. 7. Sorted annulus diameters before and after calibration"
    suffixes = {"before calibration": ""}
    if evaluation.has_calibration:
        suffixes["after calibration\n(fitted on validation)"] = "_calibrated"
    groups = [g for g in (ALL, "A4C-ES") if evaluation.pairs(*_diameters(""), subgroup=g)[0].n]
    if not groups:
        return Missing(title, "No frame has both a predicted and a reference diameter.")
    unit = evaluation.length_unit
    figure = new_figure(0.7 + 2.3 * len(groups))
    grid = figure.subplots(len(groups), len(suffixes), sharey="row", sharex=True, squeeze=False)
    underestimated: list[str] = []
    for row, group in enumerate(groups):
        for column, (name, suffix) in enumerate(suffixes.items()):
            reference, predicted = evaluation.pairs(*_diameters(suffix), subgroup=group)
            axes: Axes = grid[row][column]
            marker = "o" if reference.n == 1 else None
            axes.plot(
                ranks(reference.n), np.sort(reference.values), "--", color=REFERENCE, label="reference", marker=marker
            )
            axes.plot(
                ranks(predicted.n), np.sort(predicted.values), "-", color=PREDICTED, label="predicted", marker=marker
            )
            change = _relative_percent(predicted.values, reference.values)
            axes.text(
                0.03,
                0.97,
                f"{'all frames' if group == ALL else group}, n = {reference.n}\nmedian "
                f"{number(change, 1, signed=True)} %",
                transform=axes.transAxes,
                va="top",
                fontsize=8,
            )
            if row == 0:
                axes.set_title(name)
            if row == len(groups) - 1:
                axes.set_xlabel("frames, % (sorted)")
            axes.set_xlim(0, 100)
            underestimated.append(f"{group} {name.splitlines()[0]} {number(change, 1, signed=True)} %")
        grid[row][0].set_ylabel(f"annulus diameter, {unit}")
        low, high = grid[row][0].get_ylim()
        grid[row][0].set_ylim(low, high + 0.15 * (high - low))
    figure.legend(*grid[0][0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
    return Drawing(
        "fig-07-sorted-diameters",
        title,
        "Reference and predicted diameters, each sorted for itself: where the lines lie apart, the method is biased at "
        "that size. The percentage compares the medians; the paper underestimates A4C-ES by 13.8 % before calibration.",
        f"Sorted reference and predicted diameters; difference of medians: {'; '.join(underestimated)}.",
        figure,
    )


def diameter_agreement(evaluation: Evaluation) -> Drawing | Missing:
    """Bland–Altman plot of the annulus diameter: not in the paper, but what a clinician asks for."""
    title = "Agreement of the annulus diameter (Bland–Altman; not in the paper)"
    reference, predicted = evaluation.pairs(*_diameters(""))
    if not reference.n:
        return Missing(title, "No frame has both a predicted and a reference diameter.")
    unit = evaluation.length_unit
    figure = new_figure(3.1)
    axes = figure.subplots()
    view_of = {r.case: r.view for r in evaluation.frames}
    views = np.array([view_of.get(case, "") for case in reference.cases])
    views_present = sorted(set(views.tolist()), reverse=True)
    for view in views_present:
        member = views == view
        bland_altman_points(
            axes,
            reference.values[member],
            predicted.values[member],
            PAPER_VIEWS.get(view, PAPER_VIEWS[ALL]),
            VIEW_MARKERS.get(view, "D"),
            view or "view unknown",
        )
    text = bland_altman_lines(axes, reference.values, predicted.values, unit)
    axes.set(xlabel=f"mean of predicted and reference diameter, {unit}", ylabel=f"predicted − reference, {unit}")
    figure.legend(loc="outside lower center", ncols=len(views_present))
    return Drawing(
        "diameter-agreement",
        title,
        f"Each mark is a frame (n = {reference.n}), uncalibrated. {text}",
        f"Bland–Altman plot of the annulus diameter. {text}",
        figure,
    )


def _diameters(suffix: str) -> tuple[str, str]:
    return "annulus_diameter_reference", f"annulus_diameter_predicted{suffix}"


def _relative_percent(predicted: npt.NDArray[np.float64], reference: npt.NDArray[np.float64]) -> float:
    median = agreement.percentiles(reference).median
    return 100 * (agreement.percentiles(predicted).median / median - 1) if len(reference) and median > 0 else math.nan
