"""A network of short-axis slices in a bundle: it is checked on slices of volumes, cropped as it was trained."""

from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest

from cart.bundle import read_bundle
from cart.volumes import measure_examinations, sees_short_axis
from data_pipeline.sample import Phase
from data_pipeline.splits import Split
from export.bundle import load_predictor, measurement_spec, write_bundle
from export.parity import outputs_of, parity_frames
from recipes.base import Recipe
from tests.cart.short_axis import CROP_MM, SPEC, labels_of, write_heart
from tests.export.drawn_heart import heart_run

GREY = np.array([0, 3, 2, 1], np.float32) / 3  # of BACKGROUND, LV, MYO and RV
RECIPE = Recipe(
    name="drawn_short_axis",
    paper="none",
    model="dense_unet",
    classes=("BACKGROUND", "LV", "MYO", "RV"),
    input_height=SPEC.preprocessing.height,
    input_width=SPEC.preprocessing.width,
    crop_mm=CROP_MM,
    largest_component=False,
)


def grey_network() -> keras.Model:
    """Each pixel's class by its grey level."""
    inputs = keras.Input((RECIPE.input_height, RECIPE.input_width, 1), name="image")
    scores = keras.layers.Conv2D(len(GREY), 1)
    model = keras.Model(inputs, keras.layers.Softmax()(scores(inputs)), name="grey_levels")
    scores.set_weights([400 * GREY.reshape(1, 1, 1, -1), -200 * GREY**2])
    return model


def test_parity_on_cropped_slices_and_the_bundle_on_a_volume(tmp_path: Path) -> None:
    root = tmp_path / "acdc"
    patients = [f"patient{number:03d}" for number in range(1, 8)]  # of 8 slices
    for patient in patients:
        write_heart(root, patient)
    split = Split(tuple(patients[2:]), (patients[0],), (patients[1],), "drawn")
    run = replace(
        heart_run(tmp_path, calibration=None, recipe=RECIPE, network=grey_network),
        data_spec=f"acdc:{root}",
        split=split,
    )
    spec = measurement_spec(run)
    assert spec.crop_mm == CROP_MM
    assert sees_short_axis(spec)
    frames = parity_frames(run.data_spec, run.split, run.structures)
    assert len(frames.samples) == 56
    assert frames.source == "validation, test and training frames of the run's data"
    reference = outputs_of(run.predict, frames, spec, "reference")
    parity = write_bundle(run, "tflite-float32", tmp_path / "bundle", frames=frames, reference=reference)
    assert (parity["frames"], parity["failures"], parity["within_limits"]) == (56, [], True)
    assert parity["hinge_points"]["frames"] == 0
    for name in ("LV", "MYO", "RV"):
        assert parity["dice"][name]["least"] == 1
        assert parity["reference_dice"][name]["keras"] > 0.95  # it saw the heart, where the crop put it
        assert parity["reference_dice"][name]["change"] == pytest.approx(0, abs=1e-6)
    assert read_bundle(tmp_path / "bundle").measurement.crop_mm == CROP_MM
    bundle = load_predictor(tmp_path / "bundle")
    (result,) = measure_examinations([root / patients[0]], predictor=bundle, spec=bundle.spec.measurement)
    assert result.measured is not None
    for phase in Phase:
        found = result.measured.at(phase)
        assert found is not None
        assert np.count_nonzero(labels_of(phase.value) != found.label_maps) < 0.02 * found.label_maps.size
