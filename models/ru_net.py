"""RU-Net: a U-Net1 that finds the heart, and another that segments what the first leaves of the frame."""

from collections.abc import Sequence

import keras
from keras import KerasTensor

from models.blocks import check_classes, check_input_shape, dilate, image_input
from models.unet1 import DIVISOR, unet1

DILATION = 1 / 32
"""Width of the rim that the dilation adds, in shares of the frame's shorter side: 8 pixels of 256."""


def ru_net(
    input_shape: tuple[int, int, int] = (256, 256, 1),
    *,
    classes: int = 4,
    width: float = 1.0,
    epicardium: Sequence[int] | None = None,
) -> keras.Model:
    """Two U-Net1 in a row: the first's epicardial mask, dilated, multiplies the frame that the second segments.

    Args:
        input_shape: (height, width, channels); height and width multiples of 32.
        classes: output channels, background included.
        width: relative number of filters; 1 is the paper's.
        epicardium: channels whose summed probability is the mask; None: all but the background. In the order LV, MYO,
            LA, (1, 2) is the paper's, and it hides most of the LA from the second network.

    Returns:
        Model (N, h, w, channels) → a dict, everything (N, h, w, classes) float32: `probabilities`, the second
        network's, and `first_probabilities`, the first's. Parameters: 3.96M (paper: 4M).

    Raises:
        ValueError: a size that 32 does not divide, fewer than two classes, a width that is not positive, `epicardium`
            with none, the background's or an unknown channel.

    Source: lu_net paper §IV-D item 2, after Leclerc et al. 2019 (IUS).
    ASSUMED: the mask is soft, so that the whole is trained end to end; the dilation is a square maximum, 17 pixels wide
    for a 256×256 frame; the mask is of every structure asked for, which are the paper's two in its own task. The
    first network's probabilities are given besides, and objectives judge them as the second's: nothing else makes its
    mask the heart's.
    """
    check_input_shape(input_shape, DIVISOR, "ru_net")
    check_classes(classes)
    channels = tuple(range(1, classes) if epicardium is None else epicardium)
    if not channels or not set(channels) <= set(range(1, classes)):
        raise ValueError(
            f"`epicardium` must be channels from 1 to {classes - 1} (of {classes} classes, without the background). "
            f"Received: {channels}"
        )
    first = _unet1("first", input_shape, classes, width)
    second = _unet1("second", input_shape, classes, width)
    image = image_input(input_shape)
    first_probabilities = first(image)
    mask = _sum_of_channels(first_probabilities, channels)
    mask = dilate(round(min(input_shape[:2]) * DILATION), name="mask")(mask)
    context = keras.layers.Multiply(name="context")([image, mask])
    return keras.Model(
        image, {"probabilities": second(context), "first_probabilities": first_probabilities}, name="ru_net"
    )


def _unet1(name: str, input_shape: tuple[int, int, int], classes: int, width: float) -> keras.Model:
    network = unet1(input_shape, classes=classes, width=width)
    return keras.Model(network.input, network.output, name=name)  # two parts of one name cannot be told apart


def _sum_of_channels(x: KerasTensor, channels: Sequence[int]) -> KerasTensor:
    """(N, h, w, C) → (N, h, w, 1)."""
    return keras.ops.sum(keras.ops.stack([x[..., channel] for channel in channels], axis=-1), axis=-1, keepdims=True)
