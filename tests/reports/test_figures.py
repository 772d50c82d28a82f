import dataclasses
import subprocess
import sys

import matplotlib as mpl

from reports import figures
from reports.cells import Missing
from reports.drawing import save
from reports.evaluation_folder import read_evaluation
from reports.sections import hinge_points
from tests.reports.synthetic import many_frames, write_evaluation
from tests.reports.worked import DRAWN_FRAMES

NEED_A_QUALITY_MODEL = {"risk-coverage", "expected-error"}
"""Drawn in sections/test_trust.py."""


def test_every_figure_is_drawn_and_described(drawn):
    drawings = figures.draw_figures(drawn)
    assert {key for key, drawing in drawings.items() if isinstance(drawing, Missing)} == NEED_A_QUALITY_MODEL
    drawings = {key: drawing for key, drawing in drawings.items() if key not in NEED_A_QUALITY_MODEL}
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
        assert drawing.key == key
        assert drawing.alt
        assert drawing.caption


def test_nothing_to_draw_says_why(tmp_path):
    frames = [dataclasses.replace(frame, predicted=None) for frame in DRAWN_FRAMES]
    evaluation = read_evaluation(write_evaluation(tmp_path, frames, extras=False))
    for key, drawing in figures.draw_figures(evaluation).items():
        assert isinstance(drawing, Missing), key
        assert drawing.reason.endswith("."), key


def test_drawing_leaves_no_trace_in_matplotlib(drawn, tmp_path):
    before = dict(mpl.rcParams)
    for drawing in figures.draw_figures(drawn).values():
        if not isinstance(drawing, Missing):
            save(drawing, tmp_path / "figure.png")
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
        save(hinge_points.box_plots(evaluation), tmp_path / name)
        pictures.append((tmp_path / name).read_bytes())
    assert pictures[0] == pictures[1]
