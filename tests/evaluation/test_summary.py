import json
import math

import pytest

from data_pipeline.sample import Phase, View
from evaluation.calibration import calibrated_rows, in_sample_calibration
from evaluation.frames import frame_rows
from evaluation.patients import patient_rows
from evaluation.rows import CALIBRATED_IN_SAMPLE, CaseRow, read_cases, write_cases
from evaluation.summary import summarise
from postprocessing.calibration import Calibration
from tests.evaluation.drawn import ALL_FOUR, LV_LA, labels, measured, prediction, sample, truth

CALIBRATION = Calibration(bias={"all": (1.0, 0.0, 0.0, 0.0)}, n={"all": 9}, unit="mm", fitted_on="validation")


def evaluated(frames, *, structures=ALL_FOUR, calibration=CALIBRATION):
    """All rows of an evaluation, as evaluate.py makes them."""
    rows = []
    for the_sample, the_prediction in frames:
        rows += frame_rows(
            the_sample, the_prediction, structures=structures, anterior_side="left", calibration=calibration
        )
    rows += calibrated_rows(rows, in_sample_calibration(rows), suffix=CALIBRATED_IN_SAMPLE)
    for patient in dict.fromkeys(the_sample.patient_id for the_sample, _ in frames):
        rows += patient_rows([pair for pair in frames if pair[0].patient_id == patient])
    return rows


def summary_of(rows):
    found = summarise(rows, data="camus:somewhere", split="test")
    json.dumps(found, allow_nan=False)  # raises where a NaN is left
    return found


def shifted(patient, rows, **about):
    """A frame whose predicted aMVL lies so many rows of 0.5 mm too low."""
    return sample(labels(), patient=patient, **about), prediction(shift_amvl=(rows, 0))


def patient_row(patient, metric, value, status="ok"):
    return CaseRow(patient, patient, "", "", "LV", metric, value, "ml", status)


def test_hinge_errors_worked_by_hand():
    # Row errors of amvl 0.5, 1.0, 3.0 mm; validation bias 1.0 mm, in-sample bias (median) 1.0 mm.
    rows = evaluated([shifted("a", 1), shifted("b", 2), shifted("c", 6)])
    found = summary_of(rows)
    assert (found["n_cases"], found["n_patients"], found["data"], found["split"]) == (3, 3, "camus:somewhere", "test")
    assert found["subgroups"] == {"A4C-ED": 3, "A4C-ES": 0, "A2C-ED": 0, "A2C-ES": 0, "all": 3}
    block = found["hinge"]["A4C-ED"]
    assert (block["frames"], block["failed"]) == (3, 0)
    before = block["amvl_row_mm"]["before"]
    assert (before["n"], before["failed"], before["bias"]) == (3, 0, 1.0)
    assert before["mean"] == pytest.approx(1.5)
    assert before["sd"] == pytest.approx(math.sqrt((1 + 0.25 + 2.25) / 2))
    assert before["p15"] == pytest.approx(0.65)  # 0.3 of the way from 0.5 to 1.0
    assert before["p85"] == pytest.approx(2.4)  # 0.7 of the way from 1.0 to 3.0
    assert before["median_absolute"] == 1.0
    assert 0 < before["shapiro_wilk_p"] < 1
    after = block["amvl_row_mm"]["calibrated"]
    assert (after["bias"], after["median_absolute"]) == (pytest.approx(0.0), pytest.approx(0.5))
    assert after["p85"] == pytest.approx(1.4)
    assert block["amvl_row_mm"]["calibrated_in_sample"]["bias"] == pytest.approx(0.0)
    # Both points' rows pooled: 0.5, 1, 3 and three zeros.
    assert block["row_mm"]["before"]["n"] == 6
    assert block["row_mm"]["before"]["bias"] == pytest.approx(0.25)
    assert block["col_mm"]["before"]["median_absolute"] == 0.0
    # Euclidean: amvl 0.5, 1, 3; pmvl 0; together mean 0.75.
    assert block["amvl_mm"]["before"]["median"] == 1.0
    assert block["pmvl_mm"]["before"]["mean"] == 0.0
    assert block["distance_mm"]["before"]["mean"] == pytest.approx(0.75)
    assert block["distance_mm"]["before"]["n"] == 6
    assert found["hinge"]["all"] == block
    assert found["hinge"]["A2C-ES"]["amvl_row_mm"]["before"]["bias"] is None
    assert found["hinge_constructed"] == {} == found["hinge_reference_vs_constructed"] == found["annulus_constructed"]


def test_subgroups_are_kept_apart_and_others_are_added():
    frames = [
        shifted("a", 1, view=View.A4C, phase=Phase.ED),
        shifted("a", 2, view=View.A4C, phase=Phase.ES),
        shifted("a", 3, view=View.A2C, phase=Phase.ED),
        shifted("a", 4, view=View.A2C, phase=Phase.ES),
        shifted("a", 5, view=View.A3C, phase=Phase.ED),
        shifted("b", 6, view=None, phase=None),
    ]
    found = summary_of(evaluated(frames))
    assert found["subgroups"] == {"A4C-ED": 1, "A4C-ES": 1, "A2C-ED": 1, "A2C-ES": 1, "A3C-ED": 1, "all": 6}
    bias = {name: block["amvl_row_mm"]["before"]["bias"] for name, block in found["hinge"].items()}
    assert bias == {"A4C-ED": 0.5, "A4C-ES": 1.0, "A2C-ED": 1.5, "A2C-ES": 2.0, "A3C-ED": 2.5, "all": 1.75}
    assert found["metrics_by_phase"]["ED"]["LV"]["dice"]["n"] == 3
    assert found["n_patients"] == 2


def test_segmentation_counts_undefined_and_failed():
    empty = labels()
    empty[:] = 0
    found = summary_of(
        evaluated(
            [
                (sample(labels(), patient="right"), measured(labels())),
                (sample(labels(), patient="missed"), measured(empty)),
                (sample(empty, patient="empty"), measured(empty)),
                (sample(None, patient="unlabelled"), measured(labels())),
            ]
        )
    )
    dice = found["metrics"]["LV"]["dice"]
    assert (dice["n"], dice["undefined"], dice["failed"]) == (2, 1, 1)
    assert (dice["mean"], dice["median"], dice["sd"]) == (0.5, 0.5, pytest.approx(math.sqrt(0.5)))
    hausdorff = found["metrics"]["EPI"]["hausdorff_mm"]
    assert (hausdorff["n"], hausdorff["undefined"], hausdorff["failed"]) == (1, 2, 1)
    assert set(found["metrics"]) == {"LV", "MYO", "LA", "EPI"}
    assert found["failures"] == [
        {"case": "missed_4CH_ED", "status": "no_contact_line"},
        {"case": "empty_4CH_ED", "status": "no_reference_contact_line"},
        {"case": "unlabelled_4CH_ED", "status": "no_reference"},
    ]
    assert found["outlier_cases"]["no_contact_line"] == ["missed_4CH_ED", "empty_4CH_ED"]
    assert found["outliers"]["lv_missing"] == 2
    block = found["hinge"]["all"]
    assert (block["frames"], block["failed"], block["distance_mm"]["before"]["failed"]) == (4, 3, 6)


def test_annulus_worked_by_hand():
    # Predicted diameters: the reference's 20 mm, with pmvl 1, 2 and −3 columns of 2 mm further out.
    frames = [
        (sample(labels(), patient=name), prediction(shift_pmvl=(0, columns)))
        for name, columns in (("a", 1), ("b", 2), ("c", -3))
    ]
    found = summary_of(evaluated(frames))["annulus"]["A4C-ED"]
    assert (found["frames"], found["failed"]) == (3, 0)
    diameter = found["diameter_mm"]
    assert diameter["median_reference"] == 20.0
    assert diameter["before"]["median_predicted"] == 22.0
    assert diameter["before"]["bias"] == pytest.approx(2.0)
    assert diameter["before"]["mean"] == pytest.approx(0.0)
    assert diameter["before"]["mae"] == pytest.approx(4.0)
    assert diameter["before"]["loa"] == pytest.approx(1.96 * math.sqrt((4 + 16 + 36) / 2))
    assert diameter["before"]["r"] is None  # the reference does not vary
    # In-sample, pmvl's median column error of 2 mm is taken off: 20, 22 and 12 mm.
    assert diameter["calibrated_in_sample"]["median_predicted"] == pytest.approx(20.0)


def test_annulus_outliers():
    narrow = prediction(shift_amvl=(0, 1.5), shift_pmvl=(0, -1.5))  # 7 columns: 14 mm
    wide = prediction(shift_amvl=(0, -11), shift_pmvl=(0, 10))  # 31 columns: 62 mm
    edge = prediction(shift_amvl=(0, 1.25), shift_pmvl=(0, -1.25))  # 15 mm: within
    frames = [(sample(labels(), patient=name), p) for name, p in (("narrow", narrow), ("wide", wide), ("edge", edge))]
    found = summary_of(evaluated(frames))
    assert found["outlier_cases"]["annulus_outside_15_60_mm"] == ["narrow_4CH_ED", "wide_4CH_ED"]
    assert found["outliers"]["annulus_outside_15_60_mm"] == 2
    assert found["outliers"]["annulus_reference_outside_15_60_mm"] == 0


def test_off_centre_frames_are_compared_apart():
    cut = labels()
    cut[20:, 10:20] = 3
    frames = [
        (sample(labels(), patient="a"), prediction(shift_amvl=(1, 0))),
        (sample(cut, patient="b"), prediction(shift_amvl=(5, 0))),
        # What was constructed counts, not what the mask looks like.
        (sample(cut, patient="c", truth=truth(la_cut=False)), prediction(shift_amvl=(3, 0))),
        # Where there is no reference the prediction tells.
        (sample(None, patient="d"), prediction(flags=("la_cut_by_sector",))),
    ]
    found = summary_of(evaluated(frames))
    centred, off_centre = found["hinge_off_centre"]["centred"], found["hinge_off_centre"]["off_centre"]
    assert (centred["frames"], off_centre["frames"]) == (2, 2)
    assert centred["amvl_row_mm"]["before"]["bias"] == pytest.approx(1.0)
    assert off_centre["amvl_row_mm"]["before"]["bias"] == pytest.approx(2.5)
    assert found["outlier_cases"]["la_cut"] == ["b_4CH_ED", "d_4CH_ED"]


def test_constructed_truth_has_its_own_sections():
    known = truth(edv_ml=84.0, esv_ml=40.0, ef_percent=52.4)
    found = summary_of(evaluated([(sample(labels(), truth=known), prediction(shift_amvl=(1, 0)))]))
    against_truth = found["hinge_constructed"]["all"]
    # Truth: amvl row 19; prediction 20.5, reference 19.5; 0.5 mm a row; validation bias 1 mm, in-sample 0.5 mm.
    assert against_truth["amvl_row_mm"]["before"]["bias"] == pytest.approx(0.75)
    assert against_truth["amvl_row_mm"]["calibrated"]["bias"] == pytest.approx(-0.25)
    assert against_truth["amvl_row_mm"]["calibrated_in_sample"]["bias"] == pytest.approx(0.25)
    of_reference = found["hinge_reference_vs_constructed"]["all"]
    assert of_reference["amvl_row_mm"] == {"before": of_reference["amvl_row_mm"]["before"]}
    assert of_reference["amvl_row_mm"]["before"]["bias"] == pytest.approx(0.25)
    assert found["annulus_constructed"]["all"]["diameter_mm"]["median_reference"] == pytest.approx(math.hypot(0.5, 18))
    assert found["clinical_constructed"]["edv"]["n"] == 0
    assert found["clinical_constructed"]["edv"]["failed"] == 1


def test_clinical_agreement_worked_by_hand():
    rows = []
    for patient, reference, predicted in (("a", 100.0, 101.0), ("b", 90.0, 89.0), ("c", 80.0, 83.0)):
        rows += [patient_row(patient, "edv_reference", reference), patient_row(patient, "edv_predicted", predicted)]
    rows += [
        patient_row("d", "edv_reference", 70.0),
        patient_row("d", "edv_predicted", None, "missing_A2C_ED"),
        patient_row("e", "edv_a4c_reference", 70.0),
        patient_row("e", "edv_a4c_predicted", 75.0),
        patient_row("e", "edv_predicted", None, "missing_A2C_ED"),
        patient_row("e", "edv_reference", None, "missing_A2C_ED"),
    ]
    found = summary_of(rows)
    edv = found["clinical"]["edv"]
    assert (edv["n"], edv["failed"]) == (3, 2)
    assert edv["bias"] == pytest.approx(1.0)
    assert edv["loa"] == pytest.approx(3.92)
    assert (edv["loa_lower"], edv["loa_upper"]) == (pytest.approx(-2.92), pytest.approx(4.92))
    assert edv["mae"] == pytest.approx(5 / 3)
    # Deviations: reference 10, 0, −10, prediction 10, −2, −8: 180 / √(200 · 168).
    assert edv["r"] == pytest.approx(180 / math.sqrt(200 * 168))
    assert edv["mean_reference"] == 90.0
    assert found["clinical"]["ef"] == {**dict.fromkeys(edv), "n": 0, "failed": 0}
    assert found["clinical_single_plane"]["A4C"]["edv"]["mae"] == 5.0
    assert found["clinical_single_plane"]["A2C"]["edv"]["n"] == 0
    assert (found["n_cases"], found["n_patients"]) == (0, 5)


def test_an_empty_split_has_every_section_and_no_value():
    found = summary_of([])
    assert found["n_cases"] == found["n_patients"] == 0
    assert found["metrics"] == {}
    assert list(found["hinge"]) == ["A4C-ED", "A4C-ES", "A2C-ED", "A2C-ES", "all"]
    block = found["hinge"]["all"]
    assert (block["frames"], block["failed"], block["amvl_col_mm"]["calibrated"]["n"]) == (0, 0, 0)
    assert block["amvl_col_mm"]["calibrated"]["bias"] is None
    assert found["annulus"]["all"]["diameter_mm"]["before"]["mae"] is None
    assert found["clinical"]["ef"]["r"] is None
    assert set(found["outliers"].values()) == {0}
    assert found["failures"] == []


def test_one_case_and_two_classes():
    found = summary_of(evaluated([shifted("a", 2)], structures=LV_LA))
    assert set(found["metrics"]) == {"LV", "LA"}
    before = found["hinge"]["all"]["amvl_row_mm"]["before"]
    assert (before["n"], before["bias"]) == (1, 1.0)
    assert before["sd"] is before["shapiro_wilk_p"] is before["r"] is None


def test_all_failed():
    apart = measured(labels(touching=False))
    found = summary_of(evaluated([(sample(labels(), patient=name), apart) for name in "ab"]))
    block = found["hinge"]["A4C-ED"]
    assert (block["frames"], block["failed"]) == (2, 2)
    assert (block["amvl_row_mm"]["before"]["n"], block["amvl_row_mm"]["before"]["failed"]) == (0, 2)
    assert found["annulus"]["A4C-ED"]["diameter_mm"]["median_reference"] is None
    assert len(found["failures"]) == 2


def test_unknown_spacing_is_reported_in_px_and_apart_from_mm():
    in_px = shifted("px", 3, spacing_mm=None)
    only_px = summary_of(evaluated([in_px]))
    assert only_px["hinge"]["all"]["amvl_row_px"]["before"]["bias"] == 3.0
    assert "amvl_row_mm" not in only_px["hinge"]["all"]
    assert only_px["annulus"]["all"]["diameter_px"]["median_reference"] == 10.0
    assert "hausdorff_px" in only_px["metrics"]["LV"]
    assert only_px["outliers"]["annulus_outside_15_60_mm"] == 0
    mixed = summary_of(evaluated([in_px, shifted("mm", 3)]))["hinge"]["all"]
    assert (mixed["amvl_row_px"]["before"]["n"], mixed["amvl_row_px"]["before"]["bias"]) == (1, 3.0)
    assert (mixed["amvl_row_mm"]["before"]["n"], mixed["amvl_row_mm"]["before"]["bias"]) == (1, 1.5)
    assert mixed["frames"] == 2


def test_the_order_of_rows_does_not_matter_and_csv_gives_the_same_summary(tmp_path):
    rows = evaluated([shifted("a", 1), shifted("b", 2), shifted("c", 6, phase=Phase.ES)])
    write_cases(tmp_path / "cases.csv", rows)
    assert summary_of(read_cases(tmp_path / "cases.csv")) == summary_of(rows)
    backwards = summary_of(rows[::-1])
    assert backwards["hinge"]["all"]["amvl_row_mm"]["before"]["bias"] == 1.0
    assert backwards["hinge"]["A4C-ED"]["amvl_row_mm"]["before"]["n"] == 2


def test_a_case_twice_is_refused():
    rows = evaluated([shifted("a", 1)])
    with pytest.raises(ValueError, match="each metric of a case once"):
        summarise(rows + rows, data="d", split="test")
