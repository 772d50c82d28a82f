"""The LiteRT runner against the network worked out by hand."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from cart.bundle import read_bundle
from cart.engines import load_runner
from cart.runtime import Quantisation, TFLiteRunner
from data_pipeline.sample import Structure
from shell.errors import UserError
from tests.export.drawn_heart import CLASSES, GREY, GRID, heart_labels, heart_network


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


def details(dtype: type, scales: list[float], zero_points: list[int]) -> dict:
    parameters = {"scales": np.array(scales, np.float32), "zero_points": np.array(zero_points, np.int32)}
    return {"name": "image", "dtype": dtype, "quantization_parameters": parameters}


def test_integers_stand_for_real_numbers() -> None:
    """Worked by hand: steps of 1/4 from −128; 0.375 and 0.625 lie half-way, 100 and −100 beyond the type."""
    found = Quantisation.of_tensor(details(np.int8, [0.25], [-128]))
    assert found == Quantisation(np.dtype(np.int8), 0.25, -128)
    integers = found.quantised(np.array([0, 0.25, 0.375, 0.625, 0.7, 100, -100], np.float32))
    assert integers.dtype == np.int8
    assert integers.tolist() == [-128, -127, -126, -126, -125, 127, -128]
    real = found.real(integers)
    assert real.dtype == np.float32
    assert real.tolist() == [0, 0.25, 0.5, 0.5, 0.75, 63.75, 0]


def test_a_float_tensor_has_no_quantisation() -> None:
    assert Quantisation.of_tensor(details(np.float32, [], [])) is None


@pytest.mark.parametrize(
    "tensor", [details(np.int8, [], []), details(np.int8, [0.1, 0.2], [0, 0]), details(np.float64, [], [])]
)
def test_integers_that_stand_for_nothing_are_refused(tensor: dict) -> None:
    with pytest.raises(ValueError, match="its tensor image is "):
        Quantisation.of_tensor(tensor)


@pytest.fixture(scope="module")
def quantised(tmp_path_factory: pytest.TempPathFactory) -> Callable[[type], TFLiteRunner]:
    """Type in and out → runner of the drawn heart's network in int8."""
    import tensorflow as tf

    from export.graph import NetworkGraph

    graph = NetworkGraph(heart_network(sharpness=20.0), batch=1)

    def calibration() -> Iterator[list[np.ndarray]]:
        yield from ([image[np.newaxis]] for image in network_images())

    def runner(dtype: type) -> TFLiteRunner:
        converter = tf.lite.TFLiteConverter.from_concrete_functions([graph.function.get_concrete_function()], graph)
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = calibration
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = converter.inference_output_type = tf.as_dtype(dtype)
        path = tmp_path_factory.mktemp("quantised") / "model.tflite"
        path.write_bytes(converter.convert())
        return TFLiteRunner(path, threads=1)

    return runner


@pytest.mark.parametrize("dtype", [np.int8, np.uint8])
def test_integers_in_and_out_give_what_floats_give(quantised: Callable[[type], TFLiteRunner], dtype: type) -> None:
    images = network_images() + np.random.default_rng(2).normal(0, 0.01, (3, GRID, GRID, 1)).astype(np.float32)
    outputs = quantised(dtype)(images)["probabilities"]
    assert outputs.dtype == np.float32
    assert np.array_equal(outputs, quantised(np.float32)(images)["probabilities"])
    assert outputs[0].argmax(-1).tolist() == heart_labels().tolist()
    assert outputs.sum(-1) == pytest.approx(1, abs=0.02)
