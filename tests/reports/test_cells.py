import math

import pytest

from reports.cells import Cell, Table, interval, number, ours, p_value, percent, plain


@pytest.mark.parametrize(
    ("value", "digits", "signed", "text"),
    [
        (1.345, 1, False, "1.3"),
        (-1.5, 2, False, "−1.50"),
        (0.5, 2, True, "+0.50"),
        (-0.001, 2, True, "0.00"),
        (0.0, 1, True, "0.0"),
        (math.nan, 2, False, "–"),
        (math.inf, 2, False, "–"),
    ],
)
def test_numbers(value, digits, signed, text):
    assert number(value, digits, signed=signed) == text


def test_intervals_shares_and_p_values():
    assert interval(-0.9, 0.75) == "[−0.90; 0.75]"
    assert interval(math.nan, 0.75) == "–"
    assert percent(2 / 3) == "67 %"
    assert percent(math.nan) == "–"
    assert p_value(0.0004) == "< 0.001"
    assert p_value(0.0494) == "0.049"
    assert p_value(math.nan) == "–"


def test_column_groups_span_neighbours():
    columns = (("", "a"), ("mm", "b"), ("mm", "c"), ("", "d"), ("mm", "e"))
    assert Table("t", "t", columns, ()).groups == (("", 1), ("mm", 2), ("", 1), ("mm", 1))
    assert Table("t", "t", plain("a", "b"), ()).groups == ()


def test_rows_are_gathered_under_their_headings():
    rows = (ours("a", "1"), ours("ED"), ours("b", "2"), ours("c", "3"), ours("ES"))
    table = Table("t", "t", plain("", "n"), rows)
    assert table.bodies == (
        ("", ((Cell("a"), Cell("1")),)),
        ("ED", ((Cell("b"), Cell("2")), (Cell("c"), Cell("3")))),
    )
