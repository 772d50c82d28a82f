"""The contact line between the left ventricle and the left atrium: where the mitral valve hangs.

Two definitions that agree without offset (tests/postprocessing/test_agreement.py holds them to it):

* `pixel_contact_line`, the paper's, on a label map: the pixel edges between LV and LA pixels;
* `subpixel_contact_line`, on probabilities: the curve p(LV) = p(LA) inside LV ∪ LA.

Both are traced by one marching-squares routine over the cells between four pixel centres. A line goes through the
points where it crosses the grid between two neighbouring pixel centres, and ends at a triple point inside a cell, where
LV, LA and something else meet. Where the image ends, the line ends at the outermost pixel centres.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from postprocessing.codes import LA, LV

Floats = npt.NDArray[np.floating]
Bools = npt.NDArray[np.bool_]
Points = npt.NDArray[np.float64]

REACH_PX = 3
"""A sub-pixel line is looked for no further than this from LV and from LA pixels of the label map."""

GAP_SHARE = 0.25
"""A gap this long, as a share of the longest segment, is bridged whatever the length of what follows it."""

ONE_PIXEL = 2**0.5
"""A line whose ends lie no further apart (one pixel, straight or diagonal) is a one-pixel touch."""


class ContactLineNotFound(ValueError):  # noqa: N818  the design's name; a status more than an error
    """LV and LA do not touch, so there is no contact line and there are no hinge points."""


@dataclass(frozen=True, eq=False)
class ContactLine:
    """The line along which LV and LA touch.

    Attributes:
        points: (N, 2) float64 (row, col), N ≥ 2, ordered along the line from end to end; pixel centres at integers.
        segments: how many separate stretches of contact were seen, those left out included.
        one_pixel: the line is no longer than one pixel, straight or diagonal.
        method: `pixel` or `subpixel`.
    """

    points: Points
    segments: int
    one_pixel: bool
    method: str


def pixel_contact_line(label_map: npt.NDArray[np.uint8], lv: int = LV, la: int = LA) -> ContactLine:
    """The contact line of a label map: the paper's definition, and that of reference masks.

    Args:
        label_map: (H, W) structure codes.
        lv: code of the left ventricle.
        la: code of the left atrium.

    Returns:
        The line through the midpoints of all 4-adjacent pairs of an LV and an LA pixel, from the pixel corner where the
        contact begins to the one where it ends. Several segments are joined as `join_segments` says.

    Raises:
        ValueError: `label_map` is not two-dimensional.
        ContactLineNotFound: no LV pixel is 4-adjacent to an LA pixel.

    Source: hinge_points paper §3.3. Deviation: the paper does not say where between the pixels the line lies; taking
    pixel centres for its ends would make every annulus one pixel too short, so the ends are pixel corners.
    """
    if label_map.ndim != 2:
        raise ValueError(f"`label_map` must be (H, W). Received shape: {label_map.shape}")
    window = _window(label_map == lv, label_map == la, margin=1)
    if window is None:
        raise _not_found()
    cropped = label_map[window]
    is_lv, is_la = cropped == lv, cropped == la
    across = (is_lv[:, :-1] & is_la[:, 1:]) | (is_la[:, :-1] & is_lv[:, 1:])
    down = (is_lv[:-1] & is_la[1:]) | (is_la[:-1] & is_lv[1:])
    crossings = _Crossings.halfway(across, down)
    segments = _trace(crossings, is_lv, lambda row, col, _: (row + 0.5, col + 0.5))
    return _line(segments, window, "pixel")


def subpixel_contact_line(
    probabilities: Floats,
    lv_channel: int,
    la_channel: int,
    *,
    lv_mask: Bools | None = None,
    la_mask: Bools | None = None,
) -> ContactLine:
    """The contact line of class probabilities, at sub-pixel precision.

    Args:
        probabilities: (H, W, C) class probabilities on the native grid.
        lv_channel: channel of the left ventricle.
        la_channel: channel of the left atrium.
        lv_mask: (H, W) the LV pixels that count, e.g. the largest component; by default those where LV is likeliest.
        la_mask: the same for LA.

    Returns:
        The curve p(LV) = p(LA), linear between pixel centres, as far as LV and LA beat every other class, and within
        `REACH_PX` of both masks. It ends at triple points, solved for inside the cell between four pixel centres.
        Several segments are joined as `join_segments` says.

    Raises:
        ValueError: wrong shapes or channels.
        ContactLineNotFound: there is no such curve.

    Source: hinge_points paper §3.3, on probabilities. Deviation: sub-pixel (issue 2, section 7).
    """
    if probabilities.ndim != 3 or not (lv_channel != la_channel and min(lv_channel, la_channel) >= 0):
        raise ValueError(
            "`probabilities` must be (H, W, C), `lv_channel` and `la_channel` two of its channels. "
            f"Received shape {probabilities.shape}, channels {lv_channel} and {la_channel}"
        )
    if max(lv_channel, la_channel) >= probabilities.shape[2]:
        raise ValueError(
            f"`lv_channel` and `la_channel` must be less than {probabilities.shape[2]}, the number of channels. "
            f"Received: {lv_channel}, {la_channel}"
        )
    planes = np.moveaxis(probabilities, -1, 0)
    if lv_mask is None or la_mask is None:
        likeliest = probabilities.argmax(axis=-1)
        lv_mask = likeliest == lv_channel if lv_mask is None else lv_mask
        la_mask = likeliest == la_channel if la_mask is None else la_mask
    if lv_mask.shape != planes.shape[1:] or la_mask.shape != planes.shape[1:]:
        raise ValueError(
            f"`lv_mask` and `la_mask` must be {planes.shape[1:]} as `probabilities`. "
            f"Received: {lv_mask.shape}, {la_mask.shape}"
        )
    window = _window(lv_mask, la_mask, margin=REACH_PX + 1)
    if window is None:
        raise _not_found()
    cropped = planes[:, *window].astype(np.float64)
    lv_p, la_p = cropped[lv_channel], cropped[la_channel]
    others = [cropped[k] for k in range(len(planes)) if k not in (lv_channel, la_channel)]
    rival = np.max(others, axis=0) if others else np.zeros_like(lv_p)
    difference = lv_p - la_p
    inside = (lv_p + la_p) / 2 - rival
    near = _grown(lv_mask[window]) & _grown(la_mask[window])
    crossings = _Crossings.of_zero(difference, inside, near)
    segments = _trace(crossings, difference >= 0, lambda row, col, at: _triple_point(difference, inside, row, col, at))
    return _line(segments, window, "subpixel")


def join_segments(segments: list[Points]) -> Points:
    """One line from several segments of contact.

    The longest segment is the line. The segment whose end lies nearest to an end of the line is added to it as long as
    the gap is no longer than that segment, or than `GAP_SHARE` of the longest one: so a contact broken by a few pixels
    of myocardium or background stays whole, and a touch elsewhere, as where an atrium leaks up beside the ventricle,
    does not become a hinge point.

    Args:
        segments: each (N, 2), ordered along its line. At least one.

    Returns:
        (N, 2) points from end to end.
    """
    lengths = [_length(points) for points in segments]
    longest = max(lengths)
    first = lengths.index(longest)
    line = segments[first]
    left = [(points, length) for k, (points, length) in enumerate(zip(segments, lengths, strict=True)) if k != first]
    while left:
        # every way to put a segment to an end of the line: (gap, which segment, joined line)
        gaps: list[tuple[float, int, bool, bool]] = []
        for k, (points, _) in enumerate(left):
            for at_start in (False, True):
                for turned in (False, True):
                    near_end = points[-1] if turned else points[0]
                    gap = float(np.hypot(*(near_end - (line[0] if at_start else line[-1]))))
                    if gap <= max(left[k][1], GAP_SHARE * longest):
                        gaps.append((gap, k, at_start, turned))
        if not gaps:
            break
        _, k, at_start, turned = min(gaps)
        points = left.pop(k)[0]
        if at_start:
            line = np.concatenate([points if turned else points[::-1], line])
        else:
            line = np.concatenate([line, points[::-1] if turned else points])
    return line


class _Crossings(NamedTuple):
    """Where lines cross the edges of the grid of pixel centres, as flat edge numbers.

    Edge r·W + c leads from pixel (r, c) to (r, c + 1), edge H·W + r·W + c from (r, c) to (r + 1, c).
    """

    shape: tuple[int, int]
    kept: Bools  # (2·H·W,) an edge that the line crosses inside the contact
    left_out: Bools  # (2·H·W,) an edge that the curve crosses outside of it
    position: Points  # (2·H·W, 2) of the kept crossings; elsewhere undefined

    @classmethod
    def halfway(cls, across: Bools, down: Bools) -> "_Crossings":
        height, width = across.shape[0], down.shape[1]
        kept = _edges(across, down, height, width)
        return cls((height, width), kept, np.zeros_like(kept), _positions(height, width, kept, None))

    @classmethod
    def of_zero(cls, values: Points, inside: Points, near: Bools) -> "_Crossings":
        height, width = values.shape
        positive = values >= 0
        crossed = _edges(
            (positive[:, :-1] != positive[:, 1:]) & near[:, :-1] & near[:, 1:],
            (positive[:-1] != positive[1:]) & near[:-1] & near[1:],
            height,
            width,
        )
        edge = np.flatnonzero(crossed)
        start = edge % (height * width)
        end = start + np.where(edge < height * width, 1, width)
        flat, depth = values.ravel(), inside.ravel()
        share = flat[start] / (flat[start] - flat[end])
        in_contact = depth[start] + share * (depth[end] - depth[start]) > 0
        kept = np.zeros_like(crossed)
        kept[edge[in_contact]] = True
        return cls((height, width), kept, crossed & ~kept, _positions(height, width, crossed, share))


def _edges(across: Bools, down: Bools, height: int, width: int) -> Bools:
    edges = np.zeros((2, height, width), dtype=np.bool_)
    edges[0, :, :-1] = across
    edges[1, :-1] = down
    return edges.ravel()


def _positions(height: int, width: int, edges: Bools, share: Points | None) -> Points:
    edge = np.flatnonzero(edges)
    across = edge < height * width
    start = edge % (height * width)
    step = np.full(len(edge), 0.5) if share is None else share
    position = np.empty((len(edges), 2))
    position[edge, 0] = start // width + np.where(across, 0, step)
    position[edge, 1] = start % width + np.where(across, step, 0)
    return position


def _trace(
    crossings: _Crossings,
    positive: Bools,
    end_in_cell: Callable[[int, int, Points], tuple[float, float]],
) -> list[Points]:
    """The segments that the kept crossings form, each ordered, with its ends.

    `end_in_cell(row, col, last)` is where a line that entered cell (row, col) at `last` and does not leave it ends.
    """
    height, width = crossings.shape
    kept = crossings.kept.reshape(2, height, width)
    # the four edges of each cell, clockwise: top, right, bottom, left
    sides = np.stack([kept[0, :-1, :-1], kept[1, :-1, 1:], kept[0, 1:, :-1], kept[1, :-1, :-1]], axis=-1)
    rows, cols = np.nonzero(sides.any(axis=-1))
    links: dict[int, list[int]] = {int(edge): [] for edge in np.flatnonzero(crossings.kept)}
    ends: dict[int, list[tuple[float, float]]] = {edge: [] for edge in links}
    vertical = height * width
    for row, col in zip(rows.tolist(), cols.tolist(), strict=True):
        corner = row * width + col
        edges = (corner, vertical + corner + 1, corner + width, vertical + corner)
        for pair in _pairs(edges, crossings, positive, row, col):
            present = [edge for edge in pair if crossings.kept[edge]]
            if len(present) == 2:
                links[present[0]].append(present[1])
                links[present[1]].append(present[0])
            elif present:
                ends[present[0]].append(end_in_cell(row, col, crossings.position[present[0]]))
    segments: list[Points] = []
    visited: set[int] = set()
    for start in sorted(links, key=lambda edge: len(links[edge])):  # loops, which have no end to start from, last
        if start in visited:
            continue
        chain: list[int] = []
        following: int | None = start
        while following is not None:
            chain.append(following)
            visited.add(following)
            following = next((edge for edge in links[following] if edge not in visited), None)
        points = [tuple(crossings.position[edge]) for edge in chain]
        if len(chain) == 1:
            points = [*ends[start][:1], *points, *ends[start][1:]]
        else:
            points = [*ends[chain[0]], *points, *ends[chain[-1]]]
        if len(points) == 1:
            points = points * 2  # in the corner of an image: a line without length
        segments.append(np.array(points, dtype=np.float64))
    return segments


def _pairs(
    edges: tuple[int, int, int, int], crossings: _Crossings, positive: Bools, row: int, col: int
) -> list[tuple[int, ...]]:
    """Which crossings of a cell a line connects. In a cell crossed four times, LV corners are kept apart."""
    crossed = tuple(edge for edge in edges if crossings.kept[edge] or crossings.left_out[edge])
    if len(crossed) < 4:
        return [crossed]
    top, right, bottom, left = crossed
    return [(top, left), (right, bottom)] if positive[row, col] else [(top, right), (bottom, left)]


def _triple_point(difference: Points, inside: Points, row: int, col: int, last: Points) -> tuple[float, float]:
    """Where difference = 0 and inside = 0 in a cell, both bilinear; the nearest such point to `last`."""
    a0, a1, a2, a3 = _bilinear(difference, row, col)
    b0, b1, b2, b3 = _bilinear(inside, row, col)
    # y = −(a0 + a1 x) / (a2 + a3 x) from the first, put into the second: a quadratic in x
    roots = np.roots(np.trim_zeros([a3 * b1 - a1 * b3, a2 * b1 + a3 * b0 - a0 * b3 - a1 * b2, a2 * b0 - a0 * b2], "f"))
    best = (float(last[0]), float(last[1]))
    nearest = np.inf
    for x in np.real(roots[np.isreal(roots)]):
        below = a2 + a3 * x
        if below == 0:
            continue
        y = -(a0 + a1 * x) / below
        if -1e-9 <= x <= 1 + 1e-9 and -1e-9 <= y <= 1 + 1e-9:
            distance = float(np.hypot(row + y - last[0], col + x - last[1]))
            if distance < nearest:
                nearest, best = distance, (float(row + y), float(col + x))
    return best


def _bilinear(values: Points, row: int, col: int) -> tuple[float, float, float, float]:
    """a0 + a1 x + a2 y + a3 xy over the cell, x along columns, y along rows."""
    v00, v01, v10, v11 = values[row, col], values[row, col + 1], values[row + 1, col], values[row + 1, col + 1]
    return float(v00), float(v01 - v00), float(v10 - v00), float(v00 - v01 - v10 + v11)


def _line(segments: list[Points], window: tuple[slice, slice], method: str) -> ContactLine:
    if not segments:
        raise _not_found()
    points = join_segments(segments) + np.array([window[0].start, window[1].start])
    extent = float(np.ptp(points, axis=0).max()) if len(points) else 0.0
    return ContactLine(points, len(segments), extent <= ONE_PIXEL, method)


def _window(lv_mask: Bools, la_mask: Bools, margin: int) -> tuple[slice, slice] | None:
    """Where the bounding boxes of the two masks, grown by the margin, overlap."""
    boxes = [cv2.boundingRect(mask.view(np.uint8)) for mask in (lv_mask, la_mask)]
    if any(box[2] == 0 for box in boxes):
        return None
    height, width = lv_mask.shape
    top = max(0, max(box[1] for box in boxes) - margin)
    bottom = min(height, min(box[1] + box[3] for box in boxes) + margin)
    left = max(0, max(box[0] for box in boxes) - margin)
    right = min(width, min(box[0] + box[2] for box in boxes) + margin)
    return (slice(top, bottom), slice(left, right)) if top < bottom and left < right else None


def _grown(mask: Bools) -> Bools:
    square = np.ones((2 * REACH_PX + 1, 2 * REACH_PX + 1), dtype=np.uint8)
    return cv2.dilate(mask.astype(np.uint8), square).astype(np.bool_)


def _length(points: Points) -> float:
    return float(np.hypot(*np.diff(points, axis=0).T).sum())


def _not_found() -> ContactLineNotFound:
    return ContactLineNotFound("LV and LA do not touch: no contact line, no hinge points")
