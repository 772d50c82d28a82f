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

    What makes it stable, from random weights and with both networks learning at once (the phantom, 64×64, a quarter of
    the filters, one seed; IOU and LV Dice after 12 epochs of 384 frames; the mean box alone has an IOU of 0.69):
    - the box loss, ten times, decides the box: 0.77 and 0.90 as it is. The crop's loss reaches the box too, through the
      image, as in the paper; without that path 0.77 and 0.91, so it neither helps nor harms here;
    - the cropped reference gives the box no gradient (`objectives`). With it 0.76 and 0.90; but where the box loss
      weighs 0.1 instead of 10, 0.59 against 0.67 after 8 epochs: the box then seeks what is easy to segment;
    - the first U-Net gets a hundredth of the box's gradient (`box_gradient`). With all of it 0.69 after 8 epochs, the
      mean box, and the first segmentation does not begin (LV 0.12); with a hundredth 0.74 (LV 0.82);
    - what is cropped to never vanishes, turns over or leaves the frame (`boxes.cropping_box`), while the box loss
      judges the proposal itself. So even a box that starts as nothing, (0, 0, 0, 0), grows to the same 0.74 after 8
      epochs; it starts near the whole frame all the same (`localisers.box_head`).
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
