"""Keras model → TFLite, built-in operations only: float32, and the two formats that narrow its weights alone."""

import contextlib
import io
import re
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from export.delegable import delegable
from export.source import QUANTISATION_FILE, ExportSource
from shell.errors import UserError
from shell.files import write_json

if TYPE_CHECKING:
    from ai_edge_quantizer.recipe_manager import RecipeManager

ARTEFACT = "model.tflite"
FLOAT32 = "float32 TFLite model"


def export_tflite_float32(source: ExportSource, folder: Path) -> str:
    """Writes `folder/model.tflite`: batch 1, static shapes, float32 weights and arithmetic. Returns that name.

    Args:
        source: of the network.
        folder: exists.

    Raises:
        UserError: the network needs operations that TFLite does not have built in. The cart has no others (Flex would
            bring TensorFlow along).
    """
    (folder / ARTEFACT).write_bytes(delegable(float32_model(source)))
    return ARTEFACT


def export_tflite_float16(source: ExportSource, folder: Path) -> str:
    """As `export_tflite_float32`, weights of convolutions and dense layers kept in float16: half the size, float32
    arithmetic.
    """
    from ai_edge_quantizer import algorithm_manager

    def halved(recipe: "RecipeManager") -> None:
        recipe.add_weight_only_config(
            ".*", _all_operations(), 16, algorithm_key=algorithm_manager.AlgorithmName.FLOAT_CASTING
        )

    (folder / ARTEFACT).write_bytes(delegable(narrowed(float32_model(source), halved)))
    _write_scheme(folder, "weights in float16, arithmetic in float32")
    return ARTEFACT


def export_tflite_dynamic(source: ExportSource, folder: Path) -> str:
    """As `export_tflite_float32`, weights of convolutions and dense layers in int8, one scale per output channel; what
    flows between layers is float32, and made int8 for each of them by its own range in this very frame.
    """
    model = narrowed(float32_model(source), lambda recipe: recipe.add_dynamic_config(".*", _all_operations(), 8))
    (folder / ARTEFACT).write_bytes(delegable(model))
    _write_scheme(folder, "weights in int8 per channel, activations in int8 by the range of each frame, float between")
    return ARTEFACT


def _write_scheme(folder: Path, scheme: str) -> None:
    write_json(folder / QUANTISATION_FILE, {"scheme": scheme, "frames": 0, "source": None, "float_layers": None})


def _all_operations() -> Any:
    from ai_edge_quantizer import qtyping

    return qtyping.TFLOperationName.ALL_SUPPORTED


def float32_model(source: ExportSource) -> bytes:
    """The network as a TFLite file, converted once for all formats that start from it.

    Raises:
        UserError: as `export_tflite_float32`.
    """
    if FLOAT32 not in source.shared:
        source.shared[FLOAT32] = with_nearest_resize(_converted(source))
    return source.shared[FLOAT32]


def _converted(source: ExportSource) -> bytes:
    import tensorflow as tf
    from tensorflow.lite.python.convert_phase import ConverterError

    from export.graph import NetworkGraph

    graph = NetworkGraph(source.model, batch=1)
    converter = tf.lite.TFLiteConverter.from_concrete_functions([graph.function.get_concrete_function()], graph)
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
    try:
        return converter.convert()
    except ConverterError as error:
        missing = sorted(set(re.findall(r"^(?:Custom|Flex|TF Select) ops: (.+?)\s*$", str(error), re.MULTILINE)))
        reason = f"not built into TFLite: {', '.join(missing)}" if missing else str(error).strip().splitlines()[0]
        raise UserError(
            f"{source.model.name} cannot become a TFLite model ({reason}); export --format saved_model, "
            "or build the network of other layers"
        ) from error


def narrowed(model: bytes, configure: Any, ranges: dict[str, Any] | None = None) -> bytes:
    """A float32 TFLite model with narrower numbers.

    Args:
        model: a TFLite file.
        configure: told an empty `RecipeManager` of ai-edge-quantizer, says there what becomes how narrow.
        ranges: of all tensors by name, where activations are narrowed too.
    """
    from ai_edge_quantizer.quantizer import Quantizer
    from ai_edge_quantizer.recipe_manager import RecipeManager

    recipe = RecipeManager()
    configure(recipe)
    with quietly():
        quantizer = Quantizer(model, recipe.get_quantization_recipe())
        result = quantizer.quantize(ranges, enable_progress_bar=False, enable_progress_report=False)
    assert result.quantized_model is not None
    return bytes(result.quantized_model)


@contextlib.contextmanager
def quietly() -> Iterator[None]:
    """Without the quantizer's own progress bars, and its warning of the memory that debugging takes."""
    with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()):
        warnings.simplefilter("ignore")
        yield


def with_nearest_resize(model: bytes) -> bytes:
    """A TFLite model with each repetition of rows and columns as one RESIZE_NEAREST_NEIGHBOR.

    Keras' `UpSampling2D` is converted to RESHAPE, TILE, RESHAPE, TILE, RESHAPE: five passes over the memory, of which
    the quantizer does not know TILE, so that an integer network would go through float32 at each of them. The result is
    the same to the bit.
    """
    from ai_edge_litert import schema_py_generated as schema
    from ai_edge_litert.tools import flatbuffer_utils

    parsed: Any = flatbuffer_utils.read_model_from_bytearray(bytearray(model))
    graph = parsed.subgraphs[0]
    codes = [parsed.operatorCodes[operator.opcodeIndex].builtinCode for operator in graph.operators]
    reshape, tile = schema.BuiltinOperator.RESHAPE, schema.BuiltinOperator.TILE
    shape = lambda tensor: tuple(int(side) for side in graph.tensors[tensor].shape)  # noqa: E731
    consumers: dict[int, list[int]] = {}
    for index, operator in enumerate(graph.operators):
        for tensor in operator.inputs:
            consumers.setdefault(int(tensor), []).append(index)
    outputs = {int(tensor) for tensor in graph.outputs}

    def chain_from(first: int) -> list[int] | None:
        chain = [first]
        for wanted in (tile, reshape, tile, reshape):
            made = int(graph.operators[chain[-1]].outputs[0])
            following = consumers.get(made, [])
            if len(following) != 1 or made in outputs or codes[following[0]] != wanted:
                return None
            chain.append(following[0])
        return chain

    replaced: set[int] = set()
    resize_code: int | None = None
    for index, code in enumerate(codes):
        chain = chain_from(index) if code == reshape else None
        if chain is None:
            continue
        before, after = int(graph.operators[index].inputs[0]), int(graph.operators[chain[-1]].outputs[0])
        small, large = shape(before), shape(after)
        between = [shape(int(graph.operators[one].outputs[0])) for one in chain[:-1]]
        if not _repeats(small, between, large):
            continue
        if resize_code is None:
            resize_code = len(parsed.operatorCodes)
            operator_code = schema.OperatorCodeT()
            operator_code.builtinCode = schema.BuiltinOperator.RESIZE_NEAREST_NEIGHBOR
            operator_code.deprecatedBuiltinCode = schema.BuiltinOperator.RESIZE_NEAREST_NEIGHBOR
            operator_code.version = 3  # the first with half_pixel_centers
            parsed.operatorCodes.append(operator_code)
        buffer: Any = schema.BufferT()
        buffer.data = np.frombuffer(np.array(large[1:3], np.int32).tobytes(), np.uint8)
        parsed.buffers.append(buffer)
        size: Any = schema.TensorT()
        size.name = b"size_of;" + bytes(graph.tensors[after].name)
        size.shape, size.type, size.buffer = [2], schema.TensorType.INT32, len(parsed.buffers) - 1
        graph.tensors.append(size)
        options = schema.ResizeNearestNeighborOptionsT()
        options.alignCorners, options.halfPixelCenters = False, True
        last = graph.operators[chain[-1]]
        last.opcodeIndex = resize_code
        last.inputs, last.outputs = [before, len(graph.tensors) - 1], [after]
        last.builtinOptionsType, last.builtinOptions = schema.BuiltinOptions.ResizeNearestNeighborOptions, options
        replaced.update(chain[:-1])
    if not replaced:
        return model
    graph.operators = [operator for index, operator in enumerate(graph.operators) if index not in replaced]
    return bytes(flatbuffer_utils.convert_object_to_bytearray(parsed))


def _repeats(small: tuple[int, ...], between: list[tuple[int, ...]], large: tuple[int, ...]) -> bool:
    """Whether RESHAPE, TILE, RESHAPE, TILE, RESHAPE through these shapes repeat each row, then each column."""
    if len(small) != 4 or len(large) != 4:
        return False
    (n, h, w, c), (_, tall, wide, _) = small, large
    if tall % h or wide % w or (n, c) != (large[0], large[3]):
        return False
    rows, cols = tall // h, wide // w
    return between == [(n, h, 1, w, c), (n, h, rows, w, c), (n, tall, w, 1, c), (n, tall, w, cols, c)]
