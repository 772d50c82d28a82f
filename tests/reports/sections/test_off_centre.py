import numpy as np

from reports.sections import off_centre
from tests.reports.worked import lines, values


def test_off_centre_group(evaluation):
    table = off_centre.off_centre_table(evaluation)
    # One frame: |x| 4 and 0, |y| 3 and 3, distances 5 and 3, diameter 26 for 30.
    assert values(table, "A4C, off-centre") == ["1", "0", "0.700", "0.850", "2.00", "3.00", "4.00", "4.00"]
    # Three frames, one failed: Dice (.9+.8+.6)/3; |x| 1, 1, 2, 2.
    assert values(table, "A4C, centred") == ["3", "1", "0.767", "0.850", "1.50", "0.00", "1.50", "0.00"]


def test_fig_10_marks_off_centre_frames(drawn):
    drawing = off_centre.x_correlation(drawn)
    amvl = lines(drawing.figure.axes[0])
    np.testing.assert_allclose(amvl["centred"].get_xydata(), [[10, 14], [10, 12]])
    np.testing.assert_allclose(amvl["off-centre (LA cut off)"].get_xydata(), [[10, 11]])
    assert "aMVL centred n = 2, r = –" in drawing.caption
