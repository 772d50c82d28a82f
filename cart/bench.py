"""How fast a bundle measures frames on this machine, and what it needs: `python -m cart --bundle DIR --bench`.

Everything is measured in a fresh process, as a user starts one: what it takes until the first frame is measured, how
long each stage of a frame takes once it runs, and how much memory it had at most.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from cart.bundle import BundleSpec, read_bundle
from cart.delegation import Delegation, delegation_of
from cart.engines import load_runner
from cart.frames import Frame, add_frame_arguments, read_frames
from cart.measure import DECODE, STAGES, StageClock, measure_image, require_no_reference
from data_pipeline.sample import View
from shell.command import add_debug_option, run_command
from shell.errors import UserError

FRAMES = 200
WARM_UP = 10
"""Frames before the measured ones: caches are filled, the engine has found its way."""
FRESH_STARTS = 3
"""The start-up is the median of so many processes; the first one may still read its libraries from the disk."""
SHAPE, SPACING_MM = (549, 389), (0.308, 0.308)
"""Of the drawn frame: the size of a CAMUS frame and its pitch."""
END_TO_END = "end to end"


@dataclass(frozen=True)
class StageTimes:
    """Milliseconds that a stage takes, over all frames."""

    median_ms: float
    p95_ms: float
    p99_ms: float


@dataclass(frozen=True)
class StartUp:
    """Seconds from the start of a process to its first measurement.

    Attributes:
        imports_s: starting Python, importing what the cart needs.
        load_s: checking the bundle's digests, loading the network.
        first_frame_s: the first frame, decoded already.
    """

    imports_s: float
    load_s: float
    first_frame_s: float

    @property
    def total_s(self) -> float:
        """All three."""
        return self.imports_s + self.load_s + self.first_frame_s


@dataclass(frozen=True)
class BenchReport:
    """What `run_bench` has measured.

    Attributes:
        bundle: the folder.
        model, format: of the bundle.
        engine: asked for; None: the format's own.
        threads: asked for; None: all cores.
        cores: that this machine has.
        frames: measured ones.
        frame_shape: (H, W) of the first one.
        frame_source: `drawn`, or how many files.
        statuses: what became of the frames, status → count: frames without a contact line take less time.
        stages: stage → its times, in order; `end to end` is all but decoding.
        frames_per_second: end to end, from decoded frames, over the whole run.
        overhead_share: of pre- and post-processing in that.
        start_up: median of `FRESH_STARTS` processes, by their totals.
        peak_memory_mb: most resident memory of a process that did nothing but this.
        delegation: None where the engine is not LiteRT.
    """

    bundle: str
    model: str
    format: str
    engine: str | None
    threads: int | None
    cores: int
    frames: int
    frame_shape: tuple[int, int]
    frame_source: str
    statuses: Mapping[str, int]
    stages: Mapping[str, StageTimes]
    frames_per_second: float
    overhead_share: float
    start_up: StartUp
    peak_memory_mb: float
    delegation: Delegation | None

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {**asdict(self), "start_up": {**asdict(self.start_up), "total_s": self.start_up.total_s}}

    def text(self) -> str:
        """The report for people."""
        height, width = self.frame_shape
        engine, threads = self.engine or "its own engine", self.threads or self.cores
        found = ", ".join(f"{count} {status}" for status, count in self.statuses.items())
        lines = [
            f"{self.bundle}: {self.model}, {self.format}, {engine}, {threads} threads of {self.cores} cores",
            f"{self.frames} frames of {height} × {width} ({self.frame_source}): {found}",
            f"{'ms a frame':12} {'median':>8} {'p95':>8} {'p99':>8}",
        ]
        for stage, times in self.stages.items():
            lines.append(f"{stage:12} {times.median_ms:8.2f} {times.p95_ms:8.2f} {times.p99_ms:8.2f}")
        start = self.start_up
        lines += [
            f"{self.frames_per_second:.1f} frames/s from decoded frames; "
            f"pre- and post-processing {100 * self.overhead_share:.0f} % of that time",
            f"start-up {start.total_s:.2f} s (imports {start.imports_s:.2f}, bundle and network {start.load_s:.2f}, "
            f"first frame {start.first_frame_s:.2f}), peak memory {self.peak_memory_mb:.0f} MB",
        ]
        if self.delegation is not None:
            rest = ", ".join(f"{count} {name}" for name, count in self.delegation.undelegated.items())
            lines.append(
                f"XNNPACK runs {self.delegation.delegated} of {self.delegation.nodes} operations, in "
                f"{self.delegation.parts} parts; not delegated: {rest or 'none'}"
            )
        return "\n".join(lines)


def run_bench(
    bundle: Path,
    inputs: Sequence[Path] = (),
    *,
    threads: int | None = None,
    engine: str | None = None,
    view: View | None = None,
    spacing_mm: tuple[float, float] | None = None,
    anterior_side: str | None = None,
    frames: int = FRAMES,
) -> BenchReport:
    """Measures frames with a bundle, in fresh processes.

    Args:
        bundle: the folder.
        inputs: image files and cines, gone through again and again; none: a drawn frame of `SHAPE`, decoded already.
        threads: CPU threads; all cores when None.
        engine: a key of `cart.engines.ENGINES`; the format's default when None.
        view: overrides what the inputs say.
        spacing_mm: overrides what the inputs say.
        anterior_side: overrides the orientation table.
        frames: how many to measure, after `WARM_UP` more.

    Raises:
        UserError: the bundle or an input cannot be read or measured; the process ended otherwise than well.
    """
    options = [str(path) for path in inputs]
    options += ["--bundle", str(bundle)]
    options += ["--threads", str(threads)] if threads else []
    options += ["--engine", engine] if engine else []
    options += ["--view", view.value] if view else []
    options += ["--spacing-mm", *map(str, spacing_mm)] if spacing_mm else []
    options += ["--anterior-side", anterior_side] if anterior_side else []
    found = _fresh_process([*options, "--frames", str(frames)])
    starts = [found, *(_fresh_process([*options, "--frames", "0"]) for _ in range(FRESH_STARTS - 1))]
    start_ups = sorted((StartUp(**one["start_up"]) for one in starts), key=lambda start: start.total_s)
    delegation = found["delegation"]
    return BenchReport(
        bundle=str(bundle),
        model=found["model"],
        format=found["format"],
        engine=engine,
        threads=threads,
        cores=os.cpu_count() or 1,
        frames=frames,
        frame_shape=(found["frame_shape"][0], found["frame_shape"][1]),
        frame_source=f"{len(inputs)} file{'s' * (len(inputs) > 1)}" if inputs else "drawn",
        statuses=found["statuses"],
        start_up=start_ups[len(start_ups) // 2],
        peak_memory_mb=found["peak_memory_mb"],
        delegation=Delegation(**delegation) if delegation else None,
        **_summary(found["stages"]),
    )


def drawn_frame(shape: tuple[int, int] = SHAPE) -> npt.NDArray[np.float32]:
    """An ultrasound sector with a heart in it, as far as speed cares: speckle, wall, two dark chambers, black around.

    Returns:
        (H, W) float32, whole numbers in 0..255; the same every time.
    """
    height, width = shape
    speckle = np.random.default_rng(0).rayleigh(0.8, shape).astype(np.float32)
    speckle = cv2.GaussianBlur(speckle, (0, 0), 1.5)
    brightness = np.full(shape, 45, np.float32)
    middle, base = width // 2, round(0.6 * height)
    for value, axes, part in (
        (110, (0.24 * width, 0.42 * height), (180, 360)),  # the wall
        (8, (0.16 * width, 0.36 * height), (180, 360)),  # the ventricle, above the annulus
        (8, (0.16 * width, 0.22 * height), (0, 180)),  # the atrium, below it
    ):
        cv2.ellipse(brightness, (middle, base), (round(axes[0]), round(axes[1])), 0, *part, value, -1)
    cv2.line(brightness, (middle - round(0.16 * width), base), (middle + round(0.16 * width), base), (170,), 4)
    sector = np.zeros(shape, np.uint8)
    cv2.ellipse(sector, (middle, 0), (height, height - 1), 0, 55, 125, 1, -1)
    return np.rint(np.clip(cv2.GaussianBlur(brightness, (0, 0), 3) * speckle * sector, 0, 255)).astype(np.float32)


def peak_memory_mb() -> float:
    """Most resident memory that this process has had so far."""
    status = Path("/proc/self/status")
    if status.is_file():  # rusage would count what the parent had when it forked
        for line in status.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    import resource

    unit = 1024**2 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


def _summary(stages: Mapping[str, Sequence[float]]) -> dict[str, Any]:
    """Of the times of each frame: percentiles by stage, frames per second, share of what is not the network."""
    times = {stage: np.array(stages[stage]) for stage in STAGES if stage in stages}
    work = {stage: of for stage, of in times.items() if stage != DECODE}
    total = np.sum(list(work.values()), axis=0)
    return {
        "stages": {
            stage: StageTimes(*(float(np.percentile(of, share)) for share in (50, 95, 99)))
            for stage, of in {**times, END_TO_END: total}.items()
        },
        "frames_per_second": float(1000 / total.mean()),
        "overhead_share": float(1 - work["infer"].sum() / total.sum()),
    }


def _fresh_process(options: Sequence[str]) -> dict[str, Any]:
    """What a process of this module says of itself.

    Raises:
        UserError: it failed, in its own words.
    """
    here = os.pathsep.join(path or str(Path.cwd()) for path in sys.path)
    command = [sys.executable, "-m", __name__, *options, "--began", repr(time.monotonic())]
    done = subprocess.run(command, env={**os.environ, "PYTHONPATH": here}, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        said = [line for line in done.stderr.splitlines() if line.strip()]
        raise UserError(said[-1].removeprefix("error: ") if said else f"the process ended with {done.returncode}")
    return json.loads(done.stdout)


def _measure_here(began: float, arguments: argparse.Namespace) -> dict[str, Any]:
    """The work of a fresh process, which began at `began` of the monotonic clock."""
    imported = time.monotonic()
    spec = read_bundle(arguments.bundle)
    require_no_reference(spec.measurement)
    runner = load_runner(spec, arguments.threads, arguments.engine)
    loaded = time.monotonic()
    frames = _timed_frames(arguments)
    first = next(frames)
    clock = StageClock()

    def measured(frame: Frame) -> str:
        clock.restart()
        return measure_image(
            frame.image,
            frame.spacing_mm,
            frame.view,
            frame.phase,
            predictor=runner,
            spec=spec.measurement,
            anterior_side=arguments.anterior_side,
            clock=clock,
        ).frame.status

    started = time.monotonic()
    measured(first[0])
    start_up = StartUp(imported - began, loaded - imported, time.monotonic() - started)
    stages: dict[str, list[float]] = {}
    statuses: Counter[str] = Counter()
    for number, (frame, decode_ms) in enumerate(chain([first], frames)):
        if number == (WARM_UP + arguments.frames if arguments.frames else 0):
            break
        status = measured(frame)
        if number >= WARM_UP:
            statuses[status] += 1
            for stage, ms in {**({} if decode_ms is None else {DECODE: decode_ms}), **clock.ms}.items():
                stages.setdefault(stage, []).append(ms)
    peak_mb = peak_memory_mb()
    on_litert = spec.format.startswith("tflite-") and arguments.engine in (None, "litert")
    return {
        "model": spec.model,
        "format": spec.format,
        "frame_shape": first[0].image.shape,
        "start_up": asdict(start_up),
        "stages": stages,
        "statuses": dict(statuses),
        "peak_memory_mb": peak_mb,
        "delegation": asdict(_delegation(spec, arguments.threads)) if on_litert and arguments.frames else None,
    }


def _delegation(spec: BundleSpec, threads: int | None) -> Delegation:
    return delegation_of(spec.artefact, threads or os.cpu_count() or 1)


def _timed_frames(arguments: argparse.Namespace) -> Iterator[tuple[Frame, float | None]]:
    """Frames without end, each with the milliseconds that it took to decode; None of the drawn one.

    Raises:
        UserError: an input cannot be read, or none has a frame.
    """
    if not arguments.inputs:
        image = drawn_frame()
        frame = Frame(Path("drawn"), image, arguments.spacing_mm or SPACING_MM, arguments.view or View.A4C, None)
        while True:
            yield frame, None
    while True:
        found = 0
        for path in arguments.inputs:
            clock = StageClock()
            for frame in read_frames(path, view=arguments.view, spacing_mm=arguments.spacing_mm).frames:
                clock(DECODE)
                if isinstance(frame, Frame):
                    found += 1
                    yield frame, clock.ms[DECODE]
                clock.restart()
        if not found:
            raise UserError(f"no frame in {', '.join(map(str, arguments.inputs))}; give other inputs")


def main(argv: Sequence[str] | None = None) -> int:
    """A fresh process: measures, and prints what it found as JSON."""
    parser = argparse.ArgumentParser(
        prog="python -m cart.bench",
        description="What `python -m cart --bench` starts: one fresh process, its figures as JSON, frame by frame.",
        epilog="example: python -m cart.bench --bundle bundles/unet1/tflite-int8 --frames 200",
    )
    parser.add_argument("--bundle", type=Path, required=True, metavar="DIR", help="written by `python -m export`")
    add_frame_arguments(parser, inputs="*")
    parser.add_argument("--threads", type=int, metavar="N", help="CPU threads; default: all cores")
    parser.add_argument("--engine", metavar="NAME", help="that runs the network; default: the bundle format's own")
    parser.add_argument("--frames", type=int, default=FRAMES, metavar="N", help="to measure (default %(default)s)")
    parser.add_argument(
        "--began", type=float, default=time.monotonic(), metavar="S", help="when it was started, by the monotonic clock"
    )
    add_debug_option(parser)
    arguments = parser.parse_args(argv)
    print(json.dumps(_measure_here(arguments.began, arguments), allow_nan=False))
    return 0


if __name__ == "__main__":
    run_command(main)
