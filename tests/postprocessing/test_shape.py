import math

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import ellipe

from postprocessing.shape import components, convexity, holes, outlines, shape_of, simplicity

SPACING_MM = (0.31, 0.154)


def mask_of(drawing):
    return np.array([[letter == "#" for letter in row] for row in drawing.split()])


def ellipse(a_mm, b_mm, *, turned=0.0, spacing_mm=(0.31, 0.31), shape=(549, 389)):
    """An ellipse of half axes a and b in the middle of the frame, off the grid."""
    y = np.arange(shape[0])[:, None] * spacing_mm[0] - shape[0] * spacing_mm[0] / 2 - 0.13
    x = np.arange(shape[1])[None] * spacing_mm[1] - shape[1] * spacing_mm[1] / 2 - 0.07
    u, v = x * math.cos(turned) + y * math.sin(turned), y * math.cos(turned) - x * math.sin(turned)
    return (u / a_mm) ** 2 + (v / b_mm) ** 2 <= 1


def simplicity_of_ellipse(a, b):
    return math.sqrt(4 * math.pi * math.pi * a * b) / (4 * a * ellipe(1 - (b / a) ** 2))


@pytest.mark.parametrize("turned", [0.0, 0.2, math.pi / 4, 1.2])
@pytest.mark.parametrize("spacing_mm", [(0.31, 0.31), (0.31, 0.154), (0.154, 0.31)])
@pytest.mark.parametrize(("a_mm", "b_mm"), [(25, 25), (25, 9), (10, 7)])
def test_discs_and_ellipses_of_known_value(a_mm, b_mm, turned, spacing_mm):
    shape = (round(60 / spacing_mm[0]), round(60 / spacing_mm[1]))
    found = shape_of(ellipse(a_mm, b_mm, turned=turned, spacing_mm=spacing_mm, shape=shape), spacing_mm)
    assert found.simplicity == pytest.approx(simplicity_of_ellipse(a_mm, b_mm), rel=0.002)
    assert 0.996 < found.convexity <= 1


def test_an_opencv_perimeter_would_be_five_per_cent_too_long():
    mask = ellipse(60, 40, turned=0.4)
    contour = cv2.findContours(mask.view(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)[0][0]
    biased = math.sqrt(4 * math.pi * cv2.contourArea(contour)) / cv2.arcLength(contour, True)
    known = simplicity_of_ellipse(60, 40)
    assert biased == pytest.approx(0.948 * known, rel=0.003)
    assert simplicity(mask, (0.31, 0.31)) == pytest.approx(known, rel=0.002)


def test_pixels_are_measured_in_mm():
    """32 rows of 0.5 mm and 8 columns of 2 mm are a square; in pixels they are a bar."""
    mask = np.zeros((50, 20), dtype=bool)
    mask[5:37, 5:13] = True
    assert simplicity(mask, (0.5, 2.0)) > simplicity(mask, (1.0, 1.0))
    assert convexity(mask, (0.5, 2.0)) == pytest.approx(convexity(mask, (1.0, 1.0)))
    big = np.zeros((400, 300), dtype=bool)
    big[50:350, 20:270] = True
    assert simplicity(big, (0.5, 0.6)) == pytest.approx(math.sqrt(math.pi) / 2, rel=0.007)  # a square of 150 mm
    assert convexity(big, (0.5, 0.6)) == pytest.approx(1, abs=1e-6)


def test_convexity_of_what_is_hollowed():
    """Three quarters of a square: the hull cuts the missing corner off along its diagonal."""
    mask = np.zeros((240, 240), dtype=bool)
    mask[20:220, 20:220] = True
    mask[20:120, 120:220] = False
    assert convexity(mask, SPACING_MM) == pytest.approx(0.75 / 0.875, rel=0.007)


def test_pieces_and_holes_count():
    """Two squares of 20 pixels, 20 pixels apart, fill two thirds of their hull; holes take area and add outline."""
    one = np.zeros((60, 90), dtype=bool)
    one[20:40, 20:40] = True
    two = one.copy()
    two[20:40, 60:80] = True
    assert convexity(two, (1.0, 1.0)) == pytest.approx(2 / 3, rel=0.03)
    assert simplicity(two, (1.0, 1.0)) == pytest.approx(simplicity(one, (1.0, 1.0)) / math.sqrt(2))
    pierced = one.copy()
    pierced[25:35:4, 30] = False
    assert simplicity(pierced, (1.0, 1.0)) < simplicity(one, (1.0, 1.0))
    assert convexity(pierced, (1.0, 1.0)) < 1


def test_an_outline_runs_along_the_edges_of_the_pixels():
    (line,) = outlines(mask_of("... .#. ..."))
    assert not line.is_hole
    assert line.points.mean(axis=0) == pytest.approx([1, 1])
    assert np.abs(line.points - 1).max() == pytest.approx(0.5, abs=0.12)  # its corners rounded
    found = outlines(np.pad(mask_of("### #.# ###"), 1))
    assert sorted(line.is_hole for line in found) == [False, True]
    (hole,) = [line for line in found if line.is_hole]
    assert hole.points.mean(axis=0) == pytest.approx([2, 2])


def test_an_empty_mask_has_no_shape():
    empty = np.zeros((30, 20), dtype=bool)
    assert all(math.isnan(value) for value in shape_of(empty, SPACING_MM))
    assert math.isnan(simplicity(empty, SPACING_MM))
    assert math.isnan(convexity(empty, SPACING_MM))
    assert (components(empty), holes(empty), outlines(empty)) == (0, 0, [])


@pytest.mark.parametrize(
    ("drawing", "pieces", "gaps"),
    [
        ("#", 1, 0),
        ("### ### ###", 1, 0),
        ("### #.# ###", 1, 1),
        (".#. #.# .#.", 1, 1),  # a ring whose pixels touch at corners holds water
        ("##. #.# ###", 1, 1),
        ("### #.. ###", 1, 0),  # open to the image's edge
        ("#.# ... #.#", 4, 0),
        ("####### #.....# #.###.# #.#.#.# #.###.# #.....# #######", 2, 2),  # a ring within a ring
    ],
)
def test_pieces_and_holes(drawing, pieces, gaps):
    mask = mask_of(drawing)
    assert (components(mask), holes(mask)) == (pieces, gaps)
    assert (components(np.pad(mask, 3)), holes(np.pad(mask, 3))) == (pieces, gaps)


@given(st.integers(0, 2**30 - 1), st.sampled_from([(1.0, 1.0), (0.5, 2.0)]))
@settings(max_examples=80, deadline=None)
def test_any_mask_is_between_zero_and_one_and_its_mirror_image_alike(bits, spacing_mm):
    mask = np.array([bits >> place & 1 for place in range(30)], dtype=bool).reshape(5, 6)
    found = shape_of(mask, spacing_mm)
    if not mask.any():
        assert all(math.isnan(value) for value in found)
        return
    assert 0 < found.simplicity <= 1
    assert 0 < found.convexity <= 1
    for other in (mask[::-1], mask[:, ::-1], np.pad(mask, ((7, 0), (0, 3)))):
        assert shape_of(other, spacing_mm) == pytest.approx(found, rel=1e-5)
    assert shape_of(mask.T, spacing_mm[::-1]) == pytest.approx(found, rel=1e-5)
    assert holes(mask.T) == holes(mask)
    assert components(mask[::-1]) == components(mask)


def test_what_is_no_mask_is_refused():
    with pytest.raises(ValueError, match=r"`mask` must be \(H, W\) bool\. Received: uint8 with shape \(3, 3\)"):
        simplicity(np.ones((3, 3), dtype=np.uint8), SPACING_MM)
    with pytest.raises(ValueError, match="`mask`"):
        holes(np.ones((3, 3, 1), dtype=bool))
    with pytest.raises(ValueError, match="`spacing_mm`"):
        convexity(np.ones((3, 3), dtype=bool), (0.3, 0.0))
