"""Narrower numbers: what they weigh, what they compute, which layers stay float."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter

import models
from cart.runtime import TFLiteRunner
from export import quantise
from export.quantise import (
    TRIAL_SHARE,
    calibrated,
    choose_float_layers,
    export_tflite_int8,
    export_tflite_int8_integer,
    float_operations,
    layer_name,
    operations_of,
    quantised,
    ranked_layers,
)
from export.source import QUANTISATION_FILE, ExportSource
from export.tflite import (
    _converted,
    _repeats,
    export_tflite_dynamic,
    export_tflite_float16,
    export_tflite_float32,
    float32_model,
    with_nearest_resize,
)
from shell.errors import UserError
from tests.export.drawn_heart import heart_images, heart_network, source_of

Export = Callable[[ExportSource, Path], str]


@pytest.fixture(scope="module")
def source() -> ExportSource:
    """A narrow unet1 whose batch normalisation has something to do; all tests of this module share its conversion."""
    keras.utils.set_random_seed(3)
    network = models.build("unet1", input_shape=(64, 32, 1), classes=3, width=0.125)
    random = np.random.default_rng(3)
    network.set_weights([w + random.uniform(0.0, 0.3, w.shape).astype(np.float32) for w in network.get_weights()])
    return source_of(network, random.random((4, 64, 32, 1), dtype=np.float32))


def written(export: Export, source: ExportSource, folder: Path) -> tuple[Path, dict[str, Any]]:
    path = folder / export(source, folder)
    return path, json.loads((folder / QUANTISATION_FILE).read_text())


def difference(path: Path, source: ExportSource) -> float:
    """Mean |Δp| over the calibration images."""
    images = np.concatenate(list(source.calibration_images()))
    found = TFLiteRunner(path, threads=1)(images)["probabilities"]
    return float(np.abs(found - source.model.predict_on_batch(images)).mean())


def test_float16_halves_the_weights(source: ExportSource, tmp_path: Path) -> None:
    path, quantisation = written(export_tflite_float16, source, tmp_path)
    (tmp_path / "float").mkdir()
    whole = (tmp_path / "float" / export_tflite_float32(source, tmp_path / "float")).stat().st_size
    assert 0.5 < path.stat().st_size / whole < 0.75  # of so small a network the description weighs, too
    assert difference(path, source) < 1e-3
    assert "float16" in quantisation["scheme"]
    assert (quantisation["frames"], quantisation["source"], quantisation["float_layers"]) == (0, None, None)


def test_dynamic_has_int8_weights_and_float_activations(source: ExportSource, tmp_path: Path) -> None:
    path, quantisation = written(export_tflite_dynamic, source, tmp_path)
    assert difference(path, source) < 0.02
    assert all(operation.is_float for operation in operations_of(path.read_bytes()))
    assert quantisation["frames"] == 0


@pytest.mark.parametrize(("export", "dtype"), [(export_tflite_int8, np.float32), (export_tflite_int8_integer, np.int8)])
def test_int8_is_integer_throughout(
    export: Export, dtype: type[np.generic], source: ExportSource, tmp_path: Path
) -> None:
    path, quantisation = written(export, source, tmp_path)
    assert difference(path, source) < 0.03
    runner = Interpreter(model_path=str(path)).get_signature_runner("serving_default")
    assert runner.get_input_details()["image"]["dtype"] == dtype
    assert runner.get_output_details()["probabilities"]["dtype"] == dtype
    assert float_operations(path.read_bytes()) == quantisation["float_operations"] == ["SOFTMAX × 1"]
    assert (quantisation["frames"], quantisation["source"]) == (4, "random images")
    assert (quantisation["float_layers"], quantisation["trial"]) == ([], None)
    kinds = {operation.kind for operation in operations_of(path.read_bytes())}
    assert {"CONV_2D", "DEPTH_TO_SPACE", "SOFTMAX"} <= kinds
    assert not {"TILE", "CUSTOM", "RESIZE_NEAREST_NEIGHBOR"} & kinds


def test_weights_have_one_scale_per_output_channel(source: ExportSource, tmp_path: Path) -> None:
    path, _ = written(export_tflite_int8, source, tmp_path)
    interpreter = Interpreter(model_path=str(path))
    interpreter.allocate_tensors()
    kernels = [
        one
        for one in interpreter.get_tensor_details()
        if one["dtype"] == np.int8 and tuple(one["shape"][1:3]) == (3, 3)
    ]
    assert len(kernels) == 22  # 6 levels down and 5 up, of two convolutions each
    for kernel in kernels:
        assert len(kernel["quantization_parameters"]["scales"]) == kernel["shape"][0]
        assert not kernel["quantization_parameters"]["zero_points"].any()


def test_probabilities_of_integers_come_in_steps_of_1_in_256(source: ExportSource, tmp_path: Path) -> None:
    path, _ = written(export_tflite_int8_integer, source, tmp_path)
    interpreter = Interpreter(model_path=str(path))
    output = interpreter.get_signature_runner("serving_default").get_output_details()["probabilities"]
    assert output["quantization_parameters"]["scales"] == pytest.approx([1 / 256])
    assert output["quantization_parameters"]["zero_points"] == [-128]


def test_same_frames_same_file(source: ExportSource, tmp_path: Path) -> None:
    again = replace(source, shared={})
    for name, one in (("a", source), ("b", again)):
        (tmp_path / name).mkdir()
        export_tflite_int8(one, tmp_path / name)
    assert (tmp_path / "a" / "model.tflite").read_bytes() == (tmp_path / "b" / "model.tflite").read_bytes()


def test_ranges_are_the_extremes_of_all_frames(source: ExportSource) -> None:
    images = list(source.calibration_images())
    ranges, frames = calibrated(float32_model(source), source.calibration_images)
    (image,) = (name for name in ranges if "image" in name)
    assert frames == 4
    assert float(ranges[image]["min"].squeeze()) == min(float(one.min()) for one in images)
    assert float(ranges[image]["max"].squeeze()) == max(float(one.max()) for one in images)


def test_nothing_to_calibrate_on(source: ExportSource, tmp_path: Path) -> None:
    empty = replace(source, calibration_images=lambda: iter(()), shared=dict.fromkeys(()))
    with pytest.raises(UserError, match="int8 needs frames to calibrate on, and there is none"):
        export_tflite_int8(empty, tmp_path)


def test_nearest_resize_is_the_same_to_the_bit(source: ExportSource, tmp_path: Path) -> None:
    plain = _converted(source)
    resized = with_nearest_resize(plain)
    kinds = [operation.kind for operation in operations_of(resized)]
    assert (kinds.count("RESIZE_NEAREST_NEIGHBOR"), kinds.count("TILE"), kinds.count("RESHAPE")) == (5, 0, 0)
    found = []
    for number, content in enumerate((plain, resized)):
        path = tmp_path / f"{number}.tflite"
        path.write_bytes(content)
        found.append(TFLiteRunner(path, threads=1)(np.concatenate(list(source.calibration_images())))["probabilities"])
    assert np.array_equal(*found)
    assert with_nearest_resize(resized) == resized


def test_what_only_looks_like_a_repetition_is_left() -> None:
    small, large = (1, 4, 6, 8), (1, 8, 18, 8)
    rows_then_columns = [(1, 4, 1, 6, 8), (1, 4, 2, 6, 8), (1, 8, 6, 1, 8), (1, 8, 6, 3, 8)]
    assert _repeats(small, rows_then_columns, large)
    block_after_block = [(1, 1, 4, 6, 8), (1, 2, 4, 6, 8), (1, 8, 6, 1, 8), (1, 8, 6, 3, 8)]
    assert not _repeats(small, block_after_block, large)
    assert not _repeats(small, rows_then_columns, (1, 9, 18, 8))
    assert not _repeats((4, 6, 8), rows_then_columns, large)


@pytest.mark.parametrize(
    ("scope", "layer"),
    [
        (
            "m/add_1;unet1_1/encoder_1_conv2_1/convolution;unet1_1/encoder_1_conv2_bn_1/batchnorm/sub1;",
            "encoder_1_conv2",
        ),
        ("unet1/encoder_1_conv2/Relu;", "encoder_1_conv2"),
        ("StatefulPartitionedCall:0;", "StatefulPartitionedCall:0"),
        ("unet1_1/join_1_1/concat;", "join_1"),
    ],
)
def test_names_of_layers(scope: str, layer: str) -> None:
    assert layer_name(scope, ["unet1", "encoder_1_conv2", "encoder_1_conv2_bn", "join_1"]) == layer


@pytest.fixture(scope="module")
def wide_range() -> ExportSource:
    """A network that int8 harms at a known place: `spread` puts the image beside a thousand of it, in one tensor with
    one scale, and `gather` takes the small one back. `before` and `after` are harmless.
    """
    image = keras.Input((16, 16, 1), name="image")
    kernel = keras.initializers.Constant
    before = keras.layers.Conv2D(1, 1, use_bias=False, kernel_initializer="ones", name="before")(image)
    before = keras.layers.ReLU(name="bend")(before)
    spread = keras.layers.Conv2D(2, 1, use_bias=False, kernel_initializer=kernel([[[[1000, 1]]]]), name="spread")(
        before
    )
    spread = keras.layers.ReLU(name="bend_too")(spread)
    gather = keras.layers.Conv2D(2, 1, kernel_initializer=kernel([[[[0, 0], [4, -4]]]]), name="gather")(spread)
    model = keras.Model(image, keras.layers.Softmax(name="after")(gather), name="wide_range")
    return source_of(model, np.random.default_rng(2).random((4, 16, 16, 1), dtype=np.float32))


def test_the_layer_that_int8_harms_is_ranked_first(wide_range: ExportSource) -> None:
    model = float32_model(wide_range)
    ranges, _ = calibrated(model, wide_range.calibration_images)
    names = [wide_range.model.name, *(layer.name for layer in wide_range.model.layers)]
    integer = quantised(model, ranges, (), integer_io=False)
    ranked = ranked_layers(model, integer, list(wide_range.calibration_images()), names)
    assert [layer.name for layer in ranked[:1]] == ["gather"]
    assert {"bend", "bend_too"} <= {layer.name for layer in ranked}  # what the converter fused has the last one's name


def test_layers_that_int8_harms_stay_float(wide_range: ExportSource, tmp_path: Path) -> None:
    """The trial measures the network itself; what passes is written, in both ways of going in and out."""
    images = np.concatenate(list(wide_range.calibration_images()))
    expected = wide_range.model.predict_on_batch(images)
    tried: list[float] = []

    def trial(predictor: Callable[[np.ndarray], Any]) -> float:
        tried.append(float(np.abs(predictor(images)["probabilities"] - expected).mean() / 0.01))
        return tried[-1]

    source = replace(wide_range, trial=trial, shared={})
    (tmp_path / "integer").mkdir()
    path, quantisation = written(export_tflite_int8, source, tmp_path)
    assert tried[0] > 10
    assert {"bend_too", "gather"} <= set(quantisation["float_layers"])
    assert quantisation["trial"]["share_of_limits"] <= TRIAL_SHARE
    assert quantisation["trial"]["tried"][0] == [0, tried[0]]
    assert quantisation["float_operations"]
    assert difference(path, source) < 0.01
    before = len(tried)
    integer, _ = written(export_tflite_int8_integer, source, tmp_path / "integer")
    assert len(tried) == before  # calibrated and chosen once for both
    assert difference(integer, source) < 0.01
    runner = Interpreter(model_path=str(integer)).get_signature_runner("serving_default")
    assert runner.get_input_details()["image"]["dtype"] == np.int8
    assert runner.get_output_details()["probabilities"]["dtype"] == np.int8


@pytest.mark.parametrize(
    ("shares", "tried", "kept"),
    [
        ([0.5], [0], 0),
        ([9.0, 0.5], [0, 1], 1),
        ([9.0, 5.0, 0.1], [0, 1, 2], 2),
        ([9.0, 5.0, 4.0, 0.3, 0.2], [0, 1, 2, 4, 3], 3),
        ([9.0, 5.0, 4.0, 0.3, 0.7], [0, 1, 2, 4, 3], 4),
        ([9.0, 5.0, 0.9, 2.0, 3.0], [0, 1, 2, 4, 5], 2),  # never: the best of those tried
    ],
)
def test_the_fewest_layers_are_looked_for(
    shares: list[float], tried: list[int], kept: int, source: ExportSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = float32_model(source)
    ranges, _ = calibrated(model, source.calibration_images)
    ranked = [quantise.Layer(f"layer {number}", (f"scope {number}",)) for number in range(5)]
    monkeypatch.setattr(quantise, "ranked_layers", lambda *_arguments: ranked)
    monkeypatch.setattr(quantise, "TFLiteRunner", lambda path: path)
    told = iter(shares)
    choice = choose_float_layers(replace(source, trial=lambda _: next(told)), model, ranges)
    assert [count for count, _ in choice.tried] == tried
    assert [layer.name for layer in choice.layers] == [f"layer {number}" for number in range(kept)]
    assert choice.share == dict(choice.tried)[kept]


def test_the_drawn_heart_survives_int8(tmp_path: Path) -> None:
    source = source_of(heart_network(), heart_images())
    path, _ = written(export_tflite_int8, source, tmp_path)
    expected = source.model.predict_on_batch(heart_images())
    found = TFLiteRunner(path)(heart_images())["probabilities"]
    assert np.array_equal(found.argmax(-1), expected.argmax(-1))
