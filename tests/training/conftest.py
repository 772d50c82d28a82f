"""A small simulated data set on disk, and train.py as a real process on it."""

import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TINY = (
    "input_height=32",
    "input_width=32",
    "model_options.width=0.25",
    "batch_size=4",
    "train_share=0.6",
    "val_share=0.2",
)


@pytest.fixture(scope="session")
def hearts(tmp_path_factory: pytest.TempPathFactory) -> str:
    """SPEC of a simulated set of five patients."""
    folder = tmp_path_factory.mktemp("hearts") / "set"
    command = [sys.executable, "-m", "data_pipeline.phantom", str(folder), "--patients", "5", "--seed", "1"]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    return f"phantom:{folder}"


def start_training(*arguments: str | Path, environment: Mapping[str, str] | None = None) -> subprocess.Popen[str]:
    """train.py as a process of its own; its output lines can be read as they come."""
    return subprocess.Popen(
        [sys.executable, "-u", "train.py", *map(str, arguments)],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run_training(*arguments: str | Path, environment: Mapping[str, str] | None = None) -> tuple[int, str, str]:
    """train.py to its end: exit code, standard output, standard error."""
    process = start_training(*arguments, environment=environment)
    output, errors = process.communicate(timeout=300)
    return process.returncode, output, errors


def new_run(folder: Path, data: str, *settings: str, recipe: str = "annulus") -> Sequence[str | Path]:
    """The arguments that begin a tiny run."""
    return ["--model", "unet1", "--recipe", recipe, "--data", data, "--out", folder, "--set", *TINY, *settings]
