"""The parts that networks are made of: functions that make a tensor → tensor function."""

import math
from collections.abc import Callable
from typing import Any

import keras
from keras import KerasTensor, layers, ops
from keras.config import floatx

from models.layers import BatchNormalization

MOMENTUM = 0.95
"""Of the moving statistics: a small data set has few steps in which to forget the initial ones. ASSUMED."""

Block = Callable[[KerasTensor], KerasTensor]
"""A part of a network: takes a tensor (N, h, w, C), gives a tensor."""

Activation = Callable[[str], Block]
"""Makes an activation from its layer name."""


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
            x = BatchNormalization(momentum=MOMENTUM, name=f"{name}_bn")(x)
        return layers.Activation("relu", name=f"{name}_relu")(x)

    return apply


def conv_block(filters: int, *, name: str, convolutions: int = 2, batch_norm: bool = True) -> Block:
    """`convolutions` 3×3 convolutions in a row: layers `{name}_conv1`, `{name}_conv2` and so on.

    Returns:
        (N, h, w, C) → (N, h, w, filters).
    """
    return in_turn(
        *(convolution(filters, name=f"{name}_conv{i}", batch_norm=batch_norm) for i in range(1, convolutions + 1))
    )


def relu(name: str) -> Block:
    """Leaves what is positive, 0 for the rest."""
    return layers.Activation("relu", name=name)


def leaky_relu(name: str) -> Block:
    """Leaves what is positive, takes 0.01 of the rest. ASSUMED: the slope."""
    return layers.LeakyReLU(negative_slope=0.01, name=name)


def normalised_convolution(
    filters: int, *, name: str, kernel_size: int = 3, strides: int = 1, activation: Activation | None = None
) -> Block:
    """Convolution ("same", no bias), batch normalisation, and the activation where one is given.

    Args:
        filters: output channels.
        name: layer name of the convolution; the normalisation adds `_bn`, the activation `_act`.
        kernel_size: side of the kernel, pixels.
        strides: 2 halves the grid.
        activation: makes the layer after the normalisation from its name.

    Returns:
        (N, h, w, C) → (N, h/strides, w/strides, filters).
    """

    def apply(x: KerasTensor) -> KerasTensor:
        x = layers.Conv2D(
            filters,
            kernel_size,
            strides,
            padding="same",
            use_bias=False,
            kernel_initializer="he_normal",
            name=name,
        )(x)
        x = BatchNormalization(momentum=MOMENTUM, name=f"{name}_bn")(x)
        return x if activation is None else activation(f"{name}_act")(x)

    return apply


def in_turn(*blocks: Block) -> Block:
    """The blocks one after the other, as one block."""

    def apply(x: KerasTensor) -> KerasTensor:
        for block in blocks:
            x = block(x)
        return x

    return apply


def residual_block(filters: int, *, name: str, activation: Activation = relu, strides: int = 1) -> Block:
    """Convolution-normalisation-activation twice, added to a third 3×3 convolution of the input, its shortcut.

    Args:
        filters: output channels.
        name: of the layers: `{name}_conv1`, `{name}_conv2`, `{name}_shortcut`.
        activation: makes an activation from its name.
        strides: of the second convolution and the shortcut; 2 halves the grid.

    Returns:
        (N, h, w, C) → (N, h/strides, w/strides, filters).
    """
    main = in_turn(
        normalised_convolution(filters, name=f"{name}_conv1", activation=activation),
        normalised_convolution(filters, name=f"{name}_conv2", activation=activation, strides=strides),
    )
    shortcut = normalised_convolution(filters, name=f"{name}_shortcut", strides=strides)

    def apply(x: KerasTensor) -> KerasTensor:
        return layers.Add(name=f"{name}_sum")([main(x), shortcut(x)])

    return apply


def inception_module(filters: int, *, name: str, activation: Activation = relu) -> Block:
    """What 1×1, 3×3 and 5×5 kernels and a 3×3 maximum see, side by side.

    Args:
        filters: output channels; a multiple of 8.
        name: of the layers.
        activation: makes an activation from its name.

    Returns:
        (N, h, w, C) → (N, h, w, filters).

    Source: Szegedy et al. 2015. ASSUMED: the branches' shares are those of GoogLeNet's inception (3a), 1/4, 1/2, 1/8
    and 1/8 of the filters, with 3/8 and 1/16 in the 1×1 convolutions before the larger kernels; batch normalisation.
    """

    def part(numerator: int, denominator: int, kernel_size: int, branch: str) -> Block:
        return normalised_convolution(
            max(1, filters * numerator // denominator),
            name=f"{name}_{branch}",
            kernel_size=kernel_size,
            activation=activation,
        )

    branches = [
        part(1, 4, 1, "1x1"),
        in_turn(part(3, 8, 1, "3x3_reduce"), part(1, 2, 3, "3x3")),
        in_turn(part(1, 16, 1, "5x5_reduce"), part(1, 8, 5, "5x5")),
        in_turn(layers.MaxPooling2D(3, 1, padding="same", name=f"{name}_max"), part(1, 8, 1, "max_1x1")),
    ]

    def apply(x: KerasTensor) -> KerasTensor:
        return layers.Concatenate(name=f"{name}_join")([branch(x) for branch in branches])

    return apply


def attention_module(*, name: str, activation: Activation = relu) -> Block:
    """Weights channels (squeeze and excitation), then places (spatial attention): (N, h, w, C) → (N, h, w, C).

    Source: Hu et al. 2018 (channels, reduced to a sixteenth), Woo et al. 2018 (places: mean and maximum over the
    channels, a 7×7 convolution), in the latter's order. ASSUMED: at least four channels remain in the squeeze.
    """

    def apply(x: KerasTensor) -> KerasTensor:
        channels = x.shape[-1]
        weight = layers.GlobalAveragePooling2D(keepdims=True, name=f"{name}_squeeze")(x)
        weight = layers.Conv2D(max(4, channels // 16), 1, kernel_initializer="he_normal", name=f"{name}_reduce")(weight)
        weight = activation(f"{name}_reduce_act")(weight)
        weight = layers.Conv2D(channels, 1, activation="sigmoid", name=f"{name}_excite")(weight)
        x = layers.Multiply(name=f"{name}_channels")([x, weight])
        seen = layers.Concatenate(name=f"{name}_seen")(
            [ops.mean(x, axis=-1, keepdims=True), ops.max(x, axis=-1, keepdims=True)]
        )
        weight = layers.Conv2D(1, 7, padding="same", activation="sigmoid", name=f"{name}_spatial")(seen)
        return layers.Multiply(name=f"{name}_places")([x, weight])

    return apply


def attention_gate(name: str) -> Callable[[KerasTensor, KerasTensor], KerasTensor]:
    """A skip connection weighted, place by place, by what the decoder makes of it.

    Returns:
        (encoder tensor (N, h, w, C), decoder tensor (N, h, w, D)) → encoder tensor × a weight in 0..1 (N, h, w, C).

    Source: Oktay et al. 2018, additive attention over half the channels; batch normalisation before each activation as
    the lu_net paper says. Deviation: the gate compares on the skip's grid with the upsampled decoder tensor, so that
    its weight needs no resizing (theirs is trilinear, from the coarser grid). ASSUMED: no convolution after the gate.
    """

    def apply(features: KerasTensor, decoder: KerasTensor) -> KerasTensor:
        between = max(1, features.shape[-1] // 2)
        options: dict[str, Any] = {"use_bias": False, "kernel_initializer": "he_normal"}
        x = layers.Add(name=f"{name}_sum")(
            [
                layers.Conv2D(between, 1, name=f"{name}_features", **options)(features),
                layers.Conv2D(between, 1, name=f"{name}_decoder", **options)(decoder),
            ]
        )
        x = BatchNormalization(momentum=MOMENTUM, name=f"{name}_sum_bn")(x)
        x = layers.Activation("relu", name=f"{name}_sum_relu")(x)
        weight = layers.Conv2D(1, 1, name=f"{name}_weight", **options)(x)
        weight = BatchNormalization(momentum=MOMENTUM, name=f"{name}_weight_bn")(weight)
        weight = layers.Activation("sigmoid", name=f"{name}_weight_sigmoid")(weight)
        return layers.Multiply(name=name)([features, weight])

    return apply


def dense_skip(layer_count: int, growth: int, *, name: str) -> Callable[[KerasTensor, KerasTensor], KerasTensor]:
    """A skip connection through a dense block: convolutions of which each sees the input and all that came before.

    Args:
        layer_count: 3×3 convolutions, each followed by ReLU and batch normalisation.
        growth: maps that each of them adds.
        name: of the layers: `{name}_conv1`, `{name}_conv1_bn`, `{name}_dense1`, …

    Returns:
        (encoder tensor (N, h, w, C), decoder tensor) → (N, h, w, C + layer_count·growth), the encoder tensor first. The
        decoder tensor is not looked at.

    Source: cmr_dense_unet paper §2.2 (ReLU before the normalisation, as it lists them), after Huang et al. 2017.
    ASSUMED: no 1×1 convolution before or after, which the paper does not name.
    """

    def apply(features: KerasTensor, _decoder: KerasTensor) -> KerasTensor:
        x = features
        for layer in range(1, layer_count + 1):
            added = layers.Conv2D(
                growth,
                3,
                padding="same",
                activation="relu",
                kernel_initializer="he_normal",
                name=f"{name}_conv{layer}",
            )(x)
            added = BatchNormalization(momentum=MOMENTUM, name=f"{name}_conv{layer}_bn")(added)
            x = layers.Concatenate(name=f"{name}_dense{layer}")([x, added])
        return x

    return apply


def max_pool(name: str) -> Block:
    """2×2 maximum, stride 2: (N, h, w, C) → (N, h/2, w/2, C)."""
    return layers.MaxPooling2D(2, name=name)


def dilate(radius: int, *, name: str) -> Block:
    """The maximum over a square of side 2·radius + 1, rows first and columns then: (N, h, w, C) → (N, h, w, C)."""
    side = 2 * radius + 1
    return in_turn(
        layers.MaxPooling2D((side, 1), 1, padding="same", name=f"{name}_rows"),
        layers.MaxPooling2D((1, side), 1, padding="same", name=f"{name}_columns"),
    )


def keep_grid(_name: str) -> Block:
    """Nothing between two levels: for blocks that halve the grid themselves."""
    return lambda x: x


def upsample_nearest(name: str) -> Block:
    """Doubles the grid by repetition: (N, h, w, C) → (N, 2h, 2w, C). Its gradient compiles everywhere."""
    return layers.UpSampling2D(2, interpolation="nearest", name=name)


def upsample_depth_to_space(_name: str) -> Block:
    """Doubles the grid by dealing each pixel's channels to the four it covers: (N, h, w, C) → (N, 2h, 2w, C/4)."""
    return lambda x: ops.depth_to_space(x, 2)


def upsample_transposed(name: str) -> Block:
    """2×2 transposed convolution, stride 2, that halves the channels: (N, h, w, C) → (N, 2h, 2w, C/2)."""

    def apply(x: KerasTensor) -> KerasTensor:
        return layers.Conv2DTranspose(x.shape[-1] // 2, 2, 2, kernel_initializer="he_normal", name=name)(x)

    return apply


def upsample_to(filters: int, *, name: str) -> Block:
    """4×4 transposed convolution, stride 2, to so many channels: (N, h, w, C) → (N, 2h, 2w, filters)."""
    return layers.Conv2DTranspose(filters, 4, 2, padding="same", kernel_initializer="he_normal", name=name)


def class_probabilities(x: KerasTensor, classes: int) -> KerasTensor:
    """1×1 convolution and softmax, in float32 (Keras' `floatx`) whatever the precision of the network.

    Returns:
        (N, h, w, classes) float32, summing to 1 over the last axis; layer name `probabilities`.
    """
    x = layers.Conv2D(classes, 1, name="logits", dtype=floatx())(x)
    return layers.Softmax(name="probabilities", dtype=floatx())(x)


def class_probabilities_of_half_the_grid(x: KerasTensor, classes: int) -> KerasTensor:
    """1×1 convolution and softmax on half the frame's grid, and bilinear to the whole one, in float32.

    A softmax takes LiteRT as long as a large convolution, so it is cheaper before the resize than after it. What comes
    out still sums to 1, and between two pixels it goes straight from one's probabilities to the other's.

    Returns:
        (N, 2h, 2w, classes) float32, summing to 1 over the last axis; layer name `probabilities`.
    """
    x = layers.Conv2D(classes, 1, name="logits", dtype=floatx())(x)
    x = layers.Softmax(name="half_probabilities", dtype=floatx())(x)
    return layers.UpSampling2D(2, interpolation="bilinear", name="probabilities", dtype=floatx())(x)


def side_probabilities(x: KerasTensor, classes: int, *, name: str) -> KerasTensor:
    """What a layer inside a network says of the classes, by a 1×1 convolution `{name}_logits` of its own and softmax.

    Returns:
        (N, h, w, classes) float32, summing to 1 over the last axis; layer name `name`.
    """
    x = layers.Conv2D(classes, 1, name=f"{name}_logits", dtype=floatx())(x)
    return layers.Softmax(name=name, dtype=floatx())(x)


def binary_probabilities(x: KerasTensor) -> KerasTensor:
    """1×1 convolution to one channel and sigmoid, as probabilities of background and structure, in the same float type.

    Returns:
        (N, h, w, 2) float32, summing to 1 over the last axis; layer name `probabilities`.
    """
    x = layers.Conv2D(1, 1, name="logit", dtype=floatx())(x)
    structure = layers.Activation("sigmoid", name="structure", dtype=floatx())(x)
    opposite = layers.Rescaling(-1.0, name="logit_opposite", dtype=floatx())(x)
    # sigmoid(-x) is 1 - sigmoid(x) without the cancellation that would lose the small ones
    background = layers.Activation("sigmoid", name="background", dtype=floatx())(opposite)
    return layers.Concatenate(name="probabilities", dtype=floatx())([background, structure])


def check_input_shape(input_shape: tuple[int, int, int], divisor: int, model: str) -> None:
    """Refuses an input that the network's poolings do not divide.

    Raises:
        ValueError: names the nearest sizes that fit, or what is no whole number.
    """
    height, width, channels = input_shape
    if not all(isinstance(side, int) for side in input_shape):
        raise ValueError(f"`input_shape` of {model} must be three whole numbers. Received: {tuple(input_shape)}")
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
    """A layer's filters at a relative network width: multiples of 8, at least 8 (width 1 leaves them as they are).

    Raises:
        ValueError: a width that is not a positive number.
    """
    if width == 1:
        return filters
    if not isinstance(width, int | float) or not 0 < width < math.inf:
        raise ValueError(f"`width` must be a positive number. Received: {width}")
    return max(8, round(filters * width / 8) * 8)


def image_input(input_shape: tuple[int, int, int]) -> KerasTensor:
    """The network's input, named `image`: (N, h, w, channels)."""
    return keras.Input(input_shape, name="image")
