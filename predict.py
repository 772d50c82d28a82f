"""Measures the mitral annulus on images, or a heart on short-axis volumes, with a trained run or a bundle."""

import argparse
import csv
import itertools
import sys
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import cv2

from cart.augmented import require_spread
from cart.examinations import is_volume
from cart.frames import Frame, add_frame_arguments, read_frames
from cart.measure import ImageMeasurement, MeasurementSpec, Predictor, require_no_reference
from cart.overlay import Picture, draw_overlay
from cart.records import FAILED, FileResult, Record, csv_row, measure_files, software_versions, summary_line
from cart.volume_sheet import draw_sheet
from cart.volumes import (
    SHORT_AXIS_VOLUME,
    measure_examinations,
    sees_short_axis,
    volume_csv_rows,
    volume_summary_line,
    write_label_volumes,
)
from shell.command import add_debug_option, run_command
from shell.files import atomic_path, write_json
from shell.progress import progress

DEFAULT_OUT = Path("measurements")
UNKNOWN_RATE_HZ = 25.0  # of the overlay of a cine that does not say its own: to look at, no measurement

EPILOG = """examples:
  python predict.py --run runs/unet1 patient0001_4CH_ED.nii.gz
  python predict.py --bundle bundles/unet1/tflite-float32 frame.png --view A2C --spacing-mm 0.31 0.31 --out results
  python predict.py --run runs/cine ../data/acdc/patient001 --out results
  python predict.py --run runs/cine patient001_4d.nii.gz dicom/short_axis --out results
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Writes one overlay per input, label volumes, measurements.json and measurements.csv; 1 if any input failed."""
    parser = argparse.ArgumentParser(
        description="Find the hinge points on echo frames and measure the mitral annulus between them; with a network "
        "of short-axis slices outline the ventricles in volumes and cines and measure them.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--run", type=Path, metavar="DIR", help="run folder written by train.py")
    source.add_argument("--bundle", type=Path, metavar="DIR", help="written by `python -m export`")
    add_frame_arguments(parser)
    parser.add_argument(
        "--tta",
        type=_copies,
        default=0,
        metavar="N",
        help="also measure N slightly changed copies of each frame and tell how far the hinge points move; default: 0",
    )
    parser.add_argument("--out", type=Path, default=DEFAULT_OUT, metavar="DIR", help="default: %(default)s")
    add_debug_option(parser)
    arguments = parser.parse_args(argv)

    model, predictor, spec = load_run_network(arguments.run) if arguments.run else load_bundle_network(arguments.bundle)
    require_no_reference(spec)
    if arguments.tta:
        require_spread(spec)
    about = {"model": model, "software": software_versions()}
    volumes = [path for path in arguments.inputs if is_volume(path)] if sees_short_axis(spec) else []
    frames = [path for path in arguments.inputs if path not in volumes]
    records = measured_volumes(volumes, arguments, predictor, spec, about)
    if frames:
        records += measured_frames(frames, arguments, predictor, spec, about)
    failed = [record for record in records if record["status"] == FAILED]
    if len(failed) < len(records):
        write_json(arguments.out / "measurements.json", records)
        write_csv(arguments.out / "measurements.csv", records)
    for record in records:
        line = volume_summary_line(record) if is_of_volume(record) else summary_line(record)
        print(line, file=sys.stderr if record in failed else sys.stdout)
    if len(failed) < len(records):
        print(f"measurements and overlays: {arguments.out}")
    return 1 if failed else 0


def measured_frames(
    paths: Sequence[Path], arguments: argparse.Namespace, predictor: Predictor, spec: MeasurementSpec, about: Record
) -> list[Record]:
    """Measures images and cines one by one and draws each: a picture, or a video."""
    records: list[Record] = []
    overlays: set[str] = set()
    for path in progress(paths, label="measure", unit="files"):
        results = measure_files(
            [path],
            predictor=predictor,
            spec=spec,
            view=arguments.view,
            spacing_mm=arguments.spacing_mm,
            anterior_side=arguments.anterior_side,
            tta=arguments.tta,
        )
        first = next(results)
        if first.record.get("frame_index") is not None:
            name = overlay_name(path, overlays, ".mp4")
            found = measured_cine(path, itertools.chain([first], results), arguments.out / name)
        else:
            name, found = overlay_name(path, overlays), [first.record]
            if first.frame and first.measurement:
                write_overlay(arguments.out / name, first.frame, first.measurement)
        if (arguments.out / name).is_file() and any(record["status"] != FAILED for record in found):
            overlays.add(name)
            for record in found:
                record["overlay"] = name
        records += [{**record, **about} for record in found]
    return records


def measured_cine(path: Path, results: Iterable[FileResult], video_path: Path) -> list[Record]:
    """The records of a cine's frames, and a video of those from the first that could be measured on."""
    from cart.device import Measurement
    from cart.video import OverlayWriter

    records: list[Record] = []
    with ExitStack() as stack:
        video = None
        for number, result in enumerate(results):
            record = result.record
            records.append(record)
            if video is None and result.measurement is not None:
                rate_hz = read_frames(path).frame_rate_hz or UNKNOWN_RATE_HZ
                video = stack.enter_context(OverlayWriter(video_path, rate_hz))
            if video is not None:
                video.write(
                    Measurement(
                        index=record.get("frame_index", number),
                        time_ms=record.get("time_ms"),
                        frame=result.frame,
                        own=result.measurement,
                        error=record.get("error"),
                    )
                )
    return records


def measured_volumes(
    paths: Sequence[Path], arguments: argparse.Namespace, predictor: Predictor, spec: MeasurementSpec, about: Record
) -> list[Record]:
    """Measures short-axis volumes and writes their label volumes and a sheet of each heart."""
    records: list[Record] = []
    taken: set[str] = set()
    for result in measure_examinations(paths, predictor=predictor, spec=spec, spacing_mm=arguments.spacing_mm):
        record = {**result.record, **about}
        if result.measured is not None:
            files = write_label_volumes(arguments.out, result.measured, taken)
            for volume in record["volumes"]:
                volume["labels"] = files[Path(volume["file"])]
            name = overlay_name(Path(result.measured.examination.name), taken)
            taken.add(name)
            write_picture(arguments.out / name, draw_sheet(result.measured))
            record["overlay"] = name
        records.append(record)
    return records


def is_of_volume(record: Record) -> bool:
    """Whether a record is of a volume rather than of an image."""
    return record.get("kind") == SHORT_AXIS_VOLUME


def load_run_network(folder: Path) -> tuple[str, Predictor, MeasurementSpec]:
    """Name, network and measurement of a run folder."""
    from training.backend import start_backend

    start_backend()
    from export.bundle import measurement_spec
    from training.run_folder import load_run

    run = load_run(folder)
    return run.recipe.model, run.predict, measurement_spec(run)


def load_bundle_network(folder: Path) -> tuple[str, Predictor, MeasurementSpec]:
    """Name, network and measurement of a bundle; a TFLite bundle needs no TensorFlow."""
    from export.bundle import load_predictor

    bundle = load_predictor(folder)
    return bundle.spec.model, bundle, bundle.spec.measurement


def overlay_name(path: Path, taken: set[str], suffix: str = ".png") -> str:
    """`patient0001_4CH_ED_overlay.png`; a number is added where two inputs have one name."""
    stem = path.name.removesuffix(".gz").rsplit(".", 1)[0]
    name, number = f"{stem}_overlay{suffix}", 2
    while name in taken:
        name, number = f"{stem}_{number}_overlay{suffix}", number + 1
    return name


def write_overlay(path: Path, frame: Frame, measurement: ImageMeasurement) -> None:
    """The frame with its contours, contact line, hinge points and diameter, as PNG."""
    found = measurement.frame
    picture = draw_overlay(
        frame.image,
        found.label_map,
        contact_line=found.contact_line.points if found.contact_line else None,
        hinge_points=found.hinge_points,
        diameter_text=diameter_text(measurement),
        spacing_mm=frame.spacing_mm,
        box=measurement.box,
        why_no_hinge_points="LV and LA do not touch" if found.status == "no_contact_line" else None,
    )
    write_picture(path, picture)


def write_picture(path: Path, picture: Picture) -> None:
    """A picture, red-green-blue, as PNG."""
    content = cv2.imencode(".png", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))[1].tobytes()
    with atomic_path(path) as temporary:
        temporary.write_bytes(content)


def diameter_text(measurement: ImageMeasurement) -> str | None:
    """What stands at the diameter: its value, and that it is not to be trusted where the tool abstains."""
    found, judgement = measurement.frame, measurement.judgement
    if found.annulus_diameter is None:
        return None
    text = f"{found.annulus_diameter:.1f} {found.unit}"
    return f"{text}, do not trust" if judgement is not None and judgement.abstained else text


def _copies(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"a number of copies is 0 or more. Received: {text}")
    return int(text)


def write_csv(path: Path, records: Sequence[Record]) -> None:
    """The same records for a spreadsheet: a flat row for each image and for each volume."""
    rows: list[dict[str, Any]] = []
    for record in records:
        rows += volume_csv_rows(record) if is_of_volume(record) else [csv_row(record)]
    columns = dict.fromkeys(name for row in rows for name in row)  # of images and of volumes, where there are both
    with atomic_path(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(columns), restval="")
        writer.writeheader()
        writer.writerows(rows)


if __name__ == "__main__":
    run_command(main)
