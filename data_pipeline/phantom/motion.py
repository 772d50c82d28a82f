"""The beat: how far the ventricle is contracted, the valve open and the atrium full at a moment of the cardiac cycle."""

from dataclasses import dataclass

import numpy as np

SYSTOLE_SHARE = 0.38
"""Part of the cycle from end-diastole to end-systole at an ordinary resting heart rate."""


@dataclass(frozen=True)
class HeartState:
    """The heart at one moment.

    Attributes:
        contraction: 0 at end-diastole, 1 at end-systole.
        valve_opening: 0 closed, 1 wide open.
        atrial_filling: 0 atrium at its smallest (end-diastole), 1 at its largest (end-systole).
    """

    contraction: float
    valve_opening: float
    atrial_filling: float


def heart_state(cycle: float) -> HeartState:
    """The heart at a moment of a beat ED → ES → ED.

    Systole is one smooth half-wave with a closed valve. Diastole fills in two steps with a pause between them, the
    early wave (two thirds of the stroke) and the atrial kick; the valve opens wide in the first, floats, opens again in
    the second and closes just at end-diastole. The atrium fills while the ventricle empties.

    Args:
        cycle: 0 is end-diastole, `SYSTOLE_SHARE` end-systole, 1 the next end-diastole.

    Raises:
        ValueError: `cycle` is outside 0..1.
    """
    if not 0.0 <= cycle <= 1.0:
        raise ValueError(f"`cycle` must be in 0..1. Received: {cycle}")
    if cycle <= SYSTOLE_SHARE:
        contraction = _smooth(cycle / SYSTOLE_SHARE)
        return HeartState(contraction, 0.0, contraction)
    diastole = (cycle - SYSTOLE_SHARE) / (1.0 - SYSTOLE_SHARE)
    early, kick = _smooth((diastole - 0.08) / 0.42), _smooth((diastole - 0.72) / 0.28)
    contraction = 1.0 - 0.68 * early - 0.32 * kick
    early_opening = _bump(diastole, 0.08, 0.6)
    late_opening = 0.75 * _bump(diastole, 0.62, 1.0)
    floating = 0.35 * _bump(diastole, 0.2, 0.95)
    return HeartState(contraction, max(early_opening, late_opening, floating), contraction)


def _smooth(x: float) -> float:
    """0 before 0, 1 after 1, a half cosine between."""
    return 0.5 - 0.5 * float(np.cos(np.pi * min(max(x, 0.0), 1.0)))


def _bump(x: float, begin: float, end: float) -> float:
    """One arch of a squared sine between `begin` and `end`, 0 elsewhere."""
    return float(np.sin(np.pi * (x - begin) / (end - begin)) ** 2) if begin < x < end else 0.0
