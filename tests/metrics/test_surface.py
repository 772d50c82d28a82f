import math
import time

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import ndimage

from metrics.surface import (
    SurfaceDistances,
    boundary_pixels,
    hausdorff,
    hausdorff95,
    hausdorff95_of_directions,
    mean_absolute_distance,
    surface_dice,
    surface_dice_of_pixels,
    surface_distances,
    volume_distances,
)

ANISOTROPIC = (0.154, 0.308)  # the CAMUS MetaImage release, (row, col)
MASKS = hnp.arrays(np.bool_, (7, 6), elements=st.booleans())


def block(rows, cols, shape=(12, 10)):
    mask = np.zeros(shape, dtype=bool)
    mask[rows, cols] = True
    return mask


def brute_force(reference, prediction, spacing_mm):
    """d_m and d_H from the definition: medpy's border (4-connected erosion) and every pair of border pixels."""
    cross = ndimage.generate_binary_structure(2, 1)
    points = [
        np.argwhere(mask & ~ndimage.binary_erosion(mask, cross)) * np.asarray(spacing_mm)
        for mask in (reference, prediction)
    ]
    pairs = np.sqrt(((points[0][:, None] - points[1][None]) ** 2).sum(axis=2))
    forward, backward = pairs.min(axis=1), pairs.min(axis=0)
    return (forward.mean() + backward.mean()) / 2, max(forward.max(), backward.max())


def test_two_pixels_worked_by_hand():
    # 3 rows down at 0.5 mm and 2 columns right at 2 mm: legs 1.5 and 4.
    distances = surface_distances(block(2, 3), block(5, 5), (0.5, 2.0))
    assert mean_absolute_distance(distances) == pytest.approx(math.hypot(1.5, 4.0))
    assert hausdorff(distances) == pytest.approx(math.hypot(1.5, 4.0))


def test_a_line_against_its_first_pixel_weighs_both_directions_alike():
    # Reference: 4 pixels in a column, 0.5 mm apart; prediction: the first of them.
    # Reference to prediction: 0, 0.5, 1, 1.5 (mean 0.75); prediction to reference: 0.
    distances = surface_distances(block(slice(2, 6), 3), block(2, 3), (0.5, 2.0))
    np.testing.assert_allclose(distances.reference_to_prediction, [0, 0.5, 1.0, 1.5])
    np.testing.assert_allclose(distances.prediction_to_reference, [0])
    assert mean_absolute_distance(distances) == pytest.approx(0.375)  # not (3.0 + 0) / 5
    assert hausdorff(distances) == pytest.approx(1.5)


def test_shifted_square_worked_by_hand():
    # A 3 × 3 square and itself one column (2 mm) to the right; rows are 0.5 mm apart. Each boundary has 8 pixels.
    # Of the reference's, the left column (3 pixels) is 2 mm away, the right one coincides, and the two in the middle
    # column lie on the other's left column: distance 0. The other direction is its mirror image.
    distances = surface_distances(block(slice(2, 5), slice(2, 5)), block(slice(2, 5), slice(3, 6)), (0.5, 2.0))
    # The reference's right middle pixel (3, 4) is the prediction's interior: its nearest boundary is (2, 4), 0.5 mm.
    assert sorted(distances.reference_to_prediction) == pytest.approx([0, 0, 0, 0, 0.5, 2, 2, 2])
    assert mean_absolute_distance(distances) == pytest.approx(6.5 / 8)
    assert hausdorff(distances) == pytest.approx(2.0)


def test_anisotropy_chooses_the_nearest_in_mm_not_in_pixels():
    # One pixel, and two candidates: 1 column right (2 mm) or 3 rows down (1.5 mm). The rows win.
    candidates = block(5, 3) | block(2, 4)
    distances = surface_distances(block(2, 3), candidates, (0.5, 2.0))
    assert distances.reference_to_prediction == pytest.approx([1.5])


def test_identical_masks_are_at_zero():
    mask = block(slice(2, 9), slice(1, 6))
    distances = surface_distances(mask, mask, ANISOTROPIC)
    assert mean_absolute_distance(distances) == 0.0
    assert hausdorff(distances) == 0.0


@pytest.mark.parametrize("empty_side", ["reference", "prediction", "both"])
def test_an_empty_side_is_undefined(empty_side):
    some, none = block(slice(2, 5), 3), np.zeros((12, 10), dtype=bool)
    reference = none if empty_side in ("reference", "both") else some
    prediction = none if empty_side in ("prediction", "both") else some
    distances = surface_distances(reference, prediction, ANISOTROPIC)
    for metric in (mean_absolute_distance, hausdorff, hausdorff95, hausdorff95_of_directions):
        assert math.isnan(metric(distances))
    for metric in (surface_dice, surface_dice_of_pixels):
        assert math.isnan(metric(distances, 2.0)) if empty_side == "both" else metric(distances, 2.0) == 0.0


def test_hd95_worked_by_hand():
    # 20 distances of one direction, 1 … 20, and one of 0 of the other. Together 21, whose 95th percentile is the one at
    # 0.95 · 20 = 19, counted from 0: 19. Of the first direction alone it lies at 0.95 · 19 = 18.05: 19.05.
    distances = SurfaceDistances(np.arange(1.0, 21.0), np.zeros(1))
    assert hausdorff95(distances) == pytest.approx(19.0)
    assert hausdorff95_of_directions(distances) == pytest.approx(19.05)
    assert hausdorff(distances) == 20.0


def test_hd95_forgives_one_stray_pixel_and_the_maximum_does_not():
    reference = block(slice(2, 30), slice(2, 30), (40, 60))
    prediction = reference | block(10, 50, (40, 60))
    distances = surface_distances(reference, prediction, (0.5, 2.0))
    assert hausdorff(distances) == pytest.approx(21 * 2.0)
    assert hausdorff95(distances) == hausdorff95_of_directions(distances) == 0.0


def test_surface_dice_worked_by_hand():
    # A 3 × 3 square and itself one column (2 mm) to the right; rows are 0.5 mm apart. Either contour has 4 corners of
    # half a diagonal, 2 pieces of 0.5 mm along two of the walls and 2 of 2 mm along the others. Of the reference's, the
    # left wall and its two corners are 2 mm from the prediction's left wall. Of the right wall, the corners lie on the
    # prediction's pieces and the two pieces between them are 0.5 mm from these. The rest coincides.
    corner = math.hypot(0.5, 2.0) / 2
    length = 4 * corner + 4 * 0.5 + 4 * 2.0
    distances = surface_distances(block(slice(2, 5), slice(2, 5)), block(slice(2, 5), slice(3, 6)), (0.5, 2.0))
    far, near = 2 * corner + 2 * 0.5, 2 * 0.5
    assert surface_dice(distances, 0.0) == pytest.approx(1 - (far + near) / length)
    assert surface_dice(distances, 0.49) == pytest.approx(1 - (far + near) / length)
    assert surface_dice(distances, 0.5) == pytest.approx(1 - far / length)  # at the tolerance is within
    assert surface_dice(distances, 1.99) == pytest.approx(1 - far / length)
    assert surface_dice(distances, 2.0) == 1.0


def test_surface_dice_is_a_share_of_length_and_the_other_of_pixels():
    # A wall of 1 × 8 pixels grows by a column on the right: with columns 2 mm and rows 0.5 mm apart.
    reference, prediction = block(2, slice(1, 9), (6, 12)), block(2, slice(1, 10), (6, 12))
    distances = surface_distances(reference, prediction, (0.5, 2.0))
    # Only the last pixel of the prediction is away (2 mm).
    assert surface_dice_of_pixels(distances, 1.0) == pytest.approx(16 / 17)
    # Contours: 4 corners and 7 or 8 pieces of 2 mm along either side. The prediction's two right corners are 2 mm away;
    # the reference's lie on the prediction's sides.
    corner = math.hypot(0.5, 2.0) / 2
    assert surface_dice(distances, 1.0) == pytest.approx(1 - 2 * corner / (8 * corner + 14 * 2.0 + 16 * 2.0))


def test_surface_dice_of_pixels_touching_at_a_corner():
    # Two pixels, crosswise: the block between them holds two pieces, a diagonal in all; the six others half of one.
    both, one = block([2, 3], [3, 4]), block(2, 3)
    distances = surface_distances(both, one, (3.0, 4.0))
    # Of the two pixels' contour, 3 corners of the first and the block between coincide with the first's: 1.5 + 1
    # diagonals; the one pixel's contour, 2 diagonals, all coincides. In all 4 + 2.
    assert surface_dice(distances, 0.0) == pytest.approx((2.5 + 2) / 6)


def test_surface_dice_of_pixels_worked_by_hand():
    # The shifted square: of the 8 pixels of either boundary, 3 are 2 mm away, 1 is 0.5 mm away, 4 coincide.
    distances = surface_distances(block(slice(2, 5), slice(2, 5)), block(slice(2, 5), slice(3, 6)), (0.5, 2.0))
    assert surface_dice_of_pixels(distances, 0.49) == pytest.approx(4 / 8)
    assert surface_dice_of_pixels(distances, 0.5) == pytest.approx(5 / 8)  # at the tolerance is within
    assert surface_dice_of_pixels(distances, 2.0) == 1.0
    # Not symmetric in the counts: 4 pixels against 1, of which 2 + 1 lie within 0.5 mm.
    line = surface_distances(block(slice(2, 6), 3), block(2, 3), (0.5, 2.0))
    assert surface_dice_of_pixels(line, 0.5) == pytest.approx(3 / 5)


@pytest.mark.parametrize("metric", [surface_dice, surface_dice_of_pixels])
@pytest.mark.parametrize("tolerance", [-1.0, math.nan, math.inf])
def test_a_wrong_tolerance_is_refused(metric, tolerance):
    with pytest.raises(ValueError, match="`tolerance` must be zero or positive"):
        metric(surface_distances(block(2, 3), block(2, 3), ANISOTROPIC), tolerance)


def test_surface_dice_needs_the_outlines():
    with pytest.raises(ValueError, match="must be made by `surface_distances`"):
        surface_dice(SurfaceDistances(np.zeros(1), np.zeros(1)), 1.0)


def brute_force_surface_dice(reference, prediction, spacing_mm, tolerance):
    """From the definition: every 2 × 2 block, its piece of contour, and every pair of blocks."""
    row, col = spacing_mm
    half = math.hypot(row, col) / 2
    sides = []
    for mask in (reference, prediction):
        padded = np.pad(mask, 1)
        pieces = []
        for r in range(padded.shape[0] - 1):
            for c in range(padded.shape[1] - 1):
                (a, b), (d, e) = padded[r : r + 2, c : c + 2]
                inside = int(a) + int(b) + int(d) + int(e)
                if inside in (1, 3):
                    pieces.append((r * row, c * col, half))
                elif inside == 2:
                    pieces.append((r * row, c * col, row if a == d else col if a == b else 2 * half))
        sides.append(np.asarray(pieces))
    pairs = np.sqrt(((sides[0][:, None, :2] - sides[1][None, :, :2]) ** 2).sum(axis=2))
    within = sides[0][pairs.min(axis=1) <= tolerance, 2].sum() + sides[1][pairs.min(axis=0) <= tolerance, 2].sum()
    return within / (sides[0][:, 2].sum() + sides[1][:, 2].sum())


@settings(deadline=None)  # the machine may be busy
@given(MASKS, MASKS, st.sampled_from([0.05, 0.2, 0.33, 0.5, 1.01]))  # none of them is a distance of the grid
def test_surface_dice_agrees_with_brute_force(reference, prediction, tolerance):
    assume(reference.any() and prediction.any())
    measured = surface_dice(surface_distances(reference, prediction, ANISOTROPIC), tolerance)
    assert measured == pytest.approx(brute_force_surface_dice(reference, prediction, ANISOTROPIC, tolerance))


def test_boundary_of_a_mask_with_a_hole_and_of_one_cut_by_the_image_edge():
    ring = block(slice(2, 7), slice(2, 7))
    ring[4, 4] = False
    assert len(boundary_pixels(ring)) == 16 + 4  # the outer square's, and the hole's four neighbours
    cut = block(slice(0, 4), slice(0, 4))
    expected = {(r, c) for r in range(4) for c in range(4)} - {(1, 1), (1, 2), (2, 1), (2, 2)}
    assert {(int(r), int(c)) for r, c in boundary_pixels(cut)} == expected


def test_wrong_input_is_refused():
    mask = block(2, 3)
    for spacing in [(0.3, 0.0), (0.3, -1.0), (0.3, math.nan), (0.3, math.inf), (0.3,), (1.0, 1.0, 1.0)]:
        with pytest.raises(ValueError, match="`spacing_mm` must be two positive numbers"):
            surface_distances(mask, mask, spacing)
    with pytest.raises(ValueError, match="same shape"):
        surface_distances(mask, mask.T, ANISOTROPIC)
    with pytest.raises(ValueError, match="boolean"):
        surface_distances(mask.astype(int), mask.astype(int), ANISOTROPIC)
    with pytest.raises(ValueError, match="two-dimensional"):
        surface_distances(np.ones((2, 2, 2), dtype=bool), np.ones((2, 2, 2), dtype=bool), ANISOTROPIC)


@settings(deadline=None)  # the machine may be busy
@given(MASKS, MASKS)
def test_agrees_with_brute_force(reference, prediction):
    assume(reference.any() and prediction.any())
    distances = surface_distances(reference, prediction, ANISOTROPIC)
    d_m, d_h = brute_force(reference, prediction, ANISOTROPIC)
    assert mean_absolute_distance(distances) == pytest.approx(d_m, abs=1e-12)
    assert hausdorff(distances) == pytest.approx(d_h, abs=1e-12)


@settings(deadline=None)  # the machine may be busy
@given(MASKS, MASKS, st.floats(0.05, 20.0))
def test_symmetry_flip_transpose_scale_and_translation(reference, prediction, factor):
    assume(reference.any() and prediction.any())
    measured = surface_distances(reference, prediction, ANISOTROPIC)
    lengths = (mean_absolute_distance, hausdorff, hausdorff95, hausdorff95_of_directions)
    expected = [metric(measured) for metric in lengths]
    row, col = ANISOTROPIC
    padded = [np.pad(mask, ((3, 0), (0, 5))) for mask in (reference, prediction)]
    variants = {
        "swapped": (surface_distances(prediction, reference, ANISOTROPIC), 1.0),
        "flipped": (surface_distances(reference[::-1], prediction[::-1], ANISOTROPIC), 1.0),
        "transposed": (surface_distances(reference.T, prediction.T, (col, row)), 1.0),
        "scaled": (surface_distances(reference, prediction, (row * factor, col * factor)), factor),
        "translated": (surface_distances(*padded, ANISOTROPIC), 1.0),
    }
    for name, (distances, scale) in variants.items():
        assert [metric(distances) / scale for metric in lengths] == pytest.approx(expected), name
        # 0.33 mm is no distance of the grid: rounding cannot move one across.
        for metric in (surface_dice, surface_dice_of_pixels):
            assert metric(distances, 0.33 * scale) == pytest.approx(metric(measured, 0.33)), name


def test_a_structure_of_ordinary_size_takes_less_than_5_ms():
    rows, cols = np.mgrid[:549, :389]
    reference = ((rows - 250) / 150) ** 2 + ((cols - 190) / 80) ** 2 < 1
    prediction = ((rows - 258) / 150) ** 2 + ((cols - 196) / 83) ** 2 < 1
    seconds = []
    for _ in range(20):
        begun = time.perf_counter()
        surface_distances(reference, prediction, ANISOTROPIC)
        seconds.append(time.perf_counter() - begun)
    assert min(seconds) < 0.005


def box_of_voxels(slices, rows, cols, shape=(6, 9, 8)):
    mask = np.zeros(shape, dtype=bool)
    mask[slices, rows, cols] = True
    return mask


def test_distances_of_volumes_by_hand():
    # One voxel each: 2 slices at 8 mm, 3 rows at 0.5 mm, 1 column at 2 mm.
    distances = volume_distances(box_of_voxels(1, 2, 3), box_of_voxels(3, 5, 4), (0.5, 2.0), 8.0)
    assert hausdorff(distances) == pytest.approx(math.sqrt(16**2 + 1.5**2 + 2**2))
    # A block of 3 slices against its middle one: the outer two are 8 mm away; what it lacks in the plane, nothing.
    thick = box_of_voxels(slice(1, 4), slice(2, 6), slice(2, 5))
    thin = box_of_voxels(2, slice(2, 6), slice(2, 5))
    distances = volume_distances(thick, thin, (0.5, 2.0), 8.0)
    assert len(distances.prediction_to_reference) == 12  # every voxel of a single slice is of its boundary
    assert len(distances.reference_to_prediction) == 36 - 2  # all but the two inside the middle slice
    assert hausdorff(distances) == 8.0
    assert hausdorff(volume_distances(thick, thick, (0.5, 2.0), 8.0)) == 0.0
    nothing = np.zeros_like(thick)
    assert math.isnan(hausdorff(volume_distances(thick, nothing, (0.5, 2.0), 8.0)))
    with pytest.raises(ValueError, match="made by `surface_distances`"):
        surface_dice(distances, 1.0)


@settings(deadline=None, max_examples=40)  # the machine may be busy
@given(*[hnp.arrays(np.bool_, (3, 4, 5), elements=st.booleans())] * 2)
def test_distances_of_volumes_agree_with_brute_force(reference, prediction):
    assume(reference.any() and prediction.any())
    cross = ndimage.generate_binary_structure(3, 1)
    pitch = np.array([8.0, 0.7, 1.1])
    points = [np.argwhere(mask & ~ndimage.binary_erosion(mask, cross)) * pitch for mask in (reference, prediction)]
    pairs = np.sqrt(((points[0][:, None] - points[1][None]) ** 2).sum(axis=2))
    distances = volume_distances(reference, prediction, (0.7, 1.1), 8.0)
    assert hausdorff(distances) == pytest.approx(max(pairs.min(axis=1).max(), pairs.min(axis=0).max()))


def test_what_is_no_volume_is_refused():
    mask = box_of_voxels(1, 2, 3)
    for spacing, distance in [((0.3, 0.0), 8.0), ((0.3, 0.3), 0.0), ((0.3, 0.3), math.nan), ((0.3, 0.3, 0.3), 8.0)]:
        with pytest.raises(ValueError, match="two positive numbers and `slice_distance_mm` one"):
            volume_distances(mask, mask, spacing, distance)
    with pytest.raises(ValueError, match=r"must be \(S, H, W\)"):
        volume_distances(mask[0], mask[0], (0.3, 0.3), 8.0)
