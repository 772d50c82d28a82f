"""The one preprocessing of training, evaluation and cart: native frame → network grid, and probabilities back.

NumPy and OpenCV only, deterministic. Every resize is pixel-centre aligned: network pixel `i` of `h` lies at native
position `(i + 1/2) · H/h − 1/2`, for image, labels and the way back, so nothing shifts by half a pixel.

Instead of the whole frame a network may see a region of it: a box by its pixel edges, anywhere, even partly beyond the
frame. What is beyond is 0 in the image and background in the labels; on the way back, what the network did not see is
background.
"""

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

import cv2
import numpy as np
import numpy.typing as npt

from data_pipeline.sample import Point
from shell.errors import UserError

Normalise = Literal["unit", "minmax", "zscore"]

Region = tuple[float, float, float, float]
"""(row_min, row_max, col_min, col_max), pixel edges, native grid: the whole frame is (0, H, 0, W)."""

GREY_LEVELS = 256
FLAT = 1e-6  # a standard deviation, on the 0..1 scale, that is only rounding: the frame is constant


@dataclass(frozen=True)
class Preprocessing:
    """What is done to every frame before a network sees it.

    Attributes:
        height, width: the network's grid, pixels.
        normalise: `unit` brings intensities to 0..1 (see `preprocess_image`), `zscore` then brings each frame to
            mean 0 and standard deviation 1. `minmax` brings every frame's own minimum to 0 and its maximum to 1.
        clahe: contrast-limited adaptive histogram equalisation on the native grid, before the resize.
        clahe_clip_limit: largest bin of a tile's histogram, as a multiple of the mean bin.
        clahe_tiles: tiles per side, at most the pixels of the shorter side of a frame.

    Raises:
        ValueError: a size or tile count below 1, a clip limit that is not positive, an unknown `normalise`.
    """

    height: int
    width: int
    normalise: Normalise = "unit"
    clahe: bool = False
    clahe_clip_limit: float = 2.0
    clahe_tiles: int = 8

    def __post_init__(self) -> None:
        for name in ("height", "width", "clahe_tiles"):
            value = getattr(self, name)
            if not isinstance(value, int) or value < 1:
                raise ValueError(f"`{name}` must be a whole number of at least 1. Received: {value!r}")
        if self.normalise not in get_args(Normalise):
            known = ", ".join(get_args(Normalise))
            raise ValueError(f"`normalise` must be one of {known}. Received: {self.normalise!r}")
        if not (math.isfinite(self.clahe_clip_limit) and self.clahe_clip_limit > 0):
            raise ValueError(f"`clahe_clip_limit` must be positive and finite. Received: {self.clahe_clip_limit!r}")

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Preprocessing":
        """The inverse of `to_dict`.

        Raises:
            ValueError: a field is unknown, missing or out of range.
        """
        known = {field.name for field in dataclasses.fields(cls)}
        required = {field.name for field in dataclasses.fields(cls) if field.default is dataclasses.MISSING}
        if not required <= set(values) <= known:
            raise ValueError(
                f"`preprocessing` must have the fields {', '.join(sorted(required))} and may have "
                f"{', '.join(sorted(known - required))}. Received: {', '.join(sorted(values)) or 'none'}"
            )
        return cls(**values)


def preprocess_image(
    image: npt.NDArray[np.float32], preprocessing: Preprocessing, region: Region | None = None
) -> npt.NDArray[np.float32]:
    """A frame, or a region of it, on the network's grid, normalised.

    The scale of intensities is judged from the frame itself: values within 0..1 are taken as they are; otherwise
    values within 0..255 are 8-bit and divided by 255; any other range (10 to 16 bit, signed, decibel) is mapped by
    the frame's own minimum and maximum. `minmax` does the last of every frame: MR has no scale of its own, and a dim
    slice of 12 bits is no slice of 8. A constant frame becomes 0 under `zscore` and `minmax`. Scale and equalisation
    are the whole frame's, whatever the region, so that a grey level means the same in every region of it.

    Args:
        image: (H, W), the file's own intensities, native grid.
        preprocessing: what to do.
        region: what the network shall see; None: the whole frame.

    Returns:
        (height, width) float32.

    Raises:
        ValueError: not two-dimensional, empty, not finite, or smaller than the CLAHE tiles; a region without extent.

    Source: hinge_points paper §3.2 (resize to 256 × 256, intensities to 0..1). Deviation: the paper does not state
        its interpolation; here area averaging where an axis shrinks and linear where it grows.
    """
    own_range = preprocessing.normalise == "minmax"
    unit = _to_unit(_checked_frame(image, "image").astype(np.float32, copy=False), own_range=own_range)
    if preprocessing.clahe:
        unit = _clahe(unit, preprocessing.clahe_clip_limit, preprocessing.clahe_tiles)
    if region is None:
        resized = _resize_image(unit, preprocessing.height, preprocessing.width)
    else:
        resized = _resample_image(unit, preprocessing.height, preprocessing.width, _checked_region(region))
    if preprocessing.normalise == "zscore":
        deviation = float(resized.std(dtype=np.float64))
        scale = 1 / deviation if deviation > FLAT else 0.0
        resized = (resized - resized.mean(dtype=np.float64)) * scale
    return np.ascontiguousarray(resized, dtype=np.float32)


def preprocess_labels(
    labels: npt.NDArray[np.uint8], preprocessing: Preprocessing, region: Region | None = None
) -> npt.NDArray[np.uint8]:
    """A label map, or a region of it, on the network's grid: the nearest label, aligned with `preprocess_image`.

    Args:
        labels: (H, W) uint8, native grid.
        preprocessing: gives the network's grid.
        region: what the network shall see; None: the whole frame.

    Returns:
        (height, width) uint8; no label that was not there before, and 0 beyond the frame.

    Raises:
        ValueError: not two-dimensional, empty, or not uint8; a region without extent.
    """
    if labels.dtype != np.uint8:
        raise ValueError(f"`labels` must be uint8. Received: {labels.dtype}")
    if region is not None:
        top, bottom, left, right = _checked_region(region)
        rows = _nearest(top, bottom, preprocessing.height)
        cols = _nearest(left, right, preprocessing.width)
        height, width = _checked_frame(labels, "labels").shape
        nearest = labels[np.clip(rows, 0, height - 1)[:, np.newaxis], np.clip(cols, 0, width - 1)]
        nearest[(rows < 0) | (rows >= height)] = 0
        nearest[:, (cols < 0) | (cols >= width)] = 0
        return nearest
    size = (preprocessing.width, preprocessing.height)
    return cv2.resize(_checked_frame(labels, "labels"), size, interpolation=cv2.INTER_NEAREST_EXACT).astype(np.uint8)


def restore_probabilities(
    probabilities: npt.NDArray[np.float32], native_shape: tuple[int, int], region: Region | None = None
) -> npt.NDArray[np.float32]:
    """Probabilities on the frame's own grid: the way back of `preprocess_image`, bilinear.

    Args:
        probabilities: (h, w, C), network grid, the background's first.
        native_shape: (H, W) of the frame.
        region: what the network saw; None: the whole frame.

    Returns:
        (H, W, C) float32; they sum to 1 over C where the input does. Pixels whose centre is outside the region are
        background: 1, and 0 for every other class.

    Raises:
        ValueError: not three-dimensional, empty, or a native side below 1; a region without extent.
    """
    if probabilities.ndim != 3 or probabilities.size == 0:
        raise ValueError(f"`probabilities` must have shape (h, w, C), none of them 0. Received: {probabilities.shape}")
    height, width = native_shape
    if height < 1 or width < 1:
        raise ValueError(f"`native_shape` must be two sides of at least 1. Received: {native_shape}")
    source = np.ascontiguousarray(probabilities, dtype=np.float32)
    if region is not None:
        return _restore_region(source, (height, width), _checked_region(region))
    restored = cv2.resize(source, (width, height), interpolation=cv2.INTER_LINEAR)
    return restored.reshape(height, width, probabilities.shape[2]).astype(np.float32, copy=False)


def square_around(
    centre: Point | None, native_shape: tuple[int, int], spacing_mm: tuple[float, float] | None, side_mm: float
) -> Region:
    """A square of so many millimetres in a frame; where it reaches beyond the frame, that is what the region does.

    Args:
        centre: (row, col), pixel centres at integers; None: the middle of the frame.
        native_shape: (H, W) of the frame.
        spacing_mm: (row, col) pixel pitch.
        side_mm: of the square.

    Raises:
        UserError: the pixel pitch is not known.
        ValueError: a side that is not finite and positive.
    """
    if not (math.isfinite(side_mm) and side_mm > 0):
        raise ValueError(f"`side_mm` must be finite and positive. Received: {side_mm}")
    if spacing_mm is None:
        raise UserError(
            f"this network sees {side_mm:g} mm around the heart, so the pixel pitch must be known, and the file does "
            "not say it; give --spacing-mm, or write it into the file"
        )
    middles = centre or tuple((side - 1) / 2 for side in native_shape)
    (top, bottom), (left, right) = (
        (middle + 0.5 - side_mm / pitch / 2, middle + 0.5 + side_mm / pitch / 2)
        for middle, pitch in zip(middles, spacing_mm, strict=True)
    )
    return top, bottom, left, right


def _restore_region(
    source: npt.NDArray[np.float32], native_shape: tuple[int, int], region: Region
) -> npt.NDArray[np.float32]:
    (height, width), (rows, cols, classes) = native_shape, source.shape
    top, bottom, left, right = region
    seen_rows, seen_cols = _centres_within(top, bottom, height), _centres_within(left, right, width)
    # on the network's grid, seen from the region: the native frame is a region of it
    down = _linear_weights(*_seen_from(top, bottom, rows, seen_rows), len(seen_rows), rows)
    across = _linear_weights(*_seen_from(left, right, cols, seen_cols), len(seen_cols), cols)
    restored = np.zeros((height, width, classes), np.float32)
    restored[..., 0] = 1
    if len(seen_rows) and len(seen_cols):
        narrow = (down @ source.reshape(rows, cols * classes)).reshape(len(seen_rows), cols, classes)
        restored[seen_rows[0] : seen_rows[-1] + 1, seen_cols[0] : seen_cols[-1] + 1] = across @ narrow
    return restored


def _centres_within(start: float, end: float, side: int) -> range:
    """Native pixels of a side whose centres lie within two edges."""
    return range(max(0, math.ceil(start - 0.5)), min(side, math.floor(end - 0.5) + 1))


def _seen_from(start: float, end: float, count: int, pixels: range) -> tuple[float, float]:
    """The outer edges of native pixels on the grid of `count` pixels that a region was resampled to."""
    scale = count / (end - start)
    return (pixels.start - start) * scale, (pixels.stop - start) * scale


def _checked_region(region: Region) -> Region:
    top, bottom, left, right = region
    if not (all(math.isfinite(edge) for edge in region) and bottom > top and right > left):
        raise ValueError(
            "`region` must be (row_min, row_max, col_min, col_max), finite, each max beyond its min. "
            f"Received: {tuple(float(edge) for edge in region)}"
        )
    return region


def _checked_frame(frame: npt.NDArray[Any], name: str) -> npt.NDArray[Any]:
    if frame.ndim != 2 or frame.size == 0:
        raise ValueError(f"`{name}` must have shape (H, W), both at least 1. Received: {frame.shape}")
    return frame


def _to_unit(image: npt.NDArray[np.float32], *, own_range: bool = False) -> npt.NDArray[np.float32]:
    low, high = float(image.min()), float(image.max())
    if not (math.isfinite(low) and math.isfinite(high)):
        raise ValueError(f"`image` must be finite. Received: values from {low} to {high}")
    if low >= 0 and high <= 1 and not own_range:
        return image
    if low >= 0 and high <= GREY_LEVELS - 1 and not own_range:
        return image / np.float32(GREY_LEVELS - 1)
    return (image - np.float32(low)) / np.float32(max(high - low, np.finfo(np.float32).tiny))


def _clahe(unit: npt.NDArray[np.float32], clip_limit: float, tiles: int) -> npt.NDArray[np.float32]:
    """Equalises a 0..1 frame tile by tile: histograms of 256 levels, clipped, as curves blended between tile centres.

    Only the histogram's levels are quantised, the result is not. OpenCV's own would be: on 8 bits to 256 levels, and on
    16 bits it spreads the histogram over 65536 bins, where the clip limit loses its meaning.

    Source: Zuiderveld, Contrast limited adaptive histogram equalization, Graphics Gems IV, 1994.
    """
    height, width = unit.shape
    if tiles > min(height, width):
        raise ValueError(f"`clahe_tiles` must not exceed a side of the frame, {height} × {width}. Received: {tiles}")
    levels = np.rint(unit * np.float32(GREY_LEVELS - 1)).astype(np.intp)
    tile_row, tile_column = (np.arange(side) * tiles // side for side in (height, width))
    tile = tile_row[:, np.newaxis] * tiles + tile_column
    counts = np.bincount((tile * GREY_LEVELS + levels).ravel(), minlength=tiles * tiles * GREY_LEVELS)
    histograms = counts.reshape(-1, GREY_LEVELS) / np.bincount(tile.ravel())[:, np.newaxis]
    clipped = np.minimum(histograms, clip_limit / GREY_LEVELS)
    clipped += (1 - clipped.sum(axis=1, keepdims=True)) / GREY_LEVELS
    curves = np.cumsum(clipped, axis=1).astype(np.float32).ravel()

    def neighbours(side: int) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp], npt.NDArray[np.float32]]:
        position = np.clip((np.arange(side) + 0.5) * tiles / side - 0.5, 0, tiles - 1)
        before = np.floor(position).astype(np.intp)
        return before, np.minimum(before + 1, tiles - 1), (position - before).astype(np.float32)

    above, below, down = neighbours(height)
    left, right, across = neighbours(width)

    def read(row: npt.NDArray[np.intp], column: npt.NDArray[np.intp]) -> npt.NDArray[np.float32]:
        return curves[(row[:, np.newaxis] * tiles + column) * GREY_LEVELS + levels]

    top = read(above, left) * (1 - across) + read(above, right) * across
    bottom = read(below, left) * (1 - across) + read(below, right) * across
    return np.minimum(top + (bottom - top) * down[:, np.newaxis], 1)


def _resize_image(image: npt.NDArray[np.float32], height: int, width: int) -> npt.NDArray[np.float32]:
    """Axis by axis, because OpenCV's area averaging is only one where both axes shrink."""
    rows = cv2.INTER_AREA if height < image.shape[0] else cv2.INTER_LINEAR
    columns = cv2.INTER_AREA if width < image.shape[1] else cv2.INTER_LINEAR
    image = cv2.resize(image, (image.shape[1], height), interpolation=rows)  # type: ignore[assignment]
    return cv2.resize(image, (width, height), interpolation=columns).astype(np.float32, copy=False)


def _resample_image(image: npt.NDArray[np.float32], height: int, width: int, region: Region) -> npt.NDArray[np.float32]:
    """A region resampled as `_resize_image` resizes the whole: area averaging or linear, axis by axis."""
    top, bottom, left, right = region
    rows = _area_weights if bottom - top > height else _linear_weights
    columns = _area_weights if right - left > width else _linear_weights
    resampled = rows(top, bottom, height, image.shape[0]) @ image @ columns(left, right, width, image.shape[1]).T
    return resampled.astype(np.float32, copy=False)


def _area_weights(start: float, end: float, count: int, side: int) -> npt.NDArray[np.float32]:
    """(count, side) the share of each of `count` pixels between two edges that lies on each native pixel."""
    edges = np.linspace(start, end, count + 1)[:, np.newaxis]
    pixels = np.arange(side)
    covered = np.minimum(edges[1:], pixels + 1) - np.maximum(edges[:-1], pixels)
    return (np.maximum(covered, 0) * (count / (end - start))).astype(np.float32)


def _linear_weights(start: float, end: float, count: int, side: int) -> npt.NDArray[np.float32]:
    """(count, side) of linear interpolation at the centres of `count` pixels between two edges.

    A centre within half a pixel of the native frame's edge takes the edge pixel's value; one beyond takes none.
    """
    centres = start + (np.arange(count) + 0.5) * (end - start) / max(count, 1) - 0.5
    inside = (centres >= -0.5 - FLAT) & (centres <= side - 0.5 + FLAT)
    centres = np.clip(centres, 0, side - 1)[:, np.newaxis]
    weights = np.maximum(1 - np.abs(centres - np.arange(side)), 0)
    return (weights * inside[:, np.newaxis]).astype(np.float32)


def _nearest(start: float, end: float, count: int) -> npt.NDArray[np.intp]:
    """The native pixel, in the frame or not, on which the centre of each of `count` pixels between two edges lies."""
    return np.floor(start + (np.arange(count) + 0.5) * (end - start) / count).astype(np.intp)
