"""Volumes of the left ventricle and the left atrium from one or two apical views, and the ejection fraction.

A chamber is looked at once per view (`ventricle_profile`, `atrium_profile`); every formula takes such profiles, so the
two views may differ in pixel pitch, tilt and length.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

import cv2
import numpy as np
import numpy.typing as npt

from postprocessing.annulus import check_spacing
from postprocessing.codes import LA, LV
from postprocessing.hinge_points import HingePoints
from postprocessing.valve import valve_as_blood

DISCS = 20
MM3_PER_ML = 1000.0


@dataclass(frozen=True, eq=False)
class ApicalView:
    """What a volume needs of one apical view.

    Attributes:
        label_map: (H, W) structure codes; leaflets (MV) count as blood of the nearer cavity.
        hinge_points: the ends of the mitral annulus, (row, col).
        spacing_mm: (row, col) pixel pitch; may be anisotropic, and differ between the views.
    """

    label_map: npt.NDArray[np.uint8]
    hinge_points: HingePoints
    spacing_mm: tuple[float, float]


@dataclass(frozen=True, eq=False)
class Profile:
    """One chamber in one apical view.

    Attributes:
        diameters_mm: (20,) of the discs, from the annulus on.
        length_mm: of the long axis.
        area_mm2: of the chamber.
    """

    diameters_mm: npt.NDArray[np.float64]
    length_mm: float
    area_mm2: float


def ventricle_profile(view: ApicalView) -> Profile:
    """The left ventricle's discs: its axis leads from the midpoint of the hinge points to the apex.

    The apex is the LV point furthest from that midpoint. A diameter is the length of LV on the perpendicular of the
    axis at the middle of the disc. Where the annulus does not stand square on the axis, one side of the ventricle ends
    above the midpoint's level and the other below it. What lies below is counted to the disc as far above, where the
    other side is lacking. Without that, a slant of 10° would cost 2.4 % of the volume on average (4.5 % at most),
    measured on ellipsoids; with it, it costs less than 1 %.

    Args:
        view: the view.

    Returns:
        The discs from base to apex, the axis's length and the area.

    Raises:
        ValueError: no LV, no axis, or a bad spacing.

    Source: ASE 2015 recommendations. Deviation: the slanted base; they do not say what becomes of it. Kim et al. 2022
    (Ultrasound in Medicine & Biology, doi:10.1016/j.ultrasmedbio.2022.07.013) measured the same error on 3-D models.
    """
    return _profile(view, LV, "LV", _to_the_furthest)


def atrium_profile(view: ApicalView) -> Profile:
    """The left atrium's discs: its axis leads from the midpoint of the hinge points through its middle to its roof.

    The middle is the atrium's centre of area, and the length reaches to the furthest LA point along the axis. An atrium
    may be wider than long, so the point furthest from the annulus can be a corner; the centre cannot. What lies beyond
    the midpoint on one side of a slanted annulus is counted as in `ventricle_profile`.

    Args:
        view: the view; an atrium that the sector cuts is measured as far as it is seen, which is too small.

    Returns:
        The discs from the annulus to the roof, the axis's length and the area.

    Raises:
        ValueError: no LA, no axis, or a bad spacing.

    Source: ASE 2015 recommendations (from the middle of the annulus to the roof). ASSUMED: through the centre; they
    leave the direction to the eye.
    """
    return _profile(view, LA, "LA", _through_the_centre)


def discs_ml(first: Profile, second: Profile) -> float:
    """Volume by the biplane method of discs; of one view where both are the same profile (circular discs).

    Args:
        first: the chamber in A4C (or A2C).
        second: in the other view, same phase.

    Returns:
        Volume in ml: 20 elliptic discs, each with one diameter from either view, along the longer of the two axes.

    Source: ASE 2015 recommendations. Deviation: none.
    """
    length_mm = max(first.length_mm, second.length_mm)
    discs_mm2 = math.pi / 4 * (first.diameters_mm * second.diameters_mm)
    return float(discs_mm2.sum() * length_mm / DISCS / MM3_PER_ML)


def area_length_ml(first: Profile, second: Profile) -> float:
    """Volume by the biplane area–length formula; of one view where both are the same profile.

    Exact for whole and for half ellipsoids; of one cut elsewhere it gives up to 3 % more than there is.

    Args:
        first: the chamber in A4C (or A2C).
        second: in the other view, same phase.

    Returns:
        Volume in ml: 8 / (3π) · A₁ · A₂ / L, with L the shorter of the two axes.

    Source: ASE 2015 recommendations, for the left atrium. Deviation: none.
    """
    length_mm = min(first.length_mm, second.length_mm)
    return 8 / (3 * math.pi) * (first.area_mm2 * second.area_mm2) / length_mm / MM3_PER_ML


def simpson_biplane_ml(first: ApicalView, second: ApicalView) -> float:
    """Left-ventricular volume from two apical views by the biplane method of discs (Simpson).

    Args:
        first: A4C (or A2C) view.
        second: the other view, same phase.

    Returns:
        Volume in ml: 20 elliptic discs, each with one diameter from either view, along the longer of the two axes.

    Raises:
        ValueError: no LV, no axis, or a bad spacing in one of the views.

    Source: lu_net paper §IV-C [22]; ASE 2015 recommendations. Deviation: the slanted base (`ventricle_profile`).
    """
    return discs_ml(ventricle_profile(first), ventricle_profile(second))


def single_plane_ml(view: ApicalView) -> float:
    """Left-ventricular volume from one apical view by the method of discs.

    Args:
        view: the view.

    Returns:
        Volume in ml: 20 circular discs along the view's long axis.

    Raises:
        ValueError: no LV, no axis, or a bad spacing.

    Source: ASE 2015 recommendations. Deviation: the slanted base (`ventricle_profile`).
    """
    profile = ventricle_profile(view)
    return discs_ml(profile, profile)


def ejection_fraction_percent(edv_ml: float, esv_ml: float) -> float:
    """Ejection fraction.

    Args:
        edv_ml: end-diastolic volume.
        esv_ml: end-systolic volume.

    Returns:
        Per cent of the end-diastolic volume; negative where the end-systolic one is larger.

    Raises:
        ValueError: `edv_ml` is not positive, or a volume is not finite or negative.

    Source: ASE 2015 recommendations. Deviation: none.
    """
    if not (math.isfinite(edv_ml) and edv_ml > 0 and math.isfinite(esv_ml) and esv_ml >= 0):
        raise ValueError(f"`edv_ml` must be positive and `esv_ml` not negative. Received: {edv_ml}, {esv_ml}")
    return 100.0 * (edv_ml - esv_ml) / edv_ml


def _to_the_furthest(offsets_mm: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return offsets_mm[int((offsets_mm**2).sum(axis=1).argmax())]


def _through_the_centre(offsets_mm: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return offsets_mm.mean(axis=0)


def _profile(
    view: ApicalView, code: int, name: str, direction: Callable[[npt.NDArray[np.float64]], npt.NDArray[np.float64]]
) -> Profile:
    """The profile of the chamber `code`; `direction` makes the axis of its pixels' (N, 2) mm from the annulus."""
    check_spacing(view.spacing_mm)
    pitch = np.array(view.spacing_mm)
    chamber = (valve_as_blood(view.label_map) == code).view(np.uint8)
    col, row, width, height = cv2.boundingRect(chamber)
    if not width:
        raise ValueError(f"`label_map` must have {name} pixels to measure a volume. Received: none")
    chamber = chamber[row : row + height, col : col + width]  # outside it there is nothing to measure
    inside = np.argwhere(chamber) * pitch
    base = ((np.array(view.hinge_points.amvl) + np.array(view.hinge_points.pmvl)) / 2 - (row, col)) * pitch
    offsets = inside - base
    towards = direction(offsets)
    if not np.hypot(*towards) > 0:
        raise ValueError(f"`label_map` must have {name} pixels away from the annulus. Received: one pixel, on it")
    along = towards / np.hypot(*towards)
    across = np.array([-along[1], along[0]])
    heights, sides = offsets @ along, offsets @ across
    length = float(heights.max() + 0.5 / np.hypot(*(along / pitch)))  # from the last pixel's centre to its edge
    step, margin = float(pitch.min()) / 2, float(pitch.max())
    shifts = np.arange(sides.min() - margin, sides.max() + margin, step)
    middles = (np.arange(DISCS) + 0.5) / DISCS * length
    mirrored = middles[middles < margin - heights.min()]  # those discs that, mirrored at the base, reach the chamber
    levels = np.concatenate([middles, -mirrored])
    samples = (base + levels[:, None, None] * along + shifts[None, :, None] * across) / pitch
    rows, cols = np.moveaxis(samples.astype(np.float32), -1, 0)
    mask = chamber.astype(np.float32)
    values = cast("npt.NDArray[np.float32]", cv2.remap(mask, cols, rows, cv2.INTER_LINEAR))  # 0 outside the chamber
    widths = values.sum(axis=1, dtype=np.float64) * step
    diameters = widths[:DISCS]
    diameters[: len(mirrored)] += widths[DISCS:]
    return Profile(diameters, length, len(inside) * float(pitch.prod()))
