"""MetaImage frames (.mhd with its .raw or .zraw, .mha): the older CAMUS release."""

from pathlib import Path

import SimpleITK as sitk  # noqa: N813  # the library's own abbreviation

from data_pipeline.readers.frame import RawFrame, bad_file, checked_shape, checked_spacing, require_file
from shell.errors import UserError

HEADER_BYTES = 65536  # the text before the pixels of an .mha


def read_metaimage(path: Path) -> RawFrame:
    """One frame; a leading axis of 1, as in (1, 778, 549), is dropped.

    A header without `ElementSpacing` (or `ElementSize`) gives an unknown pitch, where ITK would assume 1 mm.

    Raises:
        UserError: not a readable MetaImage file, its pixel file missing or too short, not one 2-D frame, or a pitch
            that is not positive.
    """
    require_file(path)
    header = _read_header(path)
    sizes = [int(value) for value in _numbers(path, header, "DimSize")]
    while len(sizes) > 2 and sizes[-1] == 1:
        sizes = sizes[:-1]
    rows, columns = checked_shape(path, sizes[::-1])
    key = next((key for key in ("ElementSpacing", "ElementSize") if key in header), None)
    spacing_mm = None
    if key is not None:
        col, row = [*_numbers(path, header, key), float("nan"), float("nan")][:2]
        spacing_mm = checked_spacing(path, (row, col))
    pixel_file = header["ElementDataFile"]
    if pixel_file != "LOCAL":
        require_file(path.parent / pixel_file)
    try:
        image = sitk.ReadImage(str(path))
    except RuntimeError as error:
        reason = [line for line in str(error).splitlines() if line.strip()][-1].strip()
        raise bad_file(path, "not a complete MetaImage file", reason, "Copy it again, with its pixel file.") from error
    array = sitk.GetArrayFromImage(image)
    channels = image.GetNumberOfComponentsPerPixel()
    if channels not in (1, 3):
        raise bad_file(path, "a pixel has 1 or 3 channels", f"{channels} channels", "Convert the file to grey.")
    return RawFrame(array.reshape((rows, columns) if channels == 1 else (rows, columns, 3)), spacing_mm)


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


def _numbers(path: Path, header: dict[str, str], key: str) -> list[float]:
    try:
        return [float(value) for value in header[key].split()]
    except ValueError:
        raise UserError(f"{path}: `{key}` must hold numbers. Received: {header[key]}. Mend the header.") from None
