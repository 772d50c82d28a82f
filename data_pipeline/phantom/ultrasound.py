"""The ultrasound model: tissue → scatterers in polar space → point-spread function → envelope → grey levels.

A convolutional model. The image of many scatterers is their complex reflectivity convolved with the probe's
point-spread function, which in polar coordinates is nearly the same along a depth; it is applied at three beam widths
and blended by depth. Simulating waves is out of reach: PyMUST 0.1.9's `simus` took 118 s for one transmit on 95 000
scatterers (as many as the polar grid here has points; a sector needs tens of transmits), where a whole frame of this
model, written, took 0.05 s on the same busy machine.

Source: Gao et al., COLE (IEEE TUFFC 56(2):404-409, 2009), and Meunier & Bertrand (IEEE TBME 42(12), 1995), for the idea
of a convolutional speckle model. Deviation: complex baseband scatterers on a polar grid instead of points and RF lines.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from data_pipeline.phantom.plane import Plane, Tissue
from data_pipeline.phantom.sector import LINE_STEP_DEG, RANGE_STEP_MM, Pose, Sector
from data_pipeline.raster import fill_polygon

FloatArray = npt.NDArray[np.floating[Any]]

QUALITIES = ("Good", "Medium", "Poor")
TEXTURE_STEP_MM = 0.35
TEXTURE_SIZE = 512  # the texture of scatterers repeats after 180 mm, more than a sector shows of one tissue
BEAM_FACTORS = (1.0, 2.0, 4.5)  # beam widths that are computed, as multiples of the far one
NEAR_ZONE_MM = 14.0  # closer than this the aperture, not diffraction, sets the beam's width


@dataclass(frozen=True)
class Shadow:
    """A cone without echoes behind a rib or lung.

    Attributes:
        centre_deg, width_deg: where it lies and how wide it is.
        depth_mm: where it begins.
        loss_db: how much it takes away.
    """

    centre_deg: float
    width_deg: float
    depth_mm: float
    loss_db: float


@dataclass(frozen=True)
class Imaging:
    """How one view of one patient was imaged; the same for all its frames.

    Attributes:
        quality: `Good`, `Medium` or `Poor`.
        tissue_db: echogenicity of each tissue against the myocardium's.
        surroundings_db: that of everything around the heart.
        streak_db: brightness of the layers that lie across the beam in the surroundings.
        deep_db, deep_from: extra echogenicity of what lies behind the heart, from this share of the depth on.
        wall_side_db: extra echogenicity of what lies left and right of the long axis.
        apex_fade_db: echogenicity that the wall loses towards the apex.
        mottle_db: standard deviation of the slow random change of echogenicity in the surroundings and in the heart.
        mottle_mm: its grain, coarse and fine.
        dropout: share of the wall that fades, and by how many dB.
        mirror_db: strength of mirror-like surfaces over myocardium.
        haze_db: level of stationary clutter against myocardium.
        haze_mottle_db: its slow random change.
        near_field_db, near_field_mm: extra clutter at the probe and its reach.
        beam_deg, pulse_mm: sigma of the point-spread function across and along the beam, far from the probe.
        side_lobe: amplitude of the wide skirt of the beam.
        tgc_db: residual gain along the depth (knots, equally spaced).
        line_gain_db: residual gain across the lines (knots).
        noise_db: electronic noise at full depth against myocardium.
        shadows: see `Shadow`.
        dynamic_range_db: range of echo levels between black and white.
        gamma: exponent of the grey map.
        target_grey: median grey level of the sector that the operator's gain aims at.
        border_px: sigma of the transition between two tissues, polar samples.
        smoothing_px: sigma of the scanner's own smoothing of the envelope, polar samples; like compounding it also
            fills the dark gaps of the speckle.
        sharpening: amount of the scanner's edge enhancement.
    """

    quality: str
    tissue_db: Mapping[Tissue, float]
    surroundings_db: float
    streak_db: float
    deep_db: float
    deep_from: float
    wall_side_db: tuple[float, float]
    apex_fade_db: float
    mottle_db: tuple[float, float]
    mottle_mm: tuple[float, float]
    dropout: tuple[float, float]
    mirror_db: float
    haze_db: float
    haze_mottle_db: float
    near_field_db: float
    near_field_mm: float
    beam_deg: float
    pulse_mm: float
    side_lobe: float
    tgc_db: tuple[float, ...]
    line_gain_db: tuple[float, ...]
    noise_db: float
    shadows: tuple[Shadow, ...]
    dynamic_range_db: float
    gamma: float
    target_grey: float
    border_px: float
    smoothing_px: float
    sharpening: float


def draw_imaging(rng: np.random.Generator, quality: str) -> Imaging:
    """One acquisition at random. The ranges are wider than one scanner's, so that a network learns the heart."""
    rank = QUALITIES.index(quality)
    blood = rng.uniform(-26.0, -13.0)
    return Imaging(
        quality=quality,
        tissue_db={
            Tissue.MYOCARDIUM: 0.0,
            Tissue.ATRIAL_WALL: rng.uniform(-10.0, 2.0),
            Tissue.BLOOD: blood,
            Tissue.ATRIAL_BLOOD: blood + rng.uniform(-1.0, 11.0),
            Tissue.MUSCLE_IN_CAVITY: rng.uniform(-6.0, 4.0),
            Tissue.FIBROUS: rng.uniform(-2.0, 7.0),
            Tissue.LEAFLET: rng.uniform(0.0, 9.0) - 1.5 * rank,
        },
        surroundings_db=rng.uniform(-12.0, 4.0),
        streak_db=rng.uniform(0.0, 4.0),
        deep_db=rng.uniform(-1.0, 10.0),
        deep_from=rng.uniform(0.6, 0.85),
        wall_side_db=(rng.uniform(3.0, 14.0) - rank, rng.uniform(-2.0, 10.0) - rank),
        apex_fade_db=rng.uniform(0.0, 14.0),
        mottle_db=(rng.uniform(2.5, 7.0), rng.uniform(2.0, 6.5)),
        mottle_mm=(rng.uniform(10.0, 22.0), rng.uniform(2.5, 6.0)),
        dropout=(rng.uniform(0.0, 0.22) + 0.1 * rank, rng.uniform(4.0, 12.0)),
        mirror_db=rng.uniform(5.0, 16.0) - 2.0 * rank,
        haze_db=rng.uniform((-18.0, -15.0, -11.0)[rank], (-9.0, -7.0, -5.0)[rank]),
        haze_mottle_db=rng.uniform(1.0, 4.5),
        near_field_db=rng.uniform(4.0, 18.0),
        near_field_mm=rng.uniform(15.0, 70.0),
        beam_deg=rng.uniform(0.45, 0.9) * (1.0 + 0.12 * rank),
        pulse_mm=rng.uniform(0.33, 0.6),
        side_lobe=rng.uniform(0.0, 0.12),
        tgc_db=tuple(rng.normal(0.0, 2.2, 6)),
        line_gain_db=tuple(rng.normal(0.0, 1.6, 9) + _edges(9) * rng.uniform(-7.0, 1.0)),
        noise_db=rng.uniform((-26.0, -21.0, -17.0)[rank], (-13.0, -10.0, -7.0)[rank]),
        shadows=tuple(_draw_shadow(rng) for _ in range(rng.poisson((0.3, 0.7, 1.3)[rank]))),
        dynamic_range_db=rng.uniform(48.0, 78.0),
        gamma=rng.uniform(1.0, 1.9),
        target_grey=float(np.clip(rng.normal(80.0, 22.0), 35.0, 150.0)),
        border_px=rng.uniform(0.6, 2.2),
        smoothing_px=rng.uniform(0.6, 1.3),
        sharpening=rng.uniform(0.0, 0.4),
    )


class Scanner:
    """Images one patient's view frame after frame: what stays the same between frames is computed once.

    Args:
        sector, pose: the image's geometry.
        imaging: how it was imaged.
        rng: draws the scatterers and the slow changes now, blood and noise at every frame.
    """

    def __init__(self, sector: Sector, pose: Pose, imaging: Imaging, rng: np.random.Generator) -> None:
        self.sector, self.pose, self.imaging, self.rng = sector, pose, imaging, rng
        self.shape = sector.polar_shape
        radius, angle = sector.polar_grid_mm()
        self.radius = radius.astype(np.float32)
        u, v = pose.to_heart(radius * np.sin(angle), radius * np.cos(angle))
        self.u, self.v = u.astype(np.float32), v.astype(np.float32)
        self.map_rows, self.map_cols, self.inside = sector.scan_conversion()
        self.scatterers = rng.standard_normal((TEXTURE_SIZE, TEXTURE_SIZE, 2), np.float32)
        coarse, fine = imaging.mottle_mm
        self.behind = imaging.deep_db / (1.0 + np.exp(-(self.radius / sector.depth_mm - imaging.deep_from) / 0.05))
        streaks = np.maximum(self._slow(2.2, 7.0), 0.0) ** 2
        self.mottle_around = imaging.mottle_db[0] * (self._slow(coarse, 2.5) + 0.6 * self._slow(fine, 4.0))
        self.mottle_around += imaging.streak_db * (streaks - 0.5) + self.behind
        self.mottle_heart = imaging.mottle_db[1] * (self._slow(0.6 * coarse, 1.5) + 0.6 * self._slow(fine, 1.5))
        self.mottle_heart += 0.6 * self.behind
        self.glints = np.minimum(4.5 * (self._slow(9.0, 2.0) + self._slow(3.0, 2.0)), 5.0)
        self.fading = self._fading()
        self.haze = self._haze()
        self.gain = self._gain()
        self.beam_weights = self._beam_weights()
        self.grey_offset: float | None = None

    def image(self, plane: Plane, contraction: float) -> npt.NDArray[np.uint8]:
        """(H, W) 8-bit image of a plane; the first frame sets the gain of all the others.

        Args:
            plane: the outlines of this moment.
            contraction: 0..1; the scatterers of the tissue move with it.
        """
        level_db = self._echogenicity_db(plane)
        tissue = self._material_scatterers(contraction) * _amplitude(level_db)[..., None]
        tissue += self._mirrors(plane)[..., None] * np.array([0.8, 0.6], np.float32)
        tissue += self.rng.standard_normal((*self.shape, 2), np.float32) * self.haze[..., None]
        echoes = self._blurred(tissue) * self.gain[..., None]
        noise = _amplitude(self.imaging.noise_db + 10.0 * (self.radius / self.sector.depth_mm - 1.0))
        echoes += cv2.GaussianBlur(
            self.rng.standard_normal((*self.shape, 2), np.float32) * (noise * 2.0)[..., None], (0, 0), 0.6
        )
        envelope = cv2.GaussianBlur(np.hypot(echoes[..., 0], echoes[..., 1]), (0, 0), self.imaging.smoothing_px)
        return self._grey(20.0 * np.log10(envelope + 1e-4))

    def _echogenicity_db(self, plane: Plane) -> npt.NDArray[np.float32]:
        imaging = self.imaging
        level = imaging.surroundings_db + self.mottle_around
        heart = self.mottle_heart - self.fading
        left, right = imaging.wall_side_db
        heart += left + (right - left) / (1.0 + np.exp(-self.u / 5.0))
        heart -= imaging.apex_fade_db / (1.0 + np.exp(-(self.v - 55.0) / 10.0))
        for region in plane.regions:
            mask = fill_polygon(self.shape, self.sector.to_polar(self.pose.to_image(region.outline)))
            value = imaging.tissue_db[region.tissue]
            if region.tissue in (Tissue.BLOOD, Tissue.ATRIAL_BLOOD):
                level[mask] = value
            else:
                level[mask] = value + heart[mask]
        return _float32(cv2.GaussianBlur(_float32(level), (0, 0), imaging.border_px))

    def _mirrors(self, plane: Plane) -> FloatArray:
        """Amplitude of mirror-like surfaces: strongest where the beam meets them at a right angle."""
        canvas = np.zeros(self.shape, np.float32)
        for interface in plane.interfaces:
            image = self.pose.to_image(interface.line)
            polar = np.round(self.sector.to_polar(image) * 8.0).astype(np.int32)
            along = np.diff(image, axis=0)
            middle = image[1:] + image[:-1]
            facing = np.abs(along[:, 0] * middle[:, 1] - along[:, 1] * middle[:, 0])
            facing /= np.linalg.norm(along, axis=1) * np.linalg.norm(middle, axis=1) + 1e-9
            strength = interface.strength * (0.03 + 0.97 * facing**4)
            for (row_a, col_a), (row_b, col_b), value in zip(polar[:-1], polar[1:], strength, strict=True):
                cv2.line(canvas, (int(col_a), int(row_a)), (int(col_b), int(row_b)), float(value), 2, shift=3)
        modulation = _amplitude(self.imaging.mirror_db + self.glints - self.fading)
        return canvas * modulation

    def _material_scatterers(self, contraction: float) -> npt.NDArray[np.float32]:
        """Scatterers at each polar point, carried along with the tissue (towards the apex, and inwards)."""
        near = np.exp(-((self.u / 70.0) ** 2) - ((self.v - 30.0) / 80.0) ** 2) * contraction
        u = self.u * (1.0 + 0.2 * near)
        v = self.v - 10.0 * near * np.clip(1.0 - self.v / 90.0, 0.0, 1.0)
        rows, cols = (v / TEXTURE_STEP_MM).astype(np.int32), (u / TEXTURE_STEP_MM).astype(np.int32)
        return self.scatterers[rows % TEXTURE_SIZE, cols % TEXTURE_SIZE]

    def _blurred(self, field: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """The point-spread function, of unit energy for independent scatterers at every depth."""
        along = self.imaging.pulse_mm / RANGE_STEP_MM
        result = np.zeros_like(field)
        for factor, weight in zip(BEAM_FACTORS, self.beam_weights, strict=True):
            across = self.imaging.beam_deg * factor / LINE_STEP_DEG
            result += cv2.GaussianBlur(field, (0, 0), sigmaX=across, sigmaY=along) * (
                weight * np.sqrt(4.0 * np.pi * across * along)
            )
        if self.imaging.side_lobe:
            across = 9.0 * self.imaging.beam_deg / LINE_STEP_DEG
            result += cv2.GaussianBlur(field, (0, 0), sigmaX=across, sigmaY=along) * (
                self.imaging.side_lobe * np.sqrt(4.0 * np.pi * across * along)
            )
        return result

    def _beam_weights(self) -> tuple[npt.NDArray[np.float32], ...]:
        """Share of each computed beam width at each depth, (ranges, 1, 1): linear between the two nearest."""
        wanted = np.log(1.0 + (NEAR_ZONE_MM / np.maximum(self.radius, 1.0)) ** 1.2)
        knots = np.log(np.array(BEAM_FACTORS))
        return tuple(
            np.interp(wanted, knots, np.eye(len(knots))[k]).astype(np.float32)[..., None] for k in range(len(knots))
        )

    def _grey(self, compressed: FloatArray) -> npt.NDArray[np.uint8]:
        imaging = self.imaging
        compressed += imaging.sharpening * (compressed - cv2.GaussianBlur(compressed, (0, 0), 2.5))
        cartesian = cv2.remap(
            compressed, self.map_cols, self.map_rows, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
        )
        if self.grey_offset is None:
            wanted = imaging.dynamic_range_db * (imaging.target_grey / 255.0) ** (1.0 / imaging.gamma)
            self.grey_offset = float(wanted - np.median(cartesian[self.inside]))
        share = np.clip((cartesian + self.grey_offset) / imaging.dynamic_range_db, 0.0, 1.0)
        grey = 255.0 * share**imaging.gamma
        return np.where(self.inside, np.clip(np.rint(grey), 1, 255), 0).astype(np.uint8)

    def _fading(self) -> FloatArray:
        """Decibels lost where the wall drops out: the peaks of a slow random field."""
        share, loss = self.imaging.dropout
        field = self._slow(14.0, 1.2)
        edge = np.quantile(field, 1.0 - share) if share > 0 else field.max() + 1.0
        return loss / (1.0 + np.exp(-(field - edge) / 0.25))

    def _haze(self) -> FloatArray:
        """Amplitude of stationary clutter: reverberation of the chest wall, thickest near the probe."""
        imaging = self.imaging
        near = imaging.near_field_db * np.exp(-self.radius / imaging.near_field_mm)
        rings = 2.5 * np.cos(2.0 * np.pi * self.radius / self.rng.uniform(2.0, 6.0)) * np.exp(-self.radius / 9.0)
        return _amplitude(
            imaging.haze_db + imaging.haze_mottle_db * self._slow(18.0, 2.0) + near + rings + 0.7 * self.behind
        )

    def _gain(self) -> FloatArray:
        """Residual gain along depth and lines, and shadows, as an amplitude on the polar grid."""
        imaging = self.imaging
        radius, angle = self.sector.polar_grid_mm()
        gain = _through(imaging.tgc_db, self.shape[0])[:, None] + _through(imaging.line_gain_db, self.shape[1])[None, :]
        for shadow in imaging.shadows:
            across = np.exp(-(((np.rad2deg(angle) - shadow.centre_deg) / shadow.width_deg) ** 4))
            behind = 1.0 / (1.0 + np.exp(-(radius - shadow.depth_mm) / 2.5))
            gain = gain - shadow.loss_db * across * behind
        return _amplitude(gain)

    def _slow(self, grain_mm: float, stretch: float) -> npt.NDArray[np.float32]:
        """Smooth random field of unit variance on the polar grid, `stretch` times longer across the beam."""
        rows, cols = self.shape
        mid_mm_per_line = 0.6 * self.sector.depth_mm * self.sector.line_step_rad
        small = (
            max(3, round(rows * RANGE_STEP_MM / grain_mm) + 2),
            max(3, round(cols * mid_mm_per_line / (grain_mm * stretch)) + 2),
        )
        field = cv2.resize(self.rng.standard_normal(small, np.float32), (cols, rows), interpolation=cv2.INTER_CUBIC)
        return (field - field.mean()) / (field.std() + 1e-6)


def _draw_shadow(rng: np.random.Generator) -> Shadow:
    side = rng.choice((-1.0, 1.0))
    at_edge = rng.random() < 0.6
    return Shadow(
        centre_deg=float(side * (rng.uniform(25.0, 45.0) if at_edge else rng.uniform(0.0, 25.0))),
        width_deg=rng.uniform(3.0, 12.0) if at_edge else rng.uniform(1.5, 6.0),
        depth_mm=rng.uniform(0.0, 50.0),
        loss_db=rng.uniform(3.0, 13.0),
    )


def _edges(knots: int) -> FloatArray:
    """1 at both ends of a row of knots, 0 in its middle half."""
    return np.clip(2.0 * np.abs(np.linspace(-1.0, 1.0, knots)) - 1.0, 0.0, 1.0)


def _through(knots: tuple[float, ...], count: int) -> npt.NDArray[np.float32]:
    """A smooth curve through equally spaced knots, at `count` points."""
    row = np.array([knots], np.float32)
    return np.asarray(cv2.resize(row, (count, 1), interpolation=cv2.INTER_CUBIC)[0], np.float32)


def _amplitude(level_db: npt.ArrayLike) -> npt.NDArray[np.float32]:
    return _float32(10.0 ** (_float32(level_db) / 20.0))


def _float32(values: npt.ArrayLike) -> npt.NDArray[np.float32]:
    return np.asarray(values, np.float32)
