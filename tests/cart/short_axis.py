"""A network that reads the drawn hearts of `acdc_files` by their grey levels, and such hearts: no TensorFlow."""

from pathlib import Path

import numpy as np
import numpy.typing as npt

from cart.measure import MeasurementSpec
from data_pipeline.preprocess import Preprocessing
from data_pipeline.sample import Structure
from tests.data_pipeline.acdc_files import PITCH_MM, drawn_volume, write_patient, write_volume

STRUCTURES = (Structure.BACKGROUND, Structure.LV, Structure.MYO, Structure.RV)
ACDC_CODES = np.array([Structure.BACKGROUND, Structure.RV, Structure.MYO, Structure.LV], np.uint8)
STEP = 1000  # grey levels between two of ACDC's codes: 0 background, 1 RV, 2 MYO, 3 LV
CROP_MM = 66.0
SPEC = MeasurementSpec(
    structures=STRUCTURES,
    preprocessing=Preprocessing(132, 176),  # four network pixels to a native one: 33 × 44 of them
    contact_line="subpixel",
    largest_component=False,
    anterior_sides={},
    calibration=None,
    crop_mm=CROP_MM,
)


def grey_levels(images: npt.NDArray[np.float32]) -> dict[str, npt.NDArray[np.float32]]:
    """(n, h, w, 1) images scaled from darkest to brightest → the class whose grey level is nearest, with certainty."""
    codes = np.clip(np.rint(images[..., 0] * 3), 0, 3).astype(int)
    return {"probabilities": np.eye(len(STRUCTURES), dtype=np.float32)[:, [0, 3, 2, 1]][codes]}


def grey_volume(phase: str) -> np.ndarray:
    """(S, H, W) a drawn heart in grey; its last slice is empty."""
    return drawn_volume(phase).astype(np.uint16) * STEP


def labels_of(phase: str) -> np.ndarray:
    """(S, H, W) its structure codes."""
    return ACDC_CODES[drawn_volume(phase)]


def volume_ml(phase: str, structure: Structure, distance_mm: float = 10.0) -> float:
    """By counting pixels."""
    return np.count_nonzero(labels_of(phase) == structure) * PITCH_MM[0] * PITCH_MM[1] * distance_mm / 1000


def write_heart(root: Path, patient: str = "patient001") -> Path:
    """A patient's folder, as ACDC has it, of grey levels that the network reads."""
    folder = write_patient(root, patient)
    for phase, number in (("ED", 1), ("ES", 9)):
        write_volume(folder / f"{patient}_frame{number:02d}.nii", grey_volume(phase))
    return folder


def beating(times: int = 4) -> np.ndarray:
    """(T, S, H, W): ED in the second time, ES in the last; what lies between is between."""
    ed, es = grey_volume("ED"), grey_volume("ES")
    rows, cols = np.mgrid[: ed.shape[1], : ed.shape[2]]
    distance = np.hypot((rows - 24) * PITCH_MM[0], (cols - 20) * PITCH_MM[1])
    between = ed.copy()
    between[:-1][:, (distance >= 7) & (distance < 9)] = 2 * STEP
    return np.stack([between, ed, *[between] * (times - 3), es])
