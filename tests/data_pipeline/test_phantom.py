"""The simulated heart: geometry and volumes worked by hand, truth that agrees with the masks, speckle statistics."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from data_pipeline.phantom.cut import cut_plane
from data_pipeline.phantom.motion import SYSTOLE_SHARE, HeartState, heart_state
from data_pipeline.phantom.patient import Frame, annulus_diameter_mm, draw_patient, simulate_view
from data_pipeline.phantom.plane import Plane, Tissue
from data_pipeline.phantom.population import draw_anatomy
from data_pipeline.phantom.sector import Pose, Sector
from data_pipeline.phantom.ultrasound import QUALITIES, Scanner, draw_imaging
from data_pipeline.raster import fill_polygon
from data_pipeline.sample import Structure, View
from postprocessing.hinge_points import HingePoints
from postprocessing.volumes import ApicalView, ejection_fraction_percent, simpson_biplane_ml

SEED = 7
VIEWS = (View.A2C, View.A3C, View.A4C)
ED_ES = (0.0, SYSTOLE_SHARE)


@pytest.fixture(scope="module")
def frames() -> dict[tuple[int, View], list[Frame]]:
    """ED and ES of every view of a few patients."""
    return {
        (number, view): list(simulate_view(draw_patient(number, SEED, 0.3), view, ED_ES))
        for number in range(1, 7)
        for view in VIEWS
    }


# --- polygons -----------------------------------------------------------------------------------------------------


def test_a_polygon_takes_the_pixels_whose_centres_it_holds():
    # rows 1 and 2 (0.6..2.4), columns 1, 2 and 3 (0.5..3.4)
    outline = np.array([[0.6, 0.5], [0.6, 3.4], [2.4, 3.4], [2.4, 0.5]])
    expected = np.zeros((4, 6), bool)
    expected[1:3, 1:4] = True
    np.testing.assert_array_equal(fill_polygon((4, 6), outline), expected)
    np.testing.assert_array_equal(fill_polygon((4, 6), outline[::-1]), expected)


def test_a_polygon_outside_or_across_the_image_is_cut():
    square = np.array([[-5.0, -5.0], [-5.0, 1.5], [1.5, 1.5], [1.5, -5.0]])
    expected = np.zeros((3, 4), bool)
    expected[:2, :2] = True
    np.testing.assert_array_equal(fill_polygon((3, 4), square), expected)
    assert not fill_polygon((3, 4), square + 100.0).any()
    assert fill_polygon((3, 4), 20.0 * (square + 1.0)).all()


def test_a_polygon_has_its_own_area():
    angle = np.linspace(0.0, 2.0 * np.pi, 400, endpoint=False)
    ellipse = np.stack([50.3 + 40.0 * np.cos(angle), 30.7 + 20.0 * np.sin(angle)], axis=1)
    assert fill_polygon((100, 60), ellipse).sum() == pytest.approx(np.pi * 40.0 * 20.0, rel=0.005)


# --- motion -------------------------------------------------------------------------------------------------------


def test_the_beat_begins_and_ends_at_end_diastole_and_is_shortest_at_end_systole():
    assert heart_state(0.0) == HeartState(0.0, 0.0, 0.0)
    assert heart_state(SYSTOLE_SHARE) == HeartState(1.0, 0.0, 1.0)
    assert heart_state(1.0).contraction == pytest.approx(0.0)
    course = [heart_state(cycle).contraction for cycle in np.linspace(0.0, 1.0, 201)]
    top = int(np.argmax(course))
    assert (np.diff(course[: top + 1]) >= 0).all()
    assert (np.diff(course[top:]) <= 1e-12).all()


def test_the_valve_is_closed_in_systole_and_open_in_diastole():
    assert all(heart_state(cycle).valve_opening == 0.0 for cycle in np.linspace(0.0, SYSTOLE_SHARE, 9))
    assert max(heart_state(cycle).valve_opening for cycle in np.linspace(SYSTOLE_SHARE, 1.0, 50)) > 0.9
    late = [heart_state(cycle, 0.5).valve_opening for cycle in (0.0, 0.025, 0.05, 1.0)]
    assert late == pytest.approx([0.5, 0.25, 0.0, 0.5])


def test_the_aortic_valve_is_open_in_systole_alone():
    assert heart_state(0.5 * SYSTOLE_SHARE).aortic_opening > 0.9
    assert all(heart_state(cycle).aortic_opening == 0.0 for cycle in (0.0, *np.linspace(SYSTOLE_SHARE, 1.0, 20)))
    for cycle in np.linspace(0.0, 1.0, 101):  # never both
        state = heart_state(cycle, 0.8)
        assert state.aortic_opening == 0.0 or state.valve_opening == 0.0


@pytest.mark.parametrize("cycle", [-0.1, 1.1, float("nan")])
def test_a_moment_outside_the_beat_is_refused(cycle: float):
    with pytest.raises(ValueError, match=r"`cycle` must be in 0\.\.1"):
        heart_state(cycle)


# --- volumes ------------------------------------------------------------------------------------------------------


def test_the_volume_of_a_cylinder_under_half_an_ellipsoid():
    anatomy = draw_anatomy(np.random.default_rng(1))
    views = {
        view: replace(
            shape, diameter_mm=width, annulus_mm=width, outflow_mm=0.0, width_waves=(0.0, 0.0, 0.0), foreshortening=0.8
        )
        for (view, shape), width in zip(anatomy.views.items(), (40.0, 45.0, 50.0), strict=True)
    }
    anatomy = replace(anatomy, length_mm=80.0, widest_at=0.4, apex_exponent=2.0, views=views)
    # π/4 · 40 · 50 · 80 mm³ · (0.4 of cylinder + 0.6 of half an ellipsoid, two thirds of its cylinder)
    assert anatomy.volume_ml(0.0) == pytest.approx(np.pi / 4 * 40 * 50 * 80 * (0.4 + 0.6 * 2 / 3) / 1000, rel=1e-4)


@pytest.mark.parametrize("number", range(8))
def test_the_ejection_fraction_holds_exactly(number: int):
    anatomy = draw_anatomy(np.random.default_rng(number))
    edv, esv = anatomy.volume_ml(0.0), anatomy.volume_ml(1.0)
    assert 100.0 * (edv - esv) / edv == pytest.approx(anatomy.ef_percent, abs=1e-6)
    assert 30.0 < edv < 450.0


def test_patients_differ_in_size_function_and_quality():
    patients = [draw_patient(number, SEED, 0.12) for number in range(1, 81)]
    lengths = [patient.anatomy.length_mm for patient in patients]
    fractions = np.array([patient.anatomy.ef_percent for patient in patients])
    assert min(lengths) < 65.0
    assert max(lengths) > 95.0
    assert min((fractions <= 45).mean(), (fractions >= 55).mean()) > 0.2
    assert {patient.setups[View.A4C].imaging.quality for patient in patients} == set(QUALITIES)
    off_centre = np.mean([setup.off_centre for patient in patients for setup in patient.setups.values()])
    assert 0.06 < off_centre < 0.2


# --- geometry -----------------------------------------------------------------------------------------------------


def test_heart_coordinates_go_to_the_image_and_back():
    pose = Pose(rotation_deg=30.0, origin_mm=(5.0, 100.0))
    image = pose.to_image(np.array([[0.0, 0.0], [0.0, 80.0], [10.0, 0.0]]))
    # the apex lies 80 mm from the base, to its left; the right end of the annulus is lifted by 10 · sin 30°
    np.testing.assert_allclose(image, [[5.0, 100.0], [-35.0, 100.0 - 80.0 * 0.75**0.5], [5.0 + 10 * 0.75**0.5, 95.0]])
    u, v = pose.to_heart(image[:, 0], image[:, 1])
    np.testing.assert_allclose(np.stack([u, v], axis=1), [[0.0, 0.0], [0.0, 80.0], [10.0, 0.0]], atol=1e-9)


def test_a_sector_fills_its_image_from_the_apex_to_the_arc():
    sector = Sector(depth_mm=150.0, opening_deg=60.0, pitch_mm=0.5)
    assert sector.shape == (301, 301)  # 150 / 0.5 down, ±150 · sin 30° / 0.5 aside
    *_, inside = sector.scan_conversion()
    assert inside[0, 150]
    assert inside[300, 150]
    assert not inside[300, 0]
    assert not inside[10, 0]
    np.testing.assert_allclose(sector.to_pixels(np.array([[10.0, 50.0]])), [[100.0, 170.0]])
    polar = sector.to_polar(np.array([[150.0 * 0.5, 150.0 * 0.75**0.5]]))  # the lower right corner
    np.testing.assert_allclose(polar, [[150.0 / 0.3, sector.polar_shape[1] - 1]])


@pytest.mark.parametrize("view", VIEWS)
def test_the_annulus_climbs_towards_an_apex_that_stays(view: View):
    anatomy = draw_anatomy(np.random.default_rng(5))
    diastole, systole = (cut_plane(anatomy, view, heart_state(cycle)) for cycle in ED_ES)
    length = anatomy.length_mm * anatomy.views[view].foreshortening
    climb = (systole.left_hinge[1] + systole.right_hinge[1] - diastole.left_hinge[1] - diastole.right_hinge[1]) / 2
    assert 0.0 < climb <= 1.05 * anatomy.shortening * length
    assert abs(_top(systole) - _top(diastole)) <= 0.16 * anatomy.shortening * length + 1e-9


def _top(plane: Plane) -> float:
    return next(r.outline[:, 1].max() for r in plane.regions if r.structure is Structure.LV)


# --- leaflets -----------------------------------------------------------------------------------------------------


def test_the_aortic_valve_is_drawn_where_the_root_is_cut_and_has_no_label():
    anatomy = draw_anatomy(np.random.default_rng(5))
    closed, open_ = (cut_plane(anatomy, View.A3C, heart_state(cycle)) for cycle in (0.0, 0.5 * SYSTOLE_SHARE))
    for view in VIEWS:
        plane = cut_plane(anatomy, view, heart_state(0.0))
        cusps = [r for r in plane.regions if r.tissue is Tissue.LEAFLET and r.structure is None]
        assert len(cusps) == {View.A2C: 0, View.A3C: 2, View.A4C: 1}[view]  # A4C: the tricuspid valve
        assert sum(r.structure is Structure.MV for r in plane.regions) == 2
    gaps = []
    for plane in (closed, open_):
        left, right = (r.outline for r in plane.regions if r.tissue is Tissue.LEAFLET and r.structure is None)
        gaps.append(np.linalg.norm(left[:, None] - right[None], axis=-1).min())
    assert gaps[0] < 0.5
    assert gaps[1] > 5.0


@pytest.mark.parametrize("view", VIEWS)
def test_leaflets_are_thin_bright_segments_hinged_at_the_annulus(view: View):
    contrasts = []
    for number in range(1, 9):
        patient = draw_patient(number, 2026, 0.0)
        pitch = patient.setups[view].sector.pitch_mm
        for frame in simulate_view(patient, view, ED_ES):
            leaflets = frame.structures == Structure.MV
            places = np.argwhere(leaflets)
            length_mm = annulus_diameter_mm(frame, pitch)
            assert 1.0 < len(places) * pitch**2 / length_mm < 3.2  # mean thickness, mm
            for hinge in (frame.amvl, frame.pmvl):
                assert np.linalg.norm(places - np.array(hinge), axis=1).min() * pitch < 0.5
            beside = cv2.dilate(leaflets.view(np.uint8), np.ones((21, 21), np.uint8)).astype(bool)
            blood = beside & np.isin(frame.structures, (Structure.LV, Structure.LA))
            contrasts.append(frame.image[leaflets].mean() - frame.image[blood].mean())
    assert np.median(contrasts) > 30.0  # grey levels


# --- masks against the truth --------------------------------------------------------------------------------------


def border_vertices(labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pixel corners along the border of LV and LA, and how many of its edges meet at each."""
    lv, la = labels == Structure.LV, labels == Structure.LA
    corners = []
    for one, other in ((lv, la), (la, lv)):
        row, col = np.nonzero(one[:-1] & other[1:])
        corners += [(row + 0.5, col - 0.5), (row + 0.5, col + 0.5)]
        row, col = np.nonzero(one[:, :-1] & other[:, 1:])
        corners += [(row - 0.5, col + 0.5), (row + 0.5, col + 0.5)]
    return np.unique(np.concatenate([np.stack(c, axis=1) for c in corners]), axis=0, return_counts=True)


def test_the_border_of_lv_and_la_ends_at_the_hinge_points_within_half_a_pixel(frames):
    for (number, view), pair in frames.items():
        for frame in pair:
            vertices, edges = border_vertices(frame.labels)
            ends = vertices[edges == 1]
            assert len(ends) == 2, (number, view)
            for hinge in (frame.amvl, frame.pmvl):
                assert np.abs(ends - hinge).max(axis=1).min() <= 0.5, (number, view, hinge)


def test_the_anterior_hinge_point_is_left_in_a2c_and_a4c_and_right_in_a3c(frames):
    for (_, view), pair in frames.items():
        for frame in pair:
            assert (frame.amvl[1] < frame.pmvl[1]) == (view is not View.A3C)


def test_labels_are_those_of_camus_and_structures_have_all(frames):
    for (number, view), pair in frames.items():
        for frame in pair:
            assert set(np.unique(frame.labels)) == {0, Structure.LV, Structure.MYO, Structure.LA}
            assert Structure.MV in frame.structures
            changed = frame.labels != frame.structures
            assert set(np.unique(frame.structures[changed])) <= {Structure.RV, Structure.MV}, (number, view)
            assert frame.labels.shape == frame.structures.shape == frame.image.shape
        assert (pair[0].labels == Structure.LV).sum() > (pair[1].labels == Structure.LV).sum()
    assert any(Structure.RV in pair[0].structures for (_, view), pair in frames.items() if view is View.A4C)


def test_masks_have_the_area_of_their_outlines():
    for number in (1, 2, 3):
        patient = draw_patient(number, SEED, 0.0)
        setup = patient.setups[View.A4C]
        plane = cut_plane(patient.anatomy, View.A4C, heart_state(0.0, patient.late_closure))
        outline = next(region.outline for region in plane.regions if region.structure is Structure.LV)
        (u, v), (u_next, v_next) = outline.T, np.roll(outline, -1, axis=0).T
        area_mm2 = abs(np.sum(u * v_next - v * u_next)) / 2.0
        (frame,) = simulate_view(patient, View.A4C, [0.0])
        mask_mm2 = (frame.labels == Structure.LV).sum() * setup.sector.pitch_mm**2
        assert mask_mm2 == pytest.approx(area_mm2, rel=0.01)


def test_simpson_on_the_masks_of_unforeshortened_views_finds_the_constructed_volumes():
    patients = [draw_patient(number, SEED, 0.0) for number in range(1, 60)]
    whole = [p for p in patients if all(p.anatomy.views[view].foreshortening == 1.0 for view in (View.A2C, View.A4C))]
    assert len(whole) >= 3
    for patient in whole[:3]:
        views = {}
        for view in (View.A2C, View.A4C):
            pitch = patient.setups[view].sector.pitch_mm
            for phase, frame in zip(("ED", "ES"), simulate_view(patient, view, ED_ES), strict=True):
                views[view, phase] = ApicalView(frame.labels, HingePoints(frame.amvl, frame.pmvl), (pitch, pitch))
        edv, esv = (simpson_biplane_ml(views[View.A4C, phase], views[View.A2C, phase]) for phase in ("ED", "ES"))
        assert edv == pytest.approx(patient.anatomy.volume_ml(0.0), rel=0.02)
        assert ejection_fraction_percent(edv, esv) == pytest.approx(patient.anatomy.ef_percent, abs=1.0)


def test_the_annulus_diameter_is_the_distance_of_the_hinge_points():
    frame = Frame(*[np.zeros((1, 1), np.uint8)] * 3, amvl=(10.0, 20.0), pmvl=(40.0, 60.0), la_visible_share=1.0)
    assert annulus_diameter_mm(frame, 0.3) == pytest.approx(15.0)


def test_off_centre_views_cut_the_atrium_off():
    shares = {True: [], False: []}
    for number in range(1, 25):
        patient = draw_patient(number, SEED, 0.5)
        (frame,) = simulate_view(patient, View.A4C, [0.0])
        shares[patient.setups[View.A4C].off_centre].append(frame.la_visible_share)
        assert frame.la_cut == (frame.la_visible_share < 0.95)
    assert np.mean(shares[True]) < 0.7 < np.mean(shares[False])


# --- the image ----------------------------------------------------------------------------------------------------


def test_images_are_black_outside_the_sector_only(frames):
    for (number, view), pair in frames.items():
        *_, inside = draw_patient(number, SEED, 0.3).setups[view].sector.scan_conversion()
        for frame in pair:
            assert frame.image.dtype == np.uint8
            assert not frame.image[~inside].any()
            assert frame.image[inside].min() >= 1
            assert 25 < np.median(frame.image[inside]) < 160


def test_even_tissue_gives_fully_developed_speckle_equally_bright_at_every_depth():
    rng = np.random.default_rng(3)
    sector, pose = Sector(150.0, 75.0, 0.35), Pose(0.0, (0.0, 100.0))
    even = replace(draw_imaging(rng, "Good"), side_lobe=0.0)
    scanner = Scanner(sector, pose, even, rng)
    echoes = scanner._blurred(rng.standard_normal((*sector.polar_shape, 2), np.float32))[:, 20:-20]
    envelope = np.hypot(echoes[..., 0], echoes[..., 1])
    assert envelope.mean() / envelope.std() == pytest.approx(1.913, rel=0.05)  # Rayleigh: √(π / (4 − π))
    power = [np.mean(part**2) for part in np.array_split(envelope[80:], 5)]
    assert 10 * np.log10(max(power) / min(power)) < 2.0


def test_the_same_patient_is_the_same_whatever_else_is_asked_for():
    one = draw_patient(3, SEED, 0.12)
    (alone,) = simulate_view(one, View.A4C, [0.0])
    list(simulate_view(one, View.A2C, [0.0]))
    first, _ = simulate_view(draw_patient(3, SEED, 0.12), View.A4C, ED_ES)
    np.testing.assert_array_equal(alone.image, first.image)
    assert draw_patient(3, SEED + 1, 0.12).anatomy.length_mm != one.anatomy.length_mm
