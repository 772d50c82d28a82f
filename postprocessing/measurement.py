"""One frame from probabilities (or a reference mask) to hinge points and annulus diameter. A pure function."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
import numpy.typing as npt

from postprocessing.annulus import annulus_diameter_mm, annulus_diameter_px, check_spacing
from postprocessing.cleanup import label_map_of, largest_components
from postprocessing.codes import LA, LV
from postprocessing.contact_line import ContactLine, ContactLineNotFound, pixel_contact_line, subpixel_contact_line
from postprocessing.hinge_points import HingePoints, find_hinge_points

Status = Literal["ok", "no_contact_line"]

FLAGS = {
    "lv_missing": "no pixel is LV",
    "la_missing": "no pixel is LA",
    "several_contact_segments": "the contact line is broken, or LV and LA touch in several places",
    "one_pixel_contact": "LV and LA touch at one pixel only",
    "la_cut_by_sector": "LA reaches the edge of the image or of the ultrasound sector",
    "lv_cut_by_sector": "LV reaches the edge of the image or of the ultrasound sector",
    "fragments_removed": "pixels of LV or LA away from the largest component were left out",
    "pixel_line_used": "the probabilities have no sub-pixel contact line, so the label map's was taken",
}
"""Every flag that a measurement can carry, and what it says."""


@dataclass(frozen=True, eq=False)
class FrameMeasurement:
    """What was measured on one frame.

    Attributes:
        label_map: (H, W) uint8 structure codes, native grid.
        contact_line: None where there is none.
        hinge_points: None where there is no contact line.
        annulus_diameter: in `unit`; None where there is no contact line.
        unit: `mm`, or `px` where the pixel pitch is unknown.
        status: `ok` or `no_contact_line`.
        flags: keys of `FLAGS`, in its order.
    """

    label_map: npt.NDArray[np.uint8]
    contact_line: ContactLine | None
    hinge_points: HingePoints | None
    annulus_diameter: float | None
    unit: Literal["mm", "px"]
    status: Status
    flags: tuple[str, ...]


def measure_frame(
    probabilities: npt.NDArray[np.floating],
    *,
    structures: Sequence[int],
    spacing_mm: tuple[float, float] | None,
    anterior_side: str,
    method: str = "subpixel",
    largest_component: bool = True,
    image: npt.NDArray[np.floating] | None = None,
) -> FrameMeasurement:
    """Hinge points and annulus diameter from a network's probabilities.

    Args:
        probabilities: (H, W, C) on the image's own grid.
        structures: the structure code of each channel.
        spacing_mm: (row, col) pixel pitch, or None where unknown: then the diameter is in px.
        anterior_side: `left` or `right`: where the anterior leaflet hangs.
        method: `subpixel` (on the probabilities) or `pixel` (the paper's, on the label map).
        largest_component: keep only the largest component of each structure.
        image: (H, W) the frame's intensities, to tell where the ultrasound sector ends.

    Returns:
        The measurement; a frame without contact line has status `no_contact_line`, it is no error.

    Raises:
        ValueError: wrong shapes, probabilities that are not finite, a bad spacing, an unknown side or method.

    Source: hinge_points paper §3.3. Deviation: sub-pixel by default.
    """
    if probabilities.ndim != 3 or probabilities.shape[2] != len(structures):
        raise ValueError(
            f"`probabilities` must be (H, W, {len(structures)}), one channel for each of `structures`. "
            f"Received shape: {probabilities.shape}"
        )
    if method not in ("subpixel", "pixel"):
        raise ValueError(f"`method` must be subpixel or pixel. Received: {method!r}")
    if not np.isfinite(probabilities).all():
        raise ValueError("`probabilities` must be finite. Received: NaN or infinity")
    planes = np.ascontiguousarray(np.moveaxis(probabilities, -1, 0))
    raw_map = label_map_of(planes, structures)
    label_map = largest_components(raw_map, structures) if largest_component else raw_map
    flags: list[str] = []
    if label_map is not raw_map and np.any((label_map != raw_map) & ((raw_map == LV) | (raw_map == LA))):
        flags.append("fragments_removed")
    line: ContactLine | None = None
    if method == "subpixel" and LV in structures and LA in structures:
        try:
            line = subpixel_contact_line(
                np.moveaxis(planes, 0, -1),
                list(structures).index(LV),
                list(structures).index(LA),
                lv_mask=label_map == LV,
                la_mask=label_map == LA,
            )
        except ContactLineNotFound:
            line = None
    if line is None:
        line = _pixel_line(label_map)
        if line is not None and method == "subpixel":
            flags.append("pixel_line_used")
    return _measurement(label_map, line, flags, spacing_mm, anterior_side, image)


def measure_labels(
    label_map: npt.NDArray[np.uint8],
    *,
    spacing_mm: tuple[float, float] | None,
    anterior_side: str,
    image: npt.NDArray[np.floating] | None = None,
) -> FrameMeasurement:
    """Hinge points and annulus diameter of a mask, as the references are measured.

    Args:
        label_map: (H, W) uint8 structure codes.
        spacing_mm: (row, col) pixel pitch, or None where unknown: then the diameter is in px.
        anterior_side: `left` or `right`: where the anterior leaflet hangs.
        image: (H, W) the frame's intensities, to tell where the ultrasound sector ends.

    Returns:
        The measurement by the pixel contact line; nothing is cleaned, a reference is taken as it is.

    Raises:
        ValueError: wrong shape, a bad spacing or an unknown side.

    Source: hinge_points paper §3.3. Deviation: none.
    """
    if label_map.ndim != 2:
        raise ValueError(f"`label_map` must be (H, W). Received shape: {label_map.shape}")
    return _measurement(label_map, _pixel_line(label_map), [], spacing_mm, anterior_side, image)


def _pixel_line(label_map: npt.NDArray[np.uint8]) -> ContactLine | None:
    try:
        return pixel_contact_line(label_map)
    except ContactLineNotFound:
        return None


def _measurement(
    label_map: npt.NDArray[np.uint8],
    line: ContactLine | None,
    flags: list[str],
    spacing_mm: tuple[float, float] | None,
    anterior_side: str,
    image: npt.NDArray[np.floating] | None,
) -> FrameMeasurement:
    if anterior_side not in ("left", "right"):
        raise ValueError(f"`anterior_side` must be left or right. Received: {anterior_side!r}")
    if spacing_mm is not None:
        check_spacing(spacing_mm)
    if image is not None and image.shape != label_map.shape:
        raise ValueError(f"`image` must have the label map's shape {label_map.shape}. Received: {image.shape}")
    for structure, name in ((LV, "lv"), (LA, "la")):
        mask = label_map == structure
        if not mask.any():
            flags.append(f"{name}_missing")
        elif _is_cut(mask, image):
            flags.append(f"{name}_cut_by_sector")
    if line is not None and line.segments > 1:
        flags.append("several_contact_segments")
    if line is not None and line.one_pixel:
        flags.append("one_pixel_contact")
    points = None if line is None else find_hinge_points(line, anterior_side)
    diameter = None
    if points is not None:
        diameter = annulus_diameter_px(points) if spacing_mm is None else annulus_diameter_mm(points, spacing_mm)
    return FrameMeasurement(
        label_map=label_map,
        contact_line=line,
        hinge_points=points,
        annulus_diameter=diameter,
        unit="px" if spacing_mm is None else "mm",
        status="no_contact_line" if line is None else "ok",
        flags=tuple(flag for flag in FLAGS if flag in flags),
    )


def _is_cut(mask: npt.NDArray[np.bool_], image: npt.NDArray[np.floating] | None) -> bool:
    if mask[0].any() or mask[-1].any() or mask[:, 0].any() or mask[:, -1].any():
        return True
    if image is None:
        return False
    bright = (image > image.min()).astype(np.uint8)
    outline = cv2.convexHull(cv2.findNonZero(bright)) if bright.any() else None
    if outline is None:
        return False
    sector = cv2.fillConvexPoly(np.zeros(mask.shape, dtype=np.uint8), outline, 1)
    return bool((mask & (cv2.erode(sector, np.ones((5, 5), dtype=np.uint8)) == 0)).any())
