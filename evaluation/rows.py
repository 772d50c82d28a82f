"""One row per measurement: everything an evaluation knows about a frame and about a patient, in one tidy table.

Frames (`frames.py`). `structure` is LV, MYO, LA, EPI (= LV ∪ MYO) …, or one of three names that are no structures:

- of each structure: `dice iou cpa sensitivity specificity pixel_accuracy` (ratio), `mean_absolute_distance hausdorff
  hausdorff95`, `surface_dice` at 2 mm (ratio; `no_spacing` where the pixel pitch is unknown);
  of a network that segments twice (lu_net) the same of its first segmentation with the suffix `_first`. A network that
  outlines nothing has none of these rows;
- of LV, EPI, LA, RV: `simplicity convexity` and, of the reference, `simplicity_reference convexity_reference` (ratio);
- `QUALITY`, of a network that finds hinge points (`quality.py`): the features, `score`, `expected_error`, `abstained`,
  `tta_spread` where it was asked for; of `ANNULUS` `annulus_diameter_lower annulus_diameter_upper`, the 90 % interval;
- `BOX`, of a network that locates (`boxes.py`): `box_iou` (ratio) and the signed errors `box_row_centre_error
  box_col_centre_error box_height_error box_width_error` against the reference's box with the margin that was taught;
  `box_out` (flag): 1 where the box does not wholly enclose the reference;
- `ANNULUS`: coordinates `{amvl,pmvl}_{row,col}_{reference,predicted}`, signed errors `{amvl,pmvl}_{row,col}_error`
  (prediction − reference), Euclidean `amvl_error pmvl_error`, `annulus_diameter_{reference,predicted,error}`; the
  same of the calibrated prediction with `_calibrated` (calibration fitted elsewhere: on validation) and
  `_calibrated_in_sample` (fitted on these very frames, as the paper does);
- for frames whose truth is known by construction: `…_constructed` coordinates and diameter,
  `…_error_constructed` (prediction − constructed) with the same calibrated suffixes, and
  `…_error_reference_vs_constructed`: how far the mask-derived reference is itself from the truth;
- `FRAME`: `pixel_accuracy`, the share of all pixels that have the right class; flags (unit `flag`, 1 or 0);
  `image_quality` (unit `grade`, Poor 1, Medium 2, Good 3); `oracle_margin` where the frame was cropped to the box of
  its reference before the network saw it: the margin of that box.

Patients (`patients.py`); `case` is the patient.

- LV: `{edv,esv,ef}_{reference,predicted,constructed}` (biplane), and `{edv,esv,ef}_{a4c,a2c}_{reference,predicted}`,
  the single-plane estimates that stand in where a view is missing;
- LA, of a network that outlines it: `lav_{ed,es}_{reference,predicted}` (biplane area–length), `lav_discs_{ed,es}_…`
  (biplane discs), `lav_{a4c,a2c}_{ed,es}_…` (area–length of one view), and `la_cut_by_sector_{ed,es}_…` (flag): 1 where
  the sector cuts the atrium of either view, so that its volume is too small;
- OUTLIER (`outliers.py`): `geometric`, `anatomical` and what they are made of (flags), or why a patient is not judged.

Short-axis slices (`short_axis.py`); a slice, `patient001_SAX_ED_s03`, is a frame and has a frame's rows, and besides

- `SLICE`, by its reference: `level` (grade: base 1, mid 2, apex 3), `myocardium_share` (ratio: of the LV's contour,
  what lies in the myocardium), `basal_50 basal_100` (flags: the cmr_dense_unet paper's criteria, share ≥ 50 % and
  = 100 %); status `no_lv_in_reference` where there is none. `corrected` (flag): outlines changed by hand.

Volumes, that is a patient's slices of one phase; `case` is `patient001_SAX_ED`. Every metric ends in `_volume`, so that
no mean over frames takes a volume for one:

- of each structure `dice_volume iou_volume cpa_volume sensitivity_volume` (ratio) of all voxels;
  `mean_absolute_distance_volume hausdorff_volume hausdorff95_volume` (mm) of the surfaces in three dimensions;
  `hausdorff_in_plane_volume`, `hausdorff_in_plane_median_volume` (mm): the largest and the median of the slices'
  `hausdorff`, of those where both masks have the structure;
- `dice_volume_50 sensitivity_volume_50 hausdorff_volume_50` and `…_100`: the same without the slices that do not meet
  the criterion; those without LV in the reference stay.

Patients with short-axis slices: of LV and RV `{edv,esv,ef}_{reference,predicted}` (ml, percent) by summation of slices;
of MYO `{mass_ed,mass_es}_{reference,predicted}` (g); `PATIENT`: `diagnosis_DCM` (flag, 1): the data set's word for the
patient. What `--corrected` adds: the frames' and the volumes' rows again with the suffix `_corrected`, and of the
patient `edv_corrected`, …, `mass_es_corrected`; where nothing was corrected they are the prediction's.

Lengths are in mm where the pixel pitch is known and in px where it is not; `unit` says which.
`status` is `ok`, or says why `value` is empty; no row is left out because its measurement failed.
"""

import csv
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path

from postprocessing.calibration import POOLED
from shell.errors import UserError
from shell.files import atomic_path

OK = "ok"
UNDEFINED = "undefined"
"""The metric has no value for this frame (metrics/__init__.py), e.g. the Dice of two empty masks."""
NO_CONTACT_LINE = "no_contact_line"
NO_REFERENCE_CONTACT_LINE = "no_reference_contact_line"
NO_REFERENCE = "no_reference"
"""The frame has no reference labels."""
NO_LA_CLASS = "no_la_class"
"""The network has no class for LV or LA: hinge points are not its to find."""
NO_SEGMENTATION = "no_segmentation"
"""The network locates without outlining anything."""
UNREADABLE = "unreadable"
"""A file of the frame cannot be read, or its mask does not fit its image."""
UNKNOWN_ORIENTATION = "unknown_orientation"
"""The frame's view is unknown, or has no entry in the orientation table: which hinge point is the anterior one is not
known."""
NOT_FOUND_BY_NETWORK = (NO_LA_CLASS, NO_SEGMENTATION)
"""Statuses of what a network is not made for, so that it is no failure of the frame."""
NO_REFERENCE_BOX = "no_reference_box"
"""The reference has none of the structures that the box is around."""
NO_SPACING = "no_spacing"
"""A volume needs millimetres and the pixel pitch is unknown."""
NO_VOLUME = "no_volume"
"""The chamber has no extent to take a volume of."""
SEVERAL_FRAMES = "several_frames"
"""The patient has several frames of one view and phase, so which of them a volume is of is not known."""
SLICES_DIFFER = "slices_differ"
"""The slices of a volume differ in size, pixel pitch or distance, so that they are no stack."""
NO_LV_IN_REFERENCE = "no_lv_in_reference"
"""The reference of a slice shows no left ventricle, as beyond base and apex: the slice is of no level."""
NO_CALIBRATION = "no_calibration"
"""None was given, or there was no frame to fit it on."""
CALIBRATION_UNIT_DIFFERS = "calibration_unit_differs"
"""The calibration was fitted in mm and this frame is in px, or the other way round."""

ANNULUS = "ANNULUS"
FRAME = "FRAME"
BOX = "BOX"
EPI = "EPI"
SLICE, PATIENT = "SLICE", "PATIENT"
DIAGNOSIS = "diagnosis_"
"""Begins the metric that says which diagnosis a patient has."""

FIRST = "_first"
"""Suffix of the metrics of a network's first segmentation."""
VOLUME = "_volume"
"""Suffix of the metrics of a stack of slices."""
CORRECTED = "_corrected"
"""Suffix of what is measured of outlines that a physician corrected."""
CALIBRATED = "_calibrated"
CALIBRATED_IN_SAMPLE = "_calibrated_in_sample"
CONSTRUCTED = "_constructed"
REFERENCE_VS_CONSTRUCTED = "_reference_vs_constructed"


@dataclass(frozen=True)
class CaseRow:
    """One measurement of one case: a line of cases.csv.

    Attributes:
        case: `patient0001_4CH_ED`; for measurements of a patient, the patient.
        patient: `patient0001`.
        view, phase: `A4C`, `ED`; empty where unknown or where the row is about the patient.
        structure, metric: what was measured (see the module).
        value: finite, or None where `status` is not `ok`.
        unit: `ratio`, `mm`, `px`, `ml`, `g`, `percent`, `count`, `flag` or `grade`.
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


@dataclass(frozen=True)
class Subject:
    """What the rows of a frame, or of a patient, have in common."""

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


def _row_from_cells(path: Path, number: int, cells: Mapping[str, str | None]) -> CaseRow:
    texts = {column: text for column in COLUMNS if (text := cells[column]) is not None}
    if len(texts) < len(COLUMNS):
        raise UserError(f"{path}, line {number}: cut off after {len(texts)} columns; run evaluate.py again")
    try:
        value = float(texts["value"]) if texts["value"] else None
        return CaseRow(**{**texts, "value": value})  # type: ignore[arg-type]  # every other column is text
    except ValueError as error:
        raise UserError(f"{path}, line {number}: {error}; run evaluate.py again") from error
