import math

import pytest

from postprocessing.annulus import annulus_diameter_mm, annulus_diameter_px
from postprocessing.hinge_points import HingePoints

POINTS = HingePoints(amvl=(10.0, 20.0), pmvl=(20.0, 60.0))


def test_anisotropic_pitch() -> None:
    assert annulus_diameter_mm(POINTS, (0.3, 0.1)) == pytest.approx(5.0)  # 10 · 0.3 = 3 down, 40 · 0.1 = 4 across
    assert annulus_diameter_mm(POINTS, (0.1, 0.3)) == pytest.approx(math.sqrt(1 + 144))


def test_pixels() -> None:
    assert annulus_diameter_px(POINTS) == pytest.approx(math.sqrt(100 + 1600))


@pytest.mark.parametrize("spacing_mm", [(0.3, 0.0), (-0.3, 0.3), (math.nan, 0.3), (0.3, math.inf), (0.3,)])
def test_bad_pitch_is_refused(spacing_mm: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match=r"`spacing_mm` must be two positive numbers. Received: \("):
        annulus_diameter_mm(POINTS, spacing_mm)
