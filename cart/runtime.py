"""Runs a TFLite model through LiteRT."""

import os
from pathlib import Path

import numpy as np
import numpy.typing as npt
from ai_edge_litert.interpreter import Interpreter

from cart.bundle import INPUT_NAME, OUTPUT_NAME, SIGNATURE, BundleSpec
from shell.errors import UserError


class TFLiteRunner:
    """A loaded TFLite model, called like a network: `runner(images)`.

    Args:
        path: the `.tflite` file. Check its digest first (`cart.bundle.read_bundle`): LiteRT trusts what it is given.
        threads: CPU threads; all cores when None.

    Attributes:
        input_shape: (h, w) of the one grid the model takes.
        classes: channels of its output.

    Raises:
        UserError: not a TFLite model, or not one with this project's signature.
    """

    def __init__(self, path: Path, threads: int | None = None) -> None:
        try:
            interpreter = Interpreter(model_path=str(path), num_threads=threads or os.cpu_count() or 1)
            self._run = interpreter.get_signature_runner(SIGNATURE)
            image_shape = self._run.get_input_details()[INPUT_NAME]["shape"]
            output_shape = self._run.get_output_details()[OUTPUT_NAME]["shape"]
        except (ValueError, RuntimeError, KeyError) as error:
            raise UserError(f"{path}: not a TFLite model of this project ({error}); export the run again") from error
        self.input_shape = (int(image_shape[1]), int(image_shape[2]))
        self.classes = int(output_shape[-1])

    def __call__(self, images: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Probabilities (n, h, w, classes) float32 of preprocessed images (n, h, w, 1) float32, one by one.

        Raises:
            ValueError: images not of the model's grid.
        """
        if images.ndim != 4 or images.shape[1:] != (*self.input_shape, 1):
            raise ValueError(
                f"`images` must be (n, {self.input_shape[0]}, {self.input_shape[1]}, 1). Received: {images.shape}"
            )
        outputs = np.empty((len(images), *self.input_shape, self.classes), np.float32)
        for image, output in zip(images, outputs, strict=True):
            output[:] = self._run(**{INPUT_NAME: image[np.newaxis].astype(np.float32, copy=False)})[OUTPUT_NAME][0]
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
    preprocessing, structures = spec.measurement.preprocessing, spec.measurement.structures
    described = ((preprocessing.height, preprocessing.width), len(structures))
    if (runner.input_shape, runner.classes) != described:
        raise UserError(
            f"{spec.artefact}: takes {runner.input_shape} and gives {runner.classes} classes, but its bundle says "
            f"{described[0]} and {described[1]}; export the run again"
        )
    return runner
