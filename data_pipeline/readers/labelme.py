"""LabelMe 5 files: the shapes that were drawn on a picture, and the picture, beside the file or inside it.

There is no reader of this format without a window system: the `labelme` package needs Qt. The format is small and
written down in its own source (label_file.py, utils/shape.py), which is followed here but for the pixels of a shape:
LabelMe's export paints every pixel that an outline touches, so two neighbours overlap by a pixel and thin leaflets grow
by one; here a pixel belongs to a shape where its centre does.

Coordinates are (x, y) on the picture as shown, pixel edges at integers: the first pixel's centre is (0.5, 0.5).
"""

import base64
import binascii
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PureWindowsPath
from typing import Any

import numpy as np
import numpy.typing as npt

from data_pipeline.raster import fill_polygon
from data_pipeline.readers.frame import bad_file
from data_pipeline.readers.image import Image2D, image_of, read_image
from data_pipeline.readers.png import decode_picture
from shell.files import read_json

Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]

MAGIC: Mapping[bytes, str] = {
    b"\x89PNG": ".png",
    b"\xff\xd8\xff": ".jpg",
    b"BM": ".bmp",
    b"II*\x00": ".tif",
    b"MM\x00*": ".tif",
}
"""First bytes of an embedded picture → the kind of file it is."""

FAR = 1e9  # no picture's coordinates; NaN is not below it either
LINES = ("point", "points", "line", "linestrip")


@dataclass(frozen=True, eq=False)
class Shape:
    """One shape.

    Attributes:
        label: the name given to it.
        kind: LabelMe's `shape_type`.
        points: (N, 2) (x, y), pixel edges at integers.
        mask: base64 of a picture, of a `mask` only.
        number: place in the file, from 1.
    """

    label: str
    kind: str
    points: Floats
    mask: str | None
    number: int

    def __str__(self) -> str:
        return f"shape {self.number} ({self.label}, {self.kind})"


@dataclass(frozen=True, eq=False)
class LabelmeFile:
    """What a LabelMe file says.

    Attributes:
        path: the file.
        shapes: in the file's order, in which they were drawn.
        image_path: where its picture lies; the file itself where the picture is inside it.
        embedded: base64 of the picture, or None.
        size: (height, width) that the file states of its picture, or None.
        flags: names of the flags that are set for the whole picture.
    """

    path: Path
    shapes: tuple[Shape, ...]
    image_path: Path
    embedded: str | None
    size: tuple[int, int] | None
    flags: tuple[str, ...]

    def image(self) -> Image2D:
        """The picture as grey levels: the embedded one where there is one, as LabelMe shows it.

        Raises:
            UserError: it is missing, cannot be read, or is not of the stated size.
        """
        if self.embedded is None:
            image = read_image(self.image_path)
        else:
            content = _decoded(self.path, self.embedded, "imageData")
            suffix = next((suffix for magic, suffix in MAGIC.items() if content.startswith(magic)), "")
            image = image_of(self.path, decode_picture(self.path, content, suffix))
        found = image.array.shape
        if self.size is not None and found != self.size:
            raise bad_file(
                self.path,
                f"the picture is {self.size[0]} × {self.size[1]} pixels, as `imageHeight` and `imageWidth` say",
                f"{found[0]} × {found[1]} in {self.image_path.name}",
                "Its shapes may be on another grid: restore the picture that was labelled.",
            )
        return image


def read_labelme(path: Path) -> LabelmeFile:
    """Reads a LabelMe file; its picture is not decoded.

    Raises:
        UserError: not JSON, not a LabelMe file, or a shape without label or points.
    """
    document = read_json(path)
    if not isinstance(document, dict) or not isinstance(document.get("shapes"), list):
        raise bad_file(
            path, "a LabelMe file has a list of `shapes`", _kind(document), "Move other files out of the data set."
        )
    embedded = document.get("imageData") or None
    if embedded is not None and not isinstance(embedded, str):
        raise bad_file(path, "`imageData` is base64 text or null", _kind(embedded), "Save the file again in LabelMe.")
    picture = document.get("imagePath")
    if embedded is None and (not isinstance(picture, str) or not picture):
        raise bad_file(path, "`imagePath` names the picture", repr(picture), "Save the file again in LabelMe.")
    flags = document.get("flags") or {}
    if not isinstance(flags, dict):
        raise bad_file(path, "`flags` are names that are true or false", _kind(flags), "Save the file again.")
    return LabelmeFile(
        path=path,
        shapes=tuple(_shape(path, number, values) for number, values in enumerate(document["shapes"], 1)),
        image_path=path if embedded is not None else _beside(path, str(picture)),
        embedded=embedded,
        size=_size(path, document),
        flags=tuple(str(name) for name, is_set in flags.items() if is_set is True),
    )


def shape_mask(path: Path, shape: Shape, size: tuple[int, int]) -> Bools:
    """The pixels whose centre lies in a shape; what reaches beyond the picture is cut off.

    Args:
        path: of the file, for messages.
        shape: the shape; of a self-intersecting outline the parts that are enclosed an odd number of times.
        size: (H, W) of the picture.

    Returns:
        (H, W) bool.

    Raises:
        UserError: a point or a line, which has no area; an unknown kind; too few or too many points; a damaged mask.
    """
    if shape.kind in LINES:
        raise bad_file(
            path,
            f"{shape} has no area, so it labels no pixels",
            f"a {shape.kind}",
            "Draw it as a polygon, or map its label to ignore.",
        )
    if shape.kind not in AREAS:
        raise bad_file(path, f"{shape}: unknown kind of shape", shape.kind, f"Known: {', '.join(AREAS)}.")
    return AREAS[shape.kind](path, shape, size)


def _polygon(path: Path, shape: Shape, size: tuple[int, int]) -> Bools:
    if len(shape.points) < 3:
        raise bad_file(path, f"{shape} needs at least 3 points", len(shape.points), "Remove it or draw it again.")
    return fill_polygon(size, shape.points[:, ::-1] - 0.5)


def _rectangle(path: Path, shape: Shape, size: tuple[int, int]) -> Bools:
    """Two opposite corners; other programs write all four."""
    if len(shape.points) == 4:
        return _polygon(path, shape, size)
    _require_two(path, shape)
    (x_min, y_min), (x_max, y_max) = shape.points.min(axis=0), shape.points.max(axis=0)
    y, x = _centres(size)
    return (y >= y_min) & (y < y_max) & (x >= x_min) & (x < x_max)


def _circle(path: Path, shape: Shape, size: tuple[int, int]) -> Bools:
    """Centre and a point of the rim."""
    _require_two(path, shape)
    (centre_x, centre_y), rim = shape.points[0], shape.points[1]
    y, x = _centres(size)
    return (x - centre_x) ** 2 + (y - centre_y) ** 2 <= math.dist(shape.points[0], rim) ** 2


def _mask(path: Path, shape: Shape, size: tuple[int, int]) -> Bools:
    """A small picture and its bounding box: the first corner's pixel is the picture's first."""
    _require_two(path, shape)
    if not shape.mask:
        raise bad_file(path, f"{shape} needs its `mask`", "none", "Remove it or draw it again.")
    content = _decoded(path, shape.mask, f"the mask of {shape}")
    patch = decode_picture(path, content, ".png").array != 0
    patch = patch if patch.ndim == 2 else patch.any(axis=-1)
    left, top = (int(value) for value in np.rint(shape.points.min(axis=0)))
    right, bottom = (int(value) for value in np.rint(shape.points.max(axis=0)))
    height, width = patch.shape
    # LabelMe's versions do not agree on whether the second corner is the last pixel or the one behind it
    if height - (bottom - top) not in (0, 1) or width - (right - left) not in (0, 1):
        raise bad_file(
            path,
            f"{shape}: a mask fills its bounding box, {bottom - top + 1} × {right - left + 1} pixels",
            f"{height} × {width}",
            "Remove it or draw it again.",
        )
    mask = np.zeros(size, np.bool_)
    rows, cols = slice(max(top, 0), max(top + height, 0)), slice(max(left, 0), max(left + width, 0))
    inside = mask[rows, cols]
    inside[:] = patch[rows.start - top :, cols.start - left :][: inside.shape[0], : inside.shape[1]]
    return mask


AREAS: Mapping[str, Callable[[Path, Shape, tuple[int, int]], Bools]] = {
    "polygon": _polygon,
    "rectangle": _rectangle,
    "oriented_rectangle": _polygon,
    "circle": _circle,
    "mask": _mask,
}
"""`shape_type` → its pixels."""


def _shape(path: Path, number: int, values: object) -> Shape:
    mend = "Save the file again in LabelMe."
    if not isinstance(values, dict):
        raise bad_file(path, f"shape {number} has a label and points", _kind(values), mend)
    label, kind, mask = values.get("label"), values.get("shape_type") or "polygon", values.get("mask")
    if not isinstance(label, str) or not label.strip():
        raise bad_file(path, f"shape {number} has a label", repr(label), "Give it one in LabelMe.")
    if not isinstance(kind, str) or not (mask is None or isinstance(mask, str)):
        raise bad_file(path, f"shape {number} ({label}): `shape_type` and `mask` are text", f"{kind!r}", mend)
    points = values.get("points")
    if not _are_points(points):
        raise bad_file(path, f"shape {number} ({label}) has points [x, y], finite numbers", _short(points), mend)
    return Shape(label.strip(), kind, np.array(points, np.float64).reshape(-1, 2), mask, number)


def _are_points(points: object) -> bool:
    if not isinstance(points, Sequence) or isinstance(points, str) or not points:
        return False
    return all(
        isinstance(point, Sequence)
        and len(point) == 2
        and all(isinstance(value, int | float) and abs(value) < FAR for value in point)
        for point in points
    )


def _size(path: Path, document: Mapping[str, Any]) -> tuple[int, int] | None:
    size = document.get("imageHeight"), document.get("imageWidth")
    if size == (None, None):
        return None
    height, width = size
    if not (isinstance(height, int) and isinstance(width, int) and height > 0 and width > 0):
        raise bad_file(path, "`imageHeight` and `imageWidth` are whole numbers of pixels", size, "Save the file again.")
    return height, width


def _beside(path: Path, name: str) -> Path:
    """The picture: where the file says, else by its name beside the file, as after a move to another machine."""
    stated = path.parent / PureWindowsPath(name).as_posix()
    beside = path.with_name(PureWindowsPath(name).name)
    return beside if not stated.exists() and beside.exists() else stated


def _decoded(path: Path, text: str, what: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise bad_file(path, f"{what} is base64 text", error, "Save the file again in LabelMe.") from error


def _require_two(path: Path, shape: Shape) -> None:
    if len(shape.points) != 2:
        raise bad_file(path, f"{shape} needs 2 points", len(shape.points), "Remove it or draw it again.")


def _centres(size: tuple[int, int]) -> tuple[Floats, Floats]:
    """Of the pixels: y (H, 1) and x (1, W)."""
    return np.arange(0.5, size[0])[:, None], np.arange(0.5, size[1])[None, :]


def _kind(value: object) -> str:
    keys = f" with {_short(sorted(map(str, value)))}" if isinstance(value, dict) else ""
    return f"{type(value).__name__}{keys}"


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}…"
