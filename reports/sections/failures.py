"""What could not be measured, and the frames that deserve a second look."""

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from postprocessing.measurement import FLAGS
from reports.cells import Cell, Missing, Table, ours, percent, plain
from reports.evaluation_folder import ANNULUS, Evaluation, Row

METRIC_NAMES = {
    "dice": "Dice",
    "iou": "IoU",
    "cpa": "CPA",
    "mean_absolute_distance": "d_m",
    "hausdorff": "d_H",
    "hausdorff95": "HD95",
    "surface_dice": "surface Dice",
    "box_iou": "IOU",
}
ABOUT_ALL = ("OUTLIER", "QUALITY", "SLICE")
"""Structures of rows that have sections of their own, which say what could not be judged."""
NOT_FOUND_BY_NETWORK = ("no_la_class", "no_segmentation")
"""Statuses of what a network is not made for: the report says it once, and not as a failure of each frame."""
STATUS_MEANINGS = {
    "no_contact_line": "Predicted LV and LA do not touch: nothing can be measured there.",
    "no_reference_contact_line": "LV and LA of the reference do not touch: nothing to compare the prediction with.",
    "no_reference": "No reference labels.",
    "no_reference_box": "The reference has none of the structures that the box is around.",
    "no_spacing": "The pixel pitch is unknown: no volume in ml, and no figure that compares lengths across and along.",
    "unreadable": "A file of the frame cannot be read, or its mask does not fit its image.",
    "no_volume": "The left ventricle has no extent to take a volume of.",
    "unknown_orientation": "The view is unknown, so anterior and posterior are too: the hinge points have no names.",
    "several_frames": "The patient has several frames of a view and phase: which of them a volume is of is not known.",
    "slices_differ": "The slices of the volume differ in size, pixel pitch or distance: they are no stack.",
    "undefined": "The figure is not defined, e.g. the Dice of two empty masks.",
    "calibration_unit_differs": "The calibration is in mm and the frame in px, or the other way round.",
}
OUTLIER_MEANINGS = {
    **{name: f"Prediction: {text}." for name, text in FLAGS.items()},
    "no_contact_line": "Predicted LV and LA do not touch.",
    "no_reference_contact_line": "LV and LA of the reference do not touch.",
    "no_reference": "No reference labels.",
    "box_out": "The located box does not wholly enclose the reference.",
    "la_cut": "Off-centre frame: the left atrium is cut off (paper §4.4).",
    "lv_missing": "No left ventricle was found: nothing else on the frame can be trusted.",
    "la_missing": "No left atrium was found, so no hinge points: look whether the frame shows one.",
    "holes": "LV, LA or the epicardium has a hole, and the area lacks it: look whether a leaflet or the wall is meant.",
    "fragments_removed": "Pieces of LV or LA were left out but for the largest: look whether the right one was kept.",
    "lv_la_gap": "LV and LA were found and do not touch: there is no annulus to measure. Look at the valve plane.",
    "several_contact_segments": "LV and LA touch in several places: the diameter may span more than the annulus.",
    "one_pixel_contact": "LV and LA touch at one pixel: the hinge points are one, and the diameter means nothing.",
    "lv_cut_by_sector": "The LV reaches the edge of the image or of the sector: its volume lacks what lies beyond.",
    "la_cut_by_sector": "The LA reaches the edge of the image or of the sector: its volume lacks what lies beyond.",
    "hinge_points_outside_sector": "A hinge point lies where there is no ultrasound: an outline strays from the image.",
}
"""What is the matter with a frame, and what to look at."""
SHORT_AXIS_MEANINGS = {
    "lv_missing": "No left ventricle was found where the reference shows one.",
    "holes": "LV, RV or the epicardium has a hole, and the area lacks it: look whether a papillary muscle is meant.",
    "fragments_removed": "Pieces of a structure but the largest were left out: look whether the right one was kept.",
    "lv_cut_by_sector": "The LV reaches the edge of the image: its volume lacks what lies beyond.",
}
"""The same of a slice across the ventricles."""
ANNULUS_MEANING = (
    "No mitral annulus is so narrow or so wide: LV and LA meet in the wrong place, or the pixel pitch is wrong."
)
CASES_ONE_BY_ONE = 10
"""More cases than this that lack the same for the same reason share a row."""


def failure_table(evaluation: Evaluation) -> Table | Missing:
    """Every frame without a hinge error, and every frame or patient with a figure that failed otherwise."""
    title = "Failures"
    found: dict[tuple[str, str], list[str]] = {}
    for row in evaluation.rows:
        # No calibration, no quality model, a view that the data set lacks or a network not made for it is no failure of
        # a frame; their tables say it.
        if row.status in ("ok", "no_calibration", "no_quality_model", *NOT_FOUND_BY_NETWORK):
            continue
        if row.status.startswith("missing_") and not row.status.startswith("missing_SAX"):
            continue
        if row.structure in ABOUT_ALL or (row.status == "undefined" and row.view == "SAX"):
            continue  # of slices: a table of its own says on which a structure is absent
        quantities = found.setdefault((row.case, row.status), [])
        if (quantity := _quantity(row)) not in quantities:
            quantities.append(quantity)
    if not found:
        none = "None: every frame has hinge points and every figure is defined."
        if evaluation.no_hinge_points is not None:
            none = "None: every figure is defined."
        if evaluation.is_short_axis:
            none = "None: every volume could be measured."
        return Missing(title, none if evaluation.frames else "No frame was evaluated.")
    alike: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    for (case, status), missing in sorted(found.items()):
        alike.setdefault((status, tuple(missing)), []).append(case)
    rows = [
        (heading, status, missing)
        for (status, missing), cases in alike.items()
        for heading in (cases if len(cases) <= CASES_ONE_BY_ONE else [f"{len(cases)} cases: {_shortened(cases, 3)}"])
    ]
    return Table(
        "failures",
        title,
        plain("case", "status", "what it means", "what is missing"),
        tuple(
            (Cell(heading), *ours(status, meaning_of_status(status), _shortened(missing)))
            for heading, status, missing in sorted(rows)
        ),
        ("These are counted in the n and failed columns above; none is in a mean or a median.",),
    )


def second_look_table(evaluation: Evaluation) -> Table | Missing:
    """Frames measured, but with a flag that a reader should know of."""
    what = "slices" if evaluation.is_short_axis else "frames"
    title = f"{what.capitalize()} that deserve a second look"
    cases: Mapping[str, Any] = evaluation.block("outlier_cases")
    frames = evaluation.count("n_cases")
    rows = [
        (
            Cell(in_words(name)),
            *ours(
                str(len(listed)),
                percent(len(listed) / frames if frames else math.nan),
                meaning_of_outlier(name, short_axis=evaluation.is_short_axis),
                _shortened(listed, 12),
            ),
        )
        for name, listed in cases.items()
        if listed
    ]
    if not rows:
        return Missing(title, "None.")
    return Table(
        "second-look",
        title,
        plain("what", what, "share", "what it means", "cases"),
        tuple(rows),
        (f"Of all {what}. One may be in several rows.",),
    )


def _quantity(row: Row) -> str:
    """What a failed row would have said."""
    if row.structure == ANNULUS:
        return "calibrated hinge points" if row.status == "calibration_unit_differs" else "hinge points and diameter"
    if row.metric.endswith("_first"):
        return f"{METRIC_NAMES.get(row.metric.removesuffix('_first'), row.metric)} of {row.structure}, first U-Net"
    if "_volume" in row.metric:
        return f"overlap and distances of {row.structure}, whole volume"
    name = row.metric.split("_")[0]
    if row.view == "" and row.structure == "RV":
        return f"RV {name.upper()} of the patient"
    if name == "mass":
        return "myocardial mass of the patient"
    if name in ("edv", "esv", "ef"):
        return f"{name.upper()} of the patient"
    if name == "lav":
        return "LA volume of the patient"
    if row.metric in ("simplicity_reference", "convexity_reference"):
        return f"{name} of the reference's {row.structure}"
    return f"{METRIC_NAMES.get(row.metric, row.metric.replace('_', ' '))} of {row.structure}"


def meaning_of_status(status: str) -> str:
    """Why there is no figure."""
    if status.startswith("missing_SAX"):
        return "The patient's volume of that phase is missing, or slices of it are: there is no volume to measure."
    return STATUS_MEANINGS.get(status, in_words(status))


def meaning_of_outlier(name: str, *, short_axis: bool = False) -> str:
    """What is the matter with a frame, or a short-axis slice, that has this flag, and what to look at."""
    if short_axis and name in SHORT_AXIS_MEANINGS:
        return SHORT_AXIS_MEANINGS[name]
    if name in OUTLIER_MEANINGS and not name.startswith("annulus"):
        return OUTLIER_MEANINGS[name]
    if name.startswith("annulus_reference"):
        return f"Reference: {ANNULUS_MEANING[0].lower()}{ANNULUS_MEANING[1:]}"
    return ANNULUS_MEANING if name.startswith("annulus") else in_words(name)


def in_words(name: str) -> str:
    """`la_cut_by_sector` → `LA cut by sector`, `outside_15_60_mm` → `outside 15–60 mm`."""
    words = " ".join(word.upper() if word in ("la", "lv") else word for word in name.split("_"))
    return re.sub(r"(?<=\d) (?=\d)", "–", words)


def _shortened(names: Sequence[str], most: int = 6) -> str:
    listed = ", ".join(names[:most])
    return listed + (f" and {len(names) - most} more" if len(names) > most else "")
