"""Stacks of drawn slices whose volumes, masses and distances are worked out by hand.

A slice has rows 1.5 mm and columns 1 mm apart; slices lie 8 mm from middle to middle: 7 of tissue and a gap of 1.
"""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from data_pipeline.sample import Case, Phase, Sample, Structure, View, VolumeSlice
from evaluation.frames import structure_rows, subject_of
from evaluation.short_axis import Slice, short_axis_rows
from evaluation.short_axis_summary import short_axis_block
from evaluation.summary import summarise

SPACING_MM, DISTANCE_MM = (1.5, 1.0), 8.0
PIXEL_ML = 1.5 * 1.0 * 8.0 / 1000
ALL = (Structure.BACKGROUND, Structure.LV, Structure.MYO, Structure.RV)
COUNT = 5


def heart(side=8, *, shift=0, right=6, closed=True):
    """LV of side × side pixels in a wall of two, RV of side × right pixels beside it; `shift` in columns."""
    drawn = np.zeros((24, 40), np.uint8)
    left = 6 + shift
    drawn[4 : 8 + side, left - 2 : left + 2 + side] = Structure.MYO
    drawn[6 : 6 + side, left : left + side] = Structure.LV
    if not closed:
        drawn[4 : 8 + side, left + side : left + 2 + side] = 0
    drawn[6 : 6 + side, left + 2 + side : left + 2 + side + right] = Structure.RV
    return drawn


EMPTY = np.zeros((24, 40), np.uint8)
DIASTOLE = [heart(8), heart(8), heart(6), heart(4), EMPTY]
SYSTOLE = [heart(6), heart(6), heart(4), EMPTY, EMPTY]
LV_ED, LV_ES = 64 + 64 + 36 + 16, 36 + 36 + 16
RV_ED, RV_ES = (8 + 8 + 6 + 4) * 6, (6 + 6 + 4) * 6


def wall(side):
    return (side + 4) ** 2 - side**2


def one(index, phase, reference, predicted, *, corrected=None, count=COUNT, **about):
    sample = Sample(
        image=np.ones(EMPTY.shape if reference is None else reference.shape, np.float32),
        labels=reference,
        spacing_mm=about.pop("spacing_mm", SPACING_MM),
        patient_id="p1",
        view=View.SAX,
        phase=phase,
        source="drawn",
        frame=about.pop("frame", f"s{index:02d}"),
        diagnosis="DCM",
        volume_slice=VolumeSlice(index, count, about.pop("distance_mm", DISTANCE_MM)),
    )
    return Slice(sample, predicted, corrected)


def stack(phase, references, predictions=None, **about):
    predictions = references if predictions is None else predictions
    return [
        one(index, phase, reference, predicted, **about)
        for index, (reference, predicted) in enumerate(zip(references, predictions, strict=True))
    ]


WHOLE = [*stack(Phase.ED, DIASTOLE), *stack(Phase.ES, SYSTOLE)]


def rows_of(slices, *, structures=ALL, unreadable=()):
    of_slices = [
        row
        for each in slices
        for row in structure_rows(subject_of(each.sample), each.sample, each.predicted, structures)
    ]
    return of_slices + short_axis_rows(slices, of_slices, structures=structures, unreadable=unreadable)


def found(rows, case="p1"):
    return {(row.structure, row.metric): row for row in rows if row.case == case}


def test_volumes_mass_and_ejection_fraction_by_hand():
    predicted = [*stack(Phase.ED, DIASTOLE), *stack(Phase.ES, SYSTOLE, [heart(6), heart(6), heart(4), heart(2), EMPTY])]
    rows = found(rows_of(predicted))
    assert rows["LV", "edv_reference"].value == pytest.approx(LV_ED * PIXEL_ML)  # 180 pixels: 2.16 ml
    assert rows["LV", "esv_reference"].value == pytest.approx(LV_ES * PIXEL_ML)
    assert rows["LV", "ef_reference"].value == pytest.approx(100 * (180 - 88) / 180)
    assert rows["LV", "esv_predicted"].value == pytest.approx((LV_ES + 4) * PIXEL_ML)
    assert rows["LV", "ef_predicted"].value == pytest.approx(100 * (180 - 92) / 180)
    assert rows["RV", "edv_reference"].value == pytest.approx(RV_ED * PIXEL_ML)
    assert rows["RV", "esv_predicted"].value == pytest.approx((RV_ES + 12) * PIXEL_ML)
    mass = sum(wall(side) for side in (8, 8, 6, 4)) * PIXEL_ML * 1.05
    assert rows["MYO", "mass_ed_reference"].value == pytest.approx(mass)
    assert rows["MYO", "mass_es_predicted"].value == pytest.approx(
        sum(wall(side) for side in (6, 6, 4, 2)) * PIXEL_ML * 1.05
    )
    units = {key[1].split("_")[0]: row.unit for key, row in rows.items()}
    assert units == {"edv": "ml", "esv": "ml", "ef": "percent", "mass": "g", "diagnosis": "flag"}
    assert rows["PATIENT", "diagnosis_DCM"].value == 1
    assert {row.view for row in rows.values()} == {""}


def test_a_volume_is_more_than_its_slices_by_hand():
    """The prediction of one slice lies two columns to the right, and another's is nothing."""
    predictions = [DIASTOLE[0], heart(8, shift=2), DIASTOLE[2], EMPTY, EMPTY]
    volume = found(rows_of(stack(Phase.ED, DIASTOLE, predictions)), "p1_SAX_ED")
    tp = 64 + 6 * 8 + 36
    assert volume["LV", "dice_volume"].value == pytest.approx(2 * tp / (180 + 164))
    assert volume["LV", "sensitivity_volume"].value == pytest.approx(tp / 180)
    # The lost slice is 8 mm from the next one that has any LV. Its pixels lie within that one's.
    assert volume["LV", "hausdorff_volume"].value == pytest.approx(8.0)
    assert volume["LV", "hausdorff_in_plane_volume"].value == pytest.approx(2.0)  # the lost slice has none in plane
    assert volume["LV", "hausdorff_in_plane_median_volume"].value == pytest.approx(0.0)  # of 0, 2 and 0 mm
    assert {row.phase for row in volume.values()} == {"ED"}
    assert {row.view for row in volume.values()} == {"SAX"}
    assert volume["EPI", "dice_volume"].status == "ok"


def test_a_perfect_prediction_and_an_empty_one():
    perfect = found(rows_of(WHOLE), "p1_SAX_ES")
    assert perfect["RV", "dice_volume"].value == 1.0
    assert perfect["RV", "hausdorff_volume"].value == 0.0
    nothing = rows_of(stack(Phase.ED, DIASTOLE, [EMPTY] * COUNT))
    volume, patient = found(nothing, "p1_SAX_ED"), found(nothing)
    assert volume["LV", "dice_volume"].value == 0.0
    assert volume["LV", "hausdorff_volume"].status == "undefined"
    assert volume["LV", "hausdorff_in_plane_volume"].status == "undefined"
    assert patient["LV", "edv_predicted"].status == "no_volume"
    assert patient["LV", "edv_reference"].status == "ok"


def test_what_is_missing_is_named():
    only_ed = rows_of(stack(Phase.ED, DIASTOLE))
    assert found(only_ed)["LV", "esv_reference"].status == "missing_SAX_ES"
    assert found(only_ed)["RV", "ef_predicted"].status == "missing_SAX_ES"
    assert found(only_ed)["MYO", "mass_es_predicted"].status == "missing_SAX_ES"
    assert found(only_ed)["LV", "edv_predicted"].status == "ok"
    assert not found(only_ed, "p1_SAX_ES")
    gaps = rows_of([each for each in WHOLE if each.sample.case_id not in ("p1_SAX_ED_s01", "p1_SAX_ED_s04")])
    assert found(gaps)["LV", "edv_reference"].status == "missing_SAX_ED_s01"
    assert found(gaps)["LV", "ef_predicted"].status == "missing_SAX_ED_s01"
    assert found(gaps)["LV", "esv_predicted"].status == "ok"
    assert found(gaps, "p1_SAX_ED")["LV", "dice_volume"].status == "missing_SAX_ED_s01"
    assert not any("A4C" in row.status for row in [*only_ed, *gaps])
    inner = rows_of([each for each in WHOLE if each.sample.case_id not in ("p1_SAX_ED_s00", "p1_SAX_ED_s04")])
    assert found(inner)["LV", "edv_reference"].value == pytest.approx((LV_ED - 64) * PIXEL_ML)  # the rest is unlabelled


def test_a_slice_that_cannot_be_read_spoils_its_volume_alone():
    lost = Case("p1", View.SAX, Phase.ES, Path("x"), Path("y"), frame="s02", slice_index=2, diagnosis="DCM")
    kept = [each for each in WHOLE if each.sample.case_id != lost.case_id]
    rows = rows_of(kept, unreadable=[lost])
    assert found(rows)["LV", "esv_predicted"].status == "unreadable"
    assert found(rows)["LV", "edv_predicted"].status == "ok"
    assert found(rows, lost.case_id)["SLICE", "level"].status == "unreadable"
    nothing = short_axis_rows([], [], structures=ALL, unreadable=[lost])
    assert found(nothing)["LV", "edv_predicted"].status == "missing_SAX_ED"
    assert found(nothing)["LV", "ef_predicted"].status in ("unreadable", "missing_SAX_ED")


def test_slices_that_are_no_stack_have_no_volume():
    wider = [replace(WHOLE[0], sample=replace(WHOLE[0].sample, spacing_mm=(1.5, 1.1))), *WHOLE[1:]]
    assert found(rows_of(wider))["LV", "edv_predicted"].status == "slices_differ"
    thicker = [one(0, Phase.ED, DIASTOLE[0], DIASTOLE[0], distance_mm=9.0), *WHOLE[1:]]
    assert found(rows_of(thicker))["LV", "edv_predicted"].status == "slices_differ"
    twice = [*WHOLE, one(0, Phase.ED, DIASTOLE[0], DIASTOLE[0], frame="again")]
    assert found(rows_of(twice))["LV", "edv_predicted"].status == "several_frames"
    larger = np.pad(DIASTOLE[0], ((0, 2), (0, 0)))
    sizes = [one(0, Phase.ED, larger, larger), *WHOLE[1:]]
    assert found(rows_of(sizes))["LV", "edv_predicted"].status == "slices_differ"
    no_pitch = [replace(each, sample=replace(each.sample, spacing_mm=None)) for each in WHOLE]
    assert found(rows_of(no_pitch))["LV", "edv_predicted"].status == "no_spacing"
    assert found(rows_of(no_pitch), "p1_SAX_ED")["LV", "hausdorff_volume"].status == "no_spacing"
    assert found(rows_of(no_pitch), "p1_SAX_ED")["LV", "dice_volume"].value == 1.0
    unlabelled = [replace(WHOLE[0], sample=replace(WHOLE[0].sample, labels=None)), *WHOLE[1:]]
    rows = rows_of(unlabelled)
    assert found(rows)["LV", "edv_reference"].status == "no_reference"
    assert found(rows)["LV", "edv_predicted"].status == "ok"
    assert found(rows, "p1_SAX_ED")["LV", "dice_volume"].status == "no_reference"
    assert found(rows, "p1_SAX_ED_s00")["SLICE", "level"].status == "no_reference"


def test_levels_and_criteria_by_hand():
    references = [heart(8, closed=False), heart(8), heart(6), heart(4), EMPTY]
    rows = rows_of([*stack(Phase.ED, references), *stack(Phase.ES, SYSTOLE)])
    levels = {case: found(rows, f"p1_SAX_{case}")["SLICE", "level"] for case in ("ED_s00", "ED_s03", "ED_s04")}
    assert (levels["ED_s00"].value, levels["ED_s03"].value) == (1, 3)  # of four: base, mid, mid, apex
    assert (levels["ED_s04"].value, levels["ED_s04"].status) == (None, "no_lv_in_reference")
    opened = found(rows, "p1_SAX_ED_s00")
    # 8 columns above and below, 8 rows on either side; of the open one the two outer rows are near the wall.
    assert opened["SLICE", "myocardium_share"].value == pytest.approx((16 * 1.0 + 10 * 1.5) / (16 * 1.0 + 16 * 1.5))
    assert (opened["SLICE", "basal_50"].value, opened["SLICE", "basal_100"].value) == (1, 0)
    assert found(rows, "p1_SAX_ED_s01")["SLICE", "basal_100"].value == 1
    volume = found(rows, "p1_SAX_ED")
    assert volume["LV", "dice_volume_50"].value == volume["LV", "dice_volume_100"].value == 1.0


def test_a_criterion_leaves_slices_out_of_volumes_and_summary():
    references = [heart(8, closed=False), heart(8), heart(6), heart(4), EMPTY]
    predictions = [EMPTY, *references[1:]]
    rows = rows_of([*stack(Phase.ED, references, predictions), *stack(Phase.ES, SYSTOLE)])
    volume = found(rows, "p1_SAX_ED")
    assert volume["LV", "dice_volume_50"].value == pytest.approx(2 * 116 / (180 + 116))
    assert volume["LV", "dice_volume_100"].value == 1.0
    assert volume["LV", "hausdorff_volume_50"].value == pytest.approx(8.0)
    assert volume["LV", "hausdorff_volume_100"].value == 0.0
    block = short_axis_block(by_case(rows))
    assert (block["slices"], block["volumes"], block["patients"]) == (10, 2, 1)
    assert (block["slices_without_heart"], block["slices_without_lv"]) == (3, 3)
    assert (block["slices_closed"], block["slices_half"], block["slices_open"]) == (6, 1, 0)
    assert block["criteria"]["basal_50"]["left_out"] == 0
    assert block["criteria"]["basal_100"]["left_out"] == 1
    assert block["criteria"]["basal_50"]["metrics"]["LV"]["dice"]["mean"] == pytest.approx(6 / 7)
    assert block["criteria"]["basal_100"]["metrics"]["LV"]["dice"]["mean"] == 1.0
    assert block["criteria"]["basal_100"]["metrics"]["LV"]["dice"]["undefined"] == 3  # those beyond the apex stay
    assert {name: group["slices"] for name, group in block["levels"].items()} == {"base": 2, "mid": 3, "apex": 2}
    assert block["base_by_criterion"]["basal_50"]["slices"] == 2
    assert block["base_by_criterion"]["basal_100"]["slices"] == 1
    assert block["diagnoses"]["DCM"]["patients"] == 1
    assert block["diagnoses"]["DCM"]["clinical"]["edv"]["bias"] == pytest.approx(-64 * PIXEL_ML)


def by_case(rows):
    cases = {}
    for row in rows:
        cases.setdefault(row.case, {})[row.structure, row.metric] = row
    return cases


def test_corrections_have_rows_of_their_own_and_change_no_other():
    predictions = [EMPTY, *DIASTOLE[1:]]
    corrected = [
        replace(each, corrected=reference)
        for each, reference in zip(stack(Phase.ED, DIASTOLE, predictions), DIASTOLE, strict=True)
    ] + [replace(each, corrected=each.predicted) for each in stack(Phase.ES, SYSTOLE)]
    rows = rows_of(corrected)
    plain = rows_of([replace(each, corrected=None) for each in corrected])
    assert [row for row in rows if "corrected" not in row.metric] == plain
    patient, volume = found(rows), found(rows, "p1_SAX_ED")
    assert patient["LV", "edv_predicted"].value == pytest.approx((LV_ED - 64) * PIXEL_ML)
    assert patient["LV", "edv_corrected"].value == pytest.approx(LV_ED * PIXEL_ML)
    assert patient["MYO", "mass_ed_corrected"].value == patient["MYO", "mass_ed_reference"].value
    assert volume["LV", "dice_volume"].value < volume["LV", "dice_volume_corrected"].value == 1.0
    assert volume["LV", "hausdorff_in_plane_volume_corrected"].value == 0.0
    first, second = found(rows, "p1_SAX_ED_s00"), found(rows, "p1_SAX_ED_s01")
    assert (first["LV", "dice"].value, first["LV", "dice_corrected"].value) == (0.0, 1.0)
    assert (first["SLICE", "corrected"].value, second["SLICE", "corrected"].value) == (1, 0)
    block = short_axis_block(by_case(rows))["corrected"]
    assert (block["slices"], block["changed"], block["patients_changed"]) == (10, 1, 1)
    assert block["share"] == pytest.approx(0.1)
    assert block["changed_by_level"] == {"base": 1, "mid": 0, "apex": 0}
    assert block["clinical"]["edv"]["bias"] == 0.0
    assert block["metrics"]["LV"]["dice"]["mean"] == 1.0
    assert block["criteria"]["basal_100"]["metrics_volume"]["LV"]["dice"]["mean"] == 1.0
    assert short_axis_block(by_case(plain))["corrected"] == {}
    with pytest.raises(ValueError, match="all have a correction, or none"):
        rows_of([corrected[0], *WHOLE[1:]])


def test_classes_that_a_network_lacks_have_no_rows():
    rows = found(rows_of(WHOLE, structures=(Structure.BACKGROUND, Structure.LV)))
    assert {structure for structure, _ in rows} == {"LV", "PATIENT"}
    with pytest.raises(ValueError, match=r"of one patient\. Received: none"):
        short_axis_rows([], [], structures=ALL)


def test_the_summary_takes_no_volume_for_a_frame():
    """Rows that every frame has are made here by hand; a volume has none of them."""
    rows = rows_of(WHOLE)
    rows += [subject_of(each.sample).failed_row("ANNULUS", "amvl_error", "mm", "no_la_class") for each in WHOLE]
    summary = summarise(rows, data="acdc:x", split="test")
    assert (summary["n_cases"], summary["n_patients"]) == (10, 1)
    assert summary["metrics"]["LV"]["dice"]["n"] == 7
    assert summary["metrics_volume"]["LV"]["dice"]["n"] == 2
    assert summary["metrics_volume"]["LV"]["hausdorff_in_plane_mm"]["median"] == 0.0
    assert summary["clinical"]["edv"]["n"] == summary["clinical_rv"]["esv"]["n"] == 1
    assert summary["clinical_mass"]["mass_es"]["bias"] == 0.0
    assert summary["clinical"]["edv"]["r"] is None
    assert summary["confidence"]["dice.LV"]["n"] == 7
    assert summary["confidence"]["dice_volume.LV"]["n"] == 2
    assert summary["confidence"]["clinical_rv.edv.mae"]["estimate"] == 0.0
    assert not math.isnan(summary["confidence"]["hausdorff_volume.LV_mm.median"]["estimate"])
    assert summary["clinical_single_plane"]["A4C"]["edv"]["failed"] == 0
    echo = summarise([], data="x", split="test")
    assert echo["short_axis"] == echo["clinical_rv"] == echo["clinical_mass"] == echo["metrics_volume"] == {}
