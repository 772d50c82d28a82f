"""NIfTI frames and volumes (.nii, .nii.gz)."""

import gzip
import io
import math
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from data_pipeline.readers.frame import (
    RawFrame,
    RawVolume,
    bad_file,
    checked_shape,
    checked_spacing,
    require_package,
)
from shell.files import atomic_path

if TYPE_CHECKING:  # it is imported where it is used: a cart that measures no NIfTI file starts sooner without it
    import nibabel

MM_PER_UNIT = {"meter": 1000.0, "micron": 0.001}  # "mm" and "unknown" are mm
LARGEST_HEADER = 540  # bytes, of version 2


def read_nifti(path: Path) -> RawFrame:
    """One frame, transposed from NIfTI's (x, y) to (row, col); axes of length 1 after the first two are dropped.

    The pitch is the header's `pixdim`. The orientation matrix is not used: CAMUS is shown upright after the
    transposition alone.

    Raises:
        UserError: not a readable NIfTI file, truncated, not one 2-D frame, or a pitch that is not positive.
    """
    with _named_errors(path):
        content, header = open_nifti(path)
        shape = header.get_data_shape()
        while len(shape) > 2 and shape[-1] == 1:
            shape = shape[:-1]
        rows, columns = checked_shape(path, shape[::-1])
        spacing_mm = _pitch(path, header)
        return RawFrame(_pixels(content, header).reshape(columns, rows).T, spacing_mm)


def read_nifti_volume(path: Path) -> RawVolume:
    """A volume, or a cine of volumes, transposed from NIfTI's (x, y, z, t) to (time, slice, row, col).

    Pitch and slice distance are the header's `pixdim`; the orientation matrix is not used, as in `read_nifti`.

    Raises:
        UserError: not a readable NIfTI file, truncated, no volume, or a pitch or a slice distance that is not positive.
    """
    with _named_errors(path):
        content, header = open_nifti(path)
        times, slices, rows, columns = _volume_shape(path, header)
        spacing_mm, slice_distance_mm = _pitch(path, header), _slice_distance(path, header)
        array = _pixels(content, header).reshape(columns, rows, slices, times)
        return RawVolume(array.T, spacing_mm, slice_distance_mm)


def count_slices(path: Path) -> int:
    """Slices of a volume, from its header alone.

    Raises:
        UserError: not a readable NIfTI file, or no volume.
    """
    with _named_errors(path):
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            content = file.read(LARGEST_HEADER)
        return _volume_shape(path, _header(path, content))[1]


@contextmanager
def _named_errors(path: Path) -> Iterator[None]:
    """What nibabel and the packing raise, in the reader's own words."""
    require_package(path, "nibabel")
    try:
        yield
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise bad_file(path, "the compressed file is damaged or truncated", error, "Copy it again.") from error
    except _damaged() as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise bad_file(path, "not a complete NIfTI file", error, "Copy or convert it again.") from error


def _damaged() -> tuple[type[Exception], ...]:
    """What a damaged header or too few pixels make nibabel raise."""
    from nibabel.spatialimages import HeaderDataError
    from nibabel.wrapstruct import WrapStructError

    return HeaderDataError, WrapStructError, struct.error, KeyError, ValueError, OverflowError, OSError


def open_nifti(path: Path) -> "tuple[bytes, nibabel.Nifti1Header]":
    """The bytes of a file, unpacked, and its header, unchecked; errors as they come."""
    content = path.read_bytes()
    if path.suffix == ".gz":
        content = gzip.decompress(content)
    return content, _header(path, content)


def _header(path: Path, content: bytes) -> "nibabel.Nifti1Header":
    import nibabel

    version_2 = 540 in struct.unpack("<i", content[:4]) + struct.unpack(">i", content[:4])
    # Unchecked, because nibabel's checks mend a damaged header in silence, a pitch of zero to 1 mm.
    header_class, length = (nibabel.Nifti2Header, LARGEST_HEADER) if version_2 else (nibabel.Nifti1Header, 348)
    header = header_class(content[:length], check=False)
    if header["magic"].item() not in (b"n+1", b"n+2"):
        raise bad_file(path, "not a NIfTI file", "another magic number", "Check what it is, or convert it.")
    if header.get_data_offset() < length + 4:
        raise bad_file(path, "pixels come after the header", f"offset {header.get_data_offset()}", "Copy it again.")
    return header


def _pixels(content: bytes, header: "nibabel.Nifti1Header") -> npt.NDArray[Any]:
    from nibabel.arrayproxy import ArrayProxy

    return np.asanyarray(ArrayProxy(io.BytesIO(content), header))


def _volume_shape(path: Path, header: "nibabel.Nifti1Header") -> tuple[int, int, int, int]:
    """(times, slices, rows, columns)."""
    shape = tuple(header.get_data_shape())
    if len(shape) not in (3, 4) or min(shape) < 1:
        received = " × ".join(map(str, shape)) + " values"
        raise bad_file(path, "a volume is needed, or a cine of volumes", received, "Save its slices as one volume.")
    checked_shape(path, shape[1::-1])
    columns, rows, slices, times = (*shape, 1)[:4]
    return times, slices, rows, columns


def _pitch(path: Path, header: "nibabel.Nifti1Header") -> tuple[float, float]:
    col, row = _pixdim_mm(header)[:2]
    return checked_spacing(path, (row, col))


def _slice_distance(path: Path, header: "nibabel.Nifti1Header") -> float:
    distance_mm = _pixdim_mm(header)[2]
    if not (math.isfinite(distance_mm) and distance_mm > 0):
        raise bad_file(
            path,
            "the distance of slices must be a positive number of mm",
            f"{distance_mm:g}",
            "Write the true distance into the file's header (pixdim[3]).",
        )
    return distance_mm


def _pixdim_mm(header: "nibabel.Nifti1Header") -> list[float]:
    scale = MM_PER_UNIT.get(str(header.get_xyzt_units()[0]), 1.0)
    return [float(str(value)) * scale for value in header["pixdim"][1:4]]  # str: 0.3303, not 0.33030000329


def write_nifti(path: Path, array: npt.NDArray[Any], spacing_mm: tuple[float, float]) -> None:
    """Writes a frame as CAMUS does: transposed to (x, y), pitch in the header, never half-written.

    Args:
        path: ends in .nii.gz or .nii.
        array: (H, W), any NIfTI number type.
        spacing_mm: (row, col).
    """
    import nibabel

    row, col = checked_spacing(path, spacing_mm)
    image = nibabel.Nifti1Image(array.T, np.diag([col, row, 1.0, 1.0]))
    image.header.set_zooms((col, row))
    image.header.set_xyzt_units("mm")
    content = image.to_bytes()
    if path.suffix == ".gz":
        content = gzip.compress(content, compresslevel=6, mtime=0)  # no time stamp: the same frame, the same bytes
    with atomic_path(path) as temporary:
        temporary.write_bytes(content)
