"""Runs a TFLite model through LiteRT: float or integer in and out, float32 for who calls."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from ai_edge_litert.interpreter import Interpreter

from cart.bundle import INPUT_NAME, SIGNATURE, BundleSpec
from cart.measure import BOX, PROBABILITIES
from shell.errors import UserError


@dataclass(frozen=True)
class Quantisation:
    """How an integer tensor stands for real numbers: `real = (integer − zero_point) · scale`.

    Attributes:
        dtype: of the integers.
        scale: of one step; one for the whole tensor.
        zero_point: the integer that stands for 0.
    """

    dtype: np.dtype[Any]
    scale: float
    zero_point: int

    @classmethod
    def of_tensor(cls, details: Mapping[str, Any]) -> "Quantisation | None":
        """That of a tensor by LiteRT's details of it; None of a float32 one.

        Raises:
            ValueError: neither float32 nor an integer with one scale.
        """
        dtype = np.dtype(details["dtype"])
        if dtype == np.float32:
            return None
        parameters = details["quantization_parameters"]
        scales, zero_points = parameters["scales"], parameters["zero_points"]
        if dtype.kind not in "iu" or len(scales) != 1 or not scales[0] > 0:
            raise ValueError(f"its tensor {details['name']} is {dtype} with {len(scales)} scales")
        return cls(dtype, float(scales[0]), int(zero_points[0]))

    def quantised(self, values: npt.NDArray[np.float32]) -> npt.NDArray[Any]:
        """The nearest integers (halves to even, as XNNPACK rounds), those beyond the type's range at its ends."""
        limits = np.iinfo(self.dtype)
        steps = np.rint(values * np.float32(1 / self.scale)) + np.float32(self.zero_point)
        return np.clip(steps, limits.min, limits.max).astype(self.dtype)

    def real(self, integers: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        """What the integers stand for, float32."""
        return (integers.astype(np.float32) - np.float32(self.zero_point)) * np.float32(self.scale)


class TFLiteRunner:
    """A loaded TFLite model, called like a network: `runner(images)`.

    A model of integers in and out is called alike: its tensors' own quantisation translates on both sides.

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
            image = self._run.get_input_details()[INPUT_NAME]
            outputs = self._run.get_output_details()
            self._input = Quantisation.of_tensor(image)
            self._outputs = {name: Quantisation.of_tensor(details) for name, details in outputs.items()}
            if not {PROBABILITIES, BOX} & set(outputs):
                raise KeyError(f"no output {PROBABILITIES} or {BOX}")
        except (ValueError, RuntimeError, KeyError) as error:
            raise UserError(f"{path}: not a TFLite model of this project ({error}); export the run again") from error
        self.input_shape = (int(image["shape"][1]), int(image["shape"][2]))
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
        for index, image in enumerate(images.astype(np.float32, copy=False)):
            given = image[np.newaxis]
            found = self._run(**{INPUT_NAME: self._input.quantised(given) if self._input else given})
            for name, quantisation in self._outputs.items():
                outputs[name][index] = quantisation.real(found[name][0]) if quantisation else found[name][0]
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
