"""The networks, by name. `build("unet1", input_shape=(256, 256, 1), classes=4)` gives a Keras model."""

import difflib
from collections.abc import Callable
from typing import Any

import keras

from models.unet1 import unet1
from models.unet_vgg16 import unet_vgg16

MODELS: dict[str, Callable[..., keras.Model]] = {
    "unet1": unet1,
    "unet_vgg16": unet_vgg16,
}
"""Registry name → builder. File, builder, key and `--model` value are one name."""

STATED_PARAMETERS: dict[str, float] = {
    "unet1": 2e6,  # lu_net paper §IV-D
}
"""Registry name → parameter count that its paper states."""


def build(name: str, **options: Any) -> keras.Model:
    """A network by its registry name.

    Args:
        name: a key of `MODELS`.
        **options: of that builder: `input_shape`, `classes`, and its own.

    Raises:
        ValueError: an unknown name (known ones are listed) or an option the builder does not have.
    """
    if name not in MODELS:
        near = difflib.get_close_matches(name, MODELS, n=1)
        hint = f" Did you mean {near[0]}?" if near else ""
        raise ValueError(f"`model` must be one of {', '.join(MODELS)}. Received: {name}.{hint}")
    try:
        return MODELS[name](**options)
    except TypeError as error:
        if "unexpected keyword argument" not in str(error):
            raise
        raise ValueError(f"{error}; see the builder's docstring for the options it takes") from error
