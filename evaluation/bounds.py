"""The bounds beyond which a segmentation is an outlier: the table, how it is read, and how its shapes were measured.

`python -m evaluation.bounds camus:PATH` measures the least simple and the least convex reference of a data set.
"""

import argparse
import difflib
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np

from data_pipeline.sample import Sample, Structure
from data_pipeline.spec import Dataset, open_dataset
from evaluation.rows import EPI
from evaluation.shapes import MEASURES, SHAPED, Bools, mask_of
from postprocessing.shape import Shape, shape_of
from postprocessing.valve import valve_as_blood
from shell.command import add_debug_option, run_command
from shell.errors import UserError
from shell.files import read_json, write_json
from shell.progress import progress

Json = dict[str, Any]

BORDERS = ("LV", EPI)
"""Endocardium and epicardium: what the lu_net paper judges."""
INTRA_OBSERVER = (
    "ASSUMED: mean + 2 sd of the intra-observer row of the LU-Net paper's Table II; the paper takes the inter-observer "
    "bounds of Leclerc et al. 2019, which its text does not give"
)
LOWEST = (
    "lowest of 298 reference masks of 226 CAMUS patients (lossy copies), rounded down; the paper's is the lowest of 50 "
    "patients, and is not in its text"
)


@dataclass(frozen=True)
class Bound:
    """A figure beyond which a segmentation is an outlier, and where it comes from."""

    value: float
    source: str


@dataclass(frozen=True)
class Bounds:
    """Bounds of the distances (largest allowed, mm) and of the shapes (smallest allowed, 0..1) of LV and EPI.

    Raises:
        ValueError: a bound that is not positive and finite, a shape's above 1, or one without a source.
    """

    lv_mean_absolute_distance_mm: Bound = Bound(2.4, INTRA_OBSERVER)  # 1.4 ± 0.5
    lv_hausdorff_mm: Bound = Bound(8.1, INTRA_OBSERVER)  # 4.5 ± 1.8
    epi_mean_absolute_distance_mm: Bound = Bound(3.3, INTRA_OBSERVER)  # 1.7 ± 0.8
    epi_hausdorff_mm: Bound = Bound(9.4, INTRA_OBSERVER)  # 5.0 ± 2.2
    lv_simplicity: Bound = Bound(0.687, LOWEST)
    lv_convexity: Bound = Bound(0.842, LOWEST)
    epi_simplicity: Bound = Bound(0.875, LOWEST)
    epi_convexity: Bound = Bound(0.930, LOWEST)

    def __post_init__(self) -> None:
        for field in fields(self):
            bound: Bound = getattr(self, field.name)
            if not (math.isfinite(bound.value) and bound.value > 0):
                raise ValueError(f"`{field.name}` must be a positive number. Received: {bound.value}")
            if not field.name.endswith("_mm") and bound.value > 1:
                raise ValueError(f"`{field.name}` must be at most 1. Received: {bound.value}")
            if not bound.source.strip():
                raise ValueError(f"`{field.name}` must say where it comes from. Received: an empty source")

    def largest(self, structure: str, distance: str) -> float:
        """The bound of a distance of LV or EPI, mm."""
        return getattr(self, f"{structure.lower()}_{distance}_mm").value

    def smallest(self, structure: str, measure: str) -> float:
        """The bound of the simplicity or convexity of LV or EPI."""
        return getattr(self, f"{structure.lower()}_{measure}").value

    def to_dict(self) -> Json:
        """Plain JSON values: {name: {`value`, `source`}}."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Bounds":
        """The default bounds with those of `values` in their place; each {`value`, `source`}, as `to_dict` gives them.

        Raises:
            ValueError: not such values, an unknown name, or what `Bounds` refuses.
        """
        if not isinstance(values, Mapping):
            raise ValueError(f"must be a JSON object of bounds. Received: {type(values).__name__}")
        return replace(cls(), **{name: _bound(name, entry, _names(cls)) for name, entry in values.items()})


def read_bounds(path: Path) -> Bounds:
    """Reads the JSON file that `evaluate.py --bounds FILE` takes; bounds it does not name keep their default.

    Raises:
        UserError: no such file, or not bounds; names the file, the rule and the mend.
    """
    try:
        return Bounds.from_dict(read_json(path))
    except ValueError as error:
        raise UserError(f"{path}: {error}; docs/outliers.md has an example") from error


def _names(owner: type) -> list[str]:
    return [field.name for field in fields(owner)]


def _bound(name: str, entry: Any, known: Sequence[str]) -> Bound:
    if name not in known:
        near = difflib.get_close_matches(name, known, n=1)
        raise ValueError(
            f"`{name}` is no bound; {f'did you mean `{near[0]}`?' if near else 'known: ' + ', '.join(known)}"
        )
    if not isinstance(entry, Mapping) or set(entry) != {"value", "source"}:
        raise ValueError(f'`{name}` must be {{"value": a number, "source": where it comes from}}. Received: {entry!r}')
    value, source = entry["value"], entry["source"]
    if isinstance(value, bool) or not isinstance(value, int | float) or not isinstance(source, str):
        raise ValueError(f"`{name}` must have a number as `value` and a text as `source`. Received: {entry!r}")
    return Bound(float(value), source)


DEFECT = 0.05
"""A mask that opening (3 × 3 pixels) makes more convex by this has a spur thinner than three pixels: a slip of the pen
or of a conversion, and no shape that an expert drew. Its shape is measured without the spur."""
LOWEST_DIGITS = 3


class Lowest(NamedTuple):
    """The lowest of a measure among the references of a data set.

    Attributes:
        structure, measure: `LV`, `simplicity`.
        value: the lowest.
        case: whose it is.
        first_percentile, median: of all frames.
        frames: how many have the structure.
        defective: cases whose mask was measured without a spur.
    """

    structure: str
    measure: str
    value: float
    case: str
    first_percentile: float
    median: float
    frames: int
    defective: tuple[str, ...]

    @property
    def bound(self) -> float:
        """The value rounded down, so that the frame that has it is not beyond it."""
        return math.floor(self.value * 10**LOWEST_DIGITS) / 10**LOWEST_DIGITS


def lowest_shapes(samples: Iterable[Sample]) -> list[Lowest]:
    """The least simple and the least convex reference of LV and EPI.

    Args:
        samples: with labels and pixel pitch; others are passed over.
    """
    shapes: dict[str, dict[str, Shape]] = {border: {} for border in BORDERS}
    defective: dict[str, list[str]] = {border: [] for border in BORDERS}
    for sample in samples:
        if sample.labels is None or sample.spacing_mm is None:
            continue
        labels = valve_as_blood(sample.labels)
        for border in BORDERS:
            mask = mask_of(labels, SHAPED[border])
            if mask.any():
                shape, has_defect = _without_defect(mask, sample.spacing_mm)
                shapes[border][sample.case_id] = shape
                defective[border] += [sample.case_id] * has_defect
    return [
        _lowest(border, measure, {case: getattr(shape, measure) for case, shape in found.items()}, defective[border])
        for border, found in shapes.items()
        for measure in MEASURES
        if found
    ]


def _without_defect(mask: Bools, spacing_mm: tuple[float, float]) -> tuple[Shape, bool]:
    shape = shape_of(mask, spacing_mm)
    opened = cv2.morphologyEx(mask.view(np.uint8), cv2.MORPH_OPEN, np.ones((3, 3), np.uint8)) > 0
    cleared = shape_of(opened, spacing_mm)
    has_defect = cleared.convexity - shape.convexity > DEFECT
    return (cleared, True) if has_defect else (shape, False)


def _lowest(structure: str, measure: str, values: Mapping[str, float], defective: Sequence[str]) -> Lowest:
    case = min(values, key=values.__getitem__)
    every = np.array(list(values.values()))
    first, median = np.percentile(every, [1, 50]).tolist()
    return Lowest(structure, measure, values[case], case, first, median, len(every), tuple(defective))


def _labelled(dataset: Dataset) -> Iterator[Sample]:
    cases = [case for case in dataset.cases if case.label_path is not None]
    return (dataset.load(case) for case in progress(cases, label="measuring", unit="masks"))


def main(argv: Sequence[str] | None = None) -> int:
    """The command line; see `--help`."""
    parser = argparse.ArgumentParser(
        prog="python -m evaluation.bounds",
        description="Measures the least simple and the least convex LV and EPI among a data set's reference masks.",
    )
    parser.add_argument("spec", metavar="SPEC", help="phantom, phantom:PATH, camus:PATH or labelme:PATH")
    parser.add_argument(
        "--out", metavar="FILE", type=Path, help="writes all bounds, these among them, for evaluate.py --bounds"
    )
    add_debug_option(parser)
    arguments = parser.parse_args(argv)
    dataset = open_dataset(arguments.spec, structures=(Structure.LV, Structure.MYO))
    found = lowest_shapes(_labelled(dataset))
    if not found:
        raise UserError(f"{arguments.spec}: no reference mask with a known pixel pitch; nothing to measure bounds on")
    print(f"{'':4} {'':11} {'lowest':>7} {'1 %':>7} {'median':>7} {'bound':>6}  lowest in")
    for item in found:
        figures = f"{item.value:7.4f} {item.first_percentile:7.4f} {item.median:7.4f} {item.bound:6.3f}"
        print(f"{item.structure:4} {item.measure:11} {figures}  {item.case} (of {item.frames} frames)")
    for border in BORDERS:
        if spurs := next((item.defective for item in found if item.structure == border), ()):
            print(f"{border} measured without a spur thinner than three pixels: {', '.join(spurs)}")
    if arguments.out is not None:
        measured = {
            f"{item.structure.lower()}_{item.measure}": Bound(
                item.bound, f"lowest of {item.frames} reference masks ({dataset.name} {dataset.digest()[:12]})"
            )
            for item in found
        }
        write_json(arguments.out, replace(Bounds(), **measured).to_dict())
        print(f"bounds: {arguments.out}")
    return 0


if __name__ == "__main__":
    run_command(main)
