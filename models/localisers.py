"""What the localisers share: from feature maps to a box."""

from collections.abc import Sequence

import keras
from keras import KerasTensor, layers, ops
from keras.config import floatx

from models.blocks import scaled
from models.boxes import WHOLE_FRAME

U_NET_HEAD_UNITS = (1024, 256, 32)
"""Dense units of U-L1 and U-L2 before the four of the box. Source: lu_net paper §IV-C items 3 and 4."""
CLASSIC_HEAD_UNITS = (4096, 4096)
"""Dense units of the AlexNet-like and VGG19-like localisers. Source: lu_net paper §IV-C items 1 and 2."""

LEAST_UNITS = 32
"""However narrow the network: the paper's own number of units before the box."""
BOX_GRADIENT = 0.01
"""Share of the box loss's gradient that a U-Net gets beside its segmentation loss. Ours: see `gradient_share`."""


def box_head(x: KerasTensor, units: Sequence[int], *, width: float = 1.0) -> KerasTensor:
    """Dense layers with ReLU (`box_dense_1`, …) and the four edges of a box (`box`).

    Args:
        x: (N, h, w, C).
        units: of each dense layer before the last.
        width: relative number of units; a layer keeps its own where it has 32 or fewer, and 32 otherwise: with fewer a
            ReLU layer lets too little of the box through.

    Returns:
        (N, 4) float32: (row_min, row_max, col_min, col_max), shares of the frame, as in `models.boxes`. Unbounded.

    Source: lu_net paper §IV-C. ASSUMED: He initialisation; the box starts near the whole frame, so that the first
    crops are of something and the box loss, clipped at 0.99 an edge, has a gradient at every edge from the first step.
    """
    x = layers.Flatten(name="box_flatten")(x)
    for i, count in enumerate(units, 1):
        x = layers.Dense(
            max(scaled(count, width), min(count, LEAST_UNITS)),
            activation="relu",
            kernel_initializer="he_normal",
            name=f"box_dense_{i}",
        )(x)
    return layers.Dense(
        4,
        kernel_initializer=keras.initializers.VarianceScaling(0.01),
        bias_initializer=keras.initializers.Constant(list(WHOLE_FRAME)),
        dtype=floatx(),
        name="box",
    )(x)


def gradient_share(share: float | None, *, segmentation: bool) -> float:
    """The share of the box loss's gradient that a localiser's U-Net gets: as asked for, else by what it is trained for.

    Args:
        share: 0 to 1, or None: all of it where the box is all there is to learn, `BOX_GRADIENT` beside a segmentation.
        segmentation: the U-Net also learns to segment.

    Raises:
        ValueError: a share outside 0..1.

    Deviation: the lu_net paper has no such share, all of the gradient goes there (§III-B item 3, "end-to-end"), and
    "degrades" the first segmentation (§V-D); `box_gradient=1` is that. The box loss weighs ten times the segmentation,
    its gradient does not shrink with the error (L1), and at first it asks the U-Net for a box where there shall be a
    segmentation.
    """
    if share is None:
        return BOX_GRADIENT if segmentation else 1.0
    if not 0 <= share <= 1:
        raise ValueError(f"`box_gradient` must be between 0 and 1. Received: {share}")
    return share


def pass_gradient(x: KerasTensor, share: float) -> KerasTensor:
    """The tensor as it is, as Keras' `floatx`, but what follows sends back only this share of its gradient."""
    if share == 1:
        return x
    x = ops.cast(x, floatx())  # share·x + (1 − share)·x is not x in bfloat16
    return share * x + (1 - share) * ops.stop_gradient(x)
