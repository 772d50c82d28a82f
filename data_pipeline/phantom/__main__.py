"""Writes a simulated data set: `python -m data_pipeline.phantom OUT`."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from data_pipeline.phantom.writer import APICAL_VIEWS, PhantomOptions, write_phantom
from shell.command import add_debug_option, run_command
from shell.errors import UsageError

EPILOG = """\
The same options give the same files, whatever the number of workers. A simulated set that lies at OUT already is
replaced once the new one is complete; any other folder with files in it is refused.

example:
  python -m data_pipeline.phantom build/phantom --patients 20 --sequences
  python -m data_pipeline.phantom build/valves --views A2C A3C A4C
  python train.py --model unet1 --data phantom:build/phantom
"""


def main(argv: Sequence[str] | None = None) -> int:
    defaults = PhantomOptions()
    parser = argparse.ArgumentParser(
        prog="python -m data_pipeline.phantom",
        description="Simulates hearts and their echocardiograms, with exact truth, in the CAMUS layout.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("out", type=Path, metavar="OUT", help="folder to make")
    parser.add_argument("--patients", type=int, default=defaults.patients, metavar="N", help="(default %(default)s)")
    parser.add_argument("--seed", type=int, default=defaults.seed, metavar="S", help="(default %(default)s)")
    parser.add_argument(
        "--views",
        nargs="+",
        choices=tuple(APICAL_VIEWS),
        default=[view.value for view in defaults.views],
        metavar="VIEW",
        help="any of A2C, A3C, A4C, or 2CH, 3CH, 4CH (default A2C A4C, as CAMUS has)",
    )
    parser.add_argument("--sequences", action="store_true", help="also write the half beat, ED → ES or ES → ED")
    parser.add_argument(
        "--off-centre-share",
        type=float,
        default=defaults.off_centre_share,
        metavar="P",
        help="share of views centred on the ventricle, the atrium cut off (default %(default)s)",
    )
    parser.add_argument("--workers", type=int, metavar="N", help="processes (default: one a core)")
    add_debug_option(parser)
    arguments = parser.parse_args(argv)
    if arguments.workers is not None and arguments.workers < 1:
        raise UsageError(f"--workers must be at least 1. Received: {arguments.workers}")
    options = PhantomOptions(
        patients=arguments.patients,
        seed=arguments.seed,
        views=tuple(sorted({APICAL_VIEWS[name] for name in arguments.views})),
        sequences=arguments.sequences,
        off_centre_share=arguments.off_centre_share,
    )
    write_phantom(arguments.out, options, arguments.workers)
    print(f"{arguments.out}: {options.patients} patients")
    return 0


if __name__ == "__main__":
    run_command(main)
