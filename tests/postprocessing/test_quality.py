import dataclasses
import json
import math
import time

import numpy as np
import pytest

from postprocessing.measurement import FrameMeasurement, measure_frame, measure_labels
from postprocessing.quality import CLIP, FEATURES, QualityModel, frame_quality
from tests.postprocessing.drawn import SPACING_MM, STRUCTURES, label_map, one_hot, smooth_frame


def measure(probabilities: np.ndarray, **changes: object) -> FrameMeasurement:
    options = {"structures": STRUCTURES, "spacing_mm": SPACING_MM, "anterior_side": "left"}
    return measure_frame(probabilities, **(options | changes))


FRAME = smooth_frame(tilt_degrees=8, half_length_mm=14)

MODEL = QualityModel(
    unit="mm",
    fitted_on="validation",
    n=40,
    patients=20,
    centre={"probability_margin": 0.3, "hinge_entropy": 0.4},
    scale={"probability_margin": 0.1, "hinge_entropy": 0.2},
    coefficients={"probability_margin": 0.5, "hinge_entropy": 0.0},
    intercept=math.log(2.5),
    smearing=1.2,
    spread=0.5,
    limit=5.0,
    threshold=0.8,
    why_no_threshold="",
    interval=(-1.0, 2.0),
    level=0.9,
)


def test_a_frame_with_a_line_has_every_feature_and_they_are_finite() -> None:
    quality = measure(FRAME.probabilities).quality
    assert list(quality) == list(FEATURES)
    assert all(isinstance(value, float) and math.isfinite(value) for value in quality.values())


def test_references_and_networks_without_an_atrium_have_none() -> None:
    assert measure_labels(FRAME.labels, spacing_mm=SPACING_MM, anterior_side="left").quality == {}
    assert measure(FRAME.probabilities[..., :3], structures=(0, 1, 2)).quality == {}


@pytest.mark.parametrize(
    ("feature", "blurred_is_more"),
    [
        ("probability_margin", False),
        ("lowest_margin", False),
        ("contact_margin", False),
        ("transition_width", True),
        ("hinge_entropy", True),
    ],
)
def test_a_vaguer_network_is_worse_in_each_feature(feature: str, blurred_is_more: bool) -> None:
    sharp, vague = (
        measure(smooth_frame(half_length_mm=14, sharpness_per_mm=sharpness).probabilities).quality[feature]
        for sharpness in (1.5, 0.2)
    )
    assert (vague > sharp) is blurred_is_more
    assert (FEATURES[feature].worse > 0) is blurred_is_more


def test_by_hand() -> None:
    """LV over LA across the whole image: p(LV) falls by 0.2 a row from 0.9 to 0.1, the rest is background."""
    falling = np.linspace(0.9, 0.1, 5, dtype=np.float32)
    ramp = np.concatenate([np.full(8, 0.9), falling[1:4], np.full(8, 0.1)]).astype(np.float32)
    probabilities = np.zeros((19, 40, 3), np.float32)
    probabilities[..., 1] = ramp[:, None] * 0.9
    probabilities[..., 2] = (1 - ramp[:, None]) * 0.9
    probabilities[..., 0] = 0.1
    measurement = measure(probabilities, structures=(0, 1, 3), spacing_mm=(0.5, 2.0))
    quality = measurement.quality
    assert quality["probability_margin"] == pytest.approx(0.45 - 0.1, abs=1e-6)  # where LV and LA are 0.45 each
    assert quality["lowest_margin"] == pytest.approx(0.35, abs=1e-6)
    assert quality["contact_margin"] == pytest.approx(0.35, abs=1e-6)
    # p(LV) − p(LA) falls by 0.9 · 2 · 0.2 a row of 0.5 mm, so from 1 to −1 within 2 / 0.72 mm
    assert quality["transition_width"] == pytest.approx(2 / 0.72, rel=1e-3)
    assert quality["line_tortuosity"] == pytest.approx(1)
    # the row where both are alike is LV's by order of the channels: the pixel line runs half a row below
    assert quality["line_disagreement"] == pytest.approx(0.25, abs=1e-6)
    assert quality["anatomical_flags"] == 1  # 78 mm wide
    in_px = measure(probabilities, structures=(0, 1, 3), spacing_mm=None).quality
    assert in_px["transition_width"] == pytest.approx(2 / 0.36, rel=1e-3)
    assert in_px["line_disagreement"] == pytest.approx(0.5, abs=1e-6)


def test_entropy_of_certainty_and_of_ignorance() -> None:
    sure = one_hot(FRAME.labels)
    assert measure(sure).quality["hinge_entropy"] == pytest.approx(0, abs=1e-6)
    torn = sure.copy()
    rows, cols = np.mgrid[: torn.shape[0], : torn.shape[1]]
    near = np.hypot((rows - FRAME.left[0]) * SPACING_MM[0], (cols - FRAME.left[1]) * SPACING_MM[1]) < 9
    torn[near] = 0.25 + 0.01 * (sure[near] - 0.25)  # only just the same classes
    assert measure(torn).quality["hinge_entropy"] == pytest.approx(1, abs=1e-3)  # of the worse of the two


@pytest.mark.parametrize("tilt", [0, 60, 90, 180])
def test_the_worse_side_and_the_direction_do_not_matter(tilt: float) -> None:
    pitch = (0.3, 0.3)
    frame = smooth_frame(tilt_degrees=tilt, half_length_mm=12, spacing_mm=pitch, shape=(150, 150))
    level = smooth_frame(half_length_mm=12, spacing_mm=pitch, shape=(150, 150))
    turned, straight = (measure(f.probabilities, spacing_mm=pitch).quality for f in (frame, level))
    for name in ("probability_margin", "lowest_margin", "transition_width", "hinge_entropy", "contact_margin"):
        assert turned[name] == pytest.approx(straight[name], rel=0.05, abs=0.04), name  # squares do not turn


def test_scale_of_the_pixels_does_not_matter_in_mm() -> None:
    fine = measure(smooth_frame(half_length_mm=11).probabilities).quality
    coarse_mm = (SPACING_MM[0] * 2, SPACING_MM[1] * 2)
    coarse = measure(
        smooth_frame(half_length_mm=11, spacing_mm=coarse_mm, shape=(65, 130)).probabilities, spacing_mm=coarse_mm
    ).quality
    assert coarse["transition_width"] == pytest.approx(fine["transition_width"], rel=0.3)  # bilinear in between
    assert coarse["hinge_entropy"] == pytest.approx(fine["hinge_entropy"], abs=0.05)


def test_without_a_line_the_frame_says_how_near_it_came() -> None:
    apart = label_map("........ ..VVVV.. ..VVVV.. ..mmmm.. ..mmmm.. ..AAAA.. ..AAAA.. ........")
    sure = measure(one_hot(apart)).quality
    assert sure == {"contact_margin": -1.0, "anatomical_flags": 1.0}  # the gap
    nearly = one_hot(apart)
    nearly[2:6, 2:6] = (0, 0.3, 0.4, 0.3)
    nearly[2, 2:6] = (0, 0.5, 0.3, 0.2)
    assert measure(nearly).quality["contact_margin"] == pytest.approx(-0.1)
    empty = measure(one_hot(np.zeros_like(apart))).quality
    assert empty == {"contact_margin": -1.0, "anatomical_flags": 0.0}


def test_leaflets_are_no_rivals() -> None:
    probabilities = np.zeros((20, 30, 4), np.float32)  # background, LV, LA, MV
    probabilities[:9, :, 1] = 1
    probabilities[9:11, :, 3] = 1
    probabilities[11:, :, 2] = 1
    quality = measure(probabilities, structures=(0, 1, 3, 5)).quality
    assert quality["probability_margin"] == pytest.approx(0.5)
    apart = probabilities[:, :, [0, 1, 3, 2]]  # the same with myocardium's place: LV, then LA where the leaflet was
    assert measure(apart, structures=(0, 1, 3, 5)).quality["probability_margin"] == pytest.approx(0.5)
    nothing = np.zeros((20, 30, 4), np.float32)
    nothing[..., 3] = 1
    assert measure(nothing, structures=(0, 1, 3, 5)).quality["contact_margin"] == 0.5  # shared by both


@pytest.mark.parametrize("method", ["pixel", "subpixel"])
def test_a_touch_of_one_pixel_is_measured_too(method: str) -> None:
    labels = label_map("....... ....... ..VVV.. ...V... ...A... ..AAA.. ....... .......")
    quality = measure(one_hot(labels), method=method).quality
    assert all(math.isfinite(value) for value in quality.values())
    assert quality["anatomical_flags"] >= 2


def test_contact_at_the_edge_of_the_image() -> None:
    labels = label_map("VVV... VVV... AAA... AAA...")
    quality = measure(one_hot(labels)).quality
    assert all(math.isfinite(value) for value in quality.values())


def test_taking_features_is_quick() -> None:
    frame = smooth_frame(shape=(549, 389), spacing_mm=(0.154, 0.308), half_length_mm=15)
    measurement = measure(frame.probabilities, spacing_mm=(0.154, 0.308))
    best_s = math.inf
    for _ in range(20):
        start = time.perf_counter()
        frame_quality(
            frame.probabilities,
            STRUCTURES,
            measurement.label_map,
            line=measurement.contact_line,
            hinge_points=measurement.hinge_points,
            anterior_side="left",
            spacing_mm=(0.154, 0.308),
            anatomical_flags=0,
        )
        best_s = min(best_s, time.perf_counter() - start)
    assert best_s < 0.005  # half a millisecond on a free machine


def test_judgement_by_hand() -> None:
    judged = MODEL.judge({"probability_margin": 0.1, "hinge_entropy": 0.9}, 30.0)  # two scales worse than the middle
    log_error = math.log(2.5) + 0.5 * 2
    assert judged.expected_error == pytest.approx(1.2 * math.exp(log_error))
    z = (math.log(5) - log_error) / 0.5
    assert judged.score == pytest.approx(0.5 * (1 + math.erf(z / math.sqrt(2))))
    assert judged.abstained
    assert judged.diameter_interval == pytest.approx((30 - judged.expected_error, 30 + 2 * judged.expected_error))
    good = MODEL.judge({"probability_margin": 0.4, "hinge_entropy": 0.9}, 30.0)
    assert good.expected_error == pytest.approx(1.2 * 2.5 * math.exp(-0.5))
    assert not good.abstained
    assert good.score > judged.score


def test_score_falls_as_a_feature_gets_worse_and_stops_where_nothing_was_seen() -> None:
    margins = np.linspace(0.6, -0.2, 30)
    scores = [MODEL.judge({"probability_margin": margin}, 30.0).score for margin in margins]
    assert (np.diff(scores) <= 0).all()
    beyond = MODEL.judge({"probability_margin": 0.3 - 0.1 * CLIP}, 30.0)
    assert MODEL.judge({"probability_margin": -9.0}, 30.0) == beyond
    assert MODEL.judge({"anatomical_flags": 0.0}, 30.0) == beyond  # what is lacking counts as the worst


def test_without_a_line_there_is_nothing_to_trust() -> None:
    judged = MODEL.judge({"anatomical_flags": 1.0}, None)
    assert (judged.expected_error, judged.abstained, judged.diameter_interval) == (None, True, None)
    assert judged.score < MODEL.threshold
    with pytest.raises(ValueError, match="`quality` must hold the features of a segmented frame"):
        MODEL.judge({}, None)


def test_no_diameter_is_negative_and_no_threshold_never_abstains() -> None:
    bad = {"probability_margin": -1.0}
    judged = dataclasses.replace(MODEL, threshold=None).judge(bad, 3.0)
    assert not judged.abstained
    assert judged.diameter_interval[0] == 0
    assert dataclasses.replace(MODEL, interval=None).judge(bad, 3.0).diameter_interval is None


@pytest.mark.parametrize("model", [MODEL, dataclasses.replace(MODEL, threshold=None, interval=None, unit="px")])
def test_the_model_survives_json(model: QualityModel) -> None:
    assert QualityModel.from_dict(json.loads(json.dumps(model.to_dict(), allow_nan=False))) == model


def change(**changes: object) -> dict[str, object]:
    return {**MODEL.to_dict(), **changes}


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (change(version=2), r"a\.json: quality model version 2, this program reads 1"),
        ([], "version None"),
        ({k: v for k, v in MODEL.to_dict().items() if k != "limit"}, r"not a complete quality model \(KeyError"),
        (change(features={"beauty": {"centre": 0, "scale": 1, "coefficient": 1}}), "must be among .*Received: beauty"),
        (change(features={"hinge_entropy": 3}), "not a complete"),
        (change(unit="cm"), "`unit` must be mm or px. Received: 'cm'"),
        (change(spread=0), "must be positive"),
        (change(intercept=math.nan), "finite"),
        (change(interval=[1]), "not a complete"),
        (change(level=1.0), "`level` must be between 0 and 1"),
        (
            change(features={"hinge_entropy": {"centre": 0, "scale": 1, "coefficient": -1}}),
            "no `coefficient` may be negative",
        ),
    ],
)
def test_a_damaged_model_is_refused(values: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        QualityModel.from_dict(values, "a.json")
