import dataclasses

from evaluation.rows import CaseRow
from postprocessing.measurement import FLAGS
from reports.cells import Missing
from reports.evaluation_folder import read_evaluation
from reports.sections import failures
from shell.files import read_json, write_json
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


def rows_of_frame(evaluation_frame, structure, metric, status):
    return CaseRow(
        evaluation_frame.case, evaluation_frame.patient, evaluation_frame.view, evaluation_frame.phase,
        structure, metric, None, "ratio", status,
    )  # fmt: skip


def test_what_has_a_section_of_its_own_is_no_failure(tmp_path):
    rows = [
        rows_of_frame(FRAMES[0], "OUTLIER", "geometric", "no_reference"),
        rows_of_frame(FRAMES[0], "QUALITY", "score", "undefined"),
        rows_of_frame(FRAMES[0], "ANNULUS", "annulus_diameter_lower", "no_quality_model"),
    ]
    evaluation = read_evaluation(write_evaluation(tmp_path, [FRAMES[0]], volumes=rows))
    assert isinstance(failures.failure_table(evaluation), Missing)


def test_shapes_and_atria_are_named_in_words(tmp_path):
    rows = [
        rows_of_frame(FRAMES[0], "LV", "simplicity", "undefined"),
        rows_of_frame(FRAMES[0], "LV", "convexity_reference", "undefined"),
        rows_of_frame(FRAMES[0], "LA", "lav_ed_predicted", "undefined"),
    ]
    evaluation = read_evaluation(write_evaluation(tmp_path, [FRAMES[0]], volumes=rows))
    row = cells(failures.failure_table(evaluation), FRAMES[0].case)
    assert row["", "what is missing"] == "simplicity of LV, convexity of the reference's LV, LA volume of the patient"


def test_many_cases_that_lack_the_same_share_a_row(tmp_path):
    frames = [dataclasses.replace(FRAMES[0], patient=f"patient{number:04d}", predicted=None) for number in range(12)]
    table = failures.failure_table(read_evaluation(write_evaluation(tmp_path, frames)))
    (row,) = table.rows
    assert row[0].text == "12 cases: patient0000_4CH_ED, patient0001_4CH_ED, patient0002_4CH_ED and 9 more"
    assert row[1].text == "no_contact_line"


def test_every_flag_says_what_to_look_at(tmp_path):
    flags = [*FLAGS, "annulus_outside_15_60_mm", "annulus_reference_outside_15_60_mm"]
    folder = write_evaluation(tmp_path, [FRAMES[0], FRAMES[1]])
    summary = read_json(folder / "summary.json")
    summary["outlier_cases"] = {flag: [FRAMES[0].case] for flag in flags}
    write_json(folder / "summary.json", summary)
    table = failures.second_look_table(read_evaluation(folder))
    assert len(table.rows) == len(set(flags))
    meanings = [row[3].text for row in table.rows]
    assert len(set(meanings)) == len(meanings)
    assert all(meaning.endswith(".") and len(meaning) > 40 for meaning in meanings)
    assert cells(table, "holes")["", "share"] == "50 %"
    assert cells(table, "annulus reference outside 15–60 mm")["", "what it means"].startswith("Reference: no mitral")
