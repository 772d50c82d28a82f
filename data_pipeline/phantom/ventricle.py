"""The left ventricle in one view at one moment: its cavity, its wall and what stands out from it."""

from dataclasses import dataclass

import numpy as np

from data_pipeline.phantom.anatomy import Anatomy, Blob
from data_pipeline.phantom.outlines import FloatArray, bullet, heights
from data_pipeline.sample import View


@dataclass(frozen=True)
class Wall:
    """The wall's outline, closed across the cavity, and its outer surface alone."""

    outline: FloatArray
    outer: FloatArray


class Sides:
    """The ventricle's two sides in one view at one moment."""

    def __init__(self, anatomy: Anatomy, view: View, contraction: float, base_v: float, apex_v: float) -> None:
        self.anatomy, self.shape, self.view, self.contraction = anatomy, anatomy.views[view], view, contraction
        self.base_v, self.apex_v = base_v, apex_v
        s = heights()
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

    def wall(self, thickening: float) -> Wall:
        """The wall around the cavity: a larger bullet whose feet stand beside the base's ends."""
        left, apex, right = (thickness * thickening for thickness in self.shape.wall_mm)
        widest = self.shape.diameter_mm * (1.0 - self.anatomy.narrowing * self.contraction)
        s = heights()
        height = self.apex_v + apex - self.base_v
        ratio = (self.apex_v - self.base_v) / height  # the cavity's heights within the wall's
        centre = self._axis(np.clip(s / ratio, 0.0, 1.0))
        sides = []
        for side, thickness, shoulder in ((-1, left, self.shape.shoulder_mm[0]), (1, right, self.shape.shoulder_mm[1])):
            base = abs(self.base[0 if side < 0 else 1]) + shoulder
            half = bullet(
                s,
                base,
                max(widest / 2.0 + thickness, base * 0.9),
                self.anatomy.widest_at * ratio,
                self.anatomy.apex_exponent,
                1.0,
            )
            inner = np.interp(s * height, heights() * ratio * height, np.abs(self._half(side)), right=0.0)
            half = np.maximum(half, inner + 0.5 * thickness * (s < ratio))
            sides.append(np.stack([centre + side * half, self.base_v + s * height], axis=1))
        outer = np.concatenate([sides[0], sides[1][-2::-1]])
        foot_left, foot_right = self._foot(-1, outer[0]), self._foot(1, outer[-1])
        return Wall(np.concatenate([outer, foot_right, foot_left[::-1]]), outer)

    def _half(self, side: int) -> FloatArray:
        line = self.left if side < 0 else self.right
        return line[:, 0] - self._axis(heights())

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
        index = int(np.argmin(np.abs(heights() - blob.height)))
        index = min(max(index, 1), len(line) - 2)
        along = line[index + 1] - line[index - 1]
        along /= np.linalg.norm(along)
        across = np.array([along[1], -along[0]]) * -blob.side
        centre = line[index] + across * blob.inset_mm
        angle = np.linspace(0.0, 2.0 * np.pi, 16, endpoint=False)[:, None]
        return centre + np.cos(angle) * blob.radii_mm[0] * across + np.sin(angle) * blob.radii_mm[1] * along
