"""How sure a figure is: percentile intervals from resampling whole groups (patients), seeded."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Groups = Sequence[str] | Sequence[int] | npt.NDArray[np.str_] | npt.NDArray[np.integer]
Counts = npt.NDArray[np.int32]

BLOCK_CELLS = 1_000_000  # resamples are handled in blocks of this many cells, so that memory stays flat


@dataclass(frozen=True)
class Interval:
    """A figure and its confidence interval, in the figure's own unit.

    Attributes:
        estimate: the statistic of all rows; NaN where it is not defined.
        low, high: the bounds; NaN where they are not defined. The estimate may lie outside them.
    """

    estimate: float
    low: float
    high: float


def bootstrap_interval(
    values: npt.ArrayLike,
    groups: Groups,
    statistic: Callable[[Floats], float],
    *,
    level: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> Interval:
    """Percentile bootstrap interval of any statistic: groups are drawn with replacement, each with all of its rows.

    Frames of one patient resemble each other; drawing patients keeps them together, drawing frames would promise too
    narrow an interval.

    Args:
        values: (n, m) one row per measurement (a frame's error, a patient's pair), finite; (n,) is taken as (n, 1).
        groups: (n,) the group of each row, numbers or words.
        statistic: from the (k, m) rows of a resample, k > 0, to the figure. Must not depend on the rows' order.
        level: share of resamples between the bounds, 0 < level < 1.
        resamples: how many are drawn, ≥ 1.
        seed: the same seed, groups and resamples draw the same patients, whatever the statistic.

    Returns:
        Estimate and bounds in the statistic's unit. The bounds are NaN for fewer than two groups, where the estimate is
        NaN, and where the statistic is undefined (NaN) for more than a share 1 − level of the resamples; what is
        undefined below that is left out. All three are NaN for no row.

    Raises:
        ValueError: values that are not finite or not (n, m), groups of another length, a level or a number of resamples
            out of range.

    Source: Efron & Tibshirani, An Introduction to the Bootstrap (1993), §13.3 (percentile interval); whole groups as in
    Davison & Hinkley, Bootstrap Methods and their Application (1997), §3.8. Deviation: none.
    """
    rows, of_group, count = _checked(values, groups, level, resamples)
    if len(rows) == 0:
        return Interval(math.nan, math.nan, math.nan)
    indices = np.arange(len(rows))
    figures: list[float] = []
    if count > 1:
        for weights in _draws(count, resamples, seed, len(rows)):
            figures.extend(float(statistic(rows[np.repeat(indices, drawn[of_group])])) for drawn in weights)
    return _interval(float(statistic(rows)), np.asarray(figures, dtype=np.float64), level)


def bootstrap_mean(
    values: npt.ArrayLike, groups: Groups, *, level: float = 0.95, resamples: int = 2000, seed: int = 0
) -> Interval:
    """`bootstrap_interval` of the mean of all values, from the sums of the groups: much faster, the same draws.

    Args:
        values: (n,) or (n, m), finite; with m columns every one of the n · m values counts alike.
        groups: (n,) as in `bootstrap_interval`, like the following.
        level: share of resamples between the bounds, 0 < level < 1.
        resamples: how many are drawn, ≥ 1.
        seed: of the draws.

    Returns:
        Estimate and bounds in the values' unit; NaN as in `bootstrap_interval`.

    Raises:
        ValueError: as in `bootstrap_interval`.

    Source: as `bootstrap_interval`. Deviation: none.
    """
    rows, of_group, count = _checked(values, groups, level, resamples)
    if rows.size == 0:
        return Interval(math.nan, math.nan, math.nan)
    sums = np.bincount(of_group, weights=rows.sum(axis=1), minlength=count)
    sizes = np.bincount(of_group, minlength=count) * float(rows.shape[1])
    figures = (
        [(weights @ sums) / (weights @ sizes) for weights in _draws(count, resamples, seed, count)] if count > 1 else []
    )
    return _interval(float(rows.mean()), np.concatenate(figures) if figures else np.empty(0), level)


def bootstrap_median(
    values: npt.ArrayLike, groups: Groups, *, level: float = 0.95, resamples: int = 2000, seed: int = 0
) -> Interval:
    """`bootstrap_interval` of the median of all values, sorted once: much faster, the same draws.

    Args:
        values: (n,) or (n, m), finite; with m columns every one of the n · m values counts alike.
        groups: (n,) as in `bootstrap_interval`, like the following.
        level: share of resamples between the bounds, 0 < level < 1.
        resamples: how many are drawn, ≥ 1.
        seed: of the draws.

    Returns:
        Estimate and bounds in the values' unit; NaN as in `bootstrap_interval`.

    Raises:
        ValueError: as in `bootstrap_interval`.

    Source: as `bootstrap_interval`. Deviation: none.
    """
    rows, of_group, count = _checked(values, groups, level, resamples)
    if rows.size == 0:
        return Interval(math.nan, math.nan, math.nan)
    flat = rows.ravel()
    order = np.argsort(flat, kind="stable")
    ascending = flat[order]
    of_value = np.repeat(of_group, rows.shape[1])[order]
    figures: list[Floats] = []
    if count > 1:
        for weights in _draws(count, resamples, seed, len(flat)):
            # How many drawn values are at or below each of the sorted ones; the two in the middle are found by it.
            below = np.cumsum(weights[:, of_value], axis=1, dtype=np.int32)
            total = below[:, -1]
            lower = _first_above(below, (total - 1) // 2)
            upper = _first_above(below, total // 2)
            figures.append((ascending[lower] + ascending[upper]) / 2)
    return _interval(float(np.median(flat)), np.concatenate(figures) if figures else np.empty(0), level)


def _first_above(ascending: Counts, bound: Counts) -> npt.NDArray[np.intp]:
    """Per row, the first column whose count exceeds the row's bound."""
    return np.argmax(ascending > bound[:, None], axis=1)


def _draws(count: int, resamples: int, seed: int, cells_per_resample: int) -> Iterator[Counts]:
    """Blocks (b, count) of how often each group was drawn; the draws do not depend on the blocks' size."""
    rng = np.random.default_rng(seed)
    block = max(1, BLOCK_CELLS // max(count, cells_per_resample))
    for begin in range(0, resamples, block):
        rows = min(block, resamples - begin)
        drawn = rng.integers(0, count, size=(rows, count)) + np.arange(rows)[:, None] * count
        yield np.bincount(drawn.ravel(), minlength=rows * count).reshape(rows, count).astype(np.int32)


def _interval(estimate: float, figures: Floats, level: float) -> Interval:
    defined = figures[~np.isnan(figures)]
    if math.isnan(estimate) or len(defined) == 0 or len(defined) < level * len(figures):
        return Interval(estimate, math.nan, math.nan)
    low, high = np.quantile(defined, [(1 - level) / 2, (1 + level) / 2])
    return Interval(estimate, float(low), float(high))


def _checked(
    values: npt.ArrayLike, groups: Groups, level: float, resamples: int
) -> tuple[Floats, npt.NDArray[np.intp], int]:
    """Values as (n, m), the number of each row's group, and how many groups there are."""
    rows = np.asarray(values, dtype=np.float64)
    if rows.ndim == 1:
        rows = rows[:, None]
    if rows.ndim != 2 or not np.isfinite(rows).all():
        raise ValueError(f"`values` must be (n,) or (n, m) finite numbers. Received: {values}")
    if len(groups) != len(rows):
        raise ValueError(f"`groups` must name the group of each row. Received: {len(groups)} for {len(rows)} rows")
    if not 0 < level < 1:
        raise ValueError(f"`level` must be between 0 and 1, such as 0.95. Received: {level}")
    if resamples < 1:
        raise ValueError(f"`resamples` must be at least 1, such as 2000. Received: {resamples}")
    names, of_group = np.unique(np.asarray(groups), return_inverse=True)
    return rows, of_group, len(names)
