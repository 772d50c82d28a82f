"""The tables of single papers beside ours."""

import pytest

from reports.cells import Missing
from reports.evaluation_folder import read_evaluation
from reports.sections import improved_resunet, lu_net, vds_unet
from tests.reports.synthetic import Frame, write_evaluation
from tests.reports.worked import REFERENCE, values


def evaluation_of(folder, dices, recipe, **about):
    frames = [
        Frame(f"patient000{i}", "A4C", "ED", REFERENCE, REFERENCE, dice=dice, **about)
        for i, dice in enumerate(dices, start=1)
    ]
    return read_evaluation(write_evaluation(folder, frames, recipe=recipe))


def test_vds_unet_table_2(tmp_path):
    dices = [{"LV": 0.9, "LA": 0.8, "MV": 0.6}, {"LV": 0.8, "LA": 0.8, "MV": None}]
    found = evaluation_of(tmp_path, dices, {"name": "vds_unet", "model": "vds_unet"})
    table = vds_unet.valve_table(found)
    assert values(table, "PA", "all classes") == ["0.991 ± 0.001", "0.980 ± 0.000", "2"]
    # the sd of .9 and .8 is .0707; one of the two frames has no valve
    assert values(table, "Dice", "LA, left atrium") == ["0.935 ± 0.002", "0.800 ± 0.000", "2"]
    assert values(table, "Dice", "LV, left ventricle") == ["0.915 ± 0.002", "0.850 ± 0.071", "2"]
    assert values(table, "Dice", "MV, mitral valve") == ["0.757 ± 0.003", "0.600", "1"]
    assert values(table, "CPA", "LA, left atrium")[0] == "0.934 ± 0.002"
    assert values(table, "IoU", "MV, mitral valve")[1] == f"{0.6 / 1.4:.3f}"


def test_without_a_valve_there_is_no_such_table(evaluation):
    assert isinstance(vds_unet.valve_table(evaluation), Missing)


def test_improved_resunet_table_2(tmp_path):
    recipe = {"name": "improved_resunet", "model": "resunet"}
    found = evaluation_of(tmp_path, [{"LV": 0.9}, {"LV": 0.8}], recipe, not_found="no_la_class")
    assert improved_resunet.is_of_the_paper(found)
    table = improved_resunet.comparison_table(found)
    assert values(table, "paper: improved ResUNet") == ["92.38", "98.73", "–"]
    assert values(table, "ours: resunet, mean ± sd") == ["85.00 ± 7.07", "98.00 ± 0.00", "2"]


def test_lu_net_table_2(tmp_path):
    dices = [{"LV": 0.9, "MYO": 0.8, "EPI": 0.95}, {"LV": 0.8, "MYO": 0.8, "EPI": 0.95}]
    recipe = {"name": "lu_net_motivation", "model": "unet1"}
    found = evaluation_of(tmp_path, dices, recipe, not_found="no_la_class", oracle_margin=0.15)
    assert lu_net.is_of_the_paper(found)
    table = lu_net.border_table(found)
    assert values(table, "paper: BB-m15")[:3] == ["0.940 ± 0.034", "1.3 ± 0.6", "4.4 ± 1.9"]
    assert values(table, "paper: LU-Net-m5")[:3] == ["0.932", "1.7", "5.5"]
    assert values(table, "ours: unet1 in the reference's box, margin 15 %") == [
        "0.850 ± 0.071", "1.5 ± 0.0", "5.0 ± 0.0", "0.950 ± 0.000", "1.5 ± 0.0", "5.0 ± 0.0", "2",
    ]  # fmt: skip
    assert isinstance(lu_net.two_networks_table(found), Missing)


def test_lu_net_table_4(tmp_path):
    dices = [{"LV": 0.9, "MYO": 0.8, "EPI": 0.95, "LA": 0.8}] * 2
    first = {"LV": 0.7, "MYO": 0.6, "EPI": 0.75}
    box = (0.9, 1.0, 1.0, 1.0, 1.0, False)
    found = evaluation_of(tmp_path, dices, {"name": "lu_net", "model": "lu_net"}, first=first, box=box)
    table = lu_net.two_networks_table(found)
    assert values(table, "paper: LU-Net-m5-o2")[:4] == ["1.8 ± 1.0", "5.7 ± 3.6", "1.6 ± 0.9", "5.3 ± 3.3"]
    assert values(table, "ours: o1: first, proposes the box") == [
        "2.5 ± 0.0", "7.0 ± 0.0", "2.5 ± 0.0", "7.0 ± 0.0", "0.700 ± 0.000", "0.750 ± 0.000", "2",
    ]  # fmt: skip
    assert values(table, "ours: o2: second, inside the box")[:2] == ["1.5 ± 0.0", "5.0 ± 0.0"]


def test_the_first_of_ru_nets_two_stands_beside_no_paper(tmp_path):
    dices = [{"LV": 0.9, "EPI": 0.95}]
    found = evaluation_of(tmp_path, dices, {"name": "lu_net_segmentation", "model": "ru_net"}, first={"LV": 0.7})
    table = lu_net.two_networks_table(found)
    assert [row[0].text for row in table.rows] == ["ours: first", "ours: second"]
    assert values(table, "ours: first")[-3:] == ["0.700", "–", "1"]
    assert table.notes == ()


@pytest.mark.parametrize("name", ["hinge_points", "annulus"])
def test_other_networks_are_not_put_beside_these_papers(tmp_path, name):
    dices = [{"LV": 0.9, "MYO": 0.8, "EPI": 0.95}]
    found = evaluation_of(tmp_path, dices, {"name": name, "model": "unet1"})
    assert not lu_net.is_of_the_paper(found)
    assert not improved_resunet.is_of_the_paper(found)
