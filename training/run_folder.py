"""A run folder: what training writes and what evaluation and export read back."""

import dataclasses
import fcntl
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

import models
from data_pipeline.preprocess import Preprocessing
from data_pipeline.sample import Structure, structures_from_names
from data_pipeline.splits import Split
from postprocessing.calibration import Calibration
from postprocessing.quality import QualityModel
from recipes.base import Recipe, from_dict, to_dict
from shell.errors import UserError
from shell.files import atomic_path, read_json, sha256_of, write_json
from training.precision import dtype_policy

RECIPE, SPLIT, START, TEACHER = "recipe.json", "split.json", "start.json", "teacher.json"
MODEL, MODEL_CARD = "model.keras", "model.json"
CALIBRATION, QUALITY = "calibration.json", "quality.json"
HISTORY, ENVIRONMENT, CHECKPOINT = "history.csv", "environment.json", "checkpoint"


@dataclass(frozen=True)
class Run:
    """A finished (or interrupted) training run, ready to predict.

    Attributes:
        folder: where it lies.
        recipe: the resolved recipe.
        model: the best network on validation, rebuilt in float32.
        structures: what each output channel is.
        preprocessing: from native image to network grid.
        split: patients of train, validation and test.
        calibration: fitted on validation, or None where there is none (too few frames).
        data_spec: the data set it was trained on, as `--data` takes it.
        quality: which measurements to trust, fitted on validation; None where there is none (too few frames, or a run
            older than this).
    """

    folder: Path
    recipe: Recipe
    model: keras.Model
    structures: tuple[Structure, ...]
    preprocessing: Preprocessing
    split: Split
    calibration: Calibration | None
    data_spec: str
    quality: QualityModel | None = None

    def predict(self, images: np.ndarray) -> dict[str, np.ndarray]:
        """(N, h, w, 1) float32 on the network grid → the network's outputs by name, as `predict` says."""
        return predict(self.model, images)


def named_outputs(output: Any) -> dict[str, Any]:
    """What a network gives, by name: a network with one output gives `probabilities`."""
    return dict(output) if isinstance(output, dict) else {"probabilities": output}


def predict(network: keras.Model, images: np.ndarray) -> dict[str, np.ndarray]:
    """A network's outputs for preprocessed images.

    Args:
        network: of the registry.
        images: (N, h, w, 1) float32 on the network grid.

    Returns:
        float32 arrays: `probabilities` (N, h, w, C) of a network that segments, `box` (N, 4) of one that locates, and
        what else the network gives.
    """
    output = named_outputs(network.predict_on_batch(images))
    return {name: np.asarray(value, dtype=np.float32) for name, value in output.items()}


def build_model(recipe: Recipe) -> keras.Model:
    """The recipe's network with fresh weights, in Keras' current dtype policy."""
    return models.build(
        recipe.model,
        input_shape=(recipe.input_height, recipe.input_width, 1),
        classes=len(recipe.classes),
        **recipe.model_options,
    )


def preprocessing_of(recipe: Recipe) -> Preprocessing:
    """The recipe's way from a native image to the network grid."""
    return Preprocessing(
        height=recipe.input_height,
        width=recipe.input_width,
        normalise=recipe.normalise,
        clahe=recipe.clahe,
        clahe_clip_limit=recipe.clahe_clip_limit,
        clahe_tiles=recipe.clahe_tiles,
    )


@dataclass(frozen=True)
class StartingWeights:
    """What a network starts from instead of random weights, so that a run killed in its first epoch starts alike.

    Attributes:
        encoder: VGG16 weight file for the encoder, or `imagenet`, or None.
        network: folder of another run of the same network, whose best weights are taken, or None.
    """

    encoder: str | None = None
    network: str | None = None


@dataclass(frozen=True)
class TeacherRecord:
    """The run that a student learns from.

    Attributes:
        folder: its run folder, absolute.
        model: its network.
        recipe: the name of its recipe.
        sha256: of its `model.keras`.
    """

    folder: str
    model: str
    recipe: str
    sha256: str


def begin_run(
    folder: Path,
    recipe: Recipe,
    split: Split,
    data_spec: str,
    start: StartingWeights = StartingWeights(),
    teacher: TeacherRecord | None = None,
) -> None:
    """Writes what fixes a run before its first step: starting weights, teacher if any, split, and the recipe last.

    Raises:
        UserError: the folder already holds a run (it is never overwritten).
    """
    if (folder / RECIPE).exists():
        raise UserError(f"{folder}: holds a run already; give another --out, or go on with it by --resume {folder}")
    write_json(folder / START, dataclasses.asdict(start))
    if teacher is not None:
        write_json(folder / TEACHER, dataclasses.asdict(teacher))
    write_json(folder / SPLIT, {"data": data_spec, **split.to_dict()})
    write_json(folder / RECIPE, to_dict(recipe))


def read_recipe(folder: Path) -> Recipe:
    """The resolved recipe of a run.

    Raises:
        UserError: not a run folder, or a damaged recipe.
    """
    path = folder / RECIPE
    if not path.is_file():
        raise UserError(f"{folder}: not a run folder (no {RECIPE}); give the folder that train.py wrote")
    return from_dict(read_json(path), source=str(path))


def read_split(folder: Path) -> tuple[Split, str]:
    """The split of a run and the data set it belongs to."""
    path = folder / SPLIT
    values: dict[str, Any] = read_json(path)
    if "data" not in values:
        raise UserError(f"{path}: names no data set; restore the file or train anew")
    data_spec = values.pop("data")
    return Split.from_dict(values), data_spec


def read_start(folder: Path) -> StartingWeights:
    """What the run's network started from.

    Raises:
        UserError: the file is missing or damaged.
    """
    try:
        return StartingWeights(**read_json(folder / START))
    except TypeError as error:
        raise UserError(f"{folder / START}: not what a run starts from ({error}); train anew") from error


def read_teacher(folder: Path) -> TeacherRecord | None:
    """The teacher that a run began with; None where it has none.

    Raises:
        UserError: a damaged file.
    """
    path = folder / TEACHER
    if not path.is_file():
        return None
    try:
        return TeacherRecord(**read_json(path))
    except TypeError as error:
        raise UserError(f"{path}: not what names a teacher ({error}); train anew") from error


def save_model(folder: Path, model: keras.Model, *, epoch: int, monitor: str, value: float) -> None:
    """Writes the best model so far and, after it, the card with its SHA-256."""
    with atomic_path(folder / MODEL) as path:
        model.save(path)
    write_json(
        folder / MODEL_CARD,
        {"epoch": epoch, "monitor": monitor, "value": value, "sha256": sha256_of(folder / MODEL)},
    )


def load_weights(model: keras.Model, folder: Path) -> None:
    """Puts the run's best weights into a network built by our registry. The file's own Keras config is never loaded.

    Raises:
        UserError: no model yet, a digest that does not fit, or weights of another network.
    """
    path = folder / MODEL
    if not path.is_file() or not (folder / MODEL_CARD).is_file():
        raise UserError(f"{folder}: no model yet (the run ended before its first epoch); --resume it")
    if sha256_of(path) != read_json(folder / MODEL_CARD)["sha256"]:
        raise UserError(f"{path}: SHA-256 differs from {MODEL_CARD}; --resume the run to write it again, or restore it")
    try:
        model.load_weights(path)
    except (zipfile.BadZipFile, OSError, ValueError, KeyError) as error:
        raise UserError(f"{path}: its weights do not fit the network of {RECIPE} ({error})") from error


def load_run(folder: Path) -> Run:
    """Reads a run folder back.

    Raises:
        UserError: a missing or damaged file, named.
    """
    recipe = read_recipe(folder)
    split, data_spec = read_split(folder)
    with dtype_policy("float32"):
        model = build_model(recipe)
    load_weights(model, folder)
    path, quality_path = folder / CALIBRATION, folder / QUALITY
    return Run(
        folder=folder,
        recipe=recipe,
        model=model,
        structures=structures_from_names(recipe.classes),
        preprocessing=preprocessing_of(recipe),
        split=split,
        calibration=Calibration.from_dict(read_json(path)) if path.is_file() else None,
        data_spec=data_spec,
        quality=QualityModel.from_dict(read_json(quality_path), str(quality_path)) if quality_path.is_file() else None,
    )


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Only one process trains in a run folder at a time.

    Raises:
        UserError: another process holds it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UserError(f"{folder}: another process is training here; wait for it or give another --out") from None
        yield
