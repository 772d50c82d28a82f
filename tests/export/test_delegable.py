"""Rewritten for XNNPACK: the same bits, by operations that it has."""

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from cart.delegation import delegation_of
from cart.runtime import TFLiteRunner
from export.delegable import delegable
from export.quantise import calibrated, float32_model, operations_of, quantised
from models import build
from tests.export.drawn_heart import GRID, source_of

RANDOM = np.random.default_rng(0)
IMAGES = [RANDOM.random((1, GRID, GRID, 1), dtype=np.float32) for _ in range(3)]


def kinds(model: bytes) -> list[str]:
    return [operation.kind for operation in operations_of(model)]


def values(model: bytes, folder: Path) -> np.ndarray:
    path = folder / "model.tflite"
    path.write_bytes(model)
    return np.concatenate([TFLiteRunner(path, 1)(image)["probabilities"] for image in IMAGES])


@pytest.fixture(scope="module", params=["unet1", "cart_unet"])
def models(request: pytest.FixtureRequest) -> dict[str, bytes]:
    """A network's float32 and int8 TFLite models, before they are rewritten."""
    keras.utils.set_random_seed(1)
    network: Any = build(request.param, input_shape=(GRID, GRID, 1), classes=4, width=0.25)
    source = source_of(network, np.concatenate(IMAGES))
    float32 = float32_model(source)
    ranges, _ = calibrated(float32, source.calibration_images)
    return {
        "float32": float32,
        "int8": quantised(float32, ranges, (), integer_io=False),
        "integer": quantised(float32, ranges, (), integer_io=True),
    }


@pytest.mark.parametrize("kind", ["float32", "int8", "integer"])
def test_the_same_bits_and_all_of_it_for_xnnpack(models: dict[str, bytes], kind: str, tmp_path: Path) -> None:
    before = models[kind]
    after = delegable(before)
    assert np.array_equal(values(before, tmp_path), values(after, tmp_path))
    assert "RESIZE_NEAREST_NEIGHBOR" not in kinds(after)
    assert kinds(after).count("DEPTH_TO_SPACE") >= 4
    assert kinds(after).count("DEQUANTIZE") <= kinds(before).count("DEQUANTIZE")
    (tmp_path / "rewritten.tflite").write_bytes(after)
    delegation = delegation_of(tmp_path / "rewritten.tflite", 1)
    assert (dict(delegation.undelegated), delegation.parts) == ({}, 1)


def test_twice_is_once(models: dict[str, bytes]) -> None:
    once = delegable(models["int8"])
    assert delegable(once) == once
