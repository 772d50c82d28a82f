"""A network with its preprocessing in front and the way back behind, as one TensorFlow graph: raw frames in, of any
size, probabilities on their own grid out.

The same geometry as `data_pipeline.preprocess`: pixel-centre aligned, area averaging where an axis shrinks and linear
where it grows, one scale of intensities per frame. Here both are written as weights, because TensorFlow's own resizes
average by another rule (`antialias`) and place pixels in float32.
"""

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from cart.measure import BOX, FIRST_PROBABILITIES, PROBABILITIES, MeasurementSpec
from data_pipeline.preprocess import FLAT, GREY_LEVELS

FRAMES, SPACING = "frames", "spacing_mm"
"""Inputs of the signature: frames (n, H, W, 1) uint8; pixel pitch (2,) float64, where the network sees so many mm."""

OUTPUTS = (PROBABILITIES, FIRST_PROBABILITIES, BOX)
"""What it gives of a network's outputs; others (the classes inside LU-Net's box) lie on no grid of the frame."""

Network = Callable[[Any], dict[str, Any]]
"""Preprocessed images (n, h, w, 1) float32 → the network's outputs by name."""


def why_not_raw(spec: MeasurementSpec) -> str | None:
    """Why a network's preprocessing cannot be part of the graph; None where it can."""
    if spec.oracle is not None:
        return "the network sees frames cropped to the box of their reference, and a new frame has none"
    if spec.preprocessing.clahe:
        return "the recipe equalises each frame (CLAHE) before the network sees it, which the graph does not do"
    if spec.preprocessing.normalise not in ("unit", "minmax", "zscore"):
        return f"the recipe normalises by {spec.preprocessing.normalise}, which the graph does not do"
    return None


def raw_function(network: Network, spec: MeasurementSpec) -> Any:
    """`function(frames)`, or `function(frames, spacing_mm)` of a network that sees so many millimetres.

    Args:
        network: takes the grid of `spec.preprocessing`.
        spec: of that network; `why_not_raw` has nothing against it.

    Returns:
        A function of frames (n, H, W, 1) uint8 of any one size, and of their pixel pitch (2,) float64 (row, column) mm
        where `spec.crop_mm` is set. It gives `OUTPUTS` of the network by name: classes of each pixel (n, H, W, classes)
        on the frames' own grid, background outside what the network saw; a box (n, 4) as (row_min, row_max, col_min,
        col_max) pixel edges of the frames' own grid.
    """
    frames = tf.TensorSpec((None, None, None, 1), tf.uint8, name=FRAMES)
    crop_mm = spec.crop_mm
    if crop_mm is None:
        return tf.function(lambda frames: _native_outputs(network, spec, frames, None), input_signature=[frames])
    return tf.function(
        lambda frames, spacing_mm: _native_outputs(network, spec, frames, crop_mm / spacing_mm / 2),
        input_signature=[frames, tf.TensorSpec((2,), tf.float64, name=SPACING)],
    )


def _native_outputs(network: Network, spec: MeasurementSpec, frames: Any, half: Any) -> dict[str, Any]:
    """The signature's body; `half` is half a side of the square that the network sees, pixels, or None: the whole."""
    sides = tf.shape(frames)[1:3]
    native = tf.cast(sides, tf.float64)
    if half is None:
        start, end = tf.zeros_like(native), native
    else:  # the square in the middle of the frame, as on the cart
        start, end = native / 2 - half, native / 2 + half
    outputs = network(_preprocessed(frames, spec, sides, start, end))
    return {
        name: _native_box(output, start, end) if name == BOX else _restored(output, sides, start, end)
        for name, output in outputs.items()
        if name in OUTPUTS
    }


def _preprocessed(frames: Any, spec: MeasurementSpec, sides: Any, start: Any, end: Any) -> Any:
    """(n, H, W, 1) uint8 → (n, h, w, 1) float32, as `preprocess_image` does it."""
    values = tf.cast(frames[..., 0], tf.float32)
    grid = spec.preprocessing
    highest = tf.reduce_max(values, axis=(1, 2), keepdims=True)
    if grid.normalise == "minmax":
        lowest = tf.reduce_min(values, axis=(1, 2), keepdims=True)
        unit = tf.math.divide_no_nan(values - lowest, highest - lowest)
    else:
        unit = tf.where(highest <= 1, values, values / (GREY_LEVELS - 1))
    rows = _weights(start[0], end[0], grid.height, sides[0])
    columns = _weights(start[1], end[1], grid.width, sides[1])
    resized = tf.matmul(tf.matmul(rows, unit), columns, transpose_b=True)
    if grid.normalise == "zscore":
        exact = tf.cast(resized, tf.float64)
        centred = exact - tf.reduce_mean(exact, axis=(1, 2), keepdims=True)
        deviation = tf.sqrt(tf.reduce_mean(centred**2, axis=(1, 2), keepdims=True))
        resized = tf.cast(tf.math.divide_no_nan(centred, tf.where(deviation > FLAT, deviation, 0)), tf.float32)
    return tf.expand_dims(resized, -1)


def _weights(start: Any, end: Any, count: int, side: Any) -> Any:
    """(count, side) float32: what each native pixel of a side gives to each of `count` pixels between two edges."""
    pixels, length = tf.range(tf.cast(side, tf.float64), dtype=tf.float64), end - start
    edges = (start + tf.range(count + 1, dtype=tf.float64) * length / count)[:, tf.newaxis]
    covered = tf.minimum(edges[1:], pixels + 1) - tf.maximum(edges[:-1], pixels)
    area = tf.maximum(covered, 0) * count / length
    centres = (start + (tf.range(count, dtype=tf.float64) + 0.5) * length / count - 0.5)[:, tf.newaxis]
    last = tf.cast(side, tf.float64) - 1
    inside = (centres >= -0.5 - FLAT) & (centres <= last + 0.5 + FLAT)
    linear = tf.maximum(1 - tf.abs(tf.clip_by_value(centres, 0, last) - pixels), 0)
    return tf.cast(tf.where(length > count, area, tf.where(inside, linear, 0)), tf.float32)


def _restored(values: Any, sides: Any, start: Any, end: Any) -> Any:
    """(n, h, w, classes) → (n, H, W, classes), as `restore_probabilities` does it: columns first, like OpenCV."""
    columns, column_seen = _between(values, 2, sides[1], start[1], end[1])
    restored, row_seen = _between(columns, 1, sides[0], start[0], end[0])
    seen = (row_seen[:, tf.newaxis] & column_seen)[..., tf.newaxis]
    background = tf.one_hot(0, values.shape[-1])
    return tf.where(seen, restored, background)


def _between(values: Any, axis: int, side: Any, start: Any, end: Any) -> tuple[Any, Any]:
    """Linear interpolation at the centres of a side's native pixels, and which of them lie between the edges."""
    count = values.shape[axis]
    centres = tf.range(tf.cast(side, tf.float64), dtype=tf.float64) + 0.5
    position = tf.clip_by_value((centres - start) * count / (end - start) - 0.5, 0, count - 1)
    before = tf.floor(position)
    share = tf.reshape(tf.cast(position - before, tf.float32), [-1] + [1] * (3 - axis))
    first = tf.cast(before, tf.int32)
    lower = tf.gather(values, first, axis=axis)
    upper = tf.gather(values, tf.minimum(first + 1, count - 1), axis=axis)
    return lower * (1 - share) + upper * share, (centres >= start) & (centres <= end)


def _native_box(shares: Any, start: Any, end: Any) -> Any:
    """(n, 4) shares of what the network saw → pixel edges of the frame."""
    first, length = (tf.repeat(tf.cast(values, tf.float32), 2) for values in (start, end - start))
    return first + shares * length
