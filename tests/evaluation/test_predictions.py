"""What is kept of a prediction comes back digit for digit."""

import dataclasses

import numpy as np
import pytest

from evaluation.predictions import load_prediction, prediction_of, save_prediction
from postprocessing.measurement import FrameMeasurement, measure_labels
from shell.errors import UserError


def touching() -> FrameMeasurement:
    labels = np.zeros((40, 60), np.uint8)
    labels[5:20, 20:40] = 1
    labels[20:35, 22:38] = 3
    measurement = measure_labels(labels, spacing_mm=(0.3, 0.15), anterior_side="left")
    return dataclasses.replace(measurement, quality={"probability_margin": 0.1 + 0.2})


def test_a_prediction_comes_back_as_it_was(tmp_path):
    before = touching()
    first = np.full((40, 60), 2, np.uint8)
    box = (1.5, 20.25, -3.0, 59.0)
    save_prediction(tmp_path / "case.npz", prediction_of(before, box, anterior_side="right", first_label_map=first))
    again = load_prediction(tmp_path / "case.npz")
    assert again.box == box
    assert again.anterior_side == "right"
    np.testing.assert_array_equal(again.first_label_map, first)
    after = again.measurement()
    for field in dataclasses.fields(FrameMeasurement):
        if field.name not in ("label_map", "contact_line"):
            assert getattr(after, field.name) == getattr(before, field.name), field.name
    np.testing.assert_array_equal(after.label_map, before.label_map)
    np.testing.assert_array_equal(after.contact_line.points, before.contact_line.points)
    for name in ("segments", "one_pixel", "method"):
        assert getattr(after.contact_line, name) == getattr(before.contact_line, name)


def test_a_prediction_without_contact_comes_back_so(tmp_path):
    measurement = measure_labels(np.zeros((8, 9), np.uint8), spacing_mm=None, anterior_side="left")
    save_prediction(tmp_path / "case.npz", prediction_of(measurement))
    again = load_prediction(tmp_path / "case.npz")
    assert again.contact_line is None
    assert again.hinge_points is None
    assert again.box is None
    assert again.anterior_side is None
    assert again.first_label_map is None
    assert again.measurement().status == "no_contact_line"
    assert again.measurement().unit == "px"


@pytest.mark.parametrize("content", [b"", b"PK", None])
def test_a_damaged_one_is_named(content, tmp_path):
    path = tmp_path / "case.npz"
    if content is None:
        np.savez_compressed(path, label_map=np.zeros((2, 2), np.uint8))  # as older versions wrote it
    else:
        path.write_bytes(content)
    with pytest.raises(UserError, match=r"case\.npz: a damaged or older prediction"):
        load_prediction(path)


def test_a_missing_one_is_named(tmp_path):
    with pytest.raises(UserError, match=r"case\.npz: no such prediction"):
        load_prediction(tmp_path / "case.npz")
