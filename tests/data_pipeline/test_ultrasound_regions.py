"""What ultrasound regions say of the B-mode image, worked by hand."""

from dataclasses import replace

import pytest

from data_pipeline.readers.ultrasound_regions import BMode, UltrasoundRegion, b_mode_of

# Rows 10 to 109 and columns 20 to 219, of 0.03 cm down and 0.02 cm across: 0.3 mm and 0.2 mm.
IMAGE = UltrasoundRegion(1, 1, (10, 109), (20, 219), (3, 3), (0.03, 0.02))
ECG = UltrasoundRegion(4, 10, (120, 139), (20, 219), (0, 4), (0.0, 0.01))
SIZE = (150, 240)


def test_no_regions_say_nothing() -> None:
    assert b_mode_of([], *SIZE) == BMode()


def test_the_tissue_image_among_others() -> None:
    found = b_mode_of([ECG, IMAGE], *SIZE)
    assert found.region == (10, 110, 20, 220)  # the last row and column are the region's own
    assert found.spacing_mm == pytest.approx((0.3, 0.2))
    assert (found.region_note, found.spacing_note) == (None, None)


def test_a_maker_that_means_the_pixel_after_the_last() -> None:
    found = b_mode_of([replace(IMAGE, columns=(40, 240))], *SIZE)
    assert found.region == (10, 110, 40, 240)


def test_a_region_of_another_picture() -> None:
    """The trap: the file was halved, and its region and pitch left as they were."""
    found = b_mode_of([IMAGE], 75, 120)
    assert found.region is None
    assert found.spacing_mm is None
    assert found.spacing_note == found.region_note
    assert "rows 10 to 109 and columns 20 to 219, does not fit the frame of 75 × 120" in str(found.spacing_note)
    assert "scaled or cut" in str(found.spacing_note)


@pytest.mark.parametrize("rows", [(-1, 109), (10, 151)])
def test_one_pixel_beyond_does_not_fit(rows: tuple[int, int]) -> None:
    assert b_mode_of([replace(IMAGE, rows=rows)], *SIZE).spacing_mm is None


@pytest.mark.parametrize("rows", [(50, 50), (60, 50), (0, 0)])
def test_a_region_without_extent(rows: tuple[int, int]) -> None:
    found = b_mode_of([replace(IMAGE, rows=rows)], *SIZE)
    assert (found.region, found.spacing_mm) == (None, None)
    assert "has no extent" in str(found.spacing_note)


def test_an_axis_that_runs_the_other_way() -> None:
    found = b_mode_of([replace(IMAGE, delta=(-0.03, 0.02))], *SIZE)
    assert found.spacing_mm == pytest.approx((0.3, 0.2))


@pytest.mark.parametrize(
    ("delta", "note"),
    [
        ((0.0, 0.02), "cannot be: (0, 0.2) mm"),
        ((0.03, 0.0), "cannot be: (0.3, 0) mm"),
        ((float("nan"), 0.02), "cannot be: (nan, 0.2) mm"),
        ((float("inf"), 0.02), "cannot be: (inf, 0.2) mm"),
        ((1.5, 1.5), "cannot be: (15, 15) mm"),
        ((None, 0.02), "does not say how large its pixels are"),
    ],
)
def test_deltas_that_cannot_be(delta: tuple[float | None, float | None], note: str) -> None:
    """The place of the image holds all the same."""
    found = b_mode_of([replace(IMAGE, delta=delta)], *SIZE)
    assert found.spacing_mm is None
    assert found.region == (10, 110, 20, 220)
    assert note in str(found.spacing_note)


def test_units_other_than_cm() -> None:
    found = b_mode_of([replace(IMAGE, units=(3, 4))], *SIZE)
    assert found.spacing_mm is None
    assert found.spacing_note == "the units of the B-mode region are not cm (3) but 3 and 4"


def test_two_images_of_one_pitch() -> None:
    """Side by side: the pitch holds, but which of the two is meant is not said."""
    found = b_mode_of([replace(IMAGE, columns=(0, 119)), replace(IMAGE, columns=(120, 239))], *SIZE)
    assert found.spacing_mm == pytest.approx((0.3, 0.2))
    assert found.region is None
    assert found.region_note == "2 B-mode images share the frame, and it is not said which is meant"


def test_two_images_of_different_pitches() -> None:
    other = replace(IMAGE, columns=(120, 239), delta=(0.06, 0.04))
    found = b_mode_of([replace(IMAGE, columns=(0, 119)), other], *SIZE)
    assert found.spacing_mm is None
    assert found.spacing_note == ("its B-mode regions have different pixel pitches: (0.3, 0.2) mm, (0.6, 0.4) mm")


def test_an_image_within_an_image() -> None:
    inset = replace(IMAGE, rows=(10, 40), columns=(20, 50))
    assert b_mode_of([inset, IMAGE], *SIZE).region == (10, 110, 20, 220)


def test_no_image_among_the_regions() -> None:
    found = b_mode_of([ECG, replace(IMAGE, data_type=2)], *SIZE)
    assert (found.region, found.spacing_mm) == (None, None)
    assert found.spacing_note == "none of its 2 ultrasound regions is a 2-D image of tissue"
