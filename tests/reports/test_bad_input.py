"""Evaluations with little or nothing in them: a report that says so, no crash, and no zero where there is no figure."""

import dataclasses
import json
import warnings

import pytest

from reports.report import write_report
from tests.reports.synthetic import calibration_of, many_frames, many_volumes, write_evaluation
from tests.reports.test_report import read


def failed(frames):
    return [dataclasses.replace(f, predicted=None, constructed=None, dice=dict.fromkeys(f.dice)) for f in frames]


def in_px(frames):
    return [dataclasses.replace(f, unit="px", constructed=None) for f in frames]


def unlabelled(frames):
    return [dataclasses.replace(f, reference=None, constructed=None, dice=dict.fromkeys(f.dice)) for f in frames]


def short_axis(frames):
    """Slices without a view, of a network for the two ventricles."""
    return [
        dataclasses.replace(
            f,
            patient=f"{f.patient}_{number}",
            view="",
            reference=None,
            predicted=None,
            constructed=None,
            not_found="no_la_class",
            dice={"RV": 0.8, "MYO": 0.85, "LV": 0.9},
        )
        for number, f in enumerate(frames)
    ]


MM = calibration_of((0.4, 0.5, 0.4, 0.1))
INPUTS = {
    "none": ([], {}, "No frame was evaluated"),
    "one case": (many_frames(1)[:1], {"calibration": MM}, "On 1 frame of 1 patient"),
    "one patient with volumes": (many_frames(1), {"volumes": many_volumes(1)}, "of 1 patient"),
    "all failed": (failed(many_frames(2)), {"calibration": MM}, "No hinge point could be measured on any of the 8"),
    "one case, failed": (failed(many_frames(1)[:1]), {}, "No hinge point could be measured on any of the 1"),
    "px only": (in_px(many_frames(2)), {}, "Pixels, not mm"),
    "px only, one case": (in_px(many_frames(1)[:1]), {"calibration": MM}, "Pixels, not mm"),
    "without a reference": (unlabelled(many_frames(2)), {}, "LV and LA of the reference do not touch"),
    "short axis": (short_axis(many_frames(2)), {}, "Segmentation of the ventricles"),
}


@pytest.fixture(params=INPUTS)
def case(request, tmp_path, without_figures):
    """The report's words and the summary of each of INPUTS, the figures left out: test_report.py draws them."""
    frames, options, words = INPUTS[request.param]
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # one value has no standard deviation, none has no mean
        folder = write_evaluation(tmp_path, frames, **options)
        report = write_report(folder)
    return request.param, words, read(report).text, json.loads((folder / "summary.json").read_text())


def test_the_report_says_what_there_is_not(case):
    name, words, text, summary = case
    assert words in text
    assert "nan" not in text.lower().split()
    assert "None" not in text.split()
    known = [entry for entry in summary["confidence"].values() if entry["low"] is not None]
    several = summary["n_patients"] > 1 and bool(known)
    # An interval is explained where there is one, and there is none of one patient but of a share of frames.
    assert ("Confidence interval:" in text) == bool(known)
    assert several or all(entry["patients"] < 2 for entry in summary["confidence"].values())
    if name == "short axis":
        assert "apical four- and two-chamber" not in text
        assert "Mean Dice (95 % CI): RV 0.800 (0.800 to 0.800), MYO 0.850" in text


def test_what_has_no_value_is_null_and_not_zero(case):
    name, _, _, summary = case
    measured = name in ("one case", "one patient with volumes", "px only", "px only, one case")
    for unit in ("mm", "px"):
        distance = summary["hinge"]["all"].get(f"distance_{unit}", {}).get("before", {"n": 0, "median": None})
        assert (distance["median"] is None) == (distance["n"] == 0)
        entry = summary["confidence"].get(f"annulus.mae_{unit}", {"estimate": None, "low": None, "n": 0})
        assert (entry["estimate"] is None) == (entry["n"] == 0)
        assert entry["low"] is None or entry["patients"] > 1
    found = [summary["hinge"]["all"].get(f"distance_{unit}", {}).get("before", {"n": 0})["n"] for unit in ("mm", "px")]
    assert any(found) == measured
    for block in summary["metrics"].values():
        for statistics in block.values():
            assert (statistics["mean"] is None) == (statistics["n"] == 0)
            assert statistics["sd"] is None or statistics["n"] > 1
    for block in summary["clinical"].values():
        assert (block["mae"] is None) == (block["n"] == 0)
    for share in ("geometric", "anatomical"):
        block = summary["outliers_by_patient"][share]
        assert (block["share"] is None) == (block["judged"] == 0)
