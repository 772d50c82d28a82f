"""A stack of short-axis slices: cavity volumes, myocardial mass, and where in the ventricle a slice lies."""

import math
from collections.abc import Sequence
from enum import Enum

import numpy as np
import numpy.typing as npt

from postprocessing.annulus import check_spacing
from postprocessing.codes import LV, MYO

MYOCARDIAL_DENSITY_G_PER_ML = 1.05
"""ASSUMED: the usual one (SCMR 2020 recommendations); the cmr_dense_unet paper states none."""
MM3_PER_ML = 1000.0

Labels = npt.NDArray[np.uint8]


class Level(Enum):
    """Which third of the left ventricle a slice shows."""

    BASE = "base"
    MID = "mid"
    APEX = "apex"


def cavity_volume_ml(
    label_maps: npt.NDArray[np.uint8], code: int, spacing_mm: tuple[float, float], slice_distance_mm: float
) -> float:
    """Volume of a structure in a stack of parallel slices: the sum of its areas times the distance of the slices.

    Args:
        label_maps: (S, H, W) structure codes, one slice after the other.
        code: of the structure: the left or the right ventricle's cavity, or the myocardium.
        spacing_mm: (row, col) pixel pitch within a slice; may be anisotropic.
        slice_distance_mm: from the middle of a slice to the middle of the next: thickness and gap together.

    Returns:
        Volume in ml. A slice stands for half the distance to either neighbour, so the structure is taken to end half a
        distance beyond the last slice that shows it.

    Raises:
        ValueError: `label_maps` is no stack or shows nothing of the structure, a bad spacing or slice distance.

    Source: SCMR 2020 recommendations (summation of slices); cmr_dense_unet paper, Table 3. Deviation: none.
    """
    if label_maps.ndim != 3:
        raise ValueError(f"`label_maps` must be (S, H, W). Received shape: {label_maps.shape}")
    check_spacing(spacing_mm)
    if not (math.isfinite(slice_distance_mm) and slice_distance_mm > 0):
        raise ValueError(f"`slice_distance_mm` must be a positive number. Received: {slice_distance_mm}")
    pixels = int(np.count_nonzero(label_maps == code))
    if pixels == 0:
        raise ValueError(f"`label_maps` must have pixels of structure {code} to measure its volume. Received: none")
    return pixels * spacing_mm[0] * spacing_mm[1] * slice_distance_mm / MM3_PER_ML


def myocardial_mass_g(
    label_maps: npt.NDArray[np.uint8],
    spacing_mm: tuple[float, float],
    slice_distance_mm: float,
    density_g_per_ml: float = MYOCARDIAL_DENSITY_G_PER_ML,
) -> float:
    """Mass of the left-ventricular myocardium in a stack of parallel slices.

    Args:
        label_maps: (S, H, W) structure codes; MYO is what lies between epi- and endocardium.
        spacing_mm: (row, col) pixel pitch within a slice.
        slice_distance_mm: from the middle of a slice to the middle of the next.
        density_g_per_ml: of myocardium.

    Returns:
        Mass in g: the volume of MYO times the density.

    Raises:
        ValueError: as `cavity_volume_ml`, or a density that is not positive.

    Source: SCMR 2020 recommendations; cmr_dense_unet paper §2.4, Table 3. Deviation: none; the density is ASSUMED.
    """
    if not (math.isfinite(density_g_per_ml) and density_g_per_ml > 0):
        raise ValueError(f"`density_g_per_ml` must be a positive number. Received: {density_g_per_ml}")
    return density_g_per_ml * cavity_volume_ml(label_maps, MYO, spacing_mm, slice_distance_mm)


def myocardium_share(label_map: Labels, spacing_mm: tuple[float, float]) -> float:
    """Share of the LV's contour along which the myocardium lies: 1 where it wholly surrounds the cavity.

    The contour is the sides of the LV's pixels towards pixels that are not LV, each as long as it is in mm. A side
    counts where the pixel behind it is MYO or has MYO among its eight neighbours. That is the tolerance: a gap of up to
    two pixels in the myocardium, or a line of one pixel between it and the LV, is the drawing's and not the heart's.

    Args:
        label_map: (H, W) structure codes; beyond the image there is no myocardium.
        spacing_mm: (row, col) pixel pitch; may be anisotropic.

    Returns:
        0 … 1; NaN where there is no LV.

    Raises:
        ValueError: `label_map` is no slice, or a bad spacing.

    Source: cmr_dense_unet paper §2.4, Table 1 ("≥50% Myo around the LV", "100%"). ASSUMED: that it is a share of the
    contour's length; the tolerance.
    """
    if label_map.ndim != 2:
        raise ValueError(f"`label_map` must be (H, W). Received shape: {label_map.shape}")
    check_spacing(spacing_mm)
    cavity = np.pad(label_map == LV, 2)
    wall = np.pad(label_map == MYO, 2)
    near = np.zeros_like(wall)
    for down in (-1, 0, 1):
        for across in (-1, 0, 1):
            near |= np.roll(wall, (down, across), axis=(0, 1))
    length = touching = 0.0
    for axis, side_mm in ((0, spacing_mm[1]), (1, spacing_mm[0])):
        for step in (-1, 1):
            sides = cavity & ~np.roll(cavity, step, axis=axis)
            length += side_mm * np.count_nonzero(sides)
            touching += side_mm * np.count_nonzero(sides & np.roll(near, step, axis=axis))
    return touching / length if length else math.nan


def base_is_first(stacks: Sequence[Sequence[Labels]]) -> bool:
    """Whether the first slices of a heart's stacks are the basal ones: of the two ends, the base is the larger.

    Args:
        stacks: each the (H, W) structure codes of one slice after the other, of one heart and in the same order: one
            or several phases.

    Returns:
        Whether the first third of the slices that show LV has at least as many labelled pixels as the last third, all
        structures and stacks together; True where none shows LV.

    Source: none; the base has both ventricles at their widest. Right in all 79 ACDC patients tried, whose first slice
    is the basal one.
    """
    first = last = 0
    for stack in stacks:
        sizes = [int(np.count_nonzero(labels)) for labels in stack if (labels == LV).any()]
        third = -(-len(sizes) // 3)
        first += sum(sizes[:third])
        last += sum(sizes[len(sizes) - third :])
    return first >= last


def slice_levels(stack: Sequence[Labels], *, is_base_first: bool) -> list[Level | None]:
    """Base, mid or apex of each slice: the thirds of the slices that show LV.

    Args:
        stack: (H, W) structure codes of one slice after the other.
        is_base_first: as `base_is_first` tells.

    Returns:
        Of each slice its level, or None where it shows no LV. Of n slices with LV, the i-th from the base (i from 0)
        is basal where (i + ½) / n < ⅓, apical where it is > ⅔: 3, 4 and 3 of ten, 3, 2 and 3 of eight.

    Source: the paper reports "at the basal level" without saying which slices; thirds are ASSUMED, after the AHA's
    (Cerqueira et al., Circulation 105:539, 2002), which are of the ventricle's length.
    """
    shown = [index for index, labels in enumerate(stack) if (labels == LV).any()]
    levels: list[Level | None] = [None] * len(stack)
    for rank, index in enumerate(shown if is_base_first else shown[::-1]):
        place = 3 * (2 * rank + 1)  # against 2 n and 4 n: (rank + ½) / n against ⅓ and ⅔ without rounding
        levels[index] = Level.BASE if place < 2 * len(shown) else Level.APEX if place > 4 * len(shown) else Level.MID
    return levels
