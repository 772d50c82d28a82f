"""What an evaluation folder holds, read back without the model that made it: rows, summary, history, overlays."""

import csv
import math
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from shell.errors import UserError
from shell.files import read_json

COLUMNS = ("case", "patient", "view", "phase", "structure", "metric", "value", "unit", "status")
PAPER_SUBGROUPS = ("A4C-ED", "A4C-ES", "A2C-ED", "A2C-ES")
ALL = "all"
ANNULUS = "ANNULUS"


@dataclass(frozen=True)
class Row:
    """One line of cases.csv. `value` is NaN where the file has none; `status` then says why."""

    case: str
    patient: str
    view: str
    phase: str
    structure: str
    metric: str
    value: float
    unit: str
    status: str

    @property
    def subgroup(self) -> str:
        """`A4C-ED`; `A4C` where the phase is unknown, empty where the view is."""
        return f"{self.view}-{self.phase}" if self.view and self.phase else self.view


@dataclass(frozen=True)
class Series:
    """The values of one metric over the frames of a group.

    Attributes:
        cases: case of each value.
        values: (N,) finite.
        unit: `mm`, `px`, `ml`, `ratio`, `percent`; empty where there is no value.
        failed: rows whose status names a failure, by status.
        other_unit: values left out because their unit is not `unit`.
    """

    cases: tuple[str, ...]
    values: npt.NDArray[np.float64]
    unit: str
    failed: Mapping[str, int]
    other_unit: int = 0

    @property
    def n(self) -> int:
        """Number of values."""
        return len(self.values)

    @property
    def n_failed(self) -> int:
        """Number of rows without a value."""
        return sum(self.failed.values())


@dataclass(frozen=True)
class Overlay:
    """A picture of overlays/overlays.json. `kind` is best, median, worst or failed; `path` may not exist."""

    case: str
    path: Path
    kind: str
    caption: str
    hinge_error_mm: float | None


@dataclass(frozen=True)
class Evaluation:
    """An evaluation folder. Files that are not there are None or empty: the report says so where it would use them."""

    folder: Path
    rows: tuple[Row, ...]
    summary: Mapping[str, Any]
    history: Mapping[str, npt.NDArray[np.float64]] | None
    recipe: Mapping[str, Any] | None
    calibration: Mapping[str, Any] | None
    environment: Mapping[str, Any] | None
    run: Mapping[str, Any] | None
    overlays: tuple[Overlay, ...]

    @cached_property
    def _by_metric(self) -> Mapping[tuple[str, str], Sequence[Row]]:
        index: defaultdict[tuple[str, str], list[Row]] = defaultdict(list)
        for row in self.rows:
            index[row.metric, row.structure].append(row)
        return dict(index)

    @cached_property
    def structures(self) -> tuple[str, ...]:
        """Structures that were segmented and judged, in the order of the file."""
        return tuple(dict.fromkeys(r.structure for r in self.rows if r.metric == "dice" and r.structure))

    @cached_property
    def subgroups(self) -> tuple[str, ...]:
        """The paper's four, then others that occur (A3C), without `all`."""
        found = {r.subgroup for r in self.frames if r.subgroup}
        return PAPER_SUBGROUPS + tuple(sorted(found.difference(PAPER_SUBGROUPS)))

    def rows_of(self, metric: str, *, structure: str, where: Callable[[Row], bool] | None = None) -> list[Row]:
        """Rows of a structure's metric that satisfy `where`."""
        return [r for r in self._by_metric.get((metric, structure), ()) if where is None or where(r)]

    def series(
        self,
        *metrics: str,
        structure: str = ANNULUS,
        subgroup: str = ALL,
        where: Callable[[Row], bool] | None = None,
    ) -> Series:
        """The finite values of one metric (or of several pooled) in a subgroup, in one unit: the more frequent one."""
        rows = [
            r
            for metric in metrics
            for r in self.rows_of(metric, structure=structure, where=where)
            if subgroup in (ALL, r.subgroup)
        ]
        measured = [r for r in rows if math.isfinite(r.value)]
        units = [r.unit for r in measured]
        unit = max(dict.fromkeys(units), key=units.count) if units else ""
        kept = [r for r in measured if r.unit == unit]
        failed: defaultdict[str, int] = defaultdict(int)
        for r in rows:
            if not math.isfinite(r.value):
                failed[r.status] += 1
        return Series(
            tuple(r.case for r in kept),
            np.array([r.value for r in kept], dtype=np.float64),
            unit,
            dict(failed),
            len(measured) - len(kept),
        )

    def pairs(
        self,
        first: str,
        second: str,
        *,
        structure: str = ANNULUS,
        subgroup: str = ALL,
        where: Callable[[Row], bool] | None = None,
    ) -> tuple[Series, Series]:
        """Two metrics over the cases that have both, in the order of the first, in one unit."""
        a = self.series(first, structure=structure, subgroup=subgroup, where=where)
        b = self.series(second, structure=structure, subgroup=subgroup, where=where)
        if a.unit != b.unit:
            return _only(a, set()), _only(b, set())
        a = _only(a, set(b.cases))
        value = dict(zip(b.cases, b.values, strict=True))
        matched = np.array([value[c] for c in a.cases], dtype=np.float64)
        return a, Series(a.cases, matched, b.unit, b.failed, b.other_unit)

    def number(self, *path: str) -> float:
        """A figure of summary.json; NaN where it is null or not there."""
        value = self.block(*path[:-1]).get(path[-1])
        return float(value) if isinstance(value, int | float) else math.nan

    def block(self, *path: str) -> Mapping[str, Any]:
        """A block of summary.json; empty where it is not there."""
        value: Any = self.summary
        for key in path:
            value = value.get(key) if isinstance(value, Mapping) else None
        return value if isinstance(value, Mapping) else {}

    def count(self, *path: str) -> int:
        """A count of summary.json; 0 where it is not there."""
        value = self.number(*path)
        return int(value) if math.isfinite(value) else 0

    def confidence(self, key: str, *, scale: float = 1.0) -> tuple[float, float]:
        """The 95 % confidence interval of a headline figure, as `evaluation/confidence.py` names it; NaN without one.

        Args:
            key: e.g. `hinge.distance_mm.median`.
            scale: e.g. 100 for per cent.
        """
        # A key has dots of its own.
        entry = self.block("confidence").get(key)
        return scale * figure_of(entry, "low"), scale * figure_of(entry, "high")

    @cached_property
    def confidence_figures(self) -> int:
        """How many figures have a confidence interval."""
        return sum(math.isfinite(figure_of(entry, "low")) for entry in self.block("confidence").values())

    @cached_property
    def length_unit(self) -> str:
        """`mm`, or `px` where no frame has a known spacing; by the summary where there are no rows."""
        units = {r.unit for r in self.rows if r.unit in ("mm", "px")}
        units = units or {key[-2:] for key in self.block("hinge", ALL) if key in ("distance_mm", "distance_px")}
        return "px" if units == {"px"} else "mm"

    @cached_property
    def frames(self) -> tuple[Row, ...]:
        """One row of each frame evaluated: the one of its aMVL's error."""
        return tuple(self.rows_of("amvl_error", structure=ANNULUS))

    @cached_property
    def frames_in_px(self) -> int:
        """Frames whose spacing is unknown where that of others is known: their lengths are in no table."""
        return sum(r.unit == "px" for r in self.frames) if self.length_unit == "mm" else 0

    @cached_property
    def is_short_axis(self) -> bool:
        """The frames are slices of short-axis volumes, all of them."""
        return bool(self.block("short_axis")) and all(row.view == "SAX" for row in self.frames)

    @cached_property
    def no_hinge_points(self) -> str | None:
        """Why the network finds no hinge points, as a status: it is not made to; None where it is."""
        status = self.block("not_measured").get("hinge_points")
        return None if status is None else str(status)

    @cached_property
    def segments(self) -> bool:
        """The network outlines structures, rather than only locating them."""
        return "segmentation" not in self.block("not_measured")

    @cached_property
    def locates(self) -> bool:
        """The network gives a box."""
        return bool(self.block("localisation"))

    @cached_property
    def oracle_margin(self) -> float | None:
        """Margin of the reference's box that every frame was cropped to; None where the reference was not used."""
        margin = self.number("oracle_margin")
        return margin if math.isfinite(margin) else None

    @cached_property
    def off_centre(self) -> frozenset[str]:
        """The frames whose left atrium is cut off (the paper's §4.4)."""
        return frozenset(self.block("outlier_cases").get("la_cut") or ())

    @cached_property
    def has_constructed_truth(self) -> bool:
        """The frames are simulated and their hinge points known by construction."""
        return bool(self.block("hinge_constructed"))

    @cached_property
    def has_calibration(self) -> bool:
        """Some frame has hinge points calibrated by a calibration fitted elsewhere."""
        return self.series("amvl_error_calibrated").n > 0


def figure_of(block: Any, key: str, otherwise: float = math.nan) -> float:
    """A figure of a summary block; `otherwise` where it is null or there is no such block."""
    value = block.get(key) if isinstance(block, Mapping) else None
    return float(value) if isinstance(value, int | float) else otherwise


def _only(series: Series, cases: set[str]) -> Series:
    kept = [i for i, case in enumerate(series.cases) if case in cases]
    return Series(
        tuple(series.cases[i] for i in kept), series.values[kept], series.unit, series.failed, series.other_unit
    )


def read_evaluation(folder: Path) -> Evaluation:
    """Reads an evaluation folder.

    Raises:
        UserError: cases.csv or summary.json is missing, or a file that is there is damaged.
    """
    return Evaluation(
        folder=folder,
        rows=_read_cases(folder / "cases.csv"),
        summary=_mapping(folder / "summary.json"),
        history=_read_history(folder / "history.csv"),
        recipe=_optional(folder / "recipe.json"),
        calibration=_optional(folder / "calibration.json"),
        environment=_optional(folder / "environment.json"),
        run=_optional(folder / "run.json"),
        overlays=_read_overlays(folder / "overlays" / "overlays.json"),
    )


def _read_cases(path: Path) -> tuple[Row, ...]:
    try:
        with path.open(newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file)
            missing = [c for c in COLUMNS if c not in (reader.fieldnames or ())]
            if missing:
                raise UserError(f"{path}: must have the columns {','.join(COLUMNS)}; missing: {', '.join(missing)}")
            return tuple(_row(path, reader.line_num, record) for record in reader)
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; is this an evaluation folder (made by evaluate.py)?") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path}: not a readable CSV file ({error}); evaluate again") from error


def _row(path: Path, line: int, record: Mapping[str, str | None]) -> Row:
    fields = {name: record.get(name) for name in COLUMNS}
    if any(value is None for value in fields.values()):
        raise UserError(f"{path}, line {line}: must have {len(COLUMNS)} fields; was the file cut off? Evaluate again")
    texts = {name: str(value) for name, value in fields.items()}
    return Row(
        texts["case"],
        texts["patient"],
        texts["view"],
        texts["phase"],
        texts["structure"],
        texts["metric"],
        _number(path, line, texts["value"]),
        texts["unit"],
        texts["status"],
    )


def _read_history(path: Path) -> Mapping[str, npt.NDArray[np.float64]] | None:
    if not path.is_file():
        return None
    columns: defaultdict[str, list[float]] = defaultdict(list)
    try:
        with path.open(newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file)
            for record in reader:
                for name, text in record.items():
                    if name:
                        columns[name].append(_number(path, reader.line_num, text or ""))
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path}: not a readable CSV file ({error}); copy it again from the run folder") from error
    return {name: np.array(values, dtype=np.float64) for name, values in columns.items()}


def _number(path: Path, line: int, text: str) -> float:
    try:
        return float(text) if text.strip() else math.nan
    except ValueError:
        raise UserError(f"{path}, line {line}: must be a number or empty. Received: {text!r}") from None


def _read_overlays(path: Path) -> tuple[Overlay, ...]:
    if not path.is_file():
        return ()
    entries = read_json(path)
    try:
        return tuple(
            Overlay(
                str(entry["case"]),
                path.parent / str(entry["file"]),
                str(entry["kind"]),
                str(entry["caption"]),
                None if entry.get("hinge_error_mm") is None else float(entry["hinge_error_mm"]),
            )
            for entry in entries
        )
    except (TypeError, KeyError, ValueError) as error:
        raise UserError(f"{path}: must list case, file, kind, caption ({error!r}); evaluate again") from error


def _mapping(path: Path) -> Mapping[str, Any]:
    value = read_json(path)
    if not isinstance(value, dict):
        raise UserError(f"{path}: must be a JSON object. Received: {type(value).__name__}")
    return value


def _optional(path: Path) -> Mapping[str, Any] | None:
    """A file that need not be there; `null` in it says the same."""
    return None if not path.is_file() or read_json(path) is None else _mapping(path)
