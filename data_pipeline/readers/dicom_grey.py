"""Decoded DICOM pixels as grey levels, and numbers out of a DICOM header.

Palette and colour become luma (ITU-R BT.601; of YBR images that is Y itself), MONOCHROME1 is turned round so that more
echo is brighter, rescale slope and intercept (or the modality table) are applied. Display windows and presentation
tables are not: they are how a viewer showed the frame, not what it is.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from data_pipeline.readers.frame import RawFrame, bad_file, grey

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.float32]
ToGrey = Callable[[Array], Floats]
"""Decoded pixels, (H, W) or (H, W, 3), → (H, W) float32."""


def _luma(_path: Path, _header: "Dataset") -> ToGrey:
    return lambda array: grey(RawFrame(array, None))


def _first_sample(_path: Path, _header: "Dataset") -> ToGrey:
    """Y of a YBR image is the luma of its colours; a JPEG decoder gives it alone."""
    return lambda array: np.ascontiguousarray(array if array.ndim == 2 else array[..., 0], np.float32)


def _brightness(path: Path, header: "Dataset") -> ToGrey:
    """Stored values through the modality table, or rescale slope and intercept."""
    from pydicom.pixels import apply_modality_lut

    if header.get("ModalityLUTSequence"):
        return lambda array: np.ascontiguousarray(apply_modality_lut(array, header), np.float32)
    slope = number_of(header, "RescaleSlope")
    intercept = number_of(header, "RescaleIntercept")
    slope, intercept = 1.0 if slope is None else slope, 0.0 if intercept is None else intercept
    if not (math.isfinite(slope) and math.isfinite(intercept)) or slope == 0:
        received = f"slope {slope:g}, intercept {intercept:g}"
        raise bad_file(path, "rescale slope and intercept are finite, the slope is not 0", received, "Export it again.")
    if (slope, intercept) == (1.0, 0.0):
        return lambda array: np.ascontiguousarray(array, np.float32)
    return lambda array: np.ascontiguousarray(array * slope + intercept, np.float32)


def _darkness(path: Path, header: "Dataset") -> ToGrey:
    """MONOCHROME1 turned round within the range of its bits."""
    brightness = _brightness(path, header)
    span = 1 << int(header.get("BitsStored", header.BitsAllocated))
    low = -span // 2 if header.get("PixelRepresentation") else 0
    ends = brightness(np.array([[low, low + span - 1]], np.int32))
    return lambda array: np.float32(ends.sum()) - brightness(array)


def _palette(path: Path, header: "Dataset") -> ToGrey:
    """The luma of each entry of the palette, looked up. Entries of 16 bits are brought to 0..255."""
    from pydicom.pixels import apply_color_lut

    if header.get("PixelRepresentation"):
        raise bad_file(path, "numbers of palette colours have no sign", "signed pixels", "Export it as grey or RGB.")
    entries = 1 << int(header.BitsAllocated)
    try:
        colours = apply_color_lut(np.arange(entries, dtype=np.uint32).reshape(1, -1), header)
    except Exception as error:  # a missing or a damaged table: whatever pydicom raises
        rule = "the palette of a PALETTE COLOR image is complete"
        raise bad_file(path, rule, type(error).__name__, "Export it as grey or RGB.") from None
    if colours.dtype.itemsize > 1 and colours.max() > 255:  # 8-bit colours are sometimes called 16-bit
        colours = colours / 257.0
    table = grey(RawFrame(colours, None))[0]
    return lambda array: table[array]


CONVERSIONS: "Mapping[str, Callable[[Path, Dataset], ToGrey]]" = {
    "MONOCHROME1": _darkness,
    "MONOCHROME2": _brightness,
    "PALETTE COLOR": _palette,
    "RGB": _luma,
    "YBR_FULL": _first_sample,
    "YBR_FULL_422": _first_sample,
    "YBR_ICT": _luma,  # JPEG 2000's own colours: its decoder gives RGB
    "YBR_RCT": _luma,
}
"""Photometric interpretation → what makes, of a file, the function from decoded pixels to grey levels."""

ONE_SAMPLE = ("MONOCHROME1", "MONOCHROME2", "PALETTE COLOR")


def number_of(header: "Dataset", name: str) -> float | None:
    """The first number of an element; None as for `numbers_of`."""
    values = numbers_of(header, name)
    return values[0] if values else None


def numbers_of(header: "Dataset", name: str) -> list[float] | None:
    """The numbers of an element; None where it is absent, empty or no number at all."""
    try:
        value = header.get(name)
        if value is None or value == "":
            return None
        several = value if isinstance(value, Sequence) and not isinstance(value, str) else (value,)
        return [float(one) for one in several]
    except Exception:  # whatever pydicom raises when a damaged value is looked at
        return None
