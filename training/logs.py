"""What a run writes to be looked at: history.csv, curves.png, TensorBoard events, environment.json."""

import csv
import io
import platform
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import cv2
import keras
import tensorflow as tf
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from shell.files import atomic_path, write_text
from shell.git import git_state

PACKAGES = ("tensorflow", "keras", "numpy", "scipy", "ai-edge-litert")
OF_BACKEND = {"tensorflow": (), "jax": ("jax", "jaxlib")}
"""Further packages that a run's figures depend on where Keras runs on that backend."""


def write_history(path: Path, history: list[dict[str, float]]) -> None:
    """history.csv: one line per epoch, the columns of the first row, numbers in full precision."""
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(history[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(history)
    write_text(path, text.getvalue())


def write_curves(path: Path, history: list[dict[str, float]], title: str) -> None:
    """curves.png: loss of training and validation; Dice of each structure and IOU of the box on validation."""
    epochs = [row["epoch"] for row in history]
    figure = Figure(figsize=(10, 4), layout="constrained")
    FigureCanvasAgg(figure)
    losses, overlaps = figure.subplots(1, 2)
    losses.plot(epochs, [row["loss"] for row in history], label="training")
    losses.plot(epochs, [row["val_loss"] for row in history], label="validation")
    losses.set(xlabel="epoch", ylabel="loss", title=title)
    losses.legend()
    for name in history[0]:
        if name.startswith("val_dice_"):
            overlaps.plot(epochs, [row[name] for row in history], label=name.removeprefix("val_dice_"))
    if "val_iou" in history[0]:
        overlaps.plot(epochs, [row["val_iou"] for row in history], "--", label="box (IOU)")
    overlaps.set(xlabel="epoch", ylabel="Dice, IOU on validation (network grid)", ylim=(0, 1))
    overlaps.grid(alpha=0.3)
    overlaps.legend(loc="lower right")
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=120)


class TensorBoardLog:
    """TensorBoard scalars of each epoch under `folder`; a resumed run goes on in a new file from its own epoch."""

    def __init__(self, folder: Path) -> None:
        self._writer = tf.summary.create_file_writer(str(folder))

    def write(self, epoch: int, figures: dict[str, float]) -> None:
        """One scalar per figure, at step `epoch`."""
        with self._writer.as_default(step=epoch):
            for name, value in figures.items():
                tf.summary.scalar(name, value)
        self._writer.flush()

    def close(self) -> None:
        """Closes the event file."""
        self._writer.close()


def environment(
    *, command: str, seed: int, precision: str, data_digest: str, teacher: dict[str, Any] | None = None
) -> dict[str, Any]:
    """What a run depended on: versions, backend, machine, seed, git state, data, and its teacher if it has one."""
    backend = keras.backend.backend()
    return {
        "command": command,
        "python": sys.version.split()[0],
        "platform": platform.platform(),
        # OpenCV comes in one of two packages, with windows or without
        "packages": {**{name: version(name) for name in (*PACKAGES, *OF_BACKEND[backend])}, "opencv": cv2.__version__},
        "backend": backend,
        "seed": seed,
        "precision": precision,
        "git": git_state(Path(__file__).resolve().parents[1]),
        "data_digest": data_digest,
        **({"teacher": teacher} if teacher is not None else {}),
    }
