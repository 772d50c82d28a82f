"""Trust in a measurement: the model of it fitted on validation rows, its rows of a frame, its block of summary.json.

The rows of a frame (`quality_rows`), structure `QUALITY`: the features that `postprocessing.quality.FEATURES` names
(ratio, flag count or length), `score` (ratio, 1 = trust), `expected_error` (mm or px: mean error of the two hinge
points), `abstained` (flag), and with `--tta` `tta_spread` (mm or px). Structure `ANNULUS`: `annulus_diameter_lower` and
`annulus_diameter_upper`, between which 90 % of the true diameters are to lie.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.optimize import nnls
from scipy.stats import rankdata

from evaluation.hinge_points import POINTS
from evaluation.rows import (
    ANNULUS,
    NO_CONTACT_LINE,
    NO_REFERENCE_CONTACT_LINE,
    NO_SEGMENTATION,
    OK,
    CaseRow,
    Subject,
)
from metrics.selective import conformal_quantile, risk_coverage, roc_auc
from postprocessing.measurement import FrameMeasurement
from postprocessing.quality import (
    CLIP,
    FEATURES,
    LENGTH,
    SCORE_LIMIT_MM,
    FittedOn,
    QualityModel,
    Unit,
)

QUALITY = "QUALITY"
SCORE, EXPECTED_ERROR, ABSTAINED, TTA_SPREAD = "score", "expected_error", "abstained", "tta_spread"
LOWER, UPPER = "annulus_diameter_lower", "annulus_diameter_upper"

NO_QUALITY_MODEL = "no_quality_model"
"""None that applies: none was fitted, or on too few frames for an interval, or in mm and this frame is in px."""

LEVEL = 0.9
"""Share of the true diameters that the interval is to hold."""
MIN_FRAMES, MIN_PATIENTS = 10, 4
"""Fewer validation frames, or patients, and no model is fitted."""
MIN_FRAMES_TO_ABSTAIN = 30
"""ASSUMED. Fewer validation frames, and the tool abstains from none: where the error turns bad is not known."""
TRUSTED_SCORE = 0.8
"""ASSUMED: the tool stands by a measurement that stays within the limit with a probability of at least four in five.
Where the expected error itself passes 5 mm would be too late: of networks trained on 200 real frames no frame in 90 got
so far, though 4 to 8 % of their errors were above 5 mm."""
FOLDS = 10
PENALTIES = (0.03, 0.1, 0.3, 1.0, 3.0, 10.0)
"""Of the ridge regression, per frame; the one with the least error on patients left out is taken."""
FLOOR_SHARE = 0.1
"""Errors below this share of the median error count as that: their logarithm would weigh as much as a blunder."""
SHARE_OF_ANNULUS = SCORE_LIMIT_MM / 30
"""In px the limit is this share of the median reference diameter: what 5 mm are of an annulus of 30 mm."""
ALIKE = 1e-9
"""Features that differ by no more than rounding are alike."""
CURVE_POINTS = 200
"""summary.json holds a risk–coverage curve of no more points."""

Floats = npt.NDArray[np.float64]
Rows = dict[tuple[str, str], CaseRow]


@dataclass(frozen=True)
class Example:
    """A frame that a model is fitted on or judged by: its features, and how wrong it was."""

    patient: str
    unit: str
    quality: dict[str, float]
    error: float
    diameter: float
    diameter_error: float


@dataclass(frozen=True)
class Fit:
    """The regression of the log error on standardised features."""

    centre: Floats
    scale: Floats
    coefficients: Floats
    intercept: float


def quality_rows(
    frame: Subject, measurement: FrameMeasurement, model: QualityModel | None, *, tta_spread: float | None = None
) -> list[CaseRow]:
    """What there is to say about the trust in one frame.

    Args:
        frame: as `frames.subject_of` makes it.
        measurement: of the prediction.
        model: fitted on validation, or None: then features only, and the rest has the status `no_quality_model`.
        tta_spread: of `cart.augmented.tta_spread`, NaN where it is not defined; None where it was not asked for.

    Returns:
        Rows as the module describes them: which ones there are does not depend on what could be measured.
    """
    length = measurement.unit
    units = {name: length if feature.kind == LENGTH else feature.kind for name, feature in FEATURES.items()}
    judged = {SCORE: "ratio", EXPECTED_ERROR: length, ABSTAINED: "flag"}
    rows: list[CaseRow] = []
    why = measurement.status if measurement.status != OK else NO_CONTACT_LINE
    for name, unit in units.items():
        value = measurement.quality.get(name)
        rows.append(
            frame.failed_row(QUALITY, name, unit, why) if value is None else frame.row(QUALITY, name, value, unit)
        )
    if tta_spread is not None:
        rows.append(frame.row(QUALITY, TTA_SPREAD, tta_spread, length))
    problem = None
    if not measurement.quality:
        problem = measurement.status if measurement.status != OK else NO_SEGMENTATION
    elif model is None or model.unit != length:
        problem = NO_QUALITY_MODEL
    if problem is not None or model is None:
        status = problem or NO_QUALITY_MODEL
        rows += [frame.failed_row(QUALITY, name, unit, status) for name, unit in judged.items()]
        return rows + [frame.failed_row(ANNULUS, name, length, status) for name in (LOWER, UPPER)]
    judgement = model.judge(measurement.quality, measurement.annulus_diameter)
    rows.append(frame.row(QUALITY, SCORE, judgement.score, "ratio"))
    rows.append(
        frame.failed_row(QUALITY, EXPECTED_ERROR, length, measurement.status)
        if judgement.expected_error is None
        else frame.row(QUALITY, EXPECTED_ERROR, judgement.expected_error, length)
    )
    rows.append(frame.row(QUALITY, ABSTAINED, judgement.abstained, "flag"))
    if judgement.diameter_interval is None:
        status = NO_QUALITY_MODEL if measurement.status == OK else measurement.status
        return rows + [frame.failed_row(ANNULUS, name, length, status) for name in (LOWER, UPPER)]
    bounds = zip((LOWER, UPPER), judgement.diameter_interval, strict=True)
    return rows + [frame.row(ANNULUS, name, bound, length) for name, bound in bounds]


def fit_quality(rows: Iterable[CaseRow], *, fitted_on: FittedOn = "validation") -> QualityModel | None:
    """Fits what the features of a frame promise of its error.

    Args:
        rows: of validation frames: those of `frame_rows` and of `quality_rows`. Where both mm and px occur, mm is
            fitted.
        fitted_on: `validation`.

    Returns:
        The model; None where fewer than `MIN_FRAMES` frames of `MIN_PATIENTS` patients have features and an error
        (`why_no_quality` says so in words). One of fewer than `MIN_FRAMES_TO_ABSTAIN` frames, or whose score says
        nothing about patients that it was not fitted on, never abstains.

    Whatever is said of the size of errors (the spread, the mean error, the interval) is taken from frames of patients
    that the regression behind it was not fitted on: `FOLDS` folds by patient, its penalty chosen within each.

    Source: none; ours. Interval: split conformal prediction, Lei et al., JASA 113:1094 (2018), ⌈(n + 1) · level⌉-th
    smallest of |residual / expected error − middle|. Deviation: cross-fitted rather than split, because validation sets
    are small; frames of one patient count as independent, which they are not quite. What coverage that gives on other
    frames is measured in each evaluation (`quality_block`).
    """
    examples = _of_one_unit(_examples(_by_case(rows)))
    if not _are_enough(examples):
        return None
    names = list(FEATURES)
    unit: Unit = "mm" if examples[0].unit == "mm" else "px"
    patients = np.array([example.patient for example in examples])
    errors = np.array([example.error for example in examples])
    features = np.array([[example.quality.get(name, math.nan) for name in names] for example in examples])
    floor = max(FLOOR_SHARE * float(np.median(errors)), np.finfo(float).tiny)
    logs = np.log(np.maximum(errors, floor))
    held_out = np.empty(len(examples))
    folds = _folds(patients)
    for fold in range(folds.max() + 1):
        inside, outside = folds != fold, folds == fold
        fit = _best_fit(features[inside], logs[inside], patients[inside])
        held_out[outside] = _fitted(fit, features[outside])
    fit = _best_fit(features, logs, patients)
    spread = max(float(np.sqrt(np.mean((logs - held_out) ** 2))), 0.05)
    smearing = float(np.mean(errors / np.exp(held_out)))
    limit = SCORE_LIMIT_MM
    if unit == "px":
        limit = SHARE_OF_ANNULUS * float(np.median([e.diameter - e.diameter_error for e in examples]))
    threshold, why = _threshold(held_out, errors)
    expected = smearing * np.exp(held_out)
    shares = np.array([-example.diameter_error for example in examples]) / expected
    return QualityModel(
        unit=unit,
        fitted_on=fitted_on,
        n=len(examples),
        patients=len(set(patients.tolist())),
        centre=dict(zip(names, fit.centre.tolist(), strict=True)),
        scale=dict(zip(names, fit.scale.tolist(), strict=True)),
        coefficients=dict(zip(names, fit.coefficients.tolist(), strict=True)),
        intercept=fit.intercept,
        smearing=smearing,
        spread=spread,
        limit=limit,
        threshold=threshold,
        why_no_threshold=why,
        interval=_interval(shares, folds),
        level=LEVEL,
    )


def why_no_quality(rows: Iterable[CaseRow]) -> str:
    """Why `fit_quality` gives no model, for people; empty where it gives one."""
    examples = _of_one_unit(_examples(_by_case(rows)))
    if _are_enough(examples):
        return ""
    patients = len({example.patient for example in examples})
    return (
        f"{len(examples)} validation frames of {patients} patients have hinge points in prediction and reference; "
        f"at least {MIN_FRAMES} of {MIN_PATIENTS} are needed to learn which measurements to trust"
    )


def quality_block(rows: Iterable[CaseRow]) -> dict[str, object]:
    """The block `quality` of summary.json.

    Args:
        rows: of all frames, in any order; others are passed over.

    Returns:
        `model`: whether any frame was judged. `n`: frames judged that have a hinge error, which every figure below is
        of unless it says otherwise; `unit` of the errors. `risk_coverage` {`coverage`, `risk_mm`}: mean hinge error of
        the most trusted share; `risk_at_80_mm`, `risk_at_100_mm`; `auc_error_over_5_mm` and `n_error_over_5_mm`;
        `auc_no_contact_line` and `n_no_contact_line`, over all frames judged: prediction or reference have no contact
        line (a prediction without one is scored as the worst in all features of a line, so that this is high by
        construction). `judged`: all frames judged, `abstained`, `abstained_share` of them; `abstained_measured`: those
        that had a measurement to abstain from. `error_of_measured_mm`, `error_of_abstained_mm`: mean hinge error of
        what the tool stands by and of what it does not. `expected_error_mm`, `measured_error_mm`: means, to compare.
        `interval` {`level`, `n`, `coverage`, `median_width_mm`}. In px every `_mm` is `_px`, and there is no
        `auc_error_over_5_mm`. What is not defined is NaN.

        The error of a frame is the mean of its two hinge points', uncalibrated.
    """
    frames = [found for found in _by_case(rows).values() if (QUALITY, SCORE) in found]
    judged = [found for found in frames if found[QUALITY, SCORE].value is not None]
    units = [found[QUALITY, EXPECTED_ERROR].unit for found in judged]
    unit = "px" if units and "mm" not in units else "mm"
    judged = [found for found in judged if found[QUALITY, EXPECTED_ERROR].unit == unit]
    scores = np.array([_value(found, QUALITY, SCORE) for found in judged])
    errors = np.array([_hinge_error(found) for found in judged])
    abstained = np.array([_value(found, QUALITY, ABSTAINED) == 1 for found in judged], dtype=np.bool_)
    known = np.isfinite(errors)
    curve = risk_coverage(scores[known], errors[known])
    shown = np.unique(np.linspace(0, len(curve.coverage) - 1, min(CURVE_POINTS, len(curve.coverage))).astype(int))
    missed = np.array([_has_no_contact(found) for found in judged], dtype=np.bool_)
    over = errors[known] > SCORE_LIMIT_MM
    expected = np.array([_value(found, QUALITY, EXPECTED_ERROR) for found in judged])
    block: dict[str, object] = {
        "model": bool(judged),
        "unit": unit,
        "n": int(known.sum()),
        "risk_coverage": {
            "coverage": curve.coverage[shown].tolist(),
            f"risk_{unit}": curve.risk[shown].tolist(),
        },
        f"risk_at_80_{unit}": _risk_at(curve.risk, 0.8),
        f"risk_at_100_{unit}": _risk_at(curve.risk, 1.0),
        "auc_no_contact_line": roc_auc(1 - scores, missed),
        "n_no_contact_line": int(missed.sum()),
        "judged": len(judged),
        "abstained": int(abstained.sum()),
        "abstained_share": float(abstained.mean()) if len(judged) else math.nan,
        "abstained_measured": int((abstained & np.isfinite(expected)).sum()),
        f"error_of_measured_{unit}": _mean(errors[known & ~abstained]),
        f"error_of_abstained_{unit}": _mean(errors[known & abstained]),
        f"expected_error_{unit}": _mean(expected[known]),
        f"measured_error_{unit}": _mean(errors[known]),
        "interval": _interval_block(judged, unit),
    }
    if unit == "mm":
        block["auc_error_over_5_mm"] = roc_auc(1 - scores[known], over)
        block["n_error_over_5_mm"] = int(over.sum())
    return block


def _interval_block(frames: Sequence[Rows], unit: str) -> dict[str, object]:
    """How many true diameters the intervals hold."""
    held: list[bool] = []
    widths: list[float] = []
    for found in frames:
        true = _value(found, ANNULUS, "annulus_diameter_reference")
        low, high = _value(found, ANNULUS, LOWER), _value(found, ANNULUS, UPPER)
        if math.isfinite(true) and math.isfinite(low) and math.isfinite(high):
            held.append(low <= true <= high)
            widths.append(high - low)
    return {
        "level": LEVEL,
        "n": len(held),
        "coverage": float(np.mean(held)) if held else math.nan,
        f"median_width_{unit}": float(np.median(widths)) if widths else math.nan,
    }


def _threshold(held_out: Floats, errors: Floats) -> tuple[float | None, str]:
    """The score below which the tool abstains; None and why, where abstaining is not founded."""
    if len(errors) < MIN_FRAMES_TO_ABSTAIN:
        return None, f"fitted on {len(errors)} frames; at least {MIN_FRAMES_TO_ABSTAIN} are needed to abstain"
    if not _rank_correlation(held_out, errors) > 0:
        return None, "the score says nothing about the error on patients that it was not fitted on"
    return TRUSTED_SCORE, ""


def _interval(shares: Floats, folds: npt.NDArray[np.intp]) -> tuple[float, float] | None:
    """Middle and half-width of (true − measured) / expected, the middle taken without the patients it is compared with.

    The middle is not 0: diameters have a systematic error, which the interval takes along.
    """
    residuals = np.empty(len(shares))
    for fold in range(folds.max() + 1):
        outside = folds == fold
        residuals[outside] = np.abs(shares[outside] - np.median(shares[~outside]))
    half = conformal_quantile(residuals, LEVEL)
    middle = float(np.median(shares))
    return (middle - half, middle + half) if math.isfinite(half) else None


def _best_fit(features: Floats, logs: Floats, patients: npt.NDArray[np.str_]) -> Fit:
    """The regression whose penalty does best on patients left out."""
    folds = _folds(patients)
    losses = np.zeros(len(PENALTIES))
    for fold in range(folds.max() + 1):
        inside, outside = folds != fold, folds == fold
        fits = _fits(features[inside], logs[inside], PENALTIES)
        losses += [float(np.sum((logs[outside] - _fitted(fit, features[outside])) ** 2)) for fit in fits]
    return _fits(features, logs, (PENALTIES[int(losses.argmin())],))[0]


def _fits(features: Floats, logs: Floats, penalties: Sequence[float]) -> list[Fit]:
    """Ridge regressions without negative coefficients, one for each penalty."""
    centre, scale = np.zeros(len(FEATURES)), np.ones(len(FEATURES))
    for at, column in enumerate(features.T):
        values = column[np.isfinite(column)]
        if len(values):
            low, centre[at], high = np.percentile(values, (16, 50, 84))
            # The spread of most frames; where most are alike, that of all; where all are, any, for it says nothing.
            least = ALIKE * max(1.0, abs(centre[at]))
            scale[at] = next((spread for spread in ((high - low) / 2, values.std()) if spread > least), 1.0)
    z = _standardised(features, centre, scale)
    mean, intercept = z.mean(axis=0), float(logs.mean())
    gram, moment = (z - mean).T @ (z - mean), (z - mean).T @ (logs - intercept)
    fits: list[Fit] = []
    for penalty in penalties:
        # ‖z b − y‖² + p n ‖b‖² is ‖Lᵀ b − L⁻¹ zᵀ y‖² and a constant, where L Lᵀ = zᵀ z + p n
        root = np.linalg.cholesky(gram + penalty * len(logs) * np.eye(len(FEATURES)))
        coefficients, _ = nnls(root.T, np.linalg.solve(root, moment))
        fits.append(Fit(centre, scale, coefficients, intercept - float(coefficients @ mean)))
    return fits


def _fitted(fit: Fit, features: Floats) -> Floats:
    return fit.intercept + _standardised(features, fit.centre, fit.scale) @ fit.coefficients


def _standardised(features: Floats, centre: Floats, scale: Floats) -> Floats:
    """(frames, features), as `postprocessing.quality.standardised` has them; NaN is the worst."""
    worse = np.array([feature.worse for feature in FEATURES.values()])
    z = np.clip(worse * (features - centre) / scale, -CLIP, CLIP)
    return np.where(np.isnan(z), CLIP, z)


def _folds(patients: npt.NDArray[np.str_]) -> npt.NDArray[np.intp]:
    """The fold of each frame: a patient's frames in one, patients dealt out in the order of their names."""
    _, number = np.unique(patients, return_inverse=True)
    return number % min(FOLDS, number.max() + 1)


def _examples(cases: dict[str, Rows]) -> list[Example]:
    """The frames that have features and a hinge error."""
    examples: list[Example] = []
    for found in cases.values():
        error = _hinge_error(found)
        quality = {name: value for name in FEATURES if math.isfinite(value := _value(found, QUALITY, name))}
        if quality and math.isfinite(error):
            row = found[ANNULUS, "amvl_error"]
            examples.append(
                Example(
                    patient=row.patient,
                    unit=row.unit,
                    quality=quality,
                    error=error,
                    diameter=_value(found, ANNULUS, "annulus_diameter_predicted"),
                    diameter_error=_value(found, ANNULUS, "annulus_diameter_error"),
                )
            )
    return examples


def _of_one_unit(examples: Sequence[Example]) -> list[Example]:
    unit = "mm" if any(example.unit == "mm" for example in examples) else "px"
    return [example for example in examples if example.unit == unit]


def _are_enough(examples: Sequence[Example]) -> bool:
    return len(examples) >= MIN_FRAMES and len({example.patient for example in examples}) >= MIN_PATIENTS


def _by_case(rows: Iterable[CaseRow]) -> dict[str, Rows]:
    """Only the rows that are about hinge points, the diameter or trust."""
    cases: dict[str, Rows] = {}
    for row in rows:
        if row.structure in (ANNULUS, QUALITY):
            cases.setdefault(row.case, {})[row.structure, row.metric] = row
    return cases


def _value(found: Rows, structure: str, metric: str) -> float:
    """NaN where there is none."""
    row = found.get((structure, metric))
    return math.nan if row is None or row.value is None else row.value


def _hinge_error(found: Rows) -> float:
    """Mean of the two hinge points' errors."""
    return sum(_value(found, ANNULUS, f"{point}_error") for point in POINTS) / len(POINTS)


def _has_no_contact(found: Rows) -> bool:
    row = found.get((ANNULUS, "amvl_error"))
    return row is not None and row.status in (NO_CONTACT_LINE, NO_REFERENCE_CONTACT_LINE)


def _mean(values: Floats) -> float:
    return float(values.mean()) if len(values) else math.nan


def _risk_at(risk: Floats, coverage: float) -> float:
    return float(risk[max(1, math.ceil(round(coverage * len(risk), 9))) - 1]) if len(risk) else math.nan


def _rank_correlation(first: Floats, second: Floats) -> float:
    """Spearman's; NaN where one of them is constant."""
    a, b = rankdata(first), rankdata(second)
    if np.ptp(a) == 0 or np.ptp(b) == 0:
        return math.nan
    return float(np.corrcoef(a, b)[0, 1])
