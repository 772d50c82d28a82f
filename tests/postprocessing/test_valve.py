"""Leaflets as a class of their own: they count as blood where cavities are looked at, and stay leaflets otherwise."""

import numpy as np
import pytest

from data_pipeline.phantom.motion import SYSTOLE_SHARE
from data_pipeline.phantom.patient import draw_patient, simulate_view
from data_pipeline.sample import Structure, View
from postprocessing.codes import LA, LV, MV
from postprocessing.contact_line import pixel_contact_line, subpixel_contact_line
from postprocessing.hinge_points import ANTERIOR_SIDE, HingePoints
from postprocessing.measurement import FrameMeasurement, measure_frame, measure_labels
from postprocessing.valve import MARGIN_PX, nearer_to_lv, valve_as_blood
from postprocessing.volumes import ApicalView, ventricle_profile
from tests.postprocessing.drawn import SPACING_MM, flags_of, label_map, one_hot, smooth_frame

STRUCTURES = (0, 1, 2, 3, MV)


def drawn(text: str) -> np.ndarray:
    """As `label_map`, with L for a leaflet."""
    labels = label_map(text.replace("L", "."))
    letters = np.array([list(row) for row in text.split()])
    labels[letters == "L"] = MV
    return labels


def framed(text: str) -> np.ndarray:
    """As `drawn`, away from the edge of the image."""
    return np.pad(drawn(text), 2)


CLOSED = framed("""
    ..mmmmmm..
    ..mVVVVm..
    ..mVVVVm..
    ..mLLLLm..
    ..mLLLLm..
    ..mAAAAm..
    ...AAAA...
    ..........
""")
BLOOD = framed("""
    ..mmmmmm..
    ..mVVVVm..
    ..mVVVVm..
    ..mVVVVm..
    ..mAAAAm..
    ..mAAAAm..
    ...AAAA...
    ..........
""")


def measured(labels: np.ndarray, **changes: object) -> FrameMeasurement:
    options = {"spacing_mm": SPACING_MM, "anterior_side": "left"} | changes
    return measure_labels(labels, **options)


def predicted(probabilities: np.ndarray, **changes: object) -> FrameMeasurement:
    options = {"structures": STRUCTURES, "spacing_mm": SPACING_MM, "anterior_side": "left"} | changes
    return measure_frame(probabilities, **options)


def hot(labels: np.ndarray) -> np.ndarray:
    """(H, W, 5) one-hot in the order of STRUCTURES."""
    return np.stack([labels == code for code in STRUCTURES], axis=-1).astype(np.float32)


def test_a_closed_valve_is_shared_by_the_two_cavities() -> None:
    before = CLOSED.copy()
    np.testing.assert_array_equal(valve_as_blood(CLOSED), BLOOD)
    np.testing.assert_array_equal(CLOSED, before)
    np.testing.assert_array_equal(valve_as_blood(CLOSED[:, ::-1]), BLOOD[:, ::-1])
    # upside down the rows change places, for of equals LV takes it: the middle row of three
    three = np.vstack([CLOSED[:6], CLOSED[5:6], CLOSED[6:]])
    assert (valve_as_blood(three)[5:7] == BLOOD[5]).all()
    assert (valve_as_blood(three[::-1])[-7:-5] == BLOOD[5]).all()


def test_a_leaflet_standing_in_the_ventricle_is_ventricle() -> None:
    labels = drawn("VVVVV VLVVV VLVVV VLVVV VVVVV AAAAA")
    np.testing.assert_array_equal(valve_as_blood(labels), label_map("VVVVV VVVVV VVVVV VVVVV VVVVV AAAAA"))


def test_nothing_to_give_or_nobody_to_give_it_to() -> None:
    assert valve_as_blood(BLOOD) is BLOOD
    alone = drawn("...L. ..mL.")
    assert valve_as_blood(alone) is alone
    one = drawn("..VL. ....L")
    np.testing.assert_array_equal(valve_as_blood(one), label_map("..VV. ....V"))
    with pytest.raises(ValueError, match=r"`label_map` must be \(H, W\)"):
        valve_as_blood(np.zeros((2, 2, 2), np.uint8))


def test_a_cavity_far_from_the_leaflet_is_found_too() -> None:
    """Beyond the margin, where a nearer cavity must not be missed for one inside the window."""
    labels = np.zeros((1, 8 * MARGIN_PX), np.uint8)
    labels[0, 0], labels[0, 2 * MARGIN_PX], labels[0, -1] = LV, MV, LA
    assert valve_as_blood(labels)[0, 2 * MARGIN_PX] == LV
    labels[0, 0], labels[0, -1] = LA, LV
    assert valve_as_blood(labels)[0, 2 * MARGIN_PX] == LA


def test_nearer_is_decided_pixel_by_pixel() -> None:
    lv, la = np.zeros((1, 6), bool), np.zeros((1, 6), bool)
    lv[0, 0], la[0, 5] = True, True
    assert nearer_to_lv(lv, la).tolist() == [[True, True, True, False, False, False]]


def test_other_codes_and_channels() -> None:
    np.testing.assert_array_equal(valve_as_blood(CLOSED + 10, 11, 13, 15), BLOOD + 10)
    probabilities = hot(CLOSED)
    with pytest.raises(ValueError, match=r"`mv_channel` must be another of 5 channels\. Received: 1"):
        subpixel_contact_line(probabilities, 1, 3, mv_channel=1)
    with pytest.raises(ValueError, match=r"`mv_channel` must be another of 5 channels\. Received: 5"):
        subpixel_contact_line(probabilities, 1, 3, mv_channel=5)


def test_a_reference_with_leaflets_has_the_line_of_the_one_without() -> None:
    measurement, plain = measured(CLOSED), measured(BLOOD)
    assert (measurement.status, flags_of(measurement)) == ("ok", ())
    assert measurement.hinge_points == plain.hinge_points
    assert measurement.annulus_diameter == plain.annulus_diameter == pytest.approx(4 * SPACING_MM[1])
    np.testing.assert_array_equal(measurement.label_map, CLOSED)


@pytest.mark.parametrize("method", ["pixel", "subpixel"])
@pytest.mark.parametrize("largest_component", [False, True])
def test_a_prediction_with_leaflets_has_a_line_and_keeps_the_leaflets(method: str, largest_component: bool) -> None:
    measurement = predicted(hot(CLOSED), method=method, largest_component=largest_component)
    assert (measurement.status, flags_of(measurement)) == ("ok", ())
    np.testing.assert_array_equal(measurement.label_map, CLOSED)
    line = pixel_contact_line(BLOOD) if method == "pixel" else subpixel_contact_line(one_hot(BLOOD), LV, LA)
    assert measurement.contact_line is not None
    np.testing.assert_allclose(measurement.contact_line.points, line.points, atol=1e-6)


def test_the_default_masks_of_the_subpixel_line_are_with_the_leaflets() -> None:
    line = subpixel_contact_line(hot(CLOSED), 1, 3, mv_channel=4)
    np.testing.assert_allclose(line.points, subpixel_contact_line(one_hot(BLOOD), LV, LA).points, atol=1e-6)


@pytest.mark.parametrize("method", ["pixel", "subpixel"])
def test_what_closed_leaflets_part_from_a_cavity_is_no_fragment(method: str) -> None:
    tented = framed("""
        .mmmmmmmmmm.
        .mVVVVVVVVm.
        .mVVVVVVVVm.
        .mVVVLLVVVm.
        .mVLLVVLLVm.
        .mLVVVVVVLm.
        .mAAAAAAAAm.
        ..AAAAAAAA..
        ............
    """)
    measurement = predicted(hot(tented), method=method)
    assert flags_of(measurement) == ()
    np.testing.assert_array_equal(measurement.label_map, tented)
    assert measurement.annulus_diameter == pytest.approx(8 * SPACING_MM[1], rel=0.1)


def test_two_leaflets_are_kept_and_a_stray_one_is_not() -> None:
    labels = framed("""
        .mmmmmmmm....
        .mVVVVVVm..L.
        .mVLVVLVm..L.
        .mVLVVLVm....
        .mAAAAAAm....
        ..AAAAAA.....
        .............
    """)
    measurement = predicted(hot(labels))
    assert flags_of(measurement) == ()  # no LV or LA pixel was left out
    expected = labels.copy()
    expected[3:5, 13] = 0
    np.testing.assert_array_equal(measurement.label_map, expected)
    np.testing.assert_array_equal(predicted(hot(labels), largest_component=False).label_map, labels)


def test_a_stray_atrium_is_still_left_out_and_flagged() -> None:
    labels = np.pad(CLOSED, ((0, 0), (0, 3)))
    labels[3:5, 14] = LA
    measurement = predicted(hot(labels))
    assert flags_of(measurement) == ("fragments_removed",)
    np.testing.assert_array_equal(measurement.label_map[:, :14], CLOSED)
    assert (measurement.label_map[:, 14:] == 0).all()


@pytest.mark.parametrize("method", ["pixel", "subpixel"])
def test_leaflets_without_an_atrium(method: str) -> None:
    labels = np.where(CLOSED == LA, 0, CLOSED).astype(np.uint8)
    measurement = predicted(hot(labels), method=method)
    assert (measurement.status, measurement.flags) == ("no_contact_line", ("la_missing",))
    np.testing.assert_array_equal(measurement.label_map, labels)
    only = np.where(CLOSED == MV, MV, 0).astype(np.uint8)
    measurement = predicted(hot(only), method=method)
    assert (measurement.status, measurement.flags) == ("no_contact_line", ("lv_missing", "la_missing"))
    np.testing.assert_array_equal(measurement.label_map, only)


def test_a_network_of_leaflets_and_ventricle_alone() -> None:
    measurement = predicted(hot(CLOSED)[..., [0, 1, 4]], structures=(0, LV, MV))
    assert (measurement.status, measurement.flags) == ("no_la_class", ())
    np.testing.assert_array_equal(measurement.label_map == MV, CLOSED == MV)


@pytest.mark.parametrize("method", ["pixel", "subpixel"])
def test_smooth_leaflets_leave_the_hinge_points_where_they_are(method: str) -> None:
    """A valve 3 px thick over the whole contact; where it ends the wall, as before, begins."""
    frame = smooth_frame(tilt_degrees=12, half_length_mm=14, shift_px=(0.3, -0.2))
    cavities = frame.probabilities[..., [1, 3]]
    middle = np.exp(-((cavities[..., 0] - cavities[..., 1]) ** 2) / 0.3)[..., None]  # 1 on the contact line
    leaflet = cavities.sum(axis=-1, keepdims=True) * middle * 0.9
    probabilities = np.concatenate([frame.probabilities, leaflet], axis=-1)
    probabilities[..., [1, 3]] -= cavities * middle * 0.9
    np.testing.assert_allclose(probabilities.sum(axis=-1), 1, atol=1e-5)
    measurement = predicted(probabilities, method=method)
    assert (measurement.label_map == MV).sum() > 200
    assert flags_of(measurement) == ()
    assert measurement.hinge_points is not None
    tolerance = 0.5 if method == "subpixel" else 2.0
    np.testing.assert_allclose(measurement.hinge_points.amvl, frame.left, atol=tolerance)
    np.testing.assert_allclose(measurement.hinge_points.pmvl, frame.right, atol=tolerance)
    assert measurement.annulus_diameter == pytest.approx(28, abs=0.4)


def test_volumes_count_leaflets_as_blood() -> None:
    points = HingePoints((5.5, 4.5), (5.5, 8.5))
    with_valve, plain = (ApicalView(labels, points, SPACING_MM) for labels in (CLOSED, BLOOD))
    np.testing.assert_array_equal(ventricle_profile(with_valve).diameters_mm, ventricle_profile(plain).diameters_mm)
    assert ventricle_profile(with_valve).length_mm == ventricle_profile(plain).length_mm


def test_constructed_hinge_points_of_simulated_frames() -> None:
    """The reference with leaflets: median error at most half a millimetre in each view, ED and ES, nothing flagged."""
    errors_mm: dict[View, list[float]] = {}
    for number in range(1, 11):
        patient = draw_patient(number, 2026, 0.0)
        for view in (View.A2C, View.A3C, View.A4C):
            pitch = patient.setups[view].sector.pitch_mm
            for frame in simulate_view(patient, view, (0.0, SYSTOLE_SHARE)):
                labels = np.where(frame.structures == Structure.RV, 0, frame.structures).astype(np.uint8)
                measurement = measured(labels, spacing_mm=(pitch, pitch), anterior_side=ANTERIOR_SIDE[view])
                assert measurement.status == "ok"
                assert not {"several_contact_segments", "one_pixel_contact"} & set(measurement.flags)
                points = measurement.hinge_points
                assert points is not None
                for found, truth in ((points.amvl, frame.amvl), (points.pmvl, frame.pmvl)):
                    errors_mm.setdefault(view, []).append(float(np.hypot(*np.subtract(found, truth))) * pitch)
    for view, errors in errors_mm.items():
        assert np.median(errors) < 0.5, view
        assert np.percentile(errors, 95) < 1.5, view
