"""U-L1: a box from the bottom of a U-Net1, the localiser that the LU-Net paper takes from Vigneault et al."""

import keras

from models.blocks import check_input_shape, convolution, scaled
from models.localisers import U_NET_HEAD_UNITS, box_head, gradient_share, pass_gradient
from models.unet1 import DIVISOR, unet1

REDUCED_FILTERS = 104


def u_l1(
    input_shape: tuple[int, int, int] = (256, 256, 1),
    *,
    classes: int = 4,
    width: float = 1.0,
    segmentation: bool = True,
    box_gradient: float | None = None,
) -> keras.Model:
    """U-Net1 whose bottom, 8×8 for a 256×256 frame, also leads to dense layers of 1024, 256, 32 and 4 (the box).

    Args:
        input_shape: (height, width, channels); height and width multiples of 32.
        classes: channels of the segmentation, background included.
        width: relative number of filters and dense units; 1 is the paper's.
        segmentation: give the U-Net's segmentation too (`mu` in the paper: both losses). Without it (`mo`) the decoder
            leads nowhere and is left out; `classes` then has no effect.
        box_gradient: share of the box loss's gradient that the U-Net gets, 0 to 1; None: 0.01 with segmentation, 1
            without.

    Returns:
        Model (N, h, w, channels) → {"box": (N, 4) shares of the frame, see `models.boxes`; "probabilities":
        (N, h, w, classes)}. Parameters: 9.1M (paper: 9M); without segmentation 8.0M.

    Raises:
        ValueError: a size that 32 does not divide, fewer than two classes, a width that is not positive, a share
            outside 0..1.

    Source: lu_net paper §IV-C item 3.
    ASSUMED: a 1×1 convolution reduces the bottom's 128 maps to 104 before the dense layers. Without it the count is
    10.65M; 104 is what the paper's 9M leaves. Deviation: `box_gradient`, 1 in the paper (`localisers.gradient_share`).
    Small data are learnt by heart here: on the phantom (64×64, a quarter of the filters, 20 epochs of 384 frames) the
    IOU was 0.70 with all of the gradient, 0.74 with a hundredth, 0.69 with none; 0.76 with three hundredths and random
    rotation, zoom and shift of the frames.
    """
    check_input_shape(input_shape, DIVISOR, "u_l1")
    unet = unet1(input_shape, classes=classes, width=width)
    bottom = pass_gradient(unet.get_layer("up_1").input, gradient_share(box_gradient, segmentation=segmentation))
    reduced = convolution(scaled(REDUCED_FILTERS, width), name="box_reduce", kernel_size=1)(bottom)
    outputs = {"box": box_head(reduced, U_NET_HEAD_UNITS, width=width)}
    if segmentation:
        outputs["probabilities"] = unet.output
    return keras.Model(unet.input, outputs, name="u_l1")
