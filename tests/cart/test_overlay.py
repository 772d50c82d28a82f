import numpy as np
import pytest

from cart.overlay import LONGER_SIDE_PX, draw_overlay
from cart.screen import SCREEN_BOX, SCREEN_DIAMETER, SCREEN_STRUCTURES
from postprocessing.hinge_points import HingePoints
from tests.reports.synthetic import drawn_labels

HEIGHT, WIDTH = 96, 64


def grey_image(height=HEIGHT, width=WIDTH):
    return np.random.default_rng(0).uniform(20, 120, (height, width)).astype(np.float32)


def is_grey(pixels):
    return (pixels[..., 0] == pixels[..., 1]) & (pixels[..., 1] == pixels[..., 2])


def near(pixels, colour, tolerance=6):
    return (np.abs(pixels.astype(int) - colour) <= tolerance).all(axis=-1)


def test_frame_is_enlarged_to_the_stated_side_and_has_a_legend_below():
    picture = draw_overlay(grey_image(), drawn_labels(HEIGHT, WIDTH, 0))
    assert picture.dtype == np.uint8
    assert picture.shape[1] == round(LONGER_SIDE_PX * WIDTH / HEIGHT)
    assert picture.shape[0] > LONGER_SIDE_PX


def test_known_spacing_makes_pixels_square():
    # 96 × 64 pixels of 0.5 × 1.5 mm are 48 × 96 mm: twice as wide as high.
    picture = draw_overlay(grey_image(), drawn_labels(HEIGHT, WIDTH, 0), spacing_mm=(0.5, 1.5))
    assert picture.shape[1] == LONGER_SIDE_PX
    legend_height = picture.shape[0] - LONGER_SIDE_PX // 2
    assert 0 < legend_height < 250


def test_large_frames_are_not_shrunk():
    picture = draw_overlay(grey_image(1200, 700), drawn_labels(1200, 700, 0))
    assert picture.shape[1] == 700
    assert picture.shape[0] > 1200


def test_hinge_points_lie_where_they_were_measured():
    # Zoom is 960 / 96 = 10: the centre of native pixel (40, 20) is at (404.5, 204.5) of the drawn frame.
    points = HingePoints(amvl=(40.0, 20.0), pmvl=(44.0, 50.0))
    picture = draw_overlay(grey_image(), np.zeros((HEIGHT, WIDTH), np.uint8), hinge_points=points)
    for row, col in ((404, 204), (444, 504)):
        assert near(picture[row - 2 : row + 3, col - 2 : col + 3], SCREEN_DIAMETER).all()
    middle = picture[420:428, 350:358]
    assert near(middle, SCREEN_DIAMETER).any()  # the diameter


def test_contours_have_their_structure_s_colour_and_the_inside_stays_grey():
    labels = np.zeros((HEIGHT, WIDTH), np.uint8)
    labels[20:40, 10:40] = 1
    labels[40:60, 10:40] = 3
    picture = draw_overlay(grey_image(), labels)[:LONGER_SIDE_PX]
    assert near(picture[195:205, 150:350], SCREEN_STRUCTURES["LV"]).any()
    assert near(picture[595:605, 150:350], SCREEN_STRUCTURES["LA"]).any()
    assert is_grey(picture[230:370, 130:370]).all()
    assert not near(picture, SCREEN_STRUCTURES["MYO"]).any()


def test_reference_is_dashed_beside_the_solid_prediction():
    prediction, reference = np.zeros((2, HEIGHT, WIDTH), np.uint8)
    prediction[20:40, 10:40] = 1
    reference[60:80, 10:40] = 1
    picture = draw_overlay(grey_image(), prediction, reference=reference)[:LONGER_SIDE_PX]
    solid = ~is_grey(picture[195:206, 150:350]).all(axis=0)
    dashed = ~is_grey(picture[595:606, 150:350]).all(axis=0)
    assert solid.all()
    assert 0.2 < dashed.mean() < 0.9


def test_a_structure_one_pixel_wide_is_still_outlined():
    labels = np.zeros((HEIGHT, WIDTH), np.uint8)
    labels[50, 30] = 1
    picture = draw_overlay(grey_image(), labels)[:LONGER_SIDE_PX]
    assert near(picture[490:520, 290:320], SCREEN_STRUCTURES["LV"]).any()


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((HEIGHT, WIDTH), np.float32),
        np.full((HEIGHT, WIDTH), 7.0, np.float32),
        np.full((HEIGHT, WIDTH), np.nan, np.float32),
        np.eye(HEIGHT, WIDTH, dtype=np.uint16) * 60000,
    ],
)
def test_any_grey_range_is_shown(image):
    picture = draw_overlay(image, np.zeros((HEIGHT, WIDTH), np.uint8))
    assert is_grey(picture[:LONGER_SIDE_PX]).all()


def test_text_stays_inside_the_frame():
    points = HingePoints(amvl=(94.0, 1.0), pmvl=(94.5, 62.0))
    picture = draw_overlay(grey_image(), drawn_labels(HEIGHT, WIDTH, 0), hinge_points=points, diameter_text="61.0 mm")
    assert picture.shape[1] == 640  # wrapped text would not change this, so look at the words themselves:
    assert near(picture[880:LONGER_SIDE_PX, 200:440], SCREEN_DIAMETER).sum() > 200


@pytest.mark.parametrize(
    ("image", "prediction", "reference", "message"),
    [
        (np.zeros((4, 4, 3)), np.zeros((4, 4)), None, r"`image` must be a non-empty \(H, W\) array"),
        (np.zeros((4, 4)), np.zeros((4, 5)), None, r"`prediction` must have the image's shape \(4, 4\)"),
        (np.zeros((4, 4)), np.zeros((4, 4)), np.zeros((5, 4)), "`reference` must have the image's shape"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(image, prediction, reference, message):
    with pytest.raises(ValueError, match=message):
        draw_overlay(image, prediction, reference=reference)


def test_boxes_lie_on_their_pixel_edges():
    # Zoom 10: the edge before native row 20 is at 200 − 1/2 of the drawn frame, that after column 49 at 500 − 1/2.
    empty = np.zeros((HEIGHT, WIDTH), np.uint8)
    picture = draw_overlay(grey_image() * 0, empty, box=(20, 60, 10, 50), why_no_hinge_points=None)
    found = near(picture, SCREEN_BOX, 60)[:LONGER_SIDE_PX]
    rows, cols = np.flatnonzero(found.any(axis=1)), np.flatnonzero(found.any(axis=0))
    edges = (199.5, 599.5, 99.5, 499.5)
    assert (rows[0], rows[-1], cols[0], cols[-1]) == pytest.approx(edges, abs=3)  # the line is 3 wide, its rim darker
    assert not found[210:590, 110:490].any()


def test_the_reference_box_is_dashed_and_a_box_may_reach_beyond_the_frame():
    empty = np.zeros((HEIGHT, WIDTH), np.uint8)
    picture = draw_overlay(grey_image() * 0, empty, reference_box=(-5, 60, -5, 50), why_no_hinge_points=None)
    found = near(picture, SCREEN_BOX, 60)[:LONGER_SIDE_PX]
    bottom = found[596:604].any(axis=0)[:500]
    assert 0.3 < bottom.mean() < 0.8
    assert not found[:590, :490].any()


def test_the_legend_says_why_there_are_no_hinge_points_or_nothing():
    empty = np.zeros((HEIGHT, WIDTH), np.uint8)
    said = draw_overlay(grey_image(), empty)
    unsaid = draw_overlay(grey_image(), empty, why_no_hinge_points=None)
    assert np.count_nonzero(near(said[LONGER_SIDE_PX:], (240, 240, 240), 20)) > 200
    assert not near(unsaid[LONGER_SIDE_PX:], (240, 240, 240), 20).any()
