"""Which version of this project runs."""

import hashlib
import subprocess
from pathlib import Path
from typing import Any


def git_state(root: Path) -> dict[str, Any] | None:
    """Commit and, where files differ from it, a digest of the difference; None outside a git checkout."""
    try:
        commit = subprocess.run(
            ["git", "rev-parse", "HEAD"], cwd=root, capture_output=True, text=True, check=True
        ).stdout.strip()
        change = subprocess.run(["git", "diff", "HEAD"], cwd=root, capture_output=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return None
    return {"commit": commit, "change_sha256": hashlib.sha256(change).hexdigest() if change else None}
