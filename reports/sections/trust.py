"""Can a measurement be trusted? What the score of trust is worth on frames whose error is known."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from metrics.selective import risk_coverage
from postprocessing.quality import FEATURES, LENGTH
from reports.cells import DASH, Cell, Missing, Table, number, ours, percent, plain
from reports.drawing import Drawing, new_figure
from reports.evaluation_folder import Evaluation
from reports.style import OFF_CENTRE, PAPER_VIEWS, PREDICTED, REFERENCE
from shell.files import read_json

FEW_FRAMES = 10
"""With fewer frames a curve says nothing."""
QUALITY = "QUALITY"
NO_MODEL = (
    "The network was trained without a model of which measurements to trust: too few validation frames, or a run older "
    "than this. Train it again, or go on with --resume, to have one fitted."
)
READING = (
    "With each measurement the tool says how far it trusts it. The score is the probability, as estimated from the "
    "network's own output, that the hinge points are no more than {limit} off on average; it was learnt on the "
    "validation frames of the run. A score is worth having if leaving out what it distrusts makes the rest "
    "better: the curve below should rise from left to right. {threshold}"
)
ABSTAINS = (
    "Below a score of {threshold} the tool abstains: it shows the value, marked as not to be used. Someone should then "
    "measure by hand, or take another frame."
)


def reading(evaluation: Evaluation) -> str:
    """How to read what follows, in plain words; empty where no frame was judged."""
    model = _model(evaluation)
    if not evaluation.block("quality").get("model") or model is None:
        return ""
    threshold, limit, unit = model.get("threshold"), float(model.get("limit", math.nan)), str(model.get("unit", ""))
    return READING.format(
        limit=f"{number(limit, 0 if unit == 'mm' else 1)} {unit}",
        threshold=ABSTAINS.format(threshold=number(float(threshold), 2))
        if threshold is not None
        else f"The tool never abstains: {model.get('why_no_threshold', '')}.",
    )


def trust_table(evaluation: Evaluation) -> Table | Missing:
    """What the score, the abstaining and the interval are worth here."""
    title = "Can a measurement be trusted?"
    block, unit = evaluation.block("quality"), _unit(evaluation)
    if missing := _missing(evaluation, title):
        return missing
    interval = evaluation.block("quality", "interval")
    judged, n = evaluation.count("quality", "judged"), evaluation.count("quality", "n")
    abstained = evaluation.count("quality", "abstained")
    over, missed = evaluation.count("quality", "n_error_over_5_mm"), evaluation.count("quality", "n_no_contact_line")
    rows = [
        (
            "frames judged, and those with an error to compare",
            f"{judged}, {n}",
            "Frames without reference hinge points are judged too.",
        ),
        (
            f"mean hinge error of all, {unit}",
            _figure(block, f"risk_at_100_{unit}"),
            "Mean of the two hinge points, uncalibrated.",
        ),
        (
            f"mean hinge error of the most trusted 80 %, {unit}",
            _figure(block, f"risk_at_80_{unit}"),
            "Smaller than the line above if the score is worth anything.",
        ),
        (
            f"mean hinge error expected, {unit}",
            _figure(block, f"expected_error_{unit}"),
            f"Measured: {_figure(block, f'measured_error_{unit}')}. Close to it if what was learnt on validation holds "
            "here.",
        ),
        *(
            [
                (
                    "AUC for “hinge error > 5 mm”",
                    _figure(block, "auc_error_over_5_mm"),
                    f"{over} of {n} frames are so wrong. 1: they have the lowest scores of all; 0.5: chance."
                    + (" So few that the AUC is hardly known." if 0 < over < 5 else ""),
                )
            ]
            if unit == "mm"
            else []
        ),
        (
            "AUC for “LV–LA contact missing”",
            _figure(block, "auc_no_contact_line"),
            f"{missed} of {judged} frames lack it, in prediction or reference."
            + (
                " High by construction: a prediction without it is scored as the worst in all that a contact line "
                "would tell."
                if missed
                else ""
            ),
        ),
        (
            "frames that the tool abstains from",
            f"{abstained} ({percent(evaluation.number('quality', 'abstained_share'))})",
            f"{evaluation.count('quality', 'abstained_measured')} of them have a measurement, the others no contact "
            "line.",
        ),
        (
            f"mean hinge error of what it stands by, {unit}",
            _figure(block, f"error_of_measured_{unit}"),
            f"Of what it abstains from: {_figure(block, f'error_of_abstained_{unit}')}.",
        ),
        (
            f"{percent(_number(interval, 'level'))} interval of the diameter: true diameters inside",
            percent(_number(interval, "coverage")),
            f"Of {int(_number(interval, 'n', 0))} frames; nominal {percent(_number(interval, 'level'))}. "
            + _coverage_words(interval),
        ),
        (
            f"its median width, {unit}",
            _figure(interval, f"median_width_{unit}", 1),
            "From the lower to the upper end: what one measurement alone leaves open.",
        ),
    ]
    return Table(
        "trust",
        title,
        plain("", "here", "how to read it"),
        tuple((Cell(name), *ours(figure, meaning)) for name, figure, meaning in rows),
    )


def feature_table(evaluation: Evaluation) -> Table | Missing:
    """What the score is made of."""
    title = "What the score is made of"
    model = _model(evaluation)
    if model is None:
        return Missing(title, NO_MODEL)
    unit = str(model.get("unit", "mm"))
    features: Mapping[str, Mapping[str, float]] = model.get("features", {})
    rows = [
        (
            Cell(name.replace("_", " ") + (f", {unit}" if feature.kind == LENGTH else "")),
            *ours(
                feature.meaning,
                number(_number(features[name], "centre"), 3),
                number(_number(features[name], "scale"), 3),
                _factor(_number(features[name], "coefficient")),
            ),
        )
        for name, feature in FEATURES.items()
        if name in features
    ]
    return Table(
        "trust-features",
        title,
        plain("feature", "what it is", "median", "spread", "error ×"),
        tuple(rows),
        (
            f"Learnt on {model.get('n')} validation frames of {model.get('patients')} patients. “Error ×”: the "
            "expected error is multiplied by this for each spread that the feature is worse than the median; 1.00 says "
            "nothing.",
        ),
    )


def risk_coverage_curve(evaluation: Evaluation) -> Drawing | Missing:
    """Mean hinge error against the share of frames kept, the most trusted first."""
    title = "Error against coverage: what is left when the least trusted frames are left out"
    if missing := _missing(evaluation, title):
        return missing
    unit = _unit(evaluation)
    curve = evaluation.block("quality", "risk_coverage")
    coverage, risk = np.array(curve["coverage"]) * 100, np.array(curve[f"risk_{unit}"])
    errors = _per_frame(evaluation, unit)[1]
    figure = new_figure(3.2)
    axes = figure.subplots()
    if len(errors):
        best = risk_coverage(-errors, errors)
        axes.plot(best.coverage * 100, best.risk, color="#777777", linestyle=":", label="if the errors were known")
    axes.axhline(risk[-1], color=REFERENCE, linestyle="--", linewidth=1.0, label="all frames, or any at random")
    axes.plot(coverage, risk, color=PREDICTED, label="most trusted first")
    kept = _kept(evaluation)
    if kept is not None and kept < 1:
        axes.plot(
            kept * 100,
            np.interp(kept * 100, coverage, risk),
            "o",
            color=OFF_CENTRE,
            label="what the tool stands by",
            zorder=4,
        )
    axes.set(xlabel="frames kept, %", ylabel=f"mean hinge error, {unit}", xlim=(0, 101), ylim=(0, None))
    figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=2)
    at_80, at_100 = (_figure(evaluation.block("quality"), f"risk_at_{share}_{unit}") for share in (80, 100))
    words = f"All {len(errors)} frames: {at_100} {unit}; the most trusted 80 %: {at_80} {unit}."
    return Drawing(
        "risk-coverage",
        title,
        f"{words} A score without information gives the dashed line; knowing every error beforehand, the dotted one. "
        "The left end rests on few frames.",
        f"Mean hinge error against the share of frames kept, the most trusted first. {words}",
        figure,
    )


def expected_against_measured(evaluation: Evaluation) -> Drawing | Missing:
    """Each frame's measured hinge error against the one that the tool expected."""
    title = "Hinge error expected and measured, each frame"
    if missing := _missing(evaluation, title):
        return missing
    unit = _unit(evaluation)
    expected, measured, abstained = _per_frame(evaluation, unit)
    if not len(measured):
        return Missing(title, "No frame has both an expected and a measured error.")
    figure = new_figure(3.4)
    axes = figure.subplots()
    low = 0.8 * max(0.05, min(expected.min(), measured.min()))
    high = 1.25 * max(expected.max(), measured.max())
    axes.plot([low, high], [low, high], color="#666666", linewidth=0.8, label="as expected")
    for members, marker, colour, name in (
        (~abstained, "o", PAPER_VIEWS["A4C"], "stands by it"),
        (abstained, "^", OFF_CENTRE, "abstains"),
    ):
        axes.plot(
            expected[members],
            np.maximum(measured[members], low),
            marker,
            color=colour,
            markersize=4.5,
            alpha=0.75,
            markeredgewidth=0,
            label=f"{name} (n = {int(members.sum())})",
        )
    axes.set(xscale="log", yscale="log", xlabel=f"expected, {unit}", ylabel=f"measured, {unit}")
    for axis, ends in ((axes.xaxis, (0.8 * expected.min(), 1.25 * expected.max())), (axes.yaxis, (low, high))):
        axis.set_major_locator(FixedLocator(_ticks(*ends)))
        axis.set_major_formatter(FuncFormatter(lambda tick, _: f"{tick:g}"))
        axis.set_minor_locator(NullLocator())
    axes.set(xlim=(0.8 * expected.min(), 1.25 * expected.max()), ylim=(low, high))
    figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=3)
    means = number(float(expected.mean())), number(float(measured.mean()))
    words = f"Expected {means[0]} {unit} on average, measured {means[1]} {unit}."
    return Drawing(
        "expected-error",
        title,
        f"{words} Mean of the two hinge points; both axes are logarithmic. The tool says how large errors of such "
        "frames are on average, not how large this one is: the points scatter about the line.",
        f"Measured against expected hinge error of {len(measured)} frames. {words}",
        figure,
    )


def _ticks(low: float, high: float) -> list[float]:
    """Round figures for a logarithmic axis, closer together on a short one."""
    steps = (1, 2, 5) if high > 8 * low else (1, 1.5, 2, 3, 4, 5, 7)
    return [step * 10.0**power for power in range(-3, 5) for step in steps if low <= step * 10.0**power <= high]


def _missing(evaluation: Evaluation, title: str) -> Missing | None:
    """Why there is nothing to show; None where there is."""
    if not evaluation.frames:
        return Missing(title, "No frame was measured.")
    if not evaluation.block("quality").get("model"):
        return Missing(title, NO_MODEL)
    n = evaluation.count("quality", "n")
    if n < FEW_FRAMES:
        return Missing(
            title, f"Only {n} frames were judged and have a hinge error: at least {FEW_FRAMES} are needed to say."
        )
    return None


def _unit(evaluation: Evaluation) -> str:
    return str(evaluation.block("quality").get("unit", "mm"))


def _model(evaluation: Evaluation) -> Mapping[str, Any] | None:
    """quality.json of the evaluation: the model that was applied."""
    path = evaluation.folder / "quality.json"
    values = read_json(path) if path.is_file() else None
    return values if isinstance(values, dict) else None


def _per_frame(
    evaluation: Evaluation, unit: str
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64], npt.NDArray[np.bool_]]:
    """Expected and measured hinge error, and whether the tool abstained, of the frames that have all three."""

    def of(metric: str, structure: str) -> dict[str, float]:
        return {
            row.case: row.value
            for row in evaluation.rows_of(metric, structure=structure)
            if row.unit in (unit, "flag") and math.isfinite(row.value)
        }

    expected, abstained = of("expected_error", QUALITY), of("abstained", QUALITY)
    amvl, pmvl = of("amvl_error", "ANNULUS"), of("pmvl_error", "ANNULUS")
    cases = [case for case in expected if case in abstained and case in amvl and case in pmvl]
    return (
        np.array([expected[case] for case in cases], dtype=np.float64),
        np.array([(amvl[case] + pmvl[case]) / 2 for case in cases], dtype=np.float64),
        np.array([abstained[case] == 1 for case in cases], dtype=np.bool_),
    )


def _kept(evaluation: Evaluation) -> float | None:
    """Share of the frames with an error that the tool stands by."""
    _, measured, abstained = _per_frame(evaluation, _unit(evaluation))
    return float((~abstained).mean()) if len(measured) else None


def _coverage_words(interval: Mapping[str, Any]) -> str:
    """Whether a coverage differs from the nominal one by more than chance would have it (two standard errors)."""
    n, coverage, level = (_number(interval, key) for key in ("n", "coverage", "level"))
    if not (n > 0 and math.isfinite(coverage)):
        return "No interval: too few validation frames."
    margin = 2 * math.sqrt(level * (1 - level) / n)
    if coverage < level - margin:
        return "Fewer than promised: do not rely on the interval here."
    if coverage > level + margin:
        return "More than promised: the interval is wider than it need be."
    return "As promised, as far as so many frames can tell."


def _factor(coefficient: float) -> str:
    return number(math.exp(coefficient)) if math.isfinite(coefficient) else DASH


def _number(block: Mapping[str, Any], key: str, otherwise: float = math.nan) -> float:
    value = block.get(key)
    return float(value) if isinstance(value, int | float) else otherwise


def _figure(block: Mapping[str, Any], key: str, digits: int = 2) -> str:
    return number(_number(block, key), digits)
