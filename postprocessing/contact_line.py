"""The contact line between the left ventricle and the left atrium: where the mitral valve hangs.

Two definitions without an offset between them (tests/postprocessing/test_definitions_agree.py measures it):

* `pixel_contact_line`, the paper's, on a label map: the pixel edges between LV and LA pixels;
* `subpixel_contact_line`, on probabilities: the curve p(LV) = p(LA), as far as both beat every other class.

Both are traced by one marching-squares routine on the grid of pixel centres. A line goes through the points at which it
crosses from one pixel centre to the next, and it ends at a triple point inside the cell of four pixel centres where LV,
LA and something else meet. Where the image ends, the line ends between the outermost pixel centres.
"""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from postprocessing.cleanup import label_map_of
from postprocessing.codes import LA, LV

Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.intp]
Point = tuple[float, float]
Window = tuple[slice, slice]

REACH_PX = 3
"""A sub-pixel line is looked for no further than this, in rows and columns, from LV and from LA pixels."""

GAP_SHARE = 0.25
"""A gap in the contact up to this share of its longest segment is bridged, however short what follows it."""

ONE_PIXEL = 2**0.5 + 1e-9
"""A line no longer than this, one pixel straight or diagonal, is a one-pixel touch."""


class ContactLineNotFound(ValueError):  # noqa: N818  the design's name; a status rather than an error
    """LV and LA do not touch, so there is no contact line and there are no hinge points."""

    def __init__(self) -> None:
        super().__init__("LV and LA do not touch: no contact line, no hinge points")


@dataclass(frozen=True, eq=False)
class ContactLine:
    """The line along which LV and LA touch.

    Attributes:
        points: (N, 2) float64 (row, col), N ≥ 2, ordered along the line from its left end to its right end (from the
            upper to the lower one where neither is further left); pixel centres at integers.
        segments: how many separate stretches of contact were seen, those left out of the line included.
        one_pixel: the line is no longer than one pixel, straight or diagonal.
        method: `pixel` or `subpixel`.
    """

    points: Floats
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

    Source: hinge_points paper §3.3. Deviation: the paper does not say where on the pixels the line begins and ends.
    Their corners are taken: with their centres every annulus would be about one pixel too short.
    """
    if label_map.ndim != 2:
        raise ValueError(f"`label_map` must be (H, W). Received shape: {label_map.shape}")
    lv_mask, la_mask = label_map == lv, label_map == la
    window = _window(lv_mask, la_mask, margin=1)
    is_lv, is_la = lv_mask[window], la_mask[window]
    across = (is_lv[:, :-1] & is_la[:, 1:]) | (is_la[:, :-1] & is_lv[:, 1:])
    down = (is_lv[:-1] & is_la[1:]) | (is_la[:-1] & is_lv[1:])
    edges, start, step_row, step_col = _edges(across, down)
    positions = np.stack([start[0] + step_row / 2, start[1] + step_col / 2], axis=1)
    crossings = dict(zip(edges, positions.tolist(), strict=True))
    segments = _trace(crossings, set(), is_lv, lambda cell, _: (cell[0] + 0.5, cell[1] + 0.5))
    return _line(segments, window, "pixel")


def subpixel_contact_line(
    probabilities: npt.NDArray[np.floating],
    lv_channel: int,
    la_channel: int,
    masks: tuple[Bools, Bools] | None = None,
) -> ContactLine:
    """The contact line of class probabilities, at sub-pixel precision.

    Args:
        probabilities: (H, W, C) class probabilities on the native grid.
        lv_channel: channel of the left ventricle.
        la_channel: channel of the left atrium.
        masks: the LV pixels and the LA pixels that count, each (H, W), e.g. their largest components; by default those
            where LV or LA is likeliest.

    Returns:
        The curve p(LV) = p(LA), bilinear between pixel centres, as far as LV and LA beat every other class and within
        `REACH_PX` of both masks. It ends at triple points, where a third class is as likely, solved for inside their
        cell. Several segments are joined as `join_segments` says.

    Raises:
        ValueError: wrong shapes or channels.
        ContactLineNotFound: there is no such curve.

    Source: hinge_points paper §3.3. Deviation: on probabilities, at sub-pixel precision.
    """
    if probabilities.ndim != 3:
        raise ValueError(f"`probabilities` must be (H, W, C). Received shape: {probabilities.shape}")
    channels = probabilities.shape[2]
    if lv_channel == la_channel or not (0 <= lv_channel < channels and 0 <= la_channel < channels):
        raise ValueError(
            f"`lv_channel` and `la_channel` must be two of {channels} channels. Received: {lv_channel}, {la_channel}"
        )
    planes = np.moveaxis(probabilities, -1, 0)
    if masks is None:
        likeliest = label_map_of(planes, range(channels))
        masks = likeliest == lv_channel, likeliest == la_channel
    lv_mask, la_mask = masks
    if lv_mask.shape != planes.shape[1:] or la_mask.shape != planes.shape[1:]:
        raise ValueError(
            f"`masks` must be {planes.shape[1:]}, as `probabilities`. Received: {lv_mask.shape}, {la_mask.shape}"
        )
    window = _window(lv_mask, la_mask, margin=REACH_PX + 1)
    lv = planes[lv_channel][window].astype(np.float64)
    la = planes[la_channel][window].astype(np.float64)
    rival = np.zeros_like(lv)
    for channel in range(channels):
        if channel not in (lv_channel, la_channel):
            np.maximum(rival, planes[channel][window], out=rival)
    difference = lv - la  # zero on the line
    excess = (lv + la) / 2 - rival  # on the line: by how much both beat the next class
    near = _grown(lv_mask[window]) & _grown(la_mask[window])
    positive = difference >= 0
    edges, start, step_row, step_col = _edges(
        (positive[:, :-1] != positive[:, 1:]) & near[:, :-1] & near[:, 1:],
        (positive[:-1] != positive[1:]) & near[:-1] & near[1:],
    )
    end = (start[0] + step_row, start[1] + step_col)
    share = difference[start] / (difference[start] - difference[end])
    in_contact = excess[start] + share * (excess[end] - excess[start]) > 0
    positions = np.stack([start[0] + share * step_row, start[1] + share * step_col], axis=1)
    crossings: dict[int, Point] = {}
    outside: set[int] = set()
    for edge, position, kept in zip(edges, positions.tolist(), in_contact.tolist(), strict=True):
        if kept:
            crossings[edge] = position
        else:
            outside.add(edge)
    segments = _trace(crossings, outside, positive, lambda cell, last: _triple_point(difference, excess, cell, last))
    return _line(segments, window, "subpixel")


def join_segments(segments: list[Floats]) -> Floats:
    """One line from several segments of contact.

    The longest segment is the line. The segment whose end lies nearest to an end of the line is added to it as long as
    the gap is no longer than that segment, or than `GAP_SHARE` of the longest one. So a contact that is broken by a few
    pixels of myocardium or background stays whole, and a touch elsewhere, as where an atrium leaks up beside the
    ventricle, does not become a hinge point.

    Args:
        segments: each (N, 2), ordered along its line. At least one.

    Returns:
        (N, 2) points from end to end.
    """
    lengths = [_length(points) for points in segments]
    longest = max(lengths)
    line = segments[lengths.index(longest)]
    left = list(zip(segments, lengths, strict=True))
    del left[lengths.index(longest)]
    while left:
        # every way of adding a segment: (gap, segment, which of its ends and which of the line's ends meet)
        ways = [
            (math.dist(points[segment_end], line[line_end]), number, segment_end, line_end)
            for number, (points, _) in enumerate(left)
            for segment_end in (0, -1)
            for line_end in (0, -1)
        ]
        ways = [way for way in ways if way[0] <= max(left[way[1]][1], GAP_SHARE * longest)]
        if not ways:
            break
        _, number, segment_end, line_end = min(ways)
        points, _ = left.pop(number)
        outward = points if segment_end == 0 else points[::-1]
        line = np.concatenate([line, outward] if line_end == -1 else [outward[::-1], line])
    return line


def _edges(across: Bools, down: Bools) -> tuple[list[int], tuple[Ints, Ints], Ints, Ints]:
    """The grid edges set in `across` (H, W − 1) and `down` (H − 1, W): number, start (rows, cols), step to the end.

    Edge 2 (r W + c) leads from (r, c) to (r, c + 1), edge 2 (r W + c) + 1 from (r, c) to (r + 1, c).
    """
    width = down.shape[1]
    across_rows, across_cols = np.nonzero(across)
    down_rows, down_cols = np.nonzero(down)
    numbers = np.concatenate([2 * (across_rows * width + across_cols), 2 * (down_rows * width + down_cols) + 1])
    rows, cols = np.concatenate([across_rows, down_rows]), np.concatenate([across_cols, down_cols])
    is_down = np.arange(len(rows)) >= len(across_rows)
    return numbers.tolist(), (rows, cols), is_down.astype(np.intp), (~is_down).astype(np.intp)


def _trace(
    crossings: dict[int, Point],
    outside: set[int],
    positive: Bools,
    end_in_cell: Callable[[tuple[int, int], Point], Point],
) -> list[Floats]:
    """The segments that crossings of grid edges form, each ordered, with its ends.

    Args:
        crossings: edge number (see `_edges`) → where the line crosses it.
        outside: edges that the same curve crosses outside the contact.
        positive: (H, W) the pixel centres on the one side of the line.
        end_in_cell: where a line that entered a cell (row, col) at a point and does not leave it ends.
    """
    height, width = positive.shape
    links: dict[int, list[int]] = {edge: [] for edge in crossings}
    ends: dict[int, list[Point]] = {edge: [] for edge in crossings}
    for row, col in sorted(_cells(crossings, height, width)):
        corner = 2 * (row * width + col)
        top, right, bottom, left = corner, corner + 3, corner + 2 * width, corner + 1
        pairs = [(top, right, bottom, left)]
        if all(edge in crossings or edge in outside for edge in pairs[0]):
            # the curve crosses all four edges: two lines, which keep the two positive corners apart
            pairs = [(top, left), (right, bottom)] if positive[row, col] else [(top, right), (bottom, left)]
        for pair in pairs:
            inside = [edge for edge in pair if edge in crossings]
            if len(inside) == 2:
                links[inside[0]].append(inside[1])
                links[inside[1]].append(inside[0])
            elif inside:
                ends[inside[0]].append(end_in_cell((row, col), crossings[inside[0]]))
    segments: list[Floats] = []
    visited: set[int] = set()
    for first in sorted(links, key=lambda edge: (len(links[edge]), edge)):  # rings, which have no end, come last
        if first in visited:
            continue
        chain = [first]
        visited.add(first)
        while following := [edge for edge in links[chain[-1]] if edge not in visited]:
            chain.append(following[0])
            visited.add(following[0])
        points = [crossings[edge] for edge in chain]
        begin = ends[first][:1]
        finish = ends[first][1:] if len(chain) == 1 else ends[chain[-1]]
        points = [*begin, *points, *finish]
        segments.append(np.array(points if len(points) > 1 else points * 2))
    return segments


def _cells(edges: Iterable[int], height: int, width: int) -> set[tuple[int, int]]:
    """The cells (row, col) of four pixel centres on both sides of the edges, as far as the grid has them."""
    cells: set[tuple[int, int]] = set()
    for edge in edges:
        row, col = divmod(edge // 2, width)
        if row < height - 1 and col < width - 1:
            cells.add((row, col))
        if edge % 2 == 0 and row > 0:
            cells.add((row - 1, col))
        elif edge % 2 == 1 and col > 0:
            cells.add((row, col - 1))
    return cells


def _triple_point(difference: Floats, excess: Floats, cell: tuple[int, int], last: Point) -> Point:
    """Where `difference` and `excess`, bilinear in a cell, are both zero: of such points the nearest to `last`."""
    row, col = cell
    a0, a1, a2, a3 = _bilinear(difference[row : row + 2, col : col + 2])
    b0, b1, b2, b3 = _bilinear(excess[row : row + 2, col : col + 2])
    # y = −(a0 + a1 x) / (a2 + a3 x) from the first, put into the second
    found = [last]
    for x in _quadratic_roots(a3 * b1 - a1 * b3, a2 * b1 + a3 * b0 - a0 * b3 - a1 * b2, a2 * b0 - a0 * b2):
        # from the equation that depends more on y: on an upright line the first one does not at all
        slope, value = max((a2 + a3 * x, a0 + a1 * x), (b2 + b3 * x, b0 + b1 * x), key=lambda pair: abs(pair[0]))
        y = -value / slope if slope else math.nan
        if -1e-9 <= x <= 1 + 1e-9 and -1e-9 <= y <= 1 + 1e-9:
            found.append((row + y, col + x))
    return min(found[1:], key=lambda point: math.dist(point, last), default=last)


def _bilinear(corners: Floats) -> tuple[float, float, float, float]:
    """Coefficients of a0 + a1 x + a2 y + a3 xy on a cell, x along columns, y along rows."""
    (upper_left, upper_right), (lower_left, lower_right) = corners.tolist()
    return (
        upper_left,
        upper_right - upper_left,
        lower_left - upper_left,
        upper_left - upper_right - lower_left + lower_right,
    )


def _quadratic_roots(a: float, b: float, c: float) -> list[float]:
    """The real roots of a x² + b x + c, without cancellation."""
    discriminant = b * b - 4 * a * c
    if discriminant < 0:
        return []
    half = -(b + math.copysign(math.sqrt(discriminant), b)) / 2
    return ([half / a] if a else []) + ([c / half] if half else [])


def _line(segments: list[Floats], window: Window, method: str) -> ContactLine:
    if not segments:
        raise ContactLineNotFound
    points = join_segments(segments) + np.array([window[0].start, window[1].start], dtype=np.float64)
    if (points[0, 1], points[0, 0]) > (points[-1, 1], points[-1, 0]):
        points = points[::-1].copy()
    extent = float(np.hypot(*np.ptp(points, axis=0)))
    return ContactLine(points, len(segments), extent <= ONE_PIXEL, method)


def _window(lv_mask: Bools, la_mask: Bools, margin: int) -> Window:
    """Where the bounding boxes of the two masks, grown by the margin, overlap."""
    boxes = [cv2.boundingRect(mask.view(np.uint8)) for mask in (lv_mask, la_mask)]
    height, width = lv_mask.shape
    top = max(0, max(box[1] for box in boxes) - margin)
    bottom = min(height, min(box[1] + box[3] for box in boxes) + margin)
    left = max(0, max(box[0] for box in boxes) - margin)
    right = min(width, min(box[0] + box[2] for box in boxes) + margin)
    if top >= bottom or left >= right or any(box[2] == 0 for box in boxes):
        raise ContactLineNotFound
    return slice(top, bottom), slice(left, right)


def _grown(mask: Bools) -> Bools:
    side = 2 * REACH_PX + 1
    return cv2.dilate(mask.astype(np.uint8), np.ones((side, side), dtype=np.uint8)).astype(np.bool_)


def _length(points: Floats) -> float:
    return float(np.hypot(*np.diff(points, axis=0).T).sum())
