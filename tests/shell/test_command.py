"""The command runner: exit codes, one line an error, the mend."""

import errno
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from shell.command import describe, run_command
from shell.errors import UsageError, UserError

REPOSITORY = Path(__file__).parents[2]

COMMAND = """
import sys
from shell.command import run_command

def main(arguments):
    print("x" * 100_000 if "long" in arguments else "short")
    return 0

run_command(main)
"""


def exit_of(
    capsys: pytest.CaptureFixture[str], error: BaseException | None, arguments: Sequence[str] = ()
) -> tuple[int, str]:
    """Exit code and standard error of a command that raises `error`."""

    def main(argv: Sequence[str] | None) -> int:
        assert argv == list(arguments)
        if error is not None:
            raise error
        return 0

    with pytest.raises(SystemExit) as exit_info:
        run_command(main, arguments)
    assert isinstance(exit_info.value.code, int)
    return exit_info.value.code, capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (None, 0, ""),
        (UserError("a.nii.gz: is empty; copy it again"), 1, "error: a.nii.gz: is empty; copy it again\n"),
        (UsageError("--model NAME is needed"), 2, "error: --model NAME is needed\n"),
        (ValueError("two\n  lines"), 1, "error: two lines\n"),
        (ValueError(), 1, "error: ValueError\n"),
        (KeyboardInterrupt(), 130, "interrupted\n"),
        (BrokenPipeError(), 1, ""),
    ],
)
def test_exit_code_and_one_line(
    capsys: pytest.CaptureFixture[str], error: BaseException | None, code: int, line: str
) -> None:
    assert exit_of(capsys, error) == (code, line)


def test_a_missing_file_is_one_line_that_names_it(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    def main(argv: Sequence[str] | None) -> int:
        (tmp_path / "none.json").read_text(encoding="utf-8")
        return 0

    with pytest.raises(SystemExit) as exit_info:
        run_command(main, [])
    assert exit_info.value.code == 1
    assert capsys.readouterr().err == f"error: {tmp_path / 'none.json'}: No such file or directory (check the path)\n"


def test_debug_shows_the_traceback_and_the_line(capsys: pytest.CaptureFixture[str]) -> None:
    code, text = exit_of(capsys, UserError("broken"), ["--debug"])
    assert code == 1
    assert text.startswith("Traceback")
    assert text.endswith("error: broken\n")


def test_a_defect_of_ours_keeps_its_traceback() -> None:
    def main(argv: Sequence[str] | None) -> int:
        raise AssertionError("a defect")

    with pytest.raises(AssertionError, match="a defect"):
        run_command(main, [])


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (
            OSError(errno.ENOSPC, "No space left on device", "out/cases.csv"),
            "out/cases.csv: No space left on device "
            "(free some space or choose another --out; nothing half-written was kept)",
        ),
        (
            PermissionError(errno.EACCES, "Permission denied", "/"),
            "/: Permission denied (check the permissions or choose another folder)",
        ),
        (IsADirectoryError(errno.EISDIR, "Is a directory", "x"), "x: Is a directory (a file is needed here)"),
        (OSError(errno.EIO, "Input/output error"), "Input/output error"),
        (OSError("not a gzip file"), "not a gzip file"),
    ],
)
def test_describe(error: OSError, text: str) -> None:
    assert describe(error) == text


def test_a_reader_that_leaves_early_gets_no_message() -> None:
    """As `python -m cart … --json | head`: the pipe is closed before everything is written."""
    process = subprocess.Popen(
        [sys.executable, "-c", COMMAND, "long"], cwd=REPOSITORY, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    assert process.stderr.read() == b""
    assert process.wait() == 1
    process.stderr.close()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full on this system")
@pytest.mark.parametrize("length", ["short", "long"])
def test_output_to_a_full_disk_is_one_line(length: str) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-c", COMMAND, length], cwd=REPOSITORY, stdout=full, stderr=subprocess.PIPE, text=True
        )
    assert done.returncode == 1
    assert done.stderr.startswith("error: No space left on device")
    assert done.stderr.count("\n") == 1
