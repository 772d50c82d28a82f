"""The engine on a real Ray of this machine: jobs are done, told apart in the ledger, and stopped."""

import contextlib
import os
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from studies.engines import on_ray
from studies.work import do_job, read_ledger
from tests.studies.made import WRITES_RUN, made_job

pytestmark = pytest.mark.slow
FOREVER = f"{WRITES_RUN}; import time; time.sleep(600)"


@pytest.fixture
def ray(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")  # a token would be written into the user's home
    monkeypatch.setenv("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Ray's own
        module = pytest.importorskip("ray", reason="needs Ray: pip install -r requirements-ray.txt")
        module.init(address="local", num_cpus=4, include_dashboard=False, log_to_driver=False, logging_level="error")
        yield module
        module.shutdown()


def test_jobs_are_done_recorded_and_stopped(ray: Any, tmp_path: Path) -> None:
    ends = made_job(tmp_path, seed=0)
    fails = made_job(tmp_path, seed=1, begin="raise SystemExit('no room')")
    lasting = [made_job(tmp_path, seed=seed, begin=FOREVER) for seed in (2, 3)]
    with contextlib.closing(on_ray(ray, 4)([ends, fails, *lasting], do_job)) as results:  # Ray takes them in any order
        found = {result.job: result for result in (next(results), next(results))}
        assert (found[ends.name].outcome, found[ends.name].message) == ("done", "")
        assert "train ended with 1: no room" in found[fails.name].message
        deadline = time.monotonic() + 300  # a worker begins with its variables, and that takes its time
        while not all((job.run / "recipe.json").exists() for job in lasting):
            assert time.monotonic() < deadline
            time.sleep(0.05)
    assert not ray.is_initialized()
    assert [job.state() for job in (ends, *lasting)] == ["done", "begun", "begun"]
    lines = read_ledger(ends.ledger)
    assert {line["worker"].partition(" ")[0] for line in lines} == {"ray"}
    assert {line["worker"].partition(" ")[2] for line in lines}.isdisjoint({str(os.getpid())})
    for job in lasting:
        begun, ended = (line for line in lines if line["job"] == job.name)
        assert ended["exit_status"] == 130
        with pytest.raises(ProcessLookupError):
            os.kill(begun["pid"], 0)
