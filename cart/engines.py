"""The engines that run a bundle's network, behind one interface: `runner(images)` gives the network's outputs by name.

An engine is imported when a bundle asks for it, so the cart's start-up pays for one alone.
"""

import difflib
import importlib.util
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from cart.bundle import INPUT_NAME, BundleSpec
from cart.measure import BOX, PROBABILITIES
from shell.errors import UsageError, UserError

Infer = Callable[[npt.NDArray[np.float32]], Mapping[str, npt.NDArray[np.float32]]]
"""One preprocessed image (1, h, w, 1) float32 → the network's outputs by name, each (1, …) float32. They may be the
engine's own memory, valid until the next call."""


class Runner:
    """A loaded network of one grid, called like a network: `runner(images)`.

    Args:
        input_shape: (h, w) of the one grid it takes.
        output_shapes: shape of each output by name, without the axis of the batch.
        infer: runs it on one image.

    Attributes:
        input_shape, output_shapes: as above.

    Raises:
        ValueError: none of its outputs is one that this project measures.
    """

    def __init__(self, input_shape: tuple[int, int], output_shapes: Mapping[str, tuple[int, ...]], infer: Infer):
        if not {PROBABILITIES, BOX} & set(output_shapes):
            raise ValueError(f"no output {PROBABILITIES} or {BOX}")
        self.input_shape = input_shape
        self.output_shapes = output_shapes
        self._infer = infer

    def __call__(self, images: npt.NDArray[np.float32]) -> dict[str, npt.NDArray[np.float32]]:
        """The network's outputs by name, (n, …) float32, of preprocessed images (n, h, w, 1) float32.

        One by one, so that a frame's result never depends on its neighbours.

        Raises:
            ValueError: images not of the network's grid.
        """
        if images.ndim != 4 or images.shape[1:] != (*self.input_shape, 1):
            raise ValueError(
                f"`images` must be (n, {self.input_shape[0]}, {self.input_shape[1]}, 1). Received: {images.shape}"
            )
        outputs = {name: np.empty((len(images), *shape), np.float32) for name, shape in self.output_shapes.items()}
        for index, image in enumerate(images.astype(np.float32, copy=False)):
            found = self._infer(image[np.newaxis])
            for name, output in outputs.items():
                output[index] = found[name][0]
        return outputs


@dataclass(frozen=True)
class Engine:
    """A program that runs networks.

    Attributes:
        package: what to install from the Python package index.
        module: what is imported.
        formats: of the bundles that it runs.
        open: (the artefact's path, CPU threads) → the network, loaded. Raises `UserError`: not an artefact of this
            project.
    """

    package: str
    module: str
    formats: frozenset[str]
    open: Callable[[Path, int], Runner]


def _open_litert(path: Path, threads: int) -> Runner:
    from cart.runtime import TFLiteRunner

    return TFLiteRunner(path, threads)


def _open_onnxruntime(path: Path, threads: int) -> Runner:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3  # errors; what it warns of is told by exceptions too
    try:
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        (image,) = session.get_inputs()
        shapes = {output.name: _static(output.shape) for output in session.get_outputs()}
        names = list(shapes)

        def infer(given: npt.NDArray[np.float32]) -> Mapping[str, npt.NDArray[np.float32]]:
            found: Any = session.run(names, {INPUT_NAME: given})
            return dict(zip(names, found, strict=True))

        if image.name != INPUT_NAME:
            raise ValueError(f"its input is {image.name}")
        return Runner(_grid(_static(image.shape)), {name: shape[1:] for name, shape in shapes.items()}, infer)
    except Exception as error:  # ONNX Runtime's own errors share no base class but this
        raise UserError(f"{path}: not an ONNX model of this project ({_first_line(error)}); export it again") from error


def _open_openvino(path: Path, threads: int) -> Runner:
    import openvino

    settings = {
        "PERFORMANCE_HINT": "LATENCY",
        "NUM_STREAMS": "1",
        "INFERENCE_NUM_THREADS": threads,
        "INFERENCE_PRECISION_HINT": "f32",  # else bfloat16 where the processor has it: other digits on other carts
    }
    try:
        core = openvino.Core()
        model = core.read_model(path)
        (image,), outputs = model.inputs, model.outputs
        if image.get_any_name() != INPUT_NAME:
            raise ValueError(f"its input is {image.get_any_name()}")
        shapes = {output.get_any_name(): tuple(int(side) for side in output.shape) for output in outputs}
        grid = _grid(tuple(int(side) for side in image.shape))
        request = core.compile_model(model, "CPU", settings).create_infer_request()

        def infer(given: npt.NDArray[np.float32]) -> Mapping[str, npt.NDArray[np.float32]]:
            request.infer([given], share_inputs=True)
            return {name: request.get_output_tensor(index).data for index, name in enumerate(shapes)}

        return Runner(grid, {name: shape[1:] for name, shape in shapes.items()}, infer)
    except (RuntimeError, ValueError, TypeError) as error:
        reason = " ".join(str(error).split())
        raise UserError(f"{path}: not an ONNX model of this project ({reason}); export it again") from error


TFLITE = ("tflite-float32", "tflite-float16", "tflite-dynamic", "tflite-int8", "tflite-int8-integer")

ENGINES: dict[str, Engine] = {
    "litert": Engine("ai-edge-litert", "ai_edge_litert", frozenset(TFLITE), _open_litert),
    "onnxruntime": Engine("onnxruntime", "onnxruntime", frozenset({"onnx"}), _open_onnxruntime),
    "openvino": Engine("openvino", "openvino", frozenset({"onnx"}), _open_openvino),
}
"""Name → engine. The first that runs a format is the format's default."""


def load_runner(spec: BundleSpec, threads: int | None = None, engine: str | None = None) -> Runner:
    """The network of a checked bundle, loaded by an engine.

    Args:
        spec: of the bundle (`cart.bundle.read_bundle`): engines trust what they are given.
        threads: CPU threads; all cores when None.
        engine: a key of `ENGINES`; the format's default when None.

    Raises:
        UsageError: no such engine.
        UserError: no engine runs this format, or not this one; it is not installed; the network does not fit the
            bundle's own description.
    """
    chosen = ENGINES[_engine_for(spec, engine)]
    if importlib.util.find_spec(chosen.module) is None:
        raise UserError(
            f"{spec.folder}: a {spec.format} bundle, which needs {chosen.package}, and that is not installed; "
            f"`python -m pip install {chosen.package}`, or take a bundle of another format"
        )
    return fitting(chosen.open(spec.artefact, threads or os.cpu_count() or 1), spec)


def fitting(runner: Runner, spec: BundleSpec) -> Runner:
    """A runner, checked against the description of its bundle.

    Raises:
        UserError: it has another grid, other outputs or another number of classes.
    """
    preprocessing, classes = spec.measurement.preprocessing, len(spec.measurement.structures)
    grid = (preprocessing.height, preprocessing.width)
    channels = runner.output_shapes.get(PROBABILITIES, (classes,))[-1]
    names = set(spec.measurement.outputs)
    if (runner.input_shape, channels, set(runner.output_shapes)) != (grid, classes, names):
        raise UserError(
            f"{spec.artefact}: takes {runner.input_shape} and gives {', '.join(sorted(runner.output_shapes))} with "
            f"{channels} classes, but its bundle says {grid}, {', '.join(sorted(names))} and {classes}; "
            "export the run again"
        )
    return runner


def _engine_for(spec: BundleSpec, engine: str | None) -> str:
    able = [name for name, candidate in ENGINES.items() if spec.format in candidate.formats]
    if engine is not None and engine not in ENGINES:
        near = difflib.get_close_matches(engine, ENGINES, n=1)
        hint = f" Did you mean {near[0]}?" if near else ""
        raise UsageError(f"`--engine` must be among {', '.join(ENGINES)}. Received: {engine}.{hint}")
    if not able:
        raise UserError(
            f"{spec.folder}: a {spec.format} bundle, which needs TensorFlow; "
            "export the run again with --format tflite-float32"
        )
    if engine is not None and engine not in able:
        raise UserError(
            f"{spec.folder}: a {spec.format} bundle, which {engine} does not run; take --engine {' or '.join(able)}"
        )
    return engine or able[0]


def _static(shape: list[int | str | None]) -> tuple[int, ...]:
    if not all(isinstance(side, int) for side in shape):
        raise ValueError(f"a shape is not fixed: {shape}")
    return tuple(int(side) for side in shape)  # type: ignore[arg-type]


def _grid(shape: tuple[int, ...]) -> tuple[int, int]:
    if len(shape) != 4 or (shape[0], shape[3]) != (1, 1):
        raise ValueError(f"its input is {shape}, not (1, h, w, 1)")
    return shape[1], shape[2]


def _first_line(error: BaseException) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__)
