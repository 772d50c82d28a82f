"""Label volumes as NIfTI files that lie exactly over the images they are of."""

import gzip
from pathlib import Path

import numpy as np
import numpy.typing as npt

from data_pipeline.readers import nifti
from data_pipeline.readers.frame import require_file
from shell.files import atomic_path

NO_EXTENSIONS = bytes(4)
COMPRESSION = 6


def write_labels_like(path: Path, labels: npt.NDArray[np.uint8], like: Path) -> None:
    """Writes labels with the header of the NIfTI file that they are of: affine, pitch, units and shape are its own.

    Only the type of the numbers and their scale (uint8, unscaled) and the range to show differ.

    Args:
        path: ends in .nii.gz or .nii.
        labels: (T, S, H, W) structure codes, as `read_nifti_volume` gave the image.
        like: the image's file.

    Raises:
        ValueError: labels that are not as many as the image's pixels.
        UserError: `like` cannot be read any more.
    """
    require_file(like)
    header = nifti.open_nifti(like)[1].copy()
    columns, rows, slices, times = (*header.get_data_shape(), 1)[:4]
    if labels.shape != (times, slices, rows, columns):
        raise ValueError(f"`labels` must be {(times, slices, rows, columns)}, as {like}. Received: {labels.shape}")
    header.set_data_dtype(np.uint8)
    for name, value in {"scl_slope": 1, "scl_inter": 0, "cal_min": 0, "cal_max": 0}.items():
        header[name] = value
    header.set_data_offset(header.sizeof_hdr + len(NO_EXTENSIONS))
    pixels = np.ascontiguousarray(labels, np.uint8).tobytes()  # x fastest, as NIfTI has it
    _write(path, header.binaryblock + NO_EXTENSIONS + pixels)


def write_labels(
    path: Path, labels: npt.NDArray[np.uint8], affine: npt.NDArray[np.float64], *, frame_ms: float | None = None
) -> None:
    """Writes labels of slices that came from another kind of file.

    Args:
        path: ends in .nii.gz or .nii.
        labels: (T, S, H, W) structure codes; one time is written as three axes.
        affine: (4, 4), (column, row, slice) → (right, anterior, superior) in mm.
        frame_ms: from one time to the next, or None where unknown.
    """
    import nibabel

    array = labels.T[..., 0] if len(labels) == 1 else labels.T
    image = nibabel.Nifti1Image(np.ascontiguousarray(array, np.uint8), affine)
    image.header.set_xyzt_units("mm", "msec")
    if frame_ms is not None and len(labels) > 1:
        image.header["pixdim"][4] = frame_ms
    _write(path, image.to_bytes())


def _write(path: Path, content: bytes) -> None:
    if path.suffix == ".gz":
        content = gzip.compress(content, compresslevel=COMPRESSION, mtime=0)  # the same labels, the same bytes
    with atomic_path(path) as temporary:
        temporary.write_bytes(content)
