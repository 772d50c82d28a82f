"""Every kind of network through the same evaluation: without an atrium, without any outline, with a box, twice."""

import dataclasses
import json
from itertools import groupby

import numpy as np
import pytest

from cart.measure import BoxSpec, MeasurementSpec
from data_pipeline.preprocess import Preprocessing
from data_pipeline.sample import Phase, Sample, Structure, View, VolumeSlice
from evaluation.calibration import calibrated_rows, calibration_from_rows, in_sample_calibration
from evaluation.measure import measured_frames, measured_rows, rows_of_patient
from evaluation.rows import CALIBRATED_IN_SAMPLE
from evaluation.selection import shown_cases
from evaluation.summary import summarise
from shell.errors import UserError
from tests.evaluation.drawn import by_metric, values

SIDE = 32
SPACING_MM = (2.0, 2.0)
BACKGROUND, LV, MYO, LA = Structure.BACKGROUND, Structure.LV, Structure.MYO, Structure.LA


@dataclasses.dataclass(frozen=True)
class DrawnCase:
    """Stands for a file: the frame's number of the patient is its grey level."""

    patient_id: str
    view: View | None
    phase: Phase | None
    height: int = 12


def labels(height: int) -> np.ndarray:
    """LV of rows 18 − height to 17 and columns 12 to 19, MYO around it but below, LA of rows 18 to 25."""
    drawn = np.zeros((SIDE, SIDE), np.uint8)
    drawn[17 - height : 18, 11:21] = MYO
    drawn[18 - height : 18, 12:20] = LV
    drawn[18:26, 12:20] = LA
    return drawn


def load(case: DrawnCase) -> Sample:
    drawn = labels(case.height)
    return Sample(drawn.astype(np.float32) / 4, drawn, SPACING_MM, case.patient_id, case.view, case.phase, "drawn")


def spec(structures, **changes) -> MeasurementSpec:
    made = MeasurementSpec(
        structures=structures,
        preprocessing=Preprocessing(SIDE, SIDE),
        contact_line="subpixel",
        largest_component=True,
        anterior_sides={"A4C": "left", "A2C": "left"},
        calibration=None,
    )
    return dataclasses.replace(made, **changes)


def by_grey(structures):
    """A network that reads the classes off the grey levels; what it has no class for is background."""

    def predict(images):
        codes = np.rint(images[..., 0] * 4).astype(int)
        one_hot = np.stack([codes == s for s in structures], axis=-1)
        one_hot[..., 0] |= ~one_hot.any(-1)
        return {"probabilities": one_hot.astype(np.float32)}

    return predict


def evaluated(predictor, the_spec, cases):
    rows = []
    for _, of_patient in groupby(
        measured_frames(cases, load, predictor=predictor, spec=the_spec), key=lambda frame: frame.sample.patient_id
    ):
        rows += rows_of_patient([(frame.sample, frame.prediction) for frame in of_patient], the_spec)
    rows += calibrated_rows(rows, in_sample_calibration(rows), suffix=CALIBRATED_IN_SAMPLE)
    found = summarise(rows, data="drawn", split="test")
    json.dumps(found, allow_nan=False)
    return rows, found


def calibrated_on(cases, predictor, the_spec):
    rows = measured_rows(cases, load, predictor=predictor, spec=the_spec)
    return calibration_from_rows(rows, fitted_on="validation")


CASES = [
    DrawnCase("p1", view, phase, height)
    for phase, height in ((Phase.ED, 14), (Phase.ES, 8))
    for view in (View.A4C, View.A2C)
]


@pytest.mark.parametrize("structures", [(BACKGROUND, LV), (BACKGROUND, LV, MYO)])
def test_without_an_atrium_hinge_points_are_not_missed_and_volumes_are_measured(structures):
    rows, found = evaluated(by_grey(structures), spec(structures), CASES)
    assert found["not_measured"] == {"hinge_points": "no_la_class"}
    assert {row.status for row in rows if row.structure == "ANNULUS"} == {"no_la_class"}
    assert found["failures"] == []
    assert found["metrics"]["LV"]["dice"]["mean"] == 1.0
    assert "LA" not in found["metrics"]
    assert found["pixel_accuracy"]["mean"] == 1.0  # what is LA in the reference is background to this network
    flags = by_metric(rows[: len(rows) // 4], "FRAME")
    assert (flags["la_missing"].status, flags["lv_missing"].status) == ("no_la_class", "ok")
    assert not {name for name in found["outliers"] if "contact_line" in name or "annulus" in name}
    # The reference has an atrium, and its axis starts at the annulus; the network's starts at the ventricle's base,
    # which is half a pixel of 2 mm above: 1 mm of 28 at ED and of 16 at ES.
    volumes = {row.metric: row.value for row in rows if row.case == "p1"}
    assert volumes["edv_predicted"] == pytest.approx(volumes["edv_reference"], rel=0.06)
    assert volumes["ef_predicted"] == pytest.approx(volumes["ef_reference"], abs=2.5)
    assert found["clinical"]["ef"]["n"] == 1


def test_without_an_atrium_no_view_is_asked_for():
    _, found = evaluated(by_grey((BACKGROUND, LV)), spec((BACKGROUND, LV)), [DrawnCase("p1", None, None)])
    assert found["metrics"]["LV"]["dice"]["n"] == 1


@pytest.mark.parametrize("view", [None, View.A3C])
def test_of_a_view_whose_orientation_is_unknown_all_but_the_hinge_points_is_measured(view):
    """As LabelMe frames may have none. (The table of these tests has no A3C.)"""
    structures = (BACKGROUND, LV, MYO, LA)
    cases = [DrawnCase("p1", view, None), DrawnCase("p2", View.A4C, None)]
    rows, found = evaluated(by_grey(structures), spec(structures), cases)
    unknown, known = (
        [row for row in rows if row.patient == name and row.structure == "ANNULUS"] for name in ("p1", "p2")
    )
    interval = {"annulus_diameter_lower": "no_quality_model", "annulus_diameter_upper": "no_quality_model"}
    assert {row.metric: row.status for row in unknown if row.status != "unknown_orientation"} == interval
    assert by_metric(known, "ANNULUS")["annulus_diameter_error"].value == 0
    assert found["metrics"]["LA"]["dice"]["n"] == 2
    assert [(failure["case"][:2], failure["status"]) for failure in found["failures"]] == [
        ("p1", "unknown_orientation")
    ]
    assert calibrated_on(cases[:1], by_grey(structures), spec(structures)) is None


def test_a_ventricle_that_is_not_found_has_no_volume():
    def nothing(images):
        return {"probabilities": np.eye(2, dtype=np.float32)[np.zeros(images.shape[:3], int)]}

    rows, _ = evaluated(nothing, spec((BACKGROUND, LV)), CASES)
    assert by_metric(rows, "LV")["edv_predicted"].status == "no_volume"
    assert by_metric(rows, "LV")["edv_reference"].status == "ok"


def locate(images):
    """A box of rows 4 to 20 and columns 10 to 22, whatever the image."""
    return {"box": np.tile(np.array([4, 20, 10, 22], np.float32) / SIDE, (len(images), 1))}


LOCALISER = spec((BACKGROUND, LV, MYO), outputs=("box",), box=BoxSpec((LV, MYO), margin=0.0))


def test_a_localiser_says_nothing_of_what_it_does_not_outline():
    rows, found = evaluated(locate, LOCALISER, CASES)
    assert found["not_measured"] == {"hinge_points": "no_segmentation", "segmentation": "no_segmentation"}
    assert (found["metrics"], found["pixel_accuracy"], found["failures"]) == ({}, {}, [])
    assert not [row for row in rows if row.metric in ("dice", "hausdorff", "pixel_accuracy")]
    assert {row.status for row in rows if row.unit == "flag" and row.structure == "FRAME"} <= {"no_segmentation", "ok"}
    assert by_metric(rows, "FRAME")["lv_missing"].status == "no_segmentation"
    assert {row.status for row in rows if row.metric.endswith("_predicted") and row.unit in ("ml", "percent")} == {
        "no_segmentation"
    }
    # ED: the reference is rows 3 to 18 and columns 11 to 21, so the box cuts its first row; ES: rows 9 to 18.
    block = found["localisation"]["all"]
    assert (block["frames"], block["failed"], block["out"], block["out_share"]) == (4, 0, 2, 0.5)
    assert block["iou"]["mean"] == pytest.approx((14 * 10 / (16 * 12 + 15 * 10 - 140) + 9 * 10 / (16 * 12)) / 2)
    assert block["row_centre_mm"]["mean"] == pytest.approx((abs(12 - 10.5) + abs(12 - 13.5)) / 2 * 2)
    assert block["col_centre_mm"]["mean"] == 0
    assert block["height_mm"]["mean"] == pytest.approx((1 + 7) / 2 * 2)
    assert block["width_mm"]["mean"] == pytest.approx(2 * 2)
    assert found["localisation"]["A4C-ED"]["out"] == 1
    assert found["outlier_cases"]["box_out"] == ["p1_4CH_ED", "p1_2CH_ED"]
    assert [shown.measure for shown in shown_cases(rows)] == ["box IOU"] * 4


def test_a_network_that_segments_twice_and_locates():
    structures = (BACKGROUND, LV, MYO, LA)

    def twice(images):
        second = by_grey(structures)(images)["probabilities"]
        first = np.roll(second, 1, axis=1)  # one row too low
        return {"probabilities": second, "first_probabilities": first, "crop_probabilities": second, **locate(images)}

    outputs = ("box", "probabilities", "first_probabilities", "crop_probabilities")
    rows, found = evaluated(twice, spec(structures, outputs=outputs, box=LOCALISER.box), CASES[:1])
    assert found["not_measured"] == {}
    assert found["metrics"]["LV"]["dice"]["mean"] == 1.0
    assert found["metrics_first"]["LV"]["dice"]["mean"] == pytest.approx(13 / 14)  # 13 of its 14 rows
    assert found["metrics_first"]["EPI"]["hausdorff_mm"]["mean"] == pytest.approx(2.0)
    assert set(found["metrics_first"]["LV"]) == set(found["metrics"]["LV"])
    assert found["localisation"]["all"]["frames"] == 1
    assert values(rows, "LA")["dice_first"] == pytest.approx(7 / 8)


def test_frames_are_cropped_to_the_box_of_their_reference_and_come_back():
    structures = (BACKGROUND, LV, MYO, LA)
    oracle = BoxSpec((LV, MYO), margin=0.0)
    rows, found = evaluated(by_grey(structures), spec(structures, oracle=oracle), CASES)
    assert found["oracle_margin"] == 0.0
    assert {row.unit for row in rows if row.metric == "oracle_margin"} == {"ratio"}
    assert found["metrics"]["LV"]["dice"]["mean"] > 0.95
    assert found["metrics"]["LA"]["dice"]["mean"] == 0  # below the box, where the network did not look
    wide = BoxSpec((LV, MYO, LA), margin=0.3)
    _, found = evaluated(by_grey(structures), spec(structures, oracle=wide), CASES)
    assert found["oracle_margin"] == 0.3
    assert found["metrics"]["LA"]["dice"]["mean"] > 0.8  # grey levels between two classes are read as a third


def test_without_a_reference_there_is_no_box_to_crop_to():
    oracle = BoxSpec((Structure.MV,), margin=0.05)
    with pytest.raises(UserError, match="drawn: has a reference without MV, so there is no box"):
        evaluated(by_grey((BACKGROUND, LV)), spec((BACKGROUND, LV), oracle=oracle), CASES)


def test_a_slice_is_cropped_around_where_its_cine_has_the_heart():
    structures, case = (BACKGROUND, LV, MYO), DrawnCase("p1", View.SAX, Phase.ED)
    around = spec(structures, crop_mm=40.0)  # 20 of the 32 pixels

    def lv_dice(centre):
        def load_slice(case):
            return dataclasses.replace(load(case), heart_centre=centre, volume_slice=VolumeSlice(0, 1, 10.0))

        frames = measured_frames([case], load_slice, predictor=by_grey(structures), spec=around)
        rows = [row for frame in frames for row in frame.rows]
        return next(row for row in rows if (row.structure, row.metric) == ("LV", "dice")).value

    assert lv_dice((11.5, 15.5)) > 0.9  # the LV's middle
    assert 0.8 < lv_dice(None) < lv_dice((11.5, 15.5))  # the frame's: the LV's first rows are cut
    assert lv_dice((0.0, 0.0)) == 0  # nothing is found where the network does not look


def test_networks_without_a_box_have_no_word_of_it():
    rows, found = evaluated(by_grey((BACKGROUND, LV, LA)), spec((BACKGROUND, LV, LA)), CASES[:1])
    assert (found["localisation"], found["metrics_first"], found["oracle_margin"]) == ({}, {}, None)
    assert "box_out" not in found["outliers"]
    assert not [row for row in rows if row.structure == "BOX"]


def test_nothing_is_calibrated_where_nothing_is_found():
    without_la = spec((BACKGROUND, LV))
    assert calibrated_on(CASES, by_grey((BACKGROUND, LV)), without_la) is None


def test_cases_are_ranked_by_dice_where_there_are_no_hinge_points():
    def lower(images):
        """Misses as many rows as the frame is high, so the ES frames are the worst."""
        found = by_grey((BACKGROUND, LV))(images)["probabilities"]
        return {"probabilities": np.roll(found, 2, axis=1)}

    rows, _ = evaluated(lower, spec((BACKGROUND, LV)), CASES)
    shown = shown_cases(rows, each=1)
    assert [(s.case, s.kind, s.measure, s.hinge_error_mm) for s in shown] == [
        ("p1_4CH_ES", "worst", "mean Dice", None),
        ("p1_4CH_ED", "median", "mean Dice", None),
        ("p1_2CH_ED", "best", "mean Dice", None),
    ]
    assert shown[-1].caption == f"p1_2CH_ED: mean Dice {12 / 14:.3f}"
    assert shown[0].caption == f"p1_4CH_ES: mean Dice {6 / 8:.3f}"
