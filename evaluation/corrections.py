"""Predicted masks of short-axis volumes on their way to a physician and back: written, read corrected, kept.

`masks/` of an evaluation has the predictions in the layout, on the grid and in the label codes of the data set itself:
what is opened, corrected and saved there is what `--corrected` reads. What was read is kept in `corrected/`, one file
per slice, so that an evaluation can be measured again without the folder.
"""

import shutil
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from data_pipeline.datasets import acdc
from data_pipeline.datasets.camus import structures_of
from data_pipeline.readers.frame import bad_file
from data_pipeline.readers.image import labels_of
from data_pipeline.readers.label_volume import write_labels_like
from data_pipeline.readers.nifti import read_nifti
from data_pipeline.sample import Case, Structure, View, case_id
from data_pipeline.spec import Dataset
from data_pipeline.splits import shorten
from evaluation.predictions import load_prediction
from shell.errors import UsageError, UserError
from shell.files import atomic_path

Labels = npt.NDArray[np.uint8]

CORRECTED, MASKS = "corrected", "masks"
"""Folders within an evaluation's."""
CODE_BOOKS: Mapping[str, Mapping[int, Structure]] = {"acdc": acdc.CODE_BOOK}
"""Kind of data set → the codes of its masks, of those with short-axis volumes in NIfTI files."""
SUFFIXES = (".nii.gz", ".nii")


@dataclass(frozen=True)
class _Files:
    """Where a slice's corrected labels are: in a volume's file, or in one of its own."""

    volume: Path | None
    slice: Path | None


def require_correctable(dataset: Dataset) -> None:
    """Refuses data without short-axis volumes in NIfTI files.

    Raises:
        UsageError: of another kind.
    """
    if dataset.name not in CODE_BOOKS:
        raise UsageError(
            f"--corrected is for short-axis volumes (--data {' or '.join(CODE_BOOKS)}:PATH). Received: {dataset.spec}"
        )


def take_corrections(given: Path, dataset: Dataset, cases: Sequence[Case], folder: Path) -> dict[str, Any]:
    """Reads corrected masks and keeps them in an evaluation's folder.

    Masks are named and coded as the data set's own, in its layout or side by side: the mask of a volume
    (`patient001/patient001_frame01_gt.nii.gz`; `patient001_SAX_ED.nii.gz` will do as well), or of one slice
    (`patient001_SAX_ED_s03.nii.gz`). What has no file is taken as it was predicted. Files of patients that are not
    evaluated, and images, are passed over.

    Args:
        given: the folder.
        dataset: that is evaluated.
        cases: of it, that are evaluated.
        folder: of the evaluation, without corrections or with earlier ones, which go.

    Returns:
        `folder` (as given), `files`, `slices` read, `passed_over` (masks of cases that are not evaluated).

    Raises:
        UsageError: data without short-axis volumes.
        UserError: no such folder, no mask in it, a mask that is named like no case, twice there, the reference itself,
            or one that the data set's reader refuses: damaged, of another size or pitch, with unknown codes.
    """
    require_correctable(dataset)
    if not given.is_dir():
        raise UserError(
            f"{given}: no such folder. --corrected needs the folder of the corrected masks. Check the path."
        )
    found = {path.relative_to(given): path for path in sorted(given.rglob("*")) if path.name.endswith(SUFFIXES)}
    wanted = {name: case for case in dataset.cases if case.view is View.SAX for name in _names(case, dataset.root)}
    images = {
        name
        for case in dataset.cases
        for path in (case.image_path, *case.cine_paths)
        for name in (path.relative_to(dataset.root), Path(path.name))
    }
    unknown = [str(name) for name in found if name not in wanted and name not in images]
    if unknown:
        example = next(iter(wanted), "patient001/patient001_frame01_gt.nii.gz")
        raise UserError(
            f"{given}: every mask is named as the data set's own, such as {example}. Received: {shorten(unknown)}. "
            "Rename them, or take them out."
        )
    masks = {name: path for name, path in found.items() if name in wanted}
    if not masks:
        example = next(iter(wanted), "patient001/patient001_frame01_gt.nii.gz")
        raise UserError(f"{given}: no corrected mask. Expected files such as {example}. Check the path.")
    shutil.rmtree(folder / CORRECTED, ignore_errors=True)
    used: set[Path] = set()
    slices = 0
    for case in cases:
        files = _files_of(given, case, dataset.root, masks)
        path = files.slice or files.volume
        if path is None:
            continue
        if case.label_path is not None and case.label_path.exists() and path.samefile(case.label_path):
            raise UserError(f"{path}: the reference is no correction. Give the folder of the corrected masks.")
        labels = _of_slice(path, case, dataset) if files.slice else _of_volume(path, case, dataset)
        _keep(folder / CORRECTED / f"{case.case_id}.npz", labels)
        used.add(path)
        slices += 1
    if not slices:
        raise UserError(f"{given}: no mask of a case that is evaluated. Received: {shorten([str(n) for n in masks])}.")
    return {"folder": str(given), "files": len(used), "slices": slices, "passed_over": len(masks) - len(used)}


def read_corrections(folder: Path, cases: Sequence[str]) -> dict[str, Labels] | None:
    """(H, W) structure codes by case, of the cases that have corrections; None where the evaluation has none at all.

    Raises:
        UserError: a damaged file.
    """
    if not (folder / CORRECTED).is_dir():
        return None
    paths = {case: folder / CORRECTED / f"{case}.npz" for case in cases}
    return {case: _kept(path) for case, path in paths.items() if path.is_file()}


def write_masks(folder: Path, dataset: Dataset, cases: Sequence[Case]) -> None:
    """Writes the predicted masks of whole volumes, in the data set's layout and codes, for a physician to correct.

    Args:
        folder: of the evaluation, with its predictions; a volume of which one is missing is left out.
        dataset: that is evaluated; one that has no volumes in NIfTI files is left alone.
        cases: of it, that are evaluated.
    """
    if dataset.name not in CODE_BOOKS:
        return
    codes = {structure: code for code, structure in CODE_BOOKS[dataset.name].items()}
    volumes = sorted((case for case in cases if case.label_path is not None), key=lambda case: str(case.label_path))
    for path, group in groupby(volumes, key=lambda case: case.label_path):
        assert path is not None
        slices = sorted(group, key=lambda case: case.slice_index or 0)
        stored = [folder / "predictions" / f"{case.case_id}.npz" for case in slices]
        if not all(one.is_file() for one in stored):
            continue
        labels = np.stack([load_prediction(one).label_map for one in stored])
        native = np.zeros(labels.shape, np.uint8)
        for structure, code in codes.items():
            native[labels == structure] = code
        write_labels_like(folder / MASKS / path.relative_to(dataset.root), native[np.newaxis], path)


def _names(case: Case, root: Path) -> list[Path]:
    """What a case's corrected mask may be called, below the folder."""
    names = [Path(f"{case.case_id}{suffix}") for suffix in SUFFIXES]
    names += [Path(f"{case_id(case.patient_id, case.view, case.phase)}{suffix}") for suffix in SUFFIXES]
    if case.label_path is not None:
        names += [case.label_path.relative_to(root), Path(case.label_path.name)]
    return names + [case.patient_id / name for name in names if len(name.parts) == 1]


def _files_of(given: Path, case: Case, root: Path, masks: Mapping[Path, Path]) -> _Files:
    there = {name: masks[name] for name in dict.fromkeys(_names(case, root)) if name in masks}
    of_slice = [path for name, path in there.items() if name.name.startswith(f"{case.case_id}.")]
    of_volume = [path for path in there.values() if path not in of_slice]
    if len(of_slice) + len(of_volume) > 1:
        names = " and ".join(str(path.relative_to(given)) for path in (*of_slice, *of_volume))
        raise UserError(f"{given}: a slice is corrected once. Received: {names}. Take one of them out.")
    return _Files(of_volume[0] if of_volume else None, of_slice[0] if of_slice else None)


def _of_volume(path: Path, case: Case, dataset: Dataset) -> Labels:
    labels = dataset.load(replace(case, label_path=path)).labels
    assert labels is not None
    return labels


def _of_slice(path: Path, case: Case, dataset: Dataset) -> Labels:
    frame, image = read_nifti(path), dataset.load(case).image
    if frame.array.shape != image.shape:
        shapes = [" × ".join(map(str, shape)) for shape in (image.shape, frame.array.shape)]
        raise bad_file(path, f"a mask has as many pixels as its slice, {shapes[0]}", shapes[1], "Save it on that grid.")
    return structures_of(path, labels_of(path, frame), CODE_BOOKS[dataset.name])


def _keep(path: Path, labels: Labels) -> None:
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, label_map=labels)


def _kept(path: Path) -> Labels:
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            return archive["label_map"]
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise UserError(f"{path}: damaged ({error}); evaluate again with --corrected") from error
