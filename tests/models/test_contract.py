"""What every network of the registry keeps to, whatever it gives: probabilities, a box, or both."""

import importlib
import re
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

import models
from models.objectives import objective
from recipes import recipe_for
from tests.models.figures import named

SMALL = (64, 96, 1)
WIDTH = 0.125
STATED_PARAMETERS = {
    "unet1": 2e6,
    "ru_net": 4e6,
    "ag_unet": 2e6,
    "lu_net": 13e6,
    "alexnet_box": 71e6,
    "vgg19_box": 70e6,
    "u_l1": 9e6,
    "u_l2": 11e6,
}
"""What the papers state (lu_net paper §IV-C and §IV-D); the others state none."""

names = pytest.mark.parametrize("name", models.MODELS)


def build(name: str) -> keras.Model:
    return models.build(name, input_shape=SMALL, classes=len(recipe_for(name).classes), width=WIDTH)


@pytest.fixture(scope="module", params=list(models.MODELS))
def network(request) -> keras.Model:
    """Small, for the classes of its paper."""
    keras.utils.set_random_seed(1)
    return build(request.param)


@pytest.fixture
def frames() -> np.ndarray:
    return np.random.default_rng(0).random((2, *SMALL), dtype=np.float32)


def test_outputs_are_named_float32_and_of_their_shape(network, frames):
    outputs = {key: np.asarray(value) for key, value in named(network(frames)).items()}
    assert outputs.keys() <= {"box", "probabilities", "first_probabilities", "crop_probabilities"}
    assert {"box", "probabilities"} & outputs.keys()
    for key, output in outputs.items():
        assert output.dtype == np.float32, key
        assert np.isfinite(output).all(), key
        assert output.shape == ((2, 4) if key == "box" else (2, *SMALL[:2], len(recipe_for(network.name).classes)))


def test_probabilities_of_each_pixel_sum_to_one(network, frames):
    for key, output in named(network(frames)).items():
        if key != "box":
            np.testing.assert_allclose(np.asarray(output).sum(-1), 1.0, atol=1e-5, err_msg=key)
            assert np.asarray(output).min() >= 0


def test_every_trainable_weight_gets_a_gradient(network, frames):
    import tensorflow as tf

    recipe = recipe_for(network.name)
    loss = objective(
        recipe.loss,
        recipe.classes,
        class_weights=recipe.class_weights,
        box_structures=recipe.box_structures,
        box_margin=recipe.box_margin,
        box_weight=recipe.box_weight,
    )
    # every class somewhere, and a box that is not the whole frame: a network may start with that one
    labels = np.zeros((2, *SMALL[:2]), int)
    labels[:, 16:56, 24:80] = np.random.default_rng(1).integers(0, len(recipe.classes), (2, 40, 56))
    with tf.GradientTape() as tape:
        outputs = named(network(frames, training=True))
        value = tf.reduce_mean(loss(np.eye(len(recipe.classes), dtype=np.float32)[labels], outputs))
    gradients = tape.gradient(value, [v.value for v in network.trainable_variables])
    dead = [
        v.path
        for v, g in zip(network.trainable_variables, gradients, strict=True)
        if g is None or not np.any(np.asarray(g)) or not np.isfinite(np.asarray(g)).all()
    ]
    assert not dead


def test_weights_survive_the_keras_file(network, frames, tmp_path):
    network.save(tmp_path / "model.keras")
    again = build(network.name)
    again.load_weights(tmp_path / "model.keras")
    read = named(again(frames))
    for key, output in named(network(frames)).items():
        np.testing.assert_array_equal(np.asarray(output), np.asarray(read[key]), err_msg=key)


def test_outputs_stay_float32_in_mixed_precision(network, frames):
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        mixed = build(network.name)
    finally:
        keras.config.set_dtype_policy("float32")
    mixed.set_weights(network.get_weights())
    outputs = named(mixed(frames))
    for key, output in named(network(frames)).items():
        assert np.asarray(outputs[key]).dtype == np.float32, key
        # of a network that has not learned: its statistics normalise nothing yet, so single pixels may differ by more
        assert np.abs(np.asarray(outputs[key]) - np.asarray(output)).mean() < 0.02, key


@names
def test_file_builder_key_and_model_have_one_name(name):
    module = importlib.import_module(f"models.{name}")
    assert getattr(module, name) is models.MODELS[name]
    assert models.build(name, input_shape=SMALL, classes=2, width=WIDTH).name == name
    assert recipe_for(name).model == name


@names
def test_a_size_that_does_not_fit_names_the_nearest(name):
    with pytest.raises(ValueError, match=r"nearest: \(64, 96, 1\).*Received: \(67, 94, 1\)"):
        models.build(name, input_shape=(67, 94, 1), classes=3)


@names
def test_one_class_is_refused(name):
    with pytest.raises(ValueError, match="at least 2"):
        models.build(name, input_shape=SMALL, classes=1)


@names
@pytest.mark.usefixtures("zero_weights")
def test_parameters_are_those_of_docstring_and_paper(name):
    """Both to be read in `Parameters: 1.98M (paper: 2M)`; the paper's within 5 %."""
    millions = models.build(name, classes=4).count_params() / 1e6
    keras.backend.clear_session()  # the largest take 300 MB
    documented = re.search(
        r"Parameters: (\d+\.\d+)M\s+\((?:the\s+papers?\s+states?\s+none|paper:\s+(\d+)M)\)",
        models.MODELS[name].__doc__ or "",
    )
    assert documented
    assert millions == pytest.approx(float(documented[1]), abs=0.51 * 10.0 ** -len(documented[1].partition(".")[2]))
    stated = models.STATED_PARAMETERS.get(name)
    assert stated == STATED_PARAMETERS.get(name)
    assert (stated is None) == (documented[2] is None)
    if stated is not None:
        assert float(documented[2]) * 1e6 == stated
        assert millions * 1e6 == pytest.approx(stated, rel=0.05)


def test_unknown_names_and_options_say_what_is_known():
    with pytest.raises(ValueError, match=r"unet, unet_vgg16.*\. Received: unet_vg16\. Did you mean unet_vgg16\?"):
        models.build("unet_vg16")
    with pytest.raises(ValueError, match=r"options of unet1 are input_shape, classes, width\. Received: depth"):
        models.build("unet1", depth=3)
    for width in (-1, float("nan"), "wide"):
        with pytest.raises(ValueError, match=rf"`width` must be a positive number\. Received: {width}"):
            models.build("unet1", width=width)
    with pytest.raises(ValueError, match=r"lu_net \(crop_height, crop_width\) must be three whole numbers\. Received"):
        models.build("lu_net", input_shape=SMALL, crop_height="tall")


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
