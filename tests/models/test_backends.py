"""The same file on TensorFlow and on JAX: outputs, training and gradients agree for the same weights."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import models
from models.objectives import OBJECTIVES
from tests.models.figures import Arrays, all_figures, build, lively_weights

ROOT = Path(__file__).parents[2]
OUTPUT_TOLERANCE = 1e-4
STEP_TOLERANCE = 1e-6
"""Of a training step in double precision."""


@pytest.fixture(scope="module")
def figures(tmp_path_factory: pytest.TempPathFactory) -> tuple[Arrays, Arrays]:
    """What TensorFlow (this process) and JAX (another one, for all networks at once) compute."""
    folder = tmp_path_factory.mktemp("backends")
    weights = {name: lively_weights(build(name), seed) for seed, name in enumerate(models.MODELS)}
    flat = {f"{name}|{variable}": value for name, values in weights.items() for variable, value in values.items()}
    np.savez(folder / "weights.npz", **flat)
    # compiled for this one call, so optimising takes longer than it saves
    environment = os.environ | {"KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu", "JAX_DISABLE_MOST_OPTIMIZATIONS": "1"}
    environment |= {"JAX_ENABLE_X64": "1"}
    command = [sys.executable, "-W", "error", "-m", "tests.models.figures", str(folder)]
    with subprocess.Popen(
        command, cwd=ROOT, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        ours = all_figures(weights)
        output, errors = process.communicate(timeout=600)
    assert process.returncode == 0, errors
    print(output)
    with np.load(folder / "figures-jax.npz") as archive:
        theirs = {key.replace("|", "/"): archive[key] for key in archive.files}
    return ours, theirs


def of(name: str, what: str, figures: tuple[Arrays, Arrays]) -> list[tuple[str, np.ndarray, np.ndarray]]:
    """Pairs of a network's (or an objective's) figures whose key begins with `what`: (key, TensorFlow's, JAX')."""
    for of_backend in figures:
        assert f"{name}/error" not in of_backend, str(of_backend[f"{name}/error"])
    ours, theirs = ({k: v for k, v in of_backend.items() if k.startswith(f"{name}/{what}")} for of_backend in figures)
    assert ours.keys() == theirs.keys()
    return [(key, value, theirs[key]) for key, value in ours.items()]


@pytest.mark.parametrize("name", models.MODELS)
def test_outputs_are_the_same(name, figures):
    pairs = of(name, "idle", figures)
    assert pairs
    for key, ours, theirs in pairs:
        assert ours.dtype == theirs.dtype == np.float32
        assert np.isfinite(ours).all()
        np.testing.assert_allclose(theirs, ours, rtol=0, atol=OUTPUT_TOLERANCE, err_msg=key)


@pytest.mark.parametrize("name", models.MODELS)
def test_outputs_in_training_are_the_same(name, figures):
    pairs = of(name, "busy", figures)
    assert [key.removeprefix(f"{name}/busy") for key, _, _ in pairs] == [
        key.removeprefix(f"{name}/idle") for key, _, _ in of(name, "idle", figures)
    ]
    for key, ours, theirs in pairs:
        assert ours.dtype == theirs.dtype == np.float64
        np.testing.assert_allclose(theirs, ours, rtol=0, atol=STEP_TOLERANCE, err_msg=key)


@pytest.mark.parametrize("name", models.MODELS)
def test_a_training_step_goes_the_same_way(name, figures):
    (_, ours, theirs), *_ = of(name, "loss", figures)
    assert theirs == pytest.approx(ours, rel=STEP_TOLERANCE)
    pairs = of(name, "gradient", figures)
    assert any(np.any(ours) for _, ours, _ in pairs)
    for key, ours, theirs in pairs:
        assert np.linalg.norm(theirs - ours) <= STEP_TOLERANCE * (1 + np.linalg.norm(ours)), key


@pytest.mark.parametrize("name", models.MODELS)
def test_moving_statistics_move_alike(name, figures):
    for key, ours, theirs in of(name, "after", figures):
        np.testing.assert_allclose(theirs, ours, rtol=STEP_TOLERANCE, atol=STEP_TOLERANCE, err_msg=key)


@pytest.mark.parametrize("name", OBJECTIVES)
def test_objectives_and_their_gradients_are_the_same(name, figures):
    for key, ours, theirs in of(f"loss {name}", "", figures):
        np.testing.assert_allclose(theirs, ours, rtol=OUTPUT_TOLERANCE, atol=1e-6, err_msg=key)
    assert any(np.any(gradient) for _, gradient, _ in of(f"loss {name}", "gradient", figures))
