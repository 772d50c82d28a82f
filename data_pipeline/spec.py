"""Opens a data set by its SPEC: `phantom`, `phantom:PATH`, `camus:PATH`, `camus:PATH?splits=DIR`."""

import difflib
import functools
import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from data_pipeline.datasets import camus, phantom
from data_pipeline.sample import Case, Sample
from data_pipeline.splits import Split, shorten
from shell.errors import UsageError, UserError

DATASETS: dict[str, ModuleType] = {"camus": camus, "phantom": phantom}
"""Kind → module with `list_cases(root)` and `load_sample(case)`."""

HASHED_BYTES = 4 * 2**20  # larger files (sequences) count by name and size


@dataclass(frozen=True)
class Dataset:
    """An opened data set.

    Attributes:
        spec: as given.
        name: its kind, a key of `DATASETS`.
        root: its folder.
        cases: every frame, sorted.
        load: decodes one case.
        official_split: fold 1..10 → the data set's own lists, or None where it has none.
    """

    spec: str
    name: str
    root: Path
    cases: tuple[Case, ...]
    load: Callable[[Case], Sample]
    official_split: Callable[[int], Split | None]

    def labelled(self, patients: Iterable[str]) -> list[Case]:
        """The cases of these patients that have reference labels, in the data set's order."""
        wanted = set(patients)
        return [case for case in self.cases if case.patient_id in wanted and case.label_path is not None]

    def digest(self) -> str:
        """Hex SHA-256 over names, sizes and contents of the files beside the frames, and what is listed of each case.

        Independent of where the folder lies. Files over 4 MiB count by name and size alone.
        """
        digest = hashlib.sha256()
        for case in self.cases:
            digest.update(f"{case.case_id} {case.quality} {case.ef_percent} {case.truth}\n".encode())
        for folder in sorted({case.image_path.parent for case in self.cases}):
            for path in sorted(path for path in folder.iterdir() if path.is_file()):
                size = path.stat().st_size
                digest.update(f"{folder.name}/{path.name} {size}\n".encode())
                if size <= HASHED_BYTES:
                    digest.update(path.read_bytes())
        return digest.hexdigest()


def open_dataset(spec: str, *, complete: bool = True) -> Dataset:
    """Opens a data set by its SPEC; nothing is decoded.

    Args:
        spec: `phantom` (the default simulated set, made once into the cache folder), `phantom:PATH` (a written one) or
            `camus:PATH`, the latter with `?splits=DIR` where the official lists lie in a place of their own.
        complete: refuse a data set in which an image or a mask is missing.

    Raises:
        UsageError: unknown kind, no path, unknown option.
        UserError: what the data set's own `list_cases` refuses, or missing files.
    """
    kind, _, rest = spec.partition(":")
    if kind not in DATASETS:
        near = difflib.get_close_matches(kind, DATASETS, n=1)
        mend = f"Did you mean {near[0]}?" if near else "Example: camus:../data/camus"
        raise UsageError(f"unknown data set kind; known: {', '.join(DATASETS)}. Received: {spec!r}. {mend}")
    path, _, option = rest.partition("?")
    key, _, value = option.partition("=")
    if option and (kind != "camus" or key != "splits" or not value):
        raise UsageError(f"a data set takes no option but camus:PATH?splits=DIR. Received: {spec!r}")
    if kind == "phantom" and not path:
        root = phantom.ensure_default()
    elif path:
        root = Path(path).expanduser()
    else:
        raise UsageError(f"a path is needed. Received: {spec!r}. Example: {kind}:../data/{kind}")
    lists = Path(value).expanduser() if value else None
    module = DATASETS[kind]
    cases = tuple(module.list_cases(root))
    missing = [
        str(path)
        for case in cases
        for path in (case.image_path, case.label_path)
        if path is not None and not path.exists()
    ]
    if missing and complete:
        raise UserError(
            f"{root}: every image needs its mask and every mask its image. Missing: {shorten(missing)}. "
            f"Restore them, or remove their counterparts; `python -m data_pipeline.check {spec}` lists all."
        )
    official = functools.partial(camus.official_split, root, lists=lists) if kind == "camus" else _no_official_split
    return Dataset(spec, kind, root, cases, module.load_sample, official)


def _no_official_split(fold: int) -> None:
    """Simulated data has no official lists."""
