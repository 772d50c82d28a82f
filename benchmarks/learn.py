"""Trains every network for a few minutes on simulated hearts and shows what each has learnt, as one table.

Each network is trained by its own recipe (loss, optimizer, classes) with train.py and measured on held-out patients
with evaluate.py, on the frames' own grid. Reduced alike for all: the grid, the relative width, the number of epochs
that fit into the time. The results gather in a file; a network that is in it is not trained again. Exit code 1 if a
network stays below what it must reach.
"""

import argparse
import dataclasses
import json
import math
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from recipes import DEFAULT_RECIPE, recipe_for
from recipes.base import Recipe, with_settings
from shell.command import add_debug_option, run_command
from shell.errors import UsageError, UserError
from shell.files import read_json, write_json

ROOT = Path(__file__).resolve().parents[1]
EXAMPLES = """examples:
  python -m benchmarks.learn                                  all networks, the default settings
  python -m benchmarks.learn --models unet1 u_l2 --minutes 1  two of them, quickly
  python -m benchmarks.learn --models unet1 --again           train this one anew
"""

SHARES = ("train_share=0.75", "val_share=0.1")
FRAMES_OF_PATIENT = 4  # two views, two phases
STRUCTURES = ("LV", "MYO", "LA", "MV")
LOCALISERS = ("alexnet_box", "vgg19_box", "u_l1", "u_l2")
LEAST_LV_DICE = 0.80
LEAST_IOU = {"u_l1": 0.75, "u_l2": 0.75}

TIMED_STEPS = 3
VALIDATION_COST = 1 / 3  # of a training step for as many frames: the way forward alone
SECONDS_OF_FILES = 1.0  # a checkpoint, a model and a picture after each epoch

Json = dict[str, Any]


@dataclass(frozen=True)
class Settings:
    """What is the same for every network.

    Attributes:
        minutes: of training, as near as whole epochs come; None where `epochs` says how long.
        epochs: the same number for all, or None: as many as the minutes hold.
        size: side of the network's grid, pixels.
        width: relative number of filters.
        patients: simulated, in training, validation and test together.
        seed: of the simulation.
        settings: further recipe settings, `key=value`.
        backend: what Keras runs on.
    """

    minutes: float | None
    epochs: int | None
    size: int
    width: float
    patients: int
    seed: int
    settings: tuple[str, ...]
    backend: str

    @property
    def data(self) -> str:
        """SPEC of the simulated hearts."""
        return f"phantom?patients={self.patients}&seed={self.seed}"

    def of(self, epochs: int) -> list[str]:
        """The recipe settings, as `--set` takes them."""
        grid = (f"input_height={self.size}", f"input_width={self.size}", f"model_options.width={self.width}")
        return [*grid, *SHARES, f"epochs={epochs}", *self.settings]


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.learn",
        description=__doc__,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--minutes", type=float, default=2.5, help="of training each (default: %(default)s)")
    parser.add_argument("--epochs", type=int, help="of training each, instead of minutes: where others use the machine")
    parser.add_argument("--size", type=int, default=128, help="side of the grid, pixels (default: %(default)s)")
    parser.add_argument("--width", type=float, default=0.5, help="relative number of filters (default: %(default)s)")
    parser.add_argument("--patients", type=int, default=60, help="simulated hearts (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=3, help="of the simulation (default: %(default)s)")
    parser.add_argument("--set", metavar="key=value", nargs="+", default=[], help="further recipe settings, for all")
    parser.add_argument("--models", nargs="+", metavar="NAME", default=list(DEFAULT_RECIPE), help="(default: all)")
    parser.add_argument("--out", type=Path, default=Path("build/learn.json"), help="results (default: %(default)s)")
    parser.add_argument("--runs", type=Path, metavar="DIR", help="keep run folders and evaluations here")
    parser.add_argument("--again", action="store_true", help="train networks anew that are in the results already")
    parser.add_argument("--speed", metavar="NAME", help=argparse.SUPPRESS)
    add_debug_option(parser)
    arguments = parser.parse_args(argv)
    if not 0 < arguments.minutes < math.inf:
        raise UsageError(f"`--minutes` must be positive. Received: {arguments.minutes}")
    if arguments.epochs is not None and arguments.epochs < 1:
        raise UsageError(f"`--epochs` must be at least 1. Received: {arguments.epochs}")
    settings = Settings(
        minutes=arguments.minutes if arguments.epochs is None else None,
        epochs=arguments.epochs,
        size=arguments.size,
        width=arguments.width,
        patients=arguments.patients,
        seed=arguments.seed,
        settings=tuple(arguments.set),
        backend=os.environ.get("KERAS_BACKEND", "tensorflow"),
    )
    try:
        recipes = {name: with_settings(recipe_for(name), settings.of(epochs=1)) for name in arguments.models}
    except ValueError as error:
        raise UsageError(str(error)) from error
    if arguments.speed:
        print(json.dumps(speed(recipes[arguments.speed])))
        return 0
    results = read_results(arguments.out, settings)
    for name in arguments.models:
        if arguments.again or name not in results:
            options = [arg for arg in (sys.argv[1:] if argv is None else list(argv)) if arg != "--again"]
            with tempfile.TemporaryDirectory(prefix="learn-") as temporary:
                folder = (arguments.runs or Path(temporary)) / name
                results[name] = learn(name, recipes[name], settings, folder.resolve(), options)
            write_json(arguments.out, {"settings": dataclasses.asdict(settings), "networks": results})
    print(table(results, settings))
    missed = misses(results)
    print("\n".join(missed))
    return 1 if missed else 0


def read_results(path: Path, settings: Settings) -> dict[str, Json]:
    """Network → figures of an earlier call; {} where there is no file.

    Raises:
        UsageError: they were made with other settings.
    """
    if not path.exists():
        return {}
    found = read_json(path)
    wanted = json.loads(json.dumps(dataclasses.asdict(settings)))
    other = {key: found["settings"].get(key) for key in wanted if found["settings"].get(key) != wanted[key]}
    if other:
        raise UsageError(f"{path}: was made with other settings ({other}); one table has one, so give another --out")
    return found["networks"]


def learn(name: str, recipe: Recipe, settings: Settings, folder: Path, options: Sequence[str]) -> Json:
    """Trains one network for about the wanted time and measures it: speed, training and evaluation in three processes.

    Args:
        name: of the network.
        recipe: its own, reduced, one epoch.
        settings: of all networks.
        folder: run folder to write.
        options: of this command, for the process that measures the speed.

    Returns:
        What the table shows.
    """
    measured, _ = finish([sys.executable, "-m", "benchmarks.learn", *options, "--models", name, "--speed", name])
    pace = json.loads(measured.splitlines()[-1])
    epochs = settings.epochs or epochs_within((settings.minutes or 0) * 60, recipe, settings, pace)
    print(f"{name}: {pace['images_per_s']:.1f} images/s, {epochs} epochs", file=sys.stderr, flush=True)
    command = ["train.py", "--model", name, "--data", settings.data, "--out", str(folder), "--set"]
    _, peak_bytes = finish([sys.executable, *command, *settings.of(epochs)])
    out = folder / "evaluation" / "benchmark"
    finish([sys.executable, "evaluate.py", "--run", str(folder), "--out", str(out)])
    with np.load(folder / "checkpoint" / "state.npz") as state:
        progress = json.loads(str(state["state"]))["progress"]
    return {
        "recipe": recipe.name,
        "loss": recipe.loss,
        "parameters": pace["parameters"],
        "images_per_s": pace["images_per_s"],
        "peak_bytes": peak_bytes,
        "epochs": progress["epoch"],
        "best_epoch": progress["best_epoch"],
        "minutes": progress["seconds"] / 60,
        **figures_of(read_json(out / "summary.json")),
    }


def figures_of(summary: Mapping[str, Any]) -> Json:
    """Frames, Dice of each structure and the box's overlap, of an evaluation's summary."""
    dice = {name: block["dice"]["mean"] for name, block in summary["metrics"].items() if name in STRUCTURES}
    location = summary["localisation"].get("all")
    return {"frames": summary["n_cases"], "dice": dice, "iou": location["iou"]["mean"] if location else None}


def epochs_within(seconds: float, recipe: Recipe, settings: Settings, pace: Mapping[str, float]) -> int:
    """Whole epochs that fit into the time, at least one."""
    frames = settings.patients * FRAMES_OF_PATIENT
    steps = math.ceil(frames * recipe.train_share / recipe.batch_size)
    checks = VALIDATION_COST * math.ceil(frames * recipe.val_share / recipe.batch_size)
    of_epoch = (steps + checks) * recipe.batch_size / pace["images_per_s"] + SECONDS_OF_FILES
    return max(1, math.floor((seconds - pace["first_step_s"]) / of_epoch))


def finish(command: Sequence[str]) -> tuple[str, int]:
    """A process to its end; its messages pass through.

    Returns:
        Its standard output, and the most memory it had at once, bytes.

    Raises:
        UserError: it failed.
    """
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        lines: list[str] = []
        for line in process.stdout:
            lines.append(line)
            print(f"  {line}", end="", file=sys.stderr, flush=True)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise UserError(f"exit code {process.returncode} of {' '.join(command[1:])}; its message is above")
    return "".join(lines), usage.ru_maxrss * 1024


def speed(recipe: Recipe) -> Json:
    """Training steps of the reduced network on made-up frames: its parameters, images a second, the first step's time.

    `first_step_s` has the building and compiling in it.
    """
    from training.backend import start_backend

    start_backend()
    import keras

    from training.loop import Trainee, make_optimizer, objective_of
    from training.precision import resolve_jit, resolve_precision
    from training.run_folder import build_model

    begun = time.perf_counter()
    keras.config.set_dtype_policy(resolve_precision(recipe.precision))
    network = build_model(recipe)
    model = Trainee(network, objective_of(recipe))
    model.compile(optimizer=make_optimizer(recipe), jit_compile=resolve_jit())
    chance = np.random.default_rng(0)
    shape = (recipe.batch_size, recipe.input_height, recipe.input_width)
    images = chance.random((*shape, 1), dtype=np.float32)
    labels = np.eye(len(recipe.classes), dtype=np.float32)[chance.integers(0, len(recipe.classes), shape)]
    model.train_on_batch(images, labels)
    first = time.perf_counter() - begun
    begun = time.perf_counter()
    for _ in range(TIMED_STEPS):
        model.train_on_batch(images, labels)
    seconds = (time.perf_counter() - begun) / TIMED_STEPS
    return {
        "parameters": network.count_params(),
        "images_per_s": recipe.batch_size / seconds,
        "first_step_s": first,
    }


def table(results: Mapping[str, Json], settings: Settings) -> str:
    """What each network has learnt, as a Markdown table below a line that says how."""
    tests = sorted({row["frames"] for row in results.values()})
    columns = (*STRUCTURES, "box IOU")
    lines = [
        f"{settings.size} × {settings.size}, width {settings.width:g}, {of_training(settings)}, "
        f"`{settings.data}`, {', '.join(map(str, tests))} held-out frames, Keras on {settings.backend}"
        + "".join(f", `{setting}`" for setting in settings.settings)
        + ". Dice and IOU are means, on the frames' own grid.",
        "",
        f"| network | loss | parameters | images/s | peak memory | epochs (best) | min | {' | '.join(columns)} |",
        "|---|---|" + "---:|" * (5 + len(columns)),
    ]
    for name in (name for name in DEFAULT_RECIPE if name in results):
        row = results[name]
        lines.append(
            f"| `{name}` | {row['loss']} | {row['parameters'] / 1e6:.2f}M | {row['images_per_s']:.1f} "
            f"| {row['peak_bytes'] / 1e9:.2f} GB | {row['epochs']} ({row['best_epoch']}) | {row['minutes']:.1f} | "
            + " | ".join(number(row["dice"].get(structure)) for structure in STRUCTURES)
            + f" | {number(row['iou'])} |"
        )
    return "\n".join(lines)


def of_training(settings: Settings) -> str:
    """How long each network was trained, in words."""
    if settings.epochs is not None:
        return f"{settings.epochs} epochs of training"
    return f"about {settings.minutes:g} min of training"


def number(value: float | None) -> str:
    """Three digits; a dash for what the network does not give."""
    return "–" if value is None else f"{value:.3f}"


def misses(results: Mapping[str, Json]) -> list[str]:
    """A sentence for each network that is below what it must reach."""
    sentences = []
    for name, row in results.items():
        lv = row["dice"].get("LV") or 0.0
        if name not in LOCALISERS and lv < LEAST_LV_DICE:
            sentences.append(f"{name}: LV Dice {lv:.3f}, at least {LEAST_LV_DICE:.2f} is wanted")
        if name in LEAST_IOU and (row["iou"] or 0.0) < LEAST_IOU[name]:
            sentences.append(f"{name}: box IOU {number(row['iou'])}, at least {LEAST_IOU[name]:.2f} is wanted")
    return sentences


if __name__ == "__main__":
    run_command(main)
