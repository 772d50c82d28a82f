"""Trains a network by its recipe into a run folder: `python train.py --model unet_vgg16`."""

import argparse
import dataclasses
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from recipes import DEFAULT_RECIPE, RECIPES, recipe_for
from recipes.base import Recipe, with_settings
from shell.command import INTERRUPTED, add_debug_option, run_command
from shell.errors import UsageError
from shell.files import write_json

if TYPE_CHECKING:
    from data_pipeline.spec import Dataset

EXAMPLES = """examples:
  python train.py --model unet1 --out runs/first                  on the simulated hearts
  python train.py --model unet_vgg16 --data camus:PATH            the hinge-point paper, on CAMUS
  python train.py --model unet1 --recipe annulus --data camus:PATH --set epochs=60 batch_size=4
  python train.py --model cart_unet --teacher runs/strong         small, taught by a stronger run, on its data and split
  python train.py --resume runs/first                             go on where it was stopped
"""


def main(argv: Sequence[str] | None = None) -> int:
    """The command line of `train.py`; see `--help`."""
    parser = argparse.ArgumentParser(
        prog="train.py", description=__doc__, epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", metavar="NAME", help="network to train; --list shows them")
    parser.add_argument("--recipe", metavar="NAME", help="recipe to train by (default: the one of the network's paper)")
    parser.add_argument(
        "--data",
        metavar="SPEC",
        help="phantom (default), phantom:PATH, camus:PATH, acdc:PATH, sunnybrook:PATH or labelme:PATH",
    )
    parser.add_argument("--out", metavar="DIR", type=Path, help="run folder (default: a new one under runs/)")
    parser.add_argument("--fold", metavar="K", type=int, help="fold 1-10 of the cross-validation")
    parser.add_argument("--set", metavar="key=value", nargs="+", action="extend", default=[], help="recipe settings")
    parser.add_argument("--resume", metavar="DIR", type=Path, help="go on with this run")
    parser.add_argument("--encoder-weights", metavar="FILE", help="Keras VGG16 weight file for the encoder")
    parser.add_argument("--initial-weights", metavar="RUN", type=Path, help="start from another run's best network")
    parser.add_argument("--teacher", metavar="RUN", type=Path, help="learn from a stronger run, too; on its split")
    parser.add_argument("--list", action="store_true", help="show networks and recipes")
    add_debug_option(parser)
    arguments = parser.parse_args(argv)
    if arguments.list:
        return show_list()
    if arguments.resume is not None:
        fixed = {"model", "recipe", "data", "out", "fold", "set", "encoder_weights", "initial_weights", "teacher"}
        given = sorted(name for name in fixed if getattr(arguments, name) not in (None, []))
        if given:
            options = ", ".join(f"--{name.replace('_', '-')}" for name in given)
            raise UsageError(f"--resume goes on with the run's own choices; leave out {options}")
        return run(arguments.resume)
    if arguments.model is None:
        raise UsageError("--model NAME is needed (or --resume DIR); --list shows the networks")
    try:
        recipe = with_settings(recipe_for(arguments.model, arguments.recipe), arguments.set)
    except ValueError as error:
        raise UsageError(str(error)) from error
    return run(begin(recipe, arguments))


def show_list() -> int:
    """Prints every network with recipe, parameters beside the paper's, input, classes, paper; then other recipes."""
    from training.backend import start_backend

    start_backend()
    import keras

    import models

    print(f"{'model':<16} {'recipe':<22} {'parameters':>10} {'paper':>6}  {'input':<9} {'classes':<14} source")
    for name, recipe_name in DEFAULT_RECIPE.items():
        recipe = RECIPES[recipe_name]
        height, width = recipe.input_height, recipe.input_width
        network = models.build(
            name, input_shape=(height, width, 1), classes=len(recipe.classes), **recipe.model_options
        )
        stated = models.STATED_PARAMETERS.get(name)
        print(
            f"{name:<16} {recipe_name:<22} {network.count_params() / 1e6:>9.2f}M "
            f"{f'{stated / 1e6:.0f}M' if stated else '-':>6}  {height}x{width:<5} {' '.join(recipe.classes[1:]):<14} "
            f"{recipe.paper}"
        )
        keras.backend.clear_session()
    others = [name for name in RECIPES if name not in DEFAULT_RECIPE.values()]
    print("\nother recipes, for any network (--recipe NAME): " + ", ".join(others))
    return 0


def begin(recipe: Recipe, arguments: argparse.Namespace) -> Path:
    """Splits the data and writes what fixes the run into a new run folder."""
    from training.backend import start_backend

    start_backend()
    from data_pipeline.sample import structures_from_names
    from data_pipeline.spec import open_dataset
    from training.loop import require_learnable
    from training.run_folder import StartingWeights, begin_run, build_model, read_split
    from training.starting_weights import load_starting_weights
    from training.teacher import check_teacher, teachers_split

    taught_by: Path | None = arguments.teacher
    if taught_by is not None and arguments.out is not None and taught_by.resolve() == arguments.out.resolve():
        raise UsageError(f"a run cannot be its own teacher. Received: {taught_by} as --teacher and --out")
    start = StartingWeights(
        encoder=absolute(arguments.encoder_weights) if arguments.encoder_weights != "imagenet" else "imagenet",
        network=absolute(arguments.initial_weights),
    )
    try:
        structures = structures_from_names(recipe.classes)
        model = build_model(recipe)
        require_learnable(model, recipe)
    except ValueError as error:
        raise UsageError(str(error)) from error
    load_starting_weights(model, start)  # what no run can be made of is refused before anything is written
    teacher = None if taught_by is None else check_teacher(model, recipe, taught_by)
    spec = arguments.data or ("phantom" if taught_by is None else read_split(taught_by)[1])
    dataset = open_dataset(spec, structures=structures)
    fold: int | None = arguments.fold
    split = None if taught_by is None else teachers_split(taught_by, dataset)
    if split is not None and fold is not None:
        raise UsageError("a student takes its teacher's split; leave out --fold")
    if split is None:
        split = dataset.split(fold, train_share=recipe.train_share, val_share=recipe.val_share, seed=recipe.seed)
    name = f"{recipe.model}-{dataset.name}" + (f"-fold{fold}" if fold is not None else "")
    folder = arguments.out or free_folder(name)
    begin_run(folder, recipe, split, dataset.spec, start, teacher)
    return folder


def absolute(path: str | Path | None) -> str | None:
    """A path as it is found from any working directory."""
    return None if path is None else str(Path(path).resolve())


def free_folder(name: str) -> Path:
    """`runs/NAME`, or the first of `runs/NAME-2`, `runs/NAME-3`, … that does not exist."""
    folder = Path("runs") / name
    number = 2
    while folder.exists():
        folder = Path("runs") / f"{name}-{number}"
        number += 1
    return folder


def run(folder: Path) -> int:
    """Trains in a begun run folder, from its checkpoint if any, then fits the calibration on its validation frames."""
    from training.backend import start_backend

    start_backend()
    from data_pipeline.sample import structures_from_names
    from data_pipeline.spec import open_dataset
    from training import run_folder
    from training.loop import train
    from training.prepare import prepare
    from training.teacher import lesson_of

    recipe = run_folder.read_recipe(folder)
    split, data_spec = run_folder.read_split(folder)
    teacher = run_folder.read_teacher(folder)
    with run_folder.locked(folder):
        dataset = open_dataset(data_spec, structures=structures_from_names(recipe.classes))
        command = shlex.join(["python", "train.py", *sys.argv[1:]])
        data = prepare(folder, recipe, dataset, split, command=command)
        try:
            progress = train(
                folder, recipe, data, make_lesson=lambda: None if teacher is None else lesson_of(teacher, recipe)
            )
        except KeyboardInterrupt:
            print(f"interrupted; {folder} holds every epoch that ended; go on with --resume {folder}")
            return INTERRUPTED
        calibrate(folder, dataset)
    best = f"best epoch {progress.best_epoch} of {progress.epoch}"
    print(f"{folder}: {best}, {progress.seconds / 60:.1f} min; next: python evaluate.py --run {folder}")
    return 0


def calibrate(folder: Path, dataset: "Dataset") -> None:
    """Fits on a run's validation frames what corrects its hinge points and what says which to trust.

    A network that finds no hinge points has none to calibrate, and a sentence says so.
    """
    from evaluation.calibration import calibration_from_rows
    from evaluation.measure import measured_rows
    from evaluation.quality import fit_quality, why_no_quality
    from export.bundle import measurement_spec
    from training.run_folder import CALIBRATION, QUALITY, load_run

    finished = load_run(folder)
    spec = measurement_spec(finished)
    if not spec.finds_hinge_points:
        outlined = ", ".join(finished.recipe.classes[1:]) if spec.segments else "nothing, it locates"
        print(f"{folder}: no hinge points to calibrate; {finished.recipe.model} outlines {outlined}")
        return
    rows = measured_rows(
        dataset.labelled(finished.split.val),
        dataset.load,
        predictor=finished.predict,
        spec=dataclasses.replace(spec, calibration=None, quality=None),
    )
    calibration, quality = calibration_from_rows(rows, fitted_on="validation"), fit_quality(rows)
    if calibration is None:
        print(f"{folder}: no validation frame has hinge points in prediction and reference, so nothing is calibrated")
    else:
        write_json(folder / CALIBRATION, calibration.to_dict())
    if quality is None:
        print(f"{folder}: {why_no_quality(rows)}")
    else:
        write_json(folder / QUALITY, quality.to_dict())


if __name__ == "__main__":
    run_command(main)
