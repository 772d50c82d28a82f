"""Frames as they come: every one in its turn, or only the newest where they come faster than they are measured.

A source of frames is any iterable. One that fails on a frame is asked for the next; one that fails for good says so.
"""

import threading
import time
from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass, replace
from types import GeneratorType
from typing import Generic, TypeVar

from shell.command import describe
from shell.errors import UserError

T = TypeVar("T")

MOST_FAILURES = 25
"""ASSUMED: a source that fails so often in a row has gone, and does not only stumble. Half a second of a cine."""
SECONDS_TO_END = 2.0
"""ASSUMED: a source that does not come back for so long is left to end with its process."""


@dataclass(frozen=True)
class Arrival(Generic[T]):
    """A frame, or why there is none.

    Attributes:
        item: the frame; None where the source failed on it.
        error: why; None where it did not.
        source_ms: how long the source took.
        queued_ms: how long the frame lay before it was taken.
        dropped: frames since the source began that newer ones had pushed out before they were taken.
        came_s: when it came, on the clock of `time.perf_counter`.
    """

    item: T | None
    error: str | None
    source_ms: float
    queued_ms: float = 0.0
    dropped: int = 0
    came_s: float = 0.0


def in_turn(frames: Iterable[T]) -> Generator[Arrival[T]]:
    """Every frame, when it is asked for. What a frame's failure raises becomes an arrival without a frame.

    Raises:
        UserError: the source is a generator, which an error ends, or has failed `MOST_FAILURES` times in a row.
    """
    source = iter(frames)
    count = failures = 0
    while True:
        begun = time.perf_counter()
        try:
            item = next(source)
        except StopIteration:
            return
        except Exception as error:  # what a camera's driver raises is not ours to know
            failures += 1
            reason = f"{type(error).__name__}: {describe(error)}" if str(error) else type(error).__name__
            yield Arrival(None, f"the source failed: {reason}", _ms_since(begun))
            if isinstance(source, GeneratorType) or failures >= MOST_FAILURES:
                times = "" if failures == 1 else f" {failures} times in a row"
                raise UserError(
                    f"the source of frames failed{times} after {count} frames and gives no more ({reason}); "
                    "check it and start again"
                ) from error
        else:
            failures = 0
            yield Arrival(item, None, _ms_since(begun))
        count += 1


def newest(frames: Iterable[T]) -> Generator[Arrival[T]]:
    """The newest frame each time one is asked for; those that came in between are dropped and counted.

    A thread draws the frames, so that the source is never kept waiting. Closing this generator, or an error or Ctrl-C
    in the loop over it, ends the thread; a source that hangs is left behind after `SECONDS_TO_END`.

    Raises:
        UserError: as `in_turn`, once the frame before has been taken.
    """
    slot: _Slot[T] = _Slot()
    thread = threading.Thread(target=_fill, args=(frames, slot), name="cart-frames", daemon=True)
    thread.start()
    try:
        while (arrival := slot.take()) is not None:
            yield arrival
    finally:
        slot.close()
        thread.join(SECONDS_TO_END)


def paced(frames: Iterable[T], frame_rate_hz: float) -> Iterator[T]:
    """A recording at the speed it was taken at, as a camera would give it.

    Raises:
        ValueError: a frame rate that is not positive.
    """
    if not frame_rate_hz > 0:
        raise ValueError(f"`frame_rate_hz` must be positive. Received: {frame_rate_hz}")
    begun = time.perf_counter()
    for index, frame in enumerate(frames):
        early = begun + index / frame_rate_hz - time.perf_counter()
        if early > 0:
            time.sleep(early)
        yield frame


class _Slot(Generic[T]):
    """Room for one frame between the thread that draws them and the one that takes them."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._lying: tuple[Arrival[T], float] | None = None
        self._dropped = 0
        self._ended = self._closed = False
        self._error: BaseException | None = None

    def put(self, arrival: Arrival[T]) -> bool:
        """Lays a frame down, in place of one that lies there; false when nobody will take it."""
        with self._changed:
            self._dropped += self._lying is not None
            self._lying = (arrival, time.perf_counter())
            self._changed.notify()
            return not self._closed

    def take(self) -> Arrival[T] | None:
        """The frame that lies there, waiting for one; None when no more come.

        Raises:
            BaseException: what ended the source.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._lying is not None or self._ended)
            lying, self._lying = self._lying, None
            dropped, error = self._dropped, self._error
        if lying is not None:
            arrival, since = lying
            return replace(arrival, queued_ms=_ms_since(since), dropped=dropped, came_s=since)
        if error is not None:
            raise error
        return None

    def end(self, error: BaseException | None) -> None:
        """No more frames come."""
        with self._changed:
            self._ended, self._error = True, error
            self._changed.notify()

    def close(self) -> None:
        """No more frames are wanted."""
        with self._changed:
            self._closed = True


def _fill(frames: Iterable[T], slot: "_Slot[T]") -> None:
    error: BaseException | None = None
    try:
        for arrival in in_turn(frames):
            if not slot.put(arrival):
                break
    except BaseException as raised:  # it is raised in the thread that takes the frames
        error = raised
    finally:
        slot.end(error)


def _ms_since(begun: float) -> float:
    return (time.perf_counter() - begun) * 1000
