import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from postprocessing.codes import LA, LV
from postprocessing.contact_line import (
    ContactLineNotFound,
    join_segments,
    pixel_contact_line,
    subpixel_contact_line,
)
from tests.postprocessing.drawn import label_map, one_hot, smooth_frame

LEVEL = label_map("""
    ........
    ..VVVV..
    ..VVVV..
    .AAAA...
    .AAAA...
    ........
""")


def test_level_line_runs_between_the_pixels_from_corner_to_corner() -> None:
    line = pixel_contact_line(LEVEL)
    np.testing.assert_array_equal(line.points, [[2.5, 1.5], [2.5, 2], [2.5, 3], [2.5, 4], [2.5, 4.5]])
    assert (line.segments, line.one_pixel, line.method) == (1, False, "pixel")


def test_transposed_line_is_transposed() -> None:
    line = pixel_contact_line(LEVEL.T)
    np.testing.assert_array_equal(line.points, [[1.5, 2.5], [2, 2.5], [3, 2.5], [4, 2.5], [4.5, 2.5]])


def test_staircase_goes_through_the_midpoints_of_its_steps() -> None:
    line = pixel_contact_line(
        label_map("""
            VVVV.
            VVAA.
            AAAA.
        """)
    )
    expected = [[1.5, 0], [1.5, 1], [1, 1.5], [0.5, 2], [0.5, 3], [0.5, 3.5]]
    np.testing.assert_array_equal(line.points, expected)  # the left end: the image ends there, and the line with it


def test_one_pixel_touch_is_one_pixel_long() -> None:
    line = pixel_contact_line(
        label_map("""
            .....
            .VV..
            ..V..
            ..A..
            .AA..
        """)
    )
    np.testing.assert_array_equal(line.points, [[2.5, 1.5], [2.5, 2], [2.5, 2.5]])
    assert line.one_pixel


def test_two_pixels_are_more_than_one() -> None:
    assert not pixel_contact_line(label_map(".VV. .AA. ....")).one_pixel


@pytest.mark.parametrize(
    "drawing",
    [
        "..... ..... .....",  # empty
        ".VVV. .VVV. .....",  # no LA
        "..... .AAA. .....",  # no LV
        ".VVV. ..... .AAA.",  # apart
        ".VVV. .mmm. .AAA.",  # something between
        ".VV.. ...AA ...AA",  # touching at a corner only
    ],
)
def test_without_contact_there_is_no_line(drawing: str) -> None:
    labels = label_map(drawing)
    with pytest.raises(ContactLineNotFound, match="do not touch"):
        pixel_contact_line(labels)
    with pytest.raises(ContactLineNotFound):
        subpixel_contact_line(one_hot(labels), LV, LA)


def test_line_across_the_whole_image_ends_at_the_outermost_pixel_centres() -> None:
    labels = label_map("VVVV VVVV AAAA")
    expected = [[1.5, 0], [1.5, 3]]
    np.testing.assert_array_equal(pixel_contact_line(labels).points[[0, -1]], expected)
    np.testing.assert_array_equal(subpixel_contact_line(one_hot(labels), LV, LA).points[[0, -1]], expected)


def test_line_in_the_corner_of_an_image() -> None:
    line = pixel_contact_line(label_map("V A"))
    np.testing.assert_array_equal(line.points, [[0.5, 0], [0.5, 0]])
    assert line.one_pixel


def test_contact_broken_by_a_few_pixels_stays_whole() -> None:
    labels = label_map("""
        VVVVVVVVVVVVVVVVVV
        VVVVVVVVVmmVVVVVVV
        AAAAAAAAA..AAAAAAA
        AAAAAAAAAAAAAAAAAA
    """)
    line = pixel_contact_line(labels)
    assert line.segments == 2
    np.testing.assert_array_equal(line.points[[0, -1]], [[1.5, 0], [1.5, 17]])
    assert (np.diff(line.points[:, 1]) > 0).all()


def test_touch_elsewhere_is_left_out_of_the_line() -> None:
    labels = label_map("""
        VVVVVVVVVV.......AA
        VVVVVVVVVVVVVVVVVAA
        VVVVVVVVVV.......AA
        VVVVVVVVVV.......AA
        AAAAAAAAAAAAAAAAAAA
    """)  # the atrium leaks up the right side to a spike of the ventricle
    line = pixel_contact_line(labels)
    assert line.segments == 2
    np.testing.assert_array_equal(line.points[[0, -1]], [[3.5, 0], [3.5, 9.5]])


def test_small_gap_is_bridged_to_a_short_segment_and_a_long_one_is_not() -> None:
    def level(begin: float, end: float) -> np.ndarray:
        return np.array([[5.0, begin], [5.0, end]])

    near, far = level(12, 13), level(14, 15)
    np.testing.assert_array_equal(join_segments([near, level(0, 10)]), [[5, 0], [5, 10], [5, 12], [5, 13]])  # 2 ≤ 10/4
    np.testing.assert_array_equal(join_segments([far, level(0, 10)]), [[5, 0], [5, 10]])  # 4 > 10/4, 4 > 1
    assert len(join_segments([far, near, level(0, 10)])) == 6  # one after the other
    np.testing.assert_array_equal(join_segments([level(0, 10), level(18, 10 + 16)])[[0, -1]], [[5, 0], [5, 26]])


def test_segments_are_turned_to_meet() -> None:
    right = np.array([[5.0, 20.0], [5.0, 12.0]])
    left = np.array([[5.0, 10.0], [5.0, 0.0]])
    joined = join_segments([right, left])
    assert abs(np.diff(joined[:, 1])).sum() == 20  # straight through, no way back


def test_atrium_inside_the_ventricle_gives_a_closed_line() -> None:
    line = pixel_contact_line(label_map("VVVV VAAV VVVV"))
    assert line.segments == 1
    assert len(line.points) == 6


def test_checkerboard_does_not_confuse_the_tracing() -> None:
    line = pixel_contact_line(label_map(".... .VA. .AV. ...."))
    assert line.segments == 2  # V and V are kept apart: each has its own line
    assert len(line.points) >= 3


def test_other_codes() -> None:
    np.testing.assert_array_equal(
        pixel_contact_line(np.where(LEVEL == LV, 7, np.where(LEVEL == LA, 9, 0)).astype(np.uint8), 7, 9).points,
        pixel_contact_line(LEVEL).points,
    )


def test_subpixel_line_of_a_hard_label_map_is_the_pixel_line_to_a_fraction_of_a_pixel() -> None:
    # left end, cell (2, 1): background, LV / LA, LA, so LV = x(1 − y), LA = y, background = (1 − x)(1 − y), all equal
    # at x = 1/2, y = 1/3; right end: the same upside down
    points = subpixel_contact_line(one_hot(LEVEL), LV, LA).points
    np.testing.assert_allclose(points, [[2 + 1 / 3, 1.5], [2.5, 2], [2.5, 3], [2.5, 4], [2 + 2 / 3, 4.5]], atol=1e-12)


def test_subpixel_end_where_two_other_pixels_meet_the_line() -> None:
    # cell (1, 2): LV, background / LA, background, so LV = (1 − x)(1 − y), LA = (1 − x) y, background = x
    points = subpixel_contact_line(one_hot(label_map(".VV.. .VV.. .AA.. .AA..")), LV, LA).points
    np.testing.assert_allclose(points, [[1.5, 2 / 3], [1.5, 1], [1.5, 2], [1.5, 2 + 1 / 3]], atol=1e-12)


@pytest.mark.parametrize("tilt", [-35, -10, 0, 20, 35])
def test_subpixel_ends_lie_on_the_triple_points(tilt: float) -> None:
    frame = smooth_frame(tilt_degrees=tilt, shift_px=(0.37, -0.81))
    line = subpixel_contact_line(frame.probabilities, LV, LA)
    assert (line.segments, line.one_pixel, line.method) == (1, False, "subpixel")
    np.testing.assert_allclose(line.points[[0, -1]], [frame.left, frame.right], atol=0.1)
    along = (frame.right - frame.left) / np.hypot(*(frame.right - frame.left))
    across = (line.points - frame.left) @ [-along[1], along[0]]
    assert abs(across).max() < 0.1  # straight all the way


def test_transposed_probabilities_give_the_transposed_line() -> None:
    frame = smooth_frame(tilt_degrees=17, shift_px=(0.2, 0.4))
    line = subpixel_contact_line(frame.probabilities, LV, LA)
    turned = subpixel_contact_line(frame.probabilities.swapaxes(0, 1), LV, LA)
    np.testing.assert_allclose(turned.points, line.points[:, ::-1], atol=1e-9)


def test_upright_line_ends_where_it_should() -> None:
    labels = np.ascontiguousarray(LEVEL.T)
    expected = [[1.5, 2 + 1 / 3], [4.5, 2 + 2 / 3]]
    np.testing.assert_allclose(subpixel_contact_line(one_hot(labels), LV, LA).points[[0, -1]], expected, atol=1e-12)
    upright = subpixel_contact_line(one_hot(label_map(".VV.. .VV.. .AA.. .AA..").T), LV, LA)
    np.testing.assert_allclose(upright.points, [[2 / 3, 1.5], [1, 1.5], [2, 1.5], [2 + 1 / 3, 1.5]], atol=1e-12)


def test_masks_leave_a_stray_atrium_out() -> None:
    frame = smooth_frame()
    probabilities = frame.probabilities.copy()
    probabilities[35:41, 120:130] = (0, 0, 0, 1)  # an island of LA within LV
    assert subpixel_contact_line(probabilities, LV, LA).segments == 2
    whole = subpixel_contact_line(frame.probabilities, LV, LA)
    labels = frame.labels
    masked = subpixel_contact_line(probabilities, LV, LA, (labels == LV, labels == LA))
    np.testing.assert_array_equal(masked.points[[0, -1]], whole.points[[0, -1]])


def test_a_third_class_between_touching_pixels_does_not_break_the_line() -> None:
    # halfway between the rows LV and LA have .3 each, background .4; at the pixels themselves it has less than they
    probabilities = np.zeros((6, 10, 4), dtype=np.float32)
    probabilities[..., 0] = 1
    probabilities[1:3, 1:9] = (0.4, 0.55, 0, 0.05)
    probabilities[3:5, 1:9] = (0.4, 0.05, 0, 0.55)
    line = subpixel_contact_line(probabilities, LV, LA)
    np.testing.assert_allclose(line.points[[0, -1]], [[2.5, 1], [2.5, 8]], atol=0.51)
    np.testing.assert_allclose(line.points[:, 0], 2.5)


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    rows=st.integers(0, 9),
    cols=st.integers(0, 9),
)
def test_any_label_map_has_all_its_contacts_on_a_line_and_moves_with_its_translation(
    seed: int, rows: int, cols: int
) -> None:
    generator = np.random.default_rng(seed)
    labels = np.zeros((24, 24), dtype=np.uint8)
    labels[2:12, 2:14] = generator.choice([0, 1, 1, 2, 3], (10, 12))
    moved = np.roll(labels, (rows, cols), axis=(0, 1))
    line, moved_line = pixel_contact_line(labels), pixel_contact_line(moved)
    np.testing.assert_allclose(moved_line.points, np.add(line.points, (rows, cols)))
    assert moved_line.segments == line.segments
    soft, moved_soft = (subpixel_contact_line(one_hot(each), LV, LA) for each in (labels, moved))
    np.testing.assert_allclose(moved_soft.points, np.add(soft.points, (rows, cols)))


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000), scale=st.integers(2, 4))
def test_scaling_a_label_map_scales_its_line(seed: int, scale: int) -> None:
    generator = np.random.default_rng(seed)
    top = generator.integers(8, 12, 20).cumsum() // 10 + 2
    labels = np.zeros((40, 26), dtype=np.uint8)
    for col, row in enumerate(top, start=3):
        labels[row - 2 : row, col], labels[row : row + 3, col] = LV, LA
    points = pixel_contact_line(labels).points
    scaled = pixel_contact_line(np.kron(labels, np.ones((scale, scale), dtype=np.uint8))).points
    np.testing.assert_allclose(scaled[[0, -1]] + 0.5, (points[[0, -1]] + 0.5) * scale)  # in pixel edges


def test_wrong_input_is_refused() -> None:
    with pytest.raises(ValueError, match=r"`label_map` must be \(H, W\). Received shape: \(2, 3, 4\)"):
        pixel_contact_line(np.zeros((2, 3, 4), dtype=np.uint8))
    with pytest.raises(ValueError, match=r"`probabilities` must be \(H, W, C\)"):
        subpixel_contact_line(np.zeros((2, 3), dtype=np.float32), 1, 3)
    for lv, la in ((1, 1), (-1, 2), (1, 4)):
        with pytest.raises(ValueError, match=r"must be two of 4 channels. Received: "):
            subpixel_contact_line(np.zeros((2, 3, 4), dtype=np.float32), lv, la)
    masks = np.zeros((2, 2), dtype=np.bool_), np.zeros((2, 3), dtype=np.bool_)
    with pytest.raises(ValueError, match="`masks` must be"):
        subpixel_contact_line(np.zeros((2, 3, 4), dtype=np.float32), 1, 3, masks)
