"""The simulated data set: the CAMUS layout, and `truth.json` beside it for what masks cannot say."""

import hashlib
import json
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from data_pipeline.datasets import camus
from data_pipeline.paths import cache_folder
from data_pipeline.phantom.writer import GENERATOR_VERSION, TRUTH_FILE, PhantomOptions, read_truth, write_phantom
from data_pipeline.readers.image import read_labels
from data_pipeline.sample import Case, FrameTruth, Sample
from shell.errors import UserError
from shell.files import exclusive

load_sample = camus.load_sample


def list_cases(root: Path) -> list[Case]:
    """Every frame below `root`, with its constructed truth.

    Raises:
        UserError: as `camus.list_cases`; no truth file, or one that does not know a frame.
    """
    cases = camus.list_cases(root)
    patients = read_truth(root)["patients"]
    return [replace(case, truth=_frame_truth(case, patients, root)) for case in cases]


def iter_samples(root: Path) -> Iterator[Sample]:
    """All frames below `root`, decoded one at a time."""
    return map(load_sample, list_cases(root))


def read_structures(case: Case) -> npt.NDArray[np.uint8]:
    """(H, W) `Structure` codes of a frame with the right ventricle and the mitral leaflets, which CAMUS does not label.

    Raises:
        UserError: the file is missing or cannot be read.
    """
    return read_labels(case.image_path.with_name(f"{case.case_id}_structures.nii.gz"))[0]


def ensure_default() -> Path:
    """The default data set, made into the user's cache folder when it is not there yet.

    Keyed by the generator's version and the options. Of two processes that start together the second waits; the lock
    is the operating system's and ends with its process, however that ends.
    """
    options = PhantomOptions()
    key = hashlib.sha256(json.dumps([GENERATOR_VERSION, asdict(options)]).encode()).hexdigest()[:12]
    root = cache_folder() / f"phantom-{GENERATOR_VERSION}-{key}"
    root.parent.mkdir(parents=True, exist_ok=True)
    with exclusive(root.with_name(f"{root.name}.lock"), work="simulating this data set"):
        for abandoned in root.parent.glob(f".{root.name}.*"):  # by a process that was killed; it held the lock
            shutil.rmtree(abandoned)
        if not (root / TRUTH_FILE).is_file():
            write_phantom(root, options)
    return root


def _frame_truth(case: Case, patients: Mapping[str, Any], root: Path) -> FrameTruth:
    patient = patients.get(case.patient_id)
    frame = patient["frames"].get(case.case_id) if patient else None
    if patient is None or frame is None:
        raise UserError(f"{root / TRUTH_FILE}: knows nothing of {case.case_id}. Write the data set again.")
    return FrameTruth(
        amvl=tuple(frame["amvl_px"]),
        pmvl=tuple(frame["pmvl_px"]),
        annulus_diameter_mm=frame["annulus_diameter_mm"],
        la_cut=frame["la_cut"],
        edv_ml=patient["edv_ml"],
        esv_ml=patient["esv_ml"],
        ef_percent=patient["ef_percent"],
    )
