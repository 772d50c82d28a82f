"""The shape of an outline: simplicity and convexity, and how many holes and pieces a mask has.

Both are made from one sub-pixel outline, which follows the edges of the pixels and is smoothed along its own length.
OpenCV's contours through the pixel centres would do for neither: they lie half a pixel inside, and a staircase is
longer than the curve it stands for, by 5 % on an ellipse of half axes 60 and 40 mm and pixels of 0.31 mm.
"""

import math
from functools import cache
from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from postprocessing.annulus import check_spacing

Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]

SMOOTHED_HALF = 6
"""Points (half pixels) on either side that a point is averaged with, twice. On discs and ellipses whose smaller half
axis is 20 pixels or more, however they are turned, the simplicity is then right to 0.2 %, the convexity to 0.4 %."""
PART_OF_OUTLINE = 8
"""A short outline is averaged over this part of its length at most, so that small pieces keep their shape."""


class Shape(NamedTuple):
    """Simplicity and convexity of a mask, each 0..1; NaN for an empty mask."""

    simplicity: float
    convexity: float


class Outline(NamedTuple):
    """A closed line, (N, 2) (row, col) in pixels, and whether it goes around a hole."""

    points: Floats
    is_hole: bool


def shape_of(mask: Bools, spacing_mm: tuple[float, float]) -> Shape:
    """Simplicity and convexity, of one and the same outline.

    Args:
        mask: (H, W) bool.
        spacing_mm: (row, col) pixel pitch; may be anisotropic.

    Returns:
        Both; a mask in several pieces has the perimeter of all of them and of their holes, and one hull around all.

    Raises:
        ValueError: the mask is not boolean or not two-dimensional, or a spacing is not finite and positive.

    Source: lu_net paper §IV-C, by its ref. [21]; see `simplicity` and `convexity`.
    """
    check_spacing(spacing_mm)
    perimeter = area = 0.0
    around: list[Floats] = []
    for points, is_hole in outlines(mask):
        points_mm = points * spacing_mm
        steps = np.diff(points_mm, axis=0, append=points_mm[:1])
        perimeter += float(np.sqrt((steps * steps).sum(axis=1)).sum())
        enclosed = abs(float(points_mm[:, 0] @ steps[:, 1] - points_mm[:, 1] @ steps[:, 0])) / 2
        area += -enclosed if is_hole else enclosed
        if not is_hole:
            around.append(points_mm)
    if not around:
        return Shape(math.nan, math.nan)
    hull = cv2.contourArea(cv2.convexHull(np.concatenate(around).astype(np.float32)))
    # a disc, or a convex piece, is within rounding of 1
    return Shape(
        simplicity=min(1.0, math.sqrt(4 * math.pi * max(area, 0.0)) / perimeter),
        convexity=min(1.0, max(area, 0.0) / hull),
    )


def simplicity(mask: Bools, spacing_mm: tuple[float, float]) -> float:
    """√(4π · area) / perimeter: 1 for a disc, less the longer the outline is for what it encloses.

    Args:
        mask: (H, W) bool.
        spacing_mm: (row, col) pixel pitch; may be anisotropic.

    Returns:
        0..1; NaN for an empty mask.

    Raises:
        ValueError: as `shape_of`.

    Source: lu_net paper §IV-C and its ref. [21] (Leclerc et al., IUS 2019). ASSUMED: the formula, which the paper does
    not print; it says 0..1 and largest for a circle. Smoothing rounds corners: a square has 0.90 instead of 0.886.
    """
    return shape_of(mask, spacing_mm).simplicity


def convexity(mask: Bools, spacing_mm: tuple[float, float]) -> float:
    """Area / area of the convex hull: 1 for a convex shape, less the more it is hollowed, bent or in pieces.

    Args:
        mask: (H, W) bool.
        spacing_mm: (row, col) pixel pitch; the convexity does not depend on it.

    Returns:
        0..1; NaN for an empty mask.

    Raises:
        ValueError: as `shape_of`.

    Source: lu_net paper §IV-C and its ref. [21] (Leclerc et al., IUS 2019). ASSUMED: the formula, as for `simplicity`.
    """
    return shape_of(mask, spacing_mm).convexity


def components(mask: Bools) -> int:
    """Number of 8-connected pieces of a mask (H, W).

    Raises:
        ValueError: the mask is not boolean or not two-dimensional.
    """
    return sum(not is_hole for is_hole in _loops(mask))


def holes(mask: Bools) -> int:
    """Number of holes of a mask (H, W): 4-connected background that no path leads out of to the image's edge.

    Raises:
        ValueError: the mask is not boolean or not two-dimensional.
    """
    return sum(_loops(mask))


def outlines(mask: Bools) -> list[Outline]:
    """The outlines of a mask's pieces and holes, along the pixels' edges, smoothed.

    Args:
        mask: (H, W) bool; pixel centres at integers.

    Returns:
        One closed line each, (row, col), about two points a pixel.

    Raises:
        ValueError: the mask is not boolean or not two-dimensional.
    """
    crop, (row, col) = _cropped(mask)
    height, width = crop.shape
    if height == 0:
        return []
    # a grid of half pixels: pixel centres at odd numbers, corners at even ones. With the edges of its pixels a mask's
    # outermost points are the corners and the middles of the edges that OpenCV is to go along
    doubled = cv2.resize(crop, (2 * width, 2 * height), interpolation=cv2.INTER_NEAREST)
    corners = cv2.copyMakeBorder(doubled, 0, 1, 0, 1, cv2.BORDER_CONSTANT, value=(0,))
    corners = cv2.dilate(corners, np.ones((2, 2), dtype=np.uint8), anchor=(1, 1))
    lines, hierarchy = cv2.findContours(corners, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    start = np.array([row - 0.5, col - 0.5])
    return [
        Outline(_smoothed(line[:, 0, ::-1].astype(np.float64) / 2) + start, bool(parent >= 0))
        for line, parent in zip(lines, hierarchy[0, :, 3].tolist(), strict=True)
    ]


def _smoothed(points: Floats) -> Floats:
    """A closed line averaged along itself."""
    half = min(SMOOTHED_HALF, len(points) // PART_OF_OUTLINE)
    if half == 0:
        return points
    weights = _weights(half)
    closed = np.concatenate([points[-2 * half :], points, points[: 2 * half]])
    return np.stack([np.convolve(coordinate, weights, "valid") for coordinate in closed.T], axis=1)


@cache
def _weights(half: int) -> Floats:
    """Of the mean over `half` neighbours on either side, taken twice."""
    mean = np.full(2 * half + 1, 1 / (2 * half + 1))
    return np.convolve(mean, mean)


def _loops(mask: Bools) -> list[bool]:
    """Of each outline of a mask, whether it is a hole's."""
    crop, _ = _cropped(mask)
    if crop.size == 0:
        return []
    _, hierarchy = cv2.findContours(crop, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
    return [parent >= 0 for parent in hierarchy[0, :, 3].tolist()]


def _cropped(mask: Bools) -> tuple[npt.NDArray[np.uint8], tuple[int, int]]:
    """The part of a mask that its pixels span, (0, 0) where it has none, and where that begins."""
    if mask.ndim != 2 or mask.dtype != np.bool_:
        raise ValueError(f"`mask` must be (H, W) bool. Received: {mask.dtype} with shape {mask.shape}")
    col, row, width, height = cv2.boundingRect(mask.view(np.uint8))
    return np.ascontiguousarray(mask[row : row + height, col : col + width]).view(np.uint8), (row, col)
