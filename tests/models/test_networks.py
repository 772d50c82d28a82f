"""What each paper says of its own network: shapes, parts, and what the parts compute, worked by hand."""

import keras
import numpy as np
import pytest
from keras import layers

import models
from models.blocks import (
    attention_gate,
    attention_module,
    binary_probabilities,
    dilate,
    inception_module,
    leaky_relu,
    residual_block,
    upsample_transposed,
)
from models.encoder_decoder import every_height

SMALL = (64, 64, 1)


def shape_after(model: keras.Model, layer: str) -> tuple[int, ...]:
    return model.get_layer(layer).output.shape[1:]


def kinds(model: keras.Model) -> set[str]:
    """Names of the activations, as functions or as layers of their own."""
    return {
        "leaky_relu" if isinstance(layer, layers.LeakyReLU) else layer.activation.__name__
        for layer in model.layers
        if isinstance(layer, layers.LeakyReLU | layers.Activation)
    }


def part(block, *shapes: tuple[int, ...]) -> keras.Model:
    """A block alone, as a model."""
    inputs = [keras.Input(shape) for shape in shapes]
    return keras.Model(inputs if len(inputs) > 1 else inputs[0], block(*inputs))


def set_to(model: keras.Model, layer: str, **weights: object) -> None:
    for name, value in weights.items():
        variable = getattr(model.get_layer(layer), name)
        variable.assign(np.broadcast_to(np.asarray(value, np.float32), variable.shape))


@pytest.fixture
def frames() -> np.ndarray:
    return np.random.default_rng(0).random((2, *SMALL), dtype=np.float32)


@pytest.mark.usefixtures("zero_weights")
def test_unet1_goes_down_to_8x8_with_the_papers_filters():
    model = models.build("unet1", classes=4)
    down = [model.get_layer(f"encoder_{i}_conv2").output.shape[1:] for i in range(1, 7)]
    assert down == [(256, 256, 32), (128, 128, 32), (64, 64, 64), (32, 32, 128), (16, 16, 128), (8, 8, 128)]
    assert [model.get_layer(f"decoder_{i}_conv2").output.shape[-1] for i in range(1, 6)] == [128, 128, 64, 32, 16]


def test_unet_vgg16_has_the_thirteen_convolutions_of_vgg16():
    model = models.build("unet_vgg16", classes=4, width=0.125)
    assert [layer.name for layer in model.layers if layer.name.startswith("block") and "relu" not in layer.name] == [
        f"block{block}_conv{i}" for block, n in ((1, 2), (2, 2), (3, 3), (4, 3), (5, 3)) for i in range(1, n + 1)
    ]
    assert model.get_layer("bottom_conv2").output.shape[1:3] == (8, 8)


@pytest.mark.usefixtures("zero_weights")
def test_unet_is_ronnebergers_on_the_same_grid():
    model = models.build("unet")
    assert [shape_after(model, f"encoder_{i}_conv2") for i in range(1, 6)] == [
        (256, 256, 64),
        (128, 128, 128),
        (64, 64, 256),
        (32, 32, 512),
        (16, 16, 1024),
    ]
    # a transposed convolution halves the channels and the skip connection brings as many
    assert [shape_after(model, f"up_{i}") for i in range(1, 5)] == [
        (32, 32, 512),
        (64, 64, 256),
        (128, 128, 128),
        (256, 256, 64),
    ]
    assert [shape_after(model, f"join_{i}")[-1] for i in range(1, 5)] == [1024, 512, 256, 128]


def test_vds_unet_takes_the_weights_of_vgg16_wherever_unet_vgg16_does():
    vds, vgg = (models.build(name, width=0.125) for name in ("vds_unet", "unet_vgg16"))
    convolutions = [layer.name for layer in vgg.layers if isinstance(layer, layers.Conv2D) and "block" in layer.name]
    assert len(convolutions) == 13
    for name in convolutions:
        assert [w.shape for w in vds.get_layer(name).weights] == [w.shape for w in vgg.get_layer(name).weights]


@pytest.mark.parametrize(("name", "heights"), [("unet_ds", 4), ("vds_unet", 5), ("ag_unet", 5)])
def test_deep_supervision_maps_every_height_to_the_classes_and_fuses_them(name, heights):
    model = models.build(name, input_shape=SMALL, classes=3, width=0.125)
    coarsest = 64 // 2 ** (heights - 1)
    assert [shape_after(model, f"side_{i}") for i in range(1, heights + 1)] == [
        (coarsest * 2**i, coarsest * 2**i, 3) for i in range(heights)
    ]
    assert model.get_layer("logits").kernel.shape == (1, 1, 3 * heights, 3)
    assert "logits" in {layer.name for layer in model.layers if isinstance(layer, layers.Conv2D)}


def test_gathering_heights_on_the_way_up_is_upsampling_each_at_once():
    shapes = [(2, 3, 5), (4, 6, 4), (8, 12, 3)]
    model = part(lambda *heights: every_height(heights, 2), *shapes)
    chance = np.random.default_rng(1)
    heights = [chance.random((1, *shape), dtype=np.float32) for shape in shapes]
    expected = []
    for i, height in enumerate(heights, 1):
        kernel, bias = (np.asarray(w) for w in model.get_layer(f"side_{i}").weights)
        factor = 8 // height.shape[1]
        expected.append((height @ kernel[0, 0] + bias).repeat(factor, axis=1).repeat(factor, axis=2))
    np.testing.assert_allclose(np.asarray(model(heights)), np.concatenate(expected, axis=-1), atol=1e-6)


@pytest.mark.usefixtures("zero_weights")
@pytest.mark.parametrize("name", ["resunet", "improved_resunet"])
def test_resunets_have_the_shapes_of_table_1(name):
    model = models.build(name, input_shape=(256, 256, 3), classes=2)
    down = [shape_after(model, f"encoder_{i}_sum") for i in range(1, 6)]
    assert down == [(256, 256, 64), (128, 128, 128), (64, 64, 256), (32, 32, 512), (16, 16, 1024)]
    # of ResBlocks 6 to 9: what goes in, after upsampling, and what comes out
    assert [shape_after(model, f"join_{i}") for i in range(1, 5)] == [
        (32, 32, 1024),
        (64, 64, 512),
        (128, 128, 256),
        (256, 256, 128),
    ]
    assert [shape_after(model, f"decoder_{i}_sum") for i in range(1, 5)] == [
        (32, 32, 512),
        (64, 64, 256),
        (128, 128, 128),
        (256, 256, 64),
    ]
    assert shape_after(model, "logit") == (256, 256, 1)
    for block in (*(f"encoder_{i}" for i in range(1, 6)), *(f"decoder_{i}" for i in range(1, 5))):
        convolutions = [model.get_layer(f"{block}_{part}") for part in ("conv1", "conv2", "shortcut")]
        assert [c.kernel_size for c in convolutions] == [(3, 3)] * 3
        stride = (2, 2) if block.startswith("encoder") and block != "encoder_1" else (1, 1)
        assert [c.strides for c in convolutions] == [(1, 1), stride, stride]


def test_only_the_improved_resunet_has_leaky_relu_inception_and_attention_and_only_on_the_way_down():
    plain, improved = (
        models.build(name, input_shape=SMALL, classes=2, width=0.125) for name in ("resunet", "improved_resunet")
    )
    assert kinds(plain) == {"relu", "sigmoid"}
    assert kinds(improved) == {"leaky_relu", "sigmoid"}
    assert {layer.negative_slope for layer in improved.layers if isinstance(layer, layers.LeakyReLU)} == {0.01}
    modules = {layer.name.partition("_inception")[0] for layer in improved.layers if "_inception_" in layer.name}
    assert modules == {f"encoder_{i}" for i in range(1, 6)}
    assert {
        layer.name.partition("_attention")[0] for layer in improved.layers if "_attention_" in layer.name
    } == modules
    assert not any("inception" in layer.name or "attention" in layer.name for layer in plain.layers)
    assert {layer.name for layer in plain.layers if isinstance(layer, layers.Conv2D)} <= {
        layer.name for layer in improved.layers
    }


def test_more_than_two_classes_of_a_resunet_compete():
    model = models.build("resunet", input_shape=SMALL, classes=3, width=0.125)
    assert shape_after(model, "logits") == (64, 64, 3)


def test_one_channel_gives_the_probabilities_of_both_classes_and_keeps_the_small_ones():
    model = part(binary_probabilities, (1, 1, 1))
    set_to(model, "logit", kernel=1.0, bias=0.0)
    output = np.asarray(model(np.array([0.0, np.log(3.0), 30.0, -30.0], np.float32).reshape(4, 1, 1, 1)))[:, 0, 0]
    np.testing.assert_allclose(output, [[0.5, 0.5], [0.25, 0.75], [9.3576e-14, 1.0], [1.0, 9.3576e-14]], rtol=1e-4)


def test_a_residual_block_without_its_main_path_is_its_shortcut():
    model = part(residual_block(4, name="r", strides=2), (6, 6, 2))
    set_to(model, "r_conv2_bn", gamma=0.0)
    x = np.random.default_rng(2).random((1, 6, 6, 2), dtype=np.float32)
    shortcut = keras.Model(model.input, model.get_layer("r_shortcut_bn").output)
    output = np.asarray(model(x))
    assert output.shape == (1, 3, 3, 4)
    np.testing.assert_allclose(output, np.asarray(shortcut(x)), atol=1e-6)


def test_the_inception_module_has_the_shares_of_googlenet():
    model = part(inception_module(256, name="i"), (8, 8, 192))  # Szegedy et al., Table 1, inception (3a)
    filters = {
        layer.name: (layer.filters, layer.kernel_size[0]) for layer in model.layers if isinstance(layer, layers.Conv2D)
    }
    assert filters == {
        "i_1x1": (64, 1),
        "i_3x3_reduce": (96, 1),
        "i_3x3": (128, 3),
        "i_5x5_reduce": (16, 1),
        "i_5x5": (32, 5),
        "i_max_1x1": (32, 1),
    }
    assert model.output_shape == (None, 8, 8, 256)


def test_the_attention_module_weights_channels_then_places():
    model = part(attention_module(name="a", activation=leaky_relu), (2, 3, 2))
    # channels: one squeezed value, the first channel's mean, opens the second channel and shuts the first
    reduce = np.zeros((1, 1, 2, 4), np.float32)
    reduce[0, 0, 0, 0] = 1.0
    excite = np.zeros((1, 1, 4, 2), np.float32)
    excite[0, 0, 0] = (-40.0, 40.0)
    set_to(model, "a_reduce", kernel=reduce, bias=0.0)
    set_to(model, "a_excite", kernel=excite, bias=0.0)
    # places: the maximum over the channels at that place, and nothing around it
    spatial = np.zeros((7, 7, 2, 1), np.float32)
    spatial[3, 3, 1, 0] = 1.0
    set_to(model, "a_spatial", kernel=spatial, bias=0.0)
    second = np.array([[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]], np.float32)
    output = np.asarray(model(np.stack([np.ones((2, 3)), second], -1)[None].astype(np.float32)))[0]
    np.testing.assert_allclose(output[..., 0], 0.0, atol=1e-6)
    np.testing.assert_allclose(output[..., 1], second / (1 + np.exp(-second)), rtol=1e-5)


def test_an_attention_gate_lets_pass_what_the_decoder_asks_for():
    model = part(attention_gate("g"), (1, 2, 2), (1, 2, 1))
    set_to(model, "g_features", kernel=0.0)
    set_to(model, "g_decoder", kernel=1.0)
    set_to(model, "g_weight", kernel=100.0)
    set_to(model, "g_weight_bn", beta=-50.0)
    features = np.array([[[[3.0, 4.0], [5.0, 6.0]]]], np.float32)
    output = np.asarray(model([features, np.array([[[[1.0], [0.0]]]], np.float32)]))
    np.testing.assert_allclose(output, [[[[3.0, 4.0], [0.0, 0.0]]]], atol=1e-5)


def test_ag_unet_gates_every_skip_connection_of_unet1():
    gated, plain = (models.build(name, input_shape=SMALL, width=0.125) for name in ("ag_unet", "unet1"))
    for step in range(1, 6):
        gate = gated.get_layer(f"skip_{step}")
        assert isinstance(gate, layers.Multiply)
        assert gate.output.shape == gated.get_layer(f"encoder_{6 - step}_conv2").output.shape
        assert shape_after(gated, f"join_{step}") == shape_after(plain, f"join_{step}")
    # before each activation, those of the gates too
    activations = [layer for layer in gated.layers if isinstance(layer, layers.Activation)]
    assert len(activations) == 2 * 11 + 2 * 5
    for activation in activations:
        before = activation.input._keras_history.operation
        assert isinstance(before, layers.BatchNormalization), activation.name


def test_dilation_adds_a_rim():
    mask = np.zeros((1, 7, 9, 1), np.float32)
    mask[0, 2, 3, 0] = 0.5
    mask[0, 6, 8, 0] = 0.75  # in the corner: its rim is cut off
    expected = np.zeros((7, 9), np.float32)
    expected[0:5, 1:6] = 0.5
    expected[4:7, 6:9] = 0.75
    output = np.asarray(part(dilate(2, name="d"), (7, 9, 1))(mask))[0, ..., 0]
    np.testing.assert_array_equal(output, expected)


def test_the_second_network_of_ru_net_sees_what_the_first_leaves(frames):
    model = models.build("ru_net", input_shape=SMALL, classes=3, width=0.125)
    first, second = model.get_layer("first"), model.get_layer("second")
    context = keras.Model(model.input, model.get_layer("context").output)
    first_probabilities = np.asarray(first(frames))
    mask = 1.0 - first_probabilities[..., 0]
    dilated = np.stack(
        [np.pad(mask, ((0, 0), (2, 2), (2, 2)))[:, r : r + 64, c : c + 64] for r in range(5) for c in range(5)]
    ).max(0)  # 64 / 32 = 2 pixels each way
    seen = np.asarray(context(frames))
    np.testing.assert_allclose(seen[..., 0], frames[..., 0] * dilated, atol=1e-6)
    outputs = model(frames)
    np.testing.assert_allclose(np.asarray(outputs["probabilities"]), np.asarray(second(seen)), atol=1e-5)
    np.testing.assert_array_equal(np.asarray(outputs["first_probabilities"]), first_probabilities)


def test_the_mask_of_ru_net_is_of_the_channels_asked_for(frames):
    options = {"input_shape": SMALL, "classes": 4, "width": 0.125}
    every, two = models.build("ru_net", **options), models.build("ru_net", **options, epicardium=(1, 2))
    bias = np.array([-50.0, -50.0, -50.0, 50.0], np.float32)  # the first network sees LA everywhere
    for model, expected in ((every, frames), (two, np.zeros_like(frames))):
        first = model.get_layer("first")
        set_to(first, "logits", kernel=0.0, bias=bias)
        context = keras.Model(model.input, model.get_layer("context").output)
        np.testing.assert_allclose(np.asarray(context(frames)), expected, atol=1e-6)


@pytest.mark.parametrize(("classes", "epicardium"), [(2, (1, 2)), (4, ()), (4, (0, 1)), (4, (1, 4))])
def test_an_epicardium_that_is_no_structure_is_refused(classes, epicardium):
    with pytest.raises(ValueError, match=rf"`epicardium` must be channels from 1 to {classes - 1}.*Received: \("):
        models.build("ru_net", input_shape=SMALL, classes=classes, width=0.125, epicardium=epicardium)


def test_a_transposed_convolution_doubles_the_grid_and_halves_the_channels():
    assert part(upsample_transposed("up"), (4, 6, 10)).output_shape == (None, 8, 12, 5)
