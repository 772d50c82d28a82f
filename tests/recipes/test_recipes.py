"""The recipes say what the papers say."""

import dataclasses
import inspect
import re
from types import ModuleType

import pytest

from recipes import DEFAULT_RECIPE, RECIPES, annulus, hinge_points, lu_net, recipe_for
from recipes.base import Augmentation, Recipe

NO_AUGMENTATION = Augmentation()


def test_the_hinge_point_papers_numbers() -> None:
    recipe = RECIPES["hinge_points"]
    assert recipe.model == "unet_vgg16"  # §3.2
    assert recipe.optimizer == "adam"  # §3.2
    assert recipe.learning_rate == 1e-3  # §3.2
    assert recipe.loss == "categorical_crossentropy"  # §3.2
    assert recipe.epochs == 50  # §3.2
    assert recipe.augmentation == NO_AUGMENTATION  # §3.2
    assert recipe.clahe is False  # §3.1
    assert [round(450 * share) for share in (recipe.train_share, recipe.val_share)] == [350, 50]  # §3.2
    assert round(450 * (1 - recipe.train_share - recipe.val_share)) == 50  # §3.2: the test set
    assert recipe.early_stopping_patience is None  # §3.2: all 50 epochs
    assert recipe.contact_line == "pixel"  # §3.3
    assert recipe.largest_component is False  # §4.1


def test_the_lu_net_papers_numbers_for_its_baseline() -> None:
    recipe = RECIPES["lu_net_unet1"]
    assert recipe.model == "unet1"  # §IV-D item 1
    assert recipe.optimizer == "adam"  # §IV, Optimizer
    assert recipe.learning_rate in (1e-3, 1e-4)  # §IV, Optimizer
    assert recipe.early_stopping_patience == 20  # §IV, Optimizer
    assert recipe.monitor == "val_loss"  # §IV, Optimizer: the best model on the validation loss
    assert recipe.loss == "multiclass_dice"  # §IV, Loss
    assert {"LV", "MYO"} <= set(recipe.classes)  # §IV, Loss
    assert (recipe.train_share, recipe.val_share) == (0.8, 0.1)  # §IV-A: ten folds


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_is_known_by_its_own_name(name: str) -> None:
    assert RECIPES[name].name == name
    assert RECIPES[name].model in DEFAULT_RECIPE


@pytest.mark.parametrize("model", DEFAULT_RECIPE)
def test_every_network_has_a_recipe_written_for_it(model: str) -> None:
    assert recipe_for(model) == RECIPES[DEFAULT_RECIPE[model]]
    assert recipe_for(model).model == model


def test_every_network_has_a_recipe() -> None:
    from models import MODELS

    assert set(DEFAULT_RECIPE) == set(MODELS)


def test_a_recipe_takes_another_network() -> None:
    recipe = recipe_for("unet_vgg16", "annulus")
    assert recipe == dataclasses.replace(RECIPES["annulus"], model="unet_vgg16")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("unet2",), r"`model` must be one of .*unet1.* Received: unet2\. Did you mean unet1\?"),
        (("unet1", "hinge_point"), r"`recipe` must be one of .* Received: hinge_point\. Did you mean hinge_points\?"),
        (("unet1", "zzz"), r"`recipe` must be one of .* Received: zzz\.$"),
    ],
)
def test_an_unknown_name_lists_the_known_ones(arguments: tuple[str, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        recipe_for(*arguments)


PAPER_FIELDS = [
    (module.__name__, line)
    for module in (hinge_points, lu_net)
    for line in inspect.getsource(module).splitlines()
    if re.match(r"    (?!name=|paper=)\w+=", line)
]
"""Every field that a paper's recipe sets, save its name and its paper."""


@pytest.mark.parametrize(("module", "line"), PAPER_FIELDS)
def test_every_field_of_a_papers_recipe_names_its_source(module: str, line: str) -> None:
    assert re.search(r"# (§|ASSUMED: |ours: |the paper )", line), f"{module}: {line.strip()}"


@pytest.mark.parametrize("module", [hinge_points, lu_net, annulus])
def test_a_recipes_head_is_a_command_that_runs_it(module: ModuleType) -> None:
    assert module.__doc__ is not None
    command = re.search(r"`python train\.py --model (\w+)(?: --recipe (\w+))? --data camus:PATH`", module.__doc__)
    assert command is not None
    recipe = recipe_for(*[part for part in command.groups() if part])
    assert recipe in [value for value in vars(module).values() if isinstance(value, Recipe)]
