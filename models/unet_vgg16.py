"""U-Net with the VGG16 convolutions as encoder: the network of the hinge-point paper."""

import keras

from models.blocks import Block, check_classes, check_input_shape, class_probabilities, conv_block, image_input, scaled
from models.encoder_decoder import decode, encode

VGG16_BLOCKS = ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3))
"""(filters, convolutions) of each block of VGG16."""
DECODER_FILTERS = (256, 128, 64, 32, 16)
DIVISOR = 2 ** len(VGG16_BLOCKS)


def unet_vgg16(
    input_shape: tuple[int, int, int] = (256, 256, 1), *, classes: int = 4, width: float = 1.0
) -> keras.Model:
    """U-Net whose way down is VGG16's thirteen convolutions, named as in Keras applications (`block1_conv1`, …).

    Args:
        input_shape: (height, width, channels); height and width multiples of 32.
        classes: output channels, background included.
        width: relative number of filters; 1 is VGG16's.

    Returns:
        Model (N, h, w, channels) → (N, h, w, classes) probabilities. Parameters: 23.8M (the paper states none).

    Raises:
        ValueError: a size that 32 does not divide, fewer than two classes, a width that is not positive.

    Source: hinge_points paper §3.2 (U-Net with the VGG16 backbone).
    ASSUMED: 256×256 grey input; the bottom is two 3×3 convolutions of 512 after the fifth pooling; decoder
    256-128-64-32-16 with nearest-neighbour upsampling and batch normalisation (the common U-Net-VGG16 of the time);
    the encoder, as VGG16, has no batch normalisation; He initialisation, without which thirteen plain convolutions
    do not learn at the paper's learning rate.
    """
    check_input_shape(input_shape, DIVISOR, "unet_vgg16")
    check_classes(classes)
    inputs = image_input(input_shape)
    features = encode(inputs, vgg16_levels(width))
    outputs = decode(
        features, [conv_block(scaled(f, width), name=f"decoder_{i}") for i, f in enumerate(DECODER_FILTERS, 1)]
    )
    return keras.Model(inputs, class_probabilities(outputs[-1], classes), name="unet_vgg16")


def vgg16_levels(width: float) -> list[Block]:
    """The five blocks of VGG16 and the bottom after its last pooling, finest first."""
    encoder = [
        conv_block(scaled(filters, width), name=f"block{i}", convolutions=n, batch_norm=False)
        for i, (filters, n) in enumerate(VGG16_BLOCKS, 1)
    ]
    return [*encoder, conv_block(scaled(VGG16_BLOCKS[-1][0], width), name="bottom")]
