"""Reads a cine, frame by frame, whatever its file format.

What a format needs is imported when a file of it is read: a command that reads a PNG does not wait for pydicom.
"""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from data_pipeline.readers.frame import CineFrame, RawCine, bad_file, require_file
from data_pipeline.readers.image import require_real

DICOM_SUFFIXES = (".dcm", ".dicom", ".ima")
VIDEO_SUFFIXES = (".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm", ".wmv", ".mpg", ".mpeg")

PREAMBLE_BYTES = 128
DICOM_MARK = b"DICM"


def read_dicom_cine(path: Path) -> RawCine:
    """An ultrasound DICOM file, still or cine; see dicom.py."""
    from data_pipeline.readers.dicom import read_dicom

    return read_dicom(path)


def read_video_cine(path: Path) -> RawCine:
    """A video; see video.py."""
    from data_pipeline.readers.video import read_video

    return read_video(path)


CINE_READERS: Mapping[str, Callable[[Path], RawCine]] = {
    **dict.fromkeys(DICOM_SUFFIXES, read_dicom_cine),
    **dict.fromkeys(VIDEO_SUFFIXES, read_video_cine),
}
"""Suffix → what reads it."""


def cine_reader(path: Path) -> Callable[[Path], RawCine] | None:
    """What reads a file as a cine; None where its name and its first bytes do not say that it is one.

    A DICOM file often has no suffix, or a part of an identifier that looks like one: its mark tells it.

    Raises:
        UserError: there is no file, or it is empty.
    """
    reader = CINE_READERS.get(path.suffix.lower())
    if reader is not None:
        return reader
    require_file(path)
    with path.open("rb") as file:
        file.seek(PREAMBLE_BYTES)
        return read_dicom_cine if file.read(len(DICOM_MARK)) == DICOM_MARK else None


def read_nifti_cine(path: Path) -> RawCine:
    """A sequence as CAMUS and the phantom write it: a NIfTI file of (x, y, time), without times.

    Raises:
        UserError: as `read_nifti_volume`.
    """
    from data_pipeline.readers.nifti import read_nifti_volume

    volume = read_nifti_volume(path)
    if volume.array.shape[0] != 1:
        received = " × ".join(map(str, volume.array.shape))
        raise bad_file(path, "a sequence has 3 axes: x, y and time", f"{received} values", "Save one slice of it.")
    return _of_stack(path, volume.array[0], volume.spacing_mm)


def read_metaimage_cine(path: Path) -> RawCine:
    """A sequence of the older CAMUS release: a MetaImage file of (x, y, time), without times.

    Raises:
        UserError: as `read_metaimage_sequence`.
    """
    from data_pipeline.readers.metaimage import read_metaimage_sequence

    require_file(path)
    return _of_stack(path, *read_metaimage_sequence(path))


SEQUENCE_READERS: Mapping[str, Callable[[Path], RawCine]] = {
    ".nii": read_nifti_cine,
    ".nii.gz": read_nifti_cine,
    ".mhd": read_metaimage_cine,
    ".mha": read_metaimage_cine,
}
"""Suffix of a file that is a sequence by its name → what reads it."""


def _of_stack(path: Path, stack: npt.NDArray[Any], spacing_mm: tuple[float, float] | None) -> RawCine:
    """Frames (T, H, W) of one file; those with pixels that are not finite are broken."""
    require_real(path, stack)

    def frames() -> Iterator[CineFrame]:
        for plane in stack:
            image = np.ascontiguousarray(plane, np.float32)
            if np.isfinite(image).all():
                yield CineFrame(image, None)
            else:
                yield CineFrame(None, None, "pixels that are NaN or infinite")

    return RawCine(frames(), count=len(stack), spacing_mm=spacing_mm)
