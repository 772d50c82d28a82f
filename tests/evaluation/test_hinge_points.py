import math

import numpy as np
import pytest

from data_pipeline.sample import Structure
from tests.evaluation.drawn import by_metric, labels, measured, prediction, rows_of, sample, truth, values


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
