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
    mask = np.zeros(shape, bool)
    row_a, col_a = points[:, 0], points[:, 1]
    row_b, col_b = np.roll(row_a, -1), np.roll(col_a, -1)
    low, high = np.minimum(row_a, row_b), np.maximum(row_a, row_b)
    top, bottom = max(0, int(np.ceil(low.min()))), min(height - 1, int(np.floor(high.max())))
    left, right = max(0, int(np.ceil(col_a.min()))), min(width - 1, int(np.floor(col_a.max())))
    if top > bottom or left > right:
        return mask
    rows = np.arange(top, bottom + 1)[:, None]
    row_index, edge = np.nonzero((low <= rows) & (rows < high))
    along = (rows[row_index, 0] - row_a[edge]) / (row_b[edge] - row_a[edge])
    cut = np.ceil(col_a[edge] + along * (col_b[edge] - col_a[edge])) - left
    flips = np.zeros((bottom - top + 1, right - left + 2), np.uint8)
    np.add.at(flips, (row_index, np.clip(cut, 0, right - left + 1).astype(np.int64)), 1)
    mask[top : bottom + 1, left : right + 1] = np.cumsum(flips[:, :-1], axis=1, dtype=np.uint8) & 1
    return mask
