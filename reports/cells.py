"""What a table is made of, and how a figure becomes text."""

import math
from dataclasses import dataclass

DASH = "–"
"""No figure: not measured, not defined, or not given by the paper."""

LONG_ROWS = 20
"""More rows than this may be parted by the end of a printed page."""


@dataclass(frozen=True)
class Cell:
    """Text of a table cell; `from_paper` marks figures that are not ours."""

    text: str
    from_paper: bool = False


@dataclass(frozen=True)
class Table:
    """A table ready to be laid out.

    Attributes:
        key: its HTML id.
        title: e.g. `Table 1. Dice of the left ventricle`.
        columns: (group, name) of each column; neighbours of the same non-empty group share a heading.
        rows: the first cell of each heads its row; a row of one cell heads the rows that follow it.
        notes: sentences below it.
    """

    key: str
    title: str
    columns: tuple[tuple[str, str], ...]
    rows: tuple[tuple[Cell, ...], ...]
    notes: tuple[str, ...] = ()

    @property
    def groups(self) -> tuple[tuple[str, int], ...]:
        """Column groups with the number of columns they span; empty where no column has a group."""
        if not any(group for group, _ in self.columns):
            return ()
        spans: list[tuple[str, int]] = []
        for group, _ in self.columns:
            if group and spans and spans[-1][0] == group:
                spans[-1] = (group, spans[-1][1] + 1)
            else:
                spans.append((group, 1))
        return tuple(spans)

    @property
    def bodies(self) -> tuple[tuple[str, tuple[tuple[Cell, ...], ...]], ...]:
        """The rows below each heading; rows before the first heading have an empty one."""
        bodies: list[tuple[str, list[tuple[Cell, ...]]]] = [("", [])]
        for row in self.rows:
            if len(row) == 1:
                bodies.append((row[0].text, []))
            else:
                bodies[-1][1].append(row)
        return tuple((heading, tuple(rows)) for heading, rows in bodies if rows)

    @property
    def long(self) -> bool:
        """Too long to be kept on one printed page."""
        return len(self.rows) > LONG_ROWS


@dataclass(frozen=True)
class Missing:
    """Something that cannot be shown, and why."""

    title: str
    reason: str


def number(value: float, digits: int = 2, *, signed: bool = False) -> str:
    """A figure as text: a true minus sign, a dash for NaN, no negative zero."""
    if not math.isfinite(value):
        return DASH
    text = f"{value:+.{digits}f}" if signed else f"{value:.{digits}f}"
    if float(text) == 0:
        text = text.lstrip("+-")
    return text.replace("-", "−")


def mean_sd(mean: float, sd: float | None, digits: int) -> str:
    """`0.898 ± 0.053`; the mean alone where there is no sd, a dash where there is neither."""
    if not math.isfinite(mean):
        return DASH
    return number(mean, digits) + (f" ± {number(sd, digits)}" if sd is not None and math.isfinite(sd) else "")


def interval(low: float, high: float, digits: int = 2) -> str:
    """`[−0.90; 0.75]`, as the paper writes a percentile range."""
    if not (math.isfinite(low) and math.isfinite(high)):
        return DASH
    return f"[{number(low, digits)}; {number(high, digits)}]"


def between(low: float, high: float, digits: int = 2, *, signed: bool = False) -> str:
    """`2.1 to 3.4`, as a confidence interval is written; empty where it is not defined."""
    if not (math.isfinite(low) and math.isfinite(high)):
        return ""
    return f"{number(low, digits, signed=signed)} to {number(high, digits, signed=signed)}"


def above(figure: str, below: str) -> str:
    """A figure with another line below it, as its confidence interval; the figure alone where there is none."""
    return f"{figure}\n{below}" if below else figure


def ours(*texts: str) -> tuple[Cell, ...]:
    """Cells of our own figures."""
    return tuple(Cell(text) for text in texts)


def from_paper(*texts: str) -> tuple[Cell, ...]:
    """Cells of the paper's figures."""
    return tuple(Cell(text, from_paper=True) for text in texts)


def plain(*names: str) -> tuple[tuple[str, str], ...]:
    """Columns without groups."""
    return tuple(("", name) for name in names)


def p_value(p: float) -> str:
    """Three decimals, `< 0.001` below them."""
    if math.isfinite(p) and p < 0.001:
        return "< 0.001"
    return number(p, 3)


def percent(share: float) -> str:
    """A share as whole per cent."""
    return f"{share * 100:.0f} %" if math.isfinite(share) else DASH
