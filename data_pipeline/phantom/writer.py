"""Writes a simulated data set in the CAMUS layout, with the truth beside it.

Below the root:

- `patient0001/patient0001_4CH_ED.nii.gz` and `_gt.nii.gz`, CAMUS codes (1 LV, 2 MYO, 3 LA): what any reader of CAMUS
  reads. Leaflets and papillary muscles belong to the cavity there, as experts trace them.
- `patient0001_4CH_ED_structures.nii.gz`: the same frame with every structure, in the codes of
  `data_pipeline.sample.Structure` (4 RV and 5 MV besides). A file of its own, because leaflets painted over the cavity
  would tear the border of LV and LA that the hinge points are read from, and CAMUS has no code for them.
- `patient0001_4CH_half_sequence.nii.gz` and `_gt` with `sequences`, (W, H, T).
- `Info_4CH.cfg`, as in the NIfTI release.
- `truth.json`: parameters of the data set, constructed volumes of each patient, hinge points of each frame.
"""

import gzip
import io
import multiprocessing
import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import cv2
import nibabel
import numpy as np
import numpy.typing as npt

from data_pipeline.phantom.motion import SYSTOLE_SHARE
from data_pipeline.phantom.patient import Frame, Patient, annulus_diameter_mm, draw_patient, simulate_view
from data_pipeline.sample import Phase, View, case_id
from shell.errors import UsageError, UserError
from shell.files import atomic_folder, read_json, write_json
from shell.progress import progress

VERSIONS: Mapping[View, str] = {View.A2C: "1.3", View.A3C: "1.4", View.A4C: "1.3"}
"""Of each view, raised with every change that alters a pixel or a number of it: what changes one view leaves data sets
without it as they are. The highest of a data set's views is part of its cache key."""
APICAL_VIEWS: Mapping[str, View] = {name: view for view in VERSIONS for name in (view.value, view.camus_name)}
"""Names of the views that there are: A2C or 2CH, …"""
TRUTH_FILE = "truth.json"
TRUTH_FORMAT = 1
MAX_PATIENTS = 9999  # four digits in a patient's name
CYCLES: Mapping[Phase, float] = {Phase.ED: 0.0, Phase.ES: SYSTOLE_SHARE}


@dataclass(frozen=True)
class PhantomOptions:
    """What a simulated data set is made with; the same options give the same files.

    Attributes:
        patients: how many.
        seed: of everything that is drawn.
        views: any of A2C, A3C, A4C.
        sequences: also write the half beat.
        off_centre_share: share of views centred on the ventricle, the atrium cut off (hinge-point paper §4.4).
    """

    patients: int = 120
    seed: int = 2026
    views: tuple[View, ...] = (View.A2C, View.A4C)
    sequences: bool = False
    off_centre_share: float = 0.12

    def __post_init__(self) -> None:
        if not 1 <= self.patients <= MAX_PATIENTS:
            raise UsageError(f"`patients` must be in 1..{MAX_PATIENTS}. Received: {self.patients}")
        if self.seed < 0:
            raise UsageError(f"`seed` must not be negative. Received: {self.seed}")
        if not 0.0 <= self.off_centre_share <= 1.0:
            raise UsageError(f"`off_centre_share` must be in 0..1. Received: {self.off_centre_share}")
        if not self.views or not set(self.views) <= {View.A2C, View.A3C, View.A4C}:
            raise UsageError(f"`views` must be among A2C, A3C, A4C. Received: {', '.join(self.views) or 'none'}")

    @property
    def generator_version(self) -> str:
        """What the files are made by: the highest version of the views."""
        return max((VERSIONS[view] for view in self.views), key=lambda version: [int(n) for n in version.split(".")])


def write_phantom(root: Path, options: PhantomOptions, workers: int | None = None) -> None:
    """Makes the data set below `root`; an older simulated set there is replaced once the new one is complete.

    Args:
        root: folder to make.
        options: what to make.
        workers: processes; by default one for each core this process may use. The files do not depend on it.

    Raises:
        UserError: `root` is a file, or a folder that is not empty and not a simulated data set.
    """
    workers = min(workers or len(os.sched_getaffinity(0)), options.patients)
    with atomic_folder(root, marker=TRUTH_FILE) as folder:
        numbers = range(1, options.patients + 1)
        done = progress(
            _write_all(folder, options, numbers, workers), label="simulate", total=len(numbers), unit="patients"
        )
        records = dict(done)
        truth = {
            "format": TRUTH_FORMAT,
            "generator_version": options.generator_version,
            "options": asdict(options),
            "patients": {name: records[name] for name in sorted(records)},
        }
        write_json(folder / TRUTH_FILE, truth)


def read_truth(root: Path) -> dict[str, Any]:
    """The truth file of a simulated data set.

    Raises:
        UserError: missing, damaged or of an unknown format.
    """
    truth = read_json(root / TRUTH_FILE)
    if not isinstance(truth, dict) or truth.get("format") != TRUTH_FORMAT:
        received = truth.get("format") if isinstance(truth, dict) else type(truth).__name__
        raise UserError(
            f"{root / TRUTH_FILE}: `format` must be {TRUTH_FORMAT}. Received: {received}. Write the data set again."
        )
    if not isinstance(truth.get("patients"), dict):
        raise UserError(f"{root / TRUTH_FILE}: `patients` is missing. Write the data set again.")
    return truth


def write_patient(folder: Path, options: PhantomOptions, number: int) -> tuple[str, dict[str, Any]]:
    """Simulates and writes one patient; gives its name and its record for the truth file."""
    patient = draw_patient(number, options.seed, options.off_centre_share)
    edv_ml, esv_ml = patient.anatomy.volume_ml(0.0), patient.anatomy.volume_ml(1.0)
    record: dict[str, Any] = {
        "edv_ml": edv_ml,
        "esv_ml": esv_ml,
        "ef_percent": 100.0 * (edv_ml - esv_ml) / edv_ml,
        "lv_length_mm": patient.anatomy.length_mm,
        "views": {},
        "frames": {},
    }
    home = folder / patient.patient_id
    home.mkdir()
    for view in options.views:
        setup = patient.setups[view]
        shape = patient.anatomy.views[view]
        record["views"][view.value] = {
            "quality": setup.imaging.quality,
            "off_centre": setup.off_centre,
            "foreshortening": shape.foreshortening,
            "sector_depth_mm": setup.sector.depth_mm,
            "sector_opening_deg": setup.sector.opening_deg,
            "pitch_mm": setup.sector.pitch_mm,
            "rotation_deg": setup.pose.rotation_deg,
        }
        record["frames"].update(_write_view(home, patient, view, options.sequences))
    return patient.patient_id, record


def _write_all(
    folder: Path, options: PhantomOptions, numbers: Sequence[int], workers: int
) -> Iterator[tuple[str, dict[str, Any]]]:
    if workers == 1:
        for number in numbers:
            yield write_patient(folder, options, number)
        return
    context = multiprocessing.get_context("spawn")  # a forked child would inherit the threads of TensorFlow
    with ProcessPoolExecutor(workers, mp_context=context, initializer=_one_thread) as pool:
        tasks = [pool.submit(write_patient, folder, options, number) for number in numbers]
        try:
            for task in as_completed(tasks):
                yield task.result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _one_thread() -> None:
    """In a worker: OpenCV must not start threads of its own, the cores are taken."""
    cv2.setNumThreads(1)


def _write_view(home: Path, patient: Patient, view: View, sequences: bool) -> dict[str, Any]:
    """The frames of one view and its Info file; gives the truth of each frame."""
    setup = patient.setups[view]
    pitch = setup.sector.pitch_mm
    truths: dict[str, Any] = {}
    phases = list(CYCLES)
    count = patient.frame_count(view)
    begin, end = (SYSTOLE_SHARE, 1.0) if patient.diastolic_half else (0.0, SYSTOLE_SHARE)
    moments = [CYCLES[phase] for phase in phases]
    if sequences:
        moments += np.linspace(begin, end, count).tolist()
    images, labels = [], []
    for index, frame in enumerate(simulate_view(patient, view, moments)):
        if index < len(phases):
            name = case_id(patient.patient_id, view, phases[index])
            write_volume(home / f"{name}.nii.gz", frame.image, pitch)
            write_volume(home / f"{name}_gt.nii.gz", frame.labels, pitch)
            write_volume(home / f"{name}_structures.nii.gz", frame.structures, pitch)
            truths[name] = _frame_truth(frame, pitch)
        else:
            images.append(frame.image)
            labels.append(frame.labels)
    if sequences:
        name = f"{patient.patient_id}_{view.camus_name}_half_sequence"
        write_volume(home / f"{name}.nii.gz", np.stack(images, axis=-1), pitch)
        write_volume(home / f"{name}_gt.nii.gz", np.stack(labels, axis=-1), pitch)
    ed, es = (count, 1) if patient.diastolic_half else (1, count)
    info = {
        "ED": ed,
        "ES": es,
        "NbFrame": count,
        "Sex": patient.sex,
        "Age": patient.age,
        "ImageQuality": setup.imaging.quality,
        "EF": round(patient.anatomy.ef_percent),
        "FrameRate": patient.frame_rate,
    }
    text = "".join(f"{key}: {value}\n" for key, value in info.items())
    (home / f"Info_{view.camus_name}.cfg").write_text(text, encoding="utf-8")
    return truths


def _frame_truth(frame: Frame, pitch_mm: float) -> dict[str, Any]:
    return {
        "amvl_px": list(frame.amvl),
        "pmvl_px": list(frame.pmvl),
        "amvl_mm": [value * pitch_mm for value in frame.amvl],
        "pmvl_mm": [value * pitch_mm for value in frame.pmvl],
        "annulus_diameter_mm": annulus_diameter_mm(frame, pitch_mm),
        "la_visible_share": frame.la_visible_share,
        "la_cut": frame.la_cut,
    }


def write_volume(path: Path, array: npt.NDArray[np.uint8], pitch_mm: float) -> None:
    """Writes (H, W) or (H, W, T) as CAMUS does, (W, H) or (W, H, T), the same bytes every time.

    Not atomic: the whole data set is (see `write_phantom`), and renaming each of its files would cost a fifth of the
    time. Compressed lightly: speckle hardly shrinks.
    """
    image = nibabel.Nifti1Image(np.moveaxis(array, 0, 1), np.diag([pitch_mm, pitch_mm, 1.0, 1.0]))
    image.header.set_xyzt_units("mm")
    content = io.BytesIO()
    with gzip.GzipFile(fileobj=content, mode="wb", compresslevel=1, mtime=0) as file:
        file.write(image.to_bytes())
    path.write_bytes(content.getvalue())
