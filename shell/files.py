"""Files that are never half-written (write beside, then rename), and locks that end with their process."""

import fcntl
import hashlib
import json
import math
import os
import secrets
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from shell.errors import UserError


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Gives a temporary path beside `path` (same suffixes) to write to; renames it over `path` if the block succeeds.

    If the block raises, or the process dies, `path` is untouched; on an exception the temporary file is removed too
    (a killed process leaves it, as `.NAME.….tmp` with NAME's suffixes). An `OSError` of the block that names no
    file, or the temporary one, names `path` instead.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = _beside(path)
    with _named(path, temporary):
        temporary.touch(exist_ok=False)  # with the permissions the user's umask gives
        try:
            yield temporary
            with temporary.open("rb") as written:
                os.fsync(written.fileno())
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)


@contextmanager
def atomic_folder(path: Path, *, marker: str | None = None) -> Iterator[Path]:
    """Like `atomic_path` for a folder: an existing `path` is replaced only once the new one is complete.

    Args:
        path: the folder to write.
        marker: a file every such folder holds. An existing `path` that is neither empty nor holds it is someone
            else's and is not replaced. None: `path` is ours to replace whatever it holds.

    Raises:
        UserError: `path` is a file, or holds something else (see `marker`). Nothing has been written then.

    A process killed between the two renames at the very end leaves the old folder beside, as `.NAME.….tmp.old`.
    """
    if path.exists() and not path.is_dir():
        raise UserError(f"{path}: is a file, so no folder can be written there; choose another --out")
    if marker is not None and path.is_dir() and any(path.iterdir()) and not (path / marker).is_file():
        raise UserError(f"{path}: is not empty and holds no {marker}, so it is not replaced; choose another --out")
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = _beside(path)
    old = temporary.with_name(f"{temporary.name}.old")
    with _named(path, temporary):
        temporary.mkdir()
        try:
            yield temporary
            if path.exists():
                path.replace(old)
                try:
                    temporary.replace(path)
                except OSError:
                    old.replace(path)
                    raise
                shutil.rmtree(old)
            else:
                temporary.replace(path)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)


@contextmanager
def exclusive(path: Path, *, work: str) -> Iterator[None]:
    """Holds a lock file; of several processes one runs its block, the others wait their turn and say so.

    Args:
        path: the lock file, made if needed in a folder that is there; it stays.
        work: what the block does, as in `waiting for another process that is …`.

    The operating system releases the lock when the process ends, however it ends.
    """
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print(f"{path}: waiting for another process that is {work}", file=sys.stderr, flush=True)
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _beside(path: Path) -> Path:
    """`.NAME.….tmp` in the same folder, used by nobody else, with the suffixes by which writers choose a format."""
    return path.with_name(f".{path.name}.{secrets.token_hex(6)}.tmp{''.join(path.suffixes[-2:])}")


@contextmanager
def _named(path: Path, temporary: Path) -> Iterator[None]:
    """Names `path` in an `OSError` where it names nothing or the temporary file, which the user never chose."""
    try:
        yield
    except OSError as error:
        if error.strerror and (error.filename is None or str(error.filename).startswith(str(temporary))):
            error.filename = str(path) + str(error.filename or "").removeprefix(str(temporary))
            error.filename2 = None
        raise


def write_text(path: Path, text: str) -> None:
    """Writes UTF-8 text atomically."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, value: Any) -> None:
    """Writes strict JSON (no NaN) atomically, indented, keys in the order given."""
    write_text(path, json.dumps(value, indent=2, allow_nan=False) + "\n")


def read_json(path: Path) -> Any:
    """Reads JSON, with a byte order mark or without; a missing, empty or truncated file is a `UserError` naming it."""
    try:
        return json.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; check the path") from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: not valid JSON ({error}); write it again") from error


def sha256_of(path: Path) -> str:
    """Hex SHA-256 of a file, read in blocks."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def without_nan(value: Any) -> Any:
    """The value with None for every NaN in its dicts and lists, as JSON has it."""
    if isinstance(value, dict):
        return {key: without_nan(item) for key, item in value.items()}
    if isinstance(value, list):
        return [without_nan(item) for item in value]
    return None if isinstance(value, float) and math.isnan(value) else value
