"""Runs a TFLite model through LiteRT."""

import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
from ai_edge_litert.interpreter import Interpreter

from cart.bundle import INPUT_NAME, SIGNATURE, BundleSpec
from cart.measure import BOX, PROBABILITIES
from shell.errors import UserError


class TFLiteRunner:
    """A loaded TFLite model, called like a network: `runner(images)`.

    Args:
        path: the `.tflite` file. Check its digest first (`cart.bundle.read_bundle`): LiteRT trusts what it is given.
        threads: CPU threads; all cores when None.

    Attributes:
        input_shape: (h, w) of the one grid the model takes.
        output_shapes: shape of each output by name, without the axis of the batch.

    Raises:
        UserError: not a TFLite model, or not one with this project's signature.
    """

    def __init__(self, path: Path, threads: int | None = None) -> None:
        try:
            interpreter = Interpreter(model_path=str(path), num_threads=threads or os.cpu_count() or 1)
            self._run = interpreter.get_signature_runner(SIGNATURE)
            image_shape = self._run.get_input_details()[INPUT_NAME]["shape"]
            outputs = self._run.get_output_details()
            if not {PROBABILITIES, BOX} & set(outputs):
                raise KeyError(f"no output {PROBABILITIES} or {BOX}")
        except (ValueError, RuntimeError, KeyError) as error:
            raise UserError(f"{path}: not a TFLite model of this project ({error}); export the run again") from error
        self.input_shape = (int(image_shape[1]), int(image_shape[2]))
        self.output_shapes: Mapping[str, tuple[int, ...]] = {
            name: tuple(int(side) for side in details["shape"][1:]) for name, details in outputs.items()
        }

    def __call__(self, images: npt.NDArray[np.float32]) -> dict[str, npt.NDArray[np.float32]]:
        """The network's outputs by name, (n, …) float32, of preprocessed images (n, h, w, 1) float32, one by one.

        Raises:
            ValueError: images not of the model's grid.
        """
        if images.ndim != 4 or images.shape[1:] != (*self.input_shape, 1):
            raise ValueError(
                f"`images` must be (n, {self.input_shape[0]}, {self.input_shape[1]}, 1). Received: {images.shape}"
            )
        outputs = {name: np.empty((len(images), *shape), np.float32) for name, shape in self.output_shapes.items()}
        for index, image in enumerate(images):
            found = self._run(**{INPUT_NAME: image[np.newaxis].astype(np.float32, copy=False)})
            for name, output in outputs.items():
                output[index] = found[name][0]
        return outputs


def load_runner(spec: BundleSpec, threads: int | None = None) -> TFLiteRunner:
    """The runner of a checked bundle.

    Raises:
        UserError: not a TFLite bundle, or one whose model does not fit its own description.
    """
    if not spec.format.startswith("tflite-"):
        raise UserError(
            f"{spec.folder}: a {spec.format} bundle, which needs TensorFlow; "
            "export the run again with --format tflite-float32"
        )
    runner = TFLiteRunner(spec.artefact, threads)
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
