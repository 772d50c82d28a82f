"""Volumes and ejection fraction: their tables, beside the LU-Net paper's Table III, and how they agree."""

import math
from collections.abc import Iterable, Mapping
from typing import Any, Final

from reports.cells import DASH, Cell, Missing, Table, above, between, from_paper, number, ours
from reports.drawing import Drawing, bland_altman_lines, bland_altman_points, new_figure
from reports.evaluation_folder import Evaluation, figure_of
from reports.sections.lu_net import CITATION
from reports.style import PAPER_STRUCTURES

QUANTITIES: Final = {"edv": "EDV, ml", "esv": "ESV, ml", "ef": "EF, %"}
AGREEMENT: Final = (
    ("", "quantity"),
    ("patients", "n"),
    ("patients", "failed"),
    ("mean", "reference"),
    ("mean", "predicted"),
    ("agreement", "r"),
    ("agreement", "R²"),
    ("agreement", "bias"),
    ("agreement", "95 % limits"),
    ("agreement", "MAE"),
)
HOW_TO_READ: Final = (
    "R²: r squared. Bias: mean of predicted − reference; limits of agreement: bias ± 1.96 sd. Patients counted as "
    "failed lack a frame that the volume needs, or it could not be measured."
)

# Table III: r, bias and limits of agreement (± 1.96 sd), MAE; of EDV (ml), ESV (ml) and EF (%)
TABLE_III: Final[dict[str, tuple[tuple[float, float, float, float], ...]]] = {
    "intra-observer": ((0.978, -2.8, 14.3, 6.2), (0.981, -0.1, 11.4, 4.5), (0.896, -2.3, 11.2, 4.5)),
    "U-Net1": ((0.947, -8.3, 24.7, 10.9), (0.955, -4.9, 19.4, 8.2), (0.791, -0.5, 15.1, 5.6)),
    "RU-Net": ((0.946, -1.2, 23.9, 8.9), (0.949, 0.3, 19.6, 7.3), (0.704, -2.1, 14.3, 6.0)),
    "AG-U-Net": ((0.956, -1.4, 21.9, 8.1), (0.962, 0.6, 17.0, 6.2), (0.798, -2.2, 15.1, 5.5)),
    "LU-Net-m5": ((0.956, 1.4, 21.8, 8.3), (0.956, 1.6, 18.0, 7.0), (0.829, -1.5, 13.5, 5.0)),
    "LU-Net-m15": ((0.952, 2.4, 22.9, 8.1), (0.962, 1.8, 16.7, 6.5), (0.821, -1.2, 13.7, 5.0)),
}
PATIENTS_III: Final = "406"
"""Of good and medium image quality; the intra-observer figures are of one fold of 50 patients (§IV-A)."""

LA_QUANTITIES: Final = {
    "Both views, area–length": {"lav_ed": "at ED, ml", "lav_es": "at ES, ml"},
    "Both views, 20 discs": {"lav_discs_ed": "at ED, ml", "lav_discs_es": "at ES, ml"},
    "A4C alone, area–length": {"lav_a4c_ed": "at ED, ml", "lav_a4c_es": "at ES, ml"},
    "A2C alone, area–length": {"lav_a2c_ed": "at ED, ml", "lav_a2c_es": "at ES, ml"},
}


def volume_table(evaluation: Evaluation) -> Table | Missing:
    """Volumes and ejection fraction against the reference's, biplane first, single-plane where a view is missing."""
    title = "Left-ventricular volumes and ejection fraction (Simpson, 20 discs)"
    sources = {
        "Biplane (A4C and A2C)": ("clinical",),
        "Single-plane, A4C alone": ("clinical_single_plane", "A4C"),
        "Single-plane, A2C alone": ("clinical_single_plane", "A2C"),
        "Biplane, prediction against the constructed truth": ("clinical_constructed",),
        "Biplane, mask-derived reference against the constructed truth": ("clinical_reference_vs_constructed",),
    }
    rows: list[tuple[Cell, ...]] = []
    measured = 0
    for label, path in sources.items():
        blocks = evaluation.block(*path)
        if path != ("clinical",) and not any(_asked(block) for block in blocks.values()):
            continue
        rows.append(ours(label))
        for quantity, name in QUANTITIES.items():
            block = blocks.get(quantity)
            measured += int(figure_of(block, "n", 0))
            key = f"clinical.{quantity}" if path == ("clinical",) else ""
            rows.append(agreement_row(evaluation, name, block, key))
    if not measured:
        return Missing(
            title,
            "No patient of this split has both ED and ES of a view with a measured annulus and a known pixel pitch, so "
            "there is no volume to compare.",
        )
    return Table(
        "volumes",
        title,
        AGREEMENT,
        tuple(rows),
        (
            HOW_TO_READ
            + (
                " Single-plane volumes take the ventricle for round and stand in where a view is missing."
                if any(row[0].text.startswith("Single-plane") for row in rows)
                else ""
            ),
            *_about_confidence(evaluation, [f"clinical.{quantity}" for quantity in QUANTITIES]),
            *(
                ["The network outlines no atrium: the predicted ventricle's axis starts at its own base (see Limits)."]
                if evaluation.no_hinge_points is not None
                else []
            ),
        ),
    )


def clinical_table(evaluation: Evaluation) -> Table | Missing:
    """Table III of the LU-Net paper, and ours."""
    title = "Clinical indices (LU-Net paper, Table III): biplane Simpson"
    blocks = [evaluation.block("clinical", quantity) for quantity in QUANTITIES]
    counts = [int(figure_of(block, "n", 0)) for block in blocks]
    if not any(counts):
        return Missing(title, "No patient of this split has biplane volumes (both phases of A4C and A2C, in mm).")
    rows: list[tuple[Cell, ...]] = [
        (
            Cell(f"paper: {name}"),
            *from_paper(
                *(text for values in quantities for text in _clinical_cells(*values)),
                DASH if name == "intra-observer" else PATIENTS_III,
            ),
        )
        for name, quantities in TABLE_III.items()
    ]
    cells = [
        text
        for block in blocks
        for text in _clinical_cells(*(figure_of(block, key) for key in ("r", "bias", "loa", "mae")))
    ]
    model = (evaluation.recipe or {}).get("model", "this network")
    n = str(max(counts)) if len(set(counts)) == 1 else " / ".join(str(count) for count in counts)
    rows.append((Cell(f"ours: {model}"), *ours(*cells, n)))
    return Table(
        "lu-net-table-3",
        title,
        (
            ("", "network"),
            *((name, column) for name in QUANTITIES.values() for column in ("corr", "bias ± loa", "MAE")),
            ("patients", "n"),
        ),
        tuple(rows),
        (
            f"{CITATION}; 406 CAMUS patients of good and medium quality, 10 folds. corr: Pearson's correlation; bias ± "
            "loa: mean difference, ours predicted − reference (the paper does not say which way), and 1.96 sd. Ours "
            "are of all patients of the split, whatever their quality.",
        ),
    )


def atrium_table(evaluation: Evaluation) -> Table | Missing:
    """Volumes of the left atrium against the reference's; no paper of ours has them."""
    title = "Left-atrial volume (not in a paper)"
    blocks = evaluation.block("clinical_la")
    if not any(figure_of(block, "n", 0) for block in blocks.values()):
        return Missing(
            title,
            "No patient of this split has a left atrium with a measured annulus and a known pixel pitch, in prediction "
            "and reference.",
        )
    rows: list[tuple[Cell, ...]] = []
    for label, quantities in LA_QUANTITIES.items():
        if not any(_asked(blocks.get(quantity)) for quantity in quantities):
            continue
        rows.append(ours(label))
        rows += [
            agreement_row(evaluation, name, blocks.get(quantity), f"clinical_la.{quantity}")
            for quantity, name in quantities.items()
        ]
    return Table(
        "atrial-volumes",
        title,
        AGREEMENT,
        tuple(rows),
        (
            "Area–length: 8 / (3π) · A₁ · A₂ / L, with L the shorter of the two lengths from the annulus to the roof; "
            f"discs: as for the ventricle. The atrium is largest at ES. {HOW_TO_READ}",
            *_about_confidence(evaluation, [f"clinical_la.{quantity}" for quantity in blocks]),
            *_cut_atria(evaluation),
        ),
    )


def volume_agreement(evaluation: Evaluation) -> Drawing | Missing:
    """Bland–Altman plots of EDV, ESV and EF, and of the left atrium at ES, where there are volumes."""
    title = "Agreement of volumes and ejection fraction (Bland–Altman; not in the paper)"
    asked = [("LV", quantity, name) for quantity, name in QUANTITIES.items()]
    asked.append(("LA", "lav_es", "left-atrial volume at ES, ml"))
    found = [
        (structure, name, *evaluation.pairs(f"{quantity}_reference", f"{quantity}_predicted", structure=structure))
        for structure, quantity, name in asked
    ]
    found = [entry for entry in found if entry[2].n]
    if not found:
        return Missing(title, "No patient of this split has biplane volumes (both phases of A4C and A2C, in mm).")
    figure = new_figure(0.5 + min(2.2 * len(found), 8.2))  # no taller than a printed page
    texts: list[str] = []
    panels = figure.subplots(len(found), 1, squeeze=False)[:, 0]
    for axes, (structure, name, reference, predicted) in zip(panels, found, strict=True):
        quantity, unit = name.rsplit(", ", 1)
        quantity = quantity[0].upper() + quantity[1:]
        bland_altman_points(axes, reference.values, predicted.values, PAPER_STRUCTURES[structure], "o", "")
        texts.append(
            f"{quantity} (n = {reference.n}): " + bland_altman_lines(axes, reference.values, predicted.values, unit)
        )
        axes.set(xlabel=f"mean of predicted and reference, {unit}", ylabel=f"difference, {unit}", title=quantity)
    atrium = " (the atrium by area and length)" if found[-1][0] == "LA" else ""
    return Drawing(
        "volume-agreement",
        title,
        f"Each mark is a patient, biplane Simpson{atrium}. " + " ".join(texts),
        "Bland–Altman plots. " + " ".join(texts),
        figure,
    )


def agreement_row(evaluation: Evaluation, name: str, block: Mapping[str, Any] | None, key: str) -> tuple[Cell, ...]:
    """The cells of `AGREEMENT`, with the confidence intervals called `key`.r and so on where there are any."""

    def figure(column: str, digits: int, *, signed: bool = False) -> str:
        sure = between(*evaluation.confidence(f"{key}.{column}"), digits, signed=signed)
        return above(number(figure_of(block, column), digits, signed=signed), sure)

    return (
        Cell(name),
        *ours(
            str(int(figure_of(block, "n", 0))),
            str(int(figure_of(block, "failed", 0))),
            *(number(figure_of(block, column), 1) for column in ("mean_reference", "mean_predicted")),
            figure("r", 3),
            number(figure_of(block, "r2"), 3),
            figure("bias", 1, signed=True),
            between(figure_of(block, "loa_lower"), figure_of(block, "loa_upper"), 1, signed=True) or DASH,
            figure("mae", 1),
        ),
    )


def _clinical_cells(r: float, bias: float, loa: float, mae: float) -> tuple[str, str, str]:
    """`0.956`, `+1.4 ± 21.8`, `8.3`."""
    spread = f" ± {number(loa, 1)}" if math.isfinite(loa) else ""
    return number(r, 3), number(bias, 1, signed=True) + spread, number(mae, 1)


def _asked(block: Mapping[str, Any] | None) -> float:
    """How many patients were asked for the quantity, measured or not."""
    return figure_of(block, "n", 0) + figure_of(block, "failed", 0)


def _about_confidence(evaluation: Evaluation, keys: Iterable[str]) -> list[str]:
    """Says what stands below a figure, where anything does."""
    figures = [f"{key}.{column}" for key in keys for column in ("r", "bias", "mae")]
    known = any(math.isfinite(evaluation.confidence(figure)[0]) for figure in figures)
    return ["Below r, bias and MAE: 95 % CI, by patient."] if known else []


def _cut_atria(evaluation: Evaluation) -> list[str]:
    """How many atria are not seen whole: their volume is less than the atrium holds."""
    words: list[str] = []
    for source, name in {"reference": "reference", "predicted": "prediction"}.items():
        flags = {
            phase: evaluation.series(f"la_cut_by_sector_{phase.lower()}_{source}", structure="LA")
            for phase in ("ED", "ES")
        }
        counts = [f"of {int(series.values.sum())} at {phase}" for phase, series in flags.items() if series.values.any()]
        if counts:
            words.append(f"in the {name} {' and '.join(counts)}")
    if not words:
        return []
    return [
        "The edge of the image or of the ultrasound sector cuts the atrium of some patients in one view or both: "
        f"{', '.join(words)}. Their volumes are too small and say nothing of the whole atrium."
    ]
