"""A user's image files: what their names say, what the command line adds."""

import argparse
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from data_pipeline.readers.cine import CINE_READERS, SEQUENCE_READERS, cine_reader
from data_pipeline.readers.frame import PITCH_RANGE_MM, PixelRegion, RawCine, bad_file
from data_pipeline.readers.image import READERS, read_image, suffix_of, unknown_kind
from data_pipeline.sample import Phase, View
from shell.errors import UserError

APICAL_VIEWS = (View.A2C, View.A3C, View.A4C)
CAMUS_NAME = re.compile(
    r"(?:^|_)([234]CH|SAX)(?:_(ED|ES)|_half_sequence|_sequence)?(?:_s\d+)?(_gt|_structures)?(?=[._]|$)", re.IGNORECASE
)
CAMUS_SEQUENCE = re.compile(r"_[234]CH_(?:half_)?sequence\.(?:nii|nii\.gz|mhd|mha)$", re.IGNORECASE)


@dataclass(frozen=True)
class Frame:
    """One image to measure.

    Attributes:
        path: as the user gave it.
        image: (H, W) float32 intensities: the file's whole frame, or `region` of it.
        spacing_mm: (row, col) pixel pitch, or None where unknown.
        view, phase: None where neither the file nor its name nor the user says.
        index: of a cine's frame, from 0; None for a single image.
        time_ms: since the cine's first frame; None where unknown.
        spacing_note: why the pitch is unknown although the file says something of it.
        region: (row_min, row_max, col_min, col_max), pixel edges in the file's frame, of which `image` is a cut-out;
            None: `image` is the file's frame. What is measured on `image` is on its grid; `origin_px` leads back.
        region_note: why a file that has more than a B-mode image in its frame was not cut to it.
    """

    path: Path
    image: npt.NDArray[np.float32]
    spacing_mm: tuple[float, float] | None
    view: View | None
    phase: Phase | None
    index: int | None = None
    time_ms: float | None = None
    spacing_note: str | None = None
    region: PixelRegion | None = None
    region_note: str | None = None

    @property
    def origin_px(self) -> tuple[int, int]:
        """(row, col) of the image's first pixel in the file's own frame: add it to what was measured on the image."""
        return (self.region[0], self.region[2]) if self.region else (0, 0)


@dataclass(frozen=True)
class BrokenFrame:
    """A frame of a cine that could not be decoded, in its place.

    Attributes:
        path: of the cine.
        index: of the frame, from 0.
        time_ms: since the first frame; None where unknown.
        error: what is wrong, for people; it names file and frame.
    """

    path: Path
    index: int
    time_ms: float | None
    error: str


@dataclass(frozen=True)
class FrameSource:
    """The frames of one file: of a cine all of them, of a single image that one.

    Attributes:
        path: as the user gave it.
        frames: to be gone through once; each is decoded when it is asked for, and broken ones are in their place.
        count: of frames, broken ones among them; None where the file does not say (some videos).
        frame_rate_hz: frames per second; None for a single image, and where the file does not say.
        is_cine: whether the frames have an index.
    """

    path: Path
    frames: Iterator[Frame | BrokenFrame]
    count: int | None
    frame_rate_hz: float | None
    is_cine: bool


def read_frames(path: Path, *, view: View | None = None, spacing_mm: tuple[float, float] | None = None) -> FrameSource:
    """Opens a file of any kind: DICOM, video, a CAMUS sequence, or a single image.

    Args:
        path: the file.
        view: overrides what its name and its header say.
        spacing_mm: overrides its header.

    Raises:
        UserError: the file as a whole cannot be read, or is a reference label map by its name, or its name and the
            code in its header are of two views. A frame of a cine that cannot be decoded is no error: it is a
            `BrokenFrame` among the others.
    """
    _require_no_reference(path)
    reader = SEQUENCE_READERS[suffix_of(path)] if CAMUS_SEQUENCE.search(path.name) else cine_reader(path)
    if reader is None:
        if suffix_of(path) not in READERS:
            raise unknown_kind(path, (*CINE_READERS, *READERS, "DICOM without a suffix"))
        frame = read_frame(path, view=view, spacing_mm=spacing_mm)
        return FrameSource(path, iter((frame,)), count=1, frame_rate_hz=None, is_cine=False)
    cine = reader(path)
    named_view, phase, _ = parse_camus_name(path.name)
    if view is None and named_view and cine.view and named_view != cine.view:
        raise UserError(
            f"{path}: its name says {named_view} and its header is coded {cine.view}; say which it is with --view"
        )
    frames = _frames(path, cine, view or named_view or cine.view, phase, spacing_mm)
    return FrameSource(
        path,
        iter(list(frames)) if cine.is_still else frames,
        count=cine.count,
        frame_rate_hz=cine.frame_rate_hz,
        is_cine=not cine.is_still,
    )


def read_frame(path: Path, *, view: View | None = None, spacing_mm: tuple[float, float] | None = None) -> Frame:
    """Reads a single image; `view` and `spacing_mm` override what its name and its header say.

    Raises:
        UserError: not a readable image, or a reference label map by its name.
    """
    _require_no_reference(path)
    image = read_image(path)
    named_view, phase, _ = parse_camus_name(path.name)
    return Frame(path, image.array, spacing_mm or image.spacing_mm, view or named_view, phase)


def _frames(
    path: Path, cine: RawCine, view: View | None, phase: Phase | None, spacing_mm: tuple[float, float] | None
) -> Iterator[Frame | BrokenFrame]:
    for number, one in enumerate(cine.frames):
        if one.image is None:
            if cine.is_still:
                raise bad_file(path, "its only frame is damaged", one.error, "Copy or export the file again.")
            yield BrokenFrame(path, number, one.time_ms, f"{path}: frame {number}: {one.error}")
            continue
        yield Frame(
            path,
            one.image,
            spacing_mm or cine.spacing_mm,
            view,
            phase,
            index=None if cine.is_still else number,
            time_ms=None if cine.is_still else one.time_ms,
            spacing_note=None if spacing_mm else cine.spacing_note,
            region=cine.region,
            region_note=cine.region_note,
        )


def _require_no_reference(path: Path) -> None:
    if parse_camus_name(path.name)[2]:
        raise UserError(f"{path}: a reference label map by its name, not an image; give the image of that frame")


def parse_camus_name(name: str) -> tuple[View | None, Phase | None, bool]:
    """View, phase and whether it is a reference, from a CAMUS file name; None where the name does not say.

    A reference ends in `_gt`, or in `_structures` as the simulated data set has it. A short-axis slice may be called
    as its case is, `patient001_SAX_ED_s03`.

    >>> parse_camus_name("patient0001_4CH_ED.nii.gz")
    (<View.A4C: 'A4C'>, <Phase.ED: 'ED'>, False)
    """
    match = CAMUS_NAME.search(name)
    if match is None:
        return None, None, False
    view = next(view for view in View if view.camus_name == match[1].upper())
    return view, Phase(match[2].upper()) if match[2] else None, match[3] is not None


def add_frame_arguments(parser: argparse.ArgumentParser, *, inputs: str = "+") -> None:
    """`INPUT… --view --spacing-mm --anterior-side`, the same for every command that measures files.

    Args:
        parser: gets them.
        inputs: `+`, or `*` where a command can do without any.
    """
    parser.add_argument(
        "inputs", nargs=inputs, type=Path, metavar="INPUT", help="DICOM, video, NIfTI, MetaImage or picture"
    )
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
