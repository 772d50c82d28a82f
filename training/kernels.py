"""TensorFlow's own kernels for what Keras composes of many operations. Networks take them without knowing of them."""

from typing import Any

import keras
import tensorflow as tf

from models.layers import BatchNormalization


def use_fused_kernels() -> None:
    """Lets the networks of this process train with `fused_batch_norm`, where Keras runs on TensorFlow.

    On JAX Keras' own operations stay: XLA, which compiles every training step there, fuses them by itself.
    """
    if keras.backend.backend() == "tensorflow":
        BatchNormalization.normalise = staticmethod(fused_batch_norm)


def fused_batch_norm(x: Any, gamma: Any, beta: Any, epsilon: float) -> tuple[Any, Any, Any]:
    """Batch normalisation of a training step in one kernel: a `models.layers.Normalise`.

    The kernel takes bfloat16 as it is and sums in float32. Its variance is divided by n − 1; Keras' by n, as here.
    """
    normalised, mean, variance, *_ = tf.raw_ops.FusedBatchNormV3(
        x=x, scale=gamma, offset=beta, mean=[], variance=[], epsilon=epsilon, is_training=True
    )
    n = tf.cast(tf.size(x, out_type=tf.int64) // tf.size(gamma, out_type=tf.int64), tf.float32)
    return normalised, mean, variance * ((n - 1.0) / n)
