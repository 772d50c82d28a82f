"""Which cases a report shows: the best, the median, the worst, and those that failed."""

from collections.abc import Iterable
from dataclasses import dataclass

from evaluation.hinge_points import POINTS
from evaluation.rows import OK, CaseRow, annulus_rows_by_case

SHOWN_FAILURES = 6


@dataclass(frozen=True)
class ShownCase:
    """A case to draw.

    Attributes:
        case: its id.
        kind: `best`, `median`, `worst` or `failed`.
        hinge_error: mean Euclidean error of its two hinge points in `unit`; None for a failed one.
        unit: `mm` or `px`.
        status: `ok`, or why there is no error.
    """

    case: str
    kind: str
    hinge_error: float | None
    unit: str
    status: str

    @property
    def caption(self) -> str:
        """For the picture's legend."""
        if self.hinge_error is None:
            return f"{self.case}: {self.status.replace('_', ' ')}"
        return f"{self.case}: mean hinge-point error {self.hinge_error:.1f} {self.unit}"


def shown_cases(rows: Iterable[CaseRow], *, each: int = 3) -> list[ShownCase]:
    """Up to `each` best, median and worst cases by mean hinge-point error, no case twice, and the first failures."""
    errors: list[tuple[float, str, str]] = []
    failed: list[ShownCase] = []
    for case, metrics in annulus_rows_by_case(rows).items():
        of_points = [metrics[f"{point}_error"] for point in POINTS]
        values = [row.value for row in of_points if row.value is not None]
        if len(values) == len(POINTS):
            errors.append((sum(values) / len(values), case, of_points[0].unit))
        else:
            status = next(row.status for row in of_points if row.status != OK)
            failed.append(ShownCase(case, "failed", None, of_points[0].unit, status))
    errors.sort()
    middle = max(0, (len(errors) - each) // 2)
    chosen = {
        "worst": range(max(0, len(errors) - each), len(errors)),
        "best": range(min(each, len(errors))),
        "median": range(middle, min(middle + each, len(errors))),
    }
    kinds: dict[int, str] = {}
    for kind, indices in chosen.items():
        for index in indices:
            kinds.setdefault(index, kind)
    shown = [ShownCase(errors[i][1], kind, errors[i][0], errors[i][2], OK) for i, kind in kinds.items()]
    order = ("best", "median", "worst")
    shown.sort(key=lambda case: (order.index(case.kind), case.hinge_error))
    return shown + failed[:SHOWN_FAILURES]
