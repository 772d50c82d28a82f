"""How far off the hinge points are: distances, and Table 3, Fig. 6 and Fig. 8 of the paper."""

import math

import numpy as np

from reports import paper
from reports.cells import DASH, Cell, Missing, Table, between, from_paper, interval, number, ours, percent, plain
from reports.drawing import Drawing, new_figure, ranks
from reports.evaluation_folder import ALL, Evaluation, figure_of
from reports.style import PAPER_COORDINATES, PAPER_VIEWS, PERCENTILES

COORDINATES = {"amvl_col": "aMVL x", "amvl_row": "aMVL y", "pmvl_col": "pMVL x", "pmvl_row": "pMVL y"}
BOTH_POINTS = {"col": "both points, x", "row": "both points, y"}
WITHIN_MM = (2, 3, 5)


def distance_table(evaluation: Evaluation) -> Table | Missing:
    """How far off the hinge points are, as a distance: not in the paper, and the figure a reader asks for first."""
    unit = evaluation.length_unit
    title = f"Distance between predicted and reference hinge point, uncalibrated, {unit}"
    if not evaluation.frames:
        return Missing(title, "No frame was measured.")
    rows: list[tuple[Cell, ...]] = []
    for group in (*evaluation.subgroups, ALL):
        block = evaluation.block("hinge", group, f"distance_{unit}", "before")
        distances = evaluation.series("amvl_error", "pmvl_error", subgroup=group).values
        shares = [float(np.mean(distances <= limit)) if len(distances) else math.nan for limit in WITHIN_MM]
        key = f"hinge.distance_{unit}.median"
        sure = between(*evaluation.confidence(key if group == ALL else f"{key}.{group}"))
        rows.append(
            (
                Cell(group),
                *ours(
                    str(int(figure_of(block, "n", 0))),
                    str(int(figure_of(block, "failed", 0))),
                    number(figure_of(block, "median")),
                    *([sure or DASH] if evaluation.confidence_figures else []),
                    *(number(figure_of(block, key)) for key in ("mean", "p85")),
                    number(float(distances.max()) if len(distances) else math.nan),
                    *(percent(share) for share in shares if unit == "mm"),
                ),
            )
        )
    within = [f"within {limit} mm" for limit in WITHIN_MM if unit == "mm"]
    return Table(
        "distance",
        title,
        plain(
            "view-phase",
            "points",
            "failed",
            "median",
            *(["95 % CI of the median"] if evaluation.confidence_figures else []),
            "mean",
            "85 %",
            "largest",
            *within,
        ),
        tuple(rows),
        ("Both hinge points together: two points a frame. Not in the paper.",),
    )


def coordinate_table(evaluation: Evaluation) -> Table | Missing:
    """Table 3 of the paper: random errors, that is after calibration; uncalibrated where there is no calibration."""
    unit = evaluation.length_unit
    title = f"Table 3. Hinge point coordinates: signed 15–85 percentile range and median of |e|, {unit}"
    if not evaluation.frames:
        return Missing(title, "No frame was measured.")
    state = "calibrated" if evaluation.has_calibration else "before"
    rows: list[tuple[Cell, ...]] = []
    for coordinate, name in {**COORDINATES, **BOTH_POINTS}.items():
        cells = [Cell(name)]
        for group in (*evaluation.subgroups, ALL):
            block = evaluation.block("hinge", group, f"{coordinate}_{unit}", state)
            spread = interval(figure_of(block, "p15"), figure_of(block, "p85"))
            cells += ours(DASH if spread == DASH else f"{spread}\n{number(figure_of(block, 'median_absolute'))}")
        stated = paper.ABSOLUTE_ERROR_MM.get(coordinate)
        cells += from_paper(number(stated[0]) if stated else DASH)
        rows.append(tuple(cells))
    used = (
        "Errors after calibration fitted on validation."
        if state == "calibrated"
        else "Errors without calibration, because there is none; the paper's are calibrated in-sample."
    )
    return Table(
        "table-3",
        title,
        plain("coordinate", *evaluation.subgroups, ALL, "paper: median |e|, all, mm"),
        tuple(rows),
        (
            "In each cell: the 15–85 percentile range of e and, below it, the median of |e|. "
            + used
            + " e is predicted − reference; x is positive to the right of the image, y downwards.",
            "The paper's own Table 3 cells are an image and not in its text; it states the overall medians shown, and "
            "that its cells' ranges lie between [−0.9; 0.75] and [−2.55; 2.3] mm (minus signs restored by us).",
        ),
    )


def sorted_errors(evaluation: Evaluation) -> Drawing | Missing:
    """Fig. 6 of the paper."""
    title = "Fig. 6. Sorted hinge point coordinate errors before and after calibration"
    panels = {"before calibration": ""}
    if evaluation.has_calibration:
        panels["after calibration\n(fitted on validation)"] = "_calibrated"
    series = {
        (name, c): evaluation.series(f"{c}_error{suffix}") for name, suffix in panels.items() for c in COORDINATES
    }
    if not any(s.n for s in series.values()):
        return Missing(title, "No frame has both predicted and reference hinge points.")
    unit = evaluation.length_unit
    figure = new_figure(3.3)
    grid = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
    for axes, panel in zip(grid, panels, strict=True):
        for coordinate, label in COORDINATES.items():
            values = np.sort(series[panel, coordinate].values)
            style = "-" if coordinate.endswith("col") else "--"
            axes.plot(
                ranks(len(values)),
                values,
                style,
                color=PAPER_COORDINATES[coordinate],
                label=label,
                marker="o" if len(values) == 1 else None,
            )
        axes.axhline(0, color="#666666", linewidth=0.8)
        for share in (15, 85):
            axes.axvline(share, color=PERCENTILES, linewidth=1, linestyle=(0, (4, 3)))
        axes.set(xlabel="frames, % (sorted)", title=panel, xlim=(0, 100), xticks=[0, 15, 50, 85, 100])
    grid[0].set_ylabel(f"error, {unit}  (predicted − reference)")
    figure.legend(*grid[0].get_legend_handles_labels(), loc="outside lower center", ncols=4)
    n = series["before calibration", "amvl_col"].n
    after = "" if len(panels) == 2 else " There is no calibration in this evaluation, so only the left panel is drawn."
    return Drawing(
        "fig-06-sorted-errors",
        title,
        f"Each line is one coordinate over {n} frames, its errors sorted; x positive to the right, y downwards. A line "
        "that crosses zero in the middle (50 %) has no systematic error. Dashed verticals: 15th and 85th percentile."
        + after,
        f"Sorted signed errors of four hinge point coordinates over {n} frames in {unit}.",
        figure,
    )


def box_plots(evaluation: Evaluation) -> Drawing | Missing:
    """Fig. 8 of the paper."""
    title = "Fig. 8. Coordinate errors of each subgroup before calibration"
    unit = evaluation.length_unit
    groups = evaluation.subgroups
    data = {c: [evaluation.series(f"{c}_error", subgroup=g).values for g in groups] for c in COORDINATES}
    if not any(len(values) for series in data.values() for values in series):
        return Missing(title, "No frame of known view and phase has both predicted and reference hinge points.")
    figure = new_figure(4.6)
    grid = figure.subplots(2, 2, sharey=True, sharex=True)
    for axes, (coordinate, label) in zip(grid.flat, COORDINATES.items(), strict=True):
        boxes = axes.boxplot(
            data[coordinate],
            widths=0.55,
            patch_artist=True,
            medianprops={"color": "black", "linewidth": 1.6},
            flierprops={"marker": ".", "markersize": 4, "markeredgecolor": "#555555"},
        )
        for box, group in zip(boxes["boxes"], groups, strict=True):
            view, _, phase = group.partition("-")
            box.set(facecolor=PAPER_VIEWS.get(view, PAPER_VIEWS[ALL]), alpha=0.35 if phase == "ES" else 0.75)
        axes.axhline(0, color="#666666", linewidth=0.8)
        axes.set_title(f"{label} ({'right' if coordinate.endswith('col') else 'down'} +)")
        axes.set_xticks(range(1, len(groups) + 1), [g.replace("-", "\n") for g in groups])
    for axes in grid[:, 0]:
        axes.set_ylabel(f"error, {unit}")
    counts = ", ".join(f"{g} {len(v)}" for g, v in zip(groups, data["amvl_col"], strict=True))
    return Drawing(
        "fig-08-box-plots",
        title,
        f"Box: quartiles, line: median, whiskers: 1.5 times the box's height, dots: frames beyond. Frames: {counts}.",
        f"Box plots of the four coordinate errors in {unit} for each view and phase; frames: {counts}.",
        figure,
    )
