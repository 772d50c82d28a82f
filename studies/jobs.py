"""A study's jobs: networks × folds × seeds, each with the digest of everything that it depends on."""

import hashlib
import json
import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from data_pipeline.sample import Structure, structures_from_names
from data_pipeline.spec import Dataset, open_dataset
from data_pipeline.splits import Split
from recipes.base import Recipe, to_dict
from shell.errors import UserError
from shell.files import read_json
from studies.plan import Network, Plan, changed_recipe, settings_of

PROJECT = Path(__file__).resolve().parents[1]
FORMAT = 1  # to be raised when a job's folder comes to hold something else
STATE, RUN, EVALUATION = "state.json", "run", "evaluation"
EVALUATED = ("cases.csv", "summary.json")
DIGEST_SHOWN = 12

State = Literal["to do", "begun", "trained", "done"]


@dataclass(frozen=True)
class Job:
    """One network, trained on one fold with one seed, and evaluated. Plain values: it can be sent to another process.

    Attributes:
        name: of its folder: network, fold, seed and the head of its digest.
        network: name of the plan's network.
        fold: 1..10, or None for the recipe's own split.
        seed: of split, weights, shuffling and augmentation.
        recipe: resolved.
        data: data set, as `--data` takes it.
        data_kind: its kind.
        data_digest: of the data set.
        patients: number of patients to train, validate and test.
        digest: SHA-256 of recipe, data, split and version of the plan.
        folder: where it trains and evaluates.
        ledger: where its steps are recorded.
        begin, resume, evaluate: the commands.
    """

    name: str
    network: str
    fold: int | None
    seed: int
    recipe: Recipe
    data: str
    data_kind: str
    data_digest: str
    patients: tuple[int, int, int]
    digest: str
    folder: Path
    ledger: Path
    begin: tuple[str, ...]
    resume: tuple[str, ...]
    evaluate: tuple[str, ...]

    @property
    def run(self) -> Path:
        """Run folder of train.py."""
        return self.folder / RUN

    @property
    def evaluation(self) -> Path:
        """Output of evaluate.py."""
        return self.folder / EVALUATION

    def state(self) -> State:
        """How far it has come, by what lies in its folder."""
        path = self.folder / STATE
        noted: dict[str, Any] = read_json(path) if path.is_file() else {}
        if noted.get("digest") == self.digest:
            if noted.get("evaluated") and all((self.evaluation / name).is_file() for name in EVALUATED):
                return "done"
            if noted.get("trained"):
                return "trained"
        return "begun" if (self.run / "recipe.json").is_file() else "to do"


def shown(command: Sequence[str]) -> str:
    """A command as a user would type it in the project's folder."""
    return shlex.join(["python", Path(command[1]).name, *command[2:]])


def make_jobs(
    plan: Plan,
    networks: Sequence[Network],
    *,
    data: str,
    folds: Sequence[int | None],
    seeds: Sequence[int],
    settings: Sequence[str],
    out: Path,
) -> list[Job]:
    """All jobs of a study: seed by seed, fold by fold, so that the networks of a fold are done one after the other.

    Args:
        plan: the study.
        networks: those of the plan that are wanted.
        data: data set, as `--data` takes it.
        folds: 1..10, or None for the recipe's own split.
        seeds: as named.
        settings: the user's `key=value` for every recipe.
        out: folder of the jobs and the ledger. Plans that share it share the jobs that are the same.

    Raises:
        UsageError: a setting that a recipe does not take, a fold that there is not.
        UserError: the data set cannot be opened, lacks a structure of a network, or has too few patients.
    """
    opened: dict[tuple[Structure, ...], tuple[Dataset, str]] = {}
    jobs: list[Job] = []
    for seed in seeds:
        recipes = {network: changed_recipe(network, settings, seed) for network in networks}
        for fold in folds:
            for network, recipe in recipes.items():
                structures = structures_from_names(recipe.classes)
                if structures not in opened:
                    dataset = open_dataset(data, structures=structures)
                    opened[structures] = (dataset, dataset.digest())
                dataset, data_digest = opened[structures]
                shares = {"train_share": recipe.train_share, "val_share": recipe.val_share}
                split = dataset.split(fold, **shares, seed=recipe.seed)
                digest = digest_of(plan, recipe, data_digest, split, fold)
                where = "" if fold is None else f"-fold{fold}"
                name = f"{network.name}{where}-seed{seed}-{digest[:DIGEST_SHOWN]}"
                folder = out / "jobs" / name
                train, run = str(PROJECT / "train.py"), str(folder / RUN)
                begin = [sys.executable, train, "--model", network.model, "--recipe", network.recipe]
                begin += ["--data", data, "--out", run, *([] if fold is None else ["--fold", str(fold)])]
                begin += ["--set", *settings_of(network, settings, seed)]
                evaluate = [sys.executable, str(PROJECT / "evaluate.py"), "--run", run]
                jobs.append(
                    Job(
                        name=name,
                        network=network.name,
                        fold=fold,
                        seed=seed,
                        recipe=recipe,
                        data=data,
                        data_kind=dataset.name,
                        data_digest=data_digest,
                        patients=(len(split.train), len(split.val), len(split.test)),
                        digest=digest,
                        folder=folder,
                        ledger=out / "ledger.jsonl",
                        begin=tuple(begin),
                        resume=(sys.executable, train, "--resume", run),
                        evaluate=(*evaluate, "--out", str(folder / EVALUATION)),
                    )
                )
    without_test = next((job for job in jobs if job.patients[2] == 0), None)
    if without_test is not None:
        raise UserError(
            f"{without_test.network}: its split leaves no patient to test; "
            "leave room for a test set: --set train_share=… val_share=…"
        )
    return jobs


def digest_of(plan: Plan, recipe: Recipe, data_digest: str, split: Split, fold: int | None) -> str:
    """Hex SHA-256 of what a job's result depends on: the same digest, the same job."""
    values = to_dict(recipe)
    for words in ("name", "paper"):  # say nothing of what is done
        values.pop(words)
    everything = {
        "format": FORMAT,
        "plan_version": plan.version,
        "recipe": values,
        "data": data_digest,
        "split": {part: split.of(part) for part in ("train", "val", "test")},
        "fold": fold,
    }
    return hashlib.sha256(json.dumps(everything, sort_keys=True).encode()).hexdigest()
