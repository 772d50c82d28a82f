"""How far the hinge points move when the frame is changed in ways that do not move a heart's hinge points."""

import math
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from cart.measure import NO_SIDE, PROBABILITIES, MeasurementSpec, Predictor, network_outputs, segmented
from postprocessing.hinge_points import HingePoints
from shell.errors import UserError

ROTATION_DEGREES = 5.0
SCALE = 0.05
SHIFT_SHARE = 0.03
LOG_GAMMA = 0.2
"""ASSUMED, all four: changes as small as those between two examinations of one patient. Each is drawn from ± these:
degrees, share of the size, share of the image's sides, logarithm of the exponent of the grey levels."""
MOST_MISSING = 0.5
"""With hinge points in less than this share of the variants there is no spread."""


@dataclass(frozen=True)
class Variant:
    """A known change of a frame: `matrix` (2, 3) maps (col, row) to where it goes, `gamma` bends the grey levels."""

    matrix: npt.NDArray[np.float64]
    gamma: float

    def of(self, image: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """The changed frame: the same size and range, its darkest level where nothing was imaged."""
        low, high = float(image.min()), float(image.max())
        if not low < high:
            return image
        unit = ((image - low) / (high - low)) ** self.gamma
        height, width = image.shape
        warped = cv2.warpAffine(unit, self.matrix, (width, height), flags=cv2.INTER_LINEAR, borderValue=0)
        return np.asarray(low + (high - low) * warped, dtype=np.float32)

    def back(self, point: tuple[float, float]) -> npt.NDArray[np.float64]:
        """Where a point of the changed frame, (row, col), was before."""
        col, row = cv2.invertAffineTransform(self.matrix) @ np.array([point[1], point[0], 1.0])
        return np.array([row, col])


def variants(shape: tuple[int, int], n: int, seed: int) -> list[Variant]:
    """N small changes of frames of a shape (H, W); the same for the same seed."""
    random = np.random.default_rng(seed)
    height, width = shape
    drawn: list[Variant] = []
    for _ in range(n):
        degrees, scale, down, right, gamma = random.uniform(-1, 1, 5)
        matrix = cv2.getRotationMatrix2D(
            ((width - 1) / 2, (height - 1) / 2), degrees * ROTATION_DEGREES, 1 + scale * SCALE
        )
        matrix[:, 2] += right * SHIFT_SHARE * width, down * SHIFT_SHARE * height
        drawn.append(Variant(np.asarray(matrix, dtype=np.float64), math.exp(gamma * LOG_GAMMA)))
    return drawn


def require_spread(spec: MeasurementSpec) -> None:
    """Refuses a network whose hinge points cannot be looked for on changed frames.

    Raises:
        UserError: it finds none, or it sees a part of the frame only, which would change too.
    """
    if not spec.finds_hinge_points or spec.oracle is not None or spec.crop_mm is not None:
        raise UserError("test-time augmentation needs a network that finds hinge points on its own; leave out --tta")


def tta_spread(
    image: npt.NDArray[np.float32],
    predictor: Predictor,
    spec: MeasurementSpec,
    n: int,
    seed: int,
    *,
    spacing_mm: tuple[float, float] | None,
) -> float:
    """Test-time augmentation: how far the hinge points of changed frames, mapped back, lie from their mean.

    Args:
        image: (H, W) float32 intensities, as read.
        predictor: the network.
        spec: of that network; it needs no reference.
        n: changed frames, 1 or more; the frame itself is measured as well.
        seed: of the changes.
        spacing_mm: (row, col) pixel pitch, or None where unknown: then the spread is in px.

    Returns:
        Root mean square distance from the mean point, of both points together, in mm or px. NaN where fewer than
        `MOST_MISSING` of the frames have hinge points, or the frame itself has none.

    Raises:
        ValueError: n is below 1.
        UserError: as `require_spread`.
    """
    if n < 1:
        raise ValueError(f"`n` must be 1 or more. Received: {n}")
    require_spread(spec)
    pitch = np.array(spacing_mm or (1.0, 1.0))

    def points_of(frame: npt.NDArray[np.float32]) -> HingePoints | None:
        probabilities = network_outputs(frame, predictor=predictor, spec=spec)[PROBABILITIES]
        return segmented(probabilities, frame, spacing_mm, spec=spec, anterior_side=NO_SIDE).hinge_points

    plain = points_of(image)
    if plain is None:
        return math.nan
    first = np.array([plain.amvl, plain.pmvl])
    found = [first]
    for variant in variants((image.shape[0], image.shape[1]), n, seed):
        points = points_of(variant.of(image))
        if points is None:
            continue
        there = np.array([variant.back(points.amvl), variant.back(points.pmvl)])
        # which end of an upright line is the left one may change with the least rotation
        turned = np.linalg.norm(there[::-1] - first) < np.linalg.norm(there - first)
        found.append(there[::-1] if turned else there)
    if len(found) - 1 < MOST_MISSING * n:
        return math.nan
    offsets = (np.array(found) - np.mean(found, axis=0)) * pitch
    return float(np.sqrt((offsets**2).sum(axis=-1).mean()))
