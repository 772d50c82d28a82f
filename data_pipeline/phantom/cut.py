"""The outlines that an apical view cuts from a heart at a moment of the beat."""

from dataclasses import replace

import numpy as np

from data_pipeline.phantom.anatomy import Anatomy, ViewShape
from data_pipeline.phantom.motion import HeartState
from data_pipeline.phantom.outlines import FloatArray, curve, ellipse, grown, pouch, ribbon
from data_pipeline.phantom.plane import Interface, Plane, Region, Tissue
from data_pipeline.phantom.right_heart import add_right_heart, add_right_outflow
from data_pipeline.phantom.ventricle import Sides
from data_pipeline.sample import Structure, View

AORTIC_CUSP_MM = 1.2
"""Thickness of the aortic valve's cusps as seen."""


def cut_plane(anatomy: Anatomy, view: View, state: HeartState) -> Plane:
    """The outlines that a view shows at one moment of the beat."""
    shape = anatomy.views[view]
    length = anatomy.length_mm * shape.foreshortening
    climb = anatomy.shortening * length * state.contraction
    base_v, apex_v = climb * (1.0 - anatomy.apex_share), length - climb * anatomy.apex_share
    cavity = Sides(anatomy, view, state.contraction, base_v, apex_v)
    base_left, base_right = cavity.base
    hinge_left, hinge_right = base_left, base_right
    annulus_share = shape.annulus_mm / (shape.annulus_mm + shape.outflow_mm)
    if shape.outflow_mm:
        hinge_right = base_left + (base_right - base_left) * annulus_share

    wall = cavity.wall(1.0 + anatomy.thickening * state.contraction)
    atrium = _atrium(anatomy, shape, state, hinge_left, hinge_right, base_v, climb)
    regions: list[Region] = []
    interfaces: list[Interface] = []
    if view is View.A4C:
        add_right_heart(regions, interfaces, shape, wall, atrium, base_v, apex_v)
    elif view is View.A3C:
        add_right_outflow(regions, shape, cavity, base_v, apex_v)
    regions.append(Region(Tissue.MYOCARDIUM, wall.outline, Structure.MYO))
    regions.append(Region(Tissue.ATRIAL_WALL, grown(atrium, 2.5)))
    for end, side, (across, down) in zip((hinge_left, hinge_right), (-1.0, 1.0), shape.groove_mm, strict=True):
        regions.append(
            Region(Tissue.FIBROUS, ellipse((end + side * 0.6 * across, base_v - 0.4 * down), (across, down)))
        )
    if shape.outflow_mm:
        aorta = _aorta(hinge_right, base_right, base_v)
        regions += [Region(Tissue.FIBROUS, grown(aorta, 1.8)), Region(Tissue.BLOOD, aorta)]
    regions.append(Region(Tissue.ATRIAL_BLOOD, atrium, Structure.LA))
    regions.append(Region(Tissue.BLOOD, cavity.outline, Structure.LV))
    for blob in shape.blobs:
        regions.append(Region(Tissue.MUSCLE_IN_CAVITY, cavity.blob(blob)))
    leaflets = _leaflets(shape, state, (hinge_left, base_v), (hinge_right, base_v))
    regions += [Region(Tissue.LEAFLET, ribbon(line, shape.leaflet_mm), Structure.MV) for line in leaflets]
    if shape.outflow_mm:
        cusps = _aortic_cusps(state, hinge_right, base_right, base_v)
        regions += [Region(Tissue.LEAFLET, ribbon(line, AORTIC_CUSP_MM)) for line in cusps]
        interfaces += [Interface(line, 0.3) for line in cusps]

    interfaces += [Interface(line, 0.5) for line in leaflets]
    interfaces.append(Interface(cavity.outline, 0.35))
    low = wall.outer[:, 1] < base_v + 0.75 * (apex_v - base_v)
    middle = len(low) // 2
    interfaces += [Interface(wall.outer[:middle][low[:middle]], 1.0), Interface(wall.outer[middle:][low[middle:]], 1.0)]
    interfaces.append(Interface(atrium, 0.6))

    def tilted(points: FloatArray) -> FloatArray:
        reach = np.clip((points[:, 1] - base_v) / (apex_v - base_v), 0.0, 1.0)
        lift = np.tan(np.deg2rad(shape.tilt_deg)) * points[:, 0] * (1.0 - reach) ** 2
        return np.stack([points[:, 0], points[:, 1] + lift], axis=1)

    ends = tilted(np.array([[hinge_left, base_v], [hinge_right, base_v]]))
    return Plane(
        regions=tuple(replace(region, outline=tilted(region.outline)) for region in regions),
        interfaces=tuple(replace(interface, line=tilted(interface.line)) for interface in interfaces),
        left_hinge=(float(ends[0, 0]), float(ends[0, 1])),
        right_hinge=(float(ends[1, 0]), float(ends[1, 1])),
        aorta_at_right_hinge=shape.outflow_mm > 0.0,
    )


def _atrium(
    anatomy: Anatomy,
    shape: ViewShape,
    state: HeartState,
    left: float,
    right: float,
    base_v: float,
    climb: float,
) -> FloatArray:
    """The left atrium, hung between the hinge points; its floor stays where it is while the annulus climbs."""
    fullness = 1.0 - anatomy.atrial_emptying * (1.0 - state.atrial_filling)
    width, length = shape.atrium_mm[0] * fullness, shape.atrium_mm[1] * fullness + 0.5 * climb
    return pouch(left, right, base_v, length, max(width, 1.02 * (right - left)), shape.atrium_tilt_deg / 57.3)


def _aorta(left: float, right: float, base_v: float) -> FloatArray:
    """The aortic root below the outflow tract: a sinus, then a tube leaning to the right."""
    t = np.linspace(0.0, 1.0, 20)
    width = (right - left) * (1.0 + 0.3 * np.sin(np.pi * np.clip(t / 0.6, 0.0, 1.0)))
    centre, v = (left + right) / 2.0 + 14.0 * t**1.5 + 0.15 * width, base_v - 42.0 * t
    edge_left = np.stack([np.maximum(centre - width / 2.0, left), v], axis=1)
    return np.concatenate([edge_left, np.stack([centre + width / 2.0, v], axis=1)[::-1]])


def _aortic_cusps(state: HeartState, left: float, right: float, base_v: float) -> tuple[FloatArray, FloatArray]:
    """Two cusps of the aortic valve, hinged at the root's ends: closed they meet inside it, open they lie at its wall.

    They are in the image alone: neither data sets nor the project label them.
    """
    width = right - left
    middle = (left + right) / 2.0 + 0.1 * width
    lines = []
    for hinge, side in ((left, 1.0), (right, -1.0)):
        closed, opened = (middle, base_v - 0.3 * width), (hinge + side * 0.12 * width, base_v - 0.6 * width)
        share = state.aortic_opening
        tip = (closed[0] + share * (opened[0] - closed[0]), closed[1] + share * (opened[1] - closed[1]))
        belly = (hinge + side * 0.25 * width * (1.0 - share), base_v - 0.3 * width)
        lines.append(curve((hinge, base_v), belly, tip))
    return lines[0], lines[1]


def _leaflets(
    shape: ViewShape, state: HeartState, left: tuple[float, float], right: tuple[float, float]
) -> tuple[FloatArray, FloatArray]:
    """The two leaflets as lines from their hinge to their tip; closed they meet, open they swing to the apex."""
    share = 1.0 - shape.coaptation if shape.anterior_on_right else shape.coaptation
    annulus = right[0] - left[0]
    meet = (left[0] + share * annulus, left[1] + shape.tenting_mm)
    lines = []
    for hinge, side in ((left, 1.0), (right, -1.0)):
        reach = np.hypot(meet[0] - hinge[0], meet[1] - hinge[1]) * 1.08
        closed = np.arctan2(meet[1] - hinge[1], abs(meet[0] - hinge[0]))
        angle = closed + (np.deg2rad(78.0) - closed) * state.valve_opening
        tip = (hinge[0] + side * reach * np.cos(angle), hinge[1] + reach * np.sin(angle))
        if state.valve_opening == 0.0:
            tip = meet
        belly = (0.12 - 0.3 * state.valve_opening) * reach
        middle = (
            (hinge[0] + tip[0]) / 2.0 - side * belly * np.sin(angle),
            (hinge[1] + tip[1]) / 2.0 + belly * np.cos(angle) * 0.5,
        )
        lines.append(curve(hinge, middle, tip))
    return lines[0], lines[1]
