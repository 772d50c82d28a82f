"""The contact line between the left ventricle and the left atrium: where the mitral valve hangs.

Two definitions without an offset between them (tests/postprocessing/test_definitions_agree.py measures it):

* `pixel_contact_line`, the paper's, on a label map: the pixel edges between LV and LA pixels;
* `subpixel_contact_line`, on probabilities: the curve p(LV) = p(LA), as far as both beat every other class.

Both are traced by one marching-squares routine (tracing.py) on the grid of pixel centres. A line goes through the
points at which it crosses from one pixel centre to the next, and it ends at a triple point inside the cell of four
pixel centres where LV, LA and something else meet. Where the image ends, the line ends between the outermost pixel
centres.
"""

import math
from collections import deque
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from postprocessing.cleanup import label_map_of
from postprocessing.codes import LA, LV
from postprocessing.tracing import Bools, Cell, Crossings, Floats, Point, grid_edges, trace
from postprocessing.valve import nearer_to_lv, valve_as_blood

Window = tuple[slice, slice]

REACH_PX = 3
"""A sub-pixel line is looked for no further than this, in rows and columns, from LV and from LA pixels."""

GAP_SHARE = 0.25
"""A gap in the contact up to this share of its longest segment is bridged, however short what follows it."""

TINY = 1e-9
"""Rounding errors are smaller, in pixels and in probability."""

DECIMALS = 6
"""Lengths are compared to so many decimals: equals stay equal wherever in the image they are."""

ONE_PIXEL = 2**0.5 + TINY
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
    edges, start, step = grid_edges(across, down)
    every = np.ones(len(edges), dtype=np.bool_)
    crossings = Crossings(edges, np.stack(start, axis=1) + step / 2, kept=every, sure=every, positive=is_lv)
    return _line(trace(crossings, lambda cell, _: (cell[0] + 0.5, cell[1] + 0.5)), window, "pixel")


def subpixel_contact_line(
    probabilities: npt.NDArray[np.floating],
    lv_channel: int,
    la_channel: int,
    masks: tuple[Bools, Bools] | None = None,
    mv_channel: int | None = None,
) -> ContactLine:
    """The contact line of class probabilities, at sub-pixel precision.

    Args:
        probabilities: (H, W, C) class probabilities on the native grid.
        lv_channel: channel of the left ventricle.
        la_channel: channel of the left atrium.
        masks: the LV pixels and the LA pixels that count, each (H, W), e.g. their largest components; by default those
            where LV or LA is likeliest.
        mv_channel: channel of the leaflets, whose pixels the masks are to include (`valve_as_blood`): p(MV) is added to
            p(LV) or p(LA), whichever mask is nearer, and does not compete.

    Returns:
        The curve p(LV) = p(LA), bilinear between pixel centres, as far as LV and LA beat every other class and within
        `REACH_PX` of both masks. It ends at triple points, where a third class is as likely, solved for inside their
        cell. A third class that wins between an LV pixel and an LA pixel beside it, but at neither, does not break it:
        where the masks are in contact there is a line. Several segments are joined as `join_segments` says.

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
    if mv_channel is not None and (mv_channel in (lv_channel, la_channel) or not 0 <= mv_channel < channels):
        raise ValueError(f"`mv_channel` must be another of {channels} channels. Received: {mv_channel}")
    if masks is None:
        likeliest = label_map_of(probabilities, range(channels))
        if mv_channel is not None:
            likeliest = valve_as_blood(likeliest, lv_channel, la_channel, mv_channel)
        masks = likeliest == lv_channel, likeliest == la_channel
    lv_mask, la_mask = masks
    if lv_mask.shape != probabilities.shape[:2] or la_mask.shape != probabilities.shape[:2]:
        raise ValueError(
            f"`masks` must be {probabilities.shape[:2]}, as `probabilities`. Received: {lv_mask.shape}, {la_mask.shape}"
        )
    window = _window(lv_mask, la_mask, margin=REACH_PX + 1)
    cropped = np.moveaxis(probabilities[window], -1, 0).astype(np.float64)
    is_lv, is_la = lv_mask[window], la_mask[window]
    if mv_channel is not None:
        to_lv = nearer_to_lv(is_lv, is_la)
        cropped[lv_channel] += cropped[mv_channel] * to_lv
        cropped[la_channel] += cropped[mv_channel] * ~to_lv
    difference = cropped[lv_channel] - cropped[la_channel]  # zero on the line
    level = (cropped[lv_channel] + cropped[la_channel]) / 2  # on the line: the probability of both
    rivals = [cropped[channel] for channel in range(channels) if channel not in (lv_channel, la_channel, mv_channel)]
    excesses = [level - rival for rival in rivals]  # on the line: by how much both beat each of the others
    near = _grown(is_lv) & _grown(is_la)
    positive = difference >= 0
    edges, start, step = grid_edges(
        (positive[:, :-1] != positive[:, 1:]) & near[:, :-1] & near[:, 1:],
        (positive[:-1] != positive[1:]) & near[:-1] & near[1:],
    )
    end = (start[0] + step[:, 0], start[1] + step[:, 1])
    share = difference[start] / (difference[start] - difference[end])
    beaten = np.ones(len(edges), dtype=np.bool_)
    for excess in excesses:
        beaten &= excess[start] + share * (excess[end] - excess[start]) > 0
    touching = (is_lv[start] & is_la[end]) | (is_la[start] & is_lv[end])
    positions = np.stack(start, axis=1) + share[:, None] * step
    crossings = Crossings(edges, positions, kept=beaten | touching, sure=beaten, positive=positive)
    return _line(
        trace(crossings, lambda cell, last: _triple_point(difference, excesses, cell, last)), window, "subpixel"
    )


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
    if len(segments) == 1:
        return segments[0]
    lengths = np.array([_length(points) for points in segments])
    first = int(lengths.argmax())
    parts = deque([segments[first]])
    ends = np.array([(points[0], points[-1]) for points in segments])
    tips = ends[first].copy()
    reach = np.maximum(lengths, GAP_SHARE * lengths[first])
    reach[first] = -1  # no gap is that short: it is in the line
    while True:
        gaps = np.linalg.norm(ends[:, :, None] - tips, axis=-1).round(DECIMALS)  # segment, its end, the line's end
        gaps[gaps > reach[:, None, None]] = np.inf
        number, end_pair = divmod(int(gaps.argmin()), 4)
        segment_end, line_end = divmod(end_pair, 2)
        if np.isinf(gaps[number, segment_end, line_end]):
            return np.concatenate(parts)
        outward = segments[number] if segment_end == 0 else segments[number][::-1]
        if line_end == 1:
            parts.append(outward)
        else:
            parts.appendleft(outward[::-1])
        tips[line_end] = ends[number, 1 - segment_end]
        reach[number] = -1


def _triple_point(difference: Floats, excesses: list[Floats], cell: Cell, last: Point) -> Point:
    """Where `difference` is zero, one of `excesses` as well, and none is negative, all bilinear in a cell.

    Of such points the nearest to `last`, or `last` itself if there is none.
    """
    row, col = cell
    a0, a1, a2, a3 = _bilinear(difference[row : row + 2, col : col + 2])
    rivals = [_bilinear(excess[row : row + 2, col : col + 2]) for excess in excesses]
    found: list[Point] = []
    for b0, b1, b2, b3 in rivals:
        # y = −(a0 + a1 x) / (a2 + a3 x) from the first equation, put into the second
        for x in _quadratic_roots(a3 * b1 - a1 * b3, a2 * b1 + a3 * b0 - a0 * b3 - a1 * b2, a2 * b0 - a0 * b2):
            # from the equation that depends more on y: on an upright line the first one does not at all
            slope, value = max((a2 + a3 * x, a0 + a1 * x), (b2 + b3 * x, b0 + b1 * x), key=lambda pair: abs(pair[0]))
            y = -value / slope if slope else math.nan
            if not (-TINY <= x <= 1 + TINY and -TINY <= y <= 1 + TINY):
                continue
            if all(c0 + c1 * x + c2 * y + c3 * x * y >= -TINY for c0, c1, c2, c3 in rivals):
                found.append((row + y, col + x))
    return min(found, key=lambda point: math.dist(point, last), default=last)


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
    height, width = (points.max(axis=0) - points.min(axis=0)).tolist()
    return ContactLine(points, len(segments), math.hypot(height, width) <= ONE_PIXEL, method)


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
    return round(float(np.hypot(*np.diff(points, axis=0).T).sum()), DECIMALS)
