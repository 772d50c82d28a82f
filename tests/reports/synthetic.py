"""Evaluation folders made of known figures, in the very format that evaluate.py writes."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np

from cart.overlay import draw_overlay
from evaluation.calibration import calibrated_rows, in_sample_calibration
from evaluation.rows import CALIBRATED, CALIBRATED_IN_SAMPLE, CaseRow, write_cases
from evaluation.summary import summarise
from postprocessing.calibration import COORDINATES, Calibration, fit_calibration
from postprocessing.hinge_points import HingePoints
from shell.files import write_json

Four = tuple[float, float, float, float]
"""amvl_row, amvl_col, pmvl_row, pmvl_col."""

HINGE_POINTS_RECIPE = {"name": "hinge_points", "model": "unet_vgg16", "epochs": 50, "classes": ["LV"]}

VIEW_NAMES = {"A4C": "4CH", "A2C": "2CH", "A3C": "3CH", "": ""}
BOX_ERRORS = ("row_centre_error", "col_centre_error", "height_error", "width_error")
METRICS = ("dice", "iou", "cpa", "sensitivity", "specificity", "pixel_accuracy")


@dataclass(frozen=True)
class Frame:
    """One frame's figures. None for points that could not be found; `dice` gives the other overlaps too.

    `box` is the IOU, the errors of centre (row, col), height and width, and whether it cuts the reference; `first` the
    Dice of a first segmentation; `not_found` the status of a network that finds no hinge points.
    """

    patient: str
    view: str
    phase: str
    reference: Four | None
    predicted: Four | None
    constructed: Four | None = None
    dice: Mapping[str, float | None] = field(default_factory=lambda: {"LV": 0.9, "MYO": 0.8, "LA": 0.85, "EPI": 0.95})
    unit: str = "mm"
    la_cut: bool = False
    box: tuple[float, float, float, float, float, bool] | None = None
    first: Mapping[str, float] = field(default_factory=dict)
    not_found: str = ""
    oracle_margin: float | None = None

    @property
    def case(self) -> str:
        return "_".join(part for part in (self.patient, VIEW_NAMES[self.view], self.phase) if part)


def frame_rows(frame: Frame) -> list[CaseRow]:
    """The rows that evaluation/rows.py documents, uncalibrated."""

    def row(structure: str, metric: str, value: float | None, unit: str, status: str) -> CaseRow:
        status = "ok" if value is not None else status
        return CaseRow(frame.case, frame.patient, frame.view, frame.phase, structure, metric, value, unit, status)

    rows = []
    for structure, dice in frame.dice.items():
        values = [None] * 6 if dice is None else [dice, dice / (2 - dice), dice, dice, 0.99, 0.98]
        rows += [row(structure, m, v, "ratio", "undefined") for m, v in zip(METRICS, values, strict=True)]
        distances = {"mean_absolute_distance": 1.5, "hausdorff": 5.0, "hausdorff95": 4.0}
        rows += [row(structure, m, None if dice is None else v, frame.unit, "undefined") for m, v in distances.items()]
        near = None if dice is None or frame.unit != "mm" else 0.9
        rows.append(row(structure, "surface_dice", near, "ratio", "undefined" if frame.unit == "mm" else "no_spacing"))
    for structure, dice in frame.first.items():
        rows.append(row(structure, "dice_first", dice, "ratio", ""))
        rows.append(row(structure, "mean_absolute_distance_first", 2.5, frame.unit, ""))
        rows.append(row(structure, "hausdorff_first", 7.0, frame.unit, ""))
    if frame.dice:
        rows.append(row("FRAME", "pixel_accuracy", 0.98, "ratio", ""))
    if frame.box is not None:
        units = {"iou": "ratio", **dict.fromkeys(BOX_ERRORS, frame.unit), "out": "flag"}
        for (metric, unit), value in zip(units.items(), frame.box, strict=True):
            rows.append(row("BOX", f"box_{metric}", float(value), unit, ""))
    if frame.oracle_margin is not None:
        rows.append(row("FRAME", "oracle_margin", frame.oracle_margin, "ratio", ""))
    positions = {"reference": frame.reference, "predicted": frame.predicted}
    comparisons = {"": ("predicted", "reference")}
    if frame.constructed is not None:
        positions["constructed"] = frame.constructed
        comparisons["_constructed"] = ("predicted", "constructed")
        comparisons["_reference_vs_constructed"] = ("reference", "constructed")
    missing = {"predicted": "no_contact_line", "reference": "no_reference_contact_line", "constructed": ""}
    if frame.not_found:
        missing = dict.fromkeys(missing, frame.not_found)
    for name, points in positions.items():
        values = (
            [None] * 5 if points is None else [*points, float(np.hypot(points[2] - points[0], points[3] - points[1]))]
        )
        names = [f"{c}_{name}" for c in (*COORDINATES, "annulus_diameter")]
        rows += [row("ANNULUS", m, v, frame.unit, missing[name]) for m, v in zip(names, values, strict=True)]
    for suffix, (measured, target) in comparisons.items():
        names = [*(f"{c}_error" for c in COORDINATES), "amvl_error", "pmvl_error", "annulus_diameter_error"]
        a, b = positions[measured], positions[target]
        values: list[float | None] = [None] * 7
        if a is not None and b is not None:
            e = [x - y for x, y in zip(a, b, strict=True)]
            diameters = [np.hypot(p[2] - p[0], p[3] - p[1]) for p in (a, b)]
            values = [*e, float(np.hypot(e[0], e[1])), float(np.hypot(e[2], e[3])), float(diameters[0] - diameters[1])]
        status = missing[target] if b is None else missing[measured]
        rows += [row("ANNULUS", m + suffix, v, frame.unit, status) for m, v in zip(names, values, strict=True)]
    rows.append(row("FRAME", "la_cut_by_sector", float(frame.la_cut), "flag", ""))
    return rows


def volume_rows(patient: str, edv: tuple[float, float], esv: tuple[float, float]) -> list[CaseRow]:
    """Biplane volumes, (reference, predicted), and the ejection fraction that follows."""
    rows = []
    for at, source in enumerate(("reference", "predicted")):
        ef = 100 * (edv[at] - esv[at]) / edv[at]
        for metric, value, unit in (("edv", edv[at], "ml"), ("esv", esv[at], "ml"), ("ef", ef, "percent")):
            rows.append(CaseRow(patient, patient, "", "", "LV", f"{metric}_{source}", value, unit, "ok"))
    return rows


def write_evaluation(
    folder: Path,
    frames: Sequence[Frame],
    *,
    volumes: Sequence[CaseRow] = (),
    calibration: Calibration | None = None,
    data: str = "phantom",
    split: str = "test",
    extras: bool = True,
    recipe: Mapping[str, object] = HINGE_POINTS_RECIPE,
) -> Path:
    """Writes an evaluation folder; `extras` adds history, recipe, environment, run and overlays."""
    rows = [row for frame in frames for row in frame_rows(frame)]
    rows += calibrated_rows(rows, calibration, suffix=CALIBRATED)
    rows += calibrated_rows(
        [r for r in rows if not r.metric.endswith(CALIBRATED)], in_sample_calibration(rows), suffix=CALIBRATED_IN_SAMPLE
    )
    rows += volumes
    write_cases(folder / "cases.csv", rows)
    write_json(folder / "summary.json", summarise(rows, data=data, split=split))
    if calibration is not None:
        write_json(folder / "calibration.json", calibration.to_dict())
    if extras:
        _write_extras(folder, frames, data, split, recipe)
    return folder


def calibration_of(bias: Four, unit: str = "mm") -> Calibration:
    """The same bias in every subgroup, as if fitted on six validation frames each."""
    groups = ("A4C-ED", "A4C-ES", "A2C-ED", "A2C-ES")
    return fit_calibration({group: np.tile(bias, (6, 1)) for group in groups}, unit, "validation")


def many_frames(patients: int = 40, seed: int = 1) -> list[Frame]:
    """Random but plausible frames: A4C-ES biased inwards, some off-centre, one failure of each kind."""
    random = np.random.default_rng(seed)
    frames = []
    for patient in range(patients):
        centre, size = random.normal((95, 60), (6, 5)), random.normal(30, 3)
        for view in ("A4C", "A2C"):
            cut = view == "A4C" and patient % 6 == 0
            shift = 18 if cut else 0
            for phase in ("ED", "ES"):
                half = size / 2 * (0.9 if phase == "ES" else 1.0)
                constructed = np.array([centre[0], centre[1] - half, centre[0] + 1.5, centre[1] + half])
                constructed += [shift, -shift, shift, -shift]
                reference = constructed + random.normal(0, 0.3, 4)
                inward = 1.4 if (view, phase) == ("A4C", "ES") else 0.2
                spread = [0.9, 1.6, 0.9, 1.6] if not cut else [1.8, 3.5, 1.8, 3.5]
                predicted = reference + [0.5, 0.3 + inward, 0.5, 0.3 - inward] + random.standard_t(5, 4) * spread
                dice = {"LV": 0.93, "MYO": 0.86, "LA": 0.89 - 0.08 * cut, "EPI": 0.95}
                frames.append(
                    Frame(
                        f"patient{patient + 1:04d}",
                        view,
                        phase,
                        None if (patient, view, phase) == (3, "A2C", "ED") else tuple(reference),
                        None if (patient, view, phase) in ((7, "A4C", "ES"), (8, "A2C", "ED")) else tuple(predicted),
                        tuple(constructed),
                        {s: float(np.clip(d - abs(random.normal(0, 0.03)), 0, 1)) for s, d in dice.items()},
                        la_cut=cut,
                    )
                )
    return frames


def many_volumes(patients: int = 40, seed: int = 2) -> list[CaseRow]:
    random = np.random.default_rng(seed)
    rows: list[CaseRow] = []
    for patient in range(patients):
        edv, ef = random.normal(110, 25), random.uniform(0.35, 0.65)
        predicted = edv + random.normal(-3, 8)
        esv = edv * (1 - ef)
        rows += volume_rows(f"patient{patient + 1:04d}", (edv, predicted), (esv, esv + random.normal(1, 5)))
    return rows


def drawn_frame(height: int = 180, width: int = 150, shift: int = 0) -> np.ndarray:
    """A picture of drawn_labels with hinge points on it, pixels 0.8 × 0.6 mm."""
    random = np.random.default_rng(3)
    rows, cols = np.mgrid[:height, :width]
    sector = np.abs(np.arctan2(cols - width / 2, rows + 5)) < 0.6
    image = (random.gamma(2.0, 25.0, (height, width)) * sector).astype(np.float32)
    reference, prediction = drawn_labels(height, width, 0), drawn_labels(height, width, shift)
    base, left, right = round(0.6 * height) - 0.5, width * 0.38, width * 0.62
    line = np.stack([np.full(20, base), np.linspace(left + shift, right + shift, 20)], axis=1)
    return draw_overlay(
        np.where(prediction == 1, image * 0.3, image),
        prediction,
        reference=reference,
        contact_line=line,
        hinge_points=HingePoints((base, left + shift), (base, right + shift)),
        reference_hinge_points=HingePoints((base, left), (base, right)),
        diameter_text="31.4 mm",
        spacing_mm=(0.8, 0.6),
    )


def drawn_labels(height: int, width: int, shift: int) -> np.ndarray:
    """LV over LA, meeting in a level line at 60 % of the height, myocardium around the LV."""
    labels = np.zeros((height, width), np.uint8)
    base, middle = round(0.6 * height), round(width / 2) + shift
    axes = (round(width * 0.18), round(height * 0.42))
    for code, extra in ((2, round(width * 0.07)), (1, 0)):
        cv2.ellipse(labels, (middle, base), (axes[0] + extra, axes[1] + extra), 0, 180, 360, code, cv2.FILLED)
    labels[base:] = 0
    cv2.ellipse(labels, (middle, base), (round(width * 0.15), round(height * 0.22)), 0, 0, 180, 3, cv2.FILLED)
    labels[:base][labels[:base] == 3] = 1
    return labels


def _write_extras(folder: Path, frames: Sequence[Frame], data: str, split: str, recipe: Mapping[str, object]) -> None:
    epochs = range(1, 51)
    lines = ["epoch,loss,val_loss,val_dice_LV,val_dice_MYO,val_dice_LA,val_iou,learning_rate,seconds"]
    for e in epochs:
        dice = f"{0.93 - 0.4 / e},{0.86 - 0.5 / e},{0.89 - 0.6 / e}" if frames and frames[0].dice else ",,"
        iou = 0.9 - 0.3 / e if frames and frames[0].box else ""
        lines.append(f"{e},{1 / e},{1.1 / e},{dice},{iou},0.001,3.2")
    (folder / "history.csv").write_text("\n".join(lines) + "\n")
    write_json(folder / "recipe.json", recipe)
    write_json(folder / "environment.json", {"command": "python train.py", "packages": {"keras": "3"}, "seed": 0})
    write_json(
        folder / "run.json",
        {
            "command": "python evaluate.py --run runs/first",
            "model": recipe["model"],
            "data": data,
            "data_digest": "0123456789abcdef",
            "trained_on": data,
            "split": split,
            "created": "2026-01-01T12:00:00+00:00",
            "n_cases": len(frames),
        },
    )
    overlays = folder / "overlays"
    overlays.mkdir(exist_ok=True)
    entries = []
    for kind, frame, shift in zip(("best", "median", "worst"), frames, (1, 3, 9), strict=False):
        cv2.imwrite(str(overlays / f"{frame.case}.png"), drawn_frame(shift=shift)[:, :, ::-1])
        caption = f"{frame.case}: mean hinge-point error {shift * 0.6:.1f} mm"
        entries.append(
            {"case": frame.case, "file": f"{frame.case}.png", "kind": kind, "caption": caption, "hinge_error_mm": 0.6}
        )
    (overlays / "overlays.json").write_text(json.dumps(entries))
