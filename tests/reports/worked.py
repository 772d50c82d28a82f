"""Frames whose tables and figures are worked by hand, and how a table or a figure is read."""

from reports.cells import Table
from tests.reports.synthetic import Frame, calibration_of

REFERENCE = (10.0, 10.0, 10.0, 40.0)  # 30 mm apart


def dice(lv):
    return {"LV": lv, "MYO": 0.8, "LA": 0.85, "EPI": 0.95}


# Errors aMVL (row, col), pMVL (row, col):   (0, 1), (0, 1)    (0, 2), (0, 2)    (3, 4), (3, 0)    none
FRAMES = [
    Frame("patient0001", "A4C", "ED", REFERENCE, (10, 11, 10, 41), dice=dice(0.9)),
    Frame("patient0002", "A4C", "ED", REFERENCE, (10, 12, 10, 42), dice=dice(0.8)),
    Frame("patient0003", "A4C", "ED", REFERENCE, (13, 14, 13, 40), dice=dice(0.7), la_cut=True),
    Frame("patient0003", "A4C", "ES", REFERENCE, None, dice=dice(0.6)),
]
CALIBRATION = calibration_of((0.0, 2.0, 0.0, 1.0))

# Errors: (0, 4), (0, 1)    (0, 1), (0, 2)    (2, 2), (−1, 0)
DRAWN_FRAMES = [
    Frame("patient0001", "A4C", "ED", REFERENCE, (10, 14, 10, 41)),
    Frame("patient0002", "A4C", "ED", REFERENCE, (10, 11, 10, 42), la_cut=True),
    Frame("patient0003", "A4C", "ES", REFERENCE, (12, 12, 9, 40)),
]


def cells(table, label, heading=""):
    """The row `label` below `heading`: {(group, column): text}."""
    assert isinstance(table, Table), table
    for found, rows in table.bodies:
        for row in rows:
            if found == heading and row[0].text == label:
                assert len(row) == len(table.columns)
                return dict(zip(table.columns[1:], (cell.text for cell in row[1:]), strict=True))
    raise AssertionError(f"no row {heading} {label}")


def values(table, label, heading=""):
    return list(cells(table, label, heading).values())


def lines(axes):
    return {line.get_label(): line for line in axes.get_lines()}
