"""The parts that networks are made of: functions that make a tensor → tensor function."""

from collections.abc import Callable

import keras
from keras import KerasTensor, layers

MOMENTUM = 0.95
"""Of the moving statistics: a small data set has few steps in which to forget the initial ones. ASSUMED."""

Block = Callable[[KerasTensor], KerasTensor]
"""A part of a network: takes a tensor (N, h, w, C), gives a tensor."""


def convolution(filters: int, *, name: str, batch_norm: bool = True, kernel_size: int = 3) -> Block:
    """Convolution ("same"), batch normalisation where asked, ReLU.

    Args:
        filters: output channels.
        name: layer name of the convolution; the others add `_bn` and `_relu`.
        batch_norm: normalise before the activation (the convolution then has no bias: the shift replaces it).
        kernel_size: side of the kernel, pixels.

    Returns:
        (N, h, w, C) → (N, h, w, filters).
    """

    def apply(x: KerasTensor) -> KerasTensor:
        x = layers.Conv2D(
            filters,
            kernel_size,
            padding="same",
            use_bias=not batch_norm,
            kernel_initializer="he_normal",
            name=name,
        )(x)
        if batch_norm:
            x = layers.BatchNormalization(momentum=MOMENTUM, name=f"{name}_bn")(x)
        return layers.Activation("relu", name=f"{name}_relu")(x)

    return apply


def conv_block(filters: int, *, name: str, convolutions: int = 2, batch_norm: bool = True) -> Block:
    """`convolutions` 3×3 convolutions in a row: layers `{name}_conv1`, `{name}_conv2` and so on.

    Returns:
        (N, h, w, C) → (N, h, w, filters).
    """
    parts = [convolution(filters, name=f"{name}_conv{i}", batch_norm=batch_norm) for i in range(1, convolutions + 1)]

    def apply(x: KerasTensor) -> KerasTensor:
        for part in parts:
            x = part(x)
        return x

    return apply


def max_pool(name: str) -> Block:
    """2×2 maximum, stride 2: (N, h, w, C) → (N, h/2, w/2, C)."""
    return layers.MaxPooling2D(2, name=name)


def upsample_nearest(name: str) -> Block:
    """Doubles the grid by repetition: (N, h, w, C) → (N, 2h, 2w, C). Its gradient compiles everywhere."""
    return layers.UpSampling2D(2, interpolation="nearest", name=name)


def class_probabilities(x: KerasTensor, classes: int) -> KerasTensor:
    """1×1 convolution and softmax, in float32 whatever the precision of the network.

    Returns:
        (N, h, w, classes) float32, summing to 1 over the last axis; layer name `probabilities`.
    """
    x = layers.Conv2D(classes, 1, name="logits", dtype="float32")(x)
    return layers.Softmax(name="probabilities", dtype="float32")(x)


def check_input_shape(input_shape: tuple[int, int, int], divisor: int, model: str) -> None:
    """Refuses an input that the network's poolings do not divide.

    Raises:
        ValueError: names the nearest sizes that fit.
    """
    height, width, channels = input_shape
    if channels < 1 or height < divisor or width < divisor or height % divisor or width % divisor:
        nearest = tuple(max(divisor, round(side / divisor) * divisor) for side in (height, width))
        raise ValueError(
            f"`input_shape` of {model} must be (height, width, channels) with height and width multiples of {divisor}; "
            f"nearest: ({nearest[0]}, {nearest[1]}, {max(channels, 1)}). Received: {tuple(input_shape)}"
        )


def check_classes(classes: int) -> None:
    """Refuses fewer than two classes.

    Raises:
        ValueError: `classes` is below 2.
    """
    if classes < 2:
        raise ValueError(f"`classes` must be at least 2 (background and a structure). Received: {classes}")


def scaled(filters: int, width: float) -> int:
    """A layer's filters at a relative network width: multiples of 8, at least 8 (width 1 leaves them as they are)."""
    if width == 1:
        return filters
    if not width > 0:
        raise ValueError(f"`width` must be positive. Received: {width}")
    return max(8, round(filters * width / 8) * 8)


def image_input(input_shape: tuple[int, int, int]) -> KerasTensor:
    """The network's input, named `image`: (N, h, w, channels)."""
    return keras.Input(input_shape, name="image")
