"""From an image to hinge points, with a network of NumPy: nothing of Keras, nothing of TensorFlow."""

import dataclasses
import json

import numpy as np
import numpy.typing as npt
import pytest
from scipy import ndimage

from cart.measure import BoxSpec, MeasurementSpec, StageClock, measure_image, measure_outputs, network_outputs
from data_pipeline.sample import Phase, Structure, View
from postprocessing.calibration import Calibration
from shell.errors import UserError
from tests.export.drawn_heart import (
    BIAS_MM,
    BLOCK,
    CLASSES,
    CONTACT_ENDS_NATIVE,
    CONTACT_ROW_NATIVE,
    DIAMETER_MM,
    GREY,
    GRID,
    SPACING_MM,
    heart_image,
    heart_labels,
    heart_spec,
)

CORNERS = 8  # 4 of the myocardium, 2 of the LV, 2 of the LA


def by_grey_level(images: npt.NDArray[np.float32]) -> dict[str, npt.NDArray[np.float32]]:
    levels = np.array([GREY[Structure[name]] / 255 for name in CLASSES], np.float32)
    nearest = np.abs(images - levels).argmin(-1)
    return {"probabilities": np.eye(len(CLASSES), dtype=np.float32)[nearest]}


def test_hinge_points_where_the_hand_puts_them() -> None:
    measured = measure_image(
        heart_image(), SPACING_MM, View.A4C, Phase.ED, predictor=by_grey_level, spec=heart_spec(None)
    )
    points = measured.frame.hinge_points
    assert points is not None
    # The ends lie between the outer pixel centres of the contact and its outer edge, half a network pixel further out.
    half = 1.5
    assert points.amvl == pytest.approx((CONTACT_ROW_NATIVE, CONTACT_ENDS_NATIVE[0] + half / 2), abs=half / 2 + 1e-6)
    assert points.pmvl == pytest.approx((CONTACT_ROW_NATIVE, CONTACT_ENDS_NATIVE[1] - half / 2), abs=half / 2 + 1e-6)
    assert measured.frame.annulus_diameter == pytest.approx(DIAMETER_MM, abs=2 * half * SPACING_MM[1])
    assert measured.frame.unit == "mm"
    assert measured.calibrated is None
    drawn = np.kron(heart_labels(), np.ones(BLOCK, np.uint8))
    assert np.count_nonzero(measured.frame.label_map != drawn) <= CORNERS  # interpolation rounds each corner by a pixel


def test_unknown_spacing_gives_pixels_and_no_mm_calibration() -> None:
    measured = measure_image(heart_image(), None, View.A4C, None, predictor=by_grey_level, spec=heart_spec())
    assert measured.frame.unit == "px"
    assert measured.frame.annulus_diameter == pytest.approx(48, abs=3)
    assert measured.calibrated is None


def test_calibration_is_subtracted_in_mm() -> None:
    measured = measure_image(heart_image(), SPACING_MM, View.A4C, Phase.ED, predictor=by_grey_level, spec=heart_spec())
    raw, calibrated = measured.frame.hinge_points, measured.calibrated
    assert raw is not None
    assert calibrated is not None
    moved_mm = np.subtract([raw.amvl, raw.pmvl], [calibrated.hinge_points.amvl, calibrated.hinge_points.pmvl])
    assert (moved_mm * SPACING_MM).ravel() == pytest.approx(BIAS_MM)
    # Rows: bias moves pMVL 1.5 mm below aMVL; columns: by 0.3 mm closer.
    level = (raw.pmvl[1] - raw.amvl[1]) * SPACING_MM[1]
    assert calibrated.annulus_diameter == pytest.approx(np.hypot(1.5, level - 0.3))


def test_a_pixel_calibration_serves_frames_of_unknown_spacing() -> None:
    calibration = Calibration({"all": (1.0, 0.0, 1.0, 0.0)}, {"all": 9}, "px", "validation")
    measured = measure_image(heart_image(), None, View.A4C, None, predictor=by_grey_level, spec=heart_spec(calibration))
    assert measured.calibrated is not None
    assert measured.calibrated.hinge_points.amvl[0] == pytest.approx(CONTACT_ROW_NATIVE - 1)
    assert measured.calibrated.annulus_diameter == pytest.approx(measured.frame.annulus_diameter)


def test_a_mirrored_image_gives_mirrored_points_and_no_calibration() -> None:
    image = heart_image()
    spec = heart_spec()
    upright = measure_image(image, SPACING_MM, View.A4C, None, predictor=by_grey_level, spec=spec)
    mirrored = measure_image(
        image[:, ::-1], SPACING_MM, View.A4C, None, predictor=by_grey_level, spec=spec, anterior_side="right"
    )
    a, b = upright.frame.hinge_points, mirrored.frame.hinge_points
    assert a is not None
    assert b is not None
    last = image.shape[1] - 1
    assert (b.amvl[0], last - b.amvl[1]) == pytest.approx(a.amvl, abs=1e-4)
    assert (b.pmvl[0], last - b.pmvl[1]) == pytest.approx(a.pmvl, abs=1e-4)
    assert mirrored.anterior_side == "right"
    assert mirrored.calibrated is None  # it was fitted on frames the other way round


def test_orientation_of_the_view() -> None:
    points = {
        view: measure_image(heart_image(), SPACING_MM, view, None, predictor=by_grey_level, spec=heart_spec(None))
        for view in (View.A4C, View.A3C)
    }
    a4c, a3c = points[View.A4C].frame.hinge_points, points[View.A3C].frame.hinge_points
    assert a4c is not None
    assert a3c is not None
    assert a3c.amvl == a4c.pmvl
    assert a3c.pmvl == a4c.amvl


def test_no_contact_is_a_status() -> None:
    measured = measure_image(
        heart_image(contact=False), SPACING_MM, View.A4C, None, predictor=by_grey_level, spec=heart_spec()
    )
    assert measured.frame.status == "no_contact_line"
    assert measured.frame.annulus_diameter is None
    assert measured.calibrated is None


@pytest.mark.parametrize(("view", "message"), [(None, "--view"), (View.SAX, "view SAX.*--anterior-side")])
def test_unknown_orientation_is_refused(view: View | None, message: str) -> None:
    with pytest.raises(UserError, match=message):
        measure_image(heart_image(), SPACING_MM, view, None, predictor=by_grey_level, spec=heart_spec())


def test_a_broken_network_is_refused() -> None:
    def broken(images: npt.NDArray[np.float32]) -> dict[str, npt.NDArray[np.float32]]:
        return {"probabilities": np.full((len(images), GRID, GRID, len(CLASSES)), np.nan, np.float32)}

    with pytest.raises(UserError, match="not finite"):
        measure_image(heart_image(), SPACING_MM, View.A4C, None, predictor=broken, spec=heart_spec())


LOCALISER = dataclasses.replace(
    heart_spec(None), outputs=("box",), box=BoxSpec((Structure.LV, Structure.MYO), margin=0.05)
)
NO_LA = dataclasses.replace(heart_spec(None), structures=(Structure.BACKGROUND, Structure.LV, Structure.MYO))


ORACLE = dataclasses.replace(heart_spec(None), oracle=BoxSpec((Structure.LV, Structure.MYO), margin=0.05))


CROPPED = dataclasses.replace(heart_spec(None), crop_mm=200.0)


@pytest.mark.parametrize("spec", [heart_spec(), heart_spec(None), LOCALISER, ORACLE, CROPPED])
def test_the_spec_survives_its_dictionary(spec: MeasurementSpec) -> None:
    assert MeasurementSpec.from_dict(json.loads(json.dumps(spec.to_dict()))) == spec


def locate(images: npt.NDArray[np.float32]) -> dict[str, npt.NDArray[np.float32]]:
    return {"box": np.tile(np.array([0.25, 1.0, -0.125, 0.5], np.float32), (len(images), 1))}


def test_a_box_is_told_in_native_pixels_and_nothing_is_outlined() -> None:
    measured = measure_image(heart_image(), SPACING_MM, None, None, predictor=locate, spec=LOCALISER)
    assert measured.box == (32, 128, -24, 96)  # of 128 rows and 192 columns
    assert measured.frame.status == "no_segmentation"
    assert not measured.frame.label_map.any()
    assert measured.frame.label_map.shape == (128, 192)
    assert (measured.anterior_side, measured.calibrated) == (None, None)


def test_box_and_structures_together() -> None:
    both = dataclasses.replace(LOCALISER, outputs=("box", "probabilities"))
    measured = measure_image(
        heart_image(),
        SPACING_MM,
        View.A4C,
        None,
        predictor=lambda images: {**locate(images), **by_grey_level(images)},
        spec=both,
    )
    assert measured.box == (32, 128, -24, 96)
    assert measured.frame.status == "ok"


def test_a_network_that_needs_a_reference_measures_no_new_frame() -> None:
    with pytest.raises(
        UserError, match=r"cropped to the box of their reference \(oracle_margin=0.05\), and a new frame"
    ):
        measure_image(heart_image(), SPACING_MM, View.A4C, None, predictor=by_grey_level, spec=ORACLE)


def test_what_the_network_saw_a_region_of_is_measured_on_the_whole_frame() -> None:
    # Half the frame's rows and columns, around the heart: each network pixel is 1 × 1.5 native pixels.
    image, region = heart_image(), (12.0, 76.0, 48.0, 144.0)
    both = dataclasses.replace(ORACLE, outputs=("box", "probabilities"))
    outputs = network_outputs(
        image, predictor=lambda seen: {**locate(seen), **by_grey_level(seen)}, spec=both, region=region
    )
    measured = measure_outputs(outputs, image, SPACING_MM, View.A4C, None, spec=both, region=region)
    whole = measure_image(image, SPACING_MM, View.A4C, None, predictor=by_grey_level, spec=heart_spec(None)).frame
    points, expected = measured.frame.hinge_points, whole.hinge_points
    assert points is not None
    assert expected is not None
    assert points.amvl == pytest.approx(expected.amvl, abs=0.8)
    assert points.pmvl == pytest.approx(expected.pmvl, abs=0.8)
    assert not measured.frame.label_map[76:].any()  # the atrium goes on there, and nobody looked
    assert measured.box == (12 + 0.25 * 64, 76, 48 - 0.125 * 96, 96)


def test_a_square_around_the_middle_of_a_lone_frame() -> None:
    image, side_mm = heart_image(), 30.0
    spec = dataclasses.replace(heart_spec(None), crop_mm=side_mm, largest_component=False)  # MYO is cut in two
    measured = measure_image(image, SPACING_MM, View.A4C, None, predictor=by_grey_level, spec=spec).frame
    seen = np.zeros(image.shape, bool)  # 30 mm about the middle, by hand
    rows, cols = (int(side_mm / pitch / 2) for pitch in SPACING_MM)
    seen[64 - rows : 64 + rows, 96 - cols : 96 + cols] = True
    drawn = np.kron(heart_labels(), np.ones(BLOCK, np.uint8))
    assert drawn[~seen].any()  # some of the heart is outside
    assert not measured.label_map[~seen].any()
    inner = seen & (ndimage.maximum_filter(drawn, 7) == ndimage.minimum_filter(drawn, 7))  # elsewhere greys are mixed
    assert np.count_nonzero(inner & (drawn > 0)) > 1000
    np.testing.assert_array_equal(measured.label_map[inner], drawn[inner])


def test_a_square_of_millimetres_needs_a_pitch() -> None:
    spec = dataclasses.replace(heart_spec(None), crop_mm=30.0)
    with pytest.raises(UserError, match=r"sees 30 mm around the heart, so the pixel pitch must be known"):
        measure_image(heart_image(), None, View.A4C, None, predictor=by_grey_level, spec=spec)


def test_without_the_atrium_no_view_is_needed() -> None:
    def without_la(images: npt.NDArray[np.float32]) -> dict[str, npt.NDArray[np.float32]]:
        return {"probabilities": by_grey_level(images)["probabilities"][..., :3]}

    measured = measure_image(heart_image(), SPACING_MM, None, None, predictor=without_la, spec=NO_LA)
    assert measured.anterior_side is None
    assert measured.frame.hinge_points is None
    assert (measured.frame.label_map == Structure.LV).any()


@pytest.mark.parametrize("bad", ["box", "probabilities"])
def test_any_output_that_is_not_finite_is_refused(bad: str) -> None:
    def broken(images: npt.NDArray[np.float32]) -> dict[str, npt.NDArray[np.float32]]:
        outputs = {**locate(images), **by_grey_level(images)}
        outputs[bad] = outputs[bad] * np.float32(np.nan)
        return outputs

    spec = dataclasses.replace(LOCALISER, outputs=("box", "probabilities"))
    with pytest.raises(UserError, match="not finite"):
        measure_image(heart_image(), SPACING_MM, View.A4C, None, predictor=broken, spec=spec)


def test_a_spec_written_before_networks_had_boxes_is_read() -> None:
    values = heart_spec().to_dict()
    del values["outputs"], values["box"], values["oracle"], values["crop_mm"]
    assert MeasurementSpec.from_dict(values) == heart_spec()


@pytest.mark.parametrize(
    "name", [field.name for field in dataclasses.fields(MeasurementSpec) if field.default is dataclasses.MISSING]
)
def test_every_field_of_the_spec_is_needed(name: str) -> None:
    values = heart_spec().to_dict()
    del values[{"structures": "classes", "anterior_sides": "orientation"}.get(name, name)]
    with pytest.raises(KeyError):
        MeasurementSpec.from_dict(values)


def test_a_clock_is_told_of_each_stage_and_changes_nothing() -> None:
    seconds = iter([10.0, 10.001, 10.008, 10.010])
    clock = StageClock(lambda: next(seconds))
    timed = measure_image(
        heart_image(), SPACING_MM, View.A4C, Phase.ED, predictor=by_grey_level, spec=heart_spec(), clock=clock
    )
    assert list(clock.ms) == ["preprocess", "infer", "postprocess"]
    assert clock.ms == pytest.approx({"preprocess": 1.0, "infer": 7.0, "postprocess": 2.0})
    plain = measure_image(heart_image(), SPACING_MM, View.A4C, Phase.ED, predictor=by_grey_level, spec=heart_spec())
    assert timed.calibrated == plain.calibrated
    np.testing.assert_array_equal(timed.frame.label_map, plain.frame.label_map)


def test_a_stage_that_ends_twice_adds_up() -> None:
    seconds = iter([0.0, 1.0, 2.0, 4.0, 4.0])
    clock = StageClock(lambda: next(seconds))
    for stage in ("decode", "infer", "decode"):
        clock(stage)
    assert clock.ms == {"decode": 3000.0, "infer": 1000.0}
    clock.restart()
    assert clock.ms == {}
