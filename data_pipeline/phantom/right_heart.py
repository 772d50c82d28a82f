"""What an apical view shows of the right heart, beside the left ventricle."""

import numpy as np

from data_pipeline.phantom.anatomy import ViewShape
from data_pipeline.phantom.outlines import OUTLINE_POINTS, FloatArray, curve, grown, pouch, ribbon
from data_pipeline.phantom.plane import Interface, Region, Tissue
from data_pipeline.phantom.ventricle import Sides, Wall
from data_pipeline.sample import Structure


def add_right_heart(
    regions: list[Region],
    interfaces: list[Interface],
    shape: ViewShape,
    wall: Wall,
    atrium: FloatArray,
    base_v: float,
    apex_v: float,
) -> None:
    """Right ventricle and atrium to the left of the septum (A4C)."""
    ventricle_mm, atrium_mm = shape.right_heart_mm
    septum = float(wall.outer[0, 0])
    plane_v = base_v + shape.septum_drop_mm
    top = base_v + 0.78 * (apex_v - base_v)
    far = septum - ventricle_mm
    top_u = float(np.interp(top, wall.outer[:OUTLINE_POINTS, 1], wall.outer[:OUTLINE_POINTS, 0]))
    free_wall = curve((far, plane_v), (far - 0.15 * ventricle_mm, plane_v + 0.6 * (top - plane_v)), (top_u, top))
    ventricle = np.concatenate([free_wall, [[top_u + 8.0, top], [septum + 6.0, plane_v]]])
    left_edge = float(atrium[:, 0].min()) - 4.0
    right_atrium = pouch(left_edge - atrium_mm, left_edge, plane_v, 1.15 * atrium_mm, 0.9 * atrium_mm, -0.05)
    regions += [
        Region(Tissue.MYOCARDIUM, grown(ventricle, 4.0)),
        Region(Tissue.ATRIAL_WALL, grown(right_atrium, 2.5)),
        Region(Tissue.BLOOD, ventricle, Structure.RV),
        Region(Tissue.BLOOD, right_atrium),
    ]
    hinge = (septum + 2.0, plane_v)
    tricuspid = curve((far, plane_v), ((far + hinge[0]) / 2.0, plane_v + 6.0), hinge)
    regions.append(Region(Tissue.LEAFLET, ribbon(tricuspid, 1.4)))
    interfaces += [Interface(free_wall - [3.0, 0.0], 0.7), Interface(right_atrium, 0.6), Interface(tricuspid, 0.5)]


def add_right_outflow(regions: list[Region], shape: ViewShape, cavity: Sides, base_v: float, apex_v: float) -> None:
    """A dark strip of the right ventricle beyond the anteroseptal wall (A3C)."""
    inner = cavity.right[:, 0].max() + 0.5 * shape.wall_mm[2]
    width = shape.right_heart_mm[0]
    low, high = base_v + 2.0, base_v + 0.7 * (apex_v - base_v)
    outer = curve((inner + width, low), (inner + 1.5 * width, (low + high) / 2.0), (inner, high))
    strip = np.concatenate([outer, [[inner, low]]])
    regions += [Region(Tissue.MYOCARDIUM, grown(strip, 4.0)), Region(Tissue.BLOOD, strip, Structure.RV)]
