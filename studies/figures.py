"""Functions that take one figure of a paper's table from an evaluation: what a plan's columns are made of."""

import math
from collections.abc import Callable

import numpy as np

from metrics import agreement
from reports.evaluation_folder import ALL, ANNULUS, Evaluation, Row, Series

Figure = Callable[[Evaluation], float]
"""An evaluation folder → a figure; NaN where it was not measured."""

Patients = Callable[[Evaluation], frozenset[str]]
"""An evaluation folder → the patients that are left out."""

POOR = 1.0  # grade of image_quality


def everyone(evaluation: Evaluation) -> frozenset[str]:  # noqa: ARG001  the others look
    """Leaves out no patient."""
    return frozenset()


def poor_images(evaluation: Evaluation) -> frozenset[str]:
    """Leaves out patients with a frame of poor quality; those whose quality is unknown stay.

    Source: lu_net paper §V-B (406 of 500 patients).
    """
    grades = evaluation.rows_of("image_quality", structure="FRAME")
    return frozenset(row.patient for row in grades if row.value <= POOR)


def mean_of(
    structure: str,
    metric: str,
    *,
    unit: str = "ratio",
    without: Patients = everyone,
    absolute: bool = False,
    subgroup: str = ALL,
    phase: str | None = None,
) -> Figure:
    """The mean of a metric over the frames; NaN where it is in another unit (px for mm).

    Args:
        structure: of the rows of cases.csv.
        metric: of them.
        unit: of them.
        without: whom to leave out.
        absolute: of the absolute values.
        subgroup: `A4C-ED` or `all`.
        phase: `ED` or `ES`; None takes both.
    """

    def figure(evaluation: Evaluation) -> float:
        series = evaluation.series(
            metric, structure=structure, subgroup=subgroup, where=_kept(evaluation, without, phase)
        )
        if series.unit != unit:
            return math.nan
        return agreement.mean(np.abs(series.values) if absolute else series.values)

    return figure


def median_of(
    *metrics: str, structure: str = ANNULUS, unit: str = "mm", absolute: bool = False, subgroup: str = ALL
) -> Figure:
    """The median of one metric, or of several pooled, over the frames of a subgroup."""

    def figure(evaluation: Evaluation) -> float:
        series = evaluation.series(*metrics, structure=structure, subgroup=subgroup)
        if series.unit != unit:
            return math.nan
        return agreement.percentiles(np.abs(series.values) if absolute else series.values).median

    return figure


def of_volumes(quantity: str, compare: Callable[[Series, Series], float], *, without: Patients = everyone) -> Figure:
    """How the predicted `edv`, `esv` or `ef` of the patients agrees with the reference's, two views each.

    Args:
        quantity: as named.
        compare: (reference, prediction) → figure, e.g. `correlation`.
        without: whom to leave out.
    """

    def figure(evaluation: Evaluation) -> float:
        reference, prediction = evaluation.pairs(
            f"{quantity}_reference",
            f"{quantity}_predicted",
            structure="LV",
            where=_kept(evaluation, without, None),
        )
        return compare(reference, prediction)

    return figure


def correlation(reference: Series, prediction: Series) -> float:
    """Pearson's."""
    return agreement.pearson_r(reference.values, prediction.values)


def bias(reference: Series, prediction: Series) -> float:
    """Mean of prediction − reference."""
    return agreement.bland_altman(reference.values, prediction.values).bias


def limits(reference: Series, prediction: Series) -> float:
    """Half-width of the limits of agreement."""
    return agreement.bland_altman(reference.values, prediction.values).limits_of_agreement


def absolute_error(reference: Series, prediction: Series) -> float:
    """Mean of |prediction − reference|."""
    return agreement.mean_absolute_error(reference.values, prediction.values)


def in_percent(figure: Figure) -> Figure:
    """A share as a percentage."""
    return lambda evaluation: 100.0 * figure(evaluation)


def _kept(evaluation: Evaluation, without: Patients, phase: str | None) -> Callable[[Row], bool]:
    left_out = without(evaluation)
    return lambda row: row.patient not in left_out and phase in (None, row.phase)
