"""The command line end to end on simulated hearts: train, evaluate, and every mistake in one clear line."""

import csv
import gzip
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import nibabel
import numpy as np
import pytest

import evaluate
import train
from evaluation.summary import summarise
from shell.files import sha256_of
from tests.command import call

SUBGROUPS = ["A4C-ED", "A4C-ES", "A2C-ED", "A2C-ES", "all"]
SMALL = ["input_height=64", "input_width=64", "model_options.width=0.5", "batch_size=4", "epochs=12"]
SHARES = ["train_share=0.6", "val_share=0.2", "learning_rate=0.003", "precision=float32"]
COLUMNS = ["case", "patient", "view", "phase", "structure", "metric", "value", "unit", "status"]
OF_STRUCTURE = {"dice", "iou", "cpa", "sensitivity", "pixel_accuracy", "mean_absolute_distance", "hausdorff"}
POINT_ERRORS = {
    *(f"{point}_{axis}_error" for point in ("amvl", "pmvl") for axis in ("row", "col")),
    "amvl_error",
    "pmvl_error",
}
DIAMETERS = {"annulus_diameter_reference", "annulus_diameter_predicted"}


@pytest.fixture(scope="module")
def hearts(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("hearts") / "set"
    command = [sys.executable, "-m", "data_pipeline.phantom", str(folder), "--patients", "10", "--seed", "5"]
    subprocess.run(command, check=True, capture_output=True, cwd=Path(__file__).parents[1])
    return folder


@pytest.fixture(scope="module")
def run(hearts, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "small"
    arguments = ["--model", "unet1", "--data", f"phantom:{hearts}", "--out", folder, "--set", *SMALL, *SHARES]
    assert call(train.main, *arguments) == 0
    return folder


@pytest.fixture(scope="module")
def evaluation(run, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("evaluations") / "test"
    assert call(evaluate.main, "--run", run, "--out", folder) == 0
    return folder


def rows_of(folder: Path) -> list[dict[str, str]]:
    with (folder / "cases.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_cases_have_every_measure_that_scripts_rely_on(evaluation, run):
    rows = rows_of(evaluation)
    assert list(rows[0]) == COLUMNS
    patients = json.loads((run / "split.json").read_text())["test"]
    assert {row["patient"] for row in rows} == set(patients)
    frames = [row for row in rows if row["phase"]]
    assert len({row["case"] for row in frames}) == 4 * len(patients)
    for structure in ("LV", "MYO", "LA", "EPI"):
        assert {row["metric"] for row in frames if row["structure"] == structure} >= OF_STRUCTURE
    metrics = {row["metric"] for row in frames}
    for suffix in ("", "_calibrated", "_calibrated_in_sample"):
        assert metrics >= {name + suffix for name in POINT_ERRORS | DIAMETERS}
    assert metrics >= {name + "_constructed" for name in POINT_ERRORS}
    of_patients = {row["metric"] for row in rows if row["case"] == row["patient"]}
    assert of_patients >= {f"{v}_{k}" for v in ("edv", "esv", "ef") for k in ("reference", "predicted", "constructed")}
    assert all((row["value"] != "") == (row["status"] == "ok") for row in rows)
    assert {row["unit"] for row in rows} <= {"ratio", "mm", "ml", "percent", "flag", "grade", "count"}


def test_summary_has_the_shape_that_scripts_rely_on(evaluation):
    summary = json.loads((evaluation / "summary.json").read_text())
    assert {"n_cases", "data", "split", "metrics", "hinge", "annulus", "clinical", "outliers"} <= set(summary)
    assert summary["n_cases"] == 8
    assert set(summary["metrics"]["LV"]["dice"]) == {"n", "mean", "sd", "median", "p15", "p85", "undefined", "failed"}
    assert list(summary["hinge"]) == SUBGROUPS
    assert list(summary["annulus"]) == SUBGROUPS
    assert {"r", "bias", "loa", "mae"} <= set(summary["clinical"]["ef"])
    dices = [float(r["value"]) for r in rows_of(evaluation) if (r["structure"], r["metric"]) == ("LV", "dice")]
    assert summary["metrics"]["LV"]["dice"]["mean"] == pytest.approx(np.mean(dices))
    assert np.mean(dices) > 0.6  # a few epochs at 64×64 already find the ventricle


def test_everything_about_an_evaluation_is_in_its_folder(evaluation):
    names = {path.name for path in evaluation.iterdir()}
    assert {"cases.csv", "summary.json", "report.html", "figures", "overlays", "predictions", "run.json"} <= names
    assert {"cases", "measurement.json", "bounds.json", "unreadable.json"} <= names
    assert {"recipe.json", "history.csv", "environment.json"} <= names
    listed = json.loads((evaluation / "overlays" / "overlays.json").read_text())
    assert listed
    assert all((evaluation / "overlays" / entry["file"]).stat().st_size > 1000 for entry in listed)
    report = (evaluation / "report.html").read_text()
    assert "not a medical device" in report.lower()


def test_evaluating_twice_gives_the_same_rows(run, evaluation, tmp_path):
    assert call(evaluate.main, "--run", run, "--out", tmp_path / "again") == 0
    assert sha256_of(tmp_path / "again" / "cases.csv") == sha256_of(evaluation / "cases.csv")
    assert sha256_of(tmp_path / "again" / "summary.json") == sha256_of(evaluation / "summary.json")


def test_a_frame_is_measured_alike_whatever_it_is_measured_with(run, evaluation, hearts, tmp_path):
    out = tmp_path / "all"
    assert call(evaluate.main, "--run", run, "--data", f"phantom:{hearts}", "--split", "all", "--out", out) == 0
    everything = {(row["case"], row["structure"], row["metric"]): row["value"] for row in rows_of(out)}
    for row in rows_of(evaluation):
        if "in_sample" not in row["metric"]:
            assert everything[row["case"], row["structure"], row["metric"]] == row["value"]


def test_calibration_can_be_left_out_or_given(run, tmp_path):
    assert call(evaluate.main, "--run", run, "--calibration", "none", "--out", tmp_path / "none") == 0
    statuses = {r["status"] for r in rows_of(tmp_path / "none") if r["metric"] == "amvl_error_calibrated"}
    assert statuses <= {"no_calibration", "no_contact_line"}
    assert "no_calibration" in statuses
    given = run / "calibration.json"
    assert call(evaluate.main, "--run", run, "--calibration", given, "--out", tmp_path / "given") == 0
    assert any(r["value"] for r in rows_of(tmp_path / "given") if r["metric"] == "amvl_error_calibrated")


def test_an_older_evaluation_is_replaced_and_nothing_else_is(run, tmp_path, capfd):
    out = tmp_path / "papers"
    out.mkdir()
    (out / "thesis.txt").write_text("mine")
    assert call(evaluate.main, "--run", run, "--out", out) == 1
    assert "not replaced" in capfd.readouterr().err
    assert (out / "thesis.txt").read_text() == "mine"


def one_line(capfd) -> str:
    errors = [line for line in capfd.readouterr().err.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1
    return errors[0]


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--model", "unet2"], 2, "Did you mean unet?"),
        (["--model", "unet1", "--recipe", "anulus"], 2, "Did you mean annulus?"),
        (["--model", "unet1", "--set", "epoch=3"], 2, "did you mean `epochs`?"),
        (["--model", "unet1", "--set", "epochs=many"], 2, "must be of type int"),
        (["--model", "unet1", "--set", "optimizer=sgd"], 2, "must be one of adam, adamw, rmsprop"),
        (["--model", "unet1", "--set", "model_options.depth=3"], 2, "options of unet1 are input_shape, classes, width"),
        (["--model", "unet1", "--set", "model_options.width=wide"], 2, "`width` must be a positive number"),
        (["--model", "unet1", "--recipe", "lu_net_mu"], 2, "`loss` box_segmentation needs the outputs box, prob"),
        (["--model", "u_l1", "--recipe", "lu_net_mo", "--set", "monitor=val_dice"], 2, "choose another `monitor`"),
        (["--model", "unet1", "--data", "camsu:x"], 2, "Did you mean camus?"),
        (["--model", "unet1", "--data", "camus:nowhere"], 1, "nowhere"),
        ([], 2, "--model NAME is needed"),
        (["--resume", "nowhere"], 1, "not a run folder"),
    ],
)
def test_training_mistakes_are_one_line(arguments, code, words, tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    assert call(train.main, *arguments) == code
    assert words in one_line(capfd)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_an_input_the_network_cannot_take_is_refused_before_anything_is_written(hearts, tmp_path, capfd):
    arguments = ["--model", "unet1", "--data", f"phantom:{hearts}", "--out", tmp_path / "run"]
    assert call(train.main, *arguments, "--set", "input_height=250") == 2
    assert "nearest: (256, 256, 1)" in one_line(capfd)
    assert not (tmp_path / "run").exists()


def test_unknown_class_names_the_known_ones(hearts, tmp_path, capfd):
    out = tmp_path / "run"
    arguments = ["--model", "unet1", "--data", f"phantom:{hearts}", "--out", out, "--set", "classes=background,lv,lva"]
    assert call(train.main, *arguments) == 2
    assert "LVA" in one_line(capfd)
    assert not out.exists()


def spoil_labels(path: Path) -> None:
    image = nibabel.load(path)
    labels = np.asarray(image.dataobj).copy()
    labels[10:20, 10:20] = 9
    nibabel.save(nibabel.Nifti1Image(labels, image.affine), path)


def make_volume(path: Path) -> None:
    nibabel.save(nibabel.Nifti1Image(np.zeros((8, 9, 3), np.uint8), np.eye(4)), path)


def make_spacing_zero(path: Path) -> None:
    content = bytearray(gzip.decompress(path.read_bytes()))
    content[80:84] = np.float32(0).tobytes()  # pixdim[1] of the NIfTI header
    path.write_bytes(gzip.compress(bytes(content)))


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-200])


def spoilt_copy(hearts: Path, folder: Path, spoil: Callable[[Path], None], name: str) -> Path:
    shutil.copytree(hearts, folder)
    spoil(folder / "patient0002" / f"patient0002_4CH_ED{name}.nii.gz")
    return folder


def halve_labels(path: Path) -> None:
    image = nibabel.load(path)
    nibabel.save(nibabel.Nifti1Image(np.asarray(image.dataobj)[::2], image.affine), path)


@pytest.mark.parametrize(
    ("spoil", "name", "words"),
    [
        (spoil_labels, "_gt", "9"),
        (halve_labels, "_gt", "image's size"),
        (make_volume, "", "3"),
        (make_spacing_zero, "", "0"),
        (truncate, "", "truncated"),
    ],
    ids=["wrong_label", "other_size", "volume", "zero_spacing", "truncated"],
)
def test_a_spoilt_file_is_named_and_counted_and_the_others_are_measured(
    spoil, name, words, hearts, run, tmp_path, capfd
):
    copy = spoilt_copy(hearts, tmp_path / "set", spoil, name)
    out = tmp_path / "evaluation"
    assert call(evaluate.main, "--run", run, "--data", f"camus:{copy}", "--split", "all", "--out", out) == 1
    line = one_line(capfd)
    assert f"patient0002_4CH_ED{name}.nii.gz" in line
    assert words in line.lower()
    of_frame = [row for row in rows_of(out) if row["case"] == "patient0002_4CH_ED"]
    assert {row["metric"] for row in of_frame} >= {*OF_STRUCTURE, *POINT_ERRORS}
    assert {row["status"] for row in of_frame if "calibrated" not in row["metric"]} == {"unreadable"}
    assert not any(row["value"] for row in of_frame)
    summary = json.loads((out / "summary.json").read_text())
    assert summary["n_cases"] == 40
    assert {"case": "patient0002_4CH_ED", "status": "unreadable"} in summary["failures"]
    assert summary["metrics"]["LV"]["dice"]["n"] == 39
    assert summary["metrics"]["LV"]["dice"]["failed"] == 1
    edv = next(r for r in rows_of(out) if r["case"] == "patient0002" and r["metric"] == "edv_predicted")
    assert edv["status"] == "missing_A4C_ED"
    assert "patient0002_4CH_ED" in (out / "report.html").read_text()


def test_a_missing_file_is_named_and_nothing_is_half_written(hearts, run, tmp_path, capfd):
    copy = spoilt_copy(hearts, tmp_path / "set", Path.unlink, "")
    out = tmp_path / "evaluation"
    assert call(evaluate.main, "--run", run, "--data", f"camus:{copy}", "--split", "all", "--out", out) == 1
    line = one_line(capfd)
    assert "patient0002_4CH_ED.nii.gz" in line
    assert "missing" in line.lower()
    assert list(tmp_path.iterdir()) == [copy]


def test_stored_predictions_measured_again_give_the_same(evaluation, tmp_path, monkeypatch):
    monkeypatch.setattr(evaluate, "start_backend", lambda: pytest.fail("no network is needed"))
    out = tmp_path / "again"
    assert call(evaluate.main, "--again", evaluation, "--out", out) == 0
    for name in ("cases.csv", "summary.json", "cases/cases.json", "recipe.json", "calibration.json"):
        assert sha256_of(out / name) == sha256_of(evaluation / name), name
    assert "measured_again" in json.loads((out / "run.json").read_text())
    assert call(evaluate.main, "--again", out, "--calibration", "none") == 0  # in place
    assert not any(row["value"] for row in rows_of(out) if row["metric"] == "amvl_error_calibrated")


def test_nothing_is_measured_again_on_other_data(hearts, run, tmp_path, capfd):
    copy = tmp_path / "set"
    shutil.copytree(hearts, copy)
    out = tmp_path / "evaluation"
    assert call(evaluate.main, "--run", run, "--data", f"camus:{copy}", "--split", "test", "--out", out) == 0
    spoil_labels(copy / "patient0002" / "patient0002_4CH_ED_gt.nii.gz")
    assert call(evaluate.main, "--again", out) == 1
    assert "no longer the data that were predicted on" in one_line(capfd)
    assert call(evaluate.main, "--again", copy) == 1
    assert "evaluate the run anew" in one_line(capfd)


def test_an_empty_split_and_no_readable_frame_give_a_report_that_says_so(evaluation, hearts, run, tmp_path, capfd):
    empty = tmp_path / "empty"
    shutil.copytree(evaluation, empty)
    about = json.loads((empty / "run.json").read_text())
    (empty / "run.json").write_text(json.dumps({**about, "cases": [], "n_cases": 0}))
    assert call(evaluate.main, "--again", empty) == 0
    assert json.loads((empty / "summary.json").read_text())["n_cases"] == 0
    assert "No frame was evaluated" in (empty / "report.html").read_text()
    copy = tmp_path / "set"
    shutil.copytree(hearts, copy)
    for path in copy.glob("*/*_gt.nii.gz"):
        truncate(path)
    out = tmp_path / "evaluation"
    assert call(evaluate.main, "--run", run, "--data", f"camus:{copy}", "--split", "test", "--out", out) == 1
    summary = json.loads((out / "summary.json").read_text())
    assert len(summary["failures"]) == summary["n_cases"] > 0
    assert summary["metrics"]["LV"]["dice"]["mean"] is None
    assert "No hinge point could be measured" in (out / "report.html").read_text()
    assert capfd.readouterr().err.count("error: ") == summary["n_cases"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--again", "x", "--split", "test"], "leave --split out"),
        (["--compare", "x"], "needs two"),
        (["--compare", "x", "y", "--data", "phantom"], "leave --data out"),
    ],
)
def test_evaluating_mistakes_are_one_line(arguments, words, capfd):
    assert call(evaluate.main, *arguments) == 2
    assert words in one_line(capfd)


@pytest.mark.parametrize("victim", ["recipe.json", "split.json", "model.keras", "calibration.json"])
def test_a_damaged_run_is_refused_by_name(run, tmp_path, victim, capfd):
    copy = tmp_path / "run"
    shutil.copytree(run, copy)
    truncate(copy / victim)
    assert call(evaluate.main, "--run", copy, "--out", tmp_path / "out") == 1
    assert victim in one_line(capfd)
    assert not (tmp_path / "out").exists()


def test_a_full_disk_is_one_line_and_leaves_nothing(run, tmp_path):
    code = (
        "import resource, sys; sys.path.insert(0, '.')\n"
        "import signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))\n"
        "import evaluate; from shell.command import run_command\n"
        f"run_command(evaluate.main, ['--run', {str(run)!r}, '--out', {str(tmp_path / 'out')!r}])\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code], cwd=Path(__file__).parents[1], capture_output=True, text=True, check=False
    )
    assert ended.returncode == 1
    assert "File too large" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("status", ["no_la_class", "no_segmentation"])
def test_the_last_line_says_what_a_network_is_not_made_for(status):
    summary = summarise([], data="phantom", split="test") | {"not_measured": {"hinge_points": status}}
    assert "hinge points: not measured, this network outlines" in evaluate.headline(summary)
