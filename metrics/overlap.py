"""Overlap of two masks: the four counts once, every ratio from them."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class ConfusionCounts:
    """Pixels of one structure: true and false positives, false and true negatives."""

    tp: int
    fp: int
    fn: int
    tn: int


def confusion_counts(reference: Mask, prediction: Mask) -> ConfusionCounts:
    """Counts the pixels of two masks of one structure.

    Args:
        reference: bool, any shape.
        prediction: bool, the same shape.

    Raises:
        ValueError: shapes differ, or a mask is not boolean.
    """
    check_masks(reference, prediction)
    tp = int(np.count_nonzero(reference & prediction))
    fn = int(np.count_nonzero(reference)) - tp
    fp = int(np.count_nonzero(prediction)) - tp
    return ConfusionCounts(tp=tp, fp=fp, fn=fn, tn=reference.size - tp - fp - fn)


def dice(counts: ConfusionCounts) -> float:
    """2 TP / (2 TP + FP + FN); NaN where both masks are empty.

    Source: hinge_points paper §4.1; vds_unet paper, metrics. Deviation: none.
    """
    return _ratio(2 * counts.tp, 2 * counts.tp + counts.fp + counts.fn)


def iou(counts: ConfusionCounts) -> float:
    """TP / (TP + FP + FN), the Jaccard index; NaN where both masks are empty.

    Source: vds_unet paper, metrics. Deviation: none.
    """
    return _ratio(counts.tp, counts.tp + counts.fp + counts.fn)


def cpa(counts: ConfusionCounts) -> float:
    """Category pixel accuracy TP / (TP + FP), elsewhere called precision; NaN where the prediction is empty.

    Source: vds_unet paper, metrics. Deviation: none.
    """
    return _ratio(counts.tp, counts.tp + counts.fp)


def sensitivity(counts: ConfusionCounts) -> float:
    """TP / (TP + FN), elsewhere called recall; NaN where the reference is empty.

    Source: cmr_dense_unet paper, metrics. Deviation: none.
    """
    return _ratio(counts.tp, counts.tp + counts.fn)


def specificity(counts: ConfusionCounts) -> float:
    """TN / (TN + FP); NaN where the reference fills the image."""
    return _ratio(counts.tn, counts.tn + counts.fp)


def pixel_accuracy(counts: ConfusionCounts) -> float:
    """(TP + TN) / all pixels, background included; NaN for an image without pixels.

    Source: vds_unet paper, metrics. Deviation: none (of one structure against the rest).
    """
    return _ratio(counts.tp + counts.tn, counts.tp + counts.fp + counts.fn + counts.tn)


def check_masks(reference: Mask, prediction: Mask) -> None:
    """Raises ValueError unless both masks are boolean and of one shape."""
    if reference.shape != prediction.shape:
        raise ValueError(
            f"`reference` and `prediction` must have the same shape. Received: {reference.shape} and {prediction.shape}"
        )
    for name, mask in (("reference", reference), ("prediction", prediction)):
        if mask.dtype != np.bool_:
            raise ValueError(f"`{name}` must be a boolean mask (labels == code). Received: {mask.dtype}")


def _ratio(numerator: int, denominator: int) -> float:
    return numerator / denominator if denominator else float("nan")
