"""Exports a trained run into bundles, each checked against the Keras model."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from shell.command import add_debug_option, run_command
from shell.errors import UsageError, UserError

DEFAULT_FORMATS = ("saved_model", "tflite-float32")
DEFAULT_OUT = Path("bundles")

NAMES = {"probabilities": "probability"}
EXCESS = {
    "output": "difference of an output",
    "dice_loss": "loss of Dice",
    "hinge_shift_mm": "median shift of a hinge point in mm",
    "box_shift": "mean shift of a box's edge as a share of the side",
}

EPILOG = """example:
  python -m export --run runs/unet1 --format tflite-float32 tflite-int8 --out bundles/unet1
  → bundles/unet1/tflite-float32/{model.tflite, bundle.json, parity.json}, bundles/unet1/tflite-int8/…
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
        "--format",
        nargs="+",
        default=DEFAULT_FORMATS,
        metavar="NAME",
        help="saved_model, tflite-float32, -float16, -dynamic, -int8, -int8-integer, onnx, or all; "
        f"default: {' '.join(DEFAULT_FORMATS)}",
    )
    parser.add_argument(
        "--calibration-frames",
        type=int,
        metavar="N",
        help="training frames that tflite-int8 is calibrated on; default: 100",
    )
    parser.add_argument(
        "--out", type=Path, metavar="DIR", help="gets one folder per format; default: bundles/NAME_OF_THE_RUN"
    )
    add_debug_option(parser)
    arguments = parser.parse_args(argv)
    out = arguments.out or DEFAULT_OUT / arguments.run.resolve().name
    if arguments.calibration_frames is not None and arguments.calibration_frames < 1:
        raise UsageError(f"`--calibration-frames` must be 1 or more. Received: {arguments.calibration_frames}")

    from training.backend import start_backend

    start_backend()
    from cart.measure import require_no_reference
    from export.graph import require_tensorflow

    require_tensorflow()
    from export.bundle import CALIBRATION_FRAMES, export_source, measurement_spec, require_formats, write_bundle
    from export.parity import outputs_of, parity_frames

    formats = require_formats(arguments.format)
    from training.run_folder import load_run

    run = load_run(arguments.run)
    spec = measurement_spec(run)
    require_no_reference(spec)
    frames = parity_frames(run.data_spec, run.split, run.structures)
    reference = outputs_of(run.predict, frames, spec, "run the Keras model")
    source = export_source(run, spec, arguments.calibration_frames or CALIBRATION_FRAMES)
    failed: list[str] = []
    for name in formats:
        try:
            parity = write_bundle(run, name, out / name, frames=frames, reference=reference, source=source)
        except UserError as error:
            if len(formats) == 1:
                raise
            failed.append(name)
            print(f"{out / name}: NOT WRITTEN. {error}", file=sys.stderr, flush=True)
            continue
        print(f"{out / name}: {describe_parity(parity)}", flush=True)
        if not parity["within_limits"]:
            print(f"{out / name}: BEYOND ITS LIMITS: {describe_excess(parity)}", flush=True)
    if failed:
        raise UserError(f"{len(failed)} of {len(formats)} formats could not be written: {', '.join(failed)}")
    return 0


def describe_parity(parity: dict[str, Any]) -> str:
    """One line of what parity.json says."""
    differences = ", ".join(f"largest |Δ {NAMES.get(n, n)}| {d['max']:.2g}" for n, d in parity["outputs"].items())
    points = parity["hinge_points"]
    shift, unit = (points["shift_mm"], "mm") if points["shift_mm"] else (points["shift_px"], "px")
    moved = f"median {shift['median']:.2g} {unit}, largest {shift['max']:.2g} {unit}" if shift else "not measurable"
    changes = [against["change"] for against in parity["reference_dice"].values() if against["change"] is not None]
    dice = f"Dice against the reference {min(changes):+.4f} at worst, " if changes else ""
    return (
        f"{differences}, {dice}hinge point shift {moved}, "
        f"failures {len(parity['failures'])}, on {parity['frames']} {parity['source']}"
    )


def describe_excess(parity: dict[str, Any]) -> str:
    """Which limits an artefact misses, and what to do."""
    missed = [
        f"{EXCESS[name]} {value:.3g} (at most {parity['limits'][name]:g})"
        for name, value in parity["measured"].items()
        if value is not None and parity["limits"][name] is not None and not value <= parity["limits"][name]
    ]
    return f"{', '.join(missed)}; try more --calibration-frames, or use tflite-float16 or tflite-float32"


if __name__ == "__main__":
    run_command(main)
