"""Marching squares: tracing a line through the points at which it crosses the grid of pixel centres.

A line goes from one crossing to the next through the cell of four pixel centres that they share. What ends it inside a
cell is the caller's to say; where the image ends, it ends between the outermost pixel centres.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.intp]
Point = tuple[float, float]
Cell = tuple[int, int]

ROUNDING = 2
"""Up to so many crossings between an LV and an LA pixel at the end of a line may lie beyond its triple point."""


class Crossings(NamedTuple):
    """Where a curve crosses the grid of pixel centres.

    Attributes:
        edges: (N,) numbers of the grid edges crossed, see `grid_edges`.
        positions: (N, 2) where the curve crosses them.
        kept: (N,) the crossings that belong to the contact.
        sure: (N,) of these, those that no rounding can have brought in.
        positive: (H, W) the pixel centres on one side of the curve.
    """

    edges: Ints
    positions: Floats
    kept: Bools
    sure: Bools
    positive: Bools


def grid_edges(across: Bools, down: Bools) -> tuple[Ints, tuple[Ints, Ints], Ints]:
    """The grid edges set in `across` (H, W − 1) and `down` (H − 1, W): numbers, starts (rows, cols), steps (N, 2).

    Edge 2 (r W + c) leads from (r, c) to (r, c + 1), edge 2 (r W + c) + 1 from (r, c) to (r + 1, c).
    """
    across_rows, across_cols = np.nonzero(across)
    down_rows, down_cols = np.nonzero(down)
    rows, cols = np.concatenate([across_rows, down_rows]), np.concatenate([across_cols, down_cols])
    step = np.zeros((len(rows), 2), dtype=np.intp)
    step[: len(across_rows), 1] = 1
    step[len(across_rows) :, 0] = 1
    return 2 * (rows * down.shape[1] + cols) + step[:, 0], (rows, cols), step


def trace(crossings: Crossings, end_in_cell: Callable[[Cell, Point], Point]) -> list[Floats]:
    """The segments that the kept crossings form, each ordered, with its ends.

    Args:
        crossings: of the whole curve.
        end_in_cell: where a line that leaves by a crossing into a cell (row, col) ends in it.
    """
    segments: list[Floats] = []
    for chain, closed in _chains(crossings):
        kept = _without_unsure_ends(chain, crossings.sure)
        points = crossings.positions[kept]
        if not closed or len(kept) < len(chain):
            begin, end = _cells_beyond(crossings.edges[kept].tolist(), *crossings.positive.shape)
            first, last = points[0].tolist(), points[-1].tolist()
            points = np.array(
                [
                    *([end_in_cell(begin, (first[0], first[1]))] if begin else []),
                    *points.tolist(),
                    *([end_in_cell(end, (last[0], last[1]))] if end else []),
                ]
            )
        segments.append(points if len(points) > 1 else points.repeat(2, axis=0))
    return segments


def _chains(crossings: Crossings) -> list[tuple[list[int], bool]]:
    """The kept crossings (their places in `crossings`) in their order along each line, and whether it is closed."""
    height, width = crossings.positive.shape
    ones, others = _neighbours(crossings.edges, height, width, crossings.positive)
    linked = crossings.kept[ones] & crossings.kept[others]
    links: list[list[int]] = [[] for _ in range(len(crossings.edges))]
    firsts: list[int] = ones[linked].tolist()
    seconds: list[int] = others[linked].tolist()
    for one, other in zip(firsts, seconds, strict=True):
        links[one].append(other)
        links[other].append(one)
    places = np.flatnonzero(crossings.kept)
    counts = np.bincount(ones[linked], minlength=len(links)) + np.bincount(others[linked], minlength=len(links))
    chains: list[tuple[list[int], bool]] = []
    visited = (~crossings.kept).tolist()
    # from the ends of lines first; lines that are closed have none
    ordered: list[int] = places[np.lexsort((crossings.edges[places], counts[places]))].tolist()
    for first in ordered:
        if visited[first]:
            continue
        chain = [first]
        following: int | None = first
        while following is not None:
            visited[following] = True
            following = next((place for place in links[following] if not visited[place]), None)
            if following is not None:
                chain.append(following)
        chains.append((chain, len(links[first]) == 2))
    return chains


def _neighbours(edges: Ints, height: int, width: int, positive: Bools) -> tuple[Ints, Ints]:
    """The pairs of crossings (places in `edges`) that follow one another on the curve: they share a cell."""
    corners, is_down = edges >> 1, edges & 1
    rows = corners // width
    cols = corners - rows * width
    after = np.where((rows < height - 1) & (cols < width - 1), corners, -1)
    # left of a downward edge, above the others
    before = np.where(np.where(is_down, cols, rows) > 0, corners - np.where(is_down, 1, width), -1)
    cells = np.concatenate([after, before])
    order = cells.argsort(kind="stable")
    order = order[np.count_nonzero(cells < 0) :]
    cells, places = cells[order], order % max(len(edges), 1)
    starts = np.ones(cells.size + 1, dtype=np.bool_)
    np.not_equal(cells[1:], cells[:-1], out=starts[1:-1])
    bounds = np.flatnonzero(starts)
    begins, counts = bounds[:-1], bounds[1:] - bounds[:-1]
    twos = begins[counts == 2]
    ones, others = places[twos], places[twos + 1]
    more = counts > 2
    if not more.any():
        return ones, others
    pairs: list[tuple[int, int]] = []
    for begin, count in zip(begins[more].tolist(), counts[more].tolist(), strict=True):
        # two lines in one cell: they keep its two positive corners apart
        cell = int(cells[begin])
        found = {int(edges[place]): int(place) for place in places[begin : begin + count]}
        top, right, bottom, left = 2 * cell, 2 * cell + 3, 2 * (cell + width), 2 * cell + 1
        apart = [(top, left), (right, bottom)] if positive.flat[cell] else [(top, right), (bottom, left)]
        pairs += [(found[one], found[other]) for one, other in apart if one in found and other in found]
    crowded = np.array(pairs, dtype=np.intp).reshape(-1, 2)
    return np.concatenate([ones, crowded[:, 0]]), np.concatenate([others, crowded[:, 1]])


def _without_unsure_ends(chain: list[int], sure: Bools) -> list[int]:
    """A chain of crossings without up to `ROUNDING` ones at either end that are not sure, before one that is."""
    is_sure = sure[chain].tolist()
    begin = next((place for place, known in enumerate(is_sure[: ROUNDING + 1]) if known), 0)
    end = next((place for place, known in enumerate(is_sure[: -ROUNDING - 2 : -1]) if known), 0)
    return chain[begin : len(chain) - end]


def _cells_beyond(edges: list[int], height: int, width: int) -> tuple[Cell | None, Cell | None]:
    """The cells into which a line leaves beyond its first and its last edge; None off the grid."""
    if len(edges) == 1:
        return _cells(edges[0], height, width)
    beyond: list[Cell | None] = []
    for edge, inner in ((edges[0], edges[1]), (edges[-1], edges[-2])):
        before, after = _cells(edge, height, width)
        beyond.append(after if before is not None and before in _cells(inner, height, width) else before)
    return beyond[0], beyond[1]


def _cells(edge: int, height: int, width: int) -> tuple[Cell | None, Cell | None]:
    """The cells (row, col) of four pixel centres before (above, left of) and after an edge; None off the grid."""
    row, col = divmod(edge // 2, width)
    after = (row, col) if row < height - 1 and col < width - 1 else None
    if edge % 2:
        return (row, col - 1) if col > 0 else None, after
    return (row - 1, col) if row > 0 else None, after
