import math
from dataclasses import replace

import pytest

from evaluation.rows import COLUMNS, CaseRow, read_cases, write_cases
from shell.errors import UserError
from tests.evaluation.drawn import labels, prediction, rows_of, sample, truth


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
