"""A study's tables: the paper's figures beside ours, over the jobs that are done."""

import csv
import dataclasses
import io
import math
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from metrics import agreement
from reports.cells import DASH, mean_sd, number
from reports.evaluation_folder import Evaluation, read_evaluation
from reports.evaluation_folder import Row as EvaluationRow
from shell.errors import UserError
from shell.files import write_json, write_text
from studies.figures import Measured, not_measured
from studies.jobs import Job
from studies.plan import Column, Network, Plan, Row, Table
from studies.reasons import reasons

NOT_TRAINED = "the paper's figures alone"


@dataclass(frozen=True)
class Entry:
    """One figure of a table.

    Attributes:
        paper: the paper's, or None.
        paper_sd: its standard deviation, as the paper gives it; NaN where it gives none.
        ours: of each seed that has one, over the test frames of all its folds together.
        lacking: why there is none of ours, or empty.
    """

    paper: float | None
    paper_sd: float
    ours: tuple[Measured, ...]
    lacking: str = ""

    @property
    def mean(self) -> float:
        """Over the seeds; NaN without one."""
        return agreement.mean([measured.value for measured in self.ours])

    @property
    def sd(self) -> float:
        """Over the seeds where there are several; of one seed over its frames, as in the papers; NaN if undefined."""
        if len(self.ours) == 1:
            return self.ours[0].sd
        return agreement.standard_deviation([measured.value for measured in self.ours])

    @property
    def sd_over(self) -> str:
        """What the standard deviation is over: `seeds`, `frames`, or empty where there is none."""
        if not math.isfinite(self.sd):
            return ""
        return "frames" if len(self.ours) == 1 else "seeds"

    @property
    def difference(self) -> float:
        """Ours − the paper's; NaN where one is missing."""
        return math.nan if self.paper is None else self.mean - self.paper


@dataclass(frozen=True)
class ResultRow:
    """A row of a table with our figures.

    Attributes:
        row: of the plan.
        entries: column key → figure.
        done, asked: jobs of its network.
        pool: what our figures are of, `10 folds pooled, 500 patients`; empty where there are none.
        why: what tells ours from the paper's, phrases.
    """

    row: Row
    entries: Mapping[str, Entry]
    done: int
    asked: int
    pool: str
    why: tuple[str, ...]


@dataclass(frozen=True)
class ResultTable:
    """A table of the plan with our figures; rows of networks that were not asked for are left out."""

    table: Table
    rows: tuple[ResultRow, ...]


def tables_of(plan: Plan, networks: Sequence[Network], jobs: Sequence[Job]) -> list[ResultTable]:
    """The plan's tables from the jobs that are done.

    Args:
        plan: the study.
        networks: those that were asked for.
        jobs: theirs, done or not.

    Raises:
        UserError: the evaluation of a done job is damaged.
    """
    done = {network: [job for job in jobs if job.network == network.name and _is_done(job)] for network in networks}
    asked = {network: sum(job.network == network.name for job in jobs) for network in networks}
    pools = {network: _pools(own) for network, own in done.items()}
    tables: list[ResultTable] = []
    for table in plan.tables:
        rows: list[ResultRow] = []
        for row in table.rows:
            if row.network is None:
                entries = {column.key: Entry(*row.stated(column), (), NOT_TRAINED) for column in table.columns}
                rows.append(ResultRow(row, entries, 0, 0, "", (NOT_TRAINED,)))
            elif row.network in done:
                own, seeds = done[row.network], pools[row.network]
                entries = {column.key: _entry(row, column, own, seeds) for column in table.columns}
                also = [text for text in [_counted_once(seeds)] if text]
                why = reasons(plan, row.network, own, asked=asked[row.network], also=also)
                rows.append(ResultRow(row, entries, len(own), asked[row.network], _pool_text(own, seeds), why))
        if any(row.row.network for row in rows):
            tables.append(ResultTable(table, tuple(rows)))
    return tables


def _is_done(job: Job) -> bool:
    return job.state() == "done"


@dataclass(frozen=True)
class Pool:
    """The test frames of all folds of a seed, taken together.

    Attributes:
        evaluation: their rows, each patient's once.
        patients: tested.
        twice: patients that several folds tested.
    """

    evaluation: Evaluation
    patients: int
    twice: int


def pooled(evaluations: Sequence[Evaluation]) -> Pool:
    """Evaluations of several folds as one; a patient that several have tested counts in the first of them alone.

    The papers give figures over all patients, each of whom one fold tests. Figures of the folds' own (summary.json)
    are not those of all, so the pool has none.
    """
    seen: set[str] = set()
    rows: list[EvaluationRow] = []
    twice: set[str] = set()
    for evaluation in evaluations:
        own = {row.patient for row in evaluation.rows}
        twice |= own & seen
        rows += [row for row in evaluation.rows if row.patient not in seen]
        seen |= own
    return Pool(dataclasses.replace(evaluations[0], rows=tuple(rows), summary={}), len(seen), len(twice))


def _pools(jobs: Sequence[Job]) -> list[Pool]:
    """One pool for each seed of a network's done jobs."""
    by_seed: dict[int, list[Evaluation]] = {}
    for job in jobs:
        by_seed.setdefault(job.seed, []).append(read_evaluation(job.evaluation))
    return [pooled(evaluations) for evaluations in by_seed.values()]


def _counted_once(pools: Sequence[Pool]) -> str:
    twice = max((pool.twice for pool in pools), default=0)
    return f"{counted(twice, 'patient')} tested in several folds: counted in the first alone" if twice else ""


def _pool_text(jobs: Sequence[Job], pools: Sequence[Pool]) -> str:
    """`3 seeds, each: 10 folds pooled, 500 patients tested`."""
    if not pools:
        return ""
    folds = {job.fold for job in jobs}
    patients = sorted({pool.patients for pool in pools})
    number_text = f"{patients[0]}" if len(patients) == 1 else f"{patients[0]} to {patients[-1]}"
    text = f"{number_text} patient{'' if number_text == '1' else 's'} tested"
    if folds != {None}:
        text = f"{counted(len(folds), 'fold')}{' pooled' if len(folds) > 1 else ''}, {text}"
    return f"{counted(len(pools), 'seed')}, each: {text}" if len(pools) > 1 else text


def counted(number_of: int, noun: str) -> str:
    """`1 fold`, `3 folds`."""
    return f"{number_of} {noun}{'' if number_of == 1 else 's'}"


def _entry(row: Row, column: Column, jobs: Sequence[Job], pools: Sequence[Pool]) -> Entry:
    paper, sd = row.stated(column)
    if not jobs:
        return Entry(paper, sd, (), "no job done")
    missing = [name for name in column.needs if name not in jobs[0].recipe.classes]
    if missing:
        return Entry(paper, sd, (), f"no {' and '.join(missing)} among the classes")
    take = row.figure(column)
    if take is not_measured:
        return Entry(paper, sd, (), "not measured of this row")
    figures = tuple(found for pool in pools if math.isfinite((found := take(pool.evaluation)).value))
    if figures:
        return Entry(paper, sd, figures)
    in_px = column.unit == "mm" and any(pool.evaluation.length_unit == "px" for pool in pools)
    return Entry(paper, sd, (), "the pixel pitch is unknown" if in_px else "these frames give none")


def ours_text(entry: Entry, digits: int) -> str:
    """`0.912 ± 0.004`; a dash without a figure."""
    return mean_sd(entry.mean, entry.sd, digits)


def paper_text(entry: Entry, digits: int) -> str:
    """The paper's figure, or a dash."""
    return DASH if entry.paper is None else mean_sd(entry.paper, entry.paper_sd, digits)


def difference_text(entry: Entry, digits: int) -> str:
    """Signed, or a dash."""
    return number(entry.difference, digits, signed=True)


def lacking_of(row: ResultRow, columns: Sequence[Column]) -> list[str]:
    """Which figures of a row are not ours to give, and why: `dice_MV: no MV among the classes`."""
    by_reason: dict[str, list[str]] = {}
    for column in columns:
        entry = row.entries[column.key]
        if row.done and entry.lacking:
            by_reason.setdefault(entry.lacking, []).append(column.key)
    return [f"{', '.join(names)}: {reason}" for reason, names in by_reason.items()]


TEXT_WIDTH = 118
SPREAD = "± is the standard deviation over the frames, or where there are several seeds over the seeds"


def as_text(tables: Sequence[ResultTable]) -> str:
    """The tables for a terminal: of each row a line for paper, ours and difference; below all, why they differ."""
    lines: list[str] = []
    whys: dict[str, tuple[str, ...]] = {}
    pools: dict[str, str] = {}
    for result in tables:
        lines += ["", result.table.title]
        block = _text_block(result)
        widths = [max(len(cells[i]) for cells in block) for i in range(len(block[0]))]
        for chosen in _columns_that_fit(widths):
            for cells in block:
                padded = [cells[i].ljust(widths[i]) if i < LABELS else cells[i].rjust(widths[i]) for i in chosen]
                lines.append("  ".join(padded).rstrip())
        lines += [line for note in result.table.notes for line in _wrapped(note)]
        for row in result.rows:
            if row.row.network is not None:
                known = whys.get(row.row.network.name, row.why)
                whys[row.row.network.name] = tuple(dict.fromkeys([*known, *lacking_of(row, result.table.columns)]))
                pools[row.row.network.name] = row.pool
    if any(pools.values()):
        lines += ["", f"What ours are of; {SPREAD}:"]
        for pool in dict.fromkeys(filter(None, pools.values())):
            lines += _wrapped(f"{', '.join(name for name, own in pools.items() if own == pool)}: {pool}")
    lines += ["", "Why ours differ, as far as what was changed tells:"]
    for why in dict.fromkeys(whys.values()):
        names = ", ".join(name for name, own in whys.items() if own == why)
        lines += _wrapped(f"{names}: {'; '.join(why)}")
    return "\n".join(lines).lstrip("\n")


LABELS = 2
"""Columns of text before the figures: the row's name, and whose figures they are."""


def _text_block(result: ResultTable) -> list[list[str]]:
    columns = result.table.columns
    block = [["", "", *(f"{column.group} {column.name}".strip() for column in columns)]]
    for row in result.rows:
        entries = [(row.entries[column.key], column.digits) for column in columns]
        block.append([row.row.name, "paper", *(paper_text(*entry) for entry in entries)])
        if row.row.network is not None:
            block.append(["", "ours", *(ours_text(*entry) for entry in entries)])
            block.append(["", "difference", *(difference_text(*entry) for entry in entries)])
    return block


def _columns_that_fit(widths: Sequence[int]) -> list[list[int]]:
    """The columns of a wide table in parts, each headed by the labels."""
    parts = [list(range(LABELS))]
    for i in range(LABELS, len(widths)):
        if len(parts[-1]) > LABELS and sum(widths[j] + 2 for j in [*parts[-1], i]) > TEXT_WIDTH:
            parts.append(list(range(LABELS)))
        parts[-1].append(i)
    return parts


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(text, TEXT_WIDTH, initial_indent="  ", subsequent_indent="    ")


def as_json(plan: Plan, tables: Sequence[ResultTable]) -> dict[str, Any]:
    """The tables as plain values; what is not defined is None."""

    def defined(value: float) -> float | None:
        return value if math.isfinite(value) else None

    return {
        "plan": plan.name,
        "title": plan.title,
        "paper": plan.paper,
        "tables": {
            result.table.key: {
                "title": result.table.title,
                "notes": list(result.table.notes),
                "rows": [
                    {
                        "name": row.row.name,
                        "network": row.row.network.name if row.row.network else None,
                        "jobs_done": row.done,
                        "jobs_asked": row.asked,
                        "pool": row.pool,
                        "why": list(row.why),
                        "note": row.row.note,
                        "columns": {
                            column.key: {
                                "unit": column.unit,
                                "paper": entry.paper,
                                "paper_sd": defined(entry.paper_sd),
                                "ours": [measured.value for measured in entry.ours],
                                "n": [measured.n for measured in entry.ours],
                                "mean": defined(entry.mean),
                                "sd": defined(entry.sd),
                                "sd_over": entry.sd_over or None,
                                "difference": defined(entry.difference),
                                "lacking": entry.lacking or None,
                            }
                            for column in result.table.columns
                            for entry in [row.entries[column.key]]
                        },
                    }
                    for row in result.rows
                ],
            }
            for result in tables
        },
    }


CSV_COLUMNS = (
    *("table", "row", "column", "unit", "paper", "paper_sd"),
    *("ours_mean", "ours_sd", "sd_over", "seeds", "jobs", "difference", "why"),
)


def as_csv(tables: Sequence[ResultTable]) -> str:
    """The tables as one tidy table: a line for each figure, numbers in full, empty where there is none."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(CSV_COLUMNS)
    for result in tables:
        for row in result.rows:
            for column in result.table.columns:
                entry = row.entries[column.key]
                figures = (entry.paper_sd, entry.mean, entry.sd, entry.difference)
                paper_sd, mean, sd, difference = ("" if not math.isfinite(value) else value for value in figures)
                paper = "" if entry.paper is None else entry.paper
                why = "; ".join([*row.why, entry.lacking] if row.done and entry.lacking else row.why)
                cells = (result.table.key, row.row.name, column.key, column.unit, paper, paper_sd, mean, sd)
                writer.writerow((*cells, entry.sd_over, len(entry.ours), row.done, difference, why))
    return text.getvalue()


def write_tables(folder: Path, plan: Plan, tables: Sequence[ResultTable]) -> None:
    """Writes tables.json, tables.csv and tables.txt.

    Raises:
        UserError: `folder` is a file.
    """
    if folder.exists() and not folder.is_dir():
        raise UserError(f"{folder}: is a file, so no folder can be written there; choose another --out")
    write_json(folder / "tables.json", as_json(plan, tables))
    write_text(folder / "tables.csv", as_csv(tables))
    write_text(folder / "tables.txt", as_text(tables) + "\n")
