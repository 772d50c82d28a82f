"""`--set key=value`, and recipes as files."""

import dataclasses
import json
import os
import subprocess
import sys
import typing
from pathlib import Path
from typing import Any

import pytest

from recipes import RECIPES
from recipes.base import Augmentation, Recipe, from_dict, to_dict, with_settings

REPOSITORY = Path(__file__).parents[2]
BASE = RECIPES["annulus"]

OTHER: dict[str, tuple[str, Any]] = {
    "input_height": ("128", 128),
    "input_width": ("192", 192),
    "crop_mm": ("150", 150.0),
    "normalise": ("zscore", "zscore"),
    "clahe": ("yes", True),
    "clahe_clip_limit": ("3", 3.0),
    "clahe_tiles": ("4", 4),
    "loss": ("multiclass_dice", "multiclass_dice"),
    "box_structures": ("lv, myo,LA", ("LV", "MYO", "LA")),
    "box_margin": ("0.15", 0.15),
    "box_weight": ("5", 5.0),
    "deep_supervision": (
        "decoder_3_conv2_relu, decoder_2_conv2_relu",
        ("decoder_3_conv2_relu", "decoder_2_conv2_relu"),
    ),
    "distillation_weight": ("0.5", 0.5),
    "distillation_temperature": ("4", 4.0),
    "oracle_margin": ("0.3", 0.3),
    "optimizer": ("rmsprop", "rmsprop"),
    "learning_rate": ("5e-4", 5e-4),
    "weight_decay": ("0.01", 0.01),
    "schedule": ("constant", "constant"),
    "warmup_epochs": ("1", 1),
    "epochs": ("2", 2),
    "batch_size": ("4", 4),
    "early_stopping_patience": ("7", 7),
    "plateau_patience": ("3", 3),
    "plateau_factor": ("0.5", 0.5),
    "plateau_monitor": ("loss", "loss"),
    "monitor": ("val_loss", "val_loss"),
    "weight_average": ("0.9", 0.9),
    "precision": ("float32", "float32"),
    "train_share": ("0.5", 0.5),
    "val_share": ("0.25", 0.25),
    "seed": ("7", 7),
    "contact_line": ("pixel", "pixel"),
    "largest_component": ("false", False),
    "classes": ("lv_la", ("BACKGROUND", "LV", "LA")),
}
"""Every field that `--set` reaches: a text, and the value it stands for, other than in `BASE`."""

NOT_SET = {"name", "paper", "model", "augmentation", "model_options", "class_weights"}


def test_every_field_is_settable_or_has_its_own_way() -> None:
    assert set(OTHER) | NOT_SET == {f.name for f in dataclasses.fields(Recipe)}


@pytest.mark.parametrize("key", OTHER)
def test_a_setting_is_typed_by_its_field_and_changes_nothing_else(key: str) -> None:
    text, value = OTHER[key]
    assert getattr(BASE, key) != value
    changed = with_settings(BASE, [f"{key}={text}"])
    assert getattr(changed, key) == value
    assert type(getattr(changed, key)) is type(value)
    assert changed == dataclasses.replace(BASE, **{key: value})


@pytest.mark.parametrize("field", dataclasses.fields(Augmentation), ids=lambda field: field.name)
def test_every_augmentation_is_settable(field: "dataclasses.Field[Any]") -> None:
    off, on = ("false", True) if field.type in (bool, "bool") else ("0", 0.25)
    changed = with_settings(BASE, [f"augmentation.{field.name}={on}"])
    assert changed.augmentation == dataclasses.replace(BASE.augmentation, **{field.name: on})
    assert not getattr(with_settings(changed, [f"augmentation.{field.name}={off}"]).augmentation, field.name)


def test_settings_apply_in_order_and_the_last_one_wins() -> None:
    assert with_settings(BASE, ["epochs=2", "batch_size=3", "epochs=5"]).epochs == 5
    assert with_settings(BASE, []) == BASE


def test_weights_are_set_by_structure() -> None:
    recipe = with_settings(BASE, ["class_weights.la=2", "class_weights.LV=0.5"])
    assert recipe.class_weights == {"LA": 2.0, "LV": 0.5}
    assert recipe == dataclasses.replace(BASE, class_weights={"LA": 2.0, "LV": 0.5})
    assert BASE.class_weights == {}
    assert with_settings(recipe, ["class_weights.LA=3"]).class_weights == {"LA": 3.0, "LV": 0.5}


def test_a_recipes_weights_of_classes_left_out_go_with_them() -> None:
    weighted = RECIPES["vds_unet"]
    assert with_settings(weighted, ["classes=lv_la"]).class_weights == {"BACKGROUND": 1.0, "LV": 1.0, "LA": 1.0}
    both = with_settings(weighted, ["class_weights.MYO=2", "classes=lv_myo_la_mv"])
    assert both.class_weights == {"BACKGROUND": 1.0, "LV": 1.0, "LA": 1.0, "MV": 4.0, "MYO": 2.0}


def test_a_crop_has_an_extent() -> None:
    for size in ("0", "-1", "inf", "nan"):
        with pytest.raises(ValueError, match=rf"`crop_mm` must be none or positive\. Received: {size}"):
            with_settings(BASE, [f"crop_mm={size}"])


@pytest.mark.parametrize(
    "key", ["early_stopping_patience", "plateau_patience", "weight_average", "oracle_margin", "crop_mm"]
)
def test_none_switches_off_what_can_be_off(key: str) -> None:
    with_value = with_settings(BASE, [f"{key}={OTHER[key][0]}"])
    assert getattr(with_settings(with_value, [f"{key}=none"]), key) is None


@pytest.mark.parametrize(
    ("text", "classes"),
    [
        ("background,lv", ("BACKGROUND", "LV")),
        ("BACKGROUND, LA, LV", ("BACKGROUND", "LA", "LV")),
        ("lv", ("BACKGROUND", "LV")),
        ("LV_MYO_LA", ("BACKGROUND", "LV", "MYO", "LA")),
    ],
)
def test_classes(text: str, classes: tuple[str, ...]) -> None:
    assert with_settings(RECIPES["hinge_points"], [f"classes={text}"]).classes == classes


@pytest.mark.parametrize(
    ("text", "value"),
    [("16", 16), ("0.5", 0.5), ("true", True), ("yes", True), ("False", False), ("no", False), ("relu", "relu")],
)
def test_model_options_take_their_type_from_the_text(text: str, value: object) -> None:
    options = with_settings(BASE, [f"model_options.width={text}"]).model_options
    assert options == {"width": value}
    assert type(options["width"]) is type(value)


def test_a_model_option_can_be_none() -> None:
    assert with_settings(BASE, ["model_options.crop_height=none"]).model_options == {"crop_height": None}


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("epochs", r"`--set` takes key=value\. Received: 'epochs'"),
        ("=3", r"`--set` takes key=value\. Received: '=3'"),
        ("epoch=3", r"`epoch` is not a recipe setting; did you mean `epochs`\?"),
        ("zzzzzz=3", r"`zzzzzz` is not a recipe setting; known: .*batch_size.*seed"),
        ("model=unet1", "`model` is not a recipe setting"),
        ("augmentation=none", "`augmentation` is not a recipe setting"),
        (
            "augmentation.rotation=5",
            r"`augmentation.rotation` is not a recipe setting; did you mean `rotation_degrees`",
        ),
        ("epochs=two", r"`epochs` must be of type int\. Received: 'two'"),
        ("epochs=2.5", r"`epochs` must be of type int\. Received: '2\.5'"),
        ("epochs=none", r"`epochs` must be of type int\. Received: 'none'"),
        ("epochs=0", r"`epochs` must be at least 1\. Received: 0"),
        ("learning_rate=0", r"`learning_rate` must be positive\. Received: 0"),
        ("learning_rate=nan", r"`learning_rate` must be positive\. Received: nan"),
        ("learning_rate=inf", "`learning_rate` must be positive"),
        ("weight_decay=-1", r"`weight_decay` must be zero or positive\. Received: -1"),
        ("weight_average=1", r"`weight_average` must be none or between 0 and 1\. Received: 1"),
        ("plateau_factor=nan", "`plateau_factor` must be between 0 and 1"),
        ("plateau_patience=0", "`plateau_patience` must be none or at least 1"),
        ("warmup_epochs=-1", "`warmup_epochs` must be zero or positive"),
        ("early_stopping_patience=soon", r"`early_stopping_patience` must be of type int\. Received: 'soon'"),
        ("clahe=maybe", r"`clahe` must be true or false\. Received: 'maybe'"),
        ("loss=multiclas_dice", r"`loss` must be one of .* Received: multiclas_dice\. Did you mean multiclass_dice\?"),
        ("classes=LV,LA", r"`classes` must be BACKGROUND and at least one other\. Received: \('LV', 'LA'\)"),
        ("classes=BACKGROUND,LV,LV", "`classes` must be BACKGROUND and at least one other"),
        ("class_weights=4", "`class_weights` is not a recipe setting"),
        ("class_weights.MV=4", r"`class_weights` must name structures among BACKGROUND, LV, MYO, LA\. Received: MV"),
        ("class_weights.LV=0", r"`class_weights` must be positive\. Received: \{'LV': 0\.0\}"),
        ("class_weights.LV=nan", "`class_weights` must be positive"),
        ("class_weights.LV=much", r"`class_weights.LV` must be of type float\. Received: 'much'"),
        ("model_options.classes=3", r"`model_options` must not have what a recipe says elsewhere .* Received: classes"),
        ("box_margin=-0.1", r"`box_margin` must be zero or positive\. Received: -0\.1"),
        ("box_weight=0", r"`box_weight` must be positive\. Received: 0"),
        ("oracle_margin=-1", r"`oracle_margin` must be none, zero or positive\. Received: -1"),
        ("oracle_margin=inf", "`oracle_margin` must be none, zero or positive"),
        ("train_share=0.95", r"`train_share` and `val_share` must be shares that sum to at most 1\. Received: 0\.95"),
    ],
)
def test_a_bad_setting_says_what_is_wrong(setting: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        with_settings(BASE, [setting])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (["classes=lv_la", "class_weights.MV=4"], r"`class_weights` must name structures .* Received: MV"),
        (["loss=box", "classes=lv"], r"`box_structures` must be at least one of `classes`, LV\. Received: LV, MYO"),
        (["oracle_margin=0.1", "box_structures=RV"], r"`box_structures` must be at least one of .* Received: RV"),
    ],
)
def test_settings_that_do_not_fit_together(settings: list[str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        with_settings(RECIPES["vds_unet"] if "MV" in settings[-1] else BASE, settings)


def everything_changed() -> Recipe:
    """A recipe that differs from `BASE` in every field."""
    recipe = with_settings(BASE, [f"{key}={text}" for key, (text, _) in OTHER.items() if key != "classes"])
    augmentation = Augmentation(
        **{
            name: True if kind is bool else 0.125 * number
            for number, (name, kind) in enumerate(typing.get_type_hints(Augmentation).items(), start=1)
        }
    )
    return dataclasses.replace(
        recipe,
        name="other",
        paper="other",
        model="unet_vgg16",
        classes=("BACKGROUND", "LV", "MYO", "LA", "MV"),
        class_weights={"MV": 4.0},
        augmentation=augmentation,
        model_options={"width": 8},
    )


def test_a_recipe_comes_back_from_its_file_with_every_field() -> None:
    recipe = everything_changed()
    assert [f.name for f in dataclasses.fields(Recipe) if getattr(recipe, f.name) == getattr(BASE, f.name)] == []
    assert from_dict(json.loads(json.dumps(to_dict(recipe)))) == recipe


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_comes_back_from_its_file(name: str) -> None:
    assert from_dict(json.loads(json.dumps(to_dict(RECIPES[name])))) == RECIPES[name]


def test_a_damaged_recipe_file_is_named() -> None:
    values = to_dict(BASE)
    with pytest.raises(ValueError, match=r"run/recipe\.json: unknown recipe fields colour, size"):
        from_dict({**values, "size": 1, "colour": 2}, source="run/recipe.json")
    for missing in ("model", "classes", "augmentation"):
        with pytest.raises(ValueError, match=r"recipe\.json: not a complete recipe"):
            from_dict({key: value for key, value in values.items() if key != missing})
    with pytest.raises(ValueError, match=r"recipe\.json: not a complete recipe"):
        from_dict({**values, "augmentation": {"sparkle": 1.0}})


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["--model", "unet1", "--set", "epoch=2"], "error: `epoch` is not a recipe setting; did you mean `epochs`?"),
        (["--model", "unet1", "--set", "epochs=two"], "error: `epochs` must be of type int. Received: 'two'"),
        (["--model", "unett", "--set", "epochs=2"], "error: `model` must be one of "),
        (["--model", "unet1", "--recipe", "anulus"], "error: `recipe` must be one of "),
    ],
)
def test_the_command_line_refuses_bad_settings_with_exit_code_2(
    tmp_path: Path, arguments: list[str], line: str
) -> None:
    done = subprocess.run(
        [sys.executable, "train.py", *arguments, "--out", str(tmp_path / "run")],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        env={**os.environ, "ANNULUS_CACHE": str(tmp_path / "cache")},
    )
    assert done.returncode == 2, done.stderr
    assert done.stderr.startswith(line)
    assert done.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_settings_that_only_fit_together_are_applied_together():
    recipe = with_settings(RECIPES["annulus"], ["train_share=0.95", "val_share=0.05"])
    assert (recipe.train_share, recipe.val_share) == (0.95, 0.05)


@pytest.mark.parametrize(
    ("name", "value", "known"),
    [
        ("monitor", "val_dise", "val_loss, val_dice, val_iou, epoch"),
        ("contact_line", "", "subpixel, pixel"),
        ("precision", "float16", "auto, float32, mixed_bfloat16"),
    ],
)
def test_a_choice_is_checked_in_a_file_as_on_the_command_line(name: str, value: str, known: str) -> None:
    with pytest.raises(ValueError, match=rf"`{name}` must be one of {known}\. Received: {value}$"):
        from_dict({**to_dict(BASE), name: value})
