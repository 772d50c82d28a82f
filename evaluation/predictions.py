"""What was predicted on each frame, kept small on disk: whatever follows the network can be done again without it."""

import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from cart.measure import Box
from postprocessing.contact_line import ContactLine
from postprocessing.hinge_points import HingePoints
from postprocessing.measurement import FrameMeasurement
from shell.errors import UserError
from shell.files import atomic_path

Json = Mapping[str, Any]


@dataclass(frozen=True, eq=False)
class Prediction:
    """A frame's prediction, native grid.

    Attributes:
        label_map: (H, W) uint8 `Structure` codes.
        contact_line: (N, 2) float64 (row, col), or None.
        hinge_points: or None.
        box: located, pixel edges, or None.
        first_label_map: (H, W) uint8 of the first of two segmentations, or None.
        anterior_side: `left` or `right`; None where it is not known, or where no hinge points are looked for.
        about: the rest of a `FrameMeasurement` as plain JSON values: status, unit, flags, diameter, quality, the line;
            and `tta_spread` if it was asked for, NaN where it is not defined.
    """

    label_map: npt.NDArray[np.uint8]
    contact_line: npt.NDArray[np.float64] | None
    hinge_points: HingePoints | None
    box: Box | None
    first_label_map: npt.NDArray[np.uint8] | None = None
    anterior_side: str | None = None
    about: Json = field(default_factory=dict[str, Any])

    def measurement(self) -> FrameMeasurement:
        """The measurement that `prediction_of` was given, digit for digit."""
        line = None
        if self.contact_line is not None:
            line = ContactLine(self.contact_line, **self.about["line"])
        return FrameMeasurement(
            label_map=self.label_map,
            contact_line=line,
            hinge_points=self.hinge_points,
            annulus_diameter=self.about["annulus_diameter"],
            unit=self.about["unit"],
            status=self.about["status"],
            flags=tuple(self.about["flags"]),
            quality=self.about["quality"],
        )


def prediction_of(
    measurement: FrameMeasurement,
    box: Box | None = None,
    *,
    anterior_side: str | None = None,
    first_label_map: npt.NDArray[np.uint8] | None = None,
) -> Prediction:
    """A measurement and what else a network says of a frame, as it is kept."""
    line = measurement.contact_line
    return Prediction(
        label_map=measurement.label_map,
        contact_line=None if line is None else line.points,
        hinge_points=measurement.hinge_points,
        box=box,
        first_label_map=first_label_map,
        anterior_side=anterior_side,
        about={
            "line": None
            if line is None
            else {"segments": int(line.segments), "one_pixel": bool(line.one_pixel), "method": line.method},
            "annulus_diameter": None if measurement.annulus_diameter is None else float(measurement.annulus_diameter),
            "unit": measurement.unit,
            "status": measurement.status,
            "flags": list(measurement.flags),
            "quality": {name: float(value) for name, value in measurement.quality.items()},
        },
    )


def save_prediction(path: Path, prediction: Prediction) -> None:
    """Writes a prediction (.npz, compressed, no pickle), whole or not at all."""
    points, first = prediction.hinge_points, prediction.first_label_map
    line = prediction.contact_line
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        np.savez_compressed(
            file,
            label_map=prediction.label_map,
            contact_line=line if line is not None else np.empty((0, 2)),
            hinge_points=np.array([points.amvl, points.pmvl]) if points is not None else np.empty((0, 2)),
            box=np.empty(0) if prediction.box is None else np.array(prediction.box),
            first_label_map=np.empty((0, 0), np.uint8) if first is None else first,
            anterior_side=np.array(prediction.anterior_side or ""),
            about=np.array(json.dumps(prediction.about)),
        )


def load_prediction(path: Path) -> Prediction:
    """Reads what `save_prediction` wrote.

    Raises:
        UserError: no such file, or it is damaged or of an older version.
    """
    try:
        with np.load(path, allow_pickle=False) as archive:
            line, points, box = archive["contact_line"], archive["hinge_points"], archive["box"].tolist()
            first = archive["first_label_map"]
            return Prediction(
                label_map=archive["label_map"],
                contact_line=line if len(line) else None,
                hinge_points=HingePoints(*((float(row), float(col)) for row, col in points)) if len(points) else None,
                box=(box[0], box[1], box[2], box[3]) if box else None,
                first_label_map=first if first.size else None,
                anterior_side=str(archive["anterior_side"]) or None,
                about=json.loads(str(archive["about"])),
            )
    except FileNotFoundError:
        raise UserError(f"{path}: no such prediction; evaluate the run again") from None
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise UserError(f"{path}: a damaged or older prediction ({error}); evaluate the run again") from error
