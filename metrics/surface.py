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


HD95_PERCENT = 95


@dataclass(frozen=True)
class SurfaceDistances:
    """Distance of each boundary point of one mask to the nearest boundary point of the other.

    Attributes:
        reference_to_prediction: (N,) one per boundary point of the reference, in the unit of the spacing.
        prediction_to_reference: (M,) one per boundary point of the prediction.
            An empty mask has no point, and each point of the other is then infinitely far from it.
    """

    reference_to_prediction: Floats
    prediction_to_reference: Floats

    @property
    def one_is_empty(self) -> bool:
        """Whether a mask is empty, so that no distance between the two is defined."""
        return self.reference_to_prediction.size == 0 or self.prediction_to_reference.size == 0


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

    Source: lu_net paper §IV-C ("average distance between S_user and S_ref"; "maximum local distance"); boundary as in
    medpy and MONAI, with which its group evaluates CAMUS. Deviation: none.
    """
    _check(reference, prediction, spacing_mm)
    scale = np.asarray(spacing_mm, dtype=np.float64)
    reference_points = boundary_pixels(reference) * scale
    prediction_points = boundary_pixels(prediction) * scale
    if len(reference_points) == 0 or len(prediction_points) == 0:
        return SurfaceDistances(np.full(len(reference_points), math.inf), np.full(len(prediction_points), math.inf))
    return SurfaceDistances(
        reference_to_prediction=_nearest(reference_points, prediction_points),
        prediction_to_reference=_nearest(prediction_points, reference_points),
    )


def mean_absolute_distance(distances: SurfaceDistances) -> float:
    """d_m: the mean of the two directed mean distances, in the distances' unit; NaN where a mask is empty.

    Each direction weighs one half however many points it has, so that d_m does not depend on which contour is the
    longer one. Boundary pixels count alike, whatever length of contour each stands for; where pixels are anisotropic,
    walls along the finer axis therefore weigh more.

    Source: lu_net paper §IV-C; medpy's `assd` up to its release 0.4, and the mean of its `asd` in both directions
    since: from 0.5 on `assd` pools the points of both, as MONAI does. Deviation: none.
    """
    if distances.one_is_empty:
        return math.nan
    return float(distances.reference_to_prediction.mean() + distances.prediction_to_reference.mean()) / 2


def hausdorff(distances: SurfaceDistances) -> float:
    """d_H: the largest distance in either direction, in the distances' unit; NaN where a mask is empty.

    Source: lu_net paper §IV-C; cmr_dense_unet paper, metrics; medpy's `hd`, MONAI's. Deviation: none.
    """
    if distances.one_is_empty:
        return math.nan
    return float(max(distances.reference_to_prediction.max(), distances.prediction_to_reference.max()))


def hausdorff95(distances: SurfaceDistances) -> float:
    """HD95: the 95th percentile of the distances of both directions together; NaN where a mask is empty.

    In the distances' unit, linear between order statistics. The tools differ: see `hausdorff95_of_directions`.

    Source: medpy's `hd95`, in which most papers report it. Deviation: none.
    """
    if distances.one_is_empty:
        return math.nan
    pooled = np.concatenate((distances.reference_to_prediction, distances.prediction_to_reference))
    return float(np.percentile(pooled, HD95_PERCENT))


def hausdorff95_of_directions(distances: SurfaceDistances) -> float:
    """The other HD95: the larger of the two directions' 95th percentiles; NaN where a mask is empty.

    Never below the smaller one's, as `hausdorff95` is neither; usually larger than `hausdorff95`.

    Source: MONAI's `compute_hausdorff_distance(percentile=95)`; Maier-Hein et al., Nature Methods 21:195 (2024),
    Metrics Reloaded. Deviation: none.
    """
    if distances.one_is_empty:
        return math.nan
    return float(
        max(
            np.percentile(distances.reference_to_prediction, HD95_PERCENT),
            np.percentile(distances.prediction_to_reference, HD95_PERCENT),
        )
    )


def surface_dice(distances: SurfaceDistances, tolerance: float) -> float:
    """Share of both boundaries' pixels that lie within a tolerance of the other boundary (normalised surface distance).

    Args:
        distances: of `surface_distances`.
        tolerance: in the distances' unit, ≥ 0; a distance equal to it is within.

    Returns:
        0 … 1; 0 where one mask alone is empty, NaN where both are.

    Raises:
        ValueError: the tolerance is negative or not finite.

    Source: Nikolov et al., J Med Internet Res 23:e26151 (2021), in the form of Seidlitz et al., Medical Image Analysis
    80:102488 (2022), which is MONAI's `compute_surface_dice` by default: pixels are counted. Deviation: Nikolov's
    weighs each piece of contour by its length, see `surface_dice_by_length`.
    """
    _check_tolerance("tolerance", tolerance)
    count = distances.reference_to_prediction.size + distances.prediction_to_reference.size
    if count == 0:
        return math.nan
    within = np.count_nonzero(distances.reference_to_prediction <= tolerance) + np.count_nonzero(
        distances.prediction_to_reference <= tolerance
    )
    return within / count


def surface_dice_by_length(
    reference: Mask, prediction: Mask, spacing_mm: tuple[float, float], tolerance_mm: float
) -> float:
    """Share of both contours' length that lies within a tolerance of the other contour: surface Dice as first defined.

    Each contour runs between the pixels: through every 2 × 2 block of pixels that holds both inside and outside goes a
    piece of it (half a diagonal at a corner, a side of a pixel along a wall, two half diagonals where two pixels touch
    at a corner), whose distance is taken from the block's centre. Unlike `surface_dice` it is a share of mm, so
    anisotropic pixels do not weigh the walls along one axis more than those along the other.

    Args:
        reference: (H, W) bool.
        prediction: (H, W) bool.
        spacing_mm: (row, col) pixel pitch in mm, may be anisotropic; (1, 1) measures in pixels.
        tolerance_mm: ≥ 0; a distance equal to it is within.

    Returns:
        0 … 1; 0 where one mask alone is empty, NaN where both are.

    Raises:
        ValueError: as `surface_distances`; the tolerance is negative or not finite.

    Source: Nikolov et al., J Med Internet Res 23:e26151 (2021); equal to DeepMind's surface-distance
    (`compute_surface_dice_at_tolerance`) and to MONAI's with `use_subvoxels=True`. Deviation: none.
    """
    _check(reference, prediction, spacing_mm)
    _check_tolerance("tolerance_mm", tolerance_mm)
    reference_blocks, reference_mm = _contour(reference, spacing_mm)
    prediction_blocks, prediction_mm = _contour(prediction, spacing_mm)
    length = float(reference_mm.sum() + prediction_mm.sum())
    if length == 0:
        return math.nan
    if len(reference_blocks) == 0 or len(prediction_blocks) == 0:
        return 0.0
    reference_within = _nearest(reference_blocks, prediction_blocks) <= tolerance_mm
    prediction_within = _nearest(prediction_blocks, reference_blocks) <= tolerance_mm
    return float(reference_mm[reference_within].sum() + prediction_mm[prediction_within].sum()) / length


def boundary_pixels(mask: Mask) -> Floats:
    """Pixels of a mask with one of their four neighbours outside it: (N, 2) (row, col), in scan order.

    What lies beyond the image is outside, so a mask cut by the image edge has its boundary there.

    Raises:
        ValueError: the mask is not two-dimensional.
    """
    if mask.ndim != 2:
        raise ValueError(f"`mask` must be two-dimensional. Received: shape {mask.shape}")
    crop, row, col = _framed(mask)
    interior = crop[:-2, 1:-1] & crop[2:, 1:-1]
    interior &= crop[1:-1, :-2]
    interior &= crop[1:-1, 2:]
    return _positions(crop[1:-1, 1:-1] > interior, row, col)


def _contour(mask: Mask, spacing_mm: tuple[float, float]) -> tuple[Floats, Floats]:
    """Centres in mm (N, 2) of the 2 × 2 blocks that hold both inside and outside, and the contour's length in each."""
    crop, row, col = _framed(mask)
    top_left, top_right, bottom_left, bottom_right = crop[:-1, :-1], crop[:-1, 1:], crop[1:, :-1], crop[1:, 1:]
    # Not all four alike. On booleans ^ is "differs from".
    mixed = (top_left ^ top_right) | (bottom_left ^ bottom_right) | (top_left ^ bottom_left)
    found = np.flatnonzero(mixed)
    block_rows, block_cols = np.divmod(found, mixed.shape[1])
    a, b = crop[block_rows, block_cols], crop[block_rows, block_cols + 1]
    c, d = crop[block_rows + 1, block_cols], crop[block_rows + 1, block_cols + 1]
    vertical, horizontal = spacing_mm
    half_diagonal = math.hypot(vertical, horizontal) / 2
    # Three alike and one not: a corner is cut off. Else two and two: side by side, one above the other, or crosswise.
    length = np.full(len(found), half_diagonal)
    length[(a == c) & (b == d)] = vertical
    length[(a == b) & (c == d)] = horizontal
    length[(a == d) & (b == c)] = 2 * half_diagonal
    corner = np.asarray([row - 0.5, col - 0.5])
    return (np.stack([block_rows, block_cols], axis=1) + corner) * np.asarray(spacing_mm, dtype=np.float64), length


def _framed(mask: Mask) -> tuple[Mask, int, int]:
    """The mask's box with one pixel of outside around it, and (row, col) of the box's first pixel."""
    rows = np.flatnonzero(mask.any(axis=1))
    if len(rows) == 0:
        return np.zeros((2, 2), dtype=bool), 0, 0
    band = mask[rows[0] : rows[-1] + 1]
    cols = np.flatnonzero(band.any(axis=0))
    box = band[:, cols[0] : cols[-1] + 1]
    crop = np.zeros((box.shape[0] + 2, box.shape[1] + 2), dtype=bool)
    crop[1:-1, 1:-1] = box
    return crop, int(rows[0]), int(cols[0])


def _positions(mask: Mask, row: int, col: int) -> Floats:
    """(N, 2) positions of the set pixels, counted from (row, col)."""
    # As np.argwhere, which takes five times as long.
    rows, cols = np.divmod(np.flatnonzero(mask), max(1, mask.shape[1]))
    return np.stack([rows, cols], axis=1) + np.asarray([row, col], dtype=np.float64)


def _nearest(points: Floats, others: Floats) -> Floats:
    """Distance of each point to the nearest of the others."""
    distances, _ = KDTree(others).query(points)
    return np.asarray(distances, dtype=np.float64)


def _check(reference: Mask, prediction: Mask, spacing_mm: tuple[float, float]) -> None:
    check_masks(reference, prediction)
    if reference.ndim != 2:
        raise ValueError(f"`reference` and `prediction` must be two-dimensional. Received: shape {reference.shape}")
    if len(spacing_mm) != 2 or not all(math.isfinite(pitch) and pitch > 0 for pitch in spacing_mm):
        raise ValueError(f"`spacing_mm` must be two positive numbers. Received: {spacing_mm}")


def _check_tolerance(name: str, tolerance: float) -> None:
    if not 0 <= tolerance < math.inf:
        raise ValueError(f"`{name}` must be zero or positive. Received: {tolerance}")
