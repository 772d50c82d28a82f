import dataclasses
import json
import math

import pytest

from evaluation.comparison import compare, find_evaluations, holm
from shell.errors import UserError
from tests.reports.synthetic import Frame, calibration_of, many_frames, many_volumes, volume_rows, write_evaluation

HERE = (10.0, 10.0, 10.0, 40.0)


def frames_of(errors, dice=(0.9, 0.9, 0.9), **about):
    """ED and ES of three patients; aMVL so many mm too low, pMVL right. None could not be measured."""
    named = [(f"p{number // 2}", "ED" if number % 2 == 0 else "ES", error) for number, error in enumerate(errors)]
    return [
        Frame(
            patient,
            "A4C",
            phase,
            HERE,
            None if error is None else (10 + error, 10, 10, 40),
            dice={"LV": dice[int(patient[1])]},
            **about,
        )
        for patient, phase, error in named
    ]


def compared(tmp_path, *evaluations, **options):
    folders = [
        write_evaluation(tmp_path / f"run{number}" / "evaluation" / "phantom-test", frames, **options)
        for number, frames in enumerate(evaluations)
    ]
    return json.loads(compare(folders, tmp_path / "out").read_text())


def entry(found, key, pair=0):
    return next(metric for metric in found["pairs"][pair]["metrics"] if metric["key"] == key)


def test_pairs_worked_by_hand(tmp_path):
    # Mean hinge distances of a frame are half the error. The second frame of p1 is measured by the first run alone.
    first = frames_of([2, 4, 2, 2, 6, 6], dice=(0.9, 0.8, 0.7))
    second = frames_of([2, 2, 6, None, 2, 2], dice=(0.95, 0.8, 0.8))
    found = compared(tmp_path, first, second)
    assert [run["name"] for run in found["runs"]] == ["run0", "run1"]
    assert (found["pairs"][0]["baseline"], found["pairs"][0]["run"]) == ("run0", "run1")
    assert found["shared"] == {"frames": 6, "patients": 3}
    assert found["warnings"] == []
    hinge = entry(found, "hinge.distance_mm")
    assert hinge["values"] == {"p0": [1.5, 1.0], "p1": [1.0, 3.0], "p2": [3.0, 1.0]}
    assert (hinge["frames"], hinge["patients"]) == (5, 3)
    assert (hinge["only_baseline"], hinge["only_run"], hinge["neither"]) == (1, 0, 0)
    assert hinge["mean_difference"] == pytest.approx(-0.5 / 3)  # −0.5, 2, −2
    assert hinge["median_difference"] == -0.5
    assert (hinge["mean_low"], hinge["mean_high"]) == (-2, 2)  # one patient thrice: 1 of 27 draws
    assert hinge["share_better"] == pytest.approx(2 / 3)
    assert hinge["share_worse"] == pytest.approx(1 / 3)
    # Gains 0.5, −2, 2 have the ranks 1, 2.5, 2.5: (3.5 − 2.5)/6.
    assert hinge["rank_biserial"] == pytest.approx(1 / 6)
    dice = entry(found, "dice.LV")
    assert dice["mean_difference"] == pytest.approx(0.05)  # .05, 0, .1
    assert (dice["share_better"], dice["share_worse"]) == (pytest.approx(2 / 3), 0)
    assert (dice["rank_biserial"], dice["smaller_is_better"]) == (1, False)
    assert dice["frames"] == 6


def test_what_is_compared_is_corrected_and_what_is_not_is_listed(tmp_path):
    first, second = many_frames(8), [dataclasses.replace(f, box=(0.9, 1, 1, 1, 1, False)) for f in many_frames(8, 5)]
    folders = [
        write_evaluation(
            tmp_path / "a", first, volumes=many_volumes(8), calibration=calibration_of((0.4, 0.5, 0.4, 0.1))
        ),
        write_evaluation(tmp_path / "b", second, volumes=many_volumes(8, 3)),
    ]
    found = json.loads(compare(folders, tmp_path / "out", command="python evaluate.py --compare a b").read_text())
    assert found["command"] == "python evaluate.py --compare a b"
    pair = found["pairs"][0]
    p = [metric["wilcoxon_p"] for metric in pair["metrics"] if metric["wilcoxon_p"] is not None]
    corrected = [metric["holm_p"] for metric in pair["metrics"] if metric["wilcoxon_p"] is not None]
    assert corrected == pytest.approx(holm(p))
    assert entry(found, "hausdorff.LV_mm")["wilcoxon_p"] is None  # the same in both: nothing to test
    assert entry(found, "clinical.edv")["patients"] == 8
    assert {item["label"]: item["why"] for item in pair["not_compared"]} == {
        "calibrated hinge distance": "the run does not have it",
        "calibrated |diameter error|": "the run does not have it",
        "box IOU": "the baseline does not have it",
    }
    assert found["runs"][0]["summary"]["n_cases"] == 32


def test_holm():
    # Sorted .01 × 4, .02 × 3, .03 × 2, .5: .04, .06, .06, .5; never falling, never above 1.
    assert holm([0.03, 0.01, math.nan, 0.5, 0.02])[:2] == pytest.approx([0.06, 0.04])
    assert holm([0.03, 0.01, math.nan, 0.5, 0.02])[3:] == pytest.approx([0.5, 0.06])
    assert math.isnan(holm([math.nan, 0.2])[0])
    assert holm([0.6, 0.7]) == [1.0, 1.0]
    assert holm([]) == []


def test_only_shared_frames_are_compared_and_the_others_counted(tmp_path):
    first = frames_of([2, 4, 2, 2, 6, 6])
    found = compared(tmp_path, first, first[2:] + frames_of([1])[:0])
    assert found["shared"] == {"frames": 4, "patients": 2}
    assert [run["left_out"] for run in found["runs"]] == [2, 0]
    assert found["warnings"] == ["run0: 2 of its 6 frames are not in all evaluations: left out."]
    assert found["runs"][0]["summary"]["n_cases"] == 4
    assert set(entry(found, "hinge.distance_mm")["values"]) == {"p1", "p2"}


def test_no_shared_frame_is_refused(tmp_path):
    frames = frames_of([2, 4, 2, 2, 6, 6])
    with pytest.raises(UserError, match=r"no frame is in all of these evaluations.*run0: 2 frames.*run1: 4 frames"):
        compared(tmp_path, frames[:2], frames[2:])


def test_frames_of_one_name_but_another_reference_are_left_out(tmp_path):
    frames = frames_of([2, 4, 2, 2, 6, 6])
    other = [dataclasses.replace(frames[0], reference=(20.0, 10.0, 20.0, 40.0)), *frames[1:]]
    folders = [write_evaluation(tmp_path / name, of) for name, of in (("a", frames), ("b", other))]
    # Of the same files the reference is the same; it is not asked.
    assert json.loads(compare(folders, tmp_path / "out").read_text())["shared"]["frames"] == 6
    run = json.loads((folders[1] / "run.json").read_text())
    (folders[1] / "run.json").write_text(json.dumps({**run, "data_digest": "fedcba", "split": "all"}))
    found = json.loads(compare(folders, tmp_path / "out").read_text())
    assert found["shared"]["frames"] == 5
    assert "1 of the same name have another reference and are left out" in found["warnings"][0]


def test_different_splits_are_warned_of(tmp_path):
    frames = frames_of([2, 4, 2, 2, 6, 6])
    folders = [write_evaluation(tmp_path / split, frames, split=split) for split in ("test", "all")]
    found = json.loads(compare(folders, tmp_path / "out").read_text())
    assert found["warnings"][0].startswith("These are evaluations of different splits (test test, all all)")


def test_a_run_folder_means_the_evaluation_that_fits(tmp_path):
    frames = frames_of([2, 4])
    wanted = [write_evaluation(tmp_path / run / "evaluation" / "phantom-test", frames) for run in ("a", "b")]
    assert find_evaluations([tmp_path / "a", tmp_path / "b"]) == wanted
    write_evaluation(tmp_path / "a" / "evaluation" / "phantom-val", frames, split="val")
    assert find_evaluations([tmp_path / "a", tmp_path / "b"]) == wanted
    assert find_evaluations([tmp_path / "a", wanted[1]]) == wanted
    write_evaluation(tmp_path / "b" / "evaluation" / "phantom-val", frames, split="val")
    with pytest.raises(UserError, match=r"a: has several evaluations; name the one that is meant:\n.*phantom-test\n"):
        find_evaluations([tmp_path / "a", tmp_path / "b"])


def test_the_newest_of_several_of_the_same_data(tmp_path):
    frames = frames_of([2, 4])
    old, new = (write_evaluation(tmp_path / "a" / "evaluation" / name, frames) for name in ("one", "two"))
    run = json.loads((old / "run.json").read_text())
    (old / "run.json").write_text(json.dumps({**run, "created": "2025-01-01T00:00:00+00:00"}))
    other = write_evaluation(tmp_path / "b", frames)
    assert find_evaluations([tmp_path / "a", other]) == [new, other]


@pytest.mark.parametrize("names", [["a"], ["a", "a"], ["a", "nothing"]])
def test_what_cannot_be_compared_is_said(tmp_path, names):
    write_evaluation(tmp_path / "a", frames_of([2, 4]))
    with pytest.raises(UserError, match=r"two or more|differ|neither an evaluation folder nor a run"):
        compare([tmp_path / name for name in names], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_all_failed_and_one_patient_are_no_crash(tmp_path):
    found = compared(tmp_path, frames_of([None, None]), frames_of([2, 4]))
    assert {"label": "hinge distance", "why": "no frame that both could measure"} in found["pairs"][0]["not_compared"]
    alone = entry(found, "dice.LV")
    assert (alone["patients"], alone["mean_difference"], alone["mean_low"], alone["wilcoxon_p"]) == (1, 0, None, None)


def test_volumes_that_a_patient_lacks_the_views_for_are_no_failure(tmp_path):
    frames = frames_of([2, 4, 2, 2])
    volumes = volume_rows("p0", (100, 90), (50, 50))
    lacking = [
        dataclasses.replace(row, case="p1", patient="p1", value=None, status="missing_A2C_ED") for row in volumes
    ]
    found = compared(tmp_path, frames, frames[:3] + frames[3:], volumes=volumes + lacking)
    edv = entry(found, "clinical.edv")
    assert (edv["frames"], edv["patients"], edv["neither"], edv["unit"]) == (1, 1, 0, "ml")
    assert edv["baseline_mean"] == 10
