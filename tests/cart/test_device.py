"""The cart's Python interface: the same results as evaluate.py, and streams that go on whatever comes."""

import itertools
import json
import shutil
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from cart.bundle import digest_of
from cart.device import ASSUMED_RATE_HZ, Cart, StreamCounts
from cart.frames import BrokenFrame, Frame
from cart.measure import measure_image
from cart.smoothing import Smoothing
from data_pipeline.phantom.writer import PhantomOptions, write_phantom
from data_pipeline.sample import Phase, View
from data_pipeline.spec import open_dataset
from evaluation.measure import predict_frame, rows_of_frame
from postprocessing.calibration import Calibration
from shell.errors import UserError
from tests.cart.drawn import SPACING_MM, heart, network, spec

BIAS_MM = (0.5, 0.3, -1.0, 0.6)
CALIBRATION = Calibration(bias={"all": BIAS_MM}, n={"all": 9}, unit="mm", fitted_on="validation")
DIAMETER_MM = 22.0  # 44 columns of 0.5 mm


def cart(**changes: object) -> Cart:
    return Cart(network, replace(spec(), calibration=CALIBRATION, **changes), "drawn")


def heart_everywhere(images: npt.NDArray[np.float32]) -> dict[str, npt.NDArray[np.float32]]:
    """The drawn heart, whatever the frame, but for what the frame's grey levels change at its borders."""
    drawn = np.log(network(heart()[np.newaxis, :, :, np.newaxis] / 255)["probabilities"] + 1e-6)
    scores = drawn + images * np.array([0.0, 6.0, -5.0, 3.0], np.float32)
    exponents = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return {"probabilities": (exponents / exponents.sum(axis=-1, keepdims=True)).astype(np.float32)}


def no_thread_is_left() -> bool:
    return not [thread for thread in threading.enumerate() if thread.name == "cart-frames"]


def test_the_same_as_evaluation_to_the_digit(tmp_path: Path) -> None:
    """Simulated frames through evaluation's own chain, and from their files through the cart's."""
    write_phantom(tmp_path / "phantom", PhantomOptions(patients=1, seed=5), workers=1)
    data = open_dataset(f"phantom:{tmp_path / 'phantom'}")
    measured = replace(spec(), calibration=CALIBRATION)
    ours = Cart(heart_everywhere, measured)
    diameters = set()
    for case in data.cases:
        sample = data.load(case)
        prediction = predict_frame(sample, predictor=heart_everywhere, spec=measured)
        theirs = prediction.measurement()
        rows = {row.metric: row.value for row in rows_of_frame(sample, prediction, measured)}
        found = ours.measure(case.image_path)
        assert (found.frame.view, found.frame.phase) == (sample.view, sample.phase)
        assert np.array_equal(found.mask, theirs.label_map)
        assert np.array_equal(found.contact_line.points, theirs.contact_line.points)
        assert found.hinge_points == theirs.hinge_points
        assert found.annulus_diameter == theirs.annulus_diameter
        assert found.annulus_diameter == rows["annulus_diameter_predicted"]
        calibrated = rows["annulus_diameter_predicted_calibrated"]
        assert found.calibrated.annulus_diameter == pytest.approx(calibrated, rel=1e-14)
        assert (found.status, found.own.frame.flags) == (theirs.status, theirs.flags)
        assert found.own.frame.quality == theirs.quality
        (streamed,) = ours.stream([found.frame])
        assert streamed.hinge_points == found.hinge_points
        diameters.add(found.annulus_diameter)
    assert len(diameters) == len(data.cases) == 4


def test_a_bundle_is_measured_as_its_network(tflite_bundle: Path) -> None:
    from tests.export.drawn_heart import SPACING_MM as PITCH
    from tests.export.drawn_heart import heart_image

    ours = Cart.open(tflite_bundle, threads=1)
    assert ours.model == "unet1"
    found = ours.measure(heart_image(), view="A4C", phase="ED", spacing_mm=PITCH)
    alone = measure_image(heart_image(), PITCH, View.A4C, Phase.ED, predictor=ours.predictor, spec=ours.spec)
    assert found.hinge_points == alone.frame.hinge_points
    assert found.calibrated == alone.calibrated
    assert set(found.timing_ms) == {"preprocess", "infer", "postprocess"}


def tampered(bundle: Path) -> None:
    artefact = bundle / "model.tflite"
    content = bytearray(artefact.read_bytes())
    content[len(content) // 2] ^= 1
    artefact.write_bytes(content)


def truncated(bundle: Path) -> None:
    artefact = bundle / "model.tflite"
    artefact.write_bytes(artefact.read_bytes()[:-100])


def of_another_version(bundle: Path) -> None:
    values = json.loads((bundle / "bundle.json").read_text())
    values["format_version"] = 2
    values["sha256"] = digest_of(values)
    (bundle / "bundle.json").write_text(json.dumps(values))


def half_described(bundle: Path) -> None:
    text = (bundle / "bundle.json").read_text()
    (bundle / "bundle.json").write_text(text[: len(text) // 2])


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (tampered, "its SHA-256 is not the one in bundle.json"),
        (truncated, "its SHA-256 is not the one in bundle.json"),
        (of_another_version, "format version 2, this program reads 1"),
        (half_described, "not valid JSON"),
        (lambda bundle: (bundle / "model.tflite").unlink(), "a file of this bundle is missing"),
    ],
)
def test_a_bundle_that_is_not_whole_is_refused(tflite_bundle: Path, tmp_path: Path, damage, message: str) -> None:
    copy = Path(shutil.copytree(tflite_bundle, tmp_path / "bundle"))
    damage(copy)
    with pytest.raises(UserError, match=message):
        Cart.open(copy)


def test_one_frame() -> None:
    found = cart().measure(heart(), view="A4C", spacing_mm=SPACING_MM)
    assert (found.status, found.unit, found.index, found.time_ms, found.dropped) == ("ok", "mm", 0, None, 0)
    assert found.annulus_diameter == pytest.approx(DIAMETER_MM)
    assert found.calibrated.annulus_diameter < DIAMETER_MM
    assert found.judgement.abstained is False
    assert found.mask.shape == heart().shape
    assert not found.predicted


def test_without_a_pixel_pitch_lengths_are_in_pixels() -> None:
    found = cart().measure(heart(), view="A4C")
    assert (found.unit, found.annulus_diameter) == ("px", pytest.approx(44))
    assert found.calibrated is None  # its bias is in mm


@pytest.mark.parametrize(
    "image",
    [
        heart().astype(np.uint8),
        heart().astype(np.uint16) * 257,
        heart().astype(np.float64) / 255,
        heart()[..., np.newaxis],
        np.repeat(heart().astype(np.uint8)[..., np.newaxis], 3, axis=2),
    ],
)
def test_any_depth_of_the_same_picture_is_measured_alike(image: np.ndarray) -> None:
    found = cart().measure(image, view="A4C", spacing_mm=SPACING_MM)
    assert found.annulus_diameter == pytest.approx(DIAMETER_MM, abs=1e-4)


def test_colour_becomes_grey_by_its_luma() -> None:
    colour = np.zeros((*heart().shape, 3), np.uint8)
    colour[..., 1] = heart()  # green alone is 0.587 of it
    found = cart().measure(colour, view="A4C", spacing_mm=SPACING_MM)
    assert found.frame.image == pytest.approx(0.587 * heart(), abs=1e-4)


NO_IMAGE = [
    (np.zeros((4, 4, 4)), r"\(H, W\) grey levels or \(H, W, 3\) red-green-blue. Received: 4 × 4 × 4"),
    (np.zeros((0, 4)), "Received: 0 × 4"),
    (np.array(3.0), "Received: one number"),
    ("frame.png", "NumPy array or a Frame. Received: str"),
    (np.zeros(5), "Received: 5"),
    (np.zeros((4, 4), complex), "pixels must be real numbers. Received: complex128"),
    (np.full((4, 4), np.nan), "every pixel must be a finite number. Received: 16 NaN or infinite"),
    (None, "NumPy array or a Frame. Received: NoneType"),
]


@pytest.mark.parametrize(("image", "message"), NO_IMAGE)
def test_what_is_no_image_is_refused(image, message: str) -> None:
    if isinstance(image, str):  # `measure` takes it for a file's name
        message = "frame.png: no such file"
    with pytest.raises(UserError, match=message):
        cart().measure(image, view="A4C")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"view": "A5C"}, "`view` must be one of A2C, A3C, A4C, SAX. Received: 'A5C'"),
        ({"view": "A4C", "phase": "MD"}, "`phase` must be one of ED, ES. Received: 'MD'"),
        ({"view": "A4C", "spacing_mm": (0.0, 0.3)}, r"`spacing_mm` must be two positive"),
        ({"view": "A4C", "anterior_side": "up"}, "`anterior_side` must be left or right"),
    ],
)
def test_wrong_words_are_refused_before_any_frame(given: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        cart().measure(heart(), **given)
    with pytest.raises(ValueError, match=message):
        cart().stream([heart()], **given)


def test_a_view_must_be_known() -> None:
    with pytest.raises(UserError, match="view is unknown"):
        cart().measure(heart())
    (marked,) = cart().stream([heart()])
    assert (marked.status, marked.hinge_points) == ("failed", None)
    assert "view is unknown" in marked.error


def test_frames_of_every_kind_in_one_stream() -> None:
    """Changing size, depth and colour, and what is no frame: each is measured or marked, and the next one comes."""
    frames = [
        heart(),
        heart().astype(np.uint16) * 257,
        np.repeat(heart().astype(np.uint8)[..., np.newaxis], 3, axis=2),
        np.kron(heart(), np.ones((2, 2), np.float32)),
        np.zeros((7, 9), np.uint8),
        *(image for image, _ in NO_IMAGE),
        BrokenFrame(Path("cine.dcm"), 12, 240.0, "cine.dcm: frame 12: cut short"),
        heart(),
    ]
    stream = cart().stream(frames, view="A4C", spacing_mm=SPACING_MM)
    found = list(stream)
    assert [each.status for each in found[:5]] == ["ok", "ok", "ok", "ok", "no_contact_line"]
    assert found[3].mask.shape == (192, 192)
    for each, (_, message) in zip(found[5:13], NO_IMAGE, strict=True):
        assert each.status == "failed"
        assert each.error.startswith(f"frame {each.index}: ")
        assert message.split("Received: ")[-1] in each.error
    broken = found[13]
    assert (broken.status, broken.error, broken.time_ms) == ("failed", "cine.dcm: frame 12: cut short", 240.0)
    assert found[14].annulus_diameter == pytest.approx(DIAMETER_MM)
    assert stream.counts == StreamCounts(frames=15, failed=9, without_points=1, abstained=1)


def test_a_stream_without_a_frame_says_so() -> None:
    for realtime in (False, True):
        with pytest.raises(UserError, match="the stream has no frame"):
            list(cart().stream([], view="A4C", realtime=realtime))
    assert no_thread_is_left()


def test_a_stream_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match=r"`frames` must be an iterable of frames, or a path. Received: int"):
        cart().stream(3)  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match=r"`frame_rate_hz` must be positive and finite. Received: 0"):
        cart().stream([heart()], frame_rate_hz=0)


def test_a_camera_that_dies_is_marked_and_told() -> None:
    def camera() -> Iterator[np.ndarray]:
        yield heart()
        raise OSError("unplugged")

    for realtime in (False, True):
        stream = cart().stream(camera(), view="A4C", realtime=realtime)
        with pytest.raises(UserError, match=r"after 1 frames and gives no more \(OSError: unplugged\)"):
            list(stream)
        assert stream.counts.failed == 1
    assert no_thread_is_left()


def test_times_come_from_the_frame_then_from_the_rate() -> None:
    own = Frame(Path("cine.dcm"), heart(), None, View.A4C, None, index=7, time_ms=155.0)
    first, second = cart().stream([own, heart()], view="A4C", frame_rate_hz=40)
    assert (first.index, first.time_ms) == (7, 155.0)
    assert (second.index, second.time_ms) == (1, 25.0)
    (unknown,) = cart().stream([heart()], view="A4C")
    assert unknown.time_ms is None


def moved(rows: int) -> np.ndarray:
    return np.roll(heart(), rows, axis=0)


def test_smoothed_points_diameters_and_calibration_belong_together() -> None:
    frames = [moved(rows) for rows in (0, 2, -1, 3, 1, 2)]
    found = list(cart().stream(frames, view="A4C", spacing_mm=SPACING_MM, frame_rate_hz=50, smoothing=Smoothing()))
    plain = list(cart().stream(frames, view="A4C", spacing_mm=SPACING_MM, frame_rate_hz=50))
    assert found[0].hinge_points == plain[0].hinge_points
    spread = [np.ptp([each.hinge_points.amvl[0] for each in of[1:]]) for of in (found, plain)]
    assert spread[0] < 0.8 * spread[1]
    for smoothed, own in zip(found, plain, strict=True):
        assert smoothed.own.frame.hinge_points == own.hinge_points  # it stays at hand
        a, p = np.array(smoothed.hinge_points.amvl), np.array(smoothed.hinge_points.pmvl)
        assert smoothed.annulus_diameter == pytest.approx(np.hypot(*((a - p) * SPACING_MM)))
        moved_a = np.array(smoothed.calibrated.hinge_points.amvl)
        assert (a - moved_a) * SPACING_MM == pytest.approx(BIAS_MM[:2])
        both = [np.array(getattr(smoothed.calibrated.hinge_points, name)) for name in ("amvl", "pmvl")]
        assert smoothed.calibrated.annulus_diameter == pytest.approx(np.hypot(*((both[0] - both[1]) * SPACING_MM)))


def test_missing_and_untrusted_frames_are_bridged_and_marked() -> None:
    """A hole in the ventricle makes the tool abstain; a gap leaves no contact line; then nothing for too long."""
    frames = [heart(), heart(hole=True), heart(gap=True), np.full((4, 4), np.nan), heart(gap=True), heart()]
    stream = cart().stream(frames, view="A4C", spacing_mm=SPACING_MM, smoothing=Smoothing(bridge=3))
    found = list(stream)
    assert [each.predicted for each in found] == [False, True, True, True, False, False]
    assert [each.smoothed and each.smoothed.points.bridged for each in found] == [0, 1, 2, 3, None, 0]
    for each in found[:4]:
        assert each.annulus_diameter == pytest.approx(DIAMETER_MM)
        assert each.calibrated is not None
    assert (found[4].hinge_points, found[4].annulus_diameter, found[4].calibrated) == (None, None, None)
    assert found[1].judgement.abstained
    assert (stream.counts.predicted, stream.counts.failed) == (3, 1)


def test_another_depth_begins_a_new_smoothing() -> None:
    frames = [Frame(Path("a"), heart(), (pitch, pitch), View.A4C, None) for pitch in (0.5, 0.5, 0.7)]
    *_, last = cart().stream(frames, smoothing=Smoothing())
    assert last.hinge_points == last.own.frame.hinge_points
    assert last.annulus_diameter == pytest.approx(44 * 0.7)


def test_frames_without_times_are_taken_at_the_usual_rate() -> None:
    frames = [moved(rows) for rows in (0, 2, -1)]
    at_a_rate = [list(cart().stream(frames, view="A4C", smoothing=Smoothing(), frame_rate_hz=r)) for r in (50.0, None)]
    assert ASSUMED_RATE_HZ == 50.0
    assert [each.hinge_points for each in at_a_rate[0]] == [each.hinge_points for each in at_a_rate[1]]


def test_in_real_time_the_newest_frame_is_measured_and_the_rest_counted() -> None:
    measuring, came = threading.Event(), threading.Event()

    def camera() -> Iterator[np.ndarray]:
        yield heart()
        measuring.wait()
        for _ in range(5):
            yield heart()
        came.set()

    def slow(images: npt.NDArray[np.float32]) -> dict[str, npt.NDArray[np.float32]]:
        measuring.set()
        came.wait()
        return network(images)

    with Cart(slow, spec()).stream(camera(), view="A4C", realtime=True) as stream:
        found = list(stream)
    assert [(each.index, each.dropped) for each in found] == [(0, 0), (5, 4)]
    assert (stream.counts.frames, stream.counts.dropped) == (2, 4)
    assert found[1].time_ms > found[0].time_ms == 0
    assert "queued" in found[1].timing_ms
    assert no_thread_is_left()


def test_leaving_a_stream_ends_its_thread() -> None:
    with cart().stream(itertools.repeat(heart()), view="A4C", realtime=True) as stream:
        next(stream)
    assert no_thread_is_left()
    assert list(stream) == []


def test_ctrl_c_while_measuring_ends_the_thread() -> None:
    def interrupted(images: npt.NDArray[np.float32]) -> dict[str, npt.NDArray[np.float32]]:
        raise KeyboardInterrupt

    stream = Cart(interrupted, spec()).stream(itertools.repeat(heart()), view="A4C", realtime=True)
    with pytest.raises(KeyboardInterrupt):
        next(stream)
    assert no_thread_is_left()


def test_a_cine_is_not_one_frame(tmp_path: Path) -> None:
    from data_pipeline.phantom.writer import write_volume

    path = tmp_path / "patient0001_4CH_half_sequence.nii.gz"
    write_volume(path, np.stack([heart().astype(np.uint8)] * 3, axis=-1), 0.5)
    with pytest.raises(UserError, match="takes a single image, and this is a cine"):
        cart().measure(path)
    found = list(cart().stream(path, frame_rate_hz=50))
    assert [(each.index, each.time_ms) for each in found] == [(0, 0.0), (1, 20.0), (2, 40.0)]
    assert all(each.annulus_diameter == pytest.approx(DIAMETER_MM) for each in found)
    with pytest.raises(UserError, match="says no frame rate to play it at"):
        cart().stream(path, realtime=True)
    *_, last = cart().stream(path, frame_rate_hz=200, realtime=True)
    assert last.index == 2
