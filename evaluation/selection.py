"""Which cases a report shows: those that failed, the worst, the median, the best."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from data_pipeline.sample import View
from evaluation.boxes import BOX_IOU
from evaluation.hinge_points import POINTS
from evaluation.rows import ANNULUS, BOX, EPI, NOT_FOUND_BY_NETWORK, OK, UNDEFINED, CaseRow

SHOWN_FAILURES = 6


@dataclass(frozen=True)
class ShownCase:
    """A case to draw.

    Attributes:
        case: its id.
        kind: `best`, `median`, `worst` or `failed`.
        measure: what it was chosen by: `mean hinge-point error`, or of a network that finds none `mean Dice`, or of one
            that only locates `box IOU`.
        value: of that measure; None for a failed one.
        unit: `mm`, `px` or `ratio`.
        status: `ok`, or why there is no value.
    """

    case: str
    kind: str
    measure: str
    value: float | None
    unit: str
    status: str

    @property
    def hinge_error_mm(self) -> float | None:
        """Mean Euclidean error of the two hinge points, where that is what was measured, and in mm."""
        return self.value if self.measure == HINGE_ERROR and self.unit == "mm" else None

    @property
    def badness(self) -> float:
        """The value so that less is better: an error as it is, a ratio from 1 down."""
        value = np.nan if self.value is None else self.value
        return 1 - value if self.unit == "ratio" else value

    @property
    def caption(self) -> str:
        """For the picture's legend."""
        if self.value is None:
            return f"{self.case}: {self.status.replace('_', ' ')}"
        figure = f"{self.value:.3f}" if self.unit == "ratio" else f"{self.value:.1f} {self.unit}"
        return f"{self.case}: {self.measure} {figure}"


HINGE_ERROR, MEAN_DICE, LOCATED = "mean hinge-point error", "mean Dice", "box IOU"


def shown_cases(rows: Iterable[CaseRow], *, each: int = 3) -> list[ShownCase]:
    """The first failures, and up to `each` worst, median and best cases: the very worst first, no case twice.

    They are ranked by the mean error of the two hinge points; where the network finds none, by the mean Dice of its
    structures; where it outlines nothing, by the overlap of its box.
    """
    cases: dict[str, list[CaseRow]] = {}
    for row in rows:
        cases.setdefault(row.case, []).append(row)
    judged = [shown for case, of_case in cases.items() if (shown := _judged(case, of_case)) is not None]
    measured = sorted((item for item in judged if item.value is not None), key=lambda item: (item.badness, item.case))
    middle = max(0, (len(measured) - each) // 2)
    chosen = {
        "worst": range(max(0, len(measured) - each), len(measured)),
        "best": range(min(each, len(measured))),
        "median": range(middle, min(middle + each, len(measured))),
    }
    kinds: dict[int, str] = {}
    for kind, indices in chosen.items():
        for index in indices:
            kinds.setdefault(index, kind)
    order = ("worst", "median", "best")
    ranked = sorted(kinds, key=lambda i: (order.index(kinds[i]), -i if kinds[i] == "worst" else i))
    failures = [item for item in judged if item.value is None][:SHOWN_FAILURES]
    return failures + [replace(measured[i], kind=kinds[i]) for i in ranked]


def _judged(case: str, rows: Sequence[CaseRow]) -> ShownCase | None:
    """A case with the mean of what it is ranked by; None for what is no frame, or a slice without heart."""
    by_metric: Mapping[tuple[str, str], CaseRow] = {(row.structure, row.metric): row for row in rows}
    hinge = [by_metric[ANNULUS, f"{point}_error"] for point in POINTS if (ANNULUS, f"{point}_error") in by_metric]
    if not hinge:
        return None
    if hinge[0].status not in NOT_FOUND_BY_NETWORK:
        return _mean_of(case, HINGE_ERROR, hinge)
    dices = [row for (structure, metric), row in by_metric.items() if metric == "dice" and structure != EPI]
    if dices and dices[0].view == View.SAX.value and all(row.status == UNDEFINED for row in dices):
        return None  # beyond base or apex, and nothing was found there: no failure, and nothing to see
    if dices:
        return _mean_of(case, MEAN_DICE, [row for row in dices if row.value is not None] or dices)
    box = by_metric.get((BOX, BOX_IOU))
    return _mean_of(case, LOCATED, [box]) if box else _mean_of(case, HINGE_ERROR, hinge)


def _mean_of(case: str, measure: str, rows: Sequence[CaseRow]) -> ShownCase:
    values = [row.value for row in rows if row.value is not None]
    if len(values) < len(rows):
        status = next(row.status for row in rows if row.status != OK)
        return ShownCase(case, "failed", measure, None, rows[0].unit, status)
    return ShownCase(case, "", measure, float(np.mean(values)), rows[0].unit, OK)
