"""The measures of benchmarks/smoothing.py, on motions whose delay and noise are known."""

from functools import partial

import numpy as np
import pytest

from benchmarks.smoothing import Beats, as_measured, bridged_errors_mm, exponential, kalman, one_euro, score, table
from cart.smoothing import Smoothing

RATE_HZ = 50.0


def motion(shift_s: float = 0.0, frames: int = 100) -> np.ndarray:
    """(frames, 4): both points go down and up by 12 mm once a second, 30 mm apart."""
    rows = 6 * np.sin(2 * np.pi * (np.arange(frames) / RATE_HZ - shift_s))
    zeros = np.zeros(frames)
    return np.stack([rows, zeros, rows, zeros + 30], axis=1)


def test_a_known_delay_is_found() -> None:
    found = score(as_measured, [Beats(RATE_HZ, motion(), motion(shift_s=0.023))])
    assert found.delay_ms == pytest.approx(23, abs=1)
    assert found.diameter_mm == pytest.approx(0, abs=1e-9)


def test_a_constant_offset_is_error_but_no_jitter_and_no_delay() -> None:
    """3 and 4 mm away on each point, 5 mm in all."""
    found = score(as_measured, [Beats(RATE_HZ, motion(), motion() + np.array([3.0, 4, 3, 4]))])
    assert (found.error_mm, found.jitter_mm, found.delay_ms) == pytest.approx((5, 0, 0), abs=1e-9)


def test_frames_without_points_do_not_count() -> None:
    measured = motion()
    measured[40] = np.nan
    found = score(as_measured, [Beats(RATE_HZ, motion(), measured)])
    assert (found.error_mm, found.jitter_mm) == pytest.approx((0, 0), abs=1e-9)


@pytest.mark.parametrize(
    "filtering",
    [
        partial(exponential, cutoff_hz=5.0),
        partial(one_euro, cutoff_hz=2.0, per_speed=0.02),
        partial(kalman, smoothing=Smoothing()),
    ],
)
def test_every_filter_calms_noise_and_is_late(filtering) -> None:
    noisy = motion() + np.random.default_rng(1).normal(0, 1, (100, 4))
    before = score(as_measured, [Beats(RATE_HZ, motion(), noisy)])
    after = score(filtering, [Beats(RATE_HZ, motion(), noisy)])
    assert after.jitter_mm < 0.5 * before.jitter_mm
    assert after.delay_ms > before.delay_ms


def test_the_longer_a_gap_the_larger_the_error() -> None:
    errors = bridged_errors_mm([Beats(RATE_HZ, motion(), motion())], Smoothing(), frames=4)
    assert len(errors) == 5
    assert errors == sorted(errors)


def test_the_table_is_of_the_other_half() -> None:
    noise = np.random.default_rng(2)
    sequences = [Beats(RATE_HZ, motion(frames=60), motion(frames=60) + noise.normal(0, 1, (60, 4))) for _ in range(3)]
    text = table(sequences, most_delay_ms=30.0)
    assert "| as measured |" in text
    assert "| cart/smoothing.py |" in text
    assert text.endswith("1 sequences, 60 frames; constants chosen on 2 others")
