"""What is told of a running study: plain lines in a log, a live view on a terminal."""

import fcntl
import io
import pty
import struct
import termios
import time
from pathlib import Path

import pytest

from studies import progress
from studies.jobs import Job
from studies.progress import Estimate, duration, is_live, result_line, watched
from studies.status import statuses
from studies.work import Result
from tests.studies.made import made_job
from tests.studies.test_status import begun


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def jobs(tmp_path: Path) -> list[Job]:
    return [made_job(tmp_path, seed=seed) for seed in range(3)]


def run(jobs: list[Job], stream: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> str:
    """The first job runs, and fails; nothing happens to the others."""
    monkeypatch.setattr(progress, "SECONDS_BETWEEN_LINES", 0.05)
    monkeypatch.setattr(progress, "SECONDS_BETWEEN_VIEWS", 0.05)
    with watched(jobs, stream=stream) as tell:
        begun(jobs[0])
        with (jobs[0].folder / ".lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            deadline = time.monotonic() + 30
            while "3/200" not in stream.getvalue() and "epoch 3" not in stream.getvalue():
                assert time.monotonic() < deadline
                time.sleep(0.02)
        tell(Result(jobs[0].name, "failed", 4.0, "no room"))
    return stream.getvalue()


def test_a_log_has_plain_lines(jobs: list[Job], monkeypatch: pytest.MonkeyPatch) -> None:
    text = run(jobs, io.StringIO(), monkeypatch)
    first, *_, last = text.splitlines()
    assert first.startswith("0 of 3 jobs ended, 1 running, about ")
    assert first.endswith(f" left: {jobs[0].name}: epoch 3 of 200")
    assert last.startswith(f"[1/3] {jobs[0].name}: failed in 4 s: no room; about ")
    assert "\r" not in text
    assert "\x1b" not in text


def test_a_terminal_has_a_bar_for_all_and_one_for_each_that_runs(
    jobs: list[Job], monkeypatch: pytest.MonkeyPatch
) -> None:
    text = run(jobs, Terminal(), monkeypatch)
    assert "jobs |" in text
    assert "1 running" in text
    assert f"{jobs[0].name} |" in text
    assert "3/200, epochs" in text
    assert f"[1/3] {jobs[0].name}: failed in 4 s: no room" in text
    assert "1/3" in text.rpartition("no room")[2]


def test_a_terminal_without_a_size_has_plain_lines() -> None:
    ours, theirs = pty.openpty()
    with open(theirs, "w") as stream, open(ours, "rb"):  # noqa: PTH123  descriptors, no paths
        assert not is_live(stream)
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        assert is_live(stream)
    assert not is_live(io.StringIO())


def test_nothing_to_do_is_told_in_no_line(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = Terminal()
    with watched([], stream=stream):
        time.sleep(0.01)
    assert stream.getvalue() == ""


def test_files_that_are_being_written_are_looked_at_again(jobs: list[Job], monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    monkeypatch.setattr(progress, "SECONDS_BETWEEN_LINES", 0.01)
    with watched(jobs, stream=stream) as tell:
        jobs[0].ledger.write_text("{half a li")
        time.sleep(0.1)
        tell(Result(jobs[0].name, "done", 100.0))
    assert stream.getvalue() == f"[1/3] {jobs[0].name}: done in 2 min; about 0 s left\n"


def test_the_time_that_is_left(jobs: list[Job]) -> None:
    """After 100 s one of three jobs has ended and another has trained half of the epochs that it had left."""
    begun(jobs[1])  # three epochs by another session
    now = [1000.0]
    estimate = Estimate(jobs, lambda: now[0])
    now[0] = 1100.0
    assert estimate.left(0) is None
    assert estimate.left(1) == pytest.approx(200.0)
    (jobs[1].run / "history.csv").write_text("epoch\n" + "0\n" * 101)  # epoch 101 of 200: 98 of 197
    with (jobs[1].folder / ".lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        estimate.see(statuses(jobs))
    done = 1 + 0.95 * 98 / 197
    assert estimate.left(1) == pytest.approx(100 / done * (3 - done))
    assert estimate.left(3) == 0.0


def test_the_last_job_leaves_nothing_to_wait_for() -> None:
    assert result_line(Result("a", "done", 30.0), 3, 3, 0.0) == "[3/3] a: done in 30 s"
    assert result_line(Result("a", "done", 30.0), 2, 3, None) == "[2/3] a: done in 30 s"


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0 s"), (89, "89 s"), (90, "2 min"), (5399, "90 min"), (5400, "1.5 h")]
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text
