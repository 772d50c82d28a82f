import itertools
import re

import cv2
import numpy as np
import pytest

from data_pipeline.sample import Phase, Sample, Structure, View
from evaluation.pictures import LONGER_SIDE_PX, PER_PIXEL, case_entry, grey_picture, outlines
from evaluation.predictions import Prediction
from postprocessing.hinge_points import HingePoints
from shell.files import write_json

STRUCTURES = (Structure.BACKGROUND, Structure.LV, Structure.LA)


def sample_of(labels, image=None, spacing=(0.5, 0.25)):
    image = np.random.default_rng(0).gamma(2, 25, (40, 60)).astype(np.float32) if image is None else image
    return Sample(
        image=image,
        labels=labels,
        spacing_mm=spacing,
        patient_id="patient0001",
        view=View.A4C,
        phase=Phase.ED,
        source="drawn",
    )


def drawn():
    labels = np.zeros((40, 60), np.uint8)
    labels[5:20, 10:30] = Structure.LV
    labels[20:30, 12:28] = Structure.LA
    labels[0:4, 0:4] = Structure.MYO
    return labels


def polygons(path):
    """Path data → closed polygons of (x, y) in pixels from the corner of the first."""
    found = []
    for part in re.findall(r"M[^M]+", path):
        start, moves = re.fullmatch(r"M(-?\d+ -?\d+)(?:l([-\d ]+)|h0)z?", part).groups()
        steps = [
            [int(v) for v in start.split()],
            *np.array(re.findall(r"-?\d+", moves or ""), int).reshape(-1, 2).tolist(),
        ]
        found.append(np.cumsum(steps, axis=0) / PER_PIXEL)
    return found


def area(polygon):
    x, y = polygon.T
    return abs(np.dot(x, np.roll(y, 1)) - np.dot(y, np.roll(x, 1))) / 2


def test_an_entry_holds_everything_that_is_drawn(tmp_path):
    prediction = Prediction(
        drawn(), np.array([[19.5, 12.0], [19.5, 20.0], [19.5, 27.0]]), HingePoints((19.5, 12.0), (19.5, 27.0)), None
    )
    entry = case_entry(sample_of(drawn()), prediction, None, tmp_path / "cases", structures=STRUCTURES)
    assert entry["case"] == "patient0001_4CH_ED"
    assert (entry["height"], entry["width"], entry["spacing_mm"]) == (40, 60, [0.5, 0.25])
    assert list(entry["prediction"]) == list(entry["reference"]) == ["LV", "LA"]  # no class for the myocardium
    # x = 4 · (12 + ½), y = 4 · (19.5 + ½)
    assert entry["contact_line"] == "M50 80l32 0 28 0"
    assert entry["hinge_points"] == {"amvl": [19.5, 12.0], "pmvl": [19.5, 27.0]}
    assert entry["reference_hinge_points"] is entry["box"] is entry["reference_box"] is None
    picture = cv2.imread(str(tmp_path / "cases" / entry["file"]), cv2.IMREAD_UNCHANGED)
    assert picture.shape[:2] == (40, 60)
    write_json(tmp_path / "cases.json", [entry])  # plain values, no NaN


def test_an_outline_runs_between_the_pixels():
    labels = np.zeros((40, 60), np.uint8)
    labels[5:20, 10:30] = Structure.LV
    (polygon,) = polygons(outlines(labels, STRUCTURES)["LV"])
    assert polygon.min(axis=0) == pytest.approx([10, 5], abs=0.26)
    assert polygon.max(axis=0) == pytest.approx([30, 20], abs=0.26)
    assert area(polygon) == pytest.approx(300, rel=0.01)


def test_holes_parts_borders_and_single_pixels_have_outlines():
    labels = np.zeros((40, 60), np.uint8)
    labels[0:12, 0:12] = Structure.LV  # in the corner of the frame
    labels[4:8, 4:8] = 0
    labels[30, 50] = Structure.LV
    found = sorted(polygons(outlines(labels, STRUCTURES)["LV"]), key=area)
    assert [round(area(p)) for p in found[1:]] == pytest.approx([16, 144], abs=3)
    assert found[0].mean(axis=0) == pytest.approx([50.5, 30.5], abs=0.3)
    assert outlines(np.zeros((4, 4), np.uint8), STRUCTURES) == {}


@pytest.mark.parametrize("angle", [0, 20, 45, 70])
def test_an_outline_stays_within_a_third_of_a_pixel_of_the_mask(angle):
    mask = np.zeros((160, 160), np.uint8)
    cv2.ellipse(mask, (80, 80), (60, 30), angle, 0, 360, 1, cv2.FILLED)
    (polygon,) = polygons(outlines(mask, STRUCTURES)["LV"])
    zoom = 12
    finer = cv2.resize(mask * np.uint8(255), None, fx=zoom, fy=zoom, interpolation=cv2.INTER_LINEAR)
    edge = cv2.morphologyEx((finer > 127).astype(np.uint8), cv2.MORPH_GRADIENT, np.ones((2, 2), np.uint8))
    away = cv2.distanceTransform(1 - edge, cv2.DIST_L2, cv2.DIST_MASK_PRECISE) / zoom
    closed = np.vstack([polygon, polygon[:1]])
    drawn = np.concatenate([np.linspace(a, b, 20) for a, b in itertools.pairwise(closed)])
    distances = away[tuple(np.rint(drawn[:, ::-1] * zoom - 0.5).astype(int).T)]
    assert np.quantile(distances, 0.99) <= 0.34  # 0.3 and the grid that it is measured on
    assert distances.max() <= 0.5
    assert len(polygon) < 160  # of the 300 pixels around the mask


def test_large_frames_are_made_small_and_any_grey_range_is_shown():
    assert grey_picture(np.random.default_rng(0).uniform(0, 9, (1000, 500))).shape == (LONGER_SIDE_PX, 208)
    for image in (np.zeros((4, 5)), np.full((4, 5), np.nan), np.full((4, 5), 7)):
        assert np.array_equal(grey_picture(image), np.zeros((4, 5)))
    assert grey_picture(np.eye(6, 8, dtype=np.uint16) * 60000).max() == 255


def test_without_labels_there_is_no_reference_and_a_box_has_its_edges(tmp_path):
    prediction = Prediction(np.zeros((40, 60), np.uint8), None, None, (1.0, 20.125, -3.0, 40.0))
    entry = case_entry(
        sample_of(None, spacing=None), prediction, None, tmp_path, structures=STRUCTURES, reference_box=(0, 9, 0, 8)
    )
    assert entry["reference"] == entry["prediction"] == {}
    assert entry["box"] == [1.0, 20.12, -3.0, 40.0]
    assert entry["reference_box"] == [0.0, 9.0, 0.0, 8.0]
    assert entry["spacing_mm"] is entry["contact_line"] is None


def test_a_prediction_on_another_grid_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"native grid \(40, 60\)\. Received: \(4, 4\) for patient0001_4CH_ED"):
        case_entry(
            sample_of(None),
            Prediction(np.zeros((4, 4), np.uint8), None, None, None),
            None,
            tmp_path,
            structures=STRUCTURES,
        )
