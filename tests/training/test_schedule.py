import dataclasses
import math

import pytest

from recipes import RECIPES
from training.schedule import Progress, learning_rate

RECIPE = dataclasses.replace(
    RECIPES["lu_net_segmentation"], epochs=100, learning_rate=0.1, early_stopping_patience=3, monitor="val_loss"
)


def figures(loss: float, dice: float = 0.5) -> dict[str, float]:
    return {"loss": loss, "val_loss": loss, "val_dice": dice}


def test_best_is_the_smallest_loss_or_the_largest_dice():
    progress = Progress()
    assert [progress.end_epoch(RECIPE, figures(loss)) for loss in (0.5, 0.6, 0.4)] == [True, False, True]
    assert progress.best_epoch == 3
    by_dice = dataclasses.replace(RECIPE, monitor="val_dice")
    progress = Progress()
    assert [progress.end_epoch(by_dice, figures(0.5, dice)) for dice in (0.7, 0.6, 0.8)] == [True, False, True]


def test_by_epoch_the_last_is_the_best():
    by_epoch, progress = dataclasses.replace(RECIPE, monitor="epoch"), Progress()
    assert [progress.end_epoch(by_epoch, figures(0.5, dice)) for dice in (0.7, 0.6, 0.8)] == [True, True, True]
    assert (progress.best, progress.best_epoch) == (3, 3)


def test_a_loss_that_is_not_a_number_is_never_the_best():
    progress = Progress()
    assert not progress.end_epoch(RECIPE, figures(math.nan))
    assert progress.end_epoch(RECIPE, figures(2.0))


def test_stops_after_the_patience_and_not_before():
    progress = Progress()
    for loss in (0.5, 0.6, 0.6):
        progress.end_epoch(RECIPE, figures(loss))
    assert not progress.is_finished(RECIPE)
    progress.end_epoch(RECIPE, figures(0.6))
    assert progress.is_finished(RECIPE)
    assert not progress.is_finished(dataclasses.replace(RECIPE, early_stopping_patience=None))


def test_stops_after_all_epochs():
    assert Progress(epoch=100, best_epoch=100).is_finished(RECIPE)


def test_plateau_reduces_the_rate_each_time_the_patience_runs_out():
    recipe = dataclasses.replace(RECIPE, plateau_patience=2, plateau_factor=0.1, early_stopping_patience=None)
    progress = Progress()
    scales = []
    for loss in (1.0, 1.0, 1.0, 0.9, 0.9, 0.9):
        progress.end_epoch(recipe, figures(loss))
        scales.append(progress.plateau_scale)
    assert scales == pytest.approx([1, 1, 0.1, 0.1, 0.1, 0.01])
    assert learning_rate(recipe, step=0, steps_per_epoch=10, plateau_scale=0.01) == pytest.approx(0.001)


def test_warm_up_then_cosine_to_zero():
    recipe = dataclasses.replace(RECIPE, schedule="cosine", warmup_epochs=2, epochs=12)
    rates = [learning_rate(recipe, step=step, steps_per_epoch=5, plateau_scale=1.0) for step in range(61)]
    assert rates[0] == pytest.approx(0.01)
    assert rates[9] == pytest.approx(0.1)
    assert rates[10] == pytest.approx(0.1)
    assert rates[35] == pytest.approx(0.05)
    assert rates[60] == pytest.approx(0.0)


def test_constant_is_constant():
    rates = {learning_rate(RECIPE, step=step, steps_per_epoch=7, plateau_scale=1.0) for step in range(500)}
    assert rates == {0.1}
