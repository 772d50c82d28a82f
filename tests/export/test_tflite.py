"""SavedModel and TFLite: what they compute, what they refuse."""

from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

import models
from cart.runtime import TFLiteRunner
from export.saved_model import SavedModelRunner, export_saved_model
from export.tflite import export_tflite_float32
from shell.errors import UserError
from tests.export.drawn_heart import source_of
from training.run_folder import predict


@pytest.fixture(scope="module")
def network() -> keras.Model:
    """A narrow unet1 whose batch normalisation has something to do."""
    keras.utils.set_random_seed(3)
    model = models.build("unet1", input_shape=(64, 96, 1), classes=3, width=0.125)
    random = np.random.default_rng(3)
    model.set_weights([w + random.uniform(0.0, 0.3, w.shape).astype(np.float32) for w in model.get_weights()])
    return model


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    return np.random.default_rng(4).random((3, 64, 96, 1), dtype=np.float32)


def test_saved_model_computes_the_same(network: keras.Model, images: np.ndarray, tmp_path: Path) -> None:
    assert export_saved_model(source_of(network), tmp_path) == "saved_model"
    runner = SavedModelRunner(tmp_path / "saved_model")
    together = runner(images)["probabilities"]
    assert together == pytest.approx(network.predict_on_batch(images), abs=1e-5)
    assert np.array_equal(together[1:2], runner(images[1:2])["probabilities"])


def test_saved_model_has_a_named_signature_for_any_batch(network: keras.Model, tmp_path: Path) -> None:
    export_saved_model(source_of(network), tmp_path)
    loaded = tf.saved_model.load(str(tmp_path / "saved_model"))
    assert sorted(loaded.signatures) == ["raw", "serving_default"]
    signature = loaded.signatures["serving_default"]
    assert signature.structured_input_signature[1] == {
        "image": tf.TensorSpec((None, 64, 96, 1), tf.float32, name="image")
    }
    assert signature.structured_outputs == {
        "probabilities": tf.TensorSpec((None, 64, 96, 3), tf.float32, name="probabilities")
    }


def test_tflite_computes_the_same(network: keras.Model, images: np.ndarray, tmp_path: Path) -> None:
    assert export_tflite_float32(source_of(network), tmp_path) == "model.tflite"
    runner = TFLiteRunner(tmp_path / "model.tflite", threads=1)
    assert (runner.input_shape, runner.output_shapes) == ((64, 96), {"probabilities": (64, 96, 3)})
    assert runner(images)["probabilities"] == pytest.approx(network.predict_on_batch(images), abs=1e-5)


@pytest.fixture(scope="module")
def two_outputs() -> keras.Model:
    """(n, 8, 16, 1) → a box that depends on the image, and classes of each pixel."""
    keras.utils.set_random_seed(5)
    image = keras.Input((8, 16, 1), name="image")
    features = keras.layers.Conv2D(3, 3, padding="same")(image)
    box = keras.layers.Dense(4)(keras.layers.Flatten()(features))
    return keras.Model(image, {"box": box, "probabilities": keras.layers.Softmax()(features)}, name="two_outputs")


@pytest.mark.parametrize("export", [export_saved_model, export_tflite_float32])
def test_several_outputs_keep_their_names(two_outputs: keras.Model, tmp_path: Path, export) -> None:
    path = tmp_path / export(source_of(two_outputs), tmp_path)
    runner = SavedModelRunner(path) if path.is_dir() else TFLiteRunner(path, threads=1)
    images = np.random.default_rng(6).random((2, 8, 16, 1), dtype=np.float32)
    expected = predict(two_outputs, images)
    outputs = runner(images)
    assert sorted(outputs) == ["box", "probabilities"]
    for name, output in outputs.items():
        assert output.dtype == np.float32
        assert output == pytest.approx(expected[name], abs=1e-6), name
    assert expected["box"].shape == (2, 4)


def test_tflite_of_something_else_is_refused(tmp_path: Path) -> None:
    image = keras.Input((8, 8, 1), name="image")
    edges = keras.Model(image, {"edges": keras.layers.Conv2D(1, 3)(image)}, name="edges")
    export_tflite_float32(source_of(edges), tmp_path)
    with pytest.raises(UserError, match="no output probabilities or box"):
        TFLiteRunner(tmp_path / "model.tflite")


def test_tflite_refuses_what_is_not_built_in(tmp_path: Path) -> None:
    class Betainc(keras.layers.Layer):
        def call(self, x):
            return tf.math.betainc(x, x, x)

    inputs = keras.Input((8, 8, 1))
    model = keras.Model(inputs, Betainc()(inputs), name="odd")
    with pytest.raises(UserError, match=r"odd cannot become a TFLite model \(not built into TFLite: Betainc\)"):
        export_tflite_float32(source_of(model), tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_full_disk_is_one_line(network: keras.Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_args, **_kwargs):
        raise tf.errors.ResourceExhaustedError(None, None, "No space left on device")

    monkeypatch.setattr(tf.saved_model, "save", full)
    with pytest.raises(UserError, match="No space left on device"):
        export_saved_model(source_of(network), tmp_path)


@pytest.mark.parametrize("damage", ["missing", "empty"])
def test_what_is_no_saved_model_is_refused(tmp_path: Path, damage: str) -> None:
    if damage == "empty":
        (tmp_path / "saved_model.pb").write_bytes(b"")
    with pytest.raises(UserError, match="not a SavedModel"):
        SavedModelRunner(tmp_path)


def test_another_backend_is_refused(network: keras.Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    with pytest.raises(UserError, match="unset KERAS_BACKEND"):
        export_saved_model(source_of(network), tmp_path)
