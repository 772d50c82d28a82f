"""Exact resume: everything a run needs to go on as if it had never stopped, in one file replaced atomically."""

import json
import zipfile
from pathlib import Path
from typing import Any

import keras
import numpy as np

from shell.errors import UserError
from shell.files import atomic_path
from training.schedule import Progress

STATE = "state.npz"
FORMAT = 1


def save_checkpoint(folder: Path, model: keras.Model, progress: Progress) -> None:
    """Writes `folder/state.npz`: every variable of network and optimizer, and the run's `Progress`.

    The optimizer's own slots hold moments and averaged weights. Shuffling and augmentation are functions of seed,
    epoch and step, so they need no state here. The file is written beside and renamed: a run killed while writing
    keeps the previous one.
    """
    state = {"format": FORMAT, "progress": progress.to_dict()}
    arrays = {f"v{i}": _to_array(v) for i, v in enumerate(_variables(model))}
    with atomic_path(folder / STATE) as path, path.open("wb") as file:
        np.savez(file, state=np.array(json.dumps(state)), **arrays)


def load_checkpoint(folder: Path, model: keras.Model) -> Progress:
    """Puts the checkpoint's values into a freshly built and compiled `model` and returns where the run stood.

    Raises:
        UserError: no checkpoint, a damaged one, or one of another network.
    """
    path = folder / STATE
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            state = json.loads(str(archive["state"]))
            if state["format"] != FORMAT:
                raise UserError(f"{path}: checkpoint format {state['format']}, this version reads {FORMAT}")
            variables = _variables(model)
            if len(archive.files) != len(variables) + 1:
                raise UserError(f"{path}: belongs to another network; resume with the run's own recipe.json")
            for i, variable in enumerate(variables):
                values = archive[f"v{i}"]
                if tuple(values.shape) != tuple(variable.shape):
                    raise UserError(f"{path}: belongs to another network; resume with the run's own recipe.json")
                variable.assign(values)
            return Progress(**state["progress"])
    except FileNotFoundError:
        raise UserError(f"{path}: no checkpoint (the run ended before its first epoch); train anew") from None
    except (zipfile.BadZipFile, ValueError, KeyError, EOFError, TypeError) as error:
        raise UserError(f"{path}: damaged checkpoint ({error}); train anew") from error


def _variables(model: keras.Model) -> list[Any]:
    return [*model.variables, *model.optimizer.variables]


def _to_array(variable: Any) -> np.ndarray:
    values = np.asarray(keras.ops.convert_to_numpy(variable.value))
    return values.astype(np.float32) if values.dtype.name == "bfloat16" else values
