"""Hinge points of a cine smoothed in time, as they come: a Kalman filter that knows position and velocity.

A network looks at every frame anew, so its points tremble from frame to frame by about a pixel though the annulus moves
smoothly. The filter sees no frame but those before, bridges a few without points, and is not fed what does not fit.
docs/cart.md has what it costs and brings, and against which other filters it was chosen (`benchmarks/smoothing.py`).
"""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from postprocessing.hinge_points import HingePoints

FIRST_SPEED_MM_S = 100.0
"""ASSUMED: spread of a speed before any was seen; the annulus moves at up to about 100 mm/s along the ventricle."""
LONGEST_BRIDGE_S = 0.25
"""ASSUMED: after so long without a measurement a heart is elsewhere in its beat, however few frames that were."""
USUAL_PITCH_MM = 0.3
"""ASSUMED where the pixel pitch is unknown, for the filter's own constants alone: no measurement is made with it."""


@dataclass(frozen=True)
class Smoothing:
    """How hinge points are smoothed.

    Attributes:
        acceleration: how freely the annulus changes its velocity: square root of the power of its random acceleration,
            mm/s^1.5. Less is smoother and later.
        noise_mm: standard deviation of a measured coordinate. Only its ratio to `acceleration` smooths; with `gate` it
            says what is an outlier.
        memory_s: in this time a velocity falls to 1/e of itself unless measurements keep it up: a beat has no
            velocity that lasts, and a bridge of constant velocity shoots beyond its turns.
        gate: a measurement further than so many standard deviations from where the motion leads is not fed in: with
            these constants about 13 mm, which no annulus moves in a frame. A narrower one was worse than none: after
            one bad measurement that it let in, it kept the good ones out.
        bridge: frames in a row without a measurement that fits for which points are predicted; 0: none.

    All by measurement on simulated beats, `python -m benchmarks.smoothing`.

    Raises:
        ValueError: a constant that is not finite and positive, a negative `bridge`.
    """

    acceleration: float = 200.0
    noise_mm: float = 2.0
    memory_s: float = 0.1
    gate: float = 6.0
    bridge: int = 3

    def __post_init__(self) -> None:
        for name in ("acceleration", "noise_mm", "memory_s", "gate"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value > 0):
                raise ValueError(f"`{name}` must be finite and positive. Received: {value!r}")
        if self.bridge < 0:
            raise ValueError(f"`bridge` must not be negative. Received: {self.bridge}")


@dataclass(frozen=True)
class SmoothedPoints:
    """Where the hinge points are by the filter.

    Attributes:
        hinge_points: (row, col), native grid of the frame.
        predicted: the frame has no measurement that was fed in; they are where the motion leads.
        bridged: such frames in a row, this one included; 0 where the frame's own measurement was fed in.
    """

    hinge_points: HingePoints
    predicted: bool
    bridged: int


class PointSmoother:
    """Smooths the hinge points of one stream, frame after frame.

    Each of the four coordinates has a velocity that fades and that random accelerations change; all share one
    covariance, since they are measured alike and at the same times.

    Args:
        smoothing: its constants.

    Source: R. E. Kalman, A new approach to linear filtering and prediction problems, J. Basic Eng. 82, 1960; the model
    of motion: Y. Bar-Shalom, X. R. Li, T. Kirubarajan, Estimation with applications to tracking and navigation, 2001,
    §6.2.2 (continuous white noise acceleration). Deviation: the velocity fades; a measurement beyond the gate is left
    out, and after `bridge` frames without one that fits the filter begins anew.
    """

    def __init__(self, smoothing: Smoothing | None = None) -> None:
        self.smoothing = smoothing or Smoothing()
        self.restart()

    def restart(self) -> None:
        """Forgets what came before: another view, another depth, another cine."""
        self._state: npt.NDArray[np.float64] | None = None  # (2, 4): positions mm, velocities mm/s
        self._covariance = np.zeros((2, 2))
        self._seconds = self._measured_at = 0.0
        self._bridged = 0

    def take(
        self, seconds: float, points: HingePoints | None, spacing_mm: tuple[float, float] | None
    ) -> SmoothedPoints | None:
        """The points of the next frame.

        Args:
            seconds: when the frame was taken. Not after the one before: the filter begins anew.
            points: measured on it, native grid; None where there are none, or none to be trusted.
            spacing_mm: (row, col) pixel pitch of every frame since the filter began.

        Returns:
            The smoothed points, or None: nothing was measured, and nothing can be predicted.
        """
        pitch = np.tile(spacing_mm or (USUAL_PITCH_MM, USUAL_PITCH_MM), 2)
        measured = None if points is None else np.array([*points.amvl, *points.pmvl]) * pitch
        if self._state is not None and seconds <= self._seconds:
            self.restart()
        if self._state is None:
            return self._begin(seconds, measured, points)
        predicted = self._move(self._state, seconds - self._seconds)
        self._seconds = seconds
        if measured is not None and self._fits(measured, predicted[0]):
            predicted = self._correct(predicted, measured)
            self._measured_at, self._bridged = seconds, 0
        else:
            self._bridged += 1
            if self._bridged > self.smoothing.bridge or seconds - self._measured_at > LONGEST_BRIDGE_S:
                self.restart()
                return self._begin(seconds, measured, points)
        self._state = predicted
        a_row, a_col, p_row, p_col = (predicted[0] / pitch).tolist()
        return SmoothedPoints(HingePoints((a_row, a_col), (p_row, p_col)), self._bridged > 0, self._bridged)

    def _begin(
        self, seconds: float, measured: npt.NDArray[np.float64] | None, points: HingePoints | None
    ) -> SmoothedPoints | None:
        if measured is None or points is None:
            return None
        self._state = np.stack([measured, np.zeros(4)])
        self._covariance = np.diag([self.smoothing.noise_mm**2, FIRST_SPEED_MM_S**2])
        self._seconds = self._measured_at = seconds
        return SmoothedPoints(points, predicted=False, bridged=0)

    def _move(self, state: npt.NDArray[np.float64], dt: float) -> npt.NDArray[np.float64]:
        lost = -math.expm1(-dt / self.smoothing.memory_s)
        step = np.array([[1.0, self.smoothing.memory_s * lost], [0.0, 1 - lost]])
        shaken = self.smoothing.acceleration**2 * np.array([[dt**3 / 3, dt**2 / 2], [dt**2 / 2, dt]])
        self._covariance = step @ self._covariance @ step.T + shaken
        return step @ state

    def _fits(self, measured: npt.NDArray[np.float64], expected: npt.NDArray[np.float64]) -> bool:
        """Whether either point lies within the gate; both are of one contact line and go wrong together."""
        away_mm = np.hypot(*(measured - expected).reshape(2, 2).T)
        spread_mm = math.sqrt(self._covariance[0, 0] + self.smoothing.noise_mm**2)
        return bool(away_mm.max() <= self.smoothing.gate * spread_mm)

    def _correct(self, state: npt.NDArray[np.float64], measured: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        gain = self._covariance[:, 0] / (self._covariance[0, 0] + self.smoothing.noise_mm**2)
        corrected = state + np.outer(gain, measured - state[0])
        self._covariance = self._covariance - np.outer(gain, self._covariance[0])
        return corrected
