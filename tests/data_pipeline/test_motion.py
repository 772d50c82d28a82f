import numpy as np
import pytest

from data_pipeline.motion import motion_centre

PITCH_MM = (2.0, 1.0)


def beating(row: float, col: float, shape: tuple[int, int] = (60, 100), still: float = 0.0) -> np.ndarray:
    """(T, S, H, W): a bright disc whose radius changes, in two slices, on a background of so much structure."""
    rows, cols = np.mgrid[: shape[0], : shape[1]]
    distance = np.hypot((rows - row) * PITCH_MM[0], (cols - col) * PITCH_MM[1])
    frames = np.stack([100.0 + 900.0 * (distance < radius) for radius in (12, 16, 20, 16)])
    frames += still * (np.sin(rows) + np.cos(cols))
    return np.repeat(frames[:, np.newaxis], 2, axis=1).astype(np.float32)


@pytest.mark.parametrize(("row", "col"), [(29.5, 49.5), (20.0, 30.0), (40.0, 70.0)])
@pytest.mark.parametrize("still", [0.0, 50.0])
def test_it_is_where_it_moves(row: float, col: float, still: float):
    assert motion_centre(beating(row, col, still=still), PITCH_MM) == pytest.approx((row, col), abs=1.5)


def test_turned_and_mirrored_alike():
    cine = beating(22.0, 64.0)
    row, col = motion_centre(cine, PITCH_MM) or (0, 0)
    assert motion_centre(cine[..., ::-1], PITCH_MM) == pytest.approx((row, 99 - col))
    assert motion_centre(cine.swapaxes(2, 3), PITCH_MM[::-1]) == pytest.approx((col, row))


def test_another_scale_of_one_time_is_no_motion():
    cine = beating(29.5, 20.0)
    brighter = np.concatenate([cine[:1], 3 * cine[:1], cine[2:3] / 5])
    plain = np.concatenate([cine[:1], cine[:1], cine[2:3]])
    assert motion_centre(brighter, PITCH_MM) == pytest.approx(motion_centre(plain, PITCH_MM), abs=1e-3)


def test_whole_numbers_are_taken_as_they_are():
    cine = beating(22.0, 64.0)
    assert motion_centre(cine.astype(np.uint16), PITCH_MM) == pytest.approx(motion_centre(cine, PITCH_MM), abs=1e-3)


def test_nothing_that_moves_has_no_centre():
    assert motion_centre(beating(30, 50)[:1], PITCH_MM) is None  # one time
    assert motion_centre(np.repeat(beating(30, 50)[:1], 3, axis=0), PITCH_MM) is None  # still
    assert motion_centre(np.zeros((3, 2, 8, 8), np.float32), PITCH_MM) is None  # black
