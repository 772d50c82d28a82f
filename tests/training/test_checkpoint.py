import dataclasses

import keras
import numpy as np
import pytest

import models
from recipes import RECIPES
from shell.errors import UserError
from training.checkpoint import load_checkpoint, save_checkpoint
from training.loop import make_optimizer
from training.schedule import Progress


def compiled(width: float = 0.25) -> keras.Model:
    model = models.build("unet1", input_shape=(32, 32, 1), classes=3, width=width)
    recipe = dataclasses.replace(RECIPES["annulus"], weight_average=0.9)
    model.compile(make_optimizer(recipe), "categorical_crossentropy", jit_compile=False)
    model.optimizer.build(model.trainable_variables)
    return model


@pytest.fixture(scope="module")
def trained() -> keras.Model:
    model = compiled()
    labels = np.eye(3, dtype=np.float32)[np.zeros((2, 32, 32), int)]
    model.train_on_batch(np.random.default_rng(0).random((2, 32, 32, 1), dtype=np.float32), labels)
    return model


PROGRESS = Progress(epoch=3, best=0.1 + 0.2, best_epoch=2, plateau_scale=0.1, history=[{"epoch": 1, "loss": 1 / 3}])


def test_everything_comes_back_to_the_bit(trained, tmp_path):
    save_checkpoint(tmp_path, trained, PROGRESS)
    other = compiled()
    assert load_checkpoint(tmp_path, other) == PROGRESS
    ours = [*trained.variables, *trained.optimizer.variables]
    theirs = [*other.variables, *other.optimizer.variables]
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(np.asarray(a), np.asarray(b))
    assert int(other.optimizer.iterations) == 1


def test_nothing_beside_the_file_is_left(trained, tmp_path):
    save_checkpoint(tmp_path, trained, PROGRESS)
    save_checkpoint(tmp_path, trained, PROGRESS)
    assert [path.name for path in tmp_path.iterdir()] == ["state.npz"]


@pytest.mark.parametrize("keep", [0, 100, 0.5, 0.99])
def test_a_truncated_checkpoint_is_refused_by_name(trained, tmp_path, keep):
    save_checkpoint(tmp_path, trained, PROGRESS)
    path = tmp_path / "state.npz"
    whole = path.read_bytes()
    path.write_bytes(whole[: int(keep * len(whole)) if isinstance(keep, float) else keep])
    with pytest.raises(UserError, match=r"state\.npz: damaged checkpoint"):
        load_checkpoint(tmp_path, compiled())


def test_another_network_is_refused(trained, tmp_path):
    save_checkpoint(tmp_path, trained, PROGRESS)
    with pytest.raises(UserError, match="belongs to another network"):
        load_checkpoint(tmp_path, compiled(width=0.5))


def test_no_checkpoint_is_named(tmp_path):
    with pytest.raises(UserError, match="no checkpoint"):
        load_checkpoint(tmp_path, compiled())
