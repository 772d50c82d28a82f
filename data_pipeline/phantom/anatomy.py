"""The parametric heart: one patient's shape, in numbers.

Everything is continuous geometry in mm; masks, hinge points and images are made from it, volumes are computed on it.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from data_pipeline.phantom.outlines import FloatArray, bullet
from data_pipeline.sample import View

VIEWS = (View.A2C, View.A3C, View.A4C)
VOLUME_DISCS = 400


@dataclass(frozen=True)
class Blob:
    """A papillary muscle or a trabecula at the ventricle's wall: an ellipse.

    Attributes:
        side: -1 left wall, 1 right wall.
        height: 0 base, 1 apex.
        inset_mm: distance of its centre from the wall.
        radii_mm: across and along the wall.
    """

    side: int
    height: float
    inset_mm: float
    radii_mm: tuple[float, float]


@dataclass(frozen=True)
class ViewShape:
    """How one patient's heart looks in one view, at end-diastole where it matters.

    Attributes:
        diameter_mm: largest width of the ventricle's cavity.
        annulus_mm: width of the mitral annulus.
        outflow_mm: width of the outflow tract beside it (A3C, else 0).
        width_waves: relative amplitudes of sin(2πs), sin(3πs), sin(4πs) on the width along the height s.
        axis_waves_mm: amplitudes of sin(πs), sin(2πs), sin(3πs) of the long axis's bend.
        tilt_deg: the annulus against the perpendicular of the long axis; positive lifts its right end to the apex.
        foreshortening: visible share of the long axis.
        wall_mm: thickness of the left wall, the apex and the right wall.
        shoulder_mm: thickness of the wall's foot beside the left and the right end of the base.
        foot_drop_mm: how far these feet reach below the base.
        groove_mm: half width and half height of the bright fibrous and fatty tissue at the left and the right hinge.
        atrium_mm: largest width and length of the left atrium at its largest.
        atrium_tilt_deg: its axis against the ventricle's.
        right_heart_mm: width of the right ventricle and of the right atrium (A4C), of the right outflow tract (A3C).
        septum_drop_mm: tricuspid plane above the mitral one.
        coaptation: where along the annulus, from the anterior hinge, the leaflets meet.
        tenting_mm: height of that point above the annulus.
        leaflet_mm: thickness of the leaflets.
        anterior_on_right: the anterior leaflet is the right one (A3C).
        blobs: papillary muscles and trabeculae.
    """

    diameter_mm: float
    annulus_mm: float
    outflow_mm: float
    width_waves: tuple[float, float, float]
    axis_waves_mm: tuple[float, float, float]
    tilt_deg: float
    foreshortening: float
    wall_mm: tuple[float, float, float]
    shoulder_mm: tuple[float, float]
    foot_drop_mm: float
    groove_mm: tuple[tuple[float, float], tuple[float, float]]
    atrium_mm: tuple[float, float]
    atrium_tilt_deg: float
    right_heart_mm: tuple[float, float]
    septum_drop_mm: float
    coaptation: float
    tenting_mm: float
    leaflet_mm: float
    anterior_on_right: bool
    blobs: tuple[Blob, ...]


@dataclass(frozen=True)
class Anatomy:
    """One patient's heart.

    Attributes:
        length_mm: long axis of the ventricle's cavity at end-diastole.
        widest_at: height of the largest width, 0 base, 1 apex.
        apex_exponent: 2 is an ellipsoid's apex, less is pointed, more is blunt.
        base_power: how soon the cavity widens above the annulus.
        shortening: share of the long axis lost at end-systole.
        apex_share: part of that by which the apex comes down; the annulus climbs the rest.
        annulus_shortening: share of the annulus's width lost at end-systole.
        narrowing: share of the diameters lost at end-systole; solved so that `ef_percent` holds exactly.
        thickening: relative thickening of the wall at end-systole.
        atrial_emptying: share of the atrium's width and length lost at end-diastole.
        ef_percent: ejection fraction of the constructed volumes.
        views: the three apical views.
    """

    length_mm: float
    widest_at: float
    apex_exponent: float
    base_power: float
    shortening: float
    apex_share: float
    annulus_shortening: float
    narrowing: float
    thickening: float
    atrial_emptying: float
    ef_percent: float
    views: Mapping[View, ViewShape]

    def volume_ml(self, contraction: float) -> float:
        """Volume of the cavity: elliptic discs whose diameters are its widths in A4C and A2C, unforeshortened.

        This is the constructed truth behind EDV (contraction 0), ESV (1) and EF. It is computed from the continuous
        shape; Simpson's rule on the masks of a foreshortened view gives less, as in life.
        """
        s = (np.arange(VOLUME_DISCS) + 0.5) / VOLUME_DISCS
        areas = [self.widths_mm(view, contraction, s) for view in (View.A4C, View.A2C)]
        length = self.length_mm * (1.0 - self.shortening * contraction)
        return float(np.pi / 4.0 * np.mean(areas[0] * areas[1]) * length / 1000.0)

    def widths_mm(self, view: View, contraction: float, s: FloatArray) -> FloatArray:
        """Width of the cavity at heights s (0 base, 1 apex)."""
        shape = self.views[view]
        base = (shape.annulus_mm + shape.outflow_mm) * (1.0 - self.annulus_shortening * contraction)
        widest = shape.diameter_mm * (1.0 - self.narrowing * contraction)
        waves = sum(a * np.sin((k + 2) * np.pi * s) for k, a in enumerate(shape.width_waves))
        return bullet(s, base, widest, self.widest_at, self.apex_exponent, self.base_power) * (1.0 + waves)
