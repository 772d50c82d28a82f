"""Frames in their turn, or the newest only; sources that stumble, fail and hang."""

import itertools
import threading
import time
from collections.abc import Iterator

import pytest

from cart import stream
from cart.stream import MOST_FAILURES, in_turn, newest, paced
from shell.errors import UserError


class Stumbling:
    """An iterator that goes on after an error, as a camera's does."""

    def __init__(self, given: list[int | Exception]) -> None:
        self.given = iter(given)

    def __iter__(self) -> "Stumbling":
        return self

    def __next__(self) -> int:
        item = next(self.given)
        if isinstance(item, Exception):
            raise item
        return item


def no_thread_is_left() -> bool:
    return not [thread for thread in threading.enumerate() if thread.name == "cart-frames"]


def test_every_frame_in_its_turn() -> None:
    arrivals = list(in_turn([3, 4, 5]))
    assert [(a.item, a.error, a.dropped) for a in arrivals] == [(3, None, 0), (4, None, 0), (5, None, 0)]
    assert all(a.source_ms >= 0 for a in arrivals)


@pytest.mark.parametrize("drawn", [in_turn, newest])
def test_a_source_may_have_nothing(drawn) -> None:
    assert list(drawn([])) == []
    assert no_thread_is_left()


def test_a_frame_that_fails_is_told_and_the_next_one_drawn() -> None:
    arrivals = list(in_turn(Stumbling([1, OSError("no signal"), RuntimeError(), 2])))
    assert [(a.item, a.error) for a in arrivals] == [
        (1, None),
        (None, "the source failed: OSError: no signal"),
        (None, "the source failed: RuntimeError"),
        (2, None),
    ]


@pytest.mark.parametrize("drawn", [in_turn, newest])
def test_a_generator_that_fails_is_over(drawn) -> None:
    def frames() -> Iterator[int]:
        yield 1
        raise OSError("unplugged")

    with pytest.raises(UserError, match=r"failed after 1 frames and gives no more \(OSError: unplugged\)"):
        list(drawn(frames()))
    assert no_thread_is_left()


def test_a_source_that_only_fails_is_given_up() -> None:
    drawn = in_turn(Stumbling([1, *[OSError("gone")] * MOST_FAILURES, 2]))
    seen = []
    with pytest.raises(UserError, match=f"failed {MOST_FAILURES} times in a row"):
        seen.extend(iter(lambda: next(drawn), None))
    assert len(seen) == 1 + MOST_FAILURES


def test_failures_that_do_not_follow_each_other_are_forgiven() -> None:
    arrivals = list(in_turn(Stumbling([OSError("stumbled"), 1] * MOST_FAILURES)))
    assert len(arrivals) == 2 * MOST_FAILURES


def test_the_newest_frame_wins_and_the_others_are_counted() -> None:
    """The second to fourth frame come while the first is looked at: the fourth is next, two were dropped."""
    looked_at, all_there, end = threading.Event(), threading.Event(), threading.Event()

    def camera() -> Iterator[int]:
        yield 0
        looked_at.wait()
        yield from (1, 2, 3)
        all_there.set()
        end.wait()

    drawn = newest(camera())
    assert (next(drawn).item) == 0
    looked_at.set()
    all_there.wait()
    arrival = next(drawn)
    assert (arrival.item, arrival.dropped) == (3, 2)
    end.set()
    assert next(drawn, None) is None
    assert no_thread_is_left()


def test_the_last_frame_is_never_dropped() -> None:
    arrivals = []
    for arrival in newest(range(200)):
        time.sleep(0.001)
        arrivals.append(arrival)
    assert arrivals[-1].item == 199
    assert len(arrivals) + arrivals[-1].dropped == 200
    items = [arrival.item for arrival in arrivals]
    assert items == sorted(items)
    assert all(arrival.item - place == arrival.dropped for place, arrival in enumerate(arrivals))


def test_a_frame_tells_how_long_it_lay() -> None:
    go_on, there, end = threading.Event(), threading.Event(), threading.Event()

    def camera() -> Iterator[int]:
        yield 0
        go_on.wait()
        yield 1
        there.set()
        end.wait()

    drawn = newest(camera())
    first = next(drawn)
    go_on.set()
    there.wait()
    time.sleep(0.02)
    second = next(drawn)
    end.set()
    assert list(drawn) == []
    assert second.queued_ms >= 15
    assert second.came_s > first.came_s > 0


def test_closing_ends_the_thread() -> None:
    drawn = newest(itertools.count())
    next(drawn)
    drawn.close()
    assert no_thread_is_left()


def test_an_error_in_the_loop_ends_the_thread() -> None:
    def failing() -> None:
        for _ in newest(itertools.count()):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        failing()
    assert no_thread_is_left()


def test_a_source_that_hangs_is_left_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "SECONDS_TO_END", 0.01)
    wake = threading.Event()

    def hanging() -> Iterator[int]:
        yield 0
        wake.wait()

    drawn = newest(hanging())
    next(drawn)
    drawn.close()
    (left,) = (thread for thread in threading.enumerate() if thread.name == "cart-frames")
    assert left.daemon  # it does not keep the process alive
    wake.set()
    left.join()


def test_a_recording_takes_its_time() -> None:
    begun = time.perf_counter()
    assert list(paced([1, 2, 3, 4, 5], 100.0)) == [1, 2, 3, 4, 5]
    assert time.perf_counter() - begun >= 0.04


@pytest.mark.parametrize("rate", [0.0, -1.0, float("nan")])
def test_a_frame_rate_is_positive(rate: float) -> None:
    with pytest.raises(ValueError, match="`frame_rate_hz` must be positive"):
        next(paced([1], rate))
