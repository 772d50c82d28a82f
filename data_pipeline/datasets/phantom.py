"""The simulated data set: the CAMUS layout, and `truth.json` beside it for what masks cannot say.

A frame has two masks. `…_gt.nii.gz` is what an expert traces on CAMUS: leaflets and papillary muscles belong to the
cavity. `…_structures.nii.gz` has the right ventricle and the mitral leaflets besides, painted over it.
"""

import hashlib
import json
import multiprocessing
import shutil
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from data_pipeline.datasets import camus
from data_pipeline.paths import cache_folder
from data_pipeline.phantom.writer import APICAL_VIEWS, TRUTH_FILE, PhantomOptions, read_truth, write_phantom
from data_pipeline.readers.image import read_labels
from data_pipeline.sample import Case, FrameTruth, Sample, Structure
from postprocessing.valve import valve_as_blood
from shell.errors import UsageError, UserError
from shell.files import exclusive

STRUCTURE_CODES: Mapping[int, Structure] = {structure.value: structure for structure in Structure}
"""The codes of a `…_structures.nii.gz`: the project's own."""

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


def with_structures(cases: Iterable[Case]) -> list[Case]:
    """The same frames with `…_structures.nii.gz` as their mask, for `load_structures`."""
    return [replace(case, label_path=_structures_path(case)) for case in cases]


def load_structures(case: Case) -> Sample:
    """Decodes one frame of `with_structures`: labels with the right ventricle and the mitral leaflets.

    Raises:
        UserError: as `camus.read_sample`.
    """
    return camus.read_sample(case, STRUCTURE_CODES)


def load_right_ventricle(case: Case) -> Sample:
    """As `load_structures`, but the leaflets are blood of the nearer cavity: for networks without a class for them.

    Raises:
        UserError: as `camus.read_sample`.
    """
    sample = load_structures(case)
    assert sample.labels is not None
    return replace(sample, labels=valve_as_blood(sample.labels))


def read_structures(case: Case) -> npt.NDArray[np.uint8]:
    """(H, W) `Structure` codes of a frame with the right ventricle and the mitral leaflets, which CAMUS does not label.

    Raises:
        UserError: the file is missing or cannot be read.
    """
    return read_labels(_structures_path(case))[0]


def options_from(values: Mapping[str, str]) -> PhantomOptions:
    """What `phantom?views=A2C,A3C,A4C&patients=40&seed=7` asks for; what is not named is as in the default set.

    Raises:
        UsageError: an unknown view, a number that is none, or one that `PhantomOptions` refuses.
    """
    changes: dict[str, Any] = {}
    for name, value in values.items():
        if name == "views":
            asked = [view.strip().upper() for view in value.split(",")]
            if unknown := [view for view in asked if view not in APICAL_VIEWS]:
                raise UsageError(f"`views` must be among A2C, A3C, A4C. Received: {', '.join(unknown)}")
            found = {APICAL_VIEWS[view] for view in asked}
            changes[name] = tuple(sorted(found))
        else:
            try:
                changes[name] = int(value)
            except ValueError:
                raise UsageError(f"`{name}` must be a whole number. Received: {value!r}") from None
    return replace(PhantomOptions(), **changes)


def ensure_made(options: PhantomOptions) -> Path:
    """The data set of these options, made into the user's cache folder when it is not there yet.

    Keyed by the generator's version and the options. Of two processes that start together the second waits; the lock
    is the operating system's and ends with its process, however that ends.
    """
    version = options.generator_version
    key = hashlib.sha256(json.dumps([version, asdict(options)]).encode()).hexdigest()[:12]
    root = cache_folder() / f"phantom-{version}-{key}"
    if getattr(multiprocessing.current_process(), "_inheriting", False) and not (root / TRUTH_FILE).is_file():
        # a worker first imports the script that started it; if that comes here too, both wait for each other
        raise UserError(
            f"{root}: made by worker processes, which import your script first; "
            'put what the script runs below `if __name__ == "__main__":`'
        )
    root.parent.mkdir(parents=True, exist_ok=True)
    with exclusive(root.with_name(f"{root.name}.lock"), work="simulating this data set"):
        for abandoned in root.parent.glob(f".{root.name}.*"):  # by a process that was killed; it held the lock
            shutil.rmtree(abandoned)
        if not (root / TRUTH_FILE).is_file():
            write_phantom(root, options)
    return root


def _structures_path(case: Case) -> Path:
    return case.image_path.with_name(f"{case.case_id}_structures.nii.gz")


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
