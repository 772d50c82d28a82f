"""Training steps of our networks against the same networks written plainly in PyTorch, channels-last.

Same layers, batch, grid, loss (cross-entropy) and optimizer (Adam), in float32 and in mixed bfloat16; ours as
`train.py` trains, operations deterministic. Each measurement is a process of its own; ours and PyTorch's follow each
other and change places from round to round; the median of the rounds' ratios counts. Without PyTorch ours are measured
alone. Exit code 1 if ours is slower anywhere.
"""

import argparse
import dataclasses
import importlib.util
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from shell.command import add_debug_option, run_command
from shell.errors import UsageError, UserError

if TYPE_CHECKING:
    import numpy.typing as npt

PRECISIONS = ("float32", "mixed_bfloat16")
COMPARED = ("unet1", "unet_vgg16")
SIDE = 256
CLASSES = ("BACKGROUND", "LV", "MYO", "LA")
LEAST_STEPS = 3

Measurement = Mapping[str, float]
"""`images_per_s`, `peak_bytes` and `parameters` of one process."""


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.training",
        description=__doc__,
        epilog="example: python -m benchmarks.training --models unet1 --rounds 5",
    )
    parser.add_argument("--models", nargs="+", metavar="NAME", default=list(COMPARED), help="(default: %(default)s)")
    parser.add_argument("--batch", type=int, default=8, help="images a step (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="(default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=8.0, help="of each measurement, at least (default: 8)")
    parser.add_argument("--one", nargs=3, metavar=("WHOSE", "MODEL", "PRECISION"), help=argparse.SUPPRESS)
    add_debug_option(parser)
    arguments = parser.parse_args(argv)
    if arguments.batch < 1 or arguments.rounds < 1 or not arguments.seconds > 0:
        raise UsageError("--batch and --rounds must be at least 1 and --seconds positive")
    if arguments.one:
        whose, name, precision = arguments.one
        measure = {"ours": measure_ours, "torch": measure_torch}[whose]
        print(json.dumps(measure(name, precision, arguments.batch, arguments.seconds)))
        return 0

    has_torch = importlib.util.find_spec("torch") is not None
    if not has_torch:
        print(
            f"PyTorch is not installed, so ours are measured alone. To compare: "
            f"{sys.executable} -m pip install -r benchmarks/requirements.txt"
        )
    print(
        f"{len(os.sched_getaffinity(0))} cores, batch {arguments.batch}, {SIDE} × {SIDE}, "
        f"{arguments.rounds} rounds of {arguments.seconds:g} s"
    )
    print(f"{'':27}{'ours':>21}{'PyTorch':>21}{'':>9}")
    print(f"{'network':12}{'precision':15}{'images/s':>10}{'peak':>11}{'images/s':>10}{'peak':>11}{'ratio':>9}  rounds")
    is_slower = False
    for name in arguments.models:
        for precision in PRECISIONS:
            sides = ["ours", "torch"] if has_torch and name in COMPARED else ["ours"]
            found: dict[str, list[Measurement]] = {side: [] for side in sides}
            for turn in range(arguments.rounds):
                for side in sides if turn % 2 == 0 else sides[::-1]:
                    found[side].append(in_own_process(side, name, precision, arguments.batch, arguments.seconds))
            line = f"{name:12}{precision:15}" + "".join(summary(found[side]) for side in sides)
            if "torch" in found:
                check_same_parameters(name, found)
                ratios = [
                    ours["images_per_s"] / theirs["images_per_s"]
                    for ours, theirs in zip(found["ours"], found["torch"], strict=True)
                ]
                ratio = statistics.median(ratios)
                is_slower = is_slower or ratio < 1
                line += f"{ratio:8.2f}x  {min(ratios):.2f} to {max(ratios):.2f}"
            print(line, flush=True)
    return 1 if is_slower else 0


def in_own_process(side: str, name: str, precision: str, batch: int, seconds: float) -> Measurement:
    options = ["--one", side, name, precision, "--batch", str(batch), "--seconds", str(seconds)]
    done = subprocess.run([sys.executable, "-m", "benchmarks.training", *options], capture_output=True, text=True)
    if done.returncode:
        raise UserError(f"{side}, {name}, {precision}: the measurement failed:\n{done.stderr.strip()}")
    return json.loads(done.stdout.splitlines()[-1])


def summary(measurements: Sequence[Measurement]) -> str:
    speed = statistics.median(one["images_per_s"] for one in measurements)
    peak = statistics.median(one["peak_bytes"] for one in measurements)
    return f"{speed:10.2f}{peak / 1e9:8.2f} GB"


def check_same_parameters(name: str, found: Mapping[str, Sequence[Measurement]]) -> None:
    counts = {side: found[side][0]["parameters"] for side in found}
    if counts["ours"] != counts["torch"]:
        raise UserError(f"{name}: ours and PyTorch's differ in parameters: {counts}; mend benchmarks/_plain_torch.py")


def random_batch(batch: int) -> "tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]":
    """Images (N, h, w, 1) and the class of each pixel (N, h, w): a step's work does not depend on what is in them."""
    chance = np.random.default_rng(0)
    images = chance.random((batch, SIDE, SIDE, 1), dtype=np.float32)
    return images, chance.integers(0, len(CLASSES), (batch, SIDE, SIDE))


def measure_ours(name: str, precision: str, batch: int, seconds: float) -> Measurement:
    """The step that `train.py` makes: a training of its own sets up the same."""
    from training.backend import start_backend

    start_backend()
    import keras
    import tensorflow as tf

    from recipes import recipe_for
    from training.loop import Trainee, make_optimizer, objective_of
    from training.precision import resolve_jit
    from training.run_folder import build_model

    recipe = recipe_for(name)
    if recipe.loss in ("multiclass_dice", "weighted_crossentropy", "dice_crossentropy"):
        recipe = dataclasses.replace(recipe, loss="categorical_crossentropy")
    recipe = dataclasses.replace(
        recipe, classes=CLASSES, input_height=SIDE, input_width=SIDE, optimizer="adam", weight_average=None
    )
    keras.utils.set_random_seed(0)
    if keras.backend.backend() == "tensorflow":
        tf.config.experimental.enable_op_determinism()
    keras.config.set_dtype_policy(precision)
    model = Trainee(build_model(recipe), objective_of(recipe))
    model.compile(optimizer=make_optimizer(recipe), jit_compile=resolve_jit())
    images, labels = random_batch(batch)
    one_hot = np.eye(len(CLASSES), dtype=np.float32)[labels]
    for _ in range(2):
        model.train_on_batch(images, one_hot)
    times: list[float] = []
    while len(times) < LEAST_STEPS or sum(times) < seconds:
        begun = time.perf_counter()
        model.train_on_batch(images, one_hot)
        times.append(time.perf_counter() - begun)
    return measurement(times, batch, sum(int(np.prod(weight.shape)) for weight in model.trainable_variables))


def measure_torch(name: str, precision: str, batch: int, seconds: float) -> Measurement:
    from benchmarks._plain_torch import step_seconds

    times, parameters = step_seconds(name, precision, *random_batch(batch), seconds, LEAST_STEPS)
    return measurement(times, batch, parameters)


def measurement(times: Sequence[float], batch: int, parameters: int) -> Measurement:
    return {
        "images_per_s": batch / statistics.median(times),
        "peak_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        "parameters": parameters,
    }


if __name__ == "__main__":
    run_command(main)
