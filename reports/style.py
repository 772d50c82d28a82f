"""The one palette of report, figures and overlays: a structure, a view or a role has the same colour everywhere.

Hues are from the Okabe–Ito and Tol sets (told apart by colour-blind readers); lightness is chosen for white paper
(`PAPER`) or for a dark ultrasound image (`SCREEN`, which the cart draws with as well). No meaning rests on colour
alone: lines also differ in dash or marker, and everything is labelled.
"""

from typing import Final

from cart.screen import SCREEN_COLOURS as SCREEN_COLOURS
from cart.screen import SCREEN_GROUND as SCREEN_GROUND

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
