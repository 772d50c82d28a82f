"""What holds for stacks of slices, whatever their file format: one time or several, and the same grid for all."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from data_pipeline.readers.frame import RawVolume, bad_file
from data_pipeline.readers.image import require_real
from data_pipeline.readers.nifti import read_nifti_volume

SAME_PITCH = 1e-3  # relative: headers keep about this many digits


def same_pitch(one: Sequence[float] | None, other: Sequence[float] | None) -> bool:
    """Whether two pitches, in mm, are the same number for number as far as headers keep them; None is unknown."""
    if one is None or other is None:
        return one is other
    return all(abs(a - b) <= SAME_PITCH * max(a, b) for a, b in zip(one, other, strict=True))


def read_one_time(path: Path) -> RawVolume:
    """A NIfTI volume of real numbers at one time.

    Raises:
        UserError: as `read_nifti_volume`, pixels that are no real numbers, several times.
    """
    volume = read_nifti_volume(path)
    require_real(path, volume.array)
    require_one_time(path, volume)
    return volume


def require_one_time(path: Path, volume: RawVolume) -> None:
    """Refuses a cine where one volume is needed."""
    if len(volume.array) != 1:
        raise bad_file(path, "one volume is needed, not a cine", f"{len(volume.array)} times", "Save one time of it.")


def require_same_grid(path: Path, what: str, volume: RawVolume, other: Path, grid: RawVolume) -> None:
    """Slices and pixels as many as the other file's, at the same pitch and distance."""
    if volume.array.shape[1:] != grid.array.shape[1:]:
        raise bad_file(
            path,
            f"a {what} has as many slices and pixels as {other.name}, {times(grid.array.shape[1:])}",
            times(volume.array.shape[1:]),
            "Resample it onto that grid (a mask by the nearest neighbour).",
        )
    ours, theirs = ((*one.spacing_mm, one.slice_distance_mm) for one in (volume, grid))
    if not same_pitch(ours, theirs):
        raise bad_file(
            path,
            f"a {what} has the pitch and slice distance of {other.name}, {_millimetres(theirs)}",
            _millimetres(ours),
            "Correct the header that is wrong.",
        )


def cine_of(paths: Sequence[Path], volumes: Sequence[RawVolume]) -> RawVolume:
    """Several volumes of one patient as the times of one cine; a cine alone is itself.

    Raises:
        UserError: one of another grid than the first, or with pixels that are no finite real numbers.
    """
    first = volumes[0]
    for path, volume in zip(paths, volumes, strict=True):
        require_same_grid(path, "volume", volume, paths[0], first)
    for path, volume in zip(paths, volumes, strict=True):
        require_finite(path, volume)
    if len(volumes) == 1:
        return first
    array = np.concatenate([volume.array for volume in volumes])
    return RawVolume(array, first.spacing_mm, first.slice_distance_mm)


def require_finite(path: Path, volume: RawVolume) -> None:
    """Refuses pixels that are no finite real numbers."""
    require_real(path, volume.array)
    if not np.isfinite(volume.array).all():
        raise bad_file(path, "every pixel must be a finite number", "NaN or infinite", "Export the volume again.")


def times(shape: Sequence[int]) -> str:
    """`10 × 256 × 216`."""
    return " × ".join(map(str, shape))


def _millimetres(pitch: Sequence[float]) -> str:
    return f"({', '.join(f'{value:g}' for value in pitch)}) mm"
