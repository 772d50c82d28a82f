import json
from dataclasses import replace

import pytest

from data_pipeline.datasets import camus
from evaluation.frames import frame_rows, subject_of
from evaluation.outliers import BORDERS, CHECKS, Bounds, outlier_rows, outliers_block
from evaluation.rows import Subject
from evaluation.shapes import shape_rows
from postprocessing.measurement import FLAGS, measure_labels
from tests.evaluation.drawn import ALL_FOUR

BOUNDS = Bounds()
FOUR = [("A4C", "ED"), ("A4C", "ES"), ("A2C", "ED"), ("A2C", "ES")]
NAMES = {"A4C": "4CH", "A2C": "2CH", "A3C": "3CH"}
WELL = {
    "dice": 0.95,
    "cpa": 0.95,
    "mean_absolute_distance": 1.5,
    "hausdorff": 5.0,
    "simplicity": 0.9,
    "convexity": 0.98,
}
MISSED = {"dice": 0.0, "cpa": None, **dict.fromkeys(["mean_absolute_distance", "hausdorff", "simplicity", "convexity"])}
UNITS = {"mean_absolute_distance": "mm", "hausdorff": "mm"}


def frame(patient="p1", view="A4C", phase="ED", *, borders=BORDERS, flags=(), unit="mm", **changed):
    """The rows of a frame on which all is well, `LV={"hausdorff": 9}` and the like excepted; None is undefined."""
    case = f"{patient}_{NAMES[view]}_{phase}" if phase else f"{patient}_{NAMES[view]}"
    subject = Subject(case, patient, view, phase, unit)
    rows = [subject.row("ANNULUS", "amvl_error", 1.0, unit), subject.row("LA", "hausdorff", 99.0, unit)]
    for border in borders:
        values = {**WELL, "simplicity_reference": 0.9, "convexity_reference": 0.98, **changed.get(border, {})}
        for metric, value in values.items():
            made_unit = unit if metric in UNITS else "ratio"
            if isinstance(value, str):
                rows.append(subject.failed_row(border, metric, made_unit, value))
            else:
                rows.append(subject.row(border, metric, float("nan") if value is None else value, made_unit))
    rows += [subject.row("FRAME", check, check in flags, "flag") for check in CHECKS]
    return rows


def patient(name="p1", changed=None, *, frames=FOUR, **every):
    """The rows of a patient; `changed` {(view, phase): what is special about that frame}."""
    return [
        row
        for view, phase in frames
        for row in frame(name, view, phase, **{**every, **(changed or {}).get((view, phase), {})})
    ]


def flags_of(rows, name="p1"):
    return {
        row.metric: row.status if row.value is None else row.value
        for row in outlier_rows(rows, BOUNDS)
        if row.patient == name
    }


def test_a_patient_on_whom_all_is_well_is_no_outlier():
    rows = outlier_rows(patient(), BOUNDS)
    assert {(row.case, row.patient, row.view, row.phase, row.structure, row.unit) for row in rows} == {
        ("p1", "p1", "", "", "OUTLIER", "flag")
    }
    assert flags_of(patient()) == dict.fromkeys(
        ["geometric", "geometric_lv", "geometric_epi", "anatomical", "anatomical_shape"], 0.0
    )


@pytest.mark.parametrize(
    ("border", "metric", "at_bound", "beyond"),
    [
        ("LV", "mean_absolute_distance", 2.4, 2.41),
        ("LV", "hausdorff", 8.1, 8.11),
        ("EPI", "mean_absolute_distance", 3.3, 3.31),
        ("EPI", "hausdorff", 9.4, 9.41),
    ],
)
@pytest.mark.parametrize("place", FOUR)
def test_any_of_the_eight_distances_of_a_border_will_do(border, metric, at_bound, beyond, place):
    well = flags_of(patient(changed={place: {border: {metric: at_bound}}}))
    assert well["geometric"] == 0
    found = flags_of(patient(changed={place: {border: {metric: beyond}}}))
    other = "geometric_epi" if border == "LV" else "geometric_lv"
    assert (found["geometric"], found[f"geometric_{border.lower()}"], found[other]) == (1, 1, 0)
    assert found["anatomical"] == 0


@pytest.mark.parametrize(
    ("border", "measure", "at_bound", "beyond"),
    [
        ("LV", "simplicity", 0.687, 0.686),
        ("LV", "convexity", 0.842, 0.841),
        ("EPI", "simplicity", 0.875, 0.874),
        ("EPI", "convexity", 0.930, 0.929),
    ],
)
def test_a_shape_that_no_expert_drew(border, measure, at_bound, beyond):
    assert flags_of(patient(changed={FOUR[2]: {border: {measure: at_bound}}}))["anatomical"] == 0
    found = flags_of(patient(changed={FOUR[2]: {border: {measure: beyond}}}))
    assert (found["anatomical"], found["anatomical_shape"], found["geometric"]) == (1, 1, 0)


def test_checks_are_flags_that_a_measurement_can_carry():
    assert set(CHECKS) <= set(FLAGS)


@pytest.mark.parametrize("check", CHECKS)
def test_checks_make_an_anatomical_outlier_and_none_by_shape(check):
    found = flags_of(patient(changed={FOUR[1]: {"flags": (check,)}}))
    assert (found["anatomical"], found["anatomical_shape"]) == (1, 0)


def test_checks_that_were_not_made_do_not_matter():
    rows = [row for row in patient() if row.structure != "FRAME"]
    assert flags_of(rows)["anatomical"] == 0
    assert outliers_block(rows, BOUNDS)["checks"] == []
    failed = [replace(row, value=None, status="no_la_class") if row.metric == "lv_la_gap" else row for row in patient()]
    assert outliers_block(failed, BOUNDS)["checks"] == [check for check in CHECKS if check != "lv_la_gap"]


def test_why_and_how_many():
    rows = [
        *patient("p1", {("A2C", "ES"): {"LV": {"hausdorff": 10.26, "simplicity": 0.6}, "flags": ("holes",)}}),
        *patient("p2", {("A4C", "ED"): {"EPI": {"mean_absolute_distance": 4.0}}}),
        *patient("p3", {("A4C", "ES"): {"flags": ("lv_la_gap", "fragments_removed")}}),
        *patient("p4"),
        *patient("p5", frames=FOUR[:1], LV={"hausdorff": 20.0}),
    ]
    block = outliers_block(rows, BOUNDS)
    json.dumps(block, allow_nan=False)
    geometric = block["geometric"]
    assert (geometric["judged"], geometric["outliers"], geometric["share"]) == (4, 2, 0.5)
    assert geometric["cases"] == ["p1", "p2"]
    assert geometric["why"] == {
        "p1": ["A2C-ES LV d_H 10.26 mm (at most 8.10)"],
        "p2": ["A4C-ED EPI d_m 4.00 mm (at most 3.30)"],
    }
    assert block["geometric_epi"]["cases"] == ["p2"]
    assert block["anatomical"]["why"] == {
        "p1": ["A2C-ES LV simplicity 0.600 (at least 0.687)", "A2C-ES a hole"],
        "p3": ["A4C-ES several components", "A4C-ES LV and LA apart"],
    }
    assert block["anatomical_shape"]["cases"] == ["p1"]
    assert (block["both"]["cases"], block["both"]["outliers"], block["both_shape"]["cases"]) == (["p1"], 1, ["p1"])
    assert block["both"]["why"]["p1"] == [*geometric["why"]["p1"], *block["anatomical"]["why"]["p1"]]
    # the patient with one frame is in no share, and not forgotten
    assert geometric["not_judged"] == {"missing": 1}
    assert geometric["incomplete"]["cases"] == ["p5"]
    # the paper's counts are of frames: 17 of them, three beyond
    assert (block["frames"]["geometric"]["judged"], block["frames"]["geometric"]["outliers"]) == (17, 3)
    assert block["frames"]["geometric"]["cases"] == ["p1_2CH_ES", "p2_4CH_ED", "p5_4CH_ED"]
    assert block["frames"]["anatomical_shape"]["why"] == {"p1_2CH_ES": ["LV simplicity 0.600 (at least 0.687)"]}
    assert (block["references"]["judged"], block["references"]["outliers"]) == (17, 0)
    assert block["bounds"] == BOUNDS.to_dict()
    assert block["borders"] == ["LV", "EPI"]


def test_bounds_given_are_bounds_in_force():
    strict = Bounds.from_dict({"lv_hausdorff_mm": {"value": 4.9, "source": "strict"}})
    assert outliers_block(patient(), strict)["geometric"]["share"] == 1.0
    assert outliers_block(patient(), strict)["bounds"]["lv_hausdorff_mm"] == {"value": 4.9, "source": "strict"}


def test_a_missing_frame_is_named_even_where_the_others_are_beyond():
    rows = patient(frames=FOUR[:3], LV={"hausdorff": 20.0})
    assert set(flags_of(rows).values()) == {"missing_A2C_ES"}
    assert flags_of(patient(frames=FOUR[::3]))["anatomical"] == "missing_A4C_ES+A2C_ED"


def test_frames_of_other_views_do_not_count():
    rows = [*patient(), *frame("p1", "A3C", "ED", LV={"hausdorff": 20.0}, flags=("holes",))]
    assert flags_of(rows) == flags_of(patient())
    alone = flags_of(frame("p1", "A3C", "ED"))
    assert set(alone.values()) == {"missing_A4C_ED+A4C_ES+A2C_ED+A2C_ES"}
    beyond = [*patient(), *frame("p1", "A4C", "", LV={"hausdorff": 20.0})]  # a further frame, of no known phase
    assert flags_of(beyond)["geometric"] == 1
    assert outliers_block(beyond, BOUNDS)["geometric"]["why"]["p1"] == ["A4C LV d_H 20.00 mm (at most 8.10)"]


def test_a_border_that_was_not_found_is_beyond_any_bound():
    found = outliers_block(patient(changed={FOUR[0]: {"LV": MISSED}}), BOUNDS)
    assert found["geometric"]["why"] == {"p1": ["A4C-ED LV not found"]}
    assert found["anatomical_shape"]["why"] == {"p1": ["A4C-ED LV not found"]}
    invented = {**MISSED, "cpa": 0.0, "simplicity": 0.9, "convexity": 0.98}
    found = outliers_block(patient(changed={FOUR[0]: {"LV": invented}}), BOUNDS)
    assert found["geometric"]["why"] == {"p1": ["A4C-ED LV found where the reference has none"]}
    neither = flags_of(patient(changed={FOUR[0]: {"LV": {**MISSED, "dice": None}}}))
    assert neither["geometric"] == "undefined"


def test_what_cannot_be_judged_says_why():
    without = dict.fromkeys(["dice", "cpa", "mean_absolute_distance", "hausdorff"], "no_reference")
    unlabelled = flags_of(patient(changed={FOUR[0]: {"LV": without, "EPI": without}}))
    assert (unlabelled["geometric"], unlabelled["anatomical"]) == ("no_reference", 0)
    in_px = flags_of(patient(unit="px", LV={"simplicity": "no_spacing"}))
    assert (in_px["geometric"], in_px["anatomical"]) == ("no_spacing", "no_spacing")
    unreadable = dict.fromkeys(WELL, "unreadable")
    found = flags_of(patient(changed={FOUR[0]: {"LV": unreadable, "EPI": unreadable}}))
    assert set(found.values()) == {"unreadable"}


def test_networks_that_outline_less():
    lv_alone = outliers_block(patient(borders=("LV",)), BOUNDS)
    assert lv_alone["borders"] == ["LV"]
    assert lv_alone["geometric"]["judged"] == 1
    assert "geometric_epi" not in lv_alone
    boxes = [row for row in patient(borders=()) if row.structure == "ANNULUS"]
    assert set(flags_of(boxes).values()) == {"no_segmentation"}
    assert outliers_block(boxes, BOUNDS)["geometric"]["not_judged"] == {"no_segmentation": 1}


def test_nothing_gives_nothing():
    block = outliers_block([], BOUNDS)
    json.dumps(block, allow_nan=False)
    assert (block["geometric"]["judged"], block["geometric"]["share"]) == (0, None)
    assert outlier_rows([], BOUNDS) == []


def test_rows_that_are_there_already_change_nothing():
    rows = patient("p1", {FOUR[0]: {"LV": {"hausdorff": 20.0}}})
    made = outlier_rows(rows, BOUNDS)
    assert outlier_rows([*rows, *made], BOUNDS) == made
    assert outliers_block([*rows, *made], BOUNDS) == outliers_block(rows, BOUNDS)


@pytest.mark.data
def test_real_references_against_themselves_are_no_outliers(camus_subset):
    """All but the one with a spur of a pixel along its base, which the bounds were measured without."""
    spur = "patient0360_2CH_ES"
    cases = camus.list_cases(camus_subset)
    rows = []
    for case in [*cases[:20], next(case for case in cases if case.case_id == spur)]:
        sample = camus.load_sample(case)
        perfect = measure_labels(sample.labels, spacing_mm=sample.spacing_mm, anterior_side="left", image=sample.image)
        rows += frame_rows(sample, perfect, structures=ALL_FOUR, anterior_side="left", calibration=None)
        if not any(row.case == sample.case_id and row.metric == "simplicity" for row in rows):
            rows += shape_rows(subject_of(sample), sample, perfect.label_map, ALL_FOUR)
    block = outliers_block(rows, BOUNDS)
    assert block["frames"]["geometric"]["judged"] == 21
    assert block["frames"]["geometric"]["outliers"] == 0
    assert block["frames"]["anatomical_shape"]["cases"] == [spur]
    assert block["references"]["cases"] == [spur]
