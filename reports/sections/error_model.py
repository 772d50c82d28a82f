"""The paper's error model: bias and random error, what calibration changes, and Fig. 9."""

import math
from collections.abc import Iterable, Mapping

import numpy as np

from metrics import agreement
from reports import paper
from reports.cells import DASH, Cell, Missing, Table, above, between, from_paper, interval, number, ours, p_value, plain
from reports.drawing import Drawing, new_figure
from reports.evaluation_folder import ALL, Evaluation, figure_of
from reports.sections.hinge_points import BOTH_POINTS, COORDINATES
from reports.style import PAPER_VIEWS

STATES = {"before": "uncalibrated", "calibrated": "fitted on validation", "calibrated_in_sample": "in-sample"}
SUFFIXES = {"before": "", "calibrated": "_calibrated", "calibrated_in_sample": "_calibrated_in_sample"}
PHASE_MARKERS = {"ED": "o", "ES": "s"}


def calibration_table(evaluation: Evaluation) -> Table | Missing:
    """Uncalibrated, honest and in-sample errors side by side, over all frames."""
    unit = evaluation.length_unit
    title = f"Calibration: what taking the systematic error off changes, all frames, {unit}"
    if not evaluation.frames:
        return Missing(title, "No frame was measured.")
    rows: list[tuple[Cell, ...]] = []
    for axis, name in (("col", "x"), ("row", "y")):
        stated = paper.ABSOLUTE_ERROR_MM[axis]
        cells = [Cell(f"{name}: median |e| [15–85 %]"), *from_paper(f"{number(stated[0])} {interval(*stated[1:])}")]
        for suffix in SUFFIXES.values():
            errors = evaluation.series(f"amvl_{axis}_error{suffix}", f"pmvl_{axis}_error{suffix}").values
            spread = agreement.percentiles(np.abs(errors))
            cells += ours(f"{number(spread.median)} {interval(spread.p15, spread.p85)}" if len(errors) else DASH)
        rows.append(tuple(cells))
    for axis, name in (("col", "x"), ("row", "y")):
        biases = [evaluation.number("hinge", ALL, f"{axis}_{unit}", state, "bias") for state in STATES]
        rows.append(
            (
                Cell(f"{name}: bias"),
                *from_paper(f"{number(paper.BIAS_MM[axis], signed=True)} before"),
                *ours(*(number(bias, signed=True) for bias in biases)),
            )
        )
    for label, path, key, name in (
        ("hinge distance: median", ("hinge", ALL, f"distance_{unit}"), "median", f"hinge.distance_{unit}.median"),
        ("hinge distance: mean", ("hinge", ALL, f"distance_{unit}"), "mean", f"hinge.distance_{unit}.mean"),
        ("diameter: MAE", ("annulus", ALL, f"diameter_{unit}"), "mae", f"annulus.mae_{unit}"),
        ("diameter: bias (median)", ("annulus", ALL, f"diameter_{unit}"), "bias", f"annulus.median_bias_{unit}"),
    ):
        cells = [
            above(
                number(evaluation.number(*path, state, key), signed=key == "bias"),
                between(*evaluation.confidence(name + suffix), signed=key == "bias"),
            )
            for state, suffix in SUFFIXES.items()
        ]
        rows.append((Cell(label), *from_paper(DASH), *ours(*cells)))
    counts = [evaluation.count("annulus", ALL, f"diameter_{unit}", state, "n") for state in STATES]
    rows.append((Cell("frames"), *from_paper(DASH), *ours(*(str(n) for n in counts))))
    return Table(
        "calibration",
        title,
        (("", ""), ("paper, mm", "in-sample"), *(("ours", name) for name in STATES.values())),
        tuple(rows),
        tuple(_calibration_notes(evaluation)),
    )


def bias_table(evaluation: Evaluation) -> Table | Missing:
    """The figures behind Fig. 9."""
    unit = evaluation.length_unit
    title = f"Systematic error (bias) of each subgroup before calibration, {unit}"
    if not evaluation.frames:
        return Missing(title, "No frame was measured.")
    rows = [
        (
            Cell(group),
            *ours(
                *(
                    number(evaluation.number("hinge", group, f"{c}_{unit}", "before", "bias"), signed=True)
                    for c in (*COORDINATES, *BOTH_POINTS)
                ),
            ),
        )
        for group in (*evaluation.subgroups, ALL)
    ]
    stated = [number(paper.BIAS_MM[axis], signed=True) for axis in BOTH_POINTS]
    rows.append((Cell("paper, mean of all, mm"), *from_paper(*[DASH] * len(COORDINATES), *stated)))
    return Table(
        "bias",
        title,
        plain("view-phase", *COORDINATES.values(), *BOTH_POINTS.values()),
        tuple(rows),
        ("x is positive to the right of the image, y downwards. Bias is the median of predicted − reference.",),
    )


def error_model_table(evaluation: Evaluation) -> Table | Missing:
    """The paper's error model: error = bias + random error, with the test of normality that rejects mean ± sd."""
    unit = evaluation.length_unit
    title = f"Error model: bias, percentiles and Shapiro–Wilk test of uncalibrated coordinate errors, {unit}"
    if not evaluation.frames:
        return Missing(title, "No frame was measured.")
    rows: list[tuple[Cell, ...]] = []
    rejected = tested = 0
    for group in (*evaluation.subgroups, ALL):
        rows.append(ours(group))
        for coordinate, name in COORDINATES.items():
            block = evaluation.block("hinge", group, f"{coordinate}_{unit}", "before")
            p = figure_of(block, "shapiro_wilk_p")
            if group != ALL and math.isfinite(p):
                tested += 1
                rejected += p < 0.05
            rows.append(
                (
                    Cell(name),
                    *ours(
                        str(int(figure_of(block, "n", 0))),
                        *(number(figure_of(block, key), signed=True) for key in ("bias", "p15", "p85", "mean")),
                        number(figure_of(block, "sd")),
                        p_value(p),
                    ),
                )
            )
    return Table(
        "error-model",
        title,
        plain("coordinate", "n", "bias (median)", "15 %", "85 %", "mean", "sd", "Shapiro–Wilk p"),
        tuple(rows),
        (
            f"Normality is rejected (p < 0.05) for {rejected} of {tested} series; in the paper for all but one. So "
            "percentiles, not mean ± sd, describe the errors; small samples seldom reject it.",
        ),
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
    figure = new_figure(3.6)
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


def _calibration_notes(evaluation: Evaluation) -> Iterable[str]:
    yield (
        "Fitted on validation: the median errors of the validation frames, subtracted from these frames: what a user "
        "may expect. In-sample, the paper's way: fitted on the very frames it is judged on, so it flatters."
    )
    if evaluation.confidence_figures:
        yield "Below distances and diameters: 95 % CI; the in-sample figures, which flatter, have none."
    calibration = evaluation.calibration
    if calibration is None:
        yield "This evaluation has no calibration fitted on validation."
        return
    counts = calibration.get("n")
    if isinstance(counts, Mapping):
        listed = ", ".join(f"{group} {n}" for group, n in counts.items())
        pooled = [group for group in counts if group not in (calibration.get("bias") or {})]
        yield f"Frames that the calibration was fitted on: {listed}." + (
            f" Too few for a bias of their own, so pooled: {', '.join(pooled)}." if pooled else ""
        )
