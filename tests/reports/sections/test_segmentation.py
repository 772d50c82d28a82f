import dataclasses
import json

import numpy as np

from reports.evaluation_folder import read_evaluation
from reports.sections import failures, segmentation
from tests.reports.synthetic import write_evaluation
from tests.reports.worked import FRAMES, cells, lines, values


def test_table_1_dice(evaluation):
    table = segmentation.dice_table(evaluation)
    assert values(table, "paper: Schmidt & Overhoff") == ["0.931", "0.915", "0.923"]
    assert values(table, "paper: Leclerc et al. 2019") == ["0.939", "0.916", "–"]
    assert values(table, "ours: mean") == ["0.800", "0.600", "0.750"]  # (.9+.8+.7)/3, .6, sum/4
    assert values(table, "ours: median") == ["0.800", "0.600", "0.750"]  # of all: (.7+.8)/2
    assert values(table, "ours: frames") == ["3", "1", "4"]
    assert [cell.from_paper for cell in table.rows[0]] == [False, True, True, True]


def test_segmentation(evaluation):
    table = segmentation.segmentation_table(evaluation)
    # sd of .9, .8, .7 is .1; IoU = D/(2 − D): .8182, .6667, .5385, mean .6745, sd .1400
    expected = ["3", "0", "0.800 ± 0.100", "0.674 ± 0.140", "0.800 ± 0.100", "0.800 ± 0.100"]
    assert values(table, "ED", "LV, left ventricle") == [
        *expected,
        "1.50 ± 0.00",
        "5.00 ± 0.00",
        "4.00 ± 0.00",
        "0.900 ± 0.000",
    ]
    assert values(table, "ES", "MYO, myocardium")[:3] == ["1", "0", "0.800"]  # one frame has no sd
    # Patients' Dice .9, .8 and .7, .6 (the third): of the 27 draws one is the third alone, one the first.
    assert values(table, "ED and ES", "LV, left ventricle")[2] == "0.750 ± 0.129\n0.650 to 0.900"
    assert [name for _, name in table.columns[-2:]] == ["HD95, mm", "surface Dice"]


def test_evaluations_of_before_have_no_column_of_what_they_lack(tmp_path):
    folder = write_evaluation(tmp_path, FRAMES)
    path = folder / "summary.json"
    summary = json.loads(path.read_text())
    for block in summary["metrics"].values():
        del block["hausdorff95_mm"], block["surface_dice"]
    path.write_text(json.dumps(summary))
    table = segmentation.segmentation_table(read_evaluation(folder))
    assert [name for _, name in table.columns[-2:]] == ["d_m, mm", "d_H, mm"]
    assert not any("HD95" in note or "urface Dice" in note for note in table.notes)


def test_undefined_dice_is_counted_not_averaged(tmp_path):
    frames = [FRAMES[0], dataclasses.replace(FRAMES[1], dice={"LV": None})]
    evaluation = read_evaluation(write_evaluation(tmp_path, frames))
    assert values(segmentation.segmentation_table(evaluation), "ED", "LV, left ventricle")[:3] == ["1", "1", "0.900"]
    assert values(segmentation.dice_table(evaluation), "ours: mean") == ["0.900", "–", "0.900"]
    assert segmentation.dice_table(evaluation).notes[0].endswith("median: 1.")
    failed = failures.failure_table(evaluation)
    assert cells(failed, "patient0002_4CH_ED")["", "status"] == "undefined"
    assert cells(failed, "patient0002_4CH_ED")["", "what is missing"].startswith("Dice of LV, IoU of LV")


def test_fig_3_shows_validation_dice(drawn):
    axes = segmentation.dice_by_epoch(drawn).figure.axes[0]
    np.testing.assert_allclose(lines(axes)["LV"].get_ydata()[[0, 49]], [0.53, 0.922])
    np.testing.assert_allclose(lines(axes)["LA"].get_xdata()[[0, 49]], [1, 50])
