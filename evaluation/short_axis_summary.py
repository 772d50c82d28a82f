"""`short_axis` of summary.json: what there is to say of slices and volumes beyond what every frame has."""

from collections.abc import Mapping, Sequence

from evaluation.clinical import clinical_block
from evaluation.patients import VOLUME_UNITS
from evaluation.rows import CORRECTED, DIAGNOSIS, NO_LV_IN_REFERENCE, PATIENT, SLICE, UNDEFINED, VOLUME, CaseRow
from evaluation.short_axis import CRITERIA, HAND, LEVEL, LEVELS, MASS_UNITS
from evaluation.summary_blocks import Json, Rows, metrics_block
from metrics import agreement

CLINICAL: Mapping[str, tuple[str, Mapping[str, str]]] = {
    "clinical": ("LV", VOLUME_UNITS),
    "clinical_rv": ("RV", VOLUME_UNITS),
    "clinical_mass": ("MYO", MASS_UNITS),
}
"""Block of the summary → structure and quantities that a patient with short-axis slices has rows of."""


def volumes_of(cases: Mapping[str, Rows]) -> list[Rows]:
    """The rows of each volume."""
    return [found for found in cases.values() if any(metric == "dice" + VOLUME for _, metric in found)]


def clinical_blocks(patients: Sequence[Rows], prediction: str = "_predicted") -> Json:
    """CLINICAL by block and quantity, of the blocks of `CLINICAL` of whose structure there are rows.

    Args:
        patients: the rows of each.
        prediction: ending of the rows compared with the reference's.
    """
    return {
        name: clinical_block(patients, "_reference", prediction, structure=structure, quantities=quantities)
        for name, (structure, quantities) in CLINICAL.items()
        if any((structure, f"{quantity}{prediction}") in found for found in patients for quantity in quantities)
    }


def short_axis_block(cases: Mapping[str, Rows]) -> Json:
    """`short_axis` of summary.json.

    Args:
        cases: the rows of each slice, volume and patient by structure and metric.

    Returns:
        {} without short-axis slices, else

        - `slices`, `volumes`, `patients`; `slices_without_heart` (no structure in the reference), `slices_without_lv`;
          `slices_closed`, `slices_half`, `slices_open`: those whose LV has its contour wholly, at least half, and less
          than half in the myocardium;
        - `criteria` {`basal_50`, `basal_100`: {`slices`, `left_out`, `metrics`, `metrics_volume`}}: without the slices
          that do not meet the criterion; `levels` {`base`, `mid`, `apex`: {`slices`, `metrics`}};
          `base_by_criterion` {`basal_50`, `basal_100`: {`slices`, `metrics`}}: of the basal slices those that meet it;
        - `diagnoses` {diagnosis: {`patients`, `slices`, `metrics`, `metrics_volume`, `clinical`, `clinical_rv`,
          `clinical_mass`}};
        - `corrected`: {} where nobody corrected, else `slices` (all), `changed`, `share`, `changed_by_level`,
          `patients_changed`, and after correction `metrics`, `metrics_volume`, `criteria`, `levels`,
          `base_by_criterion`, `clinical`, `clinical_rv`, `clinical_mass`.

        `metrics` and `metrics_volume` are {structure: {metric: STATISTICS}} of slices and of volumes.
    """
    slices = [found for found in cases.values() if (SLICE, LEVEL) in found]
    if not slices:
        return {}
    names = {_any(found).patient for found in slices}
    volumes = volumes_of(cases)
    patients = {name: cases[name] for name in sorted(names) if name in cases}
    meeting = {name: [found for found in slices if _flag(found, name) == 1] for name in CRITERIA}
    half, closed = (len(found) for found in meeting.values())
    by_diagnosis: dict[str, list[str]] = {}
    for name, found in patients.items():
        for structure, metric in found:
            if structure == PATIENT and metric.startswith(DIAGNOSIS):
                by_diagnosis.setdefault(metric.removeprefix(DIAGNOSIS), []).append(name)
    return {
        "slices": len(slices),
        "volumes": len(volumes),
        "patients": len(patients),
        "slices_without_heart": sum(_is_without_heart(found) for found in slices),
        "slices_without_lv": sum(found[SLICE, LEVEL].status == NO_LV_IN_REFERENCE for found in slices),
        "slices_closed": closed,
        "slices_half": half - closed,
        "slices_open": sum(_flag(found, "basal_50") == 0 for found in slices),
        **_parts(slices, volumes, ""),
        "diagnoses": {
            name: _of_patients(set(members), slices, volumes, patients)
            for name, members in sorted(by_diagnosis.items())
        },
        "corrected": _corrected(slices, volumes, list(patients.values())),
    }


def _parts(slices: Sequence[Rows], volumes: Sequence[Rows], end: str) -> Json:
    """`criteria`, `levels` and `base_by_criterion`, of the metrics with this ending."""
    kept = {name: [found for found in slices if _flag(found, name) != 0] for name in CRITERIA}
    base = [found for found in slices if found[SLICE, LEVEL].value == min(LEVELS.values())]
    return {
        "criteria": {
            name: {
                "slices": len(members),
                "left_out": len(slices) - len(members),
                "metrics": metrics_block(members, end),
                "metrics_volume": metrics_block(volumes, VOLUME + name.removeprefix("basal") + end),
            }
            for name, members in kept.items()
        },
        "levels": {
            level.value: _group([found for found in slices if found[SLICE, LEVEL].value == grade], end)
            for level, grade in LEVELS.items()
        },
        "base_by_criterion": {
            name: _group([found for found in base if _flag(found, name) == 1], end) for name in CRITERIA
        },
    }


def _group(slices: Sequence[Rows], end: str) -> Json:
    return {"slices": len(slices), "metrics": metrics_block(slices, end)}


def _of_patients(
    names: set[str], slices: Sequence[Rows], volumes: Sequence[Rows], patients: Mapping[str, Rows]
) -> Json:
    of_them = [found for found in slices if _any(found).patient in names]
    return {
        "patients": len(names),
        **_group(of_them, ""),
        "metrics_volume": metrics_block([found for found in volumes if _any(found).patient in names], VOLUME),
        **clinical_blocks([patients[name] for name in sorted(names)]),
    }


def _corrected(slices: Sequence[Rows], volumes: Sequence[Rows], patients: Sequence[Rows]) -> Json:
    """`corrected`."""
    asked = [found for found in slices if (SLICE, HAND) in found]
    if not asked:
        return {}
    changed = [found for found in asked if _flag(found, HAND) == 1]
    return {
        "slices": len(asked),
        "changed": len(changed),
        "share": agreement.mean([_flag(found, HAND) or 0.0 for found in asked]),
        "changed_by_level": {
            level.value: sum(found[SLICE, LEVEL].value == grade for found in changed) for level, grade in LEVELS.items()
        },
        "patients_changed": len({_any(found).patient for found in changed}),
        "metrics": metrics_block(asked, CORRECTED),
        "metrics_volume": metrics_block(volumes, VOLUME + CORRECTED),
        **_parts(asked, volumes, CORRECTED),
        **clinical_blocks(patients, CORRECTED),
    }


def _flag(found: Rows, name: str) -> float | None:
    row = found.get((SLICE, name))
    return None if row is None else row.value


def _any(found: Rows) -> CaseRow:
    return next(iter(found.values()))


def _is_without_heart(found: Rows) -> bool:
    """Whether the reference has none of the structures: then no sensitivity is defined."""
    rows = [row for (_, metric), row in found.items() if metric == "sensitivity"]
    return bool(rows) and all(row.status == UNDEFINED for row in rows)
