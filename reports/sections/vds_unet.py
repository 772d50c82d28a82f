"""Where the mitral valve is a class: Table 2 of the VDS-UNet paper."""

from typing import Final

from reports.cells import DASH, Cell, Missing, Table, from_paper, mean_sd, ours
from reports.evaluation_folder import Evaluation, figure_of

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
    accuracy = evaluation.block("pixel_accuracy")
    ours_pa = mean_sd(figure_of(accuracy, "mean"), figure_of(accuracy, "sd"), 3)
    rows: list[tuple[Cell, ...]] = [
        (Cell("PA"), *from_paper(mean_sd(*PA, 3)), *ours(ours_pa), *[Cell(DASH)] * (2 * len(STRUCTURES)))
    ]
    for name, (metric, stated) in TABLE_2.items():
        cells = [Cell(name), Cell(DASH), Cell(DASH)]
        for structure, (mean, sd) in zip(STRUCTURES, stated, strict=True):
            block = evaluation.block("metrics", structure, metric)
            cells += from_paper(mean_sd(mean, sd, 3))
            cells += ours(mean_sd(figure_of(block, "mean"), figure_of(block, "sd"), 3))
        rows.append(tuple(cells))
    counts = [Cell("frames"), Cell(DASH), *ours(str(int(figure_of(accuracy, "n", 0))))]
    for structure in STRUCTURES:
        counts += [Cell(DASH, from_paper=True), *ours(str(evaluation.count("metrics", structure, "dice", "n")))]
    rows.append(tuple(counts))
    return Table(
        "vds-unet-table-2",
        title,
        (
            ("", ""),
            *((group, who) for group in ("all classes", *STRUCTURES) for who in ("paper", "ours")),
        ),
        tuple(rows),
        (
            f"{CITATION}; its own 2183 frames of A2C, A3C and A4C, which are not public. PA: share of pixels with the "
            "right class. CPA: of the pixels called so, the share that is right. The paper does not say what its ± is "
            "taken over; ours is over frames.",
        ),
    )
