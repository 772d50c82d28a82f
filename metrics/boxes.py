"""Boxes around structures: how well a predicted one agrees with the reference's."""

import math
from dataclasses import dataclass

import numpy as np

from metrics.overlap import Mask

Box = tuple[float, float, float, float]
"""(row_min, row_max, col_min, col_max) at pixel edges of the native grid: the whole (H, W) frame is (0, H, 0, W), the
single pixel (r, c) is (r, r + 1, c, c + 1). It may reach beyond the frame."""


@dataclass(frozen=True)
class BoxErrors:
    """How far a predicted box is from the reference's, prediction − reference, in mm (or pixels).

    Attributes:
        centre_row, centre_col: of the centre (the paper's y_c and x_c).
        height, width: of the sides (the paper's h and w).
    """

    centre_row: float
    centre_col: float
    height: float
    width: float


def box_of_mask(mask: Mask, margin: float = 0.0) -> Box:
    """The minimal box of a mask, with a margin.

    Args:
        mask: (H, W) bool.
        margin: added on each side: to the rows this share of the box's height, to the columns of its width.

    Returns:
        The box in pixels; four NaN where the mask is empty.

    Raises:
        ValueError: a mask that is not boolean and two-dimensional, a margin that is negative or not finite.

    Source: lu_net paper §III-B item 1. Deviation: the text adds m·h to x and m·w to y; here the margin of the rows is
    a share of the height and that of the columns of the width.
    """
    _check_mask(mask)
    if not 0 <= margin < math.inf:
        raise ValueError(f"`margin` must be zero or positive. Received: {margin}")
    rows, cols = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if len(rows) == 0:
        return (math.nan, math.nan, math.nan, math.nan)
    top, bottom, left, right = float(rows[0]), float(rows[-1] + 1), float(cols[0]), float(cols[-1] + 1)
    row_margin, col_margin = margin * (bottom - top), margin * (right - left)
    return (top - row_margin, bottom + row_margin, left - col_margin, right + col_margin)


def iou(reference: Box, prediction: Box) -> float:
    """Intersection over union of two boxes, by area; NaN where a box is undefined or the reference is empty.

    A predicted box with exchanged edges encloses nothing: 0.

    Source: lu_net paper §IV-B item 1. Deviation: none.
    """
    if not _is_defined(reference, prediction) or _area(reference) == 0:
        return math.nan
    common: Box = (
        max(reference[0], prediction[0]),
        min(reference[1], prediction[1]),
        max(reference[2], prediction[2]),
        min(reference[3], prediction[3]),
    )
    overlap = _area(common)
    return overlap / (_area(reference) + _area(prediction) - overlap)


def box_errors(reference: Box, prediction: Box, spacing_mm: tuple[float, float]) -> BoxErrors:
    """Signed errors of centre and sides.

    Args:
        reference: in pixels.
        prediction: in pixels of the same grid.
        spacing_mm: (row, col) pixel pitch in mm, may be anisotropic; (1, 1) measures in pixels.

    Returns:
        prediction − reference in mm (or pixels), NaN where a box is undefined. The paper reports absolute values.

    Raises:
        ValueError: a spacing is not finite and positive.

    Source: lu_net paper §IV-B item 1. Deviation: signed, so that a bias can be seen.
    """
    if len(spacing_mm) != 2 or not all(math.isfinite(pitch) and pitch > 0 for pitch in spacing_mm):
        raise ValueError(f"`spacing_mm` must be two positive numbers. Received: {spacing_mm}")
    if not _is_defined(reference, prediction):
        return BoxErrors(math.nan, math.nan, math.nan, math.nan)
    top, bottom, left, right = (p - r for p, r in zip(prediction, reference, strict=True))
    row, col = spacing_mm
    return BoxErrors(
        centre_row=(top + bottom) / 2 * row,
        centre_col=(left + right) / 2 * col,
        height=(bottom - top) * row,
        width=(right - left) * col,
    )


def encloses(box: Box, mask: Mask) -> bool:
    """Whether every pixel of a mask lies wholly inside a box. Where not, the paper counts the frame as "BB out".

    Args:
        box: predicted, in pixels; an undefined one encloses nothing.
        mask: (H, W) bool, the reference without margin.

    Raises:
        ValueError: a mask that is not boolean and two-dimensional, or an empty one: there is nothing to enclose.

    Source: lu_net paper §IV-B item 1 ("does not completely encompass the reference mask"). Deviation: none.
    """
    inner = box_of_mask(mask)
    if math.isnan(inner[0]):
        raise ValueError("`mask` must not be empty. Received: a mask without a pixel")
    return box[0] <= inner[0] and inner[1] <= box[1] and box[2] <= inner[2] and inner[3] <= box[3]


def box_in_pixels(box: Box, shape: tuple[int, int]) -> Box:
    """A box in shares of the frame's sides, as a network gives it, in pixels of a frame of `shape` (H, W)."""
    return (box[0] * shape[0], box[1] * shape[0], box[2] * shape[1], box[3] * shape[1])


def _area(box: Box) -> float:
    return max(0.0, box[1] - box[0]) * max(0.0, box[3] - box[2])


def _is_defined(*boxes: Box) -> bool:
    return all(math.isfinite(edge) for box in boxes for edge in box)


def _check_mask(mask: Mask) -> None:
    if mask.dtype != np.bool_ or mask.ndim != 2:
        raise ValueError(
            f"`mask` must be a two-dimensional boolean mask (labels == code). Received: {mask.dtype} {mask.shape}"
        )
