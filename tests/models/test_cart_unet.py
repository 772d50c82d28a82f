"""The cart's network: the grids it works on, and its end by hand."""

import keras
import numpy as np
import pytest

import models
from models.blocks import class_probabilities_of_half_the_grid, side_probabilities, upsample_depth_to_space


@pytest.fixture(scope="module")
def network() -> keras.Model:
    return models.build("cart_unet", input_shape=(64, 96, 1))


def test_nothing_but_the_stem_and_the_end_sees_the_whole_grid(network):
    whole = {layer.name for layer in network.layers if layer.output.shape[1:3] == (64, 96)}
    assert whole == {"image", "probabilities"}
    assert network.get_layer("encoder_5_conv2").output.shape[1:3] == (2, 3)
    assert network.get_layer("decoder_4_conv2").output.shape[1:3] == (32, 48)


def test_it_has_one_output_and_at_most_half_a_million_parameters(network):
    assert list(network.output.shape) == [None, 64, 96, 4]
    assert network.count_params() <= 500_000


def test_its_layers_are_those_that_the_cart_computes_in_whole_numbers(network):
    kinds = {type(operation).__name__ for operation in network.operations}
    assert kinds == {
        "InputLayer",
        "Conv2D",
        "BatchNormalization",  # goes into the convolution before it
        "Activation",
        "MaxPooling2D",
        "DepthToSpace",
        "Concatenate",
        "Softmax",
        "UpSampling2D",
    }
    assert {layer.activation.__name__ for layer in network.layers if type(layer).__name__ == "Activation"} == {"relu"}


def test_a_pixels_channels_are_dealt_row_by_row_to_the_four_that_it_covers():
    x = np.arange(8, dtype=np.float32).reshape(1, 1, 1, 8)
    dealt = np.asarray(upsample_depth_to_space("up")(x))
    np.testing.assert_array_equal(dealt, [[[[0, 1], [2, 3]], [[4, 5], [6, 7]]]])


def test_between_two_pixels_the_answer_goes_straight_from_one_to_the_other():
    """Two pixels side by side become four: at a quarter and three quarters of the way between the two, and beyond."""
    inputs = keras.Input((1, 2, 1))
    end = keras.Model(inputs, class_probabilities_of_half_the_grid(inputs, 2))
    end.get_layer("logits").set_weights([np.array([[[[0.0, 1.0]]]]), np.zeros(2)])
    found = np.asarray(end(np.log(np.array([[[[1.0], [4.0]]]], np.float32))))  # odds 1 : 1 and 4 : 1
    np.testing.assert_allclose(found[0, 0, :, 1], [0.5, 0.575, 0.725, 0.8], rtol=1e-5)
    np.testing.assert_allclose(found[0, 0], found[0, 1], rtol=1e-6)
    np.testing.assert_allclose(found.sum(-1), 1.0, rtol=1e-6)


def test_a_side_is_read_by_a_convolution_of_its_own():
    inputs = keras.Input((2, 2, 3))
    side = keras.Model(inputs, side_probabilities(inputs, 2, name="side"))
    assert [layer.name for layer in side.layers[1:]] == ["side_logits", "side"]
    np.testing.assert_allclose(np.asarray(side(np.ones((1, 2, 2, 3)))).sum(-1), 1.0, rtol=1e-6)
