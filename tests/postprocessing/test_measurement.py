from pathlib import Path

import numpy as np
import pytest

from postprocessing.codes import LA, LV
from postprocessing.measurement import FrameMeasurement, measure_frame, measure_labels
from tests.postprocessing.drawn import SPACING_MM, STRUCTURES, flags_of, label_map, one_hot, smooth_frame


def measure(probabilities: np.ndarray, **changes: object) -> FrameMeasurement:
    options = {"structures": STRUCTURES, "spacing_mm": SPACING_MM, "anterior_side": "left"}
    return measure_frame(probabilities, **(options | changes))


def same(one: FrameMeasurement, other: FrameMeasurement) -> bool:
    assert one.contact_line is not None
    assert other.contact_line is not None
    return (
        np.array_equal(one.label_map, other.label_map)
        and np.array_equal(one.contact_line.points, other.contact_line.points)
        and (one.hinge_points, one.annulus_diameter, one.unit, one.status, one.flags)
        == (other.hinge_points, other.annulus_diameter, other.unit, other.status, other.flags)
    )


FRAME = smooth_frame(tilt_degrees=12, half_length_mm=14, shift_px=(0.3, -0.2))


def test_smooth_frame_in_mm() -> None:
    measurement = measure(FRAME.probabilities)
    assert measurement.annulus_diameter == pytest.approx(28, abs=0.05)
    assert (measurement.unit, measurement.status, measurement.flags) == ("mm", "ok", ())
    assert measurement.hinge_points is not None
    np.testing.assert_allclose(measurement.hinge_points.amvl, FRAME.left, atol=0.1)
    np.testing.assert_allclose(measurement.hinge_points.pmvl, FRAME.right, atol=0.1)
    np.testing.assert_array_equal(measurement.label_map, FRAME.labels)
    assert measurement.label_map.dtype == np.uint8


def test_unknown_pitch_gives_pixels() -> None:
    measurement = measure(FRAME.probabilities, spacing_mm=None)
    assert measurement.unit == "px"
    assert measurement.annulus_diameter == pytest.approx(np.hypot(*(FRAME.right - FRAME.left)), abs=0.1)


def test_pixel_method_is_the_measurement_of_the_label_map() -> None:
    labels = measure_labels(FRAME.labels, spacing_mm=SPACING_MM, anterior_side="left")
    assert same(measure(FRAME.probabilities, method="pixel"), labels)
    assert labels.annulus_diameter == pytest.approx(28, abs=0.3)
    assert labels.contact_line is not None
    assert labels.contact_line.method == "pixel"


@pytest.mark.parametrize("method", ["pixel", "subpixel"])
def test_mirrored_frame_with_mirrored_side_has_the_same_diameter(method: str) -> None:
    width = FRAME.probabilities.shape[1]
    there = measure(FRAME.probabilities, method=method)
    back = measure(FRAME.probabilities[:, ::-1], method=method, anterior_side="right")
    assert there.hinge_points is not None
    assert back.hinge_points is not None
    assert back.annulus_diameter == pytest.approx(there.annulus_diameter)
    assert back.hinge_points.amvl == pytest.approx((there.hinge_points.amvl[0], width - 1 - there.hinge_points.amvl[1]))


@pytest.mark.parametrize("method", ["pixel", "subpixel"])
def test_batch_does_not_matter(method: str) -> None:
    frames = [smooth_frame(tilt_degrees=tilt).probabilities for tilt in (-20, 0, 15)]
    alone = [measure(frame, method=method) for frame in frames]
    batch = np.stack(frames)
    strided = np.asfortranarray(batch)
    for index in (2, 0, 1):
        assert same(measure(batch[index], method=method), alone[index])
        assert same(measure(strided[index], method=method), alone[index])
    assert same(measure(batch[1].astype(np.float64), method=method), alone[1])


def test_measuring_does_not_change_its_input() -> None:
    probabilities = FRAME.probabilities.copy()
    probabilities[35:39, 120:124] = (0, 0, 0, 1)
    before = probabilities.copy()
    measure(probabilities)
    np.testing.assert_array_equal(probabilities, before)


@pytest.mark.parametrize("method", ["pixel", "subpixel"])
def test_stray_atrium_is_left_out_and_flagged(method: str) -> None:
    whole = measure(FRAME.probabilities, method=method)
    probabilities = FRAME.probabilities.copy()
    probabilities[35:39, 120:126] = (0, 0, 0, 1)  # an island of LA within LV
    cleaned = measure(probabilities, method=method)
    assert cleaned.hinge_points == whole.hinge_points
    assert cleaned.flags == ("fragments_removed", "holes")
    assert (cleaned.label_map[35:39, 120:126] == 0).all()
    kept = measure(probabilities, method=method, largest_component=False)
    assert kept.hinge_points == whole.hinge_points  # not joined to the line either
    assert kept.flags == ("several_contact_segments", "holes")


def test_three_classes_of_the_paper_in_any_order() -> None:
    probabilities = FRAME.probabilities
    merged = np.stack([probabilities[..., 0] + probabilities[..., 2], probabilities[..., 3], probabilities[..., 1]], -1)
    measurement = measure(merged, structures=(0, LA, LV))
    assert measurement.annulus_diameter == pytest.approx(28, abs=1)
    assert set(np.unique(measurement.label_map)) == {0, LV, LA}


@pytest.mark.parametrize("method", ["pixel", "subpixel"])
@pytest.mark.parametrize(
    ("drawing", "flags"),
    [
        ("...... ...... ...... ...... ...... ......", ("lv_missing", "la_missing")),
        ("...... ...... ..VV.. ..VV.. ...... ......", ("la_missing",)),
        ("...... ...... ..AA.. ..AA.. ...... ......", ("lv_missing",)),
        ("....... ....... ..VVV.. ..mmm.. ..AAA.. ....... .......", ("lv_la_gap",)),
        ("VVVVVV VVVVVV ...... ...... AAAAAA AAAAAA", ("lv_cut_by_sector", "la_cut_by_sector", "lv_la_gap")),
    ],
)
def test_without_contact_the_frame_says_so(drawing: str, flags: tuple[str, ...], method: str) -> None:
    labels = label_map(drawing)
    for measurement in (
        measure(one_hot(labels), method=method),
        measure_labels(labels, spacing_mm=SPACING_MM, anterior_side="left"),
    ):
        assert measurement.status == "no_contact_line"
        assert measurement.contact_line is measurement.hinge_points is measurement.annulus_diameter is None
        assert measurement.flags == flags


def test_network_without_an_atrium_has_no_hinge_points_to_find() -> None:
    measurement = measure(FRAME.probabilities[..., :3], structures=(0, 1, 2))
    assert (measurement.status, measurement.flags) == ("no_la_class", ())  # nothing of it is missing from this frame


@pytest.mark.parametrize("method", ["pixel", "subpixel"])
def test_one_pixel_touch_is_flagged(method: str) -> None:
    labels = label_map("....... ....... ..VVV.. ...V... ...A... ..AAA.. ....... .......")
    measurement = measure(one_hot(labels), method=method)
    assert flags_of(measurement) == ("one_pixel_contact",)
    assert measurement.annulus_diameter == pytest.approx(SPACING_MM[1], rel=0.4)


def test_broken_contact_is_whole_and_flagged() -> None:
    probabilities = FRAME.probabilities.copy()
    probabilities[60:70, 125:132] = (1, 0, 0, 0)
    for method in ("pixel", "subpixel"):
        measurement = measure(probabilities, method=method)
        assert measurement.flags == ("several_contact_segments",)
        assert measurement.annulus_diameter == pytest.approx(28, abs=0.3)


def test_atrium_cut_by_the_sector_is_flagged() -> None:
    labels = np.zeros((100, 90), dtype=np.uint8)
    labels[20:50, 30:60], labels[50:80, 30:60] = LV, LA
    image = np.zeros(labels.shape, dtype=np.float32)
    image[5:79, 5:85] = 100  # the sector ends within the atrium
    whole = measure_labels(labels, spacing_mm=SPACING_MM, anterior_side="left")
    assert flags_of(whole) == ()
    cut = measure_labels(labels, spacing_mm=SPACING_MM, anterior_side="left", image=image)
    assert flags_of(cut) == ("la_cut_by_sector",)
    assert cut.hinge_points == whole.hinge_points  # it stands, with its flag
    assert flags_of(measure(one_hot(labels), image=image)) == ("la_cut_by_sector",)
    low = measure_labels(labels[:79], spacing_mm=SPACING_MM, anterior_side="left")
    assert flags_of(low) == ("la_cut_by_sector",)


def test_contact_at_the_edge_of_the_image() -> None:
    labels = label_map("...... VVV... VVV... AAA... AAA... ......")
    measurement = measure_labels(labels, spacing_mm=SPACING_MM, anterior_side="left")
    assert measurement.annulus_diameter == pytest.approx(2.5 * SPACING_MM[1])  # from the first pixel centre to a corner
    assert flags_of(measurement) == ("lv_cut_by_sector", "la_cut_by_sector")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"structures": (0, 1, 3)}, r"`probabilities` must be \(H, W, 3\)"),
        ({"method": "fine"}, "`method` must be subpixel or pixel. Received: 'fine'"),
        ({"anterior_side": "up"}, "`anterior_side` must be left or right. Received: 'up'"),
        ({"spacing_mm": (0.3, 0.0)}, "`spacing_mm` must be two positive numbers"),
        ({"image": np.zeros((3, 3), dtype=np.float32)}, r"`image` must be \(130, 260\)"),
    ],
)
def test_wrong_arguments_are_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        measure(FRAME.probabilities, **changes)


def test_probabilities_that_are_not_finite_are_refused() -> None:
    probabilities = FRAME.probabilities.copy()
    probabilities[3, 4, 1] = np.nan
    with pytest.raises(ValueError, match="`probabilities` must be finite"):
        measure(probabilities)


def test_label_map_of_the_wrong_shape_is_refused() -> None:
    with pytest.raises(ValueError, match=r"`label_map` must be \(H, W\)"):
        measure_labels(np.zeros((4, 4, 4), dtype=np.uint8), spacing_mm=None, anterior_side="left")


@pytest.mark.data
def test_every_real_reference_has_hinge_points(camus_subset: Path) -> None:
    import nibabel

    paths = sorted(camus_subset.glob("*/*_gt.nii.gz"))
    diameters_mm = []
    for path in paths:
        file = nibabel.load(path)
        labels = np.asarray(file.dataobj).T.astype(np.uint8)
        spacing_mm = tuple(float(pitch) for pitch in file.header.get_zooms()[1::-1])
        measurement = measure_labels(labels, spacing_mm=spacing_mm, anterior_side="left")
        assert measurement.status == "ok"
        assert measurement.annulus_diameter is not None
        diameters_mm.append(measurement.annulus_diameter)
    assert len(paths) == 298
    assert 28 < np.median(diameters_mm) < 31  # nominal mm, of all views and phases
