"""Two methods on the same patients: whether one is better, by how much, and how often."""

# SciPy ships no type stubs; what comes from it is typed where it is used.
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats

from metrics.agreement import Values, paired_values

EXACT_MAX_N = 50
"""Up to so many untied differences the p-value is exact, above it is the normal approximation's: SciPy's own choice."""


@dataclass(frozen=True)
class PairedComparison:
    """What the differences second − first say.

    Attributes:
        n: pairs.
        mean_difference, median_difference: of second − first, in the values' unit; NaN for no pair.
        wilcoxon_p: two-sided p-value of the Wilcoxon signed-rank test; NaN where no pair differs.
        rank_biserial: effect size −1 … 1, positive where the second is better; NaN where no pair differs.
        share_better: share of all pairs in which the second is strictly better, 0 … 1; NaN for no pair.
    """

    n: int
    mean_difference: float
    median_difference: float
    wilcoxon_p: float
    rank_biserial: float
    share_better: float


def paired_comparison(first: Values, second: Values, *, smaller_is_better: bool) -> PairedComparison:
    """Compares two methods that were judged on the same patients.

    Pairs that do not differ are left out of test and effect size, and count in everything else. The test asks that the
    pairs are independent: give one value per patient, not one per frame.

    Args:
        first: (N,) finite, one figure per patient.
        second: (N,) finite, of the same patients in the same order.
        smaller_is_better: True for errors and distances, False for Dice and the like. It sets the direction of
            `rank_biserial` and `share_better` alone.

    Raises:
        ValueError: the series differ in length or hold a value that is not finite.

    Source: Wilcoxon, Biometrics Bulletin 1:80 (1945), zeros discarded; p-value by `scipy.stats.wilcoxon`, exact for at
    most 50 differences without ties, else by the normal approximation corrected for ties. Matched-pairs rank-biserial
    correlation: (W₊ − W₋)/(W₊ + W₋), Kerby, Comprehensive Psychology 3:1 (2014). Deviation: none.
    """
    x, y = paired_values(first, second, names=("first", "second"))
    if len(x) == 0:
        return PairedComparison(0, math.nan, math.nan, math.nan, math.nan, math.nan)
    differences = y - x
    gains = -differences if smaller_is_better else differences
    changed = gains[gains != 0]
    p, effect = math.nan, math.nan
    if len(changed):
        ranks = stats.rankdata(np.abs(changed))
        tied = len(np.unique(ranks)) < len(ranks)
        method = "exact" if len(changed) <= EXACT_MAX_N and not tied else "asymptotic"
        result: Any = stats.wilcoxon(changed, method=method)
        p = float(result.pvalue)
        effect = float(ranks[changed > 0].sum() - ranks[changed < 0].sum()) / float(ranks.sum())
    return PairedComparison(
        n=len(x),
        mean_difference=float(differences.mean()),
        median_difference=float(np.median(differences)),
        wilcoxon_p=p,
        rank_biserial=effect,
        share_better=float(np.mean(gains > 0)),
    )
