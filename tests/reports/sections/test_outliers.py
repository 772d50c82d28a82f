"""The tables of outliers beside the LU-Net paper's, from rows whose outliers are known."""

import dataclasses

import pytest

from evaluation.outliers import Bounds, outlier_rows, outliers_block
from evaluation.rows import CaseRow, read_cases
from reports.cells import Missing
from reports.evaluation_folder import read_evaluation
from reports.sections import outliers
from shell.files import read_json, write_json
from tests.reports.synthetic import Frame, write_evaluation
from tests.reports.worked import REFERENCE, cells, values

FOUR = [("A4C", "ED"), ("A4C", "ES"), ("A2C", "ED"), ("A2C", "ES")]
LU_NET = {"name": "lu_net", "model": "lu_net"}


def frames_of(patients, places=FOUR, **about):
    """Frames whose d_m is 1.5 mm and whose d_H is 5 mm everywhere, as the synthetic ones have them."""
    return [Frame(patient, *place, REFERENCE, REFERENCE, **about) for patient in patients for place in places]


def shapes(frame, **changed):
    """The rows of a well shaped LV and EPI; `LV=0.6` is an LV of that simplicity."""
    measures = ("simplicity", "convexity", "simplicity_reference", "convexity_reference")
    return [
        CaseRow(
            frame.case, frame.patient, frame.view, frame.phase, structure, measure,
            changed.get(structure, 0.95) if measure == "simplicity" else 0.99, "ratio", "ok",
        )
        for structure in ("LV", "EPI")
        for measure in measures
    ]  # fmt: skip


def flag(frame, name):
    return CaseRow(frame.case, frame.patient, frame.view, frame.phase, "FRAME", name, 1.0, "flag", "ok")


def evaluation_of(folder, frames, extra=(), *, bounds=None, recipe=LU_NET, confidence=None):
    """The evaluation of frames and further rows, judged."""
    write_evaluation(folder, frames, volumes=list(extra), recipe=recipe)
    rows = read_cases(folder / "cases.csv")
    summary = read_json(folder / "summary.json")
    summary["outliers_by_patient"] = outliers_block(rows, bounds or Bounds())
    if confidence:
        summary["confidence"] = confidence
    write_json(folder / "summary.json", summary)
    return read_evaluation(folder)


@pytest.fixture
def judged(tmp_path):
    """Two whole patients and one with a frame; p1 is beyond by its LV's shape and d_H, p3 by a hole."""
    frames = frames_of(["p1", "p2"]) + frames_of(["p3"], FOUR[:1])
    extra = [row for frame in frames for row in shapes(frame, **({"LV": 0.6} if frame is frames[1] else {}))]
    extra.append(flag(frames[-1], "holes"))
    evaluation_of(tmp_path, frames, extra)
    rows = [
        dataclasses.replace(row, value=9.0)
        if (row.case, row.structure, row.metric) == ("p1_4CH_ES", "LV", "hausdorff")
        else row
        for row in read_cases(tmp_path / "cases.csv")
    ]
    summary = read_json(tmp_path / "summary.json")
    summary["outliers_by_patient"] = outliers_block(rows, Bounds())
    write_json(tmp_path / "summary.json", summary)
    return read_evaluation(tmp_path)


def test_ours_stand_beside_the_papers(judged):
    table = outliers.outlier_table(judged)
    ii, iv, ours = "good and medium image quality (Table II)", "every image quality (Table IV)", "ours: lu_net"
    assert values(table, "paper: intra-observer", ii) == ["21", "13 %", "–", "–", "–", "–", "160"]
    assert values(table, "paper: BB-m5", ii)[:2] == ["89", "5.5 %"]
    assert values(table, "paper: RU-Net", ii)[:2] == ["240", "15 %"]
    assert values(table, "paper: LU-Net-m5", ii)[:2] == ["–", "11 %"]
    assert values(table, "paper: LU-Net-m5-o2", iv) == ["240", "12 %", "31", "2 %", "20", "1 %", "2000"]
    assert values(table, "paper: U-Net1", iv) == ["423", "21 %", "95", "5 %", "71", "4 %", "2000"]
    # nine frames, of which one is both and one has a hole; two patients, of which one is both
    assert values(table, "frames", ours) == ["1", "11 %", "1", "11 %", "1", "11 %", "9"]
    assert values(table, "frames, with our further checks", ours) == ["1", "11 %", "2", "22 %", "1", "11 %", "9"]
    assert values(table, "patients (any of four frames)", ours) == ["1", "50 %", "1", "50 %", "1", "50 %", "2"]
    assert values(table, "frames, endocardium (LV) alone", ours) == ["1", "11 %", "–", "–", "–", "–", "9"]
    assert values(table, "frames, epicardium (EPI) alone", ours)[:2] == ["0", "0 %"]
    assert any("Patients not judged, geometric: 1 (not all four frames" in note for note in table.notes)
    assert any("further checks: holes." in note for note in table.notes)


def test_the_paper_is_marked_as_such(judged):
    table = outliers.outlier_table(judged)
    for row in table.rows:
        assert [cell.from_paper for cell in row[1:]] == [row[0].text.startswith("paper")] * (len(row) - 1)


def test_which_and_why(judged):
    table = outliers.case_table(judged)
    assert cells(table, "p1") == {
        ("", "geometric"): "A4C-ES LV d_H 9.00 mm (at most 8.10)",
        ("", "anatomical"): "A4C-ES LV simplicity 0.600 (at least 0.687)",
        ("", "frames judged"): "all four",
    }
    assert values(table, "p3") == ["–", "A4C-ED a hole", "not all four"]
    assert [row[0].text for row in table.rows] == ["p1", "p3"]  # the most findings first


def test_bounds_in_force(tmp_path):
    frames = frames_of(["p1"])
    given = Bounds.from_dict({"epi_hausdorff_mm": {"value": 7, "source": "two readers"}})
    found = evaluation_of(tmp_path, frames, [row for frame in frames for row in shapes(frame)], bounds=given)
    table = outliers.bounds_table(found)
    assert values(table, "EPI d_H") == ["at most 7.0 mm", "two readers"]
    assert values(table, "LV simplicity")[0] == "at least 0.687"
    assert len(table.rows) == 8
    assert len(table.notes) == 1
    assert isinstance(outliers.case_table(found), Missing)


def test_defective_references_are_named(tmp_path):
    frames = frames_of(["p1"])
    extra = [row for frame in frames for row in shapes(frame)]
    extra = [
        dataclasses.replace(row, value=0.5) if row.metric == "convexity_reference" and row.phase == "ES" else row
        for row in extra
    ]
    table = outliers.bounds_table(evaluation_of(tmp_path, frames, extra))
    assert "less simple or convex: 2 (p1_4CH_ES, p1_2CH_ES)" in table.notes[1]


def test_confidence_of_patients_stands_below_the_share(tmp_path):
    frames = frames_of(["p1", "p2"])
    interval = {"estimate": 0.5, "low": 0.1, "high": 0.9, "n": 2, "patients": 2}
    extra = [row for frame in frames for row in shapes(frame)]
    found = evaluation_of(tmp_path, frames, extra, confidence={"outliers.geometric": interval})
    table = outliers.outlier_table(found)
    assert values(table, "patients, with our further checks", "ours: lu_net")[1] == "0 %\n10 to 90"
    assert values(table, "frames", "ours: lu_net")[1] == "0 %"


def test_other_networks_have_fewer_rows_of_the_paper(tmp_path):
    frames = frames_of(["p1"], dice={"LV": 0.9, "LA": 0.8})
    extra = [row for frame in frames for row in shapes(frame) if row.structure == "LV"]
    found = evaluation_of(tmp_path, frames, extra, recipe={"name": "hinge_points", "model": "unet_vgg16"})
    table = outliers.outlier_table(found)
    named = [row[0].text for row in table.rows if row[0].text.startswith("paper")]
    assert named == ["paper: intra-observer", "paper: U-Net1", "paper: LU-Net-m5-o1", "paper: LU-Net-m5-o2"]
    assert any("the LV alone was judged" in note for note in table.notes)
    assert not any("alone" in row[0].text for row in table.rows)


def test_frames_without_shapes_or_reference_are_counted_apart(tmp_path):
    found = evaluation_of(tmp_path, frames_of(["p1"]))  # evaluated before shapes were measured
    table = outliers.outlier_table(found)
    assert values(table, "frames", "ours: lu_net") == ["0", "0 %", "–", "–", "–", "–", "4 / 0 / 0"]
    assert any("anatomical: 4 (nothing was outlined)" in note for note in table.notes)


def test_what_cannot_be_shown_says_why(tmp_path):
    old = read_evaluation(write_evaluation(tmp_path / "old", frames_of(["p1"])))
    summary = {key: value for key, value in old.summary.items() if key != "outliers_by_patient"}
    old = dataclasses.replace(old, summary=summary)
    for make in (outliers.outlier_table, outliers.case_table, outliers.bounds_table):
        made = make(old)
        assert isinstance(made, Missing)
        assert "before outliers were judged" in made.reason
    in_px = evaluation_of(tmp_path / "px", frames_of(["p1"], unit="px"))
    assert "the pixel pitch is unknown" in outliers.outlier_table(in_px).reason
    nothing = evaluation_of(tmp_path / "nothing", [])
    assert outliers.outlier_table(nothing).reason == "No frame could be judged: there is none of A4C or A2C."
    assert isinstance(outliers.bounds_table(nothing), type(outliers.bounds_table(in_px)))


def test_the_section_is_left_out_where_nothing_can_be_an_outlier(tmp_path):
    assert outliers.applies(evaluation_of(tmp_path / "px", frames_of(["p1"], unit="px")))
    short_axis = frames_of(["p1"], [("A3C", "ED")])  # any view that is neither A4C nor A2C
    assert not outliers.applies(evaluation_of(tmp_path / "view", short_axis))
    box = (0.9, 1.0, 1.0, 1.0, 1.0, False)
    boxes = [Frame("p1", *place, None, None, dice={}, not_found="no_segmentation", box=box) for place in FOUR]
    assert not outliers.applies(evaluation_of(tmp_path / "box", boxes))


def test_long_lists_are_cut(tmp_path):
    frames = frames_of([f"p{number:03d}" for number in range(70)], FOUR[:1])
    extra = [row for frame in frames for row in shapes(frame, LV=0.5)]
    table = outliers.case_table(evaluation_of(tmp_path, frames, extra))
    assert len(table.rows) == 60
    assert table.notes[-1].startswith("10 more are in summary.json")


def test_rows_of_patients_fit_the_evaluation(tmp_path):
    """cases.csv with the patients' rows can be read, and changes no figure of the summary but their own."""
    frames = frames_of(["p1", "p2"])
    extra = [row for frame in frames for row in shapes(frame)]
    before = evaluation_of(tmp_path / "before", frames, extra)
    made = outlier_rows(read_cases(tmp_path / "before" / "cases.csv"), Bounds())
    made = [row for row in made if row.metric not in {r.metric for r in before.rows if r.structure == "OUTLIER"}]
    after = evaluation_of(tmp_path / "after", frames, [*extra, *made])
    assert {**after.summary, "confidence": {}} == {**before.summary, "confidence": {}}
    assert len(after.rows) == len(before.rows) + len(made)
