"""One frame with its measurement drawn on it, for people to judge: contours, contact line, hinge points, diameter.

`draw_overlay` is for a picture to look at, `draw_live` for one of a video or a screen: smaller, quicker, of one size.
"""

from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from cart.device import Measurement
from cart.frames import Frame
from cart.measure import Box
from cart.screen import (
    SCREEN_BOX,
    SCREEN_CONTACT,
    SCREEN_DIAMETER,
    SCREEN_DOUBT,
    SCREEN_GROUND,
    SCREEN_PREDICTED,
    SCREEN_STRUCTURES,
    SCREEN_TEXT,
    SCREEN_TRUSTED,
    Colour,
)
from data_pipeline.sample import Point, Structure
from postprocessing.hinge_points import HingePoints

Picture = npt.NDArray[np.uint8]
"""(rows, cols, 3), red-green-blue."""

LONGER_SIDE_PX = 960  # of the drawn frame; a phone shows it at a third of that, and the text still reads
LIVE_SIDE_PX = 720
LIVE_TEXT_PX = 28  # on the scale of `LONGER_SIDE_PX`
LIVE_GREY_MAX = 255
FROZEN = 0.35  # how bright the last frame stands where the next one is missing
TEXT_PX = 34
DASH_PX, GAP_PX = 10.0, 9.0
WHITEST_PERCENTILE = 99.8
BLACK: Colour = (0, 0, 0)


def draw_overlay(
    image: npt.NDArray[Any],
    prediction: npt.NDArray[np.uint8],
    *,
    reference: npt.NDArray[np.uint8] | None = None,
    contact_line: npt.NDArray[np.float64] | None = None,
    hinge_points: HingePoints | None = None,
    reference_hinge_points: HingePoints | None = None,
    diameter_text: str | None = None,
    spacing_mm: tuple[float, float] | None = None,
    box: Box | None = None,
    reference_box: Box | None = None,
    why_no_hinge_points: str | None = "LV and LA do not touch",
) -> Picture:
    """The frame in grey with predicted contours (solid), reference contours (dashed) and the hinge points on it.

    The frame is enlarged so that its longer side is at least 960 pixels, its pixels made square where the spacing is
    known, its brightness stretched from the minimum to the 99.8th percentile. A legend stands below it.

    Args:
        image: (H, W) grey levels of any range; what is not finite is drawn black.
        prediction: (H, W) `Structure` codes.
        reference: (H, W) `Structure` codes, or None.
        contact_line: (N, 2) points (row, col) in order along the line, or None.
        hinge_points: predicted aMVL and pMVL, or None; without them the legend says that there are none, and why.
        reference_hinge_points: reference aMVL and pMVL, or None.
        diameter_text: written beside the diameter, e.g. `31.4 mm`; needs `hinge_points`.
        spacing_mm: (row, col) pixel pitch in mm; None draws the pixels square.
        box: located by the network (solid), or None; what lies beyond the frame is not seen.
        reference_box: the reference's (dashed), which it should have found or was shown alone; or None.
        why_no_hinge_points: None where nobody expects any, and the legend has no word of them.

    Returns:
        (rows, cols, 3) uint8, red-green-blue.

    Raises:
        ValueError: the arrays are not two-dimensional or differ in shape.
    """
    _check_shapes(image, prediction, reference)
    canvas = _Canvas(image.shape[0], image.shape[1], spacing_mm)
    canvas.show(image)
    legend: list[_LegendEntry] = []

    present = [s for s in Structure if s.name in SCREEN_STRUCTURES and np.any(prediction == s)]
    for structure in _lv_last(present):
        canvas.outline(prediction == structure, SCREEN_STRUCTURES[structure.name], dashed=False)
    legend += [_line_entry(s.name, SCREEN_STRUCTURES[s.name], dashed=False) for s in present]
    if reference is not None:
        for structure in _lv_last(Structure):
            if structure.name in SCREEN_STRUCTURES and np.any(reference == structure):
                canvas.outline(reference == structure, SCREEN_STRUCTURES[structure.name], dashed=True)
        legend.append(_line_entry("reference", SCREEN_TEXT, dashed=True))

    if reference_box is not None:
        canvas.rectangle(reference_box, SCREEN_BOX, dashed=True)
        legend.append(_line_entry("reference box", SCREEN_BOX, dashed=True))
    if box is not None:
        canvas.rectangle(box, SCREEN_BOX, dashed=False)
        legend.append(_line_entry("box", SCREEN_BOX, dashed=False))

    if contact_line is not None and len(contact_line) > 1:
        canvas.polyline([(float(r), float(c)) for r, c in contact_line], SCREEN_CONTACT, thickness=3)
        legend.append(_line_entry("contact line", SCREEN_CONTACT, dashed=False))
    if reference_hinge_points is not None:
        canvas.dashed_line(reference_hinge_points.amvl, reference_hinge_points.pmvl, SCREEN_TEXT)
    if hinge_points is not None:
        canvas.polyline([hinge_points.amvl, hinge_points.pmvl], SCREEN_DIAMETER, thickness=3)
        legend.append(_line_entry("diameter", SCREEN_DIAMETER, dashed=False))
    if reference_hinge_points is not None:
        for point in (reference_hinge_points.amvl, reference_hinge_points.pmvl):
            canvas.cross(point, SCREEN_TEXT)
    if hinge_points is not None:
        canvas.disc(hinge_points.amvl, SCREEN_DIAMETER)
        canvas.disc(hinge_points.pmvl, SCREEN_DIAMETER)
        legend.append(_LegendEntry("hinge points", _legend_disc))
        canvas.text_beyond("aMVL", hinge_points.amvl, away_from=hinge_points.pmvl)
        canvas.text_beyond("pMVL", hinge_points.pmvl, away_from=hinge_points.amvl)
        if diameter_text:
            canvas.text_below(diameter_text, hinge_points.amvl, hinge_points.pmvl, SCREEN_DIAMETER)
    elif why_no_hinge_points is not None:
        legend.append(_LegendEntry(f"no hinge points: {why_no_hinge_points}", None))
    if reference_hinge_points is not None:
        legend.append(_LegendEntry("reference points", _legend_cross))
    return canvas.finished(legend)


def draw_live(measurement: Measurement, last: Frame | None = None) -> Picture:
    """One measurement of a stream: what `draw_overlay` draws of a prediction, and three lines of text below it.

    The lines say which frame it is, when it was taken and how many were dropped; the diameter and the calibrated one;
    whether to trust it. Diameter and last line are green where the tool stands by the measurement, red where it does
    not or where there is none, lilac and dashed where the points are predicted, yellow where nothing judges them.

    Args:
        measurement: any, failed ones as well.
        last: the last frame that could be had: it is drawn, darkened, where this one could not.

    Returns:
        (rows, cols, 3) uint8, red-green-blue. Frames of one size and pitch give pictures of one size; the longer side
        of the frame is 720 pixels in it.
    """
    frame = measurement.frame or last
    text, colour = _trust(measurement)
    if frame is None:
        canvas = _Canvas(3, 4, None, LIVE_SIDE_PX)
    else:
        canvas = _Canvas(frame.image.shape[0], frame.image.shape[1], frame.spacing_mm, LIVE_SIDE_PX)
        canvas.show_live(frame.image, 1.0 if measurement.frame is not None else FROZEN)
    if measurement.mask is not None:
        present = [s for s in Structure if s.name in SCREEN_STRUCTURES and np.any(measurement.mask == s)]
        for structure in _lv_last(present):
            canvas.outline(measurement.mask == structure, SCREEN_STRUCTURES[structure.name], dashed=False)
    if measurement.own is not None and measurement.own.box is not None:
        canvas.rectangle(measurement.own.box, SCREEN_BOX, dashed=False)
    line = measurement.contact_line
    if line is not None and len(line.points) > 1:
        canvas.polyline([(float(r), float(c)) for r, c in line.points], SCREEN_CONTACT, thickness=3)
    points = measurement.hinge_points
    if points is not None and frame is not None:
        if measurement.predicted:
            canvas.dashed_line(points.amvl, points.pmvl, colour)
        else:
            canvas.polyline([points.amvl, points.pmvl], colour, thickness=3)
        canvas.disc(points.amvl, colour)
        canvas.disc(points.pmvl, colour)
        canvas.text_beyond("aMVL", points.amvl, away_from=points.pmvl)
        canvas.text_beyond("pMVL", points.pmvl, away_from=points.amvl)
    when = "" if measurement.time_ms is None else f"   {measurement.time_ms / 1000:.2f} s"
    dropped = f"   dropped {measurement.dropped}" if measurement.dropped else ""
    return canvas.captioned(
        [
            (f"frame {measurement.index}{when}{dropped}", SCREEN_TEXT),
            (_diameters(measurement), SCREEN_TEXT if measurement.annulus_diameter is None else colour),
            (text, colour),
        ]
    )


def _diameters(measurement: Measurement) -> str:
    if measurement.annulus_diameter is None:
        return "no diameter"
    calibrated = measurement.calibrated
    also = "" if calibrated is None else f"   calibrated {calibrated.annulus_diameter:.1f}"
    return f"{measurement.annulus_diameter:.1f} {measurement.unit}{also}"


def _trust(measurement: Measurement) -> tuple[str, Colour]:
    """What is to be thought of the measurement, and its colour."""
    judgement = measurement.judgement
    abstained = judgement is not None and judgement.abstained
    if measurement.predicted:
        own = measurement.own
        if own is None:
            why = "frame missing"
        elif own.frame.hinge_points is None:
            why = measurement.status.replace("_", " ")
        else:
            why = "this frame's own not trusted" if abstained else "this frame's own does not fit"
        return f"predicted; {why}", SCREEN_PREDICTED
    if measurement.error is not None:
        return f"failed: {measurement.error}", SCREEN_DOUBT
    if abstained:
        return "DO NOT TRUST", SCREEN_DOUBT
    if measurement.hinge_points is None:
        return f"no hinge points: {measurement.status.replace('_', ' ')}", SCREEN_DOUBT
    if judgement is None or judgement.expected_error is None:
        return "not judged", SCREEN_DIAMETER
    return f"trusted, score {judgement.score:.2f}", SCREEN_TRUSTED


def _lv_last(structures: Iterable[Structure]) -> list[Structure]:
    """The LV goes last: where two structures meet, its border is the one that matters here."""
    return sorted(structures, key=lambda structure: structure is Structure.LV)


def _check_shapes(
    image: npt.NDArray[Any], prediction: npt.NDArray[np.uint8], reference: npt.NDArray[np.uint8] | None
) -> None:
    if image.ndim != 2 or image.size == 0:
        raise ValueError(f"`image` must be a non-empty (H, W) array. Received: shape {image.shape}")
    for name, labels in (("prediction", prediction), ("reference", reference)):
        if labels is not None and labels.shape != image.shape:
            raise ValueError(f"`{name}` must have the image's shape {image.shape}. Received: {labels.shape}")


class _LegendEntry:
    def __init__(self, text: str, symbol: Callable[["_Canvas", Picture, tuple[int, int]], None] | None) -> None:
        self.text = text
        self.symbol = symbol


class _Canvas:
    """The enlarged frame. Points come in native (row, col), pixel centres at integers; sizes scale with the frame."""

    def __init__(
        self, height: int, width: int, spacing_mm: tuple[float, float] | None, exact_side: int | None = None
    ) -> None:
        pitch_row, pitch_col = spacing_mm or (1.0, 1.0)
        finest = min(pitch_row, pitch_col)
        rows, cols = height * pitch_row / finest, width * pitch_col / finest
        zoom = exact_side / max(rows, cols) if exact_side else max(1.0, LONGER_SIDE_PX / max(rows, cols))
        self.rows, self.cols = max(1, round(rows * zoom)), max(1, round(cols * zoom))
        self.scale = (self.rows / height, self.cols / width)
        self.unit = max(self.rows, self.cols) / LONGER_SIDE_PX
        self.font = cv2.FontFace("sans")
        self.pixels: Picture = np.zeros((self.rows, self.cols, 3), np.uint8)

    def show(self, image: npt.NDArray[Any]) -> None:
        grey = np.nan_to_num(image.astype(np.float32), nan=0.0, posinf=0.0, neginf=0.0)
        low, high = float(grey.min()), float(np.percentile(grey, WHITEST_PERCENTILE))
        if high <= low:
            high = max(float(grey.max()), low + 1.0)
        grey = np.clip((grey - low) / (high - low), 0.0, 1.0)
        larger = cv2.resize(grey, (self.cols, self.rows), interpolation=cv2.INTER_CUBIC)
        levels = np.clip(larger * 255.0 + 0.5, 0, 255).astype(np.uint8)
        self.pixels = np.repeat(levels[:, :, np.newaxis], 3, axis=2)

    def show_live(self, image: npt.NDArray[np.float32], brightness: float) -> None:
        """Its grey levels as they are where 8 bits hold them, so that no frame flickers; else from least to most."""
        low, high = float(image.min()), float(image.max())
        if low >= 0 and high <= LIVE_GREY_MAX:
            low, high = 0.0, float(LIVE_GREY_MAX) if high > 1 else 1.0
        scale = brightness * LIVE_GREY_MAX / max(high - low, float(np.finfo(np.float32).tiny))
        levels = ((image - np.float32(low)) * np.float32(scale)).astype(np.uint8)
        larger = cv2.resize(levels, (self.cols, self.rows), interpolation=cv2.INTER_LINEAR)
        self.pixels = np.asarray(cv2.cvtColor(larger, cv2.COLOR_GRAY2RGB), np.uint8)

    def place(self, point: Point) -> tuple[float, float]:
        """Native (row, col) → drawn (x, y), pixel centres at integers on both grids."""
        return (point[1] + 0.5) * self.scale[1] - 0.5, (point[0] + 0.5) * self.scale[0] - 0.5

    def size(self, pixels: float) -> int:
        return max(1, round(pixels * self.unit))

    def outline(self, mask: npt.NDArray[np.bool_], colour: Colour, *, dashed: bool) -> None:
        larger = cv2.resize(mask.astype(np.float32), (self.cols, self.rows), interpolation=cv2.INTER_LINEAR)
        # A third of a native pixel rounds the staircase off and still leaves a structure one pixel wide.
        smooth = cv2.GaussianBlur(larger, (0, 0), sigmaX=self.scale[1] / 3, sigmaY=self.scale[0] / 3)
        contours, _ = cv2.findContours((smooth >= 0.5).astype(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
        for contour in contours:
            points = _smoothed(contour[:, 0, :].astype(np.float64), self.size(2.5))
            closed = np.concatenate([points, points[:1]])
            if dashed:
                red, green, blue = colour
                pale = ((red + 255) // 2, (green + 255) // 2, (blue + 255) // 2)
                self._stroke(_dashes(closed, DASH_PX * self.unit, GAP_PX * self.unit), pale, thickness=2, rim=False)
            else:
                self._stroke([closed], colour, thickness=3)

    def polyline(self, points: Sequence[Point], colour: Colour, thickness: float) -> None:
        self._stroke([np.array([self.place(p) for p in points])], colour, thickness)

    def dashed_line(self, start: Point, end: Point, colour: Colour) -> None:
        (x0, y0), (x1, y1) = self.place(start), self.place(end)
        steps = max(2, int(np.hypot(x1 - x0, y1 - y0)))
        line = np.stack([np.linspace(x0, x1, steps), np.linspace(y0, y1, steps)], axis=1)
        self._stroke(_dashes(line, DASH_PX * self.unit, GAP_PX * self.unit), colour, thickness=2, rim=False)

    def rectangle(self, box: Box, colour: Colour, *, dashed: bool) -> None:
        """A box given by pixel edges, which lie half a pixel beyond the centres that points are given by."""
        top, bottom, left, right = (edge - 0.5 for edge in box)
        corners = [(top, left), (top, right), (bottom, right), (bottom, left), (top, left)]
        if dashed:
            for start, end in pairwise(corners):
                self.dashed_line(start, end, colour)
        else:
            self.polyline(corners, colour, thickness=3)

    def disc(self, point: Point, colour: Colour) -> None:
        x, y = (round(v) for v in self.place(point))
        _disc(self.pixels, (x, y), self.size(9), colour)

    def cross(self, point: Point, colour: Colour) -> None:
        x, y = (round(v) for v in self.place(point))
        _cross(self.pixels, (x, y), self.size(11), colour, self.size(3))

    def text_beyond(self, text: str, point: Point, away_from: Point) -> None:
        """Text beside a hinge point, on the side away from the other one, so that it hides neither."""
        (x, y), (other_x, _) = self.place(point), self.place(away_from)
        width = self._text_width(text)
        left = x + self.size(18) if x >= other_x else x - self.size(18) - width
        self._text(text, left, y + self.size(0.9 * TEXT_PX), SCREEN_TEXT)

    def text_below(self, text: str, start: Point, end: Point, colour: Colour) -> None:
        (x0, y0), (x1, y1) = self.place(start), self.place(end)
        left = (x0 + x1 - self._text_width(text)) / 2
        self._text(text, left, max(y0, y1, (y0 + y1) / 2) + self.size(TEXT_PX + 14), colour)

    def finished(self, legend: Sequence[_LegendEntry]) -> Picture:
        """The frame with the legend in a strip below it, entries flowing into as many rows as they need."""
        symbol, gap, row_height = self.size(40), self.size(22), self.size(TEXT_PX + 14)
        places: list[tuple[int, int]] = []
        x, row = gap, 0
        for entry in legend:
            width = self._text_width(entry.text) + (symbol if entry.symbol else 0) + gap
            if x > gap and x + width > self.cols:
                x, row = gap, row + 1
            places.append((x, row))
            x += width
        strip = np.empty(((row + 1) * row_height + self.size(8), self.cols, 3), np.uint8)
        strip[:] = SCREEN_GROUND
        for entry, (left, at_row) in zip(legend, places, strict=True):
            middle = self.size(4) + at_row * row_height + row_height // 2
            if entry.symbol:
                entry.symbol(self, strip, (left, middle))
                left += symbol
            base = middle + round(0.35 * self.size(TEXT_PX))
            self._write(strip, entry.text, (left, base), SCREEN_TEXT, 420)
        return np.concatenate([self.pixels, strip])

    def captioned(self, lines: Sequence[tuple[str, Colour]]) -> Picture:
        """The frame with lines of text below it, each cut off where the picture ends."""
        size, left, row_height = self.size(LIVE_TEXT_PX), self.size(16), self.size(LIVE_TEXT_PX + 12)
        strip = np.empty((len(lines) * row_height + self.size(12), self.cols, 3), np.uint8)
        strip[:] = SCREEN_GROUND
        for row, (text, colour) in enumerate(lines):
            cv2.putText(strip, text, (left, self.size(6) + row * row_height + size), colour, self.font, size, 500)
        return np.concatenate([self.pixels, strip])

    def _stroke(
        self, lines: Sequence[npt.NDArray[np.float64]], colour: Colour, thickness: float, *, rim: bool = True
    ) -> None:
        """Anti-aliased lines at 1/16 pixel; the dark rim keeps them visible on bright tissue."""
        shift = 4
        fixed = [np.round(line * (1 << shift)).astype(np.int32)[:, np.newaxis, :] for line in lines if len(line) > 1]
        if not fixed:
            return
        width = self.size(thickness)
        if rim:
            cv2.polylines(self.pixels, fixed, False, BLACK, width + self.size(2), cv2.LINE_AA, shift)
        cv2.polylines(self.pixels, fixed, False, colour, width, cv2.LINE_AA, shift)

    def _text_width(self, text: str) -> int:
        size = self.size(TEXT_PX)
        return int(cv2.getTextSize((1 << 14, 1 << 14), text, (0, 0), self.font, size, 500)[2])

    def _text(self, text: str, left: float, base: float, colour: Colour) -> None:
        size, margin = self.size(TEXT_PX), self.size(4)
        x = round(min(max(left, margin), max(margin, self.cols - self._text_width(text) - margin)))
        y = round(min(max(base, size), self.rows - self.size(8)))
        rim = self.size(1.5)
        for dx in (-rim, 0, rim):
            for dy in (-rim, 0, rim):
                self._write(self.pixels, text, (x + dx, y + dy), BLACK, 500)
        self._write(self.pixels, text, (x, y), colour, 500)

    def _write(self, target: Picture, text: str, at: tuple[int, int], colour: Colour, weight: int) -> None:
        cv2.putText(target, text, at, colour, self.font, self.size(TEXT_PX), weight)


def _smoothed(closed: npt.NDArray[np.float64], sigma: float) -> npt.NDArray[np.float64]:
    """A closed line of (x, y) points, each averaged with its neighbours along the line by a Gaussian."""
    reach = int(4 * sigma + 0.5)
    kernel = cv2.getGaussianKernel(2 * reach + 1, sigma)[:, 0]
    around = np.pad(closed, ((reach, reach), (0, 0)), mode="wrap")
    return np.stack([np.convolve(around[:, axis], kernel, mode="valid") for axis in (0, 1)], axis=1)


def _dashes(line: npt.NDArray[np.float64], dash: float, gap: float) -> list[npt.NDArray[np.float64]]:
    """The dashes of a densely sampled line of (x, y) points."""
    steps = np.hypot(*np.diff(line, axis=0).T)
    along = np.concatenate([[0.0], np.cumsum(steps)])
    period = np.floor(along / (dash + gap)).astype(int)
    drawn = along % (dash + gap) < dash
    pieces = [line[drawn & (period == k)] for k in range(int(period[-1]) + 1)]
    return [piece for piece in pieces if len(piece) > 1]


def _line_entry(text: str, colour: Colour, *, dashed: bool) -> _LegendEntry:
    def symbol(canvas: _Canvas, strip: Picture, at: tuple[int, int]) -> None:
        (x, y), end = at, at[0] + canvas.size(30)
        if not dashed:
            cv2.line(strip, (x, y), (end, y), colour, canvas.size(3), cv2.LINE_AA)
            return
        for left in range(x, end, canvas.size(12)):
            cv2.line(strip, (left, y), (min(left + canvas.size(6), end), y), colour, canvas.size(2), cv2.LINE_AA)

    return _LegendEntry(text, symbol)


def _legend_disc(canvas: _Canvas, strip: Picture, at: tuple[int, int]) -> None:
    _disc(strip, (at[0] + canvas.size(15), at[1]), canvas.size(9), SCREEN_DIAMETER)


def _legend_cross(canvas: _Canvas, strip: Picture, at: tuple[int, int]) -> None:
    _cross(strip, (at[0] + canvas.size(15), at[1]), canvas.size(11), SCREEN_TEXT, canvas.size(3))


def _disc(target: Picture, centre: tuple[int, int], radius: int, colour: Colour) -> None:
    cv2.circle(target, centre, radius + 2, BLACK, cv2.FILLED, cv2.LINE_AA)
    cv2.circle(target, centre, radius, colour, cv2.FILLED, cv2.LINE_AA)


def _cross(target: Picture, centre: tuple[int, int], half: int, colour: Colour, thickness: int) -> None:
    x, y = centre
    for rim, ink in ((2, BLACK), (0, colour)):
        for dy in (-half, half):
            cv2.line(target, (x - half, y - dy), (x + half, y + dy), ink, thickness + rim, cv2.LINE_AA)
