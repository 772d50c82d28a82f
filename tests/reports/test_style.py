import re

import pytest

from reports import style
from reports.html import HERE


def contrast(first, second):
    """Contrast ratio of two (red, green, blue), as WCAG 2 defines it."""

    def luminance(colour):
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in (v / 255 for v in colour)]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    low, high = sorted((luminance(first), luminance(second)))
    return (high + 0.05) / (low + 0.05)


def rgb(text):
    return tuple(int(text[at : at + 2], 16) for at in (1, 3, 5))


def test_contrast_is_wcag_s():
    assert contrast((0, 0, 0), (255, 255, 255)) == 21
    assert contrast(rgb("#767676"), rgb("#ffffff")) == pytest.approx(4.54, abs=0.01)


@pytest.mark.parametrize("name", sorted(set(style.SCREEN_COLOURS) - {"GROUND"}))
def test_what_is_drawn_over_a_frame_contrasts_with_its_ground(name):
    assert contrast(style.SCREEN_COLOURS[name], style.SCREEN_GROUND) >= 4.5


def test_text_on_paper_contrasts_with_its_ground():
    css = (HERE / "report.css").read_text(encoding="utf-8")
    colours = dict(re.findall(r"--(\w+): (#[0-9a-f]{6});", css))
    for ink in ("ink", "soft", "accent", "warning"):
        for ground in ("ground", "tint", "paper"):
            assert contrast(rgb(colours[ink]), rgb(colours[ground])) >= 4.5, (ink, ground)
