"""Writes LabelMe files as LabelMe 5 does, for the tests."""

import base64
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from tests.data_pipeline.camus_files import speckle

SIZE = (20, 14)

LV = [[4, 4], [8, 4], [8, 10], [4, 10]]
"""Rows 4..9 and columns 4..7."""
LA = [[4, 10], [8, 10], [8, 15], [4, 15]]
"""Rows 10..14 below it."""
LEAFLET = [[4, 9], [8, 9], [8, 11], [4, 11]]
"""Rows 9 and 10, over both."""


def shape(label: str, points: Sequence[Sequence[float]], kind: str = "polygon", **more: object) -> dict[str, Any]:
    """One shape."""
    return {
        "label": label,
        "points": [list(point) for point in points],
        "group_id": None,
        "description": "",
        "shape_type": kind,
        "flags": {},
        "mask": None,
    } | more


def heart() -> list[dict[str, Any]]:
    """LV on LA and a leaflet between them."""
    return [shape("LV", LV), shape("LA", LA), shape("MV", LEAFLET)]


def png(array: np.ndarray) -> str:
    """A picture as base64 text."""
    return base64.b64encode(cv2.imencode(".png", array)[1].tobytes()).decode()


def write_labelme(
    path: Path,
    shapes: Sequence[dict[str, Any]] | None = None,
    *,
    image: np.ndarray | None = None,
    suffix: str = ".png",
    embedded: bool = False,
    **changes: object,
) -> Path:
    """A LabelMe file at `path` with its picture, noise that is the path's own, beside it or inside it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = speckle(path, shape=SIZE) if image is None else image
    if not embedded:
        path.with_suffix(suffix).write_bytes(cv2.imencode(suffix, image)[1].tobytes())
    document = {
        "version": "5.5.0",
        "flags": {},
        "shapes": heart() if shapes is None else shapes,
        "imagePath": path.with_suffix(suffix).name,
        "imageData": png(image) if embedded else None,
        "imageHeight": image.shape[0],
        "imageWidth": image.shape[1],
    } | changes
    path.write_text(json.dumps(document, ensure_ascii=False, indent=2), encoding="utf-8")
    return path
