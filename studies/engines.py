"""How a study's jobs are shared out: an engine takes them and gives their results as they come."""

import importlib
import os
import threading
from collections.abc import Callable, Generator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Any

from shell.errors import UsageError, UserError
from studies.jobs import PROJECT, Job
from studies.work import SECONDS_TO_STOP, Result, Stopping, never

Work = Callable[[Job, Stopping, str], Result]
"""Does one job: the job, whether it shall stop, and who does it, for the ledger; `studies.work.do_job`."""

Engine = Callable[[Sequence[Job], Work], Generator[Result, None, None]]
"""Jobs and what does one → results in any order. Closing it, or Ctrl-C, stops the jobs that are running."""

PASSED_ON = ("ANNULUS_", "KERAS_", "TF_", "XLA_", "JAX_", "OMP_")
"""How the variables begin that a job on another machine takes over from the machine that the study runs on."""

RAY_LACKS = "Ray is not installed; install it with `.venv/bin/python -m pip install -r requirements-ray.txt`"


def local(workers: int = 1) -> Engine:
    """Jobs on this machine, `workers` of them at a time, each in processes of its own.

    Raises:
        ValueError: less than one worker.
    """
    if workers < 1:
        raise ValueError(f"`workers` must be at least 1. Received: {workers}")

    def run(jobs: Sequence[Job], work: Work) -> Generator[Result, None, None]:
        stop = threading.Event()

        def named(job: Job) -> Result:
            return work(job, stop.is_set, threading.current_thread().name.replace("_", " "))

        # threads: they only wait for the processes they started
        with ThreadPoolExecutor(workers, thread_name_prefix="local") as pool:
            futures = [pool.submit(named, job) for job in jobs]
            try:
                for future in as_completed(futures):
                    yield future.result()
            except BaseException:
                stop.set()
                for future in futures:
                    future.cancel()
                raise

    return run


def connected_ray() -> Any:
    """The module `ray`, connected to the cluster that RAY_ADDRESS names or that runs here, else to one of this machine.

    Nothing is reported to the makers of Ray. A cluster that is not ours was begun by others, who decide for it.

    Raises:
        UsageError: Ray is not installed.
    """
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"  # before the import: it is read there
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # a job that asks for no GPU may see what is there
    try:
        ray: Any = importlib.import_module("ray")  # so that types are checked where it is not installed
    except ImportError as error:
        raise UsageError(RAY_LACKS) from error
    quiet: dict[str, Any] = {"logging_level": "warning", "log_to_driver": False}
    try:
        ray.init(address="auto", **quiet)
    except ConnectionError:  # no cluster runs
        ray.init(address="local", num_cpus=len(os.sched_getaffinity(0)), include_dashboard=False, **quiet)
    return ray


def on_ray(ray: Any, workers: int = 1) -> Engine:
    """Jobs on the machines of a Ray cluster, `workers` of them at a time on each.

    A job takes a share of the processors (and of the GPUs, where there are some) of one machine; what it prints and
    writes goes into its folder. So that folder, the data, this project and its `.venv` must lie at the same paths of a
    file system that all machines share; a job whose result is not seen here has failed, and says so.

    Args:
        ray: the module, connected, or what behaves like it.
        workers: jobs at a time on a machine, its processors and GPUs shared among them.

    Raises:
        ValueError: less than one worker.
    """
    if workers < 1:
        raise ValueError(f"`workers` must be at least 1. Received: {workers}")

    def run(jobs: Sequence[Job], work: Work) -> Generator[Result, None, None]:
        share = share_of_a_machine([node["Resources"] for node in ray.nodes() if node["Alive"]], workers)
        there = {"env_vars": variables_there(int(share["num_cpus"]))}
        # not tried again by Ray: what a machine lost is begun where it was left by the same command
        remote = ray.remote(max_retries=0, runtime_env=there, **share)(_there)
        running = {remote.remote(work, job, str(Path.cwd())): job for job in jobs}
        try:
            while running:
                (ended, *_), _ = ray.wait(list(running), num_returns=1)
                yield _result(ray, ended, running.pop(ended))
        except BaseException:
            for promised in running:
                ray.cancel(promised)  # one that waits never begins; one that runs is interrupted as by Ctrl-C
            if running:
                ray.wait(list(running), num_returns=len(running), timeout=2 * SECONDS_TO_STOP)
            raise
        finally:
            ray.shutdown()

    return run


def share_of_a_machine(machines: Sequence[Mapping[str, float]], workers: int) -> dict[str, float]:
    """What a job asks Ray for: one of `workers` equal parts of the smallest machine; a larger one takes more jobs.

    Args:
        machines: resources of each, as Ray names them: `{"CPU": 8, "GPU": 1, …}`.
        workers: jobs at a time on a machine.

    Returns:
        `num_cpus`, a whole number, and `num_gpus` where a machine has one: jobs then run on those machines alone.

    Raises:
        UserError: no machine has a processor for jobs.
    """
    usable = [machine for machine in machines if machine.get("CPU", 0) >= 1]
    if not usable:
        raise UserError("the Ray cluster has no machine with a processor for jobs; `ray status` shows what it has")
    with_gpus = [machine for machine in usable if machine.get("GPU", 0) >= 1]
    smallest = min(machine["CPU"] for machine in with_gpus or usable)
    share: dict[str, float] = {"num_cpus": max(1, int(smallest // workers))}
    if with_gpus:
        gpus = min(machine["GPU"] for machine in with_gpus) / workers
        share["num_gpus"] = int(gpus) if gpus >= 1 else gpus  # Ray takes whole GPUs, or a part of one
    return share


def variables_there(cores: int) -> dict[str, str]:
    """The environment of a job on another machine: this project importable, our own variables, threads for `cores`."""
    path = os.pathsep.join([str(PROJECT), *filter(None, [os.environ.get("PYTHONPATH")])])
    ours = {name: value for name, value in os.environ.items() if name.startswith(PASSED_ON)}
    return {"PYTHONPATH": path, "OMP_NUM_THREADS": f"{cores}", "TF_NUM_INTRAOP_THREADS": f"{cores}", **ours}


def _there(work: Work, job: Job, folder: str) -> Result:
    """Does a job on the machine that Ray chose, in the working directory that the study has here."""
    os.chdir(folder)
    return work(job, never, f"ray {os.getpid()}")


def _result(ray: Any, ended: Any, job: Job) -> Result:
    try:
        result: Result = ray.get(ended)
    except ray.exceptions.RayError as error:
        words = " ".join(f"{error}".split())
        return Result(job.name, "failed", 0.0, f"Ray could not do it: {words[:300] or type(error).__name__}")
    if result.outcome in ("done", "found") and job.state() != "done":
        rule = "--out must lie on a file system that all machines of the cluster share"
        return Result(job.name, "failed", result.seconds, f"{job.folder}: its result is not seen here; {rule}")
    return result
