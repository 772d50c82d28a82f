"""Shapes that the simulated heart is made of: closed outlines and open lines, (N, 2) in mm."""

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]

OUTLINE_POINTS = 80


def heights() -> FloatArray:
    """Heights 0..1, dense at the apex where the width falls like a square root."""
    return 1.0 - (1.0 - np.linspace(0.0, 1.0, OUTLINE_POINTS)) ** 2


def bullet(
    s: FloatArray, base: float, widest: float, widest_at: float, apex_exponent: float, base_power: float
) -> FloatArray:
    """Width at heights s: `base` at 0, rising to `widest` at `widest_at`, round to 0 at 1."""
    rise = np.sin(np.pi / 2.0 * np.clip(s / widest_at, 0.0, 1.0)) ** base_power
    fall = np.clip((s - widest_at) / (1.0 - widest_at), 0.0, 1.0)
    return (base + (widest - base) * rise) * np.sqrt(np.maximum(0.0, 1.0 - fall**apex_exponent))


def pouch(left: float, right: float, top_v: float, length: float, width: float, slant: float) -> FloatArray:
    """A rounded bag hanging from the line (left, right) at `top_v`; the line itself is its straight upper border."""
    s = heights()
    half = bullet(s, right - left, width, 0.48, 2.3, 1.0) / 2.0
    centre = (left + right) / 2.0 + slant * s * length
    down = top_v - s * length
    return np.concatenate([np.stack([centre - half, down], axis=1), np.stack([centre + half, down], axis=1)[-2::-1]])


def curve(begin: tuple[float, float], control: tuple[float, float], end: tuple[float, float]) -> FloatArray:
    """Quadratic Bézier curve of 16 points."""
    t = np.linspace(0.0, 1.0, 16)[:, None]
    return (1.0 - t) ** 2 * np.array(begin) + 2.0 * t * (1.0 - t) * np.array(control) + t**2 * np.array(end)


def ribbon(line: FloatArray, thickness_mm: float) -> FloatArray:
    """A line made a closed outline of some thickness, thinner at its ends."""
    along = np.gradient(line, axis=0)
    across = np.stack([-along[:, 1], along[:, 0]], axis=1) / np.linalg.norm(along, axis=1, keepdims=True)
    half = thickness_mm / 2.0 * np.linspace(1.0, 0.7, len(line))[:, None]
    return np.concatenate([line + across * half, (line - across * half)[::-1]])


def ellipse(centre: tuple[float, float], radii: tuple[float, float]) -> FloatArray:
    """An upright ellipse of 16 points."""
    angle = np.linspace(0.0, 2.0 * np.pi, 16, endpoint=False)
    return np.stack([centre[0] + radii[0] * np.cos(angle), centre[1] + radii[1] * np.sin(angle)], axis=1)


def grown(outline: FloatArray, by_mm: float) -> FloatArray:
    """An outline pushed outwards from its centre by about `by_mm`."""
    centre = outline.mean(axis=0)
    away = outline - centre
    return outline + away / np.maximum(np.linalg.norm(away, axis=1, keepdims=True), 1e-6) * by_mm
