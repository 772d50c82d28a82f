"""How well the ventricle is located: Table I of the LU-Net paper, and the overlap of boxes by epoch."""

from typing import Final

import numpy as np

from reports.cells import DASH, Cell, Missing, Table, above, between, from_paper, mean_sd, number, ours
from reports.drawing import Drawing, new_figure
from reports.evaluation_folder import ALL, Evaluation, figure_of
from reports.style import PREDICTED

CITATION: Final = "Leclerc et al.: LU-Net (Table I: 10 folds of all 500 CAMUS patients, 2000 frames)"

SIDES: Final = {"col_centre": "x_c", "row_centre": "y_c", "height": "h", "width": "w"}

# Table I: IOU, |x_c|, |y_c|, |h|, |w| in mm, each mean and sd, then frames and per cent that are "BB out"
TABLE_I: Final = {
    "AlexNet-m5": ((0.880, 0.062), (2.2, 2.4), (1.9, 1.8), (4.2, 4.1), (4.1, 4.1), (866, 43)),
    "VGG-m5": ((0.888, 0.060), (1.9, 2.4), (1.7, 1.7), (4.0, 3.9), (4.0, 3.7), (903, 45)),
    "U-L1-m5": ((0.849, 0.072), (3.1, 2.9), (2.7, 2.4), (5.3, 4.5), (4.9, 4.3), (1094, 55)),
    "U-L2-mo-m5": ((0.791, 0.138), (4.2, 4.7), (4.4, 6.0), (7.1, 6.4), (6.9, 6.7), (1393, 70)),
    "U-L2-mu-m5": ((0.898, 0.053), (1.6, 1.8), (1.9, 1.9), (3.2, 3.1), (3.6, 3.2), (712, 36)),
    "U-L2-mu-m15": ((0.907, 0.054), (1.6, 2.0), (1.7, 1.7), (3.7, 4.0), (4.3, 4.3), (31, 2)),
}
FRAMES: Final = "2000"  # §IV-A: two views and two phases of 500 patients
LU_NET_M5: Final = (0.906, 1.5, 1.5, 3.3, 3.5)  # §V-D, in the text: means alone


def localisation_table(evaluation: Evaluation) -> Table | Missing:
    """Table I of the paper, and ours for all frames and by view and phase."""
    unit = evaluation.length_unit
    title = f"Localisation (LU-Net paper, Table I): mean ± sd; errors of centre and sides without their sign, {unit}"
    if not evaluation.count("localisation", ALL, "iou", "n"):
        return Missing(title, "No frame has both a located box and a reference to compare it with.")
    rows = [
        (
            Cell(f"paper: {name}"),
            *from_paper(
                mean_sd(*overlap, 3), *(mean_sd(*error, 1) for error in errors), FRAMES, str(out), f"{share} %"
            ),
        )
        for name, (overlap, *errors, (out, share)) in TABLE_I.items()
    ]
    stated = (number(LU_NET_M5[0], 3), *(number(error, 1) for error in LU_NET_M5[1:]))
    rows.append((Cell("paper: LU-Net-m5 (§V-D)"), *from_paper(*stated, FRAMES, DASH, DASH)))
    sure = between(*evaluation.confidence("localisation.iou"), 3)
    sure_out = between(*evaluation.confidence("localisation.out_share", scale=100), 0)
    for group in (ALL, *evaluation.subgroups):
        block = evaluation.block("localisation", group)
        overlap = evaluation.block("localisation", group, "iou")
        n = int(figure_of(overlap, "n", 0))
        if group != ALL and not figure_of(block, "frames", 0):
            continue
        errors = (evaluation.block("localisation", group, f"{side}_{unit}") for side in SIDES)
        share = figure_of(block, "out_share")
        rows.append(
            (
                Cell(f"ours: {_name(evaluation)}" if group == ALL else f"ours: {group}"),
                *ours(
                    above(
                        mean_sd(figure_of(overlap, "mean"), figure_of(overlap, "sd"), 3), sure if group == ALL else ""
                    ),
                    *(mean_sd(figure_of(error, "mean"), figure_of(error, "sd"), 1) for error in errors),
                    str(n),
                    str(int(figure_of(block, "out", 0))) if n else DASH,
                    above(f"{number(100 * share, 0)} %", sure_out if group == ALL else "") if n else DASH,
                ),
            )
        )
    notes = [
        f"{CITATION}. m5: the box that the network was taught has a margin of 5 % on each side. IOU: overlap of the "
        "predicted and that box. x_c, y_c: its centre; h, w: its height and width. BB out: the predicted box does not "
        "wholly enclose the reference, taken without the margin."
    ]
    failed = evaluation.count("localisation", ALL, "failed")
    if failed:
        notes.append(f"Frames without a reference to locate, in none of these figures: {failed}.")
    if sure:
        notes.append("Below the IOU and the share that is out of all our frames: 95 % CI, by patient.")
    if unit == "px":
        notes.append("The pixel pitch of these frames is unknown: our errors are in pixels and cannot be compared.")
    return Table(
        "localisation-table",
        title,
        (
            ("", "network"),
            ("", "IOU"),
            *((f"error, {unit} (paper: mm)" if unit == "px" else "error, mm", name) for name in SIDES.values()),
            ("frames", "n"),
            ("BB out", "frames"),
            ("BB out", "share"),
        ),
        tuple(rows),
        tuple(notes),
    )


def overlap_by_epoch(evaluation: Evaluation) -> Drawing | Missing:
    """How the overlap of the boxes grew in training; the paper has no such figure."""
    title = "Overlap of boxes on validation against epoch (not in the paper)"
    history = evaluation.history or {}
    overlap = np.asarray(history.get("val_iou", ()), dtype=np.float64)
    if "epoch" not in history or not np.isfinite(overlap).any():
        return Missing(title, "The evaluation folder has no such training history (history.csv).")
    figure = new_figure(2.6)
    axes = figure.subplots()
    epochs = history["epoch"]
    axes.plot(epochs, overlap, "-", color=PREDICTED, marker="o" if len(epochs) == 1 else None)
    axes.set(xlabel="epoch", ylabel="IOU on validation")
    axes.set_ylim(min(0.5, float(np.nanmin(overlap)) - 0.02), 1.0)
    last = number(float(overlap[np.isfinite(overlap)][-1]), 3)
    return Drawing(
        "box-iou-by-epoch",
        title,
        "Mean overlap of the predicted and the reference's box on the validation frames, on the network's grid, after "
        f"each of {len(epochs)} epochs; at the end {last}.",
        f"Line chart of the validation overlap of boxes by epoch, ending at {last}.",
        figure,
    )


def _name(evaluation: Evaluation) -> str:
    """Our row's name as the paper would write it: `u_l2-m5`, from the recipe as far as it is there."""
    recipe = evaluation.recipe or {}
    model, margin = recipe.get("model", "this network"), recipe.get("box_margin")
    return f"{model}-m{number(100 * margin, 0)}, all" if isinstance(margin, int | float) else f"{model}, all"
