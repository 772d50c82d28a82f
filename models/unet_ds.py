"""U-Net with deep supervision: one of the networks that the VDS-UNet paper compares with."""

import keras

from models.blocks import check_classes, check_input_shape, class_probabilities, image_input
from models.encoder_decoder import every_height
from models.unet import DIVISOR, unet_heights


def unet_ds(input_shape: tuple[int, int, int] = (256, 256, 1), *, classes: int = 4, width: float = 1.0) -> keras.Model:
    """`unet` whose output is fused from all heights of its way up.

    Args:
        input_shape: (height, width, channels); height and width multiples of 16.
        classes: output channels, background included.
        width: relative number of filters; 1 is the paper's.

    Returns:
        Model (N, h, w, channels) → (N, h, w, classes) probabilities. Parameters: 31.1M (the paper states none).

    Raises:
        ValueError: a size that 16 does not divide, fewer than two classes, a width that is not positive.

    Source: vds_unet paper §4.2, Table 4, "UNet(ds)"; deep supervision as in `vds_unet`.
    ASSUMED: as `unet` and, of the deep supervision, `vds_unet`.
    """
    check_input_shape(input_shape, DIVISOR, "unet_ds")
    check_classes(classes)
    inputs = image_input(input_shape)
    heights = unet_heights(inputs, width)
    return keras.Model(inputs, class_probabilities(every_height(heights, classes), classes), name="unet_ds")
