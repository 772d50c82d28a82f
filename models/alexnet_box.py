"""The AlexNet-like localiser of the LU-Net paper."""

import keras
from keras import layers

from models.blocks import check_classes, check_input_shape, convolution, image_input, scaled
from models.localisers import CLASSIC_HEAD_UNITS, box_head

DIVISOR = 32
MINIMUM_SIDE = 64


def alexnet_box(
    input_shape: tuple[int, int, int] = (256, 256, 1), *, classes: int = 4, width: float = 1.0
) -> keras.Model:
    """AlexNet's five convolutions and three dense layers of 4096, 4096 and 4 units, the last of which is the box.

    Args:
        input_shape: (height, width, channels); height and width multiples of 32, at least 64.
        classes: taken as every builder takes it; a localiser without segmentation has no use for it.
        width: relative number of filters and dense units; 1 is the paper's.

    Returns:
        Model (N, h, w, channels) → {"box": (N, 4) shares of the frame, see `models.boxes`}. Parameters: 71.9M (paper:
        71M).

    Raises:
        ValueError: a size that 32 does not divide or below 64, fewer than two classes, a width that is not positive.

    Source: lu_net paper §IV-C item 1, after Krizhevsky et al. 2012: no dropout, one dense layer of 4 units at the end.
    ASSUMED: the convolutions pad ("same") and the 3×3 poolings of stride 2 do not, so that a 256×256 frame ends at
    7×7×256, which gives the paper's count; neither groups nor local response normalisation.
    """
    check_input_shape(input_shape, DIVISOR, "alexnet_box")
    check_classes(classes)
    if min(input_shape[:2]) < MINIMUM_SIDE:
        nearest = tuple(max(side, MINIMUM_SIDE) for side in input_shape[:2])
        raise ValueError(
            f"`input_shape` of alexnet_box must have a height and width of at least {MINIMUM_SIDE}; "
            f"nearest: ({nearest[0]}, {nearest[1]}, {input_shape[2]}). Received: {tuple(input_shape)}"
        )
    inputs = image_input(input_shape)
    x = layers.Conv2D(
        scaled(96, width), 11, 4, padding="same", activation="relu", kernel_initializer="he_normal", name="conv1"
    )(inputs)
    x = layers.MaxPooling2D(3, 2, name="pool1")(x)
    x = convolution(scaled(256, width), name="conv2", kernel_size=5, batch_norm=False)(x)
    x = layers.MaxPooling2D(3, 2, name="pool2")(x)
    for name, filters in (("conv3", 384), ("conv4", 384), ("conv5", 256)):
        x = convolution(scaled(filters, width), name=name, batch_norm=False)(x)
    x = layers.MaxPooling2D(3, 2, name="pool5")(x)
    return keras.Model(inputs, {"box": box_head(x, CLASSIC_HEAD_UNITS, width=width)}, name="alexnet_box")
