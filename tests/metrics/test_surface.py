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
    surface_distances,
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
    if empty_side == "both":
        assert math.isnan(surface_dice(distances, 2.0))
    else:
        assert surface_dice(distances, 2.0) == 0.0


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
    # The shifted square below: of the 8 pixels of either boundary, 3 are 2 mm away, 1 is 0.5 mm away, 4 coincide.
    distances = surface_distances(block(slice(2, 5), slice(2, 5)), block(slice(2, 5), slice(3, 6)), (0.5, 2.0))
    assert surface_dice(distances, 0.0) == pytest.approx(4 / 8)
    assert surface_dice(distances, 0.49) == pytest.approx(4 / 8)
    assert surface_dice(distances, 0.5) == pytest.approx(5 / 8)  # at the tolerance is within
    assert surface_dice(distances, 2.0) == 1.0
    # Not symmetric in the counts: 4 pixels against 1, of which 2 + 1 lie within 0.5 mm.
    line = surface_distances(block(slice(2, 6), 3), block(2, 3), (0.5, 2.0))
    assert surface_dice(line, 0.5) == pytest.approx(3 / 5)


@pytest.mark.parametrize("tolerance", [-1.0, math.nan, math.inf])
def test_a_wrong_tolerance_is_refused(tolerance):
    with pytest.raises(ValueError, match="`tolerance` must be zero or positive"):
        surface_dice(SurfaceDistances(np.zeros(1), np.zeros(1)), tolerance)


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
    d_m, d_h = mean_absolute_distance(measured), hausdorff(measured)
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
        assert mean_absolute_distance(distances) == pytest.approx(scale * d_m), name
        assert hausdorff(distances) == pytest.approx(scale * d_h), name


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
