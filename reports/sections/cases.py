"""Every case in one table, worst first, and what is shown of each when it is opened."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reports.cells import DASH, Missing, number
from reports.evaluation_folder import ANNULUS, Evaluation, Row
from reports.html import CaseBrowser, CaseCell, CaseLine, data_uri
from reports.sections.failures import in_words, meaning_of_outlier, meaning_of_status
from reports.style import STRUCTURE_NAMES
from shell.errors import UserError
from shell.files import read_json

FRAME, BOX, QUALITY, EPI = "FRAME", "BOX", "QUALITY", "EPI"
GRADES = {1: "Poor", 2: "Medium", 3: "Good"}
LV_MISSING = "lv_missing"
LEVELS = {1: "base", 2: "mid", 3: "apex"}
PER_PIXEL = 4
"""Steps of a stored outline within one native pixel (evaluation/pictures.py)."""
POINTS = {"amvl": "aMVL", "pmvl": "pMVL"}
NOT_OF_THE_PREDICTION = ("_reference", "_constructed")
"""Ends of flags that say something of the frame or its reference."""
KINDS = {
    "measured": "measured",
    "failed": "failed",
    "flagged": "flagged",
    "abstained": "abstained",
}
NOT_COMPARED = ("no_reference", "no_reference_contact_line", "no_reference_box")
STATUS_WORDS = {
    "no_contact_line": "LV and LA do not touch",
    "no_reference_contact_line": "LV and LA of the reference do not touch",
    "no_reference": "no reference",
    "no_reference_box": "nothing in the reference for a box",
    "unknown_orientation": "view unknown",
    "unreadable": "file cannot be read",
    "undefined": "figure not defined",
}
FLAG_WORDS = {"la_cut": "off-centre", "box_out": "box cuts the reference"}
LAYERS = {
    "prediction": "prediction",
    "reference": "reference",
    "contact": "contact line",
    "points": "hinge points (× reference)",
    "diameter": "diameter",
    "box": "box",
    "names": "names",
}

Rows = Mapping[tuple[str, str], Row]


def case_browser(evaluation: Evaluation) -> CaseBrowser | Missing:
    """The table of all cases with what each shows when it is opened.

    Raises:
        UserError: cases/cases.json is there and damaged.
    """
    title = "Every case, worst first"
    if not evaluation.frames:
        return Missing(title, "No frame was evaluated.")
    pictures = read_pictures(evaluation.folder)
    found = _by_case(evaluation)
    flags = _flags(evaluation, found)
    cases = [_judged(case, rows, evaluation, flags.get(case, {})) for case, rows in found.items()]
    cases.sort(key=lambda case: (math.isfinite(case.badness), -case.badness if math.isfinite(case.badness) else 0.0))
    columns = [column for column in _columns(evaluation) if any(column.cell(case).text != DASH for case in cases)]
    counts = {kind: sum(kind in case.kinds for case in cases) for kind in KINDS}
    notes = ["Click a heading to sort, a line to open the case; from one line to the next with the arrow keys."]
    if not pictures:
        notes.append("The evaluation folder holds no pictures of the cases (cases/cases.json).")
    if evaluation.no_hinge_points is None:
        notes.append("Hinge error: mean of both points. Differences: prediction − reference.")
    return CaseBrowser(
        "all-cases",
        f"{title}; failures at the top",
        (("case", False), *((column.name, column.is_number) for column in columns)),
        tuple(
            CaseLine(
                case.case,
                case.first.view,
                case.first.phase,
                case.kinds,
                tuple(column.cell(case) for column in columns),
                _data(case, evaluation, pictures.get(case.case)),
            )
            for case in cases
        ),
        tuple((kind, words, counts[kind]) for kind, words in KINDS.items() if counts[kind]),
        _layers(evaluation),
        tuple((name, STRUCTURE_NAMES[name]) for name in evaluation.structures if name not in (EPI,)),
        tuple(notes),
    )


def read_pictures(folder: Path) -> dict[str, Mapping[str, Any]]:
    """The entries of cases/cases.json by case, as evaluation/pictures.py describes them; empty where there is none.

    Raises:
        UserError: damaged.
    """
    path = folder / "cases" / "cases.json"
    if not path.is_file():
        return {}
    try:
        return {
            str(entry["case"]): {
                **entry,
                "path": path.parent / str(entry["file"]),
                "height": float(entry["height"]),
                "width": float(entry["width"]),
                "reference": dict(entry["reference"]),
                "prediction": dict(entry["prediction"]),
            }
            for entry in read_json(path)
        }
    except (TypeError, KeyError, ValueError) as error:
        raise UserError(
            f"{path}: must list case, file, height, width, reference and prediction ({error!r}); evaluate again"
        ) from error


@dataclass(frozen=True)
class _Case:
    """A frame and what is said of it.

    Attributes:
        badness: what it is ranked by, so that more is worse; NaN where it has none.
        status: `ok`, or why it has none.
        flags: name → meaning.
    """

    case: str
    first: Row
    rows: Rows
    badness: float
    status: str
    flags: Mapping[str, str]

    @property
    def abstained(self) -> bool:
        return self.value(QUALITY, "abstained") == 1

    @property
    def kinds(self) -> tuple[str, ...]:
        return (
            "measured" if math.isfinite(self.badness) else "failed",
            *(["flagged"] if self.flags else []),
            *(["abstained"] if self.abstained else []),
        )

    @property
    def status_words(self) -> str:
        if self.badness < 0:
            return "no heart, none found"
        if math.isfinite(self.badness):
            return "abstained" if self.abstained else "measured"
        words = STATUS_WORDS.get(self.status, in_words(self.status))
        return f"{'not compared' if self.status in NOT_COMPARED else 'failed'}: {words}"

    def value(self, structure: str, metric: str) -> float:
        row = self.rows.get((structure, metric))
        return math.nan if row is None else row.value

    def unit(self, structure: str, metric: str) -> str:
        row = self.rows.get((structure, metric))
        return "" if row is None else row.unit

    @property
    def hinge_error(self) -> float:
        """Mean of both points; NaN unless both are measured."""
        return sum(self.value(ANNULUS, f"{point}_error") for point in POINTS) / len(POINTS)


@dataclass(frozen=True)
class _Column:
    """A column: its name, what it holds, and whether that is figures."""

    name: str
    of: Any  # Callable[[_Case], str | float | CaseCell]; a dataclass would take a function for a method
    digits: int = 0
    is_number: bool = True
    signed: bool = False

    def cell(self, case: _Case) -> CaseCell:
        value = self.of(case)
        if isinstance(value, CaseCell):
            return value
        if isinstance(value, str):
            return CaseCell(value or DASH)
        return CaseCell(number(value, self.digits, signed=self.signed))


def _columns(evaluation: Evaluation) -> list[_Column]:
    def value(structure: str, metric: str) -> Any:
        return lambda case: case.value(structure, metric)

    unit = evaluation.length_unit
    columns = [
        _Column("patient", lambda case: case.first.patient, is_number=False),
        _Column("view", lambda case: case.first.view, is_number=False),
        _Column("phase", lambda case: case.first.phase, is_number=False),
        _Column("level", _level, is_number=False),
        _Column("image", _image_quality, is_number=False),
        _Column("quality score", value(QUALITY, "score"), 2),
        _Column("status", lambda case: case.status_words, is_number=False),
    ]
    if evaluation.no_hinge_points is None:
        columns += [
            _Column(f"hinge error, {unit}", lambda case: _length(case, case.hinge_error, "amvl_error", unit), 1),
            *(
                _Column(
                    f"{name}, {unit}",
                    lambda case, metric=metric: _length(case, case.value(ANNULUS, metric), metric, unit),
                    1,
                    signed=signed,
                )
                for name, metric, signed in (
                    ("diameter", "annulus_diameter_predicted", False),
                    ("reference", "annulus_diameter_reference", False),
                    ("difference", "annulus_diameter_error", True),
                )
            ),
        ]
    if evaluation.locates:
        columns.append(_Column("box IOU", value(BOX, "box_iou"), 3))
    return [
        *columns,
        *(_Column(f"Dice {name}", value(name, "dice"), 3) for name in evaluation.structures),
        _Column("flags", lambda case: "; ".join(_flag_words(name) for name in case.flags), is_number=False),
    ]


def _length(case: _Case, value: float, metric: str, unit: str) -> str | float:
    """A length; with its unit where that is not the column's."""
    own = case.unit(ANNULUS, metric)
    return f"{number(value, 1)} {own}" if math.isfinite(value) and own != unit else value


def _level(case: _Case) -> CaseCell:
    grade = case.value("SLICE", "level")
    return CaseCell(LEVELS[int(grade)], f"{grade:g}") if math.isfinite(grade) else CaseCell(DASH)


def _image_quality(case: _Case) -> CaseCell:
    grade = case.value(FRAME, "image_quality")
    return CaseCell(GRADES.get(int(grade), DASH), f"{grade:g}") if math.isfinite(grade) else CaseCell(DASH)


def _by_case(evaluation: Evaluation) -> dict[str, dict[tuple[str, str], Row]]:
    """The rows of each frame; those of patients are left out."""
    found: dict[str, dict[tuple[str, str], Row]] = {row.case: {} for row in evaluation.frames}
    for row in evaluation.rows:
        if row.case in found:
            found[row.case][row.structure, row.metric] = row
    return found


def _judged(case: str, rows: Rows, evaluation: Evaluation, flags: Mapping[str, str]) -> _Case:
    if evaluation.no_hinge_points is None:
        judged = [rows[ANNULUS, f"{p}_error"] for p in POINTS if (ANNULUS, f"{p}_error") in rows]
        badness = sum(row.value for row in judged) / len(judged)
    elif evaluation.segments:
        judged = [row for (name, metric), row in rows.items() if metric == "dice" and name != EPI]
        values = [row.value for row in judged if math.isfinite(row.value)]
        badness = 1 - sum(values) / len(values) if values else math.nan
        if not values and judged and all(row.view == "SAX" and row.status == "undefined" for row in judged):
            badness = -1.0  # nothing is there and nothing was found
    else:
        judged = [rows[BOX, "box_iou"]] if (BOX, "box_iou") in rows else []
        badness = 1 - judged[0].value if judged else math.nan
    status = next((row.status for row in judged if row.status != "ok"), "undefined")
    first = rows[ANNULUS, "amvl_error"]
    return _Case(case, first, rows, badness, "ok" if math.isfinite(badness) else status, flags)


def _flags(evaluation: Evaluation, found: Mapping[str, Rows]) -> dict[str, dict[str, str]]:
    """What deserves a second look: case → {name: meaning}. That nothing could be measured is its status, no flag."""
    flags: dict[str, dict[str, str]] = {case: {} for case in found}
    listed_cases = {name: frozenset(cases) for name, cases in evaluation.block("outlier_cases").items()}

    def listed(name: str, case: str) -> bool:
        return case in listed_cases.get(name, ())

    for case, rows in found.items():
        for (structure, metric), row in rows.items():
            is_ours = structure in (FRAME, BOX) and not metric.endswith(NOT_OF_THE_PREDICTION)
            if is_ours and row.unit == "flag" and row.value == 1:
                if metric == LV_MISSING and ("SLICE", "level") in rows and not listed(metric, case):
                    continue  # the reference shows none either
                flags[case][metric] = meaning_of_outlier(metric, short_axis=evaluation.is_short_axis)
    for name, cases in evaluation.block("outlier_cases").items():
        for case in cases:
            if case in flags and name not in STATUS_WORDS:
                flags[case].setdefault(name, meaning_of_outlier(name, short_axis=evaluation.is_short_axis))
    for kind in ("geometric", "anatomical"):
        block = evaluation.block("outliers_by_patient", "frames", kind)
        reasons = block.get("why") or {}
        for case in block.get("cases") or ():
            if case in flags:
                flags[case][f"{kind}_outlier"] = "; ".join(map(str, reasons.get(case) or ("Beyond a bound.",)))
    return flags


def _flag_words(name: str) -> str:
    return FLAG_WORDS.get(name, in_words(name))


def _layers(evaluation: Evaluation) -> tuple[tuple[str, str], ...]:
    there = {
        "prediction": evaluation.segments,
        "reference": True,
        "contact": evaluation.no_hinge_points is None,
        "points": evaluation.no_hinge_points is None,
        "diameter": evaluation.no_hinge_points is None,
        "box": evaluation.locates or evaluation.oracle_margin is not None,
        "names": evaluation.segments,
    }
    return tuple((key, name) for key, name in LAYERS.items() if there[key])


def _data(case: _Case, evaluation: Evaluation, picture: Mapping[str, Any] | None) -> str:
    """What cases.js reads; it says what is what."""
    grade = case.value(FRAME, "image_quality")
    about = [
        case.first.patient,
        case.first.view,
        case.first.phase,
        f"image quality {GRADES[int(grade)]}" if grade in GRADES else "",
    ]
    data = {
        "about": " · ".join(part for part in about if part),
        "facts": _facts(case, evaluation),
        "flags": [f"{_flag_words(name)}: {meaning}" for name, meaning in case.flags.items()],
        "measures": _measures(case, evaluation),
        **(_drawn(case, picture) if picture is not None else {"size": None}),
    }
    return json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def _facts(case: _Case, evaluation: Evaluation) -> list[tuple[str, str]]:
    def length(metric: str, *, signed: bool = False, structure: str = ANNULUS) -> str:
        value = case.value(structure, metric)
        return f"{number(value, 1, signed=signed)} {case.unit(structure, metric)}" if math.isfinite(value) else ""

    def ratio(structure: str, metric: str, digits: int = 2) -> str:
        value = case.value(structure, metric)
        return number(value, digits) if math.isfinite(value) else ""

    facts = [("status", case.status_words)]
    if not math.isfinite(case.badness):
        facts.append(("why", meaning_of_status(case.status)))
    if evaluation.no_hinge_points is None:
        mean = case.hinge_error
        low, high = (case.value(ANNULUS, f"annulus_diameter_{end}") for end in ("lower", "upper"))
        unit = case.unit(ANNULUS, "amvl_error")
        facts += [
            ("diameter", length("annulus_diameter_predicted")),
            (
                "90 % interval",
                f"{number(low, 1)} to {number(high, 1)} {unit}" if math.isfinite(low) and math.isfinite(high) else "",
            ),
            ("reference diameter", length("annulus_diameter_reference")),
            ("difference", length("annulus_diameter_error", signed=True)),
            ("hinge error, mean", f"{number(mean, 1)} {unit}" if math.isfinite(mean) else ""),
            *((f"error of {name}", length(f"{point}_error")) for point, name in POINTS.items()),
            *((f"{name}, calibrated", length(f"{point}_error_calibrated")) for point, name in POINTS.items()),
        ]
    facts += [
        ("quality score", ratio(QUALITY, "score")),
        ("expected hinge error", length("expected_error", structure=QUALITY)),
        ("box IOU", ratio(BOX, "box_iou", 3)),
    ]
    return [(name, text) for name, text in facts if text]


def _measures(case: _Case, evaluation: Evaluation) -> Mapping[str, Any]:
    """Overlap and distance of each structure."""
    unit = next((case.unit(name, "hausdorff") for name in evaluation.structures), "")
    columns = {
        "dice": ("Dice", 3),
        "mean_absolute_distance": (f"d_m, {unit}", 1),
        "hausdorff": (f"d_H, {unit}", 1),
        "hausdorff95": (f"HD95, {unit}", 1),
    }
    there = {key: value for key, value in columns.items() if any((n, key) in case.rows for n in evaluation.structures)}
    rows = [
        [name, *(number(case.value(name, key), digits) for key, (_, digits) in there.items())]
        for name in evaluation.structures
    ]
    return {"columns": ["", *(heading for heading, _ in there.values())], "rows": rows if there else []}


def _drawn(case: _Case, picture: Mapping[str, Any]) -> dict[str, Any]:
    """The picture and what goes over it, in units of the finer pixel pitch: x to the right, y down from the corner."""
    try:
        pitch_row, pitch_col = picture.get("spacing_mm") or (1.0, 1.0)
        finest = min(pitch_row, pitch_col)
        y_scale, x_scale = float(pitch_row) / finest, float(pitch_col) / finest
        points, reference_points = (
            _points(picture.get(key), x_scale, y_scale) for key in ("hinge_points", "reference_hinge_points")
        )
        box, reference_box = (_rectangle(picture.get(key), x_scale, y_scale) for key in ("box", "reference_box"))
        path: Path = picture["path"]
        drawn = [
            *(["the predicted outlines"] if picture["prediction"] else []),
            *(["the reference's, dashed"] if picture["reference"] else []),
            *(["the predicted hinge points and the diameter between them"] if points else []),
            *(["the located box"] if box else []),
        ]
        diameter = case.value(ANNULUS, "annulus_diameter_predicted")
        return {
            "alt": ", ".join(drawn) or "nothing was found",
            "picture": data_uri("image/webp", path.read_bytes()) if path.is_file() else None,
            "size": [_short(picture["width"] * x_scale), _short(picture["height"] * y_scale)],
            "scale": [round(x_scale / PER_PIXEL, 6), round(y_scale / PER_PIXEL, 6)],
            "reference": picture["reference"],
            "prediction": picture["prediction"],
            "contact": picture.get("contact_line"),
            "points": points,
            "reference_points": reference_points,
            "box": box,
            "reference_box": reference_box,
            "diameter": f"{number(diameter, 1)} {case.unit(ANNULUS, 'annulus_diameter_predicted')}"
            if math.isfinite(diameter)
            else "",
        }
    except (TypeError, KeyError, ValueError, ZeroDivisionError) as error:
        raise UserError(f"cases/cases.json: the entry of {case.case} is damaged ({error!r}); evaluate again") from error


def _points(points: Mapping[str, Sequence[float]] | None, x_scale: float, y_scale: float) -> list[Any] | None:
    if points is None:
        return None
    return [
        [name, _short((points[key][1] + 0.5) * x_scale), _short((points[key][0] + 0.5) * y_scale)]
        for key, name in POINTS.items()
    ]


def _rectangle(box: Sequence[float] | None, x_scale: float, y_scale: float) -> list[float] | None:
    """x, y, width, height of pixel edges (row_min, row_max, col_min, col_max)."""
    if box is None:
        return None
    top, bottom, left, right = box
    return [_short(v) for v in (left * x_scale, top * y_scale, (right - left) * x_scale, (bottom - top) * y_scale)]


def _short(value: float) -> float:
    return round(float(value), 2)
