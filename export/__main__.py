"""Exports a trained run into bundles, each checked against the Keras model."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from shell.command import add_debug_option, run_command

DEFAULT_FORMATS = ("saved_model", "tflite-float32")
DEFAULT_OUT = Path("bundles")

NAMES = {"probabilities": "probability"}

EPILOG = """example:
  python -m export --run runs/unet1 --format tflite-float32 --out bundles/unet1
  → bundles/unet1/tflite-float32/{model.tflite, bundle.json, parity.json}
"""


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m export",
        description="Export a trained network with everything needed to measure with it, and check it against Keras.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--run", type=Path, required=True, metavar="DIR", help="run folder written by train.py")
    parser.add_argument(
        "--format", nargs="+", default=DEFAULT_FORMATS, metavar="NAME", help=f"default: {' '.join(DEFAULT_FORMATS)}"
    )
    parser.add_argument(
        "--out", type=Path, metavar="DIR", help="gets one folder per format; default: bundles/NAME_OF_THE_RUN"
    )
    add_debug_option(parser)
    arguments = parser.parse_args(argv)
    out = arguments.out or DEFAULT_OUT / arguments.run.resolve().name

    from training.backend import start_backend

    start_backend()
    from cart.measure import require_no_reference
    from export.bundle import measurement_spec, require_formats, write_bundle
    from export.parity import outputs_of, parity_frames

    require_formats(arguments.format)
    from training.run_folder import load_run

    run = load_run(arguments.run)
    spec = measurement_spec(run)
    require_no_reference(spec)
    frames = parity_frames(run.data_spec, run.split)
    reference = outputs_of(run.predict, frames, spec, "run the Keras model")
    for name in dict.fromkeys(arguments.format):
        parity = write_bundle(run, name, out / name, frames=frames, reference=reference)
        print(f"{out / name}: {describe_parity(parity)}")
    return 0


def describe_parity(parity: dict[str, Any]) -> str:
    differences = ", ".join(f"largest |Δ {NAMES.get(n, n)}| {d['max']:.2g}" for n, d in parity["outputs"].items())
    shift = parity["hinge_points"]["shift_px"]
    moved = f"{shift['max']:.2g} px" if shift else "not measurable"
    return (
        f"{differences}, largest hinge point shift {moved}, "
        f"failures {len(parity['failures'])}, on {parity['frames']} {parity['source']}"
    )


if __name__ == "__main__":
    run_command(main)
