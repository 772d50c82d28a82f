"""Progress of a long step: a bar on a terminal, plain lines in a log."""

import sys
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")
SECONDS_BETWEEN_LINES = 10.0


def progress(items: Iterable[T], *, label: str, total: int | None = None, unit: str = "it") -> Iterator[T]:
    """Yields `items` unchanged while showing how far they have come, on standard error.

    On a terminal it is a bar (tqdm); elsewhere a plain line at most every ten seconds and one at the end.
    """
    if total is None and hasattr(items, "__len__"):
        total = len(items)  # type: ignore[arg-type]  # guarded by hasattr
    if sys.stderr.isatty():
        from tqdm import tqdm  # here: a fifth of what the cart's program imports, and only a terminal sees it

        yield from tqdm(items, desc=label, total=total, unit=unit)
        return
    of = f"/{total}" if total is not None else ""
    begun = last = time.monotonic()
    count = 0
    for item in items:
        yield item
        count += 1
        now = time.monotonic()
        if now - last >= SECONDS_BETWEEN_LINES:
            last = now
            print(f"{label}: {count}{of} {unit}, {count / (now - begun):.1f} {unit}/s", file=sys.stderr, flush=True)
    seconds = time.monotonic() - begun
    print(f"{label}: {count}{of} {unit} done in {seconds:.1f} s", file=sys.stderr, flush=True)
