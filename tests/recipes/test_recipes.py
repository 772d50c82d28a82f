"""The recipes say what the papers say."""

import dataclasses
import inspect
import re
from types import ModuleType

import pytest

from recipes import (
    DEFAULT_RECIPE,
    OPTIONS,
    RECIPES,
    annulus,
    cart,
    cmr,
    hinge_points,
    improved_resunet,
    lu_net,
    recipe_for,
    vds_unet,
)
from recipes.base import Augmentation, Recipe, with_settings

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


VDS_NETWORKS = ("unet", "unet_vgg16", "unet_ds", "vds_unet")  # Table 4


@pytest.mark.parametrize("model", VDS_NETWORKS)
def test_the_vds_unet_papers_numbers(model: str) -> None:
    recipe = recipe_for(model, "vds_unet")
    assert recipe.model == model
    assert set(recipe.classes) == {"BACKGROUND", "LV", "LA", "MV"}  # §2.3, and a background
    assert recipe.loss == "weighted_crossentropy"  # §2.3
    weights = [recipe.class_weights[name] for name in ("LA", "LV", "MV")]
    assert weights == [1, 1, 4]  # §2.3 Eq. 4
    assert recipe.class_weights["BACKGROUND"] == 1  # assumed
    assert recipe.optimizer == "rmsprop"  # §3.1
    assert recipe.learning_rate == 1e-3  # §3.1
    assert recipe.epochs == 200  # §3.1
    assert (recipe.plateau_patience, recipe.plateau_monitor) == (10, "loss")  # §3.1
    assert recipe.early_stopping_patience is None  # §3.1: 200 epochs
    assert recipe.largest_component is False  # a valve has two leaflets


@pytest.mark.parametrize("model", ["unet", "resunet", "improved_resunet"])
def test_the_improved_resunet_papers_numbers(model: str) -> None:
    recipe = recipe_for(model, "improved_resunet")
    assert recipe.model == model  # Table 2
    assert recipe.classes == ("BACKGROUND", "LV")  # Table 1
    assert (recipe.input_height, recipe.input_width) == (256, 256)  # Table 1
    assert recipe.clahe is True  # §2.3
    assert (recipe.clahe_clip_limit, recipe.clahe_tiles) == (2.0, 8)  # assumed
    assert recipe.loss == "dice_crossentropy"  # §2.4
    assert recipe.optimizer == "adam"  # §2.6
    assert recipe.learning_rate == 1e-4  # §2.6
    assert recipe.epochs == 100  # §2.6
    assert round(500 * (1 - recipe.train_share - recipe.val_share)) == 100  # §2.1: test images
    assert round(500 * (recipe.train_share + recipe.val_share)) == 400  # §2.1: training images, validation among them


LU_NET_RECIPES = ("lu_net_segmentation", "lu_net_motivation", "lu_net_mo", "lu_net_mu", "lu_net")


@pytest.mark.parametrize("name", LU_NET_RECIPES)
def test_the_lu_net_papers_learning_strategy(name: str) -> None:
    recipe = RECIPES[name]
    assert recipe.optimizer == "adam"  # §IV-E item 1
    assert recipe.learning_rate in (1e-3, 1e-4)  # §IV-E item 1
    assert recipe.early_stopping_patience == 20  # §IV-E item 1
    assert recipe.monitor == "val_loss"  # §IV-E item 1: the best model on the validation loss
    assert recipe.augmentation == NO_AUGMENTATION
    assert (recipe.input_height, recipe.input_width) == (256, 256)
    assert {"LV", "MYO"} <= set(recipe.classes)  # §IV-E item 2
    assert (recipe.train_share, recipe.val_share) == (0.8, 0.1)  # §IV-A: ten folds
    assert recipe.box_structures == ("LV", "MYO")  # §III-B item 1: the epicardium
    assert recipe.box_margin == 0.05  # §III-B, Table I
    assert recipe.box_weight == 10  # §IV-E item 2


@pytest.mark.parametrize("model", ["unet1", "ru_net", "ag_unet"])
def test_the_lu_net_papers_segmentation(model: str) -> None:
    recipe = recipe_for(model)
    assert recipe.name == "lu_net_segmentation"
    assert recipe.loss == "multiclass_dice"  # §IV-E item 2
    assert recipe.oracle_margin is None


@pytest.mark.parametrize(
    ("model", "loss"), [("alexnet_box", "box"), ("vgg19_box", "box"), ("u_l1", "box_segmentation")]
)
def test_the_lu_net_papers_localisers(model: str, loss: str) -> None:
    assert recipe_for(model).loss == loss  # §IV-C


def test_u_l2_is_trained_both_ways_with_both_margins() -> None:
    assert recipe_for("u_l2").loss == "box_segmentation"  # §IV-C item 4: mu
    assert recipe_for("u_l2").model_options == {"box_gradient": 0.01}  # ours; 1 in the paper
    assert recipe_for("u_l2", "lu_net_mo").loss == "box"  # §IV-C item 4: mo
    assert with_settings(recipe_for("u_l2"), ["box_margin=0.15"]).box_margin == 0.15  # Table I: m15


@pytest.mark.parametrize("model", ["u_l1", "u_l2"])
def test_a_u_net_that_learns_the_box_alone_gives_nothing_that_it_was_not_taught(model: str) -> None:
    assert recipe_for(model, "lu_net_mo").model_options == {"segmentation": False}
    wider = with_settings(recipe_for(model, "lu_net_mo"), ["model_options.width=0.5"])
    assert wider.model_options == {"segmentation": False, "width": 0.5}
    assert RECIPES["lu_net_mo"].model_options == {}  # alexnet_box and vgg19_box have no such option


def test_the_lu_net_papers_motivation_study() -> None:
    recipe = RECIPES["lu_net_motivation"]
    assert recipe.model == "unet1"  # §III-A
    margins = [with_settings(recipe, [f"oracle_margin={m}"]).oracle_margin for m in (0.05, 0.15, 0.3)]
    assert margins == [0.05, 0.15, 0.30]  # §III-A
    same = dataclasses.replace(recipe, name="", paper="", oracle_margin=None)
    assert same == dataclasses.replace(RECIPES["lu_net_segmentation"], name="", paper="")  # nothing else differs


def test_lu_net_itself() -> None:
    recipe = recipe_for("lu_net")
    assert (recipe.model, recipe.loss) == ("lu_net", "lu_net")
    assert recipe.classes == ("BACKGROUND", "LV", "MYO")  # §IV-E item 2
    whole = with_settings(recipe, ["classes=lv_myo_la", "box_structures=LV,MYO,LA"])
    assert whole.box_structures == ("LV", "MYO", "LA") == whole.classes[1:]


@pytest.mark.parametrize(("name", "loss"), [("cmr_wce", "weighted_crossentropy"), ("cmr_wce_dice", None)])
def test_the_cine_mr_papers_numbers(name: str, loss: str | None) -> None:
    recipe = recipe_for("dense_unet", name)
    assert set(recipe.classes) == {"BACKGROUND", "LV", "MYO", "RV"}  # Table 1
    assert (recipe.input_height, recipe.input_width, recipe.normalise) == (176, 176, "unit")  # §2.3
    assert recipe.loss == (loss or "weighted_crossentropy_dice")  # §2.3, Eq. 3
    assert recipe.augmentation.rotation_degrees == 15  # §2.3
    drawn = {field.name for field in dataclasses.fields(Augmentation) if getattr(recipe.augmentation, field.name)}
    assert drawn == {"gamma", "blur_px", "rotation_degrees"}  # §2.3
    assert (recipe.train_share, recipe.val_share) == (0.7, 0.15)  # §2.3
    assert recipe.monitor == "val_dice"  # §2.3
    assert recipe.early_stopping_patience is None


def test_the_two_losses_of_the_cine_mr_paper_differ_in_nothing_else() -> None:
    same = dataclasses.replace(RECIPES["cmr_wce_dice"], name="", paper="", loss="weighted_crossentropy")
    assert same == dataclasses.replace(RECIPES["cmr_wce"], name="", paper="")


def test_the_cine_mr_weights_follow_from_the_shares() -> None:
    recipe = RECIPES["cmr_wce"]
    shares = {"BACKGROUND": 0.8890, "LV": 0.0376, "MYO": 0.0374, "RV": 0.0360}  # printed by data_pipeline.class_shares
    mean = sum(share**0.5 for share in shares.values())
    assert recipe.class_weights == {name: pytest.approx(share**-0.5 / mean, abs=0.01) for name, share in shares.items()}


REDUCED = ["epochs=1", "batch_size=2", "input_height=64", "input_width=64", "model_options.width=0.125"]


@pytest.mark.parametrize("model", DEFAULT_RECIPE)
@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_takes_smaller_settings_with_every_network(model: str, name: str) -> None:
    recipe = with_settings(recipe_for(model, name), REDUCED)
    assert (recipe.epochs, recipe.batch_size, recipe.input_height, recipe.input_width) == (1, 2, 64, 64)
    assert recipe.model_options["width"] == 0.125


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_is_known_by_its_own_name(name: str) -> None:
    assert RECIPES[name].name == name
    assert RECIPES[name].model in DEFAULT_RECIPE


@pytest.mark.parametrize("model", DEFAULT_RECIPE)
def test_every_network_has_the_recipe_of_its_paper(model: str) -> None:
    name = DEFAULT_RECIPE[model]
    options = OPTIONS.get((model, name), {})
    assert recipe_for(model) == dataclasses.replace(RECIPES[name], model=model, model_options=options)


@pytest.mark.parametrize(("model", "name"), OPTIONS)
def test_options_are_of_a_network_that_takes_them(model: str, name: str) -> None:
    from models import build

    options = recipe_for(model, name).model_options
    assert build(model, input_shape=(32, 32, 1), classes=3, width=0.125, **options).count_params() > 0


def test_the_carts_recipe_is_ours_and_says_how_the_network_is_taught() -> None:
    recipe = RECIPES["cart"]
    named = {"name", "paper", "model", "monitor", "deep_supervision", "distillation_weight", "distillation_temperature"}
    of_both = [
        {f.name: getattr(one, f.name) for f in dataclasses.fields(Recipe) if f.name not in named}
        for one in (recipe, RECIPES["annulus"])
    ]
    assert of_both[0] == of_both[1]
    assert recipe.monitor == "epoch"
    assert recipe.deep_supervision == ("decoder_3_conv2_relu", "decoder_2_conv2_relu")
    assert with_settings(recipe, ["deep_supervision=none"]).deep_supervision == ()


def test_every_network_has_a_recipe() -> None:
    from models import MODELS

    assert list(DEFAULT_RECIPE) == list(MODELS)


def test_a_recipe_takes_another_network() -> None:
    recipe = recipe_for("unet_vgg16", "annulus")
    assert recipe == dataclasses.replace(RECIPES["annulus"], model="unet_vgg16")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("unet2",), r"`model` must be one of .*unet1.* Received: unet2\. Did you mean unet\?"),
        (("unet1", "hinge_point"), r"`recipe` must be one of .* Received: hinge_point\. Did you mean hinge_points\?"),
        (("unet1", "zzz"), r"`recipe` must be one of .* Received: zzz\.$"),
    ],
)
def test_an_unknown_name_lists_the_known_ones(arguments: tuple[str, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        recipe_for(*arguments)


PAPER_FIELDS = [
    (module.__name__, line)
    for module in (hinge_points, vds_unet, improved_resunet, lu_net, cmr)
    for line in inspect.getsource(module).splitlines()
    if re.match(r"    (?!name=|paper=|class_weights=)\w+=|        \"[A-Z]+\":", line)
]
"""Every field and every weight that a paper's recipe sets, save its name and its paper."""


@pytest.mark.parametrize(("module", "line"), PAPER_FIELDS)
def test_every_field_of_a_papers_recipe_names_its_source(module: str, line: str) -> None:
    assert re.search(r"# (§|Table |ASSUMED: |ours: |the paper )", line), f"{module}: {line.strip()}"


@pytest.mark.parametrize("module", [hinge_points, vds_unet, improved_resunet, lu_net, cmr, annulus, cart])
def test_a_recipes_head_is_a_command_that_runs_it(module: ModuleType) -> None:
    assert module.__doc__ is not None
    command = re.search(r"`python train\.py --model (\w+)(?: --recipe (\w+))? --data (\w+):PATH`", module.__doc__)
    assert command is not None
    model, name, data = command.groups()
    recipe = recipe_for(model, name)
    recipe = dataclasses.replace(recipe, model_options={})
    assert recipe in [value for value in vars(module).values() if isinstance(value, Recipe)]
    ventricles = {"MV": "labelme", "RV": "acdc"}  # CAMUS has neither a valve nor a right ventricle
    assert data == next((kind for structure, kind in ventricles.items() if structure in recipe.classes), "camus")
