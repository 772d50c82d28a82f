"""Keras model ↔ TensorFlow SavedModel, float32, one fixed signature."""

from pathlib import Path

import numpy as np
import numpy.typing as npt

from cart.bundle import INPUT_NAME, SIGNATURE
from export.source import ExportSource
from shell.errors import UserError

ARTEFACT = "saved_model"


def export_saved_model(source: ExportSource, folder: Path) -> str:
    """Writes `folder/saved_model`, for any batch size, and returns that name.

    Args:
        source: of the network.
        folder: exists.

    Raises:
        UserError: TensorFlow could not write it (full disk, no permission).
    """
    import tensorflow as tf

    from export.graph import NetworkGraph

    graph = NetworkGraph(source.model, batch=None)
    try:
        tf.saved_model.save(graph, str(folder / ARTEFACT), signatures={SIGNATURE: graph.function})
    except tf.errors.OpError as error:
        raise UserError(f"{folder / ARTEFACT}: could not be written ({error.message}); is the disk full?") from error
    return ARTEFACT


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
