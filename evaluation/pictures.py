"""A small grey picture of each frame and the outlines that go over it, for the report to draw when a case is opened.

An entry of `cases/cases.json` is what `case_entry` returns:

- `case`, `file` (WebP beside, None where there is no frame to show), `height`, `width` (native pixels), `spacing_mm`
  ([row, col] or None);
- `reference`, `prediction`: {structure: outline}; an outline is SVG path data in quarters of a native pixel, x to the
  right and y down from the corner of the first pixel, so that a pixel's centre (row, col) is at x = 4 col + 2,
  y = 4 row + 2. Relative moves: a list of points would be four times as long in the file and forty in memory;
- `contact_line`: the same, open; or None;
- `hinge_points`, `reference_hinge_points`: {`amvl`: [row, col], `pmvl`: [row, col]} (pixel centres) or None;
- `box`, `reference_box`: [row_min, row_max, col_min, col_max] (pixel edges) or None.
"""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image
from scipy.ndimage import gaussian_filter1d

from cart.measure import Box
from data_pipeline.sample import Sample, Structure
from evaluation.predictions import Prediction
from postprocessing.hinge_points import HingePoints
from postprocessing.measurement import FrameMeasurement
from shell.files import atomic_path

LONGER_SIDE_PX = 416
WEBP_QUALITY, WEBP_EFFORT = 45, 2
"""About 7 kB and 4 ms for an ultrasound frame; full effort (6) saves a sixth and takes five times as long."""
WHITEST_PERCENTILE = 99.8
PER_PIXEL = 4
"""Steps of an outline within one native pixel."""
FINER = 3
SMOOTHING_PX, TOLERANCE_PX = 0.25, 0.25
"""Along the outline; they take the staircase off. The outline drawn stays within 0.3 px of the mask's on 99 % of its
length, and within half a pixel everywhere."""


def case_entry(
    sample: Sample,
    prediction: Prediction,
    reference: FrameMeasurement | None,
    folder: Path,
    *,
    structures: Sequence[Structure],
    reference_box: Box | None = None,
) -> dict[str, Any]:
    """Writes `folder/CASE.webp` and returns the case's entry of cases.json.

    Args:
        sample: the frame, and its reference labels where it has any.
        prediction: on the sample's native grid.
        reference: the reference labels measured, for their hinge points; None where there is nothing to compare with.
        folder: of the pictures; made if needed.
        structures: what the network has classes for; nothing of the reference is drawn that it was not asked to find.
        reference_box: what a network that locates should have found, or None.

    Returns:
        Plain JSON values; see the module.

    Raises:
        ValueError: the prediction's grid is not the sample's.
    """
    height, width = sample.image.shape
    if prediction.label_map.shape != sample.image.shape:
        raise ValueError(
            f"`prediction` must be on the sample's native grid {sample.image.shape}. "
            f"Received: {prediction.label_map.shape} for {sample.case_id}"
        )
    file = f"{sample.case_id}.webp"
    content = io.BytesIO()
    Image.fromarray(grey_picture(sample.image)).save(content, "WEBP", quality=WEBP_QUALITY, method=WEBP_EFFORT)
    with atomic_path(folder / file) as temporary:
        temporary.write_bytes(content.getbuffer())
    line = prediction.contact_line
    return {
        "case": sample.case_id,
        "file": file,
        "height": height,
        "width": width,
        "spacing_mm": None if sample.spacing_mm is None else [float(pitch) for pitch in sample.spacing_mm],
        "reference": {} if sample.labels is None else outlines(sample.labels, structures),
        "prediction": outlines(prediction.label_map, structures),
        "contact_line": None if line is None or len(line) < 2 else _path(_steps(line), closed=False),
        "hinge_points": _points(prediction.hinge_points),
        "reference_hinge_points": _points(None if reference is None else reference.hinge_points),
        "box": _edges(prediction.box),
        "reference_box": _edges(reference_box),
    }


def grey_picture(image: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    """The frame with at most 416 pixels on its longer side, stretched from its minimum to its 99.8th percentile.

    Args:
        image: (H, W) grey levels of any range; what is not finite is black.

    Returns:
        (h, w) uint8, the same shares of height and width as `image` up to a pixel.
    """
    grey = np.nan_to_num(image.astype(np.float32), nan=0.0, posinf=0.0, neginf=0.0)
    zoom = min(1.0, LONGER_SIDE_PX / max(grey.shape))
    size = (max(1, round(grey.shape[1] * zoom)), max(1, round(grey.shape[0] * zoom)))
    grey = cv2.resize(grey, size, interpolation=cv2.INTER_AREA)
    low, high = float(grey.min()), float(np.percentile(grey, WHITEST_PERCENTILE))
    if high <= low:
        high = max(float(grey.max()), low + 1.0)
    return (np.clip((grey - low) / (high - low), 0.0, 1.0) * 255.0 + 0.5).astype(np.uint8)


def outlines(labels: npt.NDArray[np.uint8], structures: Sequence[Structure]) -> dict[str, str]:
    """The outline of each structure that is there, by name: path data as the module describes.

    Args:
        labels: (H, W) `Structure` codes.
        structures: which to outline.
    """
    found: dict[str, str] = {}
    for structure in structures:
        if structure is not Structure.BACKGROUND and (path := _outline((labels == structure).view(np.uint8))):
            found[structure.name] = path
    return found


def _outline(mask: npt.NDArray[np.uint8]) -> str:
    """Path data around the mask, holes too; empty where nothing is set.

    The outline is where the mask, interpolated linearly, is one half: between the pixels and not through the centres
    of the outermost, so that neighbours share their border and one pixel has an outline as well.
    """
    left, top, width, height = cv2.boundingRect(mask)
    if width == 0:
        return ""
    cut = cv2.copyMakeBorder(mask[top : top + height, left : left + width], 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=0)
    finer = cv2.resize(cut * np.uint8(255), None, fx=FINER, fy=FINER, interpolation=cv2.INTER_LINEAR)
    contours, _ = cv2.findContours(
        cv2.threshold(finer, 127, 1, cv2.THRESH_BINARY)[1], cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE
    )
    parts: list[str] = []
    for contour in contours:
        points = contour[:, 0].astype(np.float32)
        if len(points) > 2:
            # findContours runs through the outermost set pixels, the mask to its left: half a step outwards is their
            # border.
            tangent = np.roll(points, -2, axis=0) - np.roll(points, 2, axis=0)
            outwards = np.stack([-tangent[:, 1], tangent[:, 0]], axis=1)
            points += 0.5 * outwards / np.maximum(np.hypot(tangent[:, 0], tangent[:, 1]), 1e-6)[:, np.newaxis]
        points = gaussian_filter1d(points, SMOOTHING_PX * FINER, axis=0, mode="wrap").astype(np.float32)
        kept = cv2.approxPolyDP(points[:, np.newaxis], TOLERANCE_PX * FINER, closed=True)[:, 0]
        # Centres of the finer pixels → corner of the first native one, which lies one native pixel further in.
        corners = (kept + 0.5) / FINER - 1.0 + np.array([left, top], np.float32)
        parts.append(_path(np.rint(corners * PER_PIXEL).astype(int), closed=True))
    return "".join(parts)


def _steps(points: npt.NDArray[np.float64]) -> npt.NDArray[np.int_]:
    """(N, 2) pixel centres (row, col) → (N, 2) quarters of a pixel (x, y) from the corner."""
    return np.rint((points[:, ::-1] + 0.5) * PER_PIXEL).astype(int)


def _path(points: npt.NDArray[np.int_], *, closed: bool) -> str:
    """`M12 40l3-1 2 0z` through (N, 2) whole (x, y)."""
    moves = np.diff(points, axis=0)
    moves = moves[np.any(moves != 0, axis=1)]
    start = f"M{points[0, 0]} {points[0, 1]}"
    rest = " ".join(map(str, moves.ravel().tolist())).replace(" -", "-")
    return start + (f"l{rest}" if rest else "h0") + ("z" if closed else "")


def _points(points: HingePoints | None) -> dict[str, list[float]] | None:
    if points is None:
        return None
    return {
        "amvl": [round(float(value), 2) for value in points.amvl],
        "pmvl": [round(float(value), 2) for value in points.pmvl],
    }


def _edges(box: Box | None) -> list[float] | None:
    return None if box is None else [round(float(edge), 2) for edge in box]
