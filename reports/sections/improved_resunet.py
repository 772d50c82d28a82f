"""The improved ResUNet paper's Table 2, for networks trained by its recipe."""

from typing import Final

from reports.cells import DASH, Cell, Missing, Table, from_paper, mean_sd, number, ours, plain
from reports.evaluation_folder import Evaluation, figure_of

CITATION: Final = "Improved ResUNet for automatic segmentation of left ventricle in echocardiographic images"

# Table 2: Dice and accuracy of the left ventricle, per cent
TABLE_2: Final = {"U-Net": (87.35, 97.36), "ResUNet": (90.67, 97.82), "improved ResUNet": (92.38, 98.73)}


def is_of_the_paper(evaluation: Evaluation) -> bool:
    """Whether the network was trained by the paper's recipe."""
    return (evaluation.recipe or {}).get("name") == "improved_resunet"


def comparison_table(evaluation: Evaluation) -> Table | Missing:
    """Table 2 of the paper, and ours in per cent."""
    title = "Left ventricle (improved ResUNet paper, Table 2), %"
    dice, accuracy = evaluation.block("metrics", "LV", "dice"), evaluation.block("pixel_accuracy")
    if not figure_of(dice, "n", 0):
        return Missing(title, "No Dice of the LV in this evaluation.")
    rows = [
        (Cell(f"paper: {name}"), *from_paper(*(number(figure, 2) for figure in figures), DASH))
        for name, figures in TABLE_2.items()
    ]
    model = (evaluation.recipe or {}).get("model", "this network")
    figures = (mean_sd(100 * figure_of(b, "mean"), 100 * figure_of(b, "sd"), 2) for b in (dice, accuracy))
    rows.append((Cell(f"ours: {model}, mean ± sd"), *ours(*figures, str(int(figure_of(dice, "n", 0))))))
    return Table(
        "improved-resunet-table-2",
        title,
        plain("network", "Dice", "accuracy", "frames"),
        tuple(rows),
        (f"{CITATION}: 100 test images. Accuracy: share of pixels with the right class.",),
    )
