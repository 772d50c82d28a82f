"""What every format is made from: a network, how it is measured, and frames that tell how large its values become."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from cart.measure import MeasurementSpec, Predictor

if TYPE_CHECKING:
    import keras

QUANTISATION_FILE = "quantisation.json"
"""Where an exporter that gives up float32 says how, in the folder of its artefact; `write_bundle` takes it from there
into bundle.json."""


@dataclass(frozen=True)
class ExportSource:
    """A network on its way out.

    Attributes:
        model: (n, h, w, 1) → probabilities (n, h, w, classes), or several outputs by name; float32.
        spec: how its output is measured.
        calibration_images: gives the calibration frames, each (1, h, w, 1) float32 on the network's grid, preprocessed:
            the same ones at every call.
        calibration_from: what these frames are, in words, for bundle.json; known once they were read.
        trial: what an integer artefact costs on training frames, as a share of what it may: the most of its limits'
            shares. None: there are no such frames, so nothing is tried and all layers become integers.
        shared: what exporters of the same network leave for one another, so that it is converted and calibrated once.
    """

    model: "keras.Model"
    spec: MeasurementSpec
    calibration_images: Callable[[], Iterator[npt.NDArray[np.float32]]]
    calibration_from: Callable[[], str] = lambda: "training frames of the run's data"
    trial: Callable[[Predictor], float] | None = None
    shared: dict[str, Any] = field(default_factory=dict[str, Any], compare=False, repr=False)


Exporter = Callable[[ExportSource, Path], str]
"""(source, existing folder) → name of the artefact written there; a `UserError` says why a network cannot become it."""
