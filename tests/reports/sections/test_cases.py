import dataclasses
import json

import pytest

from evaluation.rows import CaseRow, read_cases, write_cases
from reports.cells import Missing
from reports.evaluation_folder import read_evaluation
from reports.sections.cases import case_browser
from shell.errors import UserError
from shell.files import read_json, write_json
from tests.reports.case_files import add_pictures
from tests.reports.synthetic import Frame, many_frames, write_evaluation

REFERENCE = (10.0, 10.0, 10.0, 40.0)
FRAMES = [
    Frame("p1", "A4C", "ED", REFERENCE, (10.0, 11.0, 10.0, 41.0)),  # 1 mm
    Frame("p1", "A4C", "ES", REFERENCE, (10.0, 14.0, 10.0, 42.0), la_cut=True),  # 4 and 2 mm, 28 for 30
    Frame("p1", "A2C", "ED", REFERENCE, None),
    Frame("p2", "A2C", "ED", None, (10.0, 11.0, 10.0, 41.0)),
    Frame("p2", "A4C", "ED", REFERENCE, (10.0, 12.0, 10.0, 42.0)),  # 2 mm
]


def browser_of(folder, frames=FRAMES, more=(), **options):
    write_evaluation(folder, frames, extras=False, **options)
    write_cases(folder / "cases.csv", [*read_cases(folder / "cases.csv"), *more])
    browser = case_browser(read_evaluation(folder))
    assert not isinstance(browser, Missing)
    return browser


def line(browser, case):
    """A case's cells by column, and its data."""
    (found,) = (item for item in browser.lines if item.case == case)
    names = [name for name, _ in browser.columns[1:]]
    return dict(zip(names, (cell.text for cell in found.cells), strict=True)), json.loads(found.data), found


def row_of(frame, structure, metric, value, unit):
    return CaseRow(frame.case, frame.patient, frame.view, frame.phase, structure, metric, value, unit, "ok")


def test_failures_are_first_then_the_worst(tmp_path):
    browser = browser_of(tmp_path)
    assert [item.case for item in browser.lines] == ["p1_2CH_ED", "p2_2CH_ED", "p1_4CH_ES", "p2_4CH_ED", "p1_4CH_ED"]
    assert [item.kinds[0] for item in browser.lines] == ["failed", "failed", "measured", "measured", "measured"]
    assert browser.views == ("A2C", "A4C")
    assert browser.phases == ("ED", "ES")


def test_a_line_says_what_was_measured(tmp_path):
    browser = browser_of(tmp_path)
    cells, data, found = line(browser, "p1_4CH_ES")
    assert cells == {
        "patient": "p1", "view": "A4C", "phase": "ES", "status": "measured",
        "hinge error, mm": "3.0", "diameter, mm": "28.0", "reference, mm": "30.0", "difference, mm": "−2.0",
        "Dice LV": "0.900", "Dice MYO": "0.800", "Dice LA": "0.850", "Dice EPI": "0.950",
        "flags": "LA cut by sector; off-centre",
    }  # fmt: skip
    assert found.kinds == ("measured", "flagged")
    facts = dict(data["facts"])
    assert facts["error of aMVL"] == "4.0 mm"
    assert facts["error of pMVL"] == "2.0 mm"
    assert facts["difference"] == "−2.0 mm"
    measures = data["measures"]
    assert measures["columns"][:4] == ["", "Dice", "d_m, mm", "d_H, mm"]
    assert [row[:4] for row in measures["rows"]] == [
        ["LV", "0.900", "1.5", "5.0"],
        ["MYO", "0.800", "1.5", "5.0"],
        ["LA", "0.850", "1.5", "5.0"],
        ["EPI", "0.950", "1.5", "5.0"],
    ]
    assert data["size"] is None


def test_a_failure_says_why(tmp_path):
    browser = browser_of(tmp_path)
    cells, data, _ = line(browser, "p1_2CH_ED")
    assert cells["status"] == "failed: LV and LA do not touch"
    assert (cells["hinge error, mm"], cells["diameter, mm"], cells["reference, mm"]) == ("–", "–", "30.0")
    assert dict(data["facts"])["why"].startswith("Predicted LV and LA do not touch")
    assert line(browser, "p2_2CH_ED")[0]["status"] == "not compared: LV and LA of the reference do not touch"
    assert [(kind, count) for kind, _, count in browser.kinds] == [("measured", 3), ("failed", 2), ("flagged", 1)]


def test_quality_and_what_abstains(tmp_path):
    more = [
        row_of(FRAMES[0], "FRAME", "image_quality", 3.0, "grade"),
        row_of(FRAMES[0], "QUALITY", "score", 0.91, "ratio"),
        row_of(FRAMES[0], "QUALITY", "expected_error", 1.2, "mm"),
        row_of(FRAMES[0], "QUALITY", "abstained", 0.0, "flag"),
        row_of(FRAMES[0], "ANNULUS", "annulus_diameter_lower", 26.0, "mm"),
        row_of(FRAMES[0], "ANNULUS", "annulus_diameter_upper", 34.0, "mm"),
        row_of(FRAMES[1], "QUALITY", "score", 0.2, "ratio"),
        row_of(FRAMES[1], "QUALITY", "abstained", 1.0, "flag"),
    ]
    browser = browser_of(tmp_path, more=more)
    cells, data, found = line(browser, "p1_4CH_ED")
    assert (cells["image"], cells["quality score"], cells["status"]) == ("Good", "0.91", "measured")
    assert found.cells[3].sort_by == "3"
    facts = dict(data["facts"])
    assert facts["90 % interval"] == "26.0 to 34.0 mm"
    assert facts["expected hinge error"] == "1.2 mm"
    cells, _, found = line(browser, "p1_4CH_ES")
    assert cells["status"] == "abstained"
    assert cells["image"] == "–"
    assert "abstained" in found.kinds
    assert ("abstained", "abstained", 1) in browser.kinds


def test_outliers_by_frame_are_flags_and_say_why(tmp_path):
    write_evaluation(tmp_path, FRAMES, extras=False)
    summary = read_json(tmp_path / "summary.json")
    summary["outliers_by_patient"] = {
        "frames": {"geometric": {"cases": ["p1_4CH_ED"], "why": {"p1_4CH_ED": ["d_H of LV 9.0 mm, bound 8.3"]}}}
    }
    write_json(tmp_path / "summary.json", summary)
    browser = case_browser(read_evaluation(tmp_path))
    cells, data, _ = line(browser, "p1_4CH_ED")
    assert cells["flags"] == "geometric outlier"
    assert data["flags"] == ["geometric outlier: d_H of LV 9.0 mm, bound 8.3"]


def test_pictures_are_placed_in_square_units_of_the_finer_pitch(tmp_path):
    add_pictures(tmp_path, FRAMES)
    _, data, _ = line(browser_of(tmp_path), "p1_4CH_ED")
    # 180 × 150 pixels of 0.8 × 0.6 mm: rows count 4/3; an outline's quarter of a pixel 1/4 and 1/3.
    assert data["size"] == [150.0, 240.0]
    assert data["scale"] == [0.25, 0.333333]
    # aMVL (107.5, 57 + 1): x = 58.5, y = 108 · 4/3
    assert data["points"][0] == ["aMVL", 58.5, 144.0]
    assert data["reference_points"][0] == ["aMVL", 57.5, 144.0]
    assert data["picture"].startswith("data:image/webp;base64,")
    assert data["diameter"] == "30.0 mm"
    assert list(data["prediction"]) == ["LV", "MYO", "LA"]
    _, failed, _ = line(browser_of(tmp_path), "p1_2CH_ED")
    assert failed["points"] is failed["contact"] is None
    assert failed["diameter"] == ""


def test_networks_that_find_less_have_their_own_columns_and_rank(tmp_path):
    frames = [
        dataclasses.replace(
            f,
            reference=None,
            predicted=None,
            constructed=None,
            not_found="no_la_class",
            dice={"LV": dice},
            la_cut=False,
        )
        for f, dice in zip(many_frames(1), (0.9, 0.7, 0.8, None), strict=True)
    ]
    browser = browser_of(tmp_path / "outlines", frames)
    assert [name for name, _ in browser.columns] == ["case", "patient", "view", "phase", "status", "Dice LV"]
    assert [item.cells[-1].text for item in browser.lines] == ["–", "0.700", "0.800", "0.900"]
    assert "points" not in dict(browser.layers)
    box = (0.9, 1.0, -1.0, 2.0, 2.0, True)
    frames = [dataclasses.replace(f, dice={}, box=box, not_found="no_segmentation") for f in frames]
    add_pictures(tmp_path / "boxes", frames)
    browser = browser_of(tmp_path / "boxes", frames)
    assert [name for name, _ in browser.columns][-2:] == ["box IOU", "flags"]
    assert dict(browser.layers).keys() == {"reference", "box"}
    data = json.loads(browser.lines[0].data)
    assert data["box"] == pytest.approx([30, 5 * 4 / 3, 80, 115 * 4 / 3], abs=0.01)


def test_a_length_in_another_unit_says_so(tmp_path):
    frames = [FRAMES[0], dataclasses.replace(FRAMES[1], unit="px")]
    cells, _, _ = line(browser_of(tmp_path, frames), "p1_4CH_ES")
    assert (cells["hinge error, mm"], cells["diameter, mm"]) == ("3.0 px", "28.0 px")


def test_no_frame_no_pictures_and_damaged_pictures_are_said(tmp_path):
    write_evaluation(tmp_path / "none", [], extras=False)
    assert isinstance(case_browser(read_evaluation(tmp_path / "none")), Missing)
    assert any("holds no pictures" in note for note in browser_of(tmp_path / "without").notes)
    add_pictures(tmp_path / "gone", FRAMES)
    (tmp_path / "gone" / "cases" / "p1_4CH_ED.webp").unlink()
    assert line(browser_of(tmp_path / "gone"), "p1_4CH_ED")[1]["picture"] is None
    for content in ({"case": "p1"}, [{"case": "p1_4CH_ED"}], [1]):
        write_json(tmp_path / "gone" / "cases" / "cases.json", content)
        with pytest.raises(UserError, match=r"cases\.json: must list case, file"):
            browser_of(tmp_path / "gone")
    add_pictures(tmp_path / "gone", FRAMES[:1])
    (entry,) = read_json(tmp_path / "gone" / "cases" / "cases.json")
    write_json(tmp_path / "gone" / "cases" / "cases.json", [{**entry, "spacing_mm": [0, 1]}])
    with pytest.raises(UserError, match="the entry of p1_4CH_ED is damaged"):
        browser_of(tmp_path / "gone")
