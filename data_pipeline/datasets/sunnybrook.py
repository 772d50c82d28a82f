"""Short-axis cine MR with contours in text files, as the Sunnybrook data of the MICCAI 2009 challenge have it.

Expected anywhere below the root, the images and the contours in one tree or in two:

- `PATIENT/…/IM-0004-0048.dcm`: the DICOM files of a patient's series;
- `PATIENT/contours-manual/IRCCI-expert/IM-0001-0048-icontour-manual.txt`: the endocardium of the left ventricle in the
  image of number 48, one `x y` a line in pixels; `…-ocontour-manual.txt`: the epicardium. Others are left alone.

A contour names its image by the last number: the first is 1 of every contour, whatever the series. Of a patient's
series it is the one stack of parallel slices that has all the numbers.

Contours are drawn at one time or two of the cine. Of two, the one at which the ventricle is larger is ED. Each slice of
these times is a case, `SC-HF-I-1_SAX_ED_s03`, counted along the stack's normal; one that lacks a contour that is needed
is not labelled. The epicardium is drawn at ED alone: where MYO is asked for, ES has no labels.

Source: Radau et al., MIDAS Journal 2009, and the data set's own pages. ASSUMED: pixel centres at integers from 0.
"""

import functools
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from data_pipeline.motion import motion_centre
from data_pipeline.raster import fill_polygon
from data_pipeline.readers.dicom_series import (
    Plane,
    geometry,
    planes_in,
    read_frames_of,
    series_of,
    sorted_planes,
)
from data_pipeline.readers.frame import RawFrame, bad_file, require_file
from data_pipeline.readers.image import image_of
from data_pipeline.sample import Case, Phase, Point, Sample, Structure, View, VolumeSlice
from data_pipeline.splits import shorten
from shell.errors import UserError

EXPERT = "IRCCI-expert"
CONTOUR_FILE = re.compile(r"IM-\d+-(?P<number>\d+)-(?P<kind>[io])contour-manual\.txt")
IMAGE_FILE = re.compile(r"IM-(?P<series>\d+)-(?P<number>\d+)\.dcm", re.IGNORECASE)
GROUP = re.compile(r"SC-(HF-I|HF-NI|HYP|N)-")
INSIDE_PX = 1.0  # so far beyond the image's edge a contour may lie
PATIENTS_KEPT = 4


@dataclass(frozen=True)
class Contours:
    """The contour files of a patient: image number → file."""

    inner: Mapping[int, Path]
    outer: Mapping[int, Path]


def list_cases(root: Path, *, with_myocardium: bool = True) -> list[Case]:
    """Every slice at the times that have contours, sorted by patient, phase and slice; headers are read, no pixels.

    Args:
        root: data set.
        with_myocardium: a slice is labelled where both contours are drawn; else the inner one will do.

    Raises:
        UserError: no such folder, no contours, images that are not there or are no stack, contours at three times or
            more, a contour that cannot be read.
    """
    if not root.is_dir():
        raise UserError(f"{root}: no such folder. Expected Sunnybrook folders like SC-HF-I-1. Check the path.")
    contours = _contours(root)
    if not contours:
        raise UserError(
            f"{root}: no contours. Expected files like "
            f"SC-HF-I-1/contours-manual/{EXPERT}/IM-0001-0048-icontour-manual.txt below it. Check the path."
        )
    images: defaultdict[str, dict[tuple[Path, str], dict[int, Path]]] = defaultdict(dict)
    for path in sorted(root.rglob("*")):
        match = IMAGE_FILE.fullmatch(path.name)
        if match is None:
            continue
        for patient in contours.keys() & set(path.relative_to(root).parts[:-1]):
            series = images[patient].setdefault((path.parent, match["series"]), {})
            series[int(match["number"])] = path
    return [
        case
        for patient, drawn in sorted(contours.items())
        for case in _cases_of(patient, drawn, images[patient], root, with_myocardium=with_myocardium)
    ]


def _contours(root: Path) -> dict[str, Contours]:
    found: dict[str, Contours] = {}
    for folder in sorted(path for path in root.rglob(EXPERT) if path.is_dir()):
        inner: dict[int, Path] = {}
        outer: dict[int, Path] = {}
        for path in sorted(folder.iterdir()):
            if match := CONTOUR_FILE.fullmatch(path.name):
                (inner if match["kind"] == "i" else outer)[int(match["number"])] = path
        patient = folder.parents[1].name
        if patient in found:
            raise UserError(f"{folder}: a patient's contours are there once. Received: {patient} twice. Remove one.")
        if inner:
            found[patient] = Contours(inner, outer)
    return found


def _cases_of(
    patient: str,
    drawn: Contours,
    series: Mapping[tuple[Path, str], Mapping[int, Path]],
    root: Path,
    *,
    with_myocardium: bool,
) -> Iterator[Case]:
    planes, numbers = _stack_of(patient, drawn, series, root)
    times_of = {plane.path: time for time, row in enumerate(planes) for plane in row}
    files = tuple(sorted(times_of))
    group = GROUP.match(patient)
    for phase, time in _phases(patient, drawn, {number: times_of[path] for number, path in numbers.items()}).items():
        number_of = {path: number for number, path in numbers.items()}
        for index, plane in enumerate(planes[time]):
            number = number_of.get(plane.path)
            inner, outer = (None if number is None else one.get(number) for one in (drawn.inner, drawn.outer))
            is_labelled = inner is not None and (outer is not None or not with_myocardium)
            yield Case(
                patient,
                View.SAX,
                phase,
                plane.path,
                inner if is_labelled else None,
                frame=f"s{index:02d}",
                diagnosis=group[1] if group else None,
                slice_index=index,
                cine_paths=files,
                further_label_paths=(outer,) if is_labelled and with_myocardium and outer is not None else (),
            )


def _stack_of(
    patient: str, drawn: Contours, series: Mapping[tuple[Path, str], Mapping[int, Path]], root: Path
) -> tuple[tuple[tuple[Plane, ...], ...], dict[int, Path]]:
    """(T)(S) planes of the series that the contours are of, and the file of each contoured number."""
    wanted = drawn.inner.keys() | drawn.outer.keys()
    having = {key: files for key, files in series.items() if wanted <= files.keys()}
    if not having:
        lacking = [str(number) for number in sorted(wanted - set().union(*(files.keys() for files in series.values())))]
        received = f"none with number {shorten(lacking)}" if lacking else "none with all of them"
        raise UserError(
            f"{root}: the contours of {patient} need their images, IM-….dcm below a folder {patient}. "
            f"Received: {received}. Copy the patient's short-axis series there."
        )
    usable: list[tuple[tuple[tuple[Plane, ...], ...], dict[int, Path]]] = []
    why: UserError | None = None
    for files in having.values():
        try:
            planes = sorted_planes(planes_in(files.values()))
        except UserError as error:
            why = error
            continue
        if len(planes[0]) > 1 or len(having) == 1:
            usable.append((planes, {number: files[number] for number in wanted}))
    if not usable and why is not None:
        raise why
    if len(usable) != 1:
        names = shorten([f"{folder.name}/IM-{name}-…" for folder, name in having])
        raise UserError(
            f"{root}: the contours of {patient} belong to one stack of slices. Received: {len(usable)} such series "
            f"that have their numbers ({names}). Leave the short-axis one there and move the others away."
        )
    return usable[0]


def _phases(patient: str, drawn: Contours, time_of: Mapping[int, int]) -> dict[Phase, int]:
    """The time in the cine of each phase that has contours: the larger ventricle is ED."""
    areas: defaultdict[int, list[float]] = defaultdict(list)
    for number, path in drawn.inner.items():
        areas[time_of[number]].append(_area(read_contour(path)))
    if len(areas) > 2:
        raise bad_file(
            next(iter(drawn.inner.values())).parent,
            f"the contours of {patient} are of two times, ED and ES",
            f"{len(areas)} times",
            "Leave those of ED and ES there.",
        )
    by_size = sorted(areas, key=lambda time: -float(np.mean(areas[time])))
    return dict(zip(Phase, by_size, strict=False))


def read_contour(path: Path) -> npt.NDArray[np.float64]:
    """(N, 2) points (row, col) of a contour file, pixel centres at integers.

    Raises:
        UserError: not two numbers a line, or fewer than three points.
    """
    require_file(path)
    try:
        points = np.array(
            [[float(word) for word in line.split()] for line in path.read_text().splitlines() if line.strip()]
        )
    except (ValueError, UnicodeDecodeError) as error:
        raise bad_file(path, "a contour is text, `x y` on each line", error, "Copy it again.") from error
    if points.ndim != 2 or points.shape[1] != 2 or len(points) < 3 or not np.isfinite(points).all():
        received = f"{len(points)} line(s)" if points.ndim == 2 else "nothing of the kind"
        raise bad_file(path, "a contour is three points or more, `x y` on each line", received, "Copy it again.")
    return points[:, ::-1]


def _area(points: npt.NDArray[np.float64]) -> float:
    rows, cols = points.T
    return abs(float(rows @ np.roll(cols, -1) - cols @ np.roll(rows, -1))) / 2


def load_sample(case: Case) -> Sample:
    """Decodes one slice and fills its contours.

    Raises:
        UserError: a file that is missing or cannot be read, a contour that lies beyond the image, or of which the inner
            one is not within the outer one.
    """
    assert case.slice_index is not None
    for path in (case.image_path, *((case.label_path,) if case.label_path else ()), *case.further_label_paths):
        require_file(path)
    stack = _stack(tuple((path, path.stat().st_mtime_ns, path.stat().st_size) for path in case.cine_paths))
    image = image_of(case.image_path, RawFrame(read_frames_of(case.image_path)[0], stack.spacing_mm))
    height, width = image.array.shape
    labels = None
    if case.label_path is not None:
        labels = np.zeros((height, width), np.uint8)
        inner = _filled(case.label_path, (height, width))
        for path in case.further_label_paths:
            outer = _filled(path, (height, width))
            if np.count_nonzero(inner & ~outer) > 0.1 * np.count_nonzero(inner):
                raise bad_file(
                    path, "the epicardium is around the endocardium", "one beside it", "Correct one of them."
                )
            labels[outer] = Structure.MYO
        labels[inner] = Structure.LV
    return Sample(
        image=image.array,
        labels=labels,
        spacing_mm=stack.spacing_mm,
        patient_id=case.patient_id,
        view=case.view,
        phase=case.phase,
        source=str(case.image_path),
        frame=case.frame,
        diagnosis=case.diagnosis,
        volume_slice=VolumeSlice(case.slice_index, stack.slices, stack.distance_mm),
        heart_centre=stack.centre,
    )


def iter_samples(root: Path) -> Iterator[Sample]:
    """All slices below `root`, decoded one at a time. Errors as `list_cases` and `load_sample`."""
    return map(load_sample, list_cases(root))


def _filled(path: Path, shape: tuple[int, int]) -> npt.NDArray[np.bool_]:
    points = read_contour(path)
    beyond = (points < -INSIDE_PX) | (points > np.array(shape) - 1 + INSIDE_PX)
    if beyond.any():
        row, col = points[beyond.any(axis=1)][0]
        raise bad_file(
            path,
            f"a contour lies in its image, {shape[0]} × {shape[1]} pixels",
            f"a point at x {col:g}, y {row:g}",
            "Check whose contour it is.",
        )
    return fill_polygon(shape, points)


@dataclass(frozen=True)
class _Stack:
    """What the slices of a patient have in common."""

    spacing_mm: tuple[float, float]
    distance_mm: float
    slices: int
    centre: Point | None


@functools.lru_cache(maxsize=PATIENTS_KEPT)
def _stack(stamps: Sequence[tuple[Path, int, int]]) -> _Stack:
    """A patient's whole cine, decoded once; the files' times and sizes tell a changed one from the one read."""
    files = [path for path, *_ in stamps]
    planes = sorted_planes(planes_in(files))
    distance_mm, _ = geometry(files[0].parent, planes[0])
    volume = series_of(files[0].parent, planes).volume
    centre = motion_centre(volume.array, volume.spacing_mm) if len(volume.array) > 1 else None
    return _Stack(volume.spacing_mm, distance_mm, len(planes[0]), centre)
