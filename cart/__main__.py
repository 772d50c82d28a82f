"""Measures frames on the cart: LiteRT, NumPy and OpenCV, no TensorFlow."""

import argparse
import json
import math
import statistics
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from cart.device import ASSUMED_RATE_HZ, Cart, Measurement, Stream, played
from cart.frames import FrameSource, add_frame_arguments, read_frames
from cart.records import FAILED, Record, software_versions, summary_line
from cart.smoothing import Smoothing
from cart.video import RATE_RANGE_HZ, SUFFIX, LinesWriter, OverlayWriter, stream_record, summary_record
from shell.command import INTERRUPTED, add_debug_option, describe, run_command
from shell.errors import UsageError, UserError
from shell.progress import progress

EPILOG = """examples:
  python -m cart --bundle bundles/unet1/tflite-float32 patient0001_4CH_ED.nii.gz --json
  python -m cart --bundle bundles/unet1/tflite-int8 cine.dcm --smooth --overlay cine.mp4 --json-lines cine.jsonl
  python -m cart --bundle bundles/unet1/tflite-int8 cine.mp4 --view A4C --spacing-mm 0.31 0.31 --realtime
  python -m cart --bundle bundles/unet1/tflite-int8 --bench
"""
MOST_FAILURES_SHOWN = 5
"""Of one input, on standard error: a cine may fail on every frame for one and the same reason."""


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m cart",
        description="Measure the mitral annulus on echo frames and cines with an exported bundle, without TensorFlow.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--bundle", type=Path, required=True, metavar="DIR", help="written by `python -m export`")
    add_frame_arguments(parser, inputs="*")
    parser.add_argument("--json", action="store_true", help="print the measurements as JSON on standard output")
    parser.add_argument(
        "--json-lines",
        metavar="FILE",
        help="write a line of JSON per frame as it is measured, a summary after each input; - is standard output",
    )
    parser.add_argument(
        "--overlay", type=Path, metavar="OUT.mp4", help="write a video with the measurements drawn into the frames"
    )
    parser.add_argument(
        "--smooth",
        action="store_true",
        help="smooth the hinge points of each cine in time; default: every frame stands for itself",
    )
    parser.add_argument(
        "--realtime",
        action="store_true",
        help="play each cine at its frame rate and drop frames rather than lag; default: measure every frame",
    )
    parser.add_argument(
        "--frame-rate", type=_rate, metavar="HZ", help="of inputs that do not tell theirs, or tell it wrong"
    )
    parser.add_argument("--threads", type=_positive, metavar="N", help="CPU threads; default: all cores")
    parser.add_argument("--engine", metavar="NAME", help="that runs the network; default: the bundle format's own")
    parser.add_argument(
        "--bench", action="store_true", help="measure the speed, on the INPUTs or on a drawn frame, and print it"
    )
    add_debug_option(parser)
    arguments = parser.parse_args(argv)
    if not arguments.inputs and not arguments.bench:
        parser.error("the following arguments are required: INPUT")
    if arguments.json and arguments.json_lines == "-":
        parser.error("--json and --json-lines - both want standard output; give --json-lines a file")
    if arguments.overlay is not None and arguments.overlay.suffix.lower() != SUFFIX:
        parser.error(f"--overlay is an MP4 video, so its name ends in {SUFFIX}. Received: {arguments.overlay}")
    if arguments.bench:
        return _bench(arguments)
    cart = Cart.open(arguments.bundle, threads=arguments.threads, engine=arguments.engine)
    with ExitStack() as outputs:
        run = _Run(arguments, cart, outputs)
        try:
            volumes = _volumes_among(arguments.inputs, cart)
            run.measure_volumes(volumes)
            frames = [path for path in arguments.inputs if path not in volumes]
            for path in progress(frames, label="measure", unit="inputs") if len(frames) > 1 else frames:
                run.measure(path)
        except KeyboardInterrupt:
            print("interrupted; what was measured until then is kept", file=sys.stderr)
            run.interrupted = True
        if arguments.json:
            print(json.dumps(run.records, indent=2, allow_nan=False))
    if run.interrupted:
        return INTERRUPTED
    return 1 if run.failed else 0


@dataclass
class _Run:
    """The inputs of one call, measured one after the other, and where the measurements go."""

    arguments: argparse.Namespace
    cart: Cart
    outputs: ExitStack
    records: list[Record] = field(default_factory=list[Record])
    failed: int = 0
    interrupted: bool = False

    def __post_init__(self) -> None:
        self.about = {"model": self.cart.model, "software": software_versions()}
        to = self.arguments.json_lines
        self.lines = None
        if to is not None:
            self.lines = self.outputs.enter_context(LinesWriter(None if to == "-" else Path(to)))
        self.overlay: OverlayWriter | None = None
        self.quiet = self.arguments.json or to == "-"

    def measure(self, path: Path) -> None:
        """One input; what is wrong with it is said, and the next one may be well."""
        arguments = self.arguments
        failures = 0
        diameters: list[float] = []
        try:
            source = read_frames(path, view=arguments.view, spacing_mm=arguments.spacing_mm)
            rate = arguments.frame_rate or source.frame_rate_hz
            self._open_overlay(rate, source)
            with self._stream(source, rate) as stream:
                try:
                    counted = progress(stream, label=path.name, total=source.count, unit="frames")
                    for measurement in counted if source.is_cine else stream:
                        record = stream_record(measurement, path)
                        if not source.is_cine:
                            record |= {"frame_index": None, "time_ms": None}
                        failures += record["status"] == FAILED
                        self._give(record, measurement, source, shown=failures <= MOST_FAILURES_SHOWN)
                        if measurement.annulus_diameter is not None:
                            diameters.append(measurement.annulus_diameter)
                finally:
                    self._end(path, source, stream, diameters)
        except (UserError, OSError, ValueError) as error:
            if isinstance(error, UsageError):
                raise
            message = describe(error)
            message = message if str(path) in message else f"{path}: {message}"
            self._give({"input": str(path), "status": FAILED, "error": message}, None, None, shown=True)

    def measure_volumes(self, paths: Sequence[Path]) -> None:
        """Short-axis volumes; `predict.py` writes their label volumes too."""
        if not paths:
            return
        from cart.volumes import measure_examinations, volume_summary_line

        cart, spacing_mm = self.cart, self.arguments.spacing_mm
        for result in measure_examinations(
            paths, predictor=cart.predictor, spec=cart.spec, spacing_mm=tuple(spacing_mm) if spacing_mm else None
        ):
            if self.arguments.json:
                self.records.append({**result.record, **self.about})
            if self.lines is not None:
                self.lines.write(result.record)
            failed = result.record["status"] == FAILED
            self.failed += failed
            if failed or not self.quiet:
                print(volume_summary_line(result.record), file=sys.stderr if failed else sys.stdout)

    def _stream(self, source: FrameSource, rate: float | None) -> Stream:
        realtime = self.arguments.realtime and source.is_cine
        return self.cart.stream(
            played(source, rate) if realtime else source.frames,
            view=self.arguments.view,
            spacing_mm=self.arguments.spacing_mm,
            anterior_side=self.arguments.anterior_side,
            frame_rate_hz=rate,
            smoothing=Smoothing() if self.arguments.smooth and source.is_cine else None,
            realtime=realtime,
        )

    def _open_overlay(self, rate: float | None, source: FrameSource) -> None:
        if self.arguments.overlay is None:
            return
        if self.overlay is None:
            if rate is None and source.is_cine:
                print(
                    f"{source.path}: says no frame rate; the overlay plays at {ASSUMED_RATE_HZ:g} frames/s "
                    "(--frame-rate tells it)",
                    file=sys.stderr,
                )
            writer = OverlayWriter(self.arguments.overlay, rate or ASSUMED_RATE_HZ)
            self.overlay = self.outputs.enter_context(writer)
        self.overlay.begin_again()

    def _give(
        self, record: Record, measurement: Measurement | None, source: FrameSource | None, *, shown: bool
    ) -> None:
        if self.arguments.json:
            self.records.append({**record, **self.about})
        if self.lines is not None:
            self.lines.write(record)
        if self.overlay is not None and measurement is not None:
            self.overlay.write(measurement)
        if record["status"] == FAILED:
            self.failed += 1
            if shown:
                print(summary_line(record), file=sys.stderr)
        elif not self.quiet and (source is None or not source.is_cine or not (self.lines or self.overlay)):
            print(summary_line(record))

    def _end(self, path: Path, source: FrameSource, stream: Stream, diameters: Sequence[float]) -> None:
        if self.lines is not None:
            self.lines.write({**summary_record(path, stream.counts), **self.about})
        if not source.is_cine or not stream.counts.frames:
            return
        counts = stream.counts
        words = [f"{path}: {counts.frames} frames measured, {counts.dropped} dropped"]
        for name in ("failed", "without_points", "abstained", "predicted"):
            if number := getattr(counts, name):
                words.append(f"{number} {name.replace('_', ' ')}")
        if diameters:
            middle = statistics.median(diameters)
            words.append(f"diameter {middle:.1f} ({min(diameters):.1f} to {max(diameters):.1f})")
        print(", ".join(words), file=sys.stderr if self.quiet else sys.stdout)


def _volumes_among(paths: Sequence[Path], cart: Cart) -> list[Path]:
    """The inputs that are volumes, if the network is one of short-axis slices."""
    from cart.examinations import is_volume  # on the cart of an echo network nothing of it is needed
    from cart.volumes import sees_short_axis

    return [path for path in paths if is_volume(path)] if sees_short_axis(cart.spec) else []


def _bench(arguments: argparse.Namespace) -> int:
    from cart.bench import run_bench  # what only measures speed must not slow down what measures hearts

    report = run_bench(
        arguments.bundle,
        arguments.inputs,
        threads=arguments.threads,
        engine=arguments.engine,
        view=arguments.view,
        spacing_mm=tuple(arguments.spacing_mm) if arguments.spacing_mm else None,
        anterior_side=arguments.anterior_side,
    )
    print(json.dumps(report.to_dict(), indent=2, allow_nan=False) if arguments.json else report.text())
    return 0


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"a number of threads is 1 or more. Received: {text}")
    return int(text)


def _rate(text: str) -> float:
    low, high = RATE_RANGE_HZ
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not low <= value <= high:  # NaN neither
        raise argparse.ArgumentTypeError(f"a frame rate is a number of Hz from {low:g} to {high:g}. Received: {text}")
    return value


if __name__ == "__main__":
    run_command(main)
