import shutil
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest

import models
from shell.errors import UserError
from tests.training.conftest import new_run, run_training
from training.starting_weights import load_encoder_weights

BLOCKS = ((8, 2), (16, 2), (32, 3), (64, 3), (64, 3))  # VGG16's filters at an eighth of its width
WIDTH = 0.125


@pytest.fixture(scope="module")
def network() -> keras.Model:
    return models.build("unet_vgg16", input_shape=(32, 32, 1), classes=2, width=WIDTH)


def write_vgg16(path: Path, *, nested: bool, without: str = "") -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """A weight file of VGG16's layer names and nesting (both that Keras has used) for RGB input."""
    chance = np.random.default_rng(0)
    weights = {}
    channels = 3
    with h5py.File(path, "w") as file:
        for block, (filters, convolutions) in enumerate(BLOCKS, 1):
            for i in range(1, convolutions + 1):
                name = f"block{block}_conv{i}"
                kernel = chance.normal(size=(3, 3, channels, filters)).astype(np.float32)
                bias = chance.normal(size=filters).astype(np.float32)
                weights[name] = kernel, bias
                channels = filters
                if name != without:
                    group = file.create_group(f"{name}/{name}" if nested else name)
                    group["kernel:0" if nested else f"{name}_W_1:0"] = kernel
                    group["bias:0" if nested else f"{name}_b_1:0"] = bias
        file.create_group("fc1/fc1")["kernel:0"] = np.zeros((4, 4), np.float32)
    return weights


@pytest.mark.parametrize("nested", [True, False])
def test_all_thirteen_convolutions_are_filled(network, tmp_path, nested):
    weights = write_vgg16(tmp_path / "vgg16.h5", nested=nested)
    assert load_encoder_weights(network, str(tmp_path / "vgg16.h5")) == 13
    for name, (kernel, bias) in weights.items():
        expected = kernel.sum(axis=2, keepdims=True) if name == "block1_conv1" else kernel
        np.testing.assert_array_equal(network.get_layer(name).get_weights()[0], expected)
        np.testing.assert_array_equal(network.get_layer(name).get_weights()[1], bias)


def test_the_first_layer_answers_a_grey_frame_as_vgg16_answers_it_in_all_three_colours(network, tmp_path):
    kernel, bias = write_vgg16(tmp_path / "vgg16.h5", nested=True)["block1_conv1"]
    load_encoder_weights(network, str(tmp_path / "vgg16.h5"))
    grey = np.random.default_rng(1).random((1, 16, 16, 1)).astype(np.float32)
    colour = keras.ops.conv(np.repeat(grey, 3, axis=-1), kernel, padding="same") + bias
    ours = keras.ops.conv(grey, network.get_layer("block1_conv1").kernel, padding="same") + bias
    np.testing.assert_allclose(np.asarray(ours), np.asarray(colour), atol=1e-4)


def test_what_is_no_vgg16_file_is_refused_by_name(network, tmp_path):
    with pytest.raises(UserError, match=r"nowhere\.h5: no such weight file"):
        load_encoder_weights(network, "nowhere.h5")
    (tmp_path / "text.h5").write_text("not weights")
    with pytest.raises(UserError, match=r"text\.h5: not an HDF5 weight file"):
        load_encoder_weights(network, str(tmp_path / "text.h5"))
    write_vgg16(tmp_path / "partial.h5", nested=True, without="block4_conv2")
    with pytest.raises(UserError, match=r"partial\.h5: has no layer block4_conv2"):
        load_encoder_weights(network, str(tmp_path / "partial.h5"))


def test_another_width_and_another_network_are_refused(tmp_path):
    write_vgg16(tmp_path / "vgg16.h5", nested=True)
    wider = models.build("unet_vgg16", input_shape=(32, 32, 1), classes=2, width=0.25)
    with pytest.raises(UserError, match=r"leave model_options\.width at 1"):
        load_encoder_weights(wider, str(tmp_path / "vgg16.h5"))
    with pytest.raises(UserError, match="unet1 has no VGG16 encoder"):
        load_encoder_weights(models.build("unet1", input_shape=(32, 32, 1), width=0.25), str(tmp_path / "vgg16.h5"))


def test_a_failed_download_says_what_to_do(network, monkeypatch):
    def unreachable(*_args: object, **_options: object) -> str:
        raise Exception("URL fetch failure")  # what Keras raises

    monkeypatch.setattr(keras.utils, "get_file", unreachable)
    with pytest.raises(UserError, match="copy it here by other means and give its path"):
        load_encoder_weights(network, "imagenet")


@pytest.mark.slow
def test_a_run_begun_from_another_and_killed_before_its_first_epoch_starts_from_it_again(hearts, tmp_path):
    first, whole, killed = tmp_path / "first", tmp_path / "whole", tmp_path / "killed"
    assert run_training(*new_run(first, hearts, "epochs=1"))[0] == 0
    begun = [*new_run(whole, hearts, "epochs=1", "seed=7"), "--initial-weights", first]
    assert run_training(*begun)[0] == 0
    # what such a run leaves behind: the folder as it was begun, and nothing of any epoch
    killed.mkdir()
    for name in ("recipe.json", "split.json", "start.json"):
        shutil.copy(whole / name, killed / name)
    assert run_training("--resume", killed)[0] == 0
    assert (killed / "history.csv").read_text() == (whole / "history.csv").read_text()


def test_weights_that_do_not_fit_are_refused_before_anything_is_written(hearts, tmp_path):
    code, _, errors = run_training(*new_run(tmp_path / "run", hearts), "--initial-weights", tmp_path / "nowhere")
    assert (code, errors.count("\n")) == (1, 1)
    assert "nowhere" in errors
    assert not (tmp_path / "run").exists()
