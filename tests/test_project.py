"""The project as a whole: what is tracked, what is pinned, what the documents promise, what the commands answer."""

import ast
import functools
import importlib
import importlib.metadata
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import grimp
import pytest
import yaml

from cart.engines import ENGINES

REPOSITORY = Path(__file__).parents[1]
PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))
PACKAGES = PROJECT["tool"]["importlinter"]["root_packages"]
COMMANDS = {
    "train.py": ["train.py"],
    "evaluate.py": ["evaluate.py"],
    "predict.py": ["predict.py"],
    "reproduce.py": ["reproduce.py"],
    "-m export": ["-m", "export"],
    "-m export.cart_wheel": ["-m", "export.cart_wheel"],
    "-m cart": ["-m", "cart"],
    "-m data_pipeline.phantom": ["-m", "data_pipeline.phantom"],
    "-m data_pipeline.check": ["-m", "data_pipeline.check"],
    "-m data_pipeline.class_shares": ["-m", "data_pipeline.class_shares"],
}
NOT_EMPTY = {"models", "metrics", "recipes"}
"""Packages whose `__init__.py` says or holds something; the others stay empty, so that importing one costs nothing."""
DATA_SUFFIXES = (".nii", ".gz", ".mhd", ".mha", ".raw", ".zraw", ".npy", ".npz", ".keras", ".h5", ".tflite", ".dcm")
PICTURE_SUFFIXES = (".png", ".jpg", ".jpeg", ".gif", ".svg", ".bmp", ".tif", ".tiff", ".webp")
LARGEST_PICTURE = 300_000  # bytes
USERS_REQUIREMENTS = {"tensorflow", "keras", "opencv-python", "scikit-learn", "matplotlib", "pytest"}
DOCUMENTS = [*REPOSITORY.glob("*.md"), *(REPOSITORY / "docs").glob("*.md")]


def tracked() -> list[Path]:
    """Every file under version control; the test is skipped where there is no git, as in an unpacked archive."""
    if shutil.which("git") is None or not (REPOSITORY / ".git").exists():
        pytest.skip("no git here, so nothing says which files belong to the project")
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    return [path for name in listed.stdout.split("\0") if name and (path := REPOSITORY / name).is_file()]


def name_of(path: Path) -> str:
    return path.relative_to(REPOSITORY).as_posix()


def test_package_inits_are_empty() -> None:
    paths = [path for package in PACKAGES for path in (REPOSITORY / package).rglob("__init__.py")]
    inits = {name_of(path): path.stat().st_size for path in paths}
    assert set(PACKAGES) <= {name.removesuffix("/__init__.py") for name in inits}
    assert {name for name, size in inits.items() if size} <= {f"{package}/__init__.py" for package in NOT_EMPTY}
    body = ast.parse((REPOSITORY / "metrics" / "__init__.py").read_text(encoding="utf-8")).body
    assert len(body) == 1  # its conventions, and no code


def test_every_package_has_tests_of_its_own() -> None:
    without = [package for package in PACKAGES if not list((REPOSITORY / "tests" / package).glob("test_*.py"))]
    assert without == []


def test_no_path_of_a_developers_machine() -> None:
    folders = "|".join(("work", "root", "farm", "tmp"))
    machine_path = re.compile(rf"(?<![\w.])/(?:{folders})(?:/|\b)")
    found = []
    for path in tracked():
        if path.suffix in PICTURE_SUFFIXES or path.name == "LICENSE":
            continue
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
            if machine_path.search(line):
                found.append(f"{name_of(path)}:{number}: {line.strip()}")
    assert found == []


def test_no_data_and_only_small_pictures_under_version_control() -> None:
    files = tracked()
    assert [name_of(path) for path in files if path.suffix.lower() in DATA_SUFFIXES] == []
    pictures = [path for path in files if path.suffix.lower() in PICTURE_SUFFIXES]
    assert [name_of(path) for path in pictures if path.parent != REPOSITORY / "docs" / "images"] == []
    assert [name_of(path) for path in pictures if path.stat().st_size > LARGEST_PICTURE] == []


def requirements(name: str) -> dict[str, str]:
    """Pinned version by normalised package name; a line that pins nothing exactly fails the test."""
    pins = {}
    for line in (REPOSITORY / name).read_text(encoding="utf-8").splitlines():
        if not line or line.startswith(("#", "-r ")):
            continue
        pin = re.fullmatch(r"([A-Za-z0-9][\w.-]*)(?:\[\w+\])?==(\d[\w.]*)", line)
        assert pin is not None, f"{name}: not an exact pin: {line}"
        package = normalised(pin[1])
        assert package not in pins, f"{name}: twice: {package}"
        pins[package] = pin[2]
    return pins


def normalised(package: str) -> str:
    return re.sub(r"[-_.]+", "-", package).lower()


def test_requirements_agree_with_each_other() -> None:
    runtime, development, cart = (requirements(f"requirements{part}.txt") for part in ("", "-dev", "-cart"))
    assert set(runtime) >= USERS_REQUIREMENTS
    assert set(runtime) & set(development) == set()
    cart["opencv-python"] = cart.pop("opencv-python-headless")
    assert {package: runtime.get(package) for package in cart} == cart
    assert not {"tensorflow", "keras"} & set(cart)


@pytest.mark.parametrize("part", ["", "-dev"])
def test_what_is_installed_is_what_is_pinned(part: str) -> None:
    installed = {
        normalised(distribution.metadata["Name"]): distribution.version
        for distribution in importlib.metadata.distributions()
    }
    if "opencv-python-headless" in installed:  # where the graphics libraries are missing, see the Makefile
        installed.setdefault("opencv-python", installed["opencv-python-headless"])
    pins = requirements(f"requirements{part}.txt")
    assert {package: installed.get(package) for package in pins} == pins


def test_the_cart_requires_exactly_what_it_imports() -> None:
    graph = grimp.build_graph(
        *PACKAGES, include_external_packages=True, exclude_type_checking_imports=True, cache_dir=None
    )
    reached = graph.find_upstream_modules("cart", as_package=True)
    used = {name.split(".")[0] for name in reached} - set(PACKAGES) - set(sys.stdlib_module_names)
    used -= {engine.module for name, engine in ENGINES.items() if name != "litert"}  # asked for by name, if at all
    used.add("gdcm")  # pydicom's own import, for compressed files
    provided = {
        "cv2": "opencv-python-headless",
        "SimpleITK": "simpleitk",
        "ai_edge_litert": "ai-edge-litert",
        "gdcm": "python-gdcm",
    }
    named, _, _ = (
        (REPOSITORY / "requirements-cart.txt").read_text(encoding="utf-8").partition("# What those need in turn")
    )
    direct = {normalised(line.partition("==")[0]) for line in named.splitlines() if "==" in line}
    assert {provided.get(name, name) for name in used} == direct


@functools.cache
def help_of(command: str) -> subprocess.CompletedProcess[str]:
    """A command's `--help`, with every module it imports listed on standard error."""
    return subprocess.run(
        [sys.executable, "-X", "importtime", *COMMANDS[command], "--help"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
    )


@pytest.mark.parametrize("command", COMMANDS)
def test_help_answers_at_once_and_has_an_example(command: str) -> None:
    done = help_of(command)
    assert done.returncode == 0, done.stderr
    assert f"python {command} " in done.stdout
    assert re.search(r"^examples?:", done.stdout, re.MULTILINE)
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert not {"tensorflow", "keras"} & imported  # seconds, for a page of help


@pytest.mark.parametrize("command", COMMANDS)
def test_an_unknown_option_is_wrong_usage(command: str) -> None:
    done = subprocess.run(
        [sys.executable, *COMMANDS[command], "--no-such-option"], cwd=REPOSITORY, capture_output=True, text=True
    )
    assert done.returncode == 2
    assert "Traceback" not in done.stderr


def code_of(document: Path) -> str:
    """Code blocks and inline code of a document, a line continued with a backslash as one."""
    text = document.read_text(encoding="utf-8")
    blocks = re.findall(r"^```\w*\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    inline = re.findall(r"`([^`\n]+)`", re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE))
    return "\n".join([*blocks, *inline]).replace("\\\n", " ")


def options_in(text: str) -> set[str]:
    return set(re.findall(r"(?<!\S)\[?(--[a-z][a-z-]*)", text))


@pytest.mark.parametrize("document", DOCUMENTS, ids=name_of)
def test_documented_commands_exist(document: Path) -> None:
    code = code_of(document)
    for line in re.findall(r"\bpython3? ((?:-m )?[\w./]+[^\n|#;&]*)", code):
        command = re.match(r"-m [\w.]+|\S+", line)
        assert command is not None
        if command[0] in COMMANDS:
            assert options_in(line) <= options_in(help_of(command[0]).stdout), f"{name_of(document)}: {line}"
        elif command[0].endswith(".py"):
            assert (REPOSITORY / command[0]).is_file(), f"{name_of(document)}: {line}"
        elif command[0].startswith("-m "):
            module = command[0].removeprefix("-m ")
            ours = REPOSITORY / Path(*module.split("."))
            assert module in ("pip", "venv", "pytest", "tensorboard.main") or ours.with_suffix(".py").is_file(), line
    targets = set(re.findall(r"^([a-z][a-z-]*):", (REPOSITORY / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    assert set(re.findall(r"(?:^|[\s`])make ([a-z][a-z-]*)", code)) <= targets


@pytest.mark.parametrize("document", DOCUMENTS, ids=name_of)
def test_links_lead_somewhere(document: Path) -> None:
    links = re.findall(r"\]\(([^)\s]+)\)", document.read_text(encoding="utf-8"))
    missing = [
        link
        for link in links
        if not re.match(r"https?:|mailto:|#", link) and not (document.parent / link.partition("#")[0]).exists()
    ]
    assert missing == []


def test_what_is_said_to_replace_tensorflow_addons_is_there() -> None:
    readme = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\|([^|]+)\|([^|]+)\|([^|]+)\|$", readme.partition("| tensorflow-addons |")[2], re.MULTILINE)
    names = [name for _, now, _ in rows for name in re.findall(r"`((?:keras|tf|sklearn)\.[\w.]+)`", now)]
    assert len(names) > 10
    for name in names:
        module, _, rest = name.replace("tf.", "tensorflow.", 1).partition(".")
        thing = importlib.import_module("sklearn.metrics" if module == "sklearn" else module)
        for part in rest.removeprefix("metrics." if module == "sklearn" else "").split("."):
            thing = getattr(thing, part)
        assert callable(thing), name
    files = {file for _, _, here in rows for file in re.findall(r"`([\w/]+\.py)`", here)}
    assert [file for file in files if not (REPOSITORY / file).is_file()] == []


def test_licence_version_and_citation_agree() -> None:
    citation = yaml.safe_load((REPOSITORY / "CITATION.cff").read_text(encoding="utf-8"))
    licence = (REPOSITORY / "LICENSE").read_text(encoding="utf-8")
    assert "Apache License" in licence
    assert "END OF TERMS AND CONDITIONS" in licence
    assert citation["license"] == PROJECT["project"]["license"] == "Apache-2.0"
    assert citation["version"] == PROJECT["project"]["version"]
    assert len(citation["references"]) == 6  # five papers and the CAMUS data set


def test_continuous_integration_runs_the_pythons_that_are_promised() -> None:
    workflow = yaml.safe_load((REPOSITORY / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8"))
    oldest = PROJECT["project"]["requires-python"].removeprefix(">=")
    assert oldest in workflow["jobs"]["test"]["strategy"]["matrix"]["python"]
    assert (REPOSITORY / ".ci" / "run").stat().st_mode & 0o111
