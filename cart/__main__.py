"""Measures frames on the cart: LiteRT, NumPy and OpenCV, no TensorFlow."""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from cart.bundle import read_bundle
from cart.frames import add_frame_arguments
from cart.records import FAILED, measure_files, software_versions, summary_line
from cart.runtime import load_runner
from shell.command import add_debug_option, run_command
from shell.progress import progress

EPILOG = """example:
  python -m cart --bundle bundles/unet1/tflite-float32 patient0001_4CH_ED.nii.gz --json
"""


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m cart",
        description="Measure the mitral annulus on echo frames with an exported TFLite bundle, without TensorFlow.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--bundle", type=Path, required=True, metavar="DIR", help="written by `python -m export`")
    add_frame_arguments(parser)
    parser.add_argument("--json", action="store_true", help="print the measurements as JSON on standard output")
    parser.add_argument("--threads", type=_positive, metavar="N", help="CPU threads; default: all cores")
    add_debug_option(parser)
    arguments = parser.parse_args(argv)

    spec = read_bundle(arguments.bundle)
    runner = load_runner(spec, arguments.threads)
    software = software_versions()
    results = measure_files(
        progress(arguments.inputs, label="measure", unit="frames"),
        predictor=runner,
        spec=spec.measurement,
        view=arguments.view,
        spacing_mm=arguments.spacing_mm,
        anterior_side=arguments.anterior_side,
    )
    records = [{**result.record, "model": spec.model, "software": software} for result in results]
    for record in records:
        if record["status"] == FAILED:
            print(summary_line(record), file=sys.stderr)
        elif not arguments.json:
            print(summary_line(record))
    if arguments.json:
        print(json.dumps(records, indent=2, allow_nan=False))
    return 1 if any(record["status"] == FAILED for record in records) else 0


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"a number of threads is 1 or more. Received: {text}")
    return int(text)


if __name__ == "__main__":
    run_command(main)
