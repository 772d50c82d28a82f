"""The one palette of report, figures and overlays: a structure, a view or a role has the same colour everywhere.

Hues are from the Okabe–Ito and Tol sets (told apart by colour-blind readers); lightness is chosen for white paper
(`PAPER`) or for a dark ultrasound image (`SCREEN`). No meaning rests on colour alone: lines also differ in dash or
marker, and everything is labelled.
"""

from typing import Final

Colour = tuple[int, int, int]
"""Red, green, blue, 0..255."""

STRUCTURE_NAMES: Final = {
    "LV": "left ventricle",
    "MYO": "myocardium",
    "LA": "left atrium",
    "EPI": "epicardium (LV and myocardium together)",
    "RV": "right ventricle",
    "MV": "mitral valve",
}

PAPER_STRUCTURES: Final = {
    "LV": "#0072b2",
    "MYO": "#00805e",
    "LA": "#c24e00",
    "EPI": "#5b5b5b",
    "RV": "#7a4fa3",
    "MV": "#a3195b",
}

PAPER_VIEWS: Final = {"A4C": "#332288", "A2C": "#117733", "A3C": "#882255", "all": "#444444"}

PAPER_COORDINATES: Final = {
    "amvl_col": "#0072b2",
    "amvl_row": "#56b4e9",
    "pmvl_col": "#b34700",
    "pmvl_row": "#e69f00",
}

REFERENCE: Final = "#444444"
PREDICTED: Final = "#0072b2"
PERCENTILES: Final = "#6a3d9a"
OFF_CENTRE: Final = "#c2185b"

SCREEN_STRUCTURES: Final[dict[str, Colour]] = {
    "LV": (86, 196, 255),
    "MYO": (52, 211, 153),
    "LA": (255, 160, 60),
    "RV": (196, 160, 255),
    "MV": (255, 128, 190),
}
SCREEN_CONTACT: Final[Colour] = (255, 255, 255)
SCREEN_DIAMETER: Final[Colour] = (255, 232, 60)
SCREEN_BOX: Final[Colour] = (255, 92, 92)
SCREEN_TEXT: Final[Colour] = (240, 240, 240)
SCREEN_GROUND: Final[Colour] = (12, 14, 18)
SCREEN_COLOURS: Final[dict[str, Colour]] = {
    **SCREEN_STRUCTURES,
    "CONTACT": SCREEN_CONTACT,
    "DIAMETER": SCREEN_DIAMETER,
    "BOX": SCREEN_BOX,
    "TEXT": SCREEN_TEXT,
    "GROUND": SCREEN_GROUND,
}
"""Everything drawn over a frame, by name."""
