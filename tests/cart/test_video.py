"""What a stream leaves behind: the overlay video and the JSON lines."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from cart.device import Cart, Measurement
from cart.frames import BrokenFrame, Frame
from cart.overlay import LIVE_SIDE_PX, draw_live
from cart.screen import SCREEN_DIAMETER, SCREEN_DOUBT, SCREEN_PREDICTED, SCREEN_TRUSTED
from cart.smoothing import Smoothing
from cart.video import LinesWriter, OverlayWriter, stream_record, summary_record
from data_pipeline.sample import View
from shell.errors import UsageError, UserError
from tests.cart.drawn import SPACING_MM, heart, network, spec

BROKEN = BrokenFrame(Path("cine.dcm"), 1, None, "cine.dcm: frame 1: cut short")


def measured(*frames: object, smooth: bool = False, quality: bool = True) -> list[Measurement]:
    cart = Cart(network, spec() if quality else spec(None))
    return list(
        cart.stream(
            frames,  # pyright: ignore[reportArgumentType]
            view="A4C",
            spacing_mm=SPACING_MM,
            frame_rate_hz=50,
            smoothing=Smoothing() if smooth else None,
        )
    )


def read_video(path: Path) -> list[np.ndarray]:
    video = cv2.VideoCapture(str(path))
    frames = []
    while (read := video.read())[0]:
        frames.append(read[1][..., ::-1])
    assert video.get(cv2.CAP_PROP_FPS) == 50
    video.release()
    return frames


def has(picture: np.ndarray, colour: tuple[int, int, int], tolerance: int = 8) -> bool:
    return int((np.abs(picture.astype(int) - colour) <= tolerance).all(axis=-1).sum()) > 100


def test_a_video_of_what_was_measured(tmp_path: Path) -> None:
    path = tmp_path / "made" / "overlay.mp4"
    with OverlayWriter(path, 50) as writer:
        for measurement in measured(heart(), BROKEN, heart()):
            writer.write(measurement)
        assert not path.exists()  # only once it is complete
    frames = read_video(path)
    assert len(frames) == 3
    assert frames[0].shape[1] == LIVE_SIDE_PX
    assert has(frames[0], SCREEN_TRUSTED, 40)
    assert not has(frames[1][:LIVE_SIDE_PX], SCREEN_TRUSTED, 40)
    assert 0 < frames[1][:LIVE_SIDE_PX].mean() < 0.5 * frames[0][:LIVE_SIDE_PX].mean()  # the last frame, darkened
    assert list(tmp_path.glob("made/.*")) == []


def test_a_dropped_frame_is_filled_so_that_the_video_keeps_the_time(tmp_path: Path) -> None:
    first, second = measured(heart(), heart())
    with OverlayWriter(tmp_path / "a.mp4", 50) as writer:
        writer.write(first)
        writer.write(Measurement(4, None, second.frame, second.own, dropped=3))
        writer.begin_again()
        writer.write(first)
    assert len(read_video(tmp_path / "a.mp4")) == 1 + 4 + 1


def test_frames_of_other_sizes_are_fitted_in(tmp_path: Path) -> None:
    with OverlayWriter(tmp_path / "a.mp4", 50) as writer:
        for measurement in measured(heart(), heart()[:60], heart()[:, :50], np.zeros((9, 7))):
            writer.write(measurement)
    assert {frame.shape for frame in read_video(tmp_path / "a.mp4")} == {read_video(tmp_path / "a.mp4")[0].shape}


def test_a_video_without_a_frame_is_none(tmp_path: Path) -> None:
    with (
        pytest.raises(UserError, match="not written, there was no frame to draw"),
        OverlayWriter(tmp_path / "a.mp4", 50),
    ):
        pass
    assert list(tmp_path.iterdir()) == []


def test_an_error_leaves_no_half_video(tmp_path: Path) -> None:
    def failing() -> None:
        with OverlayWriter(tmp_path / "a.mp4", 50) as writer:
            writer.write(measured(heart())[0])
            raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        failing()
    assert list(tmp_path.iterdir()) == []


def test_a_video_that_did_not_reach_the_disk_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cart.video._frame_count", lambda path: 0)
    with (
        pytest.raises(UserError, match="0 of 1 frames reached the disk"),
        OverlayWriter(tmp_path / "a.mp4", 50) as writer,
    ):
        writer.write(measured(heart())[0])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("name", "rate", "message"), [("a.avi", 50, "ends in .mp4"), ("a.mp4", 0, "1 to 1000 frames")])
def test_wrong_videos(name: str, rate: float, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        OverlayWriter(Path(name), rate)


@pytest.mark.parametrize(
    ("frame", "colour"),
    [(heart(), SCREEN_TRUSTED), (heart(hole=True), SCREEN_DOUBT), (heart(gap=True), SCREEN_DOUBT)],
)
def test_the_colour_says_whether_to_trust_it(frame: np.ndarray, colour: tuple[int, int, int]) -> None:
    (measurement,) = measured(frame)
    picture = draw_live(measurement)
    assert picture.shape[:2] > (LIVE_SIDE_PX, LIVE_SIDE_PX - 1)
    assert has(picture[LIVE_SIDE_PX:], colour)


def test_what_nobody_judges_is_yellow_and_what_is_predicted_lilac() -> None:
    (plain,) = measured(heart(), quality=False)
    assert has(draw_live(plain), SCREEN_DIAMETER)
    _, predicted = measured(heart(), BROKEN, smooth=True)
    picture = draw_live(predicted, predicted.frame)
    assert has(picture, SCREEN_PREDICTED)


def test_points_are_drawn_where_they_are() -> None:
    """96 px become 720: the aMVL at (51.5, 25.5) is drawn about row 389.5, column 194.5."""
    (measurement,) = measured(heart())
    row, col = (round((place + 0.5) * 7.5 - 0.5) for place in measurement.hinge_points.amvl)
    assert (row, col) == (390, 194)
    picture = draw_live(measurement)
    assert (np.abs(picture[row - 2 : row + 3, col - 2 : col + 3].astype(int) - SCREEN_TRUSTED) < 10).all()


def test_a_failure_before_any_frame_is_drawn_as_well() -> None:
    picture = draw_live(Measurement(0, None, None, None, "no signal"))
    assert has(picture, SCREEN_DOUBT)


def test_json_lines_appear_once_complete(tmp_path: Path) -> None:
    path = tmp_path / "lines.jsonl"
    with LinesWriter(path) as lines:
        for measurement in measured(heart(), BROKEN, smooth=True):
            lines.write(stream_record(measurement, Path("cine.dcm")))
        assert not path.exists()
    first, second = (json.loads(line) for line in path.read_text().splitlines())
    assert (first["status"], first["frame_index"], first["time_ms"], first["dropped"]) == ("ok", 0, 0.0, 0)
    assert first["annulus_diameter"] == pytest.approx(22)
    assert first["smoothed"]["hinge_points_px"] == first["hinge_points_px"]
    assert {"decode", "preprocess", "infer", "postprocess", "smooth"} == set(first["timing_ms"])
    assert second["input"] == "cine.dcm"
    assert (second["status"], second["error"]) == ("failed", "cine.dcm: frame 1: cut short")
    assert (second["smoothed"]["predicted"], second["smoothed"]["bridged"]) == (True, 1)
    assert second["smoothed"]["annulus_diameter"] == pytest.approx(22)


def test_json_lines_go_out_at_once(capsys: pytest.CaptureFixture[str]) -> None:
    with LinesWriter(None) as lines:
        lines.write({"a": 1})
        assert capsys.readouterr().out == '{"a": 1}\n'


def test_an_error_leaves_no_half_lines(tmp_path: Path) -> None:
    def failing() -> None:
        with LinesWriter(tmp_path / "a.jsonl") as lines:
            lines.write({})
            raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        failing()
    assert list(tmp_path.iterdir()) == []


def test_a_cut_out_is_told_in_the_files_own_pixels() -> None:
    """Smoothed points of a region that begins at row 100, column 40 of the file's frame."""
    frame = Frame(Path("cine.dcm"), heart(), SPACING_MM, View.A4C, None, index=0, region=(100, 196, 40, 136))
    (measurement,) = measured(frame, smooth=True)
    record = stream_record(measurement, frame.path)
    row, col = measurement.hinge_points.amvl
    assert record["smoothed"]["hinge_points_px"]["amvl"] == [row + 100, col + 40]
    assert record["hinge_points_px"]["amvl"] == [row + 100, col + 40]


def test_the_last_line_sums_up() -> None:
    stream = Cart(network, spec()).stream([heart(), BROKEN], view="A4C")
    list(stream)
    assert summary_record(Path("a.mp4"), stream.counts) == {
        "input": "a.mp4",
        "summary": {"frames": 2, "failed": 1, "without_points": 0, "abstained": 0, "predicted": 0, "dropped": 0},
    }
