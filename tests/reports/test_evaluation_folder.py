import numpy as np
import pytest

from reports.evaluation_folder import read_evaluation
from shell.errors import UserError
from tests.reports.synthetic import Frame, write_evaluation

FRAMES = [
    Frame("patient0001", "A4C", "ED", (10, 10, 10, 40), (11, 10, 10, 42)),
    Frame("patient0001", "A4C", "ES", (10, 10, 10, 40), None),
    Frame("patient0002", "A2C", "ED", (10, 10, 10, 40), (10, 13, 14, 40)),
]


@pytest.fixture
def folder(tmp_path):
    return write_evaluation(tmp_path, FRAMES)


def test_series_are_by_subgroup_and_count_what_failed(folder):
    evaluation = read_evaluation(folder)
    errors = evaluation.series("amvl_row_error", "pmvl_row_error")
    np.testing.assert_allclose(errors.values, [1, 0, 0, 4])
    assert errors.unit == "mm"
    assert errors.failed == {"no_contact_line": 2}
    assert evaluation.series("amvl_col_error", subgroup="A2C-ED").values == [3]
    assert evaluation.series("no such metric").n == 0
    assert evaluation.structures == ("LV", "MYO", "LA", "EPI")
    assert [row.case for row in evaluation.frames] == ["patient0001_4CH_ED", "patient0001_4CH_ES", "patient0002_2CH_ED"]


def test_pairs_are_matched_by_case(folder):
    evaluation = read_evaluation(folder)
    reference, predicted = evaluation.pairs("annulus_diameter_reference", "annulus_diameter_predicted")
    assert reference.cases == ("patient0001_4CH_ED", "patient0002_2CH_ED")
    np.testing.assert_allclose(reference.values, [30, 30])
    np.testing.assert_allclose(predicted.values, [np.hypot(1, 32), np.hypot(4, 27)])


def test_units_are_never_mixed(tmp_path):
    frames = [*FRAMES, Frame("patient0003", "A4C", "ED", (50, 50, 50, 150), (51, 50, 50, 150), unit="px")]
    evaluation = read_evaluation(write_evaluation(tmp_path, frames))
    assert evaluation.length_unit == "mm"
    assert evaluation.frames_in_px == 1
    errors = evaluation.series("amvl_row_error")
    assert (errors.n, errors.other_unit) == (2, 1)


def test_optional_files_may_be_missing(tmp_path):
    evaluation = read_evaluation(write_evaluation(tmp_path, FRAMES, extras=False))
    assert evaluation.history is evaluation.run is evaluation.recipe is evaluation.calibration is None
    assert evaluation.overlays == ()


def test_a_null_calibration_is_no_calibration(folder):
    (folder / "calibration.json").write_text("null")
    assert read_evaluation(folder).calibration is None


def test_figures_of_the_summary_are_nan_where_there_is_none(folder):
    evaluation = read_evaluation(folder)
    assert evaluation.number("hinge", "all", "distance_mm", "before", "n") == 4
    assert np.isnan(evaluation.number("hinge", "all", "distance_mm", "calibrated", "median"))
    assert np.isnan(evaluation.number("no", "such", "block"))
    assert evaluation.count("no", "such", "block") == 0


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("cases.csv", None, r"cases.csv: no such file; is this an evaluation folder"),
        ("cases.csv", "case,patient\n1,2\n", r"must have the columns .*missing: view, phase"),
        ("cases.csv", "{header}\na,b,A4C,ED,LV,dice,0.9,ratio\n", r"line 2: must have 9 fields; was the file cut off"),
        ("cases.csv", "{header}\na,b,A4C,ED,LV,dice,high,ratio,ok\n", r"line 2: must be a number or empty.*'high'"),
        ("cases.csv", b"\xff\xfe\x00", r"cases.csv: not a readable CSV file"),
        ("summary.json", None, r"summary.json: no such file"),
        ("summary.json", '{"n_cases": ', r"summary.json: not valid JSON"),
        ("summary.json", "[]", r"summary.json: must be a JSON object. Received: list"),
        ("history.csv", "epoch,val_dice_LV\n1,?\n", r"history.csv, line 2: must be a number"),
        ("overlays/overlays.json", '[{"case": "a"}]', r"overlays.json: must list case, file, kind, caption"),
    ],
)
def test_damaged_files_are_named(folder, name, content, message):
    path = folder / name
    if content is None:
        path.unlink()
    elif isinstance(content, bytes):
        path.write_bytes(content)
    else:
        path.write_text(content.replace("{header}", "case,patient,view,phase,structure,metric,value,unit,status"))
    with pytest.raises(UserError, match=message):
        read_evaluation(folder)
