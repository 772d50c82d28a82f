"""From probabilities to a label map, and from a label map to one component per structure."""

from collections.abc import Sequence
from typing import cast

import cv2
import numpy as np
import numpy.typing as npt

from postprocessing.codes import BACKGROUND


def label_map_of(probabilities: npt.NDArray[np.floating], structures: Sequence[int]) -> npt.NDArray[np.uint8]:
    """The likeliest structure of each pixel; of equals the one in the first channel.

    Args:
        probabilities: (H, W, C).
        structures: the structure code of each channel.

    Returns:
        (H, W) uint8 structure codes.
    """
    # plane by plane: eight times as fast as argmax along a last axis of four
    best = np.ascontiguousarray(probabilities[..., 0])
    channel_map = np.zeros(best.shape, dtype=np.uint8)
    for channel in range(1, probabilities.shape[-1]):
        plane = np.ascontiguousarray(probabilities[..., channel])
        better = (plane > best).view(np.uint8)
        np.maximum(channel_map, better * np.uint8(channel), out=channel_map)
        best = np.maximum(best, plane)
    codes = np.array(structures, dtype=np.uint8)
    return channel_map if np.array_equal(codes, np.arange(len(codes))) else codes[channel_map]


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
        if width == 0:
            continue
        box = (slice(row, row + height), slice(col, col + width))
        count, components = cast(
            "tuple[int, npt.NDArray[np.int32]]", cv2.connectedComponents(mask[box], connectivity=8)
        )
        if count > 2:
            sizes = np.bincount(components.ravel(), minlength=count)
            keep = 1 + int(sizes[1:].argmax())
            if cleaned is label_map:
                cleaned = label_map.copy()
            cleaned[box][(components != 0) & (components != keep)] = BACKGROUND
    return cleaned
