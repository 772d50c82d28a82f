"""Hinge points of the mitral leaflets: the two ends of the contact line, named by the view's orientation."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from postprocessing.contact_line import ContactLine

Side = Literal["left", "right"]

ANTERIOR_SIDE: Mapping[str, Side] = {
    "A4C": "left",  # §3.3, Fig. 4: the septum, and the anterior leaflet on it, on the left
    "A2C": "left",  # §4.3, Fig. 9: posterior is "in the image: right" in both views of the paper
    "A3C": "right",  # ASSUMED, the paper has none: the anterior leaflet hangs beside the aortic valve, on the right
}
"""On which side of the image the anterior leaflet hangs, per view. A user overrides it with `--anterior-side`."""


@dataclass(frozen=True)
class HingePoints:
    """Where the anterior (amvl) and posterior (pmvl) mitral leaflets are hinged: (row, col), native grid."""

    amvl: tuple[float, float]
    pmvl: tuple[float, float]


def find_hinge_points(line: ContactLine, anterior_side: str) -> HingePoints:
    """The hinge points: the two extreme points of the contact line.

    The extremes are taken along the line's principal axis (in pixels), and the one further to the anterior side is the
    aMVL. Where neither is further left, as on an upright line, the upper one is.

    Args:
        line: the contact line.
        anterior_side: `left` or `right`: the side of the image on which the anterior leaflet hangs.

    Returns:
        amvl and pmvl, each (row, col), pixel centres at integers.

    Raises:
        ValueError: `anterior_side` is neither `left` nor `right`.

    Source: hinge_points paper §3.3. Deviation: the paper takes the anteriormost and posteriormost point, that is the
    extreme columns. On level lines both agree; on a steep one a bulge of the line may reach further to the side than
    its end does, but not further along the principal axis.
    """
    check_anterior_side(anterior_side)
    points = line.points
    steps = points[1:] - points[:-1]
    weights = np.hypot(steps[:, 0], steps[:, 1])
    middles = points[:-1] + steps / 2
    total = weights.sum()
    if total == 0:
        only = (float(points[0, 0]), float(points[0, 1]))
        return HingePoints(only, only)
    offsets = middles - weights @ middles / total
    _, axes = np.linalg.eigh((offsets * weights[:, None]).T @ offsets)
    along = points @ axes[:, -1]
    sign = 1 if anterior_side == "left" else -1
    extremes = (points[along.argmin()].tolist(), points[along.argmax()].tolist())
    amvl, posterior = sorted(extremes, key=lambda point: (sign * point[1], point[0]))
    return HingePoints((amvl[0], amvl[1]), (posterior[0], posterior[1]))


def check_anterior_side(anterior_side: str) -> None:
    """Refuses what is no side.

    Raises:
        ValueError: `anterior_side` is neither `left` nor `right`.
    """
    if anterior_side not in ("left", "right"):
        raise ValueError(f"`anterior_side` must be left or right. Received: {anterior_side!r}")
