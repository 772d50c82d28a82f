"""The beat: how contracted the ventricle, how open the valve and how full the atrium is at a moment of the cycle."""

from dataclasses import dataclass

import numpy as np

SYSTOLE_SHARE = 0.38
"""Part of the cycle from end-diastole to end-systole at an ordinary resting heart rate."""
CLOSURE_SHARE = 0.05
"""Part of the cycle in which a valve that is still open at end-diastole closes."""


@dataclass(frozen=True)
class HeartState:
    """The heart at one moment.

    Attributes:
        contraction: 0 at end-diastole, 1 at end-systole.
        valve_opening: 0 closed, 1 wide open.
        atrial_filling: 0 atrium at its smallest (end-diastole), 1 at its largest (end-systole).
        aortic_opening: as `valve_opening`, of the aortic valve: open in systole only.
    """

    contraction: float
    valve_opening: float
    atrial_filling: float
    aortic_opening: float = 0.0


def heart_state(cycle: float, late_closure: float = 0.0) -> HeartState:
    """The heart at a moment of a beat ED → ES → ED.

    Systole is one smooth half-wave with a closed valve, but for its first moments where the valve closes late. Diastole
    fills in two steps with a pause between them, the early wave (two thirds of the stroke) and the atrial kick; the
    valve opens wide in the first, floats, and opens again in the second. The atrium fills while the ventricle empties.

    Args:
        cycle: 0 is end-diastole, `SYSTOLE_SHARE` end-systole, 1 the next end-diastole.
        late_closure: how open the valve still is at end-diastole, 0..1.

    Raises:
        ValueError: `cycle` is outside 0..1.
    """
    if not 0.0 <= cycle <= 1.0:
        raise ValueError(f"`cycle` must be in 0..1. Received: {cycle}")
    if cycle <= SYSTOLE_SHARE:
        contraction = _smooth(cycle / SYSTOLE_SHARE)
        closing = late_closure * max(0.0, 1.0 - cycle / CLOSURE_SHARE)
        # ejection begins when the mitral valve has closed and ends with systole
        ejecting = min(1.0, 2.0 * _bump(cycle, CLOSURE_SHARE, SYSTOLE_SHARE))
        return HeartState(contraction, closing, contraction, ejecting)
    diastole = (cycle - SYSTOLE_SHARE) / (1.0 - SYSTOLE_SHARE)
    early, kick = _smooth((diastole - 0.08) / 0.42), _smooth((diastole - 0.72) / 0.28)
    contraction = 1.0 - 0.68 * early - 0.32 * kick
    early_opening = _bump(diastole, 0.08, 0.6)
    late_opening = 0.75 * _bump(diastole, 0.62, 1.0)
    floating = 0.35 * _bump(diastole, 0.2, 0.95)
    closing = late_closure * _smooth((diastole - 0.8) / 0.2)
    return HeartState(contraction, max(early_opening, late_opening, floating, closing), contraction)


def _smooth(x: float) -> float:
    """0 before 0, 1 after 1, a half cosine between."""
    return 0.5 - 0.5 * float(np.cos(np.pi * min(max(x, 0.0), 1.0)))


def _bump(x: float, begin: float, end: float) -> float:
    """One arch of a squared sine between `begin` and `end`, 0 elsewhere."""
    return float(np.sin(np.pi * (x - begin) / (end - begin)) ** 2) if begin < x < end else 0.0
