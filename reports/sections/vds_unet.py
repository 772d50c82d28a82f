"""The tables of the VDS-UNet paper: Table 2, where the mitral valve is a class, and Table 4, its ablation."""

from collections.abc import Mapping
from typing import Any, Final

from reports.cells import DASH, Cell, Missing, Table, from_paper, mean_sd, number, ours, plain
from reports.evaluation_folder import Evaluation, figure_of
from reports.style import STRUCTURE_NAMES

CITATION: Final = "VDS-UNET: simultaneous segmentation of LA, LV and MV"
STRUCTURES: Final = ("LA", "LV", "MV")

PA: Final = (0.991, 0.001)
# Table 2: mean and sd of LA, LV, MV
TABLE_2: Final = {
    "CPA": ("cpa", ((0.934, 0.002), (0.925, 0.003), (0.794, 0.007))),
    "IoU": ("iou", ((0.880, 0.002), (0.847, 0.001), (0.615, 0.003))),
    "Dice": ("dice", ((0.935, 0.002), (0.915, 0.002), (0.757, 0.003))),
}

# Table 4: Dice of LA, LV, MV; VDS-UNet's own row is Table 2's
TABLE_4: Final = {
    "UNet": (0.917, 0.913, 0.736),
    "UNet(VGG16)": (0.917, 0.909, 0.726),
    "UNet(ds)": (0.93, 0.909, 0.72),
    "VDS-UNet": (0.935, 0.915, 0.757),
}


def valve_table(evaluation: Evaluation) -> Table | Missing:
    """Table 2 of the paper beside ours."""
    title = "Left atrium, left ventricle and mitral valve (VDS-UNet paper, Table 2): mean ± sd"
    if "MV" not in evaluation.structures:
        return Missing(title, "The mitral valve is no class of this network.")
    rows = [ours("all classes"), _row("PA", PA, evaluation.block("pixel_accuracy"))]
    for at, structure in enumerate(STRUCTURES):
        rows.append(ours(f"{structure}, {STRUCTURE_NAMES[structure]}"))
        for name, (metric, stated) in TABLE_2.items():
            rows.append(_row(name, stated[at], evaluation.block("metrics", structure, metric)))
    return Table(
        "vds-unet-table-2",
        title,
        plain("", "paper", "ours", "frames"),
        tuple(rows),
        (
            f"{CITATION}; its own 2183 frames of A2C, A3C and A4C, which are not public. PA: share of pixels with the "
            "right class. CPA: of the pixels called so, the share that is right. The paper does not say what its ± is "
            "taken over; ours is over frames.",
        ),
    )


def ablation_table(evaluation: Evaluation) -> Table | Missing:
    """Table 4 of the paper, and ours."""
    title = "Dice of left atrium, left ventricle and mitral valve (VDS-UNet paper, Table 4)"
    blocks = [evaluation.block("metrics", structure, "dice") for structure in STRUCTURES]
    if not any(figure_of(block, "n", 0) for block in blocks):
        return Missing(title, "No Dice of LA, LV or MV in this evaluation.")
    rows = [
        (Cell(f"paper: {name}"), *from_paper(*(number(dice, 3) for dice in dices), DASH))
        for name, dices in TABLE_4.items()
    ]
    cells = [mean_sd(figure_of(block, "mean"), figure_of(block, "sd"), 3) for block in blocks]
    frames = max(int(figure_of(block, "n", 0)) for block in blocks)
    rows.append((Cell(f"ours: {(evaluation.recipe or {}).get('model', 'this network')}"), *ours(*cells, str(frames))))
    return Table(
        "vds-unet-table-4",
        title,
        plain("network", *STRUCTURES, "frames"),
        tuple(rows),
        (f"{CITATION}; its own frames, which are not public. Ours: mean ± sd over frames.",),
    )


def _row(name: str, stated: tuple[float, float], block: Mapping[str, Any]) -> tuple[Cell, ...]:
    figures = mean_sd(figure_of(block, "mean"), figure_of(block, "sd"), 3)
    return Cell(name), *from_paper(mean_sd(*stated, 3)), *ours(figures, str(int(figure_of(block, "n", 0))))
