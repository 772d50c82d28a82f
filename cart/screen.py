"""The colours of everything drawn over an ultrasound image: of each structure, and of each role.

Hues are from the Okabe–Ito and Tol sets (told apart by colour-blind readers), as light as a dark image needs. No
meaning rests on colour alone: lines also differ in dash or marker, and everything is labelled.
"""

from typing import Final

Colour = tuple[int, int, int]
"""Red, green, blue, 0..255."""

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
SCREEN_TRUSTED: Final[Colour] = (150, 255, 110)
SCREEN_DOUBT: Final[Colour] = (255, 92, 92)
SCREEN_PREDICTED: Final[Colour] = (200, 200, 255)
SCREEN_TEXT: Final[Colour] = (240, 240, 240)
SCREEN_GROUND: Final[Colour] = (12, 14, 18)
SCREEN_COLOURS: Final[dict[str, Colour]] = {
    **SCREEN_STRUCTURES,
    "CONTACT": SCREEN_CONTACT,
    "DIAMETER": SCREEN_DIAMETER,
    "BOX": SCREEN_BOX,
    "TRUSTED": SCREEN_TRUSTED,
    "DOUBT": SCREEN_DOUBT,
    "PREDICTED": SCREEN_PREDICTED,
    "TEXT": SCREEN_TEXT,
    "GROUND": SCREEN_GROUND,
}
"""Everything drawn over a frame, by name."""
