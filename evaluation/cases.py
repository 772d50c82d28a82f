"""One row per measurement: everything an evaluation knows about a frame and about a patient, in one tidy table.

Frames (`frame_rows`). `structure` is LV, MYO, LA, EPI (= LV ∪ MYO) …, or one of two names that are no structures:

- of each structure: `dice iou cpa sensitivity specificity pixel_accuracy` (ratio), `mean_absolute_distance hausdorff`;
- `ANNULUS`: coordinates `{amvl,pmvl}_{row,col}_{reference,predicted}`, signed errors `{amvl,pmvl}_{row,col}_error`
  (prediction − reference), Euclidean `amvl_error pmvl_error`, `annulus_diameter_{reference,predicted,error}`; the
  same of the calibrated prediction with `_calibrated` (calibration fitted elsewhere: on validation) and
  `_calibrated_in_sample` (fitted on these very frames, as the paper does);
- for frames whose truth is known by construction: `…_constructed` coordinates and diameter,
  `…_error_constructed` (prediction − constructed) with the same calibrated suffixes, and
  `…_error_reference_vs_constructed`: how far the mask-derived reference is itself from the truth;
- `FRAME`: flags (unit `flag`, 1 or 0) and `image_quality` (unit `grade`, Poor 1, Medium 2, Good 3).

Patients (`patient_rows`). `structure` is LV, `case` the patient: `{edv,esv,ef}_{reference,predicted,constructed}`
(biplane), and `{edv,esv,ef}_{a4c,a2c}_{reference,predicted}`, the single-plane estimates that stand in where a view is
missing.

Lengths are in mm where the pixel pitch is known and in px where it is not; `unit` says which.
`status` is `ok`, or says why `value` is empty; no row is left out because its measurement failed.
"""

import csv
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from data_pipeline.sample import Phase, Sample, Structure, View
from metrics import overlap, surface
from postprocessing.calibration import COORDINATES, POOLED, Calibration, fit_calibration
from postprocessing.hinge_points import HingePoints
from postprocessing.measurement import FLAGS, FrameMeasurement, measure_labels
from postprocessing.volumes import ApicalView, ejection_fraction_percent, simpson_biplane_ml, single_plane_ml
from shell.errors import UserError
from shell.files import atomic_path

OK = "ok"
UNDEFINED = "undefined"
"""The metric has no value for this frame (metrics/__init__.py), e.g. the Dice of two empty masks."""
NO_CONTACT_LINE = "no_contact_line"
NO_REFERENCE_CONTACT_LINE = "no_reference_contact_line"
NO_REFERENCE = "no_reference"
"""The frame has no reference labels."""
NO_SPACING = "no_spacing"
"""A volume needs millimetres and the pixel pitch is unknown."""
NO_VOLUME = "no_volume"
"""The left ventricle has no extent to take a volume of."""
NO_CALIBRATION = "no_calibration"
"""None was given, or there was no frame to fit it on."""
CALIBRATION_UNIT_DIFFERS = "calibration_unit_differs"
"""The calibration was fitted in mm and this frame is in px, or the other way round."""

ANNULUS = "ANNULUS"
FRAME = "FRAME"
EPI = "EPI"

RATIOS = {
    "dice": overlap.dice,
    "iou": overlap.iou,
    "cpa": overlap.cpa,
    "sensitivity": overlap.sensitivity,
    "specificity": overlap.specificity,
    "pixel_accuracy": overlap.pixel_accuracy,
}
DISTANCES = {
    "mean_absolute_distance": surface.mean_absolute_distance,
    "hausdorff": surface.hausdorff,
}
POINTS = ("amvl", "pmvl")
CALIBRATED = "_calibrated"
CALIBRATED_IN_SAMPLE = "_calibrated_in_sample"
CONSTRUCTED = "_constructed"
REFERENCE_VS_CONSTRUCTED = "_reference_vs_constructed"

LA_CUT = "la_cut_by_sector"
LA_CUT_CONSTRUCTED = "la_cut_constructed"
REFERENCE_FLAGS = ("several_contact_segments", "one_pixel_contact", LA_CUT, "lv_cut_by_sector")
QUALITY_GRADES = {"Poor": 1, "Medium": 2, "Good": 3}

VOLUME_UNITS = {"edv": "ml", "esv": "ml", "ef": "percent"}
VOLUME_VIEWS = (View.A4C, View.A2C)


@dataclass(frozen=True)
class CaseRow:
    """One measurement of one case: a line of cases.csv.

    Attributes:
        case: `patient0001_4CH_ED`; for measurements of a patient, the patient.
        patient: `patient0001`.
        view, phase: `A4C`, `ED`; empty where unknown or where the row is about the patient.
        structure, metric: what was measured (see the module).
        value: finite, or None where `status` is not `ok`.
        unit: `ratio`, `mm`, `px`, `ml`, `percent`, `flag` or `grade`.
        status: `ok` or the reason why there is no value.

    Raises:
        ValueError: a value that is not finite, or a value and a status that contradict each other.
    """

    case: str
    patient: str
    view: str
    phase: str
    structure: str
    metric: str
    value: float | None
    unit: str
    status: str

    def __post_init__(self) -> None:
        if (self.value is None) == (self.status == OK) or (self.value is not None and not math.isfinite(self.value)):
            raise ValueError(
                f"`value` must be finite where `status` is ok and None elsewhere. "
                f"Received: {self.value} with {self.status!r} for {self.case} {self.structure} {self.metric}"
            )


COLUMNS = tuple(field.name for field in fields(CaseRow))


def write_cases(path: Path, rows: Iterable[CaseRow]) -> None:
    """Writes cases.csv atomically; values keep every digit, so that reading gives the same rows again."""
    with atomic_path(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for row in rows:
            writer.writerow("" if (cell := getattr(row, column)) is None else cell for column in COLUMNS)


def read_cases(path: Path) -> list[CaseRow]:
    """Reads what `write_cases` wrote.

    Raises:
        UserError: no such file, columns missing, or a line that is not a row; names the file and the line.
    """
    try:
        with path.open(newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file)
            missing = [column for column in COLUMNS if column not in (reader.fieldnames or ())]
            if missing:
                raise UserError(f"{path}: must have the columns {','.join(COLUMNS)}; missing {','.join(missing)}")
            return [_row_from_cells(path, number, cells) for number, cells in enumerate(reader, start=2)]
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; run evaluate.py first or check the path") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path}: not a CSV file ({error}); run evaluate.py again") from error


def _row_from_cells(path: Path, number: int, cells: Mapping[str, str | None]) -> CaseRow:
    texts = {column: text for column in COLUMNS if (text := cells[column]) is not None}
    if len(texts) < len(COLUMNS):
        raise UserError(f"{path}, line {number}: cut off after {len(texts)} columns; run evaluate.py again")
    try:
        value = float(texts["value"]) if texts["value"] else None
        return CaseRow(**{**texts, "value": value})  # type: ignore[arg-type]  # every other column is text
    except ValueError as error:
        raise UserError(f"{path}, line {number}: {error}; run evaluate.py again") from error


@dataclass(frozen=True)
class _Frame:
    """What every row of a frame has in common."""

    case: str
    patient: str
    view: str
    phase: str
    unit: str

    def row(self, structure: str, metric: str, value: float, unit: str) -> CaseRow:
        """A row with a value, or an `undefined` one for NaN."""
        defined = math.isfinite(value)
        return CaseRow(
            self.case,
            self.patient,
            self.view,
            self.phase,
            structure,
            metric,
            float(value) if defined else None,
            unit,
            OK if defined else UNDEFINED,
        )

    def failed_row(self, structure: str, metric: str, unit: str, status: str) -> CaseRow:
        """A row without a value."""
        return CaseRow(self.case, self.patient, self.view, self.phase, structure, metric, None, unit, status)


@dataclass(frozen=True)
class _Points:
    """Hinge points in the frame's unit, or why there are none (`points` is None)."""

    points: HingePoints | None
    status: str = OK


def frame_rows(
    sample: Sample,
    measurement: FrameMeasurement,
    *,
    structures: Sequence[Structure],
    anterior_side: str,
    calibration: Calibration | None,
) -> list[CaseRow]:
    """Everything there is to say about one frame.

    Args:
        sample: the frame with its reference labels, on the native grid; labels, spacing and truth may be None.
        measurement: the prediction, measured on the same grid.
        structures: the classes predicted; EPI is added where MYO is among them.
        anterior_side: `left` or `right`, for the reference's hinge points.
        calibration: fitted elsewhere (on validation), or None: then the `_calibrated` rows have no value.

    Returns:
        Rows as the module describes them, `_calibrated_in_sample` excepted (`calibrated_rows` makes those once all
        frames are there). Which rows there are does not depend on what could be measured.

    Raises:
        ValueError: the measurement's grid is not the sample's.
    """
    if measurement.label_map.shape != sample.image.shape:
        raise ValueError(
            f"`measurement` must be on the sample's native grid {sample.image.shape}. "
            f"Received: {measurement.label_map.shape} for {sample.case_id}"
        )
    reference = reference_measurement(sample, anterior_side)
    frame = _Frame(
        sample.case_id,
        sample.patient_id,
        sample.view.value if sample.view else "",
        sample.phase.value if sample.phase else "",
        "px" if sample.spacing_mm is None else "mm",
    )
    rows = _structure_rows(frame, sample, measurement.label_map, structures)
    rows += _hinge_rows(
        frame,
        prediction=_points(measurement, sample.spacing_mm, NO_CONTACT_LINE),
        reference=_points(reference, sample.spacing_mm, NO_REFERENCE_CONTACT_LINE)
        if reference
        else _Points(None, NO_REFERENCE),
        constructed=_Points(_scaled(HingePoints(sample.truth.amvl, sample.truth.pmvl), sample.spacing_mm))
        if sample.truth
        else None,
    )
    rows += calibrated_rows(rows, calibration, suffix=CALIBRATED)
    return rows + _flag_rows(frame, sample, measurement, reference)


def reference_measurement(sample: Sample, anterior_side: str) -> FrameMeasurement | None:
    """The reference labels measured as the prediction is; None for an unlabelled frame."""
    if sample.labels is None:
        return None
    return measure_labels(sample.labels, spacing_mm=sample.spacing_mm, anterior_side=anterior_side, image=sample.image)


def calibration_from_rows(
    rows: Iterable[CaseRow], *, fitted_on: Literal["validation", "in_sample"]
) -> Calibration | None:
    """Fits the systematic error of the hinge points on frames that have been measured.

    Args:
        rows: of any number of frames, as `frame_rows` gives them. Where both mm and px occur, mm is fitted.
        fitted_on: `validation` or `in_sample`.

    Returns:
        The calibration; None where not a single frame has both hinge points and a reference.

    Source: hinge_points paper §3.4 (bias = median error). Deviation: none.
    """
    errors: dict[str, dict[str, list[list[float]]]] = {"mm": {}, "px": {}}  # by unit and subgroup
    for metrics in annulus_rows_by_case(rows).values():
        signed = [metrics[f"{coordinate}_error"] for coordinate in COORDINATES]
        values = [row.value for row in signed if row.value is not None]
        if len(values) == len(COORDINATES):
            errors[signed[0].unit].setdefault(subgroup(signed[0]), []).append(values)
    unit = "mm" if errors["mm"] else "px"
    if not errors[unit]:
        return None
    return fit_calibration(
        {name: np.asarray(series) for name, series in errors[unit].items()}, unit=unit, fitted_on=fitted_on
    )


def in_sample_calibration(rows: Iterable[CaseRow]) -> Calibration | None:
    """The paper's calibration: fitted on the very frames it is then applied to, so it flatters; None for no frame."""
    return calibration_from_rows(rows, fitted_on="in_sample")


def calibrated_rows(rows: Iterable[CaseRow], calibration: Calibration | None, *, suffix: str) -> list[CaseRow]:
    """The hinge points of `rows` once more, with the systematic error taken off the prediction.

    Args:
        rows: of any number of frames, as `frame_rows` gives them.
        calibration: what to subtract; None gives the same rows without values.
        suffix: `CALIBRATED` or `CALIBRATED_IN_SAMPLE`.

    Returns:
        Predicted coordinates, diameter and errors with the suffix, for every frame among `rows`.
    """
    calibrated: list[CaseRow] = []
    for metrics in annulus_rows_by_case(rows).values():
        first = metrics["amvl_row_predicted"]
        frame = _Frame(first.case, first.patient, first.view, first.phase, first.unit)
        prediction = _calibrated_points(_points_from_rows(metrics, "predicted"), calibration, first)
        calibrated += _position_rows(frame, prediction, "predicted" + suffix)
        diameter = metrics["annulus_diameter_reference"]
        calibrated.append(replace(diameter, metric=diameter.metric + suffix))  # unchanged: it completes the pair
        calibrated += _error_rows(frame, prediction, _points_from_rows(metrics, "reference"), suffix)
        if "amvl_row_constructed" in metrics:
            constructed = _points_from_rows(metrics, "constructed")
            calibrated += _error_rows(frame, prediction, constructed, CONSTRUCTED + suffix)
    return calibrated


def patient_rows(frames: Sequence[tuple[Sample, FrameMeasurement]]) -> list[CaseRow]:
    """Volumes and ejection fraction of one patient.

    Args:
        frames: all frames of the patient, each with its prediction, on the native grid. ED and ES of A4C and A2C are
            used; what is missing of them is named in the status.

    Returns:
        `edv`, `esv` (ml) and `ef` (percent), reference and predicted: biplane, then single-plane for each of the two
        views that the patient has; constructed where the truth is known.

    Raises:
        ValueError: no frame, frames of several patients, or a view and phase twice.

    Source: lu_net paper §IV-C (biplane Simpson). Deviation: the single-plane estimates are ours.
    """
    patients = {sample.patient_id for sample, _ in frames}
    if len(patients) != 1:
        raise ValueError(f"`frames` must be of one patient. Received: {', '.join(sorted(patients)) or 'none'}")
    patient = patients.pop()
    planes: dict[str, dict[tuple[View, Phase], ApicalView | str]] = {"reference": {}, "predicted": {}}
    truth: dict[str, float] = {}
    for sample, prediction in frames:
        if sample.truth is not None:
            stated = {"edv": sample.truth.edv_ml, "esv": sample.truth.esv_ml, "ef": sample.truth.ef_percent}
            truth.update({quantity: value for quantity, value in stated.items() if value is not None})
        if sample.view is None or sample.phase is None:
            continue
        key = (sample.view, sample.phase)
        if key in planes["predicted"]:
            raise ValueError(f"`frames` must have each view and phase once. Received: {sample.case_id} twice")
        reference = reference_measurement(sample, "left")  # the side names the points; a volume does not ask
        planes["predicted"][key] = _plane(prediction, sample.spacing_mm, NO_CONTACT_LINE)
        planes["reference"][key] = (
            _plane(reference, sample.spacing_mm, NO_REFERENCE_CONTACT_LINE) if reference else NO_REFERENCE
        )
    rows: list[CaseRow] = []
    for source, by_frame in planes.items():
        rows += _volume_rows(patient, by_frame, VOLUME_VIEWS, "", f"_{source}")
        for view in VOLUME_VIEWS:
            if any(seen == view for seen, _ in by_frame):
                rows += _volume_rows(patient, by_frame, (view,), view.value, f"_{view.value.lower()}_{source}")
    frame = _Frame(patient, patient, "", "", "mm")
    return rows + [frame.row("LV", f"{name}{CONSTRUCTED}", value, VOLUME_UNITS[name]) for name, value in truth.items()]


def annulus_rows_by_case(rows: Iterable[CaseRow]) -> dict[str, dict[str, CaseRow]]:
    """Rows about the hinge points and the annulus: {case: {metric: row}}.

    Raises:
        ValueError: a case has the same metric twice.
    """
    cases: dict[str, dict[str, CaseRow]] = {}
    for row in rows:
        if row.structure == ANNULUS:
            metrics = cases.setdefault(row.case, {})
            if row.metric in metrics:
                raise ValueError(f"`rows` must have each metric of a case once. Received: {row.metric} of {row.case}")
            metrics[row.metric] = row
    return cases


def subgroup(row: CaseRow) -> str:
    """`A4C-ED`; `A4C` where the phase is unknown, `all` where the view is."""
    if not row.view:
        return POOLED
    return f"{row.view}-{row.phase}" if row.phase else row.view


def _structure_rows(
    frame: _Frame, sample: Sample, predicted: npt.NDArray[np.uint8], structures: Sequence[Structure]
) -> list[CaseRow]:
    codes: dict[str, tuple[Structure, ...]] = {s.name: (s,) for s in structures if s is not Structure.BACKGROUND}
    if Structure.LV in structures and Structure.MYO in structures:
        codes[EPI] = (Structure.LV, Structure.MYO)
    rows: list[CaseRow] = []
    for name, members in codes.items():
        if sample.labels is None:
            rows += [frame.failed_row(name, metric, "ratio", NO_REFERENCE) for metric in RATIOS]
            rows += [frame.failed_row(name, metric, frame.unit, NO_REFERENCE) for metric in DISTANCES]
            continue
        reference, prediction = np.isin(sample.labels, members), np.isin(predicted, members)
        counts = overlap.confusion_counts(reference, prediction)
        rows += [frame.row(name, metric, ratio(counts), "ratio") for metric, ratio in RATIOS.items()]
        distances = surface.surface_distances(reference, prediction, sample.spacing_mm or (1.0, 1.0))
        rows += [frame.row(name, metric, distance(distances), frame.unit) for metric, distance in DISTANCES.items()]
    return rows


def _hinge_rows(
    frame: _Frame, *, prediction: _Points, reference: _Points, constructed: _Points | None
) -> list[CaseRow]:
    rows = _position_rows(frame, reference, "reference") + _position_rows(frame, prediction, "predicted")
    rows += _error_rows(frame, prediction, reference, "")
    if constructed is not None:
        rows += _position_rows(frame, constructed, "constructed")
        rows += _error_rows(frame, prediction, constructed, CONSTRUCTED)
        rows += _error_rows(frame, reference, constructed, REFERENCE_VS_CONSTRUCTED)
    return rows


def _position_rows(frame: _Frame, points: _Points, name: str) -> list[CaseRow]:
    """Coordinates and diameter of one pair of hinge points."""
    metrics = (*COORDINATES, "annulus_diameter")
    if points.points is None:
        return [frame.failed_row(ANNULUS, f"{metric}_{name}", frame.unit, points.status) for metric in metrics]
    values = (*points.points.amvl, *points.points.pmvl, math.dist(points.points.amvl, points.points.pmvl))
    return [
        frame.row(ANNULUS, f"{metric}_{name}", value, frame.unit) for metric, value in zip(metrics, values, strict=True)
    ]


def _error_rows(frame: _Frame, points: _Points, target: _Points, suffix: str) -> list[CaseRow]:
    """Signed coordinate errors, Euclidean errors and the error of the diameter: `points` − `target`."""
    coordinates = [f"{coordinate}_error{suffix}" for coordinate in COORDINATES]
    distances = [f"{point}_error{suffix}" for point in POINTS]
    metrics = [*coordinates, *distances, f"annulus_diameter_error{suffix}"]
    if points.points is None or target.points is None:
        status = target.status if target.points is None else points.status
        return [frame.failed_row(ANNULUS, metric, frame.unit, status) for metric in metrics]
    measured, true = points.points, target.points
    amvl = np.subtract(measured.amvl, true.amvl)
    pmvl = np.subtract(measured.pmvl, true.pmvl)
    diameter = math.dist(measured.amvl, measured.pmvl) - math.dist(true.amvl, true.pmvl)
    values = [*amvl, *pmvl, math.hypot(*amvl), math.hypot(*pmvl), diameter]
    return [frame.row(ANNULUS, metric, value, frame.unit) for metric, value in zip(metrics, values, strict=True)]


def _flag_rows(
    frame: _Frame, sample: Sample, measurement: FrameMeasurement, reference: FrameMeasurement | None
) -> list[CaseRow]:
    rows = [frame.row(FRAME, flag, flag in measurement.flags, "flag") for flag in FLAGS]
    if reference is not None:
        rows += [frame.row(FRAME, f"{flag}_reference", flag in reference.flags, "flag") for flag in REFERENCE_FLAGS]
    if sample.truth is not None:
        rows.append(frame.row(FRAME, LA_CUT_CONSTRUCTED, sample.truth.la_cut, "flag"))
    if sample.quality in QUALITY_GRADES:
        rows.append(frame.row(FRAME, "image_quality", QUALITY_GRADES[sample.quality], "grade"))
    return rows


def _points(measurement: FrameMeasurement, spacing_mm: tuple[float, float] | None, failure: str) -> _Points:
    if measurement.hinge_points is None:
        return _Points(None, failure)
    return _Points(_scaled(measurement.hinge_points, spacing_mm))


def _scaled(points: HingePoints, spacing_mm: tuple[float, float] | None) -> HingePoints:
    """Hinge points in mm from the centre of the image's first pixel; in pixels where the pitch is unknown."""
    row, col = spacing_mm or (1.0, 1.0)
    return HingePoints(
        amvl=(points.amvl[0] * row, points.amvl[1] * col), pmvl=(points.pmvl[0] * row, points.pmvl[1] * col)
    )


def _points_from_rows(metrics: Mapping[str, CaseRow], name: str) -> _Points:
    rows = [metrics[f"{coordinate}_{name}"] for coordinate in COORDINATES]
    values = [row.value for row in rows if row.value is not None]
    if len(values) < len(COORDINATES):
        return _Points(None, rows[0].status)
    return _Points(HingePoints(amvl=(values[0], values[1]), pmvl=(values[2], values[3])))


def _calibrated_points(prediction: _Points, calibration: Calibration | None, row: CaseRow) -> _Points:
    if prediction.points is None:
        return prediction
    if calibration is None:
        return _Points(None, NO_CALIBRATION)
    if calibration.unit != row.unit:
        return _Points(None, CALIBRATION_UNIT_DIFFERS)
    # Points in mm are points on a grid of 1 mm pitch.
    spacing_mm = (1.0, 1.0) if row.unit == "mm" else None
    return _Points(calibration.apply(prediction.points, row.view or None, row.phase or None, spacing_mm))


def _plane(measurement: FrameMeasurement, spacing_mm: tuple[float, float] | None, failure: str) -> ApicalView | str:
    """What a volume needs of a frame, or the status that says why it cannot be had."""
    if measurement.hinge_points is None:
        return failure
    if spacing_mm is None:
        return NO_SPACING
    return ApicalView(measurement.label_map, measurement.hinge_points, spacing_mm)


def _volume_rows(
    patient: str,
    planes: Mapping[tuple[View, Phase], ApicalView | str],
    views: Sequence[View],
    view_name: str,
    suffix: str,
) -> list[CaseRow]:
    """EDV, ESV and EF from one view or two."""
    frame = _Frame(patient, patient, view_name, "", "mm")
    edv = _volume_ml(planes, views, Phase.ED)
    esv = _volume_ml(planes, views, Phase.ES)
    rows: list[CaseRow] = []
    for quantity, result in (("edv", edv), ("esv", esv), ("ef", _ejection_fraction(edv, esv))):
        metric, unit = quantity + suffix, VOLUME_UNITS[quantity]
        if isinstance(result, str):
            rows.append(frame.failed_row("LV", metric, unit, result))
        else:
            rows.append(frame.row("LV", metric, result, unit))
    return rows


def _volume_ml(
    planes: Mapping[tuple[View, Phase], ApicalView | str], views: Sequence[View], phase: Phase
) -> float | str:
    """The volume in ml, or the status that says why there is none."""
    missing = [f"{view.value}_{phase.value}" for view in views if (view, phase) not in planes]
    if missing:
        return f"missing_{'+'.join(missing)}"
    found = [planes[view, phase] for view in views]
    usable = [plane for plane in found if isinstance(plane, ApicalView)]
    if len(usable) < len(found):
        return next(plane for plane in found if isinstance(plane, str))
    try:
        return single_plane_ml(usable[0]) if len(usable) == 1 else simpson_biplane_ml(usable[0], usable[1])
    except ValueError:  # the spacing is valid, so it is the ventricle: a pixel or two on the annulus
        return NO_VOLUME


def _ejection_fraction(edv: float | str, esv: float | str) -> float | str:
    """EF in per cent, or the status of what it lacks; both frames' where both are missing."""
    if isinstance(edv, str) or isinstance(esv, str):
        lacking = [status for status in (edv, esv) if isinstance(status, str)]
        if all(status.startswith("missing_") for status in lacking):
            return "missing_" + "+".join(status.removeprefix("missing_") for status in lacking)
        return next(status for status in lacking if not status.startswith("missing_"))
    return ejection_fraction_percent(edv, esv) if edv > 0 else NO_VOLUME
