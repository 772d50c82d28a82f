import numpy as np
import pytest

from postprocessing.codes import LA, LV, MYO
from postprocessing.ventricle_base import ventricle_base

SPACING_MM = (0.5, 2.0)


def chamber(*, wall: bool = True) -> np.ndarray:
    """LV of rows 4 to 23 and columns 6 to 10, its wall one pixel on the left, on the right and above."""
    labels = np.zeros((30, 17), np.uint8)
    if wall:
        labels[3:24, 5:12] = MYO
    labels[4:24, 6:11] = LV
    return labels


def test_the_open_side_of_the_wall_is_the_base() -> None:
    assert ventricle_base(chamber(), SPACING_MM) == (23.0, 8.0)


def test_what_lies_below_does_not_matter() -> None:
    labels = chamber()
    labels[24:28, 6:11] = LA
    assert ventricle_base(labels, SPACING_MM) == (23.0, 8.0)


def test_a_slanted_base_and_a_hole_in_the_wall() -> None:
    labels = chamber()
    for col in range(6, 11):  # the base falls by two rows per column, from row 15 to row 23
        labels[16 + 2 * (col - 6) : 24, col] = 0
    labels[10, 5] = 0  # one pixel of the wall is missing: a shorter piece than the base
    row, col = ventricle_base(labels, SPACING_MM)
    # The ends: columns 6 (its lowest LV pixel is row 15) and 10 (row 23, whose right neighbour is wall: row 22 or 23).
    assert col == pytest.approx(8.0, abs=0.5)
    assert row == pytest.approx(19.0, abs=1.0)


def test_without_a_wall_the_axis_leaves_below() -> None:
    # 20 rows of 0.5 mm and 5 columns of 2 mm are square: two columns less make it upright.
    labels = chamber(wall=False)
    labels[:, [6, 10]] = 0
    assert ventricle_base(labels, SPACING_MM) == (23.0, 8.0)


def test_a_tilted_ellipse_without_a_wall() -> None:
    rows, cols = np.mgrid[:200, :160]
    down, right = (rows - 99) * 0.5, (cols - 79) * 0.7
    tilt = np.radians(20)
    along, across = down * np.cos(tilt) + right * np.sin(tilt), right * np.cos(tilt) - down * np.sin(tilt)
    labels = np.where((along / 40) ** 2 + (across / 20) ** 2 <= 1, LV, 0).astype(np.uint8)
    row, col = ventricle_base(labels, (0.5, 0.7))
    assert ((row - 99) * 0.5, (col - 79) * 0.7) == pytest.approx((40 * np.cos(tilt), 40 * np.sin(tilt)), abs=1.0)


def test_a_scrap_of_wall_does_not_make_the_rest_a_base() -> None:
    labels = chamber(wall=False)
    labels[:, [6, 10]] = 0
    labels[10:14, 6] = MYO  # 4 of 42 contour pixels
    assert ventricle_base(labels, SPACING_MM) == (23.0, 8.0)


def test_one_pixel_and_none() -> None:
    labels = np.zeros((5, 5), np.uint8)
    with pytest.raises(ValueError, match="must have LV pixels"):
        ventricle_base(labels, SPACING_MM)
    labels[2, 3] = LV
    assert ventricle_base(labels, SPACING_MM) == (2.0, 3.0)
    with pytest.raises(ValueError, match="spacing"):
        ventricle_base(labels, (0.0, 1.0))
