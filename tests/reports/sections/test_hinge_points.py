import numpy as np

from reports.evaluation_folder import read_evaluation
from reports.sections import hinge_points
from tests.reports.synthetic import write_evaluation
from tests.reports.worked import FRAMES, cells, lines, values


def test_distances(evaluation):
    # 1, 1, 2, 2, 3, 5: mean 14/6, 85 % at index 4.25: 3 + 0.25·2; 4, 5 and 6 of 6 within 2, 3 and 5 mm.
    expected = ["6", "0", "2.00", "1.00 to 4.00", "2.33", "3.50", "5.00", "67 %", "83 %", "100 %"]
    assert values(hinge_points.distance_table(evaluation), "A4C-ED") == expected
    assert values(hinge_points.distance_table(evaluation), "all")[:2] == ["6", "2"]


def test_table_3_coordinates_are_calibrated(evaluation):
    table = hinge_points.coordinate_table(evaluation)
    # Calibrated aMVL x errors −1, 0, 2: 15 % at −1 + 0.3·1, 85 % at 0 + 0.7·2, median of |e| 1.
    assert cells(table, "aMVL x")["", "A4C-ED"] == "[−0.70; 1.40]\n1.00"
    # Both points: −1, −1, 0, 0, 1, 2: 15 % at index 0.75, 85 % at 4.25; |e| 0, 0, 1, 1, 1, 2.
    assert cells(table, "both points, x")["", "all"] == "[−1.00; 1.25]\n1.00"
    assert cells(table, "aMVL y")["", "A4C-ES"] == "–"
    assert cells(table, "both points, x")["", "paper: median |e|, all, mm"] == "1.35"
    assert cells(table, "both points, y")["", "paper: median |e|, all, mm"] == "0.75"
    assert cells(table, "aMVL x")["", "paper: median |e|, all, mm"] == "–"
    assert any("not in its text" in note for note in table.notes)


def test_table_3_says_when_there_is_no_calibration(tmp_path):
    table = hinge_points.coordinate_table(read_evaluation(write_evaluation(tmp_path, FRAMES)))
    assert cells(table, "aMVL x")["", "A4C-ED"] == "[1.30; 3.40]\n2.00"  # 1, 2, 4
    assert "there is none" in table.notes[0]


def test_fig_6_sorts_errors_before_and_after_calibration(drawn):
    before, after = hinge_points.sorted_errors(drawn).figure.axes
    np.testing.assert_allclose(lines(before)["aMVL x"].get_ydata(), [1, 2, 4])
    np.testing.assert_allclose(lines(before)["aMVL x"].get_xdata(), [0, 50, 100])
    np.testing.assert_allclose(lines(after)["aMVL x"].get_ydata(), [-1, 0, 2])
    verticals = [line.get_xdata()[0] for line in before.get_lines() if line.get_label().startswith("_")]
    assert {15, 85} <= set(verticals)


def test_fig_8_has_a_box_for_each_subgroup(drawn):
    drawing = hinge_points.box_plots(drawn)
    assert [axes.get_title() for axes in drawing.figure.axes] == [
        "aMVL x (right +)",
        "aMVL y (down +)",
        "pMVL x (right +)",
        "pMVL y (down +)",
    ]
    assert "A4C-ED 2, A4C-ES 1, A2C-ED 0, A2C-ES 0" in drawing.caption
