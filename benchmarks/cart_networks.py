"""What a network costs on the cart: candidates for `cart_unet` in full 8-bit integers, on LiteRT, beside `unet1`.

Each candidate gets random weights, becomes a TFLite model calibrated on random frames (what it costs does not depend on
either) and is timed in turn with all others, round after round. On a busy machine the ratio of the least times counts;
`--threads 1` with its processor time hardly depends on what else runs. The table of docs/cart_unet.md is its output.
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from shell.command import add_debug_option, run_command
from shell.errors import UsageError

SIDE = 256
REFERENCE = "unet1"

CANDIDATES: dict[str, str] = {
    "unet1": "the baseline: six levels, 32 maps on the frame's own grid",
    "unet1-half": "`unet1`, half as wide",
    "half-grid": "stride-2 stem, five levels, 16-32-64-64-64 maps, two 3×3 each, transposed convolution at the end",
    "half-grid-full-step": "`half-grid` with a step up to the frame's own grid, 8 maps there; one 3×3 a step up",
    "half-grid-one": "`half-grid` with one convolution a level",
    "half-grid-separable": "`half-grid` of depthwise separable convolutions, 16-32-64-128-128 maps",
    "half-grid-inverted": "`half-grid` of inverted residuals, expansion 4, 16-24-32-48-64 maps",
    "end-depth-to-space": "`half-grid`, its end a 1×1 convolution and depth-to-space",
    "end-resized-logits": "`half-grid`, its end bilinear, softmax after it",
    "end-resized": "`half-grid`, its end softmax on the half grid, bilinear after it",
    "up-bilinear": "`end-resized`, bilinear on the way up instead of nearest",
    "up-transposed": "`end-resized`, 2×2 transposed convolutions on the way up",
    "up-depth-to-space": "`end-resized`, depth-to-space on the way up (a quarter of the maps)",
    "finest-24": "`up-depth-to-space` of 24-48-64-64-64 maps",
    "finest-32": "`up-depth-to-space` of 32-32-64-64-64 maps",
    "deep-one": "`up-depth-to-space` of 16-32-64-96-96 maps, one convolution a level",
    "cart_unet": "`up-depth-to-space` of 16-48-64-64-64 maps: what was chosen",
}
"""Candidate → what it is."""


@dataclass(frozen=True)
class Cost:
    """What one network costs.

    Attributes:
        parameters: of the Keras network.
        gmac: multiplications of its convolutions for a frame, in 10⁹.
        kilobytes: of the TFLite file.
    """

    parameters: int
    gmac: float
    kilobytes: float


@dataclass(frozen=True)
class Timing:
    """Milliseconds a frame, of each round.

    Attributes:
        wall: by the clock on the wall.
        processor: of all threads together.
    """

    wall: Sequence[float]
    processor: Sequence[float]


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.cart_networks",
        description=__doc__,
        epilog="example: python -m benchmarks.cart_networks --rounds 200 --models unet1 cart_unet",
    )
    parser.add_argument("--models", nargs="+", metavar="NAME", help="some of them (default: all; --list shows them)")
    parser.add_argument("--list", action="store_true", help="show the candidates")
    parser.add_argument("--rounds", type=int, default=100, help="frames of each, in turn (default: %(default)s)")
    parser.add_argument("--threads", type=int, default=2, help="of LiteRT (default: %(default)s)")
    parser.add_argument("--files", type=Path, metavar="DIR", help="keep the TFLite files here and use those there are")
    add_debug_option(parser)
    arguments = parser.parse_args(argv)
    if arguments.list:
        print("\n".join(f"{name:22} {text}" for name, text in CANDIDATES.items()))
        return 0
    names = arguments.models or list(CANDIDATES)
    unknown = [name for name in names if name not in CANDIDATES]
    if unknown:
        raise UsageError(f"--models are of {', '.join(CANDIDATES)}. Received: {', '.join(unknown)}")
    if arguments.rounds < 1 or arguments.threads < 1:
        raise UsageError("--rounds and --threads must be at least 1")
    names = list(dict.fromkeys([REFERENCE, *names]))
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.files or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        costs = {name: cost_of(name, folder) for name in names}
        timings = time_in_turns([folder / f"{name}.tflite" for name in names], arguments.rounds, arguments.threads)
    print(table(costs, dict(zip(names, timings, strict=True)), arguments.threads, arguments.rounds))
    return 0


def cost_of(name: str, folder: Path) -> Cost:
    """Writes `folder/NAME.tflite` and `NAME.json` where they are not there yet."""
    card = folder / f"{name}.json"
    if not card.is_file():
        print(f"{name} …", end=" ", file=sys.stderr, flush=True)
        from benchmarks._cart_candidates import build_candidate, convert, multiplications

        network = build_candidate(name)
        content = convert(network)
        (folder / f"{name}.tflite").write_bytes(content)
        cost = Cost(network.count_params(), multiplications(network) / 1e9, len(content) / 1024)
        card.write_text(json.dumps(asdict(cost)))
    return Cost(**json.loads(card.read_text()))


def time_in_turns(files: Sequence[Path], rounds: int, threads: int) -> list[Timing]:
    """A frame through each model, in turn, `rounds` times; the first of each round warms it up and does not count."""
    from ai_edge_litert.interpreter import Interpreter

    interpreters = [Interpreter(model_path=str(file), num_threads=threads) for file in files]
    frame = np.random.default_rng(0).random((1, SIDE, SIDE, 1), dtype=np.float32)
    for interpreter in interpreters:
        interpreter.allocate_tensors()
        interpreter.set_tensor(interpreter.get_input_details()[0]["index"], frame)
    found: list[tuple[list[float], list[float]]] = [([], []) for _ in files]
    for _ in range(rounds):
        for interpreter, (wall, processor) in zip(interpreters, found, strict=True):
            interpreter.invoke()
            begun = time.perf_counter(), time.process_time()
            interpreter.invoke()
            ended = time.perf_counter(), time.process_time()
            wall.append(1e3 * (ended[0] - begun[0]))
            processor.append(1e3 * (ended[1] - begun[1]))
    return [Timing(wall, processor) for wall, processor in found]


def table(costs: Mapping[str, Cost], timings: Mapping[str, Timing], threads: int, rounds: int) -> str:
    """A Markdown table below a line that says how it was measured; times in ms, least and median."""
    reference = timings[REFERENCE]
    lines = [
        f"{SIDE} × {SIDE}, 8-bit integers, LiteRT on {threads} threads, {rounds} rounds in turn. Times in ms a frame; "
        f"`×` is how many times faster than `{REFERENCE}`, by the least times of the wall clock and of the processor.",
        "",
        "| network | | parameters | GMAC | file | least | median | × | processor | × |",
        "|---|---|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for name, timing in timings.items():
        cost = costs[name]
        lines.append(
            f"| `{name}` | {CANDIDATES[name]} "
            f"| {cost.parameters / 1e6:.2f}M | {cost.gmac:.2f} | {cost.kilobytes:.0f} kB "
            f"| {min(timing.wall):.2f} | {statistics.median(timing.wall):.2f} "
            f"| {min(reference.wall) / min(timing.wall):.1f} "
            f"| {min(timing.processor):.2f} | {min(reference.processor) / min(timing.processor):.1f} |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    run_command(main)
