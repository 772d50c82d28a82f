"""Keras model → ONNX, float32, batch 1."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from export.source import ExportSource
from shell.errors import UserError

if TYPE_CHECKING:
    import onnx

ARTEFACT = "model.onnx"
OPSET = 18
"""Of ONNX' default operators: the newest that tf2onnx writes. ONNX Runtime reads it from 1.14, OpenVINO from 2023.0."""


def export_onnx(source: ExportSource, folder: Path) -> str:
    """Writes `folder/model.onnx`: batch 1, static shapes, float32, names as in every other format. Returns that name.

    The batch is one, as in TFLite: engines plan memory and choose kernels once, and a frame's result cannot depend on
    its neighbours. A server that wants batches takes the SavedModel.

    Args:
        source: of the network.
        folder: exists.

    Raises:
        UserError: the network needs operations that ONNX does not have.
    """
    import onnx
    import tf2onnx

    from export.graph import NetworkGraph

    function = NetworkGraph(source.model, batch=1).function
    refused = (onnx.checker.ValidationError, onnx.shape_inference.InferenceError)
    try:
        found, _ = tf2onnx.convert.from_function(function, input_signature=function.input_signature, opset=OPSET)
        _bind_captured(found, function.get_concrete_function())
        onnx.checker.check_model(found, full_check=True)
    except (ValueError, NotImplementedError, *refused) as error:
        reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise UserError(
            f"{source.model.name} cannot become an ONNX model ({reason}); export --format saved_model, "
            "or build the network of other layers"
        ) from error
    (folder / ARTEFACT).write_bytes(found.SerializeToString(deterministic=True))
    return ARTEFACT


def _bind_captured(model: "onnx.ModelProto", function: Any) -> None:
    """Makes constants of what a TensorFlow function captured, which tf2onnx leaves as further inputs.

    Such are the numbers that Keras computed when the network was built, e.g. the pixel centres of LU-Net's crop.
    """
    from onnx import numpy_helper

    values = function.captured_inputs
    names = [tensor.name for tensor in function.inputs[len(function.inputs) - len(values) :]]
    captured = dict(zip(names, values, strict=True))
    for entry in [entry for entry in model.graph.input if entry.name in captured]:
        model.graph.initializer.append(numpy_helper.from_array(captured[entry.name].numpy(), entry.name))
        model.graph.input.remove(entry)
