"""Where the mitral valve is a class: Table 2 of the VDS-UNet paper."""

from collections.abc import Mapping
from typing import Any, Final

from reports.cells import Cell, Missing, Table, from_paper, mean_sd, ours, plain
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


def _row(name: str, stated: tuple[float, float], block: Mapping[str, Any]) -> tuple[Cell, ...]:
    figures = mean_sd(figure_of(block, "mean"), figure_of(block, "sd"), 3)
    return Cell(name), *from_paper(mean_sd(*stated, 3)), *ours(figures, str(int(figure_of(block, "n", 0))))
