from evaluation.rows import CaseRow
from evaluation.selection import shown_cases


def rows(errors: dict[str, float | None]) -> list[CaseRow]:
    """aMVL and pMVL errors of cases; the two points 1 mm below and above the mean."""
    return [
        CaseRow(
            case, case[:2], "A4C", "ED", "ANNULUS", metric, None if mean is None else mean + shift, "mm",
            "no_contact_line" if mean is None else "ok",
        )
        for case, mean in errors.items()
        for metric, shift in (("amvl_error", -1.0), ("pmvl_error", 1.0))
    ]  # fmt: skip


def test_the_failures_the_worst_median_and_best_by_mean_error():
    errors = {f"c{i}": float(i) + 2 for i in range(9)} | {"x1": None}
    shown = shown_cases(rows(errors), each=2)
    assert [(s.case, s.kind, s.hinge_error_mm) for s in shown] == [
        ("x1", "failed", None),
        ("c8", "worst", 10.0),
        ("c7", "worst", 9.0),
        ("c3", "median", 5.0),
        ("c4", "median", 6.0),
        ("c0", "best", 2.0),
        ("c1", "best", 3.0),
    ]
    assert shown[-2].caption == "c0: mean hinge-point error 2.0 mm"
    assert shown[0].caption == "x1: no contact line"


def test_no_case_is_shown_twice_when_there_are_few():
    assert [(s.case, s.kind) for s in shown_cases(rows({"c0": 2.0}))] == [("c0", "worst")]
    assert len(shown_cases(rows({f"c{i}": 2.0 + i for i in range(4)}))) == 4
    assert shown_cases([]) == []
