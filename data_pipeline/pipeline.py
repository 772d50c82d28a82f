"""Cached frames → shuffled, augmented, batched tensors, with tf.data.

Nothing here has a state: the order of epoch `e` and the augmentation of its step `s` are functions of `(seed, e, s)`,
so a run resumed at an epoch sees exactly the batches of one that was never interrupted, whatever the threads do.
"""

import math

import tensorflow as tf

from data_pipeline.augment import AugmentOptions, augment_batch, check_options
from data_pipeline.cache import FrameCache

index_shuffle = tf.random.experimental.index_shuffle  # pyright: ignore[reportAttributeAccessIssue]  # lazy module

BATCHES_AHEAD = 2


def steps_per_epoch(cache: FrameCache, batch_size: int) -> int:
    """Batches in which every frame comes once; the last may be smaller.

    Raises:
        ValueError: a batch size below 1.
    """
    if batch_size < 1:
        raise ValueError(f"`batch_size` must be at least 1. Received: {batch_size}")
    return math.ceil(len(cache) / batch_size)


def training_dataset(
    cache: FrameCache,
    *,
    batch_size: int,
    augmentation: AugmentOptions,
    classes: int,
    seed: int,
    first_epoch: int = 0,
    shuffle: bool = True,
) -> tf.data.Dataset:
    """Endless batches, epoch after epoch, from `first_epoch` on.

    Args:
        cache: the frames.
        batch_size: frames per batch; the last batch of an epoch may be smaller.
        augmentation: random changes of images and labels together.
        classes: network channels; must be the number of the cache's structures.
        seed: of order and augmentation.
        first_epoch: the epoch to begin with, counted from 0.
        shuffle: another order in every epoch; else the cache's order.

    Returns:
        A data set of (images (B, h, w, 1) float32, one-hot labels (B, h, w, classes) float32).

    Raises:
        ValueError: a batch size below 1, a negative `first_epoch`, `classes` other than the cache's, or an
            augmentation option out of range.
    """
    steps = steps_per_epoch(cache, batch_size)
    _check_classes(cache, classes)
    if first_epoch < 0:
        raise ValueError(f"`first_epoch` must not be negative. Received: {first_epoch}")
    check_options(augmentation)
    count = len(cache)

    def batch(global_step: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        epoch, step = global_step // steps, tf.math.floormod(global_step, steps)
        indices = tf.range(step * batch_size, tf.minimum((step + 1) * batch_size, count))
        epoch_seed = tf.stack([tf.constant(seed, tf.int64), epoch])
        if shuffle:
            # a permutation computed index by index: nothing to hold in memory or to restore on resume
            indices = index_shuffle(indices, epoch_seed, count - 1)
        images, labels = _read(cache, indices)
        step_seed = tf.stack([tf.constant(seed, tf.int64), global_step])
        images, labels = augment_batch(images, labels, augmentation, step_seed, cache.preprocessing.normalise)
        return images, tf.one_hot(labels, classes)

    global_steps = tf.data.Dataset.counter(start=first_epoch * steps)
    return global_steps.map(batch, num_parallel_calls=tf.data.AUTOTUNE).prefetch(BATCHES_AHEAD)


def evaluation_dataset(cache: FrameCache, *, batch_size: int, classes: int) -> tf.data.Dataset:
    """Every frame once, in the cache's order, unchanged.

    Args:
        cache: the frames.
        batch_size: frames per batch; the last may be smaller.
        classes: network channels; must be the number of the cache's structures.

    Returns:
        A finite data set of (images (B, h, w, 1) float32, one-hot labels (B, h, w, classes) float32).

    Raises:
        ValueError: a batch size below 1, or `classes` other than the cache's.
    """
    steps = steps_per_epoch(cache, batch_size)
    _check_classes(cache, classes)
    count = len(cache)

    def batch(step: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        images, labels = _read(cache, tf.range(step * batch_size, tf.minimum((step + 1) * batch_size, count)))
        return images, tf.one_hot(labels, classes)

    return tf.data.Dataset.range(steps).map(batch, num_parallel_calls=tf.data.AUTOTUNE).prefetch(BATCHES_AHEAD)


def _read(cache: FrameCache, indices: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """One Python call per batch: (B, h, w, 1) float32 and (B, h, w) uint8."""
    images, labels = tf.numpy_function(cache.read, [indices], (tf.float32, tf.uint8), stateful=False)
    images.set_shape((None, *cache.images.shape[1:]))
    labels.set_shape((None, *cache.labels.shape[1:]))
    return images[..., tf.newaxis], labels


def _check_classes(cache: FrameCache, classes: int) -> None:
    if classes != len(cache.structures):
        names = ", ".join(structure.name for structure in cache.structures)
        raise ValueError(f"`classes` must be {len(cache.structures)}, one for each of {names}. Received: {classes}")
