import math

import numpy as np
import pytest

from evaluation.confidence import confidence_block, share
from evaluation.rows import CaseRow
from evaluation.summary import summarise
from tests.reports.synthetic import Frame, frame_rows, many_frames, many_volumes, volume_rows

HERE = (10.0, 10.0, 10.0, 40.0)


def frames_of(errors, **about):
    """Frames of one patient each, ED of A4C, whose aMVL is so many mm off to the right and whose pMVL is right."""
    return [
        row
        for number, error in enumerate(errors)
        for row in frame_rows(
            Frame(f"p{number}", "A4C", "ED", HERE, None if error is None else (10, 10 + error, 10, 40), **about)
        )
    ]


def outlier(patient, name, value):
    return CaseRow(patient, patient, "", "", "OUTLIER", name, value, "flag", "ok" if value is not None else "no_bounds")


def test_two_patients_worked_by_hand():
    # Draws of two patients: a a, a b, b a, b b, a quarter each. The Dice means are .9, .8, .8, .7.
    rows = frames_of([1.0, 3.0])
    rows = [row for row in rows if row.metric != "dice"]
    rows += [CaseRow(f"p{i}", f"p{i}", "A4C", "ED", "LV", "dice", v, "ratio", "ok") for i, v in enumerate((0.9, 0.7))]
    found = confidence_block(rows)
    dice = found["dice.LV"]
    assert (dice["estimate"], dice["n"], dice["patients"]) == (pytest.approx(0.8), 2, 2)
    assert (dice["low"], dice["high"]) == (pytest.approx(0.7), pytest.approx(0.9))
    assert found["dice.LV.ED"] == dice
    assert "dice.LV.ES" not in found
    # Diameters are 1 and 3 mm too small.
    assert found["annulus.mae_mm"]["estimate"] == pytest.approx(2)
    bias = found["annulus.bias_mm"]
    assert [bias[key] for key in ("estimate", "low", "high")] == pytest.approx([-2, -3, -1])
    assert found["annulus.mae_mm.A4C-ED"] == found["annulus.mae_mm"]
    # Distances 1, 0, 3, 0: the median is 0.5; of a patient alone 0.5 and 1.5.
    distance = found["hinge.distance_mm.median"]
    assert distance["n"] == 4
    assert [distance[key] for key in ("estimate", "low", "high")] == pytest.approx([0.5, 0.5, 1.5])


def test_frames_of_one_patient_are_drawn_together():
    random = np.random.default_rng(0)
    values = np.repeat(random.normal(0.8, 0.1, 20), 4)  # four frames alike of each of 20 patients

    def half_width(patients):
        rows = [
            CaseRow(f"c{i}", patient, "A4C", "ED", "LV", "dice", float(v), "ratio", "ok")
            for i, (patient, v) in enumerate(zip(patients, values, strict=True))
        ]
        found = confidence_block(rows)["dice.LV"]
        return (found["high"] - found["low"]) / 2

    together = half_width([f"p{i // 4}" for i in range(80)])
    apart = half_width([f"p{i}" for i in range(80)])
    assert together == pytest.approx(2 * apart, rel=0.1)  # a fourth of the patients, twice the width
    assert together == pytest.approx(1.96 * values[::4].std() / math.sqrt(20), rel=0.1)


def test_it_agrees_with_the_summary_and_is_the_same_each_time():
    rows = [row for frame in many_frames(12) for row in frame_rows(frame)] + many_volumes(12)
    found = summarise(rows, data="phantom", split="test")
    intervals = found["confidence"]
    assert intervals == summarise(rows, data="phantom", split="test")["confidence"]
    hinge, diameter = found["hinge"]["all"], found["annulus"]["all"]["diameter_mm"]["before"]
    pairs = {
        "dice.EPI": found["metrics"]["EPI"]["dice"]["mean"],
        "dice.LV.ES": found["metrics_by_phase"]["ES"]["LV"]["dice"]["mean"],
        "hinge.distance_mm.median": hinge["distance_mm"]["before"]["median"],
        "hinge.distance_mm.mean": hinge["distance_mm"]["before"]["mean"],
        "hinge.col_mm.median_absolute": hinge["col_mm"]["before"]["median_absolute"],
        "hinge.distance_mm.median.A4C-ES": found["hinge"]["A4C-ES"]["distance_mm"]["before"]["median"],
        "hinge_constructed.distance_mm.median": found["hinge_constructed"]["all"]["distance_mm"]["before"]["median"],
        "annulus.mae_mm": diameter["mae"],
        "annulus.bias_mm": diameter["mean"],
        "annulus.median_bias_mm": diameter["bias"],
        "clinical.ef.r": found["clinical"]["ef"]["r"],
        "clinical.edv.bias": found["clinical"]["edv"]["bias"],
        "clinical.esv.mae": found["clinical"]["esv"]["mae"],
        "hinge.failed_share": found["hinge"]["all"]["failed"] / found["hinge"]["all"]["frames"],
    }
    for key, value in pairs.items():
        entry = intervals[key]
        assert entry["estimate"] == pytest.approx(value), key
        assert entry["low"] < value < entry["high"], key
    assert intervals["hausdorff.LA_mm"]["estimate"] == found["metrics"]["LA"]["hausdorff_mm"]["mean"]
    assert intervals["pixel_accuracy"]["estimate"] == pytest.approx(found["pixel_accuracy"]["mean"])
    assert found["bootstrap"] == {"level": 0.95, "resamples": 2000, "seed": 0}


def test_the_seed_is_used():
    rows = frames_of(np.random.default_rng(1).normal(2, 1, 30).tolist())
    first, again, other = (confidence_block(rows, seed=seed, resamples=200) for seed in (0, 0, 1))
    assert first == again
    assert first["annulus.mae_mm"]["low"] != other["annulus.mae_mm"]["low"]


def test_what_is_not_defined_has_no_interval():
    assert confidence_block([]) == {}
    alone = confidence_block(frames_of([1.0]))["annulus.mae_mm"]
    assert (alone["estimate"], alone["n"], alone["patients"]) == (1.0, 1, 1)
    assert math.isnan(alone["low"])
    assert math.isnan(alone["high"])
    failed = confidence_block(frames_of([None, None]))["annulus.mae_mm"]
    assert (failed["n"], failed["patients"]) == (0, 0)
    assert math.isnan(failed["estimate"])
    # Two patients with the same volumes: no correlation.
    volumes = volume_rows("a", (100, 90), (50, 50)) + volume_rows("b", (100, 90), (50, 50))
    found = confidence_block(volumes)
    assert math.isnan(found["clinical.edv.r"]["estimate"])
    assert found["clinical.edv.bias"]["estimate"] == -10.0


def test_failed_frames_are_a_share_of_their_own():
    found = confidence_block(frames_of([1.0, None, 2.0, None]))
    assert found["hinge.failed_share"]["estimate"] == 0.5
    assert found["annulus.mae_mm"]["n"] == 2


def test_networks_without_hinge_points_have_no_figure_of_them():
    found = confidence_block(frames_of([None, None], not_found="no_la_class"))
    assert not [key for key in found if key.startswith(("hinge", "annulus"))]
    assert "dice.LV" in found


def test_lengths_in_px_are_kept_apart():
    rows = frames_of([1.0, 2.0]) + [row for row in frames_of([1, 2, 3.0, 4.0], unit="px") if row.patient > "p1"]
    found = confidence_block(rows)
    assert found["annulus.mae_mm"]["estimate"] == pytest.approx(1.5)
    assert found["annulus.mae_px"]["estimate"] == pytest.approx(3.5)
    assert found["hausdorff.LV_px"]["n"] == 2


def test_share_of_what_nobody_has_is_clopper_and_pearsons():
    # scipy.stats.binomtest(0, 10).proportion_ci(0.95, method="exact") is (0, 0.3084971)
    none = share(np.zeros((20, 1)), [f"p{i // 2}" for i in range(20)], level=0.95, resamples=100, seed=0)
    assert (none.estimate, none.low, none.high) == (0.0, 0.0, pytest.approx(0.3084971))
    every = share(np.ones((10, 1)), [f"p{i}" for i in range(10)], level=0.95, resamples=100, seed=0)
    assert (every.estimate, every.low, every.high) == (1.0, pytest.approx(0.6915029), 1.0)


def test_outliers_are_shares_of_the_patients_judged():
    flags = {"a": (1, 1), "b": (1, 0), "c": (0, 0), "d": (0, None), "e": (0, 1)}
    rows = [
        outlier(p, name, v) for p, of in flags.items() for name, v in zip(("geometric", "anatomical"), of, strict=True)
    ]
    found = confidence_block(rows)
    assert (found["outliers.geometric"]["estimate"], found["outliers.geometric"]["patients"]) == (0.4, 5)
    assert (found["outliers.anatomical"]["estimate"], found["outliers.anatomical"]["patients"]) == (0.5, 4)
    assert (found["outliers.both"]["estimate"], found["outliers.both"]["patients"]) == (0.25, 4)
