"""The engines: how many at a time, how they stop. Ray is stood in for by threads; tests/studies/test_ray.py has it."""

import contextlib
import os
import sys
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from shell.errors import UsageError, UserError
from studies import engines
from studies.engines import connected_ray, local, on_ray, share_of_a_machine, variables_there
from studies.jobs import PROJECT, Job
from studies.work import Result, Stopping
from tests.studies.made import made_job
from tests.test_project import requirements


@pytest.fixture
def jobs(tmp_path: Path) -> list[Job]:
    return [made_job(tmp_path, seed=seed) for seed in range(6)]


def test_every_job_is_done_once(jobs: list[Job]) -> None:
    done: list[str] = []

    def work(job: Job, stopping: Stopping, worker: str) -> Result:
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

    def work(job: Job, stopping: Stopping, worker: str) -> Result:
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

    def work(job: Job, stopping: Stopping, worker: str) -> Result:
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
    def work(job: Job, stopping: Stopping, worker: str) -> Result:
        raise AssertionError("there is nothing to do")

    assert list(local(2)([], work)) == []


def test_no_workers_are_refused() -> None:
    with pytest.raises(ValueError, match=r"`workers` must be at least 1\. Received: 0"):
        local(0)
    with pytest.raises(ValueError, match=r"`workers` must be at least 1\. Received: 0"):
        on_ray(None, 0)


def test_workers_have_names(jobs: list[Job]) -> None:
    names: set[str] = set()

    def work(job: Job, stopping: Stopping, worker: str) -> Result:
        names.add(worker)
        time.sleep(0.02)
        return Result(job.name, "done", 0.0)

    list(local(2)(jobs, work))
    assert names == {"local 0", "local 1"}


class RayError(Exception):
    """Stands in for the errors of Ray."""


class Threads:
    """Stands in for the module `ray`: what a study asks of it, done by two threads."""

    exceptions = SimpleNamespace(RayError=RayError)

    def __init__(self, *machines: dict[str, float]) -> None:
        self._machines = machines or ({"CPU": 2.0},)
        self._pool = ThreadPoolExecutor(2)
        self.options: dict[str, Any] = {}
        self.cancelled: list[Future[Any]] = []
        self.interrupted = threading.Event()
        self.down = False

    def nodes(self) -> list[dict[str, Any]]:
        alive = [{"Alive": True, "Resources": machine} for machine in self._machines]
        return [*alive, {"Alive": False, "Resources": {}}]

    def remote(self, **options: Any) -> Callable[[Callable[..., Any]], Any]:
        self.options = options
        return lambda function: SimpleNamespace(remote=lambda *given: self._pool.submit(function, *given))

    def wait(self, futures: Sequence[Future[Any]], *, num_returns: int, timeout: float | None = None) -> Any:
        done = wait(futures, timeout, return_when=FIRST_COMPLETED if num_returns == 1 else "ALL_COMPLETED").done
        return [future for future in futures if future in done][:num_returns], []

    def get(self, future: Future[Any]) -> Any:
        return future.result()

    def cancel(self, future: Future[Any]) -> None:
        self.cancelled.append(future)
        self.interrupted.set()
        future.cancel()

    def shutdown(self) -> None:
        self.down = True
        self._pool.shutdown()


@pytest.fixture
def in_its_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_cluster_does_every_job_once(jobs: list[Job], in_its_folder: Path) -> None:
    ray = Threads()
    seen: list[tuple[str, str]] = []

    def work(job: Job, stopping: Stopping, worker: str) -> Result:
        seen.append((job.name, worker))
        return Result(job.name, "failed" if job.seed == 2 else "interrupted", 0.0)

    results = list(on_ray(ray)(jobs, work))
    assert sorted(result.job for result in results) == sorted(job.name for job in jobs)
    assert sorted(seen) == sorted((job.name, f"ray {os.getpid()}") for job in jobs)
    assert ray.options == {"max_retries": 0, "num_cpus": 2, "runtime_env": {"env_vars": variables_there(2)}}
    assert ray.down
    assert ray.cancelled == []


def test_a_job_takes_over_the_studys_folder_and_variables(
    jobs: list[Job], in_its_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "PYTHONPATH"):
        monkeypatch.delenv(name, raising=False)
    assert variables_there(3)["PYTHONPATH"] == str(PROJECT)
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setenv("PYTHONPATH", "/mine")
    monkeypatch.setenv("PRIVATE", "mine")
    found = variables_there(3)
    assert (found["KERAS_BACKEND"], found["OMP_NUM_THREADS"], found["TF_NUM_INTRAOP_THREADS"]) == ("jax", "1", "3")
    assert found["PYTHONPATH"] == f"{PROJECT}{os.pathsep}/mine"
    assert "PRIVATE" not in found
    folders: list[Path] = []

    def work(job: Job, stopping: Stopping, worker: str) -> Result:
        folders.append(Path.cwd())
        return Result(job.name, "failed", 0.0)

    (in_its_folder / "there").mkdir()
    engines._there(work, jobs[0], str(in_its_folder / "there"))
    assert folders == [in_its_folder / "there"]


def test_closing_stops_a_clusters_jobs_and_waits_for_them(jobs: list[Job], in_its_folder: Path) -> None:
    ray = Threads()
    begun: list[int] = []
    ended: list[int] = []

    def work(job: Job, stopping: Stopping, worker: str) -> Result:
        begun.append(job.seed)
        if job.seed == 0:
            return Result(job.name, "failed", 0.0)
        ray.interrupted.wait(10)
        ended.append(job.seed)
        return Result(job.name, "interrupted", 0.0)

    with contextlib.closing(on_ray(ray)(jobs, work)) as results:
        assert next(results).job == jobs[0].name
        while len(begun) < 3:
            time.sleep(0.01)
    assert sorted(begun) == [0, 1, 2]
    assert sorted(ended) == [1, 2]
    assert len(ray.cancelled) == 5
    assert ray.down


def test_what_a_cluster_cannot_do_is_a_failed_job(jobs: list[Job], in_its_folder: Path) -> None:
    def work(job: Job, stopping: Stopping, worker: str) -> Result:
        if job.seed == 1:
            raise RayError("the worker\n  died")
        return Result(job.name, "done", 1.5)

    results = {result.job: result for result in on_ray(Threads())(jobs[:2], work)}
    assert results[jobs[1].name].message == "Ray could not do it: the worker died"
    unseen = results[jobs[0].name]  # done, and nothing of it lies in its folder here
    assert (unseen.outcome, unseen.seconds) == ("failed", 1.5)
    assert "its result is not seen here; --out must lie on a file system that all machines" in unseen.message


@pytest.mark.parametrize(
    ("machines", "workers", "share"),
    [
        ([{"CPU": 8.0}], 1, {"num_cpus": 8}),
        ([{"CPU": 8.0}, {"CPU": 4.0}, {"CPU": 0.0}], 1, {"num_cpus": 4}),
        ([{"CPU": 8.0}], 3, {"num_cpus": 2}),
        ([{"CPU": 2.0}], 5, {"num_cpus": 1}),
        ([{"CPU": 8.0, "GPU": 1.0}, {"CPU": 4.0}], 2, {"num_cpus": 4, "num_gpus": 0.5}),
        ([{"CPU": 16.0, "GPU": 4.0}], 2, {"num_cpus": 8, "num_gpus": 2}),
        ([{"CPU": 16.0, "GPU": 3.0}], 2, {"num_cpus": 8, "num_gpus": 1}),
    ],
)
def test_the_share_of_a_machine(machines: list[dict[str, float]], workers: int, share: dict[str, float]) -> None:
    assert share_of_a_machine(machines, workers) == share


def test_a_cluster_without_processors_is_refused() -> None:
    with pytest.raises(UserError, match="no machine with a processor"):
        share_of_a_machine([{"GPU": 1.0}], 1)


def test_ray_that_is_not_installed_is_named_with_its_mend(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(UsageError, match=r"Ray is not installed; .*pip install -r requirements-ray\.txt"):
        connected_ray()


def test_ray_is_joined_where_it_runs_and_begun_where_not(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[dict[str, Any]] = []

    def init(**options: Any) -> None:
        assert os.environ["RAY_USAGE_STATS_ENABLED"] == "0"
        calls.append(options)
        if options["address"] == "auto" and absent:
            raise ConnectionError

    module = SimpleNamespace(init=init)
    monkeypatch.setitem(sys.modules, "ray", module)
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "1")
    monkeypatch.setenv("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    absent = False
    assert connected_ray() is module
    assert [call["address"] for call in calls] == ["auto"]
    absent = True
    connected_ray()
    assert [call["address"] for call in calls] == ["auto", "auto", "local"]
    assert calls[-1]["include_dashboard"] is False


def test_rays_requirements_agree_with_the_others() -> None:
    """Installing Ray changes the version of nothing that is pinned elsewhere."""
    runtime, development, ray = (requirements(f"requirements{part}.txt") for part in ("", "-dev", "-ray"))
    others = {**runtime, **development}
    assert ray["ray"] == "2.60.0"
    assert {package: others[package] for package in ray.keys() & others.keys()} == {
        package: ray[package] for package in ray.keys() & others.keys()
    }
    assert not ray.keys() & runtime.keys()  # they come with -r requirements.txt
