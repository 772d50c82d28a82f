"""Networks that do something else than unet1, from the command line: one epoch, then evaluated and reported."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

import evaluate
import train
from tests.command import call

pytestmark = pytest.mark.slow
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
