"""Figures as files beside a page and as pictures within it."""

from collections.abc import Mapping
from pathlib import Path

from reports.cells import Missing
from reports.drawing import Drawing, save
from reports.html import Picture, data_uri
from shell.files import atomic_folder


def write_pictures(folder: Path, drawings: Mapping[str, Drawing | Missing]) -> dict[str, Picture | Missing]:
    """Writes drawings as `KEY.png` into a folder, in the place of what was there, and gives them for the page.

    Args:
        folder: to write, whole or not at all.
        drawings: by key; what is missing stays missing.
    """
    pictures: dict[str, Picture | Missing] = {}
    with atomic_folder(folder) as temporary:
        for key, drawing in drawings.items():
            if isinstance(drawing, Missing):
                pictures[key] = drawing
                continue
            path = temporary / f"{key}.png"
            save(drawing, path)
            pictures[key] = _embedded(drawing, path)
    return pictures


def _embedded(drawing: Drawing, path: Path) -> Picture:
    """A drawing that was saved as PNG, as part of the page."""
    content = path.read_bytes()
    # Width and height are the first two big-endian words of a PNG's header chunk.
    width, height = (int.from_bytes(content[at : at + 4], "big") for at in (16, 20))
    return Picture(
        drawing.key, drawing.title + ".", drawing.caption, drawing.alt, data_uri("image/png", content), width, height
    )
