"""The rows of one patient: volumes and ejection fraction."""

from collections import Counter
from collections.abc import Mapping, Sequence

from data_pipeline.sample import Phase, Sample, Structure, View
from evaluation.frames import reference_measurement
from evaluation.rows import (
    CONSTRUCTED,
    NO_LA_CLASS,
    NO_REFERENCE,
    NO_REFERENCE_CONTACT_LINE,
    NO_SPACING,
    NO_VOLUME,
    SEVERAL_FRAMES,
    CaseRow,
    Subject,
)
from postprocessing.hinge_points import HingePoints
from postprocessing.measurement import FrameMeasurement
from postprocessing.ventricle_base import ventricle_base
from postprocessing.volumes import ApicalView, ejection_fraction_percent, simpson_biplane_ml, single_plane_ml

VOLUME_UNITS = {"edv": "ml", "esv": "ml", "ef": "percent"}
VOLUME_VIEWS = (View.A4C, View.A2C)


def patient_rows(frames: Sequence[tuple[Sample, FrameMeasurement]]) -> list[CaseRow]:
    """Volumes and ejection fraction of one patient.

    Args:
        frames: all frames of the patient, each with its prediction, on the native grid. ED and ES of A4C and A2C are
            used; what is missing of them is named in the status. So is a view and phase that the patient has several
            frames of, as data sets of single pictures may: none of them is taken for the others.

    Returns:
        `edv`, `esv` (ml) and `ef` (percent), reference and predicted: biplane, then single-plane for each of the two
        views that the patient has; constructed where the truth is known.

    Raises:
        ValueError: no frame, frames of several patients, or a frame twice.

    Source: lu_net paper §IV-C (biplane Simpson). Deviation: the single-plane estimates are ours. The axis leads from
    the middle of the annulus; where the network outlines no atrium, from the base that the ventricle itself shows
    (`postprocessing/ventricle_base.py`), in the prediction and in a reference without an atrium.
    """
    patients = {sample.patient_id for sample, _ in frames}
    if len(patients) != 1:
        raise ValueError(f"`frames` must be of one patient. Received: {', '.join(sorted(patients)) or 'none'}")
    patient = patients.pop()
    names = Counter(sample.case_id for sample, _ in frames)
    if twice := sorted(name for name, count in names.items() if count > 1):
        raise ValueError(f"`frames` must have each frame once. Received: {', '.join(twice)} twice")
    planes: dict[str, dict[tuple[View, Phase], ApicalView | str]] = {"reference": {}, "predicted": {}}
    truth: dict[str, float] = {}
    for sample, prediction in frames:
        if sample.truth is not None:
            stated = {"edv": sample.truth.edv_ml, "esv": sample.truth.esv_ml, "ef": sample.truth.ef_percent}
            truth.update({quantity: value for quantity, value in stated.items() if value is not None})
        if sample.view is None or sample.phase is None:
            continue
        key = (sample.view, sample.phase)
        if key in planes["predicted"]:
            planes["predicted"][key] = planes["reference"][key] = SEVERAL_FRAMES
            continue
        reference = reference_measurement(sample, "left")  # the side names the points; a volume does not ask
        without_la = prediction.status == NO_LA_CLASS
        planes["predicted"][key] = _plane(prediction, sample.spacing_mm, prediction.status, without_la=without_la)
        planes["reference"][key] = (
            _plane(reference, sample.spacing_mm, NO_REFERENCE_CONTACT_LINE, without_la=without_la)
            if reference
            else NO_REFERENCE
        )
    rows: list[CaseRow] = []
    for source, by_frame in planes.items():
        rows += _volume_rows(patient, by_frame, VOLUME_VIEWS, "", f"_{source}")
        for view in VOLUME_VIEWS:
            if any(seen == view for seen, _ in by_frame):
                rows += _volume_rows(patient, by_frame, (view,), view.value, f"_{view.value.lower()}_{source}")
    frame = Subject(patient, patient, "", "", "mm")
    return rows + [frame.row("LV", f"{name}{CONSTRUCTED}", value, VOLUME_UNITS[name]) for name, value in truth.items()]


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


def _volume_rows(
    patient: str,
    planes: Mapping[tuple[View, Phase], ApicalView | str],
    views: Sequence[View],
    view_name: str,
    suffix: str,
) -> list[CaseRow]:
    """EDV, ESV and EF from one view or two."""
    frame = Subject(patient, patient, view_name, "", "mm")
    edv = _volume_ml(planes, views, Phase.ED)
    esv = _volume_ml(planes, views, Phase.ES)
    rows: list[CaseRow] = []
    for quantity, result in (("edv", edv), ("esv", esv), ("ef", _ejection_fraction(edv, esv))):
        metric, unit = quantity + suffix, VOLUME_UNITS[quantity]
        if isinstance(result, str):
            rows.append(frame.failed_row("LV", metric, unit, result))
        else:
            rows.append(frame.row("LV", metric, result, unit))
    return rows


def _volume_ml(
    planes: Mapping[tuple[View, Phase], ApicalView | str], views: Sequence[View], phase: Phase
) -> float | str:
    """The volume in ml, or the status that says why there is none."""
    missing = [f"{view.value}_{phase.value}" for view in views if (view, phase) not in planes]
    if missing:
        return f"missing_{'+'.join(missing)}"
    found = [planes[view, phase] for view in views]
    usable = [plane for plane in found if isinstance(plane, ApicalView)]
    if len(usable) < len(found):
        return next(plane for plane in found if isinstance(plane, str))
    try:
        return single_plane_ml(usable[0]) if len(usable) == 1 else simpson_biplane_ml(usable[0], usable[1])
    except ValueError:  # the spacing is valid, so it is the ventricle: a pixel or two on the annulus
        return NO_VOLUME


def _ejection_fraction(edv: float | str, esv: float | str) -> float | str:
    """EF in per cent, or the status of what it lacks; both frames' where both are missing."""
    if isinstance(edv, str) or isinstance(esv, str):
        lacking = [status for status in (edv, esv) if isinstance(status, str)]
        if all(status.startswith("missing_") for status in lacking):
            return "missing_" + "+".join(status.removeprefix("missing_") for status in lacking)
        return next(status for status in lacking if not status.startswith("missing_"))
    return ejection_fraction_percent(edv, esv) if edv > 0 else NO_VOLUME
