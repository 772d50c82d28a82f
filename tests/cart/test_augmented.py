"""The spread of hinge points over changed copies of a frame."""

import math
from dataclasses import replace

import numpy as np
import pytest

from cart.augmented import SHIFT_SHARE, require_spread, tta_spread, variants
from cart.measure import BoxSpec
from data_pipeline.sample import Structure
from shell.errors import UserError
from tests.cart.drawn import SPACING_MM, heart, network, spec


def spread(image: np.ndarray, n: int = 4, seed: int = 0, **changes: object) -> float:
    options = {"spacing_mm": SPACING_MM} | changes
    return tta_spread(image, options.pop("predictor", network), spec(), n, seed, **options)


def test_points_are_mapped_back_to_where_they_were() -> None:
    image = np.zeros((80, 120), np.float32)
    image[30:33, 70:73] = 100  # around (31, 71)
    for variant in variants((80, 120), 6, seed=3):
        warped = variant.of(image)
        rows, cols = np.mgrid[:80, :120]
        centre = (float((warped * rows).sum() / warped.sum()), float((warped * cols).sum() / warped.sum()))
        assert math.dist(centre, (31, 71)) > 0.3  # it moved
        np.testing.assert_allclose(variant.back(centre), (31, 71), atol=0.1)
        assert (warped.shape, warped.dtype) == (image.shape, np.float32)
        assert warped.min() >= 0
        assert warped.max() <= 100


def two_dots() -> np.ndarray:
    """(96, 96) with a bright dot at each hinge point, (44, 30) and (50, 64)."""
    rows, cols = np.mgrid[:96, :96]
    dots = [np.exp(-((rows - row) ** 2 + (cols - col) ** 2) / 8) for row, col in ((44, 30), (50, 64))]
    return (200 * sum(dots)).astype(np.float32)


def between_dots(images: np.ndarray) -> dict[str, np.ndarray]:
    """A network that knows where to look: LV above and LA below the line from one dot to the other."""
    image = np.where(images[0, :, :, 0] > 0.1, images[0, :, :, 0], 0)
    rows, cols = np.mgrid[:96, :96]
    left = cols < (image * cols).sum() / image.sum()
    ends = [
        np.array([(image * at * side).sum() for at in (rows, cols)]) / (image * side).sum() for side in (left, ~left)
    ]
    along = ends[1] - ends[0]
    half, middle = np.hypot(*along) / 2, (ends[0] + ends[1]) / 2
    along /= 2 * half
    u = (rows - middle[0]) * along[0] + (cols - middle[1]) * along[1]
    v = (rows - middle[0]) * along[1] - (cols - middle[1]) * along[0]
    beside = 3 * (np.abs(u) - half) + 0.05 * v**2
    scores = np.stack([beside, -v, v, np.full_like(u, -50)], axis=-1) / 2
    exponents = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return {"probabilities": (exponents / exponents.sum(axis=-1, keepdims=True))[np.newaxis].astype(np.float32)}


def test_a_network_that_follows_the_heart_has_no_spread() -> None:
    followed = spread(two_dots(), predictor=between_dots)
    assert followed < 0.3  # mm, of pixels of 0.5 mm
    in_px = spread(two_dots(), predictor=between_dots, spacing_mm=None)
    assert in_px == pytest.approx(followed / SPACING_MM[0])


def test_a_network_that_sees_places_rather_than_hearts_has_one() -> None:
    still = network(heart()[np.newaxis, :, :, np.newaxis] / 255)
    unmoved = spread(heart(), n=8, predictor=lambda _: still)
    assert unmoved > 0.8
    assert unmoved < 96 * 0.5 * (SHIFT_SHARE + 0.1)  # it is the changes' own size


def test_the_same_seed_gives_the_same_spread() -> None:
    assert spread(heart(), seed=5) == spread(heart(), seed=5)
    assert spread(heart(), seed=5) != spread(heart(), seed=6)


def test_without_hinge_points_there_is_no_spread() -> None:
    assert math.isnan(spread(heart(gap=True)))
    calls = 0

    def first_only(images: np.ndarray) -> dict[str, np.ndarray]:
        nonlocal calls
        calls += 1
        return network(images if calls == 1 else np.zeros_like(images))

    assert math.isnan(spread(heart(), predictor=first_only))


def test_a_frame_without_contrast_is_left_as_it_is() -> None:
    image = np.full((20, 30), 7, np.float32)
    assert variants(image.shape, 1, seed=0)[0].of(image) is image


def test_networks_that_cannot_be_asked_are_refused() -> None:
    with pytest.raises(UserError, match="leave out --tta"):
        require_spread(replace(spec(), structures=(Structure.BACKGROUND, Structure.LV)))
    with pytest.raises(UserError, match="leave out --tta"):
        require_spread(replace(spec(), oracle=BoxSpec((Structure.LV,), margin=0.1)))
    with pytest.raises(ValueError, match=r"`n` must be 1 or more. Received: 0"):
        spread(heart(), n=0)
