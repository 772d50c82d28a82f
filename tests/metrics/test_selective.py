import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metrics.selective import area_under_risk_coverage, conformal_quantile, risk_coverage, roc_auc


def test_roc_auc_worked_by_hand():
    # Positives 0.9 and 0.4, negatives 0.1, 0.4, 0.5: of six pairs the positive wins 3 + 1, and one is even.
    assert roc_auc([0.9, 0.1, 0.4, 0.4, 0.5], [True, False, True, False, False]) == pytest.approx(4.5 / 6)
    assert roc_auc([1.0, 2.0, 3.0], [False, False, True]) == 1.0
    assert roc_auc([1.0, 1.0, 1.0], [False, False, True]) == 0.5


@settings(deadline=None, max_examples=50)  # the machine may be busy
@given(st.lists(st.tuples(st.integers(0, 5), st.booleans()), max_size=20))
def test_roc_auc_counts_pairs(cases):
    scores, events = [float(score) for score, _ in cases], [event for _, event in cases]
    wins = [
        (positive > negative) + (positive == negative) / 2
        for positive, is_positive in zip(scores, events, strict=True)
        if is_positive
        for negative, is_event in zip(scores, events, strict=True)
        if not is_event
    ]
    area = roc_auc(scores, events)
    if wins:
        assert area == pytest.approx(np.mean(wins))
        assert roc_auc([-score for score in scores], events) == pytest.approx(1 - area)
    else:
        assert math.isnan(area)


def test_risk_coverage_worked_by_hand():
    # Most trusted first: 1, 3, 8; the mean of the first k is 1, 2, 4.
    curve = risk_coverage([0.2, 0.9, 0.5], [8.0, 1.0, 3.0])
    np.testing.assert_allclose(curve.coverage, [1 / 3, 2 / 3, 1])
    np.testing.assert_allclose(curve.risk, [1, 2, 4])
    assert area_under_risk_coverage(curve) == pytest.approx(7 / 3)


def test_equal_scores_share_their_error():
    # Behind 1 come 3 and 8 in no order: each counts 5.5.
    for errors in ([1.0, 3.0, 8.0], [1.0, 8.0, 3.0]):
        np.testing.assert_allclose(risk_coverage([0.9, 0.5, 0.5], errors).risk, [1, 6.5 / 2, 4])


@settings(deadline=None, max_examples=50)  # the machine may be busy
@given(st.lists(st.tuples(st.integers(0, 5), st.floats(0, 100)), min_size=1, max_size=20), st.randoms())
def test_risk_coverage_does_not_depend_on_the_order(cases, random):
    curve = risk_coverage(*zip(*cases, strict=True))
    assert curve.risk[-1] == pytest.approx(np.mean([error for _, error in cases]))
    shuffled = cases.copy()
    random.shuffle(shuffled)
    np.testing.assert_allclose(risk_coverage(*zip(*shuffled, strict=True)).risk, curve.risk)
    # The errors themselves as the order are the best that can be had.
    best = risk_coverage([-error for _, error in cases], [error for _, error in cases])
    assert area_under_risk_coverage(best) <= area_under_risk_coverage(curve) + 1e-9


def test_no_measurement_has_no_curve():
    curve = risk_coverage([], [])
    assert curve.coverage.size == curve.risk.size == 0
    assert math.isnan(area_under_risk_coverage(curve))
    assert math.isnan(roc_auc([], []))


def test_conformal_quantile_worked_by_hand():
    residuals = np.arange(1.0, 20.0)[::-1]  # 1 … 19: n + 1 = 20
    assert conformal_quantile(residuals, 0.9) == 18.0
    assert conformal_quantile(residuals, 0.95) == 19.0
    assert conformal_quantile(residuals, 0.91) == 19.0  # 18.2 rounds up
    assert math.isnan(conformal_quantile(residuals, 0.96))  # 19.2: the 20th of 19
    assert conformal_quantile(np.arange(1.0, 10.0), 0.9) == 9.0
    assert math.isnan(conformal_quantile(np.arange(1.0, 9.0), 0.9))
    assert math.isnan(conformal_quantile([], 0.5))


@pytest.mark.parametrize("level", [0.5, 0.8, 0.9, 0.95])
def test_a_whole_number_of_ranks_is_not_pushed_up_by_rounding(level):
    for n in range(19, 1000, 20):  # n + 1 is a multiple of 20, so (n + 1) · level is whole
        assert conformal_quantile(np.arange(1.0, n + 1.0), level) == round((n + 1) * level)


def test_conformal_coverage_is_the_level_on_average():
    # Exchangeable residuals without ties: the new one's rank among n + 1 is uniform, whatever their distribution.
    rng = np.random.default_rng(0)
    residuals = rng.exponential(size=(2000, 25))
    covered = [row[-1] <= conformal_quantile(row[:-1], 0.8) for row in residuals]
    assert np.mean(covered) == pytest.approx(0.8, abs=0.05)  # ⌈25 · 0.8⌉ / 25 = 0.8; five standard errors


def test_wrong_input_is_refused():
    with pytest.raises(ValueError, match="`positives` must be one boolean per score"):
        roc_auc([1.0, 2.0], [0, 1])
    with pytest.raises(ValueError, match="`positives` must be one boolean per score"):
        roc_auc([1.0, 2.0], [True])
    with pytest.raises(ValueError, match="`scores` and `errors` must be pairs"):
        risk_coverage([1.0], [1.0, 2.0])
    with pytest.raises(ValueError, match="`errors` must be a series of finite numbers"):
        risk_coverage([1.0], [math.nan])
    with pytest.raises(ValueError, match="`residuals` must be absolute values"):
        conformal_quantile([1.0, -2.0], 0.9)
    for level in (0.0, 1.0, 90):
        with pytest.raises(ValueError, match="`level` must be between 0 and 1"):
            conformal_quantile([1.0], level)
