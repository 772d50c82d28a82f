"""What could not be measured, and the frames that deserve a second look."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from postprocessing.measurement import FLAGS
from reports.cells import Cell, Missing, Table, ours, plain
from reports.evaluation_folder import ANNULUS, Evaluation, Row

METRIC_NAMES = {
    "dice": "Dice",
    "iou": "IoU",
    "cpa": "CPA",
    "mean_absolute_distance": "d_m",
    "hausdorff": "d_H",
    "box_iou": "IOU",
}
NOT_FOUND_BY_NETWORK = ("no_la_class", "no_segmentation")
"""Statuses of what a network is not made for: the report says it once, and not as a failure of each frame."""
STATUS_MEANINGS = {
    "no_contact_line": "Predicted LV and LA do not touch: nothing can be measured there.",
    "no_reference_contact_line": "LV and LA of the reference do not touch: nothing to compare the prediction with.",
    "no_reference": "No reference labels.",
    "no_reference_box": "The reference has none of the structures that the box is around.",
    "no_spacing": "The pixel pitch is unknown: no volume in ml.",
    "no_volume": "The left ventricle has no extent to take a volume of.",
    "unknown_orientation": "The view is unknown, so anterior and posterior are too: the hinge points have no names.",
    "several_frames": "The patient has several frames of a view and phase: which of them a volume is of is not known.",
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
}


def failure_table(evaluation: Evaluation) -> Table | Missing:
    """Every frame without a hinge error, and every frame or patient with a figure that failed otherwise."""
    title = "Failures"
    found: dict[tuple[str, str], list[str]] = {}
    for row in evaluation.rows:
        # No calibration, a view that the data set lacks or a network not made for it is no failure of a frame; their
        # tables say it.
        if row.status in ("ok", "no_calibration", *NOT_FOUND_BY_NETWORK) or row.status.startswith("missing_"):
            continue
        quantities = found.setdefault((row.case, row.status), [])
        if (quantity := _quantity(row)) not in quantities:
            quantities.append(quantity)
    if not found:
        none = "None: every frame has hinge points and every figure is defined."
        if evaluation.no_hinge_points is not None:
            none = "None: every figure is defined."
        return Missing(title, none if evaluation.frames else "No frame was evaluated.")
    return Table(
        "failures",
        title,
        plain("case", "status", "what it means", "what is missing"),
        tuple(
            (Cell(case), *ours(status, STATUS_MEANINGS.get(status, _in_words(status)), _shortened(missing)))
            for (case, status), missing in sorted(found.items())
        ),
        ("These are counted in the n and failed columns above; none is in a mean or a median.",),
    )


def second_look_table(evaluation: Evaluation) -> Table | Missing:
    """Frames measured, but with a flag that a reader should know of."""
    title = "Frames that deserve a second look"
    cases: Mapping[str, Any] = evaluation.block("outlier_cases")
    rows = [
        (Cell(_in_words(name)), *ours(str(len(listed)), _outlier_meaning(name), _shortened(listed, 12)))
        for name, listed in cases.items()
        if listed
    ]
    if not rows:
        return Missing(title, "None.")
    return Table("second-look", title, plain("what", "frames", "what it means", "cases"), tuple(rows))


def _quantity(row: Row) -> str:
    """What a failed row would have said."""
    if row.structure == ANNULUS:
        return "calibrated hinge points" if row.status == "calibration_unit_differs" else "hinge points and diameter"
    if row.metric.endswith("_first"):
        return f"{METRIC_NAMES.get(row.metric.removesuffix('_first'), row.metric)} of {row.structure}, first U-Net"
    name = row.metric.split("_")[0]
    if name in ("edv", "esv", "ef"):
        return f"{name.upper()} of the patient"
    return f"{METRIC_NAMES.get(row.metric, row.metric.replace('_', ' '))} of {row.structure}"


def _outlier_meaning(name: str) -> str:
    if name in OUTLIER_MEANINGS:
        return OUTLIER_MEANINGS[name]
    if name.startswith("annulus"):
        return "The diameter is outside the range that is plausible for a mitral annulus."
    return _in_words(name)


def _in_words(name: str) -> str:
    """`la_cut_by_sector` → `LA cut by sector`, `outside_15_60_mm` → `outside 15–60 mm`."""
    words = " ".join(word.upper() if word in ("la", "lv") else word for word in name.split("_"))
    return re.sub(r"(?<=\d) (?=\d)", "–", words)


def _shortened(names: Sequence[str], most: int = 6) -> str:
    listed = ", ".join(names[:most])
    return listed + (f" and {len(names) - most} more" if len(names) > most else "")
