import math

import numpy as np
import pytest

from evaluation.quality import fit_quality, quality_rows
from evaluation.rows import CaseRow, write_cases
from evaluation.summary import summarise
from postprocessing.quality import QualityModel
from reports.cells import Missing, Table
from reports.drawing import Drawing
from reports.evaluation_folder import Evaluation, read_evaluation
from reports.report import write_report
from reports.sections import trust
from shell.files import write_json
from tests.evaluation.test_quality import frames, rows_of
from tests.reports.synthetic import many_frames, write_evaluation

MODEL = fit_quality(rows_of(frames(60, seed=1), None))


def complete(rows: list[CaseRow]) -> list[CaseRow]:
    """With the rows that a summary needs and that trust does not look at."""
    lacking = ["amvl_row", "amvl_col", "pmvl_row", "pmvl_col"]
    found = {(row.case, row.metric) for row in rows}
    filled = list(rows)
    for row in rows:
        if row.metric == "amvl_error":
            for name in lacking:
                for ending in ("reference", "predicted", "error"):
                    if (row.case, f"{name}_{ending}") not in found:
                        filled.append(
                            CaseRow(
                                row.case,
                                row.patient,
                                row.view,
                                row.phase,
                                "ANNULUS",
                                f"{name}_{ending}",
                                None if row.value is None else 1.0,
                                row.unit,
                                row.status,
                            )
                        )
    return filled


def evaluation_of(folder, made, model: QualityModel | None) -> Evaluation:
    rows = complete(rows_of(made, model))
    write_cases(folder / "cases.csv", rows)
    write_json(folder / "summary.json", summarise(rows, data="drawn", split="test"))
    if model is not None:
        write_json(folder / "quality.json", model.to_dict())
    return read_evaluation(folder)


def cell(table: Table, beginning: str) -> tuple[str, str]:
    (row,) = [row for row in table.rows if row[0].text.startswith(beginning)]
    return row[1].text, row[2].text


@pytest.fixture(scope="module")
def evaluation(tmp_path_factory: pytest.TempPathFactory) -> Evaluation:
    return evaluation_of(tmp_path_factory.mktemp("trust"), frames(80, seed=2, missing=3), MODEL)


def test_table_agrees_with_the_summary(evaluation: Evaluation) -> None:
    table = trust.trust_table(evaluation)
    assert isinstance(table, Table)
    assert cell(table, "frames judged")[0] == "80, 77"
    for beginning, key in (
        ("mean hinge error of all", "risk_at_100_mm"),
        ("mean hinge error of the most trusted 80 %", "risk_at_80_mm"),
        ("mean hinge error of what it stands by", "error_of_measured_mm"),
        ("AUC for “hinge error > 5 mm”", "auc_error_over_5_mm"),
        ("AUC for “LV–LA contact missing”", "auc_no_contact_line"),
    ):
        assert cell(table, beginning)[0] == f"{evaluation.number('quality', key):.2f}", beginning
    assert "3 of 80 frames lack it" in cell(table, "AUC for “LV–LA")[1]
    assert "nominal 90 %" in cell(table, "90 % interval")[1]


def test_words_for_a_reader(evaluation: Evaluation) -> None:
    words = trust.reading(evaluation)
    assert "no more than 5 mm off" in words
    assert "Below a score of 0.80 the tool abstains" in words


def test_curve(evaluation: Evaluation) -> None:
    drawing = trust.risk_coverage_curve(evaluation)
    assert isinstance(drawing, Drawing)
    assert "All 77 frames" in drawing.caption
    (axes,) = drawing.figure.axes
    lines = {line.get_label(): np.asarray(line.get_ydata(), float) for line in axes.get_lines()}
    curve, best = lines["most trusted first"], lines["if the errors were known"]
    assert curve[-1] == pytest.approx(best[-1]) == pytest.approx(lines["all frames, or any at random"][0])
    assert (best <= curve + 1e-9).all()
    assert (np.diff(best) >= -1e-12).all()
    assert lines["what the tool stands by"][0] == pytest.approx(
        evaluation.number("quality", "error_of_measured_mm"), rel=0.05
    )


def test_expected_against_measured(evaluation: Evaluation) -> None:
    drawing = trust.expected_against_measured(evaluation)
    assert isinstance(drawing, Drawing)
    (axes,) = drawing.figure.axes
    marks = {line.get_label(): len(line.get_xdata()) for line in axes.get_lines() if "n = " in str(line.get_label())}
    assert sum(marks.values()) == 77
    assert f"abstains (n = {evaluation.count('quality', 'abstained_measured')})" in marks
    assert len(axes.get_xticks()) >= 2


def test_features(evaluation: Evaluation) -> None:
    table = trust.feature_table(evaluation)
    assert isinstance(table, Table)
    by_name = {row[0].text: [c.text for c in row[1:]] for row in table.rows}
    factor = math.exp(MODEL.coefficients["hinge_entropy"])
    assert by_name["hinge entropy"][-1] == f"{factor:.2f}"
    assert by_name["line tortuosity"][-1] == "1.00"
    assert "transition width, mm" in by_name
    assert "60 validation frames of 30 patients" in table.notes[0]


@pytest.mark.parametrize(
    ("made", "model", "reason"),
    [
        (frames(40), None, "without a model"),
        (frames(4), MODEL, "Only 4 frames"),
        (frames(4, missing=4), MODEL, "Only 0 frames"),
        ([], MODEL, "No frame was measured"),
    ],
)
def test_what_cannot_be_said_is_said(tmp_path, made, model, reason) -> None:
    evaluation = evaluation_of(tmp_path, made, model)
    for make in (trust.trust_table, trust.risk_coverage_curve, trust.expected_against_measured):
        missing = make(evaluation)
        assert isinstance(missing, Missing), make.__name__
        assert reason in missing.reason
    assert isinstance(trust.feature_table(evaluation), Missing if model is None else Table)


def test_a_tool_that_never_abstains_says_why(tmp_path) -> None:
    model = fit_quality(rows_of(frames(20), None))
    words = trust.reading(evaluation_of(tmp_path, frames(40, seed=3), model))
    assert "never abstains: fitted on 20 frames; at least 30 are needed" in words


def test_frames_in_px(tmp_path) -> None:
    model = fit_quality(rows_of(frames(40, unit="px"), None))
    table = trust.trust_table(evaluation := evaluation_of(tmp_path, frames(40, seed=3, unit="px"), model))
    assert cell(table, "mean hinge error of all, px")[0] == f"{evaluation.number('quality', 'risk_at_100_px'):.2f}"
    assert not [row for row in table.rows if "5 mm" in row[0].text]
    assert isinstance(trust.risk_coverage_curve(evaluation), Drawing)
    assert f"{model.limit:.1f} px off" in trust.reading(evaluation)


@pytest.mark.parametrize(
    ("coverage", "words"), [(0.7, "do not rely on it"), (0.9, "As promised"), (0.99, "wider than it need be")]
)
def test_coverage_in_words(tmp_path, coverage: float, words: str) -> None:
    evaluation = evaluation_of(tmp_path, frames(40), MODEL)
    block = {"level": 0.9, "n": 200, "coverage": coverage, "median_width_mm": 9.0}
    evaluation.summary["quality"]["interval"] = block
    (text,) = [row[2].text for row in trust.trust_table(evaluation).rows if "interval" in row[0].text]
    assert words.replace("rely on it", "rely on the interval") in text


def test_the_report_has_the_section(tmp_path) -> None:
    made = many_frames(10)
    folder = write_evaluation(tmp_path, made)
    assert "Can a measurement be trusted?" in write_report(folder).read_text()  # and that there is no model


def test_rows_are_told_in_the_same_words_as_the_model() -> None:
    (frame, measurement, _), *_ = frames(1)
    metrics = {row.metric for row in quality_rows(frame, measurement, MODEL) if row.structure == trust.QUALITY}
    assert {"score", "expected_error", "abstained"} <= metrics
