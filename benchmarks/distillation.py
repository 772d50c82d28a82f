"""What a teacher costs in a training step: the student alone, with its teacher in the step, with its answers at hand.

The third is what caching the teacher's answers could save at most: reading them, and augmenting them together with the
image, would cost something again, and the teacher would not have seen the augmented image. The three take their steps
in turn; random weights and frames. The processor's time counts all threads, so it hardly depends on what else runs.
"""

import argparse
import dataclasses
import os
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import numpy as np
import tensorflow as tf

from models.losses import distillation
from recipes import recipe_for
from recipes.base import Recipe
from shell.command import add_debug_option, run_command
from shell.errors import UsageError
from training.kernels import use_fused_kernels
from training.loop import Lesson, Trainee, make_optimizer, objective_of
from training.precision import dtype_policy, resolve_jit, resolve_precision
from training.run_folder import build_model, named_outputs


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.distillation",
        description=__doc__,
        epilog="example: python -m benchmarks.distillation --model cart_unet --teacher unet1",
    )
    parser.add_argument("--model", default="cart_unet", help="the student (default: %(default)s)")
    parser.add_argument("--teacher", default="unet1", help="the teacher's network (default: %(default)s)")
    parser.add_argument("--batch", type=int, default=8, help="images a step (default: %(default)s)")
    parser.add_argument("--steps", type=int, default=20, help="of each (default: %(default)s)")
    add_debug_option(parser)
    arguments = parser.parse_args(argv)
    if arguments.batch < 1 or arguments.steps < 1:
        raise UsageError("--batch and --steps must be at least 1")
    keras.utils.set_random_seed(0)
    tf.config.experimental.enable_op_determinism()  # as every training run does
    use_fused_kernels()
    recipe = dataclasses.replace(recipe_for(arguments.model), batch_size=arguments.batch)
    print(f"{'':22}{'least ms':>10}{'median ms':>11}{'processor ms':>14}   an image")
    for name, (wall, processor) in in_turn(ways(recipe, arguments.teacher), recipe, arguments.steps).items():
        print(f"{name:22}{min(wall):10.1f}{statistics.median(wall):11.1f}{statistics.median(processor):14.1f}")
    return 0


def ways(recipe: Recipe, teacher: str) -> Mapping[str, Callable[[], Lesson | None]]:
    """Way of training → what makes its lesson."""

    def in_the_step() -> Lesson:
        with dtype_policy(resolve_precision(recipe.precision)):
            network = build_model(dataclasses.replace(recipe, model=teacher))
        return lambda images, outputs: distance(named_outputs(network(images, training=False)), outputs)

    def at_hand() -> Lesson:
        shape = (recipe.batch_size, recipe.input_height, recipe.input_width, len(recipe.classes))
        answer = np.full(shape, 1 / len(recipe.classes), np.float32)
        return lambda _images, outputs: distance({"probabilities": answer}, outputs)

    def distance(said: Mapping[str, Any], outputs: Mapping[str, Any]) -> Any:
        wanted = keras.ops.stop_gradient(said["probabilities"])
        return distillation(wanted, outputs["probabilities"], temperature=recipe.distillation_temperature)

    return {"student alone": lambda: None, "teacher in the step": in_the_step, "answers at hand": at_hand}


def in_turn(
    lessons: Mapping[str, Callable[[], Lesson | None]], recipe: Recipe, steps: int
) -> dict[str, tuple[list[float], list[float]]]:
    """Milliseconds an image of each step, by the wall's clock and by the processor's; two steps first do not count."""
    chance = np.random.default_rng(0)
    shape = (recipe.batch_size, recipe.input_height, recipe.input_width)
    images = chance.random((*shape, 1), dtype=np.float32)
    labels = np.eye(len(recipe.classes), dtype=np.float32)[chance.integers(0, len(recipe.classes), shape)]
    trainees = {name: trainee(recipe, make()) for name, make in lessons.items()}
    found: dict[str, tuple[list[float], list[float]]] = {name: ([], []) for name in lessons}
    for step in range(steps + 2):
        for name, model in trainees.items():
            begun = time.perf_counter(), time.process_time()
            model.train_on_batch(images, labels)
            if step >= 2:
                found[name][0].append(1e3 * (time.perf_counter() - begun[0]) / recipe.batch_size)
                found[name][1].append(1e3 * (time.process_time() - begun[1]) / recipe.batch_size)
    return found


def trainee(recipe: Recipe, lesson: Lesson | None) -> Trainee:
    """The network as `train.py` trains it."""
    with dtype_policy(resolve_precision(recipe.precision)):
        network = build_model(recipe)
    model = Trainee(network, objective_of(recipe), recipe.deep_supervision, len(recipe.classes))
    model.compile(optimizer=make_optimizer(recipe), jit_compile=resolve_jit())
    model.lesson = lesson
    return model


if __name__ == "__main__":
    run_command(main)
