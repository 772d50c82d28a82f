import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from postprocessing.codes import LV
from postprocessing.hinge_points import HingePoints
from postprocessing.volumes import (
    DISCS,
    ApicalView,
    disc_diameters_mm,
    ejection_fraction_percent,
    simpson_biplane_ml,
    single_plane_ml,
)


def half_ellipse(
    length_mm: float,
    radius_mm: float,
    spacing_mm: tuple[float, float],
    tilt_degrees: float = 0.0,
    base_mm: tuple[float, float] = (110.0, 80.0),
) -> ApicalView:
    """LV of half an ellipse: base on the annulus, `radius_mm` to either side of it, apex `length_mm` above."""
    rows = np.arange(math.ceil(150 / spacing_mm[0]))[:, None] * spacing_mm[0] - base_mm[0]
    cols = np.arange(math.ceil(160 / spacing_mm[1]))[None, :] * spacing_mm[1] - base_mm[1]
    tilt = math.radians(tilt_degrees)
    up = cols * math.sin(tilt) - rows * math.cos(tilt)
    across = cols * math.cos(tilt) + rows * math.sin(tilt)
    mask = (up >= 0) & ((up / length_mm) ** 2 + (across / radius_mm) ** 2 <= 1)
    amvl, pmvl = (
        (
            (base_mm[0] + side * radius_mm * math.sin(tilt)) / spacing_mm[0],
            (base_mm[1] + side * radius_mm * math.cos(tilt)) / spacing_mm[1],
        )
        for side in (-1, 1)
    )
    return ApicalView(mask.astype(np.uint8) * LV, HingePoints(amvl, pmvl), spacing_mm)


def half_ellipsoid_ml(length_mm: float, radius_mm: float, other_radius_mm: float) -> float:
    return 2 / 3 * math.pi * length_mm * radius_mm * other_radius_mm / 1000


@settings(max_examples=30, deadline=None)
@given(
    length_mm=st.floats(60, 95),
    radii_mm=st.tuples(st.floats(15, 28), st.floats(15, 28)),
    tilts=st.tuples(st.floats(-30, 30), st.floats(-30, 30)),
    base_mm=st.tuples(st.floats(109, 111), st.floats(79, 81)),
)
def test_ellipsoids_to_one_per_cent(
    length_mm: float, radii_mm: tuple[float, float], tilts: tuple[float, float], base_mm: tuple[float, float]
) -> None:
    first = half_ellipse(length_mm, radii_mm[0], (0.308, 0.154), tilts[0], base_mm)
    second = half_ellipse(length_mm, radii_mm[1], (0.2, 0.5), tilts[1], base_mm)  # each view has its own pitch
    assert simpson_biplane_ml(first, second) == pytest.approx(half_ellipsoid_ml(length_mm, *radii_mm), rel=0.01)
    assert single_plane_ml(first) == pytest.approx(half_ellipsoid_ml(length_mm, radii_mm[0], radii_mm[0]), rel=0.01)


def test_views_can_be_exchanged() -> None:
    first, second = half_ellipse(80, 22, (0.3, 0.15)), half_ellipse(80, 18, (0.4, 0.2), 20)
    assert simpson_biplane_ml(first, second) == simpson_biplane_ml(second, first)


def test_cylinder_by_hand() -> None:
    # 100 rows of 0.5 mm: 50 mm long; 40 columns of 0.25 mm: 10 mm wide; base on the lower edge of the last row
    label_map = np.zeros((120, 80), dtype=np.uint8)
    label_map[10:110, 20:60] = LV
    label_map[110:, 20:60] = 3
    view = ApicalView(label_map, HingePoints((109.5, 19.5), (109.5, 59.5)), (0.5, 0.25))
    diameters_mm, length_mm = disc_diameters_mm(view)
    # the furthest point is a corner, 4.875 mm aside of the middle and 49.75 mm above the base: nearly the height
    assert length_mm == pytest.approx(math.hypot(49.75, 4.875), abs=0.3)
    assert diameters_mm.shape == (DISCS,)
    np.testing.assert_allclose(diameters_mm[2:17], 10 * math.hypot(1, 4.875 / 49.75), rtol=0.01)  # cut at that slant


def test_longer_axis_and_both_diameters_count() -> None:
    first, second = half_ellipse(90, 20, (0.3, 0.15)), half_ellipse(60, 20, (0.3, 0.15))
    assert simpson_biplane_ml(first, second) == pytest.approx(half_ellipsoid_ml(90, 20, 20), rel=0.01)


def test_anisotropic_pixels_measure_the_same_ventricle() -> None:
    fine = single_plane_ml(half_ellipse(80, 22, (0.15, 0.3), 15))
    assert single_plane_ml(half_ellipse(80, 22, (0.3, 0.15), 15)) == pytest.approx(fine, rel=0.005)


def test_ventricle_cut_by_the_image_edge_is_measured_as_far_as_it_is_seen() -> None:
    whole = half_ellipse(80, 22, (0.3, 0.15))
    cut = ApicalView(whole.label_map[:, : round(80 / 0.15)], whole.hinge_points, whole.spacing_mm)
    assert single_plane_ml(cut) == pytest.approx(single_plane_ml(whole) / 4, rel=0.02)  # half of each diameter


def test_ejection_fraction() -> None:
    assert ejection_fraction_percent(120.0, 48.0) == pytest.approx(60.0)
    assert ejection_fraction_percent(100.0, 110.0) == pytest.approx(-10.0)


@pytest.mark.parametrize(("edv_ml", "esv_ml"), [(0.0, 0.0), (-1.0, 10.0), (math.nan, 10.0), (100.0, -1.0)])
def test_volumes_without_ejection_fraction_are_refused(edv_ml: float, esv_ml: float) -> None:
    with pytest.raises(ValueError, match=r"`edv_ml` must be positive and `esv_ml` not negative. Received: "):
        ejection_fraction_percent(edv_ml, esv_ml)


def test_view_without_a_ventricle_is_refused() -> None:
    view = half_ellipse(80, 22, (0.3, 0.15))
    empty = ApicalView(np.zeros_like(view.label_map), view.hinge_points, view.spacing_mm)
    with pytest.raises(ValueError, match="`label_map` must have LV pixels"):
        simpson_biplane_ml(view, empty)
    speck = np.zeros((9, 9), dtype=np.uint8)
    speck[4, 4] = LV
    with pytest.raises(ValueError, match="away from the annulus"):
        single_plane_ml(ApicalView(speck, HingePoints((4, 2), (4, 6)), (0.3, 0.15)))
    with pytest.raises(ValueError, match="`spacing_mm` must be two positive numbers"):
        single_plane_ml(ApicalView(view.label_map, view.hinge_points, (0.3, 0.0)))
