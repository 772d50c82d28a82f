"""Trust in a measurement: fitted on rows, told in rows, summed up."""

import dataclasses
import json
import math

import numpy as np
import pytest

from evaluation.quality import (
    ABSTAINED,
    EXPECTED_ERROR,
    LOWER,
    MIN_FRAMES,
    QUALITY,
    SCORE,
    TRUSTED_SCORE,
    UPPER,
    fit_quality,
    quality_block,
    quality_rows,
    why_no_quality,
)
from evaluation.rows import CaseRow, Subject
from evaluation.summary import summarise
from postprocessing.measurement import FrameMeasurement
from postprocessing.quality import FEATURES, QualityModel

SPREAD = {"probability_margin": 0.05, "lowest_margin": 0.05, "transition_width": 0.4, "hinge_entropy": 0.1}
MIDDLE = {
    "probability_margin": 0.4,
    "lowest_margin": 0.35,
    "transition_width": 2.0,
    "hinge_entropy": 0.4,
    "line_disagreement": 0.2,
    "line_tortuosity": 1.0,
    "contact_margin": 0.45,
    "anatomical_flags": 0.0,
}


def measured(quality: dict[str, float], diameter: float | None, *, unit: str = "mm") -> FrameMeasurement:
    return FrameMeasurement(
        label_map=np.zeros((4, 4), np.uint8),
        contact_line=None,
        hinge_points=None,
        annulus_diameter=diameter,
        unit=unit,
        status="ok" if diameter is not None else "no_contact_line",
        flags=(),
        quality=quality,
    )


def error_rows(frame: Subject, error: float | None, diameter: float, diameter_error: float) -> list[CaseRow]:
    """What fitting and judging need of `hinge_rows`: both points equally wrong, or no contact line predicted."""
    values = {
        "amvl_error": error,
        "pmvl_error": error,
        "annulus_diameter_error": diameter_error,
        "annulus_diameter_predicted": diameter,
    }
    unit = frame.unit
    rows = [
        frame.failed_row("ANNULUS", name, unit, "no_contact_line")
        if error is None
        else frame.row("ANNULUS", name, value, unit)
        for name, value in values.items()
    ]
    return [*rows, frame.row("ANNULUS", "annulus_diameter_reference", diameter - diameter_error, unit)]


def frames(
    n: int,
    seed: int = 0,
    *,
    informative: bool = True,
    unit: str = "mm",
    per_patient: int = 2,
    missing: int = 0,
    name: str = "p",
) -> list[tuple[Subject, FrameMeasurement, list[CaseRow]]]:
    """Frames whose log error follows how bad they are, with noise; the last `missing` have no contact line."""
    random = np.random.default_rng(seed)
    made = []
    for number in range(n):
        patient = f"{name}{number // per_patient:03d}"
        frame = Subject(f"{patient}_{number}", patient, "A4C", "ED", unit)
        bad, noise = random.normal(size=2)
        quality = {
            feature: middle + FEATURES[feature].worse * SPREAD.get(feature, 0) * (bad + 0.3 * random.normal())
            for feature, middle in MIDDLE.items()
        }
        error = 2.5 * math.exp((0.6 * bad if informative else 0) + 0.3 * noise)
        diameter_error = 0.5 * error * random.normal() - 1
        diameter = 30 + random.normal()
        if number >= n - missing:
            gap = {"contact_margin": -0.3 - 0.3 * random.random(), "anatomical_flags": 1.0}
            made.append((frame, measured(gap, None, unit=unit), error_rows(frame, None, 30, 0)))
        else:
            rows = error_rows(frame, error, diameter, diameter_error)
            made.append((frame, measured(quality, diameter, unit=unit), rows))
    return made


def rows_of(made, model: QualityModel | None) -> list[CaseRow]:
    return [row for frame, measurement, rows in made for row in [*rows, *quality_rows(frame, measurement, model)]]


def fitted(made) -> QualityModel | None:
    return fit_quality(rows_of(made, None))


@pytest.fixture(scope="module")
def model() -> QualityModel:
    found = fitted(frames(60, seed=1))
    assert found is not None
    return found


def found_of(rows: list[CaseRow]) -> dict[tuple[str, str], CaseRow]:
    return {(row.structure, row.metric): row for row in rows}


def test_what_a_model_learns_holds_on_other_frames(model: QualityModel) -> None:
    assert (model.n, model.patients, model.unit, model.fitted_on, model.limit) == (60, 30, "mm", "validation", 5.0)
    assert model.threshold == TRUSTED_SCORE
    assert all(coefficient >= 0 for coefficient in model.coefficients.values())
    assert model.coefficients["line_disagreement"] == 0  # alike in all frames, so that it says nothing
    block = quality_block(rows_of(frames(400, seed=2), model))
    assert block["auc_error_over_5_mm"] > 0.85
    assert block["risk_at_80_mm"] < 0.8 * block["risk_at_100_mm"]
    assert block["expected_error_mm"] == pytest.approx(block["measured_error_mm"], rel=0.2)
    assert block["error_of_abstained_mm"] > 2 * block["error_of_measured_mm"]
    assert 0.86 <= block["interval"]["coverage"] <= 0.96


def test_intervals_hold_what_they_promise_on_average() -> None:
    coverages, widths = [], []
    for seed in range(12):
        model = fitted(frames(30, seed=100 + seed))
        interval = quality_block(rows_of(frames(100, seed=200 + seed), model))["interval"]
        coverages.append(interval["coverage"])
        widths.append(interval["median_width_mm"])
    assert np.mean(coverages) > 0.88  # 0.9 within the error of 1200 frames, for 12 small fits
    assert np.mean(coverages) < 0.97
    assert np.median(widths) < 9


def test_what_is_fitted_is_what_is_applied() -> None:
    """On its own frames the model's log errors are least squares' but for the pull: unbiased, some features lacking."""
    made = frames(60, seed=1)
    for _, measurement, _ in made[::7]:
        del measurement.quality["hinge_entropy"]
    model = fitted(made)
    logs = [math.log(found["ANNULUS", "amvl_error"].value) for _, _, rows in made for found in [found_of(rows)]]
    assert np.mean([model.log_error(measurement.quality) for _, measurement, _ in made]) == pytest.approx(np.mean(logs))
    assert np.corrcoef([model.log_error(m.quality) for _, m, _ in made], logs)[0, 1] > 0.8


def test_a_systematic_error_of_the_diameter_is_in_the_interval(model: QualityModel) -> None:
    low, high = model.interval
    assert (low + high) / 2 > 0.1  # diameters come out 1 mm too small


def test_features_that_say_nothing_give_a_score_that_says_nothing() -> None:
    found = [fitted(frames(40, seed=seed, informative=False)) for seed in range(6)]
    assert any(model.threshold is None for model in found)
    uninformed = next(model for model in found if model.threshold is None)
    assert "says nothing about the error" in uninformed.why_no_threshold
    block = quality_block(rows_of(frames(200, seed=9, informative=False), uninformed))
    assert block["abstained"] == 0
    assert block["risk_at_80_mm"] == pytest.approx(block["risk_at_100_mm"], rel=0.1)


def test_few_frames_measure_and_never_abstain() -> None:
    few = fitted(frames(12))
    assert few.threshold is None
    assert "fitted on 12 frames; at least 30" in few.why_no_threshold
    assert few.interval is not None
    assert math.isfinite(few.interval[1])
    assert why_no_quality(rows_of(frames(12), None)) == ""


@pytest.mark.parametrize("made", [frames(MIN_FRAMES - 1), frames(20, per_patient=10), frames(20, missing=12), []])
def test_too_few_frames_or_patients_give_none_and_a_reason(made) -> None:
    assert fitted(made) is None
    assert "validation frames of" in why_no_quality(rows_of(made, None))


def test_frames_in_px_have_a_limit_of_their_own() -> None:
    model = fitted(frames(40, unit="px"))
    assert (model.unit, model.limit) == ("px", pytest.approx(31 / 6, rel=0.1))
    block = quality_block(rows_of(frames(40, seed=3, unit="px"), model))
    assert block["unit"] == "px"
    assert "auc_error_over_5_mm" not in block
    assert block["risk_at_80_px"] < block["risk_at_100_px"]
    in_mm = rows_of(frames(3), model)
    assert {row.status for row in in_mm if row.metric in (SCORE, LOWER, UPPER)} == {"no_quality_model"}


def test_where_both_units_occur_mm_is_fitted() -> None:
    made = frames(30) + frames(30, unit="px", seed=4, name="px")
    assert (fitted(made).unit, fitted(made).n) == ("mm", 30)


def test_the_order_of_frames_does_not_matter() -> None:
    made = frames(30)
    there, back = fitted(made), fitted(made[::-1])
    assert there.coefficients == pytest.approx(back.coefficients)
    assert there.interval == pytest.approx(back.interval)
    assert there.spread == pytest.approx(back.spread)


def test_no_patient_tells_about_itself() -> None:
    """One patient of absurd diameters widens the interval; its own frames must not have been fitted to it."""
    made = frames(40)
    strange = []
    for frame, measurement, rows in made:
        if frame.patient == "p000":
            rows = error_rows(frame, 2.0, 30, 25)
        strange.append((frame, measurement, rows))
    low, high = fitted(strange).interval
    plain_low, plain_high = fitted(made).interval
    assert high - low >= plain_high - plain_low


def test_rows_of_a_frame_with_a_model(model: QualityModel) -> None:
    (frame, measurement, _), *_ = frames(1)
    rows = quality_rows(frame, measurement, model, tta_spread=1.25)
    found = found_of(rows)
    judged = model.judge(measurement.quality, measurement.annulus_diameter)
    assert found[QUALITY, SCORE].value == judged.score
    assert (found[QUALITY, EXPECTED_ERROR].value, found[QUALITY, EXPECTED_ERROR].unit) == (judged.expected_error, "mm")
    assert (found[QUALITY, ABSTAINED].value, found[QUALITY, ABSTAINED].unit) == (float(judged.abstained), "flag")
    assert (found["ANNULUS", LOWER].value, found["ANNULUS", UPPER].value) == judged.diameter_interval
    assert found[QUALITY, "transition_width"].unit == "mm"
    assert found[QUALITY, "hinge_entropy"].unit == "ratio"
    assert found[QUALITY, "anatomical_flags"].unit == "count"
    assert found[QUALITY, "tta_spread"].value == 1.25
    assert found_of(quality_rows(frame, measurement, model, tta_spread=math.nan))[QUALITY, "tta_spread"].value is None


def test_the_same_rows_whatever_could_be_measured(model: QualityModel) -> None:
    (frame, whole, _), *_ = frames(1)
    gap = measured({"contact_margin": -0.4, "anatomical_flags": 1.0}, None)
    nothing = dataclasses.replace(measured({}, None), status="no_segmentation")
    unoriented = dataclasses.replace(measured(whole.quality, None), status="unknown_orientation")
    names = {(row.structure, row.metric) for row in quality_rows(frame, whole, model)}
    for measurement, given, status in (
        (gap, model, "no_contact_line"),
        (nothing, model, "no_segmentation"),
        (nothing, None, "no_segmentation"),
        (whole, None, "no_quality_model"),
        (unoriented, model, "unknown_orientation"),
    ):
        found = found_of(quality_rows(frame, measurement, given))
        assert set(found) == names
        assert found["ANNULUS", LOWER].status == status
        assert found[QUALITY, EXPECTED_ERROR].status == status
    found = found_of(quality_rows(frame, gap, model))
    assert found[QUALITY, ABSTAINED].value == 1
    assert found[QUALITY, SCORE].value < TRUSTED_SCORE
    assert found[QUALITY, "probability_margin"].status == "no_contact_line"
    assert found[QUALITY, "contact_margin"].value == -0.4
    few = dataclasses.replace(model, interval=None)
    assert found_of(quality_rows(frame, whole, few))["ANNULUS", LOWER].status == "no_quality_model"


def test_block_by_hand() -> None:
    """Three frames and one without contact: scores 0.9, 0.7 and 0.5, errors 1, 2 and 6 mm; the last is abstained."""
    rows: list[CaseRow] = []
    told = ((0.9, 1.0, 0, (28.0, 32.0)), (0.7, 2.0, 0, (31.0, 33.0)), (0.5, 6.0, 1, (20.0, 40.0)), (0.1, None, 1, None))
    for number, (score, error, abstained, bounds) in enumerate(told):
        frame = Subject(f"c{number}", f"p{number}", "A4C", "ED", "mm")
        rows += error_rows(frame, error, 30, 0)
        rows.append(frame.row(QUALITY, SCORE, score, "ratio"))
        rows.append(frame.row(QUALITY, ABSTAINED, abstained, "flag"))
        if error is None or bounds is None:
            rows.append(frame.failed_row(QUALITY, EXPECTED_ERROR, "mm", "no_contact_line"))
            continue
        rows.append(frame.row(QUALITY, EXPECTED_ERROR, 3.0, "mm"))
        rows += [frame.row("ANNULUS", name, bound, "mm") for name, bound in zip((LOWER, UPPER), bounds, strict=True)]
    block = quality_block(rows)
    assert block["risk_coverage"] == {
        "coverage": pytest.approx([1 / 3, 2 / 3, 1]),
        "risk_mm": pytest.approx([1, 1.5, 3]),
    }
    assert (block["n"], block["judged"], block["abstained"], block["abstained_measured"]) == (3, 4, 2, 1)
    assert block["abstained_share"] == 0.5
    assert (block["error_of_measured_mm"], block["error_of_abstained_mm"]) == (1.5, 6)
    assert (block["auc_error_over_5_mm"], block["n_error_over_5_mm"]) == (1, 1)
    assert (block["auc_no_contact_line"], block["n_no_contact_line"]) == (1, 1)
    assert (block["expected_error_mm"], block["measured_error_mm"]) == (3, 3)
    assert block["interval"] == {
        "level": 0.9,
        "n": 3,
        "coverage": pytest.approx(2 / 3),  # 30 mm is not between 31 and 33
        "median_width_mm": 4,
    }


def test_no_rows_and_no_model_are_no_error() -> None:
    for rows in ([], rows_of(frames(5), None)):
        block = quality_block(rows)
        assert (block["model"], block["n"], block["judged"], block["abstained"]) == (False, 0, 0, 0)
        assert block["risk_coverage"] == {"coverage": [], "risk_mm": []}
        assert math.isnan(block["auc_error_over_5_mm"])
    summary = summarise([], data="none", split="test")
    assert summary["quality"]["abstained_share"] is None
    json.dumps(summary, allow_nan=False)


def test_a_long_curve_is_thinned_and_keeps_its_ends(model: QualityModel) -> None:
    block = quality_block(rows_of(frames(500, seed=5), model))
    assert len(block["risk_coverage"]["coverage"]) == 200
    assert block["risk_coverage"]["coverage"][-1] == 1
    assert block["risk_coverage"]["risk_mm"][-1] == pytest.approx(block["risk_at_100_mm"])


def test_a_frame_without_contact_is_never_trusted(model: QualityModel) -> None:
    block = quality_block(rows_of(frames(60, seed=6, missing=6), model))
    assert block["auc_no_contact_line"] > 0.9
    assert block["n_no_contact_line"] == 6
    assert block["abstained"] - block["abstained_measured"] == 6
