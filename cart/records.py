"""Measures files one after the other and puts each result into plain values: a row of measurements.json."""

import math
import platform
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cart.augmented import tta_spread
from cart.frames import BrokenFrame, Frame, read_frames
from cart.measure import Box, ImageMeasurement, MeasurementSpec, Predictor, measure_image
from data_pipeline.sample import View
from postprocessing.hinge_points import HingePoints
from shell.command import describe
from shell.errors import UserError
from shell.version import project_version

Record = dict[str, Any]
"""One row of measurements.json: strings, numbers, None, lists and dicts of those."""

BOX_COLUMNS = ("box_row_min_px", "box_row_max_px", "box_col_min_px", "box_col_max_px")

FAILED = "failed"
"""Status of an input that could not be read or measured at all; its `error` says why."""

STATUS_WORDS = {
    "no_la_class": "no hinge points: this network outlines no left atrium",
    "no_segmentation": "nothing outlined;",
}
"""What a status says on a line for people, where its name would leave them guessing."""

NOT_TO_BE_TRUSTED = "DO NOT TRUST:"
"""Stands before a measurement on a line for people where the tool abstains from it."""

LIBRARIES = {
    "numpy": ("numpy",),
    "cv2": ("opencv-python", "opencv-python-headless"),
    "ai_edge_litert": ("ai-edge-litert",),
    "tensorflow": ("tensorflow", "tensorflow-cpu"),
    "keras": ("keras",),
}
"""Module → the packages that it may have come from."""


@dataclass(frozen=True)
class FileResult:
    """What became of one frame of an input, or of an input that could not be opened: its record, and unless it failed
    the frame and its measurement.
    """

    record: Record
    frame: Frame | None = None
    measurement: ImageMeasurement | None = None


def measure_files(
    paths: Iterable[Path],
    *,
    predictor: Predictor,
    spec: MeasurementSpec,
    view: View | None = None,
    spacing_mm: tuple[float, float] | None = None,
    anterior_side: str | None = None,
    tta: int = 0,
) -> Iterator[FileResult]:
    """Measures each file in turn, of a cine or a video each frame. What fails gives a result that says so, and the next
    one is measured.

    Args:
        paths: image files, cines and videos.
        predictor: the network.
        spec: how it is measured.
        view: overrides what the files' names and headers say.
        spacing_mm: overrides their headers.
        anterior_side: overrides the orientation table.
        tta: on so many changed copies of each frame the hinge points are looked for again, and their spread is told.
    """

    def measured(frame: Frame) -> FileResult:
        measurement = measure_image(
            frame.image,
            frame.spacing_mm,
            frame.view,
            frame.phase,
            predictor=predictor,
            spec=spec,
            anterior_side=anterior_side,
        )
        record = measurement_record(frame, measurement)
        if tta:
            spread = tta_spread(frame.image, predictor, spec, tta, seed=0, spacing_mm=frame.spacing_mm)
            record["tta_spread"] = spread if math.isfinite(spread) else None
        return FileResult(record, frame, measurement)

    for path in paths:
        yield from _of_file(path, view, spacing_mm, measured)


def _of_file(
    path: Path, view: View | None, spacing_mm: tuple[float, float] | None, measured: Callable[[Frame], FileResult]
) -> Iterator[FileResult]:
    try:
        for frame in read_frames(path, view=view, spacing_mm=spacing_mm).frames:
            if isinstance(frame, BrokenFrame):
                yield FileResult(_failure(path, frame.error, frame))
                continue
            try:
                yield measured(frame)
            except (UserError, OSError, ValueError) as error:
                yield FileResult(_failure(path, describe(error), frame))
    except (UserError, OSError, ValueError) as error:
        yield FileResult(_failure(path, describe(error)))


def _failure(path: Path, message: str, frame: Frame | BrokenFrame | None = None) -> Record:
    record = {
        "input": str(path),
        "status": FAILED,
        "error": message if str(path) in message else f"{path}: {message}",
    }
    if frame is not None and frame.index is not None:
        record |= {"frame_index": frame.index, "time_ms": frame.time_ms}
    return record


def measurement_record(frame: Frame, measurement: ImageMeasurement) -> Record:
    """One measured frame as plain JSON values, in the pixels of the file's own frame.

    Points are (row, col) pixels, pixel centres; a box is (row_min, row_max, col_min, col_max), pixel edges, and so is
    `region_px`, the part of the file's frame that was measured (None: all of it). `notes` say why a file that has
    something on its pixel pitch or its B-mode region was not believed.
    """
    found, calibrated, origin = measurement.frame, measurement.calibrated, frame.origin_px
    return {
        "input": str(frame.path),
        "frame_index": frame.index,
        "time_ms": frame.time_ms,
        "view": frame.view.value if frame.view else None,
        "phase": frame.phase.value if frame.phase else None,
        "spacing_mm": list(frame.spacing_mm) if frame.spacing_mm else None,
        "anterior_side": measurement.anterior_side,
        "status": found.status,
        "flags": list(found.flags),
        "hinge_points_px": _points(found.hinge_points, origin) if found.hinge_points else None,
        "annulus_diameter": float(found.annulus_diameter) if found.annulus_diameter is not None else None,
        "unit": found.unit,
        "box_px": _moved(measurement.box, origin) if measurement.box else None,
        "region_px": list(frame.region) if frame.region else None,
        "notes": list(dict.fromkeys(note for note in (frame.spacing_note, frame.region_note) if note)),
        "calibrated": {
            "hinge_points_px": _points(calibrated.hinge_points, origin),
            "annulus_diameter": float(calibrated.annulus_diameter),
        }
        if calibrated
        else None,
        **_judgement(measurement),
    }


def csv_row(record: Record) -> dict[str, str | float]:
    """A record as one flat row of measurements.csv; what is absent is empty."""
    spacing = record.get("spacing_mm") or ("", "")
    row = {
        "input": record["input"],
        "frame_index": _or_empty(record.get("frame_index")),
        "time_ms": _or_empty(record.get("time_ms")),
        "view": record.get("view") or "",
        "phase": record.get("phase") or "",
        "spacing_row_mm": spacing[0],
        "spacing_col_mm": spacing[1],
        "anterior_side": record.get("anterior_side", ""),
        "status": record["status"],
        "flags": " ".join(record.get("flags", ())),
        "unit": record.get("unit", ""),
    }
    for source, suffix in ((record, ""), (record.get("calibrated") or {}, "_calibrated")):
        points = source.get("hinge_points_px") or {}
        for name in ("amvl", "pmvl"):
            row_px, col_px = points.get(name, ("", ""))
            row |= {f"{name}_row_px{suffix}": row_px, f"{name}_col_px{suffix}": col_px}
        diameter = source.get("annulus_diameter")
        row[f"annulus_diameter{suffix}"] = "" if diameter is None else diameter
    row |= zip(BOX_COLUMNS, record.get("box_px") or ("",) * len(BOX_COLUMNS), strict=True)
    interval = record.get("annulus_diameter_interval") or ("", "")
    row |= {
        "score": _or_empty(record.get("score")),
        "expected_error": _or_empty(record.get("expected_error")),
        "annulus_diameter_lower": interval[0],
        "annulus_diameter_upper": interval[1],
        "abstained": _or_empty(record.get("abstained")),
        "tta_spread": _or_empty(record.get("tta_spread")),
    }
    return row | {"notes": "; ".join(record.get("notes", ())), "error": record.get("error", "")}


def summary_line(record: Record) -> str:
    """A record in one line for people: `frame.png: A4C ED 31.4 mm (calibrated 30.9), 90 % between 27.0 and 36.1`.

    Where the tool abstains from a measurement, the line says first of all not to use it.
    """
    if record["status"] == FAILED:
        return f"failed: {record['error']}"
    words = [record[key] for key in ("view", "phase") if record[key]]
    if record.get("frame_index") is not None:
        time_ms = record["time_ms"]
        words.insert(0, f"frame {record['frame_index']}" + ("" if time_ms is None else f" at {time_ms:.0f} ms"))
    diameter, calibrated = record["annulus_diameter"], record["calibrated"]
    words.append(
        STATUS_WORDS.get(record["status"], record["status"]) if diameter is None else f"{diameter:.1f} {record['unit']}"
    )
    if calibrated:
        words.append(f"(calibrated {calibrated['annulus_diameter']:.1f})")
    if record["annulus_diameter_interval"]:
        low, high = record["annulus_diameter_interval"]
        words.append(f"{100 * record['annulus_diameter_level']:.0f} % between {low:.1f} and {high:.1f}")
    if record["score"] is not None and diameter is not None:
        words.append(f"score {record['score']:.2f}, expected hinge error {record['expected_error']:.1f}")
        if record.get("tta_spread") is not None:
            words.append(f"spread over changed copies {record['tta_spread']:.1f}")
        if record["abstained"]:
            words.insert(0, NOT_TO_BE_TRUSTED)
    if record["box_px"]:
        top, bottom, left, right = record["box_px"]
        words.append(f"box rows {top:.0f}-{bottom:.0f}, columns {left:.0f}-{right:.0f} px")
    if record["flags"]:
        words.append(f"[{', '.join(record['flags'])}]")
    if record.get("notes") and not record.get("frame_index"):  # of a cine once, with its first frame
        words.append(f"({'; '.join(record['notes'])})")
    return f"{record['input']}: {' '.join(words)}"


def software_versions() -> dict[str, str]:
    """Versions of this program, of Python and of the libraries that this process has loaded and results depend on."""
    name, number = project_version()
    versions = {name: number, "python": platform.python_version()}
    for module, packages in LIBRARIES.items():
        if module in sys.modules:
            versions |= {package: found for package in packages if (found := _version(package))}
    return versions


def _judgement(measurement: ImageMeasurement) -> Record:
    """Whether to trust the measurement: None throughout where no model says so. What was measured stays as it is."""
    judgement = measurement.judgement
    interval = judgement.diameter_interval if judgement else None
    return {
        "score": judgement.score if judgement else None,
        "expected_error": judgement.expected_error if judgement else None,
        "abstained": judgement.abstained if judgement else None,
        "annulus_diameter_interval": list(interval) if interval else None,
        "annulus_diameter_level": judgement.level if judgement and interval else None,
        "quality": dict(measurement.frame.quality) or None,
    }


def _or_empty(value: float | bool | None) -> str | float | bool:
    return "" if value is None else value


def _version(package: str) -> str | None:
    from importlib.metadata import PackageNotFoundError, version  # here: it is slow to import

    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _points(points: HingePoints, origin: tuple[int, int]) -> dict[str, list[float]]:
    return {
        name: [float(value) + first for value, first in zip(point, origin, strict=True)]
        for name, point in (("amvl", points.amvl), ("pmvl", points.pmvl))
    }


def _moved(box: Box, origin: tuple[int, int]) -> list[float]:
    top, bottom, left, right = box
    return [top + origin[0], bottom + origin[0], left + origin[1], right + origin[1]]
