"""Preprocessed frames on disk: decoded, resized and normalised once, then read by every epoch of every run.

An entry is a folder named by its key, the SHA-256 of everything it was made from: the bytes of the image and label
files, the preprocessing, the region, the structures, the loader and the format. It is written beside and renamed into
place, so it is complete or not there; what it holds is checked against its own digests whenever it is opened.
"""

import functools
import hashlib
import json
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from data_pipeline.preprocess import Preprocessing, preprocess_image, preprocess_labels
from data_pipeline.regions import RegionOf
from data_pipeline.sample import Case, Sample, Structure
from shell.errors import UserError
from shell.files import atomic_folder, exclusive, read_json, sha256_of, write_json
from shell.progress import progress

FORMAT = 1  # to be raised whenever the files, or what preprocess.py does to a frame, change
IMAGES, LABELS, DESCRIPTION = "images.npy", "labels.npy", "cache.json"
DETACHED_DATA = {".mhd": (".raw", ".zraw")}  # a MetaImage header has its pixels in another file


@dataclass(frozen=True)
class FrameCache:
    """The preprocessed frames of some cases, in their order.

    Attributes:
        images: (N, h, w) float32, memory-mapped, read-only.
        labels: (N, h, w) uint8 of class indices (positions in `structures`), memory-mapped, read-only.
        case_ids: N names.
        structures: structure of each class index.
        preprocessing: how the frames were made.
    """

    images: np.memmap[Any, np.dtype[np.float32]]
    labels: np.memmap[Any, np.dtype[np.uint8]]
    case_ids: tuple[str, ...]
    structures: tuple[Structure, ...]
    preprocessing: Preprocessing

    def __len__(self) -> int:
        return len(self.case_ids)

    def read(self, indices: npt.NDArray[np.integer[Any]]) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.uint8]]:
        """Copies of the frames and labels at `indices`: (n, h, w) float32 and (n, h, w) uint8.

        Reads the files rather than through the mapping, whose touched pages would count as this process's memory
        until the whole data set is resident.
        """
        return _read_frames(self.images, indices), _read_frames(self.labels, indices)


def build_cache(
    cases: Sequence[Case],
    load: Callable[[Case], Sample],
    preprocessing: Preprocessing,
    structures: tuple[Structure, ...],
    folder: Path,
    region: RegionOf | None = None,
) -> FrameCache:
    """The cache of these cases below `folder`: opened if it is there and sound, else built.

    Processes that ask for the same entry at once wait for the first to finish and share it. One that is killed
    leaves nothing that a later one would take for an entry. Memory does not grow with the number of cases.

    Args:
        cases: labelled cases, in the order the cache shall have.
        load: decodes one case.
        preprocessing: what to do to each frame.
        structures: structure of each class index, BACKGROUND first; all others become 0.
        folder: where entries live; made if needed.
        region: what the network sees of each frame; None: all of it.

    Raises:
        ValueError: no cases, or `structures` does not begin with BACKGROUND or repeats one.
        UserError: a case without labels, labels of another size than the image, or no region of a case.
    """
    if not cases:
        raise ValueError("`cases` must hold at least one case. Received: none")
    if not structures or structures[0] != Structure.BACKGROUND or len(set(structures)) != len(structures):
        names = ", ".join(structure.name for structure in structures) or "none"
        raise ValueError(f"`structures` must be BACKGROUND and then others, each once. Received: {names}")
    key = _key(cases, load, preprocessing, structures, region)
    entry = folder / key
    folder.mkdir(parents=True, exist_ok=True)
    with exclusive(folder / f"{key}.lock", work="building this cache"):
        for abandoned in folder.glob(f".{key}.*"):  # by a process that was killed; it held the lock
            shutil.rmtree(abandoned, ignore_errors=True)
        cache = _open(entry, key, structures, preprocessing)
        if cache is None:
            try:
                _write(entry, key, cases, load, preprocessing, structures, region)
            except OSError as error:
                error.filename = error.filename or str(entry)  # a failed write does not know its file
                raise
            cache = _open(entry, key, structures, preprocessing)
    if cache is None:
        raise UserError(f"{entry}: what was written cannot be read back; check the disk or choose another cache folder")
    return cache


def _key(
    cases: Sequence[Case],
    load: Callable[[Case], Sample],
    preprocessing: Preprocessing,
    structures: tuple[Structure, ...],
    region: RegionOf | None,
) -> str:
    description: dict[str, Any] = {
        "format": FORMAT,
        "loader": f"{load.__module__}.{getattr(load, '__qualname__', type(load).__name__)}",
        "preprocessing": preprocessing.to_dict(),
        "structures": [structure.name for structure in structures],
    }
    if region is not None:  # entries of whole frames keep the names they had before there were regions
        description["region"] = region.to_dict()
    digest = hashlib.sha256(json.dumps(description, sort_keys=True).encode())
    of_file = functools.cache(sha256_of)  # the slices of a volume share its files
    for case in progress(cases, label="digest of frames", unit="frames"):
        digest.update(json.dumps([case.case_id, *(of_file(path) for path in _files(case))]).encode())
    return digest.hexdigest()


def _files(case: Case) -> Iterator[Path]:
    for path in (case.image_path, case.label_path):
        if path is None:
            raise UserError(f"{case.case_id}: has no label file; only labelled frames can be cached for training")
        yield path
        detached = (path.with_suffix(suffix) for suffix in DETACHED_DATA.get(path.suffix.lower(), ()))
        yield from (file for file in detached if file.is_file())
    yield from case.further_label_paths
    yield from case.cine_paths  # they tell where the heart is, and so the region


def _write(
    entry: Path,
    key: str,
    cases: Sequence[Case],
    load: Callable[[Case], Sample],
    preprocessing: Preprocessing,
    structures: tuple[Structure, ...],
    region: RegionOf | None,
) -> None:
    class_of = np.zeros(256, np.uint8)
    for index, structure in enumerate(structures):
        class_of[structure] = index
    shape = (len(cases), preprocessing.height, preprocessing.width)
    with atomic_folder(entry) as temporary:
        # Plain writes: a full disk is then an error with a message, where a mapped file ends the process.
        with (temporary / IMAGES).open("wb") as images, (temporary / LABELS).open("wb") as labels:
            _write_header(images, shape, np.float32)
            _write_header(labels, shape, np.uint8)
            begin = {file: file.tell() for file in (images, labels)}
            # Slices of one volume come one after the other, whatever their order here: it is decoded once.
            in_files = sorted(range(len(cases)), key=lambda place: (str(cases[place].image_path), place))
            for place in progress(in_files, label="preprocessing frames", unit="frames"):
                sample = load(cases[place])
                if sample.labels is None:
                    raise UserError(f"{sample.source}: has no labels; only labelled frames can be cached for training")
                if sample.labels.shape != sample.image.shape:
                    raise UserError(
                        f"{sample.source}: labels must have the image's size {sample.image.shape}, "
                        f"received {sample.labels.shape}; mend or remove this case"
                    )
                seen = None if region is None else region(sample)
                image = preprocess_image(sample.image, preprocessing, seen)
                for file, frame in (
                    (images, image),
                    (labels, class_of[preprocess_labels(sample.labels, preprocessing, seen)]),
                ):
                    file.seek(begin[file] + place * frame.nbytes)
                    file.write(frame.tobytes())
        write_json(
            temporary / DESCRIPTION,
            {
                "format": FORMAT,
                "key": key,
                "preprocessing": preprocessing.to_dict(),
                "structures": [structure.name for structure in structures],
                "sha256": {name: sha256_of(temporary / name) for name in (IMAGES, LABELS)},
                "case_ids": [case.case_id for case in cases],
            },
        )


def _write_header(file: IO[bytes], shape: tuple[int, ...], dtype: type[np.generic]) -> None:
    header = {"descr": np.lib.format.dtype_to_descr(np.dtype(dtype)), "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, header)


def _open(entry: Path, key: str, structures: tuple[Structure, ...], preprocessing: Preprocessing) -> FrameCache | None:
    """The entry, or None where it is missing or not what was written."""
    if not entry.is_dir():
        return None
    try:
        description = read_json(entry / DESCRIPTION)
        sound = description["key"] == key and all(
            sha256_of(entry / name) == description["sha256"][name] for name in (IMAGES, LABELS)
        )
        case_ids = tuple(description["case_ids"])
    except (UserError, OSError, KeyError, TypeError):
        sound = False
    if not sound:
        print(f"{entry}: damaged frame cache; building it again", file=sys.stderr, flush=True)
        return None
    images, labels = (np.load(entry / name, mmap_mode="r") for name in (IMAGES, LABELS))
    return FrameCache(images, labels, case_ids, structures, preprocessing)


def _read_frames(mapped: np.memmap[Any, Any], indices: npt.NDArray[np.integer[Any]]) -> npt.NDArray[Any]:
    frames = np.empty((len(indices), *mapped.shape[1:]), mapped.dtype)
    with Path(str(mapped.filename)).open("rb") as file:
        for frame, index in zip(frames, indices, strict=True):
            file.seek(mapped.offset + int(index) * frame.nbytes)
            if file.readinto(frame) != frame.nbytes:  # type: ignore[arg-type]  # an array is a writable buffer
                raise OSError(f"{mapped.filename}: ends before frame {index}; the cache was changed while in use")
    return frames
