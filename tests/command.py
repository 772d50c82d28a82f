"""A command called as a user calls it."""

from collections.abc import Callable
from pathlib import Path

import pytest

from shell.command import run_command


def call(main: Callable[[list[str]], int], *arguments: str | Path) -> int:
    """Its exit code."""
    with pytest.raises(SystemExit) as ended:
        run_command(main, [str(argument) for argument in arguments])
    return ended.value.code
