"""The VGG19-like localiser of the LU-Net paper."""

import keras
from keras import layers

from models.blocks import check_classes, check_input_shape, conv_block, image_input, scaled
from models.encoder_decoder import encode
from models.localisers import CLASSIC_HEAD_UNITS, box_head

VGG19_BLOCKS = ((64, 2), (128, 2), (256, 4), (512, 4), (512, 4))
"""(filters, convolutions) of each block of VGG19."""
DIVISOR = 2 ** len(VGG19_BLOCKS)


def vgg19_box(
    input_shape: tuple[int, int, int] = (256, 256, 1), *, classes: int = 4, width: float = 1.0
) -> keras.Model:
    """VGG19's sixteen convolutions, named as in Keras applications, and dense layers of 4096, 4096 and 4 (the box).

    Args:
        input_shape: (height, width, channels); height and width multiples of 32.
        classes: taken as every builder takes it; a localiser without segmentation has no use for it.
        width: relative number of filters and dense units; 1 is the paper's.

    Returns:
        Model (N, h, w, channels) → {"box": (N, 4) shares of the frame, see `models.boxes`}. Parameters: 70.4M (paper:
        70M).

    Raises:
        ValueError: a size that 32 does not divide, fewer than two classes, a width that is not positive.

    Source: lu_net paper §IV-C item 2, after Simonyan and Zisserman 2014.
    ASSUMED: a sixth pooling before the dense layers, so that a 256×256 frame ends at 4×4×512, which gives the paper's
    count (with five it would be 171M); no batch normalisation, as in VGG19; He initialisation.
    """
    check_input_shape(input_shape, DIVISOR, "vgg19_box")
    check_classes(classes)
    inputs = image_input(input_shape)
    features = encode(
        inputs,
        [
            conv_block(scaled(filters, width), name=f"block{i}", convolutions=n, batch_norm=False)
            for i, (filters, n) in enumerate(VGG19_BLOCKS, 1)
        ],
    )
    x = layers.MaxPooling2D(2, name="down_5")(features[-1])
    x = layers.MaxPooling2D(2, padding="same", name="down_6")(x)  # "same": takes a side of 1 or 3 too
    return keras.Model(inputs, {"box": box_head(x, CLASSIC_HEAD_UNITS, width=width)}, name="vgg19_box")
