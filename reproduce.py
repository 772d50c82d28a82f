"""Runs a paper's whole study, networks × folds × seeds, and writes its tables with the paper's figures beside ours."""

import argparse
import contextlib
import os
import shlex
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from shell.command import INTERRUPTED, add_debug_option, run_command
from shell.errors import UsageError

if TYPE_CHECKING:
    from studies.work import Result

EXAMPLES = """examples:
  python reproduce.py --list                                                    the studies
  python reproduce.py vds_unet_table4                                           on simulated hearts, at full size
  python reproduce.py lu_net_table2 --data camus:PATH --folds 5 --seeds 0 1     one fold, two seeds
  python reproduce.py hinge_points --data phantom --set epochs=3 input_height=128 input_width=128
The same command again goes on where it was stopped, and does nothing twice.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """The command line of `reproduce.py`; see `--help`."""
    parser = argparse.ArgumentParser(
        prog="reproduce.py", description=__doc__, epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("plan", metavar="PLAN", nargs="?", help="the study; --list shows them")
    parser.add_argument("--data", metavar="SPEC", help="phantom, phantom:PATH, camus:PATH, … (default: the plan's)")
    parser.add_argument("--out", metavar="DIR", type=Path, default=Path("runs/studies"), help="default: runs/studies")
    parser.add_argument("--set", metavar="key=value", nargs="+", action="extend", default=[], help="for every recipe")
    parser.add_argument("--folds", metavar="K", nargs="+", type=fold_number, help="1-10, or none for one split")
    parser.add_argument("--seeds", metavar="N", nargs="+", type=int, help="default: the plan's")
    parser.add_argument("--only", metavar="NAME", nargs="+", default=[], help="these networks or rows of the tables")
    parser.add_argument("--workers", metavar="N", type=int, default=1, help="jobs at a time (default: 1)")
    parser.add_argument(
        "--list", action="store_true", help="show the studies, or the jobs of PLAN and how far they are"
    )
    add_debug_option(parser)
    arguments = parser.parse_args(argv)
    if arguments.plan is None:
        if not arguments.list:
            raise UsageError("a PLAN is needed; --list shows them")
        return show_plans()
    if arguments.workers < 1:
        raise UsageError(f"--workers must be at least 1. Received: {arguments.workers}")
    return study(arguments)


def fold_number(text: str) -> int | None:
    """`3`, or None for `none`."""
    return None if text.lower() == "none" else int(text)


def show_plans() -> int:
    """Prints every study: its tables, networks and number of jobs."""
    from studies.catalogue import PLANS

    for plan in PLANS.values():
        jobs = len(plan.networks) * len(plan.folds) * len(plan.seeds)
        print(f"{plan.name}: {plan.title}")
        print(f"    {plan.paper}")
        print(f"    {'; '.join(table.title for table in plan.tables)}")
        print(f"    {jobs} jobs: {' '.join(network.name for network in plan.networks)}", end="")
        print(f", {len(plan.folds)} folds" if len(plan.folds) > 1 else "")
    return 0


def study(arguments: argparse.Namespace) -> int:
    """Does the jobs of a study that are not done, then writes its tables from all that are."""
    from studies.catalogue import plan_by_name
    from studies.engines import local
    from studies.jobs import make_jobs
    from studies.page import write_page
    from studies.plan import only
    from studies.results import as_text, tables_of, write_tables
    from studies.work import do_job

    plan = plan_by_name(arguments.plan)
    networks = only(plan, arguments.only)
    jobs = make_jobs(
        plan,
        networks,
        data=arguments.data or plan.default_data,
        folds=arguments.folds or plan.folds,
        seeds=arguments.seeds or plan.seeds,
        settings=arguments.set,
        out=arguments.out,
    )
    if arguments.list:
        for job in jobs:
            print(f"{job.state():<8} {job.folder}")
        return 0
    if arguments.workers > 1:  # or each of them takes every core; two studies with other thread numbers may differ
        cores = max(1, len(os.sched_getaffinity(0)) // arguments.workers)
        for name in ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS"):
            os.environ.setdefault(name, str(cores))
    waiting = [job for job in jobs if job.state() != "done"]
    print(f"{plan.name}: {len(jobs)} jobs, {len(jobs) - len(waiting)} of them done before", flush=True)
    folder = arguments.out / plan.name
    command = shlex.join(["python", "reproduce.py", *sys.argv[1:]])
    failed: dict[str, str] = {}

    def write_everything() -> tuple[str, Path]:
        tables = tables_of(plan, networks, jobs)
        write_tables(folder, plan, tables)
        return as_text(tables), write_page(folder, plan, tables, jobs, failed=failed, command=command)

    begun = time.monotonic()
    try:
        with terminating_like_interrupt(), contextlib.closing(local(arguments.workers)(waiting, do_job)) as results:
            for number, result in enumerate(results, start=1):
                print(progress_line(result, number, len(waiting), time.monotonic() - begun), flush=True)
                if result.outcome == "interrupted":
                    raise KeyboardInterrupt
                if result.outcome == "failed":
                    failed[result.job] = result.message
                write_everything()  # a long study is looked at before it ends
    except KeyboardInterrupt:
        print("interrupted; the same command goes on where it was stopped", file=sys.stderr)
        return INTERRUPTED
    text, page = write_everything()
    print(f"\n{text}\n\nreport: {page}")
    if failed:
        print(f"error: {len(failed)} of {len(jobs)} jobs failed:", file=sys.stderr)
        for name, message in failed.items():
            print(f"  {name}: {message}", file=sys.stderr)
        return 1
    return 0


@contextlib.contextmanager
def terminating_like_interrupt() -> Iterator[None]:
    """A polite kill ends a study as Ctrl-C does: the processes of its jobs are not left behind."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def progress_line(result: "Result", number: int, total: int, seconds: float) -> str:
    """What became of a job, and how long the others may take if they take as long."""
    line = f"[{number}/{total}] {result.job}: {result.outcome} in {duration(result.seconds)}"
    if result.message:
        line += f": {result.message}"
    if number < total:
        line += f"; about {duration(seconds / number * (total - number))} left"
    return line


def duration(seconds: float) -> str:
    """`40 s`, `12 min` or `3.5 h`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


if __name__ == "__main__":
    run_command(main)
