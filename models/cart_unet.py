"""The network made for the cart: a small U-Net that halves the frame before it looks at it."""

import keras

from models.blocks import (
    check_classes,
    check_input_shape,
    class_probabilities_of_half_the_grid,
    conv_block,
    image_input,
    normalised_convolution,
    relu,
    scaled,
    upsample_depth_to_space,
)
from models.encoder_decoder import decode, encode

ENCODER_FILTERS = (16, 48, 64, 64, 64)
DECODER_FILTERS = (64, 64, 48, 16)
DIVISOR = 2 ** len(ENCODER_FILTERS)


def cart_unet(
    input_shape: tuple[int, int, int] = (256, 256, 1), *, classes: int = 4, width: float = 1.0
) -> keras.Model:
    """U-Net of five levels on half the frame's grid, of plain 3×3 convolutions, its answer on the whole grid.

    A 3×3 convolution of stride 2 brings the frame to half its grid, where all work is done. On the way up a pixel's
    channels are dealt to the four that it covers. The softmax is taken on half the grid, and its probabilities are
    brought to the whole one. What this costs and what other ways cost on the cart was measured: docs/cart_unet.md.

    Args:
        input_shape: (height, width, channels); height and width multiples of 32.
        classes: output channels, background included.
        width: relative number of filters.

    Returns:
        Model (N, h, w, channels) → (N, h, w, classes) probabilities. Parameters: 0.47M (the papers state none).

    Raises:
        ValueError: a size that 32 does not divide, fewer than two classes, a width that is not positive.

    Source: none, the project's own. What it is taught with, deep supervision and a teacher, is not in it: `train.py`
    adds it and takes it away (recipe `cart`).
    """
    check_input_shape(input_shape, DIVISOR, "cart_unet")
    check_classes(classes)
    inputs = image_input(input_shape)
    encoder = [conv_block(scaled(filters, width), name=f"encoder_{i}") for i, filters in enumerate(ENCODER_FILTERS, 1)]
    decoder = [conv_block(scaled(filters, width), name=f"decoder_{i}") for i, filters in enumerate(DECODER_FILTERS, 1)]
    stem = normalised_convolution(scaled(ENCODER_FILTERS[0], width), name="stem", strides=2, activation=relu)
    outputs = decode(encode(stem(inputs), encoder), decoder, upsample=upsample_depth_to_space)
    return keras.Model(inputs, class_probabilities_of_half_the_grid(outputs[-1], classes), name="cart_unet")
