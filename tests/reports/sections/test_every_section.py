import dataclasses

from reports.cells import Missing
from reports.evaluation_folder import read_evaluation
from reports.sections import annulus, error_model, failures, hinge_points, off_centre, provenance, segmentation, volumes
from tests.reports.synthetic import many_frames, write_evaluation
from tests.reports.worked import DRAWN_FRAMES, FRAMES, cells, lines


def test_lengths_in_pixels_are_labelled_and_not_compared(tmp_path):
    frames = [dataclasses.replace(frame, unit="px") for frame in FRAMES]
    evaluation = read_evaluation(write_evaluation(tmp_path, frames))
    table = annulus.diameter_table(evaluation)
    assert table.title.endswith(", px")
    assert cells(table, "A4C-ED")["predicted", "ours"] == "30.0"
    assert "cannot be compared" in table.notes[1]
    assert not any("within" in name for _, name in hinge_points.distance_table(evaluation).columns)
    assert error_model.calibration_table(evaluation).title.endswith(", px")


def test_nothing_measured_is_said_not_shown_as_zero(tmp_path):
    evaluation = read_evaluation(write_evaluation(tmp_path, [], extras=False))
    made = [
        segmentation.dice_table,
        annulus.diameter_table,
        hinge_points.coordinate_table,
        error_model.error_model_table,
        error_model.calibration_table,
        error_model.bias_table,
        hinge_points.distance_table,
        off_centre.off_centre_table,
        segmentation.segmentation_table,
        volumes.volume_table,
        failures.failure_table,
        provenance.provenance_table,
    ]
    for make in made:
        assert isinstance(make(evaluation), Missing), make.__name__


def test_tables_agree_with_the_summary(tmp_path):
    evaluation = read_evaluation(write_evaluation(tmp_path, many_frames(10)))
    distances = cells(hinge_points.distance_table(evaluation), "all")
    assert distances["", "median"] == f"{evaluation.number('hinge', 'all', 'distance_mm', 'before', 'median'):.2f}"
    calibration = cells(error_model.calibration_table(evaluation), "x: median |e| [15–85 %]")
    median = evaluation.number("hinge", "all", "col_mm", "before", "median_absolute")
    assert calibration["ours", "uncalibrated"].split()[0] == f"{median:.2f}"


def test_one_frame_is_a_mark_not_an_invisible_line(tmp_path):
    evaluation = read_evaluation(write_evaluation(tmp_path, DRAWN_FRAMES[:1]))
    axes = hinge_points.sorted_errors(evaluation).figure.axes[0]
    assert lines(axes)["aMVL x"].get_marker() == "o"
    assert "Mean difference −3.0 mm." in annulus.diameter_agreement(evaluation).caption  # 27 for 30
