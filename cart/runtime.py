"""Runs a TFLite model through LiteRT: float or integer in and out, float32 for who calls."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from ai_edge_litert.interpreter import Interpreter

from cart.bundle import INPUT_NAME, SIGNATURE
from cart.engines import Runner
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


class TFLiteRunner(Runner):
    """A loaded TFLite model, called like a network: `runner(images)`.

    A model of integers in and out is called alike: its tensors' own quantisation translates on both sides.

    Args:
        path: the `.tflite` file. Check its digest first (`cart.bundle.read_bundle`): LiteRT trusts what it is given.
        threads: CPU threads; all cores when None.

    Raises:
        UserError: not a TFLite model, or not one with this project's signature.
    """

    def __init__(self, path: Path, threads: int | None = None) -> None:
        try:
            interpreter = Interpreter(model_path=str(path), num_threads=threads or os.cpu_count() or 1)
            run = interpreter.get_signature_runner(SIGNATURE)
            image, outputs = run.get_input_details()[INPUT_NAME], run.get_output_details()
            into = Quantisation.of_tensor(image)
            back = {name: Quantisation.of_tensor(details) for name, details in outputs.items()}

            def infer(given: npt.NDArray[np.float32]) -> Mapping[str, npt.NDArray[np.float32]]:
                found = run(**{INPUT_NAME: into.quantised(given) if into else given})
                return {name: how.real(found[name]) if how else found[name] for name, how in back.items()}

            super().__init__(
                (int(image["shape"][1]), int(image["shape"][2])),
                {name: tuple(int(side) for side in details["shape"][1:]) for name, details in outputs.items()},
                infer,
            )
        except (ValueError, RuntimeError, KeyError) as error:
            raise UserError(f"{path}: not a TFLite model of this project ({error}); export the run again") from error
