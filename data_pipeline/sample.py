"""What one frame is, or one slice of a volume: `Structure`, `View`, `Phase`, `Case` (on disk), `Sample` (in memory)."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from pathlib import Path

import numpy as np
import numpy.typing as npt


class Structure(IntEnum):
    """The anatomical structures, with the one code they have inside the project.

    Every data set maps its own codes onto these (CAMUS 1 is LV, ACDC 1 is RV).
    """

    BACKGROUND = 0
    LV = 1
    MYO = 2
    LA = 3
    RV = 4
    MV = 5


class View(StrEnum):
    """Echocardiographic view (apical 2-, 3-, 4-chamber) or short axis."""

    A2C = "A2C"
    A3C = "A3C"
    A4C = "A4C"
    SAX = "SAX"

    @property
    def camus_name(self) -> str:
        """The view's name in CAMUS file names and in case ids: `2CH`, `3CH`, `4CH`, `SAX`."""
        return {"A2C": "2CH", "A3C": "3CH", "A4C": "4CH", "SAX": "SAX"}[self.value]


class Phase(StrEnum):
    """Cardiac phase of a frame: end-diastole or end-systole."""

    ED = "ED"
    ES = "ES"


Point = tuple[float, float]
"""(row, col), pixel centres at integers, native grid."""


@dataclass(frozen=True)
class VolumeSlice:
    """Where a slice lies in the volume that it is of.

    Attributes:
        index: of the slice in the volume's file, from 0.
        count: slices of that volume.
        distance_mm: from the middle of one slice to the middle of the next: what an area is multiplied with to make a
            volume. The thickness that was imaged may be less, with a gap between slices.
    """

    index: int
    count: int
    distance_mm: float


@dataclass(frozen=True)
class FrameTruth:
    """What is known of a frame by construction (simulated data only), not derived from its mask.

    Attributes:
        amvl, pmvl: hinge points of the anterior and posterior mitral leaflet, (row, col), sub-pixel, native grid.
        annulus_diameter_mm: distance between the two in mm.
        la_cut: the left atrium is cut off by the sector (off-centre frame).
        edv_ml, esv_ml, ef_percent: constructed biplane volumes and ejection fraction of the patient.
    """

    amvl: Point
    pmvl: Point
    annulus_diameter_mm: float
    la_cut: bool = False
    edv_ml: float | None = None
    esv_ml: float | None = None
    ef_percent: float | None = None


@dataclass(frozen=True)
class Case:
    """One frame of a data set as it lies on disk, not yet decoded: cheap to list, split and sort.

    Attributes:
        patient_id: e.g. `patient0001`.
        view, phase: None where the data set does not say.
        image_path, label_path: files; `label_path` is None for an unlabelled frame.
        quality: `Good`, `Medium`, `Poor` or None (from the Info file).
        ef_percent: the data set's stated ejection fraction, or None.
        truth: constructed truth of simulated frames, or None.
        frame: what tells this frame from the patient's others of the same view and phase, or None where there is one.
        spacing_mm: (row, col) pixel pitch that the data set states apart from the image file, or None.
        diagnosis: the patient's, in the data set's own word (`DCM`), or None.
        slice_index: of the slice in the volumes that `image_path` and `label_path` hold, from 0; None where they hold a
            frame.
        cine_paths: further files of the same patient that show how the heart moves, or none.
        further_label_paths: files that the labels are made of besides `label_path`, or none.
    """

    patient_id: str
    view: View | None
    phase: Phase | None
    image_path: Path
    label_path: Path | None
    quality: str | None = None
    ef_percent: float | None = None
    truth: FrameTruth | None = None
    frame: str | None = None
    spacing_mm: tuple[float, float] | None = None
    diagnosis: str | None = None
    slice_index: int | None = None
    cine_paths: tuple[Path, ...] = ()
    further_label_paths: tuple[Path, ...] = ()

    @property
    def case_id(self) -> str:
        """`patient0001_4CH_ED`, `patient0001_4CH_0012`."""
        return case_id(self.patient_id, self.view, self.phase, self.frame)


@dataclass(frozen=True)
class Sample:
    """One decoded frame, or one slice of a volume.

    Attributes:
        image: (H, W) float32, the file's own intensities, native grid.
        labels: (H, W) uint8 of `Structure` codes, or None.
        spacing_mm: (row, col) pixel pitch in mm, or None where unknown (never guessed).
        patient_id, view, phase, quality, ef_percent, truth, frame, diagnosis: as in `Case`.
        source: the file it came from, for messages.
        volume_slice: where it lies in its volume; None for a frame that is no slice of one.
        heart_centre: (row, col), native grid, where the cine says that the heart is; None without a cine.
    """

    image: npt.NDArray[np.float32]
    labels: npt.NDArray[np.uint8] | None
    spacing_mm: tuple[float, float] | None
    patient_id: str
    view: View | None
    phase: Phase | None
    source: str
    quality: str | None = None
    ef_percent: float | None = None
    truth: FrameTruth | None = None
    frame: str | None = None
    diagnosis: str | None = None
    volume_slice: VolumeSlice | None = None
    heart_centre: Point | None = None

    @property
    def case_id(self) -> str:
        """`patient0001_4CH_ED`, `patient0001_4CH_0012`."""
        return case_id(self.patient_id, self.view, self.phase, self.frame)

    @property
    def is_without_heart(self) -> bool:
        """Whether the reference labels nothing at all, as beyond the base and the apex of a short-axis volume."""
        return self.labels is not None and not self.labels.any()


def case_id(patient_id: str, view: View | None, phase: Phase | None, frame: str | None = None) -> str:
    """The name of a case, as cases.csv has it: patient, view, phase and frame, what is unknown left out."""
    parts = [patient_id]
    if view is not None:
        parts.append(view.camus_name)
    if phase is not None:
        parts.append(phase.value)
    if frame is not None:
        parts.append(frame)
    return "_".join(parts)


def structures_from_names(names: Sequence[str]) -> tuple[Structure, ...]:
    """Structures for a recipe's class names, in network-channel order.

    Raises:
        ValueError: an unknown name; the message lists the known ones.
    """
    unknown = [name for name in names if name not in Structure.__members__]
    if unknown:
        known = ", ".join(Structure.__members__)
        raise ValueError(f"`classes` must be among {known}. Received: {', '.join(unknown)}")
    return tuple(Structure[name] for name in names)
