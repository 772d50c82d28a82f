"""Short-axis cine MR: the cmr_dense_unet paper's Tables 1 to 3 and Figure 1 beside ours, by level and by diagnosis."""

import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes

from reports.cells import DASH, Cell, Missing, Table, above, between, from_paper, number, ours
from reports.drawing import Drawing, bland_altman_lines, bland_altman_points, new_figure
from reports.evaluation_folder import Evaluation, Row, figure_of
from reports.sections.cases import read_pictures
from reports.sections.volumes import AGREEMENT, HOW_TO_READ, agreement_row
from reports.style import PAPER_STRUCTURES

CITATION: Final = (
    "Dense U-Net: segmentation of left and right ventricle and myocardium on short-axis cine CMR images; 210 private "
    "studies, 15 % of them to test"
)
STRUCTURES: Final = {"LV": "LV", "RV": "RV", "MYO": "myocardium"}
CRITERIA: Final = {
    "basal_50": "Myocardium around at least 50 % of the LV",
    "basal_100": "Only slices with myocardium around 100 % of the LV",
}
LEVELS: Final = {1: "base", 2: "mid", 3: "apex"}

# Table 1: Dice (mean), HD in mm (median), Se (mean) of LV, RV and myocardium, by criterion and loss.
TABLE_1: Final[dict[str, dict[str, tuple[tuple[float, float, float], ...]]]] = {
    "basal_50": {
        "WCE": ((0.944, 7.2, 0.948), (0.908, 7.3, 0.881), (0.851, 5.9, 0.828)),
        "WCE+Dice": ((0.942, 7.4, 0.966), (0.892, 9.3, 0.844), (0.849, 5.8, 0.815)),
    },
    "basal_100": {
        "WCE": ((0.946, 6.2, 0.950), (0.909, 7.1, 0.882), (0.853, 5.4, 0.831)),
        "WCE+Dice": ((0.944, 6.5, 0.969), (0.897, 8.2, 0.853), (0.851, 5.5, 0.817)),
    },
}
# Table 2: Dice, HD in mm (median) of LV and myocardium at the basal level, without and with correction.
TABLE_2: Final = {
    "basal_50": {"FCN": ((0.909, 9.7), (0.808, 13.0)), "FCN+corr": ((0.927, 7.5), (0.811, 13.5))},
    "basal_100": {"FCN": ((0.959, 5.0), (0.873, 4.5)), "FCN+corr": ((0.958, 4.7), (0.874, 4.5))},
}
# Table 3: R², bias, 2 sd; of the network's outlines, and after correction.
TABLE_3: Final[dict[tuple[str, str], tuple[tuple[float, float, float], tuple[float, float, float]]]] = {
    ("clinical", "edv"): ((0.99, -1, 12), (0.99, -2, 13)),
    ("clinical", "esv"): ((0.98, -1, 14), (0.98, -2, 14)),
    ("clinical_rv", "edv"): ((0.99, 6, 12), (0.98, 4, 14)),
    ("clinical_rv", "esv"): ((0.95, 6, 14), (0.96, 7, 12)),
    ("clinical_mass", "mass_ed"): ((0.92, 6, 26), (0.92, 7, 26)),
    ("clinical_mass", "mass_es"): ((0.92, 5, 26), (0.91, 6, 28)),
}
QUANTITIES: Final[dict[tuple[str, str], str]] = {
    ("clinical", "edv"): "LV EDV, ml",
    ("clinical", "esv"): "LV ESV, ml",
    ("clinical", "ef"): "LV EF, %",
    ("clinical_rv", "edv"): "RV EDV, ml",
    ("clinical_rv", "esv"): "RV ESV, ml",
    ("clinical_rv", "ef"): "RV EF, %",
    ("clinical_mass", "mass_ed"): "MYO mass ED, g",
    ("clinical_mass", "mass_es"): "MYO mass ES, g",
}
STRUCTURE_OF: Final = {"clinical": "LV", "clinical_rv": "RV", "clinical_mass": "MYO"}

FIGURE_1: Final = {"RV endocardium": "#d8b400", "LV endocardium": "#e00000", "LV epicardium": "#00b050"}
"""The paper's colours."""
NUMBERS: Final = re.compile(r"-?\d+")
PER_PIXEL: Final = 4
MARGIN: Final = 0.35
"""Of the heart's size around it, in Figure 1."""


def segmentation_by_criterion(evaluation: Evaluation) -> Table | Missing:
    """Table 1 of the paper: per slice, per volume, and after correction."""
    title = "Segmentation by the two criteria for basal slices (Table 1); HD in mm"
    block = evaluation.block("short_axis")
    if not block:
        return Missing(title, "No short-axis slice was evaluated.")
    corrected = evaluation.block("short_axis", "corrected")
    rows: list[tuple[Cell, ...]] = []
    for criterion, heading in CRITERIA.items():
        rows.append(ours(heading))
        for loss, figures in TABLE_1[criterion].items():
            cells = [number(f, d) for of_one in figures for f, d in zip(of_one, (3, 1, 3), strict=True)]
            rows.append((Cell(f"paper: {loss}"), *from_paper(*cells, DASH)))
        of_slices = ("short_axis", "criteria", criterion, "metrics")
        of_volumes = ("short_axis", "criteria", criterion, "metrics_volume")
        rows.append(_by_structure(evaluation, f"ours: {_name(evaluation)}, slices", of_slices, sure=criterion))
        rows.append(_by_structure(evaluation, f"ours: {_name(evaluation)}, volumes", of_volumes, sure=criterion))
        if corrected:
            for label, key in (("slices", "metrics"), ("volumes", "metrics_volume")):
                path = ("short_axis", "corrected", "criteria", criterion, key)
                rows.append(_by_structure(evaluation, f"after correction, {label}", path))
    left_out = {name: evaluation.count("short_axis", "criteria", name, "left_out") for name in CRITERIA}
    return Table(
        "cmr-table-1",
        title,
        (
            ("", ""),
            *((name, metric) for name in STRUCTURES.values() for metric in ("Dice", "HD", "Se")),
            ("", "n"),
        ),
        tuple(rows),
        (
            f"{CITATION}. Dice and sensitivity (Se) are means, HD (Hausdorff distance) medians, as in the paper, which "
            "does not say whether they are over slices or over volumes. Ours over slices: in the plane, of the slices "
            "in which both masks have the structure; a slice where only one of them has it counts with a Dice of 0. "
            "Ours over volumes: all voxels of a phase, HD in three dimensions, slice distance included."
            + _in_plane(evaluation),
            "The criteria are judged on the reference: the share of the LV's contour that has myocardium behind it or "
            "within a pixel. Slices that do not meet a criterion are left out of its rows "
            f"({left_out['basal_50']} and {left_out['basal_100']} of {evaluation.count('short_axis', 'slices')} here); "
            f"the {evaluation.count('short_axis', 'slices_without_lv')} slices without LV in the reference stay. "
            "The paper trains anew for the second criterion; ours is the same network, judged on fewer slices."
            + (
                " The reference of these data outlines an LV only where the myocardium surrounds it, so that both "
                "criteria keep the same slices."
                if not any(left_out.values())
                else ""
            ),
            *(
                ["Below Dice: 95 % CI, by patient. n: of the structure that has most Dices."]
                if math.isfinite(evaluation.confidence("dice.LV")[0])
                else []
            ),
        ),
    )


def basal_table(evaluation: Evaluation) -> Table | Missing:
    """Table 2 of the paper: the basal slices, before and after correction."""
    title = "Basal level (Table 2); HD in mm"
    if not evaluation.count("short_axis", "levels", "base", "slices"):
        return Missing(title, "No slice is known to be basal: no reference shows a left ventricle.")
    structures = ("LV", "MYO")
    corrected = evaluation.block("short_axis", "corrected")
    rows: list[tuple[Cell, ...]] = []
    for criterion, heading in CRITERIA.items():
        rows.append(ours(heading))
        for name, figures in TABLE_2[criterion].items():
            cells = [text for dice, hd in figures for text in (number(dice, 3), number(hd, 1))]
            rows.append((Cell(f"paper: {name}"), *from_paper(*cells, DASH)))
        paths: dict[str, tuple[str, ...]] = {
            f"ours: {_name(evaluation)}": ("short_axis", "base_by_criterion", criterion)
        }
        if corrected:
            paths["ours, after correction"] = ("short_axis", "corrected", "base_by_criterion", criterion)
        for name, path in paths.items():
            cells = [
                text
                for structure in structures
                for text in (
                    number(evaluation.number(*path, "metrics", structure, "dice", "mean"), 3),
                    number(evaluation.number(*path, "metrics", structure, "hausdorff_mm", "median"), 1),
                )
            ]
            rows.append((Cell(name), *ours(*cells, str(evaluation.count(*path, "slices")))))
    return Table(
        "cmr-table-2",
        title,
        (
            ("", ""),
            *((STRUCTURES[name], metric) for name in structures for metric in ("Dice", "HD")),
            ("slices", "n"),
        ),
        tuple(rows),
        (
            f"{CITATION}. FCN: its network; FCN+corr: after a physician's correction. Basal here: the third of the "
            "slices with LV that is nearest to the base; the paper does not say which slices are.",
        ),
    )


def level_table(evaluation: Evaluation) -> Table | Missing:
    """Slices by level, and those beyond base and apex."""
    title = "By level: base, mid, apex; HD in mm (not in the paper)"
    levels = evaluation.block("short_axis", "levels")
    if not levels:
        return Missing(title, "No short-axis slice was evaluated.")
    corrected = evaluation.block("short_axis", "corrected")
    rows: list[tuple[Cell, ...]] = []
    for level in levels:
        rows.append(_by_structure(evaluation, level, ("short_axis", "levels", level, "metrics"), count="slices"))
        if corrected:
            path = ("short_axis", "corrected", "levels", level, "metrics")
            rows.append(_by_structure(evaluation, f"{level}, after correction", path, count="slices"))
    return Table(
        "cmr-levels",
        title,
        (
            ("", ""),
            *((name, metric) for name in STRUCTURES.values() for metric in ("Dice", "HD", "Se")),
            ("slices", "n"),
        ),
        tuple(rows),
        (
            "Levels are the thirds of the slices of a volume whose reference shows LV, from the base to the apex. Of "
            f"{evaluation.count('short_axis', 'slices')} slices, "
            f"{evaluation.count('short_axis', 'slices_without_lv')} show no LV in the reference and are of no level, "
            f"{evaluation.count('short_axis', 'slices_without_heart')} of them no structure at all. Dice and Se are "
            "means over slices, HD medians.",
        ),
    )


def presence_table(evaluation: Evaluation) -> Table | Missing:
    """Slices on which a structure was missed, or found where there is none."""
    title = "Structures missed, and found where there is none"
    rows: list[tuple[Cell, ...]] = []
    for structure in (name for name in STRUCTURES if name in evaluation.structures):
        sensitivity = {row.case: row for row in evaluation.rows_of("sensitivity", structure=structure)}
        precision = {row.case: row for row in evaluation.rows_of("cpa", structure=structure)}
        missed = [case for case, row in sensitivity.items() if row.value == 0 and precision[case].status == "undefined"]
        apart = [case for case, row in sensitivity.items() if row.value == 0 and precision[case].value == 0]
        without = [case for case, row in sensitivity.items() if row.status == "undefined"]
        invented = [case for case in without if precision[case].value == 0]
        absent = len(without) - len(invented)
        counts = (len(sensitivity), len(missed), len(apart), len(invented), absent)
        rows.append((Cell(STRUCTURES[structure]), *ours(*map(str, counts))))
    if not rows:
        return Missing(title, "No structure was judged (no reference labels).")
    return Table(
        "cmr-presence",
        title,
        (
            ("", "structure"),
            ("", "slices"),
            ("in the reference", "missed"),
            ("in the reference", "found elsewhere"),
            ("not in the reference", "found"),
            ("not in the reference", "not found"),
        ),
        tuple(rows),
        (
            "Slices without any overlap. Those missed, found elsewhere, or found where there is none have a Dice of 0; "
            "those where rightly nothing was found have none. “Every slice”, worst first, shows them.",
        ),
    )


def volume_table(evaluation: Evaluation) -> Table | Missing:
    """Volumes, ejection fractions and masses against the reference's."""
    title = "Volumes, ejection fraction and myocardial mass (sum of the slices)"
    rows: list[tuple[Cell, ...]] = []
    measured = 0
    for (name, quantity), label in QUANTITIES.items():
        block = evaluation.block(name, quantity)
        if not block:
            continue
        measured += int(figure_of(block, "n", 0))
        rows.append(agreement_row(evaluation, label, block, f"{name}.{quantity}"))
    if not measured:
        return Missing(title, "No patient of this split has whole volumes of both phases in prediction and reference.")
    return Table(
        "cmr-volumes",
        title,
        AGREEMENT,
        tuple(rows),
        (
            f"A volume is the area of the slices times their distance; mass: 1.05 g/ml. {HOW_TO_READ} A patient whose "
            "phase or slice is missing has no volume of that phase.",
            "Below r, bias and MAE: 95 % CI, by patient.",
        ),
    )


def clinical_table(evaluation: Evaluation) -> Table | Missing:
    """Table 3 of the paper, with the third column that --corrected adds."""
    title = "Clinical metrics (Table 3): correlation R² and bias ± 2σ"
    if not any(evaluation.count(name, quantity, "n") for name, quantity in TABLE_3):
        return Missing(title, "No patient of this split has whole volumes of both phases in prediction and reference.")
    corrected = evaluation.block("short_axis", "corrected")
    columns = [("paper: FCN", "R²"), ("paper: FCN", "bias ± 2σ"), ("paper: FCN+corr", "R²")]
    columns += [("paper: FCN+corr", "bias ± 2σ"), (f"ours: {_name(evaluation)}", "R²")]
    columns.append((f"ours: {_name(evaluation)}", "bias ± 2σ"))
    if corrected:
        columns += [("ours, after correction", "R²"), ("ours, after correction", "bias ± 2σ")]
    rows: list[tuple[Cell, ...]] = []
    for (name, quantity), (fcn, with_correction) in TABLE_3.items():
        blocks = [evaluation.block(name, quantity)]
        if corrected:
            blocks.append(evaluation.block("short_axis", "corrected", name, quantity))
        stated = [
            text
            for r2, bias, two_sd in (fcn, with_correction)
            for text in (number(r2), f"{number(bias, 0, signed=True)} ± {number(two_sd, 0)}")
        ]
        cells = [text for block in blocks for text in (number(figure_of(block, "r2")), _bias(block, digits=1))]
        rows.append(
            (
                Cell(QUANTITIES[name, quantity]),
                *from_paper(*stated),
                *ours(*cells, str(int(figure_of(blocks[0], "n", 0)))),
            )
        )
    notes = [
        f"{CITATION}. R²: Pearson's r squared. Bias: mean of predicted − reference; σ: standard deviation of the "
        "differences. FCN: its network; FCN+corr: after a physician's correction."
    ]
    if corrected:
        notes.append(_what_was_corrected(evaluation))
    return Table("cmr-table-3", title, (("", "quantity"), *columns, ("patients", "n")), tuple(rows), tuple(notes))


def diagnosis_table(evaluation: Evaluation) -> Table | Missing:
    """Dice and errors of the clinical metrics by diagnosis."""
    title = "By diagnosis (not in the paper)"
    diagnoses = evaluation.block("short_axis", "diagnoses")
    if not diagnoses:
        return Missing(title, "The data set states no diagnoses.")
    rows: list[tuple[Cell, ...]] = []
    paths: dict[str, Sequence[str]] = {name: ("short_axis", "diagnoses", name) for name in diagnoses}
    for name, path in {**paths, "all": ()}.items():
        patients = evaluation.count("short_axis", "patients") if not path else evaluation.count(*path, "patients")
        dices = [number(evaluation.number(*path, "metrics_volume", s, "dice", "mean"), 3) for s in STRUCTURES]
        errors = [
            text
            for block, quantity in (("clinical", "ef"), ("clinical_rv", "ef"), ("clinical", "edv"))
            for text in (
                number(evaluation.number(*path, block, quantity, "bias"), 1, signed=True),
                number(evaluation.number(*path, block, quantity, "mae"), 1),
            )
        ]
        mass = [
            number(evaluation.number(*path, "clinical_mass", "mass_ed", "bias"), 1, signed=True),
            number(evaluation.number(*path, "clinical_mass", "mass_ed", "mae"), 1),
        ]
        rows.append((Cell(name), *ours(str(patients), *dices, *errors, *mass)))
    return Table(
        "cmr-diagnoses",
        title,
        (
            ("", "diagnosis"),
            ("", "patients"),
            *(("Dice, mean of volumes", name) for name in STRUCTURES.values()),
            *((group, name) for group in ("LV EF, %", "RV EF, %", "LV EDV, ml") for name in ("bias", "MAE")),
            *(("mass at ED, g", name) for name in ("bias", "MAE")),
        ),
        tuple(rows),
        ("Of few patients each: a difference between two rows may be chance. The words are the data set's own.",),
    )


def volume_agreement(evaluation: Evaluation) -> Drawing | Missing:
    """Bland–Altman plots of the volumes of both ventricles."""
    wanted = [key for key in QUANTITIES if key[0] != "clinical_mass" and key[1] != "ef"]
    return _agreement(evaluation, "sax-volume-agreement", "Agreement of the ventricles' volumes (Bland–Altman)", wanted)


def mass_agreement(evaluation: Evaluation) -> Drawing | Missing:
    """Bland–Altman plots of the masses and the ejection fractions."""
    wanted = [key for key in QUANTITIES if key[0] == "clinical_mass" or key[1] == "ef"]
    title = "Agreement of myocardial mass and ejection fraction (Bland–Altman)"
    return _agreement(evaluation, "sax-mass-agreement", title, wanted)


def examples(evaluation: Evaluation) -> Drawing | Missing:
    """Figure 1 of the paper: outlines of a typical and of the worst patient beside the reference's."""
    title = "Fig. 1. Outlines beside the reference's"
    pictures = read_pictures(evaluation.folder)
    chosen = _example_slices(evaluation, pictures)
    if not chosen:
        return Missing(title, "The evaluation folder holds no pictures of slices of every level (cases/cases.json).")
    figure = new_figure(3.55 * len(chosen) + 0.4)
    grid = figure.subplots(2 * len(chosen), 3, squeeze=False)
    for number_, (_, slices) in enumerate(chosen.items()):
        for column, (level, case) in enumerate(slices.items()):
            entry = pictures[case]
            window = _window(entry)
            for line, source in enumerate(("reference", "prediction")):
                axes = grid[2 * number_ + line, column]
                _show(axes, entry, source, window)
                if line == 0:
                    axes.set_title(level)
                if column == 0:
                    axes.set_ylabel(source)
    handles = [grid[0, 0].plot([], [], color=colour, label=name)[0] for name, colour in FIGURE_1.items()]
    figure.legend(handles=handles, loc="outside lower center", ncols=3, fontsize=8)
    who = "; ".join(f"{kind}: {next(iter(slices.values())).rpartition('_')[0]}" for kind, slices in chosen.items())
    return Drawing(
        "fig-1-examples",
        title,
        "One slice of each level at end-diastole, reference above and prediction below. By the mean Dice of LV, RV "
        f"and myocardium over the volume – {who}. Colours as in the paper: RV endocardium yellow, LV endocardium red, "
        "LV epicardium green. The paper does not say how it chose its examples.",
        f"Six short-axis slices with outlines of both ventricles for each of {len(chosen)} volumes. {who}.",
        figure,
    )


def _agreement(evaluation: Evaluation, key: str, title: str, wanted: Sequence[tuple[str, str]]) -> Drawing | Missing:
    found: list[tuple[str, str, Any, Any]] = []
    for name, quantity in wanted:
        structure = STRUCTURE_OF[name]
        pairs = evaluation.pairs(f"{quantity}_reference", f"{quantity}_predicted", structure=structure)
        if pairs[0].n:
            found.append((structure, QUANTITIES[name, quantity], *pairs))
    if not found:
        return Missing(title, "No patient of this split has whole volumes of both phases in prediction and reference.")
    figure = new_figure(0.5 + 2.05 * len(found))
    texts: list[str] = []
    for axes, (structure, name, reference, predicted) in zip(
        figure.subplots(len(found), 1, squeeze=False)[:, 0], found, strict=True
    ):
        label, unit = name.rsplit(", ", 1)
        bland_altman_points(axes, reference.values, predicted.values, PAPER_STRUCTURES[structure], "o", "")
        words = bland_altman_lines(axes, reference.values, predicted.values, unit)
        texts.append(f"{label} (n = {reference.n}): {words}")
        axes.set(xlabel=f"mean of predicted and reference, {unit}", ylabel=f"difference, {unit}", title=label)
    return Drawing(
        key,
        title,
        "Each mark is a patient; difference: predicted − reference. " + " ".join(texts),
        "Bland–Altman plots. " + " ".join(texts),
        figure,
    )


def _by_structure(
    evaluation: Evaluation, label: str, path: Sequence[str], *, sure: str = "", count: str = "n"
) -> tuple[Cell, ...]:
    """Dice, HD and Se of each structure; `sure` names the criterion, of which the intervals are if it keeps all."""
    of_all = bool(sure) and not evaluation.count("short_axis", "criteria", sure, "left_out")
    suffix = "_volume" if path[-1] == "metrics_volume" else ""
    cells: list[str] = []
    most = 0
    for structure in STRUCTURES:
        dice = evaluation.block(*path, structure, "dice")
        most = max(most, int(figure_of(dice, "n", 0)))
        interval = between(*evaluation.confidence(f"dice{suffix}.{structure}"), 3) if of_all else ""
        cells += [
            above(number(figure_of(dice, "mean"), 3), interval),
            number(evaluation.number(*path, structure, "hausdorff_mm", "median"), 1),
            number(evaluation.number(*path, structure, "sensitivity", "mean"), 3),
        ]
    n = evaluation.count(*path[:-1], count) if count != "n" else most
    return (Cell(label), *ours(*cells, str(n)))


def _in_plane(evaluation: Evaluation) -> str:
    """The third way to take a Hausdorff distance of a volume."""
    key = ("hausdorff_in_plane_mm", "median")
    found = {
        name: number(value, 1)
        for structure, name in STRUCTURES.items()
        if math.isfinite(value := evaluation.number("metrics_volume", structure, *key))
    }
    listed = ", ".join(f"{name} {value}" for name, value in found.items())
    return f" Within a volume, the largest of its slices' own HD is {listed} mm in the median." if found else ""


def _bias(block: Mapping[str, Any], digits: int) -> str:
    bias, sd = figure_of(block, "bias"), figure_of(block, "sd")
    spread = f" ± {number(2 * sd, digits)}" if math.isfinite(sd) else ""
    return number(bias, digits, signed=True) + spread


def _what_was_corrected(evaluation: Evaluation) -> str:
    block = evaluation.block("short_axis", "corrected")
    by_level = block.get("changed_by_level") or {}
    places = ", ".join(f"{level} {count}" for level, count in by_level.items())
    return (
        f"After correction: {int(figure_of(block, 'changed', 0))} of {int(figure_of(block, 'slices', 0))} slices of "
        f"{int(figure_of(block, 'patients_changed', 0))} patients were changed ({places}); the others are the "
        "network's."
    )


def _name(evaluation: Evaluation) -> str:
    return str((evaluation.recipe or {}).get("name", "this network"))


def _example_slices(evaluation: Evaluation, pictures: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    """{kind: {level: case}} of the volume whose Dice is in the middle, and of the one whose Dice is lowest."""
    levels: dict[str, dict[str, list[str]]] = {}
    for row in evaluation.rows_of("level", structure="SLICE"):
        if math.isfinite(row.value) and row.phase == "ED" and row.case in pictures:
            volume = levels.setdefault(row.case.rpartition("_")[0], {})
            volume.setdefault(LEVELS[int(row.value)], []).append(row.case)
    whole = {case: found for case, found in levels.items() if set(found) == set(LEVELS.values())}
    dices: dict[str, list[Row]] = {}
    for structure in STRUCTURES:
        for row in evaluation.rows_of("dice_volume", structure=structure):
            if row.case in whole and math.isfinite(row.value):
                dices.setdefault(row.case, []).append(row)
    ranked = sorted(dices, key=lambda case: (sum(row.value for row in dices[case]) / len(dices[case]), case))
    if not ranked:
        return {}
    kinds = {"Typical": ranked[len(ranked) // 2], **({"Lowest": ranked[0]} if len(ranked) > 1 else {})}
    return {
        kind: {level: cases[len(cases) // 2] for level in LEVELS.values() for cases in (sorted(whole[case][level]),)}
        for kind, case in kinds.items()
    }


def _window(entry: Mapping[str, Any]) -> tuple[float, float, float, float]:
    """Left, right, bottom, top in native pixels: the heart of the reference, square, with a margin."""
    points = np.concatenate([line for path in entry["reference"].values() for line in _lines(path)])
    low, high = points.min(axis=0), points.max(axis=0)
    centre, half = (low + high) / 2, (high - low).max() * (0.5 + MARGIN)
    return (centre[0] - half, centre[0] + half, centre[1] + half, centre[1] - half)


def _show(axes: Axes, entry: Mapping[str, Any], source: str, window: tuple[float, float, float, float]) -> None:
    path: Path = entry["path"]
    picture = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE) if path.is_file() else None
    width, height = entry["width"], entry["height"]
    if picture is not None:
        axes.imshow(picture, cmap="gray", extent=(0, width, height, 0), interpolation="bilinear")
    outlines = {
        "LV epicardium": [_outermost(entry[source].get("MYO", ""))],
        "LV endocardium": _lines(entry[source].get("LV", "")),
        "RV endocardium": _lines(entry[source].get("RV", "")),
    }
    for name, lines in outlines.items():
        for line in lines:
            axes.plot(line[:, 0], line[:, 1], color=FIGURE_1[name], linewidth=1.3)
    axes.set(xlim=window[:2], ylim=window[2:], xticks=[], yticks=[], facecolor="black")
    axes.grid(visible=False)
    pitch = entry.get("spacing_mm") or (1.0, 1.0)
    axes.set_aspect(pitch[0] / pitch[1])


def _outermost(path: str) -> npt.NDArray[np.float64]:
    """Of the lines of the myocardium's outline, the longest way around: the epicardium."""
    lines = _lines(path)
    return max(lines, key=lambda line: float(np.ptp(line, axis=0).sum()), default=np.empty((0, 2)))


def _lines(path: str) -> list[npt.NDArray[np.float64]]:
    """The closed lines of an outline (evaluation/pictures.py), each (N, 2) (x, y) in native pixels."""
    lines: list[npt.NDArray[np.float64]] = []
    for part in path.split("M")[1:]:
        numbers = np.array([int(text) for text in NUMBERS.findall(part)], dtype=np.float64)
        if len(numbers) < 4:
            continue
        points = numbers[: len(numbers) // 2 * 2].reshape(-1, 2).cumsum(axis=0) / PER_PIXEL
        lines.append(np.concatenate([points, points[:1]]))
    return lines
