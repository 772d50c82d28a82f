"""Looks for what is wrong with a data set: `python -m data_pipeline.check SPEC`."""

import argparse
import hashlib
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from data_pipeline.datasets.camus import UnusableFoldError
from data_pipeline.sample import Case, Phase, Sample, Structure, View
from data_pipeline.spec import Dataset, open_dataset
from data_pipeline.splits import FOLDS, checked_fold, shorten
from postprocessing.contact_line import ContactLineNotFound, pixel_contact_line
from postprocessing.valve import valve_as_blood
from shell.command import add_debug_option, run_command
from shell.errors import UserError
from shell.progress import progress

EXPECTED = (Structure.LV, Structure.MYO, Structure.LA)  # in every apical view, where the data set labels them at all

ACROSS = "It may be trained and tested on: remove one."

EPILOG = """\
one line per finding, on standard output:
  SEVERITY  CASE  FILE: rule. Received: value. What to do.

errors (the frame cannot be used, or a result made with it would be wrong):
  missing or unreadable file, empty or truncated file, image without mask or mask without image, volume or sequence
  where one frame is needed, pixel pitch that is not positive, NaN pixels, label outside the code book, label that is
  not a whole number, mask of another size or pitch than its image, one image under two patients, a patient in two
  parts of a split, an official fold that was asked for and leaves a part empty; LabelMe: a shape whose name has no
  meaning or that has no area; ACDC: slice distance that is not positive, ED and ES of different size

warnings (usable, but have a look):
  LV, MYO or LA empty in an apical view, LV and LA without contact (no hinge points), ED LV smaller than ES LV
  (area in mm2, of slices volume in ml), one image twice under one patient, frames without mask, masks without any
  structure, frames without pixel pitch, slices of one volume within 0..255 and beyond, an official fold without
  patients in one part, patients in no official list, pictures that nobody labelled

exit code: 0 no error (warnings may be there), 1 errors, 2 wrong usage

example:
  python -m data_pipeline.check phantom
  python -m data_pipeline.check 'camus:../data/camus?splits=../data/camus_splits' --fold 5
  python -m data_pipeline.check acdc:../data/acdc
  python -m data_pipeline.check labelme:../data/valves --structures LV LA MV
"""


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong.

    Attributes:
        severity: `error` or `warning`.
        case: case id, patient id or `dataset`.
        message: file, rule, received value and mend, on one line.
    """

    severity: Literal["error", "warning"]
    case: str
    message: str

    def __str__(self):
        return f"{self.severity:<7}  {self.case}  {' '.join(self.message.split())}"


@dataclass(frozen=True)
class LVSize:
    """How large the LV is: its area in a frame, mm², or pixels where the pitch is unknown; its volume in slices, ml."""

    case: Case
    size: float
    unit: Literal["mm2", "px", "ml"]


def check_dataset(dataset: Dataset, fold: int | None = None) -> Iterator[Finding]:
    """Decodes every frame once and yields what it finds, as it finds it; memory stays flat.

    Args:
        dataset: opened with `complete=False`, so that missing files are found one by one.
        fold: the official fold that is to be used (1..10); without it all ten are checked, if there are lists.
    """
    cases_of_image: defaultdict[str, list[Case]] = defaultdict(list)
    lv_sizes: defaultdict[tuple[str, View | None], dict[Phase | None, LVSize]] = defaultdict(dict)
    scales: defaultdict[Path, set[bool]] = defaultdict(set)
    unlabelled = no_pitch = without_heart = 0
    yield from _check_splits(dataset, fold)
    for case in progress(dataset.cases, label="checking", unit="frames"):
        try:
            sample = dataset.load(case)
        except UserError as error:
            yield Finding("error", case.case_id, str(error))
            continue
        content = repr(sample.image.shape).encode() + sample.image.tobytes()
        if case.slice_index is None or sample.image.min() < sample.image.max():  # beyond the heart slices may be blank
            cases_of_image[hashlib.sha256(content).hexdigest()].append(case)
        no_pitch += sample.spacing_mm is None
        if case.slice_index is not None and (is_8_bit := _is_8_bit(sample.image)) is not None:
            scales[case.image_path].add(is_8_bit)
        if sample.labels is None:
            unlabelled += 1
            continue
        yield from _check_structures(case, sample.labels, dataset.structures)
        without_heart += sample.is_without_heart
        of_phase = lv_sizes[case.patient_id, case.view]
        of_phase[case.phase] = _lv_size(case, sample, before=of_phase.get(case.phase))
    yield from _check_contraction(lv_sizes)
    yield from _check_duplicates(cases_of_image)
    for remark in dataset.remarks:
        yield Finding("warning", "dataset", remark)
    total = len(dataset.cases)
    if unlabelled:
        mend = "Such frames can be measured, not trained or evaluated on."
        yield Finding(
            "warning",
            "dataset",
            f"{dataset.root}: frames have masks. Received: {unlabelled} of {total} without. {mend}",
        )
    if without_heart:
        mend = "They are trained and measured on as background; beyond base and apex that is what they are."
        yield Finding(
            "warning",
            "dataset",
            f"{dataset.root}: masks show a structure. Received: {without_heart} of {total} without any. {mend}",
        )
    if mixed := [str(path) for path, kinds in scales.items() if len(kinds) > 1]:
        yield Finding(
            "warning",
            "dataset",
            f"{dataset.root}: slices of a volume have ranges of one kind. Received: within 0..255 and beyond in "
            f"{len(mixed)} volume(s): {shorten(mixed, 3)}. Train with --set normalise=minmax (docs/data.md).",
        )
    if no_pitch:
        mend = "Their lengths will be in px."
        yield Finding(
            "warning",
            "dataset",
            f"{dataset.root}: frames have a pixel pitch. Received: {no_pitch} of {total} without. {mend}",
        )


def _is_8_bit(image: npt.NDArray[np.float32]) -> bool | None:
    """Whether `normalise=unit` takes a slice for an 8-bit one; None of one that is blank or scaled to 0..1 already."""
    low, high = float(image.min()), float(image.max())
    return None if low == high or (low >= 0 and high <= 1) else low >= 0 and high <= 255


def _check_splits(dataset: Dataset, fold: int | None) -> Iterator[Finding]:
    patients = {case.patient_id for case in dataset.cases}
    listed: set[str] = set()
    for k in range(1, FOLDS + 1) if fold is None else [checked_fold(fold)]:
        try:
            split = dataset.official_split(k)
        except UnusableFoldError as error:
            yield Finding("warning" if fold is None else "error", "dataset", str(error))
            continue
        except UserError as error:
            yield Finding("error", "dataset", str(error))
            continue
        if split is None:
            return
        listed.update(split.of("all"))
    if listed and (unlisted := sorted(patients - listed)):
        received = f"{len(unlisted)} in no list: {shorten(unlisted)}"
        message = f"{dataset.root}: every patient is in an official list. Received: {received}. A fold leaves them out."
        yield Finding("warning", "dataset", message)


def _check_structures(case: Case, labels: npt.NDArray[np.uint8], structures: Sequence[Structure]) -> Iterator[Finding]:
    if case.view is View.SAX:
        return
    expected = [structure for structure in EXPECTED if structure in structures]
    empty = [structure for structure in expected if not np.any(labels == structure)]
    if empty:
        rule = f"an apical mask holds {_listed(expected)}"
        message = f"{case.label_path}: {rule}. Received: no {', '.join(one.name for one in empty)}. Look at the mask."
        yield Finding("warning", case.case_id, message)
    if {Structure.LV, Structure.LA} - set(expected) or {Structure.LV, Structure.LA} & set(empty):
        return
    try:
        pixel_contact_line(valve_as_blood(labels))
    except ContactLineNotFound:
        rule = "LV and LA touch at the mitral annulus"
        message = f"{case.label_path}: {rule}. Received: no contact. The frame has no hinge points; look at the mask."
        yield Finding("warning", case.case_id, message)


def _lv_size(case: Case, sample: Sample, before: LVSize | None) -> LVSize:
    """The LV's area; of a slice, its volume together with that of the slices before."""
    assert sample.labels is not None
    row_mm, col_mm = sample.spacing_mm or (1.0, 1.0)
    area = float(np.count_nonzero(valve_as_blood(sample.labels) == Structure.LV)) * row_mm * col_mm
    if sample.volume_slice is None:
        return LVSize(case, area, "mm2" if sample.spacing_mm else "px")
    volume = area * sample.volume_slice.distance_mm / 1000
    return LVSize(case, volume + (before.size if before else 0.0), "ml")


def _listed(structures: Sequence[Structure]) -> str:
    """`LV, MYO and LA`."""
    *first, last = (structure.name for structure in structures)
    return f"{', '.join(first)} and {last}" if first else last


def _check_contraction(sizes: dict[tuple[str, View | None], dict[Phase | None, LVSize]]) -> Iterator[Finding]:
    for of_phase in sizes.values():
        ed, es = of_phase.get(Phase.ED), of_phase.get(Phase.ES)
        if ed is not None and es is not None and ed.unit == es.unit and ed.size < es.size:
            received = f"{ed.size:.0f} {ed.unit} at ED, {es.size:.0f} {es.unit} at ES"
            message = f"{ed.case.label_path}: the LV is larger at ED. Received: {received}. Are ED and ES exchanged?"
            yield Finding("warning", ed.case.case_id, message)


def _check_duplicates(cases_of_image: dict[str, list[Case]]) -> Iterator[Finding]:
    slices: defaultdict[tuple[str, ...], list[list[Case]]] = defaultdict(list)
    for cases in cases_of_image.values():
        first, *others = cases
        if not others:
            continue
        patients = sorted({case.patient_id for case in cases})
        if first.slice_index is not None:
            slices[tuple(patients)].append(cases)  # whole volumes are alike, and one finding says so
            continue
        names = shorten([case.case_id for case in others])
        mend = ACROSS if len(patients) > 1 else "Is one of them the wrong frame?"
        message = f"{first.image_path}: an image is there once. Received: the same pixels as {names}. {mend}"
        yield Finding("error" if len(patients) > 1 else "warning", first.case_id, message)
    for patients, groups in slices.items():
        first, other = groups[0][0], groups[0][1]
        alike = f"{len(groups)} slice(s), the first as {other.case_id}"
        if len(patients) > 1:
            rule = f"{first.image_path}: no slice is in two patients"
            message = f"{rule}. Received: the same pixels in {', '.join(patients)}, {alike}. {ACROSS}"
            yield Finding("error", first.case_id, message)
        else:
            rule = f"{first.image_path}: a slice is there once"
            message = f"{rule}. Received: the same pixels twice, {alike}. Is one of them the wrong volume?"
            yield Finding("warning", first.case_id, message)


def main(argv: Sequence[str] | None = None) -> int:
    """Prints the findings and a summary; returns 1 if one of them is an error."""
    parser = argparse.ArgumentParser(
        prog="python -m data_pipeline.check",
        description="Checks a data set's integrity: every frame, every mask, every official split.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "spec",
        metavar="SPEC",
        help="phantom, phantom:PATH, camus:PATH, camus:PATH?splits=DIR, acdc:PATH, acdc:PATH?without=PATIENT, "
        "sunnybrook:PATH, "
        "labelme:PATH or labelme:PATH?labels=FILE",
    )
    parser.add_argument(
        "--structures",
        nargs="+",
        choices=[structure.name for structure in Structure if structure is not Structure.BACKGROUND],
        metavar="NAME",
        help="check the labels that these need (MV: the simulated leaflets), and that they are there",
    )
    parser.add_argument("--fold", type=int, metavar="K", help="check the official fold K (1..10) alone, and strictly")
    add_debug_option(parser)
    arguments = parser.parse_args(argv)
    begun = time.monotonic()
    structures = [Structure[name] for name in arguments.structures or ()]
    dataset = open_dataset(arguments.spec, complete=False, structures=structures)
    counts: Counter[str] = Counter()
    for finding in check_dataset(dataset, arguments.fold):
        counts[finding.severity] += 1
        print(finding, flush=True)
    patients = len({case.patient_id for case in dataset.cases})
    print(
        f"{dataset.root}: {len(dataset.cases)} frames of {patients} patients, {counts['error']} error(s), "
        f"{counts['warning']} warning(s), {time.monotonic() - begun:.1f} s"
    )
    return 1 if counts["error"] else 0


if __name__ == "__main__":
    run_command(main)
