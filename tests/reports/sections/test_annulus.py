import dataclasses

import numpy as np

from reports.evaluation_folder import read_evaluation
from reports.sections import annulus
from tests.reports.synthetic import write_evaluation
from tests.reports.worked import FRAMES, cells, lines


def test_table_2_diameters(evaluation):
    table = annulus.diameter_table(evaluation)
    row = cells(table, "A4C-ED")
    assert row["predicted", "paper, mm"] == "27.9"
    assert row["reference", "paper, mm"] == "28.8"
    assert row["predicted", "ours"] == "30.0"  # 30, 30, 26
    assert row["reference", "ours"] == "30.0"
    assert row["predicted", "ours, calibrated"] == "31.0"  # calibration moves the points 1 mm apart: 31, 31, 27
    # The third patient alone comes in 1 of the 27 draws of three, which is more than 2.5 %.
    assert row["ours, error", "bias"] == "0.0\n−4.0 to 0.0"  # median of 0, 0, −4
    assert row["ours, error", "MAE"] == "1.3\n0.0 to 4.0"  # 4/3
    assert (row["frames", "n"], row["frames", "failed"]) == ("3", "0")
    failed = cells(table, "A4C-ES")
    assert failed["predicted", "paper, mm"] == "24.4"
    assert failed["predicted", "ours"] == "–"
    assert (failed["frames", "n"], failed["frames", "failed"]) == ("0", "1")


def test_other_views_get_their_own_rows(tmp_path):
    frames = [*FRAMES, dataclasses.replace(FRAMES[0], view="A3C")]
    table = annulus.diameter_table(read_evaluation(write_evaluation(tmp_path, frames)))
    assert cells(table, "A3C-ED")["predicted", "paper, mm"] == "–"
    assert cells(table, "A3C-ED")["predicted", "ours"] == "30.0"


def test_fig_7_sorts_each_series_for_itself(drawn):
    drawing = annulus.sorted_diameters(drawn)
    axes = drawing.figure.axes[0]
    np.testing.assert_allclose(lines(axes)["reference"].get_ydata(), [30, 30, 30])
    np.testing.assert_allclose(lines(axes)["predicted"].get_ydata(), [27, np.hypot(3, 28), 31])
    # Medians 28.16 for 30.
    assert "all before calibration −6.1 %" in drawing.alt
