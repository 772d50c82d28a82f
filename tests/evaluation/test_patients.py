import dataclasses
import math

import numpy as np
import pytest

from data_pipeline.sample import Phase, Structure, View
from evaluation.patients import patient_rows
from tests.evaluation.drawn import labels, measured, sample, truth

SPACING_MM = (0.4, 0.6)
BASE_ROW = 220


def ventricle(length_mm, radius_mm):
    """Half an ellipse standing on row 220, on an atrium as wide as its base."""
    rows, cols = np.mgrid[:260, :120]
    height_mm, side_mm = (BASE_ROW - 0.5 - rows) * SPACING_MM[0], (cols - 59.5) * SPACING_MM[1]
    drawn = np.zeros(rows.shape, dtype=np.uint8)
    drawn[((height_mm / length_mm) ** 2 + (side_mm / radius_mm) ** 2 < 1) & (height_mm > 0)] = Structure.LV
    drawn[(rows >= BASE_ROW) & (rows < BASE_ROW + 20) & (np.abs(side_mm) < radius_mm)] = Structure.LA
    return drawn


def frame(view, phase, reference, predicted=None, *, spacing_mm=SPACING_MM, **about):
    the_sample = sample(reference, view=view, phase=phase, spacing_mm=spacing_mm, **about)
    return the_sample, measured(reference if predicted is None else predicted, spacing_mm)


ED_A4C, ED_A2C = ventricle(80, 20), ventricle(80, 25)
ES_A4C, ES_A2C = ventricle(70, 15), ventricle(70, 18)
WHOLE = [
    frame(View.A4C, Phase.ED, ED_A4C),
    frame(View.A2C, Phase.ED, ED_A2C),
    frame(View.A4C, Phase.ES, ES_A4C, ED_A4C),
    frame(View.A2C, Phase.ES, ES_A2C),
]


def half_ellipsoid_ml(length_mm, first_mm, second_mm):
    return 2 / 3 * math.pi * length_mm * first_mm * second_mm / 1000


def found_in(rows):
    return {row.metric: row for row in rows}


def test_volumes_of_half_ellipsoids():
    rows = patient_rows(WHOLE)
    found = {row.metric: row.value for row in rows}
    edv, esv = half_ellipsoid_ml(80, 20, 25), half_ellipsoid_ml(70, 15, 18)  # 83.8 and 39.6 ml
    assert found["edv_reference"] == pytest.approx(edv, rel=0.02)
    assert found["esv_reference"] == pytest.approx(esv, rel=0.02)
    assert found["ef_reference"] == pytest.approx(100 * (1 - esv / edv), abs=1.5)
    assert found["edv_predicted"] == pytest.approx(found["edv_reference"])
    # The prediction takes the ED mask for the ES one in A4C: 80 mm along the longer axis, 20 by 18.
    assert found["esv_predicted"] == pytest.approx(half_ellipsoid_ml(80, 20, 18), rel=0.02)
    assert found["ef_predicted"] < found["ef_reference"]
    assert found["edv_a4c_reference"] == pytest.approx(half_ellipsoid_ml(80, 20, 20), rel=0.02)
    assert found["edv_a2c_reference"] == pytest.approx(half_ellipsoid_ml(80, 25, 25), rel=0.02)
    assert {(row.case, row.patient, row.status) for row in rows} == {("p1", "p1", "ok")}
    assert {row.metric: row.unit for row in rows}["ef_a2c_predicted"] == "percent"
    assert found_in(rows)["edv_a2c_predicted"].view == "A2C"


def test_volumes_of_an_atrium_by_hand():
    """Boxes of 20 rows of 0.4 mm: 8 mm long; of 66 and 84 columns of 0.6 mm in A4C and A2C at ED."""
    rows = patient_rows(WHOLE)
    found = found_in(rows)
    areas_mm2 = 8 * 39.6, 8 * 50.4
    by_area = 8 / (3 * math.pi) * areas_mm2[0] * areas_mm2[1] / 8 / 1000  # 13.6 ml
    for source in ("reference", "predicted"):
        assert found[f"lav_ed_{source}"].value == pytest.approx(by_area, rel=1e-6)
        assert found[f"lav_discs_ed_{source}"].value == pytest.approx(math.pi / 4 * 39.6 * 50.4 * 8 / 1000, rel=0.01)
        assert found[f"lav_a4c_ed_{source}"].value == pytest.approx(8 / (3 * math.pi) * areas_mm2[0] ** 2 / 8000)
        assert found[f"lav_a2c_ed_{source}"].value == pytest.approx(8 / (3 * math.pi) * areas_mm2[1] ** 2 / 8000)
    assert found["lav_es_predicted"].value > found["lav_es_reference"].value  # its A4C is the wider one of ED
    of_atrium = [row for row in rows if row.structure == "LA"]
    assert len(of_atrium) == 20  # four volumes and a flag, two phases, two sources
    assert {row.unit for row in of_atrium} == {"ml", "flag"}
    assert found["lav_a2c_es_reference"].view == "A2C"
    assert found["lav_es_reference"].view == ""


def test_an_atrium_that_the_sector_cuts_is_flagged():
    def cut(pair):
        return pair[0], dataclasses.replace(pair[1], flags=("la_cut_by_sector",))

    found = found_in(patient_rows([WHOLE[0], WHOLE[1], WHOLE[2], cut(WHOLE[3])]))
    assert found["la_cut_by_sector_es_predicted"].value == 1
    assert found["la_cut_by_sector_ed_predicted"].value == 0
    assert found["la_cut_by_sector_es_reference"].value == 0
    below = np.roll(ED_A4C, 20, axis=0)  # its atrium stands on the lower edge of the image
    found = found_in(patient_rows([frame(View.A4C, Phase.ED, below)]))
    assert found["la_cut_by_sector_ed_reference"].value == 1
    assert "la_cut_by_sector_es_reference" not in found


@pytest.mark.parametrize("status", ["no_la_class", "no_segmentation"])
def test_a_network_that_outlines_no_atrium_has_no_rows_of_it(status):
    frames = [
        (the_sample, dataclasses.replace(found, hinge_points=None, contact_line=None, status=status))
        for the_sample, found in WHOLE
    ]
    rows = patient_rows(frames)
    assert {row.structure for row in rows} == {"LV"}
    expected = "ok" if status == "no_la_class" else status
    assert {row.status for row in rows if row.metric.endswith("_predicted")} == {expected}


def test_what_is_missing_is_named_and_one_view_stands_in():
    found = found_in(patient_rows(WHOLE[0:1] + WHOLE[2:3]))
    assert (found["edv_reference"].value, found["edv_reference"].status) == (None, "missing_A2C_ED")
    assert found["ef_predicted"].status == "missing_A2C_ED+A2C_ES"
    assert found["edv_a4c_reference"].status == "ok"
    assert found["ef_a4c_reference"].status == "ok"
    assert "edv_a2c_reference" not in found
    assert found["lav_es_reference"].status == found["lav_discs_es_predicted"].status == "missing_A2C_ES"
    assert found["lav_a4c_es_predicted"].status == "ok"
    assert "lav_a2c_es_reference" not in found
    one = found_in(patient_rows(WHOLE[:1]))
    assert one["esv_a4c_predicted"].status == "missing_A4C_ES"
    assert one["ef_a4c_predicted"].status == "missing_A4C_ES"
    assert one["edv_a4c_predicted"].status == "ok"


def test_frames_of_other_views_or_of_none_give_named_rows():
    for view, phase in ((View.A3C, Phase.ED), (None, None), (View.A4C, None)):
        rows = patient_rows([frame(view, phase, ED_A4C)])
        assert {row.status for row in rows} >= {"missing_A4C_ED+A2C_ED", "missing_A4C_ES+A2C_ES"}
        assert {row.value for row in rows} == {None}
        assert {row.structure for row in rows} == {"LV", "LA"}


def test_failures_are_named():
    apart = ED_A4C.copy()
    apart[BASE_ROW : BASE_ROW + 2] = Structure.BACKGROUND
    no_line = found_in(patient_rows([frame(View.A4C, Phase.ED, ED_A4C, apart), *WHOLE[1:]]))
    assert no_line["edv_predicted"].status == "no_contact_line"
    assert no_line["lav_ed_predicted"].status == no_line["lav_a4c_ed_predicted"].status == "no_contact_line"
    assert no_line["lav_ed_reference"].status == no_line["lav_a2c_ed_predicted"].status == "ok"
    assert no_line["ef_predicted"].status == "no_contact_line"
    assert no_line["esv_predicted"].status == "ok"
    assert no_line["edv_reference"].status == "ok"
    no_reference_line = found_in(patient_rows([frame(View.A4C, Phase.ED, apart, ED_A4C), *WHOLE[1:]]))
    assert no_reference_line["edv_reference"].status == "no_reference_contact_line"
    unlabelled = (sample(None, view=View.A4C, phase=Phase.ED), measured(ED_A4C, SPACING_MM))
    assert found_in(patient_rows([unlabelled, *WHOLE[1:]]))["edv_a4c_reference"].status == "no_reference"
    no_pitch = found_in(patient_rows([frame(View.A4C, Phase.ED, ED_A4C, spacing_mm=None), *WHOLE[1:]]))
    assert no_pitch["edv_reference"].status == "no_spacing"
    assert no_pitch["ef_a4c_predicted"].status == "no_spacing"


@pytest.mark.parametrize("more", [1, 2])
def test_several_frames_of_a_view_and_phase_have_no_volume_and_the_others_keep_theirs(more):
    """As a data set of single pictures has them; A2C has one frame of each phase, A4C more at ED."""
    others = [
        (dataclasses.replace(the_sample, frame=f"{number:04d}"), prediction)
        for number, (the_sample, prediction) in enumerate([WHOLE[0]] * more)
    ]
    found = found_in(patient_rows([*WHOLE, *others]))
    for metric in ("edv", "ef", "edv_a4c", "ef_a4c", "lav_ed", "lav_discs_ed", "lav_a4c_ed"):
        for source in ("reference", "predicted"):
            assert (found[f"{metric}_{source}"].value, found[f"{metric}_{source}"].status) == (None, "several_frames")
    whole = found_in(patient_rows(WHOLE))
    assert found.keys() == whole.keys()
    assert found["la_cut_by_sector_ed_predicted"] == whole["la_cut_by_sector_ed_predicted"]  # of A2C
    for metric in ("esv", "esv_a4c", "edv_a2c", "esv_a2c", "ef_a2c"):
        assert found[f"{metric}_predicted"] == whole[f"{metric}_predicted"]
        assert found[f"{metric}_predicted"].status == "ok"


def test_a_ventricle_of_one_pixel_has_no_volume_or_hardly_any():
    speck = np.zeros((40, 32), dtype=np.uint8)
    speck[19, 10], speck[20, 10] = Structure.LV, Structure.LA
    found = found_in(patient_rows([frame(View.A4C, Phase.ED, speck)]))
    assert found["edv_a4c_reference"].status == "no_volume" or found["edv_a4c_reference"].value < 0.01


def test_constructed_volumes_are_carried_along():
    known = truth(edv_ml=84.0, esv_ml=40.0, ef_percent=52.4)
    rows = patient_rows([frame(View.A4C, Phase.ED, labels(), truth=known)])
    found = found_in(rows)
    assert [found[f"{name}_constructed"].value for name in ("edv", "esv", "ef")] == [84.0, 40.0, 52.4]
    assert "edv_constructed" not in found_in(patient_rows(WHOLE))


def test_wrong_frames_are_refused():
    with pytest.raises(ValueError, match=r"of one patient\. Received: none"):
        patient_rows([])
    with pytest.raises(ValueError, match=r"of one patient\. Received: p1, p2"):
        patient_rows([WHOLE[0], frame(View.A2C, Phase.ED, ED_A2C, patient="p2")])
    with pytest.raises(ValueError, match=r"each frame once\. Received: p1_4CH_ED twice"):
        patient_rows([WHOLE[0], WHOLE[0]])
