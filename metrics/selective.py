"""Which measurements to trust: what a score of trust is worth, and how wide an interval must be."""

# SciPy ships no type stubs; what comes from it is typed where it is used.
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import stats

from metrics.agreement import Values, finite_values, mean, paired_values

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class RiskCoverage:
    """The error of what is kept, for every share that can be kept.

    Attributes:
        coverage: (N,) 1/N … 1, the share of measurements kept, the most trusted first.
        risk: (N,) mean error of those kept, in the errors' unit. The last is the mean of all.
    """

    coverage: Floats
    risk: Floats


def roc_auc(scores: Values, positives: npt.ArrayLike) -> float:
    """Area under the receiver operating characteristic: how well high scores tell positives from negatives.

    The share of pairs of a positive and a negative in which the positive has the higher score; equal scores count one
    half. 0.5 is chance. For a score of trust and an event that is bad (an error above a limit), give the negated score.

    Args:
        scores: (N,) finite, any unit; only their order matters.
        positives: (N,) bool, paired with `scores`.

    Returns:
        0 … 1; NaN where there is no positive or no negative.

    Raises:
        ValueError: a score is not finite, `positives` is not boolean or of another length.

    Source: Hanley & McNeil, Radiology 143:29 (1982). Deviation: none.
    """
    values = finite_values("scores", scores)
    events = np.asarray(positives)
    if events.size == 0:
        events = events.astype(bool)
    if events.dtype != np.bool_ or events.shape != values.shape:
        raise ValueError(
            f"`positives` must be one boolean per score ({len(values)}). Received: {events.dtype} {events.shape}"
        )
    n_positive = int(events.sum())
    n_negative = len(events) - n_positive
    if n_positive == 0 or n_negative == 0:
        return math.nan
    ranks = np.asarray(stats.rankdata(values), dtype=np.float64)
    wins = float(ranks[events].sum()) - n_positive * (n_positive + 1) / 2
    return wins / (n_positive * n_negative)


def risk_coverage(scores: Values, errors: Values) -> RiskCoverage:
    """Mean error of the k most trusted measurements, k = 1 … N.

    Measurements of equal score cannot be told apart, so each counts with their mean error: what a random order among
    them gives on average, and independent of the order they are given in.

    Args:
        scores: (N,) finite, higher is more trusted.
        errors: (N,) finite, paired with `scores`.

    Returns:
        The curve; two empty arrays for no measurement.

    Raises:
        ValueError: the series differ in length or hold a value that is not finite.

    Source: Geifman & El-Yaniv, NeurIPS 2017 (selective risk and coverage), with the error as the loss. Deviation: equal
    scores share their mean error; the paper is silent on them.
    """
    trust, losses = paired_values(scores, errors, names=("scores", "errors"))
    n = len(trust)
    if n == 0:
        return RiskCoverage(np.empty(0), np.empty(0))
    _, level, sizes = np.unique(-trust, return_inverse=True, return_counts=True)
    shared = np.bincount(level, weights=losses) / sizes
    kept = np.arange(1, n + 1)
    return RiskCoverage(coverage=kept / n, risk=np.cumsum(np.repeat(shared, sizes)) / kept)


def area_under_risk_coverage(curve: RiskCoverage) -> float:
    """AURC: the mean risk over all coverages, in the errors' unit; smaller is better, NaN for no measurement.

    A score without information gives the mean error of all on average.

    Source: Geifman, Uziel & El-Yaniv, ICLR 2019 (AURC, the mean of the selective risks at k/N). Deviation: none.
    """
    return mean(curve.risk)


def conformal_quantile(residuals: Values, level: float) -> float:
    """Half-width that covers a new measurement with probability ≥ level: the ⌈(n + 1) · level⌉-th smallest residual.

    Args:
        residuals: (n,) ≥ 0, |error| (or error / expected error) of measurements that were not used for fitting.
        level: wanted coverage, 0 < level < 1.

    Returns:
        In the residuals' unit. NaN where n is too small for the level (n < 9 for 0.9): no finite width is enough.

    Raises:
        ValueError: a residual is negative or not finite, or the level is out of range.

    Source: split conformal prediction, Lei, G'Sell, Rinaldo, Tibshirani & Wasserman, JASA 113:1094 (2018), Algorithm 2.
    Deviation: NaN instead of ∞.
    """
    values = finite_values("residuals", residuals)
    if (values < 0).any():
        raise ValueError(f"`residuals` must be absolute values, zero or positive. Received: {values.min()}")
    if not 0 < level < 1:
        raise ValueError(f"`level` must be between 0 and 1, such as 0.9. Received: {level}")
    # 0.95 · 20 may come out as 19.000000000000004: without the rounding, one residual too far.
    rank = math.ceil(round((len(values) + 1) * level, 9))
    return float(np.sort(values)[rank - 1]) if rank <= len(values) else math.nan
