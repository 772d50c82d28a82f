"""Distances between the boundaries of two masks: measured once, every metric derived from them."""

# SciPy ships no type stubs; what comes from it is typed where it is used.
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false

import math
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import numpy.typing as npt
from scipy.spatial import KDTree

from metrics.overlap import Mask, check_masks

Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.intp]

HD95_SHARE = 0.95


@dataclass(frozen=True)
class SurfaceDistances:
    """Distance of each boundary point of one mask to the nearest boundary point of the other.

    Attributes:
        reference_to_prediction: (N,) one per boundary point of the reference, in the unit of the spacing.
        prediction_to_reference: (M,) one per boundary point of the prediction.
            An empty mask has no point, and each point of the other is then infinitely far from it.
        outlines: of reference and prediction, what `surface_dice` needs besides; None where the distances alone are
            known.
    """

    reference_to_prediction: Floats
    prediction_to_reference: Floats
    outlines: "tuple[Outline, Outline] | None" = field(default=None, repr=False, compare=False)

    @property
    def one_is_empty(self) -> bool:
        """Whether a mask is empty, so that no distance between the two is defined."""
        return self.reference_to_prediction.size == 0 or self.prediction_to_reference.size == 0


@dataclass(frozen=True)
class Outline:
    """A mask's box within a frame of outside, one pixel wide, read row after row.

    The frame makes neighbours a matter of adding to an index: what follows a row's last pixel is outside, as is what
    precedes the next one's first.

    Attributes:
        inside: (h · w,) bool, the framed box.
        width: w.
        row, col: of the frame's first pixel in the mask.
        spacing_mm: (row, col) pixel pitch in mm; (1, 1) for pixels.
    """

    inside: Mask
    width: int
    row: int
    col: int
    spacing_mm: tuple[float, float]

    @classmethod
    def of_mask(cls, mask: Mask, spacing_mm: tuple[float, float]) -> "Outline":
        """The outline of a (H, W) bool mask, which may be empty."""
        rows = np.flatnonzero(mask.any(axis=1))
        if len(rows) == 0:
            return cls(np.zeros(4, dtype=bool), 2, -1, -1, spacing_mm)
        band = mask[rows[0] : rows[-1] + 1]
        cols = np.flatnonzero(band.any(axis=0))
        box = band[:, cols[0] : cols[-1] + 1]
        framed = np.zeros((box.shape[0] + 2, box.shape[1] + 2), dtype=bool)
        framed[1:-1, 1:-1] = box
        return cls(framed.ravel(), framed.shape[1], int(rows[0]) - 1, int(cols[0]) - 1, spacing_mm)

    @cached_property
    def boundary(self) -> Indices:
        """Indices of the pixels inside that have one of their four neighbours outside."""
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

    def positions_mm(self, indices: Indices, offset: float = 0.0) -> Floats:
        """(N, 2) (row, col) in the mask, in mm; `offset` in pixels is added to both before."""
        rows, cols = np.divmod(indices, self.width)
        positions = np.empty((len(indices), 2))
        positions[:, 0] = (rows + (self.row + offset)) * self.spacing_mm[0]
        positions[:, 1] = (cols + (self.col + offset)) * self.spacing_mm[1]
        return positions


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
    medpy, with which its group evaluates CAMUS, and MONAI. Deviation: none.
    """
    check_masks(reference, prediction)
    if len(spacing_mm) != 2 or not all(math.isfinite(pitch) and pitch > 0 for pitch in spacing_mm):
        raise ValueError(f"`spacing_mm` must be two positive numbers. Received: {spacing_mm}")
    if reference.ndim != 2:
        raise ValueError(f"`reference` and `prediction` must be two-dimensional. Received: shape {reference.shape}")
    outlines = Outline.of_mask(reference, spacing_mm), Outline.of_mask(prediction, spacing_mm)
    reference_points, prediction_points = (outline.positions_mm(outline.boundary) for outline in outlines)
    return SurfaceDistances(
        reference_to_prediction=_nearest(reference_points, prediction_points),
        prediction_to_reference=_nearest(prediction_points, reference_points),
        outlines=outlines,
    )


def volume_distances(
    reference: Mask, prediction: Mask, spacing_mm: tuple[float, float], slice_distance_mm: float
) -> SurfaceDistances:
    """Exact Euclidean distances between the boundaries of two masks of one stack of parallel slices.

    A voxel is of the boundary if one of its six neighbours is outside. What lies beyond the image or beyond the last
    slice is outside, so every voxel of the first and the last slice that show a structure is of its boundary.

    Args:
        reference: (S, H, W) bool, one slice after the other.
        prediction: (S, H, W) bool.
        spacing_mm: (row, col) pixel pitch within a slice, may be anisotropic.
        slice_distance_mm: from the middle of a slice to the middle of the next: thickness and gap together.

    Returns:
        The distances in mm, in both directions, without `outlines`.

    Raises:
        ValueError: masks are not boolean, no stacks or differ in shape, or a spacing or distance is not finite and
            positive.

    Source: cmr_dense_unet paper §2.4 (Hausdorff distance, without a word on slices or volumes); boundary as in medpy.
    Deviation: none.
    """
    check_masks(reference, prediction)
    pitch = (slice_distance_mm, *spacing_mm)
    if len(pitch) != 3 or not all(math.isfinite(length) and length > 0 for length in pitch):
        raise ValueError(
            "`spacing_mm` must be two positive numbers and `slice_distance_mm` one. "
            f"Received: {spacing_mm}, {slice_distance_mm}"
        )
    if reference.ndim != 3:
        raise ValueError(f"`reference` and `prediction` must be (S, H, W). Received: shape {reference.shape}")
    first, second = (_boundary_voxels(mask) * np.asarray(pitch) for mask in (reference, prediction))
    return SurfaceDistances(
        reference_to_prediction=_nearest(first, second), prediction_to_reference=_nearest(second, first)
    )


def _boundary_voxels(mask: Mask) -> Floats:
    """(N, 3) (slice, row, col) of the voxels of a (S, H, W) mask with one of their six neighbours outside it."""
    framed = np.pad(mask, 1)
    inner = (slice(1, -1),) * 3
    surrounded = framed[inner].copy()
    for axis in range(3):
        for step in (slice(None, -2), slice(2, None)):
            surrounded &= framed[(*inner[:axis], step, *inner[axis + 1 :])]
    return np.argwhere(mask & ~surrounded).astype(np.float64)


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

    Source: lu_net paper §IV-C; cmr_dense_unet paper, metrics; as medpy's `hd` and MONAI's. Deviation: none.
    """
    if distances.one_is_empty:
        return math.nan
    return float(max(distances.reference_to_prediction.max(), distances.prediction_to_reference.max()))


def hausdorff95(distances: SurfaceDistances) -> float:
    """HD95: the 95th percentile of the distances of both directions together; NaN where a mask is empty.

    In the distances' unit, linear between order statistics. The tools differ: see `hausdorff95_of_directions`.

    Source: medpy's `hd95`, with which most papers report it. Deviation: none.
    """
    if distances.one_is_empty:
        return math.nan
    return _percentile95(np.concatenate((distances.reference_to_prediction, distances.prediction_to_reference)))


def hausdorff95_of_directions(distances: SurfaceDistances) -> float:
    """The other HD95: the larger of the two directions' 95th percentiles; NaN where a mask is empty.

    In the distances' unit. Equal to `hausdorff95` or larger, up to the interpolation between order statistics.

    Source: Maier-Hein et al., Nature Methods 21:195 (2024), Metrics Reloaded; as MONAI's
    `compute_hausdorff_distance(percentile=95)`. Deviation: none.
    """
    if distances.one_is_empty:
        return math.nan
    return max(_percentile95(distances.reference_to_prediction), _percentile95(distances.prediction_to_reference))


def surface_dice(distances: SurfaceDistances, tolerance: float) -> float:
    """Share of both contours' length that lies within a tolerance of the other contour.

    Each contour runs between the pixels: through every 2 × 2 block of pixels that holds both inside and outside goes a
    piece of it (half a diagonal at a corner, a side of a pixel along a wall, two half diagonals where two pixels touch
    at a corner), whose distance is taken from the block's centre to that of the nearest such block of the other mask.
    A share of length, not of pixels: anisotropic pixels do not weigh the walls along one axis more.

    Args:
        distances: of `surface_distances`.
        tolerance: in the distances' unit, ≥ 0; a distance equal to it is within.

    Returns:
        0 … 1; 0 where one mask alone is empty, NaN where both are.

    Raises:
        ValueError: the tolerance is negative or not finite; `distances` were not made by `surface_distances`.

    Source: Nikolov et al., J Med Internet Res 23:e26151 (2021); as DeepMind's surface-distance
    (`compute_surface_dice_at_tolerance`) and MONAI's with `use_subvoxels=True`. Deviation: none.
    """
    _check_tolerance(tolerance)
    if distances.outlines is None:
        raise ValueError("`distances` must be made by `surface_distances`. Received: distances without outlines")
    reference = _contour(distances.outlines[0], distances.reference_to_prediction)
    prediction = _contour(distances.outlines[1], distances.prediction_to_reference)
    length = float(reference.lengths.sum() + prediction.lengths.sum())
    if length == 0:
        return math.nan
    if distances.one_is_empty:
        return 0.0
    diagonal = math.hypot(*distances.outlines[0].spacing_mm)
    within = _length_within(reference, prediction, tolerance, diagonal)
    within += _length_within(prediction, reference, tolerance, diagonal)
    return within / length


def surface_dice_of_pixels(distances: SurfaceDistances, tolerance: float) -> float:
    """The other surface Dice: share of both boundaries' pixels that lie within a tolerance of the other boundary.

    Args:
        distances: of `surface_distances`.
        tolerance: in the distances' unit, ≥ 0; a distance equal to it is within.

    Returns:
        0 … 1; 0 where one mask alone is empty, NaN where both are.

    Raises:
        ValueError: the tolerance is negative or not finite.

    Source: Seidlitz et al., Medical Image Analysis 80:102488 (2022), normalised surface distance; as MONAI's
    `compute_surface_dice` by default. Deviation: none.
    """
    _check_tolerance(tolerance)
    both = (distances.reference_to_prediction, distances.prediction_to_reference)
    count = sum(each.size for each in both)
    if count == 0:
        return math.nan
    return sum(int(np.count_nonzero(each <= tolerance)) for each in both) / count


def boundary_pixels(mask: Mask) -> Floats:
    """Pixels of a mask with one of their four neighbours outside it: (N, 2) (row, col), in scan order.

    What lies beyond the image is outside, so a mask cut by the image edge has its boundary there.

    Raises:
        ValueError: the mask is not two-dimensional.
    """
    if mask.ndim != 2:
        raise ValueError(f"`mask` must be two-dimensional. Received: shape {mask.shape}")
    outline = Outline.of_mask(mask, (1.0, 1.0))
    return outline.positions_mm(outline.boundary)


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


def _contour(outline: Outline, distances: Floats) -> _Contour:
    boundary, blocks = outline.boundary, outline.mixed_blocks()
    corners = (blocks, blocks + 1, blocks + outline.width, blocks + outline.width + 1)
    inside = outline.inside.view(np.uint8)
    code = inside[corners[0]] * 8 + inside[corners[1]] * 4 + inside[corners[2]] * 2 + inside[corners[3]]
    # In a mixed block, a pixel inside lies beside one outside: at least one of the four is a boundary pixel.
    numbers = np.zeros(outline.inside.size, dtype=np.int32)
    numbers[boundary] = np.arange(1, len(boundary) + 1, dtype=np.int32)
    number = np.maximum(
        np.maximum(numbers[corners[0]], numbers[corners[1]]), np.maximum(numbers[corners[2]], numbers[corners[3]])
    )
    return _Contour(
        centres=outline.positions_mm(blocks, 0.5),
        lengths=_piece_lengths(outline.spacing_mm)[code],
        pixel_distances=distances[number - 1] if len(blocks) else np.empty(0),
    )


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


def _length_within(contour: _Contour, other: _Contour, tolerance: float, diagonal: float) -> float:
    """Length of the pieces of a contour that are within the tolerance of the other's.

    A block's centre is half a pixel's diagonal from its boundary pixel, at both ends of a distance: between blocks it
    differs from that between pixels by a diagonal at most. Only blocks that this leaves open are measured.
    """
    within = contour.pixel_distances < tolerance
    # A little more than the diagonal, for rounding.
    is_open = np.abs(contour.pixel_distances - tolerance) <= diagonal * 1.001
    if is_open.any():
        within[is_open] = _nearest(contour.centres[is_open], other.centres) <= tolerance
    return float(contour.lengths[within].sum())


def _nearest(points: Floats, others: Floats) -> Floats:
    """Distance of each point to the nearest of the others; infinite where there is none."""
    if len(points) == 0 or len(others) == 0:
        return np.full(len(points), math.inf)
    # A tree that is asked once is quicker built plainly; the answers are the same.
    distances, _ = KDTree(others, leafsize=32, compact_nodes=False, balanced_tree=False).query(points)
    return np.asarray(distances, dtype=np.float64)


def _percentile95(values: Floats) -> float:
    """As np.percentile(values, 95), which takes several times as long for the few values here."""
    position = HD95_SHARE * (len(values) - 1)
    below = math.floor(position)
    above = min(below + 1, len(values) - 1)
    ordered = np.partition(values, (below, above))
    return float(ordered[below] + (ordered[above] - ordered[below]) * (position - below))


def _check_tolerance(tolerance: float) -> None:
    if not 0 <= tolerance < math.inf:
        raise ValueError(f"`tolerance` must be zero or positive. Received: {tolerance}")
