"""What a network is trained for: from the one-hot reference and all of a network's outputs to one loss per frame.

A loss of `models.losses` judges probabilities; an objective says which outputs are judged by which loss and adds up.
"""

import difflib
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

from keras import KerasTensor, ops
from keras.config import floatx

from models.boxes import crop_one_hot, cropping_box, reference_box
from models.losses import LOSSES, multiclass_dice, weighted_crossentropy, weighted_crossentropy_dice

Objective = Callable[[KerasTensor, Mapping[str, KerasTensor]], KerasTensor]
"""One-hot reference (N, h, w, C) and the network's outputs by name → (N,) loss of each frame."""

CLIP = 0.99
"""Largest error of one edge in the box loss, in shares of the frame's side. Source: lu_net paper §IV-E item 2."""


@dataclass(frozen=True)
class ObjectiveOptions:
    """What an objective depends on besides its name.

    Attributes:
        class_weights: one per channel.
        box_channels: channels whose union the box encloses.
        box_margin: margin on each side, share of the box's height and width.
        box_weight: weight of the box loss beside others.
    """

    class_weights: tuple[float, ...]
    box_channels: tuple[int, ...]
    box_margin: float
    box_weight: float


def box_loss(y_true: KerasTensor, box: KerasTensor, channels: Sequence[int], margin: float) -> KerasTensor:
    """L1 distance of a box from the reference's: each edge's error clipped at 0.99, summed over the four edges.

    Args:
        y_true: (N, h, w, C) one-hot.
        box: (N, 4) predicted.
        channels: the structures whose union the box encloses.
        margin: of the reference's box, as in `reference_box`.

    Returns:
        (N,) between 0 and 3.96; 0 for a frame that has none of the structures.

    Source: lu_net paper §IV-E item 2. ASSUMED: the clip is the error's largest value, edges being shares of the frame.
    """
    reference, is_valid = reference_box(y_true, channels, margin)
    errors = ops.minimum(ops.abs(ops.cast(box, floatx()) - reference), CLIP)
    return is_valid * ops.sum(errors, axis=-1)


def objective(
    name: str,
    structures: Sequence[str],
    *,
    class_weights: Mapping[str, float],
    box_structures: Sequence[str],
    box_margin: float,
    box_weight: float,
) -> Objective:
    """An objective by its recipe name.

    Args:
        name: a key of `OBJECTIVES`.
        structures: class names in channel order, BACKGROUND first.
        class_weights: structure → weight in the weighted cross-entropies; one not named has 1.
        box_structures: structures whose union the box encloses.
        box_margin: margin on each side of the box, share of its height and width.
        box_weight: weight of the box loss in `box_segmentation` and `lu_net`.

    Returns:
        (one-hot reference (N, h, w, C), outputs by name) → (N,) loss. It raises ValueError where the network does not
        give an output that it needs.

    Raises:
        ValueError: an unknown name (the known ones are listed); `class_weights` or, for an objective with a box,
            `box_structures` that are not among `structures`.
    """
    needed, make = _by_name(name)
    known = ", ".join(structures)
    unknown = [structure for structure in class_weights if structure not in structures]
    if unknown:
        raise ValueError(f"`class_weights` must name structures among {known}. Received: {', '.join(unknown)}")
    missing = [structure for structure in box_structures if structure not in structures]
    if "box" in needed and (missing or not box_structures):
        raise ValueError(
            f"`box_structures` must be at least one structure among {known}. "
            f"Received: {', '.join(box_structures) or 'none'}"
        )
    compute = make(
        ObjectiveOptions(
            class_weights=tuple(float(class_weights.get(structure, 1.0)) for structure in structures),
            box_channels=tuple(list(structures).index(s) for s in box_structures if s in structures),
            box_margin=box_margin,
            box_weight=box_weight,
        )
    )

    def checked(y_true: KerasTensor, outputs: Mapping[str, KerasTensor]) -> KerasTensor:
        require_outputs(name, outputs)
        return compute(y_true, outputs)

    return checked


def deeply_supervised(compute: Objective, sides: Sequence[str]) -> Objective:
    """An objective that judges coarser probabilities, too, each against the reference on its own grid.

    Args:
        compute: judges `probabilities`.
        sides: names of the outputs (N, h/k, w/k, C) beside them; k a whole number of each.

    Returns:
        An objective: the mean of them all, in which a grid weighs as much as its height: half of it, half the weight.

    Raises:
        ValueError: of the objective, where a side's grid does not divide the reference's.

    Source: Isensee et al. 2021 (nnU-Net): weights halve with each halving of the grid and sum to 1. Deviation: a coarse
    pixel's reference has the shares of its fine pixels' classes; theirs has the class of one of them.
    """

    def total(y_true: KerasTensor, outputs: Mapping[str, KerasTensor]) -> KerasTensor:
        value, weights = compute(y_true, outputs), 1.0
        for name in sides:
            weight = outputs[name].shape[1] / y_true.shape[1]
            coarse = coarse_reference(y_true, outputs[name].shape[1:3])
            value = value + weight * compute(coarse, {"probabilities": outputs[name]})
            weights += weight
        return value / weights

    return total


def coarse_reference(y_true: KerasTensor, grid: tuple[int, int]) -> KerasTensor:
    """The share of each class in every pixel of a coarser grid.

    Args:
        y_true: (N, H, W, C) one-hot.
        grid: (h, w); H and W are multiples of them.

    Returns:
        (N, h, w, C), summing to 1 over the classes.

    Raises:
        ValueError: a grid that does not divide the reference's.
    """
    height, width = y_true.shape[1:3]
    if height % grid[0] or width % grid[1]:
        raise ValueError(f"`grid` must divide the reference's, {height} x {width}. Received: {tuple(grid)}")
    size = (height // grid[0], width // grid[1])
    return ops.average_pool(ops.cast(y_true, floatx()), size, size, padding="valid")


def require_outputs(name: str, outputs: Collection[str]) -> None:
    """Refuses a network that does not give what an objective judges.

    Args:
        name: a key of `OBJECTIVES`.
        outputs: names of the network's outputs.

    Raises:
        ValueError: an unknown name, or an output that is not there.
    """
    needed, _ = _by_name(name)
    if not set(needed) <= set(outputs):
        raise ValueError(
            f"`loss` {name} needs the outputs {', '.join(needed)} of a network. Received: {', '.join(outputs)}; "
            "choose another `model` or `loss`"
        )


def _by_name(name: str) -> tuple[tuple[str, ...], Callable[[ObjectiveOptions], Objective]]:
    if name not in OBJECTIVES:
        near = difflib.get_close_matches(name, OBJECTIVES, n=1)
        hint = f" Did you mean {near[0]}?" if near else ""
        raise ValueError(f"`loss` must be one of {', '.join(OBJECTIVES)}. Received: {name}.{hint}")
    return OBJECTIVES[name]


def _of_probabilities(loss: Callable[[KerasTensor, KerasTensor], KerasTensor]) -> Objective:
    """The loss of the probabilities, and of a first segmentation beside them: the two of RU-Net's cascade weigh 1 each.

    ASSUMED: the lu_net paper (§IV-D item 2) calls the first network's output the epicardial mask and does not say
    how it becomes one. Judged by the second's output alone it does not: the mask then lets nearly
    all of the frame through.
    """

    def compute(y_true: KerasTensor, outputs: Mapping[str, KerasTensor]) -> KerasTensor:
        value = loss(y_true, outputs["probabilities"])
        if "first_probabilities" in outputs:
            value = value + loss(y_true, outputs["first_probabilities"])
        return value

    return compute


def _box(options: ObjectiveOptions) -> Objective:
    """The box alone ("mo" in the LU-Net paper)."""
    return lambda y_true, outputs: box_loss(y_true, outputs["box"], options.box_channels, options.box_margin)


def _box_segmentation(options: ObjectiveOptions) -> Objective:
    """Box and segmentation together ("mu" in the LU-Net paper), `box_weight` to 1."""
    box = _box(options)

    def compute(y_true: KerasTensor, outputs: Mapping[str, KerasTensor]) -> KerasTensor:
        return options.box_weight * box(y_true, outputs) + multiclass_dice(y_true, outputs["probabilities"])

    return compute


def _lu_net(options: ObjectiveOptions) -> Objective:
    """LU-Net's: box, the first segmentation, and the second one inside the proposed box.

    The reference of the second is cropped with the box that the network proposes at this step.

    Source: lu_net paper §III-B item 3, §IV-E item 2. ASSUMED: the two segmentations weigh 1 each.
    """
    box = _box(options)

    def compute(y_true: KerasTensor, outputs: Mapping[str, KerasTensor]) -> KerasTensor:
        inside = outputs["crop_probabilities"]
        cropped = crop_one_hot(y_true, ops.stop_gradient(cropping_box(outputs["box"])), inside.shape[1:3])
        return (
            options.box_weight * box(y_true, outputs)
            + multiclass_dice(y_true, outputs["first_probabilities"])
            + multiclass_dice(cropped, inside)
        )

    return compute


OBJECTIVES: dict[str, tuple[tuple[str, ...], Callable[[ObjectiveOptions], Objective]]] = {
    **{name: (("probabilities",), lambda _, loss=loss: _of_probabilities(loss)) for name, loss in LOSSES.items()},
    "weighted_crossentropy": (
        ("probabilities",),
        lambda options: _of_probabilities(weighted_crossentropy(options.class_weights)),
    ),
    "weighted_crossentropy_dice": (
        ("probabilities",),
        lambda options: _of_probabilities(weighted_crossentropy_dice(options.class_weights)),
    ),
    "box": (("box",), _box),
    "box_segmentation": (("box", "probabilities"), _box_segmentation),
    "lu_net": (("box", "first_probabilities", "crop_probabilities"), _lu_net),
}
"""Recipe name → the network outputs that it needs, and what makes the objective from its options."""
