"""Bundles: written whole or not at all, loaded as they were written."""

import json
from pathlib import Path

import numpy as np
import pytest

from cart.measure import measure_image
from export import bundle
from export.bundle import EXPORTERS, LOADERS, load_predictor, measurement_spec, require_formats, write_bundle
from export.parity import ParityFrames, outputs_of
from postprocessing.hinge_points import ANTERIOR_SIDE
from shell.errors import UsageError, UserError
from tests.export.drawn_heart import (
    CALIBRATION,
    heart_frames,
    heart_images,
    heart_run,
    heart_sample,
    source_of,
    write_heart_bundle,
)


@pytest.fixture(params=["tflite_bundle", "saved_model_bundle"])
def any_bundle(request: pytest.FixtureRequest) -> Path:
    return request.getfixturevalue(request.param)


def test_every_format_can_be_written_and_loaded() -> None:
    assert list(EXPORTERS) == list(LOADERS)


def test_holds_artefact_description_and_parity(any_bundle: Path) -> None:
    described = json.loads((any_bundle / "bundle.json").read_text())
    present = {p.relative_to(any_bundle).as_posix() for p in any_bundle.rglob("*") if p.is_file()}
    assert set(described["files"]) == present - {"bundle.json"}
    assert described["artefact"] in {"model.tflite", "saved_model"}
    assert described["format"] == any_bundle.name
    assert (described["input"]["height"], described["input"]["width"], described["input"]["channels"]) == (64, 64, 1)
    assert described["orientation"] == dict(ANTERIOR_SIDE)
    assert described["calibration"] == CALIBRATION.to_dict()
    assert described["quantisation"] is None
    assert described["quality"] is None  # the run has no quality model: no invented thresholds
    parity = json.loads((any_bundle / "parity.json").read_text())
    assert parity["frames"] == 3
    assert parity["probability_difference"]["max"] < 1e-6
    assert parity["dice"]["LV"]["least"] == 1.0
    assert parity["hinge_points"]["frames"] == 2
    assert parity["hinge_points"]["shift_px"]["max"] < 1e-3
    assert parity["failures"] == []
    assert (parity["within_limits"], parity["limits"]["output"]) == (True, 1e-4)
    assert parity["measured"]["output"] == parity["probability_difference"]["max"]


def test_measures_as_the_run_does(any_bundle: Path, tmp_path: Path) -> None:
    run = heart_run(tmp_path)
    sample = heart_sample()
    loaded = load_predictor(any_bundle)
    arguments = (sample.image, sample.spacing_mm, sample.view, sample.phase)
    ours = measure_image(*arguments, predictor=run.predict, spec=measurement_spec(run))
    theirs = measure_image(*arguments, predictor=loaded, spec=loaded.spec.measurement)
    assert theirs.frame.annulus_diameter == pytest.approx(ours.frame.annulus_diameter, abs=1e-6)
    assert theirs.calibrated is not None
    assert ours.calibrated is not None
    assert theirs.calibrated.annulus_diameter == pytest.approx(ours.calibrated.annulus_diameter, abs=1e-6)
    assert np.array_equal(theirs.frame.label_map, ours.frame.label_map)


@pytest.mark.parametrize(("fixture", "dtype"), [("int8_bundle", "int8 weights"), ("integer_bundle", "int8 weights")])
def test_an_integer_bundle_measures_nearly_as_the_run_does(
    fixture: str, dtype: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    folder: Path = request.getfixturevalue(fixture)
    described = json.loads((folder / "bundle.json").read_text())
    assert described["format"] == folder.name
    assert described["input"]["dtype"] == {"int8_bundle": "float32", "integer_bundle": "int8"}[fixture]
    quantisation = described["quantisation"]
    assert quantisation["scheme"].startswith(dtype)
    assert (quantisation["frames"], quantisation["source"]) == (3, "random images")
    assert (quantisation["float_layers"], quantisation["float_operations"], quantisation["trial"]) == (
        [],
        ["SOFTMAX × 1"],
        None,
    )
    assert sorted(described["files"]) == ["model.tflite", "parity.json"]
    parity = json.loads((folder / "parity.json").read_text())
    assert parity["limits"] == {"output": None, "dice_loss": 0.005, "hinge_shift_mm": 0.3, "box_shift": 0.005}
    assert parity["within_limits"] is True
    assert 0 <= parity["measured"]["hinge_shift_mm"] < 0.05
    sample, loaded = heart_sample(), load_predictor(folder)
    arguments = (sample.image, sample.spacing_mm, sample.view, sample.phase)
    ours = measure_image(*arguments, predictor=heart_run(tmp_path).predict, spec=loaded.spec.measurement)
    theirs = measure_image(*arguments, predictor=loaded, spec=loaded.spec.measurement)
    assert theirs.frame.annulus_diameter == pytest.approx(ours.frame.annulus_diameter, abs=0.05)


def test_a_bundle_beyond_its_limits_is_written_and_says_so(tmp_path: Path) -> None:
    """The labels of the one frame are what Keras says, and the network's answer is moved by four columns of 16."""
    run, sample = heart_run(tmp_path / "run"), heart_sample()
    frames = ParityFrames((sample,), "a drawn heart")
    reference = [
        {name: np.roll(output, 4, axis=1) for name, output in outputs.items()}
        for outputs in outputs_of(run.predict, frames, measurement_spec(run), "reference")
    ]
    source = source_of(run.model, heart_images())
    parity = write_bundle(run, "tflite-int8", tmp_path / "b", frames=frames, reference=reference, source=source)
    assert parity["within_limits"] is False
    assert parity["measured"]["hinge_shift_mm"] == pytest.approx(4 * 3 * 0.3, abs=0.1)  # 4 columns of 3 px of 0.3 mm
    assert json.loads((tmp_path / "b" / "parity.json").read_text()) == parity


def test_a_run_without_calibration(tmp_path: Path) -> None:
    run, frames = heart_run(tmp_path / "run", calibration=None), heart_frames()
    reference = outputs_of(run.predict, frames, measurement_spec(run), "reference")
    write_bundle(run, "tflite-float32", tmp_path / "b", frames=frames, reference=reference)
    assert json.loads((tmp_path / "b" / "bundle.json").read_text())["calibration"] is None
    assert load_predictor(tmp_path / "b").spec.measurement.calibration is None


def test_an_older_bundle_is_replaced_whole(tmp_path: Path) -> None:
    folder = write_heart_bundle(tmp_path / "b", "saved_model")
    write_heart_bundle(folder, "tflite-float32")
    assert sorted(path.name for path in folder.iterdir()) == ["bundle.json", "model.tflite", "parity.json"]
    assert [path.name for path in tmp_path.iterdir()] == ["b"]


def test_a_folder_of_something_else_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "thesis.tex").touch()
    with pytest.raises(UserError, match=r"holds no bundle\.json, so it is not replaced"):
        write_heart_bundle(tmp_path / "b", "tflite-float32")
    assert (tmp_path / "b" / "thesis.tex").exists()


def test_nothing_is_written_for_an_artefact_that_disagrees(tmp_path: Path) -> None:
    run, frames = heart_run(tmp_path / "run"), heart_frames()
    reference = [
        {name: output[::-1] for name, output in outputs.items()}
        for outputs in outputs_of(run.predict, frames, measurement_spec(run), "reference")
    ]
    with pytest.raises(UserError, match="output probabilities differs from the Keras model's"):
        write_bundle(run, "tflite-float32", tmp_path / "b", frames=frames, reference=reference)
    assert list(tmp_path.iterdir()) == []


def test_weights_that_are_not_finite_are_refused(tmp_path: Path) -> None:
    run, frames = heart_run(tmp_path / "run"), heart_frames()
    run.model.set_weights([np.full_like(weight, np.nan) for weight in run.model.get_weights()])
    reference = outputs_of(run.predict, frames, measurement_spec(run), "reference")
    with pytest.raises(UserError, match="not finite"):
        write_bundle(run, "tflite-float32", tmp_path / "b", frames=frames, reference=reference)
    assert list(tmp_path.iterdir()) == []


def test_unknown_formats_are_wrong_usage() -> None:
    assert require_formats(["tflite-int8", "saved_model", "tflite-int8"]) == ("tflite-int8", "saved_model")
    assert require_formats(["onnx", "all"]) == tuple(EXPORTERS)
    with pytest.raises(UsageError, match=r"Received: tflite_float32\. Did you mean tflite-float32"):
        require_formats(["saved_model", "tflite_float32"])


def test_a_format_of_a_later_program_is_refused(tflite_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bundle, "LOADERS", {"saved_model": LOADERS["saved_model"]})
    with pytest.raises(UserError, match="format 'tflite-float32'; this program loads saved_model"):
        load_predictor(tflite_bundle)
