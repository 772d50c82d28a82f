"""A user's short-axis volumes: which files belong together, at which phase each is, where the heart lies in them."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from data_pipeline.motion import motion_centre
from data_pipeline.readers.acdc import CINE_FILE, INFO_FILE, VOLUME_FILE, patient_files
from data_pipeline.readers.cine import DICOM_MARK, DICOM_SUFFIXES, PREAMBLE_BYTES
from data_pipeline.readers.frame import RawVolume, bad_file, require_file
from data_pipeline.readers.info import read_info
from data_pipeline.readers.nifti import count_slices, read_nifti_volume
from data_pipeline.readers.volume import cine_of, read_one_time, require_finite, require_same_grid
from data_pipeline.sample import Phase, Point
from shell.errors import UserError

NIFTI_SUFFIXES = (".nii", ".nii.gz")
PHASE_IN_NAME = re.compile(r"(?:^|(?<=[_-]))(ED|ES)(?=[._-])[_-]?", re.IGNORECASE)
REFERENCE_NAME = re.compile(r"_gt\.nii(\.gz)?$", re.IGNORECASE)
IMAGE_MIDDLE = "middle of the image"
INFO, FILE_NAMES = INFO_FILE, "file names"


@dataclass(frozen=True, eq=False)
class Stack:
    """A stack of short-axis slices at one time.

    Attributes:
        array: (S, H, W) in the file's own number type.
        path: the file, or the folder of a DICOM series.
        phase: None where nothing says it.
        number: of the time in the cine that it is of, from 1; None where unknown.
        time_ms: after the R wave, or None where unknown.
    """

    array: npt.NDArray[Any]
    path: Path
    phase: Phase | None
    number: int | None
    time_ms: float | None = None


@dataclass(frozen=True, eq=False)
class Examination:
    """One heart at one time or several, all on one grid.

    Attributes:
        name: for the names of what is written about it.
        stacks: in the order of the inputs, a cine's in the order of time.
        spacing_mm: (row, col) pixel pitch.
        slice_distance_mm: from the middle of one slice to the middle of the next.
        centre: (row, col), native grid, where the heart is; None: not known.
        centre_from: what tells it.
        phases_from: what tells the phases; None where nothing does.
        is_cine: whether the stacks are the times of one cine, rather than volumes saved apart.
        affine: (4, 4), (column, row, slice) → (right, anterior, superior) mm, of a DICOM series; None: the NIfTI file
            of each stack has its own.
    """

    name: str
    stacks: tuple[Stack, ...]
    spacing_mm: tuple[float, float]
    slice_distance_mm: float
    centre: Point | None
    centre_from: str
    phases_from: str | None
    is_cine: bool
    affine: npt.NDArray[np.float64] | None = None


@dataclass(frozen=True)
class Request:
    """Inputs that belong together, not yet read.

    Attributes:
        name: of the examination to be.
        inputs: as the user gave them.
        read: reads them; its errors are a `UserError`.
    """

    name: str
    inputs: tuple[Path, ...]
    read: Callable[[], Examination]


def is_volume(path: Path) -> bool:
    """Whether an input is a volume, a cine of volumes or a folder, rather than a single image; nothing is decoded."""
    if path.is_dir() or _is_dicom(path):
        return True
    if not path.name.lower().endswith(NIFTI_SUFFIXES) or not path.is_file():
        return False
    try:
        return count_slices(path) > 0
    except UserError:
        return False


def requests_of(paths: Iterable[Path]) -> list[Request]:
    """The examinations that the inputs make up, in the order of the first input of each.

    Volumes of one folder whose names differ in the frame (`patient001_frame01.nii.gz`, `patient001_frame12.nii.gz`) or
    in the phase alone (`heart_ED.nii`, `heart_ES.nii`) are one examination. Every other input is one of its own.
    """
    groups: dict[object, list[Path]] = {}
    for number, path in enumerate(paths):
        key = _together(path) or number
        groups.setdefault(key, []).append(path)
    return [_request(group) for group in groups.values()]


def _together(path: Path) -> tuple[str, str] | None:
    """What the inputs of one examination have in common; None of an input that is one by itself."""
    if path.is_dir():
        return None
    match = VOLUME_FILE.fullmatch(path.name)
    if match is not None and not match["mask"]:
        return str(path.parent), match["patient"]
    if PHASE_IN_NAME.search(path.name) and not REFERENCE_NAME.search(path.name):
        return str(path.parent), PHASE_IN_NAME.sub("", path.name)
    return None


def _request(paths: list[Path]) -> Request:
    first = paths[0]
    if first.is_dir():
        return Request(first.resolve().name, (first,), lambda: _read_folder(first))
    if _is_dicom(first):
        return Request(stem(first), (first,), lambda: _read_dicom(first))
    if len(paths) > 1:
        return Request(_name_of(paths), tuple(paths), lambda: _read_volumes(paths))
    return Request(stem(first), (first,), lambda: _read_file(first))


def _name_of(paths: list[Path]) -> str:
    """Of one file its own name; of several what they have in common."""
    first = paths[0]
    if len(paths) == 1:
        return stem(first)
    match = VOLUME_FILE.fullmatch(first.name)
    return match["patient"] if match else stem(Path(PHASE_IN_NAME.sub("", first.name))).rstrip("_-")


def stem(path: Path) -> str:
    """A file's name without its suffix, `.nii.gz` as one."""
    return path.name.removesuffix(".gz").rsplit(".", 1)[0]


def _is_dicom(path: Path) -> bool:
    if path.suffix.lower() in DICOM_SUFFIXES:
        return True
    try:
        with path.open("rb") as file:
            file.seek(PREAMBLE_BYTES)
            return file.read(len(DICOM_MARK)) == DICOM_MARK
    except OSError:
        return False


def _read_folder(folder: Path) -> Examination:
    """An ACDC patient's folder, or else a DICOM series."""
    if not any(VOLUME_FILE.fullmatch(path.name) or CINE_FILE.fullmatch(path.name) for path in folder.iterdir()):
        return _read_dicom(folder)
    files = patient_files(folder)
    if files is None:
        return _read_file(next(path for path in sorted(folder.iterdir()) if CINE_FILE.fullmatch(path.name)))
    present = [files.images[number] for number in files.numbers.values() if number in files.images]
    if not present:
        raise UserError(f"{folder}: masks and no image of ED or ES; restore the images")
    return _read_volumes(present)


def _read_file(path: Path) -> Examination:
    """A single file: a volume, or a cine of volumes."""
    _require_image(path)
    volume = read_nifti_volume(path)
    if len(volume.array) == 1:
        return _read_volumes([path])
    require_finite(path, volume)
    numbers = _frames_named(path)
    phase_of = {number: phase for phase, number in numbers.items()}
    stacks = tuple(
        Stack(array, path, phase_of.get(number), number) for number, array in enumerate(volume.array, start=1)
    )
    return _examination(stem(path), stacks, volume, (path,), volume, INFO if numbers else None, is_cine=True)


def _read_volumes(paths: list[Path]) -> Examination:
    """Volumes saved apart, of one time each; their own folder may tell more of them."""
    for path in paths:
        _require_image(path)
    volumes = {path: _finite(path) for path in paths}
    first = paths[0]
    match = VOLUME_FILE.fullmatch(first.name)
    phases, numbers, phases_from = _phases_of(paths)
    moving: tuple[Path, ...] = tuple(paths) if len(paths) > 1 else ()
    files = None
    if match is not None and match["patient"] == first.parent.resolve().name and (first.parent / INFO_FILE).is_file():
        files = patient_files(first.parent)  # what evaluating the patient looks at, whichever of its volumes is given
        moving = files.moving if files is not None else moving
    grid = volumes[first]
    for path, volume in volumes.items():
        require_same_grid(path, "volume", volume, first, grid)
    cine = grid
    if moving:
        cine = cine_of(moving, [volumes.get(path) or _read_moving(path) for path in moving])
        if cine.array.shape[2:] != grid.array.shape[2:]:
            raise bad_file(
                moving[0],
                f"a cine has its volumes' size {grid.array.shape[2]} × {grid.array.shape[3]}",
                f"{cine.array.shape[2]} × {cine.array.shape[3]}",
                "Remove it, or resample it onto their grid.",
            )
    stacks = tuple(Stack(volumes[path].array[0], path, phases.get(path), numbers.get(path)) for path in paths)
    return _examination(_name_of(paths), stacks, grid, moving, cine, phases_from, is_cine=False)


def _read_moving(path: Path) -> RawVolume:
    require_file(path)
    return read_nifti_volume(path) if CINE_FILE.fullmatch(path.name) else read_one_time(path)


def _finite(path: Path) -> RawVolume:
    volume = read_one_time(path)
    require_finite(path, volume)
    return volume


def _read_dicom(path: Path) -> Examination:
    from data_pipeline.readers.dicom_series import read_dicom_series  # pydicom only where it is needed

    series = read_dicom_series(path)
    times_ms = series.times_ms or (None,) * len(series.volume.array)
    stacks = tuple(
        Stack(array, path, None, number, time_ms)
        for number, (array, time_ms) in enumerate(zip(series.volume.array, times_ms, strict=True), start=1)
    )
    name = path.resolve().name if path.is_dir() else stem(path)
    return _examination(name, stacks, series.volume, (path,), series.volume, None, is_cine=True, affine=series.affine)


def _examination(
    name: str,
    stacks: tuple[Stack, ...],
    grid: RawVolume,
    moving: tuple[Path, ...],
    cine: RawVolume,
    phases_from: str | None,
    *,
    is_cine: bool,
    affine: npt.NDArray[np.float64] | None = None,
) -> Examination:
    centre = motion_centre(cine.array, cine.spacing_mm) if len(cine.array) > 1 else None
    told = f"what moves in {', '.join(path.name or str(path) for path in moving)}"
    return Examination(
        name,
        stacks,
        grid.spacing_mm,
        grid.slice_distance_mm,
        centre,
        IMAGE_MIDDLE if centre is None else told,
        phases_from,
        is_cine,
        affine,
    )


def _phases_of(paths: list[Path]) -> tuple[Mapping[Path, Phase], Mapping[Path, int], str | None]:
    """Phase and frame number of each volume as far as they are known, and what tells the phases."""
    matches = {path: match for path in paths if (match := VOLUME_FILE.fullmatch(path.name))}
    numbers = {path: int(match["number"]) for path, match in matches.items()}
    named = _frames_named(paths[0]) if numbers else {}
    if named:
        phases = {path: phase for path, number in numbers.items() for phase, one in named.items() if one == number}
        return phases, numbers, INFO if phases else None
    by_name = {path: Phase(match[1].upper()) for path in paths if (match := PHASE_IN_NAME.search(path.name))}
    if len(set(by_name.values())) < len(by_name):
        raise UserError(f"{paths[0]}: each phase is there once. Received: two of one phase. Name the files apart.")
    return by_name, numbers, FILE_NAMES if by_name else None


def _frames_named(path: Path) -> dict[Phase, int]:
    """The frame numbers of ED and ES by the Info.cfg beside a file; empty where there is none, or it says neither."""
    info_path = path.parent / INFO_FILE
    if not info_path.is_file():
        return {}
    info = read_info(info_path)
    frames = {Phase.ED: info.ed_frame, Phase.ES: info.es_frame}
    return {phase: number for phase, number in frames.items() if number is not None}


def _require_image(path: Path) -> None:
    if REFERENCE_NAME.search(path.name):
        raise UserError(f"{path}: a reference label map by its name, not an image; give the image of that volume")
    require_file(path)
