"""Our metrics against established tools, on random and hand-made masks: equal to 1e-6 where they define the same.

What they define otherwise is stated, and tested too where it can be: docs/metrics.md has the table.
"""

import math
import warnings

import numpy as np
import pytest
from sklearn import metrics as sklearn_metrics

from metrics import overlap, surface
from metrics.agreement import pearson_r, r_squared
from metrics.selective import roc_auc

SPACINGS = [(1.0, 1.0), (0.154, 0.308), (0.71, 0.33)]
TOLERANCES = [0.21, 1.03, 2.5]  # not a distance of any grid above, so that rounding cannot decide
TO = {"rel": 1e-6, "abs": 1e-9}


def disc(row, col, radius, shape=(60, 48)):
    rows, cols = np.mgrid[: shape[0], : shape[1]]
    return ((rows - row) / radius) ** 2 + ((cols - col) / (0.6 * radius)) ** 2 < 1


def pairs_of_masks():
    heart, other = disc(28, 22, 18), disc(31, 24, 17)
    ring = heart & ~disc(28, 22, 9)
    pixel = np.zeros_like(heart)
    pixel[50, 40] = True
    cases = {
        "overlapping": (heart, other),
        "equal": (heart, heart),
        "apart": (disc(12, 10, 8), disc(45, 36, 9)),
        "one inside the other": (heart, disc(28, 22, 8)),
        "with a hole": (ring, heart),
        "a stray pixel": (heart, other | pixel),
        "one pixel": (pixel, heart),
        "cut by the image edge": (disc(3, 2, 15), disc(1, 4, 14)),
        "the whole image": (np.ones_like(heart), heart),
        "touching at a corner": (disc(28, 22, 18) & (np.indices((60, 48)).sum(axis=0) % 2 == 0), heart),
    }
    chance = np.random.default_rng(0)
    for index in range(12):
        shape = chance.integers(1, 25, size=2)
        masks = [chance.random(shape) < share for share in chance.uniform(0.1, 0.95, size=2)]
        for mask in masks:
            mask[tuple(chance.integers(0, shape))] = True  # not empty
        cases[f"random {index}"] = tuple(masks)
    return cases


CASES = pairs_of_masks()
every_case = pytest.mark.parametrize("case", CASES)


@pytest.fixture
def medpy():
    return pytest.importorskip("medpy.metric.binary", reason="medpy is in requirements-dev.txt")


@pytest.fixture
def surface_distance():
    return pytest.importorskip("surface_distance", reason="surface-distance is in requirements-dev.txt")


@pytest.fixture(scope="session")
def torch():
    return pytest.importorskip("torch", reason="PyTorch is in benchmarks/requirements.txt")


@pytest.fixture(scope="session")
def monai(torch):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what MONAI imports
        return pytest.importorskip("monai.metrics", reason="MONAI is in benchmarks/requirements.txt")


@every_case
def test_overlap_is_that_of_scikit_learn(case):
    reference, prediction = CASES[case]
    counts = overlap.confusion_counts(reference, prediction)
    flat = (reference.ravel(), prediction.ravel())
    ratios = {
        overlap.dice: sklearn_metrics.f1_score(*flat),
        overlap.iou: sklearn_metrics.jaccard_score(*flat),
        overlap.cpa: sklearn_metrics.precision_score(*flat),
        overlap.sensitivity: sklearn_metrics.recall_score(*flat),
        overlap.pixel_accuracy: sklearn_metrics.accuracy_score(*flat),
    }
    if not reference.all():
        ratios[overlap.specificity] = sklearn_metrics.recall_score(*flat, pos_label=False)
    for ratio, expected in ratios.items():
        assert ratio(counts) == pytest.approx(expected, **TO), ratio


@every_case
def test_overlap_is_that_of_medpy(case, medpy):
    reference, prediction = CASES[case]
    counts = overlap.confusion_counts(reference, prediction)
    ratios = {
        overlap.dice: medpy.dc,
        overlap.iou: medpy.jc,
        overlap.cpa: medpy.precision,
        overlap.sensitivity: medpy.sensitivity,
    }
    if not reference.all():  # NaN here, 0 there
        ratios[overlap.specificity] = medpy.specificity
    for ratio, theirs in ratios.items():
        assert ratio(counts) == pytest.approx(theirs(prediction, reference), **TO), ratio


@every_case
@pytest.mark.parametrize("spacing_mm", SPACINGS)
def test_distances_are_those_of_medpy(case, spacing_mm, medpy):
    reference, prediction = CASES[case]
    distances = surface.surface_distances(reference, prediction, spacing_mm)
    arguments = (prediction, reference, spacing_mm)
    assert surface.hausdorff(distances) == pytest.approx(medpy.hd(*arguments), **TO)
    assert surface.hausdorff95(distances) == pytest.approx(medpy.hd95(*arguments), **TO)
    directed = [medpy.asd(prediction, reference, spacing_mm), medpy.asd(reference, prediction, spacing_mm)]
    assert surface.mean_absolute_distance(distances) == pytest.approx(np.mean(directed), **TO)
    # Release 0.5 pools the points of both directions; ours, as release 0.4, does not.
    both = np.concatenate((distances.reference_to_prediction, distances.prediction_to_reference))
    assert medpy.assd(*arguments) == pytest.approx(both.mean(), **TO)


# It uses names of SciPy that go with SciPy 2.
@pytest.mark.filterwarnings(r"ignore:Please import .* from the `scipy.ndimage` namespace:DeprecationWarning")
@every_case
@pytest.mark.parametrize("spacing_mm", SPACINGS)
def test_surface_dice_is_that_of_surface_distance(case, spacing_mm, surface_distance):
    reference, prediction = CASES[case]
    theirs = surface_distance.compute_surface_distances(reference, prediction, spacing_mm)
    distances = surface.surface_distances(reference, prediction, spacing_mm)
    for tolerance in TOLERANCES:
        expected = surface_distance.compute_surface_dice_at_tolerance(theirs, tolerance)
        assert surface.surface_dice(distances, tolerance) == pytest.approx(expected, **TO), tolerance
    # Its distances are between the blocks' centres, half a diagonal from the pixels at either end: not the same.
    robust = surface_distance.compute_robust_hausdorff(theirs, 100)
    assert abs(surface.hausdorff(distances) - robust) <= math.hypot(*spacing_mm) * (1 + 1e-9)


@pytest.mark.slow  # MONAI imports PyTorch, and TensorFlow where it is installed
@pytest.mark.filterwarnings("ignore:.*always_return_as_numpy.*:FutureWarning")  # of MONAI, by MONAI
@pytest.mark.parametrize("spacing_mm", SPACINGS)
def test_distances_and_surface_dice_are_those_of_monai(spacing_mm, monai, torch):
    for case, (reference, prediction) in CASES.items():
        distances = surface.surface_distances(reference, prediction, spacing_mm)
        y_pred, y = (torch.from_numpy(mask)[None, None] for mask in (prediction, reference))
        common = {"include_background": True, "spacing": spacing_mm}

        def theirs(function, *arguments, y_pred=y_pred, y=y, common=common, **more):
            return function(y_pred, y, *arguments, **common, **more).item()

        hausdorff = theirs(monai.compute_hausdorff_distance)
        assert surface.hausdorff(distances) == pytest.approx(hausdorff, **TO), case
        hd95 = theirs(monai.compute_hausdorff_distance, percentile=95)
        assert surface.hausdorff95_of_directions(distances) == pytest.approx(hd95, **TO), case
        forward = theirs(monai.compute_average_surface_distance)
        backward = monai.compute_average_surface_distance(y, y_pred, **common).item()
        expected = (forward + backward) / 2
        assert surface.mean_absolute_distance(distances) == pytest.approx(expected, **TO), case
        for tolerance in TOLERANCES:
            pixels = theirs(monai.compute_surface_dice, [tolerance])
            assert surface.surface_dice_of_pixels(distances, tolerance) == pytest.approx(pixels, **TO), case
            length = theirs(monai.compute_surface_dice, [tolerance], use_subvoxels=True)
            assert surface.surface_dice(distances, tolerance) == pytest.approx(length, **TO), case


@pytest.mark.parametrize("seed", range(5))
def test_statistics_are_those_of_scikit_learn(seed):
    chance = np.random.default_rng(seed)
    reference = chance.normal(30, 4, 40)
    prediction = reference + chance.normal(1, 2, 40)
    assert r_squared(reference, prediction) == pytest.approx(sklearn_metrics.r2_score(reference, prediction), **TO)
    scores, positives = chance.integers(0, 8, 40).astype(float), chance.random(40) < 0.3
    assert roc_auc(scores, positives) == pytest.approx(sklearn_metrics.roc_auc_score(positives, scores), **TO)
    # What the docstring of r_squared says of pearson_r: the R² of the fitted line.
    line = np.polynomial.Polynomial.fit(prediction, reference, 1)
    fitted = sklearn_metrics.r2_score(reference, line(prediction))
    assert pearson_r(reference, prediction) ** 2 == pytest.approx(fitted, **TO)


def test_nan_here_is_zero_or_a_warning_there():
    nothing, something = np.zeros((3, 4), dtype=bool), np.ones((3, 4), dtype=bool)
    assert math.isnan(overlap.dice(overlap.confusion_counts(nothing, nothing)))
    assert sklearn_metrics.f1_score(nothing.ravel(), nothing.ravel(), zero_division=0.0) == 0.0
    assert math.isnan(overlap.cpa(overlap.confusion_counts(something, nothing)))
    assert sklearn_metrics.precision_score(something.ravel(), nothing.ravel(), zero_division=0.0) == 0.0


@pytest.mark.parametrize("seed", range(4))
def test_distances_of_volumes_are_those_of_medpy(seed, medpy):
    chance = np.random.default_rng(seed)
    reference, prediction = (chance.random((4, 12, 9)) < share for share in (0.4, 0.6))
    pitch = (8.0, 0.7, 1.1)
    distances = surface.volume_distances(reference, prediction, pitch[1:], pitch[0])
    assert surface.hausdorff(distances) == pytest.approx(medpy.hd(prediction, reference, pitch), **TO)
    assert surface.hausdorff95(distances) == pytest.approx(medpy.hd95(prediction, reference, pitch), **TO)
