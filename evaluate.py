"""Measures a trained run or an exported bundle on a data set: cases.csv, summary.json and report.html."""

import argparse
import dataclasses
import shlex
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from cart.measure import MeasurementSpec, Predictor, anterior_side_of
from cart.overlay import draw_overlay
from data_pipeline.sample import Case, Sample
from data_pipeline.spec import Dataset, open_dataset
from data_pipeline.splits import Split
from evaluation.bounds import Bounds, read_bounds
from evaluation.boxes import reference_box
from evaluation.comparison import compare
from evaluation.corrections import require_correctable, take_corrections, write_masks
from evaluation.folder import UNREADABLE_FILE, copy_kept, read_folder, write_measures
from evaluation.frames import reference_measurement
from evaluation.predictions import load_prediction
from evaluation.rows import NO_CONTACT_LINE, NO_LA_CLASS, NO_SEGMENTATION, UNKNOWN_ORIENTATION, UNREADABLE, CaseRow
from evaluation.selection import shown_cases
from evaluation.stored import predict_all
from postprocessing.calibration import Calibration
from recipes.base import Recipe, from_dict, to_dict
from reports.comparison import text_table, write_comparison
from reports.pdf import write_pdf
from reports.report import write_report
from shell.command import add_debug_option, run_command
from shell.errors import UsageError, UserError
from shell.files import atomic_folder, atomic_path, read_json, write_json
from training.backend import start_backend

EXAMPLES = """examples:
  python evaluate.py --run runs/first                                     its own test patients
  python evaluate.py --run runs/first --data camus:PATH --split all       other data, every patient
  python evaluate.py --bundle bundles/first/tflite-float32 --data phantom --split test
  python evaluate.py --again runs/first/evaluation/camus-test --bounds bounds.json    without the network
  python evaluate.py --again runs/cmr/evaluation/acdc-test --corrected DIR            masks corrected by hand besides
  python evaluate.py --compare runs/first runs/second                     pair by pair, the first as baseline
"""
PARTS = ("train", "val", "test", "all")
WHY_NO_HINGE_POINTS = {
    NO_LA_CLASS: "not measured, this network outlines no left atrium",
    NO_SEGMENTATION: "not measured, this network outlines nothing",
}
WHY_NO_POINTS_IN_FRAME = {NO_CONTACT_LINE: "LV and LA do not touch", UNKNOWN_ORIENTATION: "the view is not known"}
"""Status of a frame → what its picture says; nothing of a network that finds none."""


@dataclass(frozen=True)
class Source:
    """What is evaluated: a network, how its output is measured, and where it comes from."""

    name: str
    folder: Path
    recipe: Recipe
    predictor: Predictor
    spec: MeasurementSpec
    split: Split | None
    data_spec: str | None


def main(argv: Sequence[str] | None = None) -> int:
    """The command line of `evaluate.py`; see `--help`."""
    arguments = parsed(argv)
    if arguments.compare:
        out = arguments.out or Path("comparisons") / "-".join(folder.resolve().name for folder in arguments.compare)
        compare(arguments.compare, out, command=this_command())
        page = write_comparison(out)
        print(text_table(out))
        return finished(page, pdf=arguments.pdf)
    if arguments.again:
        about, spec, bounds = read_folder(arguments.again)
        if arguments.bounds:
            bounds = read_bounds(arguments.bounds)
        out = arguments.out or arguments.again
        with atomic_folder(out, marker="summary.json") as folder:
            report = evaluate_again(
                arguments.again, folder, about, changed(spec, arguments), bounds, corrected=arguments.corrected
            )
        return said(out, report.name, pdf=arguments.pdf)
    start_backend()
    source = load_run_source(arguments.run) if arguments.run else load_bundle_source(arguments.bundle)
    source = dataclasses.replace(source, spec=changed(source.spec, arguments))
    data_spec = arguments.data or source.data_spec
    if data_spec is None:
        raise UsageError("a bundle carries no data; give --data SPEC")
    bounds = read_bounds(arguments.bounds) if arguments.bounds else Bounds()
    dataset = open_dataset(data_spec, structures=source.spec.structures)
    if arguments.corrected:
        require_correctable(dataset)
    is_own = data_spec == source.data_spec
    part = arguments.split or ("test" if is_own else "all")
    cases = choose_cases(dataset, part, source, is_own=is_own)
    out = arguments.out or default_folder(source) / f"{dataset.name}-{part}"
    with atomic_folder(out, marker="summary.json") as folder:
        report = evaluate(
            source,
            dataset,
            cases,
            part,
            folder,
            bounds=bounds,
            tta=arguments.tta or 0,
            corrected=arguments.corrected,
        )
    return said(out, report.name, pdf=arguments.pdf)


def parsed(argv: Sequence[str] | None) -> argparse.Namespace:
    """The arguments, refused where they contradict each other."""
    parser = argparse.ArgumentParser(
        prog="evaluate.py", description=__doc__, epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--run", metavar="DIR", type=Path, help="run folder of train.py")
    what.add_argument("--bundle", metavar="DIR", type=Path, help="bundle of `python -m export`")
    what.add_argument(
        "--again", metavar="DIR", type=Path, help="evaluation whose stored predictions are measured again (in place)"
    )
    what.add_argument(
        "--compare", metavar="DIR", type=Path, nargs="+", help="runs or evaluations; the first is the baseline"
    )
    parser.add_argument(
        "--data",
        metavar="SPEC",
        help="phantom, phantom:PATH, camus:PATH, acdc:PATH, sunnybrook:PATH or labelme:PATH (default: the run's own)",
    )
    parser.add_argument("--split", choices=PARTS, help="patients to measure (default: test; all for other data)")
    parser.add_argument("--out", metavar="DIR", type=Path, help="default: inside the run, or evaluations/BUNDLE")
    parser.add_argument(
        "--calibration", metavar="FILE", help="calibration.json to apply instead of the run's own, or none"
    )
    parser.add_argument(
        "--bounds", metavar="FILE", type=Path, help="what makes a patient an outlier (docs/outliers.md)"
    )
    parser.add_argument(
        "--tta",
        metavar="N",
        type=int,
        help="measure N changed copies of each frame too: the spread of the hinge points, N times the time",
    )
    parser.add_argument(
        "--corrected",
        metavar="DIR",
        type=Path,
        help="short-axis volumes: masks that a physician corrected, for what correction brings (docs/evaluation.md)",
    )
    parser.add_argument("--pdf", action="store_true", help="write the report as PDF too")
    add_debug_option(parser)
    arguments = parser.parse_args(argv)
    if arguments.compare and len(arguments.compare) < 2:
        raise UsageError(f"--compare needs two runs or evaluations at least. Received: {len(arguments.compare)}")
    if arguments.tta is not None and arguments.tta < 1:
        raise UsageError(f"--tta must be 1 or more. Received: {arguments.tta}")
    for name, senseless in {
        "compare": ("data", "split", "calibration", "bounds", "tta", "corrected"),
        "again": ("data", "split", "tta"),
    }.items():
        given = [f"--{option}" for option in senseless if getattr(arguments, option) is not None]
        if getattr(arguments, name) and given:
            raise UsageError(f"--{name} takes what was evaluated as it is; leave {', '.join(given)} out")
    return arguments


def this_command() -> str:
    """What the user typed."""
    return shlex.join(["python", "evaluate.py", *sys.argv[1:]])


def changed(spec: MeasurementSpec, arguments: argparse.Namespace) -> MeasurementSpec:
    """How the output is measured, with what the command line changes of it."""
    if arguments.calibration is None:
        return spec
    calibration = None if arguments.calibration == "none" else read_calibration(Path(arguments.calibration))
    return dataclasses.replace(spec, calibration=calibration)


def said(out: Path, report: str, *, pdf: bool) -> int:
    """Prints the result; 1 where a frame could not be read."""
    unreadable = read_json(out / UNREADABLE_FILE)
    spoilt = f"; {len(unreadable)} could not be read and count as failed" if unreadable else ""
    print(f"{headline(read_json(out / 'summary.json'))}{spoilt}")
    for message in unreadable.values():
        print(f"error: {message}", file=sys.stderr)
    return finished(out / report, pdf=pdf) or (1 if unreadable else 0)


def finished(report: Path, *, pdf: bool) -> int:
    """Prints where the report is, and writes it as PDF where that is wanted."""
    print(f"report: {report}")
    if pdf:
        print(f"as PDF: {write_pdf(report)}")
    return 0


def load_run_source(folder: Path) -> Source:
    """A run folder as `Source`."""
    from export.bundle import measurement_spec
    from training.run_folder import load_run

    run = load_run(folder)
    return Source(run.recipe.model, folder, run.recipe, run.predict, measurement_spec(run), run.split, run.data_spec)


def load_bundle_source(folder: Path) -> Source:
    """A bundle as `Source`; the patients of a split follow from its recipe's shares and seed."""
    from export.bundle import load_predictor

    bundle = load_predictor(folder)
    recipe = from_dict(dict(bundle.spec.recipe), source=str(folder / "bundle.json"))
    name = f"{bundle.spec.model} ({bundle.spec.format})"
    return Source(name, folder, recipe, bundle, bundle.spec.measurement, None, None)


def default_folder(source: Source) -> Path:
    """Where evaluations go: into the run folder; beside the bundles for a bundle, which an export may replace."""
    if source.split is not None:
        return source.folder / "evaluation"
    return Path("evaluations") / f"{source.folder.resolve().parent.name}-{source.folder.resolve().name}"


def read_calibration(path: Path) -> Calibration:
    """Reads a calibration.json.

    Raises:
        UserError: missing, or not a calibration.
    """
    try:
        return Calibration.from_dict(read_json(path))
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path}: not a calibration ({error}); give the calibration.json of a run, or none") from error


def choose_cases(dataset: Dataset, part: str, source: Source, *, is_own: bool) -> list[Case]:
    """The labelled cases of a part of the data set, a patient's frames together.

    On its own data a run has its own split. On other data (and for a bundle, which carries no patients) the split is
    the seeded one of the recipe, which is the same one for the same data set, shares and seed.
    """
    if part == "all":
        patients: Sequence[str] = sorted({case.patient_id for case in dataset.cases})
    elif is_own and source.split is not None:
        patients = source.split.of(part)
    else:
        recipe = source.recipe
        split = dataset.split(None, train_share=recipe.train_share, val_share=recipe.val_share, seed=recipe.seed)
        patients = split.of(part)
    return sorted(dataset.labelled(patients), key=lambda case: (case.patient_id, case.case_id))


def evaluate(
    source: Source,
    dataset: Dataset,
    cases: Sequence[Case],
    part: str,
    folder: Path,
    *,
    bounds: Bounds,
    tta: int = 0,
    corrected: Path | None = None,
) -> Path:
    """Measures the cases and writes everything about them into `folder`; returns the report's path there."""
    corrections = take_corrections(corrected, dataset, cases, folder) if corrected else None
    unreadable = predict_all(cases, dataset.load, folder, predictor=source.predictor, spec=source.spec, tta=tta)
    write_json(folder / UNREADABLE_FILE, unreadable)
    write_json(folder / "recipe.json", to_dict(source.recipe))
    for name in ("history.csv", "environment.json"):
        if (source.folder / name).is_file():
            shutil.copyfile(source.folder / name, folder / name)
    about = {
        "command": this_command(),
        "model": source.name,
        "data": dataset.spec,
        "data_digest": dataset.digest(),
        "trained_on": source.data_spec,
        "split": part,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "n_cases": len(cases),
        "cases": [case.case_id for case in cases],
        **({"corrected": corrections} if corrections else {}),
    }
    write_masks(folder, dataset, cases)
    return finish(folder, dataset, cases, about, source.spec, bounds)


def finish(
    folder: Path,
    dataset: Dataset,
    cases: Sequence[Case],
    about: Mapping[str, Any],
    spec: MeasurementSpec,
    bounds: Bounds,
) -> Path:
    """Everything that follows the network: measures, figures, pictures, the report; returns its path."""
    write_json(folder / "run.json", dict(about))
    rows = write_measures(
        folder, cases, dataset.load, spec=spec, bounds=bounds, data=dataset.spec, split=about["split"]
    )
    draw_samples(folder, rows, cases, dataset, spec)
    return write_report(folder)


def evaluate_again(
    before: Path,
    folder: Path,
    about: Mapping[str, Any],
    spec: MeasurementSpec,
    bounds: Bounds,
    *,
    corrected: Path | None = None,
) -> Path:
    """Measures the stored predictions of an evaluation once more, without its network, into a new folder.

    What was corrected stays so, unless other corrections are given.

    Raises:
        UserError: the data are no longer those that were predicted on.
    """
    dataset = open_dataset(about["data"], structures=spec.structures)
    if dataset.digest() != about["data_digest"]:
        raise UserError(
            f"{before}: {about['data']} is no longer the data that were predicted on; evaluate anew with --run"
        )
    by_id = {case.case_id: case for case in dataset.cases}
    cases = [by_id[name] for name in about["cases"]]
    copy_kept(before, folder)
    about = {**about, "measured_again": this_command()}
    if corrected:
        about["corrected"] = take_corrections(corrected, dataset, cases, folder)
    write_masks(folder, dataset, cases)
    return finish(folder, dataset, cases, about, spec, bounds)


def draw_samples(
    folder: Path, rows: Sequence[CaseRow], cases: Sequence[Case], dataset: Dataset, spec: MeasurementSpec
) -> None:
    """Draws the best, median, worst and failed cases into `folder/overlays` and lists them in overlays.json."""
    by_id = {case.case_id: case for case in cases}
    diameters = {row.case: row for row in rows if row.metric == "annulus_diameter_predicted"}
    entries: list[dict[str, Any]] = []
    for item in shown_cases(rows):
        if item.status == UNREADABLE:
            continue
        sample = dataset.load(by_id[item.case])
        prediction = load_prediction(folder / "predictions" / f"{item.case}.npz")
        is_named = spec.finds_hinge_points and sample.view in spec.anterior_sides
        reference = reference_measurement(sample, anterior_side_of(sample.view, spec)) if is_named else None
        diameter = diameters[item.case]
        picture = draw_overlay(
            sample.image,
            prediction.label_map,
            reference=known_labels(sample, spec),
            contact_line=prediction.contact_line,
            hinge_points=prediction.hinge_points,
            reference_hinge_points=reference.hinge_points if reference else None,
            diameter_text=None if diameter.value is None else f"{diameter.value:.1f} {diameter.unit}",
            spacing_mm=sample.spacing_mm,
            box=prediction.box,
            reference_box=reference_box(sample, spec),
            why_no_hinge_points=WHY_NO_POINTS_IN_FRAME.get(diameter.status),
        )
        path = folder / "overlays" / f"{item.case}.png"
        content = cv2.imencode(".png", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))[1].tobytes()
        with atomic_path(path) as temporary:
            temporary.write_bytes(content)  # unlike cv2.imwrite, it says when the disk is full
        entries.append(
            {
                "case": item.case,
                "file": path.name,
                "kind": item.kind,
                "caption": item.caption,
                "hinge_error_mm": item.hinge_error_mm,
            }
        )
    write_json(folder / "overlays" / "overlays.json", entries)


def known_labels(sample: Sample, spec: MeasurementSpec) -> npt.NDArray[np.uint8] | None:
    """The reference as far as the network has classes for it: nothing is drawn that it was not asked to find."""
    if sample.labels is None:
        return None
    return np.where(np.isin(sample.labels, spec.structures), sample.labels, np.uint8(0))


def headline(summary: dict[str, Any]) -> str:
    """What was measured, in a line or two."""
    lines = [f"{summary['n_cases']} frames of {summary['data']} ({summary['split']})"]
    dices = [
        f"{name} {metrics['dice']['mean']:.3f}"
        for name, metrics in summary["metrics"].items()
        if metrics["dice"]["mean"] is not None
    ]
    if dices:
        lines.append("Dice " + ", ".join(dices))
    for unit in ("mm", "px"):
        distance = summary["hinge"]["all"].get(f"distance_{unit}")
        annulus = summary["annulus"]["all"].get(f"diameter_{unit}")
        if distance and distance["before"]["median"] is not None:
            lines.append(f"hinge points: median error {distance['before']['median']:.2f} {unit}")
        if annulus and annulus["before"]["mae"] is not None:
            lines.append(f"annulus diameter: mean absolute error {annulus['before']['mae']:.2f} {unit}")
    located = summary["localisation"].get("all", {})
    if located and located["iou"]["mean"] is not None:
        lines.append(f"box: IOU {located['iou']['mean']:.3f}, not enclosing the reference {located['out_share']:.0%}")
    if "hinge_points" in summary["not_measured"]:
        lines.append(f"hinge points: {WHY_NO_HINGE_POINTS[summary['not_measured']['hinge_points']]}")
    else:
        lines.append(f"frames without hinge errors: {len(summary['failures'])}")
    if summary["oracle_margin"] is not None:
        lines.append(
            f"THE REFERENCE WAS USED: each frame was cropped to its box with a margin of {summary['oracle_margin']:.0%}"
        )
    return "; ".join(lines)


if __name__ == "__main__":
    run_command(main)
