"""ONNX: what it computes, what it says of itself, what it refuses, and its way through evaluate.py."""

from pathlib import Path

import keras
import numpy as np
import onnx
import pytest
import tensorflow as tf

import evaluate
import models
from cart.bundle import read_bundle
from cart.engines import ENGINES, load_runner
from cart.measure import measure_image
from export.onnx import OPSET, export_onnx
from shell.errors import UserError
from tests.export.drawn_heart import DIAMETER_MM, heart_sample, source_of, write_heart_bundle
from training.run_folder import predict


@pytest.fixture(scope="module")
def network() -> keras.Model:
    """A narrow unet1 whose batch normalisation has something to do."""
    keras.utils.set_random_seed(3)
    model = models.build("unet1", input_shape=(32, 64, 1), classes=3, width=0.125)
    random = np.random.default_rng(3)
    model.set_weights([w + random.uniform(0.0, 0.3, w.shape).astype(np.float32) for w in model.get_weights()])
    return model


def test_computes_the_same(network: keras.Model, tmp_path: Path) -> None:
    assert export_onnx(source_of(network), tmp_path) == "model.onnx"
    images = np.random.default_rng(4).random((3, 32, 64, 1), dtype=np.float32)
    runner = ENGINES["onnxruntime"].open(tmp_path / "model.onnx", 1)
    assert (runner.input_shape, runner.output_shapes) == ((32, 64), {"probabilities": (32, 64, 3)})
    assert runner(images)["probabilities"] == pytest.approx(network.predict_on_batch(images), abs=1e-5)


def test_names_shapes_and_operators(network: keras.Model, tmp_path: Path) -> None:
    export_onnx(source_of(network), tmp_path)
    model = onnx.load(tmp_path / "model.onnx")
    assert {entry.domain: entry.version for entry in model.opset_import}[""] == OPSET
    assert {node.domain for node in model.graph.node} == {""}
    shapes = {
        value.name: [side.dim_value for side in value.type.tensor_type.shape.dim]
        for value in (*model.graph.input, *model.graph.output)
    }
    assert shapes == {"image": [1, 32, 64, 1], "probabilities": [1, 32, 64, 3]}


def test_several_outputs_keep_their_names(tmp_path: Path) -> None:
    keras.utils.set_random_seed(5)
    image = keras.Input((8, 16, 1), name="image")
    features = keras.layers.Conv2D(3, 3, padding="same")(image)
    box = keras.layers.Dense(4)(keras.layers.Flatten()(features))
    outputs = {"box": box, "probabilities": keras.layers.Softmax()(features)}
    model = keras.Model(image, outputs, name="two_outputs")
    export_onnx(source_of(model), tmp_path)
    images = np.random.default_rng(6).random((2, 8, 16, 1), dtype=np.float32)
    expected = predict(model, images)
    found = ENGINES["onnxruntime"].open(tmp_path / "model.onnx", 1)(images)
    assert sorted(found) == ["box", "probabilities"]
    for name, values in found.items():
        assert values == pytest.approx(expected[name], abs=1e-5), name


def test_what_onnx_has_no_operator_for_is_refused(tmp_path: Path) -> None:
    class Betainc(keras.layers.Layer):
        def call(self, x):
            return tf.math.betainc(x, x, x)

    inputs = keras.Input((8, 8, 1))
    model = keras.Model(inputs, Betainc()(inputs), name="odd")
    with pytest.raises(UserError, match=r"odd cannot become an ONNX model \(.*Betainc"):
        export_onnx(source_of(model), tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_bundle_measures_as_worked_by_hand(tmp_path: Path) -> None:
    folder = write_heart_bundle(tmp_path / "onnx", "onnx")
    sample, source = heart_sample(), evaluate.load_bundle_source(folder)
    assert source.name == "unet1 (onnx)"
    arguments = (sample.image, sample.spacing_mm, sample.view, sample.phase)
    found = measure_image(*arguments, predictor=source.predictor, spec=source.spec)
    assert found.frame.annulus_diameter == pytest.approx(DIAMETER_MM, abs=0.05)
    on_cart = measure_image(*arguments, predictor=load_runner(read_bundle(folder)), spec=source.spec)
    assert on_cart.frame.annulus_diameter == found.frame.annulus_diameter
