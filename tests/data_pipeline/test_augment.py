import dataclasses
import math
from collections.abc import Callable

import numpy as np
import pytest
import tensorflow as tf
from scipy import ndimage

from data_pipeline.augment import augment_batch, blur, brightness, contrast, gamma, noise, sector_shadow
from recipes.base import Augmentation

FULL = Augmentation(
    flip=True,
    rotation_degrees=15,
    scale=0.15,
    translation=0.1,
    elastic_px=2.0,
    gamma=0.3,
    brightness=0.1,
    contrast=0.2,
    blur_px=1.0,
    noise=0.05,
    sector_shadow=0.5,
)
OPTIONS = [field.name for field in dataclasses.fields(Augmentation)]
GEOMETRY = ["flip", "rotation_degrees", "scale", "translation", "elastic_px"]
HEIGHT, WIDTH = 72, 56
ROWS, COLUMNS = np.mgrid[:HEIGHT, :WIDTH].astype(np.float32)
SEED = (7, 11)


def only(*names: str) -> Augmentation:
    return Augmentation(**{name: getattr(FULL, name) for name in names})


def name_of(names: list[str]) -> str:
    return names[0] if len(names) == 1 else {len(GEOMETRY): "geometry", len(OPTIONS): "all"}[len(names)]


def run(
    image: np.ndarray, labels: np.ndarray, options: Augmentation, count: int, seed: tuple[int, int] = SEED
) -> tuple[np.ndarray, np.ndarray]:
    """`count` augmented copies of one frame (H, W) and its labels."""
    images = tf.constant(np.repeat(image[np.newaxis, ..., np.newaxis], count, axis=0), tf.float32)
    copies = tf.constant(np.repeat(labels[np.newaxis], count, axis=0))
    augmented, moved = augment_batch(images, copies, options, tf.constant(seed))
    assert augmented.shape == (count, *image.shape, 1)
    assert (moved.shape, moved.dtype) == (copies.shape, copies.dtype)
    return augmented.numpy()[..., 0], moved.numpy()


def source_positions(options: Augmentation, count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Where each pixel was read from, (count, H, W) rows and columns, and where that is inside the frame.

    Linear interpolation reproduces linear functions, so warped images of the coordinates are the sampling grid.
    """
    no_labels = np.zeros((HEIGHT, WIDTH), np.uint8)
    rows, columns, ones = (
        run(image, no_labels, options, count)[0]
        for image in (ROWS / HEIGHT, COLUMNS / WIDTH, np.ones((HEIGHT, WIDTH), np.float32))
    )
    return rows * HEIGHT, columns * WIDTH, ones > 1 - 1e-6


def drawing() -> np.ndarray:
    """A lopsided label map of four classes, some of it at the border."""
    labels = np.zeros((HEIGHT, WIDTH), np.uint8)
    labels[(ROWS - 30) ** 2 / 400 + (COLUMNS - 22) ** 2 / 150 < 1] = 2
    labels[(ROWS - 28) ** 2 / 200 + (COLUMNS - 22) ** 2 / 60 < 1] = 1
    labels[50:, 18:34] = 3
    return labels


# Image and labels together --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("names", [*[[name] for name in OPTIONS], GEOMETRY, OPTIONS], ids=name_of)
def test_labels_come_from_the_position_of_the_image(names: list[str]) -> None:
    options = only(*(name for name in names if name in GEOMETRY))
    rows, columns, inside = source_positions(options, 40)
    for coordinate, source in ((ROWS, rows), (COLUMNS, columns)):
        _, labels = run(np.zeros((HEIGHT, WIDTH), np.float32), coordinate.astype(np.int32), only(*names), 40)
        off = (labels - source)[inside]
        assert np.abs(off).max() < 0.5 + 1e-3  # the nearest pixel
        assert abs(off.mean()) < 0.15  # and not always the one before or after
    assert inside.mean() > 0.6


@pytest.mark.parametrize("names", [*[[name] for name in GEOMETRY], GEOMETRY], ids=name_of)
@pytest.mark.parametrize("in_dataset", [False, True], ids=["eager", "Dataset.map"])
def test_an_image_of_its_labels_stays_one(names: list[str], in_dataset: bool) -> None:
    labels = tf.constant(np.repeat(drawing()[np.newaxis], 8, axis=0))
    images = tf.cast(labels, tf.float32)[..., tf.newaxis] / 3

    def augment(images: tf.Tensor, labels: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        return augment_batch(images, labels, only(*names), tf.constant(SEED))

    if in_dataset:
        dataset = tf.data.Dataset.from_tensors((images, labels)).map(augment)
        image_of_labels, moved = (tensor.numpy() for tensor in next(iter(dataset)))
    else:
        image_of_labels, moved = (tensor.numpy() for tensor in augment(images, labels))
    image_of_labels = image_of_labels[..., 0] * 3
    assert set(np.unique(moved)) == {0, 1, 2, 3}
    assert (moved != labels.numpy()).any()
    # away from borders between labels they are equal; on them the image blends what the labels choose from
    low, high = (
        change(moved, size=(1, 5, 5), mode="constant", cval=0)
        for change in (ndimage.minimum_filter, ndimage.maximum_filter)
    )
    flat = (low == high) & (moved > 0)
    np.testing.assert_allclose(image_of_labels[flat], moved[flat], atol=1e-4)
    assert (image_of_labels >= low - 1e-4).all()
    assert (image_of_labels <= high + 1e-4).all()


@pytest.mark.parametrize(
    ("names", "normalise"),
    [*[([name], "unit") for name in OPTIONS], (OPTIONS, "unit"), (OPTIONS, "zscore")],
    ids=[*OPTIONS, "all-unit", "all-zscore"],
)
def test_eager_and_in_a_dataset_are_the_same(names: list[str], normalise: str) -> None:
    rng = np.random.default_rng(0)
    images = rng.random((3, HEIGHT, WIDTH, 1), np.float32)
    labels = rng.integers(0, 4, (3, HEIGHT, WIDTH)).astype(np.uint8)

    def augment(images: tf.Tensor, labels: tf.Tensor, step: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        return augment_batch(images, labels, only(*names), tf.stack([5, step]), normalise)

    eager = augment(tf.constant(images), tf.constant(labels), tf.constant(4))
    dataset = tf.data.Dataset.from_tensors((images, labels, 4)).map(augment, num_parallel_calls=2)
    mapped = next(iter(dataset))
    np.testing.assert_allclose(mapped[0], eager[0], atol=1e-4)
    assert np.mean(mapped[1].numpy() == eager[1].numpy()) > 0.999  # a position on the edge between two pixels


def test_number_of_frames_may_be_unknown_when_traced() -> None:
    signature = [tf.TensorSpec((None, HEIGHT, WIDTH, 1)), tf.TensorSpec((None, HEIGHT, WIDTH), tf.uint8)]
    traced = tf.function(lambda x, y: augment_batch(x, y, FULL, tf.constant(SEED)), input_signature=signature)
    for count in (1, 5):
        images, labels = traced(tf.ones((count, HEIGHT, WIDTH, 1)), tf.ones((count, HEIGHT, WIDTH), tf.uint8))
        assert images.shape == (count, HEIGHT, WIDTH, 1)
        assert labels.shape == (count, HEIGHT, WIDTH)


# Randomness -----------------------------------------------------------------------------------------------------------


def test_same_seed_same_batch_other_seed_other_batch() -> None:
    image, labels = drawing() / np.float32(3), drawing()
    first, again, other = (run(image, labels, FULL, 4, seed) for seed in ((1, 2), (1, 2), (1, 3)))
    np.testing.assert_array_equal(first[0], again[0])
    np.testing.assert_array_equal(first[1], again[1])
    assert (first[1] != other[1]).any()
    assert all((first[1][0] != copy).any() for copy in first[1][1:])  # frames of a batch differ


@pytest.mark.parametrize("name", OPTIONS)
def test_an_option_changes_nothing_about_the_others(name: str) -> None:
    """Geometry is the same with and without any intensity option, and the reverse."""
    image, labels = drawing() / np.float32(3), drawing()
    if name in GEOMETRY:
        constant = np.full((HEIGHT, WIDTH), 0.5, np.float32)
        images = [run(constant, labels, options, 4)[0] for options in (only("brightness"), only("brightness", name))]
        np.testing.assert_allclose(images[0][:, 36, 28], images[1][:, 36, 28], atol=1e-5)
    else:
        np.testing.assert_array_equal(
            run(image, labels, only(*GEOMETRY), 4)[1], run(image, labels, only(*GEOMETRY, name), 4)[1]
        )


def test_nothing_asked_nothing_done() -> None:
    images, labels = tf.fill((2, 8, 8, 1), 3.5), tf.ones((2, 8, 8), tf.uint8)  # not even clipped
    for normalise in ("unit", "zscore"):
        assert augment_batch(images, labels, Augmentation(), tf.constant(SEED), normalise) == (images, labels)


# Geometry, each on its own --------------------------------------------------------------------------------------------


def test_flip() -> None:
    image = np.random.default_rng(0).random((HEIGHT, WIDTH), np.float32)
    images, labels = run(image, drawing(), only("flip"), 60)
    mirrored = np.array([np.array_equal(copy, image[:, ::-1]) for copy in images])
    assert all(np.array_equal(copy, image) for copy in images[~mirrored])
    assert all(np.array_equal(copy, drawing()[:, ::-1]) for copy in labels[mirrored])
    assert 15 < mirrored.sum() < 45


def test_rotation() -> None:
    rows, columns, inside = source_positions(only("rotation_degrees"), 40)
    angles = []
    for row, column, valid in zip(rows, columns, inside, strict=True):
        right = np.stack([COLUMNS[valid] - (WIDTH - 1) / 2, ROWS[valid] - (HEIGHT - 1) / 2], axis=1)
        found = np.stack([column[valid] - (WIDTH - 1) / 2, row[valid] - (HEIGHT - 1) / 2], axis=1)
        matrix = np.linalg.lstsq(right, found)[0]
        np.testing.assert_allclose(right @ matrix, found, atol=1e-3)
        np.testing.assert_allclose(matrix @ matrix.T, np.eye(2), atol=1e-4)
        assert np.linalg.det(matrix) > 0
        angles.append(math.degrees(math.atan2(matrix[0, 1], matrix[0, 0])))
    assert np.abs(angles).max() <= 15
    assert min(angles) < -10
    assert max(angles) > 10


def test_scale() -> None:
    rows, columns, _ = source_positions(only("scale"), 40)
    step_down, step_right = rows[:, 37, 28] - rows[:, 36, 28], columns[:, 36, 29] - columns[:, 36, 28]
    np.testing.assert_allclose(step_down, step_right, atol=1e-3)
    zoom = 1 / step_down
    assert 0.85 - 1e-3 <= zoom.min() < 0.9
    assert 1.1 < zoom.max() <= 1.15 + 1e-3
    np.testing.assert_allclose((rows[:, 35, 28] + rows[:, 36, 28]) / 2, (HEIGHT - 1) / 2, atol=1e-3)  # about the centre


def test_translation() -> None:
    rows, columns, inside = source_positions(only("translation"), 40)
    for source, own, side in ((rows, ROWS, HEIGHT), (columns, COLUMNS, WIDTH)):
        shifts = np.array([np.unique(np.round((s - own)[i], 2)) for s, i in zip(source, inside, strict=True)])
        assert shifts.shape == (40, 1) or np.ptp(shifts, axis=1).max() < 0.02  # the same for every pixel
        assert np.abs(shifts).max() <= 0.1 * side + 0.01
        assert shifts.min() < -0.05 * side
        assert shifts.max() > 0.05 * side


def test_elastic() -> None:
    rows, columns, _ = source_positions(only("elastic_px"), 300)
    centre = (slice(None), slice(8, -8), slice(8, -8))
    for source, own in ((rows, ROWS), (columns, COLUMNS)):
        displacement = (source - own)[centre]
        assert displacement.std() == pytest.approx(2.0, rel=0.1)
        assert displacement.mean() == pytest.approx(0, abs=0.1)
        by_place = displacement.std(axis=0)  # as lively near the border as in the middle
        assert by_place.min() > 1.5
        assert by_place.max() < 2.5
        assert np.abs(np.diff(displacement, axis=1)).mean() < 0.3  # smooth


def test_outside_is_black_and_background() -> None:
    ones = np.ones((HEIGHT, WIDTH), np.uint8)
    images, labels = run(ones.astype(np.float32), ones, only(*GEOMETRY), 20)
    assert (images[labels == 0] < 0.51).all()  # at most half a border pixel
    assert (images[labels == 1] > 0.24).all()  # a quarter at a corner
    far = ndimage.binary_erosion(labels == 0, np.ones((1, 3, 3)), border_value=1)
    assert far.any()
    assert not images[far].any()


# Intensities, each on its own -----------------------------------------------------------------------------------------


def frames(count: int = 40) -> np.ndarray:
    return np.random.default_rng(8).uniform(0.05, 0.95, (count, HEIGHT, WIDTH, 1)).astype(np.float32)


def changed(change: Callable[..., tf.Tensor], amount: float, images: np.ndarray) -> np.ndarray:
    return change(tf.constant(images), amount, tf.constant(SEED)).numpy()


def test_gamma() -> None:
    images = frames()
    log_gamma = np.log(np.log(changed(gamma, 0.3, images)) / np.log(images))
    assert np.ptp(log_gamma, axis=(1, 2, 3)).max() < 1e-2  # one for each frame
    per_frame = log_gamma.mean(axis=(1, 2, 3))
    assert -0.301 < per_frame.min() < -0.2
    assert 0.2 < per_frame.max() < 0.301


def test_brightness() -> None:
    images = frames()
    shift = changed(brightness, 0.1, images) - images
    assert np.ptp(shift, axis=(1, 2, 3)).max() < 1e-5
    assert -0.1001 < shift.min() < -0.07
    assert 0.07 < shift.max() < 0.1001


def test_contrast() -> None:
    images = frames()
    stretched = changed(contrast, 0.2, images)
    np.testing.assert_allclose(stretched.mean(axis=(1, 2, 3)), images.mean(axis=(1, 2, 3)), atol=1e-5)
    factor = stretched.std(axis=(1, 2, 3)) / images.std(axis=(1, 2, 3))
    assert 0.799 < factor.min() < 0.85
    assert 1.15 < factor.max() < 1.201


def test_blur_is_gaussian() -> None:
    dot = np.zeros((12, HEIGHT, WIDTH, 1), np.float32)
    dot[:, 36, 28] = 1
    for spread in changed(blur, 2.0, dot)[..., 0]:
        assert spread.sum() == pytest.approx(1, abs=1e-4)
        deviation = math.sqrt(((ROWS - 36) ** 2 * spread).sum())
        assert deviation < 2.01
        if deviation > 0.7:  # well sampled: the moment is the parameter
            exact = ndimage.gaussian_filter(dot[0, ..., 0].astype(float), deviation, truncate=8)
            np.testing.assert_allclose(spread, exact, atol=1e-3)


def test_blur_keeps_a_constant_frame_up_to_its_border() -> None:
    np.testing.assert_allclose(changed(blur, 3.0, np.full((6, HEIGHT, WIDTH, 1), 0.4, np.float32)), 0.4, atol=1e-6)


def test_noise() -> None:
    images = np.full((60, HEIGHT, WIDTH, 1), 0.5, np.float32)
    added = changed(noise, 0.05, images) - images
    levels = added.std(axis=(1, 2, 3))
    assert levels.max() < 0.052
    assert levels.min() < 0.01
    assert np.abs(added.mean(axis=(1, 2, 3))).max() < 0.005
    neighbours = added[:, :-1] * added[:, 1:]
    assert abs(neighbours.mean()) < 0.02 * added.var()  # white


def test_sector_shadow_is_a_wedge_from_the_probe() -> None:
    shadowed = changed(sector_shadow, 1.0, np.ones((40, HEIGHT, WIDTH, 1), np.float32))[..., 0]
    angle = np.degrees(np.arctan2(COLUMNS - (WIDTH - 1) / 2, ROWS + 1))
    for frame in shadowed:
        dark = frame < 1 - 1e-6
        assert frame.min() > 0.04  # darker, never emptied
        assert frame.max() == 1
        assert 0.005 < dark.mean() < 0.45
        assert np.ptp(angle[dark]) <= 2 * 10 + 1e-3
        deepest = dark[-1].nonzero()[0]
        assert (np.diff(deepest) == 1).all()  # one wedge


def test_sector_shadow_comes_with_its_probability() -> None:
    shadowed = changed(sector_shadow, 0.25, np.ones((400, 24, 24, 1), np.float32))
    assert np.mean(shadowed.min(axis=(1, 2, 3)) < 0.99) == pytest.approx(0.25, abs=0.07)


# Ranges and refusals --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("names", [*[[name] for name in OPTIONS], OPTIONS], ids=name_of)
def test_unit_frames_stay_within_0_to_1(names: list[str]) -> None:
    options = dataclasses.replace(only(*names), **({"brightness": 0.8, "noise": 0.5} if len(names) > 1 else {}))
    images, _ = run(np.random.default_rng(0).random((HEIGHT, WIDTH), np.float32), drawing(), options, 8)
    assert images.min() >= 0
    assert images.max() <= 1


def test_zscore_frames_are_the_augmented_unit_frames_standardised() -> None:
    unit = np.random.default_rng(0).random((5, HEIGHT, WIDTH, 1), np.float32)
    unit[:, 0, 0], unit[:, 0, 1] = 0, 1
    scored = (unit - unit.mean(axis=(1, 2, 3), keepdims=True)) / unit.std(axis=(1, 2, 3), keepdims=True)
    labels = np.repeat(drawing()[np.newaxis], 5, axis=0)
    expected, expected_labels = augment_batch(tf.constant(unit), labels, FULL, tf.constant(SEED))
    images, moved = augment_batch(tf.constant(scored), labels, FULL, tf.constant(SEED), "zscore")
    expected = expected.numpy()
    expected = (expected - expected.mean(axis=(1, 2, 3), keepdims=True)) / expected.std(axis=(1, 2, 3), keepdims=True)
    np.testing.assert_allclose(images, expected, atol=1e-3)
    np.testing.assert_array_equal(moved, expected_labels)


def test_constant_zscore_frame_stays_zero() -> None:
    images, _ = augment_batch(
        tf.zeros((2, 16, 16, 1)),
        tf.zeros((2, 16, 16), tf.uint8),
        only("flip", "brightness"),
        tf.constant(SEED),
        "zscore",
    )
    assert not images.numpy().any()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rotation_degrees": -1}, "`rotation_degrees` must be finite and not negative. Received: -1"),
        ({"elastic_px": float("nan")}, "`elastic_px` must be finite and not negative. Received: nan"),
        ({"blur_px": float("inf")}, "`blur_px` must be finite and not negative. Received: inf"),
        ({"scale": 1.0}, "`scale` must be below 1, where frames would vanish. Received: 1.0"),
        ({"scale": 1.5}, "`scale` must be between 0 and 1. Received: 1.5"),
        ({"translation": 2.0}, "`translation` must be between 0 and 1. Received: 2.0"),
        ({"sector_shadow": 1.2}, "`sector_shadow` must be between 0 and 1. Received: 1.2"),
    ],
)
def test_options_out_of_range_are_refused(options: dict[str, float], message: str) -> None:
    images, labels = tf.zeros((1, 8, 8, 1)), tf.zeros((1, 8, 8), tf.uint8)
    with pytest.raises(ValueError, match=message):
        augment_batch(images, labels, Augmentation(**options), tf.constant(SEED))


def test_unknown_size_is_refused() -> None:
    traced = tf.function(lambda x, y: augment_batch(x, y, FULL, tf.constant(SEED)), autograph=False)
    with pytest.raises(ValueError, match=r"known height and width when traced. Received: \(None, None, None, 1\)"):
        traced.get_concrete_function(tf.TensorSpec((None, None, None, 1)), tf.TensorSpec((None, None, None), tf.uint8))
