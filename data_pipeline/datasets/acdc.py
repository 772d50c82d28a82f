"""ACDC as users have it: short-axis cine MR, volumes of slices at end-diastole and end-systole, whole or in part.

Expected below the root, one folder per patient:

- `patient001/Info.cfg` (`key: value` lines): ED and ES, frame numbers from 1; Group, the diagnosis;
- `patient001/patient001_frame01.nii.gz` and `patient001_frame01_gt.nii.gz` of these two frames;
- optionally `patient001/patient001_4d.nii.gz`, the whole cine.

Each slice is a case, `patient001_SAX_ED_s03`, counted from 0 as in the file. Where the heart lies is told by the cine
or, where there is none, by what changed between ED and ES.

Source: Bernard et al., IEEE TMI 37(11):2514–2525, 2018, and the data set's own pages.
"""

import functools
from collections.abc import Iterator, Mapping
from pathlib import Path

from data_pipeline.datasets.camus import require_pair, structures_of
from data_pipeline.motion import motion_centre
from data_pipeline.readers.acdc import VOLUME_FILE, PatientFiles, patient_files
from data_pipeline.readers.frame import RawFrame, RawVolume, bad_file, require_file
from data_pipeline.readers.image import image_of, labels_of, require_real
from data_pipeline.readers.nifti import count_slices, read_nifti_volume
from data_pipeline.readers.volume import cine_of, require_one_time, require_same_grid, times
from data_pipeline.sample import Case, Point, Sample, Structure, View, VolumeSlice
from shell.errors import UserError

CODE_BOOK: Mapping[int, Structure] = {
    0: Structure.BACKGROUND,
    1: Structure.RV,
    2: Structure.MYO,
    3: Structure.LV,
}
VOLUMES_KEPT = 4  # image and mask of the volume whose slices are being read, and of the one before
PATIENTS_KEPT = 8


def list_cases(root: Path) -> list[Case]:
    """Every slice of every ED and ES volume below `root`, sorted by patient, phase and slice; no pixel is decoded.

    A volume whose image or mask is missing is listed all the same, with the path where it was expected: loading it is
    then an error that says so. Where the whole data set has no mask at all, `label_path` is None.

    Raises:
        UserError: no such folder, no patients, a file in another patient's folder, an Info.cfg that is missing, lacks
            ED or ES, names the same frame twice or one that the cine has not, a volume that it does not name.
    """
    if not root.is_dir():
        raise UserError(f"{root}: no such folder. Expected an ACDC root with folders like patient001. Check the path.")
    found = [patient_files(path) for path in sorted(root.iterdir()) if path.is_dir()]
    patients = [files for files in found if files is not None]
    if not patients:
        raise UserError(
            f"{root}: no ACDC volumes. Expected files like patient001/patient001_frame01.nii.gz below it. {_hint(root)}"
        )
    has_masks = any(files.masks for files in patients)
    return [case for files in patients for case in _cases_of(files, has_masks=has_masks)]


def _cases_of(files: PatientFiles, *, has_masks: bool) -> Iterator[Case]:
    folder, patient = files.folder, files.folder.name
    for phase, number in files.numbers.items():
        image, mask = files.images.get(number), files.masks.get(number)
        if image is None:
            image = folder / f"{patient}_frame{number:02d}.nii.gz" if mask is None else _sibling(mask, "_gt.", ".")
        if mask is None and has_masks:
            mask = _sibling(image, ".nii", "_gt.nii")
        for index in range(_slices(image, mask)):
            yield Case(
                patient,
                View.SAX,
                phase,
                image,
                mask,
                frame=f"s{index:02d}",
                diagnosis=files.info.group,
                slice_index=index,
                cine_paths=files.moving,
            )


def _sibling(path: Path, old: str, new: str) -> Path:
    return path.with_name(path.name.replace(old, new))


def _slices(image: Path, mask: Path | None) -> int:
    """Slices of a volume; one where neither file tells, for loading it to say what is wrong."""
    for path in (image, mask):
        try:
            if path is not None and path.is_file():
                return count_slices(path)
        except UserError:
            continue
    return 1


def load_sample(case: Case) -> Sample:
    """Decodes one slice and its mask.

    The volume that it is of is kept, so slices read one after the other cost one decoding. A slice whose mask shows no
    structure is a sample like any other (`Sample.is_without_heart`).

    Raises:
        UserError: a file that is missing or cannot be read, that holds several times, a mask or a cine of another size,
            pitch or slice distance than the image, a label outside the code book, a pitch or slice distance that is not
            positive.
    """
    assert case.slice_index is not None
    require_pair(case)
    volume = _single_time(case.image_path)
    count = volume.array.shape[1]
    if case.slice_index >= count:
        raise bad_file(case.image_path, f"the volume has slice {case.slice_index}", f"{count} slices", "Copy it again.")
    labels = None
    if case.label_path is not None:
        mask = _single_time(case.label_path)
        require_same_grid(case.label_path, "mask", mask, case.image_path, volume)
        codes = labels_of(case.label_path, RawFrame(mask.array[0, case.slice_index], mask.spacing_mm))
        labels = structures_of(case.label_path, codes, CODE_BOOK)
    image = image_of(case.image_path, RawFrame(volume.array[0, case.slice_index], volume.spacing_mm))
    return Sample(
        image=image.array,
        labels=labels,
        spacing_mm=image.spacing_mm,
        patient_id=case.patient_id,
        view=case.view,
        phase=case.phase,
        source=f"{case.image_path} slice {case.slice_index}",
        frame=case.frame,
        diagnosis=case.diagnosis,
        volume_slice=VolumeSlice(case.slice_index, count, volume.slice_distance_mm),
        heart_centre=_heart_centre(case, volume),
    )


def iter_samples(root: Path) -> Iterator[Sample]:
    """All slices below `root`, decoded one at a time. Errors as `list_cases` and `load_sample`."""
    return map(load_sample, list_cases(root))


def _single_time(path: Path) -> RawVolume:
    volume = _read_volume(path)
    require_one_time(path, volume)
    return volume


def _heart_centre(case: Case, volume: RawVolume) -> Point | None:
    if not case.cine_paths:
        return None
    for path in case.cine_paths:
        require_file(path)
    stamps = tuple((path, path.stat().st_mtime_ns, path.stat().st_size) for path in case.cine_paths)
    shape, centre = _cine_centre(stamps)
    if shape != volume.array.shape[2:]:
        raise bad_file(
            case.cine_paths[0],
            f"a cine has its volumes' size {times(volume.array.shape[2:])}",
            times(shape),
            "Remove it, or resample it onto their grid.",
        )
    return centre


@functools.lru_cache(maxsize=PATIENTS_KEPT)
def _cine_centre(stamps: tuple[tuple[Path, int, int], ...]) -> tuple[tuple[int, int], Point | None]:
    """(H, W) of a cine and where its heart is; the files' times and sizes tell a changed cine from the one read."""
    paths = [path for path, *_ in stamps]
    volumes = [read_nifti_volume(paths[0])] if len(paths) == 1 else [_single_time(path) for path in paths]
    cine = cine_of(paths, volumes)
    return (cine.array.shape[2], cine.array.shape[3]), motion_centre(cine.array, cine.spacing_mm)


def _read_volume(path: Path) -> RawVolume:
    require_file(path)
    stat = path.stat()
    return _volume(path, stat.st_mtime_ns, stat.st_size)


@functools.lru_cache(maxsize=VOLUMES_KEPT)
def _volume(path: Path, _changed: int, _size: int) -> RawVolume:
    """A decoded volume; its file's time and size tell a changed file from the one that was read."""
    volume = read_nifti_volume(path)
    require_real(path, volume.array)
    return volume


def _hint(root: Path) -> str:
    if any(VOLUME_FILE.fullmatch(path.name) for path in root.iterdir()):
        return f"Did you mean {root / '..'}?"
    for path in sorted(root.glob("*/*/*_frame*")):
        if VOLUME_FILE.fullmatch(path.name):
            return f"Did you mean {path.parents[1]}?"
    return "Check the path."
