"""Stacks of slices through shapes whose volume is known."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from postprocessing.codes import LV, MYO
from postprocessing.short_axis import (
    base_is_first,
    cavity_volume_ml,
    myocardial_mass_g,
    myocardium_share,
    slice_levels,
)

SPACING_MM, DISTANCE_MM = (1.4, 1.1), 8.0
RV = 4


def ellipsoids(slice_distance_mm: float, centre_mm: tuple[float, float, float] = (50.0, 56.0, 56.0)) -> np.ndarray:
    """LV of half axes 42, 25, 22 mm (along the stack, row, col) in a shell of myocardium of 50, 35, 32 mm."""
    slices, rows, cols = np.ogrid[: math.ceil(100 / slice_distance_mm) + 1, :90, :110]
    z = slices * slice_distance_mm - centre_mm[0]
    y, x = rows * SPACING_MM[0] - centre_mm[1], cols * SPACING_MM[1] - centre_mm[2]
    stack = np.zeros((slices.shape[0], 90, 110), np.uint8)
    stack[(z / 50) ** 2 + (y / 35) ** 2 + (x / 32) ** 2 <= 1] = MYO
    stack[(z / 42) ** 2 + (y / 25) ** 2 + (x / 22) ** 2 <= 1] = LV
    return stack


def ellipsoid_ml(a: float, b: float, c: float) -> float:
    return 4 / 3 * math.pi * a * b * c / 1000


def test_a_box_by_hand() -> None:
    # 3 slices of 10 × 20 pixels: 200 · 1.54 mm² · 8 mm each
    stack = np.zeros((5, 30, 40), np.uint8)
    stack[1:4, 5:15, 10:30] = RV
    assert cavity_volume_ml(stack, RV, SPACING_MM, DISTANCE_MM) == pytest.approx(3 * 200 * 1.54 * 8 / 1000)


def test_mass_by_hand() -> None:
    # a ring of 10 × 10 less 6 × 6 pixels in 4 slices: 4 · 64 · 1.54 mm² · 8 mm · 1.05 g/ml
    stack = np.zeros((4, 20, 20), np.uint8)
    stack[:, 5:15, 5:15] = MYO
    stack[:, 7:13, 7:13] = LV
    expected_ml = 4 * 64 * 1.54 * 8 / 1000
    assert myocardial_mass_g(stack, SPACING_MM, DISTANCE_MM) == pytest.approx(1.05 * expected_ml)
    assert myocardial_mass_g(stack, SPACING_MM, DISTANCE_MM, density_g_per_ml=1.0) == pytest.approx(expected_ml)


@settings(max_examples=15, deadline=None)
@given(centre_mm=st.tuples(st.floats(49, 51), st.floats(55, 57), st.floats(55, 57)))
def test_ellipsoids_in_slices_of_four_millimetres_to_one_per_cent(centre_mm: tuple[float, float, float]) -> None:
    stack = ellipsoids(4.0, centre_mm)
    cavity_ml, whole_ml = ellipsoid_ml(42, 25, 22), ellipsoid_ml(50, 35, 32)
    assert cavity_volume_ml(stack, LV, SPACING_MM, 4.0) == pytest.approx(cavity_ml, rel=0.01)
    assert myocardial_mass_g(stack, SPACING_MM, 4.0) == pytest.approx(1.05 * (whole_ml - cavity_ml), rel=0.01)


def test_clinical_slices_of_ten_millimetres_to_two_per_cent() -> None:
    for offset_mm in np.linspace(45, 55, 11):
        stack = ellipsoids(10.0, (float(offset_mm), 56.0, 56.0))
        assert cavity_volume_ml(stack, LV, SPACING_MM, 10.0) == pytest.approx(ellipsoid_ml(42, 25, 22), rel=0.02)


def test_what_is_no_stack_is_refused() -> None:
    stack = np.full((2, 4, 4), LV, np.uint8)
    with pytest.raises(ValueError, match=r"`label_maps` must be \(S, H, W\)"):
        cavity_volume_ml(stack[0], LV, SPACING_MM, DISTANCE_MM)
    with pytest.raises(ValueError, match="`spacing_mm` must be two positive numbers"):
        cavity_volume_ml(stack, LV, (1.4, math.nan), DISTANCE_MM)
    for distance_mm in (0.0, -8.0, math.inf):
        with pytest.raises(ValueError, match="`slice_distance_mm` must be a positive number"):
            cavity_volume_ml(stack, LV, SPACING_MM, distance_mm)
    with pytest.raises(ValueError, match="must have pixels of structure 2"):
        myocardial_mass_g(stack, SPACING_MM, DISTANCE_MM)
    with pytest.raises(ValueError, match="`density_g_per_ml` must be a positive number"):
        myocardial_mass_g(stack, SPACING_MM, DISTANCE_MM, density_g_per_ml=0.0)


def ring(gap_rows: int) -> np.ndarray:
    """LV of 8 × 8 pixels in a wall two pixels thick, whose right side lacks so many rows from the top of the cavity."""
    slice_ = np.zeros((20, 24), np.uint8)
    slice_[4:16, 4:16] = MYO
    slice_[6:14, 6:14] = LV
    slice_[6 : 6 + gap_rows, 14:16] = 0
    return slice_


def test_share_of_the_contour_by_hand() -> None:
    assert myocardium_share(ring(0), SPACING_MM) == 1.0
    # The gap starts at the wall's corner. Of its rows those whose pixel has a neighbour in the wall count as closed:
    # the uppermost and the lowest.
    assert myocardium_share(ring(2), SPACING_MM) == 1.0
    whole_mm = 2 * 8 * 1.4 + 2 * 8 * 1.1
    assert myocardium_share(ring(3), SPACING_MM) == pytest.approx(1 - 1 * 1.4 / whole_mm)
    assert myocardium_share(ring(7), SPACING_MM) == pytest.approx(1 - 5 * 1.4 / whole_mm)
    bare = np.where(ring(0) == MYO, 0, ring(0)).astype(np.uint8)
    assert myocardium_share(bare, SPACING_MM) == 0.0
    assert myocardium_share(bare.T, SPACING_MM) == 0.0
    half = bare.copy()
    half[:6] = MYO  # above the cavity alone; with the tolerance, the first row of either side too
    assert myocardium_share(half, SPACING_MM) == pytest.approx((8 * 1.1 + 2 * 1.4) / whole_mm)
    assert math.isnan(myocardium_share(np.full((4, 4), MYO, np.uint8), SPACING_MM))


def test_a_cavity_at_the_images_edge_has_no_wall_beyond_it() -> None:
    cut = ring(0)[:, 8:]  # its left part is beyond the image
    sides_mm = 8 * 1.4 + 8 * 1.4 + 2 * 6 * 1.1
    # As at a gap, the uppermost and the lowest row have the wall among their neighbours.
    assert myocardium_share(cut, SPACING_MM) == pytest.approx(1 - 6 * 1.4 / sides_mm)
    assert myocardium_share(np.full((3, 3), LV, np.uint8), SPACING_MM) == 0.0


def cone(areas: list[int]) -> np.ndarray:
    """Slices of so many LV pixels each."""
    stack = np.zeros((len(areas), 1, 40), np.uint8)
    for index, area in enumerate(areas):
        stack[index, 0, :area] = LV
    return stack


@pytest.mark.parametrize(
    ("areas", "levels"),
    [
        ([30, 28, 26, 20, 18, 16, 12, 9, 5, 2], "bbbmmmmaaa"),
        ([30, 28, 26, 20, 16, 12, 9, 5], "bbbmmaaa"),
        ([0, 30, 28, 26, 16, 12, 9, 0, 0], "-bbmmaa--"),
        ([0, 2, 9, 20, 30], "-ammb"),
        ([30, 20, 4], "bma"),
        ([30, 4], "ba"),
        ([4, 30], "ab"),
        ([30], "m"),
        ([0, 0], "--"),
    ],
)
def test_levels_are_thirds_from_the_base(areas: list[int], levels: str) -> None:
    stack = cone(areas)
    found = slice_levels(stack, is_base_first=base_is_first([stack]))
    assert "".join("-" if level is None else level.value[0] for level in found) == levels


def test_the_base_is_where_the_heart_is_wide_in_all_phases_together() -> None:
    end_diastole, end_systole = cone([30, 20, 10]), cone([11, 12, 12])
    assert not base_is_first([end_systole])
    assert base_is_first([end_diastole, end_systole])
    assert not base_is_first([end_diastole[::-1], end_systole])


def test_what_is_no_slice_is_refused() -> None:
    with pytest.raises(ValueError, match=r"`label_map` must be \(H, W\)"):
        myocardium_share(cone([3]), SPACING_MM)
    with pytest.raises(ValueError, match="`spacing_mm` must be two positive numbers"):
        myocardium_share(ring(0), (0.0, 1.0))
