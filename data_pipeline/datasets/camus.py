"""CAMUS as users have it: the NIfTI release, the older MetaImage release, whole or in part.

Expected below the root, one folder per patient:

- `patient0001/patient0001_4CH_ED.nii.gz` and `patient0001_4CH_ED_gt.nii.gz` (NIfTI release; 2CH, 3CH, 4CH; ED, ES), or
- `patient0001/patient0001_4CH_ED.mhd` with its `.raw`, and `_gt.mhd` (MetaImage release);
- optionally `patient0001/Info_4CH.cfg` (`key: value` lines).

Any subset of views and phases will do. Sequences (`half_sequence`, `sequence`) may lie there and are not listed. The
official cross-validation lists `subGroup{k}_{training,validation,testing}.txt` are looked for in the root, then in
`splits`, `camus_splits` or `database_split` below the root, then beside the root.

Source: Leclerc et al., IEEE TMI 38(9):2198–2210, 2019, and the releases' own readmes.
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt

from data_pipeline.readers.image import read_image, read_labels
from data_pipeline.readers.info import Info, read_info
from data_pipeline.readers.volume import same_pitch
from data_pipeline.sample import Case, Phase, Sample, Structure, View
from data_pipeline.splits import FOLDS, Split, checked_fold, shorten
from shell.errors import UserError

CODE_BOOK: Mapping[int, Structure] = {
    0: Structure.BACKGROUND,
    1: Structure.LV,
    2: Structure.MYO,
    3: Structure.LA,
}
VIEWS: Mapping[str, View] = {"2CH": View.A2C, "3CH": View.A3C, "4CH": View.A4C}
SPLIT_FOLDERS = ("splits", "camus_splits", "database_split")
FRAME_FILE = re.compile(r"(?P<patient>[^.].*)_(?P<view>[234]CH)_(?P<phase>ED|ES)(?P<mask>_gt)?\.(nii|nii\.gz|mhd|mha)")


class UnusableFoldError(UserError):
    """An official fold leaves one of its three parts without any of the patients that are present."""


def list_cases(root: Path) -> list[Case]:
    """Every ED and ES frame below `root`, sorted by patient, view and phase, nothing decoded.

    A frame whose image or mask is missing is listed all the same, with the path where it was expected: loading it is
    then an error that says so. Where the whole data set has no mask at all, as the older release's testing part,
    `label_path` is None.

    Raises:
        UserError: no such folder, no patients, one frame in two formats, a file in another patient's folder, an Info
            file that cannot be understood.
    """
    if not root.is_dir():
        raise UserError(f"{root}: no such folder. Expected a CAMUS root with folders like patient0001. Check the path.")
    images: dict[tuple[str, View, Phase], Path] = {}
    masks: dict[tuple[str, View, Phase], Path] = {}
    for folder in sorted(root.iterdir()):
        if not folder.is_dir():
            continue
        for path in sorted(folder.iterdir()):
            match = FRAME_FILE.fullmatch(path.name)
            if match is None:
                continue
            if match["patient"] != folder.name:
                raise UserError(f"{path}: a file lies in its own patient's folder. Received: {folder.name}. Move it.")
            key = (folder.name, VIEWS[match["view"]], Phase(match["phase"]))
            found = masks if match["mask"] else images
            if key in found:
                raise UserError(f"{path}: a frame is there once. Received: also {found[key].name}. Remove one of them.")
            found[key] = path
    if not images and not masks:
        raise UserError(
            f"{root}: no CAMUS frames. Expected files like patient0001/patient0001_4CH_ED.nii.gz (or .mhd) below it. "
            + _hint(root)
        )
    infos = {key[:2]: _read_info_beside(path, key[1]) for key, path in [*masks.items(), *images.items()]}
    ef_of_patient = {patient: info.ef_percent for (patient, _), info in infos.items() if info.ef_percent is not None}
    cases: list[Case] = []
    for key in sorted(images.keys() | masks.keys()):
        patient, view, phase = key
        image = images.get(key) or Path(str(masks[key]).replace("_gt.", "."))
        mask = masks.get(key)
        if mask is None and masks:
            stem, dot, suffix = image.name.partition(".")
            mask = image.with_name(f"{stem}_gt{dot}{suffix}")
        info = infos[patient, view]
        ef_percent = info.ef_percent if info.ef_percent is not None else ef_of_patient.get(patient)
        cases.append(Case(patient, view, phase, image, mask, info.quality, ef_percent))
    return cases


def load_sample(case: Case) -> Sample:
    """Decodes one frame and its mask, in CAMUS codes.

    Raises:
        UserError: as `read_sample`.
    """
    return read_sample(case, CODE_BOOK)


def read_sample(case: Case, code_book: Mapping[int, Structure]) -> Sample:
    """Decodes one frame and its mask.

    Args:
        case: the frame.
        code_book: the mask's own codes → structures.

    Raises:
        UserError: a file that is missing or cannot be read (see `readers.image`), a mask of another size or pitch than
            its image, a label outside the code book.
    """
    require_pair(case)
    image = read_image(case.image_path)
    labels = None
    if case.label_path is not None:
        codes, pitch = read_labels(case.label_path)
        if codes.shape != image.array.shape:
            raise UserError(
                f"{case.label_path}: a mask has its image's size {_times(image.array.shape)}. "
                f"Received: {_times(codes.shape)}. Resample the mask (nearest neighbour) onto the image's grid."
            )
        if not same_pitch(pitch, image.spacing_mm):
            raise UserError(
                f"{case.label_path}: a mask has its image's pixel pitch {_pitch(image.spacing_mm)}. "
                f"Received: {_pitch(pitch)}. Correct the header that is wrong."
            )
        labels = structures_of(case.label_path, codes, code_book)
    return Sample(
        image=image.array,
        labels=labels,
        spacing_mm=image.spacing_mm,
        patient_id=case.patient_id,
        view=case.view,
        phase=case.phase,
        source=str(case.image_path),
        quality=case.quality,
        ef_percent=case.ef_percent,
        truth=case.truth,
    )


def structures_of(
    path: Path, codes: npt.NDArray[np.uint8], code_book: Mapping[int, Structure]
) -> npt.NDArray[np.uint8]:
    """A mask's own codes as `Structure` codes; `path` is for messages.

    Raises:
        UserError: a code that is not in the code book.
    """
    unknown = sorted(set(np.unique(codes).tolist()) - code_book.keys())
    if unknown:
        raise UserError(
            f"{path}: labels are {', '.join(f'{code} {structure.name}' for code, structure in code_book.items())}. "
            f"Received: {shorten([str(code) for code in unknown])}. Map the codes onto these."
        )
    translation = np.zeros(256, np.uint8)
    for code, structure in code_book.items():
        translation[code] = structure
    return translation[codes]


def iter_samples(root: Path) -> Iterator[Sample]:
    """All frames below `root`, decoded one at a time. Errors as `list_cases` and `load_sample`."""
    return map(load_sample, list_cases(root))


def official_split(root: Path, fold: int, lists: Path | None = None) -> Split | None:
    """The official lists of a fold, as far as their patients are present; None where there are no lists.

    Args:
        root: data set.
        fold: 1..10; fold 5 is the challenge's own train/validation/test split.
        lists: the folder of the lists; without it the places named at the top of this module are tried in turn.

    Raises:
        UsageError: a fold outside 1..10.
        UserError: `lists` holds none, one of the three is missing, or a patient is in two of them.
        UnusableFoldError: one of the three has no patient that is present.
    """
    checked_fold(fold)
    folder = find_lists(root, lists)
    if folder is None:
        return None
    present = {case.patient_id for case in list_cases(root)}
    listed = {part: _read_list(folder / f"subGroup{fold}_{part}.txt") for part in ("training", "validation", "testing")}
    unlisted = len(present - set().union(*listed.values()))
    note = f", {unlisted} patient(s) in no list left out" if unlisted else ""
    split = Split(
        *(tuple(sorted(ids & present)) for ids in listed.values()),
        source=f"official fold {fold} of {FOLDS} ({folder.name}){note}",
    )
    empty = [part for part, ids in listed.items() if not ids & present]
    if empty:
        raise UnusableFoldError(
            f"{folder}: fold {fold} needs patients in all three lists. Received: none of the {len(present)} present in "
            f"{' and '.join(empty)}. Choose another --fold, or leave it out for a seeded split."
        )
    return split


def find_lists(root: Path, lists: Path | None = None) -> Path | None:
    """The folder of the official lists, or None.

    Raises:
        UserError: `lists` is given and holds none.
    """
    if lists is not None:
        places = [lists]
    else:
        places = [root, *(base / name for base in (root, root.resolve().parent) for name in SPLIT_FOLDERS)]
    for place in places:
        if any(place.glob("subGroup*_training.txt")):
            return place
    if lists is not None:
        raise UserError(f"{lists}: no official lists. Expected subGroup1_training.txt and its like. Check `splits=`.")
    return None


def _read_list(path: Path) -> set[str]:
    try:
        return set(path.read_text(encoding="utf-8-sig").split())
    except FileNotFoundError:
        raise UserError(f"{path}: no such list, though others lie beside it. Restore it.") from None
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: a list is text, one patient a line. Received: {error}. Copy it again.") from None


def _read_info_beside(path: Path, view: View) -> Info:
    info = path.with_name(f"Info_{view.camus_name}.cfg")
    return read_info(info) if info.is_file() else Info()


def require_pair(case: Case) -> None:
    """Refuses an image without its mask and a mask without its image, where the data set has masks."""
    if case.label_path is not None and not case.label_path.exists() and case.image_path.exists():
        raise UserError(f"{case.label_path}: no such mask, though its image is there. Restore it or remove the image.")
    if not case.image_path.exists() and case.label_path is not None and case.label_path.exists():
        raise UserError(f"{case.image_path}: no such image, though its mask is there. Restore it or remove the mask.")


def _pitch(spacing_mm: tuple[float, float] | None) -> str:
    return "unknown" if spacing_mm is None else f"({spacing_mm[0]:g}, {spacing_mm[1]:g}) mm"


def _times(shape: tuple[int, ...]) -> str:
    return " × ".join(map(str, shape))


def _hint(root: Path) -> str:
    if any(FRAME_FILE.fullmatch(path.name) for path in root.iterdir()):
        return f"Did you mean {root / '..'}?"
    for path in sorted(root.glob("*/*/*_ED.*")):
        if FRAME_FILE.fullmatch(path.name):
            return f"Did you mean {path.parents[1]}?"
    return "Check the path."
