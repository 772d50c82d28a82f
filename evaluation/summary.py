"""summary.json: every aggregate of an evaluation, made from its rows alone.

Layout (values are numbers or null; lengths carry their unit in the key of their block, `_mm`, or `_px` where the
pixel pitch is unknown):

- `n_cases` (frames), `n_patients`, `data`, `split`, `subgroups` {subgroup: frames}.
- `not_measured` {quantity: status}: what the network is not made for: `hinge_points` (`no_la_class` or
  `no_segmentation`), and `segmentation` where it outlines nothing. It is in no failure below.
- `oracle_margin`: where frames were cropped to the box of their reference, the margin of that box, else null.
- `metrics` {structure: {metric: STATISTICS}}, e.g. `metrics.LV.dice`, `metrics.LV.hausdorff_mm`;
  `metrics_by_phase` {`ED`, `ES`: the same}; `metrics_first` the same of the first of two segmentations, else {};
  `pixel_accuracy`: STATISTICS over all classes, {} where the network outlines nothing.
- `localisation` {subgroup: LOCALISATION} of a network that locates, else {}.
- `hinge` {subgroup: HINGE}; `hinge_off_centre` {`centred`, `off_centre`: HINGE} by whether the left atrium is cut off;
  `hinge_constructed`, `hinge_reference_vs_constructed` {subgroup: HINGE} where the truth is constructed, else {}.
- `annulus` {subgroup: ANNULUS}; `annulus_constructed` likewise.
- `clinical` {`edv`, `esv` (ml), `ef` (percent): CLINICAL} from two views; `clinical_single_plane` {`A4C`, `A2C`: the
  same from one}; `clinical_constructed`, `clinical_reference_vs_constructed` where the truth is constructed, else {};
  `clinical_la` {`lav_ed`, `lav_es`, `lav_discs_ed`, …, `lav_a4c_ed`, … (ml): CLINICAL} of the left atrium, else {}.
- Of short-axis slices, else {}: `metrics_volume` {structure: {metric: STATISTICS}} of whole volumes; `clinical` is from
  the sum of the slices, as are `clinical_rv` {`edv`, `esv`, `ef`: CLINICAL} and `clinical_mass` {`mass_ed`, `mass_es`
  (g): CLINICAL}; `short_axis`: criteria, levels, diagnoses and corrections, as `short_axis_summary.short_axis_block`
  says.
- `confidence` {figure: {`estimate`, `low`, `high`, `n`, `patients`}}: 95 % confidence intervals of the headline
  figures, by patient (`confidence.py` names them); `bootstrap` {`level`, `resamples`, `seed`}: how they are made.
- `quality`: which measurements to trust, as `quality.quality_block` describes it.
- `outliers_by_patient`: geometric and anatomical outliers and the bounds in force, see `outliers.outliers_block`.
- `outliers` {name: frames}, `outlier_cases` {name: [case]}; `failures` [{`case`, `status`}]: the frames without hinge
  errors.

The blocks:

- STATISTICS: `n` (values), `mean`, `sd`, `median`, `p15`, `p85`, `undefined` and `failed` (rows without a value).
- LOCALISATION: `frames`, `failed`; `iou`: STATISTICS; `row_centre_mm col_centre_mm height_mm width_mm`: STATISTICS of
  the absolute errors; `out`, `out_share`: frames whose box does not wholly enclose the reference, and their share.
- HINGE: `frames`, `failed`; by `{amvl,pmvl}_{row,col}_mm`, and by `{row,col}_mm` for both points together:
  {`before`, `calibrated`, `calibrated_in_sample`: SIGNED}; by `amvl_mm`, `pmvl_mm`, and by `distance_mm` for both
  together, {`before`, …: STATISTICS} of the Euclidean error.
- SIGNED: `n`, `failed`, `bias` (the median: the error model of the hinge_points paper), `p15`, `p85`, `mean`, `sd`,
  `median_absolute`, `mean_absolute`, `shapiro_wilk_p`, and `r`, Pearson's, of the positions themselves.
- ANNULUS: `frames`, `failed`; by `diameter_mm`: `median_reference` and {`before`, …: SIGNED with `median_predicted`,
  `mae` (= `mean_absolute`) and `loa` (1.96 sd)}.
- CLINICAL: `n`, `failed`, `r`, `bias` (the mean), `loa` (half-width), `loa_lower`, `loa_upper`, `mae`,
  `mean_reference`, `mean_predicted`: as the lu_net paper has them; `r2`: r squared, the cmr_dense_unet paper's
  "Correlation (R2)"; `determination`: the coefficient of determination, which a bias lowers; `sd` of the differences.

Subgroups are A4C-ED, A4C-ES, A2C-ED, A2C-ES, any other view and phase there is, and all. A frame is off-centre when
its left atrium is cut off: by construction where that is known, else in the reference, else in the prediction.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence

from data_pipeline.sample import Phase
from evaluation import confidence
from evaluation.bounds import Bounds
from evaluation.boxes import BOX_IOU, BOX_OUT
from evaluation.clinical import clinical_block
from evaluation.frames import LA_CUT, LA_CUT_CONSTRUCTED, ORACLE_MARGIN
from evaluation.outliers import outliers_block
from evaluation.patients import LA_VOLUME_UNITS, VOLUME_VIEWS
from evaluation.quality import quality_block
from evaluation.rows import (
    ANNULUS,
    BOX,
    CONSTRUCTED,
    FIRST,
    FRAME,
    NO_CONTACT_LINE,
    NO_LV_IN_REFERENCE,
    NO_REFERENCE,
    NO_REFERENCE_CONTACT_LINE,
    NO_SEGMENTATION,
    NOT_FOUND_BY_NETWORK,
    OK,
    SLICE,
    VOLUME,
    CaseRow,
    subgroup,
)
from evaluation.short_axis import LEVEL
from evaluation.short_axis_summary import clinical_blocks, short_axis_block, volumes_of
from evaluation.summary_blocks import (
    REFERENCE_TO_TRUTH,
    TO_REFERENCE,
    TO_TRUTH,
    Comparison,
    Json,
    Rows,
    accuracy_block,
    annulus_block,
    hinge_block,
    localisation_block,
    metrics_block,
    position_row,
)
from postprocessing.anatomy import IMPLAUSIBLE_ANNULUS, PHYSIOLOGICAL_ANNULUS_MM, is_physiological
from postprocessing.calibration import POOLED
from postprocessing.measurement import FLAGS
from shell.files import without_nan

LV_MISSING = "lv_missing"
SUBGROUPS = ("A4C-ED", "A4C-ES", "A2C-ED", "A2C-ES")


def summarise(rows: Iterable[CaseRow], *, data: str, split: str, bounds: Bounds | None = None) -> Json:
    """The whole of summary.json, from the rows of cases.csv.

    Args:
        rows: of frames and patients, in any order; none at all gives the summary of nothing, with n = 0.
        data: the data set, as the user named it.
        split: `train`, `val`, `test` or `all`.
        bounds: what makes a patient an outlier; None: the default ones.

    Returns:
        JSON values as the module describes them; what is not defined is None.

    Raises:
        ValueError: a case has the same metric of a structure twice.
    """
    rows = list(rows)
    cases = _by_case(rows)
    frames = {case: found for case, found in cases.items() if (ANNULUS, "amvl_error") in found}
    patients = [found for found in cases.values() if ("LV", "edv_predicted") in found]
    of_slices = clinical_blocks(list(cases.values()))
    groups = _subgroups(list(frames.values()))
    everyone = groups[POOLED]
    not_measured = _not_measured(everyone)
    outliers = _outliers(frames, judge_hinge_points=not not_measured)
    locates = any((BOX, BOX_IOU) in found for found in everyone)
    has_truth = any((ANNULUS, "amvl_error" + CONSTRUCTED) in found for found in everyone)
    has_true_volumes = any(("LV", "edv" + CONSTRUCTED) in found for found in patients)
    summary = {
        "n_cases": len(frames),
        "n_patients": len({row.patient for found in cases.values() for row in found.values()}),
        "data": data,
        "split": split,
        "subgroups": {name: len(group) for name, group in groups.items()},
        "not_measured": not_measured,
        "oracle_margin": _oracle_margin(everyone),
        "metrics": metrics_block(everyone),
        "metrics_by_phase": {
            phase.value: metrics_block([f for f in everyone if position_row(f).phase == phase.value]) for phase in Phase
        },
        "metrics_first": metrics_block(everyone, FIRST),
        "pixel_accuracy": accuracy_block(everyone),
        "localisation": {name: localisation_block(group) for name, group in groups.items()} if locates else {},
        "hinge": _by_group(groups, hinge_block, TO_REFERENCE),
        "hinge_off_centre": _by_group(_by_centring(everyone), hinge_block, TO_REFERENCE),
        "hinge_constructed": _by_group(groups, hinge_block, TO_TRUTH) if has_truth else {},
        "hinge_reference_vs_constructed": _by_group(groups, hinge_block, REFERENCE_TO_TRUTH) if has_truth else {},
        "annulus": _by_group(groups, annulus_block, TO_REFERENCE),
        "annulus_constructed": _by_group(groups, annulus_block, TO_TRUTH) if has_truth else {},
        "clinical": clinical_block(patients, "_reference", "_predicted"),
        "clinical_single_plane": {
            view.value: clinical_block(patients, f"_{view.value.lower()}_reference", f"_{view.value.lower()}_predicted")
            for view in VOLUME_VIEWS
        },
        "clinical_constructed": clinical_block(patients, CONSTRUCTED, "_predicted") if has_true_volumes else {},
        "clinical_reference_vs_constructed": clinical_block(patients, CONSTRUCTED, "_reference")
        if has_true_volumes
        else {},
        "clinical_la": clinical_block(patients, "_reference", "_predicted", structure="LA", quantities=LA_VOLUME_UNITS)
        if any(("LA", "lav_es_predicted") in found for found in patients)
        else {},
        "metrics_volume": metrics_block(volumes_of(cases), VOLUME),
        "clinical_rv": of_slices.get("clinical_rv", {}),
        "clinical_mass": of_slices.get("clinical_mass", {}),
        "short_axis": short_axis_block(cases),
        "confidence": confidence.confidence_block(rows),
        "bootstrap": {
            "level": confidence.LEVEL,
            "resamples": confidence.RESAMPLES,
            "seed": confidence.SEED,
        },
        "quality": quality_block(rows),
        "outliers_by_patient": outliers_block(rows, bounds or Bounds()),
        "outliers": {name: len(found) for name, found in outliers.items()},
        "outlier_cases": outliers,
        "failures": [
            {"case": case, "status": found[ANNULUS, "amvl_error"].status}
            for case, found in frames.items()
            if found[ANNULUS, "amvl_error"].status not in (OK, *NOT_FOUND_BY_NETWORK)
        ],
    }
    return without_nan(summary)


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


def _subgroups(frames: Sequence[Rows]) -> dict[str, Sequence[Rows]]:
    """The paper's four subgroups, others that occur, and all."""
    groups: dict[str, list[Rows]] = {name: [] for name in SUBGROUPS}
    for frame in frames:
        name = subgroup(position_row(frame))
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
    groups: Mapping[str, Sequence[Rows]], block: Callable[[Sequence[Rows], Comparison], Json], comparison: Comparison
) -> Json:
    return {name: block(group, comparison) for name, group in groups.items()}


def _not_measured(frames: Sequence[Rows]) -> dict[str, str]:
    """What the network is not made for: it shows in the status of the hinge points, the same for all frames."""
    status = next((s for frame in frames if (s := position_row(frame).status) in NOT_FOUND_BY_NETWORK), None)
    if status is None:
        return {}
    return {"hinge_points": status, **({"segmentation": status} if status == NO_SEGMENTATION else {})}


def _oracle_margin(frames: Sequence[Rows]) -> float | None:
    """The margin of the reference's box that frames were cropped to, the same for all of them."""
    return next((found[FRAME, ORACLE_MARGIN].value for found in frames if (FRAME, ORACLE_MARGIN) in found), None)


def _outliers(frames: Mapping[str, Rows], *, judge_hinge_points: bool) -> dict[str, list[str]]:
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
    outliers: dict[str, list[str]] = {}
    if judge_hinge_points:
        outliers = {name: [case for case, frame in frames.items() if test(frame)] for name, test in tests.items()}
    if any((BOX, BOX_OUT) in frame for frame in frames.values()):
        outliers[BOX_OUT] = [case for case, f in frames.items() if (BOX, BOX_OUT) in f and f[BOX, BOX_OUT].value == 1]
    for flag in FLAGS:
        if flag == IMPLAUSIBLE_ANNULUS:
            continue  # the rows of the diameter say it
        outliers[flag] = [
            case
            for case, f in frames.items()
            if (FRAME, flag) in f and f[FRAME, flag].value == 1 and not (flag == LV_MISSING and _is_beyond_lv(f))
        ]
    return outliers


def _is_beyond_lv(frame: Rows) -> bool:
    """A short-axis slice whose reference shows no LV: none was missed."""
    return (SLICE, LEVEL) in frame and frame[SLICE, LEVEL].status == NO_LV_IN_REFERENCE


def _unphysiological(diameter: CaseRow) -> bool:
    return diameter.unit == "mm" and diameter.value is not None and not is_physiological(diameter.value)
