import math

import pytest

from data_pipeline.sample import Phase, View
from evaluation.calibration import calibrated_rows, calibration_from_rows, in_sample_calibration
from evaluation.rows import CALIBRATED, CALIBRATED_IN_SAMPLE
from postprocessing.calibration import Calibration
from tests.evaluation.drawn import by_metric, labels, measured, prediction, rows_of, sample, truth, values


def calibration_of(bias, unit="mm"):
    return Calibration(bias={"all": bias}, n={"all": 9}, unit=unit, fitted_on="validation")


def test_calibration_takes_the_bias_off_the_prediction_alone():
    calibration = calibration_of((0.5, -1.0, 0.0, 2.0))
    rows = rows_of(sample(labels(), truth=truth()), prediction(shift_amvl=(2, -3)), calibration=calibration)
    found = values(rows)
    # Errors before: amvl 1 and −6 mm, pmvl 0; after: 0.5 and −5, 0 and −2.
    assert found["amvl_row_error_calibrated"] == pytest.approx(0.5)
    assert found["amvl_col_error_calibrated"] == pytest.approx(-5.0)
    assert found["pmvl_col_error_calibrated"] == pytest.approx(-2.0)
    assert found["pmvl_error_calibrated"] == pytest.approx(2.0)
    assert found["amvl_col_predicted_calibrated"] == pytest.approx(found["amvl_col_predicted"] + 1.0)
    # Columns 14 and 37 mm, rows 10.25 and 9.75 mm.
    assert found["annulus_diameter_predicted_calibrated"] == pytest.approx(math.hypot(23.0, 0.5))
    assert found["annulus_diameter_error_calibrated"] == pytest.approx(math.hypot(23.0, 0.5) - 20)
    assert found["annulus_diameter_reference_calibrated"] == found["annulus_diameter_reference"]
    assert found["amvl_col_error_constructed_calibrated"] == pytest.approx(found["amvl_col_error_constructed"] + 1.0)
    assert found["amvl_row_error"] == 1.0


def test_without_a_calibration_or_with_one_in_another_unit_the_rows_are_there_without_value():
    without = by_metric(rows_of(sample(labels()), prediction()))
    assert without["amvl_row_error_calibrated"].status == "no_calibration"
    in_mm = calibration_of((0.5, -1.0, 0.0, 2.0))
    in_px = rows_of(sample(labels(), spacing_mm=None), prediction(), calibration=in_mm)
    assert by_metric(in_px)["amvl_row_error_calibrated"].status == "calibration_unit_differs"
    fitting = rows_of(
        sample(labels(), spacing_mm=None), prediction(), calibration=calibration_of((0.5, -1.0, 0.0, 2.0), unit="px")
    )
    assert values(fitting)["amvl_row_error_calibrated"] == pytest.approx(-0.5)


def test_in_sample_calibration_is_the_median_of_the_very_errors():
    # Row errors of amvl in mm: 0.5, 1, 3 (median 1); the fourth frame fails and takes no part.
    rows = []
    for number, shift in enumerate((1, 2, 6)):
        rows += rows_of(sample(labels(), patient=f"p{number}"), prediction(shift_amvl=(shift, 0)))
    rows += rows_of(sample(labels(), patient="p3"), measured(labels(touching=False)))
    calibration = in_sample_calibration(rows)
    assert (calibration.unit, calibration.fitted_on, calibration.n["A4C-ED"]) == ("mm", "in_sample", 3)
    added = calibrated_rows(rows, calibration, suffix=CALIBRATED_IN_SAMPLE)
    errors = {row.case: row for row in added if row.metric == "amvl_row_error_calibrated_in_sample"}
    assert [errors[f"p{number}_4CH_ED"].value for number in range(3)] == pytest.approx([-0.5, 0.0, 2.0])
    assert errors["p3_4CH_ED"].status == "no_contact_line"
    in_each_frame = {row.metric for row in rows if row.metric.endswith(CALIBRATED)}
    assert {row.metric for row in added} == {metric + "_in_sample" for metric in in_each_frame}


def test_calibration_by_subgroup_unknown_view_and_phase():
    rows = []
    for number in range(5):
        shifted = prediction(shift_amvl=(2, 0))
        rows += rows_of(sample(labels(), patient=f"es{number}", phase=Phase.ES), shifted)
        rows += rows_of(sample(labels(), patient=f"ed{number}"), prediction())
    rows += rows_of(sample(labels(), patient="no_view", view=None, phase=None), prediction())
    rows += rows_of(sample(labels(), patient="no_phase", view=View.A2C, phase=None), prediction())
    calibration = calibration_from_rows(rows, fitted_on="validation")
    assert calibration.fitted_on == "validation"
    assert calibration.bias["A4C-ES"][0] == pytest.approx(1.0)
    assert calibration.bias["A4C-ED"][0] == pytest.approx(0.0)
    assert (calibration.n["all"], calibration.n["A2C"]) == (12, 1)
    added = calibrated_rows(rows, calibration, suffix=CALIBRATED)
    errors = {row.case: row.value for row in added if row.metric == "amvl_row_error_calibrated"}
    assert errors["es0_4CH_ES"] == pytest.approx(0.0)
    assert errors["no_view"] == pytest.approx(0.0)


def test_nothing_to_fit_a_calibration_on():
    assert in_sample_calibration([]) is None
    unlabelled = rows_of(sample(None), prediction())
    assert in_sample_calibration(unlabelled) is None
    added = by_metric(calibrated_rows(unlabelled, None, suffix=CALIBRATED_IN_SAMPLE))
    assert added["annulus_diameter_predicted_calibrated_in_sample"].status == "no_calibration"


def test_px_frames_do_not_mix_with_mm_frames_in_a_calibration():
    rows = rows_of(sample(labels(), patient="mm"), prediction(shift_amvl=(2, 0)))
    rows += rows_of(sample(labels(), patient="px", spacing_mm=None), prediction(shift_amvl=(9, 0)))
    calibration = in_sample_calibration(rows)
    assert (calibration.unit, calibration.n["all"]) == ("mm", 1)
    assert in_sample_calibration([row for row in rows if row.case.startswith("px")]).bias["all"][0] == 9.0


def test_a_case_twice_is_refused():
    rows = rows_of(sample(labels()), prediction())
    with pytest.raises(ValueError, match="each metric of a case once"):
        in_sample_calibration(rows + rows)
