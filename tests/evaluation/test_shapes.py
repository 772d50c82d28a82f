import numpy as np
import pytest

from data_pipeline.sample import Structure
from evaluation.frames import subject_of
from evaluation.shapes import shape_rows
from postprocessing.shape import shape_of
from tests.evaluation.drawn import ALL_FOUR, LV_LA, SHAPE, SPACING_MM, by_metric, labels, sample

ALL = {"simplicity", "convexity", "simplicity_reference", "convexity_reference"}


def rows_of(the_sample, label_map, structures=ALL_FOUR):
    return shape_rows(subject_of(the_sample), the_sample, label_map, structures)


def test_shapes_of_prediction_and_reference():
    predicted = labels()
    predicted[12:18, 12:18] = Structure.BACKGROUND  # a hole of 36 of 100 pixels, which EPI has as well
    rows = rows_of(sample(labels()), predicted)
    assert {row.structure for row in rows} == {"LV", "EPI", "LA"}
    assert all(set(by_metric(rows, structure)) == ALL for structure in ("LV", "EPI", "LA"))
    lv, epi, la = (by_metric(rows, structure) for structure in ("LV", "EPI", "LA"))
    assert lv["convexity_reference"].value == pytest.approx(1, abs=0.001)
    assert lv["convexity"].value == pytest.approx(0.64, abs=0.1)  # so small a hole loses its corners
    assert epi["convexity"].value == pytest.approx(74 / 110, abs=0.1)
    assert la["simplicity"].value == la["simplicity_reference"].value
    square_mm = shape_of(labels() == Structure.LV, SPACING_MM)
    assert lv["simplicity_reference"].value == square_mm.simplicity
    assert lv["simplicity_reference"].unit == "ratio"
    assert lv["simplicity"].value < square_mm.simplicity


def test_only_what_the_network_outlines_has_a_shape():
    rows = rows_of(sample(labels()), labels(), LV_LA)
    assert {row.structure for row in rows} == {"LV", "LA"}


def test_leaflets_are_blood():
    with_valve = labels()
    with_valve[13:20, 14:16] = Structure.MV  # leaflets that stand in the LV would part its lower half
    rows = rows_of(sample(with_valve), labels(), (*ALL_FOUR, Structure.MV))
    lv = by_metric(rows, "LV")
    assert lv["convexity_reference"].value == lv["convexity"].value


def test_what_has_no_shape_says_so():
    empty = np.zeros(SHAPE, dtype=np.uint8)
    found = by_metric(rows_of(sample(None), empty), "LV")
    assert {name: row.status for name, row in found.items()} == {
        "simplicity": "undefined",
        "convexity": "undefined",
        "simplicity_reference": "no_reference",
        "convexity_reference": "no_reference",
    }
    unknown_pitch = by_metric(rows_of(sample(labels(), spacing_mm=None), labels()), "LV")
    assert unknown_pitch["simplicity"].status == "no_spacing"
    assert unknown_pitch["simplicity_reference"].status == "no_spacing"
    assert unknown_pitch["convexity"].value == pytest.approx(1, abs=0.001)
    assert by_metric(rows_of(sample(labels(), spacing_mm=None), empty), "LV")["simplicity"].status == "undefined"
