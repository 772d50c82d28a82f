import hashlib
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from data_pipeline.cache import FrameCache, build_cache
from data_pipeline.datasets import camus
from data_pipeline.pipeline import evaluation_dataset, steps_per_epoch, training_dataset
from data_pipeline.preprocess import Preprocessing
from data_pipeline.sample import Structure
from recipes.base import Augmentation
from tests.data_pipeline.test_augment import FULL
from tests.data_pipeline.test_cache import CLASSES, REPOSITORY, listed, load, write_cases

COUNT, BATCH = 11, 4
NONE = Augmentation()

Batch = tuple[np.ndarray, np.ndarray]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pipeline")
    write_cases(folder / "source", COUNT)
    return folder


@pytest.fixture(scope="module")
def cache(folder: Path) -> FrameCache:
    return cached(folder)


def cached(folder: Path) -> FrameCache:
    return build_cache(listed(folder / "source", COUNT), load, Preprocessing(40, 32), CLASSES, folder / "cache")


def batches(
    cache: FrameCache,
    count: int,
    *,
    augmentation: Augmentation = NONE,
    seed: int = 3,
    first_epoch: int = 0,
    shuffle: bool = True,
) -> list[Batch]:
    dataset = training_dataset(
        cache,
        batch_size=BATCH,
        augmentation=augmentation,
        classes=3,
        seed=seed,
        first_epoch=first_epoch,
        shuffle=shuffle,
    )
    return [(images.numpy(), one_hot.numpy()) for images, one_hot in dataset.take(count)]


def order(cache: FrameCache, epoch: list[Batch]) -> list[int]:
    """Which frames of the cache an epoch without augmentation went through."""
    images = np.concatenate([images[..., 0] for images, _ in epoch])
    return [int(np.argmax((cache.images == image).all(axis=(1, 2)))) for image in images]


def assert_same(first: list[Batch], second: list[Batch]) -> None:
    for one, other in zip(first, second, strict=True):
        np.testing.assert_array_equal(one[0], other[0])
        np.testing.assert_array_equal(one[1], other[1])


def test_batches_are_images_and_one_hot_labels(cache: FrameCache) -> None:
    dataset = training_dataset(cache, batch_size=BATCH, augmentation=FULL, classes=3, seed=0)
    assert dataset.element_spec == (tf.TensorSpec((None, 40, 32, 1)), tf.TensorSpec((None, 40, 32, 3)))
    for images, one_hot in dataset.take(3):
        assert images.shape[0] == one_hot.shape[0]
        np.testing.assert_array_equal(tf.reduce_sum(one_hot, axis=3), 1)
        assert set(np.unique(one_hot)) == {0, 1}


def test_labels_belong_to_their_images(cache: FrameCache) -> None:
    epoch = batches(cache, 3)
    labels = np.concatenate([one_hot.argmax(axis=3) for _, one_hot in epoch])
    np.testing.assert_array_equal(labels, cache.labels[order(cache, epoch)])


def test_an_epoch_has_every_frame_once(cache: FrameCache) -> None:
    assert steps_per_epoch(cache, BATCH) == 3
    all_batches = batches(cache, 3 * 6)
    orders = []
    for start in range(0, len(all_batches), 3):
        epoch = all_batches[start : start + 3]
        assert [len(images) for images, _ in epoch] == [4, 4, 3]
        orders.append(order(cache, epoch))
        assert sorted(orders[-1]) == list(range(COUNT))
    assert len({tuple(indices) for indices in orders}) == 6  # each epoch has its own order
    assert [steps_per_epoch(cache, size) for size in (1, 11, 12)] == [11, 1, 1]


def test_places_in_the_order_are_shared_out_evenly(cache: FrameCache) -> None:
    firsts = [order(cache, [batch])[0] for batch in batches(cache, 3 * 110)[::3]]
    assert np.bincount(firsts, minlength=COUNT).max() < 25  # 10 are expected
    assert np.bincount(firsts, minlength=COUNT).min() > 0


def test_without_shuffling_the_order_is_the_caches(cache: FrameCache) -> None:
    assert order(cache, batches(cache, 6, shuffle=False)) == [*range(COUNT), *range(COUNT)]


def test_resuming_at_an_epoch_gives_its_batches(cache: FrameCache) -> None:
    whole = batches(cache, 3 * 4, augmentation=FULL)
    for first_epoch in (1, 3):
        assert_same(
            batches(cache, 3 * (4 - first_epoch), augmentation=FULL, first_epoch=first_epoch), whole[3 * first_epoch :]
        )


def test_each_epoch_augments_anew_and_each_seed_too(cache: FrameCache) -> None:
    first, second = (batches(cache, 3, augmentation=FULL, shuffle=False, first_epoch=epoch) for epoch in (0, 1))
    other_seed = batches(cache, 3, augmentation=FULL, shuffle=False, seed=4)
    for one, two, other in zip(first, second, other_seed, strict=True):
        assert (one[0] != two[0]).any(axis=(1, 2, 3)).all()
        assert (one[0] != other[0]).any(axis=(1, 2, 3)).all()
    assert order(cache, batches(cache, 3, seed=3)) != order(cache, batches(cache, 3, seed=4))


def digest(cache: FrameCache) -> str:
    content = b"".join(array.tobytes() for batch in batches(cache, 9, augmentation=FULL) for array in batch)
    return hashlib.sha256(content).hexdigest()


def test_neither_threads_nor_determinism_change_a_bit(folder: Path, cache: FrameCache) -> None:
    """Another process, with operations forced to be deterministic and one thread, sees the same batches."""
    code = """
import pathlib, sys
import tensorflow as tf
tf.config.threading.set_intra_op_parallelism_threads(1)
tf.config.threading.set_inter_op_parallelism_threads(1)
tf.keras.utils.set_random_seed(99)
tf.config.experimental.enable_op_determinism()
from tests.data_pipeline.test_pipeline import cached, digest
print(digest(cached(pathlib.Path(sys.argv[1]))))
"""
    command = [sys.executable, "-c", code, str(folder)]
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "2"}
    child = subprocess.run(command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=False)
    assert child.returncode == 0, child.stderr
    assert child.stdout.strip() == digest(cache) == digest(cache)


def test_python_is_entered_once_a_batch(cache: FrameCache) -> None:
    asked: list[list[int]] = []

    class Counting(FrameCache):
        def read(self, indices):
            asked.append(indices.tolist())
            return super().read(indices)

    counting = Counting(cache.images, cache.labels, cache.case_ids, cache.structures, cache.preprocessing)
    for _ in evaluation_dataset(counting, batch_size=BATCH, classes=3):
        pass
    assert sorted(asked) == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10]]


def test_zscore_frames_are_augmented_as_such(folder: Path) -> None:
    preprocessing = Preprocessing(40, 32, normalise="zscore")
    cache = build_cache(listed(folder / "source", COUNT), load, preprocessing, CLASSES, folder / "cache")
    for images, _ in batches(cache, 3, augmentation=FULL):
        np.testing.assert_allclose(images.mean(axis=(1, 2, 3)), 0, atol=1e-4)
        np.testing.assert_allclose(images.std(axis=(1, 2, 3)), 1, atol=1e-3)


def test_evaluation_is_every_frame_in_order_unchanged(cache: FrameCache) -> None:
    for _ in range(2):
        epoch = [
            (images.numpy(), labels.numpy())
            for images, labels in evaluation_dataset(cache, batch_size=BATCH, classes=3)
        ]
        assert [images.shape for images, _ in epoch] == [(4, 40, 32, 1), (4, 40, 32, 1), (3, 40, 32, 1)]
        np.testing.assert_array_equal(np.concatenate([images[..., 0] for images, _ in epoch]), cache.images)
        np.testing.assert_array_equal(np.concatenate([one_hot.argmax(axis=3) for _, one_hot in epoch]), cache.labels)


@pytest.mark.data
def test_real_frames_keep_their_walls_brighter_than_their_blood(camus_subset: Path, tmp_path: Path) -> None:
    """Were labels and images to part ways, the two would be alike."""
    structures = (Structure.BACKGROUND, Structure.LV, Structure.MYO, Structure.LA)
    cases = camus.list_cases(camus_subset)[:16]
    cache = build_cache(cases, camus.load_sample, Preprocessing(128, 128), structures, tmp_path)
    dataset = training_dataset(cache, batch_size=16, augmentation=FULL, classes=4, seed=0)
    [(images, one_hot)] = dataset.take(1)
    areas = tf.reduce_sum(one_hot, axis=(1, 2))
    means = (tf.reduce_sum(images * one_hot, axis=(1, 2)) / areas).numpy()
    assert (areas.numpy() > 0).all()
    assert (means[:, 2] > means[:, 1]).mean() > 0.85


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"batch_size": 0}, "`batch_size` must be at least 1. Received: 0"),
        ({"classes": 4}, "`classes` must be 3, one for each of BACKGROUND, LA, LV. Received: 4"),
        ({"first_epoch": -1}, "`first_epoch` must not be negative. Received: -1"),
        ({"augmentation": Augmentation(scale=2)}, "`scale` must be between 0 and 1. Received: 2"),
    ],
)
def test_bad_arguments_are_refused(cache: FrameCache, arguments: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        training_dataset(cache, **{"batch_size": 2, "augmentation": NONE, "classes": 3, "seed": 0, **arguments})
    if set(arguments) <= {"batch_size", "classes"}:
        with pytest.raises(ValueError, match=message):
            evaluation_dataset(cache, **{"batch_size": 2, "classes": 3, **arguments})
