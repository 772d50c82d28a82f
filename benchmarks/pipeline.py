"""Images per second of the input pipeline with every augmentation on, against a network's training step.

Both run in turns in one process on the same cores, as often as `--rounds` says, and the medians are compared; then
they run together, as in training, to show how much of a step's time feeding it costs.
"""

import argparse
import dataclasses
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import numpy as np
import tensorflow as tf

from data_pipeline.cache import FrameCache, build_cache
from data_pipeline.pipeline import training_dataset
from data_pipeline.sample import Case, Phase, Sample, View, structures_from_names
from models.losses import loss_by_name
from recipes import recipe_for
from recipes.base import Augmentation, Recipe
from shell.command import add_debug_option, run_command
from training.loop import make_optimizer
from training.precision import resolve_jit, resolve_precision
from training.run_folder import build_model, preprocessing_of

FRAMES = 256
NATIVE = (549, 389)
EVERYTHING = Augmentation(
    flip=True,
    rotation_degrees=15.0,
    scale=0.15,
    translation=0.1,
    elastic_px=3.0,
    gamma=0.3,
    brightness=0.1,
    contrast=0.2,
    blur_px=1.0,
    noise=0.05,
    sector_shadow=0.5,
)
NEEDED_RATIO = 2.0


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.pipeline",
        description=__doc__,
        epilog="example: python -m benchmarks.pipeline --model unet1 --rounds 5",
    )
    parser.add_argument("--model", default="unet1", help="network whose training step is the measure (default: unet1)")
    parser.add_argument("--rounds", type=int, default=5, help="turns of each (default: 5)")
    parser.add_argument("--seconds", type=float, default=4.0, help="length of a turn (default: 4)")
    add_debug_option(parser)
    arguments = parser.parse_args(argv)
    if arguments.rounds < 1 or not arguments.seconds > 0:
        parser.error("--rounds must be at least 1 and --seconds positive")

    recipe = dataclasses.replace(recipe_for(arguments.model, "annulus"), augmentation=EVERYTHING)
    precision = resolve_precision(recipe.precision)
    keras.utils.set_random_seed(recipe.seed)
    tf.config.experimental.enable_op_determinism()  # as every training run does
    step = training_step(recipe, precision)
    with tempfile.TemporaryDirectory() as folder:
        dataset = training_dataset(
            random_frames(Path(folder), recipe),
            batch_size=recipe.batch_size,
            augmentation=recipe.augmentation,
            classes=len(recipe.classes),
            seed=recipe.seed,
        )
        batches = iter(dataset)
        held = next(batches)
        turns: dict[str, Callable[[], object]] = {
            "pipeline": lambda: next(batches),
            "step": lambda: step(held),
            "together": lambda: step(next(batches)),
        }
        speeds: dict[str, list[float]] = {name: [] for name in turns}
        for turn in turns.values():
            images_per_second(turn, recipe.batch_size, 1.0)  # traced and warm
        for _ in range(arguments.rounds):
            for name, turn in turns.items():
                speeds[name].append(images_per_second(turn, recipe.batch_size, arguments.seconds))
    pipeline, alone, together = (statistics.median(speeds[name]) for name in turns)
    ratio = pipeline / alone
    grid = f"{recipe.input_height} × {recipe.input_width}, batch {recipe.batch_size}"
    print(f"{os.cpu_count()} cores, {grid}, all augmentations on; {arguments.rounds} turns of {arguments.seconds:g} s")
    print(f"pipeline alone          {pipeline:8.1f} images/s")
    print(f"{arguments.model} step alone{'':{max(0, 13 - len(arguments.model))}}{alone:8.1f} images/s ({precision})")
    print(f"step fed by pipeline    {together:8.1f} images/s ({together / alone:.0%} of the step alone)")
    print(f"ratio pipeline / step   {ratio:8.1f} (at least {NEEDED_RATIO:g} is asked for)")
    return 0 if ratio >= NEEDED_RATIO else 1


def random_frames(folder: Path, recipe: Recipe) -> FrameCache:
    """A cache of random frames: the pipeline's work does not depend on what is in them."""
    rng = np.random.default_rng(0)
    image = rng.uniform(0, 255, NATIVE).astype(np.float32)
    labels = rng.integers(0, 4, NATIVE).astype(np.uint8)
    (folder / "frame").write_bytes(image.tobytes())
    cases = [
        Case(f"patient{index:04d}", View.A4C, Phase.ED, folder / "frame", folder / "frame") for index in range(FRAMES)
    ]

    def load(case: Case) -> Sample:
        return Sample(image, labels, None, case.patient_id, case.view, case.phase, str(case.image_path))

    return build_cache(cases, load, preprocessing_of(recipe), structures_from_names(recipe.classes), folder / "cache")


def training_step(recipe: Recipe, precision: str) -> Callable[[Any], object]:
    """One step of the recipe's network: forward, loss, backward, update; returns once it is done."""
    keras.config.set_dtype_policy(precision)
    model = build_model(recipe)
    model.compile(optimizer=make_optimizer(recipe), loss=loss_by_name(recipe.loss), jit_compile=resolve_jit())
    return lambda batch: model.train_on_batch(*batch)


def images_per_second(turn: Callable[[], object], batch_size: int, seconds: float) -> float:
    batches = 0
    begun = time.perf_counter()
    while (elapsed := time.perf_counter() - begun) < seconds or not batches:
        turn()
        batches += 1
    return batches * batch_size / elapsed


if __name__ == "__main__":
    run_command(main)
