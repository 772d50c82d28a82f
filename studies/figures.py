"""Functions that take one figure of a paper's table from an evaluation: what a plan's columns are made of."""

import dataclasses
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from evaluation.outliers import outliers_block, read_bounds
from evaluation.rows import EPI, FRAME, CaseRow
from metrics import agreement
from reports.evaluation_folder import ALL, ANNULUS, Evaluation, Row, Series


@dataclass(frozen=True)
class Measured:
    """A figure with what it is made of.

    Attributes:
        value: NaN where it was not measured.
        sd: standard deviation over the frames, of a mean over frames; NaN of anything else.
        n: frames or patients.
    """

    value: float
    sd: float = math.nan
    n: int = 0


NOTHING = Measured(math.nan)

Figure = Callable[[Evaluation], Measured]
"""An evaluation, or several pooled → a figure."""

Patients = Callable[[Evaluation], frozenset[str]]
"""An evaluation → the patients that are left out."""

POOR = 1.0  # grade of image_quality
BOUNDS = "bounds.json"
JUDGED = ("LV", EPI, FRAME)
"""Structures whose rows say whether a frame is an outlier."""


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
    """The mean of a metric over the frames, with its standard deviation; NaN where it is in another unit (px for mm).

    Args:
        structure: of the rows of cases.csv.
        metric: of them.
        unit: of them.
        without: whom to leave out.
        absolute: of the absolute values.
        subgroup: `A4C-ED` or `all`.
        phase: `ED` or `ES`; None takes both.
    """

    def figure(evaluation: Evaluation) -> Measured:
        series = evaluation.series(
            metric, structure=structure, subgroup=subgroup, where=_kept(evaluation, without, phase)
        )
        if series.unit != unit:
            return NOTHING
        values = np.abs(series.values) if absolute else series.values
        return Measured(agreement.mean(values), agreement.standard_deviation(values), series.n)

    return figure


def share_of(structure: str, flag: str) -> Figure:
    """The share of frames that have a flag, of those where it is known."""

    def figure(evaluation: Evaluation) -> Measured:
        series = evaluation.series(flag, structure=structure)
        return Measured(agreement.mean(series.values), n=series.n)

    return figure


def outliers_of(kind: str, *, without: Patients = everyone) -> Figure:
    """The share of frames that are outliers of a kind, by the bounds.json of the evaluation.

    Args:
        kind: `geometric`, `anatomical_shape` or `both_shape`, as in `outliers_block`.
        without: whom to leave out.

    Source: lu_net paper §IV-C. Its counts are of frames (Table IV: 240 are 12 % of 2000), so ours are.
    """

    def figure(evaluation: Evaluation) -> Measured:
        path = evaluation.folder / BOUNDS
        if not path.is_file():
            return NOTHING
        left_out = without(evaluation)
        rows = [
            CaseRow(**{**dataclasses.asdict(row), "value": row.value if math.isfinite(row.value) else None})
            for row in evaluation.rows
            if row.structure in JUDGED and row.patient not in left_out
        ]
        tally = outliers_block(rows, read_bounds(path))["frames"][kind]
        return NOTHING if tally["share"] is None else Measured(tally["share"], n=tally["judged"])

    return figure


def median_of(
    *metrics: str, structure: str = ANNULUS, unit: str = "mm", absolute: bool = False, subgroup: str = ALL
) -> Figure:
    """The median of one metric, or of several pooled, over the frames of a subgroup."""

    def figure(evaluation: Evaluation) -> Measured:
        series = evaluation.series(*metrics, structure=structure, subgroup=subgroup)
        if series.unit != unit:
            return NOTHING
        values = np.abs(series.values) if absolute else series.values
        return Measured(agreement.percentiles(values).median, n=series.n)

    return figure


def of_volumes(quantity: str, compare: Callable[[Series, Series], float], *, without: Patients = everyone) -> Figure:
    """How the predicted `edv`, `esv` or `ef` of the patients agrees with the reference's, two views each.

    Args:
        quantity: as named.
        compare: (reference, prediction) → figure, e.g. `correlation`.
        without: whom to leave out.
    """

    def figure(evaluation: Evaluation) -> Measured:
        reference, prediction = evaluation.pairs(
            f"{quantity}_reference",
            f"{quantity}_predicted",
            structure="LV",
            where=_kept(evaluation, without, None),
        )
        return Measured(compare(reference, prediction), n=reference.n)

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

    def percentage(evaluation: Evaluation) -> Measured:
        found = figure(evaluation)
        return dataclasses.replace(found, value=100.0 * found.value, sd=100.0 * found.sd)

    return percentage


def not_measured(evaluation: Evaluation) -> Measured:  # noqa: ARG001  whatever it is
    """Of a row whose figure we do not take."""
    return NOTHING


def _kept(evaluation: Evaluation, without: Patients, phase: str | None) -> Callable[[Row], bool]:
    left_out = without(evaluation)
    return lambda row: row.patient not in left_out and phase in (None, row.phase)
