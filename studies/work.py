"""Does one job: trains and evaluates it in processes of their own, and records what happened."""

import contextlib
import fcntl
import json
import os
import platform
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

from shell.command import INTERRUPTED
from shell.errors import UserError
from shell.files import read_json, write_json
from shell.git import git_state
from studies.jobs import PROJECT, STATE, Job, shown

Outcome = Literal["done", "found", "failed", "interrupted"]
Stopping = Callable[[], bool]
"""Asked from time to time by a running job: shall it stop?"""

SECONDS_BETWEEN_LOOKS = 0.2
SECONDS_TO_STOP = 60.0
"""What a process gets to end after an interrupt, before it is killed."""


@dataclass(frozen=True)
class Result:
    """What became of a job.

    Attributes:
        job: its name.
        outcome: `found`: it had been done before.
        seconds: of this session.
        message: of a failure, one line.
    """

    job: str
    outcome: Outcome
    seconds: float
    message: str = ""


def never() -> bool:
    """Nobody stops the job."""
    return False


def do_job(job: Job, stopping: Stopping = never, worker: str = "local") -> Result:
    """Trains and evaluates a job, from where it was left; never raises for what goes wrong in it.

    A job that is done is left alone. Another process that works on it is waited for: also one whose study was killed,
    which goes on to the end of its training or evaluation.

    Args:
        job: the job.
        stopping: asked from time to time.
        worker: who does it, engine first, for the ledger: `local 0`, `ray 4711`.
    """
    begun = time.monotonic()

    def result(outcome: Outcome, message: str = "") -> Result:
        return Result(job.name, outcome, time.monotonic() - begun, message)

    try:
        with _held(job, stopping) as lock:
            if lock is None:
                return result("interrupted")
            if job.state() == "done":
                return result("found")
            for step, command in _steps(job):
                exit_status = _run(job, step, command, lock, stopping, worker)
                if exit_status == INTERRUPTED:
                    return result("interrupted")
                log = log_of(job, step)
                if exit_status != 0:
                    words = last_words(log) or "nothing was printed"
                    return result("failed", f"{step} ended with {exit_status}: {words} (all of it: {log})")
                note = {"digest": job.digest, "trained": True, "evaluated": step == "evaluate"}
                write_json(job.folder / STATE, note)
            if job.state() != "done":
                return result("failed", f"{job.evaluation}: evaluate.py left no cases.csv or summary.json there")
            return result("done")
    except (OSError, UserError) as error:
        return result("failed", f"{error}")


def _steps(job: Job) -> list[tuple[str, tuple[str, ...]]]:
    """What is left to do."""
    state = job.state()
    train = {"to do": [("train", job.begin)], "begun": [("train", job.resume)]}.get(state, [])
    return [*train, ("evaluate", job.evaluate)]


def _run(job: Job, step: str, command: Sequence[str], lock: int, stopping: Stopping, worker: str) -> int:
    """Runs a command, its output into the job's log; returns its exit status, `INTERRUPTED` where it was stopped."""
    with log_of(job, step).open("ab") as log:
        log.write(f"$ {shown(command)}\n".encode())
        log.flush()
        begun = time.monotonic()
        with _interruptible():
            child = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # a terminal's Ctrl-C is for us; we pass it on
                pass_fds=(lock,),  # so the job stays locked for as long as anybody works on it
            )
        record(job, step, "begun", worker=worker, pid=child.pid, command=shown(command), **circumstances())
        exit_status = INTERRUPTED
        try:
            exit_status = _awaited(child, stopping)
        finally:
            seconds = round(time.monotonic() - begun, 3)
            record(job, step, "ended", worker=worker, exit_status=exit_status, seconds=seconds)
    return exit_status


@contextlib.contextmanager
def _interruptible() -> Iterator[None]:
    """A process begun in here can be interrupted, also where ours may not: the workers of Ray block SIGINT."""
    before = signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _awaited(child: "subprocess.Popen[bytes]", stopping: Stopping) -> int:
    try:
        while child.poll() is None:
            if stopping():
                return _stopped(child)
            time.sleep(SECONDS_BETWEEN_LOOKS)
    except BaseException:  # Ctrl-C, where the job runs in the main thread
        _stopped(child)
        raise
    return INTERRUPTED if child.returncode in (INTERRUPTED, -signal.SIGINT) else child.returncode


def _stopped(child: "subprocess.Popen[bytes]") -> int:
    """Interrupts a process as Ctrl-C does and waits for it; one that does not end is killed."""
    child.send_signal(signal.SIGINT)
    try:
        child.wait(SECONDS_TO_STOP)
    except BaseException as reason:  # it takes too long, or the user asks again
        child.kill()
        child.wait()
        if not isinstance(reason, subprocess.TimeoutExpired):
            raise
    return INTERRUPTED


def log_of(job: Job, step: str) -> Path:
    """What a job's training or evaluation has printed."""
    return job.folder / f"{step}.log"


def last_words(log: Path) -> str:
    """The last `error:` line of a log, else its last line; empty where its last command has printed nothing."""
    lines = [line for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    lines = lines[max((i for i, line in enumerate(lines) if line.startswith("$ ")), default=-1) + 1 :]
    errors = [line for line in lines if line.startswith("error: ")]
    return (errors or lines or [""])[-1].removeprefix("error: ").strip()


@contextlib.contextmanager
def _held(job: Job, stopping: Stopping) -> Iterator[int | None]:
    """Holds the job's lock, and gives its file descriptor; None if told to stop while another process holds it.

    Whoever inherits the descriptor holds the lock too, so a training that outlives us keeps it.
    """
    job.folder.mkdir(parents=True, exist_ok=True)
    with (job.folder / ".lock").open("w") as file:
        waiting = False
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if stopping():
                    yield None
                    return
                if not waiting:
                    print(f"{job.name}: waiting for another process that works on it", flush=True)
                waiting = True
                time.sleep(SECONDS_BETWEEN_LOOKS)
        yield file.fileno()


def record(job: Job, step: str, event: str, **details: Any) -> None:
    """Adds a line to the ledger. Lines of several processes do not mix: each is one write at the file's end."""
    line = {
        "when": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "event": event,
        "job": job.name,
        "step": step,
        "digest": job.digest,
        "data_digest": job.data_digest,
        "host": socket.gethostname(),
        **details,
    }
    job.ledger.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(job.ledger, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
    try:
        os.write(descriptor, (json.dumps(line) + "\n").encode())
    finally:
        os.close(descriptor)


PACKAGES = ("tensorflow", "keras", "jax", "numpy")
"""Whose versions the ledger names; a run's environment.json has all that matter."""


def circumstances() -> dict[str, Any]:
    """With what a step is done here: version of the project and of what it stands on, processors, backend."""
    versions = {name: version(name) for name in PACKAGES if find_spec(name) is not None}
    return {
        "code": git_state(PROJECT),
        "environment": {
            "python": platform.python_version(),
            "platform": platform.platform(),
            "cores": len(os.sched_getaffinity(0)),
            "backend": os.environ.get("KERAS_BACKEND", "tensorflow"),
            "packages": versions,
        },
    }


def read_ledger(path: Path) -> list[dict[str, Any]]:
    """The lines of a ledger, oldest first; none where there is no file yet.

    Raises:
        UserError: a line that is not JSON.
    """
    if not path.is_file():
        return []
    lines: list[dict[str, Any]] = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        try:
            lines.append(json.loads(line))
        except json.JSONDecodeError as error:
            raise UserError(f"{path}, line {number}: not JSON ({error}); remove the line") from error
    return lines


def trained_on(job: Job) -> dict[str, Any]:
    """What a done job's run says of its environment; empty where it says nothing."""
    path = job.run / "environment.json"
    return read_json(path) if path.is_file() else {}
