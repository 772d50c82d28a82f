"""How sure the headline figures are: 95 % confidence intervals by patient."""

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt

from data_pipeline.sample import Phase, View
from evaluation.boxes import BOX_IOU, BOX_OUT
from evaluation.frames import PIXEL_ACCURACY
from evaluation.hinge_points import POINTS
from evaluation.rows import (
    ANNULUS,
    BOX,
    CALIBRATED,
    CONSTRUCTED,
    FRAME,
    NOT_FOUND_BY_NETWORK,
    VOLUME,
    CaseRow,
    subgroup,
)
from evaluation.summary_blocks import Json
from metrics import agreement
from metrics.bootstrap import Interval, bootstrap_interval, bootstrap_mean, bootstrap_median
from postprocessing.calibration import POOLED

LEVEL = 0.95
RESAMPLES = 2000
"""ASSUMED; the ends of an interval then vary by a few per cent of its width from seed to seed."""
SEED = 0

OVERLAPS = ("dice", "surface_dice")
DISTANCES = ("mean_absolute_distance", "hausdorff", "hausdorff95")
VOLUMES = {
    "clinical": ("LV", ("edv", "esv", "ef")),
    "clinical_rv": ("RV", ("edv", "esv", "ef")),
    "clinical_mass": ("MYO", ("mass_ed", "mass_es")),
    "clinical_la": ("LA", ("lav_ed", "lav_es", "lav_discs_ed", "lav_discs_es")),
}
"""Block of the summary → structure and quantities, from two views or a stack of slices."""
OUTLIER = "OUTLIER"
OUTLIERS = ("geometric", "anatomical")

Array = npt.NDArray[np.float64]
Bootstrap = Callable[..., Interval]
"""(values (n, m), groups (n,), *, level, resamples, seed) → the interval of one figure of them."""
Index = Mapping[tuple[str, str], Sequence[CaseRow]]
"""Rows by structure and metric."""


@dataclass(frozen=True)
class Figure:
    """A figure whose interval is asked for.

    Attributes:
        key: its name in the summary, e.g. `hinge.distance_mm.median`.
        values: (n, m) float64, finite: what it is made of, a frame, point or patient a row; m is 2 for pairs, else 1.
        patients: (n,) whose each value is.
        bootstrap: makes the interval.
    """

    key: str
    values: Array
    patients: Sequence[str]
    bootstrap: Bootstrap


def confidence_block(rows: Iterable[CaseRow], *, seed: int = SEED, resamples: int = RESAMPLES) -> Json:
    """95 % confidence intervals of the headline figures.

    Percentile bootstrap: patients are drawn with replacement, all that is known of a drawn patient comes with them, and
    the figure is made anew of what was drawn. So frames of one patient, which are alike, do not count as independent.
    The share of something that no patient has, or every one, does not vary in any draw: its interval is Clopper and
    Pearson's of that many patients.

    Args:
        rows: of frames and patients, in any order; none at all gives {}.
        seed: of the draws; the same seed and rows give the same intervals.
        resamples: number of draws.

    Returns:
        {key: {`estimate`, `low`, `high`, `n` (values), `patients`}}, NaN where not defined: `low` and `high` of fewer
        than two patients, all of them of no value. Keys, each only where there are such rows; U is mm, or px where the
        pitch is unknown:

        - `dice.LV`, `surface_dice.LV`, `mean_absolute_distance.LV_U`, `hausdorff.LV_U`, `hausdorff95.LV_U`: means, of
          each structure; `dice.LV.ED`, `dice.LV.ES`; `pixel_accuracy`;
        - `hinge.distance_U.median`, `hinge.distance_U.mean` of the Euclidean errors of both points,
          `hinge.row_U.median_absolute`, `hinge.col_U.median_absolute`; `annulus.mae_U`, `annulus.bias_U` (mean),
          `annulus.median_bias_U`; each also with `_calibrated`; `hinge.distance_U.median.A4C-ED`,
          `annulus.mae_U.A4C-ED`, `annulus.median_bias_U.A4C-ED` … of one view and phase;
        - `hinge_constructed.distance_U.median` where the truth is constructed; `hinge.failed_share`: frames without
          hinge errors;
        - of short-axis slices and volumes `dice_volume.LV`, `hausdorff.LV_U.median`, `hausdorff_volume.LV_mm.median`;
        - `clinical.edv.r`, `clinical.edv.bias` (mean), `clinical.edv.mae`, likewise of `esv` and `ef`, and
          `clinical_la.lav_es.r`, `clinical_rv.edv.r`, `clinical_mass.mass_ed.r` …;
        - `localisation.iou`, `localisation.out_share`; `outliers.geometric`, `outliers.anatomical`, `outliers.both`:
          share of the patients judged.

    Source: B. Efron, R. Tibshirani: An Introduction to the Bootstrap (1993), §13.3 (percentile interval); C. Clopper,
    E. Pearson: Biometrika 26 (1934), 404–413. Deviation: the papers give no intervals.
    """
    index = _by_metric(rows)
    figures = [*_outlines(index), *_hinge_points(index), *_diameters(index), *_volumes(index), *_shares(index)]
    return {figure.key: _entry(figure, seed, resamples) for figure in figures}


def share(values: Array, groups: Sequence[str], *, level: float, resamples: int, seed: int) -> Interval:
    """The share of ones among zeros and ones; Clopper and Pearson's interval over the groups where all are the same."""
    found = bootstrap_mean(values, groups, level=level, resamples=resamples, seed=seed)
    if not len(values) or np.ptp(values):
        return found
    # With none (or all) of N, one end is the value itself, and the other solves (1 - p)^N = (1 - level) / 2.
    reach = 1 - ((1 - level) / 2) ** (1 / len(set(groups)))
    return Interval(found.estimate, 1 - reach, 1.0) if values[0, 0] else Interval(found.estimate, 0.0, reach)


def _outlines(index: Index) -> Iterator[Figure]:
    for structure, metric in index:
        rows = index[structure, metric]
        if structure == FRAME:
            if metric == PIXEL_ACCURACY:
                yield _figure(metric, _values(rows), bootstrap_mean)
        elif metric in OVERLAPS:
            yield _figure(f"{metric}.{structure}", _values(rows), bootstrap_mean)
            for phase in Phase if metric == "dice" else ():
                of_phase = [row for row in rows if row.phase == phase.value]
                if of_phase:
                    yield _figure(f"{metric}.{structure}.{phase.value}", _values(of_phase), bootstrap_mean)
        elif metric in DISTANCES:
            for unit, of_unit in _by_unit(rows).items():
                yield _figure(f"{metric}.{structure}_{unit}", _values(of_unit), bootstrap_mean)
                if metric == "hausdorff" and rows[0].view == View.SAX.value:
                    yield _figure(f"{metric}.{structure}_{unit}.median", _values(of_unit), bootstrap_median)
        elif metric == "dice" + VOLUME:
            yield _figure(f"{metric}.{structure}", _values(rows), bootstrap_mean)
        elif metric == "hausdorff" + VOLUME:
            yield _figure(f"{metric}.{structure}_mm.median", _values(rows), bootstrap_median)


def _hinge_points(index: Index) -> Iterator[Figure]:
    for state in ("", CALIBRATED):
        distances = _of_annulus(index, [f"{point}_error{state}" for point in POINTS])
        key = f"hinge.distance_{{unit}}.median{state}"
        figures = _pooled if state else _and_subgroups
        yield from figures(distances, key, bootstrap_median)
        yield from _pooled(distances, f"hinge.distance_{{unit}}.mean{state}", bootstrap_mean)
        for axis in ("row", "col"):
            errors = _of_annulus(index, [f"{point}_{axis}_error{state}" for point in POINTS])
            key = f"hinge.{axis}_{{unit}}.median_absolute{state}"
            yield from _pooled(errors, key, bootstrap_median, absolute=True)
    truth = _of_annulus(index, [f"{point}_error{CONSTRUCTED}" for point in POINTS])
    yield from _pooled(truth, "hinge_constructed.distance_{unit}.median", bootstrap_median)


def _diameters(index: Index) -> Iterator[Figure]:
    for state in ("", CALIBRATED):
        errors = _of_annulus(index, [f"annulus_diameter_error{state}"])
        figures = _pooled if state else _and_subgroups
        yield from figures(errors, f"annulus.mae_{{unit}}{state}", bootstrap_mean, absolute=True)
        yield from figures(errors, f"annulus.median_bias_{{unit}}{state}", bootstrap_median)
        yield from _pooled(errors, f"annulus.bias_{{unit}}{state}", bootstrap_mean)


def _volumes(index: Index) -> Iterator[Figure]:
    for block, (structure, quantities) in VOLUMES.items():
        for quantity in quantities:
            target = {row.case: row for row in index.get((structure, f"{quantity}_reference"), ())}
            measured = index.get((structure, f"{quantity}_predicted"), ())
            if not target or not measured:
                continue
            pairs = [(target[row.case].value, row.value, row.patient) for row in measured if row.case in target]
            there = [pair for pair in pairs if pair[0] is not None and pair[1] is not None]
            values = np.array([pair[:2] for pair in there], dtype=np.float64).reshape(-1, 2)
            patients = [pair[2] for pair in there]
            errors = values[:, 1:] - values[:, :1]
            correlation = partial(bootstrap_interval, statistic=_correlation)
            yield Figure(f"{block}.{quantity}.r", values, patients, correlation)
            yield Figure(f"{block}.{quantity}.bias", errors, patients, bootstrap_mean)
            yield Figure(f"{block}.{quantity}.mae", np.abs(errors), patients, bootstrap_mean)


def _shares(index: Index) -> Iterator[Figure]:
    if (BOX, BOX_IOU) in index:
        yield _figure("localisation.iou", _values(index[BOX, BOX_IOU]), bootstrap_mean)
        yield _figure("localisation.out_share", _values(index.get((BOX, BOX_OUT), ())), share)
    frames = index.get((ANNULUS, "amvl_error"), ())
    if frames and not any(row.status in NOT_FOUND_BY_NETWORK for row in frames):
        yield _figure("hinge.failed_share", [(float(row.value is None), row.patient) for row in frames], share)
    flags = {name: _values(index[OUTLIER, name]) for name in OUTLIERS if (OUTLIER, name) in index}
    for name, values in flags.items():
        yield _figure(f"outliers.{name}", values, share)
    if len(flags) == len(OUTLIERS):
        first, second = ({patient: value for value, patient in values} for values in flags.values())
        both = [(value * second[patient], patient) for patient, value in first.items() if patient in second]
        yield _figure("outliers.both", both, share)


def _of_annulus(index: Index, metrics: Sequence[str]) -> list[CaseRow]:
    """The rows of one metric, or of several pooled; none of a network that finds no hinge points."""
    rows = (row for metric in metrics for row in index.get((ANNULUS, metric), ()))
    return [row for row in rows if row.status not in NOT_FOUND_BY_NETWORK]


def _pooled(rows: Sequence[CaseRow], key: str, bootstrap: Bootstrap, *, absolute: bool = False) -> Iterator[Figure]:
    """A figure of all frames, in each unit that there is."""
    for unit, of_unit in _by_unit(rows).items():
        yield _figure(key.format(unit=unit), _values(of_unit, absolute=absolute), bootstrap)


def _and_subgroups(
    rows: Sequence[CaseRow], key: str, bootstrap: Bootstrap, *, absolute: bool = False
) -> Iterator[Figure]:
    """A figure of all frames, and of those of each view and phase."""
    yield from _pooled(rows, key, bootstrap, absolute=absolute)
    groups: defaultdict[str, list[CaseRow]] = defaultdict(list)
    for row in rows:
        groups[subgroup(row)].append(row)
    for group in sorted(set(groups) - {POOLED}):
        yield from _pooled(groups[group], f"{key}.{group}", bootstrap, absolute=absolute)


def _figure(key: str, values: Sequence[tuple[float, str]], bootstrap: Bootstrap) -> Figure:
    array = np.array([value for value, _ in values], dtype=np.float64).reshape(-1, 1)
    return Figure(key, array, [patient for _, patient in values], bootstrap)


def _entry(figure: Figure, seed: int, resamples: int) -> Json:
    n, patients = len(figure.values), len(set(figure.patients))
    found = Interval(math.nan, math.nan, math.nan)
    if n:
        found = figure.bootstrap(figure.values, figure.patients, level=LEVEL, resamples=resamples, seed=seed)
    return {"estimate": found.estimate, "low": found.low, "high": found.high, "n": n, "patients": patients}


def _correlation(pairs: Array) -> float:
    return agreement.pearson_r(pairs[:, 0], pairs[:, 1])


def _values(rows: Sequence[CaseRow], *, absolute: bool = False) -> list[tuple[float, str]]:
    """The values that there are, each with its patient."""
    return [(abs(row.value) if absolute else row.value, row.patient) for row in rows if row.value is not None]


def _by_unit(rows: Sequence[CaseRow]) -> dict[str, list[CaseRow]]:
    units: dict[str, list[CaseRow]] = {}
    for row in rows:
        units.setdefault(row.unit, []).append(row)
    return units


def _by_metric(rows: Iterable[CaseRow]) -> Index:
    index: dict[tuple[str, str], list[CaseRow]] = {}
    for row in rows:
        index.setdefault((row.structure, row.metric), []).append(row)
    return index
