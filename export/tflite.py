"""Keras model → TFLite, float32, built-in operations only."""

import re
from pathlib import Path

from export.source import ExportSource
from shell.errors import UserError

ARTEFACT = "model.tflite"


def export_tflite_float32(source: ExportSource, folder: Path) -> str:
    """Writes `folder/model.tflite`: batch 1, static shapes, float32 weights and arithmetic. Returns that name.

    Args:
        source: of the network.
        folder: exists.

    Raises:
        UserError: the network needs operations that TFLite does not have built in. The cart has no others (Flex would
            bring TensorFlow along).
    """
    import tensorflow as tf
    from tensorflow.lite.python.convert_phase import ConverterError

    from export.graph import NetworkGraph

    graph = NetworkGraph(source.model, batch=1)
    converter = tf.lite.TFLiteConverter.from_concrete_functions([graph.function.get_concrete_function()], graph)
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
    try:
        content = converter.convert()
    except ConverterError as error:
        missing = sorted(set(re.findall(r"^(?:Custom|Flex|TF Select) ops: (.+?)\s*$", str(error), re.MULTILINE)))
        reason = f"not built into TFLite: {', '.join(missing)}" if missing else str(error).strip().splitlines()[0]
        raise UserError(
            f"{source.model.name} cannot become a TFLite model ({reason}); export --format saved_model, "
            "or build the network of other layers"
        ) from error
    (folder / ARTEFACT).write_bytes(content)
    return ARTEFACT
