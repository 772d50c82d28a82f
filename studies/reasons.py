"""Why a figure of ours differs from the paper's, as far as what was changed tells: nothing here is guessed."""

from collections.abc import Mapping, Sequence
from typing import Any

from recipes.base import Recipe, to_dict
from studies.jobs import Job
from studies.plan import Network, PaperData, Plan, own_recipe

IGNORED = frozenset({"name", "paper", "model", "seed"})
"""Fields of a recipe that no setting of a study changes, or that are counted elsewhere."""

NOTHING_CHANGED = (
    "nothing that the paper states was changed; what it leaves open is ASSUMED in the recipe, and weights and frames "
    "are drawn anew"
)


def reasons(
    plan: Plan, network: Network, jobs: Sequence[Job], *, asked: int, also: Sequence[str] = ()
) -> tuple[str, ...]:
    """What tells our figures of a network from the paper's.

    Args:
        plan: the study.
        network: of it.
        jobs: the network's finished jobs; all have the same settings and data.
        asked: how many there should be.
        also: what else is known, phrases.

    Returns:
        Short phrases; `NOTHING_CHANGED` alone where there is nothing to say.
    """
    if not jobs:
        return ("none of its jobs is done",)
    found = [*_of_data(plan.data, jobs), *changes(own_recipe(network), jobs[0].recipe)]
    folds = {job.fold for job in jobs}
    if None not in plan.folds and folds != set(plan.folds):
        ours = "one split" if folds == {None} else f"{len(folds)} of them"
        found.append(f"the paper has {len(plan.folds)} folds, ours {ours}")
    if len(jobs) < asked:
        found.append(f"{asked - len(jobs)} of {asked} jobs are not done")
    return (*found, *also) or (NOTHING_CHANGED,)


def _of_data(paper: PaperData, jobs: Sequence[Job]) -> list[str]:
    kind = jobs[0].data_kind
    counts = sorted({job.patients[0] for job in jobs})
    ours = f"{counts[0]}" if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
    if kind != paper.kind:
        return [f"other data: {kind}, {ours} patients to train on; the paper's: {paper.text}"]
    if paper.train_patients is not None and counts != [paper.train_patients]:
        return [f"trained on {ours} patients, the paper on {paper.train_patients}"]
    return []


def changes(paper: Recipe, ours: Recipe) -> list[str]:
    """The settings in which two recipes differ, as `epochs 1, not 200`."""
    theirs, mine = to_dict(paper), to_dict(ours)
    found: list[str] = []
    if (paper.input_height, paper.input_width) != (ours.input_height, ours.input_width):
        sizes = [f"{recipe.input_height}×{recipe.input_width}" for recipe in (ours, paper)]
        found.append(f"input {sizes[0]}, not {sizes[1]}")
    for key, value in theirs.items():
        if key in IGNORED | {"input_height", "input_width"} or mine[key] == value:
            continue
        if isinstance(value, Mapping):
            found += _inner_changes(key, value, mine[key])
        else:
            found.append(f"{key} {_text(mine[key])}, not {_text(value)}")
    return found


def _inner_changes(key: str, theirs: Mapping[str, Any], ours: Mapping[str, Any]) -> list[str]:
    found: list[str] = []
    for name in dict.fromkeys([*theirs, *ours]):
        if theirs.get(name) == ours.get(name):
            continue
        if name not in theirs:
            found.append(f"{key}.{name} {_text(ours[name])}, not set in the recipe")
        elif name not in ours:
            found.append(f"no {key}.{name}, {_text(theirs[name])} in the recipe")
        else:
            found.append(f"{key}.{name} {_text(ours[name])}, not {_text(theirs[name])}")
    return found


def _text(value: Any) -> str:
    if isinstance(value, list):
        return ",".join(str(item) for item in value)
    if isinstance(value, float):
        return f"{value:g}"
    return "none" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
