"""The wheel `annulus-cart`: complete, small, of one name, and it measures what the repository measures."""

import ast
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from export.cart_wheel import PACKAGE, ROOT, build_wheel, dependencies, inside_package, reached_modules
from tests.export.drawn_heart import write_heart_nifti


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_wheel(tmp_path_factory.mktemp("dist"))


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    return folder


def run(installed: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Python with the wheel on its path and the repository not."""
    return subprocess.run(
        [sys.executable, *map(str, arguments)],
        cwd=installed,
        env={**os.environ, "PYTHONPATH": str(installed)},
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("from shell.errors import UserError\n", "from annulus_cart.shell.errors import UserError\n"),
        ("    \nimport cart.video as video\n", "    \nimport annulus_cart.cart.video as video\n"),
        (
            "from data_pipeline.readers import (\n    image,\n)\n",
            "from annulus_cart.data_pipeline.readers import (\n    image,\n)\n",
        ),
        (
            "def f():\n    from cart.frames import read_frame\n",
            "def f():\n    from annulus_cart.cart.frames import read_frame\n",
        ),
        ("import cv2\nfrom pathlib import Path\n", "import cv2\nfrom pathlib import Path\n"),
        ("import shellac\nfrom carton.cart import f\n", "import shellac\nfrom carton.cart import f\n"),
        ("text = 'from shell.errors import UserError'\n", "text = 'from shell.errors import UserError'\n"),
    ],
)
def test_imports_of_ours_point_into_the_package(before: str, after: str) -> None:
    assert inside_package(before) == after


def test_an_import_that_could_not_be_rewritten_is_refused() -> None:
    with pytest.raises(ValueError, match=r"`import shell\.errors` must be written"):
        inside_package("import shell.errors\n")


def test_dependencies_are_ranges_and_files_are_extra() -> None:
    needed, files = dependencies("# why\nnumpy==2.4.6\npydicom==3.0.2\n\n# What those need in turn.\nprotobuf==7.1\n")
    assert (needed, files) == (["numpy>=2.4.6,<3"], ["pydicom>=3.0.2,<4"])


def test_the_wheel_is_small_and_has_one_name(wheel: Path) -> None:
    assert wheel.stat().st_size < 300_000
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        metadata = archive.read(next(name for name in names if name.endswith("METADATA"))).decode()
        scripts = archive.read(next(name for name in names if name.endswith("entry_points.txt"))).decode()
    assert {name.split("/")[0].split("-")[0] for name in names} == {PACKAGE}
    assert "annulus-cart = annulus_cart:command" in scripts
    required = [line for line in metadata.splitlines() if line.startswith("Requires-Dist") and "extra ==" not in line]
    assert sorted(line.split()[1].split(">=")[0].split("<")[0] for line in required) == [
        "ai-edge-litert",
        "numpy",
        "opencv-python-headless",
        "tqdm",
    ]


def test_nothing_in_it_imports_from_outside_the_package(installed: Path) -> None:
    rooms = {path.parent.name for path in ROOT.glob("*/__init__.py")}
    for path in (installed / PACKAGE).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [node.module] if isinstance(node, ast.ImportFrom) and node.module else []
            names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            assert {name.split(".")[0] for name in names} & rooms == set(), path


def test_building_twice_gives_the_same_bytes(wheel: Path, tmp_path: Path) -> None:
    assert build_wheel(tmp_path).read_bytes() == wheel.read_bytes()


def test_measures_what_the_repository_measures(installed: Path, tflite_bundle: Path, tmp_path: Path) -> None:
    heart = write_heart_nifti(tmp_path / "patient0001_4CH_ED.nii.gz")
    arguments = ("--bundle", tflite_bundle, heart, "--json")
    ours = subprocess.run(
        [sys.executable, "-m", "cart", *map(str, arguments)], cwd=ROOT, capture_output=True, text=True, check=True
    )
    theirs = run(installed, "-m", PACKAGE, *arguments)
    assert theirs.returncode == 0, theirs.stderr
    mine, other = json.loads(ours.stdout), json.loads(theirs.stdout)
    for record in (*mine, *other):
        record.pop("software")
        record.pop("timing_ms", None)
    assert other == mine


def test_its_package_offers_the_cart(installed: Path) -> None:
    done = run(installed, "-c", "import annulus_cart, sys; print(annulus_cart.Cart.open, 'tensorflow' in sys.modules)")
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("False\n")


def test_every_module_that_the_cart_imports_is_reached() -> None:
    names = {path.relative_to(ROOT).as_posix() for path in reached_modules()}
    assert {"cart/measure.py", "shell/errors.py", "postprocessing/hinge_points.py", "data_pipeline/sample.py"} <= names
    assert not any(name.startswith(("models/", "recipes/", "training/", "data_pipeline/datasets/")) for name in names)
