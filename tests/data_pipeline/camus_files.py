"""Writes small data sets in the layout of either CAMUS release, for the tests."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import SimpleITK as sitk  # noqa: N813

from data_pipeline.readers.nifti import write_nifti

NIFTI_MM = (0.5, 0.25)  # (row, col), anisotropic on purpose
METAIMAGE_MM = (0.154, 0.308)


def drawn_mask(lv_rows: int = 6, shape: tuple[int, int] = (20, 14)) -> np.ndarray:
    """LV (1) of `lv_rows` × 4 pixels standing on LA (3), between two walls of MYO (2); not symmetric either way."""
    mask = np.zeros(shape, np.uint8)
    mask[10 - lv_rows : 10, 4:8] = 1
    mask[10 - lv_rows : 10, 3] = 2
    mask[10 - lv_rows : 10, 8] = 2
    mask[10:15, 4:8] = 3
    return mask


def speckle(*key: object, shape: tuple[int, int] = (20, 14)) -> np.ndarray:
    """8-bit noise, another for every key."""
    return np.random.default_rng(list("/".join(map(str, key)).encode())).integers(0, 256, shape, dtype=np.uint8)


def write_metaimage(path: Path, array: np.ndarray, spacing_mm: tuple[float, float] = METAIMAGE_MM) -> None:
    """As the older release: a leading axis of 1, pitch (x, y, z), the pixels in a .raw beside the .mhd."""
    image = sitk.GetImageFromArray(array[None])
    image.SetSpacing((spacing_mm[1], spacing_mm[0], 1.0))
    sitk.WriteImage(image, str(path))


def write_frame(
    root: Path,
    patient: str,
    view: str = "4CH",
    phase: str = "ED",
    *,
    image: np.ndarray | None = None,
    mask: np.ndarray | None = None,
    suffix: str = ".nii.gz",
    spacing_mm: tuple[float, float] = NIFTI_MM,
) -> Path:
    """One image with its mask, 3 mm² less LV at ES; returns the image's path."""
    folder = root / patient
    folder.mkdir(parents=True, exist_ok=True)
    image = speckle(patient, view, phase) if image is None else image
    mask = drawn_mask(6 if phase == "ED" else 4) if mask is None else mask
    stem = f"{patient}_{view}_{phase}"
    for name, array in ((stem, image), (f"{stem}_gt", mask)):
        if suffix == ".mhd":
            write_metaimage(folder / f"{name}.mhd", array)
        else:
            write_nifti(folder / f"{name}{suffix}", array, spacing_mm)
    return folder / f"{stem}{suffix}"


def write_dataset(root: Path, patients: Iterable[str], *, views: Iterable[str] = ("2CH", "4CH"), suffix=".nii.gz"):
    """ED and ES of every view of every patient."""
    for patient in patients:
        for view in views:
            for phase in ("ED", "ES"):
                write_frame(root, patient, view, phase, suffix=suffix)


def write_lists(folder: Path, fold: int, training: str, validation: str, testing: str) -> None:
    """The three official lists of a fold; patients separated by spaces."""
    folder.mkdir(parents=True, exist_ok=True)
    for part, patients in (("training", training), ("validation", validation), ("testing", testing)):
        (folder / f"subGroup{fold}_{part}.txt").write_text("\n".join(patients.split()) + "\n")
