"""What stands before the report's sections: the result in a sentence, headline figures, how to read, limits."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence

from reports import paper, short_axis_opening
from reports.cells import DASH, between, number, percent
from reports.evaluation_folder import ALL, Evaluation, figure_of
from reports.html import Card
from reports.style import STRUCTURE_NAMES

FEW_FRAMES = 30
FAILURES = {
    "no_contact_line": "predicted LV and LA do not touch",
    "no_reference_contact_line": "LV and LA of the reference do not touch",
    "no_reference": "no reference labels",
}
WITHOUT_HINGE_POINTS = {
    "no_la_class": "Hinge points and the annulus diameter are not measured: this network outlines no left atrium, and "
    "they lie where it meets the left ventricle.",
    "no_segmentation": "Hinge points, diameters and volumes are not measured: this network locates the ventricle "
    "without outlining anything.",
}
"""Why there is no word of hinge points, by the status of their rows."""


def warnings(evaluation: Evaluation) -> Sequence[str]:
    """What a reader must know before the figures: a reference that helped, frames that were trained or chosen on."""
    warnings: list[str] = []
    if evaluation.oracle_margin is not None:
        warnings.append(
            "THE REFERENCE WAS USED. Every frame was cropped to the box of its own reference, with a margin of "
            f"{percent(evaluation.oracle_margin)}, before the network saw it, and what lies outside that box counts as "
            "background. These figures show what perfect localisation would bring; no new frame can be measured so."
        )
    split = evaluation.summary.get("split")
    run = evaluation.run or {}
    own = not run or run.get("trained_on") in (None, run.get("data"))
    if split in ("train", "all") and own and evaluation.frames:
        warnings.append(
            "Frames of this split may have been trained on: these figures flatter and say little about new patients."
        )
    if split == "val" and own and evaluation.frames:
        warnings.append(
            "The network and its calibration were chosen on these validation frames: these figures flatter somewhat."
        )
    return warnings


def lead(evaluation: Evaluation) -> str:
    """The result in a sentence or two."""
    frames, failed = len(evaluation.frames), sum(_failed(evaluation).values())
    if not frames:
        return "No frame was evaluated: there is nothing to report but how it was made."
    if evaluation.is_short_axis:
        return short_axis_opening.lead(evaluation)
    if evaluation.no_hinge_points is not None:
        return _lead_without_hinge_points(evaluation)
    if failed == frames:
        return (
            f"No hinge point could be measured on any of the {frames} frames; “Failures and doubtful frames” says why."
        )
    unit = evaluation.length_unit
    distance = evaluation.number("hinge", ALL, f"distance_{unit}", "before", "median")
    mae = evaluation.number("annulus", ALL, f"diameter_{unit}", "before", "mae")
    missed = "every frame could be measured" if not failed else f"{failed} of {frames} frames could not be measured"
    of_distance = _in_brackets(evaluation, f"hinge.distance_{unit}.median", 1, "95 % CI ")
    of_diameter = _in_brackets(evaluation, f"annulus.mae_{unit}", 1)
    return (
        f"On {frames_of_patients(evaluation)}, half of the hinge points found by the network lie within "
        f"{number(distance, 1)} {unit}{of_distance} of the reference, and the annulus diameter is off by "
        f"{number(mae, 1)} {unit}{of_diameter} on average; {missed}.{_box_sentence(evaluation)}"
        f"{_what_mm_means(evaluation)}"
    )


def _lead_without_hinge_points(evaluation: Evaluation) -> str:
    sentences = [f"{frames_of_patients(evaluation)}."]
    dices = [
        f"{s} {number(mean, 3)}{_in_brackets(evaluation, f'dice.{s}', 3)}"
        for s in evaluation.structures
        if math.isfinite(mean := evaluation.number("metrics", s, "dice", "mean"))
    ]
    if dices:
        meant = "Mean Dice (95 % CI)" if any("(" in dice for dice in dices) else "Mean Dice"
        sentences.append(f"{meant}: {', '.join(dices)}.")
    elif evaluation.segments:
        sentences.append("No Dice is defined.")
    box = _box_sentence(evaluation).strip()
    if box:
        sentences.append(box)
    sentences.append(f"{WITHOUT_HINGE_POINTS[str(evaluation.no_hinge_points)]}{_what_mm_means(evaluation)}")
    return " ".join(sentences)


def _box_sentence(evaluation: Evaluation) -> str:
    """How well the network locates, where it does."""
    overlap = evaluation.number("localisation", ALL, "iou", "mean")
    if not math.isfinite(overlap):
        return " No box could be compared with a reference." if evaluation.locates else ""
    share = evaluation.number("localisation", ALL, "out_share")
    sure = between(*evaluation.confidence("localisation.iou"), 3)
    return (
        f" The located box overlaps the reference's by {number(overlap, 3)} (IOU{f', 95 % CI {sure}' if sure else ''}) "
        "on average and does not wholly "
        f"enclose the reference in {percent(share)} of the frames."
    )


def cards(evaluation: Evaluation) -> Sequence[Card]:
    """The headline figures of what the network is made for."""
    if evaluation.is_short_axis:
        return short_axis_opening.cards(evaluation)
    hinge = _hinge_cards(evaluation) if evaluation.no_hinge_points is None else []
    box = [_box_card(evaluation)] if evaluation.locates else []
    dice = [_dice_card(evaluation)] if evaluation.segments else []
    volumes = [_volume_card(evaluation)] if evaluation.count("clinical", "ef", "n") else []
    failed = [_failed_card(evaluation)] if evaluation.no_hinge_points is None else []
    return [*hinge, *box, *dice, *volumes, *failed]


def _hinge_cards(evaluation: Evaluation) -> Sequence[Card]:
    unit = evaluation.length_unit
    hinge = ("hinge", ALL)
    x, y = (evaluation.number(*hinge, f"{axis}_{unit}", "before", "median_absolute") for axis in ("col", "row"))
    calibrated = evaluation.number(*hinge, f"distance_{unit}", "calibrated", "median")
    points = [
        *_interval_line(evaluation, f"hinge.distance_{unit}.median", 2, unit),
        f"|x| {number(x)}, |y| {number(y)} {unit} (paper, calibrated in-sample: "
        f"{number(paper.ABSOLUTE_ERROR_MM['col'][0])}, {number(paper.ABSOLUTE_ERROR_MM['row'][0])} mm)",
        f"calibrated on validation: {number(calibrated)} {unit}"
        f"{_in_brackets(evaluation, f'hinge.distance_{unit}.median_calibrated', 2)}"
        if math.isfinite(calibrated)
        else "no calibration in this evaluation",
    ]
    if evaluation.has_constructed_truth:
        true = evaluation.number("hinge_constructed", ALL, f"distance_{unit}", "before", "median")
        points.append(f"against the constructed truth: {number(true)} {unit}")
    diameter = evaluation.block("annulus", ALL, f"diameter_{unit}", "before")
    mean, loa, mae = (figure_of(diameter, key) for key in ("mean", "loa", "mae"))
    return [
        Card(
            "Hinge points: median distance from the reference",
            _with_unit(number(evaluation.number(*hinge, f"distance_{unit}", "before", "median")), unit),
            tuple(points),
        ),
        Card(
            "Annulus diameter: mean absolute error",
            _with_unit(number(mae), unit),
            (
                *_interval_line(evaluation, f"annulus.mae_{unit}", 2, unit),
                f"bias (mean) {_with_unit(number(mean, signed=True), unit)}"
                f"{_in_brackets(evaluation, f'annulus.bias_{unit}', 2, signed=True)}",
                f"95 % limits {number(mean - loa, 1, signed=True)} to {number(mean + loa, 1, signed=True)} {unit}"
                if math.isfinite(loa)
                else "too few frames for limits of agreement",
            ),
        ),
    ]


def _dice_card(evaluation: Evaluation) -> Card:
    n_dice = evaluation.count("metrics", "LV", "dice", "n")
    dice = evaluation.number("metrics", "LV", "dice", "mean")
    others = [
        f"{s} {number(evaluation.number('metrics', s, 'dice', 'mean'), 3)}{_in_brackets(evaluation, f'dice.{s}', 3)}"
        for s in evaluation.structures
        if s != "LV"
    ]
    stated = f"; paper {number(paper.DICE_LV['all'], 3)}" if evaluation.no_hinge_points is None else ""
    return Card(
        "Left ventricle: mean Dice",
        number(dice, 3),
        (*_interval_line(evaluation, "dice.LV", 3, ""), f"{n_dice} frames{stated}", *others),
    )


def _box_card(evaluation: Evaluation) -> Card:
    unit = evaluation.length_unit
    block = ("localisation", ALL)
    sides = {"col_centre": "x", "row_centre": "y", "height": "height", "width": "width"}
    errors = [f"{word} {number(evaluation.number(*block, f'{s}_{unit}', 'mean'), 1)}" for s, word in sides.items()]
    n, out = evaluation.count(*block, "iou", "n"), evaluation.count(*block, "out")
    return Card(
        "Located box: mean overlap (IOU)",
        number(evaluation.number(*block, "iou", "mean"), 3),
        (
            *_interval_line(evaluation, "localisation.iou", 3, ""),
            f"mean error of {', '.join(errors)} {unit}",
            f"does not wholly enclose the reference: {out} of {n} frames" if n else "no reference to compare it with",
        ),
    )


def _volume_card(evaluation: Evaluation) -> Card:
    block = evaluation.block("clinical", "ef")
    volumes = [
        f"{quantity.upper()} {number(figure_of(evaluation.block('clinical', quantity), 'mae'), 1)} ml"
        f"{_in_brackets(evaluation, f'clinical.{quantity}.mae', 1)}"
        for quantity in ("edv", "esv")
    ]
    n = int(figure_of(block, "n", 0))
    return Card(
        "Ejection fraction: mean absolute error",
        f"{number(figure_of(block, 'mae'), 1)} %",
        (
            *_interval_line(evaluation, "clinical.ef.mae", 1, "%"),
            f"bias (mean) {number(figure_of(block, 'bias'), 1, signed=True)} %"
            f"{_in_brackets(evaluation, 'clinical.ef.bias', 1, signed=True)}",
            *volumes,
            f"{n} {'patient' if n == 1 else 'patients'} with both views and phases",
        ),
    )


def _failed_card(evaluation: Evaluation) -> Card:
    failed = _failed(evaluation)
    low, high = evaluation.confidence("hinge.failed_share")
    shares = f"{percent(low)} to {percent(high)}" if math.isfinite(low) else ""
    return Card(
        "Frames that could not be measured",
        f"{sum(failed.values())} of {len(evaluation.frames)}" if evaluation.frames else DASH,
        (
            *([f"95 % CI {shares}"] if shares else []),
            *(f"{n}: {FAILURES.get(status, status.replace('_', ' '))}" for status, n in failed.items()),
        ),
    )


def reading(evaluation: Evaluation) -> Sequence[tuple[str, str]]:
    """The words and figures of the report, explained: (term, explanation), as far as they occur in it."""
    unit = evaluation.length_unit
    finds_points = evaluation.no_hinge_points is None and not evaluation.is_short_axis
    entries = [
        *(short_axis_opening.reading() if evaluation.is_short_axis else ()),
        finds_points
        and (
            "Hinge points",
            "A network outlines the left ventricle (LV), the myocardium (MYO) and the left atrium (LA) on an apical "
            "frame. The line along which LV and LA touch lies in the mitral annulus; its two ends are the hinge points "
            "of the anterior (aMVL) and the posterior leaflet (pMVL).",
        ),
        finds_points
        and ("Annulus diameter", "The straight distance between the two hinge points, in the plane of that view."),
        evaluation.locates
        and (
            "Box",
            f"The network places a box around {_boxed(evaluation)}, edges level and upright. It is compared "
            "with the box of the reference, which has the margin that the network was taught.",
        ),
        (
            "Error",
            f"Predicted minus reference, in {unit}, measured on the frame's own pixel grid. x is positive to the "
            "right of the image, y downwards; |e| is the error without its sign.",
        ),
        finds_points
        and (
            "Median, 15–85 %",
            "Half of the frames are better than the median; the middle 70 % lie between the 15th and the 85th "
            "percentile. They are used instead of mean ± sd because these errors are not normally distributed.",
        ),
        evaluation.confidence_figures
        and (
            "95 % CI",
            "Confidence interval: how far the figure may be off because there are only so many patients. Patients are "
            f"drawn with replacement {evaluation.count('bootstrap', 'resamples')} times, each with all of their "
            "frames, and the figure made anew of each draw (percentile bootstrap, seed "
            f"{evaluation.count('bootstrap', 'seed')}); 95 % of the draws lie within. Where no patient, or every one, "
            "has something, it is Clopper and Pearson's interval of that many patients. Of few patients it is too "
            "narrow, and of one there is none. It does not cover another hospital, machine or observer.",
        ),
        any(frame.view in ("A4C", "A2C", "A3C") for frame in evaluation.frames)
        and (
            "View-phase",
            "A4C and A2C: apical four- and two-chamber view; ED and ES: end-diastole and end-systole.",
        ),
        evaluation.segments and ("Dice", "Overlap of predicted and reference area: 1 is the same, 0 is none."),
        finds_points
        and (
            "Calibrated",
            "The known systematic error of each coordinate is taken off. Unless “calibrated” is said, a figure is "
            "uncalibrated.",
        ),
        (
            "Paper",
            f"{paper.CITATION} Its figures stand on a tinted ground. They are of {paper.PATIENTS} test patients of the "
            "CAMUS data set, not of these frames: compare with care. Tables of another paper name it."
            if finds_points
            else "The figures of a paper stand on a tinted ground, and the table's notes name it. They are of its own "
            "frames, not of these: compare with care.",
        ),
        (DASH, "No figure: not measured, not defined, or not given by the paper. It never means zero."),
    ]
    return [entry for entry in entries if entry]


def limits(evaluation: Evaluation) -> Sequence[tuple[str, str]]:
    """What these figures do not say: (term, explanation)."""
    limits = [
        ("Use", "Research only. This is not a medical device, and nothing here is for diagnosis or treatment."),
    ]
    if evaluation.is_short_axis:
        limits += short_axis_opening.limits(evaluation)
    elif evaluation.no_hinge_points is not None:
        limits.append(("No hinge points", WITHOUT_HINGE_POINTS[evaluation.no_hinge_points]))
        if evaluation.segments:
            limits.append(
                (
                    "Volumes",
                    "Without an annulus, the axis of the predicted ventricle starts where the ventricle itself ends "
                    "below: between the ends of its contour that touch no myocardium, or on its principal axis where "
                    "no myocardium is outlined. The reference's axis starts at its annulus where it has an atrium.",
                )
            )
    else:
        limits += _limits_of_hinge_points()
    if _is_simulated(evaluation):
        limits.append(
            (
                "Simulated data",
                "These frames are a simulated heart under simulated ultrasound. The figures show that the tool works; "
                "they do not say how well it does on patients.",
            )
        )
    if _is_camus_subset(evaluation):
        limits.append(
            (
                "Nominal mm",
                "These CAMUS frames lost their pixel pitch: the spacing is nominal (146 mm of depth over the image "
                "height), so every mm here is a nominal mm, and ratios such as Dice are exact in meaning. The frames "
                "went through lossy JPEG copies, with labels good to about a pixel. This is not an official CAMUS "
                "score. Data: Leclerc et al., IEEE TMI 38(9):2198–2210, 2019 (CC BY-NC-SA 4.0, non-commercial).",
            )
        )
    if evaluation.length_unit == "px":
        limits.append(
            (
                "Pixels, not mm",
                "The pixel pitch of these frames is unknown, so lengths are in pixels (px) and cannot be compared with "
                "the paper's millimetres.",
            )
        )
    if evaluation.frames_in_px:
        limits.append(
            (
                "Frames in px",
                f"{evaluation.frames_in_px} of {len(evaluation.frames)} frames have no known pixel pitch. Their "
                "lengths are in cases.csv, in px, and in no table or figure in mm.",
            )
        )
    if 0 < len(evaluation.frames) < FEW_FRAMES:
        limits.append(
            ("Few frames", f"n = {len(evaluation.frames)}: medians and percentiles of so few frames are uncertain.")
        )
    return limits


def _limits_of_hinge_points() -> Sequence[tuple[str, str]]:
    return [
        (
            "The reference itself",
            "Reference hinge points are derived from the reference masks, as the ends of the line where LV and LA "
            "touch; on CAMUS, too, nobody marked the leaflets' hinges themselves. A drawing convention at the annulus "
            "is therefore part of every error here.",
        ),
        (
            "One plane",
            "The diameter in A4C or A2C is the distance between the hinge points of that view, not the size of the "
            "full annulus, which is a saddle-shaped ring in three dimensions.",
        ),
    ]


def _boxed(evaluation: Evaluation) -> str:
    """What the box is around, in words: the recipe's `box_structures`."""
    structures = [str(name) for name in (evaluation.recipe or {}).get("box_structures") or ("LV", "MYO")]
    names = [f"the {STRUCTURE_NAMES.get(name, name)}" for name in structures]
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _interval_line(evaluation: Evaluation, key: str, digits: int, unit: str) -> list[str]:
    """`95 % CI 2.10 to 3.40 mm`, where there is one."""
    words = between(*evaluation.confidence(key), digits)
    return [f"95 % CI {words} {unit}".rstrip()] if words else []


def _in_brackets(evaluation: Evaluation, key: str, digits: int, name: str = "", *, signed: bool = False) -> str:
    """` (2.1 to 3.4)`, where there is one."""
    words = between(*evaluation.confidence(key), digits, signed=signed)
    return f" ({name}{words})" if words else ""


def _after(name: str, words: str) -> str:
    """The words with what stands before them, where there are any."""
    return name + words if words else ""


def frames_of_patients(evaluation: Evaluation) -> str:
    """`60 frames of 15 patients`."""
    frames, patients = len(evaluation.frames), len({row.patient for row in evaluation.frames})
    frame = "slice" if evaluation.is_short_axis else "frame"
    return (
        f"{frames} {frame if frames == 1 else f'{frame}s'} of {patients} {'patient' if patients == 1 else 'patients'}"
    )


def _what_mm_means(evaluation: Evaluation) -> str:
    if _is_simulated(evaluation):
        return " The frames are simulated: this says nothing about patients."
    if _is_camus_subset(evaluation):
        return " Millimetres are nominal here: the frames lost their true pixel pitch."
    return ""


def _failed(evaluation: Evaluation) -> Mapping[str, int]:
    """Frames without hinge errors, by status."""
    return Counter(row.status for row in evaluation.frames if not math.isfinite(row.value))


def _is_simulated(evaluation: Evaluation) -> bool:
    return evaluation.has_constructed_truth or str(evaluation.summary.get("data", "")).split(":")[0] == "phantom"


def _is_camus_subset(evaluation: Evaluation) -> bool:
    return "camus_subset" in str(evaluation.summary.get("data", ""))


def _with_unit(text: str, unit: str) -> str:
    return text if text == DASH else f"{text} {unit}"
