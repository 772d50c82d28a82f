"""Outliers: segmentations further from the reference than experts are from one another, and shapes that no heart has.

A frame is a *geometric* outlier where d_m or d_H of LV or of EPI is beyond its bound, and an *anatomical* one where the
predicted LV or EPI is less simple or less convex than any that an expert drew (the paper's criterion, `…_shape`), or
where one of `CHECKS` fails. A patient is one where any of its frames is: ED and ES of A4C and A2C, so eight distances
of either border. Frames of other views are not judged.

A patient is judged only where all four frames can be: a patient with one frame, and that one well, is not known to be
well. Its row says what is missing, and the summary lists apart from the share which of such patients are beyond a bound
on the frames that they have. A patient of whom there are short-axis slices alone is not asked for.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import chain
from typing import NamedTuple

from data_pipeline.sample import Phase, View
from evaluation.bounds import BORDERS, Bounds, Json
from evaluation.bounds import read_bounds as read_bounds
from evaluation.rows import FRAME, NO_SEGMENTATION, NO_SPACING, OK, UNDEFINED, CaseRow, Subject
from evaluation.shapes import MEASURES, REFERENCE

OUTLIER = "OUTLIER"
VIEWS, PHASES = (View.A4C.value, View.A2C.value), (Phase.ED.value, Phase.ES.value)
DISTANCES = {"mean_absolute_distance": "d_m", "hausdorff": "d_H"}
CHECKS = {
    "holes": "a hole",
    "fragments_removed": "several components",
    "lv_la_gap": "LV and LA apart",
    "hinge_points_outside_sector": "hinge point outside the sector",
    "annulus_outside_15_60_mm": "annulus outside 15–60 mm",
}
"""Flags of a frame (`postprocessing/measurement.py`) that make it an anatomical outlier besides its shape. Ours; not in
the paper. What a network has no class for is not checked."""

GEOMETRIC, ANATOMICAL, BOTH, BY_SHAPE = "geometric", "anatomical", "both", "_shape"


class Verdict(NamedTuple):
    """Whether a frame or a patient is an outlier.

    Attributes:
        reasons: what is beyond its bound; none where nothing is, as far as known.
        status: `ok` where all there is to judge could be judged, else why not.
    """

    reasons: tuple[str, ...]
    status: str


Frame = Mapping[tuple[str, str], CaseRow]
"""The rows of one frame by structure and metric."""
Judge = Callable[[Frame], Verdict]


def outlier_rows(rows: Iterable[CaseRow], bounds: Bounds) -> list[CaseRow]:
    """Whether each patient is an outlier.

    Args:
        rows: of the frames, those of `shape_rows` among them; what is of patients is passed over.
        bounds: in force.

    Returns:
        For each patient, structure OUTLIER, flags: `geometric`, by LV or EPI; `geometric_lv`, `geometric_epi`, by the
        one; `anatomical`; `anatomical_shape`, by simplicity and convexity alone. A patient of whom one of the four
        frames is missing or cannot be judged has the status that says so: `missing_A2C_ES`, `no_reference`, ….

    Source: lu_net paper §IV-C. Deviation: its counts are of frames (240 are 12 % of 2,000), its words of patients:
    these rows follow the words, `frames` of `outliers_block` the counts.
    """
    frames, patients = _frames(rows)
    found: list[CaseRow] = []
    verdicts = {kind: _of_patients(frames, patients, judge) for kind, judge in _judges(frames, bounds).items()}
    for patient in patients:
        subject = Subject(patient, patient, "", "", "mm")
        for kind, by_patient in verdicts.items():
            verdict = by_patient[patient]
            if verdict.status == OK:
                found.append(subject.row(OUTLIER, kind, float(bool(verdict.reasons)), "flag"))
            else:
                found.append(subject.failed_row(OUTLIER, kind, "flag", verdict.status))
    return found


def outliers_block(rows: Iterable[CaseRow], bounds: Bounds) -> Json:
    """`outliers_by_patient` of summary.json.

    Args:
        rows: as for `outlier_rows`.
        bounds: in force.

    Returns:
        - `bounds` {name: {`value`, `source`}}; `borders`: those judged, `LV` and `EPI`; `checks`: those of CHECKS that
          could be made.
        - `geometric`, `geometric_lv`, `geometric_epi`, `anatomical`, `anatomical_shape`, and `both` and `both_shape`
          (geometric and anatomical), of patients: TALLY.
        - `frames`: the same of frames.
        - `references`: TALLY of the frames whose reference itself is less simple or convex than the bounds.

        TALLY: `judged`, `outliers`, `share` (None where none is judged), `cases`, `why` {case: [what is beyond]};
        `not_judged` {status: cases}; `incomplete` {`outliers`, `cases`, `why`}: of those not wholly judged, what is
        beyond a bound all the same; they are in no share.
    """
    frames, patients = _frames(rows)
    borders, judges = _borders(frames), _judges(frames, bounds)
    references = {case: _shape_verdict(frame, bounds, borders, REFERENCE) for case, frame in frames.items()}
    return {
        "bounds": bounds.to_dict(),
        "borders": list(borders),
        "checks": [
            check for check in CHECKS if any(_value(frame, FRAME, check) is not None for frame in frames.values())
        ],
        **_tallies({kind: _of_patients(frames, patients, judge) for kind, judge in judges.items()}),
        "frames": _tallies(
            {kind: {case: judge(frame) for case, frame in frames.items()} for kind, judge in judges.items()}
        ),
        "references": _tally(references),
    }


def _judges(frames: Mapping[str, Frame], bounds: Bounds) -> dict[str, Judge]:
    borders = _borders(frames)

    def by_distance(*judged: str) -> Judge:
        return lambda frame: _joined(_distance_verdict(frame, bounds, border) for border in judged)

    def by_shape(frame: Frame) -> Verdict:
        return _shape_verdict(frame, bounds, borders, "")

    return {
        GEOMETRIC: by_distance(*borders),
        **{f"{GEOMETRIC}_{border.lower()}": by_distance(border) for border in borders},
        ANATOMICAL: lambda frame: _joined((by_shape(frame), _check_verdict(frame))),
        f"{ANATOMICAL}{BY_SHAPE}": by_shape,
    }


def _frames(rows: Iterable[CaseRow]) -> tuple[dict[str, Frame], tuple[str, ...]]:
    """The rows that judging needs of each frame of the two views, and all patients but those of short-axis slices."""
    wanted = {FRAME: {*CHECKS}}
    for border in BORDERS:
        shapes = {measure + suffix for measure in MEASURES for suffix in ("", REFERENCE)}
        wanted[border] = {*DISTANCES, *shapes, "dice", "cpa"}
    frames: dict[str, dict[tuple[str, str], CaseRow]] = {}
    patients: dict[str, None] = {}
    seen_elsewhere: set[str] = set()
    seen_in_slices: set[str] = set()
    for row in rows:
        patients[row.patient] = None
        if row.case != row.patient:
            (seen_in_slices if row.view == View.SAX.value else seen_elsewhere).add(row.patient)
        if row.view in VIEWS and row.structure != OUTLIER and row.case != row.patient:
            found = frames.setdefault(row.case, {})
            if row.metric in wanted.get(row.structure, ()) or not found:
                found[row.structure, row.metric] = row  # the first, whatever it is: it says whose frame it is
    return dict(frames), tuple(patient for patient in patients if patient not in seen_in_slices - seen_elsewhere)


def _about(frame: Frame) -> CaseRow:
    return next(iter(frame.values()))


def _borders(frames: Mapping[str, Frame]) -> tuple[str, ...]:
    """Those that the network outlines; the LV where it outlines none, so that its frames say so."""
    found = {structure for frame in frames.values() for structure, metric in frame if metric in DISTANCES}
    return tuple(border for border in BORDERS if border in found) or BORDERS[:1]


def _value(frame: Frame, structure: str, metric: str) -> float | None:
    row = frame.get((structure, metric))
    return None if row is None else row.value


def _distance_verdict(frame: Frame, bounds: Bounds, border: str) -> Verdict:
    """Of d_m and d_H. Where only one of prediction and reference has the border, no distance is small enough."""
    reasons: list[str] = []
    status = OK
    found = {distance: frame.get((border, distance)) for distance in DISTANCES}
    is_undefined = all(row is not None and row.status == UNDEFINED for row in found.values())
    if is_undefined and _value(frame, border, "dice") == 0:  # of two empty masks the Dice is undefined as well
        is_missed = _value(frame, border, "cpa") is None
        return Verdict((f"{border} {'not found' if is_missed else 'found where the reference has none'}",), OK)
    for distance, row in found.items():
        if row is None or row.value is None:
            status = NO_SEGMENTATION if row is None else row.status
        elif row.unit != "mm":
            status = NO_SPACING
        elif row.value > (largest := bounds.largest(border, distance)):
            reasons.append(f"{border} {DISTANCES[distance]} {row.value:.2f} mm (at most {largest:.2f})")
    return Verdict(tuple(reasons), status)


def _shape_verdict(frame: Frame, bounds: Bounds, borders: Sequence[str], suffix: str) -> Verdict:
    """Of simplicity and convexity. A border that was not found has the shape of no heart."""
    reasons: list[str] = []
    status = OK
    for border in borders:
        for measure in MEASURES:
            row = frame.get((border, measure + suffix))
            if row is None:
                status = NO_SEGMENTATION
            elif row.status == UNDEFINED:
                reasons.append(f"{border} not found")
            elif row.value is None:
                status = row.status
            elif row.value < (smallest := bounds.smallest(border, measure)):
                reasons.append(f"{border} {measure} {row.value:.3f} (at least {smallest:.3f})")
    return Verdict(tuple(dict.fromkeys(reasons)), status)


def _check_verdict(frame: Frame) -> Verdict:
    return Verdict(tuple(words for check, words in CHECKS.items() if _value(frame, FRAME, check) == 1), OK)


def _joined(verdicts: Iterable[Verdict]) -> Verdict:
    """Several verdicts of one frame as one; the status is the first that is not ok."""
    parts = list(verdicts)
    reasons = tuple(chain.from_iterable(part.reasons for part in parts))
    return Verdict(reasons, next((part.status for part in parts if part.status != OK), OK))


def _of_patients(frames: Mapping[str, Frame], patients: Sequence[str], judge: Judge) -> dict[str, Verdict]:
    """The verdict on each patient; each reason with its view and phase."""
    by_patient: defaultdict[str, list[Frame]] = defaultdict(list)
    for frame in frames.values():
        by_patient[_about(frame).patient].append(frame)
    return {patient: _of_patient(by_patient[patient], judge) for patient in patients}


def _of_patient(frames: Sequence[Frame], judge: Judge) -> Verdict:
    verdicts: list[Verdict] = []
    for frame in frames:
        about, verdict = _about(frame), judge(frame)
        place = "-".join(part for part in (about.view, about.phase) if part)
        verdicts.append(Verdict(tuple(f"{place} {reason}" for reason in verdict.reasons), verdict.status))
    there = {(_about(frame).view, _about(frame).phase) for frame in frames}
    missing = [f"{view}_{phase}" for view in VIEWS for phase in PHASES if (view, phase) not in there]
    joined = _joined(verdicts)
    return joined if not missing else Verdict(joined.reasons, f"missing_{'+'.join(missing)}")


def _tallies(verdicts: Mapping[str, Mapping[str, Verdict]]) -> Json:
    """TALLY of each kind, and of being both geometric and anatomical."""
    both = {
        f"{BOTH}{suffix}": {case: _and(verdict, other[case]) for case, verdict in verdicts[GEOMETRIC].items()}
        for suffix in ("", BY_SHAPE)
        for other in (verdicts[f"{ANATOMICAL}{suffix}"],)
    }
    return {kind: _tally(found) for kind, found in {**verdicts, **both}.items()}


def _and(first: Verdict, second: Verdict) -> Verdict:
    joined = _joined((first, second))
    return joined if first.reasons and second.reasons else Verdict((), joined.status)


def _tally(verdicts: Mapping[str, Verdict]) -> Json:
    judged = {case: verdict for case, verdict in verdicts.items() if verdict.status == OK}
    others = {case: verdict for case, verdict in verdicts.items() if verdict.status != OK}
    beyond = _beyond(judged)
    statuses = Counter("missing" if v.status.startswith("missing_") else v.status for v in others.values())
    return {
        "judged": len(judged),
        "outliers": beyond["outliers"],
        "share": beyond["outliers"] / len(judged) if judged else None,
        "cases": beyond["cases"],
        "why": beyond["why"],
        "not_judged": dict(statuses),
        "incomplete": _beyond(others),
    }


def _beyond(verdicts: Mapping[str, Verdict]) -> Json:
    why = {case: list(verdict.reasons) for case, verdict in verdicts.items() if verdict.reasons}
    return {"outliers": len(why), "cases": list(why), "why": why}
