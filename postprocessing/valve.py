"""The mitral leaflets as the contact line sees them: blood of the nearer cavity.

Closed leaflets lie between LV and LA and part them; the hinge points are where the leaflets begin, so the line has to
go through them. Every MV pixel is given to the cavity of the nearest LV or LA pixel, and p(MV) likewise: the line then
follows the middle of the leaflets where they part the cavities, and the annulus where they stand in the LV.

Why not let the other classes compete for the leaflets' pixels: within a leaflet a network gives neither LV nor LA
anything to compete with, and the myocardium at its ends wins. `python -m benchmarks.valve` measures both rules, and
doing nothing, against the constructed hinge points of simulated frames.
"""

from typing import cast

import cv2
import numpy as np
import numpy.typing as npt

from postprocessing.codes import LA, LV, MV

Bools = npt.NDArray[np.bool_]

MARGIN_PX = 16
"""The nearest cavity is looked for this far around the leaflets first: nearly always near enough, and faster."""


def valve_as_blood(label_map: npt.NDArray[np.uint8], lv: int = LV, la: int = LA, mv: int = MV) -> npt.NDArray[np.uint8]:
    """Gives the MV pixels to the nearest cavity, LV or LA.

    Args:
        label_map: (H, W) structure codes.
        lv: code of the left ventricle.
        la: code of the left atrium.
        mv: code of the leaflets.

    Returns:
        (H, W) a new label map without MV pixels; `label_map` itself where there are none, or no cavity to give them to.

    Raises:
        ValueError: `label_map` is not two-dimensional.

    Source: none; ours. The papers that label leaflets measure no hinge points on them.
    """
    if label_map.ndim != 2:
        raise ValueError(f"`label_map` must be (H, W). Received shape: {label_map.shape}")
    valve = label_map == mv
    col, row, width, height = cv2.boundingRect(valve.view(np.uint8))
    cavities = [cavity for cavity in (lv, la) if width and (label_map == cavity).any()]
    if not cavities:
        return label_map
    blood = label_map.copy()
    if len(cavities) == 1:
        blood[valve] = cavities[0]
        return blood
    for margin in (MARGIN_PX, max(label_map.shape)):
        window = slice(max(0, row - margin), row + height + margin), slice(max(0, col - margin), col + width + margin)
        leaflets, near = valve[window], label_map[window]
        lv_px, la_px = _distances(near == lv)[leaflets], _distances(near == la)[leaflets]
        if max(np.minimum(lv_px, la_px)) <= margin:  # what is beyond the window is further away
            break
    blood[window][leaflets] = np.where(lv_px <= la_px, np.uint8(lv), np.uint8(la))
    return blood


def nearer_to_lv(lv_mask: Bools, la_mask: Bools) -> Bools:
    """The pixels that are no further from LV than from LA; (H, W) each."""
    return _distances(lv_mask) <= _distances(la_mask)


def _distances(mask: Bools) -> npt.NDArray[np.float32]:
    """Distance of each pixel to the nearest one of the mask, px; huge where it has none."""
    outside = np.ascontiguousarray(~mask).view(np.uint8)
    return cast("npt.NDArray[np.float32]", cv2.distanceTransform(outside, cv2.DIST_L2, cv2.DIST_MASK_PRECISE))
