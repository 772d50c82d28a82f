"""Which version of this program runs: from the repository, or as a wheel."""

from pathlib import Path

WHEEL = "annulus-cart"


def project_version() -> tuple[str, str]:
    """Name and version of what runs: the repository's, or the installed wheel's."""
    path = Path(__file__).parents[1] / "pyproject.toml"
    if path.is_file():
        import tomllib  # here, and the other below: a cart starts sooner without what it may not need

        project = tomllib.loads(path.read_text(encoding="utf-8"))["project"]
        return project["name"], project["version"]
    from importlib.metadata import version

    return WHEEL, version(WHEEL)
