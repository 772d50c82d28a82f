"""Tells how far a study is while it runs: a live view on a terminal, plain lines in a log."""

import contextlib
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TextIO

from tqdm import tqdm

from shell.errors import UserError
from studies.jobs import Job
from studies.status import JobStatus, statuses
from studies.work import Result

SECONDS_BETWEEN_VIEWS = 1.0
SECONDS_BETWEEN_LINES = 60.0
ENDED = ("done", "failed")
TRAINING_SHARE = 0.95
"""Of a job; the rest is its evaluation."""

Tell = Callable[[Result], None]


@contextlib.contextmanager
def watched(jobs: Sequence[Job], *, stream: TextIO | None = None) -> Iterator[Tell]:
    """Watches jobs while the block runs; gives what tells of a result.

    Args:
        jobs: those that are to be done.
        stream: where to; standard output if not given. A terminal gets a line for all jobs and one for each that runs.
    """
    to = sys.stdout if stream is None else stream
    view = TerminalView(len(jobs), to) if jobs and is_live(to) else LogView(len(jobs), to)
    estimate = Estimate(jobs)
    told: list[Result] = []
    stop = threading.Event()

    def look() -> None:
        while not stop.wait(view.seconds):
            with contextlib.suppress(UserError, OSError):  # files that are being written; the next look sees them whole
                view.show(statuses(jobs), told, estimate)

    def tell(result: Result) -> None:
        told.append(result)
        with contextlib.suppress(UserError, OSError):
            estimate.see(statuses(jobs))
        view.tell(result, told, estimate.left(len(told)))

    looking = threading.Thread(target=look, name="progress", daemon=True)
    looking.start()
    try:
        yield tell
    finally:
        stop.set()
        looking.join()
        view.close()


def is_live(stream: TextIO) -> bool:
    """Whether a stream is a terminal with room for bars; some that tell no size would show nothing at all."""
    if not stream.isatty():
        return False
    with contextlib.suppress(OSError):
        return os.get_terminal_size(stream.fileno()).columns > 0
    return True


class Estimate:
    """The time that is left if it goes on as it went: by jobs that have ended and epochs of those that run."""

    def __init__(self, jobs: Sequence[Job], clock: Callable[[], float] = time.monotonic) -> None:
        self._jobs = len(jobs)
        self._clock, self._begun = clock, clock()
        self._epochs = {status.job.name: status.epoch for status in statuses(jobs)}  # of other sessions
        self._running = 0.0

    def see(self, found: Sequence[JobStatus]) -> None:
        """Takes in how far the running jobs are."""
        shares = [
            (status.epoch - self._epochs[status.job.name]) / max(1, status.epochs - self._epochs[status.job.name])
            if status.step == "train"
            else 1.0
            for status in found
            if status.state == "running"
        ]
        self._running = TRAINING_SHARE * sum(shares)

    def left(self, ended: int) -> float | None:
        """Seconds, for all jobs; None before anything has been done."""
        done = ended + self._running
        if done <= 0:
            return None
        return (self._clock() - self._begun) / done * max(0.0, self._jobs - done)


class LogView:
    """A line for each result, and one a minute for those that run."""

    def __init__(self, total: int, stream: TextIO) -> None:
        self.seconds = SECONDS_BETWEEN_LINES
        self._total, self._stream = total, stream

    def show(self, found: Sequence[JobStatus], told: Sequence[Result], estimate: Estimate) -> None:
        """How far the running jobs are."""
        estimate.see(found)
        running = [f"{status.job.name}: {status.text.removeprefix('running, ')}" for status in running_of(found, told)]
        if running:
            left = left_text(estimate.left(len(told)))
            print(f"{summary(found, told, self._total)}{left}: {'; '.join(running)}", file=self._stream, flush=True)

    def tell(self, result: Result, told: Sequence[Result], left: float | None) -> None:
        """What became of a job."""
        print(result_line(result, len(told), self._total, left), file=self._stream, flush=True)

    def close(self) -> None:
        """Nothing is left open."""


class TerminalView:
    """A bar for all jobs, and below it one for each that runs; what became of a job stays above them."""

    def __init__(self, total: int, stream: TextIO) -> None:
        self.seconds = SECONDS_BETWEEN_VIEWS
        self._total, self._stream = total, stream
        self._lock = threading.Lock()
        self._all = self._bar("jobs", total, 0)
        self._running: list[tqdm] = []

    def show(self, found: Sequence[JobStatus], told: Sequence[Result], estimate: Estimate) -> None:
        """How far all are."""
        estimate.see(found)
        with self._lock:
            _set(self._all, len(told), f"{summary(found, told, None)}{left_text(estimate.left(len(told)))}")
            running = running_of(found, told)
            for number, status in enumerate(running):
                if number == len(self._running):
                    self._running.append(self._bar(status.job.name, status.epochs, number + 1))
                bar = self._running[number]
                bar.total = status.epochs
                bar.set_description_str(status.job.name, refresh=False)
                trained = status.step == "evaluate"
                _set(bar, status.epochs if trained else status.epoch, "evaluation" if trained else "epochs")
            while len(self._running) > len(running):
                self._running.pop().close()

    def tell(self, result: Result, told: Sequence[Result], left: float | None) -> None:
        """What became of a job."""
        with self._lock:
            tqdm.write(result_line(result, len(told), self._total, left), file=self._stream)
            _set(self._all, len(told), "")

    def close(self) -> None:
        """Takes the bars away."""
        with self._lock:
            for bar in [*reversed(self._running), self._all]:
                bar.close()

    def _bar(self, name: str, total: int, position: int) -> tqdm:
        return tqdm(
            total=total,
            desc=name,
            position=position,
            leave=False,
            file=self._stream,
            dynamic_ncols=True,
            bar_format="{desc} |{bar}| {n_fmt}/{total_fmt}{postfix}",
        )


def _set(bar: tqdm, number: int, text: str) -> None:
    bar.n = number
    bar.set_postfix_str(text, refresh=False)
    bar.refresh()


def running_of(found: Sequence[JobStatus], told: Sequence[Result]) -> list[JobStatus]:
    """The jobs that run and of which nothing has been told yet."""
    ended = {result.job for result in told}
    return [status for status in found if status.state == "running" and status.job.name not in ended]


def summary(found: Sequence[JobStatus], told: Sequence[Result], total: int | None) -> str:
    """`3 of 10 jobs ended, 2 running, 1 failed`; without the first part where it is shown anyway."""
    failed = sum(result.outcome == "failed" for result in told)
    parts = [] if total is None else [f"{len(told)} of {total} jobs ended"]
    parts.append(f"{len(running_of(found, told))} running")
    return ", ".join([*parts, *([f"{failed} failed"] if failed else [])])


def result_line(result: Result, number: int, total: int, left: float | None) -> str:
    """What became of a job, and how long the others may take."""
    line = f"[{number}/{total}] {result.job}: {result.outcome} in {duration(result.seconds)}"
    if result.message:
        line += f": {result.message}"
    return line + (left_text(left, "; ") if number < total else "")


def left_text(seconds: float | None, before: str = ", ") -> str:
    """`, about 12 min left`; empty where it is not known."""
    return "" if seconds is None else f"{before}about {duration(seconds)} left"


def duration(seconds: float) -> str:
    """`40 s`, `12 min` or `3.5 h`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
