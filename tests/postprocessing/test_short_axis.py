"""Stacks of slices through shapes whose volume is known."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from postprocessing.codes import LV, MYO
from postprocessing.short_axis import cavity_volume_ml, myocardial_mass_g

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
