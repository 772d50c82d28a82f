"""The parametric heart: one patient's shape, and the outlines each apical view cuts from it at a moment of the beat.

Everything is continuous geometry in mm; masks, hinge points and images are made from it, volumes are computed on it.
Heart coordinates are (u, v): u to the right along the annulus, v from the annulus to the apex, the origin in the middle
of the ventricle's base at end-diastole.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np
import numpy.typing as npt

from data_pipeline.phantom.motion import HeartState
from data_pipeline.sample import Structure, View

FloatArray = npt.NDArray[np.float64]

VIEWS = (View.A2C, View.A3C, View.A4C)
VOLUME_DISCS = 400
OUTLINE_POINTS = 80


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
        return _bullet(s, base, widest, self.widest_at, self.apex_exponent, self.base_power) * (1.0 + waves)


def draw_anatomy(rng: np.random.Generator) -> Anatomy:
    """One patient's heart at random: healthy and failing, small and large, within what adults' apical views show."""
    length = _normal(rng, 80.0, 11.0, 58.0, 110.0)
    failing = rng.random() < 0.4
    ef = _normal(rng, 36.0, 8.0, 15.0, 52.0) if failing else _normal(rng, 58.0, 6.0, 45.0, 72.0)
    diameter = length / _normal(rng, 1.72 if failing else 1.84, 0.15, 1.4, 2.2)
    annulus = _normal(rng, 30.5, 4.0, 21.0, 42.0)
    wall = _normal(rng, 11.2, 1.9, 7.0, 16.5)
    anatomy = Anatomy(
        length_mm=length,
        widest_at=rng.uniform(0.25, 0.5),
        apex_exponent=rng.uniform(1.8, 2.7),
        base_power=rng.uniform(1.0, 1.3),
        shortening=(0.03 + 0.0024 * ef) * rng.uniform(0.8, 1.2),
        apex_share=rng.uniform(0.0, 0.15),
        annulus_shortening=rng.uniform(0.02, 0.22),
        narrowing=0.0,
        thickening=rng.uniform(0.05, 0.3) * ef / 60.0,
        atrial_emptying=rng.uniform(0.1, 0.28),
        ef_percent=ef,
        views={view: _draw_view(rng, view, length, diameter, annulus, wall) for view in VIEWS},
    )
    return replace(anatomy, narrowing=_narrowing_for(anatomy))


def cut_plane(anatomy: Anatomy, view: View, state: HeartState) -> Plane:
    """The outlines that a view shows at one moment of the beat."""
    shape = anatomy.views[view]
    length = anatomy.length_mm * shape.foreshortening
    climb = anatomy.shortening * length * state.contraction
    base_v, apex_v = climb * (1.0 - anatomy.apex_share), length - climb * anatomy.apex_share
    cavity = _Sides(anatomy, view, state.contraction, base_v, apex_v)
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
        _add_right_heart(regions, interfaces, shape, wall, atrium, base_v, apex_v)
    elif view is View.A3C:
        _add_right_outflow(regions, shape, cavity, base_v, apex_v)
    regions.append(Region(Tissue.MYOCARDIUM, wall.outline, Structure.MYO))
    regions.append(Region(Tissue.ATRIAL_WALL, _grown(atrium, 2.5)))
    for end, side, (across, down) in zip((hinge_left, hinge_right), (-1.0, 1.0), shape.groove_mm, strict=True):
        regions.append(
            Region(Tissue.FIBROUS, _ellipse((end + side * 0.6 * across, base_v - 0.4 * down), (across, down)))
        )
    if shape.outflow_mm:
        aorta = _aorta(hinge_right, base_right, base_v)
        regions += [Region(Tissue.FIBROUS, _grown(aorta, 1.8)), Region(Tissue.BLOOD, aorta)]
    regions.append(Region(Tissue.ATRIAL_BLOOD, atrium, Structure.LA))
    regions.append(Region(Tissue.BLOOD, cavity.outline, Structure.LV))
    for blob in shape.blobs:
        regions.append(Region(Tissue.MUSCLE_IN_CAVITY, cavity.blob(blob)))
    leaflets = _leaflets(shape, state, (hinge_left, base_v), (hinge_right, base_v))
    regions += [Region(Tissue.LEAFLET, _ribbon(line, shape.leaflet_mm), Structure.MV) for line in leaflets]

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


@dataclass(frozen=True)
class _Wall:
    """The wall's outline, closed across the cavity, and its outer surface alone."""

    outline: FloatArray
    outer: FloatArray


class _Sides:
    """The ventricle's two sides in one view at one moment."""

    def __init__(self, anatomy: Anatomy, view: View, contraction: float, base_v: float, apex_v: float) -> None:
        self.anatomy, self.shape, self.view, self.contraction = anatomy, anatomy.views[view], view, contraction
        self.base_v, self.apex_v = base_v, apex_v
        s = _heights()
        half = anatomy.widths_mm(view, contraction, s) / 2.0
        centre, v = self._axis(s), base_v + s * (apex_v - base_v)
        self.left, self.right = np.stack([centre - half, v], axis=1), np.stack([centre + half, v], axis=1)
        self.outline = np.concatenate([self.left, self.right[-2::-1]])

    @property
    def base(self) -> tuple[float, float]:
        """Left and right end of the base along u."""
        return float(self.left[0, 0]), float(self.right[0, 0])

    def _axis(self, s: FloatArray) -> FloatArray:
        bend = sum(a * np.sin((k + 1) * np.pi * s) for k, a in enumerate(self.shape.axis_waves_mm))
        return np.asarray(bend, float)

    def wall(self, thickening: float) -> _Wall:
        """The wall around the cavity: a larger bullet whose feet stand beside the base's ends."""
        left, apex, right = (thickness * thickening for thickness in self.shape.wall_mm)
        widest = self.shape.diameter_mm * (1.0 - self.anatomy.narrowing * self.contraction)
        s = _heights()
        height = self.apex_v + apex - self.base_v
        ratio = (self.apex_v - self.base_v) / height  # the cavity's heights within the wall's
        centre = self._axis(np.clip(s / ratio, 0.0, 1.0))
        sides = []
        for side, thickness, shoulder in ((-1, left, self.shape.shoulder_mm[0]), (1, right, self.shape.shoulder_mm[1])):
            base = abs(self.base[0 if side < 0 else 1]) + shoulder
            half = _bullet(
                s,
                base,
                max(widest / 2.0 + thickness, base * 0.9),
                self.anatomy.widest_at * ratio,
                self.anatomy.apex_exponent,
                1.0,
            )
            inner = np.interp(s * height, _heights() * ratio * height, np.abs(self._half(side)), right=0.0)
            half = np.maximum(half, inner + 0.5 * thickness * (s < ratio))
            sides.append(np.stack([centre + side * half, self.base_v + s * height], axis=1))
        outer = np.concatenate([sides[0], sides[1][-2::-1]])
        foot_left, foot_right = self._foot(-1, outer[0]), self._foot(1, outer[-1])
        return _Wall(np.concatenate([outer, foot_right, foot_left[::-1]]), outer)

    def _half(self, side: int) -> FloatArray:
        line = self.left if side < 0 else self.right
        return line[:, 0] - self._axis(_heights())

    def _foot(self, side: int, outer_end: FloatArray) -> FloatArray:
        """The wall's lower edge from its outer surface to the end of the base, sagging a little."""
        end = np.array([self.base[0 if side < 0 else 1], self.base_v])
        t = np.linspace(0.0, 1.0, 9)[:, None]
        edge = outer_end + t * (end - outer_end)
        edge[:, 1] -= self.shape.foot_drop_mm * np.sin(np.pi * t[:, 0]) ** 0.7
        return edge[1:]

    def blob(self, blob: Blob) -> FloatArray:
        """Outline of a papillary muscle or trabecula, lying along its wall."""
        line = self.left if blob.side < 0 else self.right
        index = int(np.argmin(np.abs(_heights() - blob.height)))
        index = min(max(index, 1), len(line) - 2)
        along = line[index + 1] - line[index - 1]
        along /= np.linalg.norm(along)
        across = np.array([along[1], -along[0]]) * -blob.side
        centre = line[index] + across * blob.inset_mm
        angle = np.linspace(0.0, 2.0 * np.pi, 16, endpoint=False)[:, None]
        return centre + np.cos(angle) * blob.radii_mm[0] * across + np.sin(angle) * blob.radii_mm[1] * along


def _add_right_heart(
    regions: list[Region],
    interfaces: list[Interface],
    shape: ViewShape,
    wall: _Wall,
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
    free_wall = _curve((far, plane_v), (far - 0.15 * ventricle_mm, plane_v + 0.6 * (top - plane_v)), (top_u, top))
    ventricle = np.concatenate([free_wall, [[top_u + 8.0, top], [septum + 6.0, plane_v]]])
    left_edge = float(atrium[:, 0].min()) - 4.0
    pouch = _pouch(left_edge - atrium_mm, left_edge, plane_v, 1.15 * atrium_mm, 0.9 * atrium_mm, -0.05)
    regions += [
        Region(Tissue.MYOCARDIUM, _grown(ventricle, 4.0)),
        Region(Tissue.ATRIAL_WALL, _grown(pouch, 2.5)),
        Region(Tissue.BLOOD, ventricle, Structure.RV),
        Region(Tissue.BLOOD, pouch),
    ]
    hinge = (septum + 2.0, plane_v)
    tricuspid = _curve((far, plane_v), ((far + hinge[0]) / 2.0, plane_v + 6.0), hinge)
    regions.append(Region(Tissue.LEAFLET, _ribbon(tricuspid, 1.4)))
    interfaces += [Interface(free_wall - [3.0, 0.0], 0.7), Interface(pouch, 0.6), Interface(tricuspid, 0.5)]


def _add_right_outflow(regions: list[Region], shape: ViewShape, cavity: _Sides, base_v: float, apex_v: float) -> None:
    """A dark strip of the right ventricle beyond the anteroseptal wall (A3C)."""
    inner = cavity.right[:, 0].max() + 0.5 * shape.wall_mm[2]
    width = shape.right_heart_mm[0]
    low, high = base_v + 2.0, base_v + 0.7 * (apex_v - base_v)
    outer = _curve((inner + width, low), (inner + 1.5 * width, (low + high) / 2.0), (inner, high))
    strip = np.concatenate([outer, [[inner, low]]])
    regions += [Region(Tissue.MYOCARDIUM, _grown(strip, 4.0)), Region(Tissue.BLOOD, strip, Structure.RV)]


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
    return _pouch(left, right, base_v, length, max(width, 1.02 * (right - left)), shape.atrium_tilt_deg / 57.3)


def _pouch(left: float, right: float, top_v: float, length: float, width: float, slant: float) -> FloatArray:
    """A rounded bag hanging from the line (left, right) at `top_v`; the line itself is its straight upper border."""
    s = _heights()
    half = _bullet(s, right - left, width, 0.48, 2.3, 1.0) / 2.0
    centre = (left + right) / 2.0 + slant * s * length
    down = top_v - s * length
    return np.concatenate([np.stack([centre - half, down], axis=1), np.stack([centre + half, down], axis=1)[-2::-1]])


def _aorta(left: float, right: float, base_v: float) -> FloatArray:
    """The aortic root below the outflow tract: a sinus, then a tube leaning to the right."""
    t = np.linspace(0.0, 1.0, 20)
    width = (right - left) * (1.0 + 0.3 * np.sin(np.pi * np.clip(t / 0.6, 0.0, 1.0)))
    centre, v = (left + right) / 2.0 + 14.0 * t**1.5 + 0.15 * width, base_v - 42.0 * t
    edge_left = np.stack([np.maximum(centre - width / 2.0, left), v], axis=1)
    return np.concatenate([edge_left, np.stack([centre + width / 2.0, v], axis=1)[::-1]])


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
        lines.append(_curve(hinge, middle, tip))
    return lines[0], lines[1]


def _narrowing_for(anatomy: Anatomy) -> float:
    """The loss of diameter that gives the wanted ejection fraction, by bisection on the continuous volume."""
    target = anatomy.volume_ml(0.0) * (1.0 - anatomy.ef_percent / 100.0)
    low, high = -0.3, 0.9
    for _ in range(60):
        middle = (low + high) / 2.0
        if replace(anatomy, narrowing=middle).volume_ml(1.0) > target:
            low = middle
        else:
            high = middle
    return (low + high) / 2.0


def _draw_view(
    rng: np.random.Generator, view: View, length: float, diameter: float, annulus: float, wall: float
) -> ViewShape:
    """One view of a heart whose overall size is given."""
    a3c = view is View.A3C
    outflow = rng.uniform(14.0, 20.0) if a3c else 0.0
    annulus *= rng.normal(1.0, 0.06) * (0.92 if a3c else 1.0)
    width = max(diameter * rng.normal({View.A2C: 1.04, View.A3C: 1.0, View.A4C: 0.98}[view], 0.05), annulus + outflow)
    thick = wall * (1.28 if view is View.A2C else 1.05)
    wall_mm = tuple(float(np.clip(thick * rng.normal(1.0, 0.14), 6.5, 21.0)) for _ in range(3))
    shoulder = (wall_mm[0] * rng.uniform(0.75, 1.25), wall_mm[2] * rng.uniform(0.75, 1.25))
    atrium_width = max(_normal(rng, 40.0, 5.0, 28.0, 56.0), 1.05 * annulus)
    bend = {View.A2C: 0.5, View.A3C: -1.0, View.A4C: 1.5}[view]
    return ViewShape(
        diameter_mm=width,
        annulus_mm=annulus,
        outflow_mm=outflow,
        width_waves=(rng.normal(0.0, 0.02), rng.normal(0.0, 0.012), rng.normal(0.0, 0.01)),
        axis_waves_mm=(rng.normal(bend, 2.0), rng.normal(0.0, 1.0), rng.normal(0.0, 0.6)),
        tilt_deg=_normal(rng, -4.5 if view is View.A4C else 0.0, 6.0, -18.0, 16.0),
        foreshortening=1.0 - abs(rng.normal(0.0, 0.06)) if rng.random() < 0.6 else 1.0,
        wall_mm=(wall_mm[0], wall_mm[1] * rng.uniform(0.65, 1.1), wall_mm[2]),
        shoulder_mm=shoulder,
        foot_drop_mm=rng.uniform(0.0, 3.0),
        groove_mm=(
            (rng.uniform(2.0, 8.0), rng.uniform(1.5, 6.0)),
            (rng.uniform(2.0, 8.0), rng.uniform(1.5, 6.0)),
        ),
        atrium_mm=(atrium_width, _normal(rng, 48.0, 8.0, 32.0, 68.0)),
        atrium_tilt_deg=rng.normal(4.0, 7.0),
        right_heart_mm=(rng.uniform(10.0, 18.0), 0.0) if a3c else (rng.uniform(22.0, 46.0), rng.uniform(30.0, 48.0)),
        septum_drop_mm=rng.uniform(2.0, 8.0),
        coaptation=rng.uniform(0.5, 0.68),
        tenting_mm=rng.uniform(0.0, 7.0),
        leaflet_mm=rng.uniform(1.2, 3.0),
        anterior_on_right=a3c,
        blobs=_draw_blobs(rng, width / length),
    )


def _draw_blobs(rng: np.random.Generator, fatness: float) -> tuple[Blob, ...]:
    """Up to two papillary muscles at mid-height and trabeculae near the apex."""
    papillary = [
        Blob(
            side,
            rng.uniform(0.35, 0.65),
            rng.uniform(1.5, 6.0) * fatness / 0.57,
            (rng.uniform(2.0, 4.0), rng.uniform(4.0, 9.0)),
        )
        for side in (-1, 1)
        if rng.random() < 0.5
    ]
    trabeculae = [
        Blob(
            int(rng.choice((-1, 1))),
            rng.uniform(0.3, 0.97),
            rng.uniform(-0.5, 2.0),
            (rng.uniform(0.8, 2.2), rng.uniform(1.0, 4.0)),
        )
        for _ in range(rng.integers(4, 24))
    ]
    return tuple(papillary + trabeculae)


def _heights() -> FloatArray:
    """Heights 0..1, dense at the apex where the width falls like a square root."""
    return 1.0 - (1.0 - np.linspace(0.0, 1.0, OUTLINE_POINTS)) ** 2


def _bullet(
    s: FloatArray, base: float, widest: float, widest_at: float, apex_exponent: float, base_power: float
) -> FloatArray:
    """Width at heights s: `base` at 0, rising to `widest` at `widest_at`, round to 0 at 1."""
    rise = np.sin(np.pi / 2.0 * np.clip(s / widest_at, 0.0, 1.0)) ** base_power
    fall = np.clip((s - widest_at) / (1.0 - widest_at), 0.0, 1.0)
    return (base + (widest - base) * rise) * np.sqrt(np.maximum(0.0, 1.0 - fall**apex_exponent))


def _curve(begin: tuple[float, float], control: tuple[float, float], end: tuple[float, float]) -> FloatArray:
    """Quadratic Bézier curve of 16 points."""
    t = np.linspace(0.0, 1.0, 16)[:, None]
    return (1.0 - t) ** 2 * np.array(begin) + 2.0 * t * (1.0 - t) * np.array(control) + t**2 * np.array(end)


def _ribbon(line: FloatArray, thickness_mm: float) -> FloatArray:
    """A line made a closed outline of some thickness, thinner at its ends."""
    along = np.gradient(line, axis=0)
    across = np.stack([-along[:, 1], along[:, 0]], axis=1) / np.linalg.norm(along, axis=1, keepdims=True)
    half = thickness_mm / 2.0 * np.linspace(1.0, 0.7, len(line))[:, None]
    return np.concatenate([line + across * half, (line - across * half)[::-1]])


def _ellipse(centre: tuple[float, float], radii: tuple[float, float]) -> FloatArray:
    angle = np.linspace(0.0, 2.0 * np.pi, 16, endpoint=False)
    return np.stack([centre[0] + radii[0] * np.cos(angle), centre[1] + radii[1] * np.sin(angle)], axis=1)


def _grown(outline: FloatArray, by_mm: float) -> FloatArray:
    """An outline pushed outwards from its centre by about `by_mm`."""
    centre = outline.mean(axis=0)
    away = outline - centre
    return outline + away / np.maximum(np.linalg.norm(away, axis=1, keepdims=True), 1e-6) * by_mm


def _normal(rng: np.random.Generator, mean: float, sd: float, low: float, high: float) -> float:
    return float(np.clip(rng.normal(mean, sd), low, high))
