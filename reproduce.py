"""Runs a paper's whole study, networks × folds × seeds, and writes its tables with the paper's figures beside ours."""

import argparse
import contextlib
import os
import shlex
import signal
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from shell.command import INTERRUPTED, add_debug_option, run_command
from shell.errors import UsageError

if TYPE_CHECKING:
    from studies.engines import Engine

EXAMPLES = """examples:
  python reproduce.py --list                                                    the studies
  python reproduce.py vds_unet_table4                                           on simulated hearts, at full size
  python reproduce.py lu_net_table2 --data camus:PATH --folds 5 --seeds 0 1     one fold, two seeds
  python reproduce.py lu_net_table2 --data camus:PATH --status                  how far it is, and what ran where
  python reproduce.py lu_net_table2 --data camus:PATH --engine ray --workers 2  on a Ray cluster, two jobs a machine
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
    parser.add_argument("--folds", metavar="K", nargs="+", help="1-10, all of them, or none for one split")
    parser.add_argument("--seeds", metavar="N", nargs="+", type=int, help="default: the plan's")
    parser.add_argument("--only", metavar="NAME", nargs="+", default=[], help="these networks or rows of the tables")
    parser.add_argument("--workers", metavar="N", type=int, default=1, help="jobs at a time on a machine (default: 1)")
    parser.add_argument("--engine", choices=("local", "ray"), default="local", help="this machine, or a Ray cluster")
    parser.add_argument("--status", action="store_true", help="how far the jobs of PLAN are, and the ledger; runs none")
    parser.add_argument("--list", action="store_true", help="show the studies, or the jobs of PLAN by their folders")
    add_debug_option(parser)
    arguments = parser.parse_args(argv)
    if arguments.plan is None:
        if not arguments.list:
            raise UsageError("a PLAN is needed; --list shows them")
        return show_plans()
    arguments.folds = None if arguments.folds is None else fold_numbers(arguments.folds)
    if arguments.workers < 1:
        raise UsageError(f"--workers must be at least 1. Received: {arguments.workers}")
    return study(arguments)


def fold_numbers(words: Sequence[str]) -> tuple[int | None, ...]:
    """`3 5` as numbers; `all` as all ten; `none` as None, the one split.

    Raises:
        UsageError: something else, or one of the two words beside others.
    """
    from data_pipeline.splits import FOLDS, checked_fold

    known: dict[str, tuple[int | None, ...]] = {"all": tuple(range(1, FOLDS + 1)), "none": (None,)}
    if len(words) == 1 and words[0].lower() in known:
        return known[words[0].lower()]
    if not all(word.isdecimal() for word in words):
        raise UsageError(
            f"--folds takes numbers from 1 to {FOLDS}, or `all`, or `none` alone. Received: {' '.join(words)}"
        )
    return tuple(dict.fromkeys(checked_fold(int(word)) for word in words))


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
    from studies.jobs import make_jobs
    from studies.page import write_page
    from studies.plan import only
    from studies.progress import watched
    from studies.results import as_text, counted, tables_of, write_tables
    from studies.status import counts_text, jobs_text, ledger_text, statuses
    from studies.work import do_job

    plan = plan_by_name(arguments.plan)
    networks = only(plan, arguments.only)
    jobs = make_jobs(
        plan,
        networks,
        data=arguments.data or plan.default_data,
        folds=arguments.folds or plan.folds,
        seeds=tuple(dict.fromkeys(arguments.seeds or plan.seeds)),
        settings=arguments.set,
        out=arguments.out,
    )
    if arguments.list:
        for job in jobs:
            print(f"{job.state():<8} {job.folder}")
        return 0
    if arguments.status:
        found = statuses(jobs)
        print(f"{plan.name}: {counts_text(found)}\n\n{jobs_text(found)}\n\nledger:\n{ledger_text(jobs)}")
        return 0
    waiting = [job for job in jobs if job.state() != "done"]
    print(f"{plan.name}: {counted(len(jobs), 'job')}, {len(jobs) - len(waiting)} done before", flush=True)
    folder = arguments.out / plan.name
    command = shlex.join(["python", "reproduce.py", *sys.argv[1:]])
    failed: dict[str, str] = {}

    def write_everything() -> tuple[str, Path]:
        tables = tables_of(plan, networks, jobs)
        write_tables(folder, plan, tables)
        return as_text(tables), write_page(folder, plan, tables, jobs, failed=failed, command=command)

    try:
        engine = engine_of(arguments) if waiting else None
        with contextlib.ExitStack() as stack:
            stack.enter_context(terminating_like_interrupt())  # after Ray, which has a handler of its own
            tell = stack.enter_context(watched(waiting))
            results = stack.enter_context(contextlib.closing(engine(waiting, do_job))) if engine else ()
            for result in results:
                tell(result)
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


def engine_of(arguments: argparse.Namespace) -> "Engine":
    """The engine that was asked for, `--workers` jobs at a time on each of its machines."""
    from studies.engines import connected_ray, local, on_ray

    if arguments.engine == "ray":
        return on_ray(connected_ray(), arguments.workers)
    if arguments.workers > 1:  # or each of them takes every core; two studies with other thread numbers may differ
        cores = max(1, len(os.sched_getaffinity(0)) // arguments.workers)
        for name in ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS"):
            os.environ.setdefault(name, str(cores))
    return local(arguments.workers)


@contextlib.contextmanager
def terminating_like_interrupt() -> Iterator[None]:
    """A polite kill ends a study as Ctrl-C does: the processes of its jobs are not left behind."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


if __name__ == "__main__":
    run_command(main)
