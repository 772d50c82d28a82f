import dataclasses

import pytest

from evaluation.patients import LA_VOLUME_UNITS
from evaluation.rows import CaseRow
from reports.cells import Missing
from reports.evaluation_folder import read_evaluation
from reports.sections import volumes
from tests.reports.conftest import VOLUMES
from tests.reports.synthetic import write_evaluation
from tests.reports.worked import FRAMES, values

BIPLANE = "Biplane (A4C and A2C)"


def atrium_rows(patient, reference, predicted, *, cut=(False, False)):
    """All volumes of an atrium the same, but 10 ml less at ED."""
    rows = []
    for source, volume, is_cut in zip(("reference", "predicted"), (reference, predicted), cut, strict=True):
        for name in LA_VOLUME_UNITS:
            value = volume - 10 * name.endswith("ed")
            rows.append(CaseRow(patient, patient, "", "", "LA", f"{name}_{source}", value, "ml", "ok"))
        for phase in ("ed", "es"):
            name = f"la_cut_by_sector_{phase}_{source}"
            rows.append(CaseRow(patient, patient, "", "", "LA", name, float(is_cut and phase == "es"), "flag", "ok"))
    return rows


ATRIA = [
    *atrium_rows("patient0001", 40.0, 44.0, cut=(True, True)),
    *atrium_rows("patient0002", 50.0, 50.0, cut=(False, True)),
]


@pytest.fixture(scope="module")
def with_atria(tmp_path_factory):
    folder = tmp_path_factory.mktemp("atria")
    recipe = {"name": "lu_net", "model": "lu_net"}
    return read_evaluation(write_evaluation(folder, FRAMES, volumes=[*VOLUMES, *ATRIA], recipe=recipe))


def figures(texts):
    """Without the confidence intervals below them."""
    return [text.split("\n")[0] for text in texts]


def test_volumes(evaluation):
    table = volumes.volume_table(evaluation)
    # EDV differences 10 and 0: bias 5, sd 7.071, limits 5 ± 13.86.
    expected = ["2", "0", "110.0", "115.0", "1.000", "1.000", "+5.0", "−8.9 to +18.9", "5.0"]
    assert figures(values(table, "EDV, ml", BIPLANE)) == expected
    # EF 50, 50 → 54.5, 60: a constant reference has no correlation.
    assert figures(values(table, "EF, %", BIPLANE))[2:6] == ["50.0", "57.3", "–", "–"]


def test_single_plane_is_named_so(tmp_path):
    alone = [
        dataclasses.replace(row, view="A4C", metric=row.metric.replace("_", "_a4c_", 1))
        for row in VOLUMES
        if row.patient == "patient0001"
    ]
    missing = [
        dataclasses.replace(row, value=None, status="missing_A2C_ED+A2C_ES")
        for row in VOLUMES
        if row.patient == "patient0001"
    ]
    table = volumes.volume_table(read_evaluation(write_evaluation(tmp_path, FRAMES, volumes=[*missing, *alone])))
    assert values(table, "EDV, ml", BIPLANE)[:3] == ["0", "1", "–"]
    assert values(table, "EDV, ml", "Single-plane, A4C alone")[:4] == ["1", "0", "100.0", "110.0"]
    assert [heading for heading, _ in table.bodies] == [BIPLANE, "Single-plane, A4C alone"]
    assert "Single-plane volumes take the ventricle for round" in table.notes[0]


def test_lu_net_table_3(with_atria):
    table = volumes.clinical_table(with_atria)
    assert values(table, "paper: LU-Net-m5")[:3] == ["0.956", "+1.4 ± 21.8", "8.3"]
    assert values(table, "paper: intra-observer")[6:] == ["0.896", "−2.3 ± 11.2", "4.5", "–"]
    # EDV as above; ESV differences 0 and −12; EF differences 4.5 and 10
    ours = values(table, "ours: lu_net")
    assert ours[:6] == ["1.000", "+5.0 ± 13.9", "5.0", "−1.000", "−6.0 ± 16.6", "6.0"]
    assert ours[6:] == ["–", "+7.3 ± 7.6", "7.3", "2"]
    assert [cell.from_paper for cell in table.rows[0][1:]] == [True] * 10


def test_without_volumes_there_is_no_table_3(tmp_path):
    assert isinstance(volumes.clinical_table(read_evaluation(write_evaluation(tmp_path, FRAMES))), Missing)


def test_atrial_volumes(with_atria):
    table = volumes.atrium_table(with_atria)
    for heading in volumes.LA_QUANTITIES:
        # differences 4 and 0: bias 2, sd 2.83
        at_es = figures(values(table, "at ES, ml", heading))
        assert at_es == ["2", "0", "45.0", "47.0", "1.000", "1.000", "+2.0", "−3.5 to +7.5", "2.0"]
        assert figures(values(table, "at ED, ml", heading))[2:4] == ["35.0", "37.0"]
    assert "in the reference of 1 at ES, in the prediction of 2 at ES" in table.notes[-1]


def test_whole_atria_have_no_note_of_cut_ones(tmp_path):
    rows = atrium_rows("patient0001", 40.0, 44.0)
    table = volumes.atrium_table(read_evaluation(write_evaluation(tmp_path, FRAMES, volumes=[*VOLUMES, *rows])))
    assert not any("cuts the atrium" in note for note in table.notes)


def test_a_network_without_atria_has_no_such_table(evaluation):
    assert isinstance(volumes.atrium_table(evaluation), Missing)


def test_bland_altman_says_bias_and_limits(drawn, with_atria):
    # EDV differences 10 and 0: bias 5, limits 5 ± 13.86.
    drawing = volumes.volume_agreement(drawn)
    assert "EDV (n = 2): Mean difference +5.0 ml, 95 % limits of agreement −8.9 to +18.9 ml." in drawing.caption
    assert "atri" not in drawing.caption
    caption = volumes.volume_agreement(with_atria).caption
    assert "Left-atrial volume at ES (n = 2): Mean difference +2.0 ml" in caption
    assert "biplane Simpson (the atrium by area and length)" in caption
