"""How well the chambers are segmented: Table 1 and Fig. 3 of the paper, and the overlap of every structure."""

import math

import numpy as np

from reports import paper
from reports.cells import DASH, Cell, Missing, Table, above, between, from_paper, mean_sd, number, ours, plain
from reports.drawing import Drawing, new_figure
from reports.evaluation_folder import Evaluation, figure_of
from reports.style import PAPER_STRUCTURES, STRUCTURE_NAMES


def dice_table(evaluation: Evaluation) -> Table | Missing:
    """Table 1 of the paper."""
    title = "Table 1. Dice of the left ventricle at end-diastole (ED) and end-systole (ES)"
    by_phase = [evaluation.block("metrics_by_phase", phase, "LV", "dice") for phase in ("ED", "ES")]
    blocks = [*by_phase, evaluation.block("metrics", "LV", "dice")]
    if not blocks[-1]:
        return Missing(title, "No Dice of the LV in this evaluation.")

    def row(statistic: str) -> tuple[Cell, ...]:
        return ours(*(number(figure_of(block, statistic), 3) for block in blocks))

    sure = [between(*evaluation.confidence(key), 3) for key in ("dice.LV.ED", "dice.LV.ES", "dice.LV")]
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
            *([(Cell("ours: 95 % CI of the mean"), *ours(*(words or DASH for words in sure)))] if any(sure) else []),
            (Cell("ours: median"), *row("median")),
            (Cell("ours: frames"), *ours(*(str(int(figure_of(block, "n", 0))) for block in blocks))),
        ),
        (f"Frames without a Dice (empty or missing masks), in neither mean nor median: {undefined}.",)
        if undefined
        else (),
    )


def segmentation_table(evaluation: Evaluation) -> Table | Missing:
    """Overlap and distance of every structure, all frames."""
    unit = evaluation.length_unit
    what = "slices" if evaluation.is_short_axis else "frames"
    title = f"Overlap and distance of each structure{' by slice' * evaluation.is_short_axis}; distances in {unit}"
    if not evaluation.structures:
        return Missing(title, "No structure was judged (no reference labels).")
    metrics = {
        "Dice": ("dice", 3),
        "IoU": ("iou", 3),
        "CPA": ("cpa", 3),
        "sensitivity": ("sensitivity", 3),
        f"d_m, {unit}": (f"mean_absolute_distance_{unit}", 2),
        f"d_H, {unit}": (f"hausdorff_{unit}", 2),
        f"HD95, {unit}": (f"hausdorff95_{unit}", 2),
        "surface Dice": ("surface_dice", 3),
    }
    # Evaluations made before there were the last two do not have them.
    judged = {key for structure in evaluation.structures for key in evaluation.block("metrics", structure)}
    metrics = {name: metric for name, metric in metrics.items() if metric[0] in judged}
    phases = {"ED and ES": ("metrics",), "ED": ("metrics_by_phase", "ED"), "ES": ("metrics_by_phase", "ES")}
    rows: list[tuple[Cell, ...]] = []
    for structure in evaluation.structures:
        name = STRUCTURE_NAMES.get(structure)
        rows.append(ours(f"{structure}, {name}" if name else structure))
        for label, path in phases.items():
            blocks = [evaluation.block(*path, structure, key) for key, _ in metrics.values()]
            dice = evaluation.block(*path, structure, "dice")
            rows.append(
                ours(
                    label,
                    str(int(figure_of(dice, "n", 0))),
                    str(sum(int(figure_of(dice, key, 0)) for key in ("undefined", "failed"))),
                    *(
                        above(
                            mean_sd(figure_of(block, "mean"), figure_of(block, "sd"), digits),
                            _confidence(evaluation, key, structure, digits) if path == ("metrics",) else "",
                        )
                        for block, (key, digits) in zip(blocks, metrics.values(), strict=True)
                    ),
                )
            )
    return Table(
        "segmentation",
        title,
        (("", "phase"), (what, "n"), (what, "no Dice"), *(("mean ± sd", name) for name in metrics)),
        tuple(rows),
        (
            "CPA: class pixel accuracy, TP/(TP+FP). d_m: mean absolute distance between the contours; d_H: Hausdorff "
            "distance, the largest."
            + (
                " HD95: the 95th percentile of the distances instead of the largest."
                if f"hausdorff95_{unit}" in judged
                else ""
            )
            + (
                " Surface Dice: share of the two contours that lie within 2 mm of each other."
                if "surface_dice" in judged
                else ""
            )
            + f" n and “no Dice” count {what} with and without a defined Dice.",
            *(
                ["Below ED and ES: 95 % CI of the mean, by patient."]
                if any(math.isfinite(evaluation.confidence(f"dice.{s}")[0]) for s in evaluation.structures)
                else []
            ),
        ),
    )


def _confidence(evaluation: Evaluation, metric: str, structure: str, digits: int) -> str:
    """The confidence interval of a structure's mean: `hausdorff_mm` is `hausdorff.LV_mm` there."""
    name, _, unit = metric.rpartition("_")
    key = f"{name}.{structure}_{unit}" if unit == evaluation.length_unit else f"{metric}.{structure}"
    return between(*evaluation.confidence(key), digits)


def dice_by_epoch(evaluation: Evaluation) -> Drawing | Missing:
    """Fig. 3 of the paper."""
    title = (
        "Dice on validation against epoch" if evaluation.is_short_axis else "Fig. 3. Dice on validation against epoch"
    )
    history = evaluation.history or {}
    names = [s for s in ("LV", "LA", "MYO", "RV", "MV") if np.isfinite(history.get(f"val_dice_{s}", [math.nan])).any()]
    if not names or "epoch" not in history:
        return Missing(title, "The evaluation folder has no training history (history.csv), as for an exported bundle.")
    figure = new_figure(3.1)
    axes = figure.subplots()
    epochs = history["epoch"]
    last = {}
    for name in names:
        values = history[f"val_dice_{name}"]
        style = {"LA": "--", "MYO": ":"}.get(name, "-")
        marker = "o" if len(epochs) == 1 else None
        axes.plot(epochs, values, style, color=PAPER_STRUCTURES[name], label=name, marker=marker)
        last[name] = float(values[np.isfinite(values)][-1])
    axes.set(xlabel="epoch", ylabel="Dice on validation")
    axes.set_ylim(min(0.5, float(min(np.nanmin(history[f"val_dice_{n}"]) for n in names)) - 0.02), 1.0)
    figure.legend(loc="outside lower center", ncols=len(names))
    ends = ", ".join(f"{name} {number(value, 3)}" for name, value in last.items())
    return Drawing(
        "fig-03-dice-by-epoch",
        title,
        f"Mean Dice on the validation frames, on the network's grid, after each of {len(epochs)} epochs; at the end "
        f"{ends}."
        + ("" if evaluation.is_short_axis else " The hinge-point paper trains for 50 epochs and shows LV and LA."),
        f"Line chart of validation Dice by epoch, ending at {ends}.",
        figure,
    )
