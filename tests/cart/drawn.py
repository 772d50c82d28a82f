"""A drawn heart for the cart without TensorFlow: a frame whose grey levels a NumPy network knows."""

import numpy as np
import numpy.typing as npt

from cart.measure import MeasurementSpec
from data_pipeline.preprocess import Preprocessing
from data_pipeline.sample import Structure
from postprocessing.quality import QualityModel

SIDE = 96
SPACING_MM = (0.5, 0.5)
LEVELS = np.array([0, 80, 160, 240], np.float32) / 255
STRUCTURES = (Structure.BACKGROUND, Structure.LV, Structure.LA, Structure.MYO)

MODEL = QualityModel(
    unit="mm",
    fitted_on="validation",
    n=40,
    patients=20,
    centre={"anatomical_flags": 0.0},
    scale={"anatomical_flags": 1.0},
    coefficients={"anatomical_flags": 2.0},
    intercept=0.0,
    smearing=1.1,
    spread=0.5,
    limit=5.0,
    threshold=0.8,
    why_no_threshold="",
    interval=(-1.0, 2.0),
    level=0.9,
)
"""Expects 1.1 mm of a frame that fails no anatomical check, and 1.1 e² mm of one that fails one."""


def heart(*, gap: bool = False, hole: bool = False) -> npt.NDArray[np.float32]:
    """(96, 96) 0..255: LV of rows 30 to 51 over LA of rows 52 to 69, columns 26 to 69, on the drawing's own pixels.

    The contact line is 44 columns of 0.5 mm long.
    """
    image = np.zeros((SIDE, SIDE), np.float32)
    image[6:-6, 6:-6] = 20  # the sector
    image[24:52, 20:76] = 240
    image[30:52, 26:70] = 80
    image[56 if gap else 52 : 70, 26:70] = 160
    if hole:
        image[38:44, 40:46] = 240
    return image


def network(images: npt.NDArray[np.float32]) -> dict[str, npt.NDArray[np.float32]]:
    """Classes by the nearest grey level, with some doubt."""
    scores = -((images - LEVELS) ** 2) * 300
    exponents = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return {"probabilities": (exponents / exponents.sum(axis=-1, keepdims=True)).astype(np.float32)}


def spec(quality: QualityModel | None = MODEL) -> MeasurementSpec:
    return MeasurementSpec(
        structures=STRUCTURES,
        preprocessing=Preprocessing(height=SIDE, width=SIDE),
        contact_line="subpixel",
        largest_component=True,
        anterior_sides={"A4C": "left", "A2C": "left"},
        calibration=None,
        quality=quality,
    )
