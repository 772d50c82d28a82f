import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from metrics.paired import paired_comparison

PAIRS = st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=1, max_size=60)


def test_worked_by_hand():
    # Errors: differences second − first −1, −3, +2, −4, 0. The ranks of 1, 3, 2, 4 are themselves; the error falls in
    # 1 + 3 + 4 = 8 of the 10 ranks. Of 2⁴ signs of the ranks 1–4, a smaller rank sum ≤ 2 has ∅, {1}, {2}: p = 2 · 3/16.
    first, second = [5.0, 5.0, 5.0, 5.0, 5.0], [4.0, 2.0, 7.0, 1.0, 5.0]
    compared = paired_comparison(first, second, smaller_is_better=True)
    assert compared.n == 5
    assert compared.mean_difference == pytest.approx(-6 / 5)
    assert compared.median_difference == -1.0
    assert compared.wilcoxon_p == pytest.approx(6 / 16)
    assert compared.rank_biserial == pytest.approx(0.6)  # (8 − 2) / 10
    assert compared.share_better == pytest.approx(3 / 5)
    # As Dice, the same figures speak for the first.
    as_dice = paired_comparison(first, second, smaller_is_better=False)
    assert as_dice.mean_difference == compared.mean_difference
    assert as_dice.wilcoxon_p == compared.wilcoxon_p
    assert as_dice.rank_biserial == pytest.approx(-0.6)
    assert as_dice.share_better == pytest.approx(1 / 5)


def test_ties_share_their_ranks():
    # Gains +1, +1, −1, +2: the three of size 1 share the rank 2, the last has 4: (2 + 2 + 4 − 2) / 10.
    compared = paired_comparison([0.0, 0.0, 0.0, 0.0], [1.0, 1.0, -1.0, 2.0], smaller_is_better=False)
    assert compared.rank_biserial == pytest.approx(0.6)


def test_a_method_that_is_always_better():
    first = np.linspace(1.0, 2.0, 12)
    compared = paired_comparison(first, first**2 / 10, smaller_is_better=True)
    assert (compared.rank_biserial, compared.share_better) == (1.0, 1.0)
    assert compared.wilcoxon_p == pytest.approx(2 / 2**12)


def test_undefined():
    none = paired_comparison([], [], smaller_is_better=True)
    assert none.n == 0
    assert all(math.isnan(value) for name, value in vars(none).items() if name != "n")
    same = paired_comparison([1.0, 2.0], [1.0, 2.0], smaller_is_better=True)
    assert (same.n, same.mean_difference, same.share_better) == (2, 0.0, 0.0)
    assert math.isnan(same.wilcoxon_p)
    assert math.isnan(same.rank_biserial)
    one = paired_comparison([1.0], [0.5], smaller_is_better=True)
    assert (one.wilcoxon_p, one.rank_biserial) == (1.0, 1.0)


def test_wrong_input_is_refused():
    with pytest.raises(ValueError, match=r"`first` and `second` must be pairs\. Received: 2 and 1"):
        paired_comparison([1.0, 2.0], [1.0], smaller_is_better=True)
    with pytest.raises(ValueError, match="`second` must be a series of finite numbers"):
        paired_comparison([1.0, 2.0], [1.0, math.nan], smaller_is_better=True)


@settings(deadline=None, max_examples=50)  # the machine may be busy
@given(PAIRS)
def test_agrees_with_scipy_and_turns_with_the_order(pairs):
    first, second = np.array(pairs, dtype=float).T
    compared = paired_comparison(first, second, smaller_is_better=True)
    turned = paired_comparison(second, first, smaller_is_better=True)
    np.testing.assert_allclose(turned.rank_biserial, -compared.rank_biserial)
    np.testing.assert_allclose(turned.wilcoxon_p, compared.wilcoxon_p)
    assert turned.mean_difference == -compared.mean_difference
    if (first != second).any():
        # SciPy's statistic is the smaller rank sum; the effect size follows from it.
        reference = stats.wilcoxon(first, second, method="asymptotic")
        n = np.count_nonzero(first != second)
        assert abs(compared.rank_biserial) == pytest.approx(1 - 4 * reference.statistic / (n * (n + 1)))
