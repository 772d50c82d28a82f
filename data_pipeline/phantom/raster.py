"""Polygons to masks, by the pixel-centre rule: no bias, so a border in the mask is where the polygon has it."""

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]


def fill_polygon(shape: tuple[int, int], points: FloatArray) -> BoolArray:
    """Pixels whose centre lies inside a closed polygon (even-odd rule).

    Each row's centre line is cut with all edges at once and every cut flips the pixels to its right. OpenCV's
    `fillPoly` also paints the pixels that the outline merely touches, which would move each border by half a pixel.

    Args:
        shape: (H, W) of the mask.
        points: (N, 2) vertices (row, col), pixel centres at integers; they may lie outside the image.

    Returns:
        (H, W) bool.
    """
    height, width = shape
    row_a, col_a = points[:, 0], points[:, 1]
    row_b, col_b = np.roll(row_a, -1), np.roll(col_a, -1)
    low, high = np.minimum(row_a, row_b), np.maximum(row_a, row_b)
    first = max(0, int(np.ceil(low.min())))
    last = min(height - 1, int(np.floor(high.max())))
    flips = np.zeros((height, width + 1), np.uint8)
    if first <= last:
        rows = np.arange(first, last + 1)[:, None]
        row_index, edge = np.nonzero((low <= rows) & (rows < high))
        at = (rows[row_index, 0] - row_a[edge]) / (row_b[edge] - row_a[edge])
        cut = np.clip(np.ceil(col_a[edge] + at * (col_b[edge] - col_a[edge])), 0, width).astype(np.int64)
        np.add.at(flips, (row_index + first, cut), 1)
    return (np.cumsum(flips[:, :width], axis=1, dtype=np.uint8) & 1).astype(bool)
