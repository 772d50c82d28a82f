import dataclasses

import numpy as np
import pytest

from reports.cells import Missing
from reports.evaluation_folder import read_evaluation
from reports.sections import failures, localisation
from tests.reports.synthetic import Frame, write_evaluation
from tests.reports.worked import cells, values

U_L2 = {"name": "lu_net_mu", "model": "u_l2", "box_margin": 0.05, "paper": "Leclerc et al."}

# IOU 0.9, 0.8, 0.7; |y_c| 1, 3, 2; |x_c| 0, 2, 4; |h| 3, 3, 3; |w| 1, 1, 4; one of the three cuts the reference.
FRAMES = [
    Frame("patient0001", "A4C", "ED", None, None, box=(0.9, -1.0, 0.0, 3.0, -1.0, False), not_found="no_la_class"),
    Frame("patient0001", "A4C", "ES", None, None, box=(0.8, 3.0, -2.0, -3.0, 1.0, True), not_found="no_la_class"),
    Frame("patient0002", "A4C", "ED", None, None, box=(0.7, 2.0, 4.0, 3.0, 4.0, False), not_found="no_la_class"),
]


@pytest.fixture(scope="module")
def located(tmp_path_factory):
    return read_evaluation(write_evaluation(tmp_path_factory.mktemp("boxes"), FRAMES, recipe=U_L2))


def test_table_1_beside_ours(located):
    table = localisation.localisation_table(located)
    paper = ["0.898 ± 0.053", "1.6 ± 1.8", "1.9 ± 1.9", "3.2 ± 3.1", "3.6 ± 3.2", "2000", "712", "36 %"]
    assert values(table, "paper: U-L2-mu-m5") == paper
    assert values(table, "paper: LU-Net-m5 (§V-D)")[:5] == ["0.906", "1.5", "1.5", "3.3", "3.5"]
    # sd: of .9, .8, .7 it is .1; of 0, 2, 4 it is 2; of 1, 3, 2 it is 1; of 1, 1, 4 it is √3.
    ours = ["0.800 ± 0.100\n0.700 to 0.850", "2.0 ± 2.0", "2.0 ± 1.0", "3.0 ± 0.0", "2.0 ± 1.7", "3", "1"]
    ours.append("33 %\n0 to 50")  # the first patient twice, both, the second twice: a half, a third, none
    assert values(table, "ours: u_l2-m5, all") == ours
    assert values(table, "ours: A4C-ES") == ["0.800", "2.0", "3.0", "3.0", "1.0", "1", "1", "100 %"]
    assert [row[0].text for row in table.rows if row[0].text.startswith("ours")] == [
        "ours: u_l2-m5, all",
        "ours: A4C-ED",
        "ours: A4C-ES",
    ]
    assert all(cell.from_paper for cell in table.rows[0][1:])
    assert "error, mm" in {group for group, _ in table.columns}


def test_boxes_that_cut_the_reference_deserve_a_second_look(located):
    assert cells(failures.second_look_table(located), "box out")["", "cases"] == "patient0001_4CH_ES"
    assert isinstance(failures.failure_table(located), Missing)  # what the network is not made for is no failure


def test_pixels_are_called_so(tmp_path):
    frames = [dataclasses.replace(frame, unit="px") for frame in FRAMES]
    table = localisation.localisation_table(read_evaluation(write_evaluation(tmp_path, frames, recipe=U_L2)))
    assert "error, px (paper: mm)" in {group for group, _ in table.columns}
    assert "cannot be compared" in table.notes[-1]


def test_nothing_located_is_said(tmp_path):
    frames = [dataclasses.replace(frame, box=None) for frame in FRAMES]
    evaluation = read_evaluation(write_evaluation(tmp_path, frames, extras=False))
    assert isinstance(localisation.localisation_table(evaluation), Missing)
    assert isinstance(localisation.overlap_by_epoch(evaluation), Missing)


def test_overlap_by_epoch(located):
    (line,) = localisation.overlap_by_epoch(located).figure.axes[0].get_lines()
    np.testing.assert_allclose(line.get_ydata()[[0, 49]], [0.6, 0.894])
