"""The mitral annulus diameter: the distance between the two hinge points."""

import math

from postprocessing.hinge_points import HingePoints


def annulus_diameter_mm(hinge_points: HingePoints, spacing_mm: tuple[float, float]) -> float:
    """Mitral annulus diameter between the two hinge points.

    Args:
        hinge_points: amvl and pmvl, each (row, col), pixel centres, native grid.
        spacing_mm: (row, col) pixel pitch in mm; may be anisotropic.

    Returns:
        Euclidean distance in mm.

    Raises:
        ValueError: a spacing is not finite and positive.

    Source: hinge_points paper §3.3, §4.2. Deviation: none.
    """
    check_spacing(spacing_mm)
    row, col = spacing_mm
    (a_row, a_col), (p_row, p_col) = hinge_points.amvl, hinge_points.pmvl
    # of points in mm, as the rows of an evaluation have them: the same to the bit
    return math.dist((a_row * row, a_col * col), (p_row * row, p_col * col))


def annulus_diameter_px(hinge_points: HingePoints) -> float:
    """Distance between the hinge points in pixels, for frames whose pixel pitch is unknown.

    Args:
        hinge_points: amvl and pmvl, each (row, col), native grid.

    Returns:
        Euclidean distance in pixels.

    Source: hinge_points paper §3.3. Deviation: pixels.
    """
    return math.dist(hinge_points.amvl, hinge_points.pmvl)


def check_spacing(spacing_mm: tuple[float, float]) -> None:
    """Refuses a pixel pitch that cannot be one.

    Raises:
        ValueError: `spacing_mm` is not two finite, positive numbers.
    """
    if len(spacing_mm) != 2 or not all(math.isfinite(pitch) and pitch > 0 for pitch in spacing_mm):
        raise ValueError(f"`spacing_mm` must be two positive numbers. Received: {spacing_mm}")
