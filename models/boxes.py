"""Boxes in a frame, cropping to one and coming back, with `keras.ops` alone and differentiable in the box.

A box is (row_min, row_max, col_min, col_max) in shares of the frame's height and width, at pixel *edges*: the whole
frame is (0, 1, 0, 1), and the centre of pixel i of h lies at (i + 0.5) / h. A box may reach beyond the frame.

Cropping is bilinear and axis-aligned, so it is two small matrices of hat functions, max(0, 1 − |u − i|), one for the
rows and one for the columns: no gather, which XLA and TFLite take as they are. Everything is float32 (Keras'
`floatx`) whatever the precision of the network: a bfloat16 coordinate is off by more than a pixel.
"""

from collections.abc import Sequence

from keras import KerasTensor, ops
from keras.config import floatx

WHOLE_FRAME = (0.0, 1.0, 0.0, 1.0)
"""The box that is the frame itself."""
MINIMUM_SIDE = 0.1
"""Of a box that is cropped to, as a share of the frame. ASSUMED: a tenth, below the smallest left ventricle."""
REACH = 0.5
"""How far beyond the frame a box that is cropped to may lie, as a share of the frame. ASSUMED."""


def reference_box(one_hot: KerasTensor, channels: Sequence[int], margin: float) -> tuple[KerasTensor, KerasTensor]:
    """The minimal box of the union of some structures, with a margin.

    Args:
        one_hot: (N, h, w, C) reference.
        channels: the structures' channels.
        margin: added on each side: to the rows this share of the box's height, to the columns of its width.

    Returns:
        (N, 4) box; (N,) 1.0 where the frame has one of the structures, else 0.0 (the box is then the whole frame).

    Source: lu_net paper §III-B item 1. Deviation: the text adds m·h to x and m·w to y; here the margin of the rows is
    a share of the height and that of the columns of the width.
    """
    union = ops.max(ops.stack([one_hot[..., channel] for channel in channels], axis=-1), axis=-1) > 0.5
    row_min, row_max = _first_and_last_edge(ops.any(union, axis=2))
    col_min, col_max = _first_and_last_edge(ops.any(union, axis=1))
    is_valid = ops.any(union, axis=(1, 2))
    row_margin, col_margin = margin * (row_max - row_min), margin * (col_max - col_min)
    box = ops.stack([row_min - row_margin, row_max + row_margin, col_min - col_margin, col_max + col_margin], axis=-1)
    box = ops.where(ops.expand_dims(is_valid, -1), box, ops.convert_to_tensor([WHOLE_FRAME], dtype=floatx()))
    return box, ops.cast(is_valid, floatx())


def cropping_box(box: KerasTensor, *, minimum_side: float = MINIMUM_SIDE, reach: float = REACH) -> KerasTensor:
    """The box that is cropped to: a proposed one kept from vanishing, from turning over and from leaving the frame.

    A proposal that is a sensible box comes back unchanged, with its gradient. One that is smaller than `minimum_side`
    (or whose edges are exchanged) grows about its centre.

    Args:
        box: (N, 4) as a network proposes it.
        minimum_side: smallest height and width, share of the frame.
        reach: edges lie between −reach and 1 + reach.

    Returns:
        (N, 4) float32.
    """
    box = ops.clip(ops.cast(box, floatx()), -reach, 1.0 + reach)
    edges = []
    for low, high in ((box[:, 0], box[:, 1]), (box[:, 2], box[:, 3])):
        lacking = ops.relu(minimum_side - (high - low)) / 2
        edges += [low - lacking, high + lacking]
    return ops.stack(edges, axis=-1)


def crop(images: KerasTensor, box: KerasTensor, size: tuple[int, int]) -> KerasTensor:
    """What lies inside a box, resampled onto a grid: A_y · image · A_xᵀ with two matrices of hat functions.

    With the box (0, 1, 0, 1) and the image's own size it is the identity. What lies beyond the frame is 0. It
    interpolates between the four nearest pixels, so a crop coarser than the frame skips pixels: nothing is averaged.

    Args:
        images: (N, h, w, C).
        box: (N, 4), not empty.
        size: (height, width) of the crop.

    Returns:
        (N, *size, C) float32, differentiable in images and box.

    Source: lu_net paper §III-B item 3 ("bilinear differentiable sampling").
    """
    height, width = images.shape[1], images.shape[2]
    rows = _pixels_of_crop(box[:, 0:1], box[:, 1:2], height, size[0])
    cols = _pixels_of_crop(box[:, 2:3], box[:, 3:4], width, size[1])
    return _resample(images, _hats(rows, height), _hats(cols, width))


def crop_one_hot(one_hot: KerasTensor, box: KerasTensor, size: tuple[int, int]) -> KerasTensor:
    """`crop` of a reference or of probabilities: what lies beyond the frame is background (channel 0).

    Returns:
        (N, *size, C) float32, summing to 1 over the last axis where the input does.
    """
    return _with_background(crop(one_hot, box, size))


def uncrop(crops: KerasTensor, box: KerasTensor, size: tuple[int, int]) -> KerasTensor:
    """Probabilities on a box's grid brought back to the frame: `crop` with the inverse box.

    Args:
        crops: (N, a, b, C) probabilities, channel 0 the background.
        box: (N, 4), not empty: where the crops come from.
        size: (height, width) of the frame.

    Returns:
        (N, *size, C) float32 probabilities; outside the box the background has 1. At its edge the structures fade out
        over one pixel of the crop.

    Source: lu_net paper §III-B item 3 ("returned to the original coordinate system").
    """
    height, width = crops.shape[1], crops.shape[2]
    rows = _pixels_of_frame(box[:, 0:1], box[:, 1:2], size[0], height)
    cols = _pixels_of_frame(box[:, 2:3], box[:, 3:4], size[1], width)
    return _with_background(_resample(crops, _hats(rows, height), _hats(cols, width)))


def _first_and_last_edge(occupied: KerasTensor) -> tuple[KerasTensor, KerasTensor]:
    """(N, n) bool → the edges before the first and after the last occupied pixel, shares of n: (N,) each."""
    count = occupied.shape[1]
    index = ops.arange(count, dtype=floatx())
    first = ops.min(ops.where(occupied, index, float(count)), axis=1)
    last = ops.max(ops.where(occupied, index + 1.0, 0.0), axis=1)
    return first / count, last / count


def _pixels_of_crop(low: KerasTensor, high: KerasTensor, frame: int, crop: int) -> KerasTensor:
    """Where the crop's pixel centres lie among the frame's, one axis: (N, 1) edges → (N, crop).

    The order of operations makes it exactly 0, 1, 2, … for the whole frame at its own size.
    """
    # here and below `ops`, not an operator: JAX' arrays on the left of one refuse Keras' symbolic tensors
    centres = ops.arange(crop, dtype=floatx()) + 0.5
    return low * frame + ops.multiply(centres, (high - low) * (frame / crop)) - 0.5


def _pixels_of_frame(low: KerasTensor, high: KerasTensor, frame: int, crop: int) -> KerasTensor:
    """Where the frame's pixel centres lie among the crop's, one axis: (N, 1) edges → (N, frame)."""
    centres = ops.arange(frame, dtype=floatx()) + 0.5
    return ops.subtract(centres, low * frame) * ((crop / frame) / (high - low)) - 0.5


def _hats(positions: KerasTensor, count: int) -> KerasTensor:
    """Weights of linear interpolation between `count` pixels: (N, m) positions → (N, m, count)."""
    pixels = ops.arange(count, dtype=floatx())
    return ops.relu(1.0 - ops.abs(ops.expand_dims(positions, -1) - pixels))


def _resample(images: KerasTensor, rows: KerasTensor, cols: KerasTensor) -> KerasTensor:
    """One matrix product from each side, for every channel: rows · image · colsᵀ.

    Args:
        images: (N, h, w, C).
        rows: (N, a, h).
        cols: (N, b, w).

    Returns:
        (N, a, b, C) float32.
    """
    planes = ops.transpose(ops.cast(images, floatx()), (0, 3, 1, 2))
    transposed = ops.expand_dims(ops.transpose(cols, (0, 2, 1)), 1)
    planes = ops.matmul(ops.matmul(ops.expand_dims(rows, 1), planes), transposed)
    return ops.transpose(planes, (0, 2, 3, 1))


def _with_background(probabilities: KerasTensor) -> KerasTensor:
    """Gives to channel 0 what is lacking to a sum of 1 over the channels."""
    structures = probabilities[..., 1:]
    return ops.concatenate([1.0 - ops.sum(structures, axis=-1, keepdims=True), structures], axis=-1)
