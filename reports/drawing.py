"""What the figures of the report have in common: size, style, how they are saved, marks and lines of several.

Drawn at the width of a phone held upright (4.8 in, 9–10 pt), panels stacked rather than spread, so that the same
picture reads on a phone, a desk and paper.
"""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from metrics import agreement
from reports.cells import number
from reports.style import PERCENTILES

WIDTH_IN = 4.8
DPI = 200
RC: dict[Any, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 10,
    "axes.titlesize": 10,
    "axes.labelsize": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#e3e3e3",
    "grid.linewidth": 0.6,
    "axes.axisbelow": True,
    "axes.edgecolor": "#666666",
    "legend.fontsize": 9,
    "legend.frameon": False,
    "lines.linewidth": 1.6,
    "figure.facecolor": "white",
    "axes.unicode_minus": True,
}


@dataclass(frozen=True)
class Drawing:
    """A figure that was drawn.

    Attributes:
        key: file name without suffix, and HTML id.
        title: e.g. `Fig. 6. Sorted coordinate errors`.
        caption: how to read it.
        alt: what it shows, for those who do not see it.
        figure: the figure itself.
    """

    key: str
    title: str
    caption: str
    alt: str
    figure: Figure


def new_figure(height_in: float) -> Figure:
    """An empty figure of the report's width."""
    figure = Figure(figsize=(WIDTH_IN, height_in), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def save(drawing: Drawing, path: Path) -> None:
    """Writes a figure as PNG."""
    with mpl.rc_context(RC):
        drawing.figure.savefig(path, dpi=DPI, format="png")


def ranks(n: int) -> npt.NDArray[np.float64]:
    """Where each of n sorted values stands between 0 and 100 %."""
    return np.array([50.0]) if n == 1 else np.linspace(0, 100, n)


def bland_altman_points(
    axes: Axes,
    reference: npt.NDArray[np.float64],
    predicted: npt.NDArray[np.float64],
    colour: str,
    marker: str,
    label: str,
) -> None:
    """Marks each pair at its mean and its difference."""
    axes.plot(
        (reference + predicted) / 2,
        predicted - reference,
        marker,
        color=colour,
        markersize=4,
        alpha=0.75,
        markeredgewidth=0,
        zorder=3,
        label=label or None,
    )


def bland_altman_lines(
    axes: Axes, reference: npt.NDArray[np.float64], predicted: npt.NDArray[np.float64], unit: str
) -> str:
    """Draws bias and limits of agreement; says them in words."""
    result = agreement.bland_altman(reference, predicted)
    axes.axhline(0, color="#999999", linewidth=0.8)
    axes.axhline(result.bias, color="black", linewidth=1.2)
    words = f"Mean difference {number(result.bias, 1, signed=True)} {unit}"
    if math.isfinite(result.limits_of_agreement):
        for limit in (result.lower, result.upper):
            axes.axhline(limit, color=PERCENTILES, linewidth=1.2, linestyle=(0, (4, 3)))
        words += (
            f", 95 % limits of agreement {number(result.lower, 1, signed=True)} to "
            f"{number(result.upper, 1, signed=True)} {unit}"
        )
    return words + "."
