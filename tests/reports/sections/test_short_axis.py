"""The report of short-axis volumes: two patients of drawn slices, worked out by hand in tests/evaluation."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from data_pipeline.sample import Phase
from evaluation.frames import subject_of
from evaluation.pictures import case_entry
from evaluation.predictions import Prediction
from evaluation.rows import write_cases
from evaluation.short_axis import Slice
from evaluation.summary import summarise
from reports import figures
from reports.cells import Missing
from reports.drawing import Drawing
from reports.evaluation_folder import Evaluation, read_evaluation
from reports.report import write_report
from reports.sections import cases, failures, short_axis
from shell.files import write_json
from tests.evaluation.test_short_axis import ALL, DIASTOLE, EMPTY, SYSTOLE, heart, rows_of, stack
from tests.reports.worked import values

LOST = [DIASTOLE[0], heart(8, shift=2), DIASTOLE[2], EMPTY, EMPTY]


def of_patient(name: str, diagnosis: str, slices: list[Slice]) -> list[Slice]:
    return [replace(each, sample=replace(each.sample, patient_id=name, diagnosis=diagnosis)) for each in slices]


def written(folder: Path, *, corrected: bool = False, es: bool = True) -> Path:
    """p1 is predicted as it is; of p2 one slice is shifted and one is lost at ED."""
    slices = [
        *of_patient("p1", "NOR", [*stack(Phase.ED, DIASTOLE), *stack(Phase.ES, SYSTOLE)]),
        *of_patient("p2", "DCM", [*stack(Phase.ED, DIASTOLE, LOST), *(stack(Phase.ES, SYSTOLE) if es else [])]),
    ]
    if corrected:
        slices = [replace(each, corrected=each.sample.labels) for each in slices]
    rows = [row for name in ("p1", "p2") for row in rows_of([s for s in slices if s.sample.patient_id == name])]
    for metric in ("amvl_error", "pmvl_error"):
        rows += [subject_of(each.sample).failed_row("ANNULUS", metric, "mm", "no_la_class") for each in slices]
    write_cases(folder / "cases.csv", rows)
    write_json(folder / "summary.json", summarise(rows, data="acdc:x", split="test"))
    write_json(folder / "recipe.json", {"name": "cmr_wce", "model": "dense_unet", "paper": "Dense U-Net"})
    entries = [
        case_entry(each.sample, Prediction(each.predicted, None, None, None), None, folder / "cases", structures=ALL)
        for each in slices
    ]
    write_json(folder / "cases" / "cases.json", entries)
    return folder


@pytest.fixture(scope="module")
def evaluation(tmp_path_factory: pytest.TempPathFactory) -> Evaluation:
    return read_evaluation(written(tmp_path_factory.mktemp("plain")))


@pytest.fixture(scope="module")
def after_correction(tmp_path_factory: pytest.TempPathFactory) -> Evaluation:
    return read_evaluation(written(tmp_path_factory.mktemp("corrected"), corrected=True))


FIRST, SECOND = short_axis.CRITERIA.values()


def without_interval(texts: list[str]) -> list[str]:
    return [text.split("\n")[0] for text in texts]


def test_table_1_beside_the_papers(evaluation: Evaluation) -> None:
    table = short_axis.segmentation_by_criterion(evaluation)
    assert values(table, "paper: WCE", FIRST)[:3] == ["0.944", "7.2", "0.948"]
    assert values(table, "paper: WCE+Dice", SECOND)[3:6] == ["0.897", "8.2", "0.853"]
    slices = without_interval(values(table, "ours: cmr_wce, slices", FIRST))
    # 14 slices with an LV: 12 are as the reference, one is shifted (Dice 0.75), one lost (0).
    assert (slices[0], slices[1], slices[-1]) == (f"{12.75 / 14:.3f}", "0.0", "14")
    volumes = without_interval(values(table, "ours: cmr_wce, volumes", FIRST))
    assert volumes[0] == f"{(3 + 2 * 148 / 344) / 4:.3f}"
    assert volumes[-1] == "4"
    notes = " ".join(table.notes)
    assert "(0 and 0 of 20 here)" in notes
    assert "both criteria keep the same slices" in notes
    assert "the 6 slices without LV" in notes


def test_table_2_and_the_levels(evaluation: Evaluation) -> None:
    basal = short_axis.basal_table(evaluation)
    assert values(basal, "paper: FCN+corr", FIRST) == ["0.927", "7.5", "0.811", "13.5", "–"]
    assert values(basal, "ours: cmr_wce", SECOND)[0] == "1.000"
    levels = short_axis.level_table(evaluation)
    # Of four slices with LV at ED base, mid, mid, apex; of three at ES one each.
    assert [values(levels, level)[-1] for level in ("base", "mid", "apex")] == ["4", "6", "4"]
    assert values(levels, "apex")[0] == "0.750"  # one of four is lost
    assert "6 show no LV in the reference" in levels.notes[0]


def test_table_3_and_the_volumes(evaluation: Evaluation) -> None:
    table = short_axis.clinical_table(evaluation)
    row = values(table, "LV EDV, ml")
    assert row[:4] == ["0.99", "−1 ± 12", "0.99", "−2 ± 13"]
    # p2 lacks 16 of 180 pixels of 0.012 ml: differences 0 and −0.192, sd 0.136.
    assert row[5:] == ["−0.1 ± 0.3", "2"]
    volumes = without_interval(values(short_axis.volume_table(evaluation), "MYO mass ES, g"))
    assert volumes[:2] == ["2", "0"]
    assert values(short_axis.volume_table(evaluation), "RV EF, %")[1] == "0"


def test_by_diagnosis(evaluation: Evaluation) -> None:
    table = short_axis.diagnosis_table(evaluation)
    assert values(table, "NOR")[:4] == ["1", "1.000", "1.000", "1.000"]
    assert values(table, "DCM")[0] == "1"
    assert values(table, "all")[0] == "2"
    assert float(values(table, "DCM")[1]) < 1
    assert [row[0].text for row in table.rows] == ["DCM", "NOR", "all"]


def test_what_was_missed_is_counted(evaluation: Evaluation) -> None:
    table = short_axis.presence_table(evaluation)
    assert values(table, "LV") == ["20", "1", "0", "0", "6"]


def test_corrections_are_a_third_column(after_correction: Evaluation) -> None:
    clinical = short_axis.clinical_table(after_correction)
    assert values(clinical, "LV EDV, ml")[5:] == ["−0.1 ± 0.3", "–", "0.0 ± 0.0", "2"]
    assert "2 of 20 slices of 1 patients were changed (base 0, mid 1, apex 1)" in clinical.notes[1]
    table = short_axis.segmentation_by_criterion(after_correction)
    assert values(table, "after correction, volumes", FIRST)[0] == "1.000"
    assert values(short_axis.basal_table(after_correction), "ours, after correction", FIRST)[0] == "1.000"
    assert values(short_axis.level_table(after_correction), "apex, after correction")[0] == "1.000"


def test_figures_of_short_axis_volumes(evaluation: Evaluation) -> None:
    drawn = figures.draw_figures(evaluation)
    assert set(drawn) == set(figures.OF_SHORT_AXIS)
    example = drawn["fig-1-examples"]
    assert isinstance(example, Drawing)
    assert "Typical: p1_SAX_ED; Lowest: p2_SAX_ED" in example.caption
    assert len(example.figure.axes) == 12
    assert isinstance(drawn["fig-03-dice-by-epoch"], Missing)  # no history.csv
    assert "LV EDV (n = 2)" in drawn["sax-volume-agreement"].caption
    assert "MYO mass ED (n = 2)" in drawn["sax-mass-agreement"].caption


def test_the_page_speaks_of_slices_and_not_of_hinge_points(evaluation: Evaluation) -> None:
    page = write_report(evaluation.folder).read_text(encoding="utf-8")
    assert "Ventricles and myocardium in short-axis cine MR" in page
    assert "20 short-axis slices in 4 volumes of 2 patients." in page
    text = re.sub(r"data:[a-z/]+;base64,[^\"]+", "", page.split("<script")[0])
    for word in ("inge point", "Annulus", "annulus", "A4C", "atrium", "Simpson"):
        assert word not in text, word
    assert "no heart, none found" in page


def test_a_slice_without_heart_is_the_best_of_all(evaluation: Evaluation) -> None:
    browser = cases.case_browser(evaluation)
    assert browser.lines[0].case == "p2_SAX_ED_s03"  # lost: LV, MYO and RV
    last = browser.lines[-1]
    assert "no heart, none found" in [cell.text for cell in last.cells]
    assert last.kinds == ("measured",)
    levels = [name for name, _ in browser.columns]
    assert "level" in levels


def test_failures_name_the_missing_phase(tmp_path: Path, evaluation: Evaluation) -> None:
    assert isinstance(failures.failure_table(evaluation), Missing)
    lacking = read_evaluation(written(tmp_path, es=False))
    table = failures.failure_table(lacking)
    assert values(table, "p2")[0] == "missing_SAX_ES"
    assert "volume of that phase is missing" in values(table, "p2")[1]
    volumes = without_interval(values(short_axis.volume_table(lacking), "LV EF, %"))
    assert volumes[:2] == ["1", "1"]
