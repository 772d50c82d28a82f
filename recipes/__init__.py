"""The recipes by name, and which one each network uses when none is asked for."""

import dataclasses
import difflib
from typing import Any

from recipes.annulus import ANNULUS, DEMO
from recipes.base import Recipe
from recipes.cart import CART
from recipes.cmr import CMR_WCE, CMR_WCE_DICE
from recipes.hinge_points import HINGE_POINTS
from recipes.improved_resunet import IMPROVED_RESUNET
from recipes.lu_net import BOX_AND_SEGMENTATION, BOX_ONLY, LU_NET, MOTIVATION, SEGMENTATION
from recipes.vds_unet import VDS_UNET

RECIPES: dict[str, Recipe] = {
    "hinge_points": HINGE_POINTS,
    "vds_unet": VDS_UNET,
    "improved_resunet": IMPROVED_RESUNET,
    "lu_net_segmentation": SEGMENTATION,
    "lu_net_motivation": MOTIVATION,
    "lu_net_mo": BOX_ONLY,
    "lu_net_mu": BOX_AND_SEGMENTATION,
    "lu_net": LU_NET,
    "cmr_wce": CMR_WCE,
    "cmr_wce_dice": CMR_WCE_DICE,
    "annulus": ANNULUS,
    "cart": CART,
    "demo": DEMO,
}
"""Recipe name → recipe."""

DEFAULT_RECIPE: dict[str, str] = {
    "unet": "vds_unet",  # two papers compare with it; this one says more of how it was trained
    "unet_vgg16": "hinge_points",
    "unet_ds": "vds_unet",
    "vds_unet": "vds_unet",
    "resunet": "improved_resunet",
    "improved_resunet": "improved_resunet",
    "unet1": "lu_net_segmentation",
    "ru_net": "lu_net_segmentation",
    "ag_unet": "lu_net_segmentation",
    "lu_net": "lu_net",
    "alexnet_box": "lu_net_mo",
    "vgg19_box": "lu_net_mo",
    "u_l1": "lu_net_mu",
    "u_l2": "lu_net_mu",
    "dense_unet": "cmr_wce",
    "cart_unet": "cart",
}
"""Network → the recipe of its paper (`cart_unet` is of no paper, nor is its recipe)."""

OPTIONS: dict[tuple[str, str], dict[str, Any]] = {
    ("u_l1", "lu_net_mo"): {"segmentation": False},  # lu_net paper §IV-C: the box alone
    ("u_l2", "lu_net_mo"): {"segmentation": False},  # lu_net paper §IV-C item 4: U-L2-mo
    # ASSUMED: a hundredth; 1 in the lu_net paper (§III-B item 3), whose segmentation then does not begin
    ("u_l1", "lu_net_mu"): {"box_gradient": 0.01},
    ("u_l2", "lu_net_mu"): {"box_gradient": 0.01},
    ("lu_net", "lu_net"): {"box_gradient": 0.01},
}
"""(network, recipe) → options of the builder that the recipe takes with this network: no segmentation where the loss
would leave it untaught, and the share of the box's gradient that goes to the U-Net beside a segmentation."""


def recipe_for(model: str, name: str | None = None) -> Recipe:
    """The recipe `name` (default: the one of the network's paper) for the network `model`.

    Raises:
        ValueError: an unknown network or recipe; the known ones are listed.
    """
    if model not in DEFAULT_RECIPE:
        raise ValueError(_unknown("model", model, list(DEFAULT_RECIPE)))
    name = DEFAULT_RECIPE[model] if name is None else name
    if name not in RECIPES:
        raise ValueError(_unknown("recipe", name, list(RECIPES)))
    recipe = RECIPES[name]
    options = {**recipe.model_options, **OPTIONS.get((model, name), {})}
    return dataclasses.replace(recipe, model=model, model_options=options)


def _unknown(what: str, received: str, known: list[str]) -> str:
    near = difflib.get_close_matches(received, known, n=1)
    hint = f" Did you mean {near[0]}?" if near else ""
    return f"`{what}` must be one of {', '.join(known)}. Received: {received}.{hint}"
