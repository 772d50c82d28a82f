"""AG-U-Net: U-Net1 with attention gates on its skip connections and deep supervision."""

import keras

from models.blocks import (
    attention_gate,
    check_classes,
    check_input_shape,
    class_probabilities,
    conv_block,
    image_input,
    scaled,
)
from models.encoder_decoder import decode, encode, every_height
from models.unet1 import DECODER_FILTERS, DIVISOR, ENCODER_FILTERS


def ag_unet(input_shape: tuple[int, int, int] = (256, 256, 1), *, classes: int = 4, width: float = 1.0) -> keras.Model:
    """U-Net1's shape; the decoder weights each skip connection place by place, and all its heights make the output.

    Args:
        input_shape: (height, width, channels); height and width multiples of 32.
        classes: output channels, background included.
        width: relative number of filters; 1 is the paper's.

    Returns:
        Model (N, h, w, channels) → (N, h, w, classes) probabilities. Parameters: 2.03M (paper: 2M).

    Raises:
        ValueError: a size that 32 does not divide, fewer than two classes, a width that is not positive.

    Source: lu_net paper §IV-D item 3, after Oktay et al. 2018.
    ASSUMED: the levels and batch normalisation of `unet1`; "the feature maps produced after each attention layer" are
    those of the decoder heights, each mapped to the classes by a 1×1 convolution, as in Oktay's own code; the coarser
    ones are upsampled to the nearest neighbour.
    """
    check_input_shape(input_shape, DIVISOR, "ag_unet")
    check_classes(classes)
    inputs = image_input(input_shape)
    features = encode(
        inputs, [conv_block(scaled(f, width), name=f"encoder_{i}") for i, f in enumerate(ENCODER_FILTERS, 1)]
    )
    heights = decode(
        features,
        [conv_block(scaled(f, width), name=f"decoder_{i}") for i, f in enumerate(DECODER_FILTERS, 1)],
        skip=attention_gate,
    )
    return keras.Model(inputs, class_probabilities(every_height(heights, classes), classes), name="ag_unet")
