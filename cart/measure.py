"""From one image to its hinge points: the one chain that evaluation, prediction and the cart share."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from data_pipeline.preprocess import Preprocessing, preprocess_image, restore_probabilities
from data_pipeline.sample import Phase, Structure, View, structures_from_names
from postprocessing.annulus import annulus_diameter_mm, annulus_diameter_px
from postprocessing.calibration import Calibration
from postprocessing.hinge_points import HingePoints
from postprocessing.measurement import FrameMeasurement, measure_frame
from shell.errors import UserError

Predictor = Callable[[npt.NDArray[np.float32]], npt.NDArray[np.float32]]
"""Preprocessed images (n, h, w, 1) float32 → probabilities (n, h, w, classes) float32."""


@dataclass(frozen=True)
class MeasurementSpec:
    """How an image becomes a network's input, and the network's output hinge points.

    Attributes:
        structures: the network's channels.
        preprocessing: image → network grid.
        contact_line: `subpixel` or `pixel`.
        largest_component: keep only the largest component of each structure.
        anterior_sides: view → side of the image (`left` or `right`) on which the anterior leaflet lies.
        calibration: of the hinge points, or None.
    """

    structures: tuple[Structure, ...]
    preprocessing: Preprocessing
    contact_line: str
    largest_component: bool
    anterior_sides: Mapping[str, str]
    calibration: Calibration | None

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values, keys as in `bundle.json`."""
        return {
            "classes": [structure.name for structure in self.structures],
            "preprocessing": self.preprocessing.to_dict(),
            "contact_line": self.contact_line,
            "largest_component": self.largest_component,
            "orientation": dict(self.anterior_sides),
            "calibration": self.calibration.to_dict() if self.calibration else None,
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "MeasurementSpec":
        """The spec of `to_dict`; further keys are ignored.

        Raises:
            KeyError, TypeError, ValueError: a key is missing or has a value of the wrong kind.
        """
        calibration = values["calibration"]
        return cls(
            structures=structures_from_names(values["classes"]),
            preprocessing=Preprocessing.from_dict(values["preprocessing"]),
            contact_line=values["contact_line"],
            largest_component=values["largest_component"],
            anterior_sides=dict(values["orientation"]),
            calibration=Calibration.from_dict(calibration) if calibration is not None else None,
        )


@dataclass(frozen=True)
class CalibratedPoints:
    """Hinge points with the calibration's bias subtracted, and the diameter between them in the frame's unit."""

    hinge_points: HingePoints
    annulus_diameter: float


@dataclass(frozen=True)
class ImageMeasurement:
    """What was measured on one image.

    Attributes:
        frame: the measurement itself, native grid.
        anterior_side: side of the image that was taken as anterior.
        calibrated: None without hinge points, or where no calibration applies (none was fitted, it is in mm and the
            spacing is unknown, or the image is not oriented as the frames that it was fitted on).
    """

    frame: FrameMeasurement
    anterior_side: str
    calibrated: CalibratedPoints | None


def measure_image(
    image: npt.NDArray[np.float32],
    spacing_mm: tuple[float, float] | None,
    view: View | None,
    phase: Phase | None,
    *,
    predictor: Predictor,
    spec: MeasurementSpec,
    anterior_side: str | None = None,
) -> ImageMeasurement:
    """Preprocesses an image, runs the network on it and measures the result on the image's own grid.

    Args:
        image: (H, W) float32 intensities, as read.
        spacing_mm: (row, col) pixel pitch, or None where unknown: then lengths are in pixels.
        view: decides the orientation; may be None if `anterior_side` is given.
        phase: chooses the calibration's subgroup, or None.
        predictor: the network, on the grid of `spec.preprocessing`.
        spec: of that network.
        anterior_side: overrides the view's entry in `spec.anterior_sides`.

    Raises:
        UserError: neither the view nor `anterior_side` tells the orientation; the network's output is not finite.
    """
    side = anterior_side or anterior_side_of(view, spec)
    network_image = preprocess_image(image, spec.preprocessing)
    probabilities = predictor(network_image[np.newaxis, :, :, np.newaxis])[0]
    return measure_probabilities(probabilities, image, spacing_mm, view, phase, spec=spec, anterior_side=side)


def measure_probabilities(
    probabilities: npt.NDArray[np.float32],
    image: npt.NDArray[np.float32],
    spacing_mm: tuple[float, float] | None,
    view: View | None,
    phase: Phase | None,
    *,
    spec: MeasurementSpec,
    anterior_side: str | None = None,
) -> ImageMeasurement:
    """The second half of `measure_image`: from the network's output (h, w, classes) for `image`.

    Args and Raises: as there.
    """
    side = anterior_side or anterior_side_of(view, spec)
    if not np.isfinite(probabilities).all():
        raise UserError("the network's output is not finite; its weights are damaged, train or export again")
    frame = measure_frame(
        restore_probabilities(probabilities, (image.shape[0], image.shape[1])),
        structures=spec.structures,
        spacing_mm=spacing_mm,
        anterior_side=side,
        method=spec.contact_line,
        largest_component=spec.largest_component,
        image=image,
    )
    as_fitted = view is not None and spec.anterior_sides.get(view) == side
    calibrated = _calibrated(frame, spacing_mm, view, phase, spec.calibration) if as_fitted else None
    return ImageMeasurement(frame, side, calibrated)


def anterior_side_of(view: View | None, spec: MeasurementSpec) -> str:
    """The side of the anterior leaflet in a view.

    Raises:
        UserError: the view is unknown, or has no entry in the orientation table.
    """
    if view is None:
        raise UserError(
            "its view is unknown, so anterior and posterior are too (file names like patient0001_4CH_ED tell it); "
            f"give --view ({', '.join(spec.anterior_sides)}) or --anterior-side"
        )
    if view not in spec.anterior_sides:
        raise UserError(f"no orientation is known for view {view}; give --anterior-side left or right")
    return spec.anterior_sides[view]


def _calibrated(
    frame: FrameMeasurement,
    spacing_mm: tuple[float, float] | None,
    view: View | None,
    phase: Phase | None,
    calibration: Calibration | None,
) -> CalibratedPoints | None:
    if calibration is None or frame.hinge_points is None or (calibration.unit == "mm" and spacing_mm is None):
        return None
    points = calibration.apply(frame.hinge_points, view, phase, spacing_mm)
    diameter = annulus_diameter_mm(points, spacing_mm) if spacing_mm else annulus_diameter_px(points)
    return CalibratedPoints(points, diameter)
