"""Random changes of a batch of frames and their labels together, as TensorFlow operations on whole batches.

Geometry (flip, rotation, scale, translation, elastic) is one resampling: a grid of source positions, read linearly for
the image and by the nearest pixel for the labels, black and BACKGROUND outside. Intensity follows, on the 0..1 grey
scale: gamma, contrast, brightness, blur, sector shadow, noise. An option that is zero costs nothing and, as each
option has its own random stream, changes nothing about the others.

Every result is a function of the arguments alone: the same seed gives the same batch.
"""

import math
from typing import Protocol

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from data_pipeline.preprocess import FLAT, Normalise

ELASTIC_CELLS = 8  # control points per side of the displacement field
ELASTIC_MARGIN = 3  # control points beyond each border, so that the field is as lively there

SHADOW_CENTRE_DEGREES = 40.0  # shadows lie within ± this of the vertical
SHADOW_HALF_WIDTH_DEGREES = (2.0, 10.0)
SHADOW_EDGE_DEGREES = 2.0  # from full light to full shadow
SHADOW_START = (0.0, 0.5)  # distance from the probe at which it begins, as a share of the height
SHADOW_RAMP = 0.05  # share of the height over which it sets in
SHADOW_STRENGTH = (0.3, 0.95)  # share of the grey level that it takes away

LARGEST = {
    "flip": 1.0,
    "rotation_degrees": math.inf,
    "scale": 1.0,
    "translation": 1.0,
    "elastic_px": math.inf,
    "gamma": math.inf,
    "brightness": math.inf,
    "contrast": 1.0,
    "blur_px": math.inf,
    "noise": math.inf,
    "sector_shadow": 1.0,
}

# One random stream per draw.
FLIP, ROTATION, SCALE, TRANSLATION, ELASTIC, GAMMA, BRIGHTNESS, CONTRAST, BLUR, NOISE, NOISE_LEVEL = range(11)
SHADOW, SHADOW_CENTRE, SHADOW_WIDTH, SHADOW_BEGIN, SHADOW_DEPTH = range(11, 16)


class AugmentOptions(Protocol):
    """The options, as `recipes.base.Augmentation` has them and explains them. Zero (or False) switches one off."""

    @property
    def flip(self) -> bool:
        """Mirror left-right with probability 1/2."""
        ...

    @property
    def rotation_degrees(self) -> float:
        """Rotation drawn from ± this."""
        ...

    @property
    def scale(self) -> float:
        """Zoom factor drawn from 1 ± this; below 1."""
        ...

    @property
    def translation(self) -> float:
        """Shift drawn from ± this share of the side."""
        ...

    @property
    def elastic_px(self) -> float:
        """Standard deviation of the smooth displacement field, network pixels."""
        ...

    @property
    def gamma(self) -> float:
        """Log-gamma drawn from ± this."""
        ...

    @property
    def brightness(self) -> float:
        """Additive shift drawn from ± this."""
        ...

    @property
    def contrast(self) -> float:
        """Factor on the deviation from the frame's mean drawn from 1 ± this; at most 1."""
        ...

    @property
    def blur_px(self) -> float:
        """Standard deviation of a Gaussian blur drawn from 0 to this, network pixels."""
        ...

    @property
    def noise(self) -> float:
        """Standard deviation of white noise drawn from 0 to this."""
        ...

    @property
    def sector_shadow(self) -> float:
        """Probability that a sector of the frame is shadowed."""
        ...


def check_options(options: AugmentOptions) -> None:
    """Refuses an option out of range.

    Raises:
        ValueError: an option is negative or not finite, `scale` is 1 or more, or a share or probability exceeds 1.
    """
    for name, largest in LARGEST.items():
        value = getattr(options, name)
        if not (math.isfinite(value) and 0 <= value <= largest):
            rule = "finite and not negative" if largest == math.inf else f"between 0 and {largest:g}"
            raise ValueError(f"`{name}` must be {rule}. Received: {value}")
    if options.scale == 1:
        raise ValueError(f"`scale` must be below 1, where frames would vanish. Received: {options.scale}")


def augment_batch(
    images: tf.Tensor, labels: tf.Tensor, options: AugmentOptions, seed: tf.Tensor, normalise: Normalise = "unit"
) -> tuple[tf.Tensor, tf.Tensor]:
    """All options that are not zero, drawn for each frame separately.

    Frames leave as they came: `unit` and `minmax` ones within 0..1, `zscore` ones with mean 0 and standard deviation 1.
    The latter are augmented between their own minimum and maximum as 0..1 and standardised again, just as
    `preprocess_image` would have done had the scanner shown the augmented frame.

    Args:
        images: (B, h, w, 1) float32; h and w known when traced.
        labels: (B, h, w) integer class indices.
        options: what to draw.
        seed: (2,) integers.
        normalise: how the images were normalised.

    Returns:
        Images and labels, shapes and types as they came.

    Raises:
        ValueError: an option out of range, or images without a known height and width.

    Source: none; the papers' own augmentations are stated in their recipes.
    """
    check_options(options)
    if not any(getattr(options, name) for name in LARGEST):
        return images, labels
    if normalise != "zscore":
        images, labels = warp(images, labels, options, seed)
        return _change_intensities(images, options, seed), labels
    low = tf.reduce_min(images, axis=(1, 2, 3), keepdims=True)
    high = tf.reduce_max(images, axis=(1, 2, 3), keepdims=True)
    images, labels = warp(tf.math.divide_no_nan(images - low, high - low), labels, options, seed)
    images = _change_intensities(images, options, seed)
    mean, variance = tf.nn.moments(images, axes=(1, 2, 3), keepdims=True)
    return tf.where(variance > FLAT**2, (images - mean) * tf.math.rsqrt(variance), 0.0), labels


def warp(images: tf.Tensor, labels: tf.Tensor, options: AugmentOptions, seed: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Flip, rotation, scale, translation and elastic deformation in one resampling.

    Images are read linearly, labels at the nearest pixel of the same source position; outside is 0 for both. Turning
    and zooming are about the centre, in network pixels.

    Args:
        images: (B, h, w, 1) float32; h and w known when traced.
        labels: (B, h, w) integers.
        options: how much of each.
        seed: (2,) integers.

    Returns:
        Images and labels, shapes and types as they came.
    """
    affine = options.rotation_degrees or options.scale or options.translation
    if not (affine or options.flip or options.elastic_px):
        return images, labels
    height, width = _size(images)
    count = tf.shape(images)[0]
    rows, columns = _source_positions(count, height, width, options, seed)
    return _resample(images, labels, rows, columns)


def gamma(images: tf.Tensor, limit: float, seed: tf.Tensor) -> tf.Tensor:
    """Raises the grey levels, (B, h, w, 1) within 0..1, to the power exp(g), g drawn from ± `limit` for each frame."""
    exponent = tf.exp(_uniform(tf.shape(images)[0], -limit, limit, seed, GAMMA))
    return tf.pow(images, exponent[:, tf.newaxis, tf.newaxis, tf.newaxis])


def contrast(images: tf.Tensor, limit: float, seed: tf.Tensor) -> tf.Tensor:
    """Scales each frame's deviation from its mean by a factor drawn from 1 ± `limit`; (B, h, w, 1), not clipped."""
    factor = _uniform(tf.shape(images)[0], 1 - limit, 1 + limit, seed, CONTRAST)[:, tf.newaxis, tf.newaxis, tf.newaxis]
    return images * factor + (1 - factor) * tf.reduce_mean(images, axis=(1, 2, 3), keepdims=True)


def brightness(images: tf.Tensor, limit: float, seed: tf.Tensor) -> tf.Tensor:
    """Adds a shift drawn from ± `limit` to each frame; (B, h, w, 1), not clipped."""
    shift = _uniform(tf.shape(images)[0], -limit, limit, seed, BRIGHTNESS)
    return images + shift[:, tf.newaxis, tf.newaxis, tf.newaxis]


def blur(images: tf.Tensor, limit_px: float, seed: tf.Tensor) -> tf.Tensor:
    """Gaussian blur, its standard deviation drawn from 0 to `limit_px` pixels for each frame; (B, h, w, 1).

    Written as two matrix products, along rows and along columns, each with weights that sum to 1, at the border too.
    """
    height, width = _size(images)
    deviation = tf.maximum(_uniform(tf.shape(images)[0], 0.0, limit_px, seed, BLUR), 1e-3)
    exponent = (-0.5 / tf.square(deviation))[:, tf.newaxis, tf.newaxis]

    def weights(side: int) -> tf.Tensor:
        distance = np.subtract.outer(np.arange(side), np.arange(side)).astype(np.float32)
        kernel = tf.exp(exponent * np.square(distance))
        return kernel / tf.reduce_sum(kernel, axis=2, keepdims=True)

    down = tf.matmul(weights(height), tf.squeeze(images, 3))
    return tf.expand_dims(tf.matmul(down, weights(width), transpose_b=True), 3)


def sector_shadow(images: tf.Tensor, probability: float, seed: tf.Tensor) -> tf.Tensor:
    """Darkens, with this probability for each frame, a wedge that spreads from the probe as behind a rib; (B, h, w, 1).

    The probe is at the middle of the upper edge. Direction, width, beginning and strength are drawn.
    """
    height, width = _size(images)
    count = tf.shape(images)[0]
    row, column = np.mgrid[:height, :width].astype(np.float32)
    column -= (width - 1) / 2
    angle = np.degrees(np.arctan2(column, row + 1))
    distance = np.hypot(row, column) / height

    def draw(low: float, high: float, stream: int) -> tf.Tensor:
        return _uniform(count, low, high, seed, stream)[:, tf.newaxis, tf.newaxis]

    centre = draw(-SHADOW_CENTRE_DEGREES, SHADOW_CENTRE_DEGREES, SHADOW_CENTRE)
    half_width = draw(*SHADOW_HALF_WIDTH_DEGREES, SHADOW_WIDTH)
    begin = draw(*SHADOW_START, SHADOW_BEGIN)
    strength = draw(*SHADOW_STRENGTH, SHADOW_DEPTH) * tf.cast(draw(0.0, 1.0, SHADOW) < probability, tf.float32)
    across = tf.clip_by_value((half_width - tf.abs(angle - centre)) / SHADOW_EDGE_DEGREES, 0.0, 1.0)
    along = tf.clip_by_value((distance - begin) / SHADOW_RAMP, 0.0, 1.0)
    return images * tf.expand_dims(1 - strength * across * along, 3)


def noise(images: tf.Tensor, limit: float, seed: tf.Tensor) -> tf.Tensor:
    """Adds white noise, its standard deviation drawn from 0 to `limit` for each frame; (B, h, w, 1), not clipped."""
    level = _uniform(tf.shape(images)[0], 0.0, limit, seed, NOISE_LEVEL)[:, tf.newaxis, tf.newaxis, tf.newaxis]
    return images + level * tf.random.stateless_normal(tf.shape(images), _stream(seed, NOISE))


def _change_intensities(images: tf.Tensor, options: AugmentOptions, seed: tf.Tensor) -> tf.Tensor:
    """The intensity options in order, on frames within 0..1, which they leave within 0..1."""
    changes = (
        (gamma, options.gamma),
        (contrast, options.contrast),
        (brightness, options.brightness),
        (blur, options.blur_px),
        (sector_shadow, options.sector_shadow),
        (noise, options.noise),
    )
    wanted = [(change, amount) for change, amount in changes if amount]
    for change, amount in wanted:
        images = change(images, amount, seed)
    return tf.clip_by_value(images, 0.0, 1.0) if wanted else images


def _source_positions(
    count: tf.Tensor, height: int, width: int, options: AugmentOptions, seed: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """Where each pixel is read from: rows and columns, (B, h, w) each.

    Affine map and displacement field are both bilinear in a basis over rows and one over columns, so the whole grid is
    one small matrix product: `basis(rows) · coefficients · basis(columns)ᵀ`. The basis is the position and 1 (affine)
    and, with elastic, Gaussian bumps around control points.
    """
    angle = _uniform(count, -options.rotation_degrees, options.rotation_degrees, seed, ROTATION) * (math.pi / 180)
    zoom = _uniform(count, 1 - options.scale, 1 + options.scale, seed, SCALE)
    mirror = tf.where(_uniform(count, 0.0, 1.0, seed, FLIP) < (0.5 if options.flip else 0.0), -1.0, 1.0)
    shift = _uniform(count, -options.translation, options.translation, seed, TRANSLATION, each=(2,))
    cos, sin, zero = tf.cos(angle) / zoom, tf.sin(angle) / zoom, tf.zeros(count)
    # source row = cos · row − mirror · sin · column + shift; source column = sin · row + mirror · cos · column + shift
    rows = tf.stack([zero, cos, -mirror * sin, shift[:, 0] * height], axis=1)
    columns = tf.stack([zero, sin, mirror * cos, shift[:, 1] * width], axis=1)
    coefficients = tf.reshape(tf.stack([rows, columns], axis=1), (count, 2, 2, 2))
    if options.elastic_px:
        points = ELASTIC_CELLS + 1 + 2 * ELASTIC_MARGIN
        shape = tf.stack([count, 2, points, points])
        bumps = options.elastic_px * tf.random.stateless_normal(shape, _stream(seed, ELASTIC))
        coefficients = tf.pad(bumps, ((0, 0), (0, 0), (0, 2), (0, 2))) + tf.pad(
            coefficients, ((0, 0), (0, 0), (points, 0), (points, 0))
        )
    over_rows, over_columns = (_basis(side, elastic=bool(options.elastic_px)) for side in (height, width))
    positions = tf.matmul(tf.matmul(over_rows, coefficients), over_columns, transpose_b=True)
    return positions[:, 0] + (height - 1) / 2, positions[:, 1] + (width - 1) / 2


def _basis(side: int, *, elastic: bool) -> npt.NDArray[np.float32]:
    """Functions over one axis, (side, K): bumps if elastic, then the position from the centre, then 1.

    The bumps' squares sum to 1 at each pixel, so a field with coefficients of variance 1 has variance 1 everywhere.
    """
    position = np.arange(side) - (side - 1) / 2
    affine = np.stack([position, np.ones(side)], axis=1)
    if not elastic:
        return affine.astype(np.float32)
    control = np.arange(-ELASTIC_MARGIN, ELASTIC_CELLS + 1 + ELASTIC_MARGIN) - ELASTIC_CELLS / 2
    bumps = np.exp(-0.5 * np.square(position[:, np.newaxis] * ELASTIC_CELLS / side - control))
    bumps /= np.linalg.norm(bumps, axis=1, keepdims=True)
    return np.concatenate([bumps, affine], axis=1).astype(np.float32)


def _resample(images: tf.Tensor, labels: tf.Tensor, rows: tf.Tensor, columns: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Images read linearly and labels at the nearest pixel of the positions, 0 outside.

    A border of zeros makes the outside: one pixel before, two after, so that all four corners of a position exist.
    """
    height, width = _size(images)
    stride = width + 3

    def read(pixels: tf.Tensor, places: tf.Tensor) -> tf.Tensor:
        return tf.gather(tf.reshape(tf.pad(pixels, ((0, 0), (1, 2), (1, 2))), (-1,)), places)

    rows = tf.clip_by_value(rows + 1, 0.0, height + 1.0)
    columns = tf.clip_by_value(columns + 1, 0.0, width + 1.0)
    first_place = (tf.range(tf.shape(images)[0]) * ((height + 3) * stride))[:, tf.newaxis, tf.newaxis]
    upper, left = tf.floor(rows), tf.floor(columns)
    corner = first_place + tf.cast(upper, tf.int32) * stride + tf.cast(left, tf.int32)
    grey = tf.squeeze(images, 3)
    upper_left, upper_right = read(grey, corner), read(grey, corner + 1)
    lower_left, lower_right = read(grey, corner + stride), read(grey, corner + stride + 1)
    top = upper_left + (columns - left) * (upper_right - upper_left)
    bottom = lower_left + (columns - left) * (lower_right - lower_left)
    nearest = first_place + tf.cast(tf.round(rows), tf.int32) * stride + tf.cast(tf.round(columns), tf.int32)
    return tf.expand_dims(top + (rows - upper) * (bottom - top), 3), read(labels, nearest)


def _size(images: tf.Tensor) -> tuple[int, int]:
    height, width = images.shape[1], images.shape[2]
    if height is None or width is None:
        raise ValueError(f"`images` must have a known height and width when traced. Received: {images.shape}")
    return height, width


def _stream(seed: tf.Tensor, stream: int) -> tf.Tensor:
    return tf.convert_to_tensor(tf.random.fold_in(seed, stream))


def _uniform(
    count: tf.Tensor, low: float, high: float, seed: tf.Tensor, stream: int, each: tuple[int, ...] = ()
) -> tf.Tensor:
    """Uniform draws for `count` frames, (count, *each)."""
    return tf.random.stateless_uniform(tf.stack([count, *each]), _stream(seed, stream), low, high)
