"""One frame from probabilities, or from a reference mask, to hinge points and annulus diameter."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
import numpy.typing as npt

from postprocessing.anatomy import ANATOMICAL_FLAGS, anatomical_flags
from postprocessing.annulus import annulus_diameter_mm, annulus_diameter_px, check_spacing
from postprocessing.cleanup import label_map_of, largest_components
from postprocessing.codes import LA, LV, MV, MYO
from postprocessing.contact_line import ContactLine, ContactLineNotFound, pixel_contact_line, subpixel_contact_line
from postprocessing.hinge_points import HingePoints, check_anterior_side, find_hinge_points
from postprocessing.quality import frame_quality
from postprocessing.sector import is_cut, sector_edge, sector_of
from postprocessing.valve import valve_as_blood

FLAGS: Mapping[str, str] = {
    "lv_missing": "no pixel is LV",
    "la_missing": "no pixel is LA",
    "fragments_removed": "LV or LA pixels away from the largest component were left out",
    "several_contact_segments": "the contact line is broken, or LV and LA touch in several places",
    "one_pixel_contact": "LV and LA touch at one pixel only",
    "lv_cut_by_sector": "LV reaches the edge of the image or of the ultrasound sector",
    "la_cut_by_sector": "LA reaches the edge of the image or of the ultrasound sector",
    "holes": "LV, LA or the epicardium has a hole",
    "lv_la_gap": "LV and LA are both there and do not touch",
    "hinge_points_outside_sector": "a hinge point lies outside the ultrasound sector",
    "annulus_outside_15_60_mm": "the annulus is narrower than 15 mm or wider than 60 mm",
}
"""What a measurement may carry as flags: it stands, but look at it. Flag → what it says."""


@dataclass(frozen=True, eq=False)
class FrameMeasurement:
    """What was measured on one frame.

    Attributes:
        label_map: (H, W) uint8 structure codes, native grid.
        contact_line: None where LV and LA do not touch.
        hinge_points: None where there is no contact line.
        annulus_diameter: in `unit`; None where there is no contact line.
        unit: `mm`, or `px` where the pixel pitch is unknown.
        status: `ok`; `no_contact_line`; `no_la_class` where LV or LA is not among the network's classes, so that hinge
            points are not its to find; `no_segmentation` where the network locates without outlining anything, and
            the label map is background because there is none.
        flags: keys of `FLAGS`, in its order.
        quality: what the network's probabilities say of the measurement: of `quality.FEATURES` those that this frame
            has, name → figure, lengths in `unit`; empty for a reference, and where nothing is measured.
    """

    label_map: npt.NDArray[np.uint8]
    contact_line: ContactLine | None
    hinge_points: HingePoints | None
    annulus_diameter: float | None
    unit: Literal["mm", "px"]
    status: Literal["ok", "no_contact_line", "no_la_class", "no_segmentation"]
    flags: tuple[str, ...]
    quality: Mapping[str, float] = field(default_factory=dict[str, float])


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
        anterior_side: `left` or `right`: where in the image the anterior leaflet hangs.
        method: `subpixel` (on the probabilities) or `pixel` (the paper's, on the label map).
        largest_component: keep only the largest component of each structure.
        image: (H, W) the frame's intensities, which tell where the ultrasound sector ends; without them only the
            image's own edge cuts.

    Returns:
        The measurement. A frame without a contact line is no error: its status is `no_contact_line`, or `no_la_class`
        where `structures` lack LV or LA.

    Raises:
        ValueError: wrong shapes, probabilities that are not finite, a bad spacing, an unknown side or method.

    Source: hinge_points paper §3.3. Deviation: sub-pixel by default; leaflets, where MV is a class, count as blood of
    the nearer cavity for the line, the flags and the components (see valve.py), and stay MV in the label map.
    """
    if probabilities.ndim != 3 or probabilities.shape[2] != len(structures):
        raise ValueError(
            f"`probabilities` must be (H, W, {len(structures)}), a channel for each of `structures`. "
            f"Received shape: {probabilities.shape}"
        )
    if method not in ("subpixel", "pixel"):
        raise ValueError(f"`method` must be subpixel or pixel. Received: {method!r}")
    likeliest = label_map_of(probabilities, structures)
    blood = valve_as_blood(likeliest)  # a closed leaflet parts a cavity: what lies behind it is no fragment
    cleaned = largest_components(blood, structures) if largest_component else blood
    label_map = _with_valve(cleaned, likeliest) if blood is not likeliest else cleaned
    lv_mask, la_mask = cleaned == LV, cleaned == LA
    flags: set[str] = set()
    if cleaned is not blood and (((likeliest == LV) & ~lv_mask).any() or ((likeliest == LA) & ~la_mask).any()):
        flags.add("fragments_removed")
    line = None
    if LV in structures and LA in structures:
        channels = list(structures)
        lv, la, mv = channels.index(LV), channels.index(LA), channels.index(MV) if MV in channels else None
        try:
            line = (
                pixel_contact_line(cleaned)
                if method == "pixel"
                else subpixel_contact_line(probabilities, lv, la, (lv_mask, la_mask), mv)
            )
        except ContactLineNotFound:
            line = None
    measured = _measurement(label_map, cleaned, structures, line, flags, spacing_mm, anterior_side, image)
    if measured.status == "no_la_class":
        return measured
    quality = frame_quality(
        probabilities,
        structures,
        cleaned,
        line=line,
        hinge_points=measured.hinge_points,
        anterior_side=anterior_side,
        spacing_mm=spacing_mm,
        anatomical_flags=sum(flag in ANATOMICAL_FLAGS for flag in measured.flags),
    )
    return replace(measured, quality=quality)


def measure_labels(
    label_map: npt.NDArray[np.uint8],
    *,
    spacing_mm: tuple[float, float] | None,
    anterior_side: str,
    image: npt.NDArray[np.floating] | None = None,
) -> FrameMeasurement:
    """Hinge points and annulus diameter of a mask: how references are measured.

    Args:
        label_map: (H, W) uint8 structure codes.
        spacing_mm: (row, col) pixel pitch, or None where unknown: then the diameter is in px.
        anterior_side: `left` or `right`: where in the image the anterior leaflet hangs.
        image: (H, W) the frame's intensities, as for `measure_frame`.

    Returns:
        The measurement by the pixel contact line. Nothing is cleaned: a reference is taken as it is. MV pixels count
        as blood of the nearer cavity (see valve.py) and stay MV in the label map.

    Raises:
        ValueError: wrong shape, a bad spacing or an unknown side.

    Source: hinge_points paper §3.3. Deviation: none.
    """
    blood = valve_as_blood(label_map)
    line = _pixel_line(blood)
    return _measurement(label_map, blood, (LV, MYO, LA), line, set(), spacing_mm, anterior_side, image)


def _with_valve(cleaned: npt.NDArray[np.uint8], likeliest: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """The leaflets put back where the cavity that they were given to was kept."""
    label_map = cleaned.copy()
    label_map[(likeliest == MV) & ((cleaned == LV) | (cleaned == LA))] = MV
    return label_map


def _pixel_line(label_map: npt.NDArray[np.uint8]) -> ContactLine | None:
    try:
        return pixel_contact_line(label_map)
    except ContactLineNotFound:
        return None


def _measurement(
    label_map: npt.NDArray[np.uint8],
    blood: npt.NDArray[np.uint8],
    structures: Sequence[int],
    line: ContactLine | None,
    flags: set[str],
    spacing_mm: tuple[float, float] | None,
    anterior_side: str,
    image: npt.NDArray[np.floating] | None,
) -> FrameMeasurement:
    check_anterior_side(anterior_side)
    if spacing_mm is not None:
        check_spacing(spacing_mm)
    if image is not None and image.shape != label_map.shape:
        raise ValueError(f"`image` must be {label_map.shape}, as the label map. Received shape: {image.shape}")
    sector = None if image is None else sector_of(image)
    edge = None if sector is None else sector_edge(sector)
    for name, code in (("lv", LV), ("la", LA)):
        if code not in structures:
            continue  # what a network has no class for is not missing
        mask = blood == code
        if not mask.any():
            flags.add(f"{name}_missing")
        elif is_cut(mask, edge):
            flags.add(f"{name}_cut_by_sector")
    points = diameter = None
    missing = "no_contact_line" if LV in structures and LA in structures else "no_la_class"
    if line is not None:
        if line.segments > 1:
            flags.add("several_contact_segments")
        if line.one_pixel:
            flags.add("one_pixel_contact")
        points = find_hinge_points(line, anterior_side)
        diameter = annulus_diameter_px(points) if spacing_mm is None else annulus_diameter_mm(points, spacing_mm)
    flags |= anatomical_flags(
        blood,
        structures=structures,
        hinge_points=points,
        annulus_diameter_mm=None if spacing_mm is None else diameter,
        sector=sector,
    )
    return FrameMeasurement(
        label_map=label_map,
        contact_line=line,
        hinge_points=points,
        annulus_diameter=diameter,
        unit="px" if spacing_mm is None else "mm",
        status=missing if line is None else "ok",
        flags=tuple(flag for flag in FLAGS if flag in flags),
    )
