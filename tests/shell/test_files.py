"""Files and folders that are never half-written, whatever happens to the process."""

import errno
import json
import math
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path
from typing import IO

import pytest

from shell.errors import UserError
from shell.files import atomic_folder, atomic_path, exclusive, read_json, sha256_of, write_json, write_text

REPOSITORY = Path(__file__).parents[2]


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_atomic_path_writes_into_a_new_folder(tmp_path: Path) -> None:
    path = tmp_path / "new" / "deeper" / "cases.csv"
    with atomic_path(path) as temporary:
        assert temporary.parent == path.parent
        temporary.write_text("case\n", encoding="utf-8")
        assert not path.exists()
    assert path.read_text(encoding="utf-8") == "case\n"
    assert names(path.parent) == ["cases.csv"]


@pytest.mark.parametrize("name", ["frame.nii.gz", "model.keras", "picture.png", "plain"])
def test_the_temporary_path_keeps_the_suffixes_by_which_writers_choose_a_format(tmp_path: Path, name: str) -> None:
    with atomic_path(tmp_path / name) as temporary:
        assert temporary.name.endswith("".join(Path(name).suffixes) or ".tmp")


@pytest.mark.parametrize(("mask", "mode"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)])
def test_the_users_umask_decides_the_permissions(tmp_path: Path, mask: int, mode: int) -> None:
    before = os.umask(mask)
    try:
        write_text(tmp_path / "a.txt", "a")
        with atomic_folder(tmp_path / "folder"):
            pass
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a.txt").stat().st_mode) == mode
    assert stat.S_IMODE((tmp_path / "folder").stat().st_mode) == (0o777 & ~mask)


@pytest.mark.parametrize("error", [RuntimeError("no"), KeyboardInterrupt(), SystemExit(1)])
def test_atomic_path_keeps_the_old_file_when_the_block_raises(tmp_path: Path, error: BaseException) -> None:
    path = tmp_path / "a.json"
    path.write_text("old", encoding="utf-8")

    def fail() -> None:
        with atomic_path(path) as temporary:
            temporary.write_text("half", encoding="utf-8")
            raise error

    with pytest.raises(type(error)):
        fail()
    assert path.read_text(encoding="utf-8") == "old"
    assert names(tmp_path) == ["a.json"]


def test_an_error_of_the_disk_names_the_file_the_user_knows(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    with pytest.raises(OSError, match="No space left") as caught, atomic_path(path):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert caught.value.filename == str(path)
    with pytest.raises(OSError, match="No space left") as caught, atomic_folder(tmp_path / "out") as temporary:
        raise OSError(errno.ENOSPC, "No space left on device", str(temporary / "cases.csv"))
    assert caught.value.filename == str(tmp_path / "out" / "cases.csv")
    with pytest.raises(FileNotFoundError) as other, atomic_path(path):
        (tmp_path / "input.png").read_bytes()
    assert other.value.filename == str(tmp_path / "input.png")
    assert names(tmp_path) == []


KILLED = """
import os, signal, sys
from pathlib import Path
from shell.files import atomic_folder, atomic_path

path = Path(sys.argv[2])
if sys.argv[1] == "file":
    with atomic_path(path) as temporary:
        temporary.write_text("half")
        os.kill(os.getpid(), signal.SIGKILL)
else:
    with atomic_folder(path) as temporary:
        (temporary / "half").write_text("half")
        os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_a_killed_process_leaves_the_old_one_untouched(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "thing"
    if kind == "folder":
        path.mkdir()
    content = path / "inside" if kind == "folder" else path
    content.write_text("old", encoding="utf-8")
    done = subprocess.run([sys.executable, "-c", KILLED, kind, str(path)], cwd=REPOSITORY)
    assert done.returncode == -signal.SIGKILL
    assert content.read_text(encoding="utf-8") == "old"
    others = [name for name in names(tmp_path) if name != "thing"]
    assert len(others) == 1
    assert others[0].startswith(".thing.")


def test_atomic_folder_appears_complete_and_replaces_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "bundle"
    for text in ("first", "second"):
        with atomic_folder(path) as temporary:
            (temporary / text).write_text(text, encoding="utf-8")
        assert names(path) == [text]
    assert names(tmp_path) == ["bundle"]


def test_atomic_folder_keeps_the_old_one_when_the_block_raises(tmp_path: Path) -> None:
    path = tmp_path / "bundle"
    with atomic_folder(path) as temporary:
        (temporary / "a").write_text("a", encoding="utf-8")

    def fail() -> None:
        with atomic_folder(path) as temporary:
            (temporary / "b").write_text("b", encoding="utf-8")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert names(path) == ["a"]
    assert names(tmp_path) == ["bundle"]


def test_atomic_folder_puts_the_old_one_back_when_the_new_one_cannot_take_its_place(tmp_path: Path) -> None:
    path = tmp_path / "bundle"
    path.mkdir()
    (path / "a").write_text("a", encoding="utf-8")
    with pytest.raises(FileNotFoundError), atomic_folder(path) as temporary:
        temporary.rmdir()
    assert names(path) == ["a"]
    assert names(tmp_path) == ["bundle"]


def test_atomic_folder_does_not_replace_what_is_not_ours(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    with atomic_folder(home, marker="summary.json") as temporary:  # empty: may be replaced
        (temporary / "summary.json").write_text("{}", encoding="utf-8")
    with atomic_folder(home, marker="summary.json") as temporary:  # ours: may be replaced
        (temporary / "thesis.txt").write_text("years", encoding="utf-8")
    foreign = pytest.raises(UserError, match=r"home: is not empty and holds no summary\.json")
    with foreign, atomic_folder(home, marker="summary.json"):
        pytest.fail("the block must not run")
    assert names(home) == ["thesis.txt"]
    file = tmp_path / "file"
    file.write_text("text", encoding="utf-8")
    with pytest.raises(UserError, match="file: is a file"), atomic_folder(file):
        pytest.fail("the block must not run")
    assert file.read_text(encoding="utf-8") == "text"


HOLDER = """
import sys
from pathlib import Path
from shell.files import exclusive

with exclusive(Path(sys.argv[1]), work="holding it"):
    print("held", flush=True)
    sys.stdin.read()
"""


def hold(lock: Path) -> subprocess.Popen[str]:
    """A process that takes the lock, says `held`, and keeps it until its input ends or it is killed."""
    pipe = subprocess.PIPE
    return subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(lock)], cwd=REPOSITORY, text=True, stdin=pipe, stdout=pipe, stderr=pipe
    )


def said(pipe: IO[str] | None) -> str:
    assert pipe is not None
    return pipe.readline()


@pytest.mark.parametrize("killed", [False, True])
def test_a_lock_is_held_by_one_and_ends_with_its_process(tmp_path: Path, killed: bool) -> None:
    lock = tmp_path / "thing.lock"
    with hold(lock) as first:
        assert said(first.stdout) == "held\n"
        with hold(lock) as second:
            assert said(second.stderr) == f"{lock}: waiting for another process that is holding it\n"
            assert first.poll() is None
            if killed:
                first.kill()
            first.communicate()
            assert said(second.stdout) == "held\n"
            assert second.communicate() == ("", "")
    assert names(tmp_path) == ["thing.lock"]


def test_a_free_lock_is_taken_without_a_word(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def fail() -> None:
        with exclusive(tmp_path / "thing.lock", work="failing"):
            raise RuntimeError

    for _ in range(2):  # an error gives it back
        with pytest.raises(RuntimeError):
            fail()
    assert capsys.readouterr() == ("", "")


def test_json_comes_back_and_is_strict(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    value = {"b": [1, 2.5, None, "Ü"], "a": True}
    write_json(path, value)
    assert read_json(path) == value
    assert list(json.loads(path.read_text(encoding="utf-8"))) == ["b", "a"]
    with pytest.raises(ValueError, match="JSON"):
        write_json(path, {"value": math.nan})
    assert read_json(path) == value


@pytest.mark.parametrize("content", [b"", b'{"a": 1', b"\xff\xfe"])
def test_damaged_json_is_a_user_error_that_names_the_file(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "recipe.json"
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"recipe\.json: not valid JSON"):
        read_json(path)


def test_missing_json_is_a_user_error_that_names_the_file(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"none\.json: no such file"):
        read_json(tmp_path / "none.json")


def test_sha256(tmp_path: Path) -> None:
    path = tmp_path / "abc"
    path.write_bytes(b"abc")  # the first example of FIPS 180-2
    assert sha256_of(path) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
