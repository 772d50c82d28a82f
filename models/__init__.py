"""The networks, by name. `build("unet1", input_shape=(256, 256, 1), classes=4)` gives a Keras model."""

import difflib
import inspect
from collections.abc import Callable
from typing import Any

import keras

from models.ag_unet import ag_unet
from models.alexnet_box import alexnet_box
from models.cart_unet import cart_unet
from models.dense_unet import dense_unet
from models.improved_resunet import improved_resunet
from models.lu_net import lu_net
from models.resunet import resunet
from models.ru_net import ru_net
from models.u_l1 import u_l1
from models.u_l2 import u_l2
from models.unet import unet
from models.unet1 import unet1
from models.unet_ds import unet_ds
from models.unet_vgg16 import unet_vgg16
from models.vds_unet import vds_unet
from models.vgg19_box import vgg19_box

MODELS: dict[str, Callable[..., keras.Model]] = {
    "unet": unet,
    "unet_vgg16": unet_vgg16,
    "unet_ds": unet_ds,
    "vds_unet": vds_unet,
    "resunet": resunet,
    "improved_resunet": improved_resunet,
    "unet1": unet1,
    "ru_net": ru_net,
    "ag_unet": ag_unet,
    "lu_net": lu_net,
    "alexnet_box": alexnet_box,
    "vgg19_box": vgg19_box,
    "u_l1": u_l1,
    "u_l2": u_l2,
    "dense_unet": dense_unet,
    "cart_unet": cart_unet,
}
"""Registry name → builder. File, builder, key and `--model` value are one name."""

STATED_PARAMETERS: dict[str, float] = {
    "unet1": 2e6,  # lu_net paper §IV-D
    "ru_net": 4e6,  # lu_net paper §IV-D
    "ag_unet": 2e6,  # lu_net paper §IV-D
    "lu_net": 13e6,  # lu_net paper §IV-D
    "alexnet_box": 71e6,  # lu_net paper §IV-C
    "vgg19_box": 70e6,  # lu_net paper §IV-C
    "u_l1": 9e6,  # lu_net paper §IV-C
    "u_l2": 11e6,  # lu_net paper §IV-C
}
"""Registry name → parameter count that its paper states."""


def build(name: str, **options: Any) -> keras.Model:
    """A network by its registry name.

    Args:
        name: a key of `MODELS`.
        **options: of that builder: `input_shape`, `classes`, and its own.

    Raises:
        ValueError: an unknown name or an option that the builder does not have; the known ones are listed.
    """
    if name not in MODELS:
        near = difflib.get_close_matches(name, MODELS, n=1)
        hint = f" Did you mean {near[0]}?" if near else ""
        raise ValueError(f"`model` must be one of {', '.join(MODELS)}. Received: {name}.{hint}")
    builder = MODELS[name]
    known = inspect.signature(builder).parameters
    if unknown := [option for option in options if option not in known]:
        raise ValueError(f"options of {name} are {', '.join(known)}. Received: {', '.join(unknown)}")
    return builder(**options)
