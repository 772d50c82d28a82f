"""Builds the wheel `annulus-cart`: the cart's program alone, to be installed by pip where it is to run.

In this repository the cart's program is the room `cart` and the modules of other rooms that it imports. On a cart they
lie inside one package, `annulus_cart`, so that no name of ours (`shell`, `data_pipeline`) is taken from anybody else;
the imports between them are rewritten to that when the wheel is built.
"""

import argparse
import ast
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterable, Sequence
from pathlib import Path

from shell.command import add_debug_option, run_command
from shell.errors import UserError
from shell.files import atomic_path

ROOT = Path(__file__).parents[1]
PACKAGE, DISTRIBUTION = "annulus_cart", "annulus-cart"
ROOMS = ("shell", "postprocessing", "data_pipeline", "metrics", "cart")
"""Rooms that the cart may import from; a module that it does not reach stays out."""
START = "cart"
REQUIREMENTS = "requirements-cart.txt"
INDIRECT = "# What those need in turn"
READS_FILES = ("nibabel", "SimpleITK", "pydicom", "python-gdcm")
"""Needed for files of these kinds only: the extra `files`. Frames from memory, PNG and video need nothing of it."""
PIP_OPTIONS = ("--no-deps", "--no-build-isolation", "--quiet", "--disable-pip-version-check")
DEFAULT_OUT = Path("dist")

EPILOG = """example:
  python -m export.cart_wheel --out dist
  → dist/annulus_cart-0.1.0-py3-none-any.whl; on the cart: pip install 'annulus_cart-0.1.0-py3-none-any.whl[files]'
"""

PROJECT = """\
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"

[project]
name = "{distribution}"
version = "{version}"
description = "Measures the mitral annulus on echo frames with an exported Annulus bundle, without TensorFlow"
readme = "README.md"
requires-python = "{python}"
license = "{license}"
license-files = ["LICENSE"]
dependencies = {needed}
optional-dependencies.files = {files}

[project.scripts]
{distribution} = "{package}:command"

[tool.hatch.build.targets.wheel]
packages = ["{package}"]
"""

INIT = '''\
"""The cart's program of Annulus: an exported bundle measures frames, without TensorFlow.

    from annulus_cart import Cart

    cart = Cart.open("bundles/unet1/tflite-int8")
    for measurement in cart.stream(frames):
        ...
"""

from annulus_cart.cart.device import Cart

__all__ = ["Cart", "command"]
__version__ = "{version}"


def command() -> None:
    """`annulus-cart`: what `python -m cart` is in the repository."""
    from annulus_cart.cart.__main__ import main
    from annulus_cart.shell.command import run_command

    run_command(main)
'''


def main(argv: Sequence[str] | None = None) -> int:
    """Builds the wheel."""
    parser = argparse.ArgumentParser(
        prog="python -m export.cart_wheel",
        description="Build the wheel that puts the cart's program, and nothing else, on a machine.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--out", type=Path, default=DEFAULT_OUT, metavar="DIR", help="default: %(default)s")
    add_debug_option(parser)
    arguments = parser.parse_args(argv)
    wheel = build_wheel(arguments.out)
    print(f"{wheel} ({wheel.stat().st_size / 1000:.0f} kB)")
    return 0


def build_wheel(folder: Path) -> Path:
    """Writes the wheel into a folder and returns its path; the same sources give the same bytes.

    Raises:
        UserError: hatchling, which builds it, is not installed or fails.
    """
    with tempfile.TemporaryDirectory() as scratch:
        source, built = Path(scratch) / "source", Path(scratch) / "built"
        write_source(source)
        found = subprocess.run(
            [sys.executable, "-m", "pip", "wheel", *PIP_OPTIONS, "--wheel-dir", str(built), str(source)],
            capture_output=True,
            text=True,
        )
        if found.returncode:
            reason = (found.stderr.strip().splitlines() or ["no reason given"])[-1]
            raise UserError(f"the wheel could not be built ({reason}); install requirements.txt, which has hatchling")
        (wheel,) = built.glob("*.whl")
        with atomic_path(folder / wheel.name) as temporary:
            temporary.write_bytes(wheel.read_bytes())
    return folder / wheel.name


def write_source(folder: Path) -> None:
    """Writes what the wheel is built from: the modules below `annulus_cart/`, and their pyproject.toml."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    needed, files = dependencies((ROOT / REQUIREMENTS).read_text(encoding="utf-8"))
    for module in reached_modules():
        path = folder / PACKAGE / module.relative_to(ROOT)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(inside_package(module.read_text(encoding="utf-8")), encoding="utf-8")
    (folder / PACKAGE / "__init__.py").write_text(INIT.format(version=project["version"]), encoding="utf-8")
    (folder / PACKAGE / "__main__.py").write_text(f"from {PACKAGE} import command\n\ncommand()\n", encoding="utf-8")
    (folder / "README.md").write_bytes((ROOT / "docs" / "cart.md").read_bytes())
    (folder / "LICENSE").write_bytes((ROOT / "LICENSE").read_bytes())
    (folder / "pyproject.toml").write_text(
        PROJECT.format(
            distribution=DISTRIBUTION,
            package=PACKAGE,
            version=project["version"],
            python=project["requires-python"],
            license=project["license"],
            needed=needed,
            files=files,
        ),
        encoding="utf-8",
    )


def dependencies(requirements: str) -> tuple[list[str], list[str]]:
    """What the cart cannot do without, and what only some files need, from its pinned requirements.

    A pin becomes a range up to the next major version: a machine has other programs too.
    """
    lines = [line for line in requirements.partition(INDIRECT)[0].splitlines() if line and not line.startswith("#")]
    needed: list[str] = []
    files: list[str] = []
    for line in lines:
        name, _, version = line.partition("==")
        following = int(version.split(".")[0]) + 1
        (files if name in READS_FILES else needed).append(f"{name}>={version},<{following}")
    return needed, files


def reached_modules() -> list[Path]:
    """Files of every module of `cart`, and of those that they import, wherever in the module that is."""
    waiting = sorted((ROOT / START).rglob("*.py"))
    reached: set[Path] = set()
    while waiting:
        path = waiting.pop()
        if path in reached:
            continue
        reached.add(path)
        tree = ast.parse(path.read_text(encoding="utf-8"))
        waiting += [found for name in _imported(tree) for found in _files_of(name)]
    return sorted(reached)


def inside_package(text: str) -> str:
    """A module's source with its imports of our rooms pointing into the package.

    Raises:
        ValueError: `import room.module` without `as`, which would need every use rewritten too.
    """
    lines = text.splitlines(keepends=True)
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                if _is_ours(alias.name) and alias.asname is None:
                    raise ValueError(f"`import {alias.name}` must be written `from … import …`. Line {node.lineno}")
            names = [alias.name for alias in node.names if _is_ours(alias.name)]
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module and _is_ours(node.module):
            names = [node.module]
        else:
            continue
        line = lines[node.lineno - 1]
        for name in names:  # the module's name stands on the first line of its statement
            before, keyword, after = line.partition("import " if isinstance(node, ast.Import) else "from ")
            line = before + keyword + after.replace(name, f"{PACKAGE}.{name}", 1)
        lines[node.lineno - 1] = line
    return "".join(lines)


def _imported(tree: ast.AST) -> Iterable[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if _is_ours(alias.name))
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module and _is_ours(node.module):
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _is_ours(module: str) -> bool:
    return module.split(".")[0] in ROOMS


def _files_of(module: str) -> list[Path]:
    """The module's file and those of the packages it lies in; none for a name that is no module."""
    path = ROOT.joinpath(*module.split("."))
    found = [file for file in (path.with_suffix(".py"), path / "__init__.py") if file.is_file()]
    packages = [parent / "__init__.py" for parent in path.parents if parent != ROOT and parent.is_relative_to(ROOT)]
    return found + packages if found else []


if __name__ == "__main__":
    run_command(main)
