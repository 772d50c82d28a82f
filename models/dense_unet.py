"""Dense U-Net for short-axis cine MR: skip connections through dense blocks, and a way up of few maps."""

from collections.abc import Mapping

import keras

from models.blocks import (
    check_classes,
    check_input_shape,
    class_probabilities,
    conv_block,
    dense_skip,
    image_input,
    scaled,
    upsample_to,
)
from models.encoder_decoder import decode, encode

ENCODER_FILTERS = (48, 96, 192, 384, 768)
DECODER_FILTERS = (384, 192, 96, 48)
DENSE_LAYERS: Mapping[str, int] = {"skip_1": 1, "skip_2": 2, "skip_3": 3, "skip_4": 4}
"""Skip connection, coarsest first → layers of its dense block. ASSUMED: more where more must be bridged."""
GROWTH = 16
"""Maps that each layer of a dense block adds. ASSUMED."""
DIVISOR = 2 ** (len(ENCODER_FILTERS) - 1)


def dense_unet(
    input_shape: tuple[int, int, int] = (176, 176, 1), *, classes: int = 4, width: float = 1.0
) -> keras.Model:
    """U-Net with five levels of two 3×3 convolutions, 48 to 768 filters, and a dense block on each skip connection.

    Each step up: a 4×4 transposed convolution of stride 2 with as many maps as there are classes, joined with its skip
    connection, then two 3×3 convolutions.

    Args:
        input_shape: (height, width, channels); height and width multiples of 16.
        classes: output channels, background included.
        width: relative number of filters; 1 is the paper's.

    Returns:
        Model (N, h, w, channels) → (N, h, w, classes) probabilities. Parameters: 14.6M (the paper states none).

    Raises:
        ValueError: a size that 16 does not divide, fewer than two classes, a width that is not positive.

    Source: cmr_dense_unet paper §2.2.
    ASSUMED: filters double from 48 to 768 and halve on the way up (the paper has the first and the last); "same"
    padding; a dense block's layers (1 to 4, more on the finer grids, whose features lie furthest apart) and growth of
    16 maps; it hands on its input with all it added; no activation after a transposed convolution.
    """
    check_input_shape(input_shape, DIVISOR, "dense_unet")
    check_classes(classes)
    inputs = image_input(input_shape)
    features = encode(
        inputs, [conv_block(scaled(f, width), name=f"encoder_{i}") for i, f in enumerate(ENCODER_FILTERS, 1)]
    )
    heights = decode(
        features,
        [conv_block(scaled(f, width), name=f"decoder_{i}") for i, f in enumerate(DECODER_FILTERS, 1)],
        upsample=lambda name: upsample_to(classes, name=name),
        skip=lambda name: dense_skip(DENSE_LAYERS[name], scaled(GROWTH, width), name=name),
    )
    return keras.Model(inputs, class_probabilities(heights[-1], classes), name="dense_unet")
