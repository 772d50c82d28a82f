"""From probabilities to a label map, and from a label map to one component per structure."""

from collections.abc import Sequence
from typing import cast

import cv2
import numpy as np
import numpy.typing as npt

from postprocessing.codes import BACKGROUND, MV

BLOCK_ROWS = 64


def label_map_of(probabilities: npt.NDArray[np.floating], structures: Sequence[int]) -> npt.NDArray[np.uint8]:
    """The likeliest structure of each pixel; of equals the one in the first channel.

    Args:
        probabilities: (H, W, C).
        structures: the structure code of each channel.

    Returns:
        (H, W) uint8 structure codes.

    Raises:
        ValueError: a probability is not finite.
    """
    # np.argmax along a last axis of four takes five times as long as going plane by plane, in blocks that fit the cache
    channel_map = np.zeros(probabilities.shape[:2], dtype=np.uint8)
    for top in range(0, len(probabilities), BLOCK_ROWS):
        block, found = probabilities[top : top + BLOCK_ROWS], channel_map[top : top + BLOCK_ROWS]
        if not np.isfinite(block).all():
            raise ValueError("`probabilities` must be finite. Received: NaN or infinity among them")
        best = block[..., 0].copy()
        for channel in range(1, block.shape[-1]):
            plane = np.ascontiguousarray(block[..., channel])
            better = (plane > best).view(np.uint8)
            better *= np.uint8(channel)
            np.maximum(found, better, out=found)
            np.maximum(best, plane, out=best)
    codes = np.array(structures, dtype=np.uint8)
    return channel_map if np.array_equal(codes, np.arange(len(codes))) else codes[channel_map]


def largest_components(label_map: npt.NDArray[np.uint8], structures: Sequence[int]) -> npt.NDArray[np.uint8]:
    """Keeps the largest 8-connected component of each structure; the others become background.

    Of components of equal size the first one, row by row from the top, is kept.

    Args:
        label_map: (H, W) structure codes.
        structures: the codes to clean; BACKGROUND among them is skipped, and MV, which is two leaflets.

    Returns:
        (H, W) a new label map, or `label_map` itself where nothing had to go.

    Source: Leclerc et al. 2019. Deviation: the hinge_points paper does without (§4.1); here it is a recipe's choice.
    """
    cleaned = label_map
    for structure in structures:
        if structure in (BACKGROUND, MV):
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
