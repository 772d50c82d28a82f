"""The training loop: Keras' `fit` with one callback that ends each epoch (validate, keep the best, log, checkpoint)."""

import difflib
import math
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from tqdm import tqdm

from data_pipeline.cache import FrameCache
from data_pipeline.pipeline import evaluation_dataset, steps_per_epoch, training_dataset
from metrics.boxes import box_in_pixels, box_of_mask
from metrics.boxes import iou as box_iou
from models.blocks import side_probabilities
from models.objectives import Objective, deeply_supervised, objective, require_outputs
from recipes.base import Recipe
from shell.errors import UserError
from training import run_folder
from training.backend import put_averaged_weights, set_learning_rate
from training.checkpoint import STATE, load_checkpoint, save_checkpoint
from training.logs import TensorBoardLog, write_curves, write_history
from training.precision import dtype_policy, resolve_jit, resolve_precision
from training.run_folder import named_outputs
from training.schedule import Progress, learning_rate
from training.starting_weights import load_starting_weights

Lesson = Callable[[Any, Mapping[str, Any]], Any]
"""What a training step adds to the objective: images (N, h, w, 1) and the network's outputs by name → (N,) loss."""


@dataclass(frozen=True)
class Data:
    """The frames of a run: cached training and validation frames."""

    train: FrameCache
    val: FrameCache


def train(
    folder: Path, recipe: Recipe, data: Data, *, make_lesson: Callable[[], Lesson | None] = lambda: None
) -> Progress:
    """Trains `recipe` into `folder`: from its checkpoint, or from the start where there is none yet.

    Args:
        folder: the run folder, already begun.
        recipe: every choice.
        data: cached frames.
        make_lesson: what a teacher adds to the loss, if there is one; asked where there is an epoch left to train.

    Returns:
        Where the run stands now.

    Raises:
        UserError: the loss is not finite any more, a damaged checkpoint, weights of another network.
        KeyboardInterrupt: after Ctrl-C; the folder holds all epochs completed before it.
    """
    keras.utils.set_random_seed(recipe.seed)
    if keras.backend.backend() == "tensorflow":
        tf.config.experimental.enable_op_determinism()
    with dtype_policy(resolve_precision(recipe.precision)):
        network = run_folder.build_model(recipe)
    checkpoint = folder / run_folder.CHECKPOINT
    is_new = not (checkpoint / STATE).exists()
    if is_new:
        load_starting_weights(network, run_folder.read_start(folder))
    model = Trainee(network, objective_of(recipe), recipe.deep_supervision, len(recipe.classes))
    model.compile(optimizer=make_optimizer(recipe), jit_compile=resolve_jit())
    model.optimizer.build(model.trainable_variables)
    progress = Progress() if is_new else load_checkpoint(checkpoint, model)
    if progress.is_finished(recipe):
        return progress
    model.lesson = make_lesson()
    classes = len(recipe.classes)
    dataset = training_dataset(
        data.train,
        batch_size=recipe.batch_size,
        augmentation=recipe.augmentation,
        classes=classes,
        seed=recipe.seed,
        first_epoch=progress.epoch,
    )
    callback = _EpochEnd(folder, network, model, recipe, data, progress)
    try:
        model.fit(
            dataset,
            steps_per_epoch=steps_per_epoch(data.train, recipe.batch_size),
            initial_epoch=progress.epoch,
            epochs=recipe.epochs,
            callbacks=[callback],
            shuffle=False,  # the data set shuffles by seed and epoch
            verbose=0,
        )
    finally:
        callback.close()
    return progress


def make_optimizer(recipe: Recipe) -> keras.optimizers.Optimizer:
    """The recipe's optimizer, with averaged weights where the recipe asks for them."""
    average = {"use_ema": True, "ema_momentum": recipe.weight_average} if recipe.weight_average is not None else {}
    if recipe.optimizer == "adamw":
        return keras.optimizers.AdamW(recipe.learning_rate, weight_decay=recipe.weight_decay, **average)
    kinds = {"adam": keras.optimizers.Adam, "rmsprop": keras.optimizers.RMSprop}
    return kinds[recipe.optimizer](recipe.learning_rate, **average)


class Trainee(keras.Model):
    """A network together with what it is trained for: shares the network's weights, adds the objective.

    Keras gives each output a loss of its own. An objective sees all outputs at once, as LU-Net's needs: its reference
    is cropped with the box that the network proposes.

    Deep supervision lies here, not in the network: what a layer inside it says of the classes is read by a convolution
    that belongs to the trainee. The network has one output, in training, in its file and on the cart.

    Args:
        network: of the registry.
        objective: what its outputs are judged by.
        sides: layers that are judged, too.
        classes: channels of what they say.

    Attributes:
        lesson: what a teacher adds to the loss of a step, if there is one.

    Raises:
        ValueError: the network has no such layer.
    """

    def __init__(self, network: keras.Model, objective: Objective, sides: Sequence[str] = (), classes: int = 0) -> None:
        read = {f"side_{side}": side_probabilities_of(network, side, classes) for side in sides}
        outputs = {**named_outputs(network.output), **read} if read else network.output
        super().__init__(inputs=network.inputs, outputs=outputs, name=network.name)
        self._objective = deeply_supervised(objective, list(read)) if read else objective
        self.lesson: Lesson | None = None

    def compute_loss(
        self,
        x: Any = None,
        y: Any = None,
        y_pred: Any = None,
        sample_weight: Any = None,  # noqa: ARG002  Keras passes it
        training: bool = True,  # noqa: ARG002  Keras passes it
    ) -> Any:
        """The mean over the batch of the objective and, with a teacher, its lesson."""
        outputs = named_outputs(y_pred)
        value = self._objective(y, outputs)
        if self.lesson is not None:
            value = value + self.lesson(x, outputs)
        return keras.ops.mean(value)


def side_probabilities_of(network: keras.Model, layer: str, classes: int) -> Any:
    """What a layer says of the classes: (N, h/k, w/k, classes).

    Raises:
        ValueError: no such layer, or one that has no grid.
    """
    found = {one.name: one.output for one in network.layers}
    tensor = found.get(layer)
    if tensor is None or len(tensor.shape) != 4:
        near = difflib.get_close_matches(layer, [name for name, one in found.items() if len(one.shape) == 4], n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise ValueError(
            f"`deep_supervision` must name layers of {network.name} that have a grid. Received: {layer}{hint} "
            "Give others, or none: --set deep_supervision=none"
        )
    return side_probabilities(tensor, classes, name=f"side_{layer}")


def objective_of(recipe: Recipe) -> Objective:
    """What the recipe trains for.

    Raises:
        ValueError: an unknown loss, or structures that the recipe's classes lack.
    """
    return objective(
        recipe.loss,
        recipe.classes,
        class_weights=recipe.class_weights,
        box_structures=recipe.box_structures,
        box_margin=recipe.box_margin,
        box_weight=recipe.box_weight,
    )


MONITORED = {"val_dice": "probabilities", "val_iou": "box"}
"""Figure that a recipe may monitor → the output of a network that it is of. The loss every network has."""


def require_learnable(network: keras.Model, recipe: Recipe) -> None:
    """Refuses a network that lacks an output which the recipe's loss or monitor judges, before anything is done.

    Raises:
        ValueError: names what is judged, and what there is.
    """
    outputs = named_outputs(network.output)
    require_outputs(recipe.loss, outputs)
    if recipe.deep_supervision:
        require_outputs(recipe.loss, ["probabilities"])  # all that a layer inside can be judged by
    for layer in recipe.deep_supervision:
        side_probabilities_of(network, layer, len(recipe.classes))
    judged = MONITORED.get(recipe.monitor)
    if judged is not None and judged not in outputs:
        raise ValueError(
            f"`monitor` {recipe.monitor} needs the output {judged} of a network. "
            f"Received: {', '.join(outputs)} of {network.name}; choose another `monitor`, such as val_loss"
        )


def validate(network: keras.Model, cache: FrameCache, recipe: Recipe) -> dict[str, float]:
    """The objective and how good the outputs are, on cached frames, on the network grid.

    Returns:
        `val_loss`; with probabilities `val_dice_{STRUCTURE}`, mean over the frames that have it in reference or
        prediction, after argmax, and `val_dice`, their mean over the structures; with a box `val_iou`, the mean
        overlap with the reference's box over the frames that have one.
    """
    loss = objective_of(recipe)
    channels = [recipe.classes.index(name) for name in recipe.box_structures if name in recipe.classes]
    losses: list[np.ndarray] = []
    dices: list[np.ndarray] = []
    overlaps: list[float] = []
    for images, one_hot in evaluation_dataset(cache, batch_size=recipe.batch_size, classes=len(recipe.classes)):
        reference = np.asarray(one_hot)
        outputs = run_folder.predict(network, np.asarray(images))
        losses.append(np.asarray(keras.ops.convert_to_numpy(loss(reference, outputs))))
        if "probabilities" in outputs:
            dices.append(_dice_of_frames(reference, outputs["probabilities"]))
        if "box" in outputs:
            masks = reference[..., channels].any(axis=-1)
            overlaps += [
                box_iou(box_of_mask(mask, recipe.box_margin), box_in_pixels(tuple(map(float, box)), mask.shape))
                for mask, box in zip(masks, outputs["box"], strict=True)
                if mask.any()
            ]
    figures = {"val_loss": float(np.concatenate(losses).mean())}
    if dices:
        of_frames = np.concatenate(dices)
        per_structure = {
            f"val_dice_{name}": float(np.nanmean(column)) if np.isfinite(column).any() else 0.0
            for name, column in zip(recipe.classes[1:], of_frames.T, strict=True)
        }
        figures |= per_structure | {"val_dice": sum(per_structure.values()) / len(per_structure)}
    if overlaps:
        figures["val_iou"] = float(np.mean(overlaps))
    return figures


def _dice_of_frames(reference: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """(N, C − 1) Dice of the structures after argmax; NaN where a frame has one in neither."""
    predicted = np.eye(reference.shape[-1], dtype=bool)[probabilities.argmax(-1)]
    truth = reference > 0.5
    overlap = 2.0 * (predicted & truth).sum((1, 2))
    total = predicted.sum((1, 2)) + truth.sum((1, 2))
    return np.where(total > 0, overlap / np.maximum(total, 1), np.nan)[:, 1:]


class _EpochEnd(keras.callbacks.Callback):
    """Sets the learning rate of every step; after every epoch validates, keeps the best model, logs, checkpoints."""

    def __init__(
        self,
        folder: Path,
        network: keras.Model,
        trainee: keras.Model,
        recipe: Recipe,
        data: Data,
        progress: Progress,
    ) -> None:
        super().__init__()
        self._folder, self._network, self._trainee, self._recipe = folder, network, trainee, recipe
        self._data, self._progress = data, progress
        self._steps = steps_per_epoch(data.train, recipe.batch_size)
        self._tensorboard = TensorBoardLog(folder / "tensorboard")
        self._bar: tqdm | None = None
        self._begun = 0.0
        self._rate = math.nan  # none set yet

    def close(self) -> None:
        self._tensorboard.close()
        if self._bar is not None:
            self._bar.close()

    def on_epoch_begin(self, epoch: int, logs: object = None) -> None:  # noqa: ARG002  # Keras names it
        self._begun = time.monotonic()
        if sys.stderr.isatty():
            label = f"epoch {epoch + 1}/{self._recipe.epochs}"
            self._bar = tqdm(total=self._steps, desc=label, unit="step", leave=False)

    def on_train_batch_begin(self, batch: int, logs: object = None) -> None:  # noqa: ARG002  # Keras names them
        rate = learning_rate(
            self._recipe,
            step=self._progress.epoch * self._steps + batch,
            steps_per_epoch=self._steps,
            plateau_scale=self._progress.plateau_scale,
        )
        if rate != self._rate:
            set_learning_rate(self._trainee, rate)
            self._rate = rate

    def on_train_batch_end(self, batch: int, logs: object = None) -> None:  # noqa: ARG002  # Keras names them
        if self._bar is not None:
            self._bar.update()

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None
        loss = float((logs or {})["loss"])
        if not math.isfinite(loss):
            raise UserError(
                f"{self._folder}: the training loss is {loss} in epoch {epoch + 1}; "
                "lower the rate (--set learning_rate=…) or train in float32 (--set precision=float32)"
            )
        own_weights = self._trainee.get_weights() if self._recipe.weight_average is not None else None
        if own_weights is not None:
            put_averaged_weights(self._trainee)
        figures = {"loss": loss, **validate(self._network, self._data.val, self._recipe), "learning_rate": self._rate}
        monitored = {"epoch": float(epoch + 1), **figures}
        if self._recipe.monitor not in monitored:
            known = ", ".join(name for name in figures if name in ("val_loss", "val_dice", "val_iou"))
            raise UserError(
                f"{self._folder}: `monitor` is {self._recipe.monitor}, but {self._network.name} gives {known} here; "
                "train anew with --set monitor=val_loss"
            )
        is_best = self._progress.end_epoch(self._recipe, figures)
        if is_best:
            run_folder.save_model(
                self._folder,
                self._network,
                epoch=self._progress.epoch,
                monitor=self._recipe.monitor,
                value=monitored[self._recipe.monitor],
            )
        if own_weights is not None:
            self._trainee.set_weights(own_weights)
        seconds = time.monotonic() - self._begun
        self._progress.seconds += seconds
        save_checkpoint(self._folder / run_folder.CHECKPOINT, self._trainee, self._progress)
        write_history(self._folder / run_folder.HISTORY, self._progress.history)
        write_curves(self._folder / "curves.png", self._progress.history, self._recipe.model)
        self._tensorboard.write(self._progress.epoch, figures)
        parts = [f"loss {loss:.4f}", f"validation {figures['val_loss']:.4f}"]
        dice = " ".join(f"{k.removeprefix('val_dice_')} {v:.3f}" for k, v in figures.items() if "dice_" in k)
        if dice:
            parts.append(f"Dice {dice}")
        if "val_iou" in figures:
            parts.append(f"box IOU {figures['val_iou']:.3f}")
        parts.append(f"{seconds:.0f} s{' (best)' if is_best else ''}")
        print(f"epoch {self._progress.epoch}/{self._recipe.epochs}: {', '.join(parts)}", flush=True)
        if self._progress.is_finished(self._recipe):
            self._trainee.stop_training = True
