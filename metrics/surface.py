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
Indices = npt.NDArray[np.intp]


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
    reference: Mask,
    prediction: Mask,
    spacing_mm: tuple[float, float],
    tolerance_mm: float,
    distances: SurfaceDistances | None = None,
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
        distances: `surface_distances` of the same masks and spacing, where at hand: the result is the same and takes a
            third of the time.

    Returns:
        0 … 1; 0 where one mask alone is empty, NaN where both are.

    Raises:
        ValueError: as `surface_distances`; the tolerance is negative or not finite; `distances` are of other masks.

    Source: Nikolov et al., J Med Internet Res 23:e26151 (2021); equal to DeepMind's surface-distance
    (`compute_surface_dice_at_tolerance`) and to MONAI's with `use_subvoxels=True`. Deviation: none.
    """
    _check(reference, prediction, spacing_mm)
    _check_tolerance("tolerance_mm", tolerance_mm)
    known = distances or surface_distances(reference, prediction, spacing_mm)
    reference_contour = _contour(reference, spacing_mm, known.reference_to_prediction)
    prediction_contour = _contour(prediction, spacing_mm, known.prediction_to_reference)
    length = float(reference_contour.lengths.sum() + prediction_contour.lengths.sum())
    if length == 0:
        return math.nan
    if known.one_is_empty:
        return 0.0
    within = _length_within(reference_contour, prediction_contour, spacing_mm, tolerance_mm)
    within += _length_within(prediction_contour, reference_contour, spacing_mm, tolerance_mm)
    return within / length


def boundary_pixels(mask: Mask) -> Floats:
    """Pixels of a mask with one of their four neighbours outside it: (N, 2) (row, col), in scan order.

    What lies beyond the image is outside, so a mask cut by the image edge has its boundary there.

    Raises:
        ValueError: the mask is not two-dimensional.
    """
    if mask.ndim != 2:
        raise ValueError(f"`mask` must be two-dimensional. Received: shape {mask.shape}")
    framed = _framed(mask)
    return framed.positions(framed.boundary())


@dataclass(frozen=True)
class _Framed:
    """A mask's box within a frame of outside, one pixel wide, read row after row.

    The frame makes neighbours a matter of adding to an index: what follows a row's last pixel is outside, as is what
    precedes the next one's first.

    Attributes:
        inside: (h · w,) the framed box.
        width: w.
        row, col: of the frame's first pixel in the mask.
    """

    inside: Mask
    width: int
    row: int
    col: int

    def boundary(self) -> Indices:
        """Indices of the pixels inside with a neighbour outside."""
        inside, width = self.inside, self.width
        surrounded = inside[: -2 * width] & inside[2 * width :]
        surrounded &= inside[width - 1 : -width - 1]
        surrounded &= inside[width + 1 : inside.size - width + 1]
        return np.flatnonzero(inside[width:-width] > surrounded) + width

    def mixed_blocks(self) -> Indices:
        """Indices of the first pixel of each 2 × 2 block that holds both inside and outside."""
        inside, width = self.inside, self.width
        along_rows = inside[1:] ^ inside[:-1]
        mixed = along_rows[:-width] | along_rows[width:]
        mixed |= (inside[:-width] ^ inside[width:])[:-1]
        return np.flatnonzero(mixed)

    def positions(self, indices: Indices) -> Floats:
        """(N, 2) (row, col) in the mask."""
        return np.stack(np.divmod(indices, self.width), axis=1) + np.asarray([self.row, self.col], dtype=np.float64)


def _framed(mask: Mask) -> _Framed:
    rows = np.flatnonzero(mask.any(axis=1))
    if len(rows) == 0:
        return _Framed(np.zeros(4, dtype=bool), 2, -1, -1)
    band = mask[rows[0] : rows[-1] + 1]
    cols = np.flatnonzero(band.any(axis=0))
    box = band[:, cols[0] : cols[-1] + 1]
    framed = np.zeros((box.shape[0] + 2, box.shape[1] + 2), dtype=bool)
    framed[1:-1, 1:-1] = box
    return _Framed(framed.ravel(), framed.shape[1], int(rows[0]) - 1, int(cols[0]) - 1)


@dataclass(frozen=True)
class _Contour:
    """The pieces of a contour.

    Attributes:
        centres: (N, 2) of the blocks, (row, col) in mm.
        lengths: (N,) of the piece in each, in mm.
        pixel_distances: (N,) of a boundary pixel of each block to the other mask's boundary pixels.
    """

    centres: Floats
    lengths: Floats
    pixel_distances: Floats


def _contour(mask: Mask, spacing_mm: tuple[float, float], distances: Floats) -> _Contour:
    framed = _framed(mask)
    boundary, blocks = framed.boundary(), framed.mixed_blocks()
    if len(boundary) != len(distances):
        raise ValueError(
            "`distances` must be the surface_distances of these masks. "
            f"Received: {len(distances)} distances for {len(boundary)} boundary pixels"
        )
    corners = blocks + np.asarray([[0], [1], [framed.width], [framed.width + 1]])
    lengths = _piece_lengths(spacing_mm)[np.asarray([8, 4, 2, 1]) @ framed.inside[corners]]
    # In a mixed block, an inside pixel lies beside an outside one: at least one of the four is a boundary pixel.
    numbers = np.zeros(framed.inside.size, dtype=np.int32)
    numbers[boundary] = np.arange(1, len(boundary) + 1)
    of_block = numbers[corners].max(axis=0) - 1
    centres = (framed.positions(blocks) + 0.5) * np.asarray(spacing_mm, dtype=np.float64)
    return _Contour(centres, lengths, distances[of_block] if len(blocks) else np.empty(0))


def _piece_lengths(spacing_mm: tuple[float, float]) -> Floats:
    """Length of the contour in a block, by its inside: 8 top left + 4 top right + 2 bottom left + 1 bottom right."""
    vertical, horizontal = spacing_mm
    corner = math.hypot(vertical, horizontal) / 2
    return np.asarray(
        [
            *(0.0, corner, corner, horizontal, corner, vertical, 2 * corner, corner),
            *(corner, 2 * corner, vertical, corner, horizontal, corner, corner, 0.0),
        ]
    )


def _length_within(contour: _Contour, other: _Contour, spacing_mm: tuple[float, float], tolerance_mm: float) -> float:
    """Length of the pieces of a contour that are within the tolerance of the other's.

    Both sides of a distance between blocks are half a diagonal from a boundary pixel, so it differs from the distance
    of the pixels by a diagonal at most. Only blocks that this leaves open are measured.
    """
    diagonal = math.hypot(*spacing_mm)
    within = contour.pixel_distances < tolerance_mm
    # A little more than the diagonal, for rounding.
    is_open = np.abs(contour.pixel_distances - tolerance_mm) <= diagonal * 1.001
    if is_open.any():
        within[is_open] = _nearest(contour.centres[is_open], other.centres) <= tolerance_mm
    return float(contour.lengths[within].sum())


def _nearest(points: Floats, others: Floats) -> Floats:
    """Distance of each point to the nearest of the others."""
    # A tree that is asked once is quicker built plainly: the answers are the same.
    distances, _ = KDTree(others, leafsize=32, compact_nodes=False, balanced_tree=False).query(points)
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
