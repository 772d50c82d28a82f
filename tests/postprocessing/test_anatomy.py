import numpy as np
import pytest

from postprocessing.anatomy import (
    ANATOMICAL_FLAGS,
    PHYSIOLOGICAL_ANNULUS_MM,
    anatomical_flags,
    is_outside,
    is_physiological,
)
from postprocessing.hinge_points import HingePoints
from postprocessing.measurement import FLAGS, measure_frame, measure_labels
from postprocessing.sector import sector_of
from tests.postprocessing.drawn import SPACING_MM, STRUCTURES, flags_of, label_map, one_hot, smooth_frame

WHOLE = "........ ..mmmm.. .mVVVVm. .mVVVVm. .mVVVVm. ..AAAA.. ..AAAA.. ........"


def test_every_flag_is_one_of_a_measurement() -> None:
    assert set(ANATOMICAL_FLAGS) < set(FLAGS)
    low, high = PHYSIOLOGICAL_ANNULUS_MM
    assert f"annulus_outside_{low:g}_{high:g}_mm" in ANATOMICAL_FLAGS


@pytest.mark.parametrize(
    ("drawing", "flags"),
    [
        (WHOLE, ()),
        (WHOLE.replace(".mVVVVm. .mVVVVm. .mVVVVm.", ".mVVVVm. .mV.VVm. .mVVVVm."), ("holes",)),
        (WHOLE.replace("..AAAA.. ..AAAA.. ........", "..AAAA.. ..A.AA.. ..AAAA.."), ("holes",)),
        (WHOLE.replace(".mVVVVm. .mVVVVm. .mVVVVm.", ".mVVVVm. .m.VVVm. .mVVVVm."), ("holes",)),  # of the epicardium
        (WHOLE.replace("..AAAA.. ..AAAA..", "........ ..AAAA.."), ("lv_la_gap",)),
        (WHOLE.replace("A", "."), ("la_missing",)),  # nothing is there to leave a gap
    ],
)
def test_prediction_and_reference_are_checked_alike(drawing: str, flags: tuple[str, ...]) -> None:
    labels = np.pad(label_map(drawing), 3)
    assert flags_of(measure_labels(labels, spacing_mm=SPACING_MM, anterior_side="left")) == flags
    predicted = measure_frame(
        one_hot(labels), structures=STRUCTURES, spacing_mm=SPACING_MM, anterior_side="left", method="pixel"
    )
    assert flags_of(predicted) == flags


def test_what_a_network_has_no_class_for_is_not_judged() -> None:
    labels = label_map(WHOLE.replace(".mVVVVm. .mVVVVm. .mVVVVm.", ".mVVVVm. .m.VVVm. .mVVVVm."))  # the gap is at MYO
    labels[labels == 2] = 0
    flags = anatomical_flags(labels, structures=(0, 1, 3), hinge_points=None, annulus_diameter_mm=None, sector=None)
    assert flags == {"lv_la_gap"}  # without MYO that pixel is a notch
    labels[labels == 3] = 0
    assert not anatomical_flags(labels, structures=(0, 1), hinge_points=None, annulus_diameter_mm=None, sector=None)


@pytest.mark.parametrize(
    ("diameter_mm", "plausible"), [(14.999, False), (15.0, True), (31.0, True), (60.0, True), (60.001, False)]
)
def test_width_of_an_annulus(diameter_mm: float, plausible: bool) -> None:
    assert is_physiological(diameter_mm) is plausible
    points = HingePoints((2.0, 2.0), (2.0, 4.0))
    flags = anatomical_flags(
        label_map(WHOLE), structures=STRUCTURES, hinge_points=points, annulus_diameter_mm=diameter_mm, sector=None
    )
    assert flags == (set() if plausible else {"annulus_outside_15_60_mm"})


def test_width_is_judged_in_mm_only() -> None:
    small = smooth_frame(half_length_mm=6).probabilities  # 12 mm
    options = {"structures": STRUCTURES, "anterior_side": "left"}
    assert "annulus_outside_15_60_mm" in measure_frame(small, spacing_mm=SPACING_MM, **options).flags
    assert measure_frame(small, spacing_mm=None, **options).flags == ()
    wide = measure_frame(small, spacing_mm=(SPACING_MM[0] * 6, SPACING_MM[1] * 6), **options)
    assert wide.flags == ("annulus_outside_15_60_mm",)  # 72 mm


@pytest.mark.parametrize(
    ("point", "outside"),
    [
        ((50.0, 45.0), False),
        ((17.5, 45.0), False),  # above the sector by less than its sampling of four pixels
        ((14.0, 45.0), True),
        ((50.0, 85.5), True),
        ((-0.6, 45.0), True),  # beyond the image
    ],
)
def test_point_beyond_the_sector(point: tuple[float, float], outside: bool) -> None:
    image = np.zeros((100, 90), dtype=np.float32)
    image[20:80, 10:80] = 100
    sector = sector_of(image)
    assert sector is not None
    assert is_outside(point, sector, image.shape) is outside
    assert is_outside(point, None, image.shape) is (point[0] < -0.5)


def test_hinge_points_outside_the_sector_are_flagged() -> None:
    labels = np.zeros((100, 90), dtype=np.uint8)
    labels[20:50, 20:80], labels[50:80, 20:80] = 1, 3
    image = np.zeros(labels.shape, dtype=np.float32)
    image[5:95, 5:60] = 100  # the right half of the contact line has never been imaged
    measurement = measure_labels(labels, spacing_mm=SPACING_MM, anterior_side="left", image=image)
    assert "hinge_points_outside_sector" in measurement.flags
    image[5:95, 5:85] = 100
    whole = measure_labels(labels, spacing_mm=SPACING_MM, anterior_side="left", image=image)
    assert "hinge_points_outside_sector" not in whole.flags
