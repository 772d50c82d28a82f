import dataclasses

from reports.evaluation_folder import read_evaluation
from reports.sections import failures
from tests.reports.synthetic import calibration_of, volume_rows, write_evaluation
from tests.reports.worked import FRAMES, cells


def test_failures_say_what_they_mean(evaluation):
    row = cells(failures.failure_table(evaluation), "patient0003_4CH_ES")
    assert row["", "status"] == "no_contact_line"
    assert row["", "what it means"].startswith("Predicted LV and LA do not touch")
    assert row["", "what is missing"] == "hinge points and diameter"
    look = cells(failures.second_look_table(evaluation), "LA cut")
    assert (look["", "frames"], look["", "cases"]) == ("1", "patient0003_4CH_ED")


def test_failed_volumes_and_flags_are_named_in_words(tmp_path):
    rows = [dataclasses.replace(row, value=None, status="no_contact_line") for row in volume_rows("p", (9, 9), (5, 5))]
    evaluation = read_evaluation(write_evaluation(tmp_path, [FRAMES[0]], volumes=rows))
    failed = cells(failures.failure_table(evaluation), "p")
    assert failed["", "what is missing"] == "EDV of the patient, ESV of the patient, EF of the patient"
    far = dataclasses.replace(FRAMES[1], predicted=(10, 0, 10, 75))
    evaluation = read_evaluation(write_evaluation(tmp_path, [FRAMES[0], far]))
    assert cells(failures.second_look_table(evaluation), "annulus outside 15–60 mm")["", "frames"] == "1"


def test_calibration_in_another_unit_is_a_named_failure(tmp_path):
    evaluation = read_evaluation(
        write_evaluation(tmp_path, [FRAMES[0]], calibration=calibration_of((0, 1, 0, 1), "px"))
    )
    row = cells(failures.failure_table(evaluation), "patient0001_4CH_ED")
    assert (row["", "status"], row["", "what is missing"]) == ("calibration_unit_differs", "calibrated hinge points")
