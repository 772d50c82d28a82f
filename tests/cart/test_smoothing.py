"""The temporal smoothing of hinge points: worked by hand, and against noise that is known."""

import math

import numpy as np
import pytest

from cart.smoothing import LONGEST_BRIDGE_S, PointSmoother, SmoothedPoints, Smoothing
from postprocessing.hinge_points import HingePoints

STEP_S = 0.02
MM = (1.0, 1.0)


def points(row: float, col: float = 0.0) -> HingePoints:
    return HingePoints((row, col), (row, col + 30))


def rows(found: SmoothedPoints | None) -> tuple[float, float]:
    assert found is not None
    return found.hinge_points.amvl[0], found.hinge_points.pmvl[0]


def test_the_second_frame_worked_by_hand() -> None:
    """No random acceleration, velocities that last: after 10 ms the variance of a position is 1² + (100 · 0.01)² = 2,
    its covariance with the velocity 100² · 0.01 = 100, so the gain is (2, 100) / (2 + 1)."""
    smoother = PointSmoother(Smoothing(acceleration=1e-6, noise_mm=1.0, memory_s=1e6))
    assert smoother.take(0.0, points(10), MM) == SmoothedPoints(points(10), predicted=False, bridged=0)
    assert rows(smoother.take(0.01, points(13), MM)) == pytest.approx((12, 12), rel=1e-6)
    following = smoother.take(0.02, None, MM)  # 12 mm, and 100 mm/s for 10 ms
    assert rows(following) == pytest.approx((13, 13), rel=1e-6)
    assert (following.predicted, following.bridged) == (True, 1)


def test_a_velocity_fades_with_its_memory() -> None:
    """From 100 mm/s with a memory of 0.1 s the points go 10 mm · (1 − e^−0.1) in 10 ms."""
    smoother = PointSmoother(Smoothing(acceleration=1e-6, noise_mm=1.0, memory_s=0.1))
    smoother.take(0.0, points(0), MM)
    smoother._state = np.array([[0.0, 0, 0, 30], [100.0, 0, 100, 0]])
    assert rows(smoother.take(0.01, None, MM)) == pytest.approx([10 * (1 - math.exp(-0.1))] * 2)


def test_a_heart_that_does_not_move_stays() -> None:
    smoother = PointSmoother()
    for frame in range(20):
        assert rows(smoother.take(frame * STEP_S, points(50), (0.3, 0.4))) == pytest.approx((50, 50))


def test_noise_becomes_less_and_a_beat_stays() -> None:
    """1 mm of noise on each coordinate of a motion of 12 mm, once a second."""
    seconds = np.arange(150) * STEP_S
    truth = 6 * np.cos(2 * np.pi * seconds)
    noisy = truth[:, np.newaxis] + np.random.default_rng(3).normal(0, 1, (150, 2))
    smoother = PointSmoother()
    found = np.array(
        [
            rows(smoother.take(float(t), HingePoints((a, 0.0), (p, 30.0)), MM))
            for t, (a, p) in zip(seconds, noisy, strict=True)
        ]
    )
    before, after = noisy - truth[:, np.newaxis], found - truth[:, np.newaxis]
    assert np.std(np.diff(after[5:], axis=0)) < 0.4 * np.std(np.diff(before[5:], axis=0))
    assert np.sqrt(np.mean(after[5:] ** 2)) < 0.85 * np.sqrt(np.mean(before[5:] ** 2))


def test_it_works_in_millimetres() -> None:
    """Pixels of 0.5 × 0.25 mm give what the same points in mm give."""
    by_mm, by_px = PointSmoother(), PointSmoother()
    for frame, (row, col) in enumerate([(10, 20), (12, 21), (13, 20), (11, 24)]):
        mm = by_mm.take(frame * STEP_S, points(row, col), MM)
        there = HingePoints((row / 0.5, col / 0.25), (row / 0.5, (col + 30) / 0.25))
        px = by_px.take(frame * STEP_S, there, (0.5, 0.25))
        assert np.array([px.hinge_points.amvl, px.hinge_points.pmvl]) * (0.5, 0.25) == pytest.approx(
            np.array([mm.hinge_points.amvl, mm.hinge_points.pmvl])
        )


def test_a_gap_is_bridged_so_far_and_no_further() -> None:
    smoother = PointSmoother(Smoothing(bridge=2))
    for frame in range(4):
        smoother.take(frame * STEP_S, points(50), MM)
    first, second, third = (smoother.take(frame * STEP_S, None, MM) for frame in (4, 5, 6))
    assert (first.predicted, first.bridged, second.predicted, second.bridged) == (True, 1, True, 2)
    assert rows(second) == pytest.approx((50, 50))
    assert third is None
    assert smoother.take(7 * STEP_S, points(70), MM) == SmoothedPoints(points(70), predicted=False, bridged=0)


def test_a_measurement_after_a_bridge_ends_it() -> None:
    smoother = PointSmoother(Smoothing(bridge=2))
    given = [points(50), points(50), None, points(50), None, None, points(50)]
    found = [smoother.take(frame * STEP_S, each, MM) for frame, each in enumerate(given)]
    assert [each.bridged for each in found] == [0, 0, 1, 0, 1, 2, 0]


def test_no_bridge_is_longer_than_a_part_of_a_beat() -> None:
    smoother = PointSmoother(Smoothing(bridge=1000))
    smoother.take(0.0, points(50), MM)
    assert smoother.take(LONGEST_BRIDGE_S, None, MM) is not None
    assert smoother.take(LONGEST_BRIDGE_S + 0.001, None, MM) is None


def test_without_a_bridge_nothing_is_predicted() -> None:
    smoother = PointSmoother(Smoothing(bridge=0))
    smoother.take(0.0, points(50), MM)
    assert smoother.take(STEP_S, None, MM) is None


def test_an_outlier_is_not_fed_in() -> None:
    smoother = PointSmoother()
    for frame in range(6):
        smoother.take(frame * STEP_S, points(50), MM)
    outlier = smoother.take(6 * STEP_S, points(90), MM)
    assert outlier.predicted
    assert rows(outlier) == pytest.approx((50, 50))
    after = smoother.take(7 * STEP_S, points(50), MM)
    assert not after.predicted
    assert rows(after) == pytest.approx((50, 50))


def test_one_wild_point_of_the_two_is_an_outlier() -> None:
    smoother = PointSmoother()
    for frame in range(6):
        smoother.take(frame * STEP_S, points(50), MM)
    assert smoother.take(6 * STEP_S, HingePoints((50.0, 0.0), (90.0, 30.0)), MM).predicted


def test_what_stays_elsewhere_is_believed_in_the_end() -> None:
    """The probe was moved: after as many frames as are bridged the filter begins at the new place."""
    smoother = PointSmoother(Smoothing(bridge=2))
    for frame in range(6):
        smoother.take(frame * STEP_S, points(50), MM)
    found = [smoother.take(frame * STEP_S, points(90), MM) for frame in range(6, 10)]
    assert [each.predicted for each in found] == [True, True, False, False]
    assert rows(found[2]) == (90, 90)


def test_time_that_goes_back_begins_anew() -> None:
    smoother = PointSmoother()
    smoother.take(1.0, points(50), MM)
    assert rows(smoother.take(1.0, points(60), MM)) == (60, 60)
    assert smoother.take(0.5, None, MM) is None


def test_nothing_comes_of_nothing() -> None:
    assert PointSmoother().take(0.0, None, None) is None


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"acceleration": 0.0}, "`acceleration` must be finite and positive. Received: 0.0"),
        ({"noise_mm": math.nan}, "`noise_mm` must be finite and positive. Received: nan"),
        ({"memory_s": math.inf}, "`memory_s` must be finite and positive. Received: inf"),
        ({"gate": -1.0}, "`gate` must be finite and positive. Received: -1.0"),
        ({"bridge": -1}, "`bridge` must not be negative. Received: -1"),
    ],
)
def test_constants_that_are_none(wrong: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Smoothing(**wrong)
