"""Figures taken from an evaluation worked by hand."""

import math
from pathlib import Path

import pytest

from evaluation.bounds import Bounds
from reports.evaluation_folder import Evaluation, read_evaluation
from shell.files import write_json
from studies import figures
from studies.figures import mean_of, median_of, of_volumes, outliers_of, poor_images, share_of
from tests.studies.made import row, write_evaluation

FRAMES = ("a_4CH_ED", "a_4CH_ES", "b_4CH_ED", "b_2CH_ED")
DICE = (0.9, 0.8, 0.7, 0.2)
QUALITY = (3.0, 2.0, 3.0, 1.0)  # one frame of patient b is poor
ERRORS_MM = (-1.0, 2.0, -4.0, 3.0)


@pytest.fixture
def evaluation(tmp_path: Path) -> Evaluation:
    rows = [row(case, "LV", "dice", value) for case, value in zip(FRAMES, DICE, strict=True)]
    rows += [row(case, "FRAME", "image_quality", grade, "grade") for case, grade in zip(FRAMES, QUALITY, strict=True)]
    rows += [row(case, "ANNULUS", "amvl_col_error", e, "mm") for case, e in zip(FRAMES, ERRORS_MM, strict=True)]
    rows += [row(case, "ANNULUS", "pmvl_col_error", 10.0, "mm") for case in FRAMES[:1]]
    rows += [row(case, "LA", "dice", None) for case in FRAMES]
    rows += [row(case, "LV", "hausdorff", 5.0, "px") for case in FRAMES]
    for patient, reference, predicted in (("a", 60.0, 58.0), ("b", 40.0, 50.0), ("c", 50.0, None)):
        rows.append(row(patient, "LV", "ef_reference", reference, "percent"))
        rows.append(row(patient, "LV", "ef_predicted", predicted, "percent"))
    return read_evaluation(write_evaluation(tmp_path / "evaluation", rows))


def test_the_mean_over_the_frames(evaluation: Evaluation) -> None:
    assert mean_of("LV", "dice")(evaluation).value == pytest.approx(0.65)
    assert mean_of("LV", "dice", phase="ED")(evaluation).value == pytest.approx(0.6)
    assert mean_of("LV", "dice", subgroup="A4C-ES")(evaluation).value == pytest.approx(0.8)


def test_patients_with_a_poor_image_are_left_out_whole(evaluation: Evaluation) -> None:
    assert poor_images(evaluation) == {"b"}
    assert mean_of("LV", "dice", without=poor_images)(evaluation).value == pytest.approx(0.85)


def test_absolute_errors(evaluation: Evaluation) -> None:
    assert mean_of("ANNULUS", "amvl_col_error", unit="mm")(evaluation).value == 0.0
    assert mean_of("ANNULUS", "amvl_col_error", unit="mm", absolute=True)(evaluation).value == 2.5
    assert median_of("amvl_col_error", absolute=True)(evaluation).value == 2.5
    assert median_of("amvl_col_error", "pmvl_col_error", absolute=True)(evaluation).value == 3.0
    assert median_of("amvl_col_error", subgroup="A2C-ED")(evaluation).value == 3.0


def test_what_was_not_measured_is_nan(evaluation: Evaluation) -> None:
    assert math.isnan(mean_of("LA", "dice")(evaluation).value)
    assert math.isnan(mean_of("MV", "dice")(evaluation).value)
    assert math.isnan(mean_of("LV", "hausdorff", unit="mm")(evaluation).value)  # pixels are no millimetres
    assert math.isnan(median_of("pmvl_row_error")(evaluation).value)
    assert math.isnan(of_volumes("edv", figures.correlation)(evaluation).value)


def test_agreement_of_volumes(evaluation: Evaluation) -> None:
    """Differences −2 and +10: bias 4, standard deviation 8.485; patient c has no prediction."""
    assert of_volumes("ef", figures.bias)(evaluation).value == pytest.approx(4.0)
    assert of_volumes("ef", figures.limits)(evaluation).value == pytest.approx(1.96 * 72**0.5)
    assert of_volumes("ef", figures.absolute_error)(evaluation).value == pytest.approx(6.0)
    assert of_volumes("ef", figures.correlation)(evaluation).value == pytest.approx(1.0)
    assert of_volumes("ef", figures.bias, without=poor_images)(evaluation).value == pytest.approx(-2.0)


def test_percentages(evaluation: Evaluation) -> None:
    assert figures.in_percent(mean_of("LV", "dice"))(evaluation).value == pytest.approx(65.0)


def test_what_a_figure_is_made_of(evaluation: Evaluation) -> None:
    dice = mean_of("LV", "dice")(evaluation)
    assert (dice.n, dice.sd) == (4, pytest.approx(math.sqrt((0.25**2 + 0.15**2 + 0.05**2 + 0.45**2) / 3)))
    percent = figures.in_percent(mean_of("LV", "dice"))(evaluation)
    assert (percent.n, percent.sd) == (4, pytest.approx(100 * dice.sd))
    assert of_volumes("ef", figures.bias)(evaluation).n == 2
    assert math.isnan(of_volumes("ef", figures.bias)(evaluation).sd)
    assert math.isnan(median_of("amvl_col_error")(evaluation).sd)


def test_the_share_of_outliers_is_of_frames(tmp_path: Path) -> None:
    """Of five frames one has a d_H beyond 8.1 mm and one is less convex than .842; a sixth cannot be judged."""
    frames = [f"{patient}_{view}_{phase}" for patient in "ab" for view in ("4CH", "2CH") for phase in ("ED", "ES")][:6]
    rows = []
    for number, case in enumerate(frames):
        for structure in ("LV", "EPI"):
            distance = None if number == 5 else 9.0 if (number, structure) == (0, "LV") else 5.0
            rows.append(row(case, structure, "mean_absolute_distance", None if number == 5 else 1.0, "mm"))
            rows.append(row(case, structure, "hausdorff", distance, "mm"))
            rows.append(row(case, structure, "simplicity", 0.95))
            rows.append(row(case, structure, "convexity", 0.8 if (number, structure) == (1, "LV") else 0.98))
    rows += [row(case, "FRAME", "image_quality", 1.0, "grade") for case in frames if case.startswith("b")]
    folder = write_evaluation(tmp_path / "outliers", rows)
    assert math.isnan(outliers_of("geometric")(read_evaluation(folder)).value)  # no bounds
    write_json(folder / "bounds.json", Bounds().to_dict())
    evaluation = read_evaluation(folder)
    geometric = outliers_of("geometric")(evaluation)
    assert (geometric.value, geometric.n) == (pytest.approx(1 / 5), 5)
    assert math.isnan(geometric.sd)
    assert outliers_of("anatomical_shape")(evaluation).value == pytest.approx(1 / 6)
    assert outliers_of("both_shape")(evaluation).value == 0.0
    good = outliers_of("geometric", without=poor_images)(evaluation)
    assert (good.value, good.n) == (pytest.approx(1 / 4), 4)


def test_the_share_of_frames_with_a_flag(tmp_path: Path) -> None:
    rows = [
        row(f"{patient}_4CH_ED", "BOX", "box_out", value, "flag")
        for patient, value in zip("abc", (1.0, 0.0, None), strict=True)
    ]
    share = share_of("BOX", "box_out")(read_evaluation(write_evaluation(tmp_path / "boxes", rows)))
    assert (share.value, share.n) == (0.5, 2)
    assert math.isnan(share.sd)
    assert math.isnan(share_of("BOX", "unknown")(read_evaluation(tmp_path / "boxes")).value)
