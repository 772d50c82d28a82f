"""MetaImage frames (.mhd with its .raw or .zraw, .mha): the older CAMUS release."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numpy.typing as npt

from data_pipeline.readers.frame import (
    RawFrame,
    bad_file,
    checked_shape,
    checked_spacing,
    require_file,
    require_package,
)

Number = TypeVar("Number", int, float)
HEADER_BYTES = 65536  # the text before the pixels of an .mha
ELEMENT_BYTES = {
    "MET_CHAR": 1,
    "MET_UCHAR": 1,
    "MET_SHORT": 2,
    "MET_USHORT": 2,
    "MET_INT": 4,
    "MET_UINT": 4,
    "MET_LONG": 4,  # 8 as some programs write it: 4 is what there must be
    "MET_ULONG": 4,
    "MET_LONG_LONG": 8,
    "MET_ULONG_LONG": 8,
    "MET_FLOAT": 4,
    "MET_DOUBLE": 8,
}


def read_metaimage(path: Path) -> RawFrame:
    """One frame; a leading axis of 1, as in (1, 778, 549), is dropped.

    A header without `ElementSpacing` (or `ElementSize`) gives an unknown pitch, where ITK would assume 1 mm.

    Raises:
        UserError: not a readable MetaImage file, its pixel file missing or too short, not one 2-D frame, or a pitch
            that is not positive.
    """
    header = _read_header(path)
    sizes = _numbers(path, header, "DimSize", int)
    while len(sizes) > 2 and sizes[-1] == 1:
        sizes = sizes[:-1]
    rows, columns = checked_shape(path, sizes[::-1])
    spacing_mm = _pitch(path, header)
    array, channels = _pixels(path, header, rows * columns)
    if channels not in (1, 3):
        raise bad_file(path, "a pixel has 1 or 3 channels", f"{channels} channels", "Convert the file to grey.")
    return RawFrame(array.reshape((rows, columns) if channels == 1 else (rows, columns, 3)), spacing_mm)


def read_metaimage_sequence(path: Path) -> tuple[npt.NDArray[Any], tuple[float, float] | None]:
    """Frames one after the other, (T, H, W), and their (row, col) pitch in mm or None.

    Raises:
        UserError: as `read_metaimage`; not three axes, or colour.
    """
    header = _read_header(path)
    sizes = _numbers(path, header, "DimSize", int)
    if len(sizes) != 3 or min(sizes) < 1:
        received = " × ".join(map(str, sizes[::-1])) + " values"
        raise bad_file(path, "a sequence has 3 axes: x, y and time", received, "Save it as one.")
    count, rows, columns = sizes[::-1]
    checked_shape(path, (rows, columns))
    spacing_mm = _pitch(path, header)
    array, channels = _pixels(path, header, count * rows * columns)
    if channels != 1:
        raise bad_file(path, "a sequence is grey", f"{channels} channels", "Convert the file to grey.")
    return array.reshape(count, rows, columns), spacing_mm


def _pitch(path: Path, header: dict[str, str]) -> tuple[float, float] | None:
    spacing_mm = None
    for key in ("ElementSize", "ElementSpacing"):
        if key in header:
            pitch = _numbers(path, header, key, float)
            if len(pitch) < 2 or not all(value > 0 for value in pitch):
                raise bad_file(path, f"`{key}` must be positive numbers of mm", header[key], "Write the true pitch.")
            spacing_mm = checked_spacing(path, (pitch[1], pitch[0]))
    return spacing_mm


def _pixels(path: Path, header: dict[str, str], pixels: int) -> tuple[npt.NDArray[Any], int]:
    """The values and the channels of a pixel."""
    _require_pixels(path, header, pixels)
    require_package(path, "SimpleITK")
    import SimpleITK as sitk  # noqa: N813  # here: 60 MB that a cart without such files does without

    try:
        image = sitk.ReadImage(str(path), imageIO="MetaImageIO")
    except RuntimeError as error:
        reason = [line for line in str(error).splitlines() if line.strip()][-1].strip()
        raise bad_file(path, "not a complete MetaImage file", reason, "Copy it again, with its pixel file.") from error
    return sitk.GetArrayFromImage(image), image.GetNumberOfComponentsPerPixel()


def _read_header(path: Path) -> dict[str, str]:
    with path.open("rb") as file:
        text = file.read(HEADER_BYTES).decode("latin-1")
    header: dict[str, str] = {}
    for line in text.splitlines():
        key, equals, value = line.partition("=")
        if not equals:
            break
        header[key.strip()] = value.strip()
        if key.strip() == "ElementDataFile":
            break
    missing = [key for key in ("DimSize", "ElementType", "ElementDataFile") if not header.get(key)]
    if missing:
        received = f"no {', '.join(missing)}"
        raise bad_file(path, "not a MetaImage header", received, "Copy or convert the file again.")
    return header


def _require_pixels(path: Path, header: dict[str, str], pixels: int) -> None:
    """ITK reports a missing or short pixel file in many lines of its own; this is the one line."""
    file = path if header["ElementDataFile"] == "LOCAL" else path.parent / header["ElementDataFile"]
    require_file(file)
    kind = header["ElementType"]
    if kind not in ELEMENT_BYTES:
        raise bad_file(path, "unknown `ElementType`", kind, f"Known: {', '.join(ELEMENT_BYTES)}.")
    needed = pixels * ELEMENT_BYTES[kind]
    if header.get("CompressedData", "False").lower() != "true" and file.stat().st_size < needed:
        received = f"{file.stat().st_size} bytes, {needed} needed"
        raise bad_file(file, "the pixel file is truncated", received, "Copy it again.")


def _numbers(path: Path, header: dict[str, str], key: str, kind: Callable[[str], Number]) -> list[Number]:
    try:
        return [kind(value) for value in header[key].split()]
    except ValueError:
        raise bad_file(path, f"`{key}` must be numbers", header[key], "Correct the header.") from None
