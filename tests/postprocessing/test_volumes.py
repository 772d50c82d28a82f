"""Volumes of drawn chambers against the closed formulas of ellipsoids, whole or cut off by the plane of the annulus."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from postprocessing.codes import LA, LV
from postprocessing.hinge_points import HingePoints
from postprocessing.volumes import (
    DISCS,
    ApicalView,
    Profile,
    area_length_ml,
    atrium_profile,
    discs_ml,
    ejection_fraction_percent,
    simpson_biplane_ml,
    single_plane_ml,
    ventricle_profile,
)

FINE_MM, COARSE_MM = (0.308, 0.154), (0.4, 0.25)  # anisotropic, and not alike


def cut_ellipse(
    half_length_mm: float,
    radius_mm: float,
    spacing_mm: tuple[float, float],
    *,
    centre_mm: float = 0.0,
    tilt_degrees: float = 0.0,
    slant_degrees: float = 0.0,
    base_mm: tuple[float, float] = (110.0, 90.0),
    code: int = LV,
) -> ApicalView:
    """What a plane through the long axis shows of an ellipsoid that the annulus cuts off.

    The axis stands `tilt_degrees` off the upright (180 hangs it down), the ellipse's centre lies `centre_mm` from the
    annulus along it, and the annulus leans by `slant_degrees` against the perpendicular of the axis.
    """
    rows = np.arange(math.ceil(220 / spacing_mm[0]))[:, None] * spacing_mm[0] - base_mm[0]
    cols = np.arange(math.ceil(180 / spacing_mm[1]))[None, :] * spacing_mm[1] - base_mm[1]
    tilt, slope = math.radians(tilt_degrees), math.tan(math.radians(slant_degrees))
    up = cols * math.sin(tilt) - rows * math.cos(tilt)
    across = cols * math.cos(tilt) + rows * math.sin(tilt)
    mask = (up >= slope * across) & (((up - centre_mm) / half_length_mm) ** 2 + (across / radius_mm) ** 2 <= 1)
    # where the annulus, up = slope · across, meets the ellipse
    a = (slope / half_length_mm) ** 2 + 1 / radius_mm**2
    b = -2 * slope * centre_mm / half_length_mm**2
    c = (centre_mm / half_length_mm) ** 2 - 1
    ends = [(-b + side * math.sqrt(b * b - 4 * a * c)) / (2 * a) for side in (-1, 1)]
    amvl, pmvl = (
        (
            (base_mm[0] - slope * x * math.cos(tilt) + x * math.sin(tilt)) / spacing_mm[0],
            (base_mm[1] + slope * x * math.sin(tilt) + x * math.cos(tilt)) / spacing_mm[1],
        )
        for x in ends
    )
    return ApicalView(mask.astype(np.uint8) * np.uint8(code), HingePoints(amvl, pmvl), spacing_mm)


def cut_ellipsoid_ml(
    half_length_mm: float,
    radii_mm: tuple[float, float],
    centre_mm: float = 0.0,
    slants_degrees: tuple[float, float] = (0.0, 0.0),
) -> float:
    """A cap of the unit sphere, stretched: π h² (3 − h) / 3 · a · b · c, with h its height there."""
    slopes = [math.tan(math.radians(slant)) for slant in slants_degrees]
    reach = math.hypot(half_length_mm, slopes[0] * radii_mm[0], slopes[1] * radii_mm[1])
    h = 1 + centre_mm / reach
    return math.pi * h**2 * (3 - h) / 3 * half_length_mm * radii_mm[0] * radii_mm[1] / 1000


def test_the_formula_of_the_cut_ellipsoid_by_hand() -> None:
    # the half of 80 × 40 × 50 mm: 2/3 π · 80 · 20 · 25; a whole one: twice that
    assert cut_ellipsoid_ml(80, (20, 25)) == pytest.approx(83.776, abs=0.001)
    assert cut_ellipsoid_ml(80, (20, 25), 80) == pytest.approx(2 * 83.776, abs=0.002)
    # the plane's lean changes nothing where it goes through the centre
    assert cut_ellipsoid_ml(80, (20, 25), 0, (12, -7)) == pytest.approx(83.776, abs=0.001)


ventricles = st.fixed_dictionaries(
    {
        "half_length_mm": st.floats(40, 60),
        "radii_mm": st.tuples(st.floats(15, 28), st.floats(15, 28)),
        "cut": st.floats(0, 0.75),  # of the half length: how far the annulus lies from the widest place
        "tilts": st.tuples(st.floats(-45, 45), st.floats(-45, 45)),
        "base_mm": st.tuples(st.floats(109, 111), st.floats(89, 91)),
    }
)


def views_of(heart: dict, slants: tuple[float, float] = (0.0, 0.0), code: int = LV) -> tuple[ApicalView, ApicalView]:
    """Both views of one ellipsoid, each with its own tilt and pitch."""
    first, second = (
        cut_ellipse(
            heart["half_length_mm"],
            radius,
            spacing_mm,
            centre_mm=heart["cut"] * heart["half_length_mm"],
            tilt_degrees=tilt,
            slant_degrees=slant,
            base_mm=heart["base_mm"],
            code=code,
        )
        for radius, tilt, slant, spacing_mm in zip(
            heart["radii_mm"], heart["tilts"], slants, (FINE_MM, COARSE_MM), strict=True
        )
    )
    return first, second


@settings(max_examples=25, deadline=None)
@given(heart=ventricles)
def test_ventricles_cut_by_the_annulus_to_one_per_cent(heart: dict) -> None:
    first, second = views_of(heart)
    length, centre = heart["half_length_mm"], heart["cut"] * heart["half_length_mm"]
    for volume_ml, radii in (
        (simpson_biplane_ml(first, second), heart["radii_mm"]),
        (single_plane_ml(first), (heart["radii_mm"][0],) * 2),
        (single_plane_ml(second), (heart["radii_mm"][1],) * 2),
    ):
        assert volume_ml == pytest.approx(cut_ellipsoid_ml(length, radii, centre), rel=0.01)


@settings(max_examples=20, deadline=None)
@given(heart=ventricles, slants=st.tuples(st.floats(-10, 10), st.floats(-10, 10)))
def test_an_annulus_that_leans_by_ten_degrees_costs_less_than_one_per_cent(
    heart: dict, slants: tuple[float, float]
) -> None:
    expected = cut_ellipsoid_ml(
        heart["half_length_mm"], heart["radii_mm"], heart["cut"] * heart["half_length_mm"], slants
    )
    assert simpson_biplane_ml(*views_of(heart, slants)) == pytest.approx(expected, rel=0.01)


@settings(max_examples=15, deadline=None)
@given(heart=ventricles, scale=st.floats(0.5, 2))
def test_twice_the_size_is_eight_times_the_volume(heart: dict, scale: float) -> None:
    views = views_of(heart)
    larger = [replace(view, spacing_mm=(view.spacing_mm[0] * scale, view.spacing_mm[1] * scale)) for view in views]
    assert simpson_biplane_ml(*larger) == pytest.approx(scale**3 * simpson_biplane_ml(*views), rel=1e-6)


@settings(max_examples=15, deadline=None)
@given(heart=ventricles, turn=st.floats(-40, 40))
def test_a_turned_heart_has_the_same_volume(heart: dict, turn: float) -> None:
    heart = {**heart, "tilts": (0.0, 10.0)}
    turned = {**heart, "tilts": (turn, 10.0 - turn / 2)}
    assert simpson_biplane_ml(*views_of(turned)) == pytest.approx(simpson_biplane_ml(*views_of(heart)), rel=0.01)


def test_a_mirrored_frame_has_the_same_volume() -> None:
    view = cut_ellipse(55, 21, FINE_MM, centre_mm=25, tilt_degrees=17, slant_degrees=6)
    width = view.label_map.shape[1]
    amvl, pmvl = ((row, width - 1 - col) for row, col in (view.hinge_points.amvl, view.hinge_points.pmvl))
    mirrored = ApicalView(np.ascontiguousarray(view.label_map[:, ::-1]), HingePoints(amvl, pmvl), view.spacing_mm)
    assert single_plane_ml(mirrored) == pytest.approx(single_plane_ml(view), rel=1e-3)


def test_views_can_be_exchanged() -> None:
    first, second = cut_ellipse(80, 22, (0.3, 0.15)), cut_ellipse(80, 18, (0.4, 0.2), tilt_degrees=20)
    assert simpson_biplane_ml(first, second) == simpson_biplane_ml(second, first)


def test_cylinder_by_hand() -> None:
    # 100 rows of 0.5 mm: 50 mm long; 40 columns of 0.25 mm: 10 mm wide; base on the lower edge of the last row
    label_map = np.zeros((120, 80), dtype=np.uint8)
    label_map[10:110, 20:60] = LV
    label_map[110:, 20:60] = LA
    profile = ventricle_profile(ApicalView(label_map, HingePoints((109.5, 19.5), (109.5, 59.5)), (0.5, 0.25)))
    # the furthest point is a corner, 4.875 mm aside of the middle and 49.75 mm above the base: nearly the height
    assert profile.length_mm == pytest.approx(math.hypot(49.75, 4.875), abs=0.3)
    assert profile.diameters_mm.shape == (DISCS,)
    slanted = 10 * math.hypot(1, 4.875 / 49.75)  # cut at that slant
    np.testing.assert_allclose(profile.diameters_mm[2:17], slanted, rtol=0.01)
    # the first disc lacks a corner, and the other side's corner below the base is counted for it
    np.testing.assert_allclose(profile.diameters_mm[0], slanted, rtol=0.02)
    assert profile.area_mm2 == pytest.approx(500)


def test_each_disc_has_the_ventricles_own_width() -> None:
    profile = ventricle_profile(cut_ellipse(80, 22, (0.1, 0.1)))
    heights = (np.arange(DISCS) + 0.5) / DISCS
    np.testing.assert_allclose(profile.diameters_mm, 44 * np.sqrt(1 - heights**2), atol=0.2)  # two pixels
    assert profile.length_mm == pytest.approx(80, abs=0.15)
    assert profile.area_mm2 == pytest.approx(math.pi / 2 * 80 * 22, rel=0.002)


def test_longer_axis_and_both_diameters_count() -> None:
    first, second = cut_ellipse(90, 20, (0.3, 0.15)), cut_ellipse(60, 20, (0.3, 0.15))
    assert simpson_biplane_ml(first, second) == pytest.approx(cut_ellipsoid_ml(90, (20, 20)), rel=0.01)


def test_the_discs_by_hand() -> None:
    first = Profile(np.full(DISCS, 40.0), 80.0, 3000.0)
    second = Profile(np.full(DISCS, 30.0), 70.0, 2000.0)
    # π/4 · 40 · 30 mm² · 80 mm (the longer one), and 8 / (3π) · 3000 · 2000 mm⁴ / 70 mm (the shorter one)
    assert discs_ml(first, second) == pytest.approx(75.398, abs=0.001)
    assert discs_ml(second, second) == pytest.approx(math.pi / 4 * 30**2 * 70 / 1000)
    assert area_length_ml(first, second) == pytest.approx(72.756, abs=0.001)
    assert area_length_ml(first, second) == area_length_ml(second, first)


def test_anisotropic_pixels_measure_the_same_ventricle() -> None:
    fine = single_plane_ml(cut_ellipse(80, 22, (0.15, 0.3), tilt_degrees=15))
    assert single_plane_ml(cut_ellipse(80, 22, (0.3, 0.15), tilt_degrees=15)) == pytest.approx(fine, rel=0.005)


def test_ventricle_cut_by_the_image_edge_is_measured_as_far_as_it_is_seen() -> None:
    whole = cut_ellipse(80, 22, (0.3, 0.15))
    cut = replace(whole, label_map=np.ascontiguousarray(whole.label_map[:, : round(90 / 0.15)]))
    assert single_plane_ml(cut) == pytest.approx(single_plane_ml(whole) / 4, rel=0.02)  # half of each diameter


# --- the atrium ---------------------------------------------------------------------------------------------------

atria = st.fixed_dictionaries(
    {
        "half_length_mm": st.floats(20, 32),
        "radii_mm": st.tuples(st.floats(15, 27), st.floats(15, 27)),
        "cut": st.floats(0.2, 0.75),
        "tilts": st.tuples(st.floats(150, 210), st.floats(150, 210)),
        "base_mm": st.tuples(st.floats(89, 91), st.floats(89, 91)),
    }
)


@settings(max_examples=25, deadline=None)
@given(heart=atria)
def test_atria_by_discs_to_one_per_cent(heart: dict) -> None:
    first, second = (atrium_profile(view) for view in views_of(heart, code=LA))
    length, centre = heart["half_length_mm"], heart["cut"] * heart["half_length_mm"]
    assert discs_ml(first, second) == pytest.approx(cut_ellipsoid_ml(length, heart["radii_mm"], centre), rel=0.01)


@settings(max_examples=20, deadline=None)
@given(heart=atria, part=st.sampled_from([0.0, 1.0 - 1e-6]))
def test_area_length_of_half_and_of_whole_ellipsoids_to_one_per_cent(heart: dict, part: float) -> None:
    heart = {**heart, "cut": part, "half_length_mm": heart["half_length_mm"] * (2 - part)}  # 40 to 64 mm, either way
    first, second = (atrium_profile(view) for view in views_of(heart, code=LA))
    expected = cut_ellipsoid_ml(heart["half_length_mm"], heart["radii_mm"], part * heart["half_length_mm"])
    assert area_length_ml(first, second) == pytest.approx(expected, rel=0.01)


@settings(max_examples=20, deadline=None)
@given(heart=atria)
def test_area_length_of_atria_cut_elsewhere_is_too_much_by_up_to_four_per_cent(heart: dict) -> None:
    first, second = (atrium_profile(view) for view in views_of(heart, code=LA))
    length, centre = heart["half_length_mm"], heart["cut"] * heart["half_length_mm"]
    share = area_length_ml(first, second) / cut_ellipsoid_ml(length, heart["radii_mm"], centre)
    assert 0.995 < share < 1.04


def test_an_atrium_wider_than_long_is_measured_to_its_roof_not_to_its_corner() -> None:
    profile = atrium_profile(cut_ellipse(18, 28, (0.2, 0.2), centre_mm=10, tilt_degrees=180, code=LA))
    assert profile.length_mm == pytest.approx(28, abs=0.2)


def test_the_ventricle_above_does_not_count_as_atrium() -> None:
    atrium = cut_ellipse(25, 20, (0.3, 0.3), centre_mm=12, tilt_degrees=180, base_mm=(110, 90), code=LA)
    ventricle = cut_ellipse(60, 22, (0.3, 0.3), centre_mm=25, base_mm=(110, 90))
    both = replace(atrium, label_map=np.maximum(atrium.label_map, ventricle.label_map))
    assert atrium_profile(both).area_mm2 == pytest.approx(atrium_profile(atrium).area_mm2, rel=0.01)
    assert atrium_profile(both).length_mm == pytest.approx(37, abs=0.3)
    assert ventricle_profile(both).length_mm == pytest.approx(85, abs=0.4)


# --- what is refused ----------------------------------------------------------------------------------------------


def test_ejection_fraction() -> None:
    assert ejection_fraction_percent(120.0, 48.0) == pytest.approx(60.0)
    assert ejection_fraction_percent(100.0, 110.0) == pytest.approx(-10.0)


@pytest.mark.parametrize(("edv_ml", "esv_ml"), [(0.0, 0.0), (-1.0, 10.0), (math.nan, 10.0), (100.0, -1.0)])
def test_volumes_without_ejection_fraction_are_refused(edv_ml: float, esv_ml: float) -> None:
    with pytest.raises(ValueError, match=r"`edv_ml` must be positive and `esv_ml` not negative. Received: "):
        ejection_fraction_percent(edv_ml, esv_ml)


@pytest.mark.parametrize(("profile", "code", "name"), [(ventricle_profile, LV, "LV"), (atrium_profile, LA, "LA")])
def test_view_without_a_chamber_is_refused(profile, code: int, name: str) -> None:
    view = cut_ellipse(40, 22, (0.3, 0.15), code=code)
    empty = replace(view, label_map=np.zeros_like(view.label_map))
    with pytest.raises(ValueError, match=f"`label_map` must have {name} pixels to measure a volume"):
        profile(empty)
    speck = np.zeros((9, 9), dtype=np.uint8)
    speck[4, 4] = code
    with pytest.raises(ValueError, match="away from the annulus"):
        profile(ApicalView(speck, HingePoints((4, 2), (4, 6)), (0.3, 0.15)))
    with pytest.raises(ValueError, match="`spacing_mm` must be two positive numbers"):
        profile(replace(view, spacing_mm=(0.3, 0.0)))


def test_a_pair_with_an_empty_view_is_refused() -> None:
    view = cut_ellipse(80, 22, (0.3, 0.15))
    with pytest.raises(ValueError, match="`label_map` must have LV pixels"):
        simpson_biplane_ml(view, replace(view, label_map=np.zeros_like(view.label_map)))
