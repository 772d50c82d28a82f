from collections.abc import Iterator

import keras
import numpy as np
import pytest
from keras import ops

from models.boxes import WHOLE_FRAME, crop, uncrop
from models.lu_net import lu_net

SMALL = (64, 96, 1)
BOX = (0.25, 0.75, 0.3, 0.9)


def build(**options) -> keras.Model:
    keras.utils.set_random_seed(0)
    return lu_net(SMALL, classes=3, width=0.125, **options)


def propose(model: keras.Model, box: tuple[float, ...]) -> None:
    """Sets the proposal to one box, whatever the frame."""
    kernel, bias = model.get_layer("u_l2").get_layer("box").weights
    kernel.assign(np.zeros(kernel.shape))
    bias.assign(np.array(box))


@pytest.fixture(scope="module")
def built() -> keras.Model:
    return build()


@pytest.fixture
def model(built) -> Iterator[keras.Model]:
    """As initialised, at the beginning of each test: building it anew would take seconds."""
    weights = built.get_weights()
    yield built
    built.set_weights(weights)


@pytest.fixture
def frames() -> np.ndarray:
    return np.random.default_rng(0).random((2, *SMALL), dtype=np.float32)


def arrays(outputs) -> dict[str, np.ndarray]:
    return {key: np.asarray(value) for key, value in outputs.items()}


def test_the_crop_starts_as_nearly_the_whole_frame(model, frames):
    assert np.abs(np.asarray(model(frames)["box"]) - WHOLE_FRAME).max() < 0.3


def test_the_second_u_net_segments_the_crop_and_its_result_comes_back(frames):
    model = build(crop_height=32, crop_width=64)
    propose(model, BOX)
    outputs = arrays(model(frames))
    size = (32, 64)
    box = np.tile(np.float32(BOX), (2, 1))
    np.testing.assert_allclose(outputs["box"], box, atol=1e-6)
    inside = model.get_layer("unet1")(crop(frames, box, size))
    assert outputs["crop_probabilities"].shape == (2, *size, 3)
    np.testing.assert_allclose(outputs["crop_probabilities"], inside, atol=1e-5)
    np.testing.assert_allclose(outputs["probabilities"], uncrop(inside, box, SMALL[:2]), atol=1e-5)
    first = model.get_layer("u_l2")(frames)["probabilities"]
    np.testing.assert_allclose(outputs["first_probabilities"], first, atol=1e-6)


def test_outside_the_box_there_is_background(model, frames):
    propose(model, BOX)
    outside = np.ones(SMALL[:2], dtype=bool)
    outside[15:49, 27:88] = False  # rows 16..48, columns 28.8..86.4, and a pixel
    probabilities = np.asarray(model(frames)["probabilities"])[:, outside]
    np.testing.assert_allclose(probabilities, np.broadcast_to([1.0, 0.0, 0.0], probabilities.shape), atol=1e-6)


def test_a_proposal_of_nothing_still_crops_to_something(model, frames):
    for nonsense in ((0.5, 0.5, 0.9, 0.1), (5.0, 9.0, -9.0, -5.0)):
        propose(model, nonsense)
        outputs = arrays(model(frames))
        np.testing.assert_allclose(outputs["box"], np.tile(nonsense, (2, 1)), atol=1e-6)  # as proposed: it is judged
        for key, output in outputs.items():
            assert np.isfinite(output).all(), key


def test_the_two_u_nets_share_no_weights(model):
    first = {id(weight) for weight in model.get_layer("u_l2").weights}
    second = {id(weight) for weight in model.get_layer("unet1").weights}
    assert not first & second
    assert len(first) + len(second) == len(model.weights)


def test_wrong_crop_grids_name_the_nearest():
    with pytest.raises(ValueError, match=r"crop_height, crop_width.*nearest: \(32, 96, 1\).*Received: \(40, 96, 1\)"):
        build(crop_height=40)


def test_the_share_of_the_gradient_is_handed_on_to_the_proposal():
    with pytest.raises(ValueError, match=r"`box_gradient` must be between 0 and 1\. Received: 2"):
        build(box_gradient=2)


def test_the_second_u_net_moves_the_box_by_gradient_alone(model):
    """No box loss and every weight held fixed: the box alone moves until the crop is segmented as wanted."""
    import tensorflow as tf

    rows, cols = ((np.arange(side) + 0.5) / side for side in SMALL[:2])
    blob = np.exp(-(((rows - 0.4) / 0.3) ** 2)[:, None] - (((cols - 0.6) / 0.2) ** 2)[None]) + 0.5 * rows[:, None]
    frame = blob.astype(np.float32)[None, ..., None]
    propose(model, BOX)
    wanted = np.asarray(model(frame)["crop_probabilities"])
    propose(model, (BOX[0] - 0.1, BOX[1] + 0.1, BOX[2] - 0.1, BOX[3] + 0.05))
    box = model.get_layer("u_l2").get_layer("box").bias
    optimizer = keras.optimizers.Adam(0.005)
    optimizer.build([box])

    @tf.function
    def step():
        with tf.GradientTape() as tape:
            value = ops.mean(ops.square(model(frame)["crop_probabilities"] - wanted))
        optimizer.apply_gradients([(tape.gradient(value, box.value), box)])
        return value

    values = [float(step()) for _ in range(100)]
    assert values[-1] < 0.02 * values[0]
    np.testing.assert_allclose(box.numpy(), BOX, atol=0.02)
