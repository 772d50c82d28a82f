"""Writes small data sets in the layout of ACDC, for the tests."""

from collections.abc import Iterable
from pathlib import Path

import nibabel
import numpy as np

PITCH_MM = (2.0, 1.5)  # (row, col), anisotropic on purpose
DISTANCE_MM = 10.0
SHAPE = (40, 48)  # rows, columns
SLICES = 4
ED, ES, FRAMES = 1, 9, 20


def drawn_volume(phase: str, slices: int = SLICES, shape: tuple[int, int] = SHAPE) -> np.ndarray:
    """(S, H, W) ACDC codes: LV (3) in a ring of MYO (2), RV (1) left of it; smaller at ES; the last slice empty."""
    rows, cols = np.mgrid[: shape[0], : shape[1]]
    distance = np.hypot((rows - 24) * PITCH_MM[0], (cols - 20) * PITCH_MM[1])
    inner, outer = (9.0, 15.0) if phase == "ED" else (5.0, 13.0)
    mask = np.zeros(shape, np.uint8)
    mask[(np.abs(rows - 24) < 4) & (cols >= 4) & (cols < 12)] = 1
    mask[distance < outer] = 2
    mask[distance < inner] = 3
    volume = np.repeat(mask[np.newaxis], slices, axis=0)
    volume[-1] = 0
    return volume


def intensities(mask: np.ndarray, *key: object) -> np.ndarray:
    """12-bit grey levels of a drawn volume, blood bright, with noise that is another for every key."""
    noise = np.random.default_rng(list("/".join(map(str, key)).encode())).integers(0, 200, mask.shape)
    return (np.array([300, 2500, 900, 2600])[mask] + noise).astype(np.uint16)


def write_volume(
    path: Path,
    array: np.ndarray,
    *,
    spacing_mm: tuple[float, float] = PITCH_MM,
    distance_mm: float = DISTANCE_MM,
) -> Path:
    """(S, H, W), or (T, S, H, W) of a cine, as nibabel has it: (x, y, z) or (x, y, z, t)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = nibabel.Nifti1Image(array.T, np.eye(4))
    image.header["pixdim"][1:4] = (spacing_mm[1], spacing_mm[0], distance_mm)
    path.write_bytes(image.to_bytes())
    return path


def write_patient(root: Path, patient: str, *, group: str = "NOR", slices: int = SLICES) -> Path:
    """Info.cfg, and both volumes with their masks; returns the folder."""
    folder = root / patient
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "Info.cfg").write_text(
        f"ED: {ED}\nES: {ES}\nGroup: {group}\nHeight: 184.0\nNbFrame: {FRAMES}\nWeight: 95.0\n"
    )
    for phase, number in (("ED", ED), ("ES", ES)):
        mask = drawn_volume(phase, slices)
        write_volume(folder / f"{patient}_frame{number:02d}_gt.nii", mask)
        write_volume(folder / f"{patient}_frame{number:02d}.nii", intensities(mask, patient, phase))
    return folder


def write_dataset(root: Path, patients: Iterable[str], groups: Iterable[str] = ("DCM", "HCM")) -> Path:
    """Patients whose diagnoses take turns."""
    names = list(groups)
    for number, patient in enumerate(patients):
        write_patient(root, patient, group=names[number % len(names)])
    return root
