"""Which crossings follow one another, against the definition written out cell by cell."""

import itertools

import numpy as np
import numpy.typing as npt
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from postprocessing.tracing import Crossings, grid_edges, trace

MASKS = hnp.arrays(np.bool_, st.tuples(st.integers(2, 7), st.integers(2, 7)))


def crossings_of(positive: npt.NDArray[np.bool_], kept: npt.NDArray[np.bool_] | None = None) -> Crossings:
    """All crossings of the outline of a mask, each in the middle of its edge."""
    edges, start, step = grid_edges(positive[:, :-1] != positive[:, 1:], positive[:-1] != positive[1:])
    every = np.ones(len(edges), np.bool_)
    return Crossings(edges, np.stack(start, axis=1) + step / 2, every if kept is None else kept, every, positive)


def pairs_by_cell(positive: npt.NDArray[np.bool_]) -> set[frozenset[tuple[float, float]]]:
    """The pairs of neighbouring crossings, as the middles of the edges they lie on."""
    pairs: set[frozenset[tuple[float, float]]] = set()
    for row, col in np.ndindex(positive.shape[0] - 1, positive.shape[1] - 1):
        corners = positive[row : row + 2, col : col + 2]
        top, bottom, left, right = (row, col + 0.5), (row + 1, col + 0.5), (row + 0.5, col), (row + 0.5, col + 1)
        differ = {
            top: corners[0, 0] != corners[0, 1],
            bottom: corners[1, 0] != corners[1, 1],
            left: corners[0, 0] != corners[1, 0],
            right: corners[0, 1] != corners[1, 1],
        }
        crossed = [edge for edge, is_crossed in differ.items() if is_crossed]
        if len(crossed) == 2:
            pairs.add(frozenset(crossed))
        elif len(crossed) == 4:  # each positive corner is cut off on its own
            halves = [(top, left), (bottom, right)] if corners[0, 0] else [(top, right), (bottom, left)]
            pairs |= {frozenset(half) for half in halves}
    return pairs


@settings(max_examples=50, deadline=None)
@given(MASKS)
def test_lines_go_from_crossing_to_crossing_as_the_cells_say(positive: npt.NDArray[np.bool_]) -> None:
    crossings = crossings_of(positive)
    nowhere = (-9.0, -9.0)  # as the end inside a cell: a line that is not closed ends where the image does
    lines = [[tuple(point) for point in line.tolist()] for line in trace(crossings, lambda *_: nowhere)]
    allowed = pairs_by_cell(positive)
    seen = [point for line in lines for point in dict.fromkeys(line)]
    assert sorted(seen) == sorted(map(tuple, crossings.positions.tolist()))  # each crossing once, no end inside a cell
    followed = {frozenset(pair) for line in lines for pair in itertools.pairwise(line) if pair[0] != pair[1]}
    assert followed <= allowed
    # of a closed line the pair of its last and first crossing is not written out
    closing = {frozenset((line[0], line[-1])) for line in lines if len(line) > 2}
    assert allowed - followed <= closing


@settings(max_examples=50, deadline=None)
@given(MASKS, st.randoms(use_true_random=False))
def test_crossings_that_are_not_kept_part_a_line(positive: npt.NDArray[np.bool_], random) -> None:
    every = crossings_of(positive)
    kept = np.array([random.random() < 0.7 for _ in every.edges], np.bool_)
    end = (-9.0, -9.0)
    lines = trace(crossings_of(positive, kept), lambda *_: end)
    points = [tuple(point) for line in lines for point in dict.fromkeys(map(tuple, line.tolist())) if point != end]
    assert sorted(points) == sorted(map(tuple, every.positions[kept].tolist()))
