"""NIfTI frames (.nii, .nii.gz)."""

import gzip
import io
import struct
import zlib
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import numpy.typing as npt
from nibabel.arrayproxy import ArrayProxy
from nibabel.spatialimages import HeaderDataError
from nibabel.wrapstruct import WrapStructError

from data_pipeline.readers.frame import RawFrame, bad_file, checked_shape, checked_spacing
from shell.files import atomic_path

MM_PER_UNIT = {"meter": 1000.0, "micron": 0.001}  # "mm" and "unknown" are mm


def read_nifti(path: Path) -> RawFrame:
    """One frame, transposed from NIfTI's (x, y) to (row, col); axes of length 1 after the first two are dropped.

    The pitch is the header's `pixdim`. The orientation matrix is not used: CAMUS is shown upright after the
    transposition alone.

    Raises:
        UserError: not a readable NIfTI file, truncated, not one 2-D frame, or a pitch that is not positive.
    """
    try:
        content = path.read_bytes()
        if path.suffix == ".gz":
            content = gzip.decompress(content)
        version_2 = 540 in struct.unpack("<i", content[:4]) + struct.unpack(">i", content[:4])
        # Unchecked, because nibabel's checks mend a damaged header in silence, a pitch of zero to 1 mm.
        header_class, length = (nibabel.Nifti2Header, 540) if version_2 else (nibabel.Nifti1Header, 348)
        header = header_class(content[:length], check=False)
        if header["magic"].item() not in (b"n+1", b"n+2"):
            raise bad_file(path, "not a NIfTI file", "another magic number", "Check what it is, or convert it.")
        if header.get_data_offset() < length + 4:
            raise bad_file(path, "pixels come after the header", f"offset {header.get_data_offset()}", "Copy it again.")
        shape = header.get_data_shape()
        while len(shape) > 2 and shape[-1] == 1:
            shape = shape[:-1]
        rows, columns = checked_shape(path, shape[::-1])
        scale = MM_PER_UNIT.get(str(header.get_xyzt_units()[0]), 1.0)
        col, row = (float(str(value)) * scale for value in header["pixdim"][1:3])  # str: 0.3303, not 0.33030000329
        spacing_mm = checked_spacing(path, (row, col))
        array = np.asanyarray(ArrayProxy(io.BytesIO(content), header)).reshape(columns, rows)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise bad_file(path, "the compressed file is damaged or truncated", error, "Copy it again.") from error
    except (
        HeaderDataError,
        WrapStructError,
        struct.error,
        KeyError,
        ValueError,
        OverflowError,
        OSError,
    ) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise bad_file(path, "not a complete NIfTI file", error, "Copy or convert it again.") from error
    return RawFrame(array.T, spacing_mm)


def write_nifti(path: Path, array: npt.NDArray[Any], spacing_mm: tuple[float, float]) -> None:
    """Writes a frame as CAMUS does: transposed to (x, y), pitch in the header, never half-written.

    Args:
        path: ends in .nii.gz or .nii.
        array: (H, W), any NIfTI number type.
        spacing_mm: (row, col).
    """
    row, col = checked_spacing(path, spacing_mm)
    image = nibabel.Nifti1Image(array.T, np.diag([col, row, 1.0, 1.0]))
    image.header.set_zooms((col, row))
    image.header.set_xyzt_units("mm")
    content = image.to_bytes()
    if path.suffix == ".gz":
        content = gzip.compress(content, compresslevel=6, mtime=0)  # no time stamp: the same frame, the same bytes
    with atomic_path(path) as temporary:
        temporary.write_bytes(content)
