"""What networks and objectives compute on the backend that Keras runs on, as plain arrays to compare.

`python -m tests.models.figures FOLDER` does it for every network: takes weights from `FOLDER/weights.npz` and writes
`FOLDER/figures-BACKEND.npz`. Keys are `NETWORK/what` and `loss NAME/what`.
"""

import sys
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import ops
from keras.src.backend.common import dtypes

import models
from models.objectives import OBJECTIVES, objective
from recipes import recipe_for

SIDE, WIDTH, FRAMES = 64, 0.125, 2
Arrays = dict[str, np.ndarray]


@contextmanager
def double_precision() -> Iterator[None]:
    """Networks, losses and gradients in float64, so that what differs is not the rounding that training magnifies.

    By the spread of two frames' few pixels at the bottom of a U, one batch normalisation after the other does; in
    float32 two right answers of LU-Net are a thousandth apart, differently on each processor.
    """
    keras.config.set_floatx("float64")
    keras.config.set_dtype_policy("float64")
    try:
        yield
    finally:
        keras.config.set_floatx("float32")
        keras.config.set_dtype_policy("float32")


def build(name: str) -> keras.Model:
    """A small network with the channels of its own recipe, without chance: what drops at random drops nothing."""
    keras.backend.clear_session()  # layers without a name of their own are counted from here, in every process alike
    network = models.build(name, input_shape=(SIDE, SIDE, 1), classes=len(recipe_for(name).classes), width=WIDTH)
    for layer in network._flatten_layers():  # as Keras' own summary walks them, with models inside models
        if isinstance(layer, keras.layers.Dropout | keras.layers.SpatialDropout2D):
            layer.rate = 0.0
    return network


def lively_weights(network: keras.Model, seed: int) -> Arrays:
    """Its initial weights, by name; with biases, scales and moving statistics that are not the idle 0 and 1."""
    chance = np.random.default_rng(seed)
    weights: Arrays = {}
    for name, variable in by_name(network.variables).items():
        value = np.array(variable)
        if value.ndim == 1 and value.dtype == np.float32:
            value = value + chance.uniform(-0.2, 0.2, value.shape).astype(np.float32)
        weights[name] = value
    return weights


def by_name(variables: Sequence[Any]) -> dict[str, Any]:
    """Variables by number and path: a network within a network has its layers' paths a second time."""
    return {f"{number} {variable.path}": variable for number, variable in enumerate(variables)}


def put_weights(network: keras.Model, weights: Mapping[str, np.ndarray]) -> None:
    variables = by_name(network.variables)
    assert sorted(variables) == sorted(weights), f"{network.name}: other variables than on the other backend"
    for name, variable in variables.items():
        variable.assign(weights[name])


def frames_and_labels(classes: int, side: int = SIDE) -> tuple[np.ndarray, np.ndarray]:
    """Noisy frames with one ellipse of each class inside the other, and their one-hot labels."""
    chance = np.random.default_rng(5)
    rows, columns = np.mgrid[:side, :side] / side
    labels = np.zeros((FRAMES, side, side), int)
    for frame in range(FRAMES):
        row, column = 0.45 + 0.1 * frame, 0.5 - 0.1 * frame
        distance = np.hypot((rows - row) / 1.3, columns - column)
        for label in range(1, classes):
            labels[frame][distance < 0.3 * (classes - label) / (classes - 1)] = label
    frames = (0.2 * labels[..., None] + 0.3 * chance.random((*labels.shape, 1))).astype(np.float32)
    return frames, np.eye(classes, dtype=np.float32)[labels]


def network_figures(name: str, weights: Mapping[str, np.ndarray]) -> Arrays:
    """Outputs at rest, in float32; in double precision a training step: outputs, loss, gradients, moving statistics."""
    figures = figures_at_rest(name, weights)
    with double_precision():
        return figures | figures_of_a_step(name, weights)


def figures_at_rest(name: str, weights: Mapping[str, np.ndarray]) -> Arrays:
    network = build(name)
    put_weights(network, weights)
    images, _ = frames_and_labels(len(recipe_for(name).classes))
    fixed = [v.value for v in network.non_trainable_variables]

    def outputs(trainable: list[Any]) -> dict[str, Any]:
        idle, _ = network.stateless_call(trainable, fixed, images, training=False)
        return named(idle)

    figures = compiled(outputs)([v.value for v in network.trainable_variables])
    return {f"{name}/idle {key}": np.asarray(ops.convert_to_numpy(figure)) for key, figure in figures.items()}


def figures_of_a_step(name: str, weights: Mapping[str, np.ndarray]) -> Arrays:
    """What one step of the network's own recipe computes."""
    network = build(name)
    put_weights(network, weights)
    recipe = recipe_for(name)
    loss = objective(
        recipe.loss,
        recipe.classes,
        class_weights=recipe.class_weights,
        box_structures=recipe.box_structures,
        box_margin=recipe.box_margin,
        box_weight=recipe.box_weight,
    )
    images, one_hot = (array.astype(np.float64) for array in frames_and_labels(len(recipe.classes)))
    fixed = [v.value for v in network.non_trainable_variables]
    moving, trained = list(by_name(network.non_trainable_variables)), list(by_name(network.trainable_variables))

    def step(trainable: list[Any]) -> tuple[Any, dict[str, Any]]:
        busy, changed = network.stateless_call(trainable, fixed, images, training=True)
        value = ops.mean(loss(one_hot, named(busy)))
        figures = {f"busy {key}": output for key, output in named(busy).items()}
        figures |= {f"after {key}": value for key, value in zip(moving, changed, strict=True)}
        return value, figures

    value, figures, gradients = value_and_gradients(step, [v.value for v in network.trainable_variables])
    figures = {f"{name}/{key}": np.asarray(ops.convert_to_numpy(figure)) for key, figure in figures.items()}
    figures[f"{name}/loss"] = np.asarray(value)
    return figures | {f"{name}/gradient {key}": np.asarray(g) for key, g in zip(trained, gradients, strict=True)}


def objective_figures(name: str) -> Arrays:
    """An objective's value for some outputs, and its gradient in each of them."""
    structures = ("BACKGROUND", "LV", "MYO", "LA")
    loss = objective(
        name,
        structures,
        class_weights={"LA": 3.0, "BACKGROUND": 0.5},
        box_structures=("LV", "MYO"),
        box_margin=0.05,
        box_weight=10.0,
    )
    side, crop = 24, 16
    _, one_hot = frames_and_labels(len(structures), side)
    chance = np.random.default_rng(8)

    def probabilities(size: int) -> np.ndarray:
        values = np.exp(2 * chance.standard_normal((FRAMES, size, size, len(structures)))).astype(np.float32)
        return values / values.sum(-1, keepdims=True)

    outputs = {
        "box": np.array([[0.1, 0.7, 0.2, 0.9], [0.3, 0.95, -0.05, 0.8]], np.float32),
        "probabilities": probabilities(side),
        "first_probabilities": probabilities(side),
        "crop_probabilities": probabilities(crop),
    }
    keys = list(outputs)

    def step(values: list[Any]) -> tuple[Any, dict[str, Any]]:
        of_frames = loss(one_hot, dict(zip(keys, values, strict=True)))
        return ops.mean(of_frames), {"of frames": of_frames}

    _, figures, gradients = value_and_gradients(step, [ops.convert_to_tensor(outputs[key]) for key in keys])
    figures = {f"loss {name}/{key}": np.asarray(ops.convert_to_numpy(figure)) for key, figure in figures.items()}
    return figures | {f"loss {name}/gradient {key}": np.asarray(g) for key, g in zip(keys, gradients, strict=True)}


def named(output: Any) -> dict[str, Any]:
    return dict(output) if isinstance(output, dict) else {"probabilities": output}


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compiled by JAX, eager in TensorFlow."""
    if keras.backend.backend() == "jax":
        import jax

        return jax.jit(function)
    return function


def value_and_gradients(
    step: Callable[[list[Any]], tuple[Any, dict[str, Any]]], at: list[Any]
) -> tuple[Any, dict[str, Any], list[Any]]:
    """`step(at)`, (value, figures), and the value's gradient in each of `at`: compiled by JAX, eager in TensorFlow."""
    if keras.backend.backend() == "jax":
        import jax

        (value, figures), gradients = compiled(jax.value_and_grad(step, has_aux=True))(at)
        return value, figures, gradients
    import tensorflow as tf

    with tf.GradientTape() as tape:
        tape.watch(at)
        value, figures = step(at)
    return value, figures, tape.gradient(value, at, unconnected_gradients=tf.UnconnectedGradients.ZERO)


def all_figures(weights: Mapping[str, Mapping[str, np.ndarray]]) -> Arrays:
    """Of every network and every objective; of one that fails, its traceback as `NAME/error`."""
    figures: Arrays = {}
    for name in models.MODELS:
        figures |= attempted(name, lambda name=name: network_figures(name, weights[name]))
    for name in OBJECTIVES:
        figures |= attempted(f"loss {name}", lambda name=name: objective_figures(name))
    return figures


def attempted(name: str, compute: Callable[[], Arrays]) -> Arrays:
    """One that fails must not hide the others."""
    begun = time.perf_counter()
    try:
        figures = compute()
    except Exception:  # whatever it is goes to the test that asks for this one, as a failure with its traceback
        figures = {f"{name}/error": np.array(traceback.format_exc())}
    print(f"{keras.backend.backend()} {name} {time.perf_counter() - begun:.1f} s", flush=True)
    return figures


def read_weights(path: Path) -> dict[str, Arrays]:
    """Network → variable → values, of an archive whose keys are `network|variable`."""
    weights: dict[str, Arrays] = {name: {} for name in models.MODELS}
    with np.load(path) as archive:
        for key in archive.files:
            name, _, variable = key.partition("|")
            weights[name][variable] = archive[key]
    return weights


def main(folder: Path) -> None:
    # JAX compiles a draw of random numbers for each shape: ten seconds a network, for what is overwritten at once
    keras.initializers.VarianceScaling.__call__ = lambda _self, shape, dtype=None: np.zeros(shape, dtype or "float32")
    # Keras on JAX takes float64 for float32 where types meet, even with JAX_ENABLE_X64
    dtypes.BIT64_TO_BIT32_DTYPE["float64"] = "float64"
    figures = all_figures(read_weights(folder / "weights.npz"))
    np.savez(folder / f"figures-{keras.backend.backend()}.npz", **{k.replace("/", "|"): v for k, v in figures.items()})


if __name__ == "__main__":
    main(Path(sys.argv[1]))
