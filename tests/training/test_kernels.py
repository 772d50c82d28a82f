"""TensorFlow's fused batch normalisation computes what Keras' operations do, and gives the same gradients."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from models.layers import BatchNormalization
from training.kernels import fused_batch_norm, use_fused_kernels

SHAPES = [(8, 16, 12, 24), (2, 3, 3, 5), (2, 1, 1, 4), (1, 1, 1, 4)]


def training_step(monkeypatch, kernel, shape, precision) -> dict[str, np.ndarray]:
    """Outputs, gradients and moved statistics of one step on features far from zero."""
    monkeypatch.setattr(BatchNormalization, "normalise", None if kernel is None else staticmethod(kernel))
    chance = np.random.default_rng(0)
    layer = BatchNormalization(momentum=0.9, dtype=precision)
    layer.build(shape)
    layer.set_weights([chance.uniform(0.5, 2.0, weight.shape).astype(np.float32) for weight in layer.weights])
    x = tf.cast(chance.normal(5.0, 3.0, shape).astype(np.float32), layer.compute_dtype)
    weight = chance.normal(size=shape).astype(np.float32)
    with tf.GradientTape() as tape:
        tape.watch(x)
        out = layer(x, training=True)
        loss = tf.reduce_sum(tf.cast(out, tf.float32) * weight)
    assert out.dtype == layer.compute_dtype
    gradients = tape.gradient(loss, [x, layer.gamma.value, layer.beta.value])
    found = {"out": out, "moving_mean": layer.moving_mean, "moving_variance": layer.moving_variance}
    found |= dict(zip(("d_x", "d_gamma", "d_beta"), gradients, strict=True))
    return {name: np.float32(tf.cast(tf.convert_to_tensor(value), tf.float32)) for name, value in found.items()}


@pytest.mark.parametrize("shape", SHAPES)
def test_float32_as_keras(monkeypatch, shape):
    expected = training_step(monkeypatch, None, shape, "float32")
    found = training_step(monkeypatch, fused_batch_norm, shape, "float32")
    for name, value in expected.items():
        np.testing.assert_allclose(found[name], value, rtol=1e-4, atol=1e-4, err_msg=name)


@pytest.mark.parametrize("shape", SHAPES)
def test_bfloat16_as_keras_within_its_last_bit(monkeypatch, shape):
    """Keras' statistics are float32 sums over bfloat16 features; the kernel's are too, so they agree as in float32."""
    expected = training_step(monkeypatch, None, shape, "mixed_bfloat16")
    found = training_step(monkeypatch, fused_batch_norm, shape, "mixed_bfloat16")
    for name, value in expected.items():
        is_rounded = name in ("out", "d_x")
        np.testing.assert_allclose(
            found[name], value, rtol=2.0**-7 if is_rounded else 1e-4, atol=1e-2 if is_rounded else 1e-4, err_msg=name
        )


def test_variance_by_hand():
    """−1 and 3: mean 1, variance ((−2)² + 2²) / 2 = 4, not / 1; (x − 1) / √(4 + 0) = ±1, times 3 plus 7."""
    x = tf.constant([-1.0, 3.0], shape=(2, 1, 1, 1))
    out, mean, variance = fused_batch_norm(x, tf.constant([3.0]), tf.constant([7.0]), 1e-6)
    assert float(mean[0]) == pytest.approx(1.0)
    assert float(variance[0]) == pytest.approx(4.0)
    np.testing.assert_allclose(np.ravel(out), [4.0, 10.0], atol=1e-4)


def test_only_tensorflow_takes_it(monkeypatch):
    monkeypatch.setattr(BatchNormalization, "normalise", None)
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    use_fused_kernels()
    assert BatchNormalization.normalise is None
    monkeypatch.setattr(keras.backend, "backend", lambda: "tensorflow")
    use_fused_kernels()
    assert BatchNormalization.normalise is fused_batch_norm
