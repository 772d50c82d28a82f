"""From cases on disk to measured frames and their rows, with the very chain that runs on the cart."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any

from cart.measure import (
    FIRST_PROBABILITIES,
    NO_SIDE,
    ImageMeasurement,
    MeasurementSpec,
    Predictor,
    measure_outputs,
    network_outputs,
    segmented,
)
from data_pipeline.regions import ReferenceBox
from data_pipeline.sample import Case, Sample
from evaluation.boxes import box_rows
from evaluation.calibration import calibration_from_rows
from evaluation.frames import ORACLE_MARGIN, first_rows, frame_rows, subject_of
from evaluation.patients import patient_rows
from evaluation.rows import FRAME, UNKNOWN_ORIENTATION, CaseRow
from postprocessing.calibration import Calibration
from shell.progress import progress


@dataclass(frozen=True)
class MeasuredFrame:
    """One frame, what was measured on it, and its rows.

    Attributes:
        sample: the frame with its reference.
        measurement: of the prediction, native grid.
        rows: of `frame_rows`, of the first segmentation where the network has one, and of the box where it locates.
    """

    sample: Sample
    measurement: ImageMeasurement
    rows: tuple[CaseRow, ...]


def measured_frames(
    cases: Sequence[Case], load: Callable[[Case], Sample], *, predictor: Predictor, spec: MeasurementSpec
) -> Iterator[MeasuredFrame]:
    """Measures case after case; one frame is in memory at a time, so a result does not depend on any other frame.

    Where a frame's view is unknown, or has no entry in the orientation table, the rows of its hinge points say so.

    Args:
        cases: what to measure.
        load: decodes a case.
        predictor: the network.
        spec: how its output is measured.

    Raises:
        UserError: a file that cannot be read, a frame without the reference whose box the network needs.
    """
    region_of = None if spec.oracle is None else ReferenceBox(spec.oracle.structures, spec.oracle.margin)
    for case in progress(cases, label="measuring", unit="frames"):
        sample = load(case)
        region = None if region_of is None else region_of(sample)
        outputs = network_outputs(sample.image, predictor=predictor, spec=spec, region=region)
        is_oriented = not spec.finds_hinge_points or sample.view in spec.anterior_sides
        measurement = measure_outputs(
            outputs,
            sample.image,
            sample.spacing_mm,
            sample.view,
            sample.phase,
            spec=spec,
            anterior_side=None if is_oriented else NO_SIDE,
            region=region,
        )
        if not is_oriented:
            measurement = without_orientation(measurement)
        rows = frame_rows(
            sample,
            measurement.frame,
            structures=spec.structures,
            anterior_side=measurement.anterior_side,
            calibration=spec.calibration,
        )
        if FIRST_PROBABILITIES in outputs:
            first = segmented(
                outputs[FIRST_PROBABILITIES],
                sample.image,
                sample.spacing_mm,
                spec=spec,
                anterior_side=measurement.anterior_side,
                region=region,
            )
            rows += first_rows(sample, first.label_map, structures=spec.structures)
        if measurement.box is not None and spec.box is not None:
            rows += box_rows(subject_of(sample), sample, measurement.box, spec.box)
        if spec.oracle is not None:
            rows.append(subject_of(sample).row(FRAME, ORACLE_MARGIN, spec.oracle.margin, "ratio"))
        yield MeasuredFrame(sample, measurement, tuple(rows))


def without_orientation(measurement: ImageMeasurement) -> ImageMeasurement:
    """The measurement without what needs to know the anterior side: hinge points, and what is made of them."""
    frame = measurement.frame
    if frame.hinge_points is not None:
        frame = replace(frame, hinge_points=None, annulus_diameter=None, status=UNKNOWN_ORIENTATION)
    return replace(measurement, frame=frame, anterior_side=None, calibrated=None)


def rows_of_patients(
    frames: Iterable[MeasuredFrame], *, on_frame: Callable[[MeasuredFrame], Any] | None = None
) -> list[CaseRow]:
    """All rows of measured frames, each patient's volumes behind its frames.

    Args:
        frames: a patient's frames one after the other.
        on_frame: called with each frame while it is in memory.
    """
    rows: list[CaseRow] = []
    for _patient, group in groupby(frames, key=lambda frame: frame.sample.patient_id):
        of_patient = []
        for frame in group:
            rows.extend(frame.rows)
            of_patient.append((frame.sample, frame.measurement.frame))
            if on_frame is not None:
                on_frame(frame)
        rows.extend(patient_rows(of_patient))
    return rows


def fit_calibration_on(
    cases: Sequence[Case], load: Callable[[Case], Sample], *, predictor: Predictor, spec: MeasurementSpec
) -> Calibration | None:
    """The hinge points' systematic error on validation cases; None where not one could be measured."""
    rows = [row for frame in measured_frames(cases, load, predictor=predictor, spec=spec) for row in frame.rows]
    return calibration_from_rows(rows, fitted_on="validation")
