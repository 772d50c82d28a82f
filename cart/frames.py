"""A user's image files: what their names say, what the command line adds."""

import argparse
import math
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from data_pipeline.readers.image import read_image
from data_pipeline.sample import Phase, View
from shell.errors import UserError

APICAL_VIEWS = (View.A2C, View.A3C, View.A4C)
CAMUS_NAME = re.compile(r"(?:^|_)([234]CH)(?:_(ED|ES))?(_gt|_structures)?(?=[._]|$)", re.IGNORECASE)
PITCH_RANGE_MM = (0.001, 10.0)


@dataclass(frozen=True)
class Frame:
    """One image to measure.

    Attributes:
        path: as the user gave it.
        image: (H, W) float32 intensities.
        spacing_mm: (row, col) pixel pitch, or None where unknown.
        view, phase: None where neither the name nor the user says.
    """

    path: Path
    image: npt.NDArray[np.float32]
    spacing_mm: tuple[float, float] | None
    view: View | None
    phase: Phase | None


def read_frame(path: Path, *, view: View | None = None, spacing_mm: tuple[float, float] | None = None) -> Frame:
    """Reads an image; `view` and `spacing_mm` override what its name and its header say.

    Raises:
        UserError: not a readable image, or a reference label map by its name.
    """
    named_view, phase, is_reference = parse_camus_name(path.name)
    if is_reference:
        raise UserError(f"{path}: a reference label map by its name, not an image; give the image of that frame")
    image = read_image(path)
    return Frame(path, image.array, spacing_mm or image.spacing_mm, view or named_view, phase)


def parse_camus_name(name: str) -> tuple[View | None, Phase | None, bool]:
    """View, phase and whether it is a reference, from a CAMUS file name; None where the name does not say.

    A reference ends in `_gt`, or in `_structures` as the simulated data set has it.

    >>> parse_camus_name("patient0001_4CH_ED.nii.gz")
    (<View.A4C: 'A4C'>, <Phase.ED: 'ED'>, False)
    """
    match = CAMUS_NAME.search(name)
    if match is None:
        return None, None, False
    view = next(view for view in APICAL_VIEWS if view.camus_name == match[1].upper())
    return view, Phase(match[2].upper()) if match[2] else None, match[3] is not None


def add_frame_arguments(parser: argparse.ArgumentParser) -> None:
    """`INPUT… --view --spacing-mm --anterior-side`, the same for every command that measures files."""
    parser.add_argument("inputs", nargs="+", type=Path, metavar="INPUT", help="NIfTI, MetaImage or PNG frame")
    parser.add_argument(
        "--view",
        type=_apical_view,
        metavar="{" + ",".join(APICAL_VIEWS) + "}",
        help="view of the inputs; default: from CAMUS-style names (patient0001_4CH_ED → A4C)",
    )
    parser.add_argument(
        "--spacing-mm",
        type=_pitch_mm,
        nargs=2,
        metavar=("R", "C"),
        help="pixel pitch in mm, row and column; default: the file's own, lengths in pixels where it has none",
    )
    parser.add_argument(
        "--anterior-side",
        choices=("left", "right"),
        help="side of the image with the anterior leaflet; default: the view's, from the orientation table",
    )


def _apical_view(text: str) -> View:
    if text not in APICAL_VIEWS:
        raise argparse.ArgumentTypeError(f"a view is one of {', '.join(APICAL_VIEWS)}. Received: {text}")
    return View(text)


def _pitch_mm(text: str) -> float:
    low, high = PITCH_RANGE_MM
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not low <= value <= high:  # NaN neither
        raise argparse.ArgumentTypeError(f"a pixel pitch is a number of mm from {low} to {high}. Received: {text}")
    return value
