"""U-L2: a box from the segmentation of a U-Net1, the LU-Net paper's own localiser."""

import keras

from models.blocks import check_input_shape, conv_block, max_pool, scaled
from models.encoder_decoder import encode
from models.localisers import U_NET_HEAD_UNITS, box_head, gradient_share, pass_gradient
from models.unet1 import DIVISOR, ENCODER_FILTERS, unet1


def u_l2(
    input_shape: tuple[int, int, int] = (256, 256, 1),
    *,
    classes: int = 4,
    width: float = 1.0,
    segmentation: bool = True,
    box_gradient: float | None = None,
) -> keras.Model:
    """U-Net1 whose output goes down a branch to 8×8 and to dense layers of 1024, 256, 32 and 4 (the box).

    Args:
        input_shape: (height, width, channels); height and width multiples of 32.
        classes: channels of the segmentation, background included.
        width: relative number of filters and dense units; 1 is the paper's.
        segmentation: give the U-Net's output too (`mu` in the paper: both losses). Without it (`mo`) the network has
            the same weights, and what the U-Net draws is up to the box loss.
        box_gradient: share of the box loss's gradient that the U-Net gets, 0 to 1; None: 0.01 with segmentation, 1
            without.

    Returns:
        Model (N, h, w, channels) → {"box": (N, 4) shares of the frame, see `models.boxes`; "probabilities":
        (N, h, w, classes)}. Parameters: 11.0M (paper: 11M).

    Raises:
        ValueError: a size that 32 does not divide, fewer than two classes, a width that is not positive, a share
            outside 0..1.

    Source: lu_net paper §IV-C item 4, Fig. 1.
    ASSUMED: the output that the branch takes is the probabilities; the branch is one 3×3 convolution with batch
    normalisation a level, with the filters of U-Net1's encoder, and 2×2 poolings between them.
    Deviation: `box_gradient`, 1 in the paper (`localisers.gradient_share`). With all of the box's gradient the
    segmentation hardly begins and the box stays the mean one: on the phantom (64×64, a quarter of the filters, 20
    epochs of 384 frames) LV Dice and IOU were 0.13 and 0.70 with 1 (12 epochs), 0.84 and 0.73 with 0.03, 0.87 and 0.75
    with 0.01, the same with 0.
    """
    check_input_shape(input_shape, DIVISOR, "u_l2")
    unet = unet1(input_shape, classes=classes, width=width)
    branch = encode(
        pass_gradient(unet.output, gradient_share(box_gradient, segmentation=segmentation)),
        [
            conv_block(scaled(filters, width), name=f"branch_{i}", convolutions=1)
            for i, filters in enumerate(ENCODER_FILTERS, 1)
        ],
        downsample=lambda name: max_pool(f"branch_{name}"),
    )
    outputs = {"box": box_head(branch[-1], U_NET_HEAD_UNITS, width=width)}
    if segmentation:
        outputs["probabilities"] = unet.output
    return keras.Model(unet.input, outputs, name="u_l2")
