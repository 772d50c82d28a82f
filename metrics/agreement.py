"""How two series of measurements agree, and how one series of errors is distributed."""

# SciPy ships no type stubs; what comes from it is typed where it is used.
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import stats

Values = Sequence[float] | npt.NDArray[np.float64]

LIMITS_OF_AGREEMENT_SD = 1.96
SHAPIRO_WILK_MAX_N = 5000


@dataclass(frozen=True)
class BlandAltman:
    """Bias and 95 % limits of agreement of a series of differences.

    Attributes:
        bias: mean difference, prediction − reference.
        limits_of_agreement: half-width, 1.96 standard deviations of the differences.
        lower, upper: bias ∓ half-width.
    """

    bias: float
    limits_of_agreement: float
    lower: float
    upper: float


@dataclass(frozen=True)
class Percentiles:
    """The 15th, 50th and 85th percentile: µ − σ, µ and µ + σ of a distribution that is not normal."""

    p15: float
    median: float
    p85: float


def pearson_r(reference: Values, prediction: Values) -> float:
    """Pearson's correlation coefficient; NaN for fewer than two pairs or where a series is constant.

    Args:
        reference: (N,) finite.
        prediction: (N,) finite, paired with `reference`.

    Raises:
        ValueError: the series differ in length or hold a value that is not finite.

    Source: lu_net paper, Table III (corr). Deviation: none.
    """
    x, y = paired_values(reference, prediction)
    if len(x) < 2 or np.ptp(x) == 0 or np.ptp(y) == 0:
        return math.nan
    return float(np.clip(np.corrcoef(x, y)[0, 1], -1.0, 1.0))


def r_squared(reference: Values, prediction: Values) -> float:
    """Coefficient of determination: 1 − Σ(prediction − reference)² / Σ(reference − mean)².

    The share of the reference's variance that the prediction itself explains: a bias lowers it, and it is negative
    where the reference's mean would predict better. `pearson_r` squared is something else, the R² of a line fitted
    through the pairs, which forgives bias and scale; "Correlation (R2)" in the cmr_dense_unet paper's Table 3 is that.

    Args:
        reference: (N,) finite.
        prediction: (N,) finite, paired with `reference`.

    Returns:
        −∞ … 1, without unit; NaN for fewer than two pairs or where the reference is constant.

    Raises:
        ValueError: the series differ in length or hold a value that is not finite.

    Source: Draper & Smith, Applied Regression Analysis (1998), §1.3; as scikit-learn's `r2_score`. Deviation: none.
    """
    x, y = paired_values(reference, prediction)
    if len(x) < 2 or np.ptp(x) == 0:
        return math.nan
    return float(1 - ((y - x) ** 2).sum() / ((x - x.mean()) ** 2).sum())


def bland_altman(reference: Values, prediction: Values) -> BlandAltman:
    """Bias and limits of agreement of prediction − reference; NaN where not defined (limits: fewer than two pairs).

    Args:
        reference: (N,) finite.
        prediction: (N,) finite, paired with `reference`.

    Raises:
        ValueError: the series differ in length or hold a value that is not finite.

    Source: lu_net paper, Table III (bias, loa). Deviation: none.
    """
    x, y = paired_values(reference, prediction)
    bias = mean(y - x)
    half_width = LIMITS_OF_AGREEMENT_SD * standard_deviation(y - x)
    return BlandAltman(bias, half_width, bias - half_width, bias + half_width)


def mean_absolute_error(reference: Values, prediction: Values) -> float:
    """Mean of |prediction − reference|; NaN for no pair.

    Raises:
        ValueError: the series differ in length or hold a value that is not finite.

    Source: lu_net paper, Table III (mae). Deviation: none.
    """
    x, y = paired_values(reference, prediction)
    return mean(np.abs(y - x))


def shapiro_wilk_p(values: Values) -> float:
    """p-value of the Shapiro–Wilk test of normality.

    NaN for fewer than three values, for a constant series, and for more than 5000 values, where the approximation of
    the p-value is not valid.

    Raises:
        ValueError: a value is not finite.

    Source: hinge_points paper §3.4. Deviation: none.
    """
    x = finite_values("values", values)
    if not 3 <= len(x) <= SHAPIRO_WILK_MAX_N or np.ptp(x) == 0:
        return math.nan
    return float(stats.shapiro(x - np.median(x)).pvalue)


def percentiles(values: Values) -> Percentiles:
    """15th, 50th and 85th percentile, linearly interpolated; NaN for no value.

    Raises:
        ValueError: a value is not finite.

    Source: hinge_points paper §3.4. Deviation: none.
    """
    x = finite_values("values", values)
    if len(x) == 0:
        return Percentiles(math.nan, math.nan, math.nan)
    p15, median, p85 = np.percentile(x, [15, 50, 85])
    return Percentiles(float(p15), float(median), float(p85))


def mean(values: Values) -> float:
    """Arithmetic mean; NaN for no value.

    Raises:
        ValueError: a value is not finite.
    """
    x = finite_values("values", values)
    return float(x.mean()) if len(x) else math.nan


def standard_deviation(values: Values) -> float:
    """Standard deviation of the sample (n − 1); NaN for fewer than two values.

    Raises:
        ValueError: a value is not finite.
    """
    x = finite_values("values", values)
    return float(x.std(ddof=1)) if len(x) > 1 else math.nan


def finite_values(name: str, values: Values) -> npt.NDArray[np.float64]:
    """The series as float64; a ValueError that names it unless it is (N,) and finite."""
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1 or not np.isfinite(array).all():
        raise ValueError(f"`{name}` must be a series of finite numbers. Received: {array}")
    return array


def paired_values(
    first: Values, second: Values, names: tuple[str, str] = ("reference", "prediction")
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Both series as float64; a ValueError that names them unless they are finite and of one length."""
    x, y = finite_values(names[0], first), finite_values(names[1], second)
    if len(x) != len(y):
        raise ValueError(f"`{names[0]}` and `{names[1]}` must be pairs. Received: {len(x)} and {len(y)} values")
    return x, y
