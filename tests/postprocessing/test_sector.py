import cv2
import numpy as np
import numpy.typing as npt
import pytest

from postprocessing.sector import is_cut, sector_edge, sector_of

SHAPE = (320, 280)


def sector_image() -> npt.NDArray[np.float32]:
    """A fan of speckle from the top middle, 80° wide, 300 px deep, with a black cavity and letters in a corner."""
    rows, cols = np.mgrid[: SHAPE[0], : SHAPE[1]]
    angle = np.degrees(np.arctan2(cols - 140, rows - 5))
    depth = np.hypot(cols - 140, rows - 5)
    fan = (np.abs(angle) < 40) & (depth < 300) & (rows > 5)
    image = np.where(fan, np.random.default_rng(0).integers(10, 200, SHAPE), 0).astype(np.uint8)
    cv2.circle(image, (140, 200), 50, 0, -1)
    cv2.putText(image, "HR 72", (5, 20), cv2.FONT_HERSHEY_SIMPLEX, 0.5, 255)
    return image.astype(np.float32)


def disc(row: int, col: int, radius: int) -> npt.NDArray[np.bool_]:
    return cv2.circle(np.zeros(SHAPE, dtype=np.uint8), (col, row), radius, 1, -1).astype(np.bool_)


@pytest.mark.parametrize(
    ("mask", "cut"),
    [
        (disc(200, 140, 50), False),  # the cavity itself
        (disc(270, 140, 20), False),  # ten pixels above the bottom of the fan
        (disc(280, 140, 30), True),  # through the bottom
        (disc(150, 220, 40), True),  # through the right side
        (disc(60, 30, 10), True),  # outside altogether
    ],
)
def test_what_the_sector_cuts(mask: npt.NDArray[np.bool_], cut: bool) -> None:
    edge = sector_edge(sector_of(sector_image()))
    assert is_cut(mask, edge) is cut
    assert not is_cut(mask, None)  # the image's own edge is far


def test_scale_and_offset_of_the_intensities_do_not_matter() -> None:
    image = sector_image()
    np.testing.assert_array_equal(sector_of(image), sector_of(image * 257 - 3000))


def test_frame_without_contrast_has_no_sector() -> None:
    assert sector_of(np.full(SHAPE, 7, dtype=np.float32)) is None


def test_frame_filled_by_the_image_is_cut_by_its_own_edge_only() -> None:
    edge = sector_edge(sector_of(np.random.default_rng(0).integers(50, 200, SHAPE).astype(np.float32)))
    assert not is_cut(disc(160, 140, 100), edge)
    assert is_cut(disc(160, 140, 139), edge)


@pytest.mark.parametrize("turn", range(4))
def test_image_edge_cuts_on_all_sides(turn: int) -> None:
    mask = np.zeros((30, 40), dtype=np.bool_)
    mask[1:10, 15:20] = True  # lossy copies may have lost the outermost row
    assert is_cut(np.rot90(mask, turn), None)
    mask[:] = False
    mask[2:28, 2:38] = True
    assert not is_cut(np.rot90(mask, turn), None)
