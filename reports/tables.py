"""The tables of the report, the paper's figures beside ours. Text is made here, once, and only laid out in HTML."""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from metrics import agreement
from postprocessing.measurement import FLAGS
from reports import paper
from reports.cells import DASH, Cell, Missing, Table, from_paper, interval, number, ours, p_value, percent, plain
from reports.evaluation_folder import ALL, ANNULUS, Evaluation, Row
from reports.style import STRUCTURE_NAMES

STATES = {"before": "uncalibrated", "calibrated": "fitted on validation", "calibrated_in_sample": "in-sample"}
SUFFIXES = {"before": "", "calibrated": "_calibrated", "calibrated_in_sample": "_calibrated_in_sample"}
COORDINATES = {"amvl_col": "aMVL x", "amvl_row": "aMVL y", "pmvl_col": "pMVL x", "pmvl_row": "pMVL y"}
BOTH_POINTS = {"col": "both points, x", "row": "both points, y"}
WITHIN_MM = (2, 3, 5)
METRIC_NAMES = {"dice": "Dice", "iou": "IoU", "cpa": "CPA", "mean_absolute_distance": "d_m", "hausdorff": "d_H"}
STATUS_MEANINGS = {
    "no_contact_line": "Predicted LV and LA do not touch: nothing can be measured there.",
    "no_reference_contact_line": "LV and LA of the reference do not touch: nothing to compare the prediction with.",
    "no_reference": "No reference labels.",
    "no_spacing": "The pixel pitch is unknown: no volume in ml.",
    "no_volume": "The left ventricle has no extent to take a volume of.",
    "undefined": "The figure is not defined, e.g. the Dice of two empty masks.",
    "calibration_unit_differs": "The calibration is in mm and the frame in px, or the other way round.",
}
OUTLIER_MEANINGS = {
    **{name: f"Prediction: {text}." for name, text in FLAGS.items()},
    "no_contact_line": "Predicted LV and LA do not touch.",
    "no_reference_contact_line": "LV and LA of the reference do not touch.",
    "no_reference": "No reference labels.",
    "la_cut": "Off-centre frame: the left atrium is cut off (paper §4.4).",
}


def dice_table(evaluation: Evaluation) -> Table | Missing:
    """Table 1 of the paper."""
    title = "Table 1. Dice of the left ventricle at end-diastole (ED) and end-systole (ES)"
    by_phase = [evaluation.block("metrics_by_phase", phase, "LV", "dice") for phase in ("ED", "ES")]
    blocks = [*by_phase, evaluation.block("metrics", "LV", "dice")]
    if not blocks[-1]:
        return Missing(title, "No Dice of the LV in this evaluation.")

    def row(statistic: str) -> tuple[Cell, ...]:
        return ours(*(number(figure_of(block, statistic), 3) for block in blocks))

    undefined = sum(int(figure_of(blocks[-1], key, 0)) for key in ("undefined", "failed"))
    return Table(
        "table-1",
        title,
        plain("", "ED", "ES", "ED and ES"),
        (
            (
                Cell("paper: Schmidt & Overhoff"),
                *from_paper(*(number(paper.DICE_LV[p], 3) for p in ("ED", "ES", "all"))),
            ),
            (
                Cell("paper: Leclerc et al. 2019"),
                *from_paper(*(number(paper.DICE_LV_LECLERC[p], 3) for p in ("ED", "ES")), DASH),
            ),
            (Cell("ours: mean"), *row("mean")),
            (Cell("ours: median"), *row("median")),
            (Cell("ours: frames"), *ours(*(str(int(figure_of(block, "n", 0))) for block in blocks))),
        ),
        (f"Frames without a Dice (empty or missing masks), in neither mean nor median: {undefined}.",)
        if undefined
        else (),
    )


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
        rows.append(
            (
                Cell(group),
                *from_paper(number(stated[0], 1) if stated else DASH),
                *ours(number(figure_of(block.get("before"), "median_predicted"), 1)),
                *ours(number(figure_of(block.get("calibrated"), "median_predicted"), 1)),
                *from_paper(number(stated[1], 1) if stated else DASH),
                *ours(number(figure_of(block, "median_reference"), 1)),
                *ours(
                    number(figure_of(block.get("before"), "bias"), 1, signed=True),
                    number(figure_of(block.get("before"), "mae"), 1),
                    str(int(figure_of(block.get("before"), "n", 0))),
                    str(evaluation.count("annulus", group, "failed")),
                ),
            )
        )
    notes = [
        "Calibrated: the systematic error of each coordinate, fitted on validation frames, taken off the prediction. "
        "Bias: median of predicted − reference. MAE: mean absolute error. Both uncalibrated.",
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


def coordinate_table(evaluation: Evaluation) -> Table | Missing:
    """Table 3 of the paper: random errors, that is after calibration; uncalibrated where there is no calibration."""
    unit = evaluation.length_unit
    title = f"Table 3. Hinge point coordinates: signed 15–85 percentile range and median of |e|, {unit}"
    if not evaluation.frames:
        return Missing(title, "No frame was measured.")
    state = "calibrated" if has_calibration(evaluation) else "before"
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
    for label, path, key in (
        ("hinge distance: median", ("hinge", ALL, f"distance_{unit}"), "median"),
        ("hinge distance: mean", ("hinge", ALL, f"distance_{unit}"), "mean"),
        ("diameter: MAE", ("annulus", ALL, f"diameter_{unit}"), "mae"),
        ("diameter: bias (median)", ("annulus", ALL, f"diameter_{unit}"), "bias"),
    ):
        values = [evaluation.number(*path, state, key) for state in STATES]
        rows.append((Cell(label), *from_paper(DASH), *ours(*(number(v, signed=key == "bias") for v in values))))
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
        rows.append(
            (
                Cell(group),
                *ours(
                    str(int(figure_of(block, "n", 0))),
                    str(int(figure_of(block, "failed", 0))),
                    *(number(figure_of(block, key)) for key in ("median", "mean", "p85")),
                    number(float(distances.max()) if len(distances) else math.nan),
                    *(percent(share) for share in shares if unit == "mm"),
                ),
            )
        )
    within = [f"within {limit} mm" for limit in WITHIN_MM if unit == "mm"]
    return Table(
        "distance",
        title,
        plain("view-phase", "points", "failed", "median", "mean", "85 %", "largest", *within),
        tuple(rows),
        ("Both hinge points together: two points a frame. Not in the paper.",),
    )


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


def segmentation_table(evaluation: Evaluation) -> Table | Missing:
    """Overlap and distance of every structure, all frames."""
    unit = evaluation.length_unit
    title = f"Overlap and distance of each structure; distances in {unit}"
    if not evaluation.structures:
        return Missing(title, "No structure was judged (no reference labels).")
    metrics = {
        "Dice": ("dice", 3),
        "IoU": ("iou", 3),
        "CPA": ("cpa", 3),
        "sensitivity": ("sensitivity", 3),
        f"d_m, {unit}": (f"mean_absolute_distance_{unit}", 2),
        f"d_H, {unit}": (f"hausdorff_{unit}", 2),
    }
    phases = {"ED and ES": ("metrics",), "ED": ("metrics_by_phase", "ED"), "ES": ("metrics_by_phase", "ES")}
    rows: list[tuple[Cell, ...]] = []
    for structure in evaluation.structures:
        name = STRUCTURE_NAMES.get(structure)
        rows.append(ours(f"{structure}, {name}" if name else structure))
        for label, path in phases.items():
            blocks = [evaluation.block(*path, structure, key) for key, _ in metrics.values()]
            rows.append(
                ours(
                    label,
                    str(int(figure_of(blocks[0], "n", 0))),
                    str(sum(int(figure_of(blocks[0], key, 0)) for key in ("undefined", "failed"))),
                    *(_mean_sd(b, digits) for b, (_, digits) in zip(blocks, metrics.values(), strict=True)),
                )
            )
    return Table(
        "segmentation",
        title,
        (("", "phase"), ("frames", "n"), ("frames", "no Dice"), *(("mean ± sd", name) for name in metrics)),
        tuple(rows),
        (
            "CPA: class pixel accuracy, TP/(TP+FP). d_m: mean absolute distance between the contours; d_H: Hausdorff "
            "distance, the largest. n and “no Dice” count frames with and without a defined Dice.",
        ),
    )


def volume_table(evaluation: Evaluation) -> Table | Missing:
    """Volumes and ejection fraction against the reference's, biplane first, single-plane where a view is missing."""
    title = "Left-ventricular volumes and ejection fraction (Simpson, 20 discs)"
    sources = {
        "Biplane (A4C and A2C)": ("clinical",),
        "A4C alone": ("clinical_single_plane", "A4C"),
        "A2C alone": ("clinical_single_plane", "A2C"),
        "Biplane, prediction against the constructed truth": ("clinical_constructed",),
        "Biplane, mask-derived reference against the constructed truth": ("clinical_reference_vs_constructed",),
    }
    rows: list[tuple[Cell, ...]] = []
    measured = 0
    for label, path in sources.items():
        blocks = evaluation.block(*path)
        if path != ("clinical",) and not any(figure_of(b, "n", 0) + figure_of(b, "failed", 0) for b in blocks.values()):
            continue
        rows.append(ours(label))
        for quantity, name in {"edv": "EDV, ml", "esv": "ESV, ml", "ef": "EF, %"}.items():
            block = blocks.get(quantity)
            n, failed = int(figure_of(block, "n", 0)), int(figure_of(block, "failed", 0))
            measured += n
            rows.append(
                (
                    Cell(name),
                    *ours(
                        str(n),
                        str(failed),
                        *(number(figure_of(block, key), 1) for key in ("mean_reference", "mean_predicted")),
                        number(figure_of(block, "r"), 3),
                        number(figure_of(block, "bias"), 1, signed=True),
                        _limits(figure_of(block, "loa_lower"), figure_of(block, "loa_upper")),
                        number(figure_of(block, "mae"), 1),
                    ),
                )
            )
    if not measured:
        return Missing(
            title,
            "No patient of this split has both ED and ES of a view with a measured annulus and a known pixel pitch, so "
            "there is no volume to compare.",
        )
    return Table(
        "volumes",
        title,
        (
            ("", "quantity"),
            ("patients", "n"),
            ("patients", "failed"),
            ("mean", "reference"),
            ("mean", "predicted"),
            ("agreement", "r"),
            ("agreement", "bias"),
            ("agreement", "95 % limits"),
            ("agreement", "MAE"),
        ),
        tuple(rows),
        (
            "Bias: mean of predicted − reference; limits of agreement: bias ± 1.96 sd. Patients counted as failed "
            "lack a frame that the volume needs, or it could not be measured.",
        ),
    )


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


def failure_table(evaluation: Evaluation) -> Table | Missing:
    """Every frame without a hinge error, and every frame or patient with a figure that failed otherwise."""
    title = "Failures"
    found: dict[tuple[str, str], list[str]] = {}
    for row in evaluation.rows:
        # No calibration, or a view that the data set lacks, is no failure of a frame; their tables say it.
        if row.status in ("ok", "no_calibration") or row.status.startswith("missing_"):
            continue
        quantities = found.setdefault((row.case, row.status), [])
        if (quantity := _quantity(row)) not in quantities:
            quantities.append(quantity)
    if not found:
        none = "None: every frame has hinge points and every figure is defined."
        return Missing(title, none if evaluation.frames else "No frame was evaluated.")
    return Table(
        "failures",
        title,
        plain("case", "status", "what it means", "what is missing"),
        tuple(
            (Cell(case), *ours(status, STATUS_MEANINGS.get(status, _in_words(status)), _shortened(missing)))
            for (case, status), missing in sorted(found.items())
        ),
        ("These are counted in the n and failed columns above; none is in a mean or a median.",),
    )


def second_look_table(evaluation: Evaluation) -> Table | Missing:
    """Frames measured, but with a flag that a reader should know of."""
    title = "Frames that deserve a second look"
    cases: Mapping[str, Any] = evaluation.block("outlier_cases")
    rows = [
        (Cell(_in_words(name)), *ours(str(len(listed)), _outlier_meaning(name), _shortened(listed, 12)))
        for name, listed in cases.items()
        if listed
    ]
    if not rows:
        return Missing(title, "None.")
    return Table("second-look", title, plain("what", "frames", "what it means", "cases"), tuple(rows))


def provenance_table(evaluation: Evaluation) -> Table | Missing:
    """How the evaluation was made: command, model, data, versions, recipe."""
    title = "Command, model, data, versions and recipe"
    sources = {"": evaluation.run, "training": evaluation.environment, "recipe": evaluation.recipe}
    rows = [
        (Cell(f"{source}: {key}" if source else key), *ours(text))
        for source, values in sources.items()
        if values
        for key, text in _flattened(values)
    ]
    absent = [
        name
        for name, values in (
            ("run.json", evaluation.run),
            ("environment.json", evaluation.environment),
            ("recipe.json", evaluation.recipe),
        )
        if values is None
    ]
    lacking = f"Not in the evaluation folder: {', '.join(absent)}."
    if not rows:
        return Missing(title, lacking)
    return Table(
        "provenance",
        title,
        plain("what", "value"),
        tuple(rows),
        (lacking,) if absent else (),
    )


def has_calibration(evaluation: Evaluation) -> bool:
    """Some frame has hinge points calibrated by a calibration fitted elsewhere."""
    return evaluation.series("amvl_error_calibrated").n > 0


def _calibration_notes(evaluation: Evaluation) -> Iterable[str]:
    yield (
        "Fitted on validation: the median errors of the validation frames, subtracted from these frames: what a user "
        "may expect. In-sample, the paper's way: fitted on the very frames it is judged on, so it flatters."
    )
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


def figure_of(block: Any, key: str, otherwise: float = math.nan) -> float:
    """A figure of a summary block; `otherwise` where it is null or there is no such block."""
    value = block.get(key) if isinstance(block, Mapping) else None
    return float(value) if isinstance(value, int | float) else otherwise


def _mean_sd(block: Mapping[str, Any], digits: int) -> str:
    mean, sd = figure_of(block, "mean"), figure_of(block, "sd")
    if not math.isfinite(mean):
        return DASH
    return number(mean, digits) + (f" ± {number(sd, digits)}" if math.isfinite(sd) else "")


def _limits(low: float, high: float) -> str:
    if not math.isfinite(low):
        return DASH
    return f"{number(low, 1, signed=True)} to {number(high, 1, signed=True)}"


def _quantity(row: Row) -> str:
    """What a failed row would have said."""
    if row.structure == ANNULUS:
        return "calibrated hinge points" if row.status == "calibration_unit_differs" else "hinge points and diameter"
    name = row.metric.split("_")[0]
    if name in ("edv", "esv", "ef"):
        return f"{name.upper()} of the patient"
    return f"{METRIC_NAMES.get(row.metric, row.metric.replace('_', ' '))} of {row.structure}"


def _outlier_meaning(name: str) -> str:
    if name in OUTLIER_MEANINGS:
        return OUTLIER_MEANINGS[name]
    if name.startswith("annulus"):
        return "The diameter is outside the range that is plausible for a mitral annulus."
    return _in_words(name)


def _in_words(name: str) -> str:
    """`la_cut_by_sector` → `LA cut by sector`, `outside_15_60_mm` → `outside 15–60 mm`."""
    words = " ".join(word.upper() if word in ("la", "lv") else word for word in name.split("_"))
    return re.sub(r"(?<=\d) (?=\d)", "–", words)


def _shortened(names: Sequence[str], most: int = 6) -> str:
    listed = ", ".join(names[:most])
    return listed + (f" and {len(names) - most} more" if len(names) > most else "")


def _flattened(values: Mapping[str, Any], prefix: str = "") -> Iterable[tuple[str, str]]:
    for key, value in values.items():
        name = f"{prefix}{key}".replace("_", " ")
        if isinstance(value, Mapping):
            yield from _flattened(value, f"{name} ")
        elif isinstance(value, list | tuple):
            yield name, ", ".join(str(v) for v in value)
        else:
            yield name, "none" if value is None else str(value)
