"""How a study's jobs are shared out: an engine takes them and gives their results as they come."""

import threading
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed

from studies.jobs import Job
from studies.work import Result, Stopping

Work = Callable[[Job, Stopping], Result]
"""Does one job; `studies.work.do_job`."""

Engine = Callable[[Sequence[Job], Work], Generator[Result, None, None]]
"""Jobs and what does one → results in any order. Closing it, or Ctrl-C, stops the jobs that are running."""


def local(workers: int = 1) -> Engine:
    """Jobs on this machine, `workers` of them at a time, each in processes of its own.

    Raises:
        ValueError: less than one worker.
    """
    if workers < 1:
        raise ValueError(f"`workers` must be at least 1. Received: {workers}")

    def run(jobs: Sequence[Job], work: Work) -> Generator[Result, None, None]:
        stop = threading.Event()
        with ThreadPoolExecutor(workers) as pool:  # threads: they only wait for the processes they started
            futures = [pool.submit(work, job, stop.is_set) for job in jobs]
            try:
                for future in as_completed(futures):
                    yield future.result()
            except BaseException:
                stop.set()
                for future in futures:
                    future.cancel()
                raise

    return run
