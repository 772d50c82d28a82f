import dataclasses
import subprocess
import sys

import matplotlib as mpl
import numpy as np
import pytest

from reports import figures
from reports.cells import Missing
from reports.evaluation_folder import read_evaluation
from tests.reports.synthetic import Frame, calibration_of, many_frames, volume_rows, write_evaluation

REFERENCE = (10.0, 10.0, 10.0, 40.0)
FRAMES = [
    Frame("patient0001", "A4C", "ED", REFERENCE, (10, 14, 10, 41)),
    Frame("patient0002", "A4C", "ED", REFERENCE, (10, 11, 10, 42), la_cut=True),
    Frame("patient0003", "A4C", "ES", REFERENCE, (12, 12, 9, 40)),
]


@pytest.fixture(scope="module")
def evaluation(tmp_path_factory):
    folder = tmp_path_factory.mktemp("figures")
    volumes = volume_rows("patient0001", (100, 110), (50, 50)) + volume_rows("patient0002", (120, 120), (60, 48))
    calibration = calibration_of((0.0, 2.0, 0.0, 1.0))
    return read_evaluation(write_evaluation(folder, FRAMES, volumes=volumes, calibration=calibration))


def lines(axes):
    return {line.get_label(): line for line in axes.get_lines()}


def test_every_figure_is_drawn_and_described(evaluation):
    drawings = figures.draw_figures(evaluation)
    assert set(drawings) == {
        "fig-03-dice-by-epoch",
        "fig-06-sorted-errors",
        "fig-07-sorted-diameters",
        "fig-08-box-plots",
        "fig-09-bias",
        "fig-10-x-correlation",
        "diameter-agreement",
        "volume-agreement",
    }
    for key, drawing in drawings.items():
        assert not isinstance(drawing, Missing), key
        assert drawing.key == key
        assert drawing.alt
        assert drawing.caption


def test_fig_3_shows_validation_dice(evaluation):
    axes = figures.dice_by_epoch(evaluation).figure.axes[0]
    np.testing.assert_allclose(lines(axes)["LV"].get_ydata()[[0, 49]], [0.53, 0.922])
    np.testing.assert_allclose(lines(axes)["LA"].get_xdata()[[0, 49]], [1, 50])


def test_fig_6_sorts_errors_before_and_after_calibration(evaluation):
    before, after = figures.sorted_errors(evaluation).figure.axes
    np.testing.assert_allclose(lines(before)["aMVL x"].get_ydata(), [1, 2, 4])
    np.testing.assert_allclose(lines(before)["aMVL x"].get_xdata(), [0, 50, 100])
    np.testing.assert_allclose(lines(after)["aMVL x"].get_ydata(), [-1, 0, 2])
    verticals = [line.get_xdata()[0] for line in before.get_lines() if line.get_label().startswith("_")]
    assert {15, 85} <= set(verticals)


def test_fig_7_sorts_each_series_for_itself(evaluation):
    drawing = figures.sorted_diameters(evaluation)
    axes = drawing.figure.axes[0]
    np.testing.assert_allclose(lines(axes)["reference"].get_ydata(), [30, 30, 30])
    np.testing.assert_allclose(lines(axes)["predicted"].get_ydata(), [27, np.hypot(3, 28), 31])
    # Medians 28.16 for 30.
    assert "all before calibration −6.1 %" in drawing.alt


def test_fig_8_has_a_box_for_each_subgroup(evaluation):
    drawing = figures.box_plots(evaluation)
    assert [axes.get_title() for axes in drawing.figure.axes] == [
        "aMVL x (right +)",
        "aMVL y (down +)",
        "pMVL x (right +)",
        "pMVL y (down +)",
    ]
    assert "A4C-ED 2, A4C-ES 1, A2C-ED 0, A2C-ES 0" in drawing.caption


def test_fig_9_is_oriented_like_the_image(evaluation):
    drawing = figures.bias(evaluation)
    amvl = drawing.figure.axes[0]
    bottom, top = amvl.get_ylim()
    assert bottom > top  # y grows downwards
    np.testing.assert_allclose(lines(amvl)["A4C-ES"].get_xydata(), [[2, 2]])
    np.testing.assert_allclose(lines(amvl)["A4C-ED"].get_xydata(), [[2.5, 0]])


def test_fig_10_marks_off_centre_frames(evaluation):
    drawing = figures.x_correlation(evaluation)
    amvl = lines(drawing.figure.axes[0])
    np.testing.assert_allclose(amvl["centred"].get_xydata(), [[10, 14], [10, 12]])
    np.testing.assert_allclose(amvl["off-centre (LA cut off)"].get_xydata(), [[10, 11]])
    assert "aMVL centred n = 2, r = –" in drawing.caption


def test_bland_altman_says_bias_and_limits(evaluation):
    # EDV differences 10 and 0: bias 5, limits 5 ± 13.86.
    caption = figures.volume_agreement(evaluation).caption
    assert "EDV (n = 2): Mean difference +5.0 ml, 95 % limits of agreement −8.9 to +18.9 ml." in caption


def test_one_frame_is_a_mark_not_an_invisible_line(tmp_path):
    evaluation = read_evaluation(write_evaluation(tmp_path, FRAMES[:1]))
    axes = figures.sorted_errors(evaluation).figure.axes[0]
    assert lines(axes)["aMVL x"].get_marker() == "o"
    assert "Mean difference −3.0 mm." in figures.diameter_agreement(evaluation).caption  # 27 for 30


def test_nothing_to_draw_says_why(tmp_path):
    frames = [dataclasses.replace(frame, predicted=None) for frame in FRAMES]
    evaluation = read_evaluation(write_evaluation(tmp_path, frames, extras=False))
    for key, drawing in figures.draw_figures(evaluation).items():
        assert isinstance(drawing, Missing), key
        assert drawing.reason.endswith("."), key


def test_drawing_leaves_no_trace_in_matplotlib(evaluation, tmp_path):
    before = dict(mpl.rcParams)
    for drawing in figures.draw_figures(evaluation).values():
        figures.save(drawing, tmp_path / "figure.png")
    assert dict(mpl.rcParams) == before


def test_neither_pyplot_nor_tensorflow_nor_keras_is_imported():
    unwanted = ("matplotlib.pyplot", "tensorflow", "keras")
    code = f"import sys, reports.report; print([m for m in {unwanted} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_same_rows_give_the_same_picture(tmp_path):
    evaluation = read_evaluation(write_evaluation(tmp_path, many_frames(4)))
    pictures = []
    for name in ("a.png", "b.png"):
        figures.save(figures.box_plots(evaluation), tmp_path / name)
        pictures.append((tmp_path / name).read_bytes())
    assert pictures[0] == pictures[1]
