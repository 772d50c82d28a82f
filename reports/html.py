"""Lays a page out as one self-contained HTML file: no script, no network, pictures embedded."""

import base64
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import jinja2

from reports.cells import Missing, Table

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
    items: tuple[Table | Gallery | Missing | Text, ...]


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
    for kind in (Table, Gallery, Missing, Text, Picture):
        environment.tests[kind.__name__.lower()] = lambda value, kind=kind: isinstance(value, kind)
    return environment.get_template("report.html.jinja").render(page=page)


def _unbroken(value: object) -> object:
    """Keeps a figure on one line with its unit, and `n = 65` together. Markup is left as it is."""
    if type(value) is not str:
        return value
    return AROUND_EQUALS.sub("\u00a0=\u00a0", BEFORE_UNIT.sub("\u00a0", value))


def data_uri(media_type: str, content: bytes) -> str:
    """`content` as a URI that needs no file and no network."""
    return f"data:{media_type};base64,{base64.b64encode(content).decode('ascii')}"
