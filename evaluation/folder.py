"""An evaluation's folder: what is in it, and how it is measured again from the predictions it holds."""

import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cart.measure import MeasurementSpec
from data_pipeline.sample import Case
from evaluation.bounds import Bounds
from evaluation.calibration import calibrated_rows, in_sample_calibration
from evaluation.corrections import CORRECTED, MASKS
from evaluation.measure import Load
from evaluation.outliers import outlier_rows
from evaluation.rows import CALIBRATED_IN_SAMPLE, CaseRow, write_cases
from evaluation.stored import PICTURES, PREDICTIONS, Json, measure_all
from evaluation.summary import summarise
from shell.errors import UserError
from shell.files import read_json, write_json

MEASUREMENT_FILE, UNREADABLE_FILE, BOUNDS_FILE = "measurement.json", "unreadable.json", "bounds.json"
RUN_FILE = "run.json"
KEPT = ("recipe.json", "history.csv", "environment.json", UNREADABLE_FILE)
"""What stays as it is when an evaluation is measured again."""


def write_measures(
    folder: Path, cases: Sequence[Case], load: Load, *, spec: MeasurementSpec, bounds: Bounds, data: str, split: str
) -> list[CaseRow]:
    """Measures the predictions that are in the folder and writes rows, summary, pictures, and what was in force.

    Args:
        folder: of the evaluation; holds `predictions/`.
        cases: a patient's cases one after the other.
        load: decodes a case.
        spec: how the network's output is measured.
        bounds: what makes a patient an outlier.
        data: the data set, as the user named it.
        split: `train`, `val`, `test` or `all`.

    Returns:
        The rows of cases.csv.
    """
    rows: list[CaseRow] = []
    pictures: list[Json] = []
    for patient in measure_all(cases, load, folder, spec=spec):
        rows += patient.rows
        pictures += patient.pictures
    in_sample = in_sample_calibration(rows)
    rows += calibrated_rows(rows, in_sample, suffix=CALIBRATED_IN_SAMPLE)
    rows += outlier_rows(rows, bounds)
    write_cases(folder / "cases.csv", rows)
    write_json(folder / "summary.json", summarise(rows, data=data, split=split, bounds=bounds))
    write_json(folder / PICTURES / "cases.json", pictures)
    write_json(folder / MEASUREMENT_FILE, spec.to_dict())
    write_json(folder / BOUNDS_FILE, bounds.to_dict())
    in_force = {
        "calibration.json": spec.calibration,
        "calibration_in_sample.json": in_sample,
        "quality.json": spec.quality,
    }
    for name, fitted in in_force.items():
        if fitted is not None:
            write_json(folder / name, fitted.to_dict())
    return rows


def read_folder(folder: Path) -> tuple[dict[str, Any], MeasurementSpec, Bounds]:
    """What an evaluation was made of: run.json, how its network is measured, its bounds.

    Raises:
        UserError: not an evaluation, or one of an older version, which did not keep all that is needed.
    """
    lacking = [name for name in (RUN_FILE, MEASUREMENT_FILE, BOUNDS_FILE) if not (folder / name).is_file()]
    if lacking:
        raise UserError(
            f"{folder}: an evaluation of this version holds {', '.join(lacking)}; evaluate the run anew with --run"
        )
    try:
        spec = MeasurementSpec.from_dict(read_json(folder / MEASUREMENT_FILE))
        bounds = Bounds.from_dict(read_json(folder / BOUNDS_FILE))
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"{folder}: damaged ({error}); evaluate the run anew with --run") from error
    return dict(read_json(folder / RUN_FILE)), spec, bounds


def copy_kept(before: Path, folder: Path) -> None:
    """Takes over what does not change when an evaluation is measured again; predictions as links where possible."""
    for name in KEPT:
        if (before / name).is_file():
            shutil.copyfile(before / name, folder / name)
    for name in (PREDICTIONS, CORRECTED, MASKS):
        if (before / name).is_dir():
            shutil.copytree(before / name, folder / name, copy_function=_linked)


def _linked(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:  # another file system, or one without links
        shutil.copyfile(source, target)
