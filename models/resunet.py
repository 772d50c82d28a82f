"""ResUNet: the U-shape of residual blocks, and what the improved ResUNet shares with it."""

from collections.abc import Callable

import keras
from keras import KerasTensor

from models.blocks import (
    Block,
    binary_probabilities,
    check_classes,
    check_input_shape,
    class_probabilities,
    image_input,
    keep_grid,
    residual_block,
    scaled,
    upsample_transposed,
)
from models.encoder_decoder import decode, encode

ENCODER_FILTERS = (64, 128, 256, 512, 1024)
DECODER_FILTERS = (512, 256, 128, 64)
DIVISOR = 2 ** (len(ENCODER_FILTERS) - 1)

EncoderLevel = Callable[[int, str, int], Block]
"""(filters, name, strides) → the block of one level on the way down."""
DecoderLevel = Callable[[int, str], Block]
"""(filters, name) → the block of one level on the way up."""


def resunet(input_shape: tuple[int, int, int] = (256, 256, 1), *, classes: int = 4, width: float = 1.0) -> keras.Model:
    """U-shape of residual blocks, 64 to 1024 filters; from the second on, a block halves the grid itself.

    Args:
        input_shape: (height, width, channels); height and width multiples of 16.
        classes: output channels, background included; with two, the network itself has one.
        width: relative number of filters; 1 is the paper's.

    Returns:
        Model (N, h, w, channels) → (N, h, w, classes) probabilities. Parameters: 43.6M (the paper states none).

    Raises:
        ValueError: a size that 16 does not divide, fewer than two classes, a width that is not positive.

    Source: improved_resunet paper, Table 2, "ResUNet": `improved_resunet` without what that paper adds.
    ASSUMED: the shapes of Table 1; what `residual_shape` says.
    """
    check_input_shape(input_shape, DIVISOR, "resunet")
    check_classes(classes)
    inputs = image_input(input_shape)
    outputs = residual_shape(
        inputs,
        encoder_level=lambda filters, name, strides: residual_block(filters, name=name, strides=strides),
        decoder_level=lambda filters, name: residual_block(filters, name=name),
        classes=classes,
        width=width,
    )
    return keras.Model(inputs, outputs, name="resunet")


def residual_shape(
    image: KerasTensor, *, encoder_level: EncoderLevel, decoder_level: DecoderLevel, classes: int, width: float
) -> KerasTensor:
    """The U-shape of Table 1 of the improved_resunet paper around the blocks given.

    Args:
        image: (N, h, w, channels).
        encoder_level: makes a block on the way down.
        decoder_level: makes a block on the way up.
        classes: output channels, background included.
        width: relative number of filters.

    Returns:
        Probabilities (N, h, w, classes).

    Source: improved_resunet paper, Table 1, Fig. 5.
    ASSUMED: a ×2 upsampling is a transposed convolution that halves the channels and is joined with its skip
    connection, which gives each ResBlock the input that the table lists; of a ResBlock's three 3×3 convolutions two
    are the main path and one the shortcut, and the grid is halved by the last of the main path and, as their sum needs
    it, the shortcut, where the table's strides are 1, 1, 2; with more than two classes a softmax in the place of the
    sigmoid.
    """
    features = encode(
        image,
        [encoder_level(scaled(f, width), f"encoder_{i}", 1 if i == 1 else 2) for i, f in enumerate(ENCODER_FILTERS, 1)],
        downsample=keep_grid,
    )
    heights = decode(
        features,
        [decoder_level(scaled(f, width), f"decoder_{i}") for i, f in enumerate(DECODER_FILTERS, 1)],
        upsample=upsample_transposed,
    )
    return binary_probabilities(heights[-1]) if classes == 2 else class_probabilities(heights[-1], classes)
