"""Cavity volumes and myocardial mass of a stack of short-axis slices."""

import math

import numpy as np
import numpy.typing as npt

from postprocessing.annulus import check_spacing
from postprocessing.codes import MYO

MYOCARDIAL_DENSITY_G_PER_ML = 1.05
"""ASSUMED: the usual one (SCMR 2020 recommendations); the cmr_dense_unet paper states none."""
MM3_PER_ML = 1000.0


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
