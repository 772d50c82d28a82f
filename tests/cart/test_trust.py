"""Whether to trust a measurement: from the spec to the record, the row of the spreadsheet and the line for people."""

import json
import math
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

import predict
from cart.frames import Frame
from cart.measure import ImageMeasurement, MeasurementSpec, measure_image
from cart.records import Record, csv_row, measure_files, measurement_record, summary_line
from data_pipeline.sample import Phase, View
from tests.cart.drawn import MODEL, SPACING_MM, heart, network, spec


def measured(
    image: np.ndarray, the_spec: MeasurementSpec, spacing_mm: tuple[float, float] | None = SPACING_MM
) -> ImageMeasurement:
    return measure_image(image, spacing_mm, View.A4C, Phase.ED, predictor=network, spec=the_spec)


def record(image: np.ndarray, the_spec: MeasurementSpec, spacing_mm=SPACING_MM) -> Record:
    frame = Frame(Path("frame.png"), image, spacing_mm, View.A4C, Phase.ED)
    return json.loads(json.dumps(measurement_record(frame, measured(image, the_spec, spacing_mm)), allow_nan=False))


def test_the_spec_carries_the_model() -> None:
    for the_spec in (spec(), spec(None)):
        assert MeasurementSpec.from_dict(json.loads(json.dumps(the_spec.to_dict()))) == the_spec
    older = spec(None).to_dict()
    del older["quality"]
    assert MeasurementSpec.from_dict(older) == spec(None)
    with pytest.raises(ValueError, match="quality: quality model version 7"):
        MeasurementSpec.from_dict({**spec().to_dict(), "quality": {"version": 7}})


def test_a_good_frame_is_stood_by() -> None:
    found = measured(heart(), spec())
    judged = found.judgement
    assert judged is not None
    assert judged.expected_error == pytest.approx(1.1)
    assert not judged.abstained
    diameter = found.frame.annulus_diameter
    assert judged.diameter_interval == pytest.approx((diameter - 1.1, diameter + 2.2))
    told = record(heart(), spec())
    assert told["score"] > 0.99
    assert told["abstained"] is False
    assert told["annulus_diameter_interval"] == pytest.approx(judged.diameter_interval)
    assert told["quality"].keys() == found.frame.quality.keys()
    line = summary_line(told)
    assert line.startswith(f"frame.png: A4C ED {diameter:.1f} mm 90 % between {diameter - 1.1:.1f} and")
    assert "score 1.00, expected hinge error 1.1" in line
    assert "TRUST" not in line


def test_a_bad_frame_keeps_its_value_and_is_marked() -> None:
    told = record(heart(hole=True), spec())
    assert told["flags"] == ["holes"]
    assert told["abstained"] is True
    assert told["annulus_diameter"] == pytest.approx(22, abs=0.6)  # 44 columns of 0.5 mm
    assert told["expected_error"] == pytest.approx(1.1 * math.exp(2))
    assert summary_line(told).startswith("frame.png: DO NOT TRUST: A4C ED 2")
    row = csv_row(told)
    assert row["abstained"] is True
    assert row["expected_error"] == told["expected_error"]
    assert [row["annulus_diameter_lower"], row["annulus_diameter_upper"]] == told["annulus_diameter_interval"]


def test_the_picture_says_so_too() -> None:
    assert predict.diameter_text(measured(heart(hole=True), spec())).endswith(" mm, do not trust")
    assert predict.diameter_text(measured(heart(), spec())).endswith(" mm")
    assert predict.diameter_text(measured(heart(gap=True), spec())) is None


def test_without_contact_the_line_says_what_it_said() -> None:
    told = record(heart(gap=True), spec())
    assert (told["abstained"], told["expected_error"], told["annulus_diameter_interval"]) == (True, None, None)
    assert summary_line(told) == "frame.png: A4C ED no_contact_line [lv_la_gap]"
    assert csv_row(told)["expected_error"] == ""


@pytest.mark.parametrize(
    ("the_spec", "spacing_mm"),
    [(spec(None), SPACING_MM), (spec(), None), (spec(replace(MODEL, unit="px")), SPACING_MM)],
)
def test_where_no_model_applies_nothing_is_said(the_spec: MeasurementSpec, spacing_mm) -> None:
    assert measured(heart(), the_spec, spacing_mm).judgement is None
    told = record(heart(), the_spec, spacing_mm)
    assert {told[name] for name in ("score", "expected_error", "abstained", "annulus_diameter_level")} == {None}
    assert "score" not in summary_line(told)
    row = csv_row(told)
    assert {row[name] for name in ("score", "expected_error", "abstained", "annulus_diameter_lower")} == {""}


def test_a_model_in_px_serves_frames_of_unknown_pitch() -> None:
    judged = measured(heart(), spec(replace(MODEL, unit="px")), None).judgement
    assert judged is not None
    assert judged.expected_error == pytest.approx(1.1)


def test_copies_are_measured_where_they_are_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "patient0001_4CH_ED.png"
    cv2.imwrite(str(path), heart().astype(np.uint8))
    options = {"predictor": network, "spec": spec(), "spacing_mm": SPACING_MM}
    (plain,) = measure_files([path], **options)
    (changed,) = measure_files([path], **options, tta=3)
    assert "tta_spread" not in plain.record
    assert changed.record["tta_spread"] > 0
    assert csv_row(plain.record).keys() == csv_row(changed.record).keys()
    assert csv_row(changed.record)["tta_spread"] == changed.record["tta_spread"]
    assert "spread over changed copies" in summary_line(changed.record)
    apart = tmp_path / "patient0002_4CH_ED.png"
    cv2.imwrite(str(apart), heart(gap=True).astype(np.uint8))
    (nothing,) = measure_files([apart], **options, tta=1)
    assert nothing.record["tta_spread"] is None


def test_a_row_of_a_failed_input_has_the_same_columns(tmp_path: Path) -> None:
    missing, path = tmp_path / "none_4CH_ED.png", tmp_path / "patient0001_4CH_ED.png"
    cv2.imwrite(str(path), heart().astype(np.uint8))
    failed, fine = measure_files([missing, path], predictor=network, spec=spec())
    assert csv_row(failed.record).keys() == csv_row(fine.record).keys()
