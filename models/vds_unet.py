"""VDS-UNet: VGG16 encoder, transposed convolutions, deep supervision."""

import keras

from models.blocks import (
    check_classes,
    check_input_shape,
    class_probabilities,
    conv_block,
    image_input,
    scaled,
    upsample_transposed,
)
from models.encoder_decoder import decode, encode, every_height
from models.unet_vgg16 import DECODER_FILTERS, DIVISOR, vgg16_levels


def vds_unet(input_shape: tuple[int, int, int] = (256, 256, 1), *, classes: int = 4, width: float = 1.0) -> keras.Model:
    """VGG16's convolutions as encoder (named `block1_conv1`, …), and an output fused from all heights of the way up.

    Each step up: a transposed convolution that halves the channels, the skip connection, two 3×3 convolutions. A 1×1
    convolution maps each height to the classes; upsampled and side by side, another 1×1 convolution fuses them.

    Args:
        input_shape: (height, width, channels); height and width multiples of 32.
        classes: output channels, background included.
        width: relative number of filters; 1 is VGG16's.

    Returns:
        Model (N, h, w, channels) → (N, h, w, classes) probabilities. Parameters: 23.7M (the paper states none).

    Raises:
        ValueError: a size that 32 does not divide, fewer than two classes, a width that is not positive.

    Source: vds_unet paper §2.2, Fig. 2.
    ASSUMED: encoder, bottom and decoder filters (256-128-64-32-16, halved at each step) as in `unet_vgg16`, so that
    Table 4 compares like with like; its bottom is the convolution module that §2.2.2 adds; "same" padding, where the
    text says "fillless", which would shrink the map; batch normalisation on the way up and none on the way down, as
    there; nearest-neighbour upsampling of the coarser heights; labels act on the fused output alone, as §2.3 has one
    loss.
    """
    check_input_shape(input_shape, DIVISOR, "vds_unet")
    check_classes(classes)
    inputs = image_input(input_shape)
    heights = decode(
        encode(inputs, vgg16_levels(width)),
        [conv_block(scaled(f, width), name=f"decoder_{i}") for i, f in enumerate(DECODER_FILTERS, 1)],
        upsample=upsample_transposed,
    )
    return keras.Model(inputs, class_probabilities(every_height(heights, classes), classes), name="vds_unet")
