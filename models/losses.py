"""Segmentation losses on probabilities, with `keras.ops` alone."""

import difflib
import math
from collections.abc import Callable, Sequence

import keras
from keras import KerasTensor, ops
from keras.config import floatx

DICE_WEIGHT = 0.2
"""Of the Dice beside the weighted cross-entropy. Source: cmr_dense_unet paper Eq. 3."""


def categorical_crossentropy(y_true: KerasTensor, y_pred: KerasTensor) -> KerasTensor:
    """Pixel-wise categorical cross-entropy.

    Args:
        y_true: (N, h, w, C) one-hot.
        y_pred: (N, h, w, C) probabilities.

    Returns:
        (N,) mean over the pixels of −log p of the true class, in nats.

    Source: hinge_points paper §3.2. Deviation: none.
    """
    return ops.mean(keras.losses.categorical_crossentropy(y_true, y_pred), axis=(1, 2))


def multiclass_dice(y_true: KerasTensor, y_pred: KerasTensor, *, smooth: float = 1.0) -> KerasTensor:
    """One minus the soft Dice, averaged over the structures (channel 0, the background, left out).

    Args:
        y_true: (N, h, w, C) one-hot.
        y_pred: (N, h, w, C) probabilities.
        smooth: pixels added to numerator and denominator, so that a structure absent from both has loss 0.

    Returns:
        (N,) between 0 and 1.

    Source: lu_net paper §III (multi-class Dice). ASSUMED: per-frame sums, smoothing by one pixel.
    """
    y_true = ops.cast(y_true, floatx())[..., 1:]
    y_pred = ops.cast(y_pred, floatx())[..., 1:]
    overlap = ops.sum(y_true * y_pred, axis=(1, 2))
    total = ops.sum(y_true, axis=(1, 2)) + ops.sum(y_pred, axis=(1, 2))
    return 1.0 - ops.mean((2.0 * overlap + smooth) / (total + smooth), axis=-1)


def dice_crossentropy(y_true: KerasTensor, y_pred: KerasTensor) -> KerasTensor:
    """`multiclass_dice` + `categorical_crossentropy`, weight 1 each: (N,).

    Source: improved_resunet paper §2.4, Eqs. 3–5 (α·Dice + β·cross-entropy with α = β = 1). Deviation: several classes;
    the cross-entropy is a mean over the pixels, where Eq. 3 is a sum (as printed, of samples), beside which the Dice of
    65,536 pixels would not count.
    """
    return multiclass_dice(y_true, y_pred) + categorical_crossentropy(y_true, y_pred)


def weighted_crossentropy(weights: Sequence[float]) -> Callable[[KerasTensor, KerasTensor], KerasTensor]:
    """Pixel-wise categorical cross-entropy in which a pixel weighs as much as its true class.

    Args:
        weights: one per channel, background first.

    Returns:
        A loss: one-hot (N, h, w, C) and probabilities (N, h, w, C) → (N,) mean over the pixels of −w log p of the true
        class, in nats.

    Raises:
        ValueError: fewer than two weights, or one that is not finite and positive; of the loss, where the reference
            has another number of channels.

    Source: vds_unet paper §2.3, Eqs. 1–5. ASSUMED: the mean over all pixels, not divided by the sum of the weights
    (the paper leaves the constant open; it scales the learning rate only).
    """
    if len(weights) < 2 or not all(0 < weight < math.inf for weight in weights):
        raise ValueError(f"`weights` must be positive numbers, one per channel. Received: {tuple(weights)}")
    per_channel = tuple(float(weight) for weight in weights)

    def loss(y_true: KerasTensor, y_pred: KerasTensor) -> KerasTensor:
        if y_true.shape[-1] != len(per_channel):
            raise ValueError(
                f"`weights` must be one per channel. Received: {len(per_channel)} for {y_true.shape[-1]} channels"
            )
        y_true = ops.cast(y_true, floatx())
        weight = ops.sum(y_true * ops.convert_to_tensor(per_channel, dtype=floatx()), axis=-1)
        return ops.mean(weight * keras.losses.categorical_crossentropy(y_true, y_pred), axis=(1, 2))

    return loss


def foreground_dice(y_true: KerasTensor, y_pred: KerasTensor, *, smooth: float = 1.0) -> KerasTensor:
    """One minus the soft Dice of all structures taken together (channel 0, the background, left out).

    Unlike `multiclass_dice`, it sums over structures and pixels before it divides, so that a pixel counts the same in
    a small structure as in a large one.

    Args:
        y_true: (N, h, w, C) one-hot.
        y_pred: (N, h, w, C) probabilities.
        smooth: pixels added to numerator and denominator, so that a frame without structures has a loss.

    Returns:
        (N,) between 0 and 1.

    Source: cmr_dense_unet paper §2.3, Eqs. 1 and 2. ASSUMED: per-frame sums, smoothing by one pixel; the probabilities
    are those of the softmax that §2.2 ends in, where §2.3 speaks of a sigmoid.
    """
    y_true = ops.cast(y_true, floatx())[..., 1:]
    y_pred = ops.cast(y_pred, floatx())[..., 1:]
    overlap = ops.sum(y_true * y_pred, axis=(1, 2, 3))
    total = ops.sum(y_true, axis=(1, 2, 3)) + ops.sum(y_pred, axis=(1, 2, 3))
    return 1.0 - (2.0 * overlap + smooth) / (total + smooth)


def weighted_crossentropy_dice(weights: Sequence[float]) -> Callable[[KerasTensor, KerasTensor], KerasTensor]:
    """`weighted_crossentropy` + 0.2 · `foreground_dice`, as a loss of the same kind.

    Args and Raises: as `weighted_crossentropy`.

    Source: cmr_dense_unet paper §2.3, Eq. 3.
    """
    crossentropy = weighted_crossentropy(weights)

    def loss(y_true: KerasTensor, y_pred: KerasTensor) -> KerasTensor:
        return crossentropy(y_true, y_pred) + DICE_WEIGHT * foreground_dice(y_true, y_pred)

    return loss


def distillation(teacher: KerasTensor, y_pred: KerasTensor, *, temperature: float) -> KerasTensor:
    """How far a student's probabilities are from its teacher's, both softened: T² · KL(teacher ‖ student).

    Args:
        teacher: (N, h, w, C) probabilities.
        y_pred: (N, h, w, C) the student's.
        temperature: divides the logits of both: 1 leaves them, more lets the small probabilities count.

    Returns:
        (N,) mean over the pixels, in nats. The factor T² keeps the gradient's size beside that of a loss on labels.

    Raises:
        ValueError: a temperature that is not positive.

    Source: Hinton et al. 2015, §2 and 2.1. Deviation: a network here ends in its probabilities, so the logits are their
    logarithms, which differ from them by a constant that the softmax takes away, cut at Keras' epsilon (1e-7).
    """
    if not 0 < temperature < math.inf:
        raise ValueError(f"`temperature` must be positive. Received: {temperature}")
    wanted, found = (
        ops.log_softmax(ops.log(ops.maximum(ops.cast(p, floatx()), keras.config.epsilon())) / temperature)
        for p in (teacher, y_pred)
    )
    return temperature**2 * ops.mean(ops.sum(ops.exp(wanted) * (wanted - found), axis=-1), axis=(1, 2))


LOSSES: dict[str, Callable[[KerasTensor, KerasTensor], KerasTensor]] = {
    "categorical_crossentropy": categorical_crossentropy,
    "multiclass_dice": multiclass_dice,
    "dice_crossentropy": dice_crossentropy,
}
"""Recipe name → loss function. (The weighted ones need weights: `models.objectives` makes them.)"""


def loss_by_name(name: str) -> Callable[[KerasTensor, KerasTensor], KerasTensor]:
    """A loss by its recipe name.

    Raises:
        ValueError: an unknown name; the known ones are listed.
    """
    if name not in LOSSES:
        near = difflib.get_close_matches(name, LOSSES, n=1)
        hint = f" Did you mean {near[0]}?" if near else ""
        raise ValueError(f"`loss` must be one of {', '.join(LOSSES)}. Received: {name}.{hint}")
    return LOSSES[name]
