"""`python -m export` on a run folder as training writes it."""

import json
import shutil
from pathlib import Path

import keras
import numpy as np
import pytest

import predict
from data_pipeline.splits import Split
from export import bundle, quantise
from export.__main__ import main
from export.bundle import load_predictor
from export.parity import Limits
from export.source import ExportSource
from recipes.base import Recipe
from shell.command import run_command
from shell.errors import UserError
from tests.export.drawn_heart import CALIBRATION, write_heart_nifti
from training.run_folder import begin_run, build_model, load_run, save_model

RECIPE = Recipe(
    name="narrow", paper="none", model="unet1", input_height=64, input_width=96, model_options={"width": 0.125}
)


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run trained in mixed bfloat16, of which only the weights matter here."""
    root = tmp_path_factory.mktemp("runs")
    for number in (1, 2, 3):
        patient = f"patient{number:04d}"
        write_heart_nifti(root / "camus" / patient / f"{patient}_4CH_ED.nii.gz")
        write_heart_nifti(root / "camus" / patient / f"{patient}_4CH_ED_gt.nii.gz", labels=True)
    folder = root / "narrow"
    split = Split(("patient0001",), ("patient0002",), ("patient0003",), "by hand")
    begin_run(folder, RECIPE, split, f"camus:{root / 'camus'}")
    keras.utils.set_random_seed(1)
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = build_model(RECIPE)
    finally:
        keras.config.set_dtype_policy("float32")
    save_model(folder, model, epoch=1, monitor="val_loss", value=1.0)
    (folder / "calibration.json").write_text(json.dumps(CALIBRATION.to_dict()))
    return folder


def run(*arguments: str | Path) -> int:
    with pytest.raises(SystemExit) as caught:
        run_command(main, [str(argument) for argument in arguments])
    assert isinstance(caught.value.code, int)
    return caught.value.code


def test_exports_every_default_format(run_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--run", run_folder, "--out", tmp_path / "out") == 0
    said = capsys.readouterr().out
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["saved_model", "tflite-float32"]
    loaded_run = load_run(run_folder)
    images = np.random.default_rng(5).random((2, 64, 96, 1), dtype=np.float32)
    for folder in (tmp_path / "out").iterdir():
        assert f"{folder}: largest |Δ probability| " in said
        parity = json.loads((folder / "parity.json").read_text())
        assert (parity["frames"], parity["source"]) == (3, "validation, test and training frames of the run's data")
        assert parity["probability_difference"]["max"] < 1e-5  # float32 on both sides, not bfloat16
        loaded = load_predictor(folder)
        assert loaded.spec.measurement.calibration == CALIBRATION
        outputs, expected = loaded(images), loaded_run.predict(images)
        assert list(outputs) == list(expected) == ["probabilities"]
        assert outputs["probabilities"] == pytest.approx(expected["probabilities"], abs=1e-5)


def test_int8_is_calibrated_on_training_frames(
    run_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quantise, "TRIAL_SHARE", np.inf)  # an untrained network is sure of nothing
    formats = ["tflite-int8", "tflite-int8-integer", "tflite-int8"]
    out = tmp_path / "out"
    assert run("--run", run_folder, "--format", *formats, "--calibration-frames", 7, "--out", out) == 0
    said = capsys.readouterr()
    assert said.err.count("calibrate int8:") == 1  # once for both
    for name in set(formats):
        assert f"{out / name}: largest |Δ probability| " in said.out
        quantisation = json.loads((out / name / "bundle.json").read_text())["quantisation"]
        assert (quantisation["frames"], quantisation["source"]) == (1, "training frames of the run's data")  # all
        assert [tried[0] for tried in quantisation["trial"]["tried"]] == [0]
        parity = json.loads((out / name / "parity.json").read_text())
        assert (f"{out / name}: BEYOND ITS LIMITS" in said.out) is not parity["within_limits"]


def test_a_bundle_beyond_its_limits_is_told(
    run_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(bundle.LIMITS, "tflite-dynamic", Limits(dice_loss=-1.0, box_shift=0.1))
    assert run("--run", run_folder, "--format", "tflite-dynamic", "--out", tmp_path / "out") == 0
    said = capsys.readouterr().out
    assert f"{tmp_path / 'out' / 'tflite-dynamic'}: BEYOND ITS LIMITS: loss of Dice " in said
    assert "(at most -1); try more --calibration-frames, or use tflite-float16 or tflite-float32" in said


def test_a_format_that_fails_does_not_keep_the_others_away(
    run_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_source: ExportSource, _folder: Path) -> str:
        raise UserError("narrow cannot become a SavedModel")

    monkeypatch.setitem(bundle.EXPORTERS, "saved_model", refuse)
    assert run("--run", run_folder, "--format", "saved_model", "tflite-float32", "--out", tmp_path / "out") == 1
    said = capsys.readouterr()
    assert f"{tmp_path / 'out' / 'saved_model'}: NOT WRITTEN. narrow cannot become a SavedModel" in said.err
    assert "1 of 2 formats could not be written: saved_model" in said.err
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["tflite-float32"]


def test_a_network_that_needs_a_reference_is_neither_exported_nor_used(
    run_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = Path(shutil.copytree(run_folder, tmp_path / "oracle"))
    values = json.loads((folder / "recipe.json").read_text())
    (folder / "recipe.json").write_text(json.dumps({**values, "oracle_margin": 0.15}))
    assert run("--run", folder, "--out", tmp_path / "out") == 1
    assert "cropped to the box of their reference (oracle_margin=0.15)" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
    with pytest.raises(UserError, match=r"oracle_margin=0\.15"):
        predict.main(["--run", str(folder), "frame.png"])


def test_default_place_is_named_after_the_run(
    run_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run("--run", run_folder, "--format", "tflite-float32", "tflite-float32") == 0
    assert [path.name for path in (tmp_path / "bundles" / "narrow").iterdir()] == ["tflite-float32"]


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--run", "nowhere"], 1, "nowhere: not a run folder"),
        (["--run", "nowhere", "--calibration-frames", "0"], 2, "`--calibration-frames` must be 1 or more. Received: 0"),
        (["--run", "nowhere", "--format", "tflite"], 2, "Received: tflite. Did you mean tflite-"),
        ([], 2, "required: --run"),
    ],
)
def test_mistakes(
    arguments: list[str], code: int, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*arguments, "--out", tmp_path / "out") == code
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_damaged_model_is_refused(run_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("recipe.json", "split.json", "model.json"):
        (tmp_path / name).write_bytes((run_folder / name).read_bytes())
    (tmp_path / "model.keras").write_bytes((run_folder / "model.keras").read_bytes()[:-50])
    assert run("--run", tmp_path, "--out", tmp_path / "out") == 1
    assert "model.keras" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
