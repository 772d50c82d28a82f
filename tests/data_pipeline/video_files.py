"""Writes small videos for tests: MJPG in AVI, each frame a picture of its own in the file."""

from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from data_pipeline.readers.video import hush_ffmpeg

JPEG_START, JPEG_END = b"\xff\xd8\xff", b"\xff\xd9"


def ramp_frames(count: int, size: tuple[int, int] = (48, 64)) -> npt.NDArray[np.uint8]:
    """(N, H, W): frame i is 8 · i grey, with a white square so that each is different."""
    frames = np.repeat(np.arange(count, dtype=np.uint8) * 8, size[0] * size[1]).reshape(count, *size)
    frames[:, 20:28, 24:40] = 255
    return frames


def write_video(path: Path, frames: npt.NDArray[np.uint8], rate_hz: float = 25.0, codec: str = "MJPG") -> Path:
    hush_ffmpeg()  # before OpenCV looks at it
    height, width = frames.shape[1:3]
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*codec), rate_hz, (width, height))
    assert writer.isOpened()
    for frame in frames:
        writer.write(np.repeat(frame[..., np.newaxis], 3, axis=2))
    writer.release()
    return path


def break_frame(path: Path, index: int) -> Path:
    """Overwrites the sound frame of that number, counted without those that were broken before, of an MJPG video."""
    content = bytearray(path.read_bytes())
    start = -1
    for _ in range(index + 1):
        start = content.index(JPEG_START, start + 1)
    end = content.index(JPEG_END, start)
    content[start:end] = bytes(end - start)
    path.write_bytes(content)
    return path
