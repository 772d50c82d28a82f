"""Layers of our own, with `keras.ops` alone."""

from collections.abc import Callable
from typing import Any, ClassVar

import keras
from keras import KerasTensor

Normalise = Callable[[Any, Any, Any, float], tuple[Any, Any, Any]]
"""Batch normalisation of a training step: (x, gamma, beta, epsilon) → (normalised, mean, variance).

x is (N, h, w, C) in the network's own precision, as the normalised tensor is; everything else is (C,) float32. The
variance is the batch's own, divided by N·h·w (not by one less). It must have a gradient.
"""


@keras.saving.register_keras_serializable(package="annulus")
class BatchNormalization(keras.layers.BatchNormalization):
    """Keras' batch normalisation, which a training step may compute with the backend's own fused kernel.

    Arguments, weights and their names are those of the Keras layer, and so is what it computes; only a training step's
    way there differs. Keras writes the step as some twenty operations over the whole feature map, in float32 even in a
    bfloat16 network; TensorFlow's kernel reads it twice. With few filters at full resolution that is a third of the
    step (docs/PERFORMANCE.md).

    Attributes:
        normalise: the kernel, of all layers of this class; None is Keras' own way. `training.kernels` sets it, since
            networks are written without knowing the backend.
    """

    normalise: ClassVar[Normalise | None] = None

    def call(self, inputs: KerasTensor, training: bool | None = None, mask: KerasTensor | None = None) -> KerasTensor:
        """(N, …, C) → (N, …, C), normalised by the batch in training, by the moving statistics otherwise."""
        normalise = type(self).normalise
        if normalise is None or not training or not self._is_plain(inputs, mask):
            return super().call(inputs, training=training, mask=mask)
        outputs, mean, variance = normalise(inputs, self.gamma, self.beta, self.epsilon)
        self._follow(self.moving_mean, mean)
        self._follow(self.moving_variance, variance)
        return outputs

    def _follow(self, moving: Any, batch: Any) -> None:
        """Moves a moving statistic towards the batch's."""
        moving.assign(moving * self.momentum + batch * (1.0 - self.momentum))

    def _is_plain(self, inputs: KerasTensor, mask: KerasTensor | None) -> bool:
        """Whether the kernel's contract fits: a trainable layer on (N, h, w, C), all weights, no mask."""
        return (
            self.trainable
            and mask is None
            and len(inputs.shape) == 4
            and self.axis in (-1, 3)
            and self.scale
            and self.center
            and not (self.synchronized or self.renorm)
            and keras.backend.standardize_dtype(inputs.dtype) in ("float32", "bfloat16")
        )
