"""What every format is made from: a network, how it is measured, and frames that tell how large its values become."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from cart.measure import MeasurementSpec

if TYPE_CHECKING:
    import keras


@dataclass(frozen=True)
class ExportSource:
    """A network on its way out.

    Attributes:
        model: (n, h, w, 1) → probabilities (n, h, w, classes), or several outputs by name; float32.
        spec: how its output is measured.
        calibration_images: gives the calibration frames, each (1, h, w, 1) float32 on the network's grid, preprocessed:
            the same ones at every call.
        calibration_from: what these frames are, in words, for bundle.json.
    """

    model: "keras.Model"
    spec: MeasurementSpec
    calibration_images: Callable[[], Iterator[npt.NDArray[np.float32]]]
    calibration_from: str = "training frames of the run's data"


Exporter = Callable[[ExportSource, Path], str]
"""(source, existing folder) → name of the artefact written there; a `UserError` says why a network cannot become it."""
