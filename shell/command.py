"""Runs a command's main function: one clear line and the right exit code instead of a traceback."""

import argparse
import errno
import os
import sys
import traceback
from collections.abc import Callable, Sequence
from typing import NoReturn

from shell.errors import UserError

INTERRUPTED = 130  # the shell's convention for SIGINT


def add_debug_option(parser: argparse.ArgumentParser) -> None:
    """Every command takes `--debug`: show the traceback of an error."""
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")


def run_command(main: Callable[[Sequence[str] | None], int], argv: Sequence[str] | None = None) -> NoReturn:
    """Calls `main(argv)` and exits: 0 done, 1 the work failed, 2 wrong usage, 130 interrupted.

    `UserError`, `OSError` (missing file, full disk, no permission) and `ValueError` become one line on standard
    error; `--debug` among the arguments shows the traceback as well. Anything else is a defect of ours and keeps
    its traceback. A reader of our output who leaves early (`| head`) ends the command with 1 and no message.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    debug = "--debug" in arguments
    try:
        code = main(arguments)
        sys.stdout.flush()  # here, where a full disk or a closed pipe still finds its handler
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        code = INTERRUPTED
    except BrokenPipeError:
        code = 1
    except (UserError, OSError, ValueError) as error:
        if debug:
            traceback.print_exc()
        print(f"error: {describe(error)}", file=sys.stderr)
        code = error.exit_code if isinstance(error, UserError) else 1
    try:
        sys.stdout.flush()
    except OSError:  # said above; what is left in the buffer would fail once more when Python ends
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(code)


FULL = "free some space or choose another --out; nothing half-written was kept"
MENDS = {
    errno.ENOSPC: FULL,
    errno.EDQUOT: FULL,
    errno.EACCES: "check the permissions or choose another folder",
    errno.EPERM: "check the permissions or choose another folder",
    errno.EROFS: "choose another folder; this one can only be read",
    errno.ENOENT: "check the path",
    errno.EISDIR: "a file is needed here",
    errno.ENOTDIR: "a folder is needed here; check the path",
}
"""What the user can do about an error of the operating system."""


def describe(error: BaseException) -> str:
    """One line for an error, naming the file where the operating system knows it and the mend where we do."""
    if isinstance(error, OSError) and error.strerror:
        where = f"{error.filename}: " if error.filename else ""
        mend = MENDS.get(error.errno or 0)
        return f"{where}{error.strerror}" + (f" ({mend})" if mend else "")
    return " ".join(str(error).split()) or type(error).__name__
