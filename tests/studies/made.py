"""Jobs whose commands are a line of Python, and evaluation folders of known figures."""

import dataclasses
import sys
from collections.abc import Sequence
from pathlib import Path

from evaluation.rows import CaseRow, write_cases
from recipes import recipe_for
from shell.files import write_json
from studies.jobs import EVALUATION, RUN, STATE, Job
from studies.plan import Network, PaperData, Plan, Row, Table

WRITES_RUN = f"import pathlib; p = pathlib.Path({RUN!r}); p.mkdir(); (p / 'recipe.json').write_text('1')"
EVALUATES = (
    f"import pathlib; p = pathlib.Path({EVALUATION!r}); p.mkdir(exist_ok=True); "
    "[(p / name).write_text('{}') for name in ('cases.csv', 'summary.json')]"
)


def python(code: str, folder: Path) -> tuple[str, ...]:
    """A command that runs `code` in `folder`."""
    return (sys.executable, "-c", f"import os; os.chdir({str(folder)!r}); {code}")


def made_job(
    out: Path,
    network: str = "unet1",
    *,
    begin: str = WRITES_RUN,
    resume: str = "pass",
    evaluate: str = EVALUATES,
    fold: int | None = None,
    seed: int = 0,
    data_kind: str = "camus",
    patients: tuple[int, int, int] = (400, 50, 50),
    digest: str = "",
) -> Job:
    """A job of the lu_net paper's U-Net1, its commands replaced."""
    digest = digest or f"{network}-{fold}-{seed}".encode().hex().ljust(64, "0")
    folder = out / "jobs" / f"{network}-{fold}-{seed}"
    return Job(
        name=folder.name,
        network=network,
        fold=fold,
        seed=seed,
        recipe=recipe_for("unet1"),
        data="camus:data",
        data_kind=data_kind,
        data_digest="d" * 64,
        patients=patients,
        digest=digest,
        folder=folder,
        ledger=out / "ledger.jsonl",
        begin=python(begin, folder),
        resume=python(resume, folder),
        evaluate=python(evaluate, folder),
    )


def row(case: str, structure: str, metric: str, value: float | None, unit: str = "ratio") -> CaseRow:
    """A row of `patient1_4CH_ED`, or of a patient where the case is one."""
    patient, *rest = case.split("_")
    view = {"4CH": "A4C", "2CH": "A2C"}[rest[0]] if rest else ""
    status = "ok" if value is not None else "undefined"
    return CaseRow(case, patient, view, rest[1] if rest else "", structure, metric, value, unit, status)


def write_evaluation(folder: Path, rows: Sequence[CaseRow]) -> Path:
    """An evaluation folder with these rows."""
    folder.mkdir(parents=True, exist_ok=True)
    write_cases(folder / "cases.csv", rows)
    write_json(folder / "summary.json", {"n_cases": len({r.case for r in rows})})
    return folder


def finished(job: Job, rows: Sequence[CaseRow]) -> Job:
    """The job with its folder as if it had been done."""
    write_evaluation(job.evaluation, rows)
    write_json(job.folder / STATE, {"digest": job.digest, "trained": True, "evaluated": True})
    return job


def small_plan(table: Table, **changes: object) -> Plan:
    """A plan with one table."""
    plan = Plan(
        name="small",
        title="A small study",
        paper="Nobody et al.",
        data=PaperData("CAMUS, 500 patients", "camus", 400),
        default_data="phantom",
        tables=(table,),
    )
    return dataclasses.replace(plan, **changes)


UNET1 = Network("unet1", "unet1", "lu_net_segmentation")
EXPERT = Row("expert", None, {"dice": 0.95})
