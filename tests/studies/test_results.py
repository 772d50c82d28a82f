"""Tables worked by hand: paper, ours over the jobs, difference, and why."""

import csv
import dataclasses
import io
import json
import math
import re
import socket
from pathlib import Path

import pytest

from recipes.base import with_settings
from shell.errors import UserError
from studies.figures import bias, correlation, mean_of, not_measured, of_volumes
from studies.jobs import Job
from studies.page import write_page
from studies.plan import Column, Row, Table
from studies.reasons import NOTHING_CHANGED, changes
from studies.results import ResultTable, as_csv, as_json, as_text, tables_of, write_tables
from studies.work import record
from tests.studies.made import EXPERT, UNET1, finished, made_job, row, small_plan

TABLE = Table(
    key="table1",
    title="Table 1. Dice",
    columns=(
        Column("dice", "LV", "Dice", mean_of("LV", "dice"), needs=("LV",)),
        Column("d_H", "LV", "d_H, mm", mean_of("LV", "hausdorff", unit="mm"), "mm", 1, ("LV",)),
        Column("valve", "", "MV", mean_of("MV", "dice"), needs=("MV",)),
    ),
    rows=(
        EXPERT,
        Row("U-Net1", UNET1, {"dice": (0.92, 0.056), "d_H": 5.6}, note="A note on the paper."),
        Row("another", dataclasses.replace(UNET1, name="another"), {"dice": 0.5}),
    ),
    notes=("A note below.",),
)
PLAN = small_plan(TABLE)


def done(out: Path, fold: int | None, *dices: float, unit: str = "mm", **changes: object) -> Job:
    """A done job with a patient for each Dice; each fold has patients of its own."""
    cases = [f"p{fold or 0}{number}_4CH_ED" for number in range(len(dices))]
    rows = [row(case, "LV", "dice", dice) for case, dice in zip(cases, dices, strict=True)]
    rows += [row(case, "LV", "hausdorff", 6.0, unit) for case in cases]
    return finished(made_job(out, fold=fold, **changes), rows)


def only_table(jobs: list[Job], plan=PLAN) -> ResultTable:
    (table,) = tables_of(plan, [UNET1], jobs)
    return table


def test_the_frames_of_all_folds_are_pooled_as_the_papers_do(tmp_path: Path) -> None:
    """Frames of .8, 1.0 and .93: mean .91, not the mean .915 of the folds' means; sd over frames .1015."""
    table = only_table([done(tmp_path, 1, 0.8, 1.0), done(tmp_path, 2, 0.93)])
    expert, ours = table.rows
    assert (ours.done, ours.asked) == (2, 2)
    dice = ours.entries["dice"]
    assert [measured.value for measured in dice.ours] == pytest.approx([0.91])
    assert [measured.n for measured in dice.ours] == [3]
    assert dice.mean == pytest.approx(0.91)
    assert dice.sd == pytest.approx(math.sqrt((0.11**2 + 0.09**2 + 0.02**2) / 2))
    assert dice.sd_over == "frames"
    assert dice.difference == pytest.approx(-0.01)
    assert ours.entries["d_H"].difference == pytest.approx(0.4)
    assert ours.pool == "2 folds pooled, 3 patients tested"
    assert expert.entries["dice"].paper == 0.95
    assert expert.entries["dice"].ours == ()
    assert [r.row.name for r in table.rows] == ["expert", "U-Net1"]  # the third was not asked for


def test_volumes_are_compared_over_the_patients_of_all_folds(tmp_path: Path) -> None:
    """Two folds of one patient each have no correlation of their own; together the two patients do."""
    jobs = [
        finished(
            made_job(tmp_path, fold=fold),
            [row(f"p{fold}", "LV", f"ef_{kind}", value, "percent") for kind, value in values.items()],
        )
        for fold, values in ((1, {"reference": 60.0, "predicted": 58.0}), (2, {"reference": 40.0, "predicted": 50.0}))
    ]
    columns = (
        Column("r", "", "r", of_volumes("ef", correlation), needs=("LV",)),
        Column("bias", "", "bias", of_volumes("ef", bias), "%", 1, ("LV",)),
    )
    plan = small_plan(dataclasses.replace(TABLE, columns=columns, rows=(Row("U-Net1", UNET1, {"bias": 1.0}),)))
    entries = only_table(jobs, plan).rows[0].entries
    assert entries["r"].mean == pytest.approx(1.0)
    assert entries["bias"].mean == pytest.approx(4.0)
    assert entries["bias"].sd_over == ""


def test_seeds_have_a_figure_each_and_spread_over_them(tmp_path: Path) -> None:
    """Seed 0: .8, 1.0, .93 pooled .91; seed 1: .95. Mean .93, sd over the seeds .02828."""
    jobs = [done(tmp_path, 1, 0.8, 1.0), done(tmp_path, 2, 0.93), done(tmp_path, 1, 0.95, seed=1)]
    jobs.append(made_job(tmp_path, fold=2, seed=1))
    ours = only_table(jobs).rows[1]
    dice = ours.entries["dice"]
    assert [measured.value for measured in dice.ours] == pytest.approx([0.91, 0.95])
    assert dice.mean == pytest.approx(0.93)
    assert dice.sd == pytest.approx(0.04 / math.sqrt(2))
    assert dice.sd_over == "seeds"
    assert ours.pool == "2 seeds, each: 2 folds pooled, 1 to 3 patients tested"


def test_a_patient_whom_two_folds_test_counts_once_and_is_told_of(tmp_path: Path) -> None:
    first = finished(made_job(tmp_path, fold=1), [row("p_4CH_ED", "LV", "dice", 0.9)])
    second = finished(
        made_job(tmp_path, fold=2), [row("p_4CH_ED", "LV", "dice", 0.1), row("q_4CH_ED", "LV", "dice", 0.8)]
    )
    ours = only_table([first, second]).rows[1]
    assert ours.entries["dice"].mean == pytest.approx(0.85)
    assert ours.pool == "2 folds pooled, 2 patients tested"
    assert "1 patient tested in several folds: counted in the first alone" in ours.why


def test_a_row_may_take_a_figure_in_its_own_way(tmp_path: Path) -> None:
    first = dataclasses.replace(TABLE.rows[1], figures={"dice": mean_of("LV", "dice_first")})
    job = finished(made_job(tmp_path), [row("p_4CH_ED", "LV", "dice", 0.9), row("p_4CH_ED", "LV", "dice_first", 0.7)])
    plan = small_plan(dataclasses.replace(TABLE, rows=(TABLE.rows[1], dataclasses.replace(first, name="first"))))
    assert [r.entries["dice"].mean for r in only_table([job], plan).rows] == [0.9, 0.7]


def test_one_frame_has_no_spread(tmp_path: Path) -> None:
    ours = only_table([done(tmp_path, None, 0.9)]).rows[1]
    assert ours.entries["dice"].mean == pytest.approx(0.9)
    assert math.isnan(ours.entries["dice"].sd)
    assert ours.pool == "1 patient tested"


def test_a_figure_that_cannot_be_had_says_why(tmp_path: Path) -> None:
    entries = only_table([done(tmp_path, None, 0.9, unit="px")]).rows[1].entries
    assert entries["valve"].lacking == "no MV among the classes"
    assert entries["d_H"].lacking == "the pixel pitch is unknown"
    assert math.isnan(entries["d_H"].difference)
    job = finished(made_job(tmp_path / "none"), [row("p_4CH_ED", "LV", "dice", None)])
    assert only_table([job]).rows[1].entries["dice"].lacking == "these frames give none"
    nothing = only_table([made_job(tmp_path / "other")]).rows[1]
    assert nothing.entries["dice"].lacking == "no job done"
    assert nothing.why == ("none of its jobs is done",)


def test_a_figure_that_a_row_does_not_have_says_so(tmp_path: Path) -> None:
    first = dataclasses.replace(TABLE.rows[1], figures={"dice": not_measured})
    plan = small_plan(dataclasses.replace(TABLE, rows=(first,)))
    assert only_table([done(tmp_path, None, 0.9)], plan).rows[0].entries["dice"].lacking == "not measured of this row"


def test_why_where_nothing_was_changed(tmp_path: Path) -> None:
    assert only_table([done(tmp_path, None, 0.9)]).rows[1].why == (NOTHING_CHANGED,)


def test_why_other_data_fewer_patients_folds_and_jobs(tmp_path: Path) -> None:
    ten_folds = dataclasses.replace(PLAN, folds=tuple(range(1, 11)))
    jobs = [done(tmp_path, 1, 0.9, patients=(20, 2, 2)), done(tmp_path, 2, 0.9, patients=(21, 2, 2))]
    jobs.append(made_job(tmp_path, fold=3))
    assert only_table(jobs, ten_folds).rows[1].why == (
        "trained on 20 to 21 patients, the paper on 400",
        "the paper has 10 folds, ours 2 of them",
        "1 of 3 jobs are not done",
    )
    simulated = [done(tmp_path / "other", None, 0.9, data_kind="phantom", patients=(20, 2, 2))]
    assert only_table(simulated, ten_folds).rows[1].why == (
        "other data: phantom, 20 patients to train on; the paper's: CAMUS, 500 patients",
        "the paper has 10 folds, ours one split",
    )


def test_why_settings_were_changed() -> None:
    paper = made_job(Path("out")).recipe
    settings = ["epochs=1", "input_height=64", "early_stopping_patience=none", "classes=lv_myo", "clahe=true"]
    settings += ["augmentation.flip=true", "model_options.width=0.125", "class_weights.LV=2", "seed=9", "batch_size=8"]
    assert changes(paper, with_settings(paper, settings)) == [
        "input 64×256, not 256×256",
        "classes BACKGROUND,LV,MYO, not BACKGROUND,LV,MYO,LA",
        "clahe true, not false",
        "augmentation.flip true, not false",
        "class_weights.LV 2, not set in the recipe",
        "epochs 1, not 200",
        "early_stopping_patience none, not 20",
        "model_options.width 0.125, not set in the recipe",
    ]
    assert changes(paper, paper) == []
    assert changes(with_settings(paper, ["class_weights.LV=2"]), paper) == ["no class_weights.LV, 2 in the recipe"]


@pytest.fixture
def tables(tmp_path: Path) -> list[ResultTable]:
    return [only_table([done(tmp_path, 1, 0.9), done(tmp_path, 2, 0.94)])]


def test_the_tables_as_text(tables: list[ResultTable]) -> None:
    text = as_text(tables)
    assert re.search(r"^expert +paper +0\.950 +– +–$", text, re.MULTILINE)
    assert re.search(r"^U-Net1 +paper +0\.920 ± 0\.056 +5\.6 +–$", text, re.MULTILINE)
    assert "unet1: 2 folds pooled, 2 patients tested" in text
    assert re.search(r"^ +ours +0\.920 ± 0\.028 +6\.0 ± 0\.0 +–$", text, re.MULTILINE)
    assert re.search(r"^ +difference +0\.000 +\+0\.4 +–$", text, re.MULTILINE)
    assert "valve: no MV among the classes" in text
    assert max(len(line) for line in text.splitlines()) <= 118


def test_networks_that_differ_for_the_same_reasons_are_told_of_together(tmp_path: Path) -> None:
    another = TABLE.rows[2].network
    assert another is not None
    jobs = [done(tmp_path, None, 0.9), finished(made_job(tmp_path, "another"), [row("p_4CH_ED", "LV", "dice", 0.8)])]
    plan = small_plan(dataclasses.replace(TABLE, columns=TABLE.columns[:1]))
    text = as_text(tables_of(plan, [UNET1, another], jobs))
    assert "  unet1, another: nothing that the paper states was changed" in text
    assert text.count("nothing that the paper states") == 1


def test_a_wide_table_is_told_in_parts(tmp_path: Path) -> None:
    columns = tuple(dataclasses.replace(TABLE.columns[0], key=f"c{i}", group=f"column {i}") for i in range(12))
    plan = small_plan(dataclasses.replace(TABLE, columns=columns, rows=(Row("U-Net1", UNET1, {}),)))
    lines = as_text([only_table([done(tmp_path, None, 0.9)], plan)]).splitlines()
    assert max(len(line) for line in lines) <= 118
    assert sum(line.startswith("U-Net1 ") for line in lines) == 2
    assert sum(line.count("column") for line in lines) == 12


def test_the_tables_as_json(tables: list[ResultTable]) -> None:
    values = json.loads(json.dumps(as_json(PLAN, tables), allow_nan=False))
    rows = values["tables"]["table1"]["rows"]
    assert rows[1]["columns"]["dice"] == {
        "unit": "",
        "paper": 0.92,
        "paper_sd": 0.056,
        "ours": pytest.approx([0.92]),
        "n": [2],
        "mean": pytest.approx(0.92),
        "sd": pytest.approx(0.0282842712),
        "sd_over": "frames",
        "difference": pytest.approx(0.0),
        "lacking": None,
    }
    assert rows[1]["columns"]["valve"]["lacking"] == "no MV among the classes"
    assert rows[1]["why"] == [NOTHING_CHANGED]
    assert rows[0]["network"] is None


def test_the_tables_as_csv(tables: list[ResultTable]) -> None:
    rows = list(csv.DictReader(io.StringIO(as_csv(tables))))
    assert len(rows) == 2 * 3
    found = {(r["row"], r["column"]): r for r in rows}
    assert float(found["U-Net1", "dice"]["ours_mean"]) == pytest.approx(0.92)
    assert (found["U-Net1", "dice"]["jobs"], found["U-Net1", "dice"]["seeds"]) == ("2", "1")
    assert (found["U-Net1", "dice"]["paper_sd"], found["U-Net1", "dice"]["sd_over"]) == ("0.056", "frames")
    assert found["U-Net1", "valve"]["ours_mean"] == ""
    assert found["U-Net1", "valve"]["why"].endswith("no MV among the classes")
    assert found["expert", "dice"]["paper"] == "0.95"


def test_a_damaged_evaluation_is_named(tmp_path: Path) -> None:
    job = done(tmp_path, None, 0.9)
    (job.evaluation / "cases.csv").write_text("case,patient\n")
    with pytest.raises(UserError, match=r"cases\.csv: must have the columns"):
        only_table([job])


def test_tables_are_not_written_into_a_file(tmp_path: Path, tables: list[ResultTable]) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(UserError, match="is a file"):
        write_tables(tmp_path / "file", PLAN, tables)
    write_tables(tmp_path / "folder", PLAN, tables)
    assert {path.name for path in (tmp_path / "folder").iterdir()} == {"tables.json", "tables.csv", "tables.txt"}


def test_the_page_is_one_file_with_everything(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    jobs = [done(tmp_path, 1, 0.9), made_job(tmp_path, fold=2), made_job(tmp_path, fold=3)]
    (jobs[0].evaluation / "report.html").write_text("report")
    (jobs[0].run).mkdir()
    (jobs[0].run / "environment.json").write_text(
        json.dumps({"python": "3.11", "packages": {"keras": "3"}, "git": {"commit": "abc"}, "data_digest": "d1"})
    )
    monkeypatch.setattr(socket, "gethostname", lambda: "elsewhere")
    record(jobs[0], "evaluate", "begun", worker="local 0")
    record(jobs[0], "evaluate", "ended", worker="local 0", exit_status=0, seconds=120.0)
    failed = {jobs[1].name: "train ended with 1: <script>no room</script>"}
    folder = tmp_path / "small"
    page = write_page(folder, PLAN, [only_table(jobs)], jobs, failed=failed, command="python reproduce.py small")
    text = page.read_text()
    assert "1 network × 3 folds × 1 seed: 1 of 3 jobs are done" in text
    assert "Failed: " + jobs[1].name in text
    assert "&lt;script&gt;no room" in text
    assert "<script" not in text
    assert "1 of 3 jobs are still to be done" in text
    assert f'href="../jobs/{jobs[0].name}/evaluation/report.html"' in text
    assert "python reproduce.py small" in text
    assert "commit abc" in text
    assert "<strong>Ours:</strong> 1 fold, 1 patient tested." in text
    assert "<td>elsewhere local 0</td>" in text
    assert "A note on the paper." in text
    assert "A note below." in text
    assert "not a medical device" in text.lower()
    assert not re.search(r'(?:src|href)="(?!data:|#|\.\./jobs/)', text)  # nothing from elsewhere


def test_the_page_warns_where_jobs_were_done_with_different_code(tmp_path: Path) -> None:
    jobs = [done(tmp_path, 1, 0.9), done(tmp_path, 2, 0.9)]
    for job, commit in zip(jobs, ("abc", "def"), strict=True):
        job.run.mkdir()
        (job.run / "environment.json").write_text(json.dumps({"git": {"commit": commit, "change_sha256": "1"}}))
    text = write_page(tmp_path / "small", PLAN, [only_table(jobs)], jobs, failed={}, command="").read_text()
    assert "not all done with the same code: commit abc with changes; commit def with changes" in text
    assert "not all done with the same versions" not in text
