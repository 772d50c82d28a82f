"""The table of benchmarks/learn.py and what it is reckoned from; the training itself is too long for a test."""

import dataclasses
import json

import pytest

from benchmarks.learn import Settings, epochs_within, figures_of, main, misses, read_results, table
from recipes import recipe_for
from recipes.base import with_settings
from shell.errors import UsageError

SETTINGS = Settings(
    minutes=2.5,
    epochs=None,
    size=128,
    width=0.5,
    patients=60,
    seed=3,
    settings=("batch_size=4",),
    backend="tensorflow",
)
ROW = {
    "recipe": "hinge_points",
    "loss": "categorical_crossentropy",
    "parameters": 5_930_000,
    "images_per_s": 41.26,
    "peak_bytes": 1_234_000_000,
    "epochs": 12,
    "best_epoch": 9,
    "minutes": 2.44,
    "frames": 36,
    "dice": {"LV": 0.9123, "MYO": 0.8, "LA": None},
    "iou": None,
}
LOCALISER = ROW | {"loss": "box_segmentation", "dice": {"LV": 0.5, "MYO": 0.4}, "iou": 0.7649}


def test_a_row_shows_what_a_network_gives_and_a_dash_for_what_it_does_not():
    lines = table({"u_l2": LOCALISER, "unet_vgg16": ROW}, SETTINGS).splitlines()
    assert "128 × 128, width 0.5, about 2.5 min" in lines[0]
    assert "`phantom?patients=60&seed=3`, 36 held-out frames, Keras on tensorflow, `batch_size=4`" in lines[0]
    assert lines[2].count("|") == lines[3].count("|") == lines[4].count("|")
    assert lines[4:] == [
        "| `unet_vgg16` | categorical_crossentropy | 5.93M | 41.3 | 1.23 GB | 12 (9) | 2.4 "
        "| 0.912 | 0.800 | – | – | – |",
        "| `u_l2` | box_segmentation | 5.93M | 41.3 | 1.23 GB | 12 (9) | 2.4 | 0.500 | 0.400 | – | – | 0.765 |",
    ]


def test_epochs_may_be_given_instead_of_minutes():
    settings = dataclasses.replace(SETTINGS, minutes=None, epochs=12)
    assert "width 0.5, 12 epochs of training, " in table({"unet_vgg16": ROW}, settings)


def test_what_stays_below_is_said():
    assert misses({"unet_vgg16": ROW, "u_l2": LOCALISER, "alexnet_box": LOCALISER | {"dice": {}, "iou": 0.1}}) == []
    assert misses({"u_l1": LOCALISER | {"iou": 0.7}, "unet1": ROW | {"dice": {"LV": 0.79}}}) == [
        "u_l1: box IOU 0.700, at least 0.75 is wanted",
        "unet1: LV Dice 0.790, at least 0.80 is wanted",
    ]


def test_figures_are_those_of_the_evaluation():
    summary = {
        "n_cases": 4,
        "metrics": {"LV": {"dice": {"mean": 0.9}}, "EPI": {"dice": {"mean": 0.8}}},
        "localisation": {"all": {"iou": {"mean": 0.7}}},
    }
    assert figures_of(summary) == {"frames": 4, "dice": {"LV": 0.9}, "iou": 0.7}
    assert figures_of({"n_cases": 4, "metrics": {}, "localisation": {}}) == {"frames": 4, "dice": {}, "iou": None}


def test_as_many_epochs_as_the_time_holds():
    # 240 frames: 45 steps of 4 in training, 6 in validation at a third of the cost: 47 × 4 / 94 + 1 = 3 s an epoch
    recipe = with_settings(recipe_for("unet1"), SETTINGS.of(1))
    pace = {"images_per_s": 94.0, "first_step_s": 9.0}
    assert epochs_within(40.0, recipe, SETTINGS, pace) == 10
    assert epochs_within(1.0, recipe, SETTINGS, pace) == 1


def test_results_of_other_settings_are_not_mixed(tmp_path):
    path = tmp_path / "learn.json"
    assert read_results(path, SETTINGS) == {}
    path.write_text(json.dumps({"settings": dataclasses.asdict(SETTINGS), "networks": {"unet1": ROW}}))
    assert read_results(path, SETTINGS) == {"unet1": ROW}
    with pytest.raises(UsageError, match=r"other settings \(\{'width': 0\.5\}\).*another --out"):
        read_results(path, dataclasses.replace(SETTINGS, width=0.25))


def test_networks_in_the_file_are_not_trained_again(tmp_path, capsys):
    path = tmp_path / "learn.json"
    settings = dataclasses.replace(SETTINGS, settings=())
    path.write_text(json.dumps({"settings": dataclasses.asdict(settings), "networks": {"unet1": ROW}}))
    assert main(["--models", "unet1", "--out", str(path)]) == 0
    assert "| `unet1` |" in capsys.readouterr().out


def test_what_cannot_be_is_refused_before_any_training(tmp_path):
    with pytest.raises(UsageError, match=r"Received: unet2\. Did you mean unet\?"):
        main(["--models", "unet2", "--out", str(tmp_path / "a.json")])
    with pytest.raises(UsageError, match="batchsize"):
        main(["--models", "unet1", "--set", "batchsize=2", "--out", str(tmp_path / "a.json")])
    with pytest.raises(UsageError, match="`--minutes` must be positive"):
        main(["--minutes", "0"])
    with pytest.raises(UsageError, match="`--epochs` must be at least 1"):
        main(["--epochs", "0"])
