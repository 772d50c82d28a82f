"""Ordinary pictures (PNG, JPEG, BMP, TIFF): no pixel pitch."""

from pathlib import Path

import cv2
import numpy as np

from data_pipeline.readers.frame import RawFrame, bad_file, checked_shape

JPEG_SUFFIXES = (".jpg", ".jpeg")
PNG_END = b"IEND\xaeB`\x82"


def read_picture(path: Path) -> RawFrame:
    """One picture, grey or red-green-blue, 8 or 16 bits or float; transparency is dropped, the pitch is unknown.

    Raises:
        UserError: not a readable picture, truncated, or several pages.
    """
    suffix = path.suffix.lower()
    content = path.read_bytes()
    # OpenCV fills what is missing of a truncated picture with grey or black and only warns.
    cut_png = suffix == ".png" and PNG_END not in content
    cut_jpeg = suffix in JPEG_SUFFIXES and content.rfind(b"\xff\xd9") <= content.rfind(b"\xff\xda")
    if cut_png or cut_jpeg:
        raise bad_file(path, "the picture is truncated or of another format", "no end mark", "Copy it again.")
    level = cv2.utils.logging.getLogLevel()
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)  # our one line says it all
    try:
        pages = cv2.imcount(str(path)) if suffix in (".tif", ".tiff") else 1
        array = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error as error:
        raise bad_file(path, "not a readable picture", error.err, "Save it again as PNG.") from error
    finally:
        cv2.utils.logging.setLogLevel(level)
    if pages > 1:
        raise bad_file(path, "one 2-D frame is needed", f"{pages} pages", "Save one page of it.")
    if array is None:
        raise bad_file(path, "not a readable picture", f"{len(content)} bytes", "Save it again as PNG.")
    checked_shape(path, array.shape[:2])
    if array.ndim == 3:
        array = array[..., 0] if array.shape[2] == 2 else array[..., 2::-1]
    return RawFrame(array, None)
