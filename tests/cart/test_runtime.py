"""The LiteRT runner against the network worked out by hand."""

from pathlib import Path

import numpy as np
import pytest

from cart.bundle import read_bundle
from cart.runtime import TFLiteRunner, load_runner
from data_pipeline.sample import Structure
from shell.errors import UserError
from tests.export.drawn_heart import CLASSES, GREY, GRID, heart_labels


def network_images() -> np.ndarray:
    levels = np.array([GREY.get(Structure(code), 0) / 255 for code in range(4)], np.float32)
    heart = levels[heart_labels()]
    return np.stack([heart, heart[::-1], heart * 0])[..., np.newaxis]


def test_classes_by_grey_level(tflite_bundle: Path) -> None:
    outputs = TFLiteRunner(tflite_bundle / "model.tflite")(network_images())
    assert list(outputs) == ["probabilities"]
    probabilities = outputs["probabilities"]
    assert probabilities.shape == (3, GRID, GRID, len(CLASSES))
    assert probabilities.dtype == np.float32
    assert np.array_equal(probabilities[0].argmax(-1), heart_labels())
    assert np.array_equal(probabilities[1].argmax(-1), heart_labels()[::-1])
    assert not probabilities[2].argmax(-1).any()


def test_same_digits_in_any_batch_with_any_threads(tflite_bundle: Path) -> None:
    images = network_images()
    path = tflite_bundle / "model.tflite"
    together = TFLiteRunner(path, threads=1)(images)["probabilities"]
    runner = TFLiteRunner(path, threads=2)
    assert np.array_equal(together, np.concatenate([runner(images[i : i + 1])["probabilities"] for i in range(3)]))
    assert runner(images[:0])["probabilities"].shape == (0, GRID, GRID, len(CLASSES))


def test_wrong_grid_is_refused(tflite_bundle: Path) -> None:
    with pytest.raises(ValueError, match=r"must be \(n, 64, 64, 1\)\. Received: \(1, 32, 64, 1\)"):
        TFLiteRunner(tflite_bundle / "model.tflite")(np.zeros((1, 32, 64, 1), np.float32))


@pytest.mark.parametrize("content", [b"", b"not a model", b"\x1c\x00\x00\x00TFL3" + bytes(40)])
def test_what_is_no_model_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "model.tflite").write_bytes(content)
    with pytest.raises(UserError, match="not a TFLite model"):
        TFLiteRunner(tmp_path / "model.tflite")


def test_a_saved_model_is_not_for_the_cart(saved_model_bundle: Path) -> None:
    with pytest.raises(UserError, match="--format tflite-float32"):
        load_runner(read_bundle(saved_model_bundle))
