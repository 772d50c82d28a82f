"""Which version runs: the commit, and a digest of what differs from it."""

import subprocess
from pathlib import Path

from shell.git import git_state


def git(folder: Path, *words: str) -> str:
    names = ["-c", "user.name=A", "-c", "user.email=a@b"]
    return subprocess.run(["git", *names, *words], cwd=folder, check=True, capture_output=True, text=True).stdout


def test_the_commit_and_what_differs_from_it(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q")
    file = tmp_path / "file"
    file.write_text("one")
    git(tmp_path, "add", "file")
    git(tmp_path, "commit", "-q", "-m", "first")
    commit = git(tmp_path, "rev-parse", "HEAD").strip()
    assert git_state(tmp_path) == {"commit": commit, "change_sha256": None}
    file.write_text("two")
    changed = git_state(tmp_path)
    assert changed is not None
    assert changed["commit"] == commit
    assert len(changed["change_sha256"]) == 64
    file.write_text("three")
    assert git_state(tmp_path) != changed


def test_no_checkout_has_no_version(tmp_path: Path) -> None:
    assert git_state(tmp_path) is None
    assert git_state(tmp_path / "nowhere") is None
