"""What every file reader hands over, and the rules that hold for all of them."""

import importlib.util
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from data_pipeline.sample import View
from shell.errors import UserError

MAX_PIXELS = 2**26  # 8192 × 8192: far beyond any echo frame; a damaged header asks for more

PITCH_RANGE_MM = (0.001, 10.0)
"""What a pixel pitch of an echo or a cardiac MR frame can be: beyond it, it was written in another unit."""


@dataclass(frozen=True)
class RawFrame:
    """One frame as its file holds it.

    Attributes:
        array: (H, W), or (H, W, 3) for colour (red, green, blue), in the file's own number type.
        spacing_mm: (row, col) pixel pitch in mm, or None where the format or the file does not say.
    """

    array: npt.NDArray[Any]
    spacing_mm: tuple[float, float] | None


@dataclass(frozen=True)
class RawVolume:
    """A stack of parallel slices, at one time or at several, as its file holds it.

    Attributes:
        array: (T, S, H, W) in the file's own number type: times, slices, rows, columns.
        spacing_mm: (row, col) pixel pitch in mm.
        slice_distance_mm: from the middle of one slice to the middle of the next.
    """

    array: npt.NDArray[Any]
    spacing_mm: tuple[float, float]
    slice_distance_mm: float


PixelRegion = tuple[int, int, int, int]
"""(row_min, row_max, col_min, col_max) of whole pixels, edges, in the file's own frame: the whole is (0, H, 0, W)."""


@dataclass(frozen=True)
class CineFrame:
    """One frame of a cine, or the word that it could not be decoded.

    Attributes:
        image: (H, W) float32 grey levels, the cine's `region` of the file's frame; None where it cannot be decoded.
        time_ms: since the first frame, or None where the file does not say.
        error: why there is no image, without the file's name; None where there is one.
    """

    image: npt.NDArray[np.float32] | None
    time_ms: float | None
    error: str | None = None


@dataclass(frozen=True)
class RawCine:
    """Frames of one place, one after the other in time, decoded one by one as they are asked for.

    Attributes:
        frames: to be gone through once; one frame is in memory at a time.
        count: frames that the file says it has, broken ones among them, or None where it does not say.
        frame_rate_hz: frames per second, or None where the file does not say.
        spacing_mm: (row, col) pixel pitch, or None.
        spacing_note: why there is no pitch although the file says something of it; None where there is no more to say.
        region: the part of the file's frame that `CineFrame.image` is; None: all of it.
        region_note: why the frame was not cut to the B-mode image; None where there is nothing to say.
        view: by the file's own code, A2C, A3C or A4C; None where it has none.
        is_still: a single frame that its file does not call a cine.
    """

    frames: Iterator[CineFrame]
    count: int | None
    frame_rate_hz: float | None = None
    spacing_mm: tuple[float, float] | None = None
    spacing_note: str | None = None
    region: PixelRegion | None = None
    region_note: str | None = None
    view: View | None = None
    is_still: bool = False


def bad_file(path: Path, rule: str, received: object, mend: str) -> UserError:
    """The one form of a reader's complaint: file, rule, received value, mend."""
    value = " ".join(str(received).split()).rstrip(".")
    return UserError(f"{path}: {rule}. Received: {value}. {mend}")


def require_file(path: Path) -> None:
    """Refuses what is no file, cannot be opened or is empty, before a library's own message hides which it was."""
    if path.is_dir():
        raise bad_file(path, "a file is needed", "a folder", "Name one image file inside it.")
    if not path.exists():
        raise UserError(f"{path}: no such file. Check the path.")
    with path.open("rb") as file:
        if not file.read(1):
            raise bad_file(path, "the file is empty", "0 bytes", "Copy or download it again.")


def require_package(path: Path, module: str) -> None:
    """Refuses a file of a kind whose library is not installed, as where the cart's wheel was installed without `files`.

    Raises:
        UserError: no such module; the message names the package.
    """
    if importlib.util.find_spec(module) is None:
        mend = f"`pip install {module}`, or 'annulus-cart[files]' for every kind."
        raise bad_file(path, f"a file of this kind is read with {module}", "it is not installed", mend)


def checked_shape(path: Path, shape: Sequence[int]) -> tuple[int, int]:
    """(rows, columns) of a frame whose axes of length 1 around them are already gone."""
    if len(shape) != 2:
        text = " × ".join(map(str, shape))
        raise bad_file(
            path, "one 2-D frame is needed, not a volume or a sequence", f"{text} values", "Save one frame of it."
        )
    rows, columns = shape
    if min(rows, columns) < 1 or rows * columns > MAX_PIXELS:
        raise bad_file(path, "the frame's size is impossible", f"{rows} × {columns} pixels", "The file is damaged.")
    return rows, columns


def checked_spacing(path: Path, spacing_mm: Sequence[float]) -> tuple[float, float]:
    """(row, col) pitch, both finite and positive."""
    row, col = (float(value) for value in spacing_mm)
    if not all(math.isfinite(value) and value > 0 for value in (row, col)):
        raise bad_file(
            path,
            "the pixel pitch must be two positive numbers of mm (row, col)",
            f"({row:g}, {col:g})",
            "Write the true pitch into the file's header.",
        )
    return row, col


def grey(frame: RawFrame) -> npt.NDArray[np.float32]:
    """(H, W) float32 intensities; colour becomes luma (ITU-R BT.601), and equal channels stay exactly as they are."""
    array = frame.array
    if array.ndim == 3:
        if np.array_equal(array[..., 0], array[..., 1]) and np.array_equal(array[..., 0], array[..., 2]):
            array = array[..., 0]
        else:
            array = array.astype(np.float32) @ np.array([0.299, 0.587, 0.114], np.float32)
    with np.errstate(over="ignore"):  # beyond float32 is infinite, which the caller refuses
        return np.ascontiguousarray(array, np.float32)
