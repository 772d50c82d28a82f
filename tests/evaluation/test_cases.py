import math
from dataclasses import replace

import numpy as np
import pytest

from data_pipeline.sample import Phase, Structure, View
from evaluation.cases import (
    CALIBRATED,
    CALIBRATED_IN_SAMPLE,
    COLUMNS,
    CaseRow,
    calibrated_rows,
    calibration_from_rows,
    frame_rows,
    in_sample_calibration,
    read_cases,
    write_cases,
)
from postprocessing.calibration import Calibration
from shell.errors import UserError
from tests.evaluation.drawn import (
    ALL_FOUR,
    LV_LA,
    SHAPE,
    by_metric,
    labels,
    measured,
    prediction,
    sample,
    truth,
    values,
)


def rows_of(the_sample, the_prediction, *, structures=ALL_FOUR, calibration=None):
    return frame_rows(the_sample, the_prediction, structures=structures, anterior_side="left", calibration=calibration)


def calibration_of(bias, unit="mm"):
    return Calibration(bias={"all": bias}, n={"all": 9}, unit=unit, fitted_on="validation")


def test_structures_worked_by_hand():
    # The predicted LV lacks its first row of ten: TP 90, FN 10, FP 0 of 1280 pixels.
    predicted = labels()
    predicted[10, 10:20] = Structure.BACKGROUND
    rows = rows_of(sample(labels()), measured(predicted))
    lv = values(rows, "LV")
    assert lv["dice"] == pytest.approx(180 / 190)
    assert lv["iou"] == pytest.approx(0.9)
    assert lv["cpa"] == 1.0
    assert lv["sensitivity"] == pytest.approx(0.9)
    assert lv["specificity"] == 1.0
    assert lv["pixel_accuracy"] == pytest.approx(1270 / 1280)
    # Reference boundary: 36 pixels, its first row of ten is one row (0.5 mm) from the prediction's, the rest on it.
    # Prediction boundary: 34 pixels, of which the inner eight of its first row are 0.5 mm from the reference's.
    assert lv["mean_absolute_distance"] == pytest.approx((10 * 0.5 / 36 + 8 * 0.5 / 34) / 2)
    assert lv["hausdorff"] == pytest.approx(0.5)
    # EPI is LV and MYO together: 110 pixels, 100 found.
    assert values(rows, "EPI")["sensitivity"] == pytest.approx(100 / 110)
    assert values(rows, "MYO")["dice"] == 1.0
    assert values(rows, "LA")["hausdorff"] == 0.0
    assert by_metric(rows, "LV")["dice"].unit == "ratio"
    assert by_metric(rows, "LV")["hausdorff"].unit == "mm"
    assert {row.case for row in rows} == {"p1_4CH_ED"}
    assert {(row.view, row.phase, row.patient) for row in rows} == {("A4C", "ED", "p1")}


def test_classes_lv_la_have_neither_myo_nor_epi_and_their_reference_is_untouched_by_it():
    rows = rows_of(sample(labels()), prediction(), structures=LV_LA)
    assert {row.structure for row in rows} == {"LV", "LA", "ANNULUS", "FRAME"}
    assert values(rows, "LV")["dice"] == 1.0


def test_hinge_errors_are_prediction_minus_reference_in_mm():
    rows = rows_of(sample(labels()), prediction(shift_amvl=(2, -3), shift_pmvl=(-4, 1)))
    found = values(rows)
    # 2 rows of 0.5 mm, −3 columns of 2 mm; −4 rows, 1 column.
    assert (found["amvl_row_error"], found["amvl_col_error"]) == (1.0, -6.0)
    assert (found["pmvl_row_error"], found["pmvl_col_error"]) == (-2.0, 2.0)
    assert found["amvl_error"] == pytest.approx(math.sqrt(37))
    assert found["pmvl_error"] == pytest.approx(math.sqrt(8))
    assert (found["amvl_row_reference"], found["amvl_col_reference"]) == (9.75, 19.0)
    assert (found["pmvl_row_predicted"], found["pmvl_col_predicted"]) == (7.75, 41.0)
    # Reference: 10 columns of 2 mm. Prediction: 14 columns and −6 rows: 28 and 3 mm.
    assert found["annulus_diameter_reference"] == pytest.approx(20.0)
    assert found["annulus_diameter_predicted"] == pytest.approx(math.sqrt(28**2 + 3**2))
    assert found["annulus_diameter_error"] == pytest.approx(math.sqrt(28**2 + 3**2) - 20)
    assert {row.unit for row in rows if row.structure == "ANNULUS"} == {"mm"}


def test_the_diameter_is_the_one_that_postprocessing_measures():
    shifted = np.roll(labels(), (1, 2), (0, 1))
    shifted[20, 12:14] = Structure.BACKGROUND
    measurement = measured(shifted)
    found = values(rows_of(sample(labels()), measurement))
    assert found["annulus_diameter_predicted"] == pytest.approx(measurement.annulus_diameter)


def test_unknown_spacing_gives_pixels_labelled_px():
    rows = rows_of(sample(labels(), spacing_mm=None), prediction(shift_amvl=(2, -3)))
    found = by_metric(rows)
    assert (found["amvl_row_error"].value, found["amvl_col_error"].value) == (2.0, -3.0)
    assert {row.unit for row in rows} == {"ratio", "px", "flag"}


def test_a_prediction_without_contact_line_fails_by_name_and_drops_no_row():
    rows = rows_of(sample(labels(), truth=truth()), measured(labels(touching=False)))
    whole = rows_of(sample(labels(), truth=truth()), prediction())
    assert [(row.structure, row.metric, row.unit) for row in rows] == [
        (row.structure, row.metric, row.unit) for row in whole
    ]
    found = by_metric(rows)
    for metric in ("amvl_row_error", "amvl_error", "annulus_diameter_predicted", "pmvl_col_predicted"):
        assert (found[metric].value, found[metric].status) == (None, "no_contact_line"), metric
    for metric in ("amvl_row_error_constructed", "amvl_error_calibrated", "annulus_diameter_predicted_calibrated"):
        assert (found[metric].value, found[metric].status) == (None, "no_contact_line"), metric
    for metric in ("annulus_diameter_reference", "amvl_error_reference_vs_constructed"):
        assert found[metric].status == "ok", metric


def test_a_reference_without_contact_line_is_named_apart():
    found = by_metric(rows_of(sample(labels(touching=False), truth=truth()), prediction()))
    for metric in ("amvl_row_reference", "amvl_error", "annulus_diameter_error", "amvl_error_reference_vs_constructed"):
        assert (found[metric].value, found[metric].status) == (None, "no_reference_contact_line"), metric
    assert found["annulus_diameter_predicted"].value == 20.0
    assert found["amvl_error_constructed"].status == "ok"


def test_where_both_lack_it_each_says_so_and_the_error_lacks_its_reference():
    found = by_metric(rows_of(sample(labels(touching=False)), measured(labels(touching=False))))
    assert found["amvl_row_predicted"].status == "no_contact_line"
    assert found["amvl_error"].status == "no_reference_contact_line"


def test_an_unlabelled_frame_is_measured_and_not_judged():
    rows = rows_of(sample(None), prediction())
    judged = rows_of(sample(labels()), prediction())
    assert {(row.structure, row.metric) for row in rows} == {
        (row.structure, row.metric)
        for row in judged
        if not row.metric.endswith("_reference") or row.structure != "FRAME"
    }
    assert {row.status for row in rows if row.structure in ("LV", "MYO", "LA", "EPI")} == {"no_reference"}
    found = by_metric(rows)
    assert found["amvl_error"].status == "no_reference"
    assert found["annulus_diameter_predicted"].value == 20.0


def test_an_undefined_metric_says_so():
    empty = np.zeros(SHAPE, dtype=np.uint8)
    found = by_metric(rows_of(sample(empty), measured(empty)), "LV")
    assert (found["dice"].value, found["dice"].status) == (None, "undefined")
    assert found["hausdorff"].status == "undefined"
    assert found["pixel_accuracy"].value == 1.0
    missed = by_metric(rows_of(sample(labels()), measured(empty)), "LV")
    assert (missed["dice"].value, missed["dice"].status) == (0.0, "ok")
    assert missed["cpa"].status == "undefined"
    assert missed["mean_absolute_distance"].status == "undefined"


def test_errors_against_the_constructed_points():
    # Truth: amvl (19, 10), pmvl (20, 19); prediction on the reference, (19.5, 9.5) and (19.5, 19.5).
    found = values(rows_of(sample(labels(), truth=truth()), prediction(shift_amvl=(1, 0))))
    assert (found["amvl_row_constructed"], found["amvl_col_constructed"]) == (9.5, 20.0)
    assert (found["amvl_row_error_constructed"], found["amvl_col_error_constructed"]) == (0.75, -1.0)
    assert (found["pmvl_row_error_constructed"], found["pmvl_col_error_constructed"]) == (-0.25, 1.0)
    assert found["amvl_row_error_reference_vs_constructed"] == 0.25
    assert found["amvl_error_reference_vs_constructed"] == pytest.approx(math.hypot(0.25, 1.0))
    assert found["annulus_diameter_constructed"] == pytest.approx(math.hypot(0.5, 18.0))
    assert found["annulus_diameter_error_reference_vs_constructed"] == pytest.approx(20 - math.hypot(0.5, 18.0))


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


def test_flags_and_quality():
    cut = labels()
    cut[20:, 10:20] = Structure.LA  # down to the image's edge
    the_sample = sample(cut, truth=truth(la_cut=True), quality="Poor")
    found = values(rows_of(the_sample, prediction(flags=("several_contact_segments",))), "FRAME")
    assert found["several_contact_segments"] == 1
    assert found["one_pixel_contact"] == 0
    assert found["la_cut_by_sector"] == 0
    assert found["la_cut_by_sector_reference"] == 1
    assert found["la_cut_constructed"] == 1
    assert found["image_quality"] == 1
    plain = values(rows_of(sample(labels()), prediction()), "FRAME")
    assert "image_quality" not in plain
    assert "la_cut_constructed" not in plain


def test_a_prediction_on_another_grid_is_refused():
    wrong = prediction(label_map=np.zeros((20, 16), dtype=np.uint8))
    with pytest.raises(ValueError, match=r"native grid \(40, 32\)\. Received: \(20, 16\) for p1_4CH_ED"):
        rows_of(sample(labels()), wrong)


def test_a_case_twice_is_refused():
    rows = rows_of(sample(labels()), prediction())
    with pytest.raises(ValueError, match="each metric of a case once"):
        in_sample_calibration(rows + rows)


def test_a_value_and_a_status_must_agree():
    row = CaseRow("c", "p", "A4C", "ED", "LV", "dice", 0.5, "ratio", "ok")
    for change in ({"value": None}, {"status": "undefined"}, {"value": math.nan}, {"value": math.inf}):
        with pytest.raises(ValueError, match="`value` must be finite where `status` is ok"):
            replace(row, **change)


def test_csv_round_trip_keeps_every_digit_and_every_row(tmp_path):
    rows = rows_of(sample(labels(), truth=truth(), view=None, phase=None), prediction(shift_amvl=(0.1, 1 / 3)))
    path = tmp_path / "cases.csv"
    write_cases(path, rows)
    lines = path.read_text().splitlines()
    assert lines[0] == "case,patient,view,phase,structure,metric,value,unit,status" == ",".join(COLUMNS)
    assert lines[1] == "p1,p1,,,LV,dice,1.0,ratio,ok"
    assert "p1,p1,,,ANNULUS,amvl_row_error_calibrated,,mm,no_calibration" in lines
    assert read_cases(path) == rows
    write_cases(path, [])
    assert read_cases(path) == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "must have the columns"),
        ("case,patient\n", "missing view,phase"),
        (",".join(COLUMNS) + "\nc,p,A4C,ED,LV,dice,half,ratio,ok\n", "line 2: could not convert"),
        (",".join(COLUMNS) + "\nc,p,A4C,ED,LV,dice,nan,ratio,ok\n", "line 2: `value` must be finite"),
        (",".join(COLUMNS) + "\nc,p,A4C,ED,LV,dice,0.5,ratio,ok\nc,p,A4C,ED,LV,di", "line 3: cut off after 6 columns"),
    ],
)
def test_damaged_csv_is_one_clear_line(tmp_path, text, message):
    path = tmp_path / "cases.csv"
    path.write_text(text)
    with pytest.raises(UserError, match=message) as error:
        read_cases(path)
    assert str(path) in str(error.value)


def test_missing_or_binary_csv(tmp_path):
    with pytest.raises(UserError, match="no such file"):
        read_cases(tmp_path / "none.csv")
    (tmp_path / "binary.csv").write_bytes(b"\xff\xfe\x00\x01")
    with pytest.raises(UserError, match="not a CSV file"):
        read_cases(tmp_path / "binary.csv")
