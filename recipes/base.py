"""What a recipe is: every choice of a training, as one frozen dataclass, and how `--set` changes it."""

import dataclasses
import difflib
import math
import types
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

Loss = Literal[
    "categorical_crossentropy",
    "weighted_crossentropy",
    "weighted_crossentropy_dice",
    "multiclass_dice",
    "dice_crossentropy",
    "box",
    "box_segmentation",
    "lu_net",
]


@dataclass(frozen=True)
class Augmentation:
    """Random changes made to a training frame and its labels together. Zero (or False) switches one off.

    Attributes:
        flip: mirror left-right with probability 1/2.
        rotation_degrees: rotation drawn from ± this.
        scale: zoom factor drawn from 1 ± this.
        translation: shift drawn from ± this share of the side.
        elastic_px: standard deviation of the smooth displacement field, network pixels.
        gamma: log-gamma drawn from ± this.
        brightness: additive shift drawn from ± this, on the 0..1 grey scale.
        contrast: factor on the deviation from mean drawn from 1 ± this.
        blur_px: Gaussian blur with standard deviation drawn from 0 to this, network pixels.
        noise: standard deviation of the noise, drawn from 0 to this, on the 0..1 grey scale.
        sector_shadow: probability that a sector of the image is shadowed.
    """

    flip: bool = False
    rotation_degrees: float = 0.0
    scale: float = 0.0
    translation: float = 0.0
    elastic_px: float = 0.0
    gamma: float = 0.0
    brightness: float = 0.0
    contrast: float = 0.0
    blur_px: float = 0.0
    noise: float = 0.0
    sector_shadow: float = 0.0


@dataclass(frozen=True)
class Recipe:
    """Every choice of a training run. There is no other source of defaults.

    Attributes:
        name: the recipe's own name, as `--recipe` takes it.
        paper: where it comes from, in one line.
        model: registry name of the network.
        classes: structure names in network-channel order, BACKGROUND first.
        input_height, input_width: the network's grid, pixels.
        normalise: `unit` maps 8-bit intensities to 0..1, `minmax` each frame's own range to 0..1, `zscore` to mean 0
            and standard deviation 1 of each frame.
        crop_mm: side of the square around the heart that the network sees, in mm; None: the whole frame. Not looked at
            with `oracle_margin`.
        clahe, clahe_clip_limit, clahe_tiles: contrast-limited adaptive histogram equalisation before resizing.
        augmentation: random changes of training frames.
        loss: on probabilities `categorical_crossentropy`, `weighted_crossentropy`, `weighted_crossentropy_dice`,
            `multiclass_dice` or `dice_crossentropy`; of localisers `box` (the box alone) or `box_segmentation`;
            `lu_net` for that network.
        class_weights: structure → weight in the weighted cross-entropies; a structure not named has 1.
        box_structures: structures whose union the box encloses.
        box_margin: margin on each side of the box, as a share of its height and width.
        box_weight: weight of the box loss where there are others.
        deep_supervision: layers of the network that learn to tell the classes, too, while it trains, each by a 1×1
            convolution that is thrown away; a grid weighs as much as its height.
        distillation_weight: of the distance from a teacher's probabilities beside the loss (`--teacher`).
        distillation_temperature: what the logits of both are divided by in that distance.
        oracle_margin: crop every frame to the box of its reference with this margin (the motivation study); None: no.
        optimizer: `adam`, `adamw` or `rmsprop`.
        learning_rate: the initial one.
        weight_decay: decoupled weight decay (adamw only).
        schedule: `constant`, or `cosine` (decays to zero over all epochs after `warmup_epochs`).
        warmup_epochs: linear warm-up, in epochs.
        epochs, batch_size: as named.
        early_stopping_patience: epochs without a better `monitor` before stopping; None never stops.
        plateau_patience, plateau_factor: reduce the learning rate on a plateau of `plateau_monitor`; None never does.
        plateau_monitor: `val_loss` or `loss`.
        monitor: what decides the best model: `val_loss` (smallest), `val_dice` (largest mean structure Dice),
            `val_iou` (largest mean overlap of boxes) or `epoch` (the last), for a schedule that ends at rest.
        weight_average: decay of the exponential moving average of the weights that is validated and kept; None: none.
        precision: `auto` (mixed bfloat16 where the hardware has it), `float32` or `mixed_bfloat16`.
        train_share, val_share: shares of patients where the data set has no official lists; the rest is the test set.
        seed: of split, initial weights, shuffling and augmentation.
        contact_line: `subpixel` (p(LV) = p(LA) crossing) or `pixel` (the paper's, on the label map).
        largest_component: keep only the largest component of each structure before measuring.
        model_options: further keyword arguments of the network's builder.
    """

    name: str
    paper: str
    model: str
    classes: tuple[str, ...] = ("BACKGROUND", "LV", "MYO", "LA")
    input_height: int = 256
    input_width: int = 256
    crop_mm: float | None = None
    normalise: Literal["unit", "minmax", "zscore"] = "unit"
    clahe: bool = False
    clahe_clip_limit: float = 2.0
    clahe_tiles: int = 8
    augmentation: Augmentation = field(default_factory=Augmentation)
    loss: Loss = "categorical_crossentropy"
    class_weights: Mapping[str, float] = field(default_factory=dict[str, float])
    box_structures: tuple[str, ...] = ("LV", "MYO")
    box_margin: float = 0.05
    box_weight: float = 10.0
    deep_supervision: tuple[str, ...] = ()
    distillation_weight: float = 1.0
    distillation_temperature: float = 2.0
    oracle_margin: float | None = None
    optimizer: Literal["adam", "adamw", "rmsprop"] = "adam"
    learning_rate: float = 1e-3
    weight_decay: float = 0.0
    schedule: Literal["constant", "cosine"] = "constant"
    warmup_epochs: int = 0
    epochs: int = 50
    batch_size: int = 8
    early_stopping_patience: int | None = None
    plateau_patience: int | None = None
    plateau_factor: float = 0.1
    plateau_monitor: Literal["val_loss", "loss"] = "val_loss"
    monitor: Literal["val_loss", "val_dice", "val_iou", "epoch"] = "val_loss"
    weight_average: float | None = None
    precision: Literal["auto", "float32", "mixed_bfloat16"] = "auto"
    train_share: float = 0.8
    val_share: float = 0.1
    seed: int = 0
    contact_line: Literal["subpixel", "pixel"] = "subpixel"
    largest_component: bool = True
    model_options: Mapping[str, Any] = field(default_factory=dict[str, Any])

    def __post_init__(self) -> None:
        for name, kind in typing.get_type_hints(Recipe).items():
            if typing.get_origin(kind) is Literal:
                known = typing.get_args(kind)
                self._check(name, getattr(self, name) in known, f"one of {', '.join(known)}")
        for name in ("input_height", "input_width", "epochs", "batch_size"):
            self._check(name, getattr(self, name) >= 1, "at least 1")
        for name in ("early_stopping_patience", "plateau_patience"):
            self._check(name, getattr(self, name) is None or getattr(self, name) >= 1, "none or at least 1")
        self._check("learning_rate", 0 < self.learning_rate < math.inf, "positive")
        self._check("weight_decay", 0 <= self.weight_decay < math.inf, "zero or positive")
        self._check("warmup_epochs", self.warmup_epochs >= 0, "zero or positive")
        self._check("plateau_factor", 0 < self.plateau_factor < 1, "between 0 and 1")
        average = self.weight_average
        self._check("weight_average", average is None or 0 < average < 1, "none or between 0 and 1")
        self._check("box_margin", 0 <= self.box_margin < math.inf, "zero or positive")
        self._check("box_weight", 0 < self.box_weight < math.inf, "positive")
        self._check("distillation_weight", 0 < self.distillation_weight < math.inf, "positive")
        self._check("distillation_temperature", 0 < self.distillation_temperature < math.inf, "positive")
        oracle = self.oracle_margin
        self._check("oracle_margin", oracle is None or 0 <= oracle < math.inf, "none, zero or positive")
        crop = self.crop_mm
        self._check("crop_mm", crop is None or 0 < crop < math.inf, "none or positive")
        unknown = sorted(set(self.class_weights) - set(self.classes))
        if unknown:
            raise ValueError(
                f"`class_weights` must name structures among {', '.join(self.classes)}. Received: {', '.join(unknown)}"
            )
        if not all(0 < weight < math.inf for weight in self.class_weights.values()):
            raise ValueError(f"`class_weights` must be positive. Received: {dict(self.class_weights)}")
        boxed = self.loss in BOX_LOSSES or self.oracle_margin is not None
        fixed = sorted({"input_shape", "classes"} & set(self.model_options))
        if fixed:
            raise ValueError(
                f"`model_options` must not have what a recipe says elsewhere (input_height, input_width, classes). "
                f"Received: {', '.join(fixed)}"
            )
        missing = [name for name in self.box_structures if name not in self.classes]
        if boxed and (missing or not self.box_structures):
            raise ValueError(
                f"`box_structures` must be at least one of `classes`, {', '.join(self.classes[1:])}. "
                f"Received: {', '.join(self.box_structures) or 'none'}"
            )
        if len(self.classes) < 2 or self.classes[0] != "BACKGROUND" or len(set(self.classes)) != len(self.classes):
            raise ValueError(f"`classes` must be BACKGROUND and at least one other. Received: {self.classes}")
        if not (0 < self.train_share < 1 and 0 <= self.val_share < 1 and self.train_share + self.val_share <= 1):
            raise ValueError(
                f"`train_share` and `val_share` must be shares that sum to at most 1. "
                f"Received: {self.train_share}, {self.val_share}"
            )

    def _check(self, name: str, holds: bool, rule: str) -> None:
        if not holds:
            raise ValueError(f"`{name}` must be {rule}. Received: {getattr(self, name)}")


BOX_LOSSES = ("box", "box_segmentation", "lu_net")
"""Losses that need the box of `box_structures`."""

CLASS_SETS: dict[str, tuple[str, ...]] = {
    "lv_la": ("BACKGROUND", "LV", "LA"),
    "lv_myo_la": ("BACKGROUND", "LV", "MYO", "LA"),
    "lv_myo_rv": ("BACKGROUND", "LV", "MYO", "RV"),
    "lv": ("BACKGROUND", "LV"),
    "lv_myo": ("BACKGROUND", "LV", "MYO"),
    "lv_la_mv": ("BACKGROUND", "LV", "LA", "MV"),
    "lv_myo_la_mv": ("BACKGROUND", "LV", "MYO", "LA", "MV"),
}
"""Short names for `--set classes=…`."""


def with_settings(recipe: Recipe, settings: Sequence[str]) -> Recipe:
    """A recipe with `key=value` settings applied, typed by the field they change.

    `augmentation.flip=true` reaches into the augmentation, `model_options.width=0.5` into the builder's options,
    `class_weights.MV=4` into the weights. `box_structures` and `deep_supervision` take a comma-separated list;
    `classes` takes one or a name of `CLASS_SETS`, and the recipe's own weights of classes that are left out go with
    them; `none` is None where the field allows it, and the empty list of `deep_supervision`.

    Raises:
        ValueError: not `key=value`, an unknown key (the nearest known one is named), or a value of the wrong type.
    """
    changes: dict[str, Any] = {}
    augmentation: dict[str, Any] = {}
    options = dict(recipe.model_options)
    weights = dict(recipe.class_weights)
    named: set[str] = set()
    for setting in settings:
        key, equals, text = setting.partition("=")
        if not equals or not key:
            raise ValueError(f"`--set` takes key=value. Received: {setting!r}")
        if key == "classes":
            changes[key] = CLASS_SETS.get(text.lower()) or tuple(part.strip().upper() for part in text.split(","))
        elif key == "box_structures":
            changes[key] = tuple(part.strip().upper() for part in text.split(","))
        elif key == "deep_supervision":
            changes[key] = () if text.lower() == "none" else tuple(part.strip() for part in text.split(","))
        elif key.startswith("class_weights."):
            structure = key.removeprefix("class_weights.").upper()
            named.add(structure)
            weights[structure] = _parse(text, float, key)
        elif key.startswith("augmentation."):
            inner = key.removeprefix("augmentation.")
            augmentation[inner] = _parse(text, _field_type(Augmentation, inner, key), key)
        elif key.startswith("model_options."):
            options[key.removeprefix("model_options.")] = _parse_option(text)
        else:
            changes[key] = _parse(text, _field_type(Recipe, key, key), key)
    # a recipe's weights are by name so that it takes other classes: those of its own that are left out go with them
    gone = set(recipe.classes) - set(changes.get("classes", recipe.classes)) - named
    weights = {name: weight for name, weight in weights.items() if name not in gone}
    # all at once: fields that are checked together, such as the shares, may only fit together
    changed = dataclasses.replace(recipe.augmentation, **augmentation)
    return dataclasses.replace(recipe, augmentation=changed, model_options=options, class_weights=weights, **changes)


def to_dict(recipe: Recipe) -> dict[str, Any]:
    """The recipe as plain JSON values (`run/recipe.json`)."""
    values = dataclasses.asdict(recipe)
    values["classes"] = list(recipe.classes)
    values["model_options"] = dict(recipe.model_options)
    values["class_weights"] = dict(recipe.class_weights)
    values["box_structures"] = list(recipe.box_structures)
    values["deep_supervision"] = list(recipe.deep_supervision)
    return values


def from_dict(values: Mapping[str, Any], source: str = "recipe.json") -> Recipe:
    """The recipe of `to_dict`.

    Raises:
        ValueError: unknown or missing fields, naming `source`.
    """
    known = {f.name for f in dataclasses.fields(Recipe)}
    unknown = sorted(set(values) - known)
    if unknown:
        raise ValueError(f"{source}: unknown recipe fields {', '.join(unknown)}; was it written by a newer version?")
    try:
        changed = dict(values)
        changed["classes"] = tuple(values["classes"])
        if "box_structures" in values:  # recipes written before boxes have none
            changed["box_structures"] = tuple(values["box_structures"])
        changed["deep_supervision"] = tuple(values.get("deep_supervision", ()))  # older recipes have none
        changed["augmentation"] = Augmentation(**values["augmentation"])
        return Recipe(**changed)
    except (KeyError, TypeError) as error:
        raise ValueError(f"{source}: not a complete recipe ({error}); train again or restore the file") from error


def _field_type(owner: type, name: str, key: str) -> Any:
    hints = typing.get_type_hints(owner)
    fixed = (
        {"augmentation", "model_options", "class_weights", "name", "paper", "model"} if owner is Recipe else set[str]()
    )
    if name not in hints or name in fixed:
        settable = sorted(set(hints) - fixed)
        near = difflib.get_close_matches(name, settable, n=1)
        hint = f"did you mean `{near[0]}`?" if near else f"known: {', '.join(settable)}"
        raise ValueError(f"`{key}` is not a recipe setting; {hint}")
    return hints[name]


def _parse(text: str, kind: Any, key: str) -> Any:
    origin = typing.get_origin(kind)
    if origin in (types.UnionType, typing.Union):
        if text.lower() == "none":
            return None
        kind = next(k for k in typing.get_args(kind) if k is not type(None))
    if origin is Literal:
        if text in typing.get_args(kind):
            return text
        known = ", ".join(typing.get_args(kind))
        near = difflib.get_close_matches(text, typing.get_args(kind), n=1)
        hint = f" Did you mean {near[0]}?" if near else ""
        raise ValueError(f"`{key}` must be one of {known}. Received: {text}.{hint}")
    if kind is bool:
        words = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
        if text.lower() in words:
            return words[text.lower()]
        raise ValueError(f"`{key}` must be true or false. Received: {text!r}")
    try:
        return kind(text)
    except ValueError:
        raise ValueError(f"`{key}` must be of type {kind.__name__}. Received: {text!r}") from None


def _parse_option(text: str) -> Any:
    """A builder option has no declared type here: whole number, number, true/false, none, or text, in that order."""
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    words = {"true": True, "yes": True, "false": False, "no": False, "none": None}
    return words.get(text.lower(), text)
