"""The image's geometry: the sector, its pixel grid, the polar grid it is computed on and the heart's place in it."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]

RANGE_STEP_MM = 0.3
LINE_STEP_DEG = 0.4


@dataclass(frozen=True)
class Sector:
    """A phased-array sector whose apex is at the middle of the image's first row, black around it.

    Attributes:
        depth_mm: radius of the lower arc; the image ends there.
        opening_deg: full angle between the two sides.
        pitch_mm: isotropic pixel pitch.
    """

    depth_mm: float
    opening_deg: float
    pitch_mm: float

    @property
    def shape(self) -> tuple[int, int]:
        """(H, W) of the image: the sector's bounding box."""
        half_width_mm = self.depth_mm * np.sin(np.deg2rad(self.opening_deg / 2))
        return round(self.depth_mm / self.pitch_mm) + 1, 2 * int(np.ceil(half_width_mm / self.pitch_mm)) + 1

    @property
    def polar_shape(self) -> tuple[int, int]:
        """(ranges, lines) of the polar grid."""
        return int(np.ceil(self.depth_mm / RANGE_STEP_MM)) + 1, int(np.ceil(self.opening_deg / LINE_STEP_DEG)) + 1

    @property
    def line_step_rad(self) -> float:
        """Angle between two lines of the polar grid."""
        return np.deg2rad(self.opening_deg) / (self.polar_shape[1] - 1)

    def to_pixels(self, points_mm: FloatArray) -> FloatArray:
        """Image coordinates in mm, (x right of the sector's apex, y below it), to (row, col) of the image."""
        return np.stack([points_mm[:, 1], points_mm[:, 0]], axis=1) / self.pitch_mm + [0.0, (self.shape[1] - 1) / 2]

    def to_polar(self, points_mm: FloatArray) -> FloatArray:
        """Image coordinates in mm to (row, col) of the polar grid."""
        radius = np.hypot(points_mm[:, 0], points_mm[:, 1])
        angle = np.arctan2(points_mm[:, 0], np.maximum(points_mm[:, 1], 1e-3))
        half = np.deg2rad(self.opening_deg / 2)
        return np.stack([radius / RANGE_STEP_MM, (angle + half) / self.line_step_rad], axis=1)

    def polar_grid_mm(self) -> tuple[FloatArray, FloatArray]:
        """(ranges, 1) radius in mm and (1, lines) angle in radians of the polar grid's points."""
        ranges, lines = self.polar_shape
        half = np.deg2rad(self.opening_deg / 2)
        radius = np.arange(ranges, dtype=np.float64)[:, None] * RANGE_STEP_MM
        return radius, np.linspace(-half, half, lines, dtype=np.float64)[None, :]

    def scan_conversion(self) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32], npt.NDArray[np.bool_]]:
        """For each pixel its (row, col) in the polar grid, and whether it lies in the sector; each (H, W)."""
        height, width = self.shape
        y = np.arange(height)[:, None] * self.pitch_mm
        x = (np.arange(width)[None, :] - (width - 1) / 2) * self.pitch_mm
        radius, angle = np.hypot(x, y), np.arctan2(x, y)
        half = np.deg2rad(self.opening_deg / 2)
        inside = (radius <= self.depth_mm) & (np.abs(angle) <= half)
        rows = (radius / RANGE_STEP_MM).astype(np.float32)
        cols = ((angle + half) / self.line_step_rad).astype(np.float32)
        return rows, cols, inside


@dataclass(frozen=True)
class Pose:
    """Where the heart lies in the sector.

    Heart coordinates are (u, v) in mm: u to the right along the annulus, v from the annulus to the apex, the origin in
    the middle of the mitral annulus at end-diastole.

    Attributes:
        rotation_deg: angle of the long axis from the vertical; positive when the base lies to the right of the apex.
        origin_mm: image coordinates (x, y) of the heart's origin.
    """

    rotation_deg: float
    origin_mm: tuple[float, float]

    def to_image(self, points: FloatArray) -> FloatArray:
        """(N, 2) heart coordinates (u, v) to (N, 2) image coordinates (x, y), both in mm."""
        sine, cosine = np.sin(np.deg2rad(self.rotation_deg)), np.cos(np.deg2rad(self.rotation_deg))
        u, v = points[:, 0], points[:, 1]
        return np.stack([u * cosine - v * sine, -u * sine - v * cosine], axis=1) + self.origin_mm

    def to_heart(self, x: FloatArray, y: FloatArray) -> tuple[FloatArray, FloatArray]:
        """The inverse, on arrays of any one shape."""
        sine, cosine = np.sin(np.deg2rad(self.rotation_deg)), np.cos(np.deg2rad(self.rotation_deg))
        x, y = x - self.origin_mm[0], y - self.origin_mm[1]
        return x * cosine - y * sine, -x * sine - y * cosine
