"""What the hinge-point paper reports (Schmidt & Overhoff), as far as its text gives figures."""

from typing import Final

CITATION: Final = (
    "C. Schmidt, H. M. Overhoff: Estimation of mitral valve hinge point coordinates – deep neural net for "
    "echocardiogram segmentation."
)
PATIENTS: Final = 50  # §3.2, test patients

# Table 1: Dice of the left ventricle at ED and ES; the second row is the paper's own comparison, Leclerc et al. 2019
DICE_LV: Final = {"ED": 0.931, "ES": 0.915, "all": 0.923}  # §4.1
DICE_LV_LECLERC: Final = {"ED": 0.939, "ES": 0.916}

# Table 2: median annulus diameter, mm, (predicted, reference)
DIAMETER_MM: Final = {
    "A4C-ED": (27.9, 28.8),
    "A4C-ES": (24.4, 28.3),
    "A2C-ED": (31.3, 31.7),
    "A2C-ES": (26.3, 26.1),
}
DIAMETER_A4C_ES_UNDERESTIMATION_PERCENT: Final = 13.8  # §4.2, Fig. 7

# Abstract and §4.3: |e| after in-sample calibration over all hinge points: median, 15th and 85th percentile, mm
ABSOLUTE_ERROR_MM: Final = {"col": (1.35, 0.3, 3.15), "row": (0.75, 0.15, 1.88)}

# §4.3, Fig. 9: mean bias before calibration, mm, towards the right and the bottom of the image
BIAS_MM: Final = {"col": 0.3, "row": 0.5}
