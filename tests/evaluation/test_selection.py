import numpy as np

from evaluation.predictions import load_prediction, save_prediction
from evaluation.rows import CaseRow
from evaluation.selection import shown_cases
from postprocessing.measurement import measure_labels


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


def test_best_median_worst_by_mean_error_and_the_failures():
    errors = {f"c{i}": float(i) + 2 for i in range(9)} | {"x1": None}
    shown = shown_cases(rows(errors), each=2)
    assert [(s.case, s.kind, s.hinge_error_mm) for s in shown] == [
        ("c0", "best", 2.0),
        ("c1", "best", 3.0),
        ("c3", "median", 5.0),
        ("c4", "median", 6.0),
        ("c7", "worst", 9.0),
        ("c8", "worst", 10.0),
        ("x1", "failed", None),
    ]
    assert shown[0].caption == "c0: mean hinge-point error 2.0 mm"
    assert shown[-1].caption == "x1: no contact line"


def test_no_case_is_shown_twice_when_there_are_few():
    assert [(s.case, s.kind) for s in shown_cases(rows({"c0": 2.0}))] == [("c0", "worst")]
    assert len(shown_cases(rows({f"c{i}": 2.0 + i for i in range(4)}))) == 4
    assert shown_cases([]) == []


def test_a_prediction_comes_back_as_it_was(tmp_path):
    labels = np.zeros((40, 60), np.uint8)
    labels[5:20, 20:40] = 1
    labels[20:35, 22:38] = 3
    measurement = measure_labels(labels, spacing_mm=(0.3, 0.15), anterior_side="left")
    save_prediction(tmp_path / "case.npz", measurement)
    again = load_prediction(tmp_path / "case.npz")
    np.testing.assert_array_equal(again.label_map, labels)
    np.testing.assert_array_equal(again.contact_line, measurement.contact_line.points)
    assert again.hinge_points == measurement.hinge_points


def test_a_prediction_without_contact_comes_back_so(tmp_path):
    measurement = measure_labels(np.zeros((8, 9), np.uint8), spacing_mm=None, anterior_side="left")
    save_prediction(tmp_path / "case.npz", measurement)
    again = load_prediction(tmp_path / "case.npz")
    assert again.contact_line is None
    assert again.hinge_points is None
    assert again.label_map.shape == (8, 9)
