"""What was predicted on each frame, kept small on disk, so that pictures and later measures need no network."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from cart.measure import Box
from postprocessing.hinge_points import HingePoints
from postprocessing.measurement import FrameMeasurement
from shell.files import atomic_path


@dataclass(frozen=True, eq=False)
class Prediction:
    """A stored prediction, native grid.

    Attributes:
        label_map: (H, W) uint8 `Structure` codes.
        contact_line: (N, 2) float64 (row, col), or None.
        hinge_points: or None.
        box: located, pixel edges, or None.
    """

    label_map: npt.NDArray[np.uint8]
    contact_line: npt.NDArray[np.float64] | None
    hinge_points: HingePoints | None
    box: Box | None


def save_prediction(path: Path, measurement: FrameMeasurement, box: Box | None = None) -> None:
    """Writes a measurement's label map, contact line, hinge points and box (.npz, compressed, no pickle)."""
    line, points = measurement.contact_line, measurement.hinge_points
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        np.savez_compressed(
            file,
            label_map=measurement.label_map,
            contact_line=line.points if line is not None else np.empty((0, 2)),
            hinge_points=np.array([points.amvl, points.pmvl]) if points is not None else np.empty((0, 2)),
            box=np.empty(0) if box is None else np.array(box),
        )


def load_prediction(path: Path) -> Prediction:
    """Reads what `save_prediction` wrote."""
    with np.load(path, allow_pickle=False) as archive:
        line, points, box = archive["contact_line"], archive["hinge_points"], archive["box"].tolist()
        return Prediction(
            label_map=archive["label_map"],
            contact_line=line if len(line) else None,
            hinge_points=HingePoints(*((float(row), float(col)) for row, col in points)) if len(points) else None,
            box=(box[0], box[1], box[2], box[3]) if box else None,
        )
