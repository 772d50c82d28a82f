"""The candidates of benchmarks.cart_networks as Keras networks, and how one becomes a TFLite model."""

import math
from collections.abc import Callable, Iterator, Sequence

import keras
import numpy as np
import tensorflow as tf
from keras import KerasTensor, layers, ops

import models
from benchmarks.cart_networks import CANDIDATES, SIDE
from export.graph import NetworkGraph
from models.blocks import (
    Block,
    class_probabilities,
    class_probabilities_of_half_the_grid,
    conv_block,
    convolution,
    image_input,
    in_turn,
    normalised_convolution,
    relu,
    upsample_depth_to_space,
    upsample_nearest,
    upsample_transposed,
)
from models.encoder_decoder import decode, encode
from models.layers import BatchNormalization

CLASSES = 4
CALIBRATION_FRAMES = 2
ENCODER, DECODER = (16, 32, 64, 64, 64), (64, 64, 32, 16)

Level = Callable[[int, str], Block]
"""Makes the block of a level from its maps and its name."""

End = Callable[[KerasTensor, int], KerasTensor]
"""The finest features and the number of classes → probabilities on the frame's own grid."""


def two_convolutions(maps: int, name: str) -> Block:
    return conv_block(maps, name=name)


def one_convolution(maps: int, name: str) -> Block:
    return conv_block(maps, name=name, convolutions=1)


def depthwise(name: str) -> Block:
    """A 3×3 kernel for each map, batch normalisation, ReLU."""
    return in_turn(
        layers.DepthwiseConv2D(3, padding="same", use_bias=False, name=name),
        BatchNormalization(name=f"{name}_bn"),
        layers.Activation("relu", name=f"{name}_relu"),
    )


def two_separable(maps: int, name: str) -> Block:
    """Twice a depthwise and a 1×1 convolution. Source: Howard et al. 2017 (MobileNet)."""
    return in_turn(
        *(
            in_turn(depthwise(f"{name}_depth{i}"), convolution(maps, name=f"{name}_point{i}", kernel_size=1))
            for i in (1, 2)
        )
    )


def inverted_residual(maps: int, name: str) -> Block:
    """1×1 to four times the maps, depthwise, 1×1 back without activation. Source: Sandler et al. 2018 (MobileNetV2)."""

    def apply(x: KerasTensor) -> KerasTensor:
        inner = in_turn(
            convolution(4 * x.shape[-1], name=f"{name}_widen", kernel_size=1),
            depthwise(f"{name}_depth"),
            normalised_convolution(maps, name=f"{name}_narrow", kernel_size=1),
        )(x)
        return layers.Add(name=f"{name}_sum")([x, inner]) if x.shape[-1] == maps else inner

    return apply


def upsample_bilinear(name: str) -> Block:
    return layers.UpSampling2D(2, interpolation="bilinear", name=name)


def end_transposed(x: KerasTensor, classes: int) -> KerasTensor:
    return layers.Softmax()(layers.Conv2DTranspose(classes, 2, 2)(x))


def end_depth_to_space(x: KerasTensor, classes: int) -> KerasTensor:
    return layers.Softmax()(ops.depth_to_space(layers.Conv2D(4 * classes, 1)(x), 2))


def end_resized_logits(x: KerasTensor, classes: int) -> KerasTensor:
    return layers.Softmax()(layers.UpSampling2D(2, interpolation="bilinear")(layers.Conv2D(classes, 1)(x)))


def on_half_grid(
    *,
    level: Level = two_convolutions,
    encoder: Sequence[int] = ENCODER,
    decoder: Sequence[int] = DECODER,
    level_up: Level | None = None,
    upsample: Callable[[str], Block] = upsample_nearest,
    end: End = end_transposed,
) -> keras.Model:
    """A U on half the frame's grid, behind a 3×3 convolution of stride 2 with as many maps as its finest level."""
    inputs = image_input((SIDE, SIDE, 1))
    x = normalised_convolution(encoder[0], name="stem", strides=2, activation=relu)(inputs)
    features = encode(x, [level(maps, f"encoder_{i}") for i, maps in enumerate(encoder, 1)])
    up = [(level_up or level)(maps, f"decoder_{i}") for i, maps in enumerate(decoder, 1)]
    outputs = decode(features, up, upsample=upsample)
    return keras.Model(inputs, end(outputs[-1], CLASSES))


BUILDERS: dict[str, Callable[[], keras.Model]] = {
    "unet1": lambda: models.build("unet1"),
    "unet1-half": lambda: models.build("unet1", width=0.5),
    "half-grid": on_half_grid,
    "half-grid-full-step": lambda: on_half_grid(
        decoder=(*DECODER, 8), level_up=one_convolution, end=class_probabilities
    ),
    "half-grid-one": lambda: on_half_grid(level=one_convolution),
    "half-grid-separable": lambda: on_half_grid(
        level=two_separable, encoder=(16, 32, 64, 128, 128), decoder=(128, 64, 32, 16)
    ),
    "half-grid-inverted": lambda: on_half_grid(
        level=inverted_residual, encoder=(16, 24, 32, 48, 64), decoder=(48, 32, 24, 16)
    ),
    "end-depth-to-space": lambda: on_half_grid(end=end_depth_to_space),
    "end-resized-logits": lambda: on_half_grid(end=end_resized_logits),
    "end-resized": lambda: on_half_grid(end=class_probabilities_of_half_the_grid),
    "up-bilinear": lambda: on_half_grid(upsample=upsample_bilinear, end=class_probabilities_of_half_the_grid),
    "up-transposed": lambda: on_half_grid(upsample=upsample_transposed, end=class_probabilities_of_half_the_grid),
    "up-depth-to-space": lambda: on_half_grid(
        upsample=upsample_depth_to_space, end=class_probabilities_of_half_the_grid
    ),
    "finest-24": lambda: on_half_grid(
        encoder=(24, 48, 64, 64, 64),
        decoder=(64, 64, 48, 24),
        upsample=upsample_depth_to_space,
        end=class_probabilities_of_half_the_grid,
    ),
    "finest-32": lambda: on_half_grid(
        encoder=(32, 32, 64, 64, 64),
        decoder=(64, 64, 32, 32),
        upsample=upsample_depth_to_space,
        end=class_probabilities_of_half_the_grid,
    ),
    "deep-one": lambda: on_half_grid(
        level=one_convolution,
        encoder=(16, 32, 64, 96, 96),
        decoder=(96, 64, 32, 16),
        upsample=upsample_depth_to_space,
        end=class_probabilities_of_half_the_grid,
    ),
    "cart_unet": lambda: models.build("cart_unet"),
}
assert list(BUILDERS) == list(CANDIDATES)


def build_candidate(name: str) -> keras.Model:
    """The candidate with random weights, for 256 × 256 frames and four classes."""
    keras.backend.clear_session()
    return BUILDERS[name]()


def convert(network: keras.Model) -> bytes:
    """A TFLite model in 8-bit integers, kernels scaled by channel, that takes and gives float32."""

    def frames() -> Iterator[list[np.ndarray]]:
        chance = np.random.default_rng(0)
        for _ in range(CALIBRATION_FRAMES):
            yield [chance.random((1, SIDE, SIDE, 1), dtype=np.float32)]

    graph = NetworkGraph(network, batch=1)
    converter = tf.lite.TFLiteConverter.from_concrete_functions([graph.function.get_concrete_function()], graph)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = frames
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    return converter.convert()


def multiplications(network: keras.Model) -> int:
    """Of the network's convolutions, for one frame."""
    total = 0
    for layer in network.layers:
        if isinstance(layer, layers.Conv2D | layers.DepthwiseConv2D | layers.Conv2DTranspose):
            grid = layer.input.shape if isinstance(layer, layers.Conv2DTranspose) else layer.output.shape
            total += math.prod(grid[1:3]) * math.prod(layer.kernel.shape)
    return total
