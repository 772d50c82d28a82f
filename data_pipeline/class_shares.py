"""How often each structure is, and what weights balance it: `python -m data_pipeline.class_shares SPEC`."""

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from data_pipeline.preprocess import Preprocessing, preprocess_labels
from data_pipeline.regions import HeartCrop, RegionOf
from data_pipeline.sample import Structure
from data_pipeline.spec import Dataset, open_dataset
from data_pipeline.splits import Split
from shell.command import add_debug_option, run_command
from shell.errors import UsageError, UserError
from shell.files import read_json
from shell.progress import progress

EPILOG = """\
A weight is the share to the power of minus POWER, scaled such that a pixel weighs 1 in the mean: the loss keeps its
size and with it the learning rate its meaning. POWER 0 is no weights, 1 gives each structure the same say in all.

example:
  python -m data_pipeline.class_shares acdc:../data/acdc --structures LV MYO RV --crop-mm 200
  python -m data_pipeline.class_shares camus:../data/camus --structures LV MYO LA --split runs/first/split.json
"""


def class_shares(
    dataset: Dataset, patients: Sequence[str], structures: Sequence[Structure], side: int, region: RegionOf | None
) -> dict[Structure, float]:
    """The share of each structure among the pixels that a network sees, all labelled frames together.

    Args:
        dataset: opened for these structures.
        patients: whose frames count.
        structures: BACKGROUND first; every other label counts as that.
        side: of the network's grid, pixels.
        region: what the network sees of each frame; None: all of it.

    Returns:
        Shares that sum to 1.

    Raises:
        UserError: no labelled frame.
    """
    grid = Preprocessing(side, side)
    counts = np.zeros(256, np.int64)
    for case in progress(dataset.labelled(patients), label="counting", unit="frames"):
        sample = dataset.load(case)
        assert sample.labels is not None
        seen = preprocess_labels(sample.labels, grid, None if region is None else region(sample))
        counts += np.bincount(seen.ravel(), minlength=256)
    total = int(counts.sum())
    if not total:
        raise UserError(f"{dataset.root}: no labelled frame to count. Check the path, or the patients of --split.")
    shares = {structure: float(counts[structure]) / total for structure in structures if structure}
    return {Structure.BACKGROUND: 1 - sum(shares.values()), **shares}


def balancing_weights(shares: Mapping[Structure, float], power: float) -> dict[Structure, float]:
    """Weights ∝ share^−power whose mean over the pixels is 1.

    Raises:
        UserError: a structure that no pixel has.
    """
    absent = [structure.name for structure, share in shares.items() if share <= 0]
    if absent:
        raise UserError(f"a weight needs a structure that is there. Received: no pixel of {', '.join(absent)}")
    mean = sum(share ** (1 - power) for share in shares.values())
    return {structure: share**-power / mean for structure, share in shares.items()}


def main(argv: Sequence[str] | None = None) -> int:
    """Prints a line a structure: name, share, weight."""
    parser = argparse.ArgumentParser(
        prog="python -m data_pipeline.class_shares",
        description=__doc__,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("spec", metavar="SPEC", help="data set, as train.py takes it")
    names = [structure.name for structure in Structure if structure is not Structure.BACKGROUND]
    parser.add_argument("--structures", nargs="+", required=True, choices=names, metavar="NAME", help=", ".join(names))
    parser.add_argument("--crop-mm", type=float, metavar="MM", help="the recipe's crop_mm (default: whole frames)")
    parser.add_argument("--side", type=int, default=176, metavar="PX", help="of the network's grid (default: 176)")
    parser.add_argument("--power", type=float, default=0.5, help="of the inverse share (default: 0.5)")
    parser.add_argument("--split", type=Path, metavar="FILE", help="count its training patients alone")
    add_debug_option(parser)
    arguments = parser.parse_args(argv)
    structures = (Structure.BACKGROUND, *(Structure[name] for name in dict.fromkeys(arguments.structures)))
    dataset = open_dataset(arguments.spec, structures=structures)
    patients = sorted({case.patient_id for case in dataset.cases})
    if arguments.split is not None:
        patients = Split.from_dict(read_json(arguments.split)).train
    try:
        region = None if arguments.crop_mm is None else HeartCrop(arguments.crop_mm)
        shares = class_shares(dataset, patients, structures, arguments.side, region)
    except ValueError as error:
        raise UsageError(str(error)) from error
    weights = balancing_weights(shares, arguments.power)
    for structure, share in shares.items():
        print(f"{structure.name:<10}  share {share:.4f}  weight {weights[structure]:.2f}")
    print(f"{len(patients)} patients, power {arguments.power:g}")
    return 0


if __name__ == "__main__":
    run_command(main)
