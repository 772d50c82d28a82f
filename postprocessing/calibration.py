"""Calibration of the hinge points: the systematic error of each subgroup and coordinate, and taking it away."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from postprocessing.annulus import check_spacing
from postprocessing.hinge_points import HingePoints

COORDINATES = ("amvl_row", "amvl_col", "pmvl_row", "pmvl_col")
POOLED = "all"
MIN_CASES = 5
"""A subgroup with fewer cases has no bias of its own: its view's, or that of all, is used."""

_GROUP = re.compile(r"all|[A-Z0-9]+(-(ED|ES))?")

Unit = Literal["mm", "px"]
FittedOn = Literal["validation", "in_sample"]


@dataclass(frozen=True)
class Calibration:
    """The systematic error of the hinge points, by subgroup.

    Attributes:
        bias: subgroup (`A4C-ED`; pooled `A4C`, `all`) → median error, predicted − reference, in the order of
            `COORDINATES`; subgroups of fewer than `MIN_CASES` cases are left out, `all` is always there.
        n: subgroup → number of cases, those left out of `bias` included.
        unit: of the bias: `mm`, or `px` where the pixel pitch was unknown.
        fitted_on: `validation`, or `in_sample` as in the paper: on the cases it is applied to.
    """

    bias: Mapping[str, tuple[float, float, float, float]]
    n: Mapping[str, int]
    unit: Unit
    fitted_on: FittedOn

    def subgroup(self, view: str | None, phase: str | None) -> str:
        """The subgroup whose bias is used: the view's phase, else the view, else all."""
        wanted = [f"{view}-{phase}"] if view and phase else []
        if view:
            wanted.append(view)
        return next((group for group in wanted if group in self.bias), POOLED)

    def apply(
        self,
        points: HingePoints,
        view: str | None,
        phase: str | None,
        spacing_mm: tuple[float, float] | None,
    ) -> HingePoints:
        """Hinge points with the bias of their subgroup subtracted.

        Args:
            points: measured hinge points, (row, col), native grid.
            view: `A4C`, …, or None where unknown.
            phase: `ED`, `ES`, or None where unknown.
            spacing_mm: (row, col) pixel pitch of the frame; may be None where the calibration is in px.

        Returns:
            The calibrated points, (row, col), native grid.

        Raises:
            ValueError: the calibration is in mm and the frame's pixel pitch is unknown, or is no pitch.

        Source: hinge_points paper §3.4. Deviation: none; fitted on validation, it is the honest version of it.
        """
        if self.unit == "mm":
            if spacing_mm is None:
                raise ValueError("`spacing_mm` is needed to apply a calibration in mm. Received: None")
            check_spacing(spacing_mm)
        pitch = spacing_mm if self.unit == "mm" and spacing_mm is not None else (1.0, 1.0)
        a_row, a_col, p_row, p_col = self.bias[self.subgroup(view, phase)]
        return HingePoints(
            amvl=(points.amvl[0] - a_row / pitch[0], points.amvl[1] - a_col / pitch[1]),
            pmvl=(points.pmvl[0] - p_row / pitch[0], points.pmvl[1] - p_col / pitch[1]),
        )

    def to_dict(self) -> dict[str, Any]:
        """The calibration as plain JSON values (`run/calibration.json`)."""
        return {
            "unit": self.unit,
            "fitted_on": self.fitted_on,
            "bias": {group: dict(zip(COORDINATES, bias, strict=True)) for group, bias in self.bias.items()},
            "n": dict(self.n),
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], source: str = "calibration.json") -> "Calibration":
        """The calibration of `to_dict`.

        Raises:
            ValueError: not a complete calibration, naming `source`.
        """
        try:
            unit, fitted_on = values["unit"], values["fitted_on"]
            bias = {
                str(group): tuple(float(of[coordinate]) for coordinate in COORDINATES)
                for group, of in values["bias"].items()
            }
            n = {str(group): int(count) for group, count in values["n"].items()}
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise ValueError(f"{source}: not a complete calibration ({error!r}); evaluate the run again") from error
        problem = None
        if unit not in ("mm", "px"):
            problem = f"`unit` must be mm or px. Received: {unit!r}"
        elif fitted_on not in ("validation", "in_sample"):
            problem = f"`fitted_on` must be validation or in_sample. Received: {fitted_on!r}"
        elif POOLED not in bias:
            problem = f"`bias` must have the subgroup {POOLED}. Received: {', '.join(bias) or 'none'}"
        elif not all(math.isfinite(value) for of in bias.values() for value in of):
            problem = "`bias` must be finite"
        if problem:
            raise ValueError(f"{source}: {problem}")
        return cls(bias=bias, n=n, unit=unit, fitted_on=fitted_on)  # pyright: ignore[reportArgumentType]


def fit_calibration(errors: Mapping[str, npt.ArrayLike], unit: Unit, fitted_on: FittedOn) -> Calibration:
    """The median error of each subgroup and coordinate.

    Args:
        errors: subgroup → (n, 4) errors, predicted − reference, in the order of `COORDINATES`. Subgroups are named
            `A4C-ED` (view and phase), `A4C` (phase unknown) or `all` (view unknown). Each case once: the pooled
            subgroups are made here.
        unit: of the errors: `mm`, or `px` where the pixel pitch is unknown.
        fitted_on: `validation` or `in_sample`.

    Returns:
        The calibration, with the pooled subgroups of each view and of all.

    Raises:
        ValueError: a name that is no subgroup, errors that are not (n, 4) or not finite, no error at all.

    Source: hinge_points paper §3.4. Deviation: pooled where a subgroup has fewer than `MIN_CASES` cases.
    """
    if unit not in ("mm", "px"):
        raise ValueError(f"`unit` must be mm or px. Received: {unit!r}")
    if fitted_on not in ("validation", "in_sample"):
        raise ValueError(f"`fitted_on` must be validation or in_sample. Received: {fitted_on!r}")
    pools: dict[str, list[npt.NDArray[np.float64]]] = {}
    for group, values in errors.items():
        if not _GROUP.fullmatch(group):
            raise ValueError(f"`errors` must be named like A4C-ED, A4C or all. Received: {group!r}")
        array = np.asarray(values, dtype=np.float64)
        if array.size == 0:
            array = array.reshape(0, len(COORDINATES))
        if array.ndim != 2 or array.shape[1] != len(COORDINATES):
            raise ValueError(f"`errors` must be (n, 4): {', '.join(COORDINATES)}. Received: {array.shape} for {group}")
        if not np.isfinite(array).all():
            raise ValueError(f"`errors` must be finite; leave failed cases out. Received: NaN or infinity for {group}")
        for pool in dict.fromkeys((group, group.split("-")[0], POOLED)):
            pools.setdefault(pool, []).append(array)
    pooled = {group: np.concatenate(arrays) for group, arrays in pools.items()}
    if not pooled or len(pooled[POOLED]) == 0:
        raise ValueError("`errors` must have at least one case. Received: none")
    bias: dict[str, tuple[float, float, float, float]] = {}
    for group in sorted(pooled):
        if group == POOLED or len(pooled[group]) >= MIN_CASES:
            a_row, a_col, p_row, p_col = np.median(pooled[group], axis=0).tolist()
            bias[group] = (a_row, a_col, p_row, p_col)
    return Calibration(
        bias=bias, n={group: len(pooled[group]) for group in sorted(pooled)}, unit=unit, fitted_on=fitted_on
    )
