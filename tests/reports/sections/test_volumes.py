from reports.sections import volumes
from tests.reports.worked import values


def test_volumes(evaluation):
    table = volumes.volume_table(evaluation)
    # EDV differences 10 and 0: bias 5, sd 7.071, limits 5 ± 13.86.
    expected = ["2", "0", "110.0", "115.0", "1.000", "+5.0", "−8.9 to +18.9", "5.0"]
    assert values(table, "EDV, ml", "Biplane (A4C and A2C)") == expected
    # EF 50, 50 → 54.5, 60: a constant reference has no correlation.
    assert values(table, "EF, %", "Biplane (A4C and A2C)")[2:5] == ["50.0", "57.3", "–"]


def test_bland_altman_says_bias_and_limits(drawn):
    # EDV differences 10 and 0: bias 5, limits 5 ± 13.86.
    caption = volumes.volume_agreement(drawn).caption
    assert "EDV (n = 2): Mean difference +5.0 ml, 95 % limits of agreement −8.9 to +18.9 ml." in caption
