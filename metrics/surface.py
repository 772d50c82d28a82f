"""Distances between the boundaries of two masks: measured once, every metric derived from them."""

# SciPy ships no type stubs; what comes from it is typed where it is used.
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.spatial import KDTree

from metrics.overlap import Mask, check_masks

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class SurfaceDistances:
    """Distance of each boundary point of one mask to the nearest boundary point of the other.

    Attributes:
        reference_to_prediction: (N,) one per boundary point of the reference, in the unit of the spacing.
        prediction_to_reference: (M,) one per boundary point of the prediction.
            Both are empty where a mask is: there is nothing to measure to.
    """

    reference_to_prediction: Floats
    prediction_to_reference: Floats


def surface_distances(reference: Mask, prediction: Mask, spacing_mm: tuple[float, float]) -> SurfaceDistances:
    """Exact Euclidean distances between the boundaries of two masks.

    Args:
        reference: (H, W) bool.
        prediction: (H, W) bool.
        spacing_mm: (row, col) pixel pitch in mm, may be anisotropic; (1, 1) measures in pixels.

    Returns:
        The distances in mm (or pixels), in both directions.

    Raises:
        ValueError: masks are not boolean, not two-dimensional or differ in shape, or a spacing is not finite and
            positive.

    Source: lu_net paper §IV-C ("average distance between S_user and S_ref"; "maximum local distance"); boundary and
    directions as its group evaluates CAMUS (medpy's `assd` and `hd`). Deviation: none.
    """
    check_masks(reference, prediction)
    if len(spacing_mm) != 2 or not all(math.isfinite(pitch) and pitch > 0 for pitch in spacing_mm):
        raise ValueError(f"`spacing_mm` must be two positive numbers. Received: {spacing_mm}")
    scale = np.asarray(spacing_mm, dtype=np.float64)
    reference_points = boundary_pixels(reference) * scale
    prediction_points = boundary_pixels(prediction) * scale
    if len(reference_points) == 0 or len(prediction_points) == 0:
        return SurfaceDistances(np.empty(0), np.empty(0))
    return SurfaceDistances(
        reference_to_prediction=_nearest(reference_points, prediction_points),
        prediction_to_reference=_nearest(prediction_points, reference_points),
    )


def mean_absolute_distance(distances: SurfaceDistances) -> float:
    """d_m: the mean of the two directed mean distances; NaN where a mask is empty.

    Each direction weighs one half however many points it has, so that d_m does not depend on which contour is the
    longer one. Boundary pixels count alike, whatever length of contour each stands for; where pixels are anisotropic,
    walls along the finer axis therefore weigh more.

    Source: lu_net paper §IV-C; medpy `assd`. Deviation: none.
    """
    if distances.reference_to_prediction.size == 0:
        return math.nan
    return float(distances.reference_to_prediction.mean() + distances.prediction_to_reference.mean()) / 2


def hausdorff(distances: SurfaceDistances) -> float:
    """d_H: the largest distance in either direction; NaN where a mask is empty.

    Source: lu_net paper §IV-C; cmr_dense_unet paper, metrics. Deviation: none.
    """
    if distances.reference_to_prediction.size == 0:
        return math.nan
    return float(max(distances.reference_to_prediction.max(), distances.prediction_to_reference.max()))


def boundary_pixels(mask: Mask) -> Floats:
    """Pixels of a mask with one of their four neighbours outside it: (N, 2) (row, col), in scan order.

    What lies beyond the image is outside, so a mask cut by the image edge has its boundary there.

    Raises:
        ValueError: the mask is not two-dimensional.
    """
    if mask.ndim != 2:
        raise ValueError(f"`mask` must be two-dimensional. Received: shape {mask.shape}")
    rows = np.flatnonzero(mask.any(axis=1))
    if len(rows) == 0:
        return np.empty((0, 2))
    band = mask[rows[0] : rows[-1] + 1]
    cols = np.flatnonzero(band.any(axis=0))
    crop = np.pad(band[:, cols[0] : cols[-1] + 1], 1)
    interior = crop[:-2, 1:-1] & crop[2:, 1:-1] & crop[1:-1, :-2] & crop[1:-1, 2:]
    return np.argwhere(crop[1:-1, 1:-1] & ~interior) + np.asarray([rows[0], cols[0]], dtype=np.float64)


def _nearest(points: Floats, others: Floats) -> Floats:
    """Distance of each point to the nearest of the others."""
    distances, _ = KDTree(others).query(points)
    return np.asarray(distances, dtype=np.float64)
