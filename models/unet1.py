"""U-Net1: the light U-Net of Leclerc et al., the baseline of the LU-Net paper."""

import keras

from models.blocks import check_classes, check_input_shape, class_probabilities, conv_block, image_input, scaled
from models.encoder_decoder import decode, encode

ENCODER_FILTERS = (32, 32, 64, 128, 128, 128)
DECODER_FILTERS = (128, 128, 64, 32, 16)
DIVISOR = 2 ** (len(ENCODER_FILTERS) - 1)


def unet1(input_shape: tuple[int, int, int] = (256, 256, 1), *, classes: int = 4, width: float = 1.0) -> keras.Model:
    """U-Net with six levels of two 3×3 convolutions, down to 8×8 for a 256×256 frame.

    Args:
        input_shape: (height, width, channels); height and width multiples of 32.
        classes: output channels, background included.
        width: relative number of filters; 1 is the paper's.

    Returns:
        Model (N, h, w, channels) → (N, h, w, classes) probabilities. Parameters: 1.98M (paper: 2M).

    Raises:
        ValueError: a size that 32 does not divide, fewer than two classes, a width that is not positive.

    Source: lu_net paper §IV-D item 1, after Leclerc et al. 2019: levels 32-32-64-128-128-128, decoder
    128-128-64-32-16, nearest-neighbour upsampling.
    ASSUMED: batch normalisation before each ReLU, which the paper leaves open.
    """
    check_input_shape(input_shape, DIVISOR, "unet1")
    check_classes(classes)
    inputs = image_input(input_shape)
    features = encode(
        inputs, [conv_block(scaled(f, width), name=f"encoder_{i}") for i, f in enumerate(ENCODER_FILTERS, 1)]
    )
    outputs = decode(
        features, [conv_block(scaled(f, width), name=f"decoder_{i}") for i, f in enumerate(DECODER_FILTERS, 1)]
    )
    return keras.Model(inputs, class_probabilities(outputs[-1], classes), name="unet1")
