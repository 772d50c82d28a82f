import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from metrics.boxes import BoxErrors, box_errors, box_in_pixels, box_of_mask, encloses, iou

ANISOTROPIC = (0.154, 0.308)  # the CAMUS MetaImage release, (row, col)
NOTHING = (math.nan,) * 4
SIDES = st.floats(1.0, 50.0)
CORNERS = st.floats(-30.0, 30.0)
BOXES = st.tuples(CORNERS, SIDES, CORNERS, SIDES).map(lambda b: (b[0], b[0] + b[1], b[2], b[2] + b[3]))
MASKS = hnp.arrays(np.bool_, (7, 6), elements=st.booleans()).filter(np.any)


def block(rows, cols, shape=(12, 10)):
    mask = np.zeros(shape, dtype=bool)
    mask[rows, cols] = True
    return mask


def test_box_of_a_mask_lies_at_pixel_edges():
    assert box_of_mask(block(2, 3)) == (2, 3, 3, 4)
    assert box_of_mask(block(slice(2, 6), slice(1, 9))) == (2, 6, 1, 9)
    assert box_of_mask(np.ones((12, 10), dtype=bool)) == (0, 12, 0, 10)
    assert box_of_mask(block(slice(0, 3), 1) | block(11, 9)) == (0, 12, 1, 10)  # two pieces, cut by the image edge


def test_margin_is_a_share_of_height_for_rows_and_of_width_for_columns():
    # 4 rows × 8 columns: 25 % is 1 row and 2 columns; 50 % reaches beyond the frame, and is not cut.
    assert box_of_mask(block(slice(2, 6), slice(1, 9)), 0.25) == (1, 7, -1, 11)
    assert box_of_mask(block(slice(2, 6), slice(1, 9)), 0.5) == (0, 8, -3, 13)


def test_an_empty_mask_has_no_box():
    empty = np.zeros((4, 5), dtype=bool)
    assert all(math.isnan(edge) for edge in box_of_mask(empty, 0.05))
    assert math.isnan(iou(NOTHING, (0, 1, 0, 1)))
    assert math.isnan(iou((0, 1, 0, 1), NOTHING))
    assert all(math.isnan(error) for error in vars(box_errors(NOTHING, (0, 1, 0, 1), (1, 1))).values())
    with pytest.raises(ValueError, match="`mask` must not be empty"):
        encloses((0, 4, 0, 5), empty)


def test_iou_by_hand():
    # 4 × 6 and the same moved 1 down and 2 right: 3 × 4 in common, 24 + 24 − 12 in all.
    assert iou((0, 4, 0, 6), (1, 5, 2, 8)) == pytest.approx(12 / 36)
    assert iou((0, 4, 0, 6), (0, 4, 0, 6)) == 1.0
    assert iou((0, 4, 0, 6), (4, 8, 0, 6)) == 0.0  # touching
    assert iou((0, 4, 0, 6), (9, 12, 20, 21)) == 0.0  # apart in both axes: no negative times negative
    assert iou((0, 4, 0, 6), (1, 3, 1, 4)) == pytest.approx(6 / 24)  # inside


def test_a_box_with_exchanged_edges_encloses_nothing():
    assert iou((0, 4, 0, 6), (4, 0, 0, 6)) == 0.0
    assert iou((0, 4, 0, 6), (4, 0, 6, 0)) == 0.0
    assert math.isnan(iou((4, 4, 0, 6), (0, 4, 0, 6)))
    assert not encloses((4, 0, 0, 6), block(2, 3))


def test_errors_by_hand_with_anisotropic_spacing():
    # Rows 2..6 against 3..9: centre 4 → 6, height 4 → 6. Columns 10..20 against 8..20: centre 15 → 14, width 10 → 12.
    errors = box_errors((2, 6, 10, 20), (3, 9, 8, 20), (0.5, 2.0))
    assert errors == BoxErrors(centre_row=1.0, centre_col=-2.0, height=1.0, width=4.0)


def test_enclosing_takes_whole_pixels():
    mask = block(slice(2, 6), slice(1, 9))
    assert encloses((2, 6, 1, 9), mask)
    assert encloses(box_of_mask(mask, 0.05), mask)
    for moved in ((2.1, 6, 1, 9), (2, 5.9, 1, 9), (2, 6, 1.1, 9), (2, 6, 1, 8.9), NOTHING):
        assert not encloses(moved, mask)


def test_shares_of_the_frame_become_pixels():
    assert box_in_pixels((0.0, 1.0, 0.25, 0.5), (12, 8)) == (0, 12, 2, 4)


def test_wrong_input_is_refused():
    for spacing in [(0.3, 0.0), (0.3, -1.0), (0.3, math.nan), (0.3,)]:
        with pytest.raises(ValueError, match="`spacing_mm` must be two positive numbers"):
            box_errors((0, 1, 0, 1), (0, 1, 0, 1), spacing)
    for margin in (-0.1, math.nan, math.inf):
        with pytest.raises(ValueError, match="`margin` must be zero or positive"):
            box_of_mask(block(2, 3), margin)
    for mask in (np.ones((3, 3)), np.ones((2, 3, 3), dtype=bool)):
        with pytest.raises(ValueError, match="two-dimensional boolean"):
            box_of_mask(mask)


@settings(deadline=None)  # the machine may be busy
@given(BOXES, BOXES, st.floats(0.05, 20.0), CORNERS, CORNERS)
def test_iou_is_symmetric_and_keeps_when_moved_scaled_flipped_and_transposed(a, b, factor, down, right):
    measured = iou(a, b)
    assert 0.0 <= measured <= 1.0
    variants = {
        "swapped": (b, a),
        "moved": tuple((t + down, d + down, le + right, r + right) for t, d, le, r in (a, b)),
        "scaled": tuple((t * factor, d * factor, le * factor, r * factor) for t, d, le, r in (a, b)),
        "flipped": tuple((-d, -t, le, r) for t, d, le, r in (a, b)),
        "transposed": tuple((le, r, t, d) for t, d, le, r in (a, b)),
    }
    for name, (first, second) in variants.items():
        assert iou(first, second) == pytest.approx(measured, abs=1e-9), name


@settings(deadline=None)  # the machine may be busy
@given(BOXES, BOXES)
def test_errors_change_sign_with_the_roles_and_follow_the_axes(a, b):
    row, col = ANISOTROPIC
    errors, back = box_errors(a, b, ANISOTROPIC), box_errors(b, a, ANISOTROPIC)
    turned = box_errors((*a[2:], *a[:2]), (*b[2:], *b[:2]), (col, row))
    for name, other in (("centre_row", "centre_col"), ("height", "width")):
        assert getattr(back, name) == pytest.approx(-getattr(errors, name), abs=1e-9)
        assert getattr(turned, other) == pytest.approx(getattr(errors, name), abs=1e-9)


@settings(deadline=None)  # the machine may be busy
@given(MASKS, st.floats(0.0, 1.0))
def test_the_box_of_a_mask_encloses_it_and_any_narrower_one_does_not(mask, margin):
    box = box_of_mask(mask)
    assert encloses(box_of_mask(mask, margin), mask)
    assert box_of_mask(mask.T) == (*box[2:], *box[:2])
    for edge, inward in enumerate((0.01, -0.01, 0.01, -0.01)):
        narrower = list(box)
        narrower[edge] += inward
        assert not encloses((narrower[0], narrower[1], narrower[2], narrower[3]), mask)
