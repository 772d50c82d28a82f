"""How far jobs are, by what they have written, and the ledger as text."""

import fcntl
import json
from pathlib import Path

import pytest

from studies.jobs import Job
from studies.status import counts_text, epochs_of, jobs_text, ledger_text, statuses
from studies.work import do_job, record
from tests.studies.made import WRITES_RUN, finished, made_job, row

HISTORY = "epoch,loss\n1,0.9\n2,0.8\n3,0.7\n"
CODE = {"commit": "124ed64129fb50c3", "change_sha256": "785370aff8161e94"}
NOTED = {
    "python": "3.11.7",
    "platform": "Linux",
    "cores": 2,
    "backend": "tensorflow",
    "packages": {"keras": "3.15.1"},
}


def begun(job: Job, step: str = "train", worker: str = "local 0") -> Job:
    """The job as it is while a process works on it, apart from the lock."""
    job.run.mkdir(parents=True, exist_ok=True)
    (job.run / "recipe.json").write_text("{}")
    (job.run / "history.csv").write_text(HISTORY)
    record(job, step, "begun", worker=worker, pid=1, code=CODE, environment=NOTED)
    return job


def only(job: Job) -> tuple[str, str]:
    (status,) = statuses([job])
    return status.state, status.text


def test_a_job_that_nobody_has_begun(tmp_path: Path) -> None:
    assert only(made_job(tmp_path)) == ("to do", "to do")
    assert not (tmp_path / "jobs").exists()  # looking writes nothing


def test_a_job_runs_while_its_lock_is_held(tmp_path: Path) -> None:
    job = begun(made_job(tmp_path))
    with (job.folder / ".lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        (status,) = statuses([job])
        assert (status.state, status.step, status.epoch, status.epochs) == ("running", "train", 3, 200)
        assert status.text == "running, epoch 3 of 200"
        assert status.where.endswith(" local 0")
        begun(job, "evaluate")
        assert only(job) == ("running", "running, evaluation")
    assert only(job) == ("stopped", "stopped, epoch 3 of 200")  # killed: it has not said that it ended


def test_an_interrupted_job_is_stopped_and_no_failure(tmp_path: Path) -> None:
    job = begun(made_job(tmp_path))
    record(job, "train", "ended", exit_status=130, seconds=60.0)
    (status,) = statuses([job])
    assert (status.state, status.seconds) == ("stopped", 60.0)


def test_a_failed_job_says_why(tmp_path: Path) -> None:
    job = made_job(tmp_path, begin=f"{WRITES_RUN}; print('error: no room'); raise SystemExit(1)")
    do_job(job)
    (status,) = statuses([job])
    assert (status.state, status.message) == ("failed", "no room")
    (job.folder / "train.log").unlink()
    assert statuses([job])[0].message == "train ended with 1"
    again = made_job(tmp_path)
    assert do_job(again).outcome == "done"
    assert statuses([again])[0].state == "done"


def test_epochs_are_the_lines_of_the_history(tmp_path: Path) -> None:
    path = tmp_path / "history.csv"
    assert epochs_of(path) == 0
    path.write_text("epoch,loss\n")
    assert epochs_of(path) == 0
    path.write_text(HISTORY)
    assert epochs_of(path) == 3


def test_the_jobs_as_text(tmp_path: Path) -> None:
    jobs = [finished(made_job(tmp_path), [row("p_4CH_ED", "LV", "dice", 0.9)]), begun(made_job(tmp_path, fold=2))]
    jobs.append(made_job(tmp_path, fold=3, begin="raise SystemExit('no')"))
    do_job(jobs[2])
    found = statuses(jobs)
    assert counts_text(found) == "3 jobs: 1 done, 1 stopped, 1 failed"
    assert counts_text(found[:1]) == "1 job: 1 done"
    lines = jobs_text(found).splitlines()
    assert lines[0].startswith("done ")
    assert lines[0].endswith(str(jobs[0].folder))
    assert lines[1].startswith("stopped, epoch 3 of 200 ")
    assert lines[3] == "    no"


def test_the_ledger_as_text(tmp_path: Path) -> None:
    job, other = begun(made_job(tmp_path), worker="ray 4711"), made_job(tmp_path, fold=1)
    record(job, "train", "ended", worker="ray 4711", exit_status=0, seconds=90.0)
    begun(job, "evaluate", "local 1")
    begun(other)
    headings, train, evaluate, blank, noted = ledger_text([job]).splitlines()
    assert headings.split() == ["begun", "machine", "worker", "step", "exit", "minutes", "code", "data", "job"]
    assert train.split()[3:] == ["ray", "4711", "train", "0", "1.5", "124ed64129+785370af", "d" * 12, job.name]
    assert evaluate.split()[3:] == ["local", "1", "evaluate", "–", "–", "124ed64129+785370af", "d" * 12, job.name]
    assert blank == ""
    assert noted == "2 with Python 3.11.7, keras 3.15.1, backend tensorflow, 2 cores, Linux"
    assert ledger_text([made_job(tmp_path, fold=5)]) == "nothing has run yet"


@pytest.mark.parametrize("missing", [("code", "environment", "data_digest", "worker")])
def test_a_ledger_of_an_older_version_is_read(tmp_path: Path, missing: tuple[str, ...]) -> None:
    job = begun(made_job(tmp_path))
    line = json.loads(job.ledger.read_text())
    job.ledger.write_text(json.dumps({name: value for name, value in line.items() if name not in missing}) + "\n")
    _, step, _, noted = ledger_text([job]).splitlines()
    assert step.split()[3:] == ["–", "train", "–", "–", "–", "–", job.name]
    assert noted == "1 with an environment that was not noted"
