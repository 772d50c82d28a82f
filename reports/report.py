"""report.html: what an evaluation found, for a clinician to read in a minute and for an engineer to check."""

from collections.abc import Sequence
from pathlib import Path

from reports import figures, opening, paper
from reports.cells import DASH, Missing
from reports.evaluation_folder import Evaluation, read_evaluation
from reports.html import Gallery, Page, Picture, Section, Text, render
from reports.pictures import write_pictures
from reports.sections import (
    annulus,
    cases,
    constructed_truth,
    error_model,
    failures,
    hinge_points,
    improved_resunet,
    localisation,
    lu_net,
    off_centre,
    outliers,
    provenance,
    samples,
    segmentation,
    short_axis,
    trust,
    vds_unet,
    volumes,
)
from shell.files import write_text

TITLES = {
    None: "Mitral hinge points and annulus diameter: evaluation report",
    "no_la_class": "Segmentation of the left ventricle: evaluation report",
    "no_segmentation": "Localisation of the left ventricle: evaluation report",
}
"""By why there are no hinge points; None where there are."""
TITLE_OF_SHORT_AXIS = "Ventricles and myocardium in short-axis cine MR: evaluation report"
TITLE_OF_BOTH_VENTRICLES = "Segmentation of the ventricles: evaluation report"
NOTICE = "Research use only. Not a medical device: not for diagnosis or treatment."


def write_report(folder: Path) -> Path:
    """Writes report.html and figures/*.png into an evaluation folder, from the files in it alone.

    Args:
        folder: holds cases.csv and summary.json; history.csv, recipe.json, calibration.json, environment.json,
            run.json and overlays/overlays.json may be missing, and the report then says what it lacks.

    Returns:
        The path of report.html.

    Raises:
        UserError: cases.csv or summary.json is missing, or a file that is there is damaged.
    """
    evaluation = read_evaluation(folder)
    pictures = write_pictures(folder / "figures", figures.draw_figures(evaluation))
    report = folder / "report.html"
    write_text(report, render(_page(evaluation, pictures)))
    return report


def _page(evaluation: Evaluation, pictures: dict[str, Picture | Missing]) -> Page:
    run = evaluation.run or {}
    data, split = str(evaluation.summary.get("data", DASH)), str(evaluation.summary.get("split", DASH))
    about = [
        f"Model {run['model']}" if run.get("model") else "",
        f"data {data}",
        f"split {split}",
        opening.frames_of_patients(evaluation),
        f"made {str(run['created'])[:16].replace('T', ' ')}" if run.get("created") else "",
    ]
    return Page(
        title=_title(evaluation),
        subtitle=" · ".join(part for part in about if part),
        notice=NOTICE,
        warnings=opening.warnings(evaluation),
        lead=opening.lead(evaluation),
        cards=opening.cards(evaluation),
        reading=opening.reading(evaluation),
        limits=opening.limits(evaluation),
        sections=_sections(evaluation, pictures),
        footer=f"{NOTICE} Paper: {_paper(evaluation)}",
    )


def _title(evaluation: Evaluation) -> str:
    """What was measured; the ventricles, where there is a right one."""
    if evaluation.is_short_axis:
        return TITLE_OF_SHORT_AXIS
    if evaluation.no_hinge_points == "no_la_class" and "RV" in evaluation.structures:
        return TITLE_OF_BOTH_VENTRICLES
    return TITLES[evaluation.no_hinge_points]


def _paper(evaluation: Evaluation) -> str:
    """Whose figures stand beside ours: the hinge-point paper's, else those of the network's own."""
    stated = (evaluation.recipe or {}).get("paper")
    return paper.CITATION if evaluation.no_hinge_points is None or not stated else f"{stated}."


def _sections(evaluation: Evaluation, pictures: dict[str, Picture | Missing]) -> Sequence[Section]:
    """What applies to the network, in the order of reading: frames, outlines, boxes, hinge points, volumes, making."""
    return [
        Section(
            "samples",
            "Sample slices" if evaluation.is_short_axis else "Sample frames",
            (samples.overlay_gallery(evaluation),),
        ),
        *(_short_axis(evaluation, pictures) if evaluation.is_short_axis else []),
        *(_outlines(evaluation, pictures) if evaluation.segments and not evaluation.is_short_axis else []),
        *(_boxes(evaluation, pictures) if evaluation.locates else []),
        *(_hinge_points(evaluation, pictures) if evaluation.no_hinge_points is None else []),
        *(_volumes(evaluation, pictures) if evaluation.segments and not evaluation.is_short_axis else []),
        *(_outliers(evaluation) if outliers.applies(evaluation) else []),
        Section(
            "failures-section",
            "Failures and doubtful slices" if evaluation.is_short_axis else "Failures and doubtful frames",
            (
                *([short_axis.presence_table(evaluation)] if evaluation.is_short_axis else []),
                failures.failure_table(evaluation),
                failures.second_look_table(evaluation),
            ),
        ),
        Section(
            "cases", "Every slice" if evaluation.is_short_axis else "Every case", (cases.case_browser(evaluation),)
        ),
        Section("making", "How this was made", (provenance.provenance_table(evaluation),)),
    ]


def _short_axis(evaluation: Evaluation, pictures: dict[str, Picture | Missing]) -> Sequence[Section]:
    return [
        Section(
            "chambers",
            "Segmentation of ventricles and myocardium",
            (
                short_axis.segmentation_by_criterion(evaluation),
                short_axis.basal_table(evaluation),
                short_axis.level_table(evaluation),
                Gallery((pictures["fig-1-examples"], pictures["fig-03-dice-by-epoch"])),
                segmentation.segmentation_table(evaluation),
            ),
        ),
        Section(
            "volumes-section",
            "Volumes, ejection fraction and mass",
            (
                short_axis.volume_table(evaluation),
                short_axis.clinical_table(evaluation),
                Gallery((pictures["sax-volume-agreement"], pictures["sax-mass-agreement"])),
            ),
        ),
        Section("diagnoses", "By diagnosis", (short_axis.diagnosis_table(evaluation),)),
    ]


def _outlines(evaluation: Evaluation, pictures: dict[str, Picture | Missing]) -> Sequence[Section]:
    of_papers = [
        *([vds_unet.valve_table(evaluation)] if "MV" in evaluation.structures else []),
        *([improved_resunet.comparison_table(evaluation)] if improved_resunet.is_of_the_paper(evaluation) else []),
        *([lu_net.border_table(evaluation)] if lu_net.is_of_the_paper(evaluation) else []),
        *([lu_net.two_networks_table(evaluation)] if evaluation.block("metrics_first") else []),
    ]
    return [
        Section(
            "chambers",
            "Chamber segmentation",
            (
                *([segmentation.dice_table(evaluation)] if evaluation.no_hinge_points is None else []),
                segmentation.segmentation_table(evaluation),
                *of_papers,
                Gallery((pictures["fig-03-dice-by-epoch"],)),
            ),
        )
    ]


def _boxes(evaluation: Evaluation, pictures: dict[str, Picture | Missing]) -> Sequence[Section]:
    return [
        Section(
            "localisation",
            "Localisation",
            (localisation.localisation_table(evaluation), Gallery((pictures["box-iou-by-epoch"],))),
        )
    ]


def _hinge_points(evaluation: Evaluation, pictures: dict[str, Picture | Missing]) -> Sequence[Section]:
    constructed = constructed_truth.constructed_table(evaluation)
    return [
        Section(
            "diameter",
            "Annulus diameter",
            (
                annulus.diameter_table(evaluation),
                Gallery((pictures["fig-07-sorted-diameters"], pictures["diameter-agreement"])),
            ),
        ),
        Section(
            "hinge-points",
            "Hinge points",
            (
                hinge_points.distance_table(evaluation),
                hinge_points.coordinate_table(evaluation),
                Gallery((pictures["fig-06-sorted-errors"], pictures["fig-08-box-plots"])),
            ),
        ),
        *(
            [
                Section(
                    "truth",
                    "Against the constructed truth",
                    (
                        Text(
                            "These frames are simulated, so the true hinge points are known to a fraction of a pixel. "
                            "The same predictions are judged twice: against the hinge points read off the reference "
                            "masks, as on real data, and against the true ones."
                        ),
                        constructed,
                    ),
                )
            ]
            if constructed
            else []
        ),
        Section(
            "errors",
            "Error model and calibration",
            (
                Text(
                    "The paper splits each error into a bias, the same for all frames of a view and phase, and a "
                    "random rest. Calibration subtracts the bias. How much that helps is shown three ways: without "
                    "it, with the bias learnt on other patients (validation), and with the bias learnt on the very "
                    "frames it is judged on, as the paper does."
                ),
                error_model.calibration_table(evaluation),
                error_model.bias_table(evaluation),
                Gallery((pictures["fig-09-bias"],)),
                error_model.error_model_table(evaluation),
            ),
        ),
        Section(
            "centring",
            "Off-centre frames",
            (
                Gallery((pictures["fig-10-x-correlation"],)),
                off_centre.off_centre_table(evaluation),
            ),
        ),
        Section(
            "trust-section",
            "Can a measurement be trusted?",
            (
                *([Text(words)] if (words := trust.reading(evaluation)) else []),
                trust.trust_table(evaluation),
                Gallery((pictures["risk-coverage"], pictures["expected-error"])),
                trust.feature_table(evaluation),
            ),
        ),
    ]


def _volumes(evaluation: Evaluation, pictures: dict[str, Picture | Missing]) -> Sequence[Section]:
    return [
        Section(
            "volumes-section",
            "Volumes and ejection fraction",
            (
                volumes.volume_table(evaluation),
                *([volumes.clinical_table(evaluation)] if lu_net.is_of_the_paper(evaluation) else []),
                *([volumes.atrium_table(evaluation)] if evaluation.block("clinical_la") else []),
                Gallery((pictures["volume-agreement"],)),
            ),
        )
    ]


def _outliers(evaluation: Evaluation) -> Sequence[Section]:
    return [
        Section(
            "outliers-section",
            "Outliers",
            (
                Text(outliers.INTRODUCTION),
                outliers.outlier_table(evaluation),
                outliers.case_table(evaluation),
                outliers.bounds_table(evaluation),
            ),
        )
    ]
