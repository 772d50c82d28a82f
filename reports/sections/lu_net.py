"""The LU-Net paper's tables of segmentation: Table II (endo- and epicardium) and Table IV (both of its U-Nets)."""

from collections.abc import Sequence
from typing import Final

from reports.cells import DASH, Cell, Missing, Table, from_paper, mean_sd, ours
from reports.evaluation_folder import Evaluation, figure_of

CITATION: Final = "Leclerc et al.: LU-Net"

# Table II: 406 patients of good and medium quality; D, d_m, d_H (mm) of endo-, then of epicardium, mean and sd.
# The LU-Net rows are scrambled in the paper's text: LU-Net-m5 as its prose has it, without sd; LU-Net-m15 left out.
TABLE_II: Final[dict[str, tuple[tuple[float, float | None], ...]]] = {
    "intra-observer": ((0.937, 0.027), (1.4, 0.5), (4.5, 1.8), (0.954, 0.020), (1.7, 0.8), (5.0, 2.2)),
    "BB-m5": ((0.941, 0.034), (1.3, 0.6), (4.3, 1.9), (0.971, 0.011), (1.0, 0.4), (4.1, 1.8)),
    "BB-m15": ((0.940, 0.034), (1.3, 0.6), (4.4, 1.9), (0.969, 0.011), (1.1, 0.4), (4.3, 2.0)),
    "BB-m30": ((0.937, 0.035), (1.4, 0.6), (4.7, 2.1), (0.966, 0.013), (1.2, 0.5), (4.6, 2.2)),
    "U-Net1": ((0.920, 0.056), (1.7, 1.2), (5.6, 3.3), (0.947, 0.030), (1.9, 1.1), (6.2, 3.7)),
    "RU-Net": ((0.925, 0.049), (1.7, 1.0), (5.4, 3.3), (0.950, 0.030), (1.8, 1.1), (5.8, 3.9)),
    "AG-U-Net": ((0.930, 0.049), (1.5, 1.3), (5.3, 3.4), (0.950, 0.026), (1.8, 1.0), (5.9, 3.7)),
    "LU-Net-m5": ((0.932, None), (1.7, None), (5.5, None), (0.953, None), (1.5, None), (5.1, None)),
}

# Table IV: all 500 patients; d_m, d_H (mm) of endo-, then of epicardium, mean and sd
TABLE_IV: Final = {
    "U-Net1": ((2.0, 1.2), (6.1, 3.9), (2.0, 1.1), (6.5, 4.5)),
    "LU-Net-m5-o1": ((2.1, 1.1), (7.0, 4.7), (1.9, 1.0), (6.2, 3.4)),
    "LU-Net-m5-o2": ((1.8, 1.0), (5.7, 3.6), (1.6, 0.9), (5.3, 3.3)),
}
FRAMES_II, FRAMES_IV = "1624", "2000"  # two views and two phases of each patient
BORDERS: Final = {"LV": "endocardium (LV)", "EPI": "epicardium (EPI)"}


def is_of_the_paper(evaluation: Evaluation) -> bool:
    """Whether the network was trained by one of the paper's recipes and outlines both of its borders."""
    name = str((evaluation.recipe or {}).get("name", ""))
    return name.startswith("lu_net") and set(BORDERS) <= set(evaluation.structures)


def border_table(evaluation: Evaluation) -> Table | Missing:
    """Table II of the paper: Dice and distances of the two borders."""
    unit = evaluation.length_unit
    title = f"Endo- and epicardium (LU-Net paper, Table II): mean ± sd; distances in {unit}"
    metrics = {"D": ("dice", 3), "d_m": (f"mean_absolute_distance_{unit}", 1), "d_H": (f"hausdorff_{unit}", 1)}
    if not evaluation.count("metrics", "LV", "dice", "n"):
        return Missing(title, "No frame has both borders in prediction and reference.")
    digits = [places for _, places in metrics.values()] * 2
    rows: list[tuple[Cell, ...]] = [
        (
            Cell(f"paper: {name}"),
            *from_paper(*(mean_sd(mean, sd, places) for (mean, sd), places in zip(values, digits, strict=True))),
            Cell(DASH if name == "intra-observer" else FRAMES_II, from_paper=True),
        )
        for name, values in TABLE_II.items()
    ]
    cells = _ours(evaluation, ("metrics",), list(metrics.values()))
    n = str(evaluation.count("metrics", "LV", "dice", "n"))
    rows.append((Cell(f"ours: {_name(evaluation)}"), *ours(*cells, n)))
    return Table(
        "lu-net-table-2",
        title,
        (("", "network"), *((border, name) for border in BORDERS.values() for name in metrics), ("frames", "n")),
        tuple(rows),
        (
            f"{CITATION}; 406 CAMUS patients of good and medium quality, 10 folds. BB: its motivation study, frames "
            "cropped to the box of the reference. D: Dice; d_m: mean absolute distance; d_H: Hausdorff distance. Its "
            "LU-Net rows are illegible in the text we have: LU-Net-m5 is from its prose, without sd.",
        ),
    )


def two_networks_table(evaluation: Evaluation) -> Table | Missing:
    """Table IV of the paper: the U-Net that proposes the region, and the one that segments it.

    Of RU-Net, which segments twice too, the paper does not tell the first one's figures: ours stand alone.
    """
    unit = evaluation.length_unit
    table = "LU-Net paper, Table IV" if evaluation.locates else "not in a paper"
    title = f"The two U-Nets of this network ({table}): mean ± sd; distances in {unit}"
    if not evaluation.block("metrics_first", "LV"):
        return Missing(title, "This network segments once.")
    metrics = {"d_m": (f"mean_absolute_distance_{unit}", 1), "d_H": (f"hausdorff_{unit}", 1)}
    dice = [("dice", 3)]
    rows = [
        (Cell(f"paper: {name}"), *from_paper(*(mean_sd(mean, sd, 1) for mean, sd in values), DASH, DASH, FRAMES_IV))
        for name, values in TABLE_IV.items()
        if evaluation.locates
    ]
    names = ("o1: first, proposes the box", "o2: second, inside the box") if evaluation.locates else ("first", "second")
    for label, block in zip(names, ("metrics_first", "metrics"), strict=True):
        distances = _ours(evaluation, (block,), list(metrics.values()))
        overlaps = _ours(evaluation, (block,), dice)
        n = str(evaluation.count(block, "LV", "dice", "n"))
        rows.append((Cell(f"ours: {label}"), *ours(*distances, *overlaps, n)))
    return Table(
        "lu-net-table-4",
        title,
        (
            ("", "network"),
            *((border, name) for border in BORDERS.values() for name in metrics),
            *(("D (not in the paper's table)", border) for border in BORDERS),
            ("frames", "n"),
        ),
        tuple(rows),
        (
            f"{CITATION}; all 500 CAMUS patients. There the first of the two is worse than a U-Net1 alone: it is "
            "taught to serve the localisation.",
        )
        if evaluation.locates
        else (),
    )


def _ours(evaluation: Evaluation, path: Sequence[str], metrics: Sequence[tuple[str, int]]) -> list[str]:
    """Mean ± sd of each metric of the one border, then of the other."""
    blocks = [(evaluation.block(*path, border, key), places) for border in BORDERS for key, places in metrics]
    return [mean_sd(figure_of(block, "mean"), figure_of(block, "sd"), places) for block, places in blocks]


def _name(evaluation: Evaluation) -> str:
    recipe = evaluation.recipe or {}
    margin = evaluation.oracle_margin
    box = "" if margin is None else f" in the reference's box, margin {100 * margin:.0f} %"
    return f"{recipe.get('model', 'this network')}{box}"
