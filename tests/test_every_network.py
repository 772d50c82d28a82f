"""Every network in every export format; and those that do something else than unet1 from the command line: one epoch,
then evaluated and reported.
"""

import itertools
import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

import evaluate
import models
import train
from cart.bundle import BundleSpec
from export.bundle import EXPORTERS, LOADERS
from export.parity import FLOAT32_TOLERANCE
from export.saved_model import RAW, describe_signatures
from export.source import ExportSource
from shell.errors import UserError
from tests.command import call
from tests.export.drawn_heart import heart_spec
from training.run_folder import predict

FORMATS_PAGE = Path(__file__).parents[1] / "docs" / "formats.md"

UNSUPPORTED: dict[tuple[str, str], str] = {
    (
        "lu_net",
        "tflite-int8-integer",
    ): "LiteRT does not run it so (its outputs in the midst, which are read on, stay empty)"
}
"""(network, format) → why it cannot be exported so. docs/formats.md has the same list."""

EXACT = {"saved_model", "tflite-float32", "onnx"}
"""Formats that compute in float32; of the others only that they run is tested here, parity.json has their cost."""

OFTEN = {("lu_net", "tflite-float32"), ("lu_net", "onnx"), ("unet1", "saved_model")}
"""What every run of the tests tries: LU-Net crops, segments and goes back in one graph, in the pickier formats."""

EXPORTS = [
    pytest.param(*tried, marks=() if tried in OFTEN else pytest.mark.slow)
    for tried in itertools.product(models.MODELS, EXPORTERS)
]


@pytest.mark.parametrize(("name", "format_name"), EXPORTS)
def test_every_network_in_every_format(name: str, format_name: str, tmp_path: Path) -> None:
    keras.utils.set_random_seed(7)
    classes = 2 if name == "improved_resunet" else 4
    network = models.build(name, input_shape=(64, 64, 1), classes=classes, width=0.0625)
    image = np.random.default_rng(8).random((1, 64, 64, 1), dtype=np.float32)
    expected = predict(network, image)
    spec = replace(heart_spec(), structures=heart_spec().structures[:classes], outputs=tuple(expected))
    source = ExportSource(network, spec, lambda: iter([image, 1 - image]))
    if reason := UNSUPPORTED.get((name, format_name)):
        with pytest.raises(UserError, match=re.escape(reason)):
            EXPORTERS[format_name](source, tmp_path)
        return
    artefact = tmp_path / EXPORTERS[format_name](source, tmp_path)
    found = LOADERS[format_name](BundleSpec(tmp_path, format_name, artefact, name, {}, spec))(image)
    assert sorted(found) == sorted(expected)
    for output, values in expected.items():
        assert found[output].dtype == np.float32
        assert found[output].shape == values.shape
        assert np.isfinite(found[output]).all()
        if format_name in EXACT:
            assert found[output] == pytest.approx(values, abs=FLOAT32_TOLERANCE), output
        elif output.endswith("probabilities"):
            assert found[output].sum(-1) == pytest.approx(1, abs=0.05)
    if artefact.is_dir():
        frames = np.random.default_rng(9).integers(0, 256, (2, 70, 50, 1), np.uint8)
        native = tf.saved_model.load(str(artefact)).signatures[RAW](frames=tf.constant(frames))
        assert sorted(native) == sorted(describe_signatures(spec)[RAW]["outputs"])
        for output, values in native.items():
            assert values.shape == ((2, 4) if output == "box" else (2, 70, 50, classes))


def test_the_page_of_formats_says_what_there_is() -> None:
    """Its first table has every format; its list of what cannot be exported is `UNSUPPORTED`."""
    page = FORMATS_PAGE.read_text(encoding="utf-8")
    formats, networks = page.split("## Networks")
    assert re.findall(r"^\| `([^`]+)` \|", formats, re.MULTILINE) == list(EXPORTERS)
    told = re.findall(r"^\| `([^`]+)` \| `([^`]+)` \| (.+) \|$", networks.split("## ")[0], re.MULTILINE)
    assert {(network, format_name): reason for network, format_name, reason in told} == UNSUPPORTED
    assert UNSUPPORTED or "Every network of `python train.py --list` becomes every format." in networks
    assert {network for network, _ in UNSUPPORTED} <= set(models.MODELS)


SMALL = ["input_height=64", "input_width=64", "batch_size=4", "epochs=1", "precision=float32", "train_share=0.5"]


@pytest.fixture(scope="module")
def hearts(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("hearts") / "set"
    command = [sys.executable, "-m", "data_pipeline.phantom", str(folder), "--patients", "6", "--seed", "5"]
    subprocess.run(command, check=True, capture_output=True, cwd=Path(__file__).parents[1])
    return folder


NETWORKS = {
    "lu_net": ([], "Table IV)", ["Dice", "box: IOU", "outlines no left atrium"]),
    "ru_net": ([], "The two U-Nets of this network (not in a paper)", ["Dice", "frames without hinge errors"]),
    "u_l2": ([], "Localisation (LU-Net paper, Table I)", ["Dice", "box: IOU", "outlines no left atrium"]),
    "alexnet_box": ([], "Localisation of the left ventricle", ["box: IOU", "outlines nothing"]),
    "improved_resunet": ([], "improved ResUNet paper, Table 2", ["Dice", "outlines no left atrium"]),
    "vds_unet": ([], "VDS-UNet paper, Table 2", ["Dice", "MV", "frames without hinge errors"]),
    "dense_unet": ([], "Segmentation of the ventricles", ["Dice", "RV", "outlines no left atrium"]),
    "unet1": (["--recipe", "lu_net_motivation"], "THE REFERENCE WAS USED", ["THE REFERENCE WAS USED", "margin of 5%"]),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
def test_trained_evaluated_reported(name, hearts, tmp_path, capsys):
    options, in_report, said = NETWORKS[name]
    run = tmp_path / "run"
    settings = ["--set", *SMALL, "model_options.width=0.0625", "val_share=0.3"]
    assert call(train.main, "--model", name, *options, "--data", f"phantom:{hearts}", "--out", run, *settings) == 0
    trained = capsys.readouterr().out
    assert call(evaluate.main, "--run", run, "--out", tmp_path / "out") == 0
    headline = capsys.readouterr().out
    for words in said:
        assert words in headline
    assert in_report in (tmp_path / "out" / "report.html").read_text().replace("\u00a0", " ")
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert summary["n_cases"] == 4 * len(json.loads((run / "split.json").read_text())["test"])
    assert bool(summary["localisation"]) == ("box: IOU" in said)
    assert bool(summary["not_measured"]) == any(words.startswith("outlines") for words in said)
    assert ("no hinge points to calibrate" in trained) == bool(summary["not_measured"])
    assert summary["failures"] == [] or not summary["not_measured"]
