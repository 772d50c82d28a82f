"""Our batch normalisation is Keras' own, but for the way of a training step."""

import keras
import numpy as np
import pytest

from models.layers import BatchNormalization

SHAPE = (4, 6, 5, 3)


@pytest.fixture(autouse=True)
def keras_own_way(monkeypatch):
    """Whatever another test has set."""
    monkeypatch.setattr(BatchNormalization, "normalise", None)


@pytest.fixture
def features() -> np.ndarray:
    return np.random.default_rng(0).normal(3.0, 2.0, SHAPE).astype(np.float32)


def filled(layer: keras.Layer) -> keras.Layer:
    """The layer with weights that are neither 0 nor 1, the same at each call."""
    layer.build(SHAPE)
    chance = np.random.default_rng(1)
    layer.set_weights([chance.uniform(0.5, 2.0, weight.shape).astype(np.float32) for weight in layer.weights])
    return layer


def arrays(layer: keras.Layer) -> list[np.ndarray]:
    return [np.asarray(weight) for weight in layer.get_weights()]


class Kernel:
    """A kernel that can be told by what it returns: x + 1, mean 10, variance 20."""

    def __init__(self) -> None:
        self.epsilons: list[float] = []

    def __call__(self, x, gamma, beta, epsilon):
        self.epsilons.append(epsilon)
        return x + 1, keras.ops.full((SHAPE[-1],), 10.0), keras.ops.full((SHAPE[-1],), 20.0)


@pytest.fixture
def kernel(monkeypatch) -> Kernel:
    kernel = Kernel()
    monkeypatch.setattr(BatchNormalization, "normalise", staticmethod(kernel))
    return kernel


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("precision", ["float32", "mixed_bfloat16"])
def test_without_a_kernel_it_is_keras_own(features, training, precision):
    ours = filled(BatchNormalization(momentum=0.9, dtype=precision))
    theirs = filled(keras.layers.BatchNormalization(momentum=0.9, dtype=precision))
    x = keras.ops.cast(features, ours.compute_dtype)
    ours_out, theirs_out = ours(x, training=training), theirs(x, training=training)
    assert ours_out.dtype == theirs_out.dtype
    np.testing.assert_array_equal(np.float32(ours_out), np.float32(theirs_out))
    for one, other in zip(arrays(ours), arrays(theirs), strict=True):
        np.testing.assert_array_equal(one, other)


def test_inference_by_hand_whatever_the_kernel(kernel):
    """(x − 2) / √(3.999 + 0.001) · 4 + 5."""
    layer = BatchNormalization()
    layer.build((1, 1, 1, 1))
    layer.set_weights([np.full(1, value, np.float32) for value in (4.0, 5.0, 2.0, 3.999)])
    out = layer(np.full((1, 1, 1, 1), 6.0, np.float32), training=False)
    np.testing.assert_allclose(np.asarray(out), 13.0, atol=1e-5)
    assert kernel.epsilons == []


def test_a_training_step_takes_the_kernel_and_moves_the_statistics(features, kernel):
    layer = BatchNormalization(momentum=0.95, epsilon=1e-3)
    out = layer(features, training=True)
    assert kernel.epsilons == [1e-3]
    np.testing.assert_array_equal(np.asarray(out), features + 1)
    np.testing.assert_allclose(np.asarray(layer.moving_mean), 0.05 * 10, rtol=1e-6)  # from 0
    np.testing.assert_allclose(np.asarray(layer.moving_variance), 0.95 * 1 + 0.05 * 20, rtol=1e-6)  # from 1


@pytest.mark.parametrize(
    "options",
    [{"trainable": False}, {"scale": False}, {"center": False}, {"axis": 1}, {"dtype": "float16"}, {"renorm": True}],
)
def test_what_the_kernel_is_not_for_goes_keras_way(features, kernel, options):
    layer = BatchNormalization(**options)
    layer(keras.ops.cast(features, layer.compute_dtype), training=True)
    assert kernel.epsilons == []


def test_vectors_and_masks_go_keras_way(features, kernel):
    BatchNormalization()(features[:, 0, 0], training=True)
    BatchNormalization()(features, training=True, mask=np.ones(SHAPE[:3], dtype=bool))
    assert kernel.epsilons == []


def test_weights_have_keras_names_and_load_from_keras_files(features, tmp_path):
    """Runs saved before this layer existed go on."""

    def network(kind: type[keras.Layer]) -> keras.Model:
        inputs = keras.Input(SHAPE[1:], name="image")
        x = keras.layers.Conv2D(3, 3, name="conv")(inputs)
        return keras.Model(inputs, filled(kind(name="conv_bn"))(x))

    theirs, ours = network(keras.layers.BatchNormalization), network(BatchNormalization)
    assert [weight.path for weight in ours.weights] == [weight.path for weight in theirs.weights]
    theirs.save(tmp_path / "theirs.keras")
    ours.load_weights(tmp_path / "theirs.keras")
    np.testing.assert_array_equal(np.asarray(ours(features)), np.asarray(theirs(features)))


def test_a_saved_network_loads_without_help(features, tmp_path):
    inputs = keras.Input(SHAPE[1:], name="image")
    network = keras.Model(inputs, filled(BatchNormalization(momentum=0.7, name="bn"))(inputs))
    network.save(tmp_path / "network.keras")
    loaded = keras.saving.load_model(tmp_path / "network.keras")
    assert type(loaded.get_layer("bn")) is BatchNormalization
    assert loaded.get_layer("bn").momentum == 0.7
    np.testing.assert_array_equal(np.asarray(loaded(features)), np.asarray(network(features)))
