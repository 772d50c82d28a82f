"""The cart's Python interface: one frame, or frames as they come, to mask, hinge points, diameter and trust.

from cart.device import Cart

cart = Cart.open("bundles/unet1/tflite-int8")
measurement = cart.measure("patient0001_4CH_ED.nii.gz")
with cart.stream(camera, view="A4C", spacing_mm=(0.31, 0.31), smoothing=Smoothing(), realtime=True) as stream:
    for measurement in stream:
        print(measurement.annulus_diameter, measurement.dropped)
"""

import math
import os
from collections.abc import Generator, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

import cv2
import numpy as np
import numpy.typing as npt

from cart.bundle import read_bundle
from cart.frames import BrokenFrame, Frame, FrameSource, read_frames
from cart.measure import (
    DECODE,
    CalibratedPoints,
    ImageMeasurement,
    MeasurementSpec,
    Predictor,
    StageClock,
    calibrated_points,
    measure_image,
    require_no_reference,
)
from cart.records import FAILED
from cart.smoothing import PointSmoother, SmoothedPoints, Smoothing
from cart.stream import Arrival, in_turn, newest, paced
from data_pipeline.readers.frame import MAX_PIXELS, RawFrame, grey
from data_pipeline.sample import Phase, View
from postprocessing.annulus import annulus_diameter_mm, annulus_diameter_px, check_spacing
from postprocessing.contact_line import ContactLine
from postprocessing.hinge_points import HingePoints, check_anterior_side
from postprocessing.quality import Judgement
from shell.command import describe
from shell.errors import UserError

ARRAY = Path("array")
"""What stands for the file of a frame that came as an array."""
ASSUMED_RATE_HZ = 50.0
"""ASSUMED where neither the frames have times nor the stream a rate; it tells the smoothing how time passes."""
SMOOTH, QUEUED = "smooth", "queued"
"""Further stages of a stream's timing: the temporal smoothing, and how long a frame lay before it was taken."""

Choice = TypeVar("Choice", bound=StrEnum)

AnyFrame = Frame | BrokenFrame | npt.NDArray[Any]
"""What a stream takes: a frame of `cart.frames`, or pixels alone: (H, W) grey levels of any real number type, or
(H, W, 3) red-green-blue (OpenCV's captures are blue-green-red: give `image[..., ::-1]`)."""


@dataclass(frozen=True)
class SmoothedMeasurement:
    """What the temporal smoothing makes of a frame.

    Attributes:
        points: the smoothed hinge points, and whether they are predicted.
        annulus_diameter: between them, in `unit`.
        unit: `mm`, or `px` where the pixel pitch is unknown.
        calibrated: the same with the calibration's bias subtracted; None where no calibration applies.
        origin_px: (row, col) of the image's first pixel in the file's own frame (`Frame.origin_px`).
    """

    points: SmoothedPoints
    annulus_diameter: float
    unit: str
    calibrated: CalibratedPoints | None
    origin_px: tuple[int, int] = (0, 0)


@dataclass(frozen=True, eq=False)
class Measurement:
    """One frame of a stream, measured, or with the reason why not.

    `hinge_points`, `annulus_diameter` and `calibrated` are the smoothed ones of a stream that smooths (None where it
    has none), else the frame's own. The frame's own always stay in `own`.

    Attributes:
        index: of the frame: of the cine it is of, else its place in the stream, from 0.
        time_ms: since the first frame, by the frame itself or the frame rate; None where unknown.
        frame: None where it could not be had.
        own: what `measure_image` says of this frame alone, as evaluate.py does; None where it could not be measured.
        error: why not; None where it was.
        smooths: whether its stream smooths.
        smoothed: None of a stream that does not, and where there is nothing to go by.
        timing_ms: stage → milliseconds: decode (or wait for the source), queued, preprocess, infer, postprocess,
            smooth; those that took place.
        dropped: frames since the stream began that newer ones pushed out.
    """

    index: int
    time_ms: float | None
    frame: Frame | None
    own: ImageMeasurement | None
    error: str | None = None
    smooths: bool = False
    smoothed: SmoothedMeasurement | None = None
    timing_ms: Mapping[str, float] = field(default_factory=dict[str, float])
    dropped: int = 0

    @property
    def status(self) -> str:
        """`ok`, what `FrameMeasurement.status` says was not found, or `failed`."""
        return self.own.frame.status if self.own else FAILED

    @property
    def mask(self) -> npt.NDArray[np.uint8] | None:
        """(H, W) `Structure` codes, native grid."""
        return self.own.frame.label_map if self.own else None

    @property
    def contact_line(self) -> ContactLine | None:
        """Where LV and LA touch on this frame; never smoothed."""
        return self.own.frame.contact_line if self.own else None

    @property
    def hinge_points(self) -> HingePoints | None:
        """(row, col), native grid."""
        if self.smooths:
            return self.smoothed.points.hinge_points if self.smoothed else None
        return self.own.frame.hinge_points if self.own else None

    @property
    def annulus_diameter(self) -> float | None:
        """Between `hinge_points`, in `unit`."""
        if self.smooths:
            return self.smoothed.annulus_diameter if self.smoothed else None
        return self.own.frame.annulus_diameter if self.own else None

    @property
    def unit(self) -> str | None:
        """`mm`, or `px` where the pixel pitch is unknown; None where nothing is known."""
        if self.own:
            return self.own.frame.unit
        return self.smoothed.unit if self.smoothed else None

    @property
    def calibrated(self) -> CalibratedPoints | None:
        """The same with the calibration's bias subtracted; None where no calibration applies."""
        if self.smooths:
            return self.smoothed.calibrated if self.smoothed else None
        return self.own.calibrated if self.own else None

    @property
    def judgement(self) -> Judgement | None:
        """Whether to trust the frame's own measurement; None where no model of that applies."""
        return self.own.judgement if self.own else None

    @property
    def predicted(self) -> bool:
        """The points are where the motion leads, for want of a measurement on this frame that fits."""
        return self.smoothed is not None and self.smoothed.points.predicted


@dataclass
class StreamCounts:
    """What became of a stream's frames so far.

    Attributes:
        frames: given out, failed ones among them.
        failed: that could not be had or not be measured.
        without_points: measured, but without hinge points of their own.
        abstained: the tool does not stand by the frame's own measurement.
        predicted: with hinge points that are predicted.
        dropped: pushed out by newer ones, never given out.
    """

    frames: int = 0
    failed: int = 0
    without_points: int = 0
    abstained: int = 0
    predicted: int = 0
    dropped: int = 0

    def add(self, measurement: Measurement) -> None:
        """Counts one measurement in."""
        self.frames += 1
        self.failed += measurement.own is None
        self.without_points += measurement.own is not None and measurement.own.frame.hinge_points is None
        self.abstained += measurement.judgement is not None and measurement.judgement.abstained
        self.predicted += measurement.predicted
        self.dropped = measurement.dropped


class Stream(Iterator[Measurement]):
    """The measurements of a stream, one by one; `counts` tells what became of its frames.

    Used in a `with`, or closed, it ends its thread at once; else when it is used up or forgotten.
    """

    def __init__(self, measurements: Generator[Measurement], counts: StreamCounts) -> None:
        self._measurements = measurements
        self.counts = counts

    def __next__(self) -> Measurement:
        return next(self._measurements)

    def __enter__(self) -> "Stream":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Takes no more frames."""
        self._measurements.close()


class Cart:
    """A network ready to measure.

    Args:
        predictor: the network.
        spec: how its output is measured.
        model: its name.

    Attributes:
        predictor, spec, model: as above.

    Raises:
        UserError: a network that needs a reference.
    """

    def __init__(self, predictor: Predictor, spec: MeasurementSpec, model: str = "") -> None:
        require_no_reference(spec)
        self.predictor, self.spec, self.model = predictor, spec, model

    @classmethod
    def open(cls, bundle: str | os.PathLike[str], *, threads: int | None = None, engine: str | None = None) -> "Cart":
        """The network of a bundle that `python -m export` wrote.

        Args:
            bundle: its folder; every file in it is checked before it is loaded.
            threads: CPU threads; all cores when None.
            engine: a name of `cart.engines.ENGINES`; the format's own when None.

        Raises:
            UserError: no bundle, one that is damaged, changed or of another version, a format or engine that is not
                installed, a network that needs a reference.
        """
        from cart.engines import load_runner  # a Cart made of a network of one's own needs no engine

        spec = read_bundle(Path(bundle))
        return cls(load_runner(spec, threads, engine), spec.measurement, spec.model)

    def measure(
        self,
        frame: AnyFrame | str | os.PathLike[str],
        *,
        view: View | str | None = None,
        phase: Phase | str | None = None,
        spacing_mm: tuple[float, float] | None = None,
        anterior_side: str | None = None,
    ) -> Measurement:
        """Measures one frame, as evaluate.py does with the same bundle, to the digit.

        Args:
            frame: pixels (see `AnyFrame`), a frame, or the path of a single image.
            view: overrides what the frame says; it or `anterior_side` must be known where hinge points are found.
            phase: overrides what the frame says; chooses the calibration's subgroup.
            spacing_mm: (row, col) pixel pitch, overrides what the frame says; without one lengths are in px.
            anterior_side: `left` or `right`, overrides the view's.

        Raises:
            UserError: an unreadable file or a cine of several frames, pixels that are no image, an unknown view.
            ValueError: an unknown view, phase or side, a spacing that is no pitch.
        """
        given = _Given.of(view, phase, spacing_mm, anterior_side)
        clock = StageClock()
        if isinstance(frame, (str, os.PathLike)):
            frame = _only_frame(Path(frame), given)
            clock(DECODE)
        if isinstance(frame, BrokenFrame):
            raise UserError(frame.error)
        taken = given.frame_of(frame)
        own = self._measured(taken, given, clock)
        return Measurement(taken.index or 0, taken.time_ms, taken, own, timing_ms=clock.ms)

    def stream(
        self,
        frames: Iterable[AnyFrame] | str | os.PathLike[str],
        *,
        view: View | str | None = None,
        phase: Phase | str | None = None,
        spacing_mm: tuple[float, float] | None = None,
        anterior_side: str | None = None,
        frame_rate_hz: float | None = None,
        smoothing: Smoothing | None = None,
        realtime: bool = False,
    ) -> Stream:
        """Measures frames as they come. A frame that cannot be measured is marked, and the stream goes on.

        Args:
            frames: any iterable of `AnyFrame` (a camera's, `cart.frames.read_frames(path).frames`), or a file's path.
                A file in real time is played at its frame rate.
            view: as for `measure`, of every frame.
            phase: likewise.
            spacing_mm: likewise.
            anterior_side: likewise.
            frame_rate_hz: tells the times of frames that have none; by default the file's own.
            smoothing: of the hinge points in time; None: every frame stands for itself, as in evaluate.py.
            realtime: drop frames rather than lag: a thread draws them, the newest is measured, and those that newer
                ones pushed out are counted. Else every frame is measured.

        Returns:
            The stream. Going through it raises `UserError` where it has no frame at all, or its source fails for good.

        Raises:
            UserError: a file that cannot be read.
            ValueError: as `measure`; a frame rate that is not positive and finite; frames that cannot be gone through.
        """
        given = _Given.of(view, phase, spacing_mm, anterior_side)
        if isinstance(frames, (str, os.PathLike)):
            source = read_frames(Path(frames), view=given.view, spacing_mm=given.spacing_mm)
            frame_rate_hz = frame_rate_hz or source.frame_rate_hz
            frames = played(source, frame_rate_hz) if realtime else source.frames
        if not isinstance(frames, Iterable):
            raise ValueError(f"`frames` must be an iterable of frames, or a path. Received: {type(frames).__name__}")
        if frame_rate_hz is not None and not 0 < frame_rate_hz < math.inf:
            raise ValueError(f"`frame_rate_hz` must be positive and finite. Received: {frame_rate_hz}")
        counts = StreamCounts()
        arrivals = newest(frames) if realtime else in_turn(frames)
        times = _Times(frame_rate_hz, by_arrival=realtime)
        series = None if smoothing is None else _Series(PointSmoother(smoothing), self.spec)
        return Stream(self._stream(arrivals, given, times, series, counts), counts)

    def _stream(
        self,
        arrivals: Generator[Arrival[AnyFrame]],
        given: "_Given",
        times: "_Times",
        series: "_Series | None",
        counts: StreamCounts,
    ) -> Generator[Measurement]:
        """It knows nothing of the `Stream`, so that one that is forgotten ends at once."""
        try:
            for place, arrival in enumerate(arrivals):
                clock = StageClock()
                measurement = self._of_arrival(arrival, place + arrival.dropped, given, clock)
                time_ms, seconds = times.of(measurement, arrival)
                smoothed = None
                if series is not None:
                    smoothed = series.smoothed(measurement, seconds)
                    clock(SMOOTH)
                queued = {QUEUED: arrival.queued_ms} if arrival.queued_ms else {}
                measurement = replace(
                    measurement,
                    time_ms=time_ms,
                    smooths=series is not None,
                    smoothed=smoothed,
                    timing_ms={DECODE: arrival.source_ms, **queued, **clock.ms},
                )
                counts.add(measurement)
                yield measurement
        finally:
            arrivals.close()
        if counts.frames == 0:
            raise UserError("the stream has no frame: its source ended before it gave one; check the source")

    def _of_arrival(self, arrival: Arrival[AnyFrame], place: int, given: "_Given", clock: StageClock) -> Measurement:
        """An arrival measured, or marked with the reason why not."""
        item, frame = arrival.item, None
        known = item if isinstance(item, Frame | BrokenFrame) else None
        index = place if known is None or known.index is None else known.index
        time_ms = known.time_ms if known else None
        error = item.error if isinstance(item, BrokenFrame) else arrival.error
        own = None
        if error is None:
            try:
                frame = given.frame_of(item)
                own = self._measured(frame, given, clock)
            except (UserError, ValueError, cv2.error) as raised:
                error = f"frame {index}: {describe(raised)}"
        return Measurement(index, time_ms, frame, own, error, dropped=arrival.dropped)

    def _measured(self, frame: Frame, given: "_Given", clock: StageClock) -> ImageMeasurement:
        return measure_image(
            frame.image,
            frame.spacing_mm,
            frame.view,
            frame.phase,
            predictor=self.predictor,
            spec=self.spec,
            anterior_side=given.anterior_side,
            clock=clock,
        )


def played(source: FrameSource, frame_rate_hz: float | None) -> Iterator[Frame | BrokenFrame]:
    """A file's frames at the speed at which they were taken, as a camera would give them.

    Raises:
        UserError: it is a cine, and its frame rate is not known.
    """
    if not source.is_cine:
        return source.frames
    if frame_rate_hz is None:
        raise UserError(f"{source.path}: says no frame rate to play it at; give --frame-rate (or frame_rate_hz)")
    return paced(source.frames, frame_rate_hz)


@dataclass(frozen=True)
class _Given:
    """What the caller says of every frame; it overrides what a frame says of itself."""

    view: View | None
    phase: Phase | None
    spacing_mm: tuple[float, float] | None
    anterior_side: str | None

    @classmethod
    def of(
        cls,
        view: View | str | None,
        phase: Phase | str | None,
        spacing_mm: tuple[float, float] | None,
        anterior_side: str | None,
    ) -> "_Given":
        """The same, checked.

        Raises:
            ValueError: one of them is none.
        """
        if spacing_mm is not None:
            spacing_mm = (float(spacing_mm[0]), float(spacing_mm[1]))
            check_spacing(spacing_mm)
        if anterior_side is not None:
            check_anterior_side(anterior_side)
        return cls(_one_of(View, view, "view"), _one_of(Phase, phase, "phase"), spacing_mm, anterior_side)

    def frame_of(self, given: object) -> Frame:
        """A frame, whatever a stream was given.

        Raises:
            UserError: it is none.
        """
        if isinstance(given, Frame):
            return replace(
                given,
                image=_pixels(given.image),
                spacing_mm=self.spacing_mm or given.spacing_mm,
                view=self.view or given.view,
                phase=self.phase or given.phase,
            )
        return Frame(ARRAY, _pixels(given), self.spacing_mm, self.view, self.phase)


class _Times:
    """When a stream's frames were taken."""

    def __init__(self, frame_rate_hz: float | None, *, by_arrival: bool) -> None:
        self._rate, self._by_arrival = frame_rate_hz, by_arrival
        self._begun: float | None = None

    def of(self, measurement: Measurement, arrival: Arrival[AnyFrame]) -> tuple[float | None, float]:
        """Milliseconds since the first frame, None where unknown; seconds for the smoothing, which must know.

        A frame's own time comes first, then the frame rate, then, of frames that come in real time, when it came.
        """
        if measurement.time_ms is not None:
            return measurement.time_ms, measurement.time_ms / 1000
        if self._rate is None and self._by_arrival:
            came = arrival.came_s
            self._begun = came if self._begun is None else self._begun
            return (came - self._begun) * 1000, came - self._begun
        seconds = measurement.index / (self._rate or ASSUMED_RATE_HZ)
        return (None if self._rate is None else seconds * 1000), seconds


@dataclass
class _Series:
    """Frames of one view at one scale, smoothed; what was known of the last one stands for one that is broken."""

    smoother: PointSmoother
    spec: MeasurementSpec
    last: Frame | None = None
    side: str | None = None

    def smoothed(self, measurement: Measurement, seconds: float) -> SmoothedMeasurement | None:
        """The next frame's; None where there is nothing to go by."""
        frame, own = measurement.frame, measurement.own
        if frame is not None and own is not None:
            if self.last is not None and (_scale(frame), own.anterior_side) != (_scale(self.last), self.side):
                self.smoother.restart()
            self.last, self.side = frame, own.anterior_side
        if self.last is None:
            return None
        untrusted = own is None or (own.judgement is not None and own.judgement.abstained)
        points = None if own is None or untrusted else own.frame.hinge_points
        spacing = self.last.spacing_mm
        found = self.smoother.take(seconds, points, spacing)
        if found is None:
            return None
        at = found.hinge_points
        return SmoothedMeasurement(
            points=found,
            annulus_diameter=annulus_diameter_px(at) if spacing is None else annulus_diameter_mm(at, spacing),
            unit="px" if spacing is None else "mm",
            calibrated=calibrated_points(
                at, spacing, self.last.view, self.last.phase, spec=self.spec, anterior_side=self.side
            ),
            origin_px=self.last.origin_px,
        )


def _scale(frame: Frame) -> tuple[object, ...]:
    """What must not change from frame to frame for their points to be compared."""
    return frame.image.shape, frame.spacing_mm, frame.view, frame.region


def _pixels(image: object) -> npt.NDArray[np.float32]:
    """(H, W) float32 grey levels of what may be an image.

    Raises:
        UserError: it is none.
    """
    if not isinstance(image, np.ndarray):
        raise UserError(f"a frame is a NumPy array or a Frame. Received: {type(image).__name__}")
    if image.ndim == 3 and image.shape[2] == 1:
        image = image[..., 0]
    if image.dtype.kind not in "buif":
        raise UserError(f"pixels must be real numbers. Received: {image.dtype}")
    if image.ndim not in (2, 3) or (image.ndim == 3 and image.shape[2] != 3) or not 0 < image.size <= 3 * MAX_PIXELS:
        shape = " × ".join(map(str, image.shape)) or "one number"
        raise UserError(f"a frame is (H, W) grey levels or (H, W, 3) red-green-blue. Received: {shape}")
    levels = grey(RawFrame(image, None))
    if not np.isfinite(levels).all():
        bad = int(np.count_nonzero(~np.isfinite(levels)))
        raise UserError(f"every pixel must be a finite number. Received: {bad} NaN or infinite")
    return levels


def _only_frame(path: Path, given: _Given) -> Frame | BrokenFrame:
    source = read_frames(path, view=given.view, spacing_mm=given.spacing_mm)
    first = next(source.frames, None)
    if first is None or next(source.frames, None) is not None:
        raise UserError(f"{path}: `measure` takes a single image, and this is a cine; give it to `stream`")
    return first


def _one_of(kind: type[Choice], value: str | None, name: str) -> Choice | None:
    if value is None or value in list(kind):
        return None if value is None else kind(value)
    raise ValueError(f"`{name}` must be one of {', '.join(kind)}. Received: {value!r}")
