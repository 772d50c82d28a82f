"""Float32 TFLite → int8, calibrated on frames; layers that int8 harms stay float, found by measurement.

Weights are int8 with one scale per output channel, activations int8 with one scale and zero point per tensor from the
smallest and largest value that any calibration frame gave. The softmax stays in float32: XNNPACK has none of integers,
and one thread of LiteRT's own would have to compute it. Where a trial on training frames says that this costs more
than a format may, the layers that add most to the error go back to float32, as few of them as will do.
"""

import math
import re
import tempfile
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from cart.bundle import INPUT_NAME, SIGNATURE
from cart.runtime import TFLiteRunner
from export.delegable import delegable
from export.source import QUANTISATION_FILE, ExportSource
from export.tflite import ARTEFACT, float32_model, narrowed, quietly
from shell.errors import UserError
from shell.files import write_json
from shell.progress import progress

if TYPE_CHECKING:
    from ai_edge_quantizer.recipe_manager import RecipeManager

TRIAL_SHARE = 0.6
"""A trial passes with so much of its limits: other frames than those of the trial may cost more. ASSUMED."""
SENSITIVITY_FRAMES = 6
"""Calibration frames on which layers are ranked. Every value of every layer counts, so few will do. ASSUMED."""
BITS = 8
RANGES, CHOICE = "ranges", "float layers"


@dataclass(frozen=True)
class Layer:
    """A layer of the float32 model.

    Attributes:
        name: as in the Keras model where it tells, e.g. `decoder_5_conv1`.
        scopes: of its operations, by which the quantizer knows them.
    """

    name: str
    scopes: tuple[str, ...]


@dataclass(frozen=True)
class Choice:
    """Which layers stay float.

    Attributes:
        layers: they; empty where all are integers.
        share: of the limits that the trial measured, None without a trial.
        tried: number of layers left float → that share, in the order in which they were tried; infinite where LiteRT
            cannot run the mixture.
    """

    layers: tuple[Layer, ...]
    share: float | None
    tried: tuple[tuple[int, float], ...]


def export_tflite_int8(source: ExportSource, folder: Path) -> str:
    """Writes `folder/model.tflite`: int8 weights (per channel) and activations, float32 in and out; returns that name.

    Args:
        source: of the network.
        folder: exists.

    Raises:
        UserError: as `export_tflite_float32`; no calibration frame.
    """
    return _export(source, folder, integer_io=False)


def export_tflite_int8_integer(source: ExportSource, folder: Path) -> str:
    """As `export_tflite_int8`, with integers in and out too: for what takes no other. Their tensors say by which scale
    and zero point they stand for real numbers. Probabilities come in steps of 1/256.
    """
    return _export(source, folder, integer_io=True)


def _export(source: ExportSource, folder: Path, *, integer_io: bool) -> str:
    model = float32_model(source)
    if RANGES not in source.shared:
        source.shared[RANGES] = calibrated(model, source.calibration_images)
    ranges, frames = source.shared[RANGES]
    if CHOICE not in source.shared:
        source.shared[CHOICE] = choose_float_layers(source, model, ranges)
    choice: Choice = source.shared[CHOICE]
    content = quantised(model, ranges, choice.layers, integer_io=integer_io)
    (folder / ARTEFACT).write_bytes(delegable(content))
    try:
        TFLiteRunner(folder / ARTEFACT)(next(source.calibration_images()))
    except ValueError as error:
        raise UserError(
            f"{source.model.name}: LiteRT does not run it so (its outputs in the midst, which are read on, stay empty)"
            f"; take {'tflite-int8, or ' if integer_io else ''}tflite-float16"
        ) from error
    write_json(
        folder / QUANTISATION_FILE,
        {
            "scheme": "int8 weights per channel, int8 activations per tensor by their least and largest value; "
            + ("int8 in and out" if integer_io else "float32 in and out"),
            "frames": frames,
            "source": source.calibration_from(),
            "float_layers": [layer.name for layer in choice.layers],
            "float_operations": float_operations(content),
            "trial": None
            if choice.share is None
            else {
                "share_of_limits": choice.share,
                "tried": [[n, s if math.isfinite(s) else None] for n, s in choice.tried],
            },
        },
    )
    return ARTEFACT


def calibrated(
    model: bytes, images: Callable[[], Any], *, update: Callable[[Any, Any], Any] | None = None
) -> tuple[dict[str, Any], int]:
    """The smallest and largest value of every tensor over all calibration frames, and how many frames there were.

    Args:
        model: float32 TFLite.
        images: gives the frames, each (1, h, w, 1) float32.
        update: how the ranges of one more frame are taken in; default: the wider of both.

    Raises:
        UserError: no frame, or one whose values are not finite somewhere in the network.
    """
    from ai_edge_quantizer.calibrator import CalibrationMode, Calibrator
    from ai_edge_quantizer.recipe_manager import RecipeManager
    from ai_edge_quantizer.utils.qsv_utils import min_max_update

    recipe = RecipeManager()
    _all_integers(recipe)
    with quietly():
        calibrator = Calibrator(
            model,
            num_threads=2,
            mode=CalibrationMode.CALIBRATION_PROFILER_BASED,
            qsv_update_func=update or min_max_update,
        )
    frames = 0
    for image in progress(images(), label="calibrate int8", unit="frames"):
        with quietly():
            calibrator.calibrate({SIGNATURE: [{INPUT_NAME: image}]}, recipe)
        frames += 1
    ranges = dict(calibrator.get_model_qsvs())
    if not frames:
        raise UserError("int8 needs frames to calibrate on, and there is none; give --calibration-frames 1 or more")
    for name, found in ranges.items():
        if not all(np.isfinite(found[end]).all() for end in ("min", "max") if end in found):
            raise UserError(f"{name}: its values are not finite, so they have no range; check the run's weights")
    return ranges, frames


def quantised(model: bytes, ranges: dict[str, Any], float_layers: Collection[Layer], *, integer_io: bool) -> bytes:
    """An int8 model.

    Args:
        model: float32 TFLite.
        ranges: of `calibrated`.
        float_layers: these stay float32.
        integer_io: whether the model's own inputs and outputs are int8.
    """
    from ai_edge_quantizer import algorithm_manager, qtyping

    names, keep = qtyping.TFLOperationName, algorithm_manager.AlgorithmName.NO_QUANTIZE
    operations = operations_of(model)
    read = {name for operation in operations for name in operation.inputs}
    # LiteRT 2.3 does not write a float tensor that XNNPACK computes, reads on and gives out as well, as those in the
    # midst of LU-Net are: what makes one stays integer.
    given_and_read = {one.scope for one in operations if one.is_given_out and read & set(one.outputs)}
    # XNNPACK has the softmax in float32 alone.
    softmaxes = {one.scope for one in operations if one.kind == "SOFTMAX"}
    shares = {name for one in operations if one.kind == "SOFTMAX" for name in one.outputs}
    ranges = {**ranges, **{name: _in_steps_of_1_in_256(ranges[name]) for name in shares & set(ranges)}}

    def configure(recipe: "RecipeManager") -> None:
        _all_integers(recipe)
        if not integer_io:
            for end in (names.INPUT, names.OUTPUT):
                recipe.add_quantization_config(".*", end, algorithm_key=keep)
        for scope in sorted(softmaxes - given_and_read):
            recipe.add_quantization_config(f"^{re.escape(scope)}$", names.SOFTMAX, algorithm_key=keep)
        for layer in float_layers:
            for scope in sorted(set(layer.scopes) - given_and_read):
                recipe.add_quantization_config(f"^{re.escape(scope)}$", names.ALL_SUPPORTED, algorithm_key=keep)
                if integer_io:  # the ends go by the same names as the operations beside them
                    for end in (names.INPUT, names.OUTPUT):
                        recipe.add_static_config(f"^{re.escape(scope)}$", end, BITS, BITS)

    return narrowed(model, configure, ranges)


def _in_steps_of_1_in_256(found: Mapping[str, Any]) -> dict[str, Any]:
    """The range of probabilities, whatever calibration frames had of it: 0 to 255/256."""
    return {**found, "min": np.zeros_like(found["min"]), "max": np.full_like(found["max"], 255 / 256)}


def _all_integers(recipe: "RecipeManager") -> None:
    from ai_edge_quantizer.qtyping import TFLOperationName

    recipe.add_static_config(".*", TFLOperationName.ALL_SUPPORTED, BITS, BITS)


def choose_float_layers(source: ExportSource, model: bytes, ranges: dict[str, Any]) -> Choice:
    """The fewest layers, of those that add most to the error, which must stay float for the trial to pass.

    None, one, two, four … layers are tried until the trial passes, then the numbers in between. Where it never passes,
    the best of those tried is taken, and the parity report will say that the limits are missed.
    """
    trial = source.trial
    if trial is None:
        return Choice((), None, ())
    tried: dict[int, float] = {}
    ranked: list[Layer] = []

    def passes(count: int) -> bool:
        if count not in tried:
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder) / ARTEFACT
                path.write_bytes(quantised(model, ranges, ranked[:count], integer_io=False))
                try:
                    tried[count] = trial(TFLiteRunner(path))
                except ValueError:  # LiteRT cannot run this mixture
                    tried[count] = math.inf
        return tried[count] <= TRIAL_SHARE

    if not passes(0):
        images = [image for _, image in zip(range(SENSITIVITY_FRAMES), source.calibration_images(), strict=False)]
        names = [source.model.name, *(layer.name for layer in source.model.layers)]
        ranked = ranked_layers(model, quantised(model, ranges, (), integer_io=False), images, names)
        fewest_failed, count = 0, 1
        while not passes(count) and count < len(ranked):
            fewest_failed, count = count, min(2 * count, len(ranked))
        while tried[count] <= TRIAL_SHARE and count - fewest_failed > 1:
            middle = (count + fewest_failed) // 2
            fewest_failed, count = (fewest_failed, middle) if passes(middle) else (middle, count)
    passed = [count for count, share in tried.items() if share <= TRIAL_SHARE]
    best = min(passed) if passed else min(tried, key=lambda count: tried[count])
    return Choice(tuple(ranked[:best]), tried[best], tuple(tried.items()))


def ranked_layers(
    model: bytes, integer_model: bytes, images: Sequence[npt.NDArray[np.float32]], names: Sequence[str] = ()
) -> list[Layer]:
    """The layers of a float32 model, those first that add most to the error of the integer model.

    Both are run on the same frames. The error of a tensor is the root mean square of what the two differ by, over the
    standard deviation of what it should be; what a layer adds is that of its output less the largest of its inputs.

    Args:
        model: float32 TFLite.
        integer_model: the same with integers, all tensors by the same names.
        images: each (1, h, w, 1) float32.
        names: of the Keras model's layers, and of the model itself.
    """
    operations = operations_of(model)
    made = {name for operation in operations for name in operation.outputs}
    exact, rounded = _AllTensors(model, made), _AllTensors(integer_model, made)
    squares: dict[str, float] = {}
    for image in images:
        exact.run(image)
        rounded.run(image)
        for name in made:
            wanted, found = exact.values(name), rounded.values(name)
            if wanted is not None and found is not None and wanted.shape == found.shape:
                spread = max(float(wanted.std()), float(np.finfo(np.float32).tiny))
                squares[name] = squares.get(name, 0.0) + float(np.mean((found - wanted) ** 2)) / spread**2
    errors = {name: float(np.sqrt(square / len(images))) for name, square in squares.items()}
    added: dict[str, float] = {}
    scopes: dict[str, list[str]] = {}
    for operation in operations:
        known = [errors[name] for name in operation.inputs if name in errors]
        here = max((errors.get(name, 0.0) for name in operation.outputs), default=0.0) - max(known, default=0.0)
        name = layer_name(operation.scope, names)
        scopes.setdefault(name, []).append(operation.scope)
        added[name] = max(added.get(name, 0.0), here)
    return [Layer(name, tuple(scopes[name])) for name in sorted(scopes, key=lambda name: -added[name])]


class _AllTensors:
    """A TFLite model whose tensors can all be looked at after it ran.

    Args:
        model: a TFLite file.
        names: of the tensors to look at.
    """

    def __init__(self, model: bytes, names: Collection[str]) -> None:
        from ai_edge_litert.interpreter import Interpreter

        with quietly():
            self._interpreter = Interpreter(model_content=model, num_threads=2, experimental_preserve_all_tensors=True)
            self._run = self._interpreter.get_signature_runner(SIGNATURE)
        self._details: Mapping[str, Any] = {
            details["name"]: details for details in self._interpreter.get_tensor_details() if details["name"] in names
        }

    def run(self, image: npt.NDArray[np.float32]) -> None:
        self._run(**{INPUT_NAME: image})

    def values(self, name: str) -> npt.NDArray[np.float64] | None:
        """What a tensor holds, as real numbers; None of one that this model has not, or keeps no memory for."""
        details = self._details.get(name)
        if details is None:
            return None
        try:
            values = self._interpreter.get_tensor(details["index"]).astype(np.float64)
        except ValueError:  # the runtime computes some from constants beforehand, or in place
            return None
        scales = details["quantization_parameters"]["scales"]
        if len(scales) == 1:
            return (values - details["quantization_parameters"]["zero_points"][0]) * scales[0]
        return values


@dataclass(frozen=True)
class Operation:
    """An operation of a TFLite model: its kind, its scope in the quantizer's words, its tensors' names.

    Attributes:
        kind: e.g. `CONV_2D`.
        scope: by which the quantizer knows it.
        inputs, outputs: names of tensors, constants among the inputs left out.
        is_float: whether all it gives is float32.
        is_given_out: whether something of it is an output of the model.
    """

    kind: str
    scope: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    is_float: bool
    is_given_out: bool


def operations_of(model: bytes) -> list[Operation]:
    """The operations of a TFLite model, in the order in which they run."""
    from ai_edge_litert import schema_py_generated as schema
    from ai_edge_litert.tools import flatbuffer_utils
    from ai_edge_quantizer.utils.tfl_flatbuffer_utils import get_op_scope

    kinds = {code: name for name, code in vars(schema.BuiltinOperator).items() if isinstance(code, int)}
    parsed: Any = flatbuffer_utils.read_model_from_bytearray(bytearray(model))
    graph = parsed.subgraphs[0]
    tensors = graph.tensors
    constant = {index for index, tensor in enumerate(tensors) if parsed.buffers[tensor.buffer].data is not None}
    return [
        Operation(
            kind=kinds[parsed.operatorCodes[operator.opcodeIndex].builtinCode],
            scope=get_op_scope(operator, tensors),
            inputs=tuple(tensors[i].name.decode() for i in operator.inputs if i >= 0 and i not in constant),
            outputs=tuple(tensors[i].name.decode() for i in operator.outputs),
            is_float=all(tensors[i].type == schema.TensorType.FLOAT32 for i in operator.outputs),
            is_given_out=bool({int(i) for i in operator.outputs} & {int(i) for i in graph.outputs}),
        )
        for operator in graph.operators
    ]


def float_operations(model: bytes) -> list[str]:
    """What an integer model computes in float32: kinds of operations and how many, `SOFTMAX × 1`, in the order of their
    names; those that only translate between integers and float32 left out.
    """
    kinds = [one.kind for one in operations_of(model) if one.is_float and one.kind not in ("QUANTIZE", "DEQUANTIZE")]
    return [f"{kind} × {kinds.count(kind)}" for kind in sorted(set(kinds))]


def layer_name(scope: str, names: Collection[str]) -> str:
    """The Keras layer that an operation of a converted model comes from, by its scope; else the scope itself.

    `m/add_1;unet1_1/encoder_1_conv2_1/convolution;…` is `encoder_1_conv2`: the converter joins the names of what it
    fused, and Keras appends `_1` to those that it met before.

    Args:
        scope: of the operation.
        names: of the layers there are, and of the model itself.
    """
    parts = [part for joined in scope.split(";") for part in joined.split("/")[1:]]
    known = [name for part in parts for name in (part, re.sub(r"_\d+$", "", part)) if name in names]
    return known[0] if known else scope.strip(";")
