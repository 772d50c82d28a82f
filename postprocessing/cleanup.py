"""From probabilities to a label map, and from a label map to one component per structure."""

from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

from postprocessing.codes import BACKGROUND


def label_map_of(planes: npt.NDArray[np.floating], structures: Sequence[int]) -> npt.NDArray[np.uint8]:
    """The likeliest structure of each pixel; of equals the one in the first channel.

    Args:
        planes: (C, H, W) probabilities, channels first (contiguous planes are fast).
        structures: the structure code of each channel.

    Returns:
        (H, W) uint8 structure codes.
    """
    best = planes[0].copy()
    label_map = np.full(best.shape, structures[0], dtype=np.uint8)
    for plane, structure in zip(planes[1:], structures[1:], strict=True):
        better = plane > best
        np.copyto(label_map, np.uint8(structure), where=better)
        np.maximum(best, plane, out=best)
    return label_map


def largest_components(label_map: npt.NDArray[np.uint8], structures: Sequence[int]) -> npt.NDArray[np.uint8]:
    """Keeps the largest 8-connected component of each structure; the others become background.

    Of components of equal size the first one, row by row from the top, is kept.

    Args:
        label_map: (H, W) structure codes.
        structures: the codes to clean; BACKGROUND among them is skipped.

    Returns:
        (H, W) a new label map, or `label_map` itself where nothing had to go.

    Source: Leclerc et al. 2019. Deviation: the hinge_points paper does without (§4.1); here it is a recipe's choice.
    """
    cleaned = label_map
    for structure in structures:
        if structure == BACKGROUND:
            continue
        mask = (label_map == structure).view(np.uint8)
        col, row, width, height = cv2.boundingRect(mask)
        box = (slice(row, row + height), slice(col, col + width))
        if width == 0:
            continue
        count, components, stats, _ = cv2.connectedComponentsWithStats(mask[box], connectivity=8)
        if count > 2:
            if cleaned is label_map:
                cleaned = label_map.copy()
            keep = 1 + int(stats[1:, cv2.CC_STAT_AREA].argmax())
            cleaned[box][(components > 0) & (components != keep)] = BACKGROUND
    return cleaned
