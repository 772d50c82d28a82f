"""Cine MR as scanners export it: a folder of DICOM files, one for each slice and time, or enhanced multi-frame files.

What a file shows is told by its header, never by its name. Slices are sorted by their position along the normal of the
image plane, the times of each position by trigger time or, where files have none that tells them apart, by number.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from data_pipeline.readers.frame import (
    RawVolume,
    bad_file,
    checked_shape,
    checked_spacing,
    require_file,
    require_package,
)
from data_pipeline.splits import shorten
from shell.errors import UserError

if TYPE_CHECKING:
    from pydicom import Dataset

SAME_PLACE_MM = 0.1  # positions closer than this are one slice
SAME_DIRECTION = 1e-3  # of unit vectors, component by component
EVEN_SHARE = 0.05  # of the slices' distance, by which one of them may differ
LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


@dataclass(frozen=True, eq=False)
class Plane:
    """One image of a series: a file, or a frame of a multi-frame file.

    Attributes:
        path: the file.
        frame: number within it, from 0.
        shape: (rows, columns).
        spacing_mm: (row, col) pixel pitch.
        directions: (2, 3) unit vectors of a row's direction (columns grow) and of a column's (rows grow), patient LPS.
        corner_mm: (3,) middle of the first pixel, patient LPS.
        time_ms: trigger time, or None.
        number: of the instance or, within a multi-frame file, of the frame; None where the header does not say.
        thickness_mm: from one slice to the next as the header states it, else the slice's own; or None.
    """

    path: Path
    frame: int
    shape: tuple[int, int]
    spacing_mm: tuple[float, float]
    directions: npt.NDArray[np.float64]
    corner_mm: npt.NDArray[np.float64]
    time_ms: float | None
    number: int | None
    thickness_mm: float | None

    @property
    def normal(self) -> npt.NDArray[np.float64]:
        """(3,) unit vector across the slice."""
        return np.cross(self.directions[0], self.directions[1])


@dataclass(frozen=True, eq=False)
class DicomSeries:
    """A stack of parallel slices over time.

    Attributes:
        volume: (T, S, H, W) float32 intensities, slices along the normal of the image plane.
        affine: (4, 4), (column, row, slice) → (right, anterior, superior) in mm, as NIfTI has it.
        times_ms: trigger time of each time, mean over the slices; None where the files have none.
        planes: (T)(S) the images that they are of.
    """

    volume: RawVolume
    affine: npt.NDArray[np.float64]
    times_ms: tuple[float, ...] | None
    planes: tuple[tuple[Plane, ...], ...]


def read_dicom_series(path: Path) -> DicomSeries:
    """Reads the cine stack of a folder, or of one multi-frame file.

    Raises:
        UserError: as `list_planes`, `sorted_planes` and `series_of`.
    """
    return series_of(path, sorted_planes(list_planes(path)))


def series_of(path: Path, planes: tuple[tuple[Plane, ...], ...]) -> DicomSeries:
    """Decodes sorted planes, a file once.

    Args:
        path: of the series, for messages.
        planes: of `sorted_planes`.

    Raises:
        UserError: slices that are not evenly spaced, a file whose pixels cannot be decoded or are colour.
    """
    first = planes[0][0]
    array = np.empty((len(planes), len(planes[0]), *first.shape), np.float32)
    wanted: defaultdict[Path, list[tuple[int, int, Plane]]] = defaultdict(list)
    for time, row in enumerate(planes):
        for index, plane in enumerate(row):
            wanted[plane.path].append((time, index, plane))
    for file, places in wanted.items():
        frames = read_frames_of(file)
        for time, index, plane in places:
            array[time, index] = frames[plane.frame]
    distance_mm, affine = geometry(path, planes[0])
    times = [[plane.time_ms for plane in row] for row in planes]
    known = all(time is not None for row in times for time in row)
    times_ms = tuple(float(np.mean([time or 0.0 for time in row])) for row in times) if known else None
    return DicomSeries(RawVolume(array, first.spacing_mm, distance_mm), affine, times_ms, planes)


def list_planes(path: Path) -> list[Plane]:
    """Every image of a folder's DICOM files, from their headers alone; other files are left alone.

    Args:
        path: a folder (subfolders are not entered), or one DICOM file.

    Raises:
        UserError: no such folder, no DICOM file in it, a header that is damaged or lacks size, pitch, position or
            orientation.
    """
    if path.is_dir():
        files = sorted(file for file in path.iterdir() if file.is_file() and not file.name.startswith("."))
    else:
        require_file(path)
        files = [path]
    planes = planes_in(files, required=not path.is_dir())
    if not planes:
        inside = sorted({one.parent.name for one in path.glob("*/*.dcm")}) if path.is_dir() else []
        hint = f"Give one of its folders: {shorten(inside)}." if inside else "Check the path."
        raise UserError(f"{path}: a DICOM series is needed. Received: no image in DICOM format there. {hint}")
    return planes


def planes_in(files: Iterable[Path], *, required: bool = True) -> list[Plane]:
    """Every image of these files, from their headers alone.

    Args:
        files: DICOM files.
        required: refuse a file of another format; else it is left alone.

    Raises:
        UserError: as `list_planes`.
    """
    return [plane for file in files for plane in _planes_of(file, required=required)]


def sorted_planes(planes: Sequence[Plane]) -> tuple[tuple[Plane, ...], ...]:
    """(T)(S) planes: times in order, and in each the slices along the normal.

    Args:
        planes: in any order.

    Raises:
        UserError: planes of two sizes, pitches or orientations, two of one place and time, a place that lacks a time
            that others have.
    """
    first = planes[0]
    for plane in planes:
        if plane.shape != first.shape:
            raise bad_file(
                plane.path,
                f"a slice has as many pixels as {first.path.name}, {first.shape[0]} × {first.shape[1]}",
                f"{plane.shape[0]} × {plane.shape[1]}",
                "Put each series into a folder of its own.",
            )
        if not np.allclose(plane.spacing_mm, first.spacing_mm, rtol=1e-3):
            raise bad_file(
                plane.path,
                f"a slice has the pixel pitch of {first.path.name}, {_listed(first.spacing_mm)} mm",
                f"{_listed(plane.spacing_mm)} mm",
                "Put each series into a folder of its own.",
            )
        if not np.allclose(plane.directions, first.directions, atol=SAME_DIRECTION):
            raise bad_file(
                plane.path,
                f"slices of a stack are parallel, here to {first.path.name}",
                "another orientation",
                "Put the short-axis series into a folder of its own.",
            )
    places = [_in_time(place) for place in _by_place(planes)]
    most = max(len(place) for place in places)
    for place in places:
        if len(place) < most:
            raise bad_file(
                place[0].path,
                f"every slice has the same times, here {most}",
                f"{len(place)} at {_place(place[0]):.1f} mm",
                "Copy the missing files, or remove the others of this slice.",
            )
    return tuple(zip(*places, strict=True))


def read_frames_of(path: Path) -> npt.NDArray[np.float32]:
    """(frames, rows, columns) rescaled intensities of a DICOM file.

    Raises:
        UserError: pixels that cannot be decoded, are missing, or colour.
    """
    import pydicom

    try:
        data = pydicom.dcmread(path)
        pixels = np.asarray(data.pixel_array)
    except Exception as error:  # pydicom and its decoders raise what they like
        raise bad_file(path, "the pixels of this DICOM file cannot be decoded", error, "Export it again.") from error
    if int(data.get("SamplesPerPixel", 1)) != 1:
        raise bad_file(path, "a slice of an MR series is grey", "colour", "Leave pictures of the screen out.")
    frames = pixels.reshape(-1, *pixels.shape[-2:]).astype(np.float32)
    for number, (slope, intercept) in enumerate(_rescales(data, len(frames))):
        if (slope, intercept) != (1.0, 0.0):
            frames[number] = frames[number] * np.float32(slope) + np.float32(intercept)
    return frames


def _rescales(data: "Dataset", count: int) -> Iterator[tuple[float, float]]:
    own = (float(data.get("RescaleSlope", 1)), float(data.get("RescaleIntercept", 0)))
    groups = data.get("PerFrameFunctionalGroupsSequence")
    for number in range(count):
        found = _group(data, groups[number], "PixelValueTransformationSequence") if groups else None
        yield own if found is None else (float(found.RescaleSlope), float(found.RescaleIntercept))


def _planes_of(path: Path, *, required: bool) -> list[Plane]:
    """The images of a file; none of one that is no DICOM image, unless it must be one."""
    require_package(path, "pydicom")
    import pydicom
    from pydicom.errors import InvalidDicomError

    try:
        data = pydicom.dcmread(path, stop_before_pixels=True)
    except InvalidDicomError:
        if required:
            raise bad_file(path, "a DICOM file is needed", "another format", "Check what it is.") from None
        return []
    except OSError as error:
        if error.errno is not None:
            raise
        raise bad_file(path, "the DICOM header is damaged", error, "Copy it again.") from error
    except Exception as error:  # as above: a damaged header makes pydicom raise anything
        raise bad_file(path, "the DICOM header is damaged", error, "Copy it again.") from error
    if "Rows" not in data:
        return []  # DICOMDIR, reports
    try:
        return list(_planes(path, data))
    except (AttributeError, KeyError, IndexError, TypeError, ValueError) as error:
        raise bad_file(
            path,
            "a slice of a series states its size, pixel pitch, position and orientation",
            f"a header without them ({error})",
            "Leave it out, or export the series again.",
        ) from error


def _planes(path: Path, data: "Dataset") -> Iterator[Plane]:
    groups = data.get("PerFrameFunctionalGroupsSequence")
    shape = checked_shape(path, (int(data.Rows), int(data.Columns)))
    if not groups:
        if int(data.get("NumberOfFrames") or 1) > 1:
            raise ValueError("several frames, and nothing that says where each lies")
        yield _plane(path, 0, shape, data, data, data, _number(data, "TriggerTime"), _number(data, "InstanceNumber"))
        return
    for number, group in enumerate(groups):
        measures = _group(data, group, "PixelMeasuresSequence")
        position = _group(data, group, "PlanePositionSequence")
        orientation = _group(data, group, "PlaneOrientationSequence")
        cardiac = _group(data, group, "CardiacSynchronizationSequence")
        time_ms = None if cardiac is None else _number(cardiac, "NominalCardiacTriggerDelayTime")
        yield _plane(path, number, shape, measures, position, orientation, time_ms, float(number))


def _plane(
    path: Path,
    frame: int,
    shape: tuple[int, int],
    measures: Any,
    position: Any,
    orientation: Any,
    time_ms: float | None,
    number: float | None,
) -> Plane:
    row, col = (float(value) for value in measures.PixelSpacing)
    spacing_mm = checked_spacing(path, (row, col))
    cosines = np.array([float(value) for value in orientation.ImageOrientationPatient]).reshape(2, 3)
    lengths = np.linalg.norm(cosines, axis=1)
    if not (np.isfinite(cosines).all() and np.allclose(lengths, 1, atol=0.01) and abs(cosines[0] @ cosines[1]) < 0.01):
        raise ValueError("its orientation is not two perpendicular directions")
    corner = np.array([float(value) for value in position.ImagePositionPatient])
    if corner.shape != (3,) or not np.isfinite(corner).all():
        raise ValueError("its position is not three numbers")
    stated = _number(measures, "SpacingBetweenSlices") or _number(measures, "SliceThickness")
    return Plane(
        path,
        frame,
        shape,
        spacing_mm,
        cosines / lengths[:, np.newaxis],
        corner,
        time_ms,
        None if number is None else int(number),
        stated,
    )


def _group(data: "Dataset", group: Any, name: str) -> Any:
    """A functional group of one frame, or the one that all frames share; None where there is neither."""
    found = group.get(name)
    if not found:
        shared = data.get("SharedFunctionalGroupsSequence")
        found = shared[0].get(name) if shared else None
    return found[0] if found else None


def _number(data: Any, name: str) -> float | None:
    value = data.get(name)
    return None if value is None or value == "" else float(value)


def _place(plane: Plane) -> float:
    """Position along the normal, in mm."""
    return float(plane.corner_mm @ plane.normal)


def _by_place(planes: Sequence[Plane]) -> list[list[Plane]]:
    """Planes of one position together, positions in order along the normal."""
    places: list[list[Plane]] = []
    for plane in sorted(planes, key=_place):
        if places and _place(plane) - _place(places[-1][0]) < SAME_PLACE_MM:
            places[-1].append(plane)
        else:
            places.append([plane])
    return places


def _in_time(place: list[Plane]) -> list[Plane]:
    """The times of one position in order: by trigger time, or by number where that does not tell all apart."""
    times, numbers = ([getattr(plane, name) for plane in place] for name in ("time_ms", "number"))
    for keys in (times, numbers):
        if None not in keys and len(set(keys)) == len(keys):
            return [plane for _, plane in sorted(zip(keys, place, strict=True), key=lambda pair: pair[0])]
    seen: dict[object, Plane] = {}
    for plane in place:
        other = seen.setdefault((plane.time_ms, plane.number), plane)
        if other is not plane:
            raise bad_file(
                plane.path,
                "a slice is there once at each time",
                f"the same place and time as {other.path.name}, {_place(plane):.1f} mm",
                "Remove one of them, or put each series into a folder of its own.",
            )
    raise bad_file(
        place[0].path,
        "trigger times or numbers tell the times of a slice apart",
        f"neither does at {_place(place[0]):.1f} mm",
        "Put each series into a folder of its own.",
    )


def geometry(path: Path, planes: Sequence[Plane]) -> tuple[float, npt.NDArray[np.float64]]:
    """Slice distance in mm and affine (see `DicomSeries`) of one time's planes.

    Raises:
        UserError: slices that are not evenly spaced or not in a line, one alone without a thickness.
    """
    first, last = planes[0], planes[-1]
    if len(planes) == 1:
        distance = first.thickness_mm or math.nan
        step = first.normal * distance
    else:
        places = [_place(plane) for plane in planes]
        gaps = np.diff(places)
        distance = float(np.sort(gaps)[(len(gaps) - 1) // 2])  # of two equally frequent, what no missing slice makes
        odd = np.flatnonzero(np.abs(gaps - distance) > max(EVEN_SHARE * distance, SAME_PLACE_MM))
        if len(odd):
            at = int(odd[0])
            raise bad_file(
                path,
                f"slices lie evenly, here every {distance:.1f} mm",
                f"{gaps[at]:.1f} mm between {planes[at].path.name} and {planes[at + 1].path.name}",
                "Copy the slice that is missing, or remove the one that is too many.",
            )
        step = (last.corner_mm - first.corner_mm) / (len(planes) - 1)
        for number, plane in enumerate(planes):
            off = float(np.linalg.norm(plane.corner_mm - (first.corner_mm + number * step)))
            if off > max(first.spacing_mm) + EVEN_SHARE * distance:
                raise bad_file(
                    plane.path,
                    "slices of a stack lie in a straight line",
                    f"one that is {off:.1f} mm beside it",
                    "Put each series into a folder of its own.",
                )
    if not (math.isfinite(distance) and distance > 0):
        raise bad_file(
            first.path,
            "the distance of slices must be a positive number of mm",
            "one position, and neither SpacingBetweenSlices nor SliceThickness",
            "Write it into the header.",
        )
    affine = np.eye(4)
    row, col = first.spacing_mm
    affine[:3, 0], affine[:3, 1] = first.directions[0] * col, first.directions[1] * row
    affine[:3, 2], affine[:3, 3] = step, first.corner_mm
    return distance, LPS_TO_RAS @ affine


def _listed(pitch: Sequence[float]) -> str:
    return f"({', '.join(f'{value:g}' for value in pitch)})"
