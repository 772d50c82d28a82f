"""The recipes by name, and which one each network uses when none is asked for."""

import dataclasses
import difflib

from recipes.annulus import ANNULUS, DEMO
from recipes.base import Recipe
from recipes.hinge_points import HINGE_POINTS
from recipes.lu_net import UNET1

RECIPES: dict[str, Recipe] = {
    "hinge_points": HINGE_POINTS,
    "lu_net_unet1": UNET1,
    "annulus": ANNULUS,
    "demo": DEMO,
}
"""Recipe name → recipe."""

DEFAULT_RECIPE: dict[str, str] = {
    "unet1": "lu_net_unet1",
    "unet_vgg16": "hinge_points",
}
"""Network → the recipe of its paper."""


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
    return dataclasses.replace(RECIPES[name], model=model)


def _unknown(what: str, received: str, known: list[str]) -> str:
    near = difflib.get_close_matches(received, known, n=1)
    hint = f" Did you mean {near[0]}?" if near else ""
    return f"`{what}` must be one of {', '.join(known)}. Received: {received}.{hint}"
