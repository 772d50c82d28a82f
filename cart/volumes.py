"""Short-axis volumes through a network, slice by slice: label maps, cavity volumes, mass, ejection fractions.

Each slice goes through the very chain of `evaluate.py`: the same square around the heart, the same preprocessing, the
label map on the slice's own grid. No TensorFlow.
"""

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from cart.examinations import Examination, Request, Stack, requests_of, stem
from cart.measure import MeasurementSpec, Predictor, measure_outputs, network_outputs, require_no_reference
from cart.records import FAILED, Record
from data_pipeline.preprocess import Region, square_around
from data_pipeline.readers.frame import RawFrame
from data_pipeline.readers.image import image_of
from data_pipeline.readers.label_volume import write_labels, write_labels_like
from data_pipeline.sample import Phase, Structure, View
from postprocessing.short_axis import cavity_volume_ml, myocardial_mass_g
from postprocessing.volumes import ejection_fraction_percent
from shell.command import describe
from shell.errors import UserError
from shell.progress import progress

SHORT_AXIS_VOLUME = "short_axis_volume"
"""`kind` of such a record; a record of an image has none."""
LARGEST_AND_SMALLEST = "largest and smallest predicted LV volume"
VENTRICLES = (Structure.LV, Structure.RV)
FLAGS: Mapping[str, str] = {
    "lv_missing": "no pixel of the stack is LV",
    "rv_missing": "no pixel of the stack is RV",
    "myo_missing": "no pixel of the stack is MYO",
    "slices_without_lv_between": "LV above and below a slice that has none",
    "at_edge_of_crop": "a structure reaches the edge of the square that the network sees: it may be cut off",
    "mixed_intensity_scales": "by `normalise=unit` some slices count as 8-bit and others not; see docs/data.md",
}
"""What a volume may carry as flags: it stands, but look at it. Flag → what it says."""


@dataclass(frozen=True, eq=False)
class MeasuredStack:
    """What was measured on one stack.

    Attributes:
        stack: with its phase, where that is known by now.
        label_maps: (S, H, W) uint8 structure codes, native grid.
        volume_ml: of each ventricle that the network outlines; None where no pixel is of it.
        myocardial_mass_g: None where no pixel is MYO, or the network has no such class.
        flags: keys of `FLAGS`.
    """

    stack: Stack
    label_maps: npt.NDArray[np.uint8]
    volume_ml: Mapping[Structure, float | None]
    myocardial_mass_g: float | None
    flags: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class MeasuredExamination:
    """What was measured on one heart.

    Attributes:
        examination: what was read, `phases_from` as it is now.
        stacks: measured, in the examination's order.
        ef_percent: of each ventricle; None where ED or ES is not known, or has no volume.
    """

    examination: Examination
    stacks: tuple[MeasuredStack, ...]
    ef_percent: Mapping[Structure, float | None]

    def at(self, phase: Phase) -> MeasuredStack | None:
        """The stack of a phase, or None."""
        return next((one for one in self.stacks if one.stack.phase is phase), None)


@dataclass(frozen=True)
class ExaminationResult:
    """What became of inputs that belong together: the record, and unless they failed what was measured."""

    record: Record
    measured: MeasuredExamination | None = None


def sees_short_axis(spec: MeasurementSpec) -> bool:
    """Whether a network is one of short-axis slices: it is cropped around a heart, or has the RV and no atrium."""
    lacks_atrium = Structure.RV in spec.structures and Structure.LA not in spec.structures
    return spec.segments and (spec.crop_mm is not None or lacks_atrium)


def measure_examinations(
    paths: Iterable[Path], *, predictor: Predictor, spec: MeasurementSpec, spacing_mm: tuple[float, float] | None = None
) -> Iterator[ExaminationResult]:
    """Measures the hearts that the inputs are of. One that fails gives a result that says so; the next is measured.

    Args:
        paths: volumes, cines, ACDC patients' folders, DICOM series; see `examinations.requests_of`.
        predictor: the network.
        spec: how it is measured.
        spacing_mm: (row, col), overrides the files' own pitch.
    """
    for request in requests_of(paths):
        try:
            examination = request.read()
            if spacing_mm is not None:
                examination = replace(examination, spacing_mm=spacing_mm)
            measured = measure_examination(examination, predictor=predictor, spec=spec)
        except (UserError, OSError, ValueError) as error:
            yield ExaminationResult(_failure(request, describe(error)))
        else:
            yield ExaminationResult(examination_record(request.inputs, measured, spec), measured)


def measure_examination(
    examination: Examination, *, predictor: Predictor, spec: MeasurementSpec
) -> MeasuredExamination:
    """Label maps, volumes and ejection fractions of one heart.

    Where nothing tells the phases of a cine, ED is the time of the largest predicted LV and ES that of the smallest.

    Raises:
        UserError: pixels that are not finite, a network's output that is not; a network that needs a reference.
    """
    require_no_reference(spec)
    slices = [(stack, index) for stack in examination.stacks for index in range(len(stack.array))]
    maps: dict[int, list[npt.NDArray[np.uint8]]] = {id(stack): [] for stack in examination.stacks}
    shape = examination.stacks[0].array.shape
    region = region_of(examination, spec)
    for stack, index in progress(slices, label=f"measure {examination.name}", unit="slices"):
        maps[id(stack)].append(label_map_of(stack, index, examination, region, predictor=predictor, spec=spec))
    stacks = [
        _measured_stack(stack, np.stack(maps[id(stack)]).reshape(shape), examination, region, spec)
        for stack in examination.stacks
    ]
    if examination.phases_from is None and examination.is_cine:
        stacks, phases_from = _phases_by_volume(stacks)
        examination = replace(examination, phases_from=phases_from)
    return MeasuredExamination(
        examination,
        tuple(stacks),
        {ventricle: _ejection_fraction(stacks, ventricle) for ventricle in VENTRICLES if ventricle in spec.structures},
    )


def region_of(examination: Examination, spec: MeasurementSpec) -> Region | None:
    """The square around the heart that the network sees, the same one of every slice; None: the whole slice."""
    if spec.crop_mm is None:
        return None
    height, width = examination.stacks[0].array.shape[1:]
    return square_around(examination.centre, (height, width), examination.spacing_mm, spec.crop_mm)


def label_map_of(
    stack: Stack,
    index: int,
    examination: Examination,
    region: Region | None,
    *,
    predictor: Predictor,
    spec: MeasurementSpec,
) -> npt.NDArray[np.uint8]:
    """(H, W) structure codes of one slice, whatever the other slices show."""
    image = image_of(stack.path, RawFrame(stack.array[index], examination.spacing_mm)).array
    outputs = network_outputs(image, predictor=predictor, spec=spec, region=region)
    found = measure_outputs(outputs, image, examination.spacing_mm, View.SAX, stack.phase, spec=spec, region=region)
    return found.frame.label_map


def _measured_stack(
    stack: Stack,
    label_maps: npt.NDArray[np.uint8],
    examination: Examination,
    region: Region | None,
    spec: MeasurementSpec,
) -> MeasuredStack:
    pitch, distance = examination.spacing_mm, examination.slice_distance_mm
    present = {structure for structure in spec.structures if structure and (label_maps == structure).any()}
    volumes = {
        ventricle: cavity_volume_ml(label_maps, ventricle, pitch, distance) if ventricle in present else None
        for ventricle in VENTRICLES
        if ventricle in spec.structures
    }
    mass = myocardial_mass_g(label_maps, pitch, distance) if Structure.MYO in present else None
    flags = {
        f"{structure.name.lower()}_missing"
        for structure in (*VENTRICLES, Structure.MYO)
        if structure in spec.structures and structure not in present
    }
    with_lv = np.flatnonzero((label_maps == Structure.LV).any(axis=(1, 2)))
    if len(with_lv) and len(with_lv) < with_lv[-1] - with_lv[0] + 1:
        flags.add("slices_without_lv_between")
    if region is not None and _reaches(label_maps, region):
        flags.add("at_edge_of_crop")
    if spec.preprocessing.normalise == "unit" and mixed_scales(stack.array):
        flags.add("mixed_intensity_scales")
    return MeasuredStack(stack, label_maps, volumes, mass, tuple(flag for flag in FLAGS if flag in flags))


def mixed_scales(slices: npt.NDArray[Any]) -> bool:
    """Whether `normalise=unit` judges the intensities of a stack's slices (S, H, W) differently: 8-bit, or not.

    Slices of one value count for neither.
    """
    lows, highs = (one.astype(np.float64) for one in (slices.min(axis=(1, 2)), slices.max(axis=(1, 2))))
    telling = highs > lows
    is_small = (lows >= 0) & (highs <= 255)
    return bool((is_small & telling).any() and (~is_small & telling).any())


def _reaches(label_maps: npt.NDArray[np.uint8], region: Region) -> bool:
    """Whether a structure is labelled in the outermost pixels of a region that lie within the image."""
    marked = label_maps.any(axis=0)
    for axis, (start, end) in enumerate(((region[0], region[1]), (region[2], region[3]))):
        side = marked.shape[axis]
        outermost = [math.ceil(start - 0.5)] if start > 0 else []
        outermost += [math.floor(end - 0.5)] if end < side else []
        if any(0 <= pixel < side and marked.take(pixel, axis=axis).any() for pixel in outermost):
            return True
    return False


def _phases_by_volume(stacks: list[MeasuredStack]) -> tuple[list[MeasuredStack], str | None]:
    """A cine's stacks with ED and ES where the predicted LV is largest and smallest."""
    sizes = {number: volume for number, one in enumerate(stacks) if (volume := one.volume_ml.get(Structure.LV))}
    if len(sizes) < 2:
        return stacks, None
    largest, smallest = max(sizes, key=lambda number: sizes[number]), min(sizes, key=lambda number: sizes[number])
    named = list(stacks)
    for phase, number in ((Phase.ED, largest), (Phase.ES, smallest)):
        named[number] = replace(stacks[number], stack=replace(stacks[number].stack, phase=phase))
    return named, LARGEST_AND_SMALLEST


def _ejection_fraction(stacks: list[MeasuredStack], ventricle: Structure) -> float | None:
    volume = {one.stack.phase: one.volume_ml[ventricle] for one in stacks if one.stack.phase is not None}
    edv, esv = volume.get(Phase.ED), volume.get(Phase.ES)
    return None if edv is None or esv is None else ejection_fraction_percent(edv, esv)


def write_label_volumes(folder: Path, measured: MeasuredExamination, taken: set[str]) -> dict[Path, str]:
    """Writes the label maps as NIfTI, one file for each image file or series, on its very grid.

    Args:
        folder: to write into.
        measured: what was found.
        taken: names that are used already; the new ones are added.

    Returns:
        Image file or folder of the series → name of its labels' file.
    """
    examination, files = measured.examination, {}
    for path in dict.fromkeys(one.stack.path for one in measured.stacks):
        own = [one for one in measured.stacks if one.stack.path == path]
        labels = np.stack([one.label_maps for one in own])
        base = examination.name if examination.affine is not None else stem(path)
        name, number = f"{base}_labels.nii.gz", 2
        while name in taken:
            name, number = f"{base}_{number}_labels.nii.gz", number + 1
        taken.add(name)
        if examination.affine is None:
            write_labels_like(folder / name, labels, path)
        else:
            write_labels(folder / name, labels, examination.affine, frame_ms=_frame_ms(own))
        files[path] = name
    return files


def _frame_ms(stacks: list[MeasuredStack]) -> float | None:
    times = [one.stack.time_ms for one in stacks if one.stack.time_ms is not None]
    return float(np.median(np.diff(times))) if len(times) > 1 and len(times) == len(stacks) else None


def examination_record(inputs: Iterable[Path], measured: MeasuredExamination, spec: MeasurementSpec) -> Record:
    """One measured heart as plain JSON values."""
    examination = measured.examination
    stacks = [_stack_record(one, spec) for one in measured.stacks]
    record: Record = {
        "input": " ".join(str(path) for path in inputs),
        "inputs": [str(path) for path in inputs],
        "kind": SHORT_AXIS_VOLUME,
        "name": examination.name,
        "view": View.SAX.value,
        "status": "ok",
        "spacing_mm": list(examination.spacing_mm),
        "slice_distance_mm": examination.slice_distance_mm,
        "slices": len(examination.stacks[0].array),
        "times": len(examination.stacks),
        "label_codes": {str(int(one)): one.name for one in Structure if not one or one in spec.structures},
        "crop": {
            "side_mm": spec.crop_mm,
            "centre_px": list(examination.centre) if examination.centre else None,
            "centre_from": examination.centre_from,
        }
        if spec.crop_mm is not None
        else None,
        "phases_from": examination.phases_from,
        "volumes": stacks,
    }
    for ventricle, ef_percent in measured.ef_percent.items():
        ed, es = (measured.at(phase) for phase in (Phase.ED, Phase.ES))
        record[ventricle.name] = {
            "edv_ml": ed.volume_ml[ventricle] if ed else None,
            "esv_ml": es.volume_ml[ventricle] if es else None,
            "ef_percent": ef_percent,
        }
    return record


def _stack_record(one: MeasuredStack, spec: MeasurementSpec) -> Record:
    stack = one.stack
    record: Record = {
        "file": str(stack.path),
        "phase": stack.phase.value if stack.phase else None,
        "frame": stack.number,
        "time_ms": stack.time_ms,
        **{f"{ventricle.name.lower()}_ml": volume for ventricle, volume in one.volume_ml.items()},
    }
    if Structure.MYO in spec.structures:
        record["myo_mass_g"] = one.myocardial_mass_g
    return {**record, "flags": list(one.flags)}


def _failure(request: Request, message: str) -> Record:
    named = any(str(path) in message for path in request.inputs)
    return {
        "input": " ".join(str(path) for path in request.inputs),
        "inputs": [str(path) for path in request.inputs],
        "kind": SHORT_AXIS_VOLUME,
        "name": request.name,
        "status": FAILED,
        "error": message if named else f"{request.inputs[0]}: {message}",
    }


def volume_csv_rows(record: Record) -> list[dict[str, Any]]:
    """A record as flat rows of measurements.csv, one for each volume; what is absent is empty."""
    spacing = record.get("spacing_mm") or (None, None)
    common = {
        "input": record["input"],
        "name": record["name"],
        "view": record.get("view"),
        "spacing_row_mm": spacing[0],
        "spacing_col_mm": spacing[1],
        "slice_distance_mm": record.get("slice_distance_mm"),
        "slices": record.get("slices"),
        "status": record["status"],
    }
    tail = {
        "lv_ef_percent": (record.get("LV") or {}).get("ef_percent"),
        "rv_ef_percent": (record.get("RV") or {}).get("ef_percent"),
        "phases_from": record.get("phases_from"),
        "error": record.get("error"),
    }
    rows = [
        {
            **common,
            **{key: volume.get(key) for key in ("file", "phase", "frame", "time_ms", "lv_ml", "rv_ml", "myo_mass_g")},
            "flags": " ".join(volume.get("flags", ())),
            "labels": volume.get("labels"),
            **tail,
        }
        for volume in record.get("volumes") or [{}]
    ]
    return [{key: "" if value is None else value for key, value in row.items()} for row in rows]


def volume_summary_line(record: Record) -> str:
    """A record in one line for people: `patient001: SAX 10 slices; ED LV 295 ml, …; EF LV 23 %, RV 37 %`."""
    if record["status"] == FAILED:
        return f"failed: {record['error']}"
    parts = [f"{record['slices']} slices of {record['slice_distance_mm']:g} mm"]
    if record["times"] > 1:
        parts[0] += f", {record['times']} times"
    shown = [one for one in record["volumes"] if one["phase"]] or record["volumes"][:1]
    for volume in sorted(shown, key=lambda one: one["phase"] or ""):
        words = [f"{name} {volume[key]:.0f} {unit}" for name, key, unit in SHOWN if volume.get(key) is not None]
        flags = f" [{', '.join(volume['flags'])}]" if volume["flags"] else ""
        parts.append(f"{volume['phase'] or 'phase unknown:'} {', '.join(words) or 'no heart found'}{flags}")
    fractions = [
        f"{ventricle.name} {found['ef_percent']:.0f} %"
        for ventricle in VENTRICLES
        if (found := record.get(ventricle.name)) and found["ef_percent"] is not None
    ]
    if fractions:
        parts.append(f"EF {', '.join(fractions)} (ED and ES by {record['phases_from']})")
    return f"{record['input']}: SAX {'; '.join(parts)}"


SHOWN = (("LV", "lv_ml", "ml"), ("RV", "rv_ml", "ml"), ("MYO", "myo_mass_g", "g"))
"""Name, key and unit of what is said of a volume on a line."""
