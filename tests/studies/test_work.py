"""One job: what is run, what is found done, how it stops, what the ledger says."""

import fcntl
import json
import platform
import signal
import threading
import time
from importlib.metadata import version
from pathlib import Path

import pytest

from shell.errors import UserError
from studies import work
from studies.jobs import PROJECT, Job
from studies.work import do_job, last_words, read_ledger
from tests.studies.made import EVALUATES, WRITES_RUN, made_job

FOREVER = "import time; time.sleep(600)"


def steps_of(job: Job) -> list[tuple[str, str]]:
    return [(line["step"], line["event"]) for line in read_ledger(job.ledger)]


def test_a_job_is_trained_and_evaluated_once(tmp_path: Path) -> None:
    job = made_job(tmp_path)
    assert do_job(job).outcome == "done"
    assert job.state() == "done"
    assert steps_of(job) == [("train", "begun"), ("train", "ended"), ("evaluate", "begun"), ("evaluate", "ended")]
    assert do_job(job).outcome == "found"
    assert len(read_ledger(job.ledger)) == 4


def test_the_ledger_says_what_ran_where_and_how_it_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code = {"commit": "abc", "change_sha256": None}
    monkeypatch.setattr(work, "git_state", lambda root: code if root == PROJECT else None)
    job = made_job(tmp_path)
    do_job(job, worker="local 3")
    begun, ended = read_ledger(job.ledger)[:2]
    assert {"when", "host", "pid"} <= set(begun)
    assert begun["digest"] == ended["digest"] == job.digest
    assert begun["data_digest"] == ended["data_digest"] == job.data_digest
    assert begun["worker"] == ended["worker"] == "local 3"
    assert begun["code"] == code
    environment = begun["environment"]
    assert environment["python"] == platform.python_version()
    assert environment["packages"]["numpy"] == version("numpy")
    assert environment["cores"] >= 1
    assert begun["command"].startswith("python ")
    assert ended["exit_status"] == 0
    assert ended["seconds"] > 0


def test_a_failed_training_is_told_and_gone_on_with(tmp_path: Path) -> None:
    fails = f"{WRITES_RUN}; print('error: no room for this'); raise SystemExit(1)"
    failed = do_job(made_job(tmp_path, begin=fails))
    assert failed.outcome == "failed"
    assert "train ended with 1: no room for this" in failed.message
    again = made_job(tmp_path, begin="raise SystemExit('begun anew')", resume="print('goes on')")
    assert again.state() == "begun"
    assert do_job(again).outcome == "done"
    assert "goes on" in (again.folder / "train.log").read_text()


def test_a_failed_evaluation_does_not_train_again(tmp_path: Path) -> None:
    failed = do_job(made_job(tmp_path, evaluate="raise SystemExit('no frames')"))
    assert "evaluate ended with 1: no frames" in failed.message
    again = made_job(tmp_path, begin="raise SystemExit(1)", resume="raise SystemExit(1)")
    assert again.state() == "trained"
    assert do_job(again).outcome == "done"


def test_an_evaluation_that_leaves_nothing_is_a_failure(tmp_path: Path) -> None:
    result = do_job(made_job(tmp_path, evaluate="pass"))
    assert result.outcome == "failed"
    assert "no cases.csv" in result.message


def test_a_folder_that_cannot_be_made_is_a_failure_and_no_traceback(tmp_path: Path) -> None:
    (tmp_path / "jobs").write_text("a file")
    result = do_job(made_job(tmp_path))
    assert result.outcome == "failed"
    assert str(tmp_path / "jobs") in result.message


def test_a_stopped_job_is_interrupted_and_goes_on_later(tmp_path: Path) -> None:
    job = made_job(tmp_path, begin=f"{WRITES_RUN}; {FOREVER}")
    stop = threading.Event()
    results: list[work.Result] = []
    thread = threading.Thread(target=lambda: results.append(do_job(job, stop.is_set)))
    thread.start()
    wait_for(job.run / "recipe.json")
    stop.set()
    thread.join(30)
    assert results[0].outcome == "interrupted"
    assert read_ledger(job.ledger)[-1]["exit_status"] == 130
    assert do_job(made_job(tmp_path)).outcome == "done"


def test_a_process_that_will_not_stop_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(work, "SECONDS_TO_STOP", 0.2)
    stubborn = f"import signal; signal.signal(signal.SIGINT, signal.SIG_IGN); {WRITES_RUN}; {FOREVER}"
    job = made_job(tmp_path, begin=stubborn)
    assert do_job(job, (job.run / "recipe.json").exists).outcome == "interrupted"
    with (job.folder / ".lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # nobody holds it any more


def test_a_job_can_be_stopped_where_interrupts_are_blocked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in the workers of Ray: what a process blocks, those that it starts block too."""
    monkeypatch.setattr(work, "SECONDS_TO_STOP", 20.0)
    job = made_job(tmp_path, begin=f"{WRITES_RUN}; {FOREVER}")
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    begun = time.monotonic()
    try:
        assert do_job(job, (job.run / "recipe.json").exists).outcome == "interrupted"
        assert signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, set())  # as it was
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    assert time.monotonic() - begun < 15  # it was not waited for until it was killed


def test_an_interrupt_in_the_middle_is_recorded(tmp_path: Path) -> None:
    """As Ray stops a job: by a KeyboardInterrupt in what waits for its process."""
    job = made_job(tmp_path, begin=f"{WRITES_RUN}; {FOREVER}")

    def stopping() -> bool:
        if (job.run / "recipe.json").exists():
            raise KeyboardInterrupt
        return False

    with pytest.raises(KeyboardInterrupt):
        do_job(job, stopping)
    assert read_ledger(job.ledger)[-1]["exit_status"] == 130


def test_a_training_that_is_interrupted_by_itself_is_no_failure(tmp_path: Path) -> None:
    assert do_job(made_job(tmp_path, begin="raise SystemExit(130)")).outcome == "interrupted"


def test_a_job_that_another_process_works_on_is_waited_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Also a training whose study was killed: it holds the lock until it ends."""
    job = made_job(tmp_path)
    job.folder.mkdir(parents=True)
    results: list[work.Result] = []
    with (job.folder / ".lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert do_job(job, lambda: True).outcome == "interrupted"
        thread = threading.Thread(target=lambda: results.append(do_job(job)))
        thread.start()
        time.sleep(0.5)
        assert not results
        assert not job.run.exists()
    thread.join(30)
    assert results[0].outcome == "done"
    assert "waiting for another process" in capsys.readouterr().out


def test_the_process_inherits_the_lock(tmp_path: Path) -> None:
    """So it stays held if the study alone is killed."""
    held = "import fcntl; f = open('.lock', 'w'); fcntl.flock(f, fcntl.LOCK_EX | fcntl.LOCK_NB)"
    failed = do_job(made_job(tmp_path, begin=held))
    assert "BlockingIOError" in failed.message


def test_a_log_that_goes_on_tells_of_the_last_command(tmp_path: Path) -> None:
    log = tmp_path / "train.log"
    log.write_text("$ python train.py\nerror: once\n$ python train.py --resume\nepoch 1/3\n\n")
    assert last_words(log) == "epoch 1/3"
    log.write_text("$ python train.py\nTraceback\nerror: why\n  details\n")
    assert last_words(log) == "why"
    log.write_text("$ python train.py\n")
    assert last_words(log) == ""


def test_a_damaged_ledger_is_named(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    assert read_ledger(path) == []
    path.write_text(json.dumps({"job": "a"}) + "\n{half a li")
    with pytest.raises(UserError, match=r"ledger\.jsonl, line 2: not JSON"):
        read_ledger(path)


def wait_for(path: Path) -> None:
    deadline = time.monotonic() + 30
    while not path.exists():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_made_jobs_do_what_they_say() -> None:
    assert "recipe.json" in WRITES_RUN
    assert "summary.json" in EVALUATES
