"""Videos, by OpenCV and the FFmpeg inside it: grey frames one by one. A video has no pixel pitch, ever.

Its times are those of its playback, which need not be those of the heart: a cart may export slow motion.

What a codec conceals is not seen here: FFmpeg repairs a damaged H.264 frame from its neighbours and hands it over as
sound. What it gives up on is marked.
"""

import itertools
import math
import os
from collections.abc import Iterator
from pathlib import Path

import cv2

from data_pipeline.readers.frame import CineFrame, RawCine, RawFrame, bad_file, checked_shape, grey, require_file
from data_pipeline.readers.png import quiet

COUNTED = (".avi", ".mov", ".mp4", ".m4v")
"""Containers that state the number of their frames; of others it is an estimate from duration and rate."""

GIVE_UP = 32  # frames in a row that cannot be decoded: what comes after them is not there either
MAX_RATE_HZ = 2000.0  # beyond any echo: some containers state their clock's rate instead
FFMPEG_SILENT = "-8"
AVI_HEADER_BYTES = 4096
AVI_VIDEO_STREAM = b"vids"


def read_video(path: Path) -> RawCine:
    """Opens a video. Its frames are decoded one by one; the first that can be decoded is decoded now.

    Raises:
        UserError: missing or empty file, no video, an unknown codec, no frame that can be decoded.
    """
    require_file(path)
    hush_ffmpeg()
    with quiet():
        capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
        if not capture.isOpened():
            raise bad_file(path, *_why_not(path))
        rate = float(capture.get(cv2.CAP_PROP_FPS))
        stated = float(capture.get(cv2.CAP_PROP_FRAME_COUNT))
        frame_rate_hz = rate if 0 < rate <= MAX_RATE_HZ else None
        count = int(stated) if 1 <= stated < math.inf else None
    exact = count if path.suffix.lower() in COUNTED else None
    frames = _frames(path, capture, exact, frame_rate_hz)
    head: list[CineFrame] = []
    for frame in frames:
        head.append(frame)
        if frame.image is not None:
            return RawCine(itertools.chain(head, frames), count=exact, frame_rate_hz=frame_rate_hz)
    received = f"{count} frames stated, none decoded" if count else "0 frames"
    raise bad_file(path, "a video has frames", received, "Export or record it again.")


def hush_ffmpeg() -> None:
    """FFmpeg writes to the terminal what it thinks of each damaged block: one line of ours per frame says enough.

    OpenCV looks at this once, when a process first reads or writes a video: call it before that. A level that the user
    has set stays.
    """
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", FFMPEG_SILENT)


def _frames(path: Path, capture: cv2.VideoCapture, count: int | None, rate_hz: float | None) -> Iterator[CineFrame]:
    """Each frame in its place; where the stated number is known, those that are lacking at the end as well."""
    broken: list[CineFrame] = []  # since the last sound one
    number, last_ms = 0, -math.inf
    try:
        while (count is None or number < count) and len(broken) < GIVE_UP:
            with quiet():
                sound, array = capture.read()
                stamp_ms = float(capture.get(cv2.CAP_PROP_POS_MSEC))
            even_ms = None if rate_hz is None else 1000 * number / rate_hz
            number += 1
            if not sound:
                broken.append(CineFrame(None, even_ms, "it cannot be decoded"))
                continue
            yield from broken
            broken.clear()
            checked_shape(path, array.shape[:2])
            time_ms = stamp_ms if stamp_ms > last_ms and (stamp_ms > 0 or number == 1) else even_ms
            last_ms = stamp_ms
            yield CineFrame(grey(RawFrame(array[..., ::-1] if array.ndim == 3 else array, None)), time_ms)
    finally:
        capture.release()
    if count is None:
        return  # those after the last sound frame were none
    yield from broken
    if number < count:
        yield CineFrame(None, None, f"it cannot be decoded, nor can the {count - number - 1} that should follow")


def _why_not(path: Path) -> tuple[str, str, str]:
    """Rule, received and mend of a video that does not open."""
    with path.open("rb") as file:
        head = file.read(AVI_HEADER_BYTES)
    place = head.find(AVI_VIDEO_STREAM)
    received = f"{path.stat().st_size} bytes"
    if head.startswith(b"RIFF") and place >= 0:
        received += f" of codec {head[place + 4 : place + 8].decode('latin-1')!r}"
    rule = "not a video that can be opened: no video, truncated, or of an unknown codec"
    return rule, received, "Copy it again, or convert it to MP4 (H.264)."
