"""The local engine: how many at a time, and how it stops."""

import contextlib
import threading
import time
from pathlib import Path

import pytest

from studies.engines import local
from studies.jobs import Job
from studies.work import Result, Stopping
from tests.studies.made import made_job


@pytest.fixture
def jobs(tmp_path: Path) -> list[Job]:
    return [made_job(tmp_path, seed=seed) for seed in range(6)]


def test_every_job_is_done_once(jobs: list[Job]) -> None:
    done: list[str] = []

    def work(job: Job, stopping: Stopping) -> Result:
        done.append(job.name)
        return Result(job.name, "failed" if job.seed == 2 else "done", 0.0)

    results = list(local()(jobs, work))
    assert done == [job.name for job in jobs]  # one after the other, in their order
    assert {result.job: result.outcome for result in results} == {
        job.name: "failed" if job.seed == 2 else "done" for job in jobs
    }


@pytest.mark.parametrize("workers", [1, 3])
def test_as_many_at_a_time_as_there_are_workers(jobs: list[Job], workers: int) -> None:
    lock = threading.Lock()
    running = most = 0

    def work(job: Job, stopping: Stopping) -> Result:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        time.sleep(0.05)
        with lock:
            running -= 1
        return Result(job.name, "done", 0.05)

    assert len(list(local(workers)(jobs, work))) == 6
    assert most == workers


def test_closing_stops_what_runs_and_begins_nothing_more(jobs: list[Job]) -> None:
    begun: list[int] = []
    stopped: list[int] = []

    def work(job: Job, stopping: Stopping) -> Result:
        begun.append(job.seed)
        if job.seed == 0:
            return Result(job.name, "done", 0.0)
        while not stopping():
            time.sleep(0.01)
        stopped.append(job.seed)
        return Result(job.name, "interrupted", 0.0)

    with contextlib.closing(local(2)(jobs, work)) as results:
        assert next(results).job == jobs[0].name
        while len(begun) < 3:
            time.sleep(0.01)
    assert sorted(stopped) == [1, 2]
    assert sorted(begun) == [0, 1, 2]


def test_no_jobs_give_no_results() -> None:
    def work(job: Job, stopping: Stopping) -> Result:
        raise AssertionError("there is nothing to do")

    assert list(local(2)([], work)) == []


def test_no_workers_are_refused() -> None:
    with pytest.raises(ValueError, match=r"`workers` must be at least 1\. Received: 0"):
        local(0)
