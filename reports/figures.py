"""The figures of the report: the hinge-point paper's, drawn from the evaluation's rows, and two of our own.

Drawn at the width of a phone held upright (4.8 in, 9–10 pt), panels stacked rather than spread, so that the same
picture reads on a phone, a desk and paper.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from metrics import agreement
from reports.cells import Missing, number
from reports.evaluation_folder import ALL, Evaluation, Row
from reports.style import (
    OFF_CENTRE,
    PAPER_COORDINATES,
    PAPER_STRUCTURES,
    PAPER_VIEWS,
    PERCENTILES,
    PREDICTED,
    REFERENCE,
)
from reports.tables import COORDINATES, has_calibration

WIDTH_IN = 4.8
DPI = 200
RC: dict[Any, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 10,
    "axes.titlesize": 10,
    "axes.labelsize": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#e3e3e3",
    "grid.linewidth": 0.6,
    "axes.axisbelow": True,
    "axes.edgecolor": "#666666",
    "legend.fontsize": 9,
    "legend.frameon": False,
    "lines.linewidth": 1.6,
    "figure.facecolor": "white",
    "axes.unicode_minus": True,
}
PHASE_MARKERS = {"ED": "o", "ES": "s"}
VIEW_MARKERS = {"A4C": "o", "A2C": "s", "A3C": "^"}


@dataclass(frozen=True)
class Drawing:
    """A figure that was drawn.

    Attributes:
        key: file name without suffix, and HTML id.
        title: e.g. `Fig. 6. Sorted coordinate errors`.
        caption: how to read it.
        alt: what it shows, for those who do not see it.
        figure: the figure itself.
    """

    key: str
    title: str
    caption: str
    alt: str
    figure: Figure


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


def save(drawing: Drawing, path: Path) -> None:
    """Writes a figure as PNG."""
    with mpl.rc_context(RC):
        drawing.figure.savefig(path, dpi=DPI, format="png")


def dice_by_epoch(evaluation: Evaluation) -> Drawing | Missing:
    """Fig. 3 of the paper."""
    title = "Fig. 3. Dice on validation against epoch"
    history = evaluation.history or {}
    names = [s for s in ("LV", "LA", "MYO", "RV", "MV") if np.isfinite(history.get(f"val_dice_{s}", [math.nan])).any()]
    if not names or "epoch" not in history:
        return Missing(title, "The evaluation folder has no training history (history.csv), as for an exported bundle.")
    figure = _figure(2.9)
    axes = figure.subplots()
    epochs = history["epoch"]
    last = {}
    for name in names:
        values = history[f"val_dice_{name}"]
        style = {"LA": "--", "MYO": ":"}.get(name, "-")
        marker = "o" if len(epochs) == 1 else None
        axes.plot(epochs, values, style, color=PAPER_STRUCTURES[name], label=name, marker=marker)
        last[name] = float(values[np.isfinite(values)][-1])
    axes.set(xlabel="epoch", ylabel="Dice on validation (network grid)")
    axes.set_ylim(min(0.5, float(min(np.nanmin(history[f"val_dice_{n}"]) for n in names)) - 0.02), 1.0)
    axes.legend(loc="lower right", ncols=len(names))
    ends = ", ".join(f"{name} {number(value, 3)}" for name, value in last.items())
    return Drawing(
        "fig-03-dice-by-epoch",
        title,
        f"Mean Dice on the validation frames after each of {len(epochs)} epochs; at the end {ends}. "
        "The paper trains for 50 epochs and shows LV and LA.",
        f"Line chart of validation Dice by epoch, ending at {ends}.",
        figure,
    )


def sorted_errors(evaluation: Evaluation) -> Drawing | Missing:
    """Fig. 6 of the paper."""
    title = "Fig. 6. Sorted hinge point coordinate errors before and after calibration"
    panels = {"before calibration": ""}
    if has_calibration(evaluation):
        panels["after calibration\n(fitted on validation)"] = "_calibrated"
    series = {
        (name, c): evaluation.series(f"{c}_error{suffix}") for name, suffix in panels.items() for c in COORDINATES
    }
    if not any(s.n for s in series.values()):
        return Missing(title, "No frame has both predicted and reference hinge points.")
    unit = evaluation.length_unit
    figure = _figure(3.3)
    grid = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
    for axes, panel in zip(grid, panels, strict=True):
        for coordinate, label in COORDINATES.items():
            values = np.sort(series[panel, coordinate].values)
            style = "-" if coordinate.endswith("col") else "--"
            axes.plot(
                _ranks(len(values)),
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


def sorted_diameters(evaluation: Evaluation) -> Drawing | Missing:
    """Fig. 7 of the paper."""
    title = "Fig. 7. Sorted annulus diameters before and after calibration"
    suffixes = {"before calibration": ""}
    if has_calibration(evaluation):
        suffixes["after calibration\n(fitted on validation)"] = "_calibrated"
    groups = [g for g in (ALL, "A4C-ES") if evaluation.pairs(*_diameters(""), subgroup=g)[0].n]
    if not groups:
        return Missing(title, "No frame has both a predicted and a reference diameter.")
    unit = evaluation.length_unit
    figure = _figure(0.7 + 2.3 * len(groups))
    grid = figure.subplots(len(groups), len(suffixes), sharey="row", sharex=True, squeeze=False)
    underestimated: list[str] = []
    for row, group in enumerate(groups):
        for column, (name, suffix) in enumerate(suffixes.items()):
            reference, predicted = evaluation.pairs(*_diameters(suffix), subgroup=group)
            axes: Axes = grid[row][column]
            marker = "o" if reference.n == 1 else None
            axes.plot(
                _ranks(reference.n), np.sort(reference.values), "--", color=REFERENCE, label="reference", marker=marker
            )
            axes.plot(
                _ranks(predicted.n), np.sort(predicted.values), "-", color=PREDICTED, label="predicted", marker=marker
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


def box_plots(evaluation: Evaluation) -> Drawing | Missing:
    """Fig. 8 of the paper."""
    title = "Fig. 8. Coordinate errors of each subgroup before calibration"
    unit = evaluation.length_unit
    groups = evaluation.subgroups
    data = {c: [evaluation.series(f"{c}_error", subgroup=g).values for g in groups] for c in COORDINATES}
    if not any(len(values) for series in data.values() for values in series):
        return Missing(title, "No frame of known view and phase has both predicted and reference hinge points.")
    figure = _figure(4.6)
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


def bias(evaluation: Evaluation) -> Drawing | Missing:
    """Fig. 9 of the paper."""
    title = "Fig. 9. Systematic error of each subgroup before calibration"
    unit = evaluation.length_unit

    def biases(point: str, group: str) -> tuple[float, float]:
        x, y = (
            evaluation.number("hinge", group, f"{point}_{axis}_{unit}", "before", "bias") for axis in ("col", "row")
        )
        return x, y

    points = {(p, g): biases(p, g) for p in ("amvl", "pmvl") for g in evaluation.subgroups}
    known = [xy for xy in points.values() if all(math.isfinite(v) for v in xy)]
    if not known:
        return Missing(title, "No frame of known view and phase has both predicted and reference hinge points.")
    reach = 1.35 * max(0.5, *(abs(v) for xy in known for v in xy))
    figure = _figure(3.6)
    grid = figure.subplots(1, 2, sharey=True)
    for axes, (point, label) in zip(grid, {"amvl": "aMVL", "pmvl": "pMVL"}.items(), strict=True):
        axes.axhline(0, color="#666666", linewidth=0.8)
        axes.axvline(0, color="#666666", linewidth=0.8)
        for group in evaluation.subgroups:
            x, y = points[point, group]
            if math.isfinite(x):
                view, _, phase = group.partition("-")
                colour = PAPER_VIEWS.get(view, PAPER_VIEWS[ALL])
                face = "white" if phase == "ES" else colour
                axes.plot([x], [y], PHASE_MARKERS.get(phase, "D"), color=colour, markerfacecolor=face, label=group)
        mine = [xy for (p, _), xy in points.items() if p == point and math.isfinite(xy[0])]
        if mine:
            axes.plot(*np.mean(mine, axis=0), "x", color="black", markersize=9, markeredgewidth=2, label="mean")
        axes.set(title=label, xlim=(-reach, reach), ylim=(reach, -reach), aspect="equal", xlabel=f"x bias, {unit}")
        axes.locator_params(nbins=5)
    grid[0].set_ylabel(f"y bias, {unit}")
    handles = {text: handle for axes in grid for handle, text in zip(*axes.get_legend_handles_labels(), strict=True)}
    figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=3)
    mean = np.mean(known, axis=0)
    return Drawing(
        "fig-09-bias",
        title,
        "Where the predicted point lies, in the median, as seen from the reference point at the centre; axes as in the "
        f"image (right and down positive). Mean of all points: x {number(mean[0], signed=True)}, y "
        f"{number(mean[1], signed=True)} {unit}; paper: x +0.30, y +0.50 mm.",
        f"Scatter of median errors per subgroup; mean x {number(mean[0], signed=True)}, y "
        f"{number(mean[1], signed=True)} {unit}.",
        figure,
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
    figure = _figure(3.2)
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


def diameter_agreement(evaluation: Evaluation) -> Drawing | Missing:
    """Bland–Altman plot of the annulus diameter: not in the paper, but what a clinician asks for."""
    title = "Agreement of the annulus diameter (Bland–Altman; not in the paper)"
    reference, predicted = evaluation.pairs(*_diameters(""))
    if not reference.n:
        return Missing(title, "No frame has both a predicted and a reference diameter.")
    unit = evaluation.length_unit
    figure = _figure(3.1)
    axes = figure.subplots()
    view_of = {r.case: r.view for r in evaluation.frames}
    views = np.array([view_of.get(case, "") for case in reference.cases])
    views_present = sorted(set(views.tolist()), reverse=True)
    for view in views_present:
        member = views == view
        _bland_altman_points(
            axes,
            reference.values[member],
            predicted.values[member],
            PAPER_VIEWS.get(view, PAPER_VIEWS[ALL]),
            VIEW_MARKERS.get(view, "D"),
            view or "view unknown",
        )
    text = _bland_altman_lines(axes, reference.values, predicted.values, unit)
    axes.set(xlabel=f"mean of predicted and reference diameter, {unit}", ylabel=f"predicted − reference, {unit}")
    figure.legend(loc="outside lower center", ncols=len(views_present))
    return Drawing(
        "diameter-agreement",
        title,
        f"Each mark is a frame (n = {reference.n}), uncalibrated. {text}",
        f"Bland–Altman plot of the annulus diameter. {text}",
        figure,
    )


def volume_agreement(evaluation: Evaluation) -> Drawing | Missing:
    """Bland–Altman plots of EDV, ESV and EF, where there are volumes."""
    title = "Agreement of volumes and ejection fraction (Bland–Altman; not in the paper)"
    pairs = {
        name: evaluation.pairs(f"{quantity}_reference", f"{quantity}_predicted", structure="LV")
        for quantity, name in {"edv": "EDV, ml", "esv": "ESV, ml", "ef": "EF, %"}.items()
    }
    pairs = {name: pair for name, pair in pairs.items() if pair[0].n}
    if not pairs:
        return Missing(title, "No patient of this split has biplane volumes (both phases of A4C and A2C, in mm).")
    figure = _figure(0.5 + 2.2 * len(pairs))
    texts: list[str] = []
    for axes, (name, (reference, predicted)) in zip(
        figure.subplots(len(pairs), 1, squeeze=False)[:, 0], pairs.items(), strict=True
    ):
        quantity, unit = name.split(", ")
        _bland_altman_points(axes, reference.values, predicted.values, PAPER_STRUCTURES["LV"], "o", "")
        texts.append(
            f"{quantity} (n = {reference.n}): " + _bland_altman_lines(axes, reference.values, predicted.values, unit)
        )
        axes.set(xlabel=f"mean of predicted and reference {name}", ylabel=f"difference, {unit}", title=quantity)
    return Drawing(
        "volume-agreement",
        title,
        "Each mark is a patient, biplane Simpson. " + " ".join(texts),
        "Bland–Altman plots. " + " ".join(texts),
        figure,
    )


def _figure(height_in: float) -> Figure:
    figure = Figure(figsize=(WIDTH_IN, height_in), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def _diameters(suffix: str) -> tuple[str, str]:
    return "annulus_diameter_reference", f"annulus_diameter_predicted{suffix}"


def _ranks(n: int) -> npt.NDArray[np.float64]:
    """Where each of n sorted values stands between 0 and 100 %."""
    return np.array([50.0]) if n == 1 else np.linspace(0, 100, n)


def _relative_percent(predicted: npt.NDArray[np.float64], reference: npt.NDArray[np.float64]) -> float:
    median = agreement.percentiles(reference).median
    return 100 * (agreement.percentiles(predicted).median / median - 1) if len(reference) and median > 0 else math.nan


def _range(values: Sequence[float]) -> tuple[float, float]:
    low, high = min(values, default=0.0), max(values, default=1.0)
    margin = 0.06 * (high - low) or 1.0
    return low - margin, high + margin


def _bland_altman_points(
    axes: Axes,
    reference: npt.NDArray[np.float64],
    predicted: npt.NDArray[np.float64],
    colour: str,
    marker: str,
    label: str,
) -> None:
    axes.plot(
        (reference + predicted) / 2,
        predicted - reference,
        marker,
        color=colour,
        markersize=4,
        alpha=0.75,
        markeredgewidth=0,
        zorder=3,
        label=label or None,
    )


def _bland_altman_lines(
    axes: Axes, reference: npt.NDArray[np.float64], predicted: npt.NDArray[np.float64], unit: str
) -> str:
    """Draws bias and limits of agreement; says them in words."""
    result = agreement.bland_altman(reference, predicted)
    axes.axhline(0, color="#999999", linewidth=0.8)
    axes.axhline(result.bias, color="black", linewidth=1.2)
    words = f"Mean difference {number(result.bias, 1, signed=True)} {unit}"
    if math.isfinite(result.limits_of_agreement):
        for limit in (result.lower, result.upper):
            axes.axhline(limit, color=PERCENTILES, linewidth=1.2, linestyle=(0, (4, 3)))
        words += (
            f", 95 % limits of agreement {number(result.lower, 1, signed=True)} to "
            f"{number(result.upper, 1, signed=True)} {unit}"
        )
    return words + "."
