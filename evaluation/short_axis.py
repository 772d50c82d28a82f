"""The rows of a patient's short-axis slices: where each lies, how well a volume is outlined, volumes, masses, EF."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import numpy.typing as npt

from data_pipeline.sample import Case, Phase, Sample, Structure, View, case_id
from evaluation.frames import DISTANCES, RATIOS, structure_members, structure_rows, subject_of
from evaluation.patients import VOLUME_UNITS, ejection_fraction
from evaluation.rows import (
    CORRECTED,
    DIAGNOSIS,
    NO_LV_IN_REFERENCE,
    NO_REFERENCE,
    NO_SPACING,
    NO_VOLUME,
    PATIENT,
    SEVERAL_FRAMES,
    SLICE,
    SLICES_DIFFER,
    UNREADABLE,
    VOLUME,
    CaseRow,
    Subject,
)
from metrics import overlap, surface
from metrics.agreement import percentiles
from postprocessing.short_axis import (
    Level,
    base_is_first,
    cavity_volume_ml,
    myocardial_mass_g,
    myocardium_share,
    slice_levels,
)

Labels = npt.NDArray[np.uint8]
Bools = npt.NDArray[np.bool_]

LEVEL, SHARE = "level", "myocardium_share"
LEVELS: Mapping[Level, int] = {Level.BASE: 1, Level.MID: 2, Level.APEX: 3}
"""What the rows of `level` hold."""
CRITERIA: Mapping[str, float] = {"basal_50": 0.5, "basal_100": 1.0}
"""The cmr_dense_unet paper's: how much of the LV's contour must lie in the myocardium for a slice to be kept."""
HAND = "corrected"
"""What a physician made of the prediction; of SLICE, whether that is anything else."""

VOLUME_RATIOS = ("dice", "iou", "cpa", "sensitivity")
OF_CRITERIA = (("dice", "sensitivity"), ("hausdorff",))
"""What there is of volumes without the slices that do not meet a criterion."""
IN_PLANE, IN_PLANE_MEDIAN = "hausdorff_in_plane", "hausdorff_in_plane_median"
CHAMBERS: Mapping[str, Structure] = {"LV": Structure.LV, "RV": Structure.RV}
MASSES = {Phase.ED: "mass_ed", Phase.ES: "mass_es"}
MASS_UNITS = dict.fromkeys(MASSES.values(), "g")
VOLUMES = {Phase.ED: "edv", Phase.ES: "esv"}


@dataclass(frozen=True, eq=False)
class Slice:
    """One slice, what was predicted on it, and what a physician made of that.

    Attributes:
        sample: with its reference labels, or without; of a short-axis view.
        predicted: (H, W) structure codes, native grid.
        corrected: the same after correction; None where nobody corrects.
    """

    sample: Sample
    predicted: Labels
    corrected: Labels | None = None


@dataclass(frozen=True, eq=False)
class _Stack:
    """The slices of one volume, whole and on one grid.

    Attributes:
        cases: id of each slice.
        labels: (S, H, W) structure codes by whose they are: `predicted`, `reference` where all slices have labels, and
            `corrected` where there are corrections.
        spacing_mm: (row, col); None where unknown.
        distance_mm: from slice to slice.
    """

    cases: tuple[str, ...]
    labels: Mapping[str, Labels]
    spacing_mm: tuple[float, float] | None
    distance_mm: float


def short_axis_rows(
    slices: Sequence[Slice],
    slice_rows: Iterable[CaseRow],
    *,
    structures: Sequence[Structure],
    unreadable: Sequence[Case] = (),
) -> list[CaseRow]:
    """What there is to say of one patient's short-axis slices beyond what each frame has.

    Args:
        slices: all of the patient, of any phase, in any order; each with a correction or none of them.
        slice_rows: the rows that these frames have already: the in-plane Hausdorff distances are taken from them.
        structures: the classes predicted; EPI is added where LV and MYO are among them.
        unreadable: further slices of the patient, whose files cannot be read.

    Returns:
        Rows as `rows.py` describes them: SLICE of each slice, of each volume what ends in `_volume`, of the patient
        `edv esv ef` of LV and RV, `mass_ed mass_es` of MYO and the diagnosis; where there are corrections, all of it
        with `_corrected` too. ED and ES are looked for. A volume that lacks slices between its first and its last, or
        has them twice or on different grids, has no figure and a status that says so; so has the patient. Slices at the
        ends that the data set does not label are in no volume, neither the reference's nor the prediction's. A slice
        that is labelled and shows no heart is a slice like any other: nothing in both masks, or what the prediction has
        too much.

    Raises:
        ValueError: no slice at all, of several patients, or some with a correction and some without.

    Source: cmr_dense_unet paper §2.4, Tables 1–3; SCMR 2020 recommendations. Deviation: none; what it leaves open is
    ASSUMED in `postprocessing/short_axis.py` and docs/evaluation.md.
    """
    patients = {one.sample.patient_id for one in slices} | {case.patient_id for case in unreadable}
    if len(patients) != 1:
        raise ValueError(f"`slices` must be of one patient. Received: {', '.join(sorted(patients)) or 'none'}")
    corrections = {one.corrected is not None for one in slices}
    if len(corrections) > 1:
        raise ValueError("`slices` must all have a correction, or none. Received: some of either")
    patient = patients.pop()
    measured = ("predicted", HAND) if True in corrections else ("predicted",)
    by_phase = {phase: [one for one in slices if one.sample.phase is phase] for phase in VOLUMES}
    lost = {phase: [case for case in unreadable if case.phase is phase] for phase in VOLUMES}
    stacks = {phase: _stack(phase, found, lost[phase]) for phase, found in by_phase.items()}
    rows = _placed_rows(slices, by_phase)
    for case in unreadable:
        rows += _failed_slice(_subject_of_case(case), UNREADABLE)
    if HAND in measured:
        rows += _corrected_rows(slices, structures)
    in_plane = _in_plane([*slice_rows, *rows])
    for phase, stack in stacks.items():
        if by_phase[phase] or lost[phase]:  # else the patient's rows say that it is missing
            subject = Subject(case_id(patient, View.SAX, phase), patient, View.SAX.value, phase.value, "mm")
            for source in measured:
                rows += _volume_rows(subject, stack, structures, source, in_plane)
    subject = Subject(patient, patient, "", "", "mm")
    for source in ("reference", *measured):
        rows += _patient_rows(subject, stacks, structures, source)
    diagnoses = {one.sample.diagnosis for one in slices} | {case.diagnosis for case in unreadable}
    return rows + [subject.row(PATIENT, DIAGNOSIS + name, 1, "flag") for name in sorted(filter(None, diagnoses))]


def _stack(phase: Phase, slices: Sequence[Slice], lost: Sequence[Case]) -> _Stack | str:
    """The volume of a phase, or the status that says why there is none."""
    if lost:
        return UNREADABLE
    places = {one.sample.case_id: one.sample.volume_slice for one in slices}
    known = {case: place for case, place in places.items() if place is not None}
    if not known:
        return f"missing_{View.SAX.value}_{phase.value}"
    indices = [place.index for place in known.values()]
    if len(set(indices)) < len(slices):
        return SEVERAL_FRAMES
    if len({(place.count, place.distance_mm) for place in known.values()}) > 1:
        return SLICES_DIFFER
    first = next(iter(known.values()))
    if missing := sorted(set(range(min(indices), max(indices))) - set(indices)):
        return f"missing_{View.SAX.value}_{phase.value}_{'+'.join(f's{index:02d}' for index in missing)}"
    ordered = _in_order(slices)
    if len({(one.sample.image.shape, one.sample.spacing_mm) for one in ordered}) > 1:
        return SLICES_DIFFER
    sources = {
        "reference": [one.sample.labels for one in ordered if one.sample.labels is not None],
        "predicted": [one.predicted for one in ordered],
        HAND: [one.corrected for one in ordered if one.corrected is not None],
    }
    labels = {source: np.stack(maps) for source, maps in sources.items() if len(maps) == len(ordered)}
    cases = tuple(one.sample.case_id for one in ordered)
    return _Stack(cases, labels, ordered[0].sample.spacing_mm, first.distance_mm)


def _in_order(slices: Iterable[Slice]) -> list[Slice]:
    """From one end of the stack to the other; those that are of no stack are left out."""
    placed = [(one.sample.volume_slice.index, one) for one in slices if one.sample.volume_slice is not None]
    return [one for _, one in sorted(placed, key=lambda pair: pair[0])]


def _placed_rows(slices: Sequence[Slice], by_phase: Mapping[Phase, Sequence[Slice]]) -> list[CaseRow]:
    """SLICE: where each slice lies, by the reference."""
    stacks = [
        {one.sample.case_id: one.sample.labels for one in _in_order(found) if one.sample.labels is not None}
        for found in by_phase.values()
    ]
    is_base_first = base_is_first([list(stack.values()) for stack in stacks])
    levels: dict[str, Level | None] = {}
    for stack in stacks:
        placed = slice_levels(list(stack.values()), is_base_first=is_base_first)
        levels.update(zip(stack, placed, strict=True))
    rows: list[CaseRow] = []
    for one in slices:
        subject, labels = subject_of(one.sample), one.sample.labels
        if labels is None:
            rows += _failed_slice(subject, NO_REFERENCE)
        elif not (labels == Structure.LV).any():
            rows += _failed_slice(subject, NO_LV_IN_REFERENCE)
        else:
            level = levels.get(one.sample.case_id)
            share = myocardium_share(labels, one.sample.spacing_mm or (1.0, 1.0))
            rows.append(subject.row(SLICE, LEVEL, math.nan if level is None else LEVELS[level], "grade"))
            rows.append(subject.row(SLICE, SHARE, share, "ratio"))
            rows += [subject.row(SLICE, name, share >= least, "flag") for name, least in CRITERIA.items()]
    return rows


def _failed_slice(subject: Subject, status: str) -> list[CaseRow]:
    units = {LEVEL: "grade", SHARE: "ratio", **dict.fromkeys(CRITERIA, "flag")}
    return [subject.failed_row(SLICE, metric, unit, status) for metric, unit in units.items()]


def _subject_of_case(case: Case) -> Subject:
    view, phase = (part.value if part is not None else "" for part in (case.view, case.phase))
    return Subject(case.case_id, case.patient_id, view, phase, "mm")


def _corrected_rows(slices: Sequence[Slice], structures: Sequence[Structure]) -> list[CaseRow]:
    """Overlap and distance of each structure as corrected, and whether anything was changed."""
    rows: list[CaseRow] = []
    for one in slices:
        assert one.corrected is not None
        subject = subject_of(one.sample)
        found = structure_rows(subject, one.sample, one.corrected, structures)
        rows += [replace(row, metric=row.metric + CORRECTED) for row in found]
        rows.append(subject.row(SLICE, HAND, not np.array_equal(one.corrected, one.predicted), "flag"))
    return rows


def _in_plane(rows: Iterable[CaseRow]) -> Mapping[tuple[str, str, str], CaseRow]:
    """The slices' Hausdorff distances by case, structure and metric."""
    return {
        (row.case, row.structure, row.metric): row for row in rows if row.metric in ("hausdorff", "hausdorff_corrected")
    }


def _volume_rows(
    subject: Subject,
    stack: _Stack | str,
    structures: Sequence[Structure],
    source: str,
    in_plane: Mapping[tuple[str, str, str], CaseRow],
) -> list[CaseRow]:
    """Overlap and distance of each structure in three dimensions, of all slices and of those that meet a criterion."""
    end = CORRECTED if source == HAND else ""
    parts = {"": (VOLUME_RATIOS, tuple(DISTANCES)), **dict.fromkeys(CRITERIA, OF_CRITERIA)}
    rows: list[CaseRow] = []
    for structure, members in structure_members(structures).items():
        for criterion, (ratios, distances) in parts.items():
            suffix = VOLUME + criterion.removeprefix("basal") + end
            units = {name + suffix: "ratio" for name in ratios} | {name + suffix: "mm" for name in distances}
            if isinstance(stack, str) or "reference" not in stack.labels:
                status = stack if isinstance(stack, str) else NO_REFERENCE
                rows += [subject.failed_row(structure, metric, unit, status) for metric, unit in units.items()]
                continue
            kept = _meeting(stack, CRITERIA.get(criterion, 0.0))
            reference, measured = (
                np.isin(stack.labels[name], members) & kept[:, None, None] for name in ("reference", source)
            )
            counts = overlap.confusion_counts(reference, measured)
            rows += [subject.row(structure, name + suffix, RATIOS[name](counts), "ratio") for name in ratios]
            if stack.spacing_mm is None:
                rows += [subject.failed_row(structure, name + suffix, "mm", NO_SPACING) for name in distances]
                continue
            found = surface.volume_distances(reference, measured, stack.spacing_mm, stack.distance_mm)
            rows += [subject.row(structure, name + suffix, DISTANCES[name](found), "mm") for name in distances]
        rows += _in_plane_rows(subject, stack, structure, end, in_plane)
    return rows


def _in_plane_rows(
    subject: Subject,
    stack: _Stack | str,
    structure: str,
    end: str,
    in_plane: Mapping[tuple[str, str, str], CaseRow],
) -> list[CaseRow]:
    """The largest and the median of the slices' Hausdorff distances."""
    names = (IN_PLANE + VOLUME + end, IN_PLANE_MEDIAN + VOLUME + end)
    if isinstance(stack, str) or "reference" not in stack.labels or stack.spacing_mm is None:
        status = stack if isinstance(stack, str) else NO_SPACING if "reference" in stack.labels else NO_REFERENCE
        return [subject.failed_row(structure, name, "mm", status) for name in names]
    rows = [in_plane[case, structure, f"hausdorff{end}"] for case in stack.cases]
    values = [row.value for row in rows if row.value is not None]
    figures = (max(values, default=math.nan), percentiles(values).median)
    return [subject.row(structure, name, figure, "mm") for name, figure in zip(names, figures, strict=True)]


def _meeting(stack: _Stack, least: float) -> Bools:
    """(S,) which slices stay by a criterion: all whose reference shows no LV, or one with that share in myocardium."""
    shares = [myocardium_share(labels, stack.spacing_mm or (1.0, 1.0)) for labels in stack.labels["reference"]]
    return np.array([not share < least for share in shares])


def _patient_rows(
    subject: Subject, stacks: Mapping[Phase, _Stack | str], structures: Sequence[Structure], source: str
) -> list[CaseRow]:
    """Volumes, ejection fractions and masses by one of reference, prediction and correction."""
    rows: list[CaseRow] = []
    for name, structure in CHAMBERS.items():
        if structure not in structures:
            continue
        volumes = {
            phase: _measured(stack, source, structure, partial(cavity_volume_ml, code=structure))
            for phase, stack in stacks.items()
        }
        results = dict(zip(VOLUMES.values(), volumes.values(), strict=True))
        results["ef"] = ejection_fraction(volumes[Phase.ED], volumes[Phase.ES])
        rows += [_row(subject, name, f"{key}_{source}", result, VOLUME_UNITS[key]) for key, result in results.items()]
    if Structure.MYO in structures:
        for phase, key in MASSES.items():
            mass = _measured(stacks[phase], source, Structure.MYO, myocardial_mass_g)
            rows.append(_row(subject, "MYO", f"{key}_{source}", mass, MASS_UNITS[key]))
    return rows


def _measured(stack: _Stack | str, source: str, structure: Structure, measure: Callable[..., float]) -> float | str:
    """A volume or a mass, or the status that says why there is none."""
    if isinstance(stack, str):
        return stack
    if source not in stack.labels:
        return NO_REFERENCE
    if stack.spacing_mm is None:
        return NO_SPACING
    labels = stack.labels[source]
    if not (labels == structure).any():
        return NO_VOLUME
    return measure(labels, spacing_mm=stack.spacing_mm, slice_distance_mm=stack.distance_mm)


def _row(subject: Subject, structure: str, metric: str, result: float | str, unit: str) -> CaseRow:
    if isinstance(result, str):
        return subject.failed_row(structure, metric, unit, result)
    return subject.row(structure, metric, result, unit)
