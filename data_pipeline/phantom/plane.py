"""What an apical view shows at one moment: regions of tissue, mirror-like interfaces, the hinge points.

Heart coordinates are (u, v): u to the right along the annulus, v from the annulus to the apex, the origin in the middle
of the ventricle's base at end-diastole.
"""

from dataclasses import dataclass
from enum import StrEnum

from data_pipeline.phantom.outlines import FloatArray
from data_pipeline.sample import Structure


class Tissue(StrEnum):
    """What scatters alike; the ultrasound model gives each its echogenicity."""

    MYOCARDIUM = "myocardium"
    ATRIAL_WALL = "atrial_wall"
    BLOOD = "blood"
    ATRIAL_BLOOD = "atrial_blood"
    MUSCLE_IN_CAVITY = "muscle_in_cavity"
    FIBROUS = "fibrous"
    LEAFLET = "leaflet"


@dataclass(frozen=True)
class Region:
    """A closed outline filled with one tissue; later regions cover earlier ones.

    Attributes:
        tissue: what it scatters like.
        outline: (N, 2) heart coordinates (u, v) in mm.
        structure: the label it has, or None (walls of the right heart, papillary muscles: no label of their own).
    """

    tissue: Tissue
    outline: FloatArray
    structure: Structure | None = None


@dataclass(frozen=True)
class Interface:
    """A surface that reflects like a mirror: an open line, bright where the beam meets it at a right angle.

    Attributes:
        line: (N, 2) heart coordinates (u, v) in mm.
        strength: 1 for an ordinary pericardium.
    """

    line: FloatArray
    strength: float


@dataclass(frozen=True)
class Plane:
    """What one view shows at one moment.

    Attributes:
        regions: in painting order.
        interfaces: mirror-like surfaces.
        left_hinge, right_hinge: ends of the line between ventricle and atrium, heart coordinates in mm.
        aorta_at_right_hinge: the aortic root, not the wall, lies beside the right hinge (A3C).
    """

    regions: tuple[Region, ...]
    interfaces: tuple[Interface, ...]
    left_hinge: tuple[float, float]
    right_hinge: tuple[float, float]
    aorta_at_right_hinge: bool
