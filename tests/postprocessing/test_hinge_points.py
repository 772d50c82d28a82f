import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from postprocessing.codes import LA, LV
from postprocessing.contact_line import ContactLine, pixel_contact_line, subpixel_contact_line
from postprocessing.hinge_points import ANTERIOR_SIDE, find_hinge_points
from tests.postprocessing.drawn import label_map, smooth_frame


def line_through(*points: tuple[float, float]) -> ContactLine:
    return ContactLine(np.array(points, dtype=np.float64), segments=1, one_pixel=False, method="pixel")


LABELS = label_map("""
    ..VVVVVV..
    ..VVVVVV..
    ..VVVAAA..
    .AAAAAAA..
""")  # from the corner (2.5, 1.5) up a step to the corner (1.5, 7.5)


def test_orientation_of_the_views() -> None:
    assert dict(ANTERIOR_SIDE) == {"A4C": "left", "A2C": "left", "A3C": "right"}


def test_the_ends_are_named_by_the_side() -> None:
    line = pixel_contact_line(LABELS)
    left, right = find_hinge_points(line, "left"), find_hinge_points(line, "right")
    assert (left.amvl, left.pmvl) == ((2.5, 1.5), (1.5, 7.5))
    assert (right.amvl, right.pmvl) == (left.pmvl, left.amvl)


def test_mirrored_image_with_mirrored_side_gives_mirrored_points() -> None:
    points = find_hinge_points(pixel_contact_line(LABELS), "left")
    mirrored = find_hinge_points(pixel_contact_line(LABELS[:, ::-1]), "right")
    width = LABELS.shape[1]
    assert mirrored.amvl == (points.amvl[0], width - 1 - points.amvl[1])
    assert mirrored.pmvl == (points.pmvl[0], width - 1 - points.pmvl[1])


def test_level_lines_have_the_extreme_columns_of_the_paper() -> None:
    line = line_through((10.2, 3), (9, 8), (8.5, 14), (9, 20), (10.1, 27.5))
    points = find_hinge_points(line, "left")
    assert (points.amvl, points.pmvl) == ((10.2, 3.0), (10.1, 27.5))


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_on_untilted_lines_both_definitions_agree(seed: int) -> None:
    generator = np.random.default_rng(seed)
    cols = np.arange(40.0)
    rows = 20 + generator.uniform(-3, 3) * np.sin(np.pi * cols / 39) + generator.uniform(-0.4, 0.4, 40)
    points = find_hinge_points(line_through(*zip(rows, cols, strict=True)), "left")
    assert (points.amvl[1], points.pmvl[1]) == (0, 39)


def test_bulge_of_a_steep_line_is_no_hinge_point() -> None:
    # 65° steep, with a bulge to the left in its middle that reaches further left than its upper end does
    line = line_through((0, 10), (10, 7), (20, 9), (30, 14), (40, 21))
    assert line.points[:, 1].argmin() == 1  # where the bare column would put it
    points = find_hinge_points(line, "left")
    assert (points.amvl, points.pmvl) == ((0.0, 10.0), (40.0, 21.0))


@pytest.mark.parametrize("side", ["left", "right"])
def test_upright_line_has_its_amvl_at_the_top(side: str) -> None:
    points = find_hinge_points(line_through((3, 5), (9, 5), (15, 5)), side)
    assert (points.amvl, points.pmvl) == ((3.0, 5.0), (15.0, 5.0))


def test_line_without_length_has_both_points_in_one_place() -> None:
    points = find_hinge_points(line_through((3, 5), (3, 5)), "left")
    assert points.amvl == points.pmvl == (3.0, 5.0)


@settings(max_examples=40, deadline=None)
@given(
    tilt=st.floats(-50, 50),
    row=st.floats(-3, 3),
    col=st.floats(-3, 3),
    down=st.integers(-5, 5),
    right=st.integers(-20, 20),
)
def test_points_move_with_the_image_and_mirror_with_it(
    tilt: float, row: float, col: float, down: int, right: int
) -> None:
    whole = smooth_frame(tilt_degrees=tilt, shift_px=(row, col), half_length_mm=8).probabilities
    frame = whole[10:-10, 30:-30]
    points = find_hinge_points(subpixel_contact_line(frame, LV, LA), "left")
    moved = whole[10 - down : -10 - down, 30 - right : -30 - right]
    shifted = find_hinge_points(subpixel_contact_line(moved, LV, LA), "left")
    np.testing.assert_allclose(shifted.amvl, np.add(points.amvl, (down, right)), atol=1e-6)
    np.testing.assert_allclose(shifted.pmvl, np.add(points.pmvl, (down, right)), atol=1e-6)
    width = frame.shape[1]
    mirrored = find_hinge_points(subpixel_contact_line(frame[:, ::-1], LV, LA), "right")
    np.testing.assert_allclose(mirrored.amvl, (points.amvl[0], width - 1 - points.amvl[1]), atol=1e-6)
    np.testing.assert_allclose(mirrored.pmvl, (points.pmvl[0], width - 1 - points.pmvl[1]), atol=1e-6)


def test_isotropic_scaling_scales_the_points() -> None:
    coarse = smooth_frame(tilt_degrees=12, shape=(130, 260))
    fine = smooth_frame(tilt_degrees=12, shape=(260, 520), spacing_mm=(0.155, 0.077))
    small = find_hinge_points(subpixel_contact_line(coarse.probabilities, LV, LA), "left")
    large = find_hinge_points(subpixel_contact_line(fine.probabilities, LV, LA), "left")
    np.testing.assert_allclose(np.add(large.amvl, 0.5), 2 * np.add(small.amvl, 0.5), atol=0.1)
    np.testing.assert_allclose(np.add(large.pmvl, 0.5), 2 * np.add(small.pmvl, 0.5), atol=0.1)


def test_unknown_side_is_refused() -> None:
    with pytest.raises(ValueError, match=r"`anterior_side` must be left or right. Received: 'up'"):
        find_hinge_points(line_through((1, 2), (1, 5)), "up")
