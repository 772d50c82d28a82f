import keras
import numpy as np
import pytest

import models
from models.boxes import WHOLE_FRAME

LOCALISERS = ("alexnet_box", "vgg19_box", "u_l1", "u_l2")
SMALL = (64, 96, 1)

localisers = pytest.mark.parametrize("name", LOCALISERS)


def dense_units(model: keras.Model) -> list[int]:
    return [layer.units for layer in model.layers if isinstance(layer, keras.layers.Dense)]


def grid_into_head(model: keras.Model) -> tuple[int, ...]:
    return tuple(model.get_layer("box_flatten").input.shape[1:])


@pytest.mark.usefixtures("zero_weights")
@pytest.mark.parametrize(
    ("name", "grid", "units"),
    [
        ("alexnet_box", (7, 7, 256), [4096, 4096, 4]),
        ("vgg19_box", (4, 4, 512), [4096, 4096, 4]),
        ("u_l1", (8, 8, 104), [1024, 256, 32, 4]),
        ("u_l2", (8, 8, 128), [1024, 256, 32, 4]),
    ],
)
def test_dense_layers_are_the_papers(name, grid, units):
    model = models.build(name)
    assert grid_into_head(model) == grid
    assert dense_units(model) == units
    keras.backend.clear_session()  # the largest take 300 MB


@pytest.mark.usefixtures("zero_weights")
def test_alexnet_has_five_convolutions_and_vgg19_sixteen():
    alexnet = models.build("alexnet_box", input_shape=SMALL, width=0.125)
    kernels = [layer.kernel_size[0] for layer in alexnet.layers if isinstance(layer, keras.layers.Conv2D)]
    assert kernels == [11, 5, 3, 3, 3]
    vgg19 = models.build("vgg19_box", input_shape=SMALL, width=0.125)
    assert [layer.name for layer in vgg19.layers if isinstance(layer, keras.layers.Conv2D)] == [
        f"block{block}_conv{i}" for block, n in ((1, 2), (2, 2), (3, 4), (4, 4), (5, 4)) for i in range(1, n + 1)
    ]


@localisers
def test_the_box_starts_near_the_whole_frame(name):
    keras.utils.set_random_seed(0)
    model = models.build(name, input_shape=SMALL, width=0.125)
    frames = np.random.default_rng(0).random((4, *SMALL), dtype=np.float32)
    np.testing.assert_allclose(np.asarray(model(frames)["box"]), np.tile(WHOLE_FRAME, (4, 1)), atol=0.4)


@pytest.mark.usefixtures("zero_weights")
@pytest.mark.parametrize("side", [32, 96])
@localisers
def test_other_sizes_than_256(name, side):
    if (name, side) == ("alexnet_box", 32):
        with pytest.raises(ValueError, match=r"at least 64; nearest: \(64, 64, 1\)\. Received: \(32, 32, 1\)"):
            models.build(name, input_shape=(side, side, 1))
        return
    model = models.build(name, input_shape=(side, side, 1), width=0.125)
    assert min(grid_into_head(model)) >= 1
    assert tuple(model.output["box"].shape) == (None, 4)


@pytest.mark.parametrize("name", ["u_l1", "u_l2"])
def test_without_segmentation_there_is_the_box_alone(name):
    both = models.build(name, input_shape=SMALL, width=0.125)
    alone = models.build(name, input_shape=SMALL, width=0.125, segmentation=False)
    assert both.output.keys() == {"box", "probabilities"}
    assert alone.output.keys() == {"box"}


@pytest.mark.usefixtures("zero_weights")
def test_without_segmentation_u_l1_has_no_decoder_and_u_l2_still_has_its_u_net():
    u_l1_alone = models.build("u_l1", segmentation=False)
    assert u_l1_alone.count_params() / 1e6 == pytest.approx(8.0, abs=0.01)
    assert not any(layer.name.startswith(("decoder", "up_", "logits")) for layer in u_l1_alone.layers)
    u_l2_alone = models.build("u_l2", segmentation=False)
    assert u_l2_alone.count_params() == models.build("u_l2").count_params()


@pytest.mark.usefixtures("zero_weights")
def test_both_u_nets_are_unet1_by_layer_name():
    unet1 = {layer.name for layer in models.build("unet1", input_shape=SMALL, width=0.125).layers}
    for name in ("u_l1", "u_l2"):
        assert unet1 <= {layer.name for layer in models.build(name, input_shape=SMALL, width=0.125).layers}


def test_u_l2_takes_its_box_from_what_the_u_net_drew():
    """Two frames that the U-Net draws alike have one box, whatever else is in them."""
    keras.utils.set_random_seed(0)
    model = models.build("u_l2", input_shape=SMALL, width=0.125)
    model.get_layer("logits").kernel.assign(np.zeros(model.get_layer("logits").kernel.shape))
    frames = np.random.default_rng(0).random((2, *SMALL), dtype=np.float32)
    boxes = np.asarray(model(frames)["box"])
    np.testing.assert_allclose(boxes[0], boxes[1], atol=1e-6)


@pytest.mark.parametrize("name", ["u_l1", "u_l2"])
def test_the_u_net_gets_its_share_of_the_box_gradient(name):
    import tensorflow as tf

    frames = np.random.default_rng(0).random((2, *SMALL), dtype=np.float32)

    def box_and_gradient(**options) -> tuple[np.ndarray, np.ndarray]:
        keras.utils.set_random_seed(0)
        model = models.build(name, input_shape=SMALL, width=0.125, **options)
        kernel = model.get_layer("encoder_3_conv1").kernel
        with tf.GradientTape() as tape:
            box = model(frames, training=True)["box"]
            value = tf.reduce_sum(box * [1.0, -2.0, 3.0, 1.0])
        return np.asarray(box), np.asarray(tape.gradient(value, kernel.value))

    whole_box, whole = box_and_gradient(box_gradient=1)
    assert np.abs(whole).max() > 0
    for options, share in (({"box_gradient": 0.1}, 0.1), ({}, 0.01), ({"segmentation": False}, 1.0)):
        box, gradient = box_and_gradient(**options)
        np.testing.assert_allclose(box, whole_box, atol=1e-4)
        np.testing.assert_allclose(gradient, share * whole, atol=2e-3 * share * np.abs(whole).max())


@pytest.mark.parametrize("share", [-0.1, 1.5])
def test_a_share_of_the_gradient_is_between_0_and_1(share):
    for name in ("u_l1", "u_l2"):
        with pytest.raises(ValueError, match=rf"`box_gradient` must be between 0 and 1\. Received: {share}"):
            models.build(name, input_shape=SMALL, width=0.125, box_gradient=share)
