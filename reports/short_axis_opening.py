"""What stands before the sections of a report on short-axis volumes: the result, headline figures, how to read them."""

import math
from collections.abc import Sequence

from reports.cells import between, number, percent
from reports.evaluation_folder import Evaluation, figure_of
from reports.html import Card

NAMES = {"LV": "left ventricle", "RV": "right ventricle", "MYO": "myocardium"}
FEW_PATIENTS = 30


def lead(evaluation: Evaluation) -> str:
    """The result in a few sentences."""
    slices, volumes = (evaluation.count("short_axis", key) for key in ("slices", "volumes"))
    patients = evaluation.count("short_axis", "patients")
    sentences = [f"{slices} short-axis slices in {_many(volumes, 'volume')} of {_many(patients, 'patient')}."]
    dices = [
        f"{name} {number(mean, 3)}{_in_brackets(evaluation, f'dice_volume.{name}', 3)}"
        for name in NAMES
        if math.isfinite(mean := evaluation.number("metrics_volume", name, "dice", "mean"))
    ]
    if dices:
        sure = " (95 % CI)" if "(" in dices[0] else ""
        sentences.append(f"Mean Dice of whole volumes{sure}: {', '.join(dices)}.")
    else:
        sentences.append("No volume has a Dice.")
    mae = evaluation.number("clinical", "ef", "mae")
    if math.isfinite(mae):
        sentences.append(
            f"The left ventricle's ejection fraction is off by {number(mae, 1)} percentage points"
            f"{_in_brackets(evaluation, 'clinical.ef.mae', 1)} on average"
            f" (bias {number(evaluation.number('clinical', 'ef', 'bias'), 1, signed=True)})."
        )
    changed = evaluation.count("short_axis", "corrected", "changed")
    if evaluation.block("short_axis", "corrected"):
        share = evaluation.number("short_axis", "corrected", "share")
        sentences.append(f"{_many(changed, 'slice')} ({percent(share)}) corrected by hand, in columns of their own.")
    return " ".join(sentences)


def cards(evaluation: Evaluation) -> Sequence[Card]:
    """Dice, ejection fraction, volumes, mass."""
    found = [_dice_card(evaluation)]
    if evaluation.count("clinical", "ef", "n"):
        found.append(_volumes_card(evaluation, "Left ventricle", "clinical"))
    if evaluation.count("clinical_rv", "ef", "n"):
        found.append(_volumes_card(evaluation, "Right ventricle", "clinical_rv"))
    if evaluation.count("clinical_mass", "mass_ed", "n"):
        found.append(_mass_card(evaluation))
    return found


def reading() -> Sequence[tuple[str, str]]:
    """The words of the report, explained."""
    return [
        (
            "Slices, volumes",
            "A short-axis slice lies across both ventricles; the slices of one phase, from base to apex, are a volume. "
            "ED and ES: end-diastole and end-systole. LV and RV: the cavities of the left and the right ventricle; "
            "MYO: the left ventricle's myocardium; EPI: LV and MYO together.",
        ),
        (
            "Volume, mass, EF",
            "EDV and ESV: cavity volume at ED and ES, the slices' area times their distance. EF: ejection fraction, "
            "100 (EDV − ESV) / EDV. Mass: volume of MYO times 1.05 g/ml.",
        ),
        (
            "HD",
            "Hausdorff distance: the largest distance between the two outlines. Of a slice, in its plane; of a volume, "
            "between the surfaces in three dimensions.",
        ),
    ]


def limits(evaluation: Evaluation) -> Sequence[tuple[str, str]]:
    """What these figures do not say."""
    found = [
        (
            "The reference",
            "One expert's outlines. Which slices have an LV at the base, and whether papillary muscles are cavity, is "
            "a convention: the paper's 210 studies followed its own, these data follow theirs.",
        ),
        (
            "Sum of slices",
            "A slice stands for half the distance to its neighbours. What moves out of the most basal slice between ED "
            "and ES is not followed.",
        ),
    ]
    patients = evaluation.count("short_axis", "patients")
    if 0 < patients < FEW_PATIENTS:
        found.append(
            (
                "Few patients",
                f"n = {patients}: agreement and errors of so few patients are uncertain, the more by group.",
            )
        )
    if "acdc" in str(evaluation.summary.get("data", "")):
        found.append(
            (
                "Data",
                "ACDC: Bernard et al., IEEE TMI 37(11):2514–2525, 2018 (CC BY-NC-SA 4.0, non-commercial). Its official "
                "test set is another one: this is no official ACDC score.",
            )
        )
    return found


def _dice_card(evaluation: Evaluation) -> Card:
    of_slices = [
        f"{name} {number(evaluation.number('metrics', name, 'dice', 'mean'), 3)}"
        for name in NAMES
        if name in evaluation.structures
    ]
    of_volumes = [
        f"{name} {number(evaluation.number('metrics_volume', name, 'dice', 'mean'), 3)}"
        f"{_in_brackets(evaluation, f'dice_volume.{name}', 3)}"
        for name in NAMES
        if name in evaluation.structures and name != "LV"
    ]
    sure = between(*evaluation.confidence("dice_volume.LV"), 3)
    return Card(
        "Left ventricle: mean Dice of volumes",
        number(evaluation.number("metrics_volume", "LV", "dice", "mean"), 3),
        (
            *([f"95 % CI {sure}"] if sure else []),
            *of_volumes,
            f"of slices: {', '.join(of_slices)}",
            f"paper: LV {number(0.944, 3)}, RV {number(0.908, 3)}, MYO {number(0.851, 3)}",
        ),
    )


def _volumes_card(evaluation: Evaluation, chamber: str, name: str) -> Card:
    sure = between(*evaluation.confidence(f"{name}.ef.mae"), 1)
    volumes = [
        f"{quantity.upper()} bias {number(evaluation.number(name, quantity, 'bias'), 1, signed=True)}, MAE "
        f"{number(evaluation.number(name, quantity, 'mae'), 1)} ml"
        for quantity in ("edv", "esv")
    ]
    n = int(figure_of(evaluation.block(name, "ef"), "n", 0))
    return Card(
        f"{chamber}: mean absolute error of EF",
        f"{number(evaluation.number(name, 'ef', 'mae'), 1)} %",
        (
            *([f"95 % CI {sure} %"] if sure else []),
            f"bias (mean) {number(evaluation.number(name, 'ef', 'bias'), 1, signed=True)} %",
            *volumes,
            f"{_many(n, 'patient')} with both volumes",
        ),
    )


def _mass_card(evaluation: Evaluation) -> Card:
    sure = between(*evaluation.confidence("clinical_mass.mass_ed.mae"), 1)
    return Card(
        "Myocardial mass at ED: mean absolute error",
        f"{number(evaluation.number('clinical_mass', 'mass_ed', 'mae'), 1)} g",
        (
            *([f"95 % CI {sure} g"] if sure else []),
            f"bias (mean) {number(evaluation.number('clinical_mass', 'mass_ed', 'bias'), 1, signed=True)} g",
            f"at ES: MAE {number(evaluation.number('clinical_mass', 'mass_es', 'mae'), 1)} g, bias "
            f"{number(evaluation.number('clinical_mass', 'mass_es', 'bias'), 1, signed=True)} g",
        ),
    )


def _in_brackets(evaluation: Evaluation, key: str, digits: int) -> str:
    words = between(*evaluation.confidence(key), digits)
    return f" ({words})" if words else ""


def _many(count: int, word: str) -> str:
    return f"{count} {word}" if count == 1 else f"{count} {word}s"
