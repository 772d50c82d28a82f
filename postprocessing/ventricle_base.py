"""Where the left ventricle ends below, for networks that outline no atrium and so have no hinge points."""

import cv2
import numpy as np
import numpy.typing as npt

from postprocessing.annulus import check_spacing
from postprocessing.codes import LV, MYO

WALL_SHARE = 0.5
"""ASSUMED: a ventricle whose contour touches less myocardium than this is taken without it."""


def ventricle_base(label_map: npt.NDArray[np.uint8], spacing_mm: tuple[float, float]) -> tuple[float, float]:
    """The middle of the ventricle's base, from the ventricle and, where it is outlined, its wall.

    Where myocardium surrounds the ventricle, the base is the part of its contour that touches none: the middle between
    the two ends of the longest such part. Without a wall it is where the ventricle's principal axis leaves it, on the
    lower side of the image: the transducer, and with it the apex, is above in every apical view.

    Args:
        label_map: (H, W) structure codes, apex up.
        spacing_mm: (row, col) pixel pitch, may be anisotropic.

    Returns:
        (row, col), native grid.

    Raises:
        ValueError: no LV, or a bad spacing.

    Source: the open part of the endocardial contour, as the tools around CAMUS find it. ASSUMED for the ventricle
    alone: the papers that outline nothing else measure no volume.
    """
    check_spacing(spacing_mm)
    cavity = label_map == LV
    if not cavity.any():
        raise ValueError("`label_map` must have LV pixels to find their base. Received: none")
    # Beyond the frame nothing is known: what the frame cuts is no base.
    inside = np.pad(cavity, 1)
    wall = np.pad(label_map == MYO, 1)
    open_space = np.pad(~cavity & (label_map != MYO), 1)
    touches_wall, touches_space = (_beside(neighbours) & inside for neighbours in (wall, open_space))
    contour = int((touches_wall | touches_space).sum())
    if touches_space.any() and contour and touches_wall.sum() >= WALL_SHARE * contour:
        ends = _ends_of_longest((touches_space & ~touches_wall)[1:-1, 1:-1], spacing_mm)
        if ends is not None:
            return float(ends[:, 0].mean()), float(ends[:, 1].mean())
    return _lower_end_of_axis(cavity, spacing_mm)


def _beside(mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Pixels with one of their four neighbours in the mask; the mask's own edge pixels are out of frame."""
    beside = np.zeros_like(mask)
    beside[1:] |= mask[:-1]
    beside[:-1] |= mask[1:]
    beside[:, 1:] |= mask[:, :-1]
    beside[:, :-1] |= mask[:, 1:]
    return beside


def _ends_of_longest(contour: npt.NDArray[np.bool_], spacing_mm: tuple[float, float]) -> npt.NDArray[np.float64] | None:
    """(2, 2) the two pixels furthest apart in the largest piece of a contour; None where there is no piece."""
    count, pieces = cv2.connectedComponents(contour.astype(np.uint8), connectivity=8)
    if count < 2:
        return None
    largest = 1 + int(np.bincount(pieces.ravel(), minlength=count)[1:].argmax())
    points = np.argwhere(pieces == largest).astype(np.float64)
    places = points * spacing_mm
    apart = np.hypot(*np.moveaxis(places[:, None] - places[None], -1, 0))
    first, second = np.unravel_index(int(apart.argmax()), apart.shape)
    return points[[int(first), int(second)]]


def _lower_end_of_axis(cavity: npt.NDArray[np.bool_], spacing_mm: tuple[float, float]) -> tuple[float, float]:
    pitch = np.array(spacing_mm)
    places = np.argwhere(cavity) * pitch
    centre = places.mean(axis=0)
    _, axes = np.linalg.eigh(np.cov((places - centre).T)) if len(places) > 1 else (None, np.eye(2))
    along = axes[:, -1] if axes[0, -1] > 0 else -axes[:, -1]
    step = float(pitch.min()) / 4
    reach = np.arange(0, float(np.hypot(*(places - centre).T).max()) + step, step)
    line = np.rint((centre + reach[:, None] * along) / pitch).astype(int)
    line = line[((line >= 0) & (line < cavity.shape)).all(axis=1)]
    found = line[cavity[line[:, 0], line[:, 1]]]
    row, col = found[-1] if len(found) else centre / pitch
    return float(row), float(col)
