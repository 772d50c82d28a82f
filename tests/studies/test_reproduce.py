"""reproduce.py from end to end: a real training and evaluation, twice, with a failure, interrupted, and killed."""

import csv
import dataclasses
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import reproduce
from shell.command import run_command
from studies import work
from studies.catalogue import PLANS
from studies.jobs import PROJECT
from studies.plan import Plan, Row
from studies.work import read_ledger
from tests.data_pipeline.camus_files import write_dataset
from tests.studies.made import UNET1

TINY = ["batch_size=4", "input_height=32", "input_width=32", "model_options.width=0.125", "precision=float32"]
SHARES = ["train_share=0.5", "val_share=0.25"]
FULL = PLANS["lu_net_table2"]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Four patients in two views, tiny frames."""
    root = tmp_path_factory.mktemp("camus")
    write_dataset(root, [f"patient000{number}" for number in range(1, 5)])
    return f"camus:{root}"


def arguments(data: str, out: Path, *more: str, plan: str = FULL.name, epochs: int = 1) -> list[str]:
    settings = [f"epochs={epochs}", *TINY, *SHARES]
    return [plan, "--data", data, "--out", str(out), "--folds", "none", *more, "--set", *settings]


def call(*words: str) -> int:
    """The command as a user calls it: its exit code."""
    with pytest.raises(SystemExit) as ended:
        run_command(reproduce.main, list(words))
    return ended.value.code


@pytest.fixture(scope="module")
def out(data: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study of one network that has been done."""
    folder = tmp_path_factory.mktemp("studies")
    assert call(*arguments(data, folder, "--only", "unet1")) == 0
    return folder


def test_a_study_trains_evaluates_and_fills_the_papers_tables(out: Path) -> None:
    (job,) = (out / "jobs").iterdir()
    assert {"recipe.json", "model.keras", "history.csv"} <= {path.name for path in (job / "run").iterdir()}
    assert {"cases.csv", "summary.json", "report.html"} <= {path.name for path in (job / "evaluation").iterdir()}
    folder = out / FULL.name
    assert {path.name for path in folder.iterdir()} == {"tables.json", "tables.csv", "tables.txt", "report.html"}
    tables = json.loads((folder / "tables.json").read_text())["tables"]
    summary = json.loads((job / "evaluation" / "summary.json").read_text())
    (ours,) = [row for row in tables["table2"]["rows"] if row["name"] == "U-Net1"]
    assert ours["columns"]["endo_dice"]["mean"] == pytest.approx(summary["metrics"]["LV"]["dice"]["mean"])
    assert ours["columns"]["endo_dice"]["paper"] == 0.920
    assert "epochs 1, not 200" in ours["why"]
    assert "input 32×32, not 256×256" in ours["why"]
    assert "trained on 2 patients, the paper on 400" in ours["why"]
    with (folder / "tables.csv").open(newline="") as file:
        assert {row["table"] for row in csv.DictReader(file)} == {"table2", "table3", "table4"}
    assert "U-Net1" in (folder / "report.html").read_text()


def test_the_same_command_again_does_nothing_twice(data: str, out: Path, capfd: pytest.CaptureFixture[str]) -> None:
    lines = len(read_ledger(out / "ledger.jsonl"))
    assert call(*arguments(data, out, "--only", "U-Net1")) == 0
    assert len(read_ledger(out / "ledger.jsonl")) == lines
    output = capfd.readouterr().out
    assert "1 job, 1 done before" in output
    assert "Table II. Segmentation accuracy" in output


def test_the_jobs_of_a_study_and_how_far_they_are(data: str, out: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert call(*arguments(data, out, "--list", "--only", "unet1", "ag_unet")) == 0
    lines = capfd.readouterr().out.splitlines()
    assert [line.split("  ")[0].strip() for line in lines] == ["done", "to do"]


def test_the_status_is_of_all_jobs_and_the_ledger_and_runs_none(
    data: str, out: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*")}
    assert call(*arguments(data, out, "--status", "--only", "unet1", "ag_unet")) == 0
    text = capfd.readouterr().out
    assert "lu_net_table2: 2 jobs: 1 done, 1 to do" in text
    assert re.search(r"^done +\d+\.\d min +\S+ local 0 +\S+unet1-seed0", text, re.MULTILINE)
    assert re.search(r"^20\d\d-.* local 0 +train +0 .*unet1-seed0-\w+$", text, re.MULTILINE)
    assert re.search(r"^20\d\d-.* local 0 +evaluate +0 ", text, re.MULTILINE)
    assert "2 with Python 3" in text
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*")} == before


def test_without_ray_the_engine_is_refused_and_its_mend_named(
    data: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    assert call(*arguments(data, tmp_path, "--engine", "ray", "--only", "unet1")) == 2
    assert "pip install -r requirements-ray.txt" in capfd.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_folds_are_numbers_all_of_them_or_none() -> None:
    assert reproduce.fold_numbers(["3", "1", "3"]) == (3, 1)
    assert reproduce.fold_numbers(["all"]) == tuple(range(1, 11))
    assert reproduce.fold_numbers(["None"]) == (None,)


def small(*rows: Row) -> Plan:
    """The first table of the LU-Net paper's second with other rows."""
    return dataclasses.replace(FULL, name="small", tables=(dataclasses.replace(FULL.tables[0], rows=rows),))


def test_a_failed_job_is_told_and_the_others_go_on(
    data: str, out: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Two networks that take no input of their size, two at a time; the one that is done stays so."""
    broken = [
        Row(name, dataclasses.replace(UNET1, name=name, settings=(f"input_height={size}",)), {})
        for name, size in (("first", 33), ("second", 35))
    ]
    monkeypatch.setitem(PLANS, "small", small(*broken, Row("U-Net1", UNET1, {"endo_dice": 0.92})))
    assert call(*arguments(data, out, "--workers", "2", plan="small")) == 1
    said = capfd.readouterr()
    assert "error: 2 of 3 jobs failed:" in said.err
    for name in ("first", "second"):
        assert re.search(rf"^  {name}-seed0-\w{{12}}: train ended with 2: .*nearest", said.err, re.MULTILINE)
    assert "Traceback" not in said.err
    assert "none of its jobs is done" in said.out
    assert "Failed: first-seed0" in (out / "small" / "report.html").read_text()
    ended = [line for line in read_ledger(out / "ledger.jsonl") if line["job"].startswith("second")][-1]
    assert (ended["event"], ended["exit_status"]) == ("ended", 2)
    rows = json.loads((out / "small" / "tables.json").read_text())["tables"]["table2"]["rows"]
    assert {row["name"]: row["jobs_done"] for row in rows} == {"first": 0, "second": 0, "U-Net1": 1}


def started(*words: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "reproduce.py", *words],
        cwd=PROJECT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def training_of(out: Path) -> dict[str, object]:
    """The ledger's line of the training that has begun, once its first epoch has ended."""
    deadline = time.monotonic() + 120
    while not list(out.glob("jobs/*/run/history.csv")):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return read_ledger(out / "ledger.jsonl")[-1]


@pytest.mark.parametrize("sent", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)])
def test_ctrl_c_stops_the_training_too(data: str, tmp_path: Path, sent: signal.Signals) -> None:
    process = started(*arguments(data, tmp_path, "--only", "unet1", epochs=2000))
    child = training_of(tmp_path)["pid"]
    process.send_signal(sent)
    _, errors = process.communicate(timeout=work.SECONDS_TO_STOP)
    assert process.returncode == 130
    assert "the same command goes on" in errors
    assert "Traceback" not in errors
    with pytest.raises(ProcessLookupError):
        os.kill(child, 0)
    assert read_ledger(tmp_path / "ledger.jsonl")[-1]["exit_status"] == 130


@pytest.mark.slow
def test_a_killed_study_resumes_its_training(data: str, tmp_path: Path) -> None:
    words = arguments(data, tmp_path, "--only", "unet1", epochs=10)
    process = started(*words)
    training = training_of(tmp_path)
    os.kill(training["pid"], signal.SIGKILL)
    process.kill()
    process.communicate()
    assert call(*words) == 0
    begun = [line["command"] for line in read_ledger(tmp_path / "ledger.jsonl") if line["event"] == "begun"]
    assert "--model unet1" in begun[0]
    assert "--resume" in begun[1]
    assert "evaluate.py" in begun[2]
    (history,) = tmp_path.glob("jobs/*/run/history.csv")
    assert [line.partition(",")[0] for line in history.read_text().splitlines()[1:]] == [str(n) for n in range(1, 11)]


@pytest.mark.slow
def test_a_training_outlives_its_killed_study_and_is_waited_for(data: str, tmp_path: Path) -> None:
    words = arguments(data, tmp_path, "--only", "unet1", epochs=20)
    process = started(*words)
    training = training_of(tmp_path)
    process.kill()
    process.communicate()
    os.kill(training["pid"], 0)  # it goes on
    assert call(*words) == 0
    (history,) = tmp_path.glob("jobs/*/run/history.csv")
    assert len(history.read_text().splitlines()) == 21


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        ([], 2, "a PLAN is needed; --list shows them"),
        (["lu_net_table3"], 2, "Did you mean lu_net_table"),
        (["hinge_points", "--set", "epoch=3"], 2, "did you mean `epochs`?"),
        (["hinge_points", "--set", "seed=3"], 2, "give --seeds"),
        (["hinge_points", "--only", "unet1"], 2, "`network` must be one of unet_vgg16-lv_la"),
        (["hinge_points", "--workers", "0"], 2, "--workers must be at least 1. Received: 0"),
        (["hinge_points", "--data", "camsu:x"], 2, "Did you mean camus?"),
        (["hinge_points", "--data", "camus:nowhere"], 1, "nowhere"),
        (["hinge_points", "--folds", "some"], 2, "--folds takes numbers from 1 to 10, or `all`, or `none` alone"),
        (["hinge_points", "--folds", "none", "1"], 2, "Received: none 1"),
        (["hinge_points", "--folds", "11"], 2, "from 1 to 10"),
        (["hinge_points", "--engine", "slurm"], 2, "invalid choice"),
    ],
)
def test_mistakes_are_one_line_and_write_nothing(
    words: list[str],
    code: int,
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert call(*words) == code
    errors = capfd.readouterr().err
    assert message in errors
    assert "Traceback" not in errors
    assert list(tmp_path.iterdir()) == []


def test_the_studies_are_listed(capfd: pytest.CaptureFixture[str]) -> None:
    assert call("--list") == 0
    output = capfd.readouterr().out
    for plan in PLANS.values():
        assert f"{plan.name}: {plan.title}" in output
    assert "50 jobs: unet1 ru_net ag_unet lu_net-m5 lu_net-m15, 10 folds" in output
