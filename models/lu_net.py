"""LU-Net: locate the left ventricle, crop to it, segment the crop; trained end to end."""

import keras

from models.blocks import check_input_shape, image_input
from models.boxes import crop, cropping_box, uncrop
from models.u_l2 import u_l2
from models.unet1 import DIVISOR, unet1


def lu_net(
    input_shape: tuple[int, int, int] = (256, 256, 1),
    *,
    classes: int = 4,
    width: float = 1.0,
    crop_height: int | None = None,
    crop_width: int | None = None,
    box_gradient: float | None = None,
) -> keras.Model:
    """U-L2 proposes a box; the frame cropped to it goes through an independent U-Net1, and the result comes back.

    Args:
        input_shape: (height, width, channels); height and width multiples of 32.
        classes: output channels, background included.
        width: relative number of filters and dense units; 1 is the paper's.
        crop_height: of the grid that the box is resampled onto, a multiple of 32; None: the input's.
        crop_width: as `crop_height`.
        box_gradient: share of the gradient at the box that the U-Net of the region proposal gets, see `u_l2`.

    Returns:
        Model (N, h, w, channels) → a dict, everything float32:
        `box` (N, 4) as proposed, shares of the frame, see `models.boxes`;
        `probabilities` (N, h, w, classes) of the second U-Net on the whole frame, background outside the box;
        `first_probabilities` (N, h, w, classes) of the U-Net of the region proposal;
        `crop_probabilities` (N, crop_height, crop_width, classes) of the second U-Net on the box's own grid.
        Parameters: 13.0M (paper: 13M).

    Raises:
        ValueError: a size that 32 does not divide, fewer than two classes, a width that is not positive, a share
            outside 0..1.

    Source: lu_net paper §III-B, §IV-D item 4, Fig. 1.
    ASSUMED: the crop's grid is the input's; the second U-Net sees the frame alone, not the first segmentation.
    What keeps the box from collapsing, from random weights and with both networks learning at once: it starts near the
    whole frame (`localisers.box_head`); what is cropped to never vanishes, turns over or leaves the frame
    (`boxes.cropping_box`), while the box loss judges the proposal itself; the cropped reference gives the box no
    gradient, so that it cannot make its own task easy (`objectives`); and the first U-Net gets `box_gradient` alone.
    """
    crop_size = (
        input_shape[0] if crop_height is None else crop_height,
        input_shape[1] if crop_width is None else crop_width,
    )
    check_input_shape(input_shape, DIVISOR, "lu_net")
    check_input_shape((*crop_size, input_shape[2]), DIVISOR, "lu_net (crop_height, crop_width)")
    inputs = image_input(input_shape)
    proposal = u_l2(input_shape, classes=classes, width=width, box_gradient=box_gradient)(inputs)
    box = cropping_box(proposal["box"])
    segment = unet1((*crop_size, input_shape[2]), classes=classes, width=width)
    inside = segment(crop(inputs, box, crop_size))
    return keras.Model(
        inputs,
        {
            "box": proposal["box"],
            "probabilities": uncrop(inside, box, input_shape[:2]),
            "first_probabilities": proposal["probabilities"],
            "crop_probabilities": inside,
        },
        name="lu_net",
    )
