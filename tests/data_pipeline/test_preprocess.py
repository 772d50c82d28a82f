from collections.abc import Callable

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage

from data_pipeline.preprocess import (
    Preprocessing,
    preprocess_image,
    preprocess_labels,
    restore_probabilities,
    square_around,
)
from shell.errors import UserError

NATIVE = (549, 389)  # rows shrink by 2.14, columns by 1.52: anisotropic
GRID = Preprocessing(256, 256)


def ramp(count: int, rows: int = 3) -> np.ndarray:
    return np.tile(np.arange(count, dtype=np.float32) / 255, (rows, 1))


def blob(shape: tuple[int, int], centre: tuple[float, float], spread: float) -> np.ndarray:
    row, col = np.mgrid[: shape[0], : shape[1]]
    return np.exp(-((row - centre[0]) ** 2 + (col - centre[1]) ** 2) / (2 * spread**2)).astype(np.float32)


def centroid(weights: np.ndarray) -> np.ndarray:
    row, col = np.mgrid[: weights.shape[0], : weights.shape[1]]
    return np.array([(row * weights).sum(), (col * weights).sum()]) / weights.sum()


# Resizing -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("columns", "by_hand"),
    [
        (2, [0.5, 2.5]),  # two pixels averaged
        (8, [0, 0.25, 0.75, 1.25, 1.75, 2.25, 2.75, 3]),  # centres at (i + 1/2)/2 − 1/2, clamped at the ends
        (4, [0, 1, 2, 3]),
        (3, [0.25, 1.5, 2.75]),  # area: a whole pixel and a third of the next; a half and a half of two thirds; …
    ],
)
@pytest.mark.parametrize("rows", [2, 3, 7])  # the other axis shrinks, stays or grows: it must not matter
def test_image_resize_by_hand(rows: int, columns: int, by_hand: list[float]) -> None:
    resized = preprocess_image(ramp(4), Preprocessing(rows, columns))
    assert resized.shape == (rows, columns)
    np.testing.assert_allclose(resized * 255, np.tile(by_hand, (rows, 1)), atol=1e-4)


def test_transposed_frame_gives_the_transposed_result() -> None:
    image = np.random.default_rng(0).uniform(0, 255, (40, 23)).astype(np.float32)
    np.testing.assert_allclose(
        preprocess_image(image.T.copy(), Preprocessing(31, 16)),
        preprocess_image(image, Preprocessing(16, 31)).T,
        atol=1e-6,
    )


@pytest.mark.parametrize("native", [NATIVE, (389, 549), (150, 110), (100, 700)])
def test_blob_stays_where_it_was_there_and_back(native: tuple[int, int]) -> None:
    centre = (native[0] * 0.47 + 0.3, native[1] * 0.56 - 0.2)
    spread = min(native) / 14
    there = preprocess_image(blob(native, centre, spread), GRID)
    scale = np.array(native) / 256
    np.testing.assert_allclose((centroid(there) + 0.5) * scale - 0.5, centre, atol=0.05)
    back = restore_probabilities(there[..., np.newaxis], native)[..., 0]
    np.testing.assert_allclose(centroid(back), centre, atol=0.05)


def test_labels_lie_where_the_image_lies() -> None:
    row, col = np.mgrid[: NATIVE[0], : NATIVE[1]]
    disc = (row - 251.3) ** 2 / 90**2 + (col - 190.6) ** 2 / 50**2 <= 1
    labels = preprocess_labels(disc.astype(np.uint8), GRID)
    image = preprocess_image(disc.astype(np.float32), GRID)
    np.testing.assert_allclose(centroid(labels.astype(float)), centroid(image), atol=0.05)
    assert np.mean((image > 0.5) == labels.astype(bool)) > 0.995


def test_labels_by_hand() -> None:
    labels = np.array([[0, 1, 2, 3, 4, 5]], np.uint8)
    np.testing.assert_array_equal(preprocess_labels(labels, Preprocessing(2, 2)), [[1, 4], [1, 4]])
    np.testing.assert_array_equal(preprocess_labels(labels[:, :2], Preprocessing(1, 4)), [[0, 0, 1, 1]])


@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 40), st.integers(1, 40))
def test_labels_are_never_invented(height: int, width: int, rows: int, columns: int) -> None:
    labels = np.random.default_rng(height * 41 + width).choice(np.array([0, 2, 5], np.uint8), (height, width))
    resized = preprocess_labels(labels, Preprocessing(rows, columns))
    assert resized.shape == (rows, columns)
    assert resized.dtype == np.uint8
    assert set(np.unique(resized)) <= set(np.unique(labels))


@pytest.mark.parametrize("native", [NATIVE, (120, 300)])
@pytest.mark.parametrize("channels", [1, 2, 4, 6])
def test_restoring_is_bilinear_at_pixel_centres(native: tuple[int, int], channels: int) -> None:
    probabilities = np.random.default_rng(1).dirichlet(np.ones(channels), (64, 48)).astype(np.float32)
    restored = restore_probabilities(probabilities, native)
    row, col = ((np.arange(side) + 0.5) * small / side - 0.5 for side, small in zip(native, (64, 48), strict=True))
    positions = np.meshgrid(row, col, indexing="ij")
    for channel in range(channels):
        expected = ndimage.map_coordinates(
            probabilities[..., channel].astype(float), positions, order=1, mode="nearest"
        )
        np.testing.assert_allclose(restored[..., channel], expected, atol=2e-5)
    np.testing.assert_allclose(restored.sum(axis=2), 1, atol=1e-5)


def test_restoring_to_the_same_grid_changes_nothing() -> None:
    probabilities = np.random.default_rng(1).random((20, 30, 3), np.float32)
    np.testing.assert_array_equal(restore_probabilities(probabilities, (20, 30)), probabilities)


# Intensities ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("native", "unit"),
    [
        ([0, 51, 102], [0, 0.2, 0.4]),  # 8-bit: the scale is 255 whatever the frame's own maximum
        ([0, 0.25, 1], [0, 0.25, 1]),  # already 0..1
        ([0, 1024, 4096], [0, 0.25, 1]),  # 12-bit and wider: the frame's own range
        ([-60, -45, 0], [0, 0.25, 1]),  # decibel
        ([0, 0, 0], [0, 0, 0]),
        ([300, 300, 300], [0, 0, 0]),
    ],
)
def test_scale_of_intensities(native: list[float], unit: list[float]) -> None:
    np.testing.assert_allclose(
        preprocess_image(np.array([native], np.float32), Preprocessing(1, 3))[0], unit, atol=1e-6
    )


def test_zscore() -> None:
    image = np.random.default_rng(2).uniform(0, 255, (90, 70)).astype(np.float32)
    scored = preprocess_image(image, Preprocessing(32, 48, normalise="zscore"))
    assert scored.dtype == np.float32
    assert scored.mean() == pytest.approx(0, abs=1e-5)
    assert scored.std() == pytest.approx(1, abs=1e-5)
    unit = preprocess_image(image, Preprocessing(32, 48))
    np.testing.assert_allclose(scored, (unit - unit.mean()) / unit.std(), atol=1e-4)


def test_constant_frame_is_zero_under_zscore() -> None:
    assert not preprocess_image(np.full((9, 7), 80, np.float32), Preprocessing(4, 4, normalise="zscore")).any()


@pytest.mark.parametrize(("low", "high"), [(0, 180), (0, 0.5), (20, 4095), (-300, 900)])
def test_minmax_is_every_frame_by_its_own_range(low: float, high: float):
    image = np.linspace(low, high, 48, dtype=np.float32).reshape(6, 8)
    seen = preprocess_image(image, Preprocessing(6, 8, normalise="minmax"))
    np.testing.assert_allclose(seen.ravel(), np.linspace(0, 1, 48), atol=1e-6)
    if high > 255 or low < 0:  # `unit` does so too, to the last bit
        np.testing.assert_array_equal(seen, preprocess_image(image, Preprocessing(6, 8)))
    assert not preprocess_image(np.full((9, 7), 80, np.float32), Preprocessing(4, 4, normalise="minmax")).any()


def test_grey_levels_are_not_quantised() -> None:
    image = np.random.default_rng(3).integers(0, 256, NATIVE).astype(np.float32)
    assert len(np.unique(preprocess_image(image, GRID))) > 10_000
    assert len(np.unique(preprocess_image(image, Preprocessing(256, 256, clahe=True)))) > 10_000


@pytest.mark.parametrize("clip_limit", [1.0, 2.0, 40.0])
def test_clahe_is_opencvs_without_its_rounding(clip_limit: float) -> None:
    noise = np.random.default_rng(4).uniform(0, 255, (1024, 768)).astype(np.float32)
    smooth = cv2.GaussianBlur(noise, (0, 0), 6)
    image = np.rint(
        (smooth - smooth.min()) / (smooth.max() - smooth.min()) * np.linspace(0, 255, 768, dtype=np.float32)
    )
    ours = preprocess_image(image, Preprocessing(1024, 768, clahe=True, clahe_clip_limit=clip_limit)) * 255
    theirs = cv2.createCLAHE(clip_limit, (8, 8)).apply(image.astype(np.uint8)).astype(np.float32)
    assert np.abs(ours - theirs).max() < 3
    assert np.abs(theirs - image).mean() > 10  # there was something to do


def test_clahe_stays_within_0_to_1_and_keeps_the_order_of_levels_with_one_tile() -> None:
    image = np.tile(np.arange(256, dtype=np.float32), (64, 1))
    equalised = preprocess_image(image, Preprocessing(64, 256, clahe=True, clahe_tiles=1))
    assert equalised.min() >= 0
    assert equalised.max() == 1
    assert (np.diff(equalised, axis=1) > 0).all()
    np.testing.assert_allclose(equalised[0], (np.arange(256) + 1) / 256, atol=1e-5)  # a flat histogram stays flat


def test_the_same_frame_gives_the_same_bytes() -> None:
    image = np.random.default_rng(5).uniform(0, 255, NATIVE).astype(np.float32)
    preprocessing = Preprocessing(256, 256, normalise="zscore", clahe=True)
    before = image.copy()
    assert preprocess_image(image, preprocessing).tobytes() == preprocess_image(image, preprocessing).tobytes()
    np.testing.assert_array_equal(image, before)


# Parameters -----------------------------------------------------------------------------------------------------------


def test_parameters_survive_a_dictionary() -> None:
    preprocessing = Preprocessing(192, 256, "zscore", True, 3.5, 4)
    assert Preprocessing.from_dict(preprocessing.to_dict()) == preprocessing


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"height": 0}, "`height` must be a whole number of at least 1. Received: 0"),
        ({"width": 25.5}, "`width` .* Received: 25.5"),
        ({"normalise": "unitt"}, "`normalise` must be one of unit, minmax, zscore. Received: 'unitt'"),
        ({"clahe_clip_limit": 0}, "`clahe_clip_limit` must be positive"),
        ({"clahe_clip_limit": float("nan")}, "`clahe_clip_limit` .* nan"),
        ({"clahe_tiles": 0}, "`clahe_tiles`"),
        ({"colour": 1}, "may have .*Received: colour, height, width"),
    ],
)
def test_bad_parameters_are_refused(values: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Preprocessing.from_dict({"height": 8, "width": 8, **values})


def test_missing_parameters_are_refused() -> None:
    with pytest.raises(ValueError, match=r"must have the fields height, width .*Received: height"):
        Preprocessing.from_dict({"height": 8})


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: preprocess_image(np.zeros((3, 4, 5), np.float32), GRID), r"`image` .*\(H, W\).* \(3, 4, 5\)"),
        (lambda: preprocess_image(np.zeros((0, 4), np.float32), GRID), r"`image` .* \(0, 4\)"),
        (lambda: preprocess_image(np.array([[0, np.nan]], np.float32), GRID), "`image` must be finite. .*nan"),
        (lambda: preprocess_image(np.array([[0, np.inf]], np.float32), GRID), "`image` must be finite. .*inf"),
        (
            lambda: preprocess_image(np.zeros((5, 9), np.float32), Preprocessing(8, 8, clahe=True)),
            "`clahe_tiles` must not exceed a side of the frame, 5 × 9. Received: 8",
        ),
        (lambda: preprocess_labels(np.zeros((3, 4), np.float32), GRID), "`labels` must be uint8. Received: float32"),
        (lambda: preprocess_labels(np.zeros(3, np.uint8), GRID), "`labels` must have shape"),
        (lambda: restore_probabilities(np.zeros((3, 4), np.float32), (5, 5)), r"`probabilities` .* \(3, 4\)"),
        (lambda: restore_probabilities(np.zeros((3, 4, 2), np.float32), (5, 0)), r"`native_shape` .* \(5, 0\)"),
    ],
)
def test_bad_arrays_are_refused(call: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()


# Regions --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("grid", [Preprocessing(256, 256), Preprocessing(600, 300), Preprocessing(100, 500)])
def test_the_whole_frame_as_a_region_is_the_whole_frame(grid: Preprocessing) -> None:
    rng = np.random.default_rng(1)
    image = rng.uniform(0, 255, NATIVE).astype(np.float32)
    labels = rng.integers(0, 4, NATIVE).astype(np.uint8)
    probabilities = rng.dirichlet(np.ones(3), (grid.height, grid.width)).astype(np.float32)
    whole = (0.0, float(NATIVE[0]), 0.0, float(NATIVE[1]))
    np.testing.assert_allclose(preprocess_image(image, grid, whole), preprocess_image(image, grid), atol=2e-6)
    np.testing.assert_array_equal(preprocess_labels(labels, grid, whole), preprocess_labels(labels, grid))
    np.testing.assert_allclose(
        restore_probabilities(probabilities, NATIVE, whole), restore_probabilities(probabilities, NATIVE), atol=2e-6
    )


@pytest.mark.parametrize(
    ("left", "right", "columns", "by_hand"),
    [
        (1, 3, 2, [2, 3]),  # the two pixels themselves
        (0.5, 2.5, 2, [1.5, 2.5]),  # half a pixel further left: linear between neighbours
        (1, 3, 4, [1.75, 2.25, 2.75, 3.25]),  # magnified: the pixels beside the region are seen by its edge
        (0, 4, 2, [1.5, 3.5]),  # two pixels averaged
        (-2, 2, 4, [0, 0, 1, 2]),  # two columns beyond the frame
        (-1, 3, 2, [0.5, 2.5]),  # the first averages what is beyond and the first pixel
        (2, 8, 2, [(3 + 4) / 3, 0]),  # two pixels of three, then nothing
        (5, 9, 2, [0, 0]),  # all of it beyond
    ],
)
def test_region_by_hand(left: float, right: float, columns: int, by_hand: list[float]) -> None:
    image = ramp(4) + np.float32(1 / 255)  # pixels 1, 2, 3, 4
    seen = preprocess_image(image, Preprocessing(3, columns), (0, 3, left, right))
    np.testing.assert_allclose(seen * 255, np.tile(by_hand, (3, 1)), atol=1e-4)
    turned = preprocess_image(image.T.copy(), Preprocessing(columns, 3), (left, right, 0, 3))
    np.testing.assert_allclose(turned, seen.T, atol=1e-6)


def test_labels_of_a_region_by_hand() -> None:
    labels = np.array([[1, 2, 3, 4]], np.uint8)
    grid = Preprocessing(1, 4)
    assert preprocess_labels(labels, grid, (0, 1, 1, 3)).tolist() == [[2, 2, 3, 3]]
    assert preprocess_labels(labels, grid, (0, 1, -2, 2)).tolist() == [[0, 0, 1, 2]]
    assert preprocess_labels(labels, grid, (0, 1, 2.5, 6.5)).tolist() == [[4, 0, 0, 0]]  # centres 3, 4, 5, 6
    assert preprocess_labels(labels, Preprocessing(2, 1), (-1, 1, 0, 4)).tolist() == [[0], [3]]


def test_the_scale_of_grey_levels_is_the_whole_frames() -> None:
    image = np.zeros((8, 8), np.float32)
    image[0, 0] = 1000  # 16-bit: the frame's range is 0 to 1000
    image[4:, 4:] = 100  # alone it would be taken for 8-bit
    np.testing.assert_allclose(preprocess_image(image, Preprocessing(2, 2), (4, 8, 4, 8)), 0.1, atol=1e-6)


def test_restored_region_by_hand() -> None:
    probabilities = np.zeros((2, 2, 2), np.float32)
    probabilities[..., 1] = [[0.2, 0.4], [0.6, 0.8]]
    probabilities[..., 0] = 1 - probabilities[..., 1]
    restored = restore_probabilities(probabilities, (4, 5), (1, 3, 2, 4))
    by_hand = np.zeros((4, 5))
    by_hand[1:3, 2:4] = [[0.2, 0.4], [0.6, 0.8]]
    np.testing.assert_allclose(restored[..., 1], by_hand, atol=1e-6)
    np.testing.assert_allclose(restored.sum(-1), 1, atol=1e-6)
    # The upper half of it beyond the frame, twice as wide: columns between the centres are linear, clamped at the ends.
    wide = restore_probabilities(probabilities, (1, 4), (-1, 1, 0, 4))
    np.testing.assert_allclose(wide[0, :, 1], [0.6, 0.65, 0.75, 0.8], atol=1e-6)
    beyond = restore_probabilities(probabilities, (2, 2), (5, 9, 0, 2))
    np.testing.assert_array_equal(beyond[..., 0], 1)


def test_blob_of_a_region_stays_where_it_was_there_and_back() -> None:
    region, centre = (120.3, 480.7, -20.4, 300.9), (301.2, 150.6)
    spread = 30.0
    seen = preprocess_image(blob(NATIVE, centre, spread), GRID, region)
    scale = ((region[1] - region[0]) / 256, (region[3] - region[2]) / 256)
    found = centroid(seen)
    expected = [(c - start + 0.5) / s - 0.5 for c, start, s in zip(centre, (region[0], region[2]), scale, strict=True)]
    np.testing.assert_allclose(found, expected, atol=0.02)
    restored = restore_probabilities(np.stack([1 - seen, seen], -1), NATIVE, region)
    np.testing.assert_allclose(centroid(restored[..., 1]), centre, atol=0.05)
    np.testing.assert_allclose(restored[..., 1], blob(NATIVE, centre, spread), atol=0.01)


@given(
    top=st.floats(-30, 30), height=st.floats(1, 80), left=st.floats(-30, 30), width=st.floats(1, 80),
    side=st.integers(1, 40),
)  # fmt: skip
def test_any_region_keeps_probabilities_and_labels_what_they_are(
    top: float, height: float, left: float, width: float, side: int
) -> None:
    region = (top, top + height, left, left + width)
    probabilities = np.random.default_rng(0).dirichlet(np.ones(3), (8, 6)).astype(np.float32)
    restored = restore_probabilities(probabilities, (side, 20), region)
    np.testing.assert_allclose(restored.sum(-1), 1, atol=1e-5)
    assert restored.min() >= 0
    labels = np.full((side, 20), 3, np.uint8)
    assert set(np.unique(preprocess_labels(labels, Preprocessing(8, 6), region))) <= {0, 3}
    seen = preprocess_image(np.ones((side, 20), np.float32), Preprocessing(8, 6), region)
    assert seen.min() >= 0
    assert seen.max() <= 1 + 1e-5


@pytest.mark.parametrize("region", [(3, 3, 0, 4), (0, 4, 5, 2), (0, float("nan"), 0, 4), (0, float("inf"), 0, 4)])
def test_a_region_without_extent_is_refused(region: tuple[float, float, float, float]) -> None:
    image = np.ones((8, 8), np.float32)
    for refuse in (
        lambda: preprocess_image(image, GRID, region),
        lambda: preprocess_labels(image.astype(np.uint8), GRID, region),
        lambda: restore_probabilities(np.ones((2, 2, 2), np.float32), (8, 8), region),
    ):
        with pytest.raises(ValueError, match=r"`region` must be .* each max beyond its min\. Received:"):
            refuse()


# A square around the heart --------------------------------------------------------------------------------------------


def test_a_square_around_a_point_by_hand():
    # 20 mm are 10 rows of 2 mm and 40 columns of 0.5 mm; a pixel's centre is half a pixel from its edges
    assert square_around((30.0, 50.0), (100, 200), (2.0, 0.5), 20.0) == (25.5, 35.5, 30.5, 70.5)
    assert square_around(None, (100, 200), (2.0, 0.5), 20.0) == (45.0, 55.0, 80.0, 120.0)
    assert square_around((0.0, 0.0), (100, 200), (2.0, 0.5), 20.0)[::2] == (-4.5, -19.5)  # beyond the frame


def test_a_square_needs_a_pitch_and_an_extent():
    with pytest.raises(UserError, match=r"sees 20 mm around the heart, so the pixel pitch must be known.*--spacing-mm"):
        square_around(None, (100, 200), None, 20.0)
    for side_mm in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="`side_mm` must be finite and positive"):
            square_around(None, (100, 200), (1.0, 1.0), side_mm)


def test_a_square_there_and_back_is_where_it_was():
    labels = np.zeros((60, 80), np.uint8)
    labels[20:40, 30:55] = 1
    grid, region = Preprocessing(64, 64), square_around((30.0, 42.0), labels.shape, (1.5, 1.2), 60.0)
    seen = preprocess_labels(labels, grid, region)
    back = restore_probabilities(np.eye(2, dtype=np.float32)[seen], labels.shape, region)
    assert np.count_nonzero((back[..., 1] > 0.5) != (labels == 1)) < 45  # of 86 pixels along the outline
    np.testing.assert_array_equal(back[:5].argmax(-1), 0)
