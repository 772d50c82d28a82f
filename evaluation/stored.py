"""From stored predictions to rows and pictures, a patient at a time, in as many processes as there are cores."""

import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import Any

import cv2

from cart.augmented import tta_spread
from cart.measure import MeasurementSpec, Predictor
from data_pipeline.sample import Case, Sample
from evaluation.boxes import reference_box
from evaluation.corrections import read_corrections
from evaluation.frames import reference_measurement
from evaluation.measure import Load, predict_frame, rows_of_patient, unreadable_rows
from evaluation.pictures import case_entry
from evaluation.predictions import Prediction, load_prediction, save_prediction
from evaluation.quality import TTA_SPREAD
from evaluation.rows import CaseRow
from shell.errors import UserError
from shell.progress import progress

PREDICTIONS, PICTURES = "predictions", "cases"
"""Folders within an evaluation's."""

WORTH_A_POOL = 100
"""Fewer frames are measured before the processes of a pool have started."""
MOST_WORKERS = 8
TTA_SEED = 0

Json = dict[str, Any]


@dataclass(frozen=True)
class Patient:
    """What there is of one patient.

    Attributes:
        rows: of its frames and of its volumes.
        pictures: `case_entry` of each frame that could be read.
    """

    rows: tuple[CaseRow, ...]
    pictures: tuple[Json, ...]


def predict_all(
    cases: Sequence[Case], load: Load, folder: Path, *, predictor: Predictor, spec: MeasurementSpec, tta: int = 0
) -> dict[str, str]:
    """Asks the network about every case and stores what it says.

    Args:
        cases: what to measure.
        load: decodes a case.
        folder: of the evaluation.
        predictor: the network.
        spec: how its output is measured.
        tta: changed copies of each frame to measure too, for the spread of its hinge points.

    Returns:
        The cases that could not be read, and why: a case's files are the user's, so one that is spoilt is said and
        counted and the others are measured.

    Raises:
        UserError: as `predict_frame` and, where it is asked for, `tta_spread`.
    """
    unreadable: dict[str, str] = {}
    for case in progress(cases, label="predicting", unit="frames"):
        try:
            sample = load(case)
        except UserError as error:
            unreadable[case.case_id] = str(error)
            continue
        prediction = predict_frame(sample, predictor=predictor, spec=spec)
        if tta:
            spread = tta_spread(sample.image, predictor, spec, tta, TTA_SEED, spacing_mm=sample.spacing_mm)
            prediction = replace(prediction, about={**prediction.about, TTA_SPREAD: spread})
        save_prediction(folder / PREDICTIONS / f"{case.case_id}.npz", prediction)
    return unreadable


def measure_all(
    cases: Sequence[Case], load: Load, folder: Path, *, spec: MeasurementSpec, workers: int | None = None
) -> Iterator[Patient]:
    """Measures stored predictions and draws their pictures, patient after patient in the order of `cases`.

    Args:
        cases: a patient's cases one after the other; one without a stored prediction counts as unreadable.
        load: decodes a case; goes to the workers, so it must be a module's function or a plain object.
        folder: of the evaluation, holding the predictions; the pictures go there.
        spec: how the network's output is measured.
        workers: processes; None: as many as there are cores, one for few frames.

    Raises:
        UserError: a damaged prediction.
    """
    patients = [list(group) for _, group in groupby(cases, key=lambda case: case.patient_id)]
    measure = _Measure(load, folder, spec)
    if workers is None:
        workers = min(len(os.sched_getaffinity(0)), MOST_WORKERS) if len(cases) >= WORTH_A_POOL else 1
    shown = _shown(patients, len(cases))
    if workers == 1:
        for group in shown:
            yield measure(group)
        return
    context = multiprocessing.get_context("spawn")  # a forked child would inherit the threads of TensorFlow
    with ProcessPoolExecutor(workers, mp_context=context, initializer=_one_thread) as pool:
        try:
            for _, patient in zip(shown, pool.map(measure, patients, chunksize=4), strict=True):
                yield patient
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _shown(patients: Sequence[list[Case]], frames: int) -> Iterator[list[Case]]:
    yield from progress(patients, label=f"measuring {frames} frames", unit="patients")


def _one_thread() -> None:
    """In a worker: OpenCV must not start threads of its own, the cores are taken."""
    cv2.setNumThreads(1)


@dataclass(frozen=True)
class _Measure:
    """Measures one patient; a plain object, so that it reaches a worker."""

    load: Callable[[Case], Sample]
    folder: Path
    spec: MeasurementSpec

    def __call__(self, cases: Sequence[Case]) -> Patient:
        unreadable: list[Case] = []
        pictures: list[Json] = []
        read: list[tuple[Sample, Prediction]] = []
        for case in cases:
            path = self.folder / PREDICTIONS / f"{case.case_id}.npz"
            if not path.is_file():
                unreadable.append(case)
                continue
            sample, prediction = self.load(case), load_prediction(path)
            read.append((sample, prediction))
            pictures.append(self._picture(sample, prediction))
        rows = [row for case in unreadable for row in unreadable_rows(case, self.spec)]
        corrected = read_corrections(self.folder, [sample.case_id for sample, _ in read])
        rows += rows_of_patient(read, self.spec, corrected=corrected, unreadable=unreadable)
        return Patient(tuple(rows), tuple(pictures))

    def _picture(self, sample: Sample, prediction: Prediction) -> Json:
        side = None if sample.view is None else self.spec.anterior_sides.get(sample.view)
        reference = None
        if self.spec.finds_hinge_points and side is not None:
            reference = reference_measurement(sample, side)
        return case_entry(
            sample,
            prediction,
            reference,
            self.folder / PICTURES,
            structures=self.spec.structures,
            reference_box=reference_box(sample, self.spec),
        )
