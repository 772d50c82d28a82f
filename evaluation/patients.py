"""The rows of one patient: volumes of the left ventricle and the left atrium, and the ejection fraction."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from data_pipeline.sample import Phase, Sample, Structure, View
from evaluation.frames import LA_CUT, reference_measurement
from evaluation.rows import (
    CONSTRUCTED,
    NO_LA_CLASS,
    NO_REFERENCE,
    NO_REFERENCE_CONTACT_LINE,
    NO_SPACING,
    NO_VOLUME,
    NOT_FOUND_BY_NETWORK,
    SEVERAL_FRAMES,
    CaseRow,
    Subject,
)
from postprocessing.hinge_points import HingePoints
from postprocessing.measurement import FrameMeasurement
from postprocessing.ventricle_base import ventricle_base
from postprocessing.volumes import (
    ApicalView,
    Profile,
    area_length_ml,
    atrium_profile,
    discs_ml,
    ejection_fraction_percent,
    ventricle_profile,
)

VOLUME_UNITS = {"edv": "ml", "esv": "ml", "ef": "percent"}
VOLUME_VIEWS = (View.A4C, View.A2C)
LA_VOLUMES: Mapping[str, tuple[Callable[[Profile, Profile], float], tuple[View, ...]]] = {
    "lav": (area_length_ml, VOLUME_VIEWS),
    "lav_discs": (discs_ml, VOLUME_VIEWS),
    **{f"lav_{view.value.lower()}": (area_length_ml, (view,)) for view in VOLUME_VIEWS},
}
"""The left atrium's volumes, without their phase: by which formula, from which views."""
LA_VOLUME_UNITS = {f"{name}_{phase.value.lower()}": "ml" for name in LA_VOLUMES for phase in (Phase.ED, Phase.ES)}
LA_CUT_AT = {phase: f"{LA_CUT}_{phase.value.lower()}" for phase in (Phase.ED, Phase.ES)}
"""Whether the sector cuts the atrium in a view that the phase's volumes are of: they are then too small."""

Key = tuple[View, Phase]


def patient_rows(frames: Sequence[tuple[Sample, FrameMeasurement]]) -> list[CaseRow]:
    """Volumes and ejection fraction of one patient.

    Args:
        frames: all frames of the patient, each with its prediction, on the native grid. ED and ES of A4C and A2C are
            used; what is missing of them is named in the status. So is a view and phase that the patient has several
            frames of, as data sets of single pictures may: none of them is taken for the others.

    Returns:
        Of LV `edv`, `esv` (ml) and `ef` (percent), reference and predicted: biplane, then single-plane for each of the
        two views that the patient has; constructed where the truth is known. Of LA, where the network outlines it,
        `lav_{ed,es}` by area and length and `lav_discs_{ed,es}` by discs from both views, `lav_{a4c,a2c}_{ed,es}` by
        area and length from one; and `la_cut_by_sector_{ed,es}`, 1 where the sector cuts the atrium of either view, so
        that these volumes are too small.

    Raises:
        ValueError: no frame, frames of several patients, or a frame twice.

    Source: lu_net paper §IV-C (biplane Simpson); ASE 2015 recommendations for the atrium. Deviation: the single-plane
    estimates of the ventricle are ours. The axis leads from the middle of the annulus; where the network outlines no
    atrium, from the base that the ventricle itself shows (`postprocessing/ventricle_base.py`), in the prediction and
    in a reference without an atrium.
    """
    patients = {sample.patient_id for sample, _ in frames}
    if len(patients) != 1:
        raise ValueError(f"`frames` must be of one patient. Received: {', '.join(sorted(patients)) or 'none'}")
    patient = patients.pop()
    names = Counter(sample.case_id for sample, _ in frames)
    if twice := sorted(name for name, count in names.items() if count > 1):
        raise ValueError(f"`frames` must have each frame once. Received: {', '.join(twice)} twice")
    planes: dict[str, dict[Key, ApicalView | str]] = {"reference": {}, "predicted": {}}
    cut: dict[str, dict[Key, bool]] = {"reference": {}, "predicted": {}}
    truth: dict[str, float] = {}
    for sample, prediction in frames:
        if sample.truth is not None:
            stated = {"edv": sample.truth.edv_ml, "esv": sample.truth.esv_ml, "ef": sample.truth.ef_percent}
            truth.update({quantity: value for quantity, value in stated.items() if value is not None})
        if sample.view is None or sample.phase is None:
            continue
        key = (sample.view, sample.phase)
        if key in planes["predicted"]:
            for source in planes:
                planes[source][key] = SEVERAL_FRAMES
                cut[source].pop(key, None)
            continue
        reference = reference_measurement(sample, "left")  # the side names the points; a volume does not ask
        without_la = prediction.status == NO_LA_CLASS
        planes["predicted"][key] = _plane(prediction, sample.spacing_mm, prediction.status, without_la=without_la)
        planes["reference"][key] = (
            _plane(reference, sample.spacing_mm, NO_REFERENCE_CONTACT_LINE, without_la=without_la)
            if reference
            else NO_REFERENCE
        )
        cut["predicted"][key] = LA_CUT in prediction.flags
        cut["reference"][key] = reference is not None and LA_CUT in reference.flags
    rows: list[CaseRow] = []
    outlines_la = any(prediction.status not in NOT_FOUND_BY_NETWORK for _, prediction in frames)
    for source, by_frame in planes.items():
        ventricles = {key: _profile(plane, ventricle_profile) for key, plane in by_frame.items()}
        rows += _ventricle_rows(patient, ventricles, VOLUME_VIEWS, "", f"_{source}")
        for view in VOLUME_VIEWS:
            if any(seen == view for seen, _ in by_frame):
                rows += _ventricle_rows(patient, ventricles, (view,), view.value, f"_{view.value.lower()}_{source}")
        if outlines_la:
            atria = {key: _profile(plane, atrium_profile) for key, plane in by_frame.items()}
            rows += _atrium_rows(patient, atria, cut[source], f"_{source}")
    subject = Subject(patient, patient, "", "", "mm")
    return rows + [
        subject.row("LV", f"{name}{CONSTRUCTED}", value, VOLUME_UNITS[name]) for name, value in truth.items()
    ]


def _plane(
    measurement: FrameMeasurement, spacing_mm: tuple[float, float] | None, failure: str, *, without_la: bool
) -> ApicalView | str:
    """What a volume needs of a frame, or the status that says why it cannot be had."""
    if measurement.hinge_points is None and not without_la:
        return failure
    if spacing_mm is None:
        return NO_SPACING
    if measurement.hinge_points is not None:
        return ApicalView(measurement.label_map, measurement.hinge_points, spacing_mm)
    if not (measurement.label_map == Structure.LV).any():
        return NO_VOLUME
    base = ventricle_base(measurement.label_map, spacing_mm)
    return ApicalView(measurement.label_map, HingePoints(base, base), spacing_mm)  # a volume asks for their middle


def _profile(plane: ApicalView | str, profile_of: Callable[[ApicalView], Profile]) -> Profile | str:
    """A chamber of a frame, or the status that says why there is none."""
    if isinstance(plane, str):
        return plane
    try:
        return profile_of(plane)
    except ValueError:  # the spacing is valid, so it is the chamber: none, or one pixel on the annulus
        return NO_VOLUME


def _ventricle_rows(
    patient: str, profiles: Mapping[Key, Profile | str], views: Sequence[View], view_name: str, suffix: str
) -> list[CaseRow]:
    """EDV, ESV and EF from one view or two."""
    subject = Subject(patient, patient, view_name, "", "mm")
    edv = _volume_ml(profiles, views, Phase.ED, discs_ml)
    esv = _volume_ml(profiles, views, Phase.ES, discs_ml)
    results = {"edv": edv, "esv": esv, "ef": ejection_fraction(edv, esv)}
    return [_row(subject, "LV", name + suffix, result, VOLUME_UNITS[name]) for name, result in results.items()]


def _atrium_rows(
    patient: str, profiles: Mapping[Key, Profile | str], cut: Mapping[Key, bool], suffix: str
) -> list[CaseRow]:
    """The left atrium's volumes, from both views and from each that the patient has, and whether it is cut."""
    rows: list[CaseRow] = []
    for name, (formula, views) in LA_VOLUMES.items():
        if len(views) == 1 and not any(seen in views for seen, _ in profiles):
            continue
        subject = Subject(patient, patient, views[0].value if len(views) == 1 else "", "", "mm")
        for phase in LA_CUT_AT:
            result = _volume_ml(profiles, views, phase, formula)
            rows.append(_row(subject, "LA", f"{name}_{phase.value.lower()}{suffix}", result, "ml"))
    subject = Subject(patient, patient, "", "", "mm")
    for phase, metric in LA_CUT_AT.items():
        seen = [cut[view, phase] for view in VOLUME_VIEWS if (view, phase) in cut]
        if seen:
            rows.append(subject.row("LA", metric + suffix, any(seen), "flag"))
    return rows


def _row(subject: Subject, structure: str, metric: str, result: float | str, unit: str) -> CaseRow:
    if isinstance(result, str):
        return subject.failed_row(structure, metric, unit, result)
    return subject.row(structure, metric, result, unit)


def _volume_ml(
    profiles: Mapping[Key, Profile | str],
    views: Sequence[View],
    phase: Phase,
    formula: Callable[[Profile, Profile], float],
) -> float | str:
    """The volume in ml from one view or two, or the status that says why there is none."""
    missing = [f"{view.value}_{phase.value}" for view in views if (view, phase) not in profiles]
    if missing:
        return f"missing_{'+'.join(missing)}"
    found = [profiles[view, phase] for view in views]
    usable = [profile for profile in found if isinstance(profile, Profile)]
    if len(usable) < len(found):
        return next(profile for profile in found if isinstance(profile, str))
    return formula(usable[0], usable[-1])


def ejection_fraction(edv: float | str, esv: float | str) -> float | str:
    """EF in per cent, or the status of what it lacks; both frames' where both are missing."""
    if isinstance(edv, str) or isinstance(esv, str):
        lacking = [status for status in (edv, esv) if isinstance(status, str)]
        if all(status.startswith("missing_") for status in lacking):
            return "missing_" + "+".join(status.removeprefix("missing_") for status in lacking)
        return next(status for status in lacking if not status.startswith("missing_"))
    return ejection_fraction_percent(edv, esv) if edv > 0 else NO_VOLUME
