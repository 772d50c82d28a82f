"""Every figure here is worked by hand from the frames below; each comment says how."""

import dataclasses

import pytest

from reports import tables
from reports.cells import Missing, Table
from reports.evaluation_folder import read_evaluation
from tests.reports.synthetic import Frame, calibration_of, many_frames, volume_rows, write_evaluation

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


@pytest.fixture(scope="module")
def evaluation(tmp_path_factory):
    volumes = volume_rows("patient0001", (100, 110), (50, 50)) + volume_rows("patient0002", (120, 120), (60, 48))
    folder = tmp_path_factory.mktemp("hand")
    return read_evaluation(write_evaluation(folder, FRAMES, volumes=volumes, calibration=CALIBRATION))


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


def test_table_1_dice(evaluation):
    table = tables.dice_table(evaluation)
    assert values(table, "paper: Schmidt & Overhoff") == ["0.931", "0.915", "0.923"]
    assert values(table, "paper: Leclerc et al. 2019") == ["0.939", "0.916", "–"]
    assert values(table, "ours: mean") == ["0.800", "0.600", "0.750"]  # (.9+.8+.7)/3, .6, sum/4
    assert values(table, "ours: median") == ["0.800", "0.600", "0.750"]  # of all: (.7+.8)/2
    assert values(table, "ours: frames") == ["3", "1", "4"]
    assert [cell.from_paper for cell in table.rows[0]] == [False, True, True, True]


def test_table_2_diameters(evaluation):
    table = tables.diameter_table(evaluation)
    row = cells(table, "A4C-ED")
    assert row["predicted", "paper, mm"] == "27.9"
    assert row["reference", "paper, mm"] == "28.8"
    assert row["predicted", "ours"] == "30.0"  # 30, 30, 26
    assert row["reference", "ours"] == "30.0"
    assert row["predicted", "ours, calibrated"] == "31.0"  # calibration moves the points 1 mm apart: 31, 31, 27
    assert row["ours, error", "bias"] == "0.0"  # median of 0, 0, −4
    assert row["ours, error", "MAE"] == "1.3"  # 4/3
    assert (row["frames", "n"], row["frames", "failed"]) == ("3", "0")
    failed = cells(table, "A4C-ES")
    assert failed["predicted", "paper, mm"] == "24.4"
    assert failed["predicted", "ours"] == "–"
    assert (failed["frames", "n"], failed["frames", "failed"]) == ("0", "1")


def test_table_3_coordinates_are_calibrated(evaluation):
    table = tables.coordinate_table(evaluation)
    # Calibrated aMVL x errors −1, 0, 2: 15 % at −1 + 0.3·1, 85 % at 0 + 0.7·2, median of |e| 1.
    assert cells(table, "aMVL x")["", "A4C-ED"] == "[−0.70; 1.40]\n1.00"
    # Both points: −1, −1, 0, 0, 1, 2: 15 % at index 0.75, 85 % at 4.25; |e| 0, 0, 1, 1, 1, 2.
    assert cells(table, "both points, x")["", "all"] == "[−1.00; 1.25]\n1.00"
    assert cells(table, "aMVL y")["", "A4C-ES"] == "–"
    assert cells(table, "both points, x")["", "paper: median |e|, all, mm"] == "1.35"
    assert cells(table, "both points, y")["", "paper: median |e|, all, mm"] == "0.75"
    assert cells(table, "aMVL x")["", "paper: median |e|, all, mm"] == "–"
    assert any("not in its text" in note for note in table.notes)


def test_table_3_says_when_there_is_no_calibration(tmp_path):
    table = tables.coordinate_table(read_evaluation(write_evaluation(tmp_path, FRAMES)))
    assert cells(table, "aMVL x")["", "A4C-ED"] == "[1.30; 3.40]\n2.00"  # 1, 2, 4
    assert "there is none" in table.notes[0]


def test_error_model(evaluation):
    row = cells(tables.error_model_table(evaluation), "aMVL x", "A4C-ED")
    # 1, 2, 4: mean 7/3, sd √((16+1+25)/9/2) = 1.53. For three values W = (b/2)²·2/S with b = 4 − 1 = 3 and S = 14/3,
    # so W = 0.9643 and p = 6/π·(asin √W − asin √¾) = 0.637.
    assert list(row.values()) == ["3", "+2.00", "+1.30", "+3.40", "+2.33", "1.53", "0.637"]
    constant = cells(tables.error_model_table(evaluation), "aMVL y", "A4C-ES")
    assert set(constant.values()) == {"0", "–"}


def test_calibration_side_by_side(evaluation):
    table = tables.calibration_table(evaluation)
    x = cells(table, "x: median |e| [15–85 %]")
    assert x["paper, mm", "in-sample"] == "1.35 [0.30; 3.15]"
    assert x["ours", "uncalibrated"] == "1.50 [0.75; 2.50]"  # |e| 0, 1, 1, 2, 2, 4
    assert x["ours", "fitted on validation"] == "1.00 [0.00; 1.25]"  # |e| 0, 0, 1, 1, 1, 2
    # Too few frames for subgroups: the pooled medians are (0, 2), (0, 1), what the validation was made to give.
    assert x["ours", "in-sample"] == x["ours", "fitted on validation"]
    assert values(table, "x: bias") == ["+0.30 before", "+1.50", "0.00", "0.00"]
    assert values(table, "hinge distance: median")[1] == "2.00"  # 1, 1, 2, 2, 3, 5
    assert values(table, "diameter: MAE")[1:3] == ["1.33", "1.67"]  # (0+0+4)/3; (1+1+3)/3
    assert values(table, "frames") == ["–", "3", "3", "3"]
    assert any("all 24" in note for note in table.notes)


def test_bias_of_each_subgroup(evaluation):
    table = tables.bias_table(evaluation)
    assert values(table, "A4C-ED") == ["+2.00", "0.00", "+1.00", "0.00", "+1.50", "0.00"]
    assert values(table, "paper, mean of all, mm") == ["–", "–", "–", "–", "+0.30", "+0.50"]


def test_distances(evaluation):
    # 1, 1, 2, 2, 3, 5: mean 14/6, 85 % at index 4.25: 3 + 0.25·2; 4, 5 and 6 of 6 within 2, 3 and 5 mm.
    expected = ["6", "0", "2.00", "2.33", "3.50", "5.00", "67 %", "83 %", "100 %"]
    assert values(tables.distance_table(evaluation), "A4C-ED") == expected
    assert values(tables.distance_table(evaluation), "all")[:2] == ["6", "2"]


def test_off_centre_group(evaluation):
    table = tables.off_centre_table(evaluation)
    # One frame: |x| 4 and 0, |y| 3 and 3, distances 5 and 3, diameter 26 for 30.
    assert values(table, "A4C, off-centre") == ["1", "0", "0.700", "0.850", "2.00", "3.00", "4.00", "4.00"]
    # Three frames, one failed: Dice (.9+.8+.6)/3; |x| 1, 1, 2, 2.
    assert values(table, "A4C, centred") == ["3", "1", "0.767", "0.850", "1.50", "0.00", "1.50", "0.00"]


def test_segmentation(evaluation):
    table = tables.segmentation_table(evaluation)
    # sd of .9, .8, .7 is .1; IoU = D/(2 − D): .8182, .6667, .5385, mean .6745, sd .1400
    expected = ["3", "0", "0.800 ± 0.100", "0.674 ± 0.140", "0.800 ± 0.100", "0.800 ± 0.100"]
    assert values(table, "ED", "LV, left ventricle") == [*expected, "1.50 ± 0.00", "5.00 ± 0.00"]
    assert values(table, "ES", "MYO, myocardium")[:3] == ["1", "0", "0.800"]  # one frame has no sd


def test_undefined_dice_is_counted_not_averaged(tmp_path):
    frames = [FRAMES[0], dataclasses.replace(FRAMES[1], dice={"LV": None})]
    evaluation = read_evaluation(write_evaluation(tmp_path, frames))
    assert values(tables.segmentation_table(evaluation), "ED", "LV, left ventricle")[:3] == ["1", "1", "0.900"]
    assert values(tables.dice_table(evaluation), "ours: mean") == ["0.900", "–", "0.900"]
    assert tables.dice_table(evaluation).notes[0].endswith("median: 1.")
    failures = tables.failure_table(evaluation)
    assert cells(failures, "patient0002_4CH_ED")["", "status"] == "undefined"
    assert cells(failures, "patient0002_4CH_ED")["", "what is missing"].startswith("Dice of LV, IoU of LV")


def test_volumes(evaluation):
    table = tables.volume_table(evaluation)
    # EDV differences 10 and 0: bias 5, sd 7.071, limits 5 ± 13.86.
    expected = ["2", "0", "110.0", "115.0", "1.000", "+5.0", "−8.9 to +18.9", "5.0"]
    assert values(table, "EDV, ml", "Biplane (A4C and A2C)") == expected
    # EF 50, 50 → 54.5, 60: a constant reference has no correlation.
    assert values(table, "EF, %", "Biplane (A4C and A2C)")[2:5] == ["50.0", "57.3", "–"]


def test_constructed_truth_beside_the_mask_derived(tmp_path):
    frame = dataclasses.replace(FRAMES[0], constructed=(10.0, 10.0, 10.0, 38.0))
    table = tables.constructed_table(read_evaluation(write_evaluation(tmp_path, [frame])))
    # Prediction (10, 11), (10, 41): 1 and 1 mm from the reference, 1 and 3 mm from the truth; diameters 30, 30, 28.
    expected = ["1", "0", "1.00", "1.00", "1.00", "0.00", "0.00", "0.00"]
    assert values(table, "A4C-ED", "Prediction against the mask-derived reference") == expected
    expected = ["1", "0", "2.00", "2.00", "2.00", "0.00", "+2.00", "2.00"]
    assert values(table, "A4C-ED", "Prediction against the constructed truth") == expected
    expected = ["1", "0", "1.00", "1.00", "1.00", "0.00", "+2.00", "2.00"]
    assert values(table, "all", "Mask-derived reference against the constructed truth") == expected


def test_real_data_has_no_constructed_table(evaluation):
    assert tables.constructed_table(evaluation) is None


def test_failures_say_what_they_mean(evaluation):
    row = cells(tables.failure_table(evaluation), "patient0003_4CH_ES")
    assert row["", "status"] == "no_contact_line"
    assert row["", "what it means"].startswith("Predicted LV and LA do not touch")
    assert row["", "what is missing"] == "hinge points and diameter"
    look = cells(tables.second_look_table(evaluation), "LA cut")
    assert (look["", "frames"], look["", "cases"]) == ("1", "patient0003_4CH_ED")


def test_lengths_in_pixels_are_labelled_and_not_compared(tmp_path):
    frames = [dataclasses.replace(frame, unit="px") for frame in FRAMES]
    evaluation = read_evaluation(write_evaluation(tmp_path, frames))
    table = tables.diameter_table(evaluation)
    assert table.title.endswith(", px")
    assert cells(table, "A4C-ED")["predicted", "ours"] == "30.0"
    assert "cannot be compared" in table.notes[1]
    assert not any("within" in name for _, name in tables.distance_table(evaluation).columns)
    assert tables.calibration_table(evaluation).title.endswith(", px")


def test_other_views_get_their_own_rows(tmp_path):
    frames = [*FRAMES, dataclasses.replace(FRAMES[0], view="A3C")]
    table = tables.diameter_table(read_evaluation(write_evaluation(tmp_path, frames)))
    assert cells(table, "A3C-ED")["predicted", "paper, mm"] == "–"
    assert cells(table, "A3C-ED")["predicted", "ours"] == "30.0"


def test_nothing_measured_is_said_not_shown_as_zero(tmp_path):
    evaluation = read_evaluation(write_evaluation(tmp_path, [], extras=False))
    made = [
        tables.dice_table,
        tables.diameter_table,
        tables.coordinate_table,
        tables.error_model_table,
        tables.calibration_table,
        tables.bias_table,
        tables.distance_table,
        tables.off_centre_table,
        tables.segmentation_table,
        tables.volume_table,
        tables.failure_table,
        tables.provenance_table,
    ]
    for make in made:
        assert isinstance(make(evaluation), Missing), make.__name__


def test_tables_agree_with_the_summary(tmp_path):
    evaluation = read_evaluation(write_evaluation(tmp_path, many_frames(10)))
    distances = cells(tables.distance_table(evaluation), "all")
    assert distances["", "median"] == f"{evaluation.number('hinge', 'all', 'distance_mm', 'before', 'median'):.2f}"
    calibration = cells(tables.calibration_table(evaluation), "x: median |e| [15–85 %]")
    median = evaluation.number("hinge", "all", "col_mm", "before", "median_absolute")
    assert calibration["ours", "uncalibrated"].split()[0] == f"{median:.2f}"


def test_failed_volumes_and_flags_are_named_in_words(tmp_path):
    rows = [dataclasses.replace(row, value=None, status="no_contact_line") for row in volume_rows("p", (9, 9), (5, 5))]
    evaluation = read_evaluation(write_evaluation(tmp_path, [FRAMES[0]], volumes=rows))
    failed = cells(tables.failure_table(evaluation), "p")
    assert failed["", "what is missing"] == "EDV of the patient, ESV of the patient, EF of the patient"
    far = dataclasses.replace(FRAMES[1], predicted=(10, 0, 10, 75))
    evaluation = read_evaluation(write_evaluation(tmp_path, [FRAMES[0], far]))
    assert cells(tables.second_look_table(evaluation), "annulus outside 15–60 mm")["", "frames"] == "1"


def test_calibration_in_another_unit_is_a_named_failure(tmp_path):
    evaluation = read_evaluation(
        write_evaluation(tmp_path, [FRAMES[0]], calibration=calibration_of((0, 1, 0, 1), "px"))
    )
    row = cells(tables.failure_table(evaluation), "patient0001_4CH_ED")
    assert (row["", "status"], row["", "what is missing"]) == ("calibration_unit_differs", "calibrated hinge points")
