"""Reads one frame or one label map, whatever its file format."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from data_pipeline.readers.frame import RawFrame, bad_file, grey, require_file
from data_pipeline.readers.metaimage import read_metaimage
from data_pipeline.readers.nifti import read_nifti
from data_pipeline.readers.png import JPEG_SUFFIXES, read_picture
from shell.errors import UserError

READERS: Mapping[str, Callable[[Path], RawFrame]] = {
    ".nii": read_nifti,
    ".nii.gz": read_nifti,
    ".mhd": read_metaimage,
    ".mha": read_metaimage,
    ".png": read_picture,
    ".jpg": read_picture,
    ".jpeg": read_picture,
    ".bmp": read_picture,
    ".tif": read_picture,
    ".tiff": read_picture,
}


@dataclass(frozen=True)
class Image2D:
    """A frame.

    Attributes:
        array: (H, W) float32, the file's own intensities.
        spacing_mm: (row, col) pixel pitch in mm, or None where unknown.
    """

    array: npt.NDArray[np.float32]
    spacing_mm: tuple[float, float] | None


def read_image(path: Path) -> Image2D:
    """Reads one frame by its suffix; colour becomes grey.

    Raises:
        UserError: unknown suffix, missing, empty, damaged or truncated file, a volume or sequence, a pixel pitch that
            is not positive, pixels that are not finite real numbers.
    """
    return image_of(path, _read(path))


def image_of(path: Path, frame: RawFrame) -> Image2D:
    """A decoded frame as grey levels; `path` is for messages.

    Raises:
        UserError: pixels that are not finite.
    """
    array = grey(frame)
    bad = int(np.count_nonzero(~np.isfinite(array)))
    if bad:
        raise bad_file(path, "every pixel must be a finite number", f"{bad} NaN or infinite", "Export the frame again.")
    return Image2D(array, frame.spacing_mm)


def read_labels(path: Path) -> tuple[npt.NDArray[np.uint8], tuple[float, float] | None]:
    """Reads one label map: the file's own codes as (H, W) uint8, and its (row, col) pitch in mm or None.

    Raises:
        UserError: as `read_image`, and codes that are not whole numbers in 0..255, a colour picture, a JPEG.
    """
    if path.suffix.lower() in JPEG_SUFFIXES:
        raise bad_file(path, "a label map must be lossless", "a JPEG", "Save it as PNG or NIfTI.")
    frame = _read(path)
    return labels_of(path, frame), frame.spacing_mm


def labels_of(path: Path, frame: RawFrame) -> npt.NDArray[np.uint8]:
    """A decoded label map as (H, W) uint8 of the file's own codes; `path` is for messages.

    Raises:
        UserError: codes that are not whole numbers in 0..255, a colour picture.
    """
    if frame.array.ndim == 3:
        raise bad_file(path, "a label map has one channel", "a colour picture", "Save the codes as a grey picture.")
    numbers = frame.array.astype(np.float64)
    bad = ~((numbers >= 0) & (numbers <= 255) & (numbers == np.floor(numbers)))  # true for NaN as well
    if bad.any():
        received = f"{numbers[bad][0]:g}, {np.count_nonzero(bad)} such pixels"
        raise bad_file(path, "label codes are whole numbers in 0..255", received, "Resample label maps by nearest.")
    return np.ascontiguousarray(numbers, np.uint8)


def suffix_of(path: Path) -> str:
    """The suffix by which a reader is chosen: `.nii.gz` is one."""
    return ".nii.gz" if path.name.lower().endswith(".nii.gz") else path.suffix.lower()


def unknown_kind(path: Path, known: Iterable[str]) -> UserError:
    """The complaint about a file of a suffix that is not among the known ones."""
    received = f"suffix {suffix_of(path)!r}" if suffix_of(path) else "no suffix"
    return bad_file(path, "unknown kind of image file", received, f"Known: {', '.join(known)}.")


def _read(path: Path) -> RawFrame:
    require_file(path)
    reader = READERS.get(suffix_of(path))
    if reader is None:
        raise unknown_kind(path, READERS)
    frame = reader(path)
    require_real(path, frame.array)
    return frame


def require_real(path: Path, array: npt.NDArray[Any]) -> None:
    """Refuses pixels that are no real numbers."""
    if array.dtype.kind not in "buif":
        raise bad_file(path, "pixels must be real numbers", array.dtype, "Convert the file to grey.")
