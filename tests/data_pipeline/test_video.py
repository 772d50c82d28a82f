"""Videos: rate, number, times, a corrupt frame in the middle, and what is no video."""

from pathlib import Path

import numpy as np
import pytest

from data_pipeline.readers.frame import RawCine
from data_pipeline.readers.video import read_video
from shell.errors import UserError
from tests.data_pipeline.video_files import break_frame, ramp_frames, write_video

FRAMES = ramp_frames(20)
JPEG_GREY_LEVELS = 6


def greys(cine: RawCine) -> list[float | None]:
    """The grey level of each frame away from its square, None of one that could not be decoded."""
    return [None if frame.image is None else float(frame.image[2:10, 2:10].mean()) for frame in cine.frames]


@pytest.mark.parametrize(
    ("name", "codec", "count"), [("a.avi", "MJPG", 20), ("a.mp4", "mp4v", 20), ("a.webm", "VP80", None)]
)
def test_frames_rate_number_and_times(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], name: str, codec: str, count: int | None
) -> None:
    path = write_video(tmp_path / name, FRAMES, rate_hz=50, codec=codec)
    capfd.readouterr()  # the writer warns of VP80
    cine = read_video(path)
    assert (cine.frame_rate_hz, cine.count, cine.is_still) == (50, count, False)
    assert (cine.spacing_mm, cine.spacing_note, cine.region, cine.view) == (None, None, None, None)
    frames = list(cine.frames)
    assert [frame.time_ms for frame in frames] == pytest.approx([20.0 * index for index in range(20)])
    read = np.stack([frame.image for frame in frames if frame.image is not None])
    assert read.shape == FRAMES.shape
    assert read.dtype == np.float32
    assert np.abs(read - FRAMES)[:, :16].max() <= JPEG_GREY_LEVELS
    assert capfd.readouterr() == ("", "")


def test_frames_are_decoded_as_they_are_asked_for(tmp_path: Path) -> None:
    """Two cines of one file do not share their place in it."""
    path = write_video(tmp_path / "a.avi", FRAMES)
    one, other = read_video(path), read_video(path)
    next(one.frames)
    next(one.frames)
    assert next(other.frames).time_ms == 0
    assert next(one.frames).time_ms == 80


@pytest.mark.parametrize("index", [0, 10, 19])
def test_a_corrupt_frame_is_marked_and_the_others_are_read(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], index: int
) -> None:
    cine = read_video(break_frame(write_video(tmp_path / "a.avi", FRAMES), index))
    frames = list(cine.frames)
    assert len(frames) == cine.count == 20
    broken = frames[index]
    assert (broken.image, broken.error) == (None, "it cannot be decoded")
    assert [frame.time_ms for frame in frames] == pytest.approx([40.0 * number for number in range(20)])
    for number, frame in enumerate(frames):
        if number != index:
            assert frame.image is not None
            assert frame.image[2, 2] == pytest.approx(8 * number, abs=JPEG_GREY_LEVELS)
    assert capfd.readouterr() == ("", "")


def test_a_video_that_breaks_off(tmp_path: Path) -> None:
    """Those that are lacking are marked as well, for the file states how many there are."""
    path = write_video(tmp_path / "a.avi", FRAMES)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) * 4 // 5])
    found = greys(read_video(path))
    assert len(found) == 20
    sound = [grey is not None for grey in found]
    assert sound == sorted(sound, reverse=True)
    assert 10 <= sum(sound) <= 14


def test_it_does_not_look_for_a_million_frames(tmp_path: Path) -> None:
    """A damaged header states any number: after some frames in a row that are not there, one line stands for all."""
    path = write_video(tmp_path / "a.avi", ramp_frames(5))
    content = bytearray(path.read_bytes())
    for mark, place in ((b"avih", 8 + 16), (b"strh", 8 + 32)):
        start = content.index(mark) + place
        content[start : start + 4] = (1_000_000).to_bytes(4, "little")
    path.write_bytes(content)
    cine = read_video(path)
    assert cine.count == 1_000_000
    frames = list(cine.frames)
    assert len(frames) == 5 + 32 + 1
    assert frames[-1].error == "it cannot be decoded, nor can the 999962 that should follow"


def refused(path: Path) -> str:
    with pytest.raises(UserError) as caught:
        read_video(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    return message.removeprefix(f"{path}: ")


def test_no_frames(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = write_video(tmp_path / "a.avi", FRAMES[:0])
    assert refused(path) == "a video has frames. Received: 0 frames. Export or record it again."
    path = write_video(tmp_path / "b.avi", FRAMES[:3])
    for _ in range(3):
        break_frame(path, 0)
    assert refused(path) == "a video has frames. Received: 3 frames stated, none decoded. Export or record it again."
    assert capfd.readouterr() == ("", "")


def test_an_unknown_codec(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = write_video(tmp_path / "a.avi", FRAMES)
    path.write_bytes(path.read_bytes().replace(b"MJPG", b"ZZZ1"))
    assert refused(path) == (
        "not a video that can be opened: no video, truncated, or of an unknown codec. "
        f"Received: {path.stat().st_size} bytes of codec 'ZZZ1'. Copy it again, or convert it to MP4 (H.264)."
    )
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("share", [0.0, 0.5])
def test_no_video(tmp_path: Path, capfd: pytest.CaptureFixture[str], share: float) -> None:
    """An MP4 that breaks off has lost its table of frames, which stands at its end."""
    path = write_video(tmp_path / "a.mp4", FRAMES, codec="mp4v")
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))] or b"this is no video " * 100)
    message = refused(path)
    assert message.startswith("not a video that can be opened: no video, truncated, or of an unknown codec.")
    assert message.endswith("bytes. Copy it again, or convert it to MP4 (H.264).")
    assert capfd.readouterr() == ("", "")


def test_missing_and_empty(tmp_path: Path) -> None:
    assert "no such file" in refused(tmp_path / "a.mp4")
    (tmp_path / "b.mp4").write_bytes(b"")
    assert "the file is empty" in refused(tmp_path / "b.mp4")
