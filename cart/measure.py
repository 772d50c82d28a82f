"""From one image to its hinge points: the one chain that evaluation, prediction and the cart share."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from data_pipeline.preprocess import Preprocessing, Region, preprocess_image, restore_probabilities, square_around
from data_pipeline.sample import Phase, Structure, View, structures_from_names
from postprocessing.annulus import annulus_diameter_mm, annulus_diameter_px
from postprocessing.calibration import Calibration
from postprocessing.hinge_points import HingePoints
from postprocessing.measurement import FrameMeasurement, measure_frame
from postprocessing.quality import Judgement, QualityModel
from shell.errors import UserError

PROBABILITIES, BOX, FIRST_PROBABILITIES = "probabilities", "box", "first_probabilities"
"""Names of a network's outputs: classes of each pixel, the located box, classes by the first of two networks."""

Outputs = Mapping[str, npt.NDArray[np.float32]]
"""What a network gives, float32 arrays by name: `probabilities` (n, h, w, classes), `box` (n, 4), …

A box is (row_min, row_max, col_min, col_max), pixel edges as shares of the sides of what the network saw: the whole is
(0, 1, 0, 1), and a box may reach beyond it.
"""

Predictor = Callable[[npt.NDArray[np.float32]], Outputs]
"""Preprocessed images (n, h, w, 1) float32 → the network's outputs."""

Box = tuple[float, float, float, float]
"""(row_min, row_max, col_min, col_max), pixel edges, native grid: the whole frame is (0, H, 0, W)."""

NO_SIDE = "left"  # what is passed on where no hinge point is named by it

DECODE, PREPROCESS, INFER, POSTPROCESS = "decode", "preprocess", "infer", "postprocess"
STAGES = (DECODE, PREPROCESS, INFER, POSTPROCESS)
"""What is done to a frame, in order. Reading it is the caller's, the others are those of `measure_image`."""

Clock = Callable[[str], None]
"""Told the name of each stage as it ends."""


def untimed(stage: str) -> None:
    """A clock that looks away."""


class StageClock:
    """Time spent in each stage since the clock was made, or since `restart`.

    Args:
        now: seconds; wall time by default, `time.thread_time` for the work of one thread.

    Attributes:
        ms: stage → milliseconds, in the order in which they ended. A stage that ends more than once adds up.

    >>> clock = StageClock(iter([1.0, 1.25, 2.0]).__next__)
    >>> clock("preprocess")
    >>> clock("infer")
    >>> clock.ms
    {'preprocess': 250.0, 'infer': 750.0}
    """

    def __init__(self, now: Callable[[], float] = time.perf_counter) -> None:
        self._now = now
        self.restart()

    def restart(self) -> None:
        """Forgets what was measured: the next stage begins now."""
        self.ms: dict[str, float] = {}
        self._last = self._now()

    def __call__(self, stage: str) -> None:
        """Ends a stage, which began when the one before it ended."""
        now = self._now()
        self.ms[stage] = self.ms.get(stage, 0.0) + (now - self._last) * 1000
        self._last = now


@dataclass(frozen=True)
class BoxSpec:
    """Which box a network was taught to find: around these structures, with this margin.

    Attributes:
        structures: the box encloses their union.
        margin: on each side, as a share of the box's height above and below, of its width left and right.
    """

    structures: tuple[Structure, ...]
    margin: float

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {"structures": [structure.name for structure in self.structures], "margin": self.margin}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "BoxSpec":
        """The inverse of `to_dict`.

        Raises:
            KeyError, TypeError, ValueError: a key is missing or has a value of the wrong kind.
        """
        return cls(structures_from_names(values["structures"]), float(values["margin"]))


@dataclass(frozen=True)
class MeasurementSpec:
    """How an image becomes a network's input, and the network's output hinge points.

    Attributes:
        structures: the network's channels.
        preprocessing: image → network grid.
        contact_line: `subpixel` or `pixel`.
        largest_component: keep only the largest component of each structure.
        anterior_sides: view → side of the image (`left` or `right`) on which the anterior leaflet lies.
        calibration: of the hinge points, or None.
        outputs: names of the network's outputs.
        box: what its `box` encloses; None for a network without one.
        oracle: the box of its reference that each frame is cropped to before the network sees it; None for every
            network that can measure a frame without a reference.
        crop_mm: side of the square around the heart that the network sees; None for one that sees the whole frame.
        quality: what tells which measurements to trust, or None.
    """

    structures: tuple[Structure, ...]
    preprocessing: Preprocessing
    contact_line: str
    largest_component: bool
    anterior_sides: Mapping[str, str]
    calibration: Calibration | None
    outputs: tuple[str, ...] = (PROBABILITIES,)
    box: BoxSpec | None = None
    oracle: BoxSpec | None = None
    crop_mm: float | None = None
    quality: QualityModel | None = None

    @property
    def segments(self) -> bool:
        """Whether the network outlines structures, rather than only locating them."""
        return PROBABILITIES in self.outputs

    @property
    def finds_hinge_points(self) -> bool:
        """Whether the network outlines the two chambers that meet between the hinge points."""
        return self.segments and Structure.LV in self.structures and Structure.LA in self.structures

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values, keys as in `bundle.json`."""
        return {
            "classes": [structure.name for structure in self.structures],
            "preprocessing": self.preprocessing.to_dict(),
            "contact_line": self.contact_line,
            "largest_component": self.largest_component,
            "orientation": dict(self.anterior_sides),
            "calibration": self.calibration.to_dict() if self.calibration else None,
            "outputs": list(self.outputs),
            "box": self.box.to_dict() if self.box else None,
            "oracle": self.oracle.to_dict() if self.oracle else None,
            "crop_mm": self.crop_mm,
            "quality": self.quality.to_dict() if self.quality else None,
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "MeasurementSpec":
        """The spec of `to_dict`; further keys are ignored. One written before there were boxes, or a judgement of the
        quality of a measurement, has no word of them.

        Raises:
            KeyError, TypeError, ValueError: a key is missing or has a value of the wrong kind.
        """
        calibration, box, oracle = values["calibration"], values.get("box"), values.get("oracle")
        quality = values.get("quality")
        return cls(
            structures=structures_from_names(values["classes"]),
            preprocessing=Preprocessing.from_dict(values["preprocessing"]),
            contact_line=values["contact_line"],
            largest_component=values["largest_component"],
            anterior_sides=dict(values["orientation"]),
            calibration=Calibration.from_dict(calibration) if calibration is not None else None,
            outputs=tuple(values.get("outputs", (PROBABILITIES,))),
            box=BoxSpec.from_dict(box) if box is not None else None,
            oracle=BoxSpec.from_dict(oracle) if oracle is not None else None,
            crop_mm=values.get("crop_mm"),
            quality=QualityModel.from_dict(quality, "quality") if quality is not None else None,
        )


@dataclass(frozen=True)
class CalibratedPoints:
    """Hinge points with the calibration's bias subtracted, and the diameter between them in the frame's unit."""

    hinge_points: HingePoints
    annulus_diameter: float


@dataclass(frozen=True)
class ImageMeasurement:
    """What was measured on one image.

    Attributes:
        frame: the measurement itself, native grid.
        anterior_side: side of the image that was taken as anterior; None where the network finds no hinge points and
            the view does not tell it.
        calibrated: None without hinge points, or where no calibration applies (none was fitted, it is in mm and the
            spacing is unknown, or the image is not oriented as the frames that it was fitted on).
        box: where the network located `BoxSpec.structures`; None of a network that does not.
        judgement: whether to trust the measurement; None where no model of that applies (none was fitted, it is in mm
            and the spacing is unknown, or the network finds no hinge points).
    """

    frame: FrameMeasurement
    anterior_side: str | None
    calibrated: CalibratedPoints | None
    box: Box | None = None
    judgement: Judgement | None = None


def measure_image(
    image: npt.NDArray[np.float32],
    spacing_mm: tuple[float, float] | None,
    view: View | None,
    phase: Phase | None,
    *,
    predictor: Predictor,
    spec: MeasurementSpec,
    anterior_side: str | None = None,
    clock: Clock = untimed,
) -> ImageMeasurement:
    """Preprocesses an image, runs the network on it and measures the result on the image's own grid.

    Args:
        image: (H, W) float32 intensities, as read.
        spacing_mm: (row, col) pixel pitch, or None where unknown: then lengths are in pixels.
        view: decides the orientation; may be None if `anterior_side` is given.
        phase: chooses the calibration's subgroup, or None.
        predictor: the network, on the grid of `spec.preprocessing`.
        spec: of that network.
        anterior_side: overrides the view's entry in `spec.anterior_sides`.
        clock: told when `preprocess`, `infer` and `postprocess` end, e.g. a `StageClock`.

    Raises:
        UserError: neither the view nor `anterior_side` tells the orientation, and hinge points are asked for; the
            network needs the box of a reference, or a pixel pitch that is not known; its output is not finite.
    """
    require_no_reference(spec)
    side = _side(view, spec, anterior_side)
    region = None
    if spec.crop_mm is not None:  # one frame tells nothing of where the heart moves
        region = square_around(None, (image.shape[0], image.shape[1]), spacing_mm, spec.crop_mm)
    outputs = network_outputs(image, predictor=predictor, spec=spec, region=region, clock=clock)
    measured = measure_outputs(outputs, image, spacing_mm, view, phase, spec=spec, anterior_side=side, region=region)
    clock(POSTPROCESS)
    return measured


def require_no_reference(spec: MeasurementSpec) -> None:
    """Refuses a network that only ever saw frames cropped to the box of their reference.

    Raises:
        UserError: it is one.
    """
    if spec.oracle is not None:
        raise UserError(
            "this network sees frames cropped to the box of their reference "
            f"(oracle_margin={spec.oracle.margin:g}), and a new frame has none; measure labelled frames with "
            "evaluate.py, or take a network that finds its own way"
        )


def network_outputs(
    image: npt.NDArray[np.float32],
    *,
    predictor: Predictor,
    spec: MeasurementSpec,
    region: Region | None = None,
    clock: Clock = untimed,
) -> Outputs:
    """The first half of `measure_image`: what the network gives for one image, without the axis of the batch.

    Args:
        image: as there.
        predictor: as there.
        spec: as there.
        region: what the network sees of the image; None: the whole.
        clock: told when `preprocess` and `infer` end.
    """
    network_image = preprocess_image(image, spec.preprocessing, region)
    clock(PREPROCESS)
    outputs = predictor(network_image[np.newaxis, :, :, np.newaxis])
    clock(INFER)
    return {name: output[0] for name, output in outputs.items()}


def measure_outputs(
    outputs: Outputs,
    image: npt.NDArray[np.float32],
    spacing_mm: tuple[float, float] | None,
    view: View | None,
    phase: Phase | None,
    *,
    spec: MeasurementSpec,
    anterior_side: str | None = None,
    region: Region | None = None,
) -> ImageMeasurement:
    """The second half of `measure_image`: from what `network_outputs` gave for `image`, and the same `region` of it.

    Args and Raises: as there.
    """
    side = _side(view, spec, anterior_side)
    if not all(np.isfinite(output).all() for output in outputs.values()):
        raise UserError("the network's output is not finite; its weights are damaged, train or export again")
    frame = (
        segmented(outputs[PROBABILITIES], image, spacing_mm, spec=spec, anterior_side=side, region=region)
        if spec.segments
        else unsegmented(image, spacing_mm)
    )
    calibrated = calibrated_points(frame.hinge_points, spacing_mm, view, phase, spec=spec, anterior_side=side)
    seen = region or (0.0, float(image.shape[0]), 0.0, float(image.shape[1]))
    box = _native_box(outputs[BOX], seen) if BOX in outputs else None
    return ImageMeasurement(frame, side, calibrated, box, judged(frame, spec.quality))


def segmented(
    probabilities: npt.NDArray[np.float32],
    image: npt.NDArray[np.float32],
    spacing_mm: tuple[float, float] | None,
    *,
    spec: MeasurementSpec,
    anterior_side: str | None,
    region: Region | None = None,
) -> FrameMeasurement:
    """One frame's probabilities (h, w, classes) on the network's grid, measured on the image's own.

    Args:
        probabilities: of a network of `spec.structures`.
        image: as for `measure_image`.
        spacing_mm: as for `measure_image`.
        spec: how they are measured.
        anterior_side: `left` or `right`; None only where no hinge points are found, so that it does not matter.
        region: what the network saw of the image; outside it is background.
    """
    return measure_frame(
        restore_probabilities(probabilities, (image.shape[0], image.shape[1]), region),
        structures=spec.structures,
        spacing_mm=spacing_mm,
        anterior_side=anterior_side or NO_SIDE,
        method=spec.contact_line,
        largest_component=spec.largest_component,
        image=image,
    )


def judged(frame: FrameMeasurement, quality: QualityModel | None) -> Judgement | None:
    """Whether to trust a measurement; None where no model applies to it."""
    if quality is None or not frame.quality or quality.unit != frame.unit:
        return None
    return quality.judge(frame.quality, frame.annulus_diameter)


def unsegmented(image: npt.NDArray[np.float32], spacing_mm: tuple[float, float] | None) -> FrameMeasurement:
    """What a network that only locates says of the structures: nothing, and its status says so."""
    return FrameMeasurement(
        label_map=np.zeros(image.shape, np.uint8),
        contact_line=None,
        hinge_points=None,
        annulus_diameter=None,
        unit="px" if spacing_mm is None else "mm",
        status="no_segmentation",
        flags=(),
    )


def anterior_side_of(view: View | None, spec: MeasurementSpec) -> str:
    """The side of the anterior leaflet in a view.

    Raises:
        UserError: the view is unknown, or has no entry in the orientation table.
    """
    if view is None:
        raise UserError(
            "its view is unknown, so anterior and posterior are too (file names like patient0001_4CH_ED tell it); "
            f"give --view ({', '.join(spec.anterior_sides)}) or --anterior-side"
        )
    if view not in spec.anterior_sides:
        raise UserError(f"no orientation is known for view {view}; give --anterior-side left or right")
    return spec.anterior_sides[view]


def _side(view: View | None, spec: MeasurementSpec, given: str | None) -> str | None:
    """The anterior side, which must be known only where hinge points are named by it."""
    if given is not None or spec.finds_hinge_points:
        return given or anterior_side_of(view, spec)
    return None if view is None else spec.anterior_sides.get(view)


def _native_box(shares: npt.NDArray[np.float32], seen: Region) -> Box:
    top, bottom, left, right = (float(share) for share in shares)
    height, width = seen[1] - seen[0], seen[3] - seen[2]
    return seen[0] + top * height, seen[0] + bottom * height, seen[2] + left * width, seen[2] + right * width


def calibrated_points(
    points: HingePoints | None,
    spacing_mm: tuple[float, float] | None,
    view: View | None,
    phase: Phase | None,
    *,
    spec: MeasurementSpec,
    anterior_side: str | None,
) -> CalibratedPoints | None:
    """Hinge points with the bias of `spec.calibration` subtracted; None where it does not apply (`ImageMeasurement`).

    Args:
        points: native grid, or None where there are none.
        spacing_mm: as for `measure_image`.
        view: as there.
        phase: as there.
        spec: as there.
        anterior_side: the side that was taken as anterior.
    """
    calibration = spec.calibration
    as_fitted = view is not None and anterior_side is not None and spec.anterior_sides.get(view) == anterior_side
    if calibration is None or points is None or not as_fitted or (calibration.unit == "mm" and spacing_mm is None):
        return None
    moved = calibration.apply(points, view, phase, spacing_mm)
    diameter = annulus_diameter_mm(moved, spacing_mm) if spacing_mm else annulus_diameter_px(moved)
    return CalibratedPoints(moved, diameter)
