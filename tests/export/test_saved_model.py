"""The SavedModel's second signature: raw frames in, what the cart would say of them out."""

import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from cart.measure import MeasurementSpec, measure_image
from data_pipeline.phantom.patient import draw_patient, simulate_view
from data_pipeline.preprocess import Preprocessing, preprocess_image, restore_probabilities, square_around
from data_pipeline.sample import View
from export.raw import why_not_raw
from export.saved_model import RAW, describe_signatures, export_saved_model
from export.source import ExportSource
from postprocessing.measurement import measure_frame
from tests.export.drawn_heart import BOX_NATIVE, SPACING_MM, heart_image, heart_localiser, heart_network, heart_spec
from training.run_folder import predict

GRID = (24, 40)
SPEC = replace(heart_spec(), preprocessing=Preprocessing(*GRID))


@pytest.fixture(scope="module")
def neighbours() -> keras.Model:
    """(n, 24, 40, 1) → soft classes that depend on each pixel's neighbours."""
    keras.utils.set_random_seed(11)
    image = keras.Input((*GRID, 1), name="image")
    features = keras.layers.Conv2D(8, 5, padding="same", activation="relu", kernel_initializer="random_normal")(image)
    scores = keras.layers.Conv2D(4, 3, padding="same", kernel_initializer=keras.initializers.RandomNormal(0, 3))
    return keras.Model(image, keras.layers.Softmax()(scores(features)), name="neighbours")


def loaded(model: keras.Model, spec: MeasurementSpec, folder: Path) -> tf.Module:
    """As anyone would load it: TensorFlow alone."""
    source = ExportSource(model, spec, lambda: iter(()))
    return tf.saved_model.load(str(folder / export_saved_model(source, folder)))


def call_raw(module: tf.Module, frames: np.ndarray, **options: object) -> Mapping[str, np.ndarray]:
    found = module.signatures[RAW](frames=tf.constant(frames[..., np.newaxis]), **options)
    return {name: value.numpy() for name, value in found.items()}


def expected(model: keras.Model, frame: np.ndarray, spec: MeasurementSpec, spacing: tuple | None = None) -> np.ndarray:
    """The way of the cart."""
    region = None if spec.crop_mm is None else square_around(None, frame.shape, spacing, spec.crop_mm)
    image = preprocess_image(frame.astype(np.float32), spec.preprocessing, region)
    probabilities = predict(model, image[np.newaxis, :, :, np.newaxis])["probabilities"][0]
    return restore_probabilities(probabilities, frame.shape, region)


SHAPES = {"smaller": (17, 31), "larger": (101, 67), "one way each": (96, 33), "whole multiple": (48, 120), "same": GRID}


@pytest.mark.parametrize("normalise", ["unit", "minmax", "zscore"])
def test_says_what_the_cart_says(neighbours: keras.Model, tmp_path: Path, normalise) -> None:
    spec = replace(SPEC, preprocessing=Preprocessing(*GRID, normalise=normalise))
    module = loaded(neighbours, spec, tmp_path)
    random = np.random.default_rng(12)
    for name, shape in SHAPES.items():
        frames = random.integers(0, 256, (3, *shape), np.uint8)
        frames[1] //= 2
        frames[2] = 1  # within 0..1, where grey levels are taken as they are; and flat
        found = call_raw(module, frames)
        assert list(found) == ["probabilities"]
        for frame, probabilities in zip(frames, found["probabilities"], strict=True):
            assert probabilities.dtype == np.float32
            assert probabilities == pytest.approx(expected(neighbours, frame, spec), abs=1e-5), name


@pytest.mark.parametrize("crop_mm", [9.0, 30.0], ids=["inside", "beyond the frame"])
def test_sees_so_many_millimetres(neighbours: keras.Model, tmp_path: Path, crop_mm: float) -> None:
    spec = replace(SPEC, crop_mm=crop_mm)
    module = loaded(neighbours, spec, tmp_path)
    frame = np.random.default_rng(13).integers(0, 256, (61, 50), np.uint8)
    for spacing in ((0.25, 0.5), (0.4, 0.2)):
        found = call_raw(module, frame[np.newaxis], spacing_mm=tf.constant(spacing, tf.float64))["probabilities"][0]
        assert found == pytest.approx(expected(neighbours, frame, spec, spacing), abs=1e-5)
        if crop_mm == 9.0:
            assert found[0, 0].tolist() == [1, 0, 0, 0]


def test_a_box_comes_on_the_frames_own_grid(tmp_path: Path) -> None:
    spec = replace(heart_spec(), outputs=("box",), structures=heart_spec().structures[:3])
    frame = heart_image().astype(np.uint8)
    found = call_raw(loaded(heart_localiser(), spec, tmp_path), frame[np.newaxis])
    assert list(found) == ["box"]
    assert found["box"] == pytest.approx(np.array([BOX_NATIVE]), abs=1e-4)


def test_measures_the_drawn_heart_as_the_cart_does(saved_model_bundle: Path) -> None:
    frame = heart_image()
    probabilities = call_raw(
        tf.saved_model.load(str(saved_model_bundle / "saved_model")), frame[np.newaxis].astype(np.uint8)
    )["probabilities"][0]
    model, spec = heart_network(), heart_spec()
    cart = measure_image(
        frame, SPACING_MM, View.A4C, None, predictor=lambda images: predict(model, images), spec=spec
    ).frame
    raw = measure_frame(
        probabilities,
        structures=spec.structures,
        spacing_mm=SPACING_MM,
        anterior_side="left",
        method=spec.contact_line,
        largest_component=spec.largest_component,
        image=frame,
    )
    assert np.array_equal(raw.label_map, cart.label_map)
    assert raw.annulus_diameter == pytest.approx(cart.annulus_diameter, abs=1e-5)


def test_labels_simulated_frames_as_the_cart_does(tmp_path: Path) -> None:
    """A network that draws wild outlines on speckle: the hardest case for equal labels."""
    model = heart_network(sharpness=30.0)
    module = loaded(model, heart_spec(), tmp_path)
    patient = draw_patient(1, 7, 0.0)
    for view in (View.A4C, View.A2C):
        (frame,) = simulate_view(patient, view, [0.2])
        image = np.asarray(frame.image, np.uint8)
        found = call_raw(module, image[np.newaxis])["probabilities"][0]
        cart = expected(model, image, heart_spec())
        assert np.abs(found - cart).max() < 1e-4
        assert np.mean(found.argmax(-1) != cart.argmax(-1)) < 1e-4
        assert len(np.unique(cart.argmax(-1))) > 2


def test_signatures_as_the_bundle_tells_them(saved_model_bundle: Path) -> None:
    described = json.loads((saved_model_bundle / "bundle.json").read_text())["signatures"]
    signatures = tf.saved_model.load(str(saved_model_bundle / "saved_model")).signatures
    assert sorted(described) == sorted(signatures) == ["raw", "serving_default"]
    for name, entry in described.items():
        inputs = signatures[name].structured_input_signature[1]
        assert {n: (s.dtype.name, s.shape.as_list()) for n, s in inputs.items()} == {
            n: (i["dtype"], i["shape"]) for n, i in entry["inputs"].items()
        }
        assert sorted(signatures[name].structured_outputs) == entry["outputs"]
    assert signatures["raw"].structured_outputs["probabilities"].shape.as_list() == [None, None, None, 4]


def test_millimetres_are_an_input_where_they_are_needed(neighbours: keras.Model, tmp_path: Path) -> None:
    spec = replace(SPEC, crop_mm=90.0)
    inputs = loaded(neighbours, spec, tmp_path).signatures[RAW].structured_input_signature[1]
    assert sorted(inputs) == ["frames", "spacing_mm"]
    assert describe_signatures(spec)[RAW]["inputs"]["spacing_mm"]["shape"] == inputs["spacing_mm"].shape.as_list()


def test_equalised_frames_have_no_raw_signature(neighbours: keras.Model, tmp_path: Path) -> None:
    spec = replace(SPEC, preprocessing=Preprocessing(*GRID, clahe=True))
    assert "CLAHE" in str(why_not_raw(spec))
    assert describe_signatures(spec)[RAW] == {"missing": why_not_raw(spec)}
    assert list(loaded(neighbours, spec, tmp_path).signatures) == ["serving_default"]


PLAIN = """
import sys, numpy as np, tensorflow as tf
assert not {"cart", "export", "training", "models"} & set(sys.modules)
frames = np.load(sys.argv[2])
found = tf.saved_model.load(sys.argv[1]).signatures["raw"](frames=tf.constant(frames))
np.save(sys.argv[3], found["probabilities"].numpy())
"""


@pytest.mark.slow
def test_loads_where_this_project_is_not(saved_model_bundle: Path, tmp_path: Path) -> None:
    frame = heart_image().astype(np.uint8)
    np.save(tmp_path / "frames.npy", frame[np.newaxis, ..., np.newaxis])
    arguments = [saved_model_bundle / "saved_model", tmp_path / "frames.npy", tmp_path / "found.npy"]
    subprocess.run([sys.executable, "-I", "-c", PLAIN, *map(str, arguments)], check=True, cwd=tmp_path)
    found = np.load(tmp_path / "found.npy")[0]
    assert found == pytest.approx(expected(heart_network(), frame, heart_spec()), abs=1e-4)
