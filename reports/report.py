"""report.html: what an evaluation found, for a clinician to read in a minute and for an engineer to check."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import cv2

from reports import figures, paper
from reports.cells import DASH, Missing, number
from reports.drawing import Drawing, save
from reports.evaluation_folder import ALL, Evaluation, Overlay, figure_of, read_evaluation
from reports.html import Card, Gallery, Page, Picture, Section, Text, data_uri, render
from reports.sections import (
    annulus,
    constructed_truth,
    error_model,
    failures,
    hinge_points,
    off_centre,
    provenance,
    segmentation,
    volumes,
)
from shell.files import atomic_folder, write_text

TITLE = "Mitral hinge points and annulus diameter: evaluation report"
NOTICE = "Research use only. Not a medical device: not for diagnosis or treatment."
FEW_FRAMES = 30
JPEG_QUALITY = 90
FAILURES = {
    "no_contact_line": "predicted LV and LA do not touch",
    "no_reference_contact_line": "LV and LA of the reference do not touch",
    "no_reference": "no reference labels",
}
KINDS = {"best": "Best", "median": "Typical", "worst": "Worst", "failed": "Failed"}


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
    drawings = figures.draw_figures(evaluation)
    pictures: dict[str, Picture | Missing] = {}
    with atomic_folder(folder / "figures") as figure_folder:
        for key, drawing in drawings.items():
            if isinstance(drawing, Missing):
                pictures[key] = drawing
                continue
            path = figure_folder / f"{key}.png"
            save(drawing, path)
            pictures[key] = _embedded(drawing, path)
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
        _frames_of_patients(evaluation),
        f"made {str(run['created'])[:16].replace('T', ' ')}" if run.get("created") else "",
    ]
    return Page(
        title=TITLE,
        subtitle=" · ".join(part for part in about if part),
        notice=NOTICE,
        warnings=_warnings(evaluation),
        lead=_lead(evaluation),
        cards=_cards(evaluation),
        reading=_reading(evaluation),
        limits=_limits(evaluation),
        sections=_sections(evaluation, pictures),
        footer=f"{NOTICE} Paper: {paper.CITATION}",
    )


def _sections(evaluation: Evaluation, pictures: dict[str, Picture | Missing]) -> Sequence[Section]:
    constructed = constructed_truth.constructed_table(evaluation)
    return [
        Section("samples", "Sample frames", (_overlay_gallery(evaluation),)),
        Section(
            "chambers",
            "Chamber segmentation",
            (
                segmentation.dice_table(evaluation),
                segmentation.segmentation_table(evaluation),
                Gallery((pictures["fig-03-dice-by-epoch"],)),
            ),
        ),
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
            "volumes-section",
            "Volumes and ejection fraction",
            (volumes.volume_table(evaluation), Gallery((pictures["volume-agreement"],))),
        ),
        Section(
            "failures-section",
            "Failures and doubtful frames",
            (failures.failure_table(evaluation), failures.second_look_table(evaluation)),
        ),
        Section("making", "How this was made", (provenance.provenance_table(evaluation),)),
    ]


def _lead(evaluation: Evaluation) -> str:
    frames, failed = len(evaluation.frames), sum(_failed(evaluation).values())
    if not frames:
        return "No frame was evaluated: there is nothing to report but how it was made."
    if failed == frames:
        return (
            f"No hinge point could be measured on any of the {frames} frames; “Failures and doubtful frames” says why."
        )
    unit = evaluation.length_unit
    distance = evaluation.number("hinge", ALL, f"distance_{unit}", "before", "median")
    mae = evaluation.number("annulus", ALL, f"diameter_{unit}", "before", "mae")
    missed = "every frame could be measured" if not failed else f"{failed} of {frames} frames could not be measured"
    return (
        f"On {_frames_of_patients(evaluation)}, half of the hinge points found by the network lie "
        f"within {number(distance, 1)} {unit} of the reference, and the annulus diameter is off by {number(mae, 1)} "
        f"{unit} on average; {missed}.{_what_mm_means(evaluation)}"
    )


def _what_mm_means(evaluation: Evaluation) -> str:
    if _is_simulated(evaluation):
        return " The frames are simulated: this says nothing about patients."
    if _is_camus_subset(evaluation):
        return " Millimetres are nominal here: the frames lost their true pixel pitch."
    return ""


def _cards(evaluation: Evaluation) -> Sequence[Card]:
    unit = evaluation.length_unit
    hinge = ("hinge", ALL)
    x, y = (evaluation.number(*hinge, f"{axis}_{unit}", "before", "median_absolute") for axis in ("col", "row"))
    calibrated = evaluation.number(*hinge, f"distance_{unit}", "calibrated", "median")
    points = [
        f"|x| {number(x)}, |y| {number(y)} {unit} (paper, calibrated in-sample: "
        f"{number(paper.ABSOLUTE_ERROR_MM['col'][0])}, {number(paper.ABSOLUTE_ERROR_MM['row'][0])} mm)",
        f"calibrated on validation: {number(calibrated)} {unit}"
        if math.isfinite(calibrated)
        else "no calibration in this evaluation",
    ]
    if evaluation.has_constructed_truth:
        true = evaluation.number("hinge_constructed", ALL, f"distance_{unit}", "before", "median")
        points.append(f"against the constructed truth: {number(true)} {unit}")
    diameter = evaluation.block("annulus", ALL, f"diameter_{unit}", "before")
    mean, loa, mae = (figure_of(diameter, key) for key in ("mean", "loa", "mae"))
    n_dice = evaluation.count("metrics", "LV", "dice", "n")
    dice = evaluation.number("metrics", "LV", "dice", "mean")
    others = [
        f"{s} {number(evaluation.number('metrics', s, 'dice', 'mean'), 3)}" for s in evaluation.structures if s != "LV"
    ]
    failed = _failed(evaluation)
    return [
        Card(
            "Hinge points: median distance from the reference",
            _with_unit(number(evaluation.number(*hinge, f"distance_{unit}", "before", "median")), unit),
            tuple(points),
        ),
        Card(
            "Annulus diameter: mean absolute error",
            _with_unit(number(mae), unit),
            (
                f"bias (mean) {_with_unit(number(mean, signed=True), unit)}",
                f"95 % limits {number(mean - loa, 1, signed=True)} to {number(mean + loa, 1, signed=True)} {unit}"
                if math.isfinite(loa)
                else "too few frames for limits of agreement",
            ),
        ),
        Card(
            "Left ventricle: mean Dice",
            number(dice, 3),
            (f"{n_dice} frames; paper {number(paper.DICE_LV['all'], 3)}", *([", ".join(others)] if others else [])),
        ),
        Card(
            "Frames that could not be measured",
            f"{sum(failed.values())} of {len(evaluation.frames)}" if evaluation.frames else DASH,
            tuple(f"{n}: {FAILURES.get(status, status.replace('_', ' '))}" for status, n in failed.items()),
        ),
    ]


def _reading(evaluation: Evaluation) -> Sequence[tuple[str, str]]:
    unit = evaluation.length_unit
    return [
        (
            "Hinge points",
            "A network outlines the left ventricle (LV), the myocardium (MYO) and the left atrium (LA) on an apical "
            "frame. The line along which LV and LA touch lies in the mitral annulus; its two ends are the hinge points "
            "of the anterior (aMVL) and the posterior leaflet (pMVL).",
        ),
        ("Annulus diameter", "The straight distance between the two hinge points, in the plane of that view."),
        (
            "Error",
            f"Predicted minus reference, in {unit}, measured on the frame's own pixel grid. x is positive to the "
            "right of the image, y downwards; |e| is the error without its sign.",
        ),
        (
            "Median, 15–85 %",
            "Half of the frames are better than the median; the middle 70 % lie between the 15th and the 85th "
            "percentile. They are used instead of mean ± sd because these errors are not normally distributed.",
        ),
        ("View-phase", "A4C and A2C: apical four- and two-chamber view; ED and ES: end-diastole and end-systole."),
        ("Dice", "Overlap of predicted and reference area: 1 is the same, 0 is none."),
        (
            "Calibrated",
            "The known systematic error of each coordinate is taken off. Unless “calibrated” is said, a figure is "
            "uncalibrated.",
        ),
        (
            "Paper",
            f"{paper.CITATION} Its figures stand on a tinted ground. They are of {paper.PATIENTS} test patients of the "
            "CAMUS data set, not of these frames: compare with care.",
        ),
        (DASH, "No figure: not measured, not defined, or not given by the paper. It never means zero."),
    ]


def _limits(evaluation: Evaluation) -> Sequence[tuple[str, str]]:
    limits = [
        ("Use", "Research only. This is not a medical device, and nothing here is for diagnosis or treatment."),
        (
            "The reference itself",
            "Reference hinge points are derived from the reference masks, as the ends of the line where LV and LA "
            "touch; on CAMUS, too, nobody marked the leaflets' hinges themselves. A drawing convention at the annulus "
            "is therefore part of every error here.",
        ),
        (
            "One plane",
            "The diameter in A4C or A2C is the distance between the hinge points of that view, not the size of the "
            "full annulus, which is a saddle-shaped ring in three dimensions.",
        ),
    ]
    if _is_simulated(evaluation):
        limits.append(
            (
                "Simulated data",
                "These frames are a simulated heart under simulated ultrasound. The figures show that the tool works; "
                "they do not say how well it does on patients.",
            )
        )
    if _is_camus_subset(evaluation):
        limits.append(
            (
                "Nominal mm",
                "These CAMUS frames lost their pixel pitch: the spacing is nominal (146 mm of depth over the image "
                "height), so every mm here is a nominal mm, and ratios such as Dice are exact in meaning. The frames "
                "went through lossy JPEG copies, with labels good to about a pixel. This is not an official CAMUS "
                "score. Data: Leclerc et al., IEEE TMI 38(9):2198–2210, 2019 (CC BY-NC-SA 4.0, non-commercial).",
            )
        )
    if evaluation.length_unit == "px":
        limits.append(
            (
                "Pixels, not mm",
                "The pixel pitch of these frames is unknown, so lengths are in pixels (px) and cannot be compared with "
                "the paper's millimetres.",
            )
        )
    if evaluation.frames_in_px:
        limits.append(
            (
                "Frames in px",
                f"{evaluation.frames_in_px} of {len(evaluation.frames)} frames have no known pixel pitch. Their "
                "lengths are in cases.csv, in px, and in no table or figure in mm.",
            )
        )
    if 0 < len(evaluation.frames) < FEW_FRAMES:
        limits.append(
            ("Few frames", f"n = {len(evaluation.frames)}: medians and percentiles of so few frames are uncertain.")
        )
    return limits


def _warnings(evaluation: Evaluation) -> Sequence[str]:
    warnings: list[str] = []
    split = evaluation.summary.get("split")
    run = evaluation.run or {}
    own = not run or run.get("trained_on") in (None, run.get("data"))
    if split in ("train", "all") and own and evaluation.frames:
        warnings.append(
            "Frames of this split may have been trained on: these figures flatter and say little about new patients."
        )
    if split == "val" and own and evaluation.frames:
        warnings.append(
            "The network and its calibration were chosen on these validation frames: these figures flatter somewhat."
        )
    return warnings


def _overlay_gallery(evaluation: Evaluation) -> Gallery | Missing:
    """Best, typical, worst and failed frames, in that order."""
    if not evaluation.overlays:
        return Missing("Sample frames", "The evaluation folder holds no overlays (overlays/overlays.json).")
    ranked = sorted(evaluation.overlays, key=lambda o: list(KINDS).index(o.kind) if o.kind in KINDS else len(KINDS))
    return Gallery(tuple(_overlay_picture(index, overlay) for index, overlay in enumerate(ranked)), small=True)


def _overlay_picture(index: int, overlay: Overlay) -> Picture | Missing:
    title = f"{KINDS.get(overlay.kind, overlay.kind)}."
    pixels = cv2.imread(str(overlay.path)) if overlay.path.is_file() else None
    if pixels is None:
        return Missing(
            f"{title[:-1]}: {overlay.case}", f"Its picture overlays/{overlay.path.name} is missing or damaged."
        )
    # JPEG without colour subsampling: thin coloured lines stay sharp at a fifth of the PNG's size.
    options = [
        cv2.IMWRITE_JPEG_QUALITY,
        JPEG_QUALITY,
        cv2.IMWRITE_JPEG_SAMPLING_FACTOR,
        cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444,
    ]
    _, content = cv2.imencode(".jpg", pixels, options)
    error = "" if overlay.hinge_error_mm is None else f" Mean hinge distance {number(overlay.hinge_error_mm, 1)} mm."
    return Picture(
        f"overlay-{index}",
        title,
        overlay.caption,
        f"Echo frame {overlay.case} with predicted contours (solid), reference contours (dashed), hinge points and "
        f"annulus diameter.{error}",
        data_uri("image/jpeg", content.tobytes()),
        pixels.shape[1],
        pixels.shape[0],
    )


def _embedded(drawing: Drawing, path: Path) -> Picture:
    content = path.read_bytes()
    # Width and height are the first two big-endian words of a PNG's header chunk.
    width, height = (int.from_bytes(content[at : at + 4], "big") for at in (16, 20))
    return Picture(
        drawing.key, drawing.title + ".", drawing.caption, drawing.alt, data_uri("image/png", content), width, height
    )


def _failed(evaluation: Evaluation) -> Mapping[str, int]:
    """Frames without hinge errors, by status."""
    return Counter(row.status for row in evaluation.frames if not math.isfinite(row.value))


def _is_simulated(evaluation: Evaluation) -> bool:
    return evaluation.has_constructed_truth or str(evaluation.summary.get("data", "")).split(":")[0] == "phantom"


def _is_camus_subset(evaluation: Evaluation) -> bool:
    return "camus_subset" in str(evaluation.summary.get("data", ""))


def _frames_of_patients(evaluation: Evaluation) -> str:
    frames, patients = len(evaluation.frames), len({row.patient for row in evaluation.frames})
    return f"{frames} {'frame' if frames == 1 else 'frames'} of {patients} {'patient' if patients == 1 else 'patients'}"


def _with_unit(text: str, unit: str) -> str:
    return text if text == DASH else f"{text} {unit}"
