"""What a stream leaves behind: a video with the measurements drawn in, and a line of JSON for each frame."""

import json
import sys
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import TextIO

import cv2
import numpy as np

from cart.device import Measurement, StreamCounts
from cart.frames import Frame
from cart.overlay import Picture, draw_live
from cart.records import FAILED, Record, measurement_record
from data_pipeline.readers.video import hush_ffmpeg
from postprocessing.hinge_points import HingePoints
from shell.errors import UsageError, UserError
from shell.files import atomic_path

CODEC = "mp4v"
"""MPEG-4 Part 2: the one that OpenCV's wheels always have. VLC and most players show it, some browsers do not."""
SUFFIX = ".mp4"
RATE_RANGE_HZ = (1.0, 1000.0)


class OverlayWriter:
    """Draws the measurements of a stream into an MP4 video, which lies at its path once it is complete.

    Used in a `with`. The first picture decides the video's size; one of another size is fitted into it, with black
    beside it. A frame that was dropped is filled by the one after it, so that the video keeps the time.

    Args:
        path: ends in `.mp4`.
        frame_rate_hz: pictures per second.

    Raises:
        UsageError: another suffix, a frame rate that is none.
        UserError: at the end, no frame was written or the file is not whole; OpenCV cannot write it.
    """

    def __init__(self, path: Path, frame_rate_hz: float) -> None:
        if path.suffix.lower() != SUFFIX:
            raise UsageError(f"{path}: the overlay is an MP4 video; give it a name that ends in {SUFFIX}")
        low, high = RATE_RANGE_HZ
        if not low <= frame_rate_hz <= high:
            raise UsageError(f"a video has {low:g} to {high:g} frames per second. Received: {frame_rate_hz:g}")
        self.path, self.frame_rate_hz = path, frame_rate_hz
        self._stack = ExitStack()
        self._writer: cv2.VideoWriter | None = None
        self._size = (0, 0)
        self._written = self._dropped = 0
        self._last: Frame | None = None

    def __enter__(self) -> "OverlayWriter":
        self._temporary = self._stack.enter_context(atomic_path(self.path))
        return self

    def write(self, measurement: Measurement) -> None:
        """Adds a measurement.

        Raises:
            UserError: OpenCV cannot write the video.
        """
        picture = draw_live(measurement, self._last)
        self._last = measurement.frame or self._last
        if self._writer is None:
            rows, cols = picture.shape[:2]
            self._size = (cols + cols % 2, rows + rows % 2)  # the codec halves the colours' grid
            code = cv2.VideoWriter.fourcc(*CODEC)
            hush_ffmpeg()
            self._writer = cv2.VideoWriter(str(self._temporary), code, self.frame_rate_hz, self._size)
            if not self._writer.isOpened():
                raise UserError(f"{self.path}: OpenCV cannot write this video; check the folder and its free space")
        fitted = cv2.cvtColor(_fitted(picture, self._size), cv2.COLOR_RGB2BGR)
        for _ in range(1 + measurement.dropped - self._dropped):
            self._writer.write(fitted)
            self._written += 1
        self._dropped = measurement.dropped

    def begin_again(self) -> None:
        """The next measurement is of another stream, which counts its dropped frames from 0."""
        self._dropped, self._last = 0, None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        with self._stack.pop_all() as stack:
            if self._writer is not None:
                self._writer.release()
            if error is not None:
                stack.__exit__(kind, error, traceback)
                return
            if self._writer is None:
                raise UserError(f"{self.path}: not written, there was no frame to draw")
            if (found := _frame_count(self._temporary)) != self._written:
                raise UserError(
                    f"{self.path}: not written, {found} of {self._written} frames reached the disk; free some space"
                )


class LinesWriter:
    """Writes JSON lines: to a file, which lies at its path once it is complete, or to standard output, each at once.

    Used in a `with`.

    Args:
        path: None is standard output.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._stack = ExitStack()
        self._file: TextIO = sys.stdout

    def __enter__(self) -> "LinesWriter":
        if self._path is not None:
            temporary = self._stack.enter_context(atomic_path(self._path))
            self._file = self._stack.enter_context(temporary.open("w", encoding="utf-8"))
        return self

    def write(self, record: Record) -> None:
        """Adds a line."""
        self._file.write(json.dumps(record, allow_nan=False) + "\n")
        if self._path is None:
            self._file.flush()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stack.__exit__(kind, error, traceback)


def stream_record(measurement: Measurement, path: Path) -> Record:
    """A measurement of a stream as plain JSON values: `measurement_record` of the frame's own, and the stream's.

    Args:
        measurement: any, failed ones as well.
        path: of the file or the camera, as the user gave it.
    """
    if measurement.frame is not None and measurement.own is not None:
        record = measurement_record(measurement.frame, measurement.own)
    else:
        error = measurement.error or ""
        record: Record = {
            "input": str(path),
            "status": FAILED,
            "error": error if str(path) in error else f"{path}: {error}",
        }
    record |= {"frame_index": measurement.index, "time_ms": measurement.time_ms}
    if measurement.smooths:
        record["smoothed"] = _smoothed(measurement)
    timing = {stage: round(ms, 3) for stage, ms in measurement.timing_ms.items()}
    return {**record, "timing_ms": timing, "dropped": measurement.dropped}


def summary_record(path: Path, counts: StreamCounts) -> Record:
    """What became of a stream's frames, its last line."""
    return {"input": str(path), "summary": vars(counts)}


def _smoothed(measurement: Measurement) -> Record | None:
    found = measurement.smoothed
    if found is None:
        return None
    origin, calibrated = found.origin_px, found.calibrated
    return {
        "hinge_points_px": _points(found.points.hinge_points, origin),
        "annulus_diameter": found.annulus_diameter,
        "unit": found.unit,
        "calibrated": calibrated
        and {
            "hinge_points_px": _points(calibrated.hinge_points, origin),
            "annulus_diameter": calibrated.annulus_diameter,
        },
        "predicted": found.points.predicted,
        "bridged": found.points.bridged,
    }


def _points(points: HingePoints, origin: tuple[int, int]) -> Record:
    return {
        name: [float(row) + origin[0], float(col) + origin[1]]
        for name, (row, col) in (("amvl", points.amvl), ("pmvl", points.pmvl))
    }


def _fitted(picture: Picture, size: tuple[int, int]) -> Picture:
    """The picture in the middle of a black one of (cols, rows), made smaller where it must be."""
    cols, rows = size
    if picture.shape[:2] == (rows, cols):
        return picture
    share = min(1.0, rows / picture.shape[0], cols / picture.shape[1])
    if share < 1:
        inner = (max(1, int(picture.shape[1] * share)), max(1, int(picture.shape[0] * share)))
        picture = np.asarray(cv2.resize(picture, inner, interpolation=cv2.INTER_AREA), np.uint8)
    top, left = (rows - picture.shape[0]) // 2, (cols - picture.shape[1]) // 2
    whole = np.zeros((rows, cols, 3), np.uint8)
    whole[top : top + picture.shape[0], left : left + picture.shape[1]] = picture
    return whole


def _frame_count(path: Path) -> int:
    """How many frames a video says it has; a file that was cut short says nothing."""
    video = cv2.VideoCapture(str(path))
    try:
        return int(video.get(cv2.CAP_PROP_FRAME_COUNT)) if video.isOpened() else 0
    finally:
        video.release()
