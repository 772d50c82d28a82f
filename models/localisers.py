"""What the localisers share: from feature maps to a box."""

from collections.abc import Sequence

import keras
from keras import KerasTensor, layers

from models.blocks import scaled
from models.boxes import WHOLE_FRAME

U_NET_HEAD_UNITS = (1024, 256, 32)
"""Dense units of U-L1 and U-L2 before the four of the box. Source: lu_net paper §IV-C items 3 and 4."""
CLASSIC_HEAD_UNITS = (4096, 4096)
"""Dense units of the AlexNet-like and VGG19-like localisers. Source: lu_net paper §IV-C items 1 and 2."""


def box_head(x: KerasTensor, units: Sequence[int], *, width: float = 1.0) -> KerasTensor:
    """Dense layers with ReLU (`box_dense_1`, …) and the four edges of a box (`box`).

    Args:
        x: (N, h, w, C).
        units: of each dense layer before the last.
        width: relative number of units.

    Returns:
        (N, 4) float32: (row_min, row_max, col_min, col_max), shares of the frame, as in `models.boxes`. Unbounded.

    Source: lu_net paper §IV-C. ASSUMED: He initialisation; the box starts near the whole frame, so that every crop is
    of something and the box loss, clipped at 0.99 an edge, has a gradient at every edge from the first step.
    """
    x = layers.Flatten(name="box_flatten")(x)
    for i, count in enumerate(units, 1):
        x = layers.Dense(
            scaled(count, width), activation="relu", kernel_initializer="he_normal", name=f"box_dense_{i}"
        )(x)
    return layers.Dense(
        4,
        kernel_initializer=keras.initializers.VarianceScaling(0.01),
        bias_initializer=keras.initializers.Constant(list(WHOLE_FRAME)),
        dtype="float32",
        name="box",
    )(x)
