"""Frames labelled in LabelMe 5: any number of frames of a patient and view, polygons of any of our structures.

Below the root lies one `.json` file a frame, its picture beside it (or where `imagePath` says, or embedded). Whose
frame it is, is read from its path; a patient's frames have to be found together, for a split is by patient:

- `patient01/4CH/0012.json`, `patient01/4CH_ED.json`, `patient01_4CH/0012.json`: the first folder, up to a view or phase
  in its name, is the patient;
- `patient01_4CH_0012.json` in the root itself: what comes before the view or phase is the patient.

Views are A2C, A3C, A4C or 2CH, 3CH, 4CH, phases ED, ES; both may be left out in folders. What else the path says tells
the frame from others. Flags of the picture that are set (`4CH`, `ED`, `Good`) say the same things as the path may.

`cases.csv` in the root overrules all that for the files it lists: columns `file` (as below the root) and any of
`patient`, `view`, `phase`, `frame`, `quality`, `ef_percent`, `row_mm`, `col_mm`. A picture has no pixel pitch: without
`row_mm` and `col_mm` lengths are in pixels.

`labels.json` in the root (or `?labels=FILE`) maps names of shapes to structures:
`{"left ventricle": "LV", "leaflet": "MV", "papillary muscle": "LV", "ECG": "ignore"}`. Without it the names are those
of the structures: LV, MYO, LA, RV, MV. Case and spaces around a name do not matter.

Shapes are painted in the file's order, later ones over earlier ones, but MYO first (it is often drawn as the whole
epicardium) and MV last (leaflets lie between the cavities, and are thin). BACKGROUND paints a hole.
"""

import csv
import difflib
import hashlib
import io
import json
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePath
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from data_pipeline.readers.frame import bad_file
from data_pipeline.readers.image import READERS
from data_pipeline.readers.labelme import LabelmeFile, read_labelme, shape_mask
from data_pipeline.sample import Case, Phase, Sample, Structure, View
from data_pipeline.splits import QUALITIES, shorten
from shell.errors import UserError
from shell.files import read_json
from shell.progress import progress

LABELS_FILE, CASES_FILE = "labels.json", "cases.csv"
IGNORE = "ignore"
ALWAYS = {"_background_": Structure.BACKGROUND, "__ignore__": None}
"""LabelMe's own names, which every mapping has."""

VIEWS: Mapping[str, View] = {
    name: view
    for view in (View.A2C, View.A3C, View.A4C, View.SAX)
    for name in (view.value, view.camus_name, f"A{view.camus_name}")
}
TOKEN = re.compile(r"(?<![^\W_])(?:(?P<view>(?i:A?[234]CH|A[234]C|SAX))|(?P<phase>ED|ES))(?![^\W_])")
WORDS = re.compile(r"[^\W_]+")
SEPARATORS = " _-./"
PATIENT = re.compile(r"[^\W_][^/\\\x00-\x1f]*")
PAINTED_FIRST, PAINTED_LAST = Structure.MYO, Structure.MV

Value = TypeVar("Value")
COLUMNS = ("file", "patient", "view", "phase", "frame", "quality", "ef_percent", "row_mm", "col_mm")


@dataclass(frozen=True)
class Meanings:
    """What the names of shapes mean.

    Attributes:
        of: name, as `_plain` makes it → structure, or None for what is not painted.
        source: where that is said, for messages.
    """

    of: Mapping[str, Structure | None]
    source: str

    def structure(self, label: str) -> Structure | None:
        """The structure that a shape's name stands for, None where it is to be ignored.

        Raises:
            KeyError: an unknown name.
        """
        return self.of[_plain(label)]

    def knows(self, label: str) -> bool:
        """Whether the name has a meaning."""
        return _plain(label) in self.of


@dataclass(frozen=True)
class Frame:
    """One LabelMe file as it was listed.

    Attributes:
        case: the frame.
        labels: names of its shapes.
        problem: what keeps it from being read, or None.
    """

    case: Case
    labels: frozenset[str] = field(default_factory=frozenset)
    problem: UserError | None = None


def as_drawn(labels: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """The labels themselves."""
    return labels


class Loader:
    """Decodes cases by one mapping of names; loaders that do the same have equal names, which the cache asks for.

    Args:
        meanings: of the names of shapes.
        finished: what becomes of the painted labels: `as_drawn`, or `valve_as_blood` for networks without a class for
            leaflets, which would otherwise part the cavities as background.
    """

    def __init__(
        self,
        meanings: Meanings,
        finished: Callable[[npt.NDArray[np.uint8]], npt.NDArray[np.uint8]] = as_drawn,
    ) -> None:
        self.meanings, self.finished = meanings, finished
        content = json.dumps([finished.__name__, sorted((name, str(one)) for name, one in meanings.of.items())])
        self.__qualname__ = f"Loader({hashlib.sha256(content.encode()).hexdigest()})"

    def __call__(self, case: Case) -> Sample:
        """Decodes one frame and paints its labels.

        Raises:
            UserError: a file that is missing or cannot be read, a name without a meaning, a shape without an area.
        """
        if case.label_path is None:
            raise ValueError(f"`case` must have a LabelMe file. Received: none for {case.case_id}")
        file = read_labelme(case.label_path)
        image = file.image()
        return Sample(
            image=image.array,
            labels=self.finished(paint(file, (image.array.shape[0], image.array.shape[1]), self.meanings)),
            spacing_mm=case.spacing_mm or image.spacing_mm,
            patient_id=case.patient_id,
            view=case.view,
            phase=case.phase,
            source=str(file.path),
            quality=case.quality,
            ef_percent=case.ef_percent,
            truth=case.truth,
            frame=case.frame,
        )


def paint(file: LabelmeFile, size: tuple[int, int], meanings: Meanings) -> npt.NDArray[np.uint8]:
    """(H, W) `Structure` codes of a file's shapes.

    Raises:
        UserError: a name without a meaning, a shape that has no area or is damaged.
    """
    _require_meanings(file, meanings)
    named = [(meanings.structure(shape.label), shape) for shape in file.shapes]
    labels = np.zeros(size, np.uint8)
    for structure, shape in sorted(named, key=lambda pair: _turn(pair[0])):  # stable: else in the file's order
        if structure is not None:
            labels[shape_mask(file.path, shape, size)] = structure
    return labels


def read_meanings(root: Path, labels: Path | None = None) -> Meanings:
    """The mapping in `labels`, else in the root's labels.json, else the structures' own names.

    Raises:
        UserError: not a mapping of names to structures, or one name twice with two meanings.
    """
    path = labels or root / LABELS_FILE
    if labels is None and not path.is_file():
        own = {_plain(structure.name): structure for structure in Structure}
        return Meanings(own | ALWAYS, f"the structures ({', '.join(Structure.__members__)}) without a {LABELS_FILE}")
    values = read_json(path)
    if not isinstance(values, dict) or not values:
        example = 'Example: {"left ventricle": "LV", "leaflet": "MV", "ECG": "ignore"}'
        raise bad_file(path, "it maps names of shapes to structures", type(values).__name__, example)
    of: dict[str, Structure | None] = {}
    for name, value in values.items():
        meaning = _meaning(path, name, value)
        if of.setdefault(_plain(name), meaning) is not meaning:
            raise bad_file(path, "a name has one meaning", f"{name!r} twice", "Case and outer spaces do not count.")
    return Meanings(ALWAYS | of, str(path))


def list_cases(root: Path) -> list[Case]:
    """Every frame below `root`, sorted by case id; pictures are not decoded.

    Raises:
        UserError: as `list_frames`.
    """
    return [frame.case for frame in list_frames(root)]


def list_frames(root: Path, labels: Path | None = None) -> list[Frame]:
    """Every LabelMe file below `root`, sorted by case id; pictures are not decoded.

    A file that cannot be read is listed with its problem, under what its path says.

    Args:
        root: data set.
        labels: the mapping of names, where it lies elsewhere: not taken for a frame.

    Raises:
        UserError: no such folder, no LabelMe file, a frame without patient or with two views or phases, two frames of
            one name, a cases.csv that cannot be understood.
    """
    if not root.is_dir():
        raise UserError(f"{root}: no such folder. Expected one with LabelMe files below it. Check the path.")
    rows = _read_rows(root)
    others = {(root / LABELS_FILE).resolve(), *([labels.resolve()] if labels else [])}
    paths = [path for path in _below(root) if path.suffix.lower() == ".json" and path.resolve() not in others]
    if not paths:
        raise UserError(f"{root}: no LabelMe files. Expected files like patient01/4CH/0012.json below it. Check it.")
    if missing := sorted(rows.keys() - {_relative(root, path) for path in paths}):
        names = shorten([str(path) for path in missing])
        raise bad_file(root / CASES_FILE, "`file` names a LabelMe file", names, "Correct or remove these rows.")
    frames: dict[str, Frame] = {}
    for path in progress(paths, label="reading LabelMe files", unit="files"):
        frame = _frame(root, path, rows.get(_relative(root, path), {}))
        other = frames.setdefault(frame.case.case_id, frame)
        if other is not frame:
            raise bad_file(
                path,
                "frames of a patient, view and phase have names of their own",
                f"{frame.case.case_id}, as {other.case.label_path}",
                f"Rename it, or tell them apart by `frame` in {CASES_FILE}.",
            )
    return [frames[name] for name in sorted(frames)]


def require_usable(frames: Iterable[Frame], meanings: Meanings) -> None:
    """Refuses a data set with a file that cannot be read, or with names that have no meaning, all named at once.

    Raises:
        UserError: so it is.
    """
    unknown: dict[str, list[Path]] = {}
    for frame in frames:
        if frame.problem is not None:
            raise frame.problem
        assert frame.case.label_path is not None
        for label in sorted(frame.labels):
            if not meanings.knows(label):
                unknown.setdefault(label, []).append(frame.case.label_path)
    if unknown:
        first = next(iter(unknown.values()))[0]
        raise _unknown(first, {label: len(paths) for label, paths in unknown.items()}, meanings)


def structures_in(frames: Iterable[Frame], meanings: Meanings) -> tuple[Structure, ...]:
    """The structures that occur in some frame, in the order of their codes."""
    labels = frozenset[str]().union(*(frame.labels for frame in frames))
    found = {meanings.structure(label) for label in labels if meanings.knows(label)}
    return tuple(structure for structure in Structure if structure in found - {Structure.BACKGROUND})


def pictures_without_labels(root: Path, frames: Iterable[Frame]) -> int:
    """How many pictures below `root` no LabelMe file belongs to: they are no part of the data set."""
    used = {frame.case.image_path.resolve() for frame in frames}
    stems = {(frame.case.label_path or root).with_suffix("").resolve() for frame in frames}  # embedded ones'
    pictures = [path for path in _below(root) if path.suffix.lower() in READERS]
    return sum(path.resolve() not in used and path.with_suffix("").resolve() not in stems for path in pictures)


def iter_samples(root: Path) -> Iterator[Sample]:
    """All frames below `root`, decoded one at a time."""
    return map(Loader(read_meanings(root)), list_cases(root))


def _frame(root: Path, path: Path, row: Mapping[str, str]) -> Frame:
    try:
        file, problem = read_labelme(path), None
    except UserError as error:
        file, problem = None, error
    case = _named(path, _relative(root, path), file.flags if file else ())
    case = _overruled(case, row, root / CASES_FILE)
    if problem is not None and not case.patient_id:
        raise problem
    if not case.patient_id:
        raise bad_file(
            path,
            "a frame is somebody's, or frames of one patient could be trained and tested on",
            "no patient in its path",
            "Put it into its patient's folder, name it like patient01_4CH_0012.json, "
            f"or list it in {CASES_FILE} with `file` and `patient`.",
        )
    if not PATIENT.fullmatch(case.patient_id) or (case.frame and not PATIENT.fullmatch(case.frame)):
        received = f"{case.patient_id!r}, {case.frame!r}"
        raise bad_file(path, "names of patients and frames begin with a letter or digit, no /", received, "Rename it.")
    if file is None:
        return Frame(case, problem=problem)
    return Frame(replace(case, image_path=file.image_path), frozenset(shape.label for shape in file.shapes))


def _named(path: Path, relative: PurePath, flags: Sequence[str]) -> Case:
    """What path and flags say of a frame; without a patient where they say nothing of it."""
    text = relative.with_suffix("").as_posix()
    tokens = list(TOKEN.finditer(text))
    head = text[: tokens[0].start()] if tokens else text if "/" in text else ""
    patient = head.partition("/")[0].strip(SEPARATORS)
    rest = TOKEN.sub(" ", text.removeprefix(patient))
    if patient:  # said again by a file in its patient's folder
        rest = re.sub(rf"/{re.escape(patient)}(?![^\W_])", "/", rest)
    views = [match["view"] for match in tokens if match["view"]] + [flag for flag in flags if flag.upper() in VIEWS]
    phases = [match["phase"] for match in tokens if match["phase"]] + [
        flag for flag in flags if flag in Phase.__members__
    ]
    qualities = [flag.capitalize() for flag in flags if flag.capitalize() in QUALITIES]
    view = _single(path, "view", [VIEWS[name.upper()] for name in views])
    phase = _single(path, "phase", [Phase(name) for name in phases])
    quality = _single(path, "quality", qualities)
    return Case(patient, view, phase, path, path, quality, frame="-".join(WORDS.findall(rest)) or None)


def _single(path: Path, what: str, found: Sequence[Value]) -> Value | None:
    if len(set(found)) > 1:
        received = " and ".join(dict.fromkeys(str(value) for value in found))
        mend = "Correct its path or its flags."
        raise bad_file(path, f"a frame has one {what}, in its path and its flags", received, mend)
    return found[0] if found else None


def _overruled(case: Case, row: Mapping[str, str], path: Path) -> Case:
    """The case with what its row of cases.csv says."""

    def wrong(column: str, rule: str) -> UserError:
        return bad_file(path, f"`{column}` {rule}", f"{row[column]} for {row['file']}", "Correct the row.")

    def number(column: str, rule: str, low: float, high: float) -> float | None:
        if not row.get(column):
            return None
        try:
            value = float(row[column])
        except ValueError:
            raise wrong(column, rule) from None
        if not low < value <= high:  # NaN is not either
            raise wrong(column, rule)
        return value

    changes: dict[str, object] = {
        name: row[key] for name, key in (("patient_id", "patient"), ("frame", "frame")) if row.get(key)
    }
    if view := row.get("view", "").upper():
        if view not in VIEWS:
            raise wrong("view", "is A2C, A3C, A4C, 2CH, 3CH or 4CH")
        changes["view"] = VIEWS[view]
    if phase := row.get("phase", "").upper():
        if phase not in Phase.__members__:
            raise wrong("phase", "is ED or ES")
        changes["phase"] = Phase(phase)
    if quality := row.get("quality", "").capitalize():
        if quality not in QUALITIES:
            raise wrong("quality", "is Good, Medium or Poor")
        changes["quality"] = quality
    ef_percent = number("ef_percent", "is an ejection fraction in 0..100", -1e-9, 100)
    row_mm, col_mm = (number(column, "is a pixel pitch in mm", 0, 100) for column in ("row_mm", "col_mm"))
    if (row_mm is None) != (col_mm is None):
        raise bad_file(path, "`row_mm` and `col_mm` go together", f"one of them for {row['file']}", "Give both.")
    if ef_percent is not None:
        changes["ef_percent"] = ef_percent
    if row_mm is not None and col_mm is not None:
        changes["spacing_mm"] = (row_mm, col_mm)
    return replace(case, **changes)  # pyright: ignore[reportArgumentType]  # each value is of its field's type


def _read_rows(root: Path) -> dict[PurePath, dict[str, str]]:
    """File below the root → its row of cases.csv; nothing where there is no such file."""
    path = root / CASES_FILE
    if not path.is_file():
        return {}
    try:
        text = unicodedata.normalize("NFC", path.read_text(encoding="utf-8-sig"))
    except UnicodeDecodeError as error:
        raise bad_file(path, "a list of cases is UTF-8 text", error, "Save it again as CSV (UTF-8).") from error
    header = text.partition("\n")[0].strip()
    reader = csv.DictReader(
        io.StringIO(text, newline=""), delimiter=";" if header.count(";") > header.count(",") else ","
    )
    columns = [column.strip() for column in reader.fieldnames or []]
    unknown = [column for column in columns if column not in COLUMNS]
    if unknown or "file" not in columns or len(set(columns)) < len(columns):
        near = difflib.get_close_matches(unknown[0], COLUMNS, n=1) if unknown else []
        mend = f"Did you mean {near[0]}?" if near else f"Columns: {', '.join(COLUMNS)}; only `file` is needed."
        raise bad_file(path, "its first line names its columns, once each", header or "nothing", mend)
    reader.fieldnames = columns
    rows: dict[PurePath, dict[str, str]] = {}
    for row in reader:
        if None in row or None in row.values():
            raise bad_file(path, f"every line has {len(columns)} columns", f"line {reader.line_num}", "Correct it.")
        values = {column: value.strip() for column, value in row.items()}
        file = PurePath(values["file"].replace("\\", "/"))
        if file in rows:
            raise bad_file(path, "a file has one row", f"{file} twice", "Remove one of them.")
        rows[file] = values
    return rows


def _below(root: Path) -> list[Path]:
    """All files below a folder, sorted; hidden ones and those in hidden folders are left out."""
    found = [path for path in root.rglob("*") if path.is_file()]
    return sorted(path for path in found if not any(part.startswith(".") for part in path.relative_to(root).parts))


def _relative(root: Path, path: Path) -> PurePath:
    """A path below the root, its Unicode written in one way, whatever the file system's."""
    return PurePath(unicodedata.normalize("NFC", path.relative_to(root).as_posix()))


def _require_meanings(file: LabelmeFile, meanings: Meanings) -> None:
    unknown: dict[str, int] = {}
    for shape in file.shapes:
        if not meanings.knows(shape.label):
            unknown[shape.label] = unknown.get(shape.label, 0) + 1
    if unknown:
        raise _unknown(file.path, unknown, meanings)


def _unknown(path: Path, labels: Mapping[str, int], meanings: Meanings) -> UserError:
    """The one complaint about names without a meaning; `labels` are counted."""
    received = shorten([f"{label!r} ({count} ×)" for label, count in labels.items()])
    near = difflib.get_close_matches(_plain(next(iter(labels))), [*meanings.of], n=1)
    example = json.dumps(dict.fromkeys([*labels][:3], "LV"), ensure_ascii=False)
    return bad_file(
        path,
        f"names of shapes are those of {meanings.source}",
        received + (f"; near: {near[0]!r}" if near else ""),
        f"Add them to {LABELS_FILE}, e.g. {example}; a name that means nothing is mapped to {IGNORE!r}.",
    )


def _meaning(path: Path, name: str, value: object) -> Structure | None:
    text = value.strip().upper() if isinstance(value, str) else ""
    if text == IGNORE.upper():
        return None
    if text in Structure.__members__:
        return Structure[text]
    near = difflib.get_close_matches(text, [*Structure.__members__, IGNORE.upper()], n=1)
    mend = f"Did you mean {near[0]}?" if near else "Correct it."
    raise bad_file(path, f"{name!r} means {', '.join(Structure.__members__)} or {IGNORE}", repr(value), mend)


def _plain(name: str) -> str:
    """A name as names are compared: Unicode written in one way, no case, no spaces around it."""
    return unicodedata.normalize("NFC", name).strip().casefold()


def _turn(structure: Structure | None) -> int:
    """When a structure is painted: first, in the file's order, last."""
    return -1 if structure is PAINTED_FIRST else 1 if structure is PAINTED_LAST else 0
