"""The same weights run by the engines that a user may choose from: each in its own process, in turns, in one run.

    .venv/bin/pip install -r requirements-dev.txt
    python -m export --run runs/unet1 --format saved_model tflite-float32 tflite-int8 onnx --out bundles/unet1
    python -m benchmarks.engines --bundles bundles/unet1

The network alone, without pre- and post-processing, one frame at a time. The processes take turns of a few frames, so
that whatever else the machine does hits all alike; the ratios are between medians. ONNX Runtime's int8 network is made
from the ONNX bundle by its own tool (static, QDQ, per channel), and OpenVINO takes the same one: what int8 costs in
accuracy is not compared here (parity.json of the bundles says it of ours).
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from cart.bench import drawn_frame, peak_memory_mb
from cart.bundle import INPUT_NAME, SIGNATURE, BundleSpec, read_bundle
from cart.engines import ENGINES, load_runner
from cart.measure import PROBABILITIES
from data_pipeline.preprocess import preprocess_image

Image = npt.NDArray[np.float32]
Network = Callable[[Image], npt.NDArray[Any]]
"""(1, h, w, 1) float32 → probabilities (1, h, w, classes)."""

CALIBRATION_FRAMES = 16
SHIPPED = "LiteRT"


def of_bundle(engine: str) -> Callable[[Path, int], Network]:
    """A bundle by the cart's own interface to an engine."""

    def load(bundle: Path, threads: int) -> Network:
        runner = load_runner(read_bundle(bundle), threads, engine)
        return lambda image: runner(image)[PROBABILITIES]

    return load


def quantised_in_onnxruntime(path: Path, threads: int) -> Network:
    runner = ENGINES["onnxruntime"].open(path, threads)
    return lambda image: runner(image)[PROBABILITIES]


def in_openvino(precision: str) -> Callable[[Path, int], Network]:
    """An ONNX file with arithmetic of a given precision: `f32`, or `bf16` where the processor has it."""

    def load(path: Path, threads: int) -> Network:
        import openvino

        settings = {
            "PERFORMANCE_HINT": "LATENCY",
            "NUM_STREAMS": "1",
            "INFERENCE_NUM_THREADS": threads,
            "INFERENCE_PRECISION_HINT": precision,
        }
        compiled = openvino.Core().compile_model(openvino.Core().read_model(path), "CPU", settings)
        request = compiled.create_infer_request()

        def run(image: Image) -> npt.NDArray[Any]:
            request.infer({INPUT_NAME: image}, share_inputs=True)
            return request.get_tensor(PROBABILITIES).data

        return run

    return load


def in_tensorflow(bundle: Path, threads: int) -> Network:
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    loaded = tf.saved_model.load(str(read_bundle(bundle).artefact))
    signature = loaded.signatures[SIGNATURE]

    def run(image: Image, _keep: object = loaded) -> npt.NDArray[Any]:
        return signature(**{INPUT_NAME: tf.constant(image)})[PROBABILITIES].numpy()

    return run


def bundle_of(name: str) -> Callable[[Path, Path], Path]:
    """The bundle of a format, in the folder of bundles."""
    return lambda bundles, _: bundles / name


def onnx_of(bundles: Path, _: Path) -> Path:
    """The ONNX file of the bundle."""
    return read_bundle(bundles / "onnx").artefact


def onnx_int8_of(bundles: Path, scratch: Path) -> Path:
    """The same network in int8, by ONNX Runtime's own tool, calibrated on drawn frames of changing brightness."""
    path = scratch / "int8.onnx"
    if not path.exists():
        quantise_onnx(read_bundle(bundles / "onnx"), path)
    return path


@dataclass(frozen=True)
class Contestant:
    """An engine with an artefact: which one, made where it is not a bundle, and how it is loaded."""

    artefact: Callable[[Path, Path], Path]
    load: Callable[[Path, int], Network]
    packages: tuple[str, ...]


CONTESTANTS: Mapping[str, Contestant] = {
    "LiteRT int8": Contestant(bundle_of("tflite-int8"), of_bundle("litert"), ("ai_edge_litert",)),
    "ONNX Runtime int8": Contestant(onnx_int8_of, quantised_in_onnxruntime, ("onnxruntime", "onnx")),
    "OpenVINO int8": Contestant(onnx_int8_of, in_openvino("f32"), ("openvino", "onnxruntime", "onnx")),
    "LiteRT float32": Contestant(bundle_of("tflite-float32"), of_bundle("litert"), ("ai_edge_litert",)),
    "ONNX Runtime float32": Contestant(bundle_of("onnx"), of_bundle("onnxruntime"), ("onnxruntime",)),
    "OpenVINO float32": Contestant(onnx_of, in_openvino("f32"), ("openvino",)),
    "OpenVINO bfloat16": Contestant(onnx_of, in_openvino("bf16"), ("openvino",)),
    "TensorFlow SavedModel": Contestant(bundle_of("saved_model"), in_tensorflow, ("tensorflow",)),
}


def frame_for(spec: BundleSpec, gain: float = 1.0) -> Image:
    """The drawn frame as the network takes it."""
    return preprocess_image(drawn_frame() * np.float32(gain), spec.measurement.preprocessing)[
        np.newaxis, ..., np.newaxis
    ]


def quantise_onnx(spec: BundleSpec, path: Path) -> None:
    """Static int8 quantisation of an ONNX bundle: per channel, signed, QDQ."""
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Frames(CalibrationDataReader):
        def __init__(self) -> None:
            gains = np.linspace(0.4, 1.0, CALIBRATION_FRAMES)
            self.frames: Iterator[dict[str, Image]] = iter({INPUT_NAME: frame_for(spec, gain)} for gain in gains)

        def get_next(self) -> dict[str, Image] | None:
            return next(self.frames, None)

    prepared = path.with_name("prepared.onnx")
    quant_pre_process(str(spec.artefact), str(prepared))
    quantize_static(
        str(prepared),
        str(path),
        Frames(),
        quant_format=QuantFormat.QDQ,
        per_channel=True,
        activation_type=QuantType.QInt8,
        weight_type=QuantType.QInt8,
    )


def work(name: str, artefact: Path, bundles: Path, threads: int) -> None:
    """A worker: for each line on standard input runs so many frames, and writes their milliseconds as JSON."""
    own_output = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what an engine prints is no answer
    image = frame_for(read_bundle(next(one for one in sorted(bundles.iterdir()) if (one / "bundle.json").is_file())))
    network = CONTESTANTS[name].load(artefact, threads)
    network(image)
    print(json.dumps({"memory_mb": peak_memory_mb()}), file=own_output, flush=True)
    for line in sys.stdin:
        times = []
        for _ in range(int(line)):
            begun = time.perf_counter()
            network(image)
            times.append((time.perf_counter() - begun) * 1000)
        print(json.dumps(times), file=own_output, flush=True)


def start(name: str, artefact: Path, bundles: Path, threads: int) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "benchmarks.engines", "--bundles", str(bundles), "--threads", str(threads)]
    return subprocess.Popen(
        [*command, "--worker", name, str(artefact)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )


def answer(worker: "subprocess.Popen[str]", question: str = "") -> Any:
    """What a worker says, to a question or on its own; None where it has ended."""
    assert worker.stdin is not None
    assert worker.stdout is not None
    if question:
        worker.stdin.write(question + "\n")
        worker.stdin.flush()
    line = worker.stdout.readline()
    return json.loads(line) if line else None


def compare(bundles: Path, threads: int, rounds: int, frames: int) -> dict[str, tuple[list[float], float]]:
    """Contestant → milliseconds of each frame, and megabytes; those that cannot run are said and left out."""
    workers: dict[str, tuple[subprocess.Popen[str], float]] = {}
    with tempfile.TemporaryDirectory() as scratch, ExitStack() as running:
        for name, contestant in CONTESTANTS.items():
            try:
                worker = start(name, contestant.artefact(bundles, Path(scratch)), bundles, threads)
            except Exception as error:
                print(f"{name}: left out ({' '.join(str(error).split())})")
                continue
            running.callback(worker.kill)
            ready = answer(worker)
            if ready is None:
                print(f"{name}: left out (it does not run; needs {', '.join(contestant.packages)} and its bundle)")
                continue
            workers[name] = worker, ready["memory_mb"]
        times: dict[str, list[float]] = {name: [] for name in workers}
        for turn in range(rounds + 1):
            for name, (worker, _) in workers.items():
                found = answer(worker, str(frames))
                times[name] += found if turn else []  # the first turn warms up
    return {name: (times[name], memory) for name, (_, memory) in workers.items()}


def table(results: Mapping[str, tuple[list[float], float]]) -> str:
    """Markdown; `against` is the median over that of our engine in the same number format: above 1 is slower."""
    lines = ["| engine | median ms | p95 ms | against LiteRT | memory |", "|---|---|---|---|---|"]
    for name, (times, memory_mb) in results.items():
        rival = f"{SHIPPED} {'int8' if name.endswith('int8') else 'float32'}"
        ratio = f"{np.median(times) / np.median(results[rival][0]):.2f}" if rival in results else "–"
        lines.append(
            f"| {name} | {np.median(times):.2f} | {np.percentile(times, 95):.2f} | {ratio} | {memory_mb:.0f} MB |"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog="example: python -m benchmarks.engines --bundles bundles/unet1 --threads 2",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--bundles", type=Path, required=True, metavar="DIR", help="one run's, a folder per format")
    parser.add_argument("--threads", type=int, default=2, help="CPU threads of each engine (default %(default)s)")
    parser.add_argument("--rounds", type=int, default=10, help="turns of each engine (default %(default)s)")
    parser.add_argument("--frames", type=int, default=20, help="of each turn (default %(default)s)")
    parser.add_argument("--worker", nargs=2, metavar=("NAME", "ARTEFACT"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker:
        name, artefact = arguments.worker
        work(name, Path(artefact), arguments.bundles, arguments.threads)
        return
    results = compare(arguments.bundles, arguments.threads, arguments.rounds, arguments.frames)
    print(f"{arguments.bundles}, {arguments.threads} threads, {arguments.rounds} turns of {arguments.frames} frames")
    print(table(results))


if __name__ == "__main__":
    main()
