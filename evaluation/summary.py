"""summary.json: every aggregate of an evaluation, made from its rows alone.

Layout (values are numbers or null; lengths carry their unit in the key of their block, `_mm`, or `_px` where the
pixel pitch is unknown):

- `n_cases` (frames), `n_patients`, `data`, `split`, `subgroups` {subgroup: frames}.
- `metrics` {structure: {metric: STATISTICS}}, e.g. `metrics.LV.dice`, `metrics.LV.hausdorff_mm`;
  `metrics_by_phase` {`ED`, `ES`: the same}.
- `hinge` {subgroup: HINGE}; `hinge_off_centre` {`centred`, `off_centre`: HINGE} by whether the left atrium is cut off;
  `hinge_constructed`, `hinge_reference_vs_constructed` {subgroup: HINGE} where the truth is constructed, else {}.
- `annulus` {subgroup: ANNULUS}; `annulus_constructed` likewise.
- `clinical` {`edv`, `esv` (ml), `ef` (percent): CLINICAL} from two views; `clinical_single_plane` {`A4C`, `A2C`: the
  same from one}; `clinical_constructed`, `clinical_reference_vs_constructed` where the truth is constructed, else {}.
- `outliers` {name: frames}, `outlier_cases` {name: [case]}; `failures` [{`case`, `status`}]: the frames without hinge
  errors.

The blocks:

- STATISTICS: `n` (values), `mean`, `sd`, `median`, `p15`, `p85`, `undefined` and `failed` (rows without a value).
- HINGE: `frames`, `failed`; by `{amvl,pmvl}_{row,col}_mm`, and by `{row,col}_mm` for both points together:
  {`before`, `calibrated`, `calibrated_in_sample`: SIGNED}; by `amvl_mm`, `pmvl_mm`, and by `distance_mm` for both
  together, {`before`, …: STATISTICS} of the Euclidean error.
- SIGNED: `n`, `failed`, `bias` (the median: the error model of the hinge_points paper), `p15`, `p85`, `mean`, `sd`,
  `median_absolute`, `mean_absolute`, `shapiro_wilk_p`, and `r`, Pearson's, of the positions themselves.
- ANNULUS: `frames`, `failed`; by `diameter_mm`: `median_reference` and {`before`, …: SIGNED with `median_predicted`,
  `mae` (= `mean_absolute`) and `loa` (1.96 sd)}.
- CLINICAL: `n`, `failed`, `r`, `bias` (the mean), `loa` (half-width), `loa_lower`, `loa_upper`, `mae`,
  `mean_reference`, `mean_predicted`: as the lu_net paper has them.

Subgroups are A4C-ED, A4C-ES, A2C-ED, A2C-ES, any other view and phase there is, and all. A frame is off-centre when
its left atrium is cut off: by construction where that is known, else in the reference, else in the prediction.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from data_pipeline.sample import Phase
from evaluation.frames import DISTANCES, LA_CUT, LA_CUT_CONSTRUCTED, RATIOS
from evaluation.hinge_points import POINTS
from evaluation.patients import VOLUME_UNITS, VOLUME_VIEWS
from evaluation.rows import (
    ANNULUS,
    CALIBRATED,
    CALIBRATED_IN_SAMPLE,
    CONSTRUCTED,
    FRAME,
    NO_CONTACT_LINE,
    NO_REFERENCE,
    NO_REFERENCE_CONTACT_LINE,
    OK,
    REFERENCE_VS_CONSTRUCTED,
    UNDEFINED,
    CaseRow,
    subgroup,
)
from metrics import agreement
from postprocessing.calibration import COORDINATES, POOLED
from postprocessing.measurement import FLAGS

Json = dict[str, Any]
Rows = Mapping[tuple[str, str], CaseRow]
"""The rows of one case by structure and metric."""

SUBGROUPS = ("A4C-ED", "A4C-ES", "A2C-ED", "A2C-ES")
STATES = {"before": "", "calibrated": CALIBRATED, "calibrated_in_sample": CALIBRATED_IN_SAMPLE}
PHYSIOLOGICAL_ANNULUS_MM = (15.0, 60.0)
"""ASSUMED; generous beside the 22 to 41 mm (5th to 95th percentile) that the hinge_points paper cites in §4.2."""


@dataclass(frozen=True)
class _Comparison:
    """Which positions are compared with which, and how the rows of their errors are called.

    Attributes:
        measured, target: `predicted`, `reference` or `constructed`: the ending of the position rows.
        against: the ending of the error rows.
        states: name in the summary and suffix of the rows, uncalibrated and calibrated.
    """

    measured: str
    target: str
    against: str
    states: Mapping[str, str]


TO_REFERENCE = _Comparison("predicted", "reference", "", STATES)
TO_TRUTH = _Comparison("predicted", "constructed", CONSTRUCTED, STATES)
REFERENCE_TO_TRUTH = _Comparison("reference", "constructed", REFERENCE_VS_CONSTRUCTED, {"before": ""})


def summarise(rows: Iterable[CaseRow], *, data: str, split: str) -> Json:
    """The whole of summary.json, from the rows of cases.csv.

    Args:
        rows: of frames and patients, in any order; none at all gives the summary of nothing, with n = 0.
        data: the data set, as the user named it.
        split: `train`, `val`, `test` or `all`.

    Returns:
        JSON values as the module describes them; what is not defined is None.

    Raises:
        ValueError: a case has the same metric of a structure twice.
    """
    cases = _by_case(rows)
    frames = {case: found for case, found in cases.items() if (ANNULUS, "amvl_error") in found}
    patients = [found for found in cases.values() if ("LV", "edv_predicted") in found]
    groups = _subgroups(list(frames.values()))
    everyone = groups[POOLED]
    outliers = _outliers(frames)
    has_truth = any((ANNULUS, "amvl_error" + CONSTRUCTED) in found for found in everyone)
    has_true_volumes = any(("LV", "edv" + CONSTRUCTED) in found for found in patients)
    summary = {
        "n_cases": len(frames),
        "n_patients": len({row.patient for found in cases.values() for row in found.values()}),
        "data": data,
        "split": split,
        "subgroups": {name: len(group) for name, group in groups.items()},
        "metrics": _metrics(everyone),
        "metrics_by_phase": {
            phase.value: _metrics([f for f in everyone if _position(f).phase == phase.value]) for phase in Phase
        },
        "hinge": _by_group(groups, _hinge, TO_REFERENCE),
        "hinge_off_centre": _by_group(_by_centring(everyone), _hinge, TO_REFERENCE),
        "hinge_constructed": _by_group(groups, _hinge, TO_TRUTH) if has_truth else {},
        "hinge_reference_vs_constructed": _by_group(groups, _hinge, REFERENCE_TO_TRUTH) if has_truth else {},
        "annulus": _by_group(groups, _annulus, TO_REFERENCE),
        "annulus_constructed": _by_group(groups, _annulus, TO_TRUTH) if has_truth else {},
        "clinical": _clinical(patients, "_reference", "_predicted"),
        "clinical_single_plane": {
            view.value: _clinical(patients, f"_{view.value.lower()}_reference", f"_{view.value.lower()}_predicted")
            for view in VOLUME_VIEWS
        },
        "clinical_constructed": _clinical(patients, CONSTRUCTED, "_predicted") if has_true_volumes else {},
        "clinical_reference_vs_constructed": _clinical(patients, CONSTRUCTED, "_reference") if has_true_volumes else {},
        "outliers": {name: len(found) for name, found in outliers.items()},
        "outlier_cases": outliers,
        "failures": [
            {"case": case, "status": found[ANNULUS, "amvl_error"].status}
            for case, found in frames.items()
            if found[ANNULUS, "amvl_error"].status != OK
        ],
    }
    return _without_nan(summary)


def _by_case(rows: Iterable[CaseRow]) -> dict[str, Rows]:
    cases: dict[str, dict[tuple[str, str], CaseRow]] = {}
    for row in rows:
        found = cases.setdefault(row.case, {})
        if (row.structure, row.metric) in found:
            raise ValueError(
                f"`rows` must have each metric of a case once. Received: {row.structure} {row.metric} of {row.case}"
            )
        found[row.structure, row.metric] = row
    return dict(cases)


def _position(frame: Rows) -> CaseRow:
    """A row that every frame has, for its view, phase and unit."""
    return frame[ANNULUS, "amvl_error"]


def _subgroups(frames: Sequence[Rows]) -> dict[str, Sequence[Rows]]:
    """The paper's four subgroups, others that occur, and all."""
    groups: dict[str, list[Rows]] = {name: [] for name in SUBGROUPS}
    for frame in frames:
        name = subgroup(_position(frame))
        if name != POOLED:
            groups.setdefault(name, []).append(frame)
    return {**groups, POOLED: frames}


def _by_centring(frames: Sequence[Rows]) -> dict[str, Sequence[Rows]]:
    """Source: hinge_points paper §4.4. Deviation: the paper sorted by eye, and four-chamber frames only."""
    return {
        "centred": [frame for frame in frames if not _la_cut(frame)],
        "off_centre": [frame for frame in frames if _la_cut(frame)],
    }


def _la_cut(frame: Rows) -> bool:
    """Whether the left atrium is cut off, by the most trustworthy of what is known."""
    for metric in (LA_CUT_CONSTRUCTED, f"{LA_CUT}_reference", LA_CUT):
        if (FRAME, metric) in frame:
            return frame[FRAME, metric].value == 1
    return False


def _by_group(
    groups: Mapping[str, Sequence[Rows]], block: Callable[[Sequence[Rows], _Comparison], Json], comparison: _Comparison
) -> Json:
    return {name: block(group, comparison) for name, group in groups.items()}


def _metrics(frames: Sequence[Rows]) -> Json:
    """STATISTICS of the overlap and the distances, by structure and metric."""
    series: dict[str, dict[str, list[CaseRow]]] = {}
    for frame in frames:
        for (structure, metric), row in frame.items():
            if metric in RATIOS:
                series.setdefault(structure, {}).setdefault(metric, []).append(row)
            elif metric in DISTANCES:
                series.setdefault(structure, {}).setdefault(f"{metric}_{row.unit}", []).append(row)
    return {
        structure: {metric: _statistics(rows) for metric, rows in by_metric.items()}
        for structure, by_metric in series.items()
    }


def _statistics(rows: Sequence[CaseRow]) -> Json:
    values = _values(rows)
    spread = agreement.percentiles(values)
    undefined = sum(row.status == UNDEFINED for row in rows)
    return {
        "n": len(values),
        "mean": agreement.mean(values),
        "sd": agreement.standard_deviation(values),
        "median": spread.median,
        "p15": spread.p15,
        "p85": spread.p85,
        "undefined": undefined,
        "failed": len(rows) - len(values) - undefined,
    }


def _hinge(frames: Sequence[Rows], comparison: _Comparison) -> Json:
    """HINGE."""
    block = _frames_and_failed(frames, comparison)
    for unit, members in _by_unit(frames).items():
        pooled = {"row": COORDINATES[0::2], "col": COORDINATES[1::2]}
        for name, coordinates in {**{c: (c,) for c in COORDINATES}, **pooled}.items():
            block[f"{name}_{unit}"] = {
                state: _signed(members, coordinates, comparison, suffix) for state, suffix in comparison.states.items()
            }
        for name, points in {**{p: (p,) for p in POINTS}, "distance": POINTS}.items():
            block[f"{name}_{unit}"] = {
                state: _statistics(
                    [row for p in points for row in _found(members, f"{p}_error{comparison.against}{suffix}")]
                )
                for state, suffix in comparison.states.items()
            }
    return block


def _signed(frames: Sequence[Rows], quantities: Sequence[str], comparison: _Comparison, suffix: str) -> Json:
    """SIGNED, of one quantity or of several pooled."""
    errors = [row for q in quantities for row in _found(frames, f"{q}_error{comparison.against}{suffix}")]
    values = _values(errors)
    spread = agreement.percentiles(values)
    absolute = [abs(value) for value in values]
    measured, target = _positions(frames, quantities, comparison, suffix)
    return {
        "n": len(values),
        "failed": len(errors) - len(values),
        "bias": spread.median,
        "p15": spread.p15,
        "p85": spread.p85,
        "mean": agreement.mean(values),
        "sd": agreement.standard_deviation(values),
        "median_absolute": agreement.percentiles(absolute).median,
        "mean_absolute": agreement.mean(absolute),
        "shapiro_wilk_p": agreement.shapiro_wilk_p(values),
        "r": agreement.pearson_r(target, measured),
    }


def _annulus(frames: Sequence[Rows], comparison: _Comparison) -> Json:
    """ANNULUS."""
    block = _frames_and_failed(frames, comparison)
    diameter = ("annulus_diameter",)
    for unit, members in _by_unit(frames).items():
        _, target = _positions(members, diameter, comparison, "")
        by_state: Json = {}
        for state, suffix in comparison.states.items():
            signed = _signed(members, diameter, comparison, suffix)
            measured, _ = _positions(members, diameter, comparison, suffix)
            by_state[state] = {
                **signed,
                "median_predicted": agreement.percentiles(measured).median,
                "mae": signed["mean_absolute"],
                "loa": agreement.LIMITS_OF_AGREEMENT_SD * signed["sd"],
            }
        block[f"diameter_{unit}"] = {"median_reference": agreement.percentiles(target).median, **by_state}
    return block


def _positions(
    frames: Sequence[Rows], quantities: Sequence[str], comparison: _Comparison, suffix: str
) -> tuple[list[float], list[float]]:
    """Measured and target values of the frames that have both."""
    pairs = [
        _pair(frame, ANNULUS, f"{q}_{comparison.measured}{suffix}", f"{q}_{comparison.target}")
        for q in quantities
        for frame in frames
    ]
    return _unzipped(pairs)


def _frames_and_failed(frames: Sequence[Rows], comparison: _Comparison) -> Json:
    errors = _found(frames, f"amvl_error{comparison.against}")
    return {"frames": len(errors), "failed": sum(row.status != OK for row in errors)}


def _clinical(patients: Sequence[Rows], reference: str, prediction: str) -> Json:
    """CLINICAL, by quantity; only patients with both rows, measured or failed, are counted."""
    return {quantity: _agreement(patients, quantity + reference, quantity + prediction) for quantity in VOLUME_UNITS}


def _agreement(patients: Sequence[Rows], reference: str, prediction: str) -> Json:
    asked = [found for found in patients if ("LV", reference) in found and ("LV", prediction) in found]
    target, measured = _unzipped([_pair(found, "LV", reference, prediction) for found in asked])
    bland_altman = agreement.bland_altman(target, measured)
    return {
        "n": len(target),
        "failed": len(asked) - len(target),
        "r": agreement.pearson_r(target, measured),
        "bias": bland_altman.bias,
        "loa": bland_altman.limits_of_agreement,
        "loa_lower": bland_altman.lower,
        "loa_upper": bland_altman.upper,
        "mae": agreement.mean_absolute_error(target, measured),
        "mean_reference": agreement.mean(target),
        "mean_predicted": agreement.mean(measured),
    }


def _outliers(frames: Mapping[str, Rows]) -> dict[str, list[str]]:
    """Frames that need a second look, by what is the matter with them."""
    low, high = PHYSIOLOGICAL_ANNULUS_MM
    tests: dict[str, Callable[[Rows], bool]] = {
        NO_CONTACT_LINE: lambda f: f[ANNULUS, "amvl_row_predicted"].status == NO_CONTACT_LINE,
        NO_REFERENCE_CONTACT_LINE: lambda f: f[ANNULUS, "amvl_row_reference"].status == NO_REFERENCE_CONTACT_LINE,
        NO_REFERENCE: lambda f: f[ANNULUS, "amvl_row_reference"].status == NO_REFERENCE,
        "la_cut": _la_cut,
        f"annulus_outside_{low:g}_{high:g}_mm": lambda f: _unphysiological(f[ANNULUS, "annulus_diameter_predicted"]),
        f"annulus_reference_outside_{low:g}_{high:g}_mm": lambda f: _unphysiological(
            f[ANNULUS, "annulus_diameter_reference"]
        ),
    }
    outliers = {name: [case for case, frame in frames.items() if test(frame)] for name, test in tests.items()}
    for flag in FLAGS:
        outliers[flag] = [case for case, f in frames.items() if (FRAME, flag) in f and f[FRAME, flag].value == 1]
    return outliers


def _unphysiological(diameter: CaseRow) -> bool:
    low, high = PHYSIOLOGICAL_ANNULUS_MM
    return diameter.unit == "mm" and diameter.value is not None and not low <= diameter.value <= high


def _by_unit(frames: Sequence[Rows]) -> dict[str, list[Rows]]:
    """Frames measured in mm and in px apart; mm where there is no frame, so that the keys are there."""
    units: dict[str, list[Rows]] = {}
    for frame in frames:
        units.setdefault(_position(frame).unit, []).append(frame)
    return units or {"mm": []}


def _found(frames: Sequence[Rows], metric: str) -> list[CaseRow]:
    return [frame[ANNULUS, metric] for frame in frames if (ANNULUS, metric) in frame]


def _values(rows: Sequence[CaseRow]) -> list[float]:
    return [row.value for row in rows if row.value is not None]


def _pair(case: Rows, structure: str, first: str, second: str) -> tuple[float, float] | None:
    """Two values of a case, None unless it has both."""
    a, b = case.get((structure, first)), case.get((structure, second))
    if a is None or b is None or a.value is None or b.value is None:
        return None
    return a.value, b.value


def _unzipped(pairs: Sequence[tuple[float, float] | None]) -> tuple[list[float], list[float]]:
    """The two series of the pairs that are there."""
    there = [pair for pair in pairs if pair is not None]
    return [first for first, _ in there], [second for _, second in there]


def _without_nan(value: Any) -> Any:
    """The value with None for every NaN, as JSON has it."""
    if isinstance(value, dict):
        return {key: _without_nan(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_without_nan(item) for item in value]
    return None if isinstance(value, float) and math.isnan(value) else value
