"""Two or more evaluations of the same frames compared, patient by patient: comparison.json."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from evaluation import confidence
from evaluation.bounds import Bounds, read_bounds
from evaluation.confidence import DISTANCES, OVERLAPS, VOLUMES
from evaluation.folder import BOUNDS_FILE
from evaluation.rows import (
    ANNULUS,
    BOX,
    CALIBRATED,
    CALIBRATION_UNIT_DIFFERS,
    FRAME,
    NO_CALIBRATION,
    NOT_FOUND_BY_NETWORK,
    CaseRow,
    read_cases,
)
from evaluation.summary import summarise
from evaluation.summary_blocks import Json
from metrics.bootstrap import bootstrap_mean, bootstrap_median
from metrics.paired import paired_comparison
from postprocessing.calibration import COORDINATES
from shell.errors import UserError
from shell.files import read_json, without_nan, write_json

SAME_POINT = 0.01
"""How far apart, in mm or px, the reference's points of one frame may lie in two evaluations of it."""
NOT_ASKED = (*NOT_FOUND_BY_NETWORK, NO_CALIBRATION, CALIBRATION_UNIT_DIFFERS)
"""Statuses of what an evaluation does not have at all, so that it is no failure of a frame."""
NAMES = {
    "dice": "Dice",
    "surface_dice": "surface Dice",
    "mean_absolute_distance": "d_m",
    "hausdorff": "d_H",
    "hausdorff95": "HD95",
}


@dataclass(frozen=True)
class Metric:
    """What is compared.

    Attributes:
        key: e.g. `dice.LV`, `hinge.distance_mm`.
        label: for the page, e.g. `Dice LV`.
        unit: `ratio`, `mm`, `px`, `ml` or `percent`.
        smaller_is_better: an error or a distance.
    """

    key: str
    label: str
    unit: str
    smaller_is_better: bool


@dataclass(frozen=True)
class Value:
    """A metric of one frame (or of one patient); None where it could not be measured."""

    patient: str
    value: float | None


Measured = dict[Metric, dict[str, Value]]
"""By metric and case."""


@dataclass(frozen=True)
class Evaluated:
    """An evaluation folder that was read.

    Attributes:
        name: of the run, told apart from the others.
        folder: of the evaluation.
        rows: of cases.csv.
        about: run.json, {} where there is none.
        recipe: recipe.json, {} where there is none.
        bounds: of bounds.json, the usual ones where there is none.
        data, split: of summary.json.
    """

    name: str
    folder: Path
    rows: Sequence[CaseRow]
    about: Mapping[str, Any]
    recipe: Mapping[str, Any]
    bounds: Bounds
    data: str
    split: str

    @property
    def frames(self) -> dict[str, CaseRow]:
        """A row of each frame."""
        return {row.case: row for row in self.rows if (row.structure, row.metric) == (ANNULUS, "amvl_error")}


def compare(folders: Sequence[Path], out: Path, *, command: str = "") -> Path:
    """Compares evaluations on the frames that all of them have, and writes comparison.json into `out`.

    Each metric is averaged over a patient's frames that baseline and run could both measure, and these means are
    paired by patient: frames of one patient are alike and are no independent proof. The Wilcoxon signed-rank test asks
    whether the differences lie to one side of zero; its p-values are corrected by Holm's method over the metrics of one
    baseline and run. Frames that only one of the two could measure are in no mean and are counted.

    Args:
        folders: evaluation folders, or run folders with an evaluation of the same data and split as the others; two or
            more, the first being the baseline.
        out: is made where it is not there.
        command: how this was asked for, to be said on the page.

    Returns:
        The path of comparison.json: `runs` [{`name`, `folder`, `model`, `recipe` (recipe.json), `data`, `data_digest`,
        `split`, `created`, `frames`, `left_out`, `summary` (of the shared frames)}], `shared` {`frames`, `patients`},
        `warnings`, `bootstrap`, `command`, and `pairs` [{`baseline`, `run`, `metrics` [COMPARED], `not_compared`
        [{`label`, `why`}]}]. COMPARED: `key`, `label`, `unit`, `smaller_is_better`; `frames` measured by both,
        `patients`, `only_baseline` and `only_run` (frames that only that one measured), `neither`; `baseline_mean`,
        `run_mean` of the patients' means; of the differences run − baseline `mean_difference`, `mean_low`, `mean_high`,
        `median_difference`, `median_low`, `median_high` (95 %, bootstrap by patient); `wilcoxon_p`, `holm_p`,
        `rank_biserial` (positive where the run is better), `share_better`, `share_worse`; `values` {patient: [baseline,
        run]}.

    Raises:
        UserError: fewer than two folders, one of them no evaluation or with several to choose from, the same one
            twice, or no frame that all have.

    Source: S. Holm: Scandinavian Journal of Statistics 6 (1979), 65–70; tests and effect size: metrics/paired.py.
    """
    if len(folders) < 2:
        raise UserError(f"--compare needs two or more run or evaluation folders. Received: {len(folders)}")
    found = find_evaluations(folders)
    twice = [path for path in found if found.count(path) > 1]
    if twice:
        raise UserError(f"--compare needs evaluations that differ. Received twice: {twice[0]}")
    evaluated = _read(found)
    cases, warnings = _shared_cases(evaluated)
    patients = {run.frames[case].patient for run in evaluated[:1] for case in cases}
    shared = [_shared_rows(run, cases, patients) for run in evaluated]
    baseline = measured_values(shared[0])
    content = {
        "runs": [_about(run, rows, len(cases)) for run, rows in zip(evaluated, shared, strict=True)],
        "shared": {"frames": len(cases), "patients": len(patients)},
        "warnings": warnings,
        "bootstrap": {"level": confidence.LEVEL, "resamples": confidence.RESAMPLES, "seed": confidence.SEED},
        "command": command,
        "pairs": [
            {"baseline": evaluated[0].name, "run": run.name, **compared(baseline, measured_values(rows))}
            for run, rows in zip(evaluated[1:], shared[1:], strict=True)
        ],
    }
    out.mkdir(parents=True, exist_ok=True)
    path = out / "comparison.json"
    write_json(path, without_nan(content))
    return path


def find_evaluations(folders: Sequence[Path]) -> list[Path]:
    """The evaluation folder that each argument means.

    An evaluation folder means itself. A run folder means its one evaluation; of several, the one whose data and split
    all the other arguments have too, the newest where there are several of those.

    Raises:
        UserError: neither, or it is not clear which of several is meant; lists them.
    """
    candidates = [_candidates(folder) for folder in folders]
    keys = [{_key(path) for path in paths} for paths in candidates]
    common = set.intersection(*keys)
    chosen: list[Path] = []
    for folder, paths in zip(folders, candidates, strict=True):
        if len(paths) == 1:
            chosen.append(paths[0])
            continue
        fitting = [path for path in paths if _key(path) in common]
        if len({_key(path) for path in fitting}) != 1:
            listed = "\n  ".join(str(path) for path in paths)
            raise UserError(f"{folder}: has several evaluations; name the one that is meant:\n  {listed}")
        chosen.append(max(fitting, key=lambda path: str(_optional(path / "run.json").get("created", ""))))
    return chosen


def compared(baseline: Measured, run: Measured) -> Json:
    """`metrics` and `not_compared` of one pair, as `compare` describes them."""
    entries: list[Json] = []
    missing: list[Json] = []
    for metric, first in baseline.items():
        second = run.get(metric)
        if second is None:
            missing.append({"label": metric.label, "why": "the run does not have it"})
            continue
        entry = _entry(metric, first, second)
        if entry["patients"]:
            entries.append(entry)
        else:
            missing.append({"label": metric.label, "why": "no frame that both could measure"})
    missing += [{"label": m.label, "why": "the baseline does not have it"} for m in run if m not in baseline]
    for entry, corrected in zip(entries, holm([entry["wilcoxon_p"] for entry in entries]), strict=True):
        entry["holm_p"] = corrected
    return {"metrics": entries, "not_compared": missing}


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down correction; NaN stays NaN and is no test.

    Source: S. Holm: Scandinavian Journal of Statistics 6 (1979), 65–70. Deviation: none.
    """
    order = sorted((i for i, p in enumerate(p_values) if not math.isnan(p)), key=lambda i: p_values[i])
    corrected = [math.nan] * len(p_values)
    so_far = 0.0
    for rank, i in enumerate(order):
        so_far = max(so_far, min(1.0, (len(order) - rank) * p_values[i]))
        corrected[i] = so_far
    return corrected


def measured_values(rows: Iterable[CaseRow]) -> Measured:
    """Every metric that is compared, by case; failed ones as None, and none that the network is not made for."""
    index: dict[tuple[str, str], list[CaseRow]] = {}
    for row in rows:
        index.setdefault((row.structure, row.metric), []).append(row)
    found: Measured = {}

    def add(key: str, label: str, rows: Iterable[CaseRow], *, smaller_is_better: bool, absolute: bool = False) -> None:
        rows = list(rows)
        asked = [row for row in rows if row.status not in NOT_ASKED]
        if len(asked) < len(rows) and all(row.value is None for row in asked):
            return  # not had at all: what remains are the frames that failed before it could be
        for row in asked:
            suffix = f"_{row.unit}" if row.unit in ("mm", "px") else ""
            metric = Metric(key + suffix, label, row.unit, smaller_is_better)
            value = abs(row.value) if absolute and row.value is not None else row.value
            found.setdefault(metric, {})[row.case] = Value(row.patient, value)

    for state, word in (("", ""), (CALIBRATED, "calibrated ")):
        points = _mean_of_two(
            index.get((ANNULUS, f"amvl_error{state}"), []), index.get((ANNULUS, f"pmvl_error{state}"), [])
        )
        add(f"hinge.distance{state}", f"{word}hinge distance", points, smaller_is_better=True)
        diameters = index.get((ANNULUS, f"annulus_diameter_error{state}"), [])
        add(f"annulus.error{state}", f"{word}|diameter error|", diameters, smaller_is_better=True, absolute=True)
    add("localisation.iou", "box IOU", index.get((BOX, "box_iou"), []), smaller_is_better=False)
    structures = dict.fromkeys(structure for structure, metric in index if metric == "dice" and structure != FRAME)
    for metric in (*OVERLAPS, *DISTANCES):
        for structure in structures:
            add(
                f"{metric}.{structure}",
                f"{NAMES[metric]} {structure}",
                index.get((structure, metric), []),
                smaller_is_better=metric in DISTANCES,
            )
    for block, (structure, quantities) in VOLUMES.items():
        for quantity in quantities:
            errors = _volume_errors(index, structure, quantity)
            add(f"{block}.{quantity}", f"|{quantity.upper().replace('_', ' ')} error|", errors, smaller_is_better=True)
    return found


def _entry(metric: Metric, first: Mapping[str, Value], second: Mapping[str, Value]) -> Json:
    pairs: dict[str, list[tuple[float, float]]] = {}
    counts = {"frames": 0, "only_baseline": 0, "only_run": 0, "neither": 0}
    for case in dict.fromkeys([*first, *second]):
        a, b = (values[case].value if case in values else None for values in (first, second))
        if a is not None and b is not None:
            counts["frames"] += 1
            pairs.setdefault(first[case].patient, []).append((a, b))
        else:
            counts["only_baseline" if a is not None else "only_run" if b is not None else "neither"] += 1
    values = {patient: np.mean(of_patient, axis=0) for patient, of_patient in pairs.items()}
    means = np.array(list(values.values()), dtype=np.float64).reshape(-1, 2)
    differences, patients = means[:, 1] - means[:, 0], list(values)
    options = {"level": confidence.LEVEL, "resamples": confidence.RESAMPLES, "seed": confidence.SEED}
    mean = bootstrap_mean(differences, patients, **options)
    median = bootstrap_median(differences, patients, **options)
    tested = paired_comparison(means[:, 0], means[:, 1], smaller_is_better=metric.smaller_is_better)
    worse = differences > 0 if metric.smaller_is_better else differences < 0
    return {
        **asdict(metric),
        **counts,
        "patients": len(patients),
        "baseline_mean": float(means[:, 0].mean()) if len(means) else math.nan,
        "run_mean": float(means[:, 1].mean()) if len(means) else math.nan,
        "mean_difference": mean.estimate,
        "mean_low": mean.low,
        "mean_high": mean.high,
        "median_difference": median.estimate,
        "median_low": median.low,
        "median_high": median.high,
        "wilcoxon_p": tested.wilcoxon_p,
        "holm_p": math.nan,
        "rank_biserial": tested.rank_biserial,
        "share_better": tested.share_better,
        "share_worse": float(worse.mean()) if len(worse) else math.nan,
        "values": {patient: [float(a), float(b)] for patient, (a, b) in values.items()},
    }


def _mean_of_two(amvl: Sequence[CaseRow], pmvl: Sequence[CaseRow]) -> list[CaseRow]:
    """The mean of both points' distances of a frame; both fail together."""
    other = {row.case: row.value for row in pmvl}
    means: list[CaseRow] = []
    for row in amvl:
        second = other.get(row.case)
        if row.value is None or second is None:
            means.append(row)
        else:
            means.append(
                CaseRow(
                    row.case,
                    row.patient,
                    row.view,
                    row.phase,
                    ANNULUS,
                    "distance",
                    (row.value + second) / 2,
                    row.unit,
                    row.status,
                )
            )
    return means


def _volume_errors(index: Mapping[tuple[str, str], Sequence[CaseRow]], structure: str, quantity: str) -> list[CaseRow]:
    """|predicted − reference| of a patient, one that failed on either side as the failed row.

    A patient whose frames do not allow the volume at all (a view or a phase is missing) was not asked for it.
    """
    target = {row.case: row for row in index.get((structure, f"{quantity}_reference"), ())}
    errors: list[CaseRow] = []
    for row in index.get((structure, f"{quantity}_predicted"), ()):
        reference = target.get(row.case)
        if reference is None or row.status.startswith("missing_") or reference.status.startswith("missing_"):
            continue
        if row.value is None or reference.value is None:
            errors.append(row if row.value is None else reference)
            continue
        value = abs(row.value - reference.value)
        errors.append(CaseRow(row.case, row.patient, "", "", structure, quantity, value, row.unit, row.status))
    return errors


def _shared_cases(evaluated: Sequence[Evaluated]) -> tuple[list[str], list[str]]:
    """The cases that all have, and what a reader must know about them."""
    frames = [run.frames for run in evaluated]
    cases = [case for case in frames[0] if all(case in others for others in frames[1:])]
    warnings: list[str] = []
    if len({run.split for run in evaluated}) > 1:
        listed = ", ".join(f"{run.name} {run.split}" for run in evaluated)
        warnings.append(
            f"These are evaluations of different splits ({listed}): a run may have trained on shared frames."
        )
    if any(run.bounds != evaluated[0].bounds for run in evaluated[1:]):
        warnings.append("The bounds of outliers differ: the runs' shares of outliers cannot be compared.")
    digests = {run.about.get("data_digest") for run in evaluated}
    if len(digests) > 1 or digests == {None}:
        positions = [_reference_points(run.rows) for run in evaluated]
        other = [case for case in cases if not _same_points([of.get(case) for of in positions])]
        cases = [case for case in cases if case not in set(other)]
        sure = all(any(of.get(case) for case in cases) for of in positions)
        warnings.append(
            "The evaluations are not known to be of the same files (their data digests differ or are not there). "
            + (
                "Frames count as the same where name and reference points agree"
                if sure
                else "Frames are matched by name"
            )
            + (f"; {len(other)} of the same name have another reference and are left out." if other else ".")
        )
    if not cases:
        listed = "; ".join(f"{run.name}: {len(run.frames)} frames of {run.data} ({run.split})" for run in evaluated)
        raise UserError(f"no frame is in all of these evaluations, so there is nothing to compare: {listed}")
    for run in evaluated:
        left_out = len(run.frames) - len(cases)
        if left_out:
            warnings.append(
                f"{run.name}: {left_out} of its {len(run.frames)} frames are not in all evaluations: left out."
            )
    return cases, warnings


def _reference_points(rows: Iterable[CaseRow]) -> dict[str, dict[str, float]]:
    points: dict[str, dict[str, float]] = {}
    names = {f"{coordinate}_reference" for coordinate in COORDINATES}
    for row in rows:
        if row.structure == ANNULUS and row.metric in names and row.value is not None:
            points.setdefault(row.case, {})[row.metric] = row.value
    return points


def _same_points(points: Sequence[Mapping[str, float] | None]) -> bool:
    """Whether a frame's reference is the same wherever it is known."""
    known = [of for of in points if of]
    return all(abs(of[name] - known[0][name]) <= SAME_POINT for of in known[1:] for name in of.keys() & known[0].keys())


def _shared_rows(run: Evaluated, cases: Sequence[str], patients: set[str]) -> list[CaseRow]:
    """The rows of the shared frames, and those of their patients."""
    kept, frames = set(cases), run.frames
    return [row for row in run.rows if (row.case in kept if row.case in frames else row.patient in patients)]


def _about(run: Evaluated, rows: Sequence[CaseRow], shared: int) -> Json:
    return {
        "name": run.name,
        "folder": str(run.folder),
        "model": run.about.get("model") or run.recipe.get("model"),
        "recipe": dict(run.recipe),
        "data": run.data,
        "data_digest": run.about.get("data_digest"),
        "split": run.split,
        "created": run.about.get("created"),
        "frames": len(run.frames),
        "left_out": len(run.frames) - shared,
        "summary": summarise(rows, data=run.data, split=run.split, bounds=run.bounds),
    }


def _read(folders: Sequence[Path]) -> list[Evaluated]:
    names = _names(folders)
    evaluated: list[Evaluated] = []
    for name, folder in zip(names, folders, strict=True):
        summary = read_json(folder / "summary.json")
        evaluated.append(
            Evaluated(
                name,
                folder,
                read_cases(folder / "cases.csv"),
                _optional(folder / "run.json"),
                _optional(folder / "recipe.json"),
                read_bounds(folder / BOUNDS_FILE) if (folder / BOUNDS_FILE).is_file() else Bounds(),
                str(summary.get("data", "")),
                str(summary.get("split", "")),
            )
        )
    return evaluated


def _names(folders: Sequence[Path]) -> list[str]:
    """What to call each: the run's folder, with as much of the path before it as tells them apart."""
    paths = [folder.resolve() for folder in folders]
    paths = [path.parent.parent if path.parent.name == "evaluation" else path for path in paths]
    if len(set(paths)) < len(paths):  # two evaluations of one run
        paths = [folder.resolve() for folder in folders]
    most = max(len(path.parts) for path in paths)
    for depth in range(1, most + 1):
        names = ["/".join(path.parts[-depth:]) for path in paths]
        if len(set(names)) == len(names):
            return names
    return [str(path) for path in paths]


def _candidates(folder: Path) -> list[Path]:
    if (folder / "cases.csv").is_file() and (folder / "summary.json").is_file():
        return [folder]
    found = sorted(
        path.parent for path in folder.glob("evaluation/*/summary.json") if (path.parent / "cases.csv").is_file()
    )
    if not found:
        raise UserError(f"{folder}: neither an evaluation folder nor a run with one; run evaluate.py on it first")
    return found


def _key(folder: Path) -> tuple[str, str]:
    """Data and split of an evaluation; the data by its digest where it is known."""
    about, summary = _optional(folder / "run.json"), _optional(folder / "summary.json")
    return str(about.get("data_digest") or summary.get("data")), str(summary.get("split"))


def _optional(path: Path) -> Mapping[str, Any]:
    value = read_json(path) if path.is_file() else None
    return value if isinstance(value, dict) else {}
