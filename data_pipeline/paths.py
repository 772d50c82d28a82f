"""Where Annulus keeps what it makes once per user."""

import os
from pathlib import Path


def cache_folder() -> Path:
    """The user's cache folder (not created here): `$ANNULUS_CACHE`, `$XDG_CACHE_HOME/annulus` or `~/.cache/annulus`."""
    if own := os.environ.get("ANNULUS_CACHE"):
        return Path(own).expanduser()
    xdg = os.environ.get("XDG_CACHE_HOME")
    base = Path(xdg) if xdg and Path(xdg).is_absolute() else Path.home() / ".cache"
    return base / "annulus"
