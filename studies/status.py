"""How far a study's jobs are, by what they have written: none of the processes that do them is asked."""

import fcntl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from shell.command import INTERRUPTED
from studies.jobs import DIGEST_SHOWN, Job
from studies.work import last_words, log_of, read_ledger

Shown = Literal["to do", "running", "stopped", "failed", "trained", "done"]
ORDER: tuple[Shown, ...] = ("done", "running", "trained", "stopped", "failed", "to do")


@dataclass(frozen=True)
class JobStatus:
    """How far a job is.

    Attributes:
        job: the job.
        state: `running`: a process works on it now; `stopped`: begun, and nobody works on it; `trained`: nobody
            evaluates it; `failed`: the last that was tried of it.
        step: `train` or `evaluate`, the last that was begun; empty before.
        epoch: epochs that have ended.
        where: machine and worker of the last step; empty before.
        seconds: that it has taken, all sessions, without a step that runs or was killed.
        message: of a failure, one line.
    """

    job: Job
    state: Shown
    step: str
    epoch: int
    where: str
    seconds: float
    message: str = ""

    @property
    def epochs(self) -> int:
        """Epochs that it trains at most."""
        return self.job.recipe.epochs

    @property
    def text(self) -> str:
        """`running, epoch 3 of 50`."""
        if self.state == "running":
            training = self.step == "train"
            return f"running, epoch {self.epoch} of {self.epochs}" if training else "running, evaluation"
        return f"stopped, epoch {self.epoch} of {self.epochs}" if self.state == "stopped" else self.state


def statuses(jobs: Sequence[Job]) -> list[JobStatus]:
    """How far each job is.

    Raises:
        UserError: a damaged ledger.
    """
    lines: dict[str, list[dict[str, Any]]] = {}
    for path in dict.fromkeys(job.ledger for job in jobs):
        for line in read_ledger(path):
            lines.setdefault(str(line.get("digest")), []).append(line)
    return [_status(job, lines.get(job.digest, [])) for job in jobs]


def _status(job: Job, lines: Sequence[Mapping[str, Any]]) -> JobStatus:
    last: Mapping[str, Any] = lines[-1] if lines else {}
    step, state = str(last.get("step", "")), job.state()
    found: Shown = "stopped" if state == "begun" else state
    message = ""
    if found != "done" and last.get("event") == "begun" and is_held(job):
        found = "running"
    elif found != "done" and last.get("event") == "ended" and last.get("exit_status") not in (0, INTERRUPTED):
        found = "failed"
        log = log_of(job, step)
        message = (last_words(log) if log.is_file() else "") or f"{step} ended with {last.get('exit_status')}"
    return JobStatus(
        job=job,
        state=found,
        step=step,
        epoch=epochs_of(job.run / "history.csv"),
        where=f"{last.get('host', '')} {last.get('worker', '')}".strip(),
        seconds=sum(float(line["seconds"]) for line in lines if line.get("event") == "ended"),
        message=message,
    )


def is_held(job: Job) -> bool:
    """Whether a process works on a job: it holds the job's lock, wherever it runs."""
    try:
        with (job.folder / ".lock").open() as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


def epochs_of(history: Path) -> int:
    """Epochs that have ended, by history.csv; 0 where there is none yet."""
    try:
        text = history.read_text(encoding="utf-8")
    except FileNotFoundError:
        return 0
    return max(0, len(text.splitlines()) - 1)


def counts_text(found: Sequence[JobStatus]) -> str:
    """`10 jobs: 3 done, 2 running, 5 to do`."""
    states = [status.state for status in found]
    counts = [f"{states.count(state)} {state}" for state in ORDER if state in states]
    return f"{len(states)} job{'' if len(states) == 1 else 's'}: {', '.join(counts)}"


def jobs_text(found: Sequence[JobStatus]) -> str:
    """One line for each job: how far it is, minutes that it has taken, where, folder, why it failed."""
    width = max(len(status.text) for status in found)
    places = max(len(status.where) for status in found)
    lines: list[str] = []
    for status in found:
        minutes = f"{status.seconds / 60:8.1f} min" if status.seconds else " " * 12
        line = f"{status.text:<{width}} {minutes}  {status.where:<{places}}  {status.job.folder}"
        lines += [line, *([f"    {status.message}"] if status.message else [])]
    return "\n".join(line.rstrip() for line in lines)


HEADINGS = ("begun", "machine", "worker", "step", "exit", "minutes", "code", "data", "job")


def ledger_text(jobs: Sequence[Job]) -> str:
    """What ran where, when, with which digests and how it ended: a line for each step, then what they ran with.

    Raises:
        UserError: a damaged ledger.
    """
    digests = {job.digest for job in jobs}
    lines = [line for path in dict.fromkeys(job.ledger for job in jobs) for line in read_ledger(path)]
    rows: list[tuple[str, ...]] = []
    open_rows: dict[tuple[str, str], int] = {}
    environments: dict[str, int] = {}
    for line in lines:
        digest, key = str(line.get("digest")), (str(line.get("digest")), str(line.get("step")))
        if digest not in digests:
            continue
        if line.get("event") == "begun":
            open_rows[key] = len(rows)
            code = code_text(line.get("code"))
            data = str(line.get("data_digest") or "–")[:DIGEST_SHOWN]
            when = str(line.get("when"))[:19].replace("T", " ")
            where = (str(line.get("host", "–")), str(line.get("worker") or "–"))
            rows.append((when, *where, key[1], "–", "–", code, data, str(line.get("job"))))
            environment = environment_text(line.get("environment"))
            environments[environment] = environments.get(environment, 0) + 1
        elif key in open_rows:
            number = open_rows.pop(key)
            ended = (str(line.get("exit_status")), f"{float(line['seconds']) / 60:.1f}")
            rows[number] = (*rows[number][:4], *ended, *rows[number][6:])
    if not rows:
        return "nothing has run yet"
    widths = [max(len(row[i]) for row in (HEADINGS, *rows)) for i in range(len(HEADINGS))]
    table = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in (HEADINGS, *rows)]
    with_what = [f"{number} with {text}" for text, number in environments.items()]
    return "\n".join(line.rstrip() for line in [*table, "", *with_what])


def code_text(git: Mapping[str, Any] | None) -> str:
    """`124ed64129+a1b2c3d4` for a commit with changes; a dash outside a git checkout."""
    if not git or not git.get("commit"):
        return "–"
    change = git.get("change_sha256")
    return str(git["commit"])[:10] + (f"+{str(change)[:8]}" if change else "")


def environment_text(noted: Mapping[str, Any] | None) -> str:
    """`Python 3.11.7, tensorflow 2.21.0, …, backend tensorflow, 2 cores, Linux-…`."""
    if not noted:
        return "an environment that was not noted"
    packages = [f"{name} {version}" for name, version in (noted.get("packages") or {}).items()]
    machine = [f"backend {noted.get('backend')}", f"{noted.get('cores')} cores", str(noted.get("platform"))]
    return ", ".join([f"Python {noted.get('python')}", *packages, *machine])
