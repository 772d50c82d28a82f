import pytest

from cart.measure import BoxSpec
from data_pipeline.sample import Structure
from evaluation.boxes import box_rows
from evaluation.frames import subject_of
from tests.evaluation.drawn import by_metric as rows_by_metric
from tests.evaluation.drawn import labels, sample, values

# LV and MYO of `labels()` fill rows 10 to 19 and columns 10 to 20: 10 rows of 0.5 mm, 11 columns of 2 mm.
SPEC = BoxSpec((Structure.LV, Structure.MYO), margin=0.1)
WITH_MARGIN = (9.0, 21.0, 8.9, 22.1)


def rows_of_box(box, the_sample=None, spec=SPEC):
    the_sample = the_sample or sample(labels())
    return box_rows(subject_of(the_sample), the_sample, box, spec)


def test_the_reference_box_itself_has_no_error():
    found = values(rows_of_box(WITH_MARGIN), "BOX")
    assert found.pop("box_iou") == pytest.approx(1.0)
    assert found == pytest.approx(dict.fromkeys(found, 0.0))
    assert len(found) == 5


def test_errors_in_mm_worked_by_hand():
    # Two rows further down, and one column narrower on the right: the reference reaches to column 21, the box to 21.1.
    found = values(rows_of_box((11.0, 23.0, 8.9, 21.1)), "BOX")
    assert found["box_row_centre_error"] == pytest.approx(2 * 0.5)
    assert found["box_height_error"] == pytest.approx(0.0)
    assert found["box_col_centre_error"] == pytest.approx(-0.5 * 2.0)
    assert found["box_width_error"] == pytest.approx(-1.0 * 2.0)
    # Common: 10 rows of 12 and 12.2 columns of 13.2 and 12.2.
    assert found["box_iou"] == pytest.approx(122 / (12 * 13.2 + 12 * 12.2 - 122))
    assert found["box_out"] == 1  # row 10 of the reference is above it
    assert values(rows_of_box((9.9, 23.0, 8.9, 21.1)), "BOX")["box_out"] == 0


def test_units():
    assert {r.metric: r.unit for r in rows_of_box(WITH_MARGIN)} == {
        "box_iou": "ratio",
        "box_row_centre_error": "mm",
        "box_col_centre_error": "mm",
        "box_height_error": "mm",
        "box_width_error": "mm",
        "box_out": "flag",
    }
    in_px = rows_of_box((11.0, 23.0, 8.9, 22.1), sample(labels(), spacing_mm=None))
    assert rows_by_metric(in_px, "BOX")["box_row_centre_error"].unit == "px"
    assert values(in_px, "BOX")["box_row_centre_error"] == pytest.approx(2.0)


def test_without_a_reference_or_without_its_structures_every_row_says_so():
    assert {row.status for row in rows_of_box(WITH_MARGIN, sample(None))} == {"no_reference"}
    of_the_valve = BoxSpec((Structure.MV,), margin=0.1)
    rows = rows_of_box(WITH_MARGIN, spec=of_the_valve)
    assert {row.status for row in rows} == {"no_reference_box"}
    assert [row.metric for row in rows] == [row.metric for row in rows_of_box(WITH_MARGIN)]
