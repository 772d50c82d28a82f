"""A study's tables: the paper's figures beside ours, over the jobs that are done."""

import csv
import io
import math
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from metrics import agreement
from reports.cells import DASH, number
from reports.evaluation_folder import Evaluation, read_evaluation
from shell.errors import UserError
from shell.files import write_json, write_text
from studies.jobs import Job
from studies.plan import Column, Network, Plan, Row, Table
from studies.reasons import reasons

NOT_TRAINED = "the paper's figures alone"


@dataclass(frozen=True)
class Entry:
    """One figure of a table.

    Attributes:
        paper: the paper's, or None.
        ours: of each job that has one.
        lacking: why there is none of ours, or empty.
    """

    paper: float | None
    ours: tuple[float, ...]
    lacking: str = ""

    @property
    def mean(self) -> float:
        """Over the jobs; NaN without one."""
        return agreement.mean(self.ours)

    @property
    def sd(self) -> float:
        """Over the jobs; NaN for fewer than two."""
        return agreement.standard_deviation(self.ours)

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
        why: what tells ours from the paper's, phrases.
    """

    row: Row
    entries: Mapping[str, Entry]
    done: int
    asked: int
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
    evaluations = {job.name: read_evaluation(job.evaluation) for own in done.values() for job in own}
    tables: list[ResultTable] = []
    for table in plan.tables:
        rows: list[ResultRow] = []
        for row in table.rows:
            if row.network is None:
                entries = {column.key: Entry(row.paper.get(column.key), (), NOT_TRAINED) for column in table.columns}
                rows.append(ResultRow(row, entries, 0, 0, (NOT_TRAINED,)))
            elif row.network in done:
                own = done[row.network]
                entries = {
                    column.key: _entry(row, column, own, [evaluations[job.name] for job in own])
                    for column in table.columns
                }
                why = reasons(plan, row.network, own, asked=asked[row.network])
                rows.append(ResultRow(row, entries, len(own), asked[row.network], why))
        if any(row.row.network for row in rows):
            tables.append(ResultTable(table, tuple(rows)))
    return tables


def _is_done(job: Job) -> bool:
    return job.state() == "done"


def _entry(row: Row, column: Column, jobs: Sequence[Job], evaluations: Sequence[Evaluation]) -> Entry:
    paper = row.paper.get(column.key)
    if not jobs:
        return Entry(paper, (), "no job done")
    missing = [name for name in column.needs if name not in jobs[0].recipe.classes]
    if missing:
        return Entry(paper, (), f"no {' and '.join(missing)} among the classes")
    figures = tuple(value for found in evaluations if math.isfinite(value := row.figure(column)(found)))
    if figures:
        return Entry(paper, figures)
    in_px = column.unit == "mm" and any(evaluation.length_unit == "px" for evaluation in evaluations)
    return Entry(paper, (), "the pixel pitch is unknown" if in_px else "these frames give none")


def ours_text(entry: Entry, digits: int) -> str:
    """`0.912 ± 0.004`, with one digit more than the paper where there is room for doubt; a dash without a figure."""
    if not entry.ours:
        return DASH
    spread = f" ± {number(entry.sd, digits)}" if math.isfinite(entry.sd) else ""
    return number(entry.mean, digits) + spread


def paper_text(entry: Entry, digits: int) -> str:
    """The paper's figure, or a dash."""
    return DASH if entry.paper is None else number(entry.paper, digits)


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


def as_text(tables: Sequence[ResultTable]) -> str:
    """The tables for a terminal: of each row a line for paper, ours and difference; below all, why they differ."""
    lines: list[str] = []
    whys: dict[str, tuple[str, ...]] = {}
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
                        "why": list(row.why),
                        "note": row.row.note,
                        "columns": {
                            column.key: {
                                "unit": column.unit,
                                "paper": entry.paper,
                                "ours": list(entry.ours),
                                "mean": defined(entry.mean),
                                "sd": defined(entry.sd),
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


CSV_COLUMNS = ("table", "row", "column", "unit", "paper", "ours_mean", "ours_sd", "jobs", "difference", "why")


def as_csv(tables: Sequence[ResultTable]) -> str:
    """The tables as one tidy table: a line for each figure, numbers in full, empty where there is none."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(CSV_COLUMNS)
    for result in tables:
        for row in result.rows:
            for column in result.table.columns:
                entry = row.entries[column.key]
                figures = (entry.mean, entry.sd, entry.difference)
                mean, sd, difference = ("" if not math.isfinite(value) else value for value in figures)
                paper = "" if entry.paper is None else entry.paper
                why = "; ".join([*row.why, entry.lacking] if row.done and entry.lacking else row.why)
                cells = (result.table.key, row.row.name, column.key, column.unit, paper, mean, sd)
                writer.writerow((*cells, len(entry.ours), difference, why))
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
