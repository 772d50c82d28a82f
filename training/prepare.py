"""Before the first step: the split's frames in the cache, and what the run depends on in environment.json."""

import dataclasses
from pathlib import Path
from typing import Any

from data_pipeline.cache import FrameCache, build_cache
from data_pipeline.paths import cache_folder
from data_pipeline.regions import ReferenceBox, RegionOf, chosen_region
from data_pipeline.sample import structures_from_names
from data_pipeline.spec import Dataset
from data_pipeline.splits import Split
from recipes.base import Recipe
from shell.errors import UserError
from shell.files import read_json, write_json
from training.logs import environment
from training.loop import Data
from training.precision import resolve_precision
from training.run_folder import ENVIRONMENT, preprocessing_of, read_teacher


def prepare(folder: Path, recipe: Recipe, dataset: Dataset, split: Split, *, command: str) -> Data:
    """Caches the labelled frames of the split's training and validation patients.

    Raises:
        UserError: a part of the split has no labelled frame in the data set.
    """

    def cached(part: str) -> FrameCache:
        patients = split.of(part)
        cases = dataset.labelled(patients)
        if not cases:
            raise UserError(
                f"{dataset.spec}: no labelled frame among the {len(patients)} patients of the {part} set; "
                "change --fold, or train_share and val_share"
            )
        structures = structures_from_names(recipe.classes)
        return build_cache(
            cases, dataset.load, preprocessing_of(recipe), structures, cache_folder() / "frames", region_of(recipe)
        )

    data = Data(train=cached("train"), val=cached("val"))
    teacher = read_teacher(folder)
    write_environment(
        folder / ENVIRONMENT,
        environment(
            command=command,
            seed=recipe.seed,
            precision=resolve_precision(recipe.precision),
            data_digest=dataset.digest(),
            teacher=None if teacher is None else dataclasses.asdict(teacher),
        ),
    )
    return data


def region_of(recipe: Recipe) -> RegionOf | None:
    """What a network of this recipe sees of each frame; None: all of it."""
    oracle = None
    if recipe.oracle_margin is not None:
        oracle = ReferenceBox(structures_from_names(recipe.box_structures), recipe.oracle_margin)
    return chosen_region(oracle=oracle, crop_mm=recipe.crop_mm)


def write_environment(path: Path, now: dict[str, Any]) -> None:
    """Writes what a run depends on; a resumed run keeps what it began with and adds to its `resumed`."""
    if path.is_file():
        began = read_json(path)
        now = {**began, "resumed": [*began.get("resumed", []), now]}
    write_json(path, now)
