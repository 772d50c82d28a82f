import numpy as np
import pytest

from data_pipeline.sample import Structure
from tests.evaluation.drawn import (
    LV_LA,
    SHAPE,
    by_metric,
    labels,
    measured,
    prediction,
    rows_of,
    sample,
    truth,
    values,
)


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
