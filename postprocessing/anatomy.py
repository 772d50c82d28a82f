"""What cannot be in a heart, checked on a measured frame while it is measured: on the cart, without a reference.

A check that fails is a flag of the measurement, not an error: the measurement stands, and whoever reads it is told.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from postprocessing.codes import LA, LV, MYO
from postprocessing.hinge_points import HingePoints
from postprocessing.sector import STEP_PX
from postprocessing.shape import holes

Bools = npt.NDArray[np.bool_]

PHYSIOLOGICAL_ANNULUS_MM = (15.0, 60.0)
"""ASSUMED; generous beside the 22 to 41 mm (5th to 95th percentile) that the hinge_points paper cites in §4.2."""

HOLES, GAP, OUTSIDE_SECTOR = "holes", "lv_la_gap", "hinge_points_outside_sector"
IMPLAUSIBLE_ANNULUS = "annulus_outside_15_60_mm"

ANATOMICAL_FLAGS = (
    "fragments_removed",
    "several_contact_segments",
    "one_pixel_contact",
    HOLES,
    GAP,
    OUTSIDE_SECTOR,
    IMPLAUSIBLE_ANNULUS,
)
"""The flags that say that the outlines are not those of a heart. A chamber cut off by the sector is not among them: the
heart may be whole, and the frame is not."""


def anatomical_flags(
    label_map: npt.NDArray[np.uint8],
    *,
    structures: Sequence[int],
    hinge_points: HingePoints | None,
    annulus_diameter_mm: float | None,
    sector: Bools | None,
) -> set[str]:
    """The checks that a measured frame fails.

    Args:
        label_map: (H, W) structure codes as measured: leaflets counted as blood, fragments removed.
        structures: the codes that the network (or the reference) outlines; what it has no class for is not judged.
        hinge_points: None where there is no contact line.
        annulus_diameter_mm: None where there is none, or where the pixel pitch is unknown.
        sector: of `sector_of`; None where it is not known, so that only the image's own edge is one.

    Returns:
        Of `ANATOMICAL_FLAGS` those that are decided here: `holes`, `lv_la_gap`, `hinge_points_outside_sector`,
        `annulus_outside_15_60_mm`.
    """
    lv, la = label_map == LV, label_map == LA
    failed: set[str] = set()
    chambers = [lv, la, *([lv | (label_map == MYO)] if MYO in structures else [])]
    if any(holes(mask) for mask in chambers):
        failed.add(HOLES)
    if hinge_points is None:
        if LV in structures and LA in structures and lv.any() and la.any():
            failed.add(GAP)
    elif any(is_outside(point, sector, lv.shape) for point in (hinge_points.amvl, hinge_points.pmvl)):
        failed.add(OUTSIDE_SECTOR)
    if annulus_diameter_mm is not None and not is_physiological(annulus_diameter_mm):
        failed.add(IMPLAUSIBLE_ANNULUS)
    return failed


def is_outside(point: tuple[float, float], sector: Bools | None, shape: tuple[int, ...]) -> bool:
    """Whether a point lies outside the ultrasound sector, or outside the image.

    Args:
        point: (row, col), pixel centres at integers, native grid.
        sector: of `sector_of`, or None: then the image is the sector.
        shape: (H, W) of the image.

    Returns:
        True where none of the four sampled pixels around the point is in the sector: a point nearer to it than the
        sector's own sampling of `STEP_PX` pixels counts as inside.
    """
    row, col = point
    if not (-0.5 <= row <= shape[0] - 0.5 and -0.5 <= col <= shape[1] - 0.5):
        return True
    if sector is None:
        return False
    top, left = max(0, int(row // STEP_PX)), max(0, int(col // STEP_PX))
    return not bool(sector[top : top + 2, left : left + 2].any())


def is_physiological(annulus_diameter_mm: float) -> bool:
    """Whether a mitral annulus can be so wide: `PHYSIOLOGICAL_ANNULUS_MM`, both ends included."""
    low, high = PHYSIOLOGICAL_ANNULUS_MM
    return low <= annulus_diameter_mm <= high
