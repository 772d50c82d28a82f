"""Improved ResUNet: residual blocks with Inception and attention modules and LeakyReLU."""

import keras

from models.blocks import (
    Block,
    attention_module,
    check_classes,
    check_input_shape,
    image_input,
    in_turn,
    inception_module,
    leaky_relu,
    residual_block,
)
from models.resunet import DIVISOR, residual_shape


def improved_resunet(
    input_shape: tuple[int, int, int] = (256, 256, 1), *, classes: int = 4, width: float = 1.0
) -> keras.Model:
    """`resunet` whose blocks on the way down end in an Inception module and an attention module, all with LeakyReLU.

    Args:
        input_shape: (height, width, channels); height and width multiples of 16.
        classes: output channels, background included; with two, the network itself has one, as in the paper.
        width: relative number of filters; 1 is the paper's.

    Returns:
        Model (N, h, w, channels) → (N, h, w, classes) probabilities. Parameters: 47.5M (the paper states none).

    Raises:
        ValueError: a size that 16 does not divide, fewer than two classes, a width that is not positive.

    Source: improved_resunet paper, Table 1 (shapes) and Fig. 5 (blocks). Deviation: one grey channel by default, where
    Table 1 has three; `input_shape` takes three.
    ASSUMED: what `residual_shape` says of the shape; the branches of the Inception module; the attention module is
    squeeze and excitation, then spatial attention; LeakyReLU slope 0.01.
    """
    check_input_shape(input_shape, DIVISOR, "improved_resunet")
    check_classes(classes)
    inputs = image_input(input_shape)
    outputs = residual_shape(
        inputs,
        encoder_level=_encoder_level,
        decoder_level=lambda filters, name: residual_block(filters, name=name, activation=leaky_relu),
        classes=classes,
        width=width,
    )
    return keras.Model(inputs, outputs, name="improved_resunet")


def _encoder_level(filters: int, name: str, strides: int) -> Block:
    return in_turn(
        residual_block(filters, name=name, activation=leaky_relu, strides=strides),
        inception_module(filters, name=f"{name}_inception", activation=leaky_relu),
        attention_module(name=f"{name}_attention", activation=leaky_relu),
    )
