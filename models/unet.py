"""U-Net as Ronneberger et al. drew it: what the other papers compare theirs with."""

import keras
from keras import KerasTensor

from models.blocks import (
    check_classes,
    check_input_shape,
    class_probabilities,
    conv_block,
    image_input,
    scaled,
    upsample_transposed,
)
from models.encoder_decoder import decode, encode

ENCODER_FILTERS = (64, 128, 256, 512, 1024)
DECODER_FILTERS = (512, 256, 128, 64)
DIVISOR = 2 ** (len(ENCODER_FILTERS) - 1)


def unet(input_shape: tuple[int, int, int] = (256, 256, 1), *, classes: int = 4, width: float = 1.0) -> keras.Model:
    """U-Net with five levels of two 3×3 convolutions, 64 to 1024 filters, and transposed convolutions on the way up.

    Args:
        input_shape: (height, width, channels); height and width multiples of 16.
        classes: output channels, background included.
        width: relative number of filters; 1 is the paper's.

    Returns:
        Model (N, h, w, channels) → (N, h, w, classes) probabilities. Parameters: 31.0M (the papers state none).

    Raises:
        ValueError: a size that 16 does not divide, fewer than two classes, a width that is not positive.

    Source: Ronneberger et al. 2015, named by the vds_unet paper (§2.2.1, Table 4) and the improved_resunet paper
    (Table 2).
    ASSUMED: "same" padding, so that every pixel gets a class; batch normalisation before each ReLU, without which a
    network this deep does not learn reliably at the first paper's learning rate of 1e-3.
    """
    check_input_shape(input_shape, DIVISOR, "unet")
    check_classes(classes)
    inputs = image_input(input_shape)
    heights = unet_heights(inputs, width)
    return keras.Model(inputs, class_probabilities(heights[-1], classes), name="unet")


def unet_heights(image: KerasTensor, width: float) -> list[KerasTensor]:
    """The U-Net without its last convolution: the tensor after each step up, coarsest first."""
    features = encode(
        image, [conv_block(scaled(f, width), name=f"encoder_{i}") for i, f in enumerate(ENCODER_FILTERS, 1)]
    )
    return decode(
        features,
        [conv_block(scaled(f, width), name=f"decoder_{i}") for i, f in enumerate(DECODER_FILTERS, 1)],
        upsample=upsample_transposed,
    )
