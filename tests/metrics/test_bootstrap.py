import itertools
import math
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metrics import bootstrap
from metrics.bootstrap import Interval, bootstrap_interval, bootstrap_mean, bootstrap_median

FAST = {"mean": (bootstrap_mean, np.mean), "median": (bootstrap_median, np.median)}


def difference_of_means(rows):
    return float(rows[:, 1].mean() - rows[:, 0].mean())


def test_two_groups_worked_by_hand():
    # Group a holds 0 and 0, group b holds 6. The draws aa, ab, ba, bb are equally likely and give the means 0, 2, 2, 6:
    # each end has a quarter of them, so the bounds of a 95 % interval are the ends.
    interval = bootstrap_mean([0.0, 6.0, 0.0], ["a", "b", "a"])
    assert interval == Interval(estimate=2.0, low=0.0, high=6.0)
    # Of the middle 40 % (30th to 70th percentile), all are 2.
    assert bootstrap_mean([0.0, 6.0, 0.0], ["a", "b", "a"], level=0.4) == Interval(2.0, 2.0, 2.0)
    # The medians of the draws are 0, 0, 0, 6.
    assert bootstrap_median([0.0, 6.0, 0.0], ["a", "b", "a"], level=0.4) == Interval(0.0, 0.0, 0.0)


def test_whole_groups_are_drawn():
    # Within each group the values cancel; only a draw that tears groups apart could have another mean than 0.
    interval = bootstrap_interval([[-1.0], [1.0], [-5.0], [5.0]], [7, 7, 9, 9], lambda rows: float(rows.mean()))
    assert interval == Interval(0.0, 0.0, 0.0)


def test_the_bounds_are_those_of_every_possible_draw():
    values = np.array([1.0, 2.0, 4.0, 8.0])
    means = [np.mean(draw) for draw in itertools.product(values, repeat=4)]
    interval = bootstrap_mean(values, [1, 2, 3, 4], level=0.8, resamples=200_000)
    assert interval.low == pytest.approx(np.quantile(means, 0.1), abs=1e-12)
    assert interval.high == pytest.approx(np.quantile(means, 0.9), abs=1e-12)


@pytest.mark.parametrize("name", FAST)
@settings(deadline=None, max_examples=30)
@given(
    values=st.lists(st.integers(-50, 50), min_size=2, max_size=12),
    columns=st.sampled_from([1, 2]),
    seed=st.integers(0, 5),
    data=st.data(),
)
def test_the_fast_paths_equal_the_general_one(name, values, columns, seed, data):
    fast, statistic = FAST[name]
    rows = np.array([[value + 3 * column for column in range(columns)] for value in values], dtype=float)
    groups = data.draw(st.lists(st.sampled_from("abc"), min_size=len(values), max_size=len(values)))
    expected = bootstrap_interval(rows, groups, lambda drawn: float(statistic(drawn)), resamples=50, seed=seed)
    measured = fast(rows, groups, resamples=50, seed=seed)
    np.testing.assert_allclose(
        (measured.estimate, measured.low, measured.high), (expected.estimate, expected.low, expected.high), atol=1e-9
    )


@pytest.mark.parametrize("name", FAST)
def test_blocks_do_not_change_the_result(name, monkeypatch):
    rng = np.random.default_rng(1)
    values, groups = rng.normal(size=60), rng.integers(0, 17, size=60)
    whole = FAST[name][0](values, groups, resamples=100)
    monkeypatch.setattr(bootstrap, "BLOCK_CELLS", 200)
    assert FAST[name][0](values, groups, resamples=100) == whole


def test_seeded_and_of_any_statistic():
    rng = np.random.default_rng(0)
    rows, groups = rng.normal(loc=[0.0, 1.0], size=(40, 2)), np.repeat(np.arange(10), 4)
    first = bootstrap_interval(rows, groups, difference_of_means, resamples=200, seed=3)
    assert first == bootstrap_interval(rows, groups, difference_of_means, resamples=200, seed=3)
    assert first != bootstrap_interval(rows, groups, difference_of_means, resamples=200, seed=4)
    assert first.estimate == pytest.approx(difference_of_means(rows))
    assert first.low < first.estimate < first.high


def test_the_interval_of_a_mean_is_as_wide_as_theory_says():
    # 200 patients of 3 equal frames: the mean's standard error is σ/√200, not σ/√600.
    rng = np.random.default_rng(2)
    patients = rng.normal(10.0, 4.0, size=200)
    interval = bootstrap_mean(np.repeat(patients, 3), np.repeat(np.arange(200), 3))
    expected = 1.96 * patients.std() / math.sqrt(200)
    assert (interval.high - interval.low) / 2 == pytest.approx(expected, rel=0.1)


@pytest.mark.parametrize("fast", [bootstrap_mean, bootstrap_median])
def test_undefined(fast):
    assert all(math.isnan(value) for value in vars(fast([], [])).values())
    one = fast([1.0, 3.0], ["a", "a"])
    assert one.estimate == 2.0
    assert math.isnan(one.low)
    assert math.isnan(one.high)


def test_a_statistic_that_is_seldom_defined_has_no_bounds():
    rows, groups = [[0.0], [1.0], [2.0]], [0, 1, 2]
    assert math.isnan(bootstrap_interval([], [], difference_of_means).estimate)
    never = bootstrap_interval(rows, groups, lambda _: math.nan)
    assert all(math.isnan(value) for value in vars(never).values())
    # Undefined where one patient was drawn three times: 1/9 of the resamples, more than 1 − 0.95.
    often = bootstrap_interval(rows, groups, lambda drawn: math.nan if np.ptp(drawn) == 0 else float(drawn.mean()))
    assert often.estimate == 1.0
    assert math.isnan(often.low)
    # For an 80 % interval that is few enough.
    enough = bootstrap_interval(
        rows, groups, lambda drawn: math.nan if np.ptp(drawn) == 0 else float(drawn.mean()), level=0.8
    )
    assert enough.low < 1.0 < enough.high


def test_wrong_input_is_refused():
    for wrong in ([math.nan], [[1.0], [math.inf]], np.zeros((2, 2, 2))):
        with pytest.raises(ValueError, match="`values` must be"):
            bootstrap_mean(wrong, ["a"])
    with pytest.raises(ValueError, match=r"`groups` must name .* Received: 1 for 2 rows"):
        bootstrap_median([1.0, 2.0], ["a"])
    for level in (0.0, 1.0, 95, math.nan):
        with pytest.raises(ValueError, match="`level` must be between 0 and 1"):
            bootstrap_mean([1.0], ["a"], level=level)
    with pytest.raises(ValueError, match="`resamples` must be at least 1"):
        bootstrap_mean([1.0], ["a"], resamples=0)


@pytest.mark.parametrize("fast", [bootstrap_mean, bootstrap_median])
def test_500_patients_of_4_frames_take_a_tenth_of_a_second(fast):
    rng = np.random.default_rng(0)
    values, groups = rng.normal(size=2000), np.repeat([f"patient{i:04}" for i in range(500)], 4)
    seconds = []
    for _ in range(5):
        begun = time.process_time()
        fast(values, groups)
        seconds.append(time.process_time() - begun)
    assert min(seconds) < 0.1
