import json
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from postprocessing.calibration import COORDINATES, MIN_CASES, Calibration, fit_calibration
from postprocessing.hinge_points import HingePoints

POINTS = HingePoints(amvl=(100.0, 200.0), pmvl=(110.0, 300.0))
SPACING_MM = (0.3, 0.1)


def errors_of(bias: tuple[float, float, float, float], count: int) -> np.ndarray:
    """`count` errors whose median is `bias`: one at it, the others in pairs about it, one wild."""
    errors = np.tile(np.array(bias), (count, 1))
    errors[0 : count // 2] -= np.arange(1, count // 2 + 1)[:, None]
    errors[-(count // 2) :] += 100.0
    return errors


def test_median_of_each_subgroup_and_coordinate() -> None:
    calibration = fit_calibration(
        {"A4C-ED": errors_of((0.5, -0.3, 1.0, 2.0), 7), "A2C-ES": errors_of((-1.0, 0.0, 0.25, 0.0), 5)},
        "mm",
        "validation",
    )
    assert calibration.bias["A4C-ED"] == (0.5, -0.3, 1.0, 2.0)
    assert calibration.bias["A2C-ES"] == (-1.0, 0.0, 0.25, 0.0)
    assert calibration.n == {"A4C-ED": 7, "A4C": 7, "A2C-ES": 5, "A2C": 5, "all": 12}


def test_bias_in_mm_is_subtracted_with_each_frame_s_own_pitch() -> None:
    calibration = fit_calibration({"A4C-ED": np.tile((0.6, -0.3, 0.9, 1.0), (5, 1))}, "mm", "validation")
    points = calibration.apply(POINTS, "A4C", "ED", SPACING_MM)
    assert points.amvl == pytest.approx((100 - 2, 200 + 3))
    assert points.pmvl == pytest.approx((110 - 3, 300 - 10))


def test_bias_in_px_needs_no_pitch() -> None:
    calibration = fit_calibration({"A4C-ED": np.tile((2.0, -1.0, 0.0, 4.0), (5, 1))}, "px", "in_sample")
    for spacing_mm in (None, SPACING_MM):
        points = calibration.apply(POINTS, "A4C", "ED", spacing_mm)
        assert (points.amvl, points.pmvl) == ((98.0, 201.0), (110.0, 296.0))


def test_small_subgroups_fall_back_to_their_view_and_then_to_all() -> None:
    calibration = fit_calibration(
        {
            "A4C-ED": np.tile((1.0, 0.0, 0.0, 0.0), (MIN_CASES, 1)),
            "A4C-ES": np.tile((3.0, 0.0, 0.0, 0.0), (MIN_CASES - 1, 1)),
            "A2C-ED": np.tile((9.0, 0.0, 0.0, 0.0), (MIN_CASES - 1, 1)),
        },
        "px",
        "validation",
    )
    assert calibration.subgroup("A4C", "ED") == "A4C-ED"
    assert calibration.subgroup("A4C", "ES") == "A4C"
    assert calibration.subgroup("A2C", "ED") == "all"
    assert calibration.subgroup("A3C", "ED") == "all"
    assert calibration.subgroup("A4C", None) == "A4C"
    assert calibration.subgroup(None, None) == calibration.subgroup(None, "ED") == "all"
    assert calibration.n["A2C-ED"] == MIN_CASES - 1
    assert calibration.apply(POINTS, "A4C", "ES", None).amvl == (99.0, 200.0)  # five times 1, four times 3


def test_cases_of_unknown_phase_or_view_are_pooled() -> None:
    calibration = fit_calibration(
        {"A4C": np.tile((1.0, 1.0, 1.0, 1.0), (5, 1)), "all": np.tile((2.0, 2.0, 2.0, 2.0), (2, 1))}, "px", "validation"
    )
    assert calibration.n == {"A4C": 5, "all": 7}


def test_one_case_is_enough_for_all() -> None:
    calibration = fit_calibration({"A4C-ED": [[1.0, 2.0, 3.0, 4.0]], "A2C-ED": []}, "px", "validation")
    assert calibration.bias == {"all": (1.0, 2.0, 3.0, 4.0)}
    assert calibration.n["A2C-ED"] == 0


@settings(max_examples=50, deadline=None)
@given(
    errors=arrays(np.float64, (9, 4), elements=st.floats(-50, 50, width=32)),
    pitch=st.tuples(st.floats(0.1, 1), st.floats(0.1, 1)),
)
def test_calibrated_errors_have_no_median(errors: np.ndarray, pitch: tuple[float, float]) -> None:
    calibration = fit_calibration({"A2C-ES": errors}, "mm", "in_sample")
    left = []
    for error in errors:
        measured = HingePoints(
            (POINTS.amvl[0] + error[0] / pitch[0], POINTS.amvl[1] + error[1] / pitch[1]),
            (POINTS.pmvl[0] + error[2] / pitch[0], POINTS.pmvl[1] + error[3] / pitch[1]),
        )
        points = calibration.apply(measured, "A2C", "ES", pitch)
        left.append(np.subtract([*points.amvl, *points.pmvl], [*POINTS.amvl, *POINTS.pmvl]) * [*pitch, *pitch])
    np.testing.assert_allclose(np.median(left, axis=0), 0, atol=1e-9)


def test_json_round_trip() -> None:
    generator = np.random.default_rng(0)
    calibration = fit_calibration(
        {"A4C-ED": generator.normal(size=(6, 4)), "A2C-ES": generator.normal(size=(3, 4))}, "mm", "validation"
    )
    values = json.loads(json.dumps(calibration.to_dict()))
    assert Calibration.from_dict(values) == calibration
    assert list(values["bias"]["A4C-ED"]) == list(COORDINATES)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"unit": "cm"}, "`unit` must be mm or px. Received: 'cm'"),
        ({"fitted_on": "test"}, "`fitted_on` must be validation or in_sample. Received: 'test'"),
        ({"bias": {}}, "`bias` must have the subgroup all"),
        ({"bias": {"all": {"amvl_row": 1.0}}}, "not a complete calibration"),
        ({"bias": {"all": dict.fromkeys(COORDINATES, float("nan"))}}, "`bias` must be finite"),
        ({"bias": None}, "not a complete calibration"),
        ({"n": {"all": "many"}}, "not a complete calibration"),
    ],
)
def test_damaged_file_is_named(change: dict[str, object], message: str) -> None:
    values = fit_calibration({"all": np.zeros((5, 4))}, "mm", "validation").to_dict() | change
    with pytest.raises(ValueError, match=f"^run/calibration.json: .*{re.escape(message)}"):
        Calibration.from_dict(values, "run/calibration.json")


@pytest.mark.parametrize(
    ("errors", "unit", "fitted_on", "message"),
    [
        ({}, "mm", "validation", "`errors` must have at least one case. Received: none"),
        ({"A4C-ED": []}, "mm", "validation", "at least one case"),
        ({"4CH_ED": [[0, 0, 0, 0]]}, "mm", "validation", "must be named like A4C-ED, A4C or all. Received: '4CH_ED'"),
        ({"A4C-ED": [[0, 0, 0]]}, "mm", "validation", "must be (n, 4)"),
        ({"A4C-ED": [[0, 0, 0, float("nan")]]}, "mm", "validation", "leave failed cases out"),
        ({"A4C-ED": [[0, 0, 0, 0]]}, "cm", "validation", "`unit` must be mm or px. Received: 'cm'"),
        ({"A4C-ED": [[0, 0, 0, 0]]}, "mm", "test", "`fitted_on` must be validation or in_sample. Received: 'test'"),
    ],
)
def test_what_cannot_be_fitted_is_refused(errors: dict, unit: str, fitted_on: str, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        fit_calibration(errors, unit, fitted_on)


@pytest.mark.parametrize(("spacing_mm", "message"), [(None, "Received: None"), ((0.3, 0.0), "two positive numbers")])
def test_bias_in_mm_needs_a_pitch(spacing_mm: tuple[float, float] | None, message: str) -> None:
    calibration = fit_calibration({"all": np.zeros((5, 4))}, "mm", "validation")
    with pytest.raises(ValueError, match=message):
        calibration.apply(POINTS, "A4C", "ED", spacing_mm)
