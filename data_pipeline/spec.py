"""Opens a data set by its SPEC, e.g. `phantom`, `camus:PATH`, `acdc:PATH`, with options behind a `?`."""

import difflib
import functools
import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from data_pipeline.datasets import acdc, camus, labelme, phantom, sunnybrook
from data_pipeline.sample import Case, Sample, Structure
from data_pipeline.splits import Split, shorten, split_patients
from postprocessing.valve import valve_as_blood
from shell.errors import UsageError, UserError

HASHED_BYTES = 4 * 2**20  # larger files (sequences) count by name and size

Loader = Callable[[Case], Sample]
"""Decodes one case. The frame cache tells loaders apart by their module and `__qualname__`."""


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
        structures: what its labels tell apart, as loaded.
        described_by: files that say something of all frames and do not lie beside them.
        remarks: what the check reports of the data set as a whole.
    """

    spec: str
    name: str
    root: Path
    cases: tuple[Case, ...]
    load: Loader
    official_split: Callable[[int], Split | None]
    structures: tuple[Structure, ...]
    described_by: tuple[Path, ...] = ()
    remarks: tuple[str, ...] = ()

    def labelled(self, patients: Iterable[str]) -> list[Case]:
        """The cases of these patients that have reference labels, in the data set's order."""
        wanted = set(patients)
        return [case for case in self.cases if case.patient_id in wanted and case.label_path is not None]

    def split(self, fold: int | None, *, train_share: float, val_share: float, seed: int) -> Split:
        """Which labelled patients train, validate and test: the data set's own list of a fold, or a seeded split.

        Args:
            fold: 1..10, or None for one split by the shares.
            train_share: as `split_patients` takes it; not used with official lists, as the other two.
            val_share: as the share to train on.
            seed: of the split that is drawn.

        Raises:
            UsageError: a fold that there is not, shares that do not fit.
            UserError: too few patients, or a damaged list.
        """
        labelled = [case for case in self.cases if case.label_path is not None]
        official = self.official_split(fold) if fold is not None else None
        return official or split_patients(labelled, train_share=train_share, val_share=val_share, seed=seed, fold=fold)

    def digest(self) -> str:
        """Hex SHA-256 over names, sizes and contents of the files beside the frames, and what is listed of each case.

        Independent of where the folder lies. Files over 4 MiB that are no frame and no mask count by name and size.
        """
        digest = hashlib.sha256()
        for case in self.cases:
            digest.update(f"{case.case_id} {case.quality} {case.ef_percent} {case.truth}\n".encode())
        frames = {path for case in self.cases for path in (case.image_path, case.label_path) if path is not None}
        beside = {path for folder in {path.parent for path in frames} for path in folder.iterdir() if path.is_file()}
        for path in sorted(beside | {path for path in self.described_by if path.is_file()}):
            folder, size = path.parent, path.stat().st_size
            name = folder.relative_to(self.root) if folder.is_relative_to(self.root) else folder.name
            digest.update(f"{name}/{path.name} {size}\n".encode())
            if size <= HASHED_BYTES or path in frames:
                digest.update(path.read_bytes())
        return digest.hexdigest()


@dataclass(frozen=True)
class Request:
    """A SPEC taken apart, and the structures that its labels shall have.

    Attributes:
        spec: as given.
        path: what follows the colon; may be empty.
        options: what follows the question mark, name → value.
        structures: asked for; empty where the data set's usual labels will do.
        complete: refuse what is missing or cannot be read.
    """

    spec: str
    path: str
    options: Mapping[str, str]
    structures: frozenset[Structure]
    complete: bool


@dataclass(frozen=True)
class Kind:
    """A kind of data set.

    Attributes:
        opened: finds its frames.
        structures: all that its labels can have.
        options: what may follow a `?`, name → example.
        mend: what else helps where it lacks a structure, ending in a comma.
    """

    opened: Callable[[Request], Dataset]
    structures: tuple[Structure, ...]
    options: Mapping[str, str]
    mend: str = ""


def open_dataset(spec: str, *, complete: bool = True, structures: Sequence[Structure] | None = None) -> Dataset:
    """Opens a data set by its SPEC; nothing is decoded.

    Args:
        spec: `phantom` (the default simulated set, made once into the cache folder; `phantom?views=A2C,A3C,A4C` makes
            another one there, options `views`, `patients`, `seed`), `phantom:PATH` (a written one), `camus:PATH`, with
            `?splits=DIR` where the official lists lie in a place of their own, `acdc:PATH`, with
            `?without=PATIENT,PATIENT` where some shall be left out, `sunnybrook:PATH`, or `labelme:PATH`, with
            `?labels=FILE` where the names of shapes are explained elsewhere.
        complete: refuse a data set in which an image or a mask is missing or, of LabelMe files, one cannot be read.
        structures: what the labels must have, BACKGROUND or not; None: the data set's usual labels. It decides which
            labels are loaded: leaflets are part of the cavities unless MV is asked for.

    Raises:
        UsageError: unknown kind, no path, unknown option.
        UserError: a structure that the data set does not label, what the data set's own `list_cases` refuses, or
            missing files.
    """
    kind, _, rest = spec.partition("?")[0].partition(":")
    if kind not in DATASETS:
        near = difflib.get_close_matches(kind, DATASETS, n=1)
        mend = f"Did you mean {near[0]}?" if near else "Example: camus:../data/camus"
        raise UsageError(f"unknown data set kind; known: {', '.join(DATASETS)}. Received: {spec!r}. {mend}")
    asked = frozenset(structures or ()) - {Structure.BACKGROUND}
    dataset = DATASETS[kind].opened(Request(spec, rest, _options(spec, kind), asked, complete))
    _require_structures(dataset, asked)
    files = [path for case in dataset.cases for path in (case.image_path, case.label_path) if path is not None]
    missing = [str(path) for path in dict.fromkeys(files) if not path.exists()]  # the slices of a volume share files
    if missing and complete:
        raise UserError(
            f"{dataset.root}: every image needs its mask and every mask its image. Missing: {shorten(missing)}. "
            f"Restore them, or remove their counterparts; `python -m data_pipeline.check {spec}` lists all."
        )
    return dataset


def _options(spec: str, kind: str) -> dict[str, str]:
    """What follows the `?`, as `name=value&name=value`."""
    text = spec.partition("?")[2]
    known = DATASETS[kind].options
    found: dict[str, str] = {}
    for option in text.split("&") if "?" in spec else []:
        name, _, value = option.partition("=")
        if name not in known or not value or name in found:
            takes = "&".join(f"{key}={example}" for key, example in known.items())
            raise UsageError(f"{kind} takes `?{takes}`, each at most once. Received: {spec!r}")
        found[name] = value
    return found


def _required_path(request: Request) -> Path:
    if not request.path:
        kind = request.spec.partition("?")[0].rstrip(":")
        raise UsageError(f"a path is needed. Received: {request.spec!r}. Example: {kind}:../data/{kind}")
    return Path(request.path).expanduser()


def _require_structures(dataset: Dataset, asked: frozenset[Structure]) -> None:
    missing = sorted(asked - set(dataset.structures))
    if not missing:
        return
    names = ", ".join(structure.name for structure in missing)
    having = [kind for kind, of in DATASETS.items() if asked <= set(of.structures) and kind != dataset.name]
    kept = sorted((asked - set(missing)) or set(dataset.structures))
    left = ",".join(structure.name for structure in (Structure.BACKGROUND, *kept))
    mend = DATASETS[dataset.name].mend + (
        f" choose data that have it (--data {' or '.join(having)})," if having else ""
    )
    mend = f"{mend} {'or ' if mend else ''}leave {names} out (--set classes={left})".strip()
    present = ", ".join(structure.name for structure in dataset.structures) or "nothing"
    raise UserError(
        f"{dataset.root}: its labels have {present}. Received: classes with {names}. {mend[0].upper()}{mend[1:]}."
    )


def _open_camus(request: Request) -> Dataset:
    root = _required_path(request)
    lists = Path(request.options["splits"]).expanduser() if "splits" in request.options else None
    official = functools.partial(camus.official_split, root, lists=lists)
    cases = tuple(camus.list_cases(root))
    return Dataset(request.spec, "camus", root, cases, camus.load_sample, official, CAVITIES_AND_WALL)


def _open_acdc(request: Request) -> Dataset:
    root = _required_path(request)
    cases = acdc.list_cases(root)
    left_out = {name.strip() for name in request.options["without"].split(",")} if request.options else set[str]()
    if unknown := sorted(left_out - {case.patient_id for case in cases}):
        raise UsageError(f"`without` names patients below {root}. Received: {shorten(unknown)}, which are not there")
    kept = tuple(case for case in cases if case.patient_id not in left_out)
    if not kept:
        raise UsageError(f"`without` must leave a patient below {root}. Received: {request.options['without']}")
    return Dataset(request.spec, "acdc", root, kept, acdc.load_sample, _no_official_split, VENTRICLES_AND_WALL)


def _open_sunnybrook(request: Request) -> Dataset:
    root = _required_path(request)
    with_myocardium = request.structures != {Structure.LV}
    cases = sunnybrook.list_cases(root, with_myocardium=with_myocardium)
    labels = (Structure.LV, Structure.MYO) if with_myocardium else (Structure.LV,)
    return Dataset(request.spec, "sunnybrook", root, tuple(cases), sunnybrook.load_sample, _no_official_split, labels)


def _open_phantom(request: Request) -> Dataset:
    if request.path and request.options:
        raise UsageError(
            f"a written data set has its options already. Received: {request.spec!r}. "
            "Write another one with `python -m data_pipeline.phantom`, or leave the options out."
        )
    root = _required_path(request) if request.path else phantom.ensure_made(phantom.options_from(request.options))
    cases, load, labels = phantom.list_cases(root), phantom.load_sample, CAVITIES_AND_WALL
    if Structure.MV in request.structures:
        cases, load, labels = phantom.with_structures(cases), phantom.load_structures, (*labels, *ON_TOP)
    elif Structure.RV in request.structures:
        cases, load, labels = phantom.with_structures(cases), phantom.load_right_ventricle, (*labels, Structure.RV)
    return Dataset(request.spec, "phantom", root, tuple(cases), load, _no_official_split, labels)


def _open_labelme(request: Request) -> Dataset:
    root = _required_path(request)
    labels = Path(request.options["labels"]).expanduser() if "labels" in request.options else None
    meanings = labelme.read_meanings(root, labels)
    frames = labelme.list_frames(root, labels)
    if request.complete:
        labelme.require_usable(frames, meanings)
    labels_have, finished = labelme.structures_in(frames, meanings), labelme.as_drawn
    if request.structures and Structure.MV not in request.structures:
        labels_have, finished = tuple(one for one in labels_have if one is not Structure.MV), valve_as_blood
    unlabelled = labelme.pictures_without_labels(root, frames)
    rule = f"{root}: a LabelMe file belongs to every picture. Received: {unlabelled} without. They are left out."
    return Dataset(
        request.spec,
        "labelme",
        root,
        tuple(frame.case for frame in frames),
        labelme.Loader(meanings, finished),
        _no_official_split,
        labels_have,
        described_by=(labels or root / labelme.LABELS_FILE, root / labelme.CASES_FILE),
        remarks=(rule,) if unlabelled else (),
    )


def _no_official_split(fold: int) -> None:
    """The data set has no official lists."""


CAVITIES_AND_WALL = (Structure.LV, Structure.MYO, Structure.LA)
VENTRICLES_AND_WALL = (Structure.LV, Structure.MYO, Structure.RV)
ON_TOP = (Structure.RV, Structure.MV)

DATASETS: Mapping[str, Kind] = {
    "camus": Kind(_open_camus, CAVITIES_AND_WALL, {"splits": "DIR"}),
    "acdc": Kind(_open_acdc, VENTRICLES_AND_WALL, {"without": "PATIENT,PATIENT"}),
    "sunnybrook": Kind(_open_sunnybrook, (Structure.LV, Structure.MYO), {}),
    "phantom": Kind(
        _open_phantom, (*CAVITIES_AND_WALL, *ON_TOP), {"views": "A2C,A3C,A4C", "patients": "120", "seed": "2026"}
    ),
    "labelme": Kind(
        _open_labelme,
        tuple(structure for structure in Structure if structure is not Structure.BACKGROUND),
        {"labels": "FILE"},
        mend="map the name that its shapes have in labels.json,",
    ),
}
"""Kind → how it is opened, what it can label, which options it takes."""
