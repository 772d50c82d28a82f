"""Keras model ↔ TensorFlow SavedModel, float32: one signature for preprocessed images, one for raw frames."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from cart.bundle import INPUT_NAME, SIGNATURE
from cart.measure import MeasurementSpec
from export.source import ExportSource
from shell.errors import UserError

ARTEFACT = "saved_model"
RAW = "raw"
"""The signature of raw frames: preprocessing and the way back to the frames' own grid are inside (`export.raw`)."""


def export_saved_model(source: ExportSource, folder: Path) -> str:
    """Writes `folder/saved_model`, for any batch size, and returns that name.

    Beside the signature that every format has it has `raw`, where `export.raw.why_not_raw` has nothing against it.

    Args:
        source: of the network.
        folder: exists.

    Raises:
        UserError: TensorFlow could not write it (full disk, no permission).
    """
    import tensorflow as tf

    from export.graph import NetworkGraph
    from export.raw import raw_function, why_not_raw

    graph = NetworkGraph(source.model, batch=None)
    signatures = {SIGNATURE: graph.function}
    if why_not_raw(source.spec) is None:
        signatures[RAW] = raw_function(graph.function, source.spec)
    try:
        tf.saved_model.save(graph, str(folder / ARTEFACT), signatures=signatures)
    except tf.errors.OpError as error:
        raise UserError(f"{folder / ARTEFACT}: could not be written ({error.message}); is the disk full?") from error
    return ARTEFACT


def describe_signatures(spec: MeasurementSpec) -> dict[str, Any]:
    """The signatures of a network's SavedModel in plain JSON values, as `bundle.json` has them.

    `raw` has the key `missing`, which says why, where there is none.
    """
    from export.raw import FRAMES, OUTPUTS, SPACING, why_not_raw

    grid, outputs = spec.preprocessing, list(spec.outputs)
    image = {"dtype": "float32", "shape": [None, grid.height, grid.width, 1], "is": "preprocessed"}
    described: dict[str, Any] = {
        SIGNATURE: {"inputs": {INPUT_NAME: image}, "outputs": outputs, "grid": "network"},
    }
    if (reason := why_not_raw(spec)) is not None:
        return {**described, RAW: {"missing": reason}}
    inputs: dict[str, Any] = {FRAMES: {"dtype": "uint8", "shape": [None, None, None, 1], "is": "as read"}}
    if spec.crop_mm is not None:
        inputs[SPACING] = {"dtype": "float64", "shape": [2], "is": "pixel pitch (row, column) in mm"}
    native = [name for name in outputs if name in OUTPUTS]
    return {**described, RAW: {"inputs": inputs, "outputs": native, "grid": "native"}}


class SavedModelRunner:
    """A loaded SavedModel, called like a network: `runner(images)`.

    Args:
        path: of the SavedModel folder. Check its digests first (`cart.bundle.read_bundle`): TensorFlow runs whatever
            graph it is given.

    Raises:
        UserError: not a SavedModel, or not one with this project's signature.
    """

    def __init__(self, path: Path) -> None:
        from training.backend import start_backend

        start_backend()
        import tensorflow as tf

        try:
            self._module = tf.saved_model.load(str(path))  # kept: the signature alone does not hold the weights
            self._signature = self._module.signatures[SIGNATURE]
        except (OSError, KeyError, ValueError, tf.errors.OpError) as error:
            raise UserError(f"{path}: not a SavedModel of this project ({error}); export the run again") from error

    def __call__(self, images: npt.NDArray[np.float32]) -> dict[str, npt.NDArray[np.float32]]:
        """The network's outputs by name, (n, …) float32, of preprocessed images (n, h, w, 1) float32.

        One by one, so that a frame's result never depends on its neighbours.
        """
        import tensorflow as tf

        found = [self._signature(**{INPUT_NAME: tf.constant(image[np.newaxis])}) for image in images]
        return {name: np.concatenate([outputs[name].numpy() for outputs in found]) for name in found[0]}
