import math

import numpy as np
import pytest

from metrics.agreement import (
    bland_altman,
    mean,
    mean_absolute_error,
    pearson_r,
    percentiles,
    r_squared,
    shapiro_wilk_p,
    standard_deviation,
)


def test_pearson_worked_by_hand():
    # Deviations from the means (2.5 and 3): x −1.5 −.5 .5 1.5, y −2 0 −1 3: sums xy 7, xx 5, yy 14.
    assert pearson_r([1, 2, 3, 4], [1, 3, 2, 6]) == pytest.approx(7 / math.sqrt(5 * 14))
    assert pearson_r([1, 2, 3], [30, 20, 10]) == pytest.approx(-1.0)


@pytest.mark.parametrize(("x", "y"), [([], []), ([1.0], [2.0]), ([3.0, 3.0, 3.0], [1.0, 2.0, 3.0])])
def test_pearson_undefined(x, y):
    assert math.isnan(pearson_r(x, y))
    assert math.isnan(pearson_r(y, x))


def test_r_squared_worked_by_hand():
    # Residuals 0, 1, 0, 2: Σ² = 5; the reference's deviations −1.5 −.5 .5 1.5: Σ² = 5. No better than its mean.
    assert r_squared([1, 2, 3, 4], [1, 3, 3, 6]) == pytest.approx(0.0)
    # A bias of 1 costs 4 of the 5, though the correlation is perfect.
    assert r_squared([1, 2, 3, 4], [2, 3, 4, 5]) == pytest.approx(0.2)
    assert pearson_r([1, 2, 3, 4], [2, 3, 4, 5]) == pytest.approx(1.0)
    assert r_squared([1, 2, 3], [1, 2, 3]) == 1.0
    assert r_squared([1, 2, 3], [3, 2, 1]) == pytest.approx(-3.0)


@pytest.mark.parametrize(("x", "y"), [([], []), ([1.0], [2.0]), ([3.0, 3.0, 3.0], [1.0, 2.0, 3.0])])
def test_r_squared_undefined(x, y):
    assert math.isnan(r_squared(x, y))


def test_bland_altman_worked_by_hand():
    # Differences prediction − reference: 1, −1, 3; mean 1, squared deviations 0, 4, 4, sd = √(8/2) = 2.
    agreement = bland_altman([100, 90, 80], [101, 89, 83])
    assert agreement.bias == pytest.approx(1.0)
    assert agreement.limits_of_agreement == pytest.approx(3.92)
    assert (agreement.lower, agreement.upper) == (pytest.approx(-2.92), pytest.approx(4.92))
    assert mean_absolute_error([100, 90, 80], [101, 89, 83]) == pytest.approx(5 / 3)


def test_bland_altman_of_one_pair_has_a_bias_and_no_limits_and_of_none_nothing():
    one = bland_altman([4.0], [6.0])
    assert one.bias == 2.0
    assert all(math.isnan(value) for value in (one.limits_of_agreement, one.lower, one.upper))
    assert math.isnan(bland_altman([], []).bias)
    assert math.isnan(mean_absolute_error([], []))


def test_shapiro_wilk_tells_a_normal_series_from_a_skewed_one():
    # Quantiles of the normal distribution, and their exponentials.
    normal = np.array([-1.64, -1.04, -0.67, -0.39, -0.13, 0.13, 0.39, 0.67, 1.04, 1.64])
    assert shapiro_wilk_p(normal) > 0.9
    assert shapiro_wilk_p(np.exp(3 * normal)) < 0.01


def test_shapiro_wilk_of_three_values_worked_by_hand():
    # For n = 3, W = (x3 − x1)² / 2 / Σ(x − mean)² and p = (6/π)(asin √W − asin √(3/4)): Royston's exact case.
    values = [0.0, 1.0, 4.0]
    w = 16 / 2 / ((5 / 3) ** 2 + (2 / 3) ** 2 + (7 / 3) ** 2)
    expected = 6 / math.pi * (math.asin(math.sqrt(w)) - math.asin(math.sqrt(0.75)))
    assert shapiro_wilk_p(values) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("values", [[], [1.0], [1.0, 2.0], [2.0, 2.0, 2.0, 2.0], np.arange(5001.0)])
def test_shapiro_wilk_undefined(values):
    assert math.isnan(shapiro_wilk_p(values))


def test_percentiles_worked_by_hand():
    # Of 0 … 10 the q-th percentile lies at q/10; of two values, on the line between them.
    of_eleven = percentiles(np.arange(11.0))
    assert (of_eleven.p15, of_eleven.median, of_eleven.p85) == pytest.approx((1.5, 5.0, 8.5))
    of_two = percentiles([10.0, 20.0])
    assert (of_two.p15, of_two.median, of_two.p85) == pytest.approx((11.5, 15.0, 18.5))
    of_one = percentiles([7.0])
    assert (of_one.p15, of_one.median, of_one.p85) == (7.0, 7.0, 7.0)
    assert math.isnan(percentiles([]).median)


def test_mean_and_standard_deviation():
    assert mean([1.0, 2.0, 6.0]) == 3.0
    assert standard_deviation([1.0, 3.0]) == pytest.approx(math.sqrt(2))
    assert math.isnan(standard_deviation([1.0]))
    assert math.isnan(mean([]))


def test_what_is_not_a_series_of_numbers_is_refused():
    with pytest.raises(ValueError, match="`prediction` must be a series of finite numbers"):
        pearson_r([1.0, 2.0], [1.0, math.nan])
    with pytest.raises(ValueError, match="must be pairs"):
        bland_altman([1.0, 2.0], [1.0])
    with pytest.raises(ValueError, match="`values`"):
        percentiles(np.zeros((2, 2)))
