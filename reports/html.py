"""Lays a page out as one self-contained HTML file: no network, pictures embedded, every figure there without script.

The one script there is (`cases.js`) sorts and filters the table of cases and opens them. A content security policy
allows it alone, by its digest, and no address but `data:`.
"""

import base64
import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import jinja2
from markupsafe import Markup

from reports.cells import Missing, Table
from reports.style import SCREEN_COLOURS

HERE = Path(__file__).parent
BEFORE_UNIT = re.compile(r"(?<=\d) (?=(?:%|mm|px|ml)(?!\w))")
AROUND_EQUALS = re.compile(r"(?<=\b[nr]) = (?=\S)")


@dataclass(frozen=True)
class Picture:
    """An embedded picture.

    Attributes:
        key: its HTML id.
        title: heads the caption.
        caption: how to read it.
        alt: what it shows, for those who do not see it.
        source: data URI.
        width, height: in its own pixels, so that the page does not jump while it loads.
    """

    key: str
    title: str
    caption: str
    alt: str
    source: str
    width: int
    height: int


@dataclass(frozen=True)
class Gallery:
    """Pictures side by side where there is room; `small` ones three abreast, else two."""

    items: tuple[Picture | Missing, ...]
    small: bool = False


@dataclass(frozen=True)
class Text:
    """A paragraph."""

    text: str


@dataclass(frozen=True)
class CaseCell:
    """A cell of the table of cases; `sort_by` where its order is not that of its text."""

    text: str
    sort_by: str | None = None


@dataclass(frozen=True)
class CaseLine:
    """A case: its line in the table, and what is shown when it is opened.

    Attributes:
        case: its id; heads the line.
        view, phase: to filter by; empty where unknown.
        kinds: of `measured`, `failed`, `flagged`, `abstained`.
        cells: below all columns but the first.
        data: JSON for cases.js, which says what it reads.
    """

    case: str
    view: str
    phase: str
    kinds: tuple[str, ...]
    cells: tuple[CaseCell, ...]
    data: str


@dataclass(frozen=True)
class CaseBrowser:
    """Every case in a table that can be sorted and filtered; a line opens the case.

    Attributes:
        key: the table's HTML id.
        title: its caption.
        columns: (name, whether it holds figures); the first heads the lines.
        lines: worst first.
        kinds: (kind, in words, how many) of what can be filtered by.
        layers: (key, name) of what can be drawn over a picture.
        structures: (name, in full) of those outlined.
        notes: sentences below the table.
    """

    key: str
    title: str
    columns: tuple[tuple[str, bool], ...]
    lines: tuple[CaseLine, ...]
    kinds: tuple[tuple[str, str, int], ...]
    layers: tuple[tuple[str, str], ...]
    structures: tuple[tuple[str, str], ...]
    notes: tuple[str, ...]

    @property
    def views(self) -> tuple[str, ...]:
        """That occur, sorted."""
        return tuple(sorted({line.view for line in self.lines if line.view}))

    @property
    def phases(self) -> tuple[str, ...]:
        """That occur, sorted."""
        return tuple(sorted({line.phase for line in self.lines if line.phase}))


@dataclass(frozen=True)
class Card:
    """A headline figure.

    Attributes:
        label: what it is.
        figure: e.g. `1.9 mm`.
        details: lines below it.
    """

    label: str
    figure: str
    details: tuple[str, ...]


@dataclass(frozen=True)
class Section:
    """A chapter of the report."""

    key: str
    title: str
    items: tuple[Table | Gallery | CaseBrowser | Missing | Text, ...]


@dataclass(frozen=True)
class Page:
    """All of the report.

    Attributes:
        title, subtitle: of the page.
        notice: stands above everything.
        warnings: what a reader must know before the figures.
        lead: the result in a sentence or two.
        cards: the headline figures.
        reading, limits: (term, explanation) lists.
        sections: the rest, in order.
        footer: the last line.
    """

    title: str
    subtitle: str
    notice: str
    warnings: Sequence[str]
    lead: str
    cards: Sequence[Card]
    reading: Sequence[tuple[str, str]]
    limits: Sequence[tuple[str, str]]
    sections: Sequence[Section]
    footer: str


def render(page: Page) -> str:
    """The page as HTML."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        finalize=_unbroken,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    for kind in (Table, Gallery, CaseBrowser, Missing, Text, Picture):
        environment.tests[kind.__name__.lower()] = lambda value, kind=kind: isinstance(value, kind)
    script = (HERE / "cases.js").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii")
    browsers = [item for section in page.sections for item in section.items if isinstance(item, CaseBrowser)]
    return environment.get_template("report.html.jinja").render(
        page=page,
        browsers=browsers,
        script=Markup(script),
        script_source=Markup(f"'sha256-{digest}'" if browsers else "'none'"),
        screen_colours=[(name.lower(), f"rgb{colour}") for name, colour in SCREEN_COLOURS.items()],
        embedded=_embedded,
    )


def _embedded(text: str) -> Markup:
    """JSON as the content of a script element, which ends at no `<` of a name."""
    return Markup(text.replace("<", "\\u003c"))


def _unbroken(value: object) -> object:
    """Keeps a figure on one line with its unit, and `n = 65` together. Markup is left as it is."""
    if type(value) is not str:
        return value
    return AROUND_EQUALS.sub("\u00a0=\u00a0", BEFORE_UNIT.sub("\u00a0", value))


def data_uri(media_type: str, content: bytes) -> str:
    """`content` as a URI that needs no file and no network."""
    return f"data:{media_type};base64,{base64.b64encode(content).decode('ascii')}"
