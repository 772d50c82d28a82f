"""Volumes and ejection fraction: their table and their agreement with the reference."""

import math

from reports.cells import DASH, Cell, Missing, Table, number, ours
from reports.drawing import Drawing, bland_altman_lines, bland_altman_points, new_figure
from reports.evaluation_folder import Evaluation, figure_of
from reports.style import PAPER_STRUCTURES


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
            *(
                ["The network outlines no atrium: the predicted ventricle's axis starts at its own base (see Limits)."]
                if evaluation.no_hinge_points is not None
                else []
            ),
        ),
    )


def volume_agreement(evaluation: Evaluation) -> Drawing | Missing:
    """Bland–Altman plots of EDV, ESV and EF, where there are volumes."""
    title = "Agreement of volumes and ejection fraction (Bland–Altman; not in the paper)"
    pairs = {
        name: evaluation.pairs(f"{quantity}_reference", f"{quantity}_predicted", structure="LV")
        for quantity, name in {"edv": "EDV, ml", "esv": "ESV, ml", "ef": "EF, %"}.items()
    }
    pairs = {name: pair for name, pair in pairs.items() if pair[0].n}
    if not pairs:
        return Missing(title, "No patient of this split has biplane volumes (both phases of A4C and A2C, in mm).")
    figure = new_figure(0.5 + 2.2 * len(pairs))
    texts: list[str] = []
    for axes, (name, (reference, predicted)) in zip(
        figure.subplots(len(pairs), 1, squeeze=False)[:, 0], pairs.items(), strict=True
    ):
        quantity, unit = name.split(", ")
        bland_altman_points(axes, reference.values, predicted.values, PAPER_STRUCTURES["LV"], "o", "")
        texts.append(
            f"{quantity} (n = {reference.n}): " + bland_altman_lines(axes, reference.values, predicted.values, unit)
        )
        axes.set(xlabel=f"mean of predicted and reference {name}", ylabel=f"difference, {unit}", title=quantity)
    return Drawing(
        "volume-agreement",
        title,
        "Each mark is a patient, biplane Simpson. " + " ".join(texts),
        "Bland–Altman plots. " + " ".join(texts),
        figure,
    )


def _limits(low: float, high: float) -> str:
    if not math.isfinite(low):
        return DASH
    return f"{number(low, 1, signed=True)} to {number(high, 1, signed=True)}"
