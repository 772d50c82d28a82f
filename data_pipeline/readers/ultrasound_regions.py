"""Where in an ultrasound frame the B-mode image is, and how large its pixels are, by the regions that DICOM states.

Source: DICOM PS3.3, C.8.5.5 (US Region Calibration Module). Lengths there are in cm, here in mm.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from data_pipeline.readers.frame import PITCH_RANGE_MM, PixelRegion

TWO_D, TISSUE, CENTIMETRE = 1, 1, 3
"""Of Region Spatial Format, Region Data Type, Physical Units X and Y Direction."""

MM_PER_CM = 10.0
SAME_PITCH = 1e-3  # a share: what two regions' pitches may differ by and still be one number, rounded

Pitch = tuple[float, float]


@dataclass(frozen=True)
class UltrasoundRegion:
    """One item of the Sequence of Ultrasound Regions; what the file leaves out is None.

    Attributes:
        spatial_format: 1 is 2-D, 2 M-mode, 3 spectral, 4 a wave form, 5 graphics.
        data_type: 1 is tissue, 2 colour flow, 3 and 4 Doppler, 10 ECG, 13 a colour bar, ….
        rows, columns: first and last, from 0. The standard counts the last one in; some makers mean the one after it.
        units: of the (row, col) direction; 3 is cm.
        delta: increment of the physical value from pixel to pixel in the (row, col) direction.
    """

    spatial_format: int | None
    data_type: int | None
    rows: tuple[int, int]
    columns: tuple[int, int]
    units: tuple[int | None, int | None]
    delta: tuple[float | None, float | None]

    @property
    def is_b_mode(self) -> bool:
        """Whether it is an image of tissue in two dimensions."""
        return self.spatial_format == TWO_D and self.data_type == TISSUE


@dataclass(frozen=True)
class BMode:
    """What the regions say of the B-mode image.

    Attributes:
        region: where in the frame it is, or None where that is not said, or not of one image.
        region_note: why it is not known although there are regions.
        spacing_mm: (row, col) pitch of its pixels, or None.
        spacing_note: why it is not known although there are regions.
    """

    region: PixelRegion | None = None
    region_note: str | None = None
    spacing_mm: Pitch | None = None
    spacing_note: str | None = None


def b_mode_of(regions: Sequence[UltrasoundRegion], rows: int, columns: int) -> BMode:
    """The B-mode image among the regions of a frame of so many rows and columns.

    Regions that do not fit into the frame are of another picture: it was scaled or cut after they were written, as
    anonymising programs do, so neither their place nor their pitch holds. Of several B-mode images the pitch is known
    where it is the same in all; the place is only where one encloses the others.
    """
    if not regions:
        return BMode()
    images = [region for region in regions if region.is_b_mode]
    if not images:
        note = f"none of its {len(regions)} ultrasound regions is a 2-D image of tissue"
        return BMode(region_note=note, spacing_note=note)
    for image in images:
        if wrong := _misfit(image, rows, columns):
            return BMode(region_note=wrong, spacing_note=wrong)
    places = [_place(image, rows, columns) for image in images]
    region = next((place for place in places if all(_encloses(place, other) for other in places)), None)
    region_note = None if region else f"{len(images)} B-mode images share the frame, and it is not said which is meant"
    spacing_mm, spacing_note = _common_pitch(images)
    return BMode(region, region_note, spacing_mm, spacing_note)


def _misfit(image: UltrasoundRegion, rows: int, columns: int) -> str | None:
    (top, bottom), (left, right) = image.rows, image.columns
    if top >= bottom or left >= right:
        return f"the B-mode region has no extent: rows {top} to {bottom}, columns {left} to {right}"
    if top < 0 or left < 0 or bottom > rows or right > columns:
        return (
            f"the B-mode region, rows {top} to {bottom} and columns {left} to {right}, does not fit the frame of "
            f"{rows} × {columns}: the picture was scaled or cut after the region and its pixel pitch were written"
        )
    return None


def _place(image: UltrasoundRegion, rows: int, columns: int) -> PixelRegion:
    return image.rows[0], min(image.rows[1] + 1, rows), image.columns[0], min(image.columns[1] + 1, columns)


def _encloses(outer: PixelRegion, inner: PixelRegion) -> bool:
    return outer[0] <= inner[0] and outer[1] >= inner[1] and outer[2] <= inner[2] and outer[3] >= inner[3]


def _common_pitch(images: Sequence[UltrasoundRegion]) -> tuple[Pitch | None, str | None]:
    pitches: list[Pitch] = []
    for image in images:
        pitch, wrong = _pitch(image)
        if pitch is None:
            return None, wrong
        pitches.append(pitch)
    for other in pitches[1:]:
        if not all(math.isclose(a, b, rel_tol=SAME_PITCH) for a, b in zip(pitches[0], other, strict=True)):
            texts = ", ".join(f"({row:.4g}, {col:.4g}) mm" for row, col in dict.fromkeys(pitches))
            return None, f"its B-mode regions have different pixel pitches: {texts}"
    return pitches[0], None


def _pitch(image: UltrasoundRegion) -> tuple[Pitch | None, str | None]:
    """(row, col) in mm. A negative delta is an axis that runs the other way; its size is the pitch all the same."""
    row_unit, col_unit = image.units
    if (row_unit, col_unit) != (CENTIMETRE, CENTIMETRE):
        return None, f"the units of the B-mode region are not cm (3) but {row_unit} and {col_unit}"
    if any(delta is None for delta in image.delta):
        return None, "the B-mode region does not say how large its pixels are (PhysicalDeltaX, PhysicalDeltaY)"
    row, col = (abs(float(delta or 0.0)) * MM_PER_CM for delta in image.delta)
    low, high = PITCH_RANGE_MM
    if not (low <= row <= high and low <= col <= high):  # NaN neither
        return None, f"the pixel pitch of the B-mode region cannot be: ({row:g}, {col:g}) mm"
    return (row, col), None
