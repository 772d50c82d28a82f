"""report.html of a study: its tables, its jobs and how they were made, on one self-contained page."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jinja2

from reports.report import NOTICE
from shell.files import write_text
from studies.jobs import DIGEST_SHOWN, Job
from studies.plan import Plan
from studies.results import SPREAD, ResultTable, counted, difference_text, lacking_of, ours_text, paper_text
from studies.status import JobStatus, statuses
from studies.work import trained_on

HERE = Path(__file__).parent
REPORTS = HERE.parent / "reports"


@dataclass(frozen=True)
class Heading:
    """A heading over `span` columns; empty text where they have none in common."""

    text: str
    span: int


@dataclass(frozen=True)
class Block:
    """A row of the paper's table as the page has it: one line of figures each for paper, ours and difference.

    Attributes:
        name: of the row.
        lines: (label, figures) pairs.
        pool: what our figures are of; empty where there are none.
        why: below them; empty for a row of the paper alone.
        note: on the paper's figures.
    """

    name: str
    lines: tuple[tuple[str, tuple[str, ...]], ...]
    pool: str
    why: str
    note: str


@dataclass(frozen=True)
class PageTable:
    """A table ready to be laid out."""

    key: str
    title: str
    groups: tuple[Heading, ...]
    names: tuple[str, ...]
    blocks: tuple[Block, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class JobLine:
    """A job as the page has it: how far it is, what it was trained on, how long it took, where, what it depends on."""

    name: str
    network: str
    fold: str
    seed: str
    state: str
    patients: str
    minutes: str
    where: str
    digest: str
    report: str


def write_page(
    folder: Path,
    plan: Plan,
    tables: Sequence[ResultTable],
    jobs: Sequence[Job],
    *,
    failed: Mapping[str, str],
    command: str,
) -> Path:
    """Writes `folder`/report.html.

    Args:
        folder: where to.
        plan: the study.
        tables: with our figures.
        jobs: all that were asked for.
        failed: job → what went wrong.
        command: that made it.

    Returns:
        The page's path.
    """
    page = folder / "report.html"
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader([HERE, REPORTS]),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found = statuses(jobs)
    done = [status.job for status in found if status.state == "done"]
    text = environment.get_template("study.html.jinja").render(
        notice=NOTICE,
        plan=plan,
        lead=_lead(jobs, done),
        spread=SPREAD,
        warnings=_warnings(jobs, done, failed),
        tables=[_table(table) for table in tables],
        jobs=[_job_line(status, folder, failed) for status in found],
        making=_making(plan, jobs, done, command, sum(status.seconds for status in found)),
    )
    write_text(page, text)
    return page


def _lead(jobs: Sequence[Job], done: Sequence[Job]) -> str:
    networks, seeds = len({job.network for job in jobs}), len({job.seed for job in jobs})
    folds = {job.fold for job in jobs}
    split = "one split" if folds == {None} else counted(len(folds), "fold")
    return (
        f"{counted(networks, 'network')} × {split} × {counted(seeds, 'seed')}: "
        f"{len(done)} of {len(jobs)} jobs are done. Each figure of ours is over the test frames of all folds together, "
        "as the papers' are; with several seeds, the mean of theirs."
    )


def _warnings(jobs: Sequence[Job], done: Sequence[Job], failed: Mapping[str, str]) -> list[str]:
    warnings = [f"Failed: {name}: {message}" for name, message in failed.items()]
    left = len(jobs) - len(done) - len(failed)
    if left > 0:
        warnings.append(f"{left} of {len(jobs)} jobs are still to be done; their figures are missing below.")
    for what, values in _environments(done).items():
        if len(values) > 1:
            warnings.append(f"The jobs were not all done with the same {what}: {'; '.join(values)}.")
    return warnings


def _table(result: ResultTable) -> PageTable:
    columns = result.table.columns
    groups: list[Heading] = []
    for column in columns:
        if groups and column.group and groups[-1].text == column.group:
            groups[-1] = Heading(column.group, groups[-1].span + 1)
        else:
            groups.append(Heading(column.group, 1))
    blocks: list[Block] = []
    for row in result.rows:
        entries = [(row.entries[column.key], column.digits) for column in columns]
        lines = [("paper", tuple(paper_text(*entry) for entry in entries))]
        if row.row.network is not None:
            lines.append(("ours", tuple(ours_text(*entry) for entry in entries)))
            lines.append(("difference", tuple(difference_text(*entry) for entry in entries)))
        why = "; ".join([*row.why, *lacking_of(row, columns)]) if row.row.network is not None else ""
        blocks.append(Block(row.row.name, tuple(lines), row.pool, why, row.row.note))
    return PageTable(
        key=result.table.key,
        title=result.table.title,
        groups=tuple(groups) if any(group.text for group in groups) else (),
        names=tuple(column.name for column in columns),
        blocks=tuple(blocks),
        notes=result.table.notes,
    )


def _job_line(status: JobStatus, folder: Path, failed: Mapping[str, str]) -> JobLine:
    job, seconds = status.job, status.seconds
    report = job.evaluation / "report.html"
    return JobLine(
        name=job.name,
        network=job.network,
        fold="–" if job.fold is None else str(job.fold),
        seed=str(job.seed),
        state="failed" if job.name in failed else status.text,
        patients=" / ".join(str(count) for count in job.patients),
        minutes=f"{seconds / 60:.1f}" if seconds > 0 else "–",
        where=status.where or "–",
        digest=job.digest[:DIGEST_SHOWN],
        report=Path(os.path.relpath(report, folder)).as_posix() if report.is_file() else "",
    )


def _environments(done: Sequence[Job]) -> dict[str, list[str]]:
    """What the done jobs were trained with: each thing's values, once."""
    found: dict[str, dict[str, None]] = {"code": {}, "versions": {}, "backend and precision": {}, "data": {}}
    for job in done:
        noted = trained_on(job)
        git: Mapping[str, Any] = noted.get("git") or {}
        changed = " with changes" if git.get("change_sha256") else ""
        found["code"][f"commit {str(git['commit'])[:10]}{changed}" if git.get("commit") else "no git commit"] = None
        packages = ", ".join(f"{name} {version}" for name, version in noted.get("packages", {}).items())
        found["versions"][f"Python {noted.get('python', '–')}, {packages}"] = None
        arithmetic = (noted[key] for key in ("backend", "precision") if key in noted)
        found["backend and precision"][", ".join(map(str, arithmetic)) or "–"] = None
        found["data"][str(noted.get("data_digest", "–"))[:DIGEST_SHOWN]] = None
    return {what: list(values) for what, values in found.items()}


def _making(
    plan: Plan, jobs: Sequence[Job], done: Sequence[Job], command: str, seconds: float
) -> list[tuple[str, str]]:
    environments = {what: "; ".join(values) or "–" for what, values in _environments(done).items()}
    return [
        ("Command", command),
        ("Made", datetime.now(UTC).isoformat(timespec="minutes").replace("T", " ").replace("+00:00", " UTC")),
        ("Data", f"{jobs[0].data} (digest {environments['data']})"),
        ("The paper's data", plan.data.text),
        ("Time of all jobs", f"{seconds / 3600:.2f} h"),
        ("Code", environments["code"]),
        ("Versions", environments["versions"]),
        ("Backend and precision", environments["backend and precision"]),
        (
            "Ledger",
            f"{jobs[0].ledger.name}, which --status shows: what ran where, when, with which digests, and how it ended",
        ),
    ]
