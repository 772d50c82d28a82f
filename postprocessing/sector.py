"""Where the ultrasound sector ends in a frame: what lies there is cut, and was not imaged whole."""

import cv2
import numpy as np
import numpy.typing as npt

STEP_PX = 4
"""The sector is found on every fourth pixel: fast, and its edge needs no better."""

BLACK_SHARE = 0.02
"""Intensities up to this share of the frame's range are black (lossy copies leave some noise outside the sector)."""

SQUARE = np.ones((3, 3), dtype=np.uint8)


def sector_of(image: npt.NDArray[np.floating]) -> npt.NDArray[np.bool_] | None:
    """Where the ultrasound sector is.

    The sector is the convex hull of the largest connected part of the frame that is not black: so neither dark cavities
    inside it nor letters beside it matter.

    Args:
        image: (H, W) the frame's intensities.

    Returns:
        (⌈H / 4⌉, ⌈W / 4⌉), for every fourth row and column: True in the sector. None where the frame has no contrast
        at all.
    """
    sampled = np.ascontiguousarray(image[::STEP_PX, ::STEP_PX], dtype=np.float32)
    low, high = float(sampled.min()), float(sampled.max())
    if not low < high:
        return None
    bright = (sampled > low + BLACK_SHARE * (high - low)).view(np.uint8)
    closed = cv2.morphologyEx(bright, cv2.MORPH_CLOSE, SQUARE)
    outlines, _ = cv2.findContours(closed, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    hull = cv2.convexHull(max(outlines, key=cv2.contourArea))
    return cv2.fillConvexPoly(np.zeros(sampled.shape, dtype=np.uint8), hull, 1) != 0


def sector_edge(sector: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """What lies outside the ultrasound sector or at its edge.

    Args:
        sector: of `sector_of`.

    Returns:
        Of the same shape: True outside the sector, and less than about four pixels inside its edge or the image's.
    """
    return cv2.erode(sector.view(np.uint8), SQUARE, borderType=cv2.BORDER_CONSTANT, borderValue=0) == 0


def is_cut(mask: npt.NDArray[np.bool_], edge: npt.NDArray[np.bool_] | None) -> bool:
    """Whether a structure reaches the edge of the image (its two outermost pixels) or of the sector.

    Args:
        mask: (H, W) the structure.
        edge: of `sector_edge`, or None where it is not known.
    """
    if mask[:2].any() or mask[-2:].any() or mask[:, :2].any() or mask[:, -2:].any():
        return True
    return edge is not None and bool((mask[::STEP_PX, ::STEP_PX] & edge).any())
