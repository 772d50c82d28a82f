import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from metrics.overlap import (
    ConfusionCounts,
    confusion_counts,
    cpa,
    dice,
    iou,
    pixel_accuracy,
    sensitivity,
    specificity,
)

RATIOS = (dice, iou, cpa, sensitivity, specificity, pixel_accuracy)
MASKS = hnp.arrays(np.bool_, (4, 5), elements=st.booleans())


def mask(*rows):
    return np.array([[character == "#" for character in row] for row in rows])


REFERENCE = mask("##...", "##...", ".....")
PREDICTION = mask(".##..", ".##..", ".#...")


def test_counts_and_ratios_worked_by_hand():
    # 15 pixels; overlap is the reference's right column: 2 pixels of 4 and 5.
    counts = confusion_counts(REFERENCE, PREDICTION)
    assert counts == ConfusionCounts(tp=2, fp=3, fn=2, tn=8)
    assert dice(counts) == pytest.approx(4 / 9)
    assert iou(counts) == pytest.approx(2 / 7)
    assert cpa(counts) == pytest.approx(2 / 5)
    assert sensitivity(counts) == pytest.approx(2 / 4)
    assert specificity(counts) == pytest.approx(8 / 11)
    assert pixel_accuracy(counts) == pytest.approx(10 / 15)


def test_identical_masks_are_perfect():
    counts = confusion_counts(REFERENCE, REFERENCE)
    assert [ratio(counts) for ratio in RATIOS] == [1.0] * 6


def test_two_empty_masks_are_undefined_where_the_structure_is_the_denominator():
    empty = np.zeros((3, 5), dtype=bool)
    counts = confusion_counts(empty, empty)
    assert [math.isnan(ratio(counts)) for ratio in (dice, iou, cpa, sensitivity)] == [True] * 4
    assert specificity(counts) == 1.0
    assert pixel_accuracy(counts) == 1.0


def test_one_empty_mask():
    empty = np.zeros((3, 5), dtype=bool)
    missed = confusion_counts(REFERENCE, empty)
    assert (dice(missed), iou(missed), sensitivity(missed)) == (0.0, 0.0, 0.0)
    assert math.isnan(cpa(missed))
    invented = confusion_counts(empty, PREDICTION)
    assert (dice(invented), iou(invented), cpa(invented)) == (0.0, 0.0, 0.0)
    assert math.isnan(sensitivity(invented))


def test_full_reference_has_no_specificity_and_no_pixels_have_nothing():
    full = np.ones((3, 5), dtype=bool)
    assert math.isnan(specificity(confusion_counts(full, PREDICTION)))
    nothing = np.zeros((0, 5), dtype=bool)
    assert all(math.isnan(ratio(confusion_counts(nothing, nothing))) for ratio in RATIOS)


def test_wrong_masks_are_refused():
    with pytest.raises(ValueError, match=r"same shape\. Received: \(3, 5\) and \(2, 5\)"):
        confusion_counts(REFERENCE, PREDICTION[:2])
    with pytest.raises(ValueError, match="`prediction` must be a boolean mask"):
        confusion_counts(REFERENCE, PREDICTION.astype(np.uint8))


@settings(deadline=None)  # the machine may be busy
@given(MASKS, MASKS)
def test_invariances(reference, prediction):
    counts = confusion_counts(reference, prediction)
    assert counts.tp + counts.fp + counts.fn + counts.tn == 20
    swapped = confusion_counts(prediction, reference)
    flipped = confusion_counts(reference[::-1, ::-1], prediction[::-1, ::-1])
    assert flipped == counts
    assert swapped == ConfusionCounts(counts.tp, fp=counts.fn, fn=counts.fp, tn=counts.tn)
    if reference.any() or prediction.any():
        d, j = dice(counts), iou(counts)
        assert 0 <= j <= d <= 1
        assert d == pytest.approx(2 * j / (1 + j))
