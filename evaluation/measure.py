"""From cases on disk to predictions, with the very chain that runs on the cart, and from those to rows.

A network is asked once. What it says of a frame is kept whole (`predictions.py`), and the rows are made of that and of
the reference: at once, where a calibration is fitted, or later and in several processes (`stored.py`).
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

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
from data_pipeline.regions import ReferenceBox, chosen_region
from data_pipeline.sample import Case, Sample, View
from evaluation.boxes import box_rows
from evaluation.frames import ORACLE_MARGIN, first_rows, frame_rows, subject_of
from evaluation.patients import patient_rows
from evaluation.predictions import Prediction, prediction_of
from evaluation.quality import TTA_SPREAD, quality_rows
from evaluation.rows import BOX, FRAME, NO_SEGMENTATION, UNKNOWN_ORIENTATION, UNREADABLE, CaseRow
from evaluation.shapes import shape_rows
from evaluation.short_axis import Slice, short_axis_rows
from postprocessing.measurement import FrameMeasurement
from shell.progress import progress

Load = Callable[[Case], Sample]


@dataclass(frozen=True)
class MeasuredFrame:
    """One frame, what the network says of it, and its rows.

    Attributes:
        sample: the frame with its reference.
        prediction: native grid.
        rows: of `rows_of_frame`.
    """

    sample: Sample
    prediction: Prediction
    rows: tuple[CaseRow, ...]


def predict_frame(sample: Sample, *, predictor: Predictor, spec: MeasurementSpec) -> Prediction:
    """What a network says of one frame; the result does not depend on any other frame.

    Where the frame's view is unknown, or has no entry in the orientation table, it has no hinge points.

    Args:
        sample: the frame, with its reference where `spec.oracle` needs it.
        predictor: the network.
        spec: how its output is measured.

    Raises:
        UserError: a frame without the reference whose box the network needs, or without the pixel pitch of its crop;
            an output that is not finite.
    """
    oracle = None if spec.oracle is None else ReferenceBox(spec.oracle.structures, spec.oracle.margin)
    chosen = chosen_region(oracle=oracle, crop_mm=spec.crop_mm)
    region = None if chosen is None else chosen(sample)
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
    first = None
    if FIRST_PROBABILITIES in outputs:
        first = segmented(
            outputs[FIRST_PROBABILITIES],
            sample.image,
            sample.spacing_mm,
            spec=spec,
            anterior_side=measurement.anterior_side,
            region=region,
        ).label_map
    return prediction_of(
        measurement.frame, measurement.box, anterior_side=measurement.anterior_side, first_label_map=first
    )


def without_orientation(measurement: ImageMeasurement) -> ImageMeasurement:
    """The measurement without what needs to know the anterior side: hinge points, and what is made of them."""
    frame = measurement.frame
    if frame.hinge_points is not None:
        frame = replace(frame, hinge_points=None, annulus_diameter=None, status=UNKNOWN_ORIENTATION)
    return replace(measurement, frame=frame, anterior_side=None, calibrated=None)


def rows_of_frame(sample: Sample, prediction: Prediction, spec: MeasurementSpec) -> list[CaseRow]:
    """All rows of one frame: `frame_rows`, shapes, trust, first segmentation, box, whether the reference helped."""
    subject = subject_of(sample)
    rows = frame_rows(
        sample,
        prediction.measurement(),
        structures=spec.structures,
        anterior_side=prediction.anterior_side,
        calibration=spec.calibration,
    )
    if spec.segments:
        rows += shape_rows(subject, sample, prediction.label_map, spec.structures)
    if spec.finds_hinge_points:
        spread = prediction.about.get(TTA_SPREAD)
        rows += quality_rows(subject, prediction.measurement(), spec.quality, tta_spread=spread)
    if prediction.first_label_map is not None:
        rows += first_rows(sample, prediction.first_label_map, structures=spec.structures)
    if prediction.box is not None and spec.box is not None:
        rows += box_rows(subject, sample, prediction.box, spec.box)
    if spec.oracle is not None:
        rows.append(subject.row(FRAME, ORACLE_MARGIN, spec.oracle.margin, "ratio"))
    return rows


def unreadable_rows(case: Case, spec: MeasurementSpec) -> list[CaseRow]:
    """The rows of a frame whose files cannot be read: all that it would have, each with that status."""
    stub = Sample(
        image=np.zeros((1, 1), np.float32),
        labels=None,
        spacing_mm=(1.0, 1.0),
        patient_id=case.patient_id,
        view=case.view,
        phase=case.phase,
        source=str(case.image_path),
        frame=case.frame,
    )
    nothing = prediction_of(
        FrameMeasurement(
            label_map=np.zeros((1, 1), np.uint8),
            contact_line=None,
            hinge_points=None,
            annulus_diameter=None,
            unit="mm",
            status="no_contact_line" if spec.segments else NO_SEGMENTATION,
            flags=(),
        ),
        None if spec.box is None else (0.0, 1.0, 0.0, 1.0),
    )
    subject = subject_of(stub)
    return [
        subject.failed_row(row.structure, row.metric, row.unit, UNREADABLE)
        for row in rows_of_frame(stub, nothing, spec)
        if row.structure != BOX or spec.box is not None
    ]


def measured_frames(
    cases: Sequence[Case], load: Load, *, predictor: Predictor, spec: MeasurementSpec
) -> Iterator[MeasuredFrame]:
    """Predicts and measures case after case; one frame is in memory at a time.

    Raises:
        UserError: a file that cannot be read, or as `predict_frame`.
    """
    for case in progress(cases, label="measuring", unit="frames"):
        sample = load(case)
        prediction = predict_frame(sample, predictor=predictor, spec=spec)
        yield MeasuredFrame(sample, prediction, tuple(rows_of_frame(sample, prediction, spec)))


def rows_of_patient(
    frames: Sequence[tuple[Sample, Prediction]],
    spec: MeasurementSpec,
    *,
    corrected: Mapping[str, npt.NDArray[np.uint8]] | None = None,
    unreadable: Sequence[Case] = (),
) -> list[CaseRow]:
    """All rows of one patient: its frames', and behind them its volumes'; none of no frame.

    Args:
        frames: that could be read.
        spec: how the network's output is measured.
        corrected: (H, W) structure codes of the short-axis slices that were corrected by hand, by case; None where
            nothing is corrected, in any patient.
        unreadable: the patient's other frames: a volume of slices lacks them. Their own rows are not made here.
    """
    rows = [row for sample, prediction in frames for row in rows_of_frame(sample, prediction, spec)]
    apical = [(sample, prediction.measurement()) for sample, prediction in frames if sample.view is not View.SAX]
    if apical:
        rows += patient_rows(apical)
    slices = [
        Slice(
            sample,
            prediction.label_map,
            None if corrected is None else corrected.get(sample.case_id, prediction.label_map),
        )
        for sample, prediction in frames
        if sample.view is View.SAX
    ]
    lost = [case for case in unreadable if case.view is View.SAX]
    if spec.segments and (slices or lost):
        rows += short_axis_rows(slices, rows, structures=spec.structures, unreadable=lost)
    return rows


def measured_rows(cases: Sequence[Case], load: Load, *, predictor: Predictor, spec: MeasurementSpec) -> list[CaseRow]:
    """The frames' rows alone, for what is fitted on them (`calibration_from_rows`, `fit_quality`)."""
    return [row for frame in measured_frames(cases, load, predictor=predictor, spec=spec) for row in frame.rows]
