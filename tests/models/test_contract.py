"""What every network of the registry keeps to, and what each paper says of its own."""

import importlib
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

import models
from models.losses import loss_by_name
from recipes import DEFAULT_RECIPE, RECIPES

SMALL = (64, 96, 1)
WIDTH = 0.25
STATED_PARAMETERS = {"unet1": 2.0e6, "ag_unet": 2.0e6}
"""What the papers state; the hinge-point paper states none for unet_vgg16."""

names = pytest.mark.parametrize("name", models.MODELS)


@pytest.fixture(scope="module", params=list(models.MODELS))
def network(request) -> keras.Model:
    keras.utils.set_random_seed(1)
    return models.build(request.param, input_shape=SMALL, classes=3, width=WIDTH)


@pytest.fixture
def frames() -> np.ndarray:
    return np.random.default_rng(0).random((2, *SMALL), dtype=np.float32)


def test_output_is_a_probability_of_each_class_for_each_pixel(network, frames):
    output = np.asarray(network(frames))
    assert output.shape == (2, *SMALL[:2], 3)
    assert output.dtype == np.float32
    np.testing.assert_allclose(output.sum(-1), 1.0, atol=1e-5)
    assert output.min() >= 0


def test_every_trainable_weight_gets_a_gradient(network, frames):
    import tensorflow as tf

    labels = np.eye(3, dtype=np.float32)[np.random.default_rng(1).integers(0, 3, (2, *SMALL[:2]))]
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(loss_by_name("dice_crossentropy")(labels, network(frames, training=True)))
    gradients = tape.gradient(loss, [v.value for v in network.trainable_variables])
    dead = [
        v.path
        for v, g in zip(network.trainable_variables, gradients, strict=True)
        if g is None or not np.any(np.asarray(g))
    ]
    assert not dead


def test_weights_survive_the_keras_file(network, frames, tmp_path):
    network.save(tmp_path / "model.keras")
    again = models.build(network.name, input_shape=SMALL, classes=3, width=WIDTH)
    again.load_weights(tmp_path / "model.keras")
    np.testing.assert_array_equal(np.asarray(network(frames)), np.asarray(again(frames)))


def test_output_stays_float32_in_mixed_precision(network, frames):
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        mixed = models.build(network.name, input_shape=SMALL, classes=3, width=WIDTH)
    finally:
        keras.config.set_dtype_policy("float32")
    mixed.set_weights(network.get_weights())
    output = np.asarray(mixed(frames))
    assert output.dtype == np.float32
    # of a network that has not learned: its statistics normalise nothing yet, so single pixels may differ by more
    assert np.abs(output - np.asarray(network(frames))).mean() < 0.02


@names
def test_file_builder_key_and_model_have_one_name(name):
    module = importlib.import_module(f"models.{name}")
    assert getattr(module, name) is models.MODELS[name]
    assert models.build(name, input_shape=SMALL, classes=2, width=WIDTH).name == name
    assert DEFAULT_RECIPE[name] in RECIPES
    assert RECIPES[DEFAULT_RECIPE[name]].model == name


@names
def test_a_size_that_does_not_fit_names_the_nearest(name):
    with pytest.raises(ValueError, match=r"nearest: \(64, 96, 1\).*Received: \(67, 94, 1\)"):
        models.build(name, input_shape=(67, 94, 1), classes=3)


@names
def test_one_class_is_refused(name):
    with pytest.raises(ValueError, match="at least 2"):
        models.build(name, input_shape=SMALL, classes=1)


@pytest.mark.parametrize(("name", "stated"), STATED_PARAMETERS.items())
def test_parameters_are_the_papers(name, stated):
    assert models.build(name, classes=4).count_params() == pytest.approx(stated, rel=0.05)


def test_unet1_goes_down_to_8x8_with_the_papers_filters():
    model = models.build("unet1", classes=4)
    down = [model.get_layer(f"encoder_{i}_conv2").output.shape[1:] for i in range(1, 7)]
    assert down == [(256, 256, 32), (128, 128, 32), (64, 64, 64), (32, 32, 128), (16, 16, 128), (8, 8, 128)]
    assert [model.get_layer(f"decoder_{i}_conv2").output.shape[-1] for i in range(1, 6)] == [128, 128, 64, 32, 16]


def test_unet_vgg16_has_the_thirteen_convolutions_of_vgg16():
    model = models.build("unet_vgg16", classes=4, width=0.125)
    assert [layer.name for layer in model.layers if layer.name.startswith("block") and "relu" not in layer.name] == [
        f"block{block}_conv{i}" for block, n in ((1, 2), (2, 2), (3, 3), (4, 3), (5, 3)) for i in range(1, n + 1)
    ]
    assert model.get_layer("bottom_conv2").output.shape[1:3] == (8, 8)


def test_unknown_names_and_options_say_what_is_known():
    with pytest.raises(ValueError, match=r"unet, unet_vgg16.*\. Received: unet_vg16\. Did you mean unet_vgg16\?"):
        models.build("unet_vg16")
    with pytest.raises(ValueError, match="depth"):
        models.build("unet1", depth=3)
    with pytest.raises(ValueError, match=r"`width` must be positive\. Received: -1"):
        models.build("unet1", width=-1)


@pytest.mark.slow
def test_unet_vgg16_trains_at_batch_8_in_less_than_6_gb():
    code = (
        "import resource, sys; sys.path.insert(0, '.')\n"
        "import keras, numpy as np, models\n"
        "from models.losses import loss_by_name\n"
        "m = models.build('unet_vgg16', classes=4)\n"
        "m.compile('adam', loss_by_name('categorical_crossentropy'), jit_compile=False)\n"
        "x = np.zeros((8, 256, 256, 1), 'float32'); y = np.eye(4, dtype='float32')[np.zeros((8, 256, 256), int)]\n"
        "[m.train_on_batch(x, y) for _ in range(3)]\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)\n"
    )
    root = Path(__file__).parents[2]
    run = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert int(run.stdout.split()[-1]) * 1024 < 6e9
