"""What changes from epoch to epoch, as plain values that a checkpoint can hold: learning rate, best model, patience."""

import dataclasses
import math
from dataclasses import dataclass, field

from recipes.base import Recipe


@dataclass
class Progress:
    """Where a run stands after `epoch` epochs: everything a resumed run needs besides the weights.

    Attributes:
        epoch: completed epochs.
        best: best score so far (the monitored figure, a loss negated), or None before the first epoch.
        best_epoch: its epoch, counted from 1; 0 before.
        plateau_best: best value of the plateau monitor, or None.
        plateau_wait: epochs since.
        plateau_scale: product of the plateau reductions so far.
        seconds: training time so far, over all resumptions.
        history: one row of figures per epoch.
    """

    epoch: int = 0
    best: float | None = None
    best_epoch: int = 0
    plateau_best: float | None = None
    plateau_wait: int = 0
    plateau_scale: float = 1.0
    seconds: float = 0.0
    history: list[dict[str, float]] = field(default_factory=list)

    def end_epoch(self, recipe: Recipe, figures: dict[str, float]) -> bool:
        """Takes the figures of one more epoch.

        Args:
            recipe: says what is monitored and how patiently.
            figures: of this epoch: `loss`, `val_loss`, `val_dice_LV`, …, `val_dice`.

        Returns:
            Whether this epoch's model is the best so far.
        """
        self.epoch += 1
        self.history.append({"epoch": self.epoch, **figures})
        value = self.history[-1][recipe.monitor]
        score = -value if recipe.monitor == "val_loss" else value
        is_best = math.isfinite(score) and (self.best is None or score > self.best)
        if is_best:
            self.best, self.best_epoch = score, self.epoch
        if recipe.plateau_patience is not None:
            watched = figures[recipe.plateau_monitor]
            if self.plateau_best is None or watched < self.plateau_best:
                self.plateau_best, self.plateau_wait = watched, 0
            else:
                self.plateau_wait += 1
                if self.plateau_wait >= recipe.plateau_patience:
                    self.plateau_scale *= recipe.plateau_factor
                    self.plateau_wait = 0
        return is_best

    def is_finished(self, recipe: Recipe) -> bool:
        """All epochs done, or no better model for longer than the recipe's patience."""
        if self.epoch >= recipe.epochs:
            return True
        patience = recipe.early_stopping_patience
        return patience is not None and self.epoch - self.best_epoch >= patience and self.epoch > 0

    def to_dict(self) -> dict[str, object]:
        """Plain JSON values."""
        return dataclasses.asdict(self)


def learning_rate(recipe: Recipe, *, step: int, steps_per_epoch: int, plateau_scale: float) -> float:
    """The learning rate of one step: depends on nothing but its arguments, so a resumed run has the same.

    Args:
        recipe: `schedule`, `warmup_epochs`, `learning_rate`, `epochs`.
        step: steps done since the run began.
        steps_per_epoch: as named.
        plateau_scale: of `Progress`.
    """
    warmup = recipe.warmup_epochs * steps_per_epoch
    rate = recipe.learning_rate * plateau_scale
    if step < warmup:
        return rate * (step + 1) / warmup
    if recipe.schedule == "cosine":
        share = (step - warmup) / max(1, recipe.epochs * steps_per_epoch - warmup)
        return rate * 0.5 * (1.0 + math.cos(math.pi * min(1.0, share)))
    return rate
