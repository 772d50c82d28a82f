"""Frames drawn for the tests: by hand as text, and smooth ones whose hinge points are known exactly."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from postprocessing.measurement import FrameMeasurement

SPACING_MM = (0.31, 0.154)  # anisotropic, so that rows and columns cannot be exchanged unnoticed
STRUCTURES = (0, 1, 2, 3)


def label_map(drawing: str) -> npt.NDArray[np.uint8]:
    """A label map from a drawing: `.` background, V left ventricle, m myocardium, A left atrium."""
    codes = {".": 0, "V": 1, "m": 2, "A": 3}
    return np.array([[codes[letter] for letter in row.strip()] for row in drawing.split()], dtype=np.uint8)


def flags_of(measurement: FrameMeasurement) -> tuple[str, ...]:
    """Its flags but one, which everything drawn of a dozen pixels has: no annulus is as narrow as that."""
    return tuple(flag for flag in measurement.flags if flag != "annulus_outside_15_60_mm")


def one_hot(labels: npt.NDArray[np.uint8], classes: int = 4) -> npt.NDArray[np.float32]:
    return np.eye(classes, dtype=np.float32)[labels]


@dataclass(frozen=True)
class SmoothFrame:
    """Probabilities (H, W, 4) with LV above LA, and where LV, LA, MYO and background all meet: (row, col)."""

    probabilities: npt.NDArray[np.float32]
    left: npt.NDArray[np.float64]
    right: npt.NDArray[np.float64]
    diameter_mm: float

    @property
    def labels(self) -> npt.NDArray[np.uint8]:
        return self.probabilities.argmax(axis=-1).astype(np.uint8)


def smooth_frame(
    *,
    tilt_degrees: float = 0.0,
    half_length_mm: float = 11.0,
    shift_px: tuple[float, float] = (0.0, 0.0),
    sharpness_per_mm: float = 1.5,
    spacing_mm: tuple[float, float] = SPACING_MM,
    shape: tuple[int, int] = (130, 260),
) -> SmoothFrame:
    """Softmax of four smooth functions of the place along (u) and across (v) the annulus.

    LV wins above the annulus and LA below it where |u| is less than half the length; beside them myocardium wins above
    and background below. All four are equal at |u| = half the length, v = 0: the hinge points, exactly.
    """
    centre = (np.array(shape) - 1) / 2 + shift_px
    tilt = np.radians(tilt_degrees)
    y = (np.arange(shape[0])[:, None] - centre[0]) * spacing_mm[0]
    x = (np.arange(shape[1])[None, :] - centre[1]) * spacing_mm[1]
    u, v = x * np.cos(tilt) + y * np.sin(tilt), y * np.cos(tilt) - x * np.sin(tilt)
    beside = 3 * (np.abs(u) - half_length_mm) + 0.3 * v**2
    logits = np.stack([beside + 0.3 * v, -v, beside - 0.3 * v, v], axis=-1) * sharpness_per_mm
    logits -= logits.max(axis=-1, keepdims=True)
    probabilities = np.exp(logits)
    probabilities /= probabilities.sum(axis=-1, keepdims=True)
    along = half_length_mm * np.array([np.sin(tilt), np.cos(tilt)]) / spacing_mm
    return SmoothFrame(probabilities.astype(np.float32), centre - along, centre + along, 2 * half_length_mm)
