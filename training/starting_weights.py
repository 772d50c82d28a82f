"""What a network starts from: another run's best weights, or pre-trained VGG16 convolutions from a local file."""

from pathlib import Path

import h5py
import keras
import numpy as np

from shell.errors import UserError
from training.run_folder import StartingWeights, load_weights


def load_starting_weights(model: keras.Model, start: StartingWeights) -> None:
    """Puts into a freshly built network what the run starts from, if anything.

    Raises:
        UserError: as `load_encoder_weights` and `run_folder.load_weights`.
    """
    if start.encoder is not None:
        load_encoder_weights(model, start.encoder)
    if start.network is not None:
        load_weights(model, Path(start.network))


def load_encoder_weights(model: keras.Model, source: str) -> int:
    """Puts VGG16's convolutions into the layers of `model` that have their names (`block1_conv1` … `block5_conv3`).

    Args:
        model: a network with VGG16's layer names.
        source: a Keras VGG16 weight file (HDF5, with or without its dense top), or `imagenet` to have Keras fetch it.

    Returns:
        How many layers were filled.

    Raises:
        UserError: a missing file, one that is not a VGG16 weight file, a failed download, or a model without VGG16
            layers.

    Deviation: grey input; the kernels of the first layer are summed over the colour channels.
    """
    names = [layer.name for layer in model.layers if layer.name.startswith("block") and "_conv" in layer.name]
    names = [name for name in names if not name.endswith(("_relu", "_bn"))]
    if not names:
        raise UserError(f"--encoder-weights: {model.name} has no VGG16 encoder; leave the option out")
    path = _fetch() if source == "imagenet" else Path(source)
    if not path.is_file():
        raise UserError(f"{path}: no such weight file; give a Keras VGG16 .h5 file")
    try:
        with h5py.File(path, "r") as file:
            found = _layer_weights(file)
    except OSError as error:
        raise UserError(f"{path}: not an HDF5 weight file ({error}); give a Keras VGG16 .h5 file") from error
    for name in names:
        if name not in found:
            raise UserError(f"{path}: has no layer {name}; give the weight file of Keras' VGG16")
        kernel, bias = found[name]
        layer = model.get_layer(name)
        if kernel.shape[2] == 3 and layer.kernel.shape[2] == 1:
            kernel = kernel.sum(axis=2, keepdims=True)
        if tuple(kernel.shape) != tuple(layer.kernel.shape):
            raise UserError(
                f"{path}: layer {name} is {kernel.shape}, the network's is {tuple(layer.kernel.shape)}; "
                "leave model_options.width at 1"
            )
        layer.set_weights([kernel, bias])
    return len(names)


def _layer_weights(file: h5py.File) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Kernel and bias of each convolution, whatever the nesting (it changed between Keras versions)."""
    found: dict[str, dict[int, np.ndarray]] = {}

    def visit(name: str, item: object) -> None:
        if isinstance(item, h5py.Dataset) and item.ndim in (1, 4):
            layer = next((part for part in name.split("/") if part.startswith("block")), None)
            if layer is not None:
                found.setdefault(layer, {})[item.ndim] = np.asarray(item, dtype=np.float32)

    file.visititems(visit)
    return {layer: (parts[4], parts[1]) for layer, parts in found.items() if {1, 4} <= set(parts)}


def _fetch() -> Path:
    base = "https://storage.googleapis.com/tensorflow/keras-applications/vgg16/"
    name = "vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5"
    try:
        return Path(keras.utils.get_file(name, base + name, cache_subdir="models"))
    except Exception as error:  # Keras raises bare Exception for a failed download
        raise UserError(
            f"--encoder-weights imagenet: {name} could not be downloaded ({error}); "
            "copy it here by other means and give its path"
        ) from error
