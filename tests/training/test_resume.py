"""A run that is killed, at whatever moment, and resumed ends as one that never was."""

import json
import random
import signal
import time
from pathlib import Path

import numpy as np
import pytest

from shell.errors import UserError
from tests.training.conftest import new_run, run_training, start_training
from training.prepare import write_environment
from training.run_folder import load_run

EPOCHS = "epochs=6"


@pytest.fixture(scope="module")
def uninterrupted(hearts, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "whole"
    code, _, errors = run_training(*new_run(folder, hearts, EPOCHS))
    assert code == 0, errors
    return folder


def weights_of(folder: Path) -> list[np.ndarray]:
    return load_run(folder).model.get_weights()


def assert_same_result(folder: Path, other: Path) -> None:
    assert (folder / "history.csv").read_text() == (other / "history.csv").read_text()
    for ours, theirs in zip(weights_of(folder), weights_of(other), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    with np.load(folder / "checkpoint" / "state.npz") as ours, np.load(other / "checkpoint" / "state.npz") as theirs:
        assert ours.files == theirs.files
        for name in ours.files[1:]:
            np.testing.assert_array_equal(ours[name], theirs[name])
    assert (folder / "calibration.json").exists() == (other / "calibration.json").exists()


def kill_after_some_epoch(process, chance: random.Random) -> None:
    """Reads until an epoch is reported, waits a moment of the next one, and kills with SIGKILL."""
    for line in process.stdout:
        if line.startswith("epoch "):
            break
    time.sleep(chance.uniform(0.0, 0.6))
    process.kill()
    process.wait()
    process.stdout.close()
    process.stderr.close()


def train_with_kills(folder: Path, data: str, kills: int, seed: int) -> None:
    chance = random.Random(seed)
    kill_after_some_epoch(start_training(*new_run(folder, data, EPOCHS)), chance)
    for _ in range(kills - 1):
        kill_after_some_epoch(start_training("--resume", folder), chance)
    code, _, errors = run_training("--resume", folder)
    assert code == 0, errors


def test_killed_twice_and_resumed_is_the_run_that_never_was(uninterrupted, hearts, tmp_path):
    train_with_kills(tmp_path / "killed", hearts, kills=2, seed=1)
    assert_same_result(tmp_path / "killed", uninterrupted)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [2, 3, 4])
def test_killed_four_times_at_other_moments(uninterrupted, hearts, tmp_path, seed):
    train_with_kills(tmp_path / "killed", hearts, kills=4, seed=seed)
    assert_same_result(tmp_path / "killed", uninterrupted)


def test_killed_before_the_first_epoch_starts_again(uninterrupted, hearts, tmp_path):
    folder = tmp_path / "early"
    process = start_training(*new_run(folder, hearts, EPOCHS))
    while not (folder / "recipe.json").exists() and process.poll() is None:
        time.sleep(0.01)
    process.kill()
    process.communicate()
    with pytest.raises(UserError, match="no model yet"):
        load_run(folder)
    code, _, errors = run_training("--resume", folder)
    assert code == 0, errors
    assert_same_result(folder, uninterrupted)


def test_control_c_leaves_a_usable_run(uninterrupted, hearts, tmp_path):
    folder = tmp_path / "stopped"
    process = start_training(*new_run(folder, hearts, "epochs=200"))
    for line in process.stdout:
        if line.startswith("epoch 2/"):
            break
    process.send_signal(signal.SIGINT)
    output, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "go on with --resume" in output
    assert "Traceback" not in errors
    outputs = load_run(folder).predict(np.zeros((1, 32, 32, 1), np.float32))
    assert {name: output.shape for name, output in outputs.items()} == {"probabilities": (1, 32, 32, 4)}
    assert not list(folder.glob(".*.keras"))


def test_a_finished_run_resumes_to_itself(uninterrupted):
    before = (uninterrupted / "history.csv").read_bytes(), (uninterrupted / "model.keras").read_bytes()
    code, _, errors = run_training("--resume", uninterrupted)
    assert code == 0, errors
    assert before == ((uninterrupted / "history.csv").read_bytes(), (uninterrupted / "model.keras").read_bytes())


def test_a_run_folder_holds_what_users_rely_on(uninterrupted):
    names = {"recipe.json", "split.json", "model.keras", "checkpoint", "history.csv", "curves.png", "environment.json"}
    assert names <= {path.name for path in uninterrupted.iterdir()}
    header = (uninterrupted / "history.csv").read_text().splitlines()[0]
    assert header == "epoch,loss,val_loss,val_dice_LV,val_dice_MYO,val_dice_LA,val_dice,learning_rate"
    assert list((uninterrupted / "tensorboard").glob("events.*"))


def test_environment_keeps_what_the_run_began_with_and_what_resumed_it(tmp_path):
    for command in ("python train.py --model unet1", "python train.py --resume a", "python train.py --resume b"):
        write_environment(tmp_path / "environment.json", {"command": command, "seed": 3})
    written = json.loads((tmp_path / "environment.json").read_text())
    assert written["command"] == "python train.py --model unet1"
    assert [entry["command"][-1] for entry in written["resumed"]] == ["a", "b"]


def test_what_cannot_be_resumed_says_why(uninterrupted, hearts, tmp_path):
    code, _, errors = run_training("--resume", tmp_path / "nowhere")
    assert (code, errors.count("\n")) == (1, 1)
    assert "not a run folder" in errors
    code, _, errors = run_training("--resume", uninterrupted, "--set", "epochs=9")
    assert code == 2
    assert "leave out --set" in errors
    code, _, errors = run_training(*new_run(uninterrupted, hearts, EPOCHS))
    assert code == 1
    assert "holds a run already" in errors
