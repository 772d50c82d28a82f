"""Left-ventricular volumes by Simpson's method of discs, from one or two apical views, and the ejection fraction."""

import math
from dataclasses import dataclass
from typing import cast

import cv2
import numpy as np
import numpy.typing as npt

from postprocessing.annulus import check_spacing
from postprocessing.codes import LV
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


def simpson_biplane_ml(first: ApicalView, second: ApicalView) -> float:
    """Left-ventricular volume from two apical views by the biplane method of discs.

    Args:
        first: A4C (or A2C) view.
        second: the other view, same phase.

    Returns:
        Volume in ml: 20 elliptic discs, each with one diameter from either view, along the longer of the two axes.

    Raises:
        ValueError: no LV, no axis, or a bad spacing in one of the views.

    Source: Leclerc et al. 2019; ASE 2015 recommendations. Deviation: none.
    """
    first_mm, first_length_mm = disc_diameters_mm(first)
    second_mm, second_length_mm = disc_diameters_mm(second)
    return _volume_ml(first_mm, second_mm, max(first_length_mm, second_length_mm))


def single_plane_ml(view: ApicalView) -> float:
    """Left-ventricular volume from one apical view by the method of discs.

    Args:
        view: the view.

    Returns:
        Volume in ml: 20 circular discs along the view's long axis.

    Raises:
        ValueError: no LV, no axis, or a bad spacing.

    Source: ASE 2015 recommendations. Deviation: none.
    """
    diameters_mm, length_mm = disc_diameters_mm(view)
    return _volume_ml(diameters_mm, diameters_mm, length_mm)


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


def disc_diameters_mm(view: ApicalView) -> tuple[npt.NDArray[np.float64], float]:
    """The diameters of the 20 discs of one view and the length of its long axis.

    The axis leads from the midpoint of the hinge points to the apex, the LV point furthest from it. A diameter is the
    length of LV on the perpendicular of the axis at the middle of the disc.

    Args:
        view: the view.

    Returns:
        (20,) diameters in mm from base to apex, and the axis length in mm.

    Raises:
        ValueError: no LV, no axis, or a bad spacing.
    """
    check_spacing(view.spacing_mm)
    pitch = np.array(view.spacing_mm)
    mask = (valve_as_blood(view.label_map) == LV).astype(np.float32)
    inside = np.argwhere(mask) * pitch
    if len(inside) == 0:
        raise ValueError("`label_map` must have LV pixels to measure a volume. Received: none")
    base = (np.array(view.hinge_points.amvl) + np.array(view.hinge_points.pmvl)) / 2 * pitch
    offsets = inside - base
    furthest = offsets[int(np.hypot(offsets[:, 0], offsets[:, 1]).argmax())]
    length = float(np.hypot(*furthest))
    if length == 0:
        raise ValueError("`label_map` must have LV pixels away from the annulus. Received: one pixel, on it")
    along = furthest / length
    length += float(0.5 / np.hypot(*(along / pitch)))  # from the last pixel's centre to its edge
    across = np.array([-along[1], along[0]])
    step = float(pitch.min()) / 4
    reach = float(np.hypot(offsets[:, 0], offsets[:, 1]).max()) + float(pitch.max())
    shifts = np.arange(-reach, reach, step)
    heights = (np.arange(DISCS) + 0.5) / DISCS * length
    samples = (base + heights[:, None, None] * along + shifts[None, :, None] * across) / pitch
    rows, cols = np.moveaxis(samples.astype(np.float32), -1, 0)
    values = cast("npt.NDArray[np.float32]", cv2.remap(mask, cols, rows, cv2.INTER_LINEAR))  # 0 outside the frame
    return values.sum(axis=1, dtype=np.float64) * step, length


def _volume_ml(first_mm: npt.NDArray[np.float64], second_mm: npt.NDArray[np.float64], length_mm: float) -> float:
    return float(math.pi / 4 * (first_mm * second_mm).sum() * length_mm / DISCS / MM3_PER_ML)
