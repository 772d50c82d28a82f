"""Progress: a bar on a terminal, plain lines in a log."""

import io
import os
import pty
import sys
import termios
from collections.abc import Iterator

import pytest

from shell import progress as module
from shell.progress import progress


def test_a_log_gets_one_plain_line_at_the_end(capsys: pytest.CaptureFixture[str]) -> None:
    assert list(progress("abc", label="read", unit="frames")) == ["a", "b", "c"]
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == "read: 3/3 frames done in 0.0 s\n"


def test_nothing_to_do_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert list(progress([], label="read")) == []
    assert capsys.readouterr().err == "read: 0/0 it done in 0.0 s\n"


def test_a_log_gets_a_line_every_ten_seconds(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 100.0
    monkeypatch.setattr(module.time, "monotonic", lambda: now)

    def slow() -> Iterator[int]:
        nonlocal now
        for number in range(5):
            now += 6.0
            yield number

    assert list(progress(slow(), label="simulate", unit="patients")) == [0, 1, 2, 3, 4]
    assert capsys.readouterr().err.splitlines() == [
        "simulate: 2 patients, 0.2 patients/s",
        "simulate: 4 patients, 0.2 patients/s",
        "simulate: 5 patients done in 30.0 s",
    ]


def test_an_iterator_of_known_length(capsys: pytest.CaptureFixture[str]) -> None:
    assert sum(progress(iter([1, 2]), label="sum", total=2)) == 3
    assert capsys.readouterr().err == "sum: 2/2 it done in 0.0 s\n"


def test_an_error_of_the_work_passes_through(capsys: pytest.CaptureFixture[str]) -> None:
    def broken() -> Iterator[int]:
        yield 1
        raise RuntimeError("broken")

    with pytest.raises(RuntimeError, match="broken"):
        list(progress(broken(), label="read"))
    assert "done" not in capsys.readouterr().err


def test_a_terminal_gets_a_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    leader, follower = pty.openpty()
    termios.tcsetwinsize(follower, (24, 100))
    with os.fdopen(follower, "w", encoding="utf-8") as terminal, os.fdopen(leader, "rb", buffering=0) as screen:
        monkeypatch.setattr(sys, "stderr", terminal)
        assert list(progress([1, 2, 3, 4], label="train", unit="steps")) == [1, 2, 3, 4]
        terminal.write("the end")
        terminal.flush()
        text = b""
        while b"the end" not in text:
            text += screen.read(1000)
    assert b"train: 100%" in text
    assert b"4/4" in text


def test_no_terminal_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    log = io.StringIO()
    monkeypatch.setattr(sys, "stderr", log)
    list(progress(range(2), label="read"))
    assert log.getvalue().startswith("read: 2/2 it done")
