"""The project's own training on JAX: it runs, resumes exactly, and what it trained goes on in TensorFlow."""

import json
import os
import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from shell.errors import UsageError
from tests.training.conftest import ROOT, new_run, run_training, start_training
from tests.training.on_jax import EPOCHS, frames
from tests.training.test_resume import assert_same_result, kill_after_some_epoch
from training.backend import start_backend
from training.run_folder import load_run


@pytest.fixture(scope="module")
def jax() -> dict[str, str]:
    return os.environ | {"KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu"}


@pytest.fixture(scope="module")
def on_jax(jax, hearts, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("on_jax")
    command = [sys.executable, "-m", "tests.training.on_jax", str(folder), hearts]
    process = subprocess.run(command, cwd=ROOT, env=jax, capture_output=True, text=True)
    assert process.returncode == 0, process.stderr
    return folder


@pytest.fixture(scope="module")
def said(on_jax) -> dict:
    return json.loads((on_jax / "said.json").read_text())


def test_a_run_trains_and_is_evaluated(said, on_jax):
    assert (said["trained"], said["evaluated"]) == (0, 0)
    history = (on_jax / "whole" / "history.csv").read_text().splitlines()
    assert len(history) == 1 + 3
    assert (on_jax / "whole" / "evaluation" / "phantom-test" / "report.html").is_file()


def test_a_run_says_that_it_ran_on_jax(on_jax):
    written = json.loads((on_jax / "whole" / "environment.json").read_text())
    assert written["backend"] == "jax"
    assert {"jax", "jaxlib", "keras", "tensorflow"} <= set(written["packages"])


@pytest.mark.slow
def test_killed_and_resumed_is_the_run_that_never_was(on_jax, jax, hearts, tmp_path):
    process = start_training(*new_run(tmp_path / "killed", hearts, EPOCHS), environment=jax)
    kill_after_some_epoch(process, random.Random(1))
    code, _, errors = run_training("--resume", tmp_path / "killed", environment=jax)
    assert code == 0, errors
    assert_same_result(tmp_path / "killed", on_jax / "whole")


def test_what_was_trained_on_jax_predicts_the_same_on_tensorflow(on_jax):
    ours = load_run(on_jax / "whole").predict(frames())["probabilities"]
    np.testing.assert_allclose(ours, np.load(on_jax / "probabilities.npy"), rtol=0, atol=1e-4)


def test_the_learning_rate_of_each_step_takes_effect(said):
    assert said["moved"] == [True, False, True, False]


def test_export_says_which_backend_it_needs(said, on_jax):
    assert "export goes through TensorFlow" in said["export"]
    assert "unset KERAS_BACKEND" in said["export"]
    assert not list((on_jax / "bundles").rglob("bundle.json"))


def test_another_backend_is_refused_by_name(monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    with pytest.raises(UsageError, match=r"`KERAS_BACKEND` must be tensorflow or jax\. Received: torch"):
        start_backend()


def test_jax_that_is_not_installed_is_named(monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(UsageError, match="JAX is not installed; install requirements-dev"):
        start_backend()
