"""Ordinary pictures (PNG, JPEG, BMP, TIFF): no pixel pitch."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np

from data_pipeline.readers.frame import RawFrame, bad_file, checked_shape

JPEG_SUFFIXES = (".jpg", ".jpeg")
ORIENTED = cv2.IMREAD_ANYCOLOR | cv2.IMREAD_ANYDEPTH  # as it is, but turned as its EXIF data say
PNG_END = b"IEND\xaeB`\x82"


def read_picture(path: Path) -> RawFrame:
    """One picture, grey or red-green-blue, 8 or 16 bits or float; transparency is dropped, the pitch is unknown.

    A JPEG's EXIF orientation is applied, as every viewer and annotation tool does.

    Raises:
        UserError: not a readable picture, truncated, or several pages.
    """
    suffix = path.suffix.lower()
    pages = _pages(path) if suffix in (".tif", ".tiff") else 1
    if pages > 1:
        raise bad_file(path, "one 2-D frame is needed", f"{pages} pages", "Save one page of it.")
    return decode_picture(path, path.read_bytes(), suffix)


def decode_picture(path: Path, content: bytes, suffix: str) -> RawFrame:
    """The picture in `content`, a file of the kind that `suffix` names; `path` is for messages.

    Raises:
        UserError: as `read_picture`.
    """
    jpeg = suffix in JPEG_SUFFIXES
    # OpenCV fills what is missing of a truncated picture with grey or black and only warns.
    cut_png = suffix == ".png" and PNG_END not in content
    if cut_png or (jpeg and content.rfind(b"\xff\xd9") <= content.rfind(b"\xff\xda")):
        raise bad_file(path, "the picture is truncated or of another format", "no end mark", "Copy it again.")
    try:
        with quiet():
            array = cv2.imdecode(np.frombuffer(content, np.uint8), ORIENTED if jpeg else cv2.IMREAD_UNCHANGED)
    except cv2.error as error:
        raise bad_file(path, "not a readable picture", error.err, "Save it again as PNG.") from error
    if array is None:
        raise bad_file(path, "not a readable picture", f"{len(content)} bytes", "Save it again as PNG.")
    checked_shape(path, array.shape[:2])
    if array.ndim == 3:
        array = array[..., 0] if array.shape[2] == 2 else array[..., 2::-1]
    return RawFrame(array, None)


def _pages(path: Path) -> int:
    try:
        with quiet():
            return cv2.imcount(str(path))
    except cv2.error as error:
        raise bad_file(path, "not a readable picture", error.err, "Save it again as PNG.") from error


@contextmanager
def quiet() -> Iterator[None]:
    """OpenCV says nothing of its own: our one line says it all."""
    level = cv2.utils.logging.getLogLevel()
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    try:
        yield
    finally:
        cv2.utils.logging.setLogLevel(level)
