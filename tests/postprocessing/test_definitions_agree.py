"""The pixel and the sub-pixel contact line mean the same ends: no offset between them; the sub-pixel one is finer."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from postprocessing.codes import LA, LV
from postprocessing.contact_line import ContactLine, pixel_contact_line, subpixel_contact_line
from tests.postprocessing.drawn import one_hot, smooth_frame


def _errors_px(line: ContactLine, left: np.ndarray, right: np.ndarray) -> list[list[float]]:
    """Of both ends: how far inward of the known end, how far across, and the distance."""
    along = (right - left) / np.hypot(*(right - left))
    across = np.array([-along[1], along[0]])
    offsets = [(line.points[0] - left, 1), (line.points[-1] - right, -1)]
    return [[sign * offset @ along, offset @ across, np.hypot(*offset)] for offset, sign in offsets]


@pytest.fixture(scope="module")
def errors_px() -> dict[str, np.ndarray]:
    generator = np.random.default_rng(0)
    found: dict[str, list[list[float]]] = {"pixel": [], "subpixel": []}
    for _ in range(120):
        frame = smooth_frame(
            tilt_degrees=generator.uniform(-35, 35),
            half_length_mm=generator.uniform(8, 14),
            shift_px=tuple(generator.uniform(-2, 2, 2)),
            sharpness_per_mm=generator.uniform(1, 2),
        )
        found["pixel"] += _errors_px(pixel_contact_line(frame.labels), frame.left, frame.right)
        found["subpixel"] += _errors_px(subpixel_contact_line(frame.probabilities, LV, LA), frame.left, frame.right)
    return {method: np.array(rows) for method, rows in found.items()}


@pytest.mark.parametrize(("method", "bias_px"), [("pixel", 0.15), ("subpixel", 0.02)])
def test_neither_definition_is_biased(errors_px: dict[str, np.ndarray], method: str, bias_px: float) -> None:
    assert np.abs(errors_px[method][:, :2].mean(axis=0)).max() < bias_px


def test_subpixel_ends_are_accurate_to_a_tenth_of_a_pixel(errors_px: dict[str, np.ndarray]) -> None:
    assert np.percentile(errors_px["subpixel"][:, 2], 95) < 0.1


def test_subpixel_is_several_times_finer_than_pixel(errors_px: dict[str, np.ndarray]) -> None:
    assert np.median(errors_px["pixel"][:, 2]) > 5 * np.median(errors_px["subpixel"][:, 2])


@pytest.mark.data
@pytest.mark.parametrize("blur_px", [1.0, 2.0, 4.0])
def test_blurred_real_masks_have_the_ends_of_the_sharp_ones(camus_subset: Path, blur_px: float) -> None:
    import nibabel

    errors = []
    for path in sorted(camus_subset.glob("*/*_gt.nii.gz"))[::6]:
        labels = np.asarray(nibabel.load(path).dataobj).T.astype(np.uint8)
        soft = cv2.GaussianBlur(one_hot(labels), (0, 0), blur_px)
        points = pixel_contact_line(labels).points
        errors += _errors_px(subpixel_contact_line(soft, LV, LA), points[0], points[-1])
    inward, across, distance = np.median(errors, axis=0)
    assert abs(inward) < 0.2 + 0.1 * blur_px
    assert abs(across) < 0.2
    assert distance < 0.4 + 0.3 * blur_px
