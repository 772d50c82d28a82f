import keras
import numpy as np
import pytest
from keras import ops

from metrics.boxes import box_of_mask
from models.boxes import MINIMUM_SIDE, REACH, WHOLE_FRAME, crop, crop_one_hot, cropping_box, reference_box, uncrop


def boxes(*values: tuple[float, float, float, float]) -> np.ndarray:
    return np.array(values, np.float32)


def frame(*, size=(8, 10), channels=1, count=1) -> np.ndarray:
    return np.random.default_rng(0).random((count, *size, channels), dtype=np.float32)


def one_hot(labels: np.ndarray, classes: int = 3) -> np.ndarray:
    return np.eye(classes, dtype=np.float32)[labels]


def smooth(size: tuple[int, int]) -> np.ndarray:
    """A field without detail finer than a quarter of the frame, between 0 and 1, with its centre off the middle."""
    rows, cols = ((np.arange(side) + 0.5) / side for side in size)
    return np.float32(0.5 + 0.4 * np.sin(4 * rows + 0.7)[:, None] * np.cos(3 * cols - 0.4)[None])


# --- the reference's box ----------------------------------------------------------------------------------------------


def test_reference_box_by_hand():
    labels = np.zeros((1, 8, 10), int)
    labels[0, 2:5, 4] = 1
    labels[0, 6, 3:8] = 2
    box, valid = reference_box(one_hot(labels), (1, 2), 0.0)
    np.testing.assert_allclose(box, [[2 / 8, 7 / 8, 3 / 10, 8 / 10]])
    box, _ = reference_box(one_hot(labels), (1,), 0.0)
    np.testing.assert_allclose(box, [[2 / 8, 5 / 8, 4 / 10, 5 / 10]])
    np.testing.assert_array_equal(valid, [1.0])


def test_margin_of_rows_is_of_the_height_and_of_columns_of_the_width():
    # rows 0.25..0.75 (height 0.5), columns 0.2..0.4 (width 0.2); a margin of 1 reaches beyond the frame
    labels = np.zeros((1, 8, 10), int)
    labels[0, 2:6, 2:4] = 1
    np.testing.assert_allclose(reference_box(one_hot(labels), (1,), 0.1)[0], [[0.2, 0.8, 0.18, 0.42]], atol=1e-6)
    np.testing.assert_allclose(reference_box(one_hot(labels), (1,), 1.0)[0], [[-0.25, 1.25, 0.0, 0.6]], atol=1e-6)


def test_a_frame_without_the_structure_has_no_box():
    labels = np.zeros((2, 8, 10), int)
    labels[1, 3, 3] = 1
    labels[0, 3, 3] = 2
    box, valid = reference_box(one_hot(labels), (1,), 0.05)
    np.testing.assert_array_equal(valid, [0.0, 1.0])
    np.testing.assert_array_equal(np.asarray(box)[0], WHOLE_FRAME)


def test_reference_box_is_the_metrics_box():
    labels = np.random.default_rng(3).choice(3, size=(5, 16, 12), p=(0.96, 0.02, 0.02))
    box, valid = reference_box(one_hot(labels), (1, 2), 0.15)
    assert np.asarray(valid).all()
    for mask, edges in zip(labels > 0, np.asarray(box), strict=True):
        np.testing.assert_allclose(edges * (16, 16, 12, 12), box_of_mask(mask, 0.15), atol=1e-4)


# --- the box that is cropped to ---------------------------------------------------------------------------------------


def test_a_sensible_box_is_cropped_to_as_it_is():
    sensible = boxes(WHOLE_FRAME, (0.2, 0.7, -0.1, 1.1))
    np.testing.assert_array_equal(cropping_box(sensible), sensible)


def test_a_box_that_vanishes_turns_over_or_leaves_the_frame_is_kept_from_it():
    proposed = boxes((0.5, 0.5, 0.4, 0.42), (0.8, 0.2, 0.0, 1.0), (3.0, 9.0, -9.0, 9.0), (-9.0, -8.0, 0.0, 1.0))
    kept = np.asarray(cropping_box(proposed))
    half = MINIMUM_SIDE / 2
    np.testing.assert_allclose(kept[0], [0.5 - half, 0.5 + half, 0.41 - half, 0.41 + half], atol=1e-6)
    np.testing.assert_allclose(kept[1], [0.5 - half, 0.5 + half, 0.0, 1.0], atol=1e-6)
    np.testing.assert_allclose(kept[2, 2:], [-REACH, 1 + REACH])
    sides = kept[:, 1::2] - kept[:, ::2]
    assert (sides >= MINIMUM_SIDE - 1e-6).all()
    assert (np.abs(kept - 0.5) <= 0.5 + REACH + half + 1e-6).all()


# --- crop -------------------------------------------------------------------------------------------------------------


def test_cropping_to_the_whole_frame_at_its_size_is_exactly_the_identity():
    for size in ((8, 10), (224, 96)):
        images = frame(size=size, channels=2)
        np.testing.assert_array_equal(crop(images, boxes(WHOLE_FRAME), size), images)
        probabilities = one_hot(np.random.default_rng(0).integers(0, 3, (1, *size)))
        np.testing.assert_array_equal(uncrop(probabilities, boxes(WHOLE_FRAME), size), probabilities)


def test_cropping_to_whole_pixels_cuts_them_out():
    images = frame(channels=2, count=2)
    cut = crop(images, boxes((2 / 8, 6 / 8, 3 / 10, 8 / 10), (0, 4 / 8, 5 / 10, 1)), (4, 5))
    np.testing.assert_allclose(np.asarray(cut)[0], images[0, 2:6, 3:8], atol=1e-5)
    np.testing.assert_allclose(np.asarray(cut)[1], images[1, 0:4, 5:10], atol=1e-5)


def test_crop_by_hand_interpolates_between_pixel_centres():
    # A ramp over 4 columns, 0 1 2 3. The box from column edge 1 to 3 on 4 pixels: centres at 1.25, 1.75, 2.25, 2.75
    # from the left edge, that is at pixel positions 0.75, 1.25, 1.75, 2.25. The single row stands for itself.
    ramp = np.arange(4, dtype=np.float32).reshape(1, 1, 4, 1)
    np.testing.assert_allclose(
        np.asarray(crop(ramp, boxes((0, 1, 0.25, 0.75)), (1, 4)))[0, 0, :, 0], [0.75, 1.25, 1.75, 2.25], atol=1e-6
    )


def test_beyond_the_frame_an_image_is_zero_and_a_reference_background():
    images = np.ones((1, 4, 4, 1), np.float32)
    beyond = boxes((-1.0, 1.0, 0.0, 1.0))  # the upper half lies above the frame
    np.testing.assert_array_equal(
        np.asarray(crop(images, beyond, (8, 4)))[0, :, :, 0], np.repeat([[0.0], [1.0]], 4, 0) @ np.ones((1, 4))
    )
    structure = one_hot(np.full((1, 4, 4), 2))
    cropped = np.asarray(crop_one_hot(structure, beyond, (8, 4)))
    np.testing.assert_array_equal(cropped[0, :4], one_hot(np.zeros((4, 4), int)))
    np.testing.assert_array_equal(cropped[0, 4:], structure[0])


def test_crop_mirrors_and_transposes_with_the_image():
    images, box = frame(channels=2), boxes((0.1, 0.6, 0.35, 0.9))
    cut = np.asarray(crop(images, box, (6, 7)))
    np.testing.assert_allclose(crop(images[:, ::-1], boxes((0.4, 0.9, 0.35, 0.9)), (6, 7)), cut[:, ::-1], atol=1e-5)
    turned = crop(images.transpose(0, 2, 1, 3), boxes((0.35, 0.9, 0.1, 0.6)), (7, 6))
    np.testing.assert_allclose(turned, cut.transpose(0, 2, 1, 3), atol=1e-5)


def test_a_box_of_its_own_for_each_frame():
    images = np.repeat(frame(), 2, axis=0)
    together = np.asarray(crop(images, boxes(WHOLE_FRAME, (0.2, 0.6, 0.1, 0.9)), (8, 10)))
    np.testing.assert_array_equal(together[0], images[0])
    np.testing.assert_allclose(together[1], np.asarray(crop(images[:1], boxes((0.2, 0.6, 0.1, 0.9)), (8, 10)))[0])


def test_coordinates_stay_float32_in_mixed_precision():
    images = frame(size=(256, 256))
    cut = crop(ops.cast(images, "bfloat16"), boxes((0.25, 0.75, 0.25, 0.75)), (128, 128))
    assert keras.backend.standardize_dtype(cut.dtype) == "float32"
    np.testing.assert_allclose(cut, images[:, 64:192, 64:192], atol=4e-3)  # half a unit of bfloat16 at 1


# --- and back ---------------------------------------------------------------------------------------------------------


def test_there_and_back_gives_the_field_inside_the_box_and_background_outside():
    size, box = (64, 48), boxes((0.2, 0.8, 0.25, 0.9))
    field = smooth(size)
    probabilities = np.stack([1 - field, field], axis=-1)[None]
    for grid in ((64, 48), (96, 32)):
        back = np.asarray(uncrop(crop_one_hot(probabilities, box, grid), box, size))
        np.testing.assert_allclose(back.sum(-1), 1.0, atol=1e-5)
        rows, cols = slice(14, 50), slice(13, 42)  # whole pixels at least one inside the edge
        np.testing.assert_allclose(back[0, rows, cols, 1], field[rows, cols], atol=0.01)
        outside = np.ones(size, dtype=bool)
        outside[12:52, 11:44] = False
        np.testing.assert_allclose(back[0, outside], np.broadcast_to([1.0, 0.0], back[0, outside].shape), atol=1e-6)


def test_back_from_a_box_of_whole_pixels_by_hand():
    crops = one_hot(np.array([[[1, 2], [2, 1]]]))
    back = np.asarray(uncrop(crops, boxes((0.25, 0.75, 0.5, 1.0)), (4, 4)))
    expected = np.zeros((1, 4, 4), int)
    expected[0, 1:3, 2:4] = [[1, 2], [2, 1]]
    np.testing.assert_allclose(back, one_hot(expected), atol=1e-6)


def test_a_box_beyond_the_frame_comes_back_to_where_it_was():
    field = smooth((32, 32))
    probabilities = np.stack([1 - field, field], axis=-1)[None]
    box = boxes((-0.25, 0.75, 0.3, 1.3))
    back = np.asarray(uncrop(crop_one_hot(probabilities, box, (64, 64)), box, (32, 32)))
    np.testing.assert_allclose(back[0, 1:23, 11:31, 1], field[1:23, 11:31], atol=0.02)


# --- gradients --------------------------------------------------------------------------------------------------------


def descend(loss, start: np.ndarray, *, steps: int, rate: float) -> np.ndarray:
    """Gradient descent on the box alone."""
    import tensorflow as tf

    box = tf.Variable(start)
    optimizer = keras.optimizers.Adam(rate)

    @tf.function
    def step():
        with tf.GradientTape() as tape:
            value = loss(box)
        optimizer.apply_gradients([(tape.gradient(value, box), box)])

    optimizer.build([box])
    for _ in range(steps):
        step()
    return box.numpy()


@pytest.mark.parametrize("start", [WHOLE_FRAME, (0.05, 0.5, 0.4, 0.95)])
def test_gradient_alone_moves_a_box_to_what_it_shall_show(start):
    rows, cols = np.mgrid[:32, :32] / 32
    blob = np.exp(-(((rows - 0.4) / 0.2) ** 2) - ((cols - 0.6) / 0.15) ** 2)
    image = (blob + 0.5 * rows).astype(np.float32)[None, ..., None]  # brighter below, so that up and down differ
    wanted = boxes((0.2, 0.7, 0.3, 0.85))
    target = crop(image, wanted, (24, 24))
    found = descend(
        lambda box: ops.mean(ops.square(crop(image, box, (24, 24)) - target)), boxes(start), steps=250, rate=0.01
    )
    np.testing.assert_allclose(found, wanted, atol=0.01)


@pytest.mark.parametrize("function", ["crop", "uncrop"])
def test_gradient_in_the_box_agrees_with_finite_differences(function):
    import tensorflow as tf

    probabilities = np.stack([1 - smooth((16, 20)), smooth((16, 20))], axis=-1)[None]
    weights = frame(size=(12, 14), channels=2)
    apply = {"crop": crop, "uncrop": uncrop}[function]

    def loss(box):
        return ops.sum(apply(probabilities, box, (12, 14)) * weights)

    box = tf.Variable(boxes((0.113, 0.741, 0.287, 0.904)))
    with tf.GradientTape() as tape:
        value = loss(box)
    gradient = np.asarray(tape.gradient(value, box))[0]
    step = 1e-3
    for edge in range(4):
        moved = [float(loss(box.numpy() + side * step * np.eye(4, dtype=np.float32)[edge])) for side in (-1, 1)]
        assert gradient[edge] == pytest.approx((moved[1] - moved[0]) / (2 * step), rel=0.05, abs=0.3)


def test_a_vanishing_box_has_finite_gradients():
    import tensorflow as tf

    box = tf.Variable(boxes((0.5, 0.5, 0.9, 0.1), WHOLE_FRAME))
    with tf.GradientTape() as tape:
        kept = cropping_box(box)
        inside = crop(frame(count=2, channels=2), kept, (8, 8))
        value = ops.sum(uncrop(inside, kept, (8, 10)))
    assert np.isfinite(np.asarray(tape.gradient(value, box))).all()
