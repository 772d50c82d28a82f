"""A stronger run as the teacher of a new one: what it must be like, whose frames it has seen, and what it says of them.

In a training step the teacher sees the very images that the student sees, augmented, and the student learns to say
what it says (`models.losses.distillation`), beside learning the reference. Source: Hinton et al. 2015; that the teacher
must see the student's own view of a frame: Beyer et al. 2022 ("consistent teaching").
"""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
from keras import ops

from data_pipeline.spec import Dataset
from data_pipeline.splits import Split, shorten
from models.losses import distillation
from recipes.base import Recipe
from shell.errors import UserError
from shell.files import sha256_of
from training.loop import Lesson
from training.precision import dtype_policy, resolve_precision
from training.run_folder import (
    MODEL,
    TeacherRecord,
    build_model,
    load_weights,
    named_outputs,
    preprocessing_of,
    read_recipe,
    read_split,
)


def teacher_record(folder: Path) -> TeacherRecord:
    """What a new run notes of its teacher, so that a resumed one finds the same.

    Raises:
        UserError: not a run folder, or one without a model.
    """
    recipe = read_recipe(folder)
    if not (folder / MODEL).is_file():
        raise UserError(f"{folder}: no model yet to teach with (the run ended before its first epoch); --resume it")
    return TeacherRecord(
        folder=str(folder.resolve()), model=recipe.model, recipe=recipe.name, sha256=sha256_of(folder / MODEL)
    )


def require_teachable(recipe: Recipe, teacher: Recipe, folder: Path) -> None:
    """Refuses a teacher that does not see what the student sees, or does not tell the same structures apart.

    Another grid is no obstacle: the teacher gets the frames on its own.

    Raises:
        UserError: other classes, another preprocessing, another region of the frame; what to do about it.
    """
    if set(recipe.classes) != set(teacher.classes):
        raise UserError(
            f"{folder}: a teacher has the student's classes, {', '.join(recipe.classes)}. "
            f"Received: {', '.join(teacher.classes)}; give --set classes={','.join(teacher.classes)} or another teacher"
        )
    if teacher.oracle_margin is not None:
        raise UserError(
            f"{folder}: a teacher sees what its student sees, and this one only the box of the reference "
            f"(oracle_margin {teacher.oracle_margin:g}); give another teacher"
        )
    ours, theirs = what_is_seen(recipe), what_is_seen(teacher)
    unused = () if teacher.clahe else ("clahe_clip_limit", "clahe_tiles")
    other = {name: value for name, value in theirs.items() if value != ours[name] and name not in unused}
    if other:
        received = ", ".join(f"{name} {value}" for name, value in other.items())
        mend = " ".join(f"{name}={str(value).lower()}" for name, value in other.items())
        raise UserError(
            f"{folder}: a teacher's frames are made as the student's, "
            f"{', '.join(f'{name} {ours[name]}' for name in other)}. Received: {received}; give --set {mend}"
        )


def what_is_seen(recipe: Recipe) -> dict[str, Any]:
    """All that makes the network's image of a frame, save its grid, by the recipe's names."""
    seen = dataclasses.asdict(preprocessing_of(recipe))
    kept = {name: value for name, value in seen.items() if name not in ("height", "width")}
    return kept | {"crop_mm": recipe.crop_mm, "oracle_margin": recipe.oracle_margin}


def teachers_split(folder: Path, dataset: Dataset) -> Split | None:
    """The split of a teacher's run, where the student learns from the same patients; None where it learns from others.

    With a split of its own the student would be tested on frames that its teacher has learnt, and what the teacher
    knows of them would have come to it.

    Raises:
        UserError: some of the patients are the teacher's, and some are not.
    """
    split, spec = read_split(folder)
    ours = {case.patient_id for case in dataset.cases if case.label_path is not None}
    theirs = set(split.of("all"))
    if spec.partition(":")[0].partition("?")[0] != dataset.name or not ours & theirs:
        return None
    if ours != theirs:
        raise UserError(
            f"{dataset.spec}: a student takes its teacher's split, and {folder} was trained on {len(theirs)} patients, "
            f"here are {len(ours)}; not in both: {shorten(sorted(ours ^ theirs))}. Give the teacher's data, {spec}"
        )
    return dataclasses.replace(split, source=f"{split.source} (of the teacher, {folder.name})")


def lesson_of(record: TeacherRecord, recipe: Recipe) -> Lesson:
    """What a step adds to the loss: the weighted distance from what the teacher says of the step's images.

    The teacher computes in the recipe's precision, in inference mode, and learns nothing. Keras does not know that it
    is there: its weights are in no checkpoint.

    Args:
        record: which teacher.
        recipe: the student's: weight and temperature, classes and their order, grid.

    Raises:
        UserError: the teacher is gone, damaged, or another one than the run began with; as `require_teachable`.
    """
    folder = Path(record.folder)
    if not (folder / MODEL).is_file():
        raise UserError(f"{folder}: the teacher that this run began with is not there any more; restore it")
    if sha256_of(folder / MODEL) != record.sha256:
        raise UserError(
            f"{folder}: another network than the teacher that this run began with (SHA-256 differs); "
            f"restore its {MODEL} or train anew"
        )
    theirs = read_recipe(folder)
    require_teachable(recipe, theirs, folder)
    with dtype_policy(resolve_precision(recipe.precision)):
        teacher = build_model(theirs)
    load_weights(teacher, folder)
    require_probabilities(named_outputs(teacher.output), f"{folder}: its {teacher.name}")
    teacher.trainable = False
    channels = [theirs.classes.index(name) for name in recipe.classes]
    own_grid, grid = (theirs.input_height, theirs.input_width), (recipe.input_height, recipe.input_width)

    def answer(images: Any) -> Any:
        """(N, h, w, 1) → (N, h, w, C), the student's grid and channel order."""
        seen = images if grid == own_grid else resized(images, own_grid)
        said = named_outputs(teacher(seen, training=False))["probabilities"]
        said = said if channels == sorted(channels) else ops.take(said, channels, axis=-1)
        return ops.stop_gradient(said if grid == own_grid else resized(said, grid))

    def lesson(images: Any, outputs: Mapping[str, Any]) -> Any:
        distance = distillation(answer(images), outputs["probabilities"], temperature=recipe.distillation_temperature)
        return recipe.distillation_weight * distance

    return lesson


def resized(values: Any, grid: tuple[int, int]) -> Any:
    """Bilinear, pixel centre to pixel centre, averaging where it shrinks: (N, h, w, C) → (N, *grid, C)."""
    return ops.image.resize(values, grid, interpolation="bilinear", antialias=True)


def require_probabilities(outputs: Mapping[str, Any], whose: str) -> None:
    """Refuses a network that gives no probabilities to teach or be taught.

    Raises:
        UserError: names what it gives.
    """
    if "probabilities" not in outputs:
        raise UserError(f"{whose} gives no probabilities to teach or be taught. Received: {', '.join(outputs)}")


def check_teacher(model: keras.Model, recipe: Recipe, folder: Path) -> TeacherRecord:
    """Refuses, before anything is written, a teacher that cannot teach this network, and notes which one it is.

    Raises:
        UserError: as `teacher_record` and `lesson_of`; a student that has no probabilities.
    """
    require_probabilities(named_outputs(model.output), f"--teacher: {model.name}")
    record = teacher_record(folder)
    lesson_of(record, recipe)
    return record
