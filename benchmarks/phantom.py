"""Simulated frames per second, written to disk, at about CAMUS's native size.

Each round writes a whole data set (ED and ES of two views a patient, image, mask and structures of each frame) into a
new folder with one process a core, starting the processes included; the median round counts.
"""

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from data_pipeline.phantom.writer import PhantomOptions, write_phantom
from data_pipeline.readers.nifti import read_nifti
from shell.command import add_debug_option, run_command

NEEDED_FRAMES_PER_SECOND = 20.0


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.phantom",
        description=__doc__,
        epilog="example: python -m benchmarks.phantom --patients 60 --workers 2",
    )
    parser.add_argument("--patients", type=int, default=60, help="patients a round, four frames each (default: 60)")
    parser.add_argument("--rounds", type=int, default=3, help="(default: 3)")
    parser.add_argument("--workers", type=int, help="processes (default: one a core)")
    add_debug_option(parser)
    arguments = parser.parse_args(argv)
    options = PhantomOptions(patients=arguments.patients)
    rates: list[float] = []
    for _ in range(arguments.rounds):
        with tempfile.TemporaryDirectory() as folder:
            begun = time.perf_counter()
            write_phantom(Path(folder) / "phantom", options, arguments.workers)
            seconds = time.perf_counter() - begun
            images = list(Path(folder).rglob("*_E?.nii.gz"))
            pixels = statistics.median(read_nifti(path).array.size for path in images)
            size = sum(path.stat().st_size for path in Path(folder).rglob("*") if path.is_file())
        rates.append(len(images) / seconds)
        print(f"{len(images)} frames in {seconds:.1f} s: {rates[-1]:.1f} frames/s, {size / 1e6:.0f} MB")
    rate = statistics.median(rates)
    workers = arguments.workers or len(os.sched_getaffinity(0))
    print(
        f"median {rate:.1f} frames/s with {workers} processes, median frame {pixels / 1e3:.0f} kilopixels "
        f"(CAMUS 549 × 389: 214); at least {NEEDED_FRAMES_PER_SECOND:g} are wanted on 2 cores"
    )
    return 0 if rate >= NEEDED_FRAMES_PER_SECOND else 1


if __name__ == "__main__":
    run_command(main)
