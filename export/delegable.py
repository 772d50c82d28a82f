"""A TFLite model rewritten so that XNNPACK computes all of it: the same values, by operations that it has.

LiteRT hands to XNNPACK what that can compute, and each operation between that it cannot is one thread's work outside,
with the network cut in two. XNNPACK has no RESIZE_NEAREST_NEIGHBOR, but it has CONCATENATION and DEPTH_TO_SPACE: the
maps four times over, dealt to the four pixels that each covers, are the maps at twice the size. And the quantizer knows
no DEPTH_TO_SPACE, which it leaves in float32 between two conversions; what only moves values can as well move integers.
"""

from typing import Any

import numpy as np

BLOCK = 2
MAPS = 3
"""The axis of the maps, of (n, row, column, map)."""


def delegable(model: bytes) -> bytes:
    """The same model, in CONCATENATION and DEPTH_TO_SPACE of whatever type its tensors have.

    Args:
        model: a TFLite file, float32 or quantised.

    Returns:
        It, with every nearest resize to twice the size replaced, and no conversions around a DEPTH_TO_SPACE whose
        integers mean the same before and after. The outputs are the same to the bit.
    """
    from ai_edge_litert.tools import flatbuffer_utils

    parsed: Any = flatbuffer_utils.read_model_from_bytearray(bytearray(model))
    changed = [_without_nearest(parsed), _moving_integers(parsed)]
    return bytes(flatbuffer_utils.convert_object_to_bytearray(parsed)) if any(changed) else model


def _without_nearest(parsed: Any) -> bool:
    from ai_edge_litert import schema_py_generated as schema

    graph = parsed.subgraphs[0]
    operators: list[Any] = []
    for operator in graph.operators:
        if _kind(parsed, operator) != schema.BuiltinOperator.RESIZE_NEAREST_NEIGHBOR or not _doubles(graph, operator):
            operators.append(operator)
            continue
        before, after = int(operator.inputs[0]), int(operator.outputs[0])
        small, large = graph.tensors[before], graph.tensors[after]
        repeated: Any = schema.TensorT()
        repeated.name = b"four_of;" + bytes(large.name)
        repeated.shape = [*(int(side) for side in small.shape[:MAPS]), int(small.shape[MAPS]) * BLOCK**2]
        repeated.type, repeated.quantization, repeated.buffer = large.type, large.quantization, _no_buffer(parsed)
        graph.tensors.append(repeated)
        index = len(graph.tensors) - 1
        joined: Any = schema.OperatorT()
        joined.opcodeIndex = _code(parsed, schema.BuiltinOperator.CONCATENATION, 2)
        joined.inputs, joined.outputs = [before] * BLOCK**2, [index]
        joined.builtinOptionsType = schema.BuiltinOptions.ConcatenationOptions
        joined.builtinOptions = schema.ConcatenationOptionsT()
        joined.builtinOptions.axis = MAPS
        operator.opcodeIndex = _code(parsed, schema.BuiltinOperator.DEPTH_TO_SPACE, 2)
        operator.inputs = [index]
        operator.builtinOptionsType = schema.BuiltinOptions.DepthToSpaceOptions
        operator.builtinOptions = schema.DepthToSpaceOptionsT()
        operator.builtinOptions.blockSize = BLOCK
        operators += [joined, operator]
    changed = len(operators) != len(graph.operators)
    graph.operators = operators
    return changed


def _doubles(graph: Any, operator: Any) -> bool:
    """Whether a nearest resize repeats each row and column, and its values mean the same before and after."""
    before, after = graph.tensors[int(operator.inputs[0])], graph.tensors[int(operator.outputs[0])]
    small, large = (np.array(tensor.shape) for tensor in (before, after))
    aligned = operator.builtinOptions.halfPixelCenters or not operator.builtinOptions.alignCorners
    return bool(aligned and (large == small * (1, BLOCK, BLOCK, 1)).all() and _same_meaning(before, after))


def _moving_integers(parsed: Any) -> bool:
    """Takes away DEQUANTIZE and QUANTIZE around each DEPTH_TO_SPACE, where both have the same scale and zero point."""
    from ai_edge_litert import schema_py_generated as schema

    graph = parsed.subgraphs[0]
    kinds = schema.BuiltinOperator
    made_by = {int(tensor): operator for operator in graph.operators for tensor in operator.outputs}
    readers: dict[int, list[Any]] = {}
    for operator in graph.operators:
        for tensor in operator.inputs:
            readers.setdefault(int(tensor), []).append(operator)
    given = {int(tensor) for tensor in graph.outputs}
    gone: list[Any] = []
    for operator in graph.operators:
        if _kind(parsed, operator) != kinds.DEPTH_TO_SPACE:
            continue
        floats, moved = int(operator.inputs[0]), int(operator.outputs[0])
        first, following = made_by.get(floats), readers.get(moved, [])
        if first is None or _kind(parsed, first) != kinds.DEQUANTIZE or len(readers[floats]) != 1:
            continue
        if len(following) != 1 or _kind(parsed, following[0]) != kinds.QUANTIZE or moved in given:
            continue
        before, after = int(first.inputs[0]), int(following[0].outputs[0])
        if _same_meaning(graph.tensors[before], graph.tensors[after]):
            operator.inputs, operator.outputs = [before], [after]
            gone += [first, following[0]]
    graph.operators = [operator for operator in graph.operators if not any(operator is one for one in gone)]
    return bool(gone)


def _same_meaning(one: Any, other: Any) -> bool:
    """Whether two tensors are of one type and the same integers in them stand for the same numbers."""
    if one.type != other.type:
        return False
    return all(
        np.array_equal(_values(one.quantization, name), _values(other.quantization, name))
        for name in ("scale", "zeroPoint")
    )


def _values(quantization: Any, name: str) -> np.ndarray:
    found = None if quantization is None else getattr(quantization, name)
    return np.array([] if found is None else found)


def _kind(parsed: Any, operator: Any) -> int:
    return parsed.operatorCodes[operator.opcodeIndex].builtinCode


def _code(parsed: Any, kind: int, version: int) -> int:
    """The place of an operation in the model's list of those that it has; put there where it is not."""
    from ai_edge_litert import schema_py_generated as schema

    for index, code in enumerate(parsed.operatorCodes):
        if code.builtinCode == kind and code.version >= version:
            return index
    code: Any = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = kind
    code.version = version
    parsed.operatorCodes.append(code)
    return len(parsed.operatorCodes) - 1


def _no_buffer(parsed: Any) -> int:
    """A buffer of no content, as tensors that are computed have."""
    from ai_edge_litert import schema_py_generated as schema

    parsed.buffers.append(schema.BufferT())
    return len(parsed.buffers) - 1
