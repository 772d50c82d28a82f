import numpy as np

from reports.sections import error_model
from tests.reports.worked import cells, lines, values


def test_calibration_side_by_side(evaluation):
    table = error_model.calibration_table(evaluation)
    x = cells(table, "x: median |e| [15–85 %]")
    assert x["paper, mm", "in-sample"] == "1.35 [0.30; 3.15]"
    assert x["ours", "uncalibrated"] == "1.50 [0.75; 2.50]"  # |e| 0, 1, 1, 2, 2, 4
    assert x["ours", "fitted on validation"] == "1.00 [0.00; 1.25]"  # |e| 0, 0, 1, 1, 1, 2
    # Too few frames for subgroups: the pooled medians are (0, 2), (0, 1), what the validation was made to give.
    assert x["ours", "in-sample"] == x["ours", "fitted on validation"]
    assert values(table, "x: bias") == ["+0.30 before", "+1.50", "0.00", "0.00"]
    assert values(table, "hinge distance: median")[1] == "2.00\n1.00 to 4.00"  # 1, 1, 2, 2, 3, 5
    # (0+0+4)/3; (1+1+3)/3
    assert values(table, "diameter: MAE")[1:] == ["1.33\n0.00 to 4.00", "1.67\n1.00 to 3.00", "1.67"]
    assert values(table, "frames") == ["–", "3", "3", "3"]
    assert any("all 24" in note for note in table.notes)


def test_bias_of_each_subgroup(evaluation):
    table = error_model.bias_table(evaluation)
    assert values(table, "A4C-ED") == ["+2.00", "0.00", "+1.00", "0.00", "+1.50", "0.00"]
    assert values(table, "paper, mean of all, mm") == ["–", "–", "–", "–", "+0.30", "+0.50"]


def test_error_model(evaluation):
    row = cells(error_model.error_model_table(evaluation), "aMVL x", "A4C-ED")
    # 1, 2, 4: mean 7/3, sd √((16+1+25)/9/2) = 1.53. For three values W = (b/2)²·2/S with b = 4 − 1 = 3 and S = 14/3,
    # so W = 0.9643 and p = 6/π·(asin √W − asin √¾) = 0.637.
    assert list(row.values()) == ["3", "+2.00", "+1.30", "+3.40", "+2.33", "1.53", "0.637"]
    constant = cells(error_model.error_model_table(evaluation), "aMVL y", "A4C-ES")
    assert set(constant.values()) == {"0", "–"}


def test_fig_9_is_oriented_like_the_image(drawn):
    drawing = error_model.bias(drawn)
    amvl = drawing.figure.axes[0]
    bottom, top = amvl.get_ylim()
    assert bottom > top  # y grows downwards
    np.testing.assert_allclose(lines(amvl)["A4C-ES"].get_xydata(), [[2, 2]])
    np.testing.assert_allclose(lines(amvl)["A4C-ED"].get_xydata(), [[2.5, 0]])
