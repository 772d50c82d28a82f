"""One simulated patient: anatomy, pose and imaging drawn at random, frames with their truth."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from data_pipeline.phantom.anatomy import VIEWS, Anatomy
from data_pipeline.phantom.cut import cut_plane
from data_pipeline.phantom.motion import SYSTOLE_SHARE, heart_state
from data_pipeline.phantom.plane import Plane
from data_pipeline.phantom.population import draw_anatomy
from data_pipeline.phantom.sector import Pose, Sector
from data_pipeline.phantom.ultrasound import QUALITIES, Imaging, Scanner, draw_imaging
from data_pipeline.raster import FloatArray, fill_polygon
from data_pipeline.sample import Point, Structure, View

QUALITY_SHARES = (0.4, 0.4, 0.2)
DEPTH_MM = (120.0, 180.0)
EDGE_MARGIN_DEG = 1.5  # between a hinge point and the sector's side
ARC_MARGIN_MM = 3.0  # and its arc
CUT_SHARE = 0.05
"""An atrium is called cut when more than this share of it lies outside the sector."""


@dataclass(frozen=True)
class Frame:
    """One frame with everything that is true of it.

    Attributes:
        image: (H, W) uint8.
        labels: (H, W) uint8, LV, MYO and LA as an expert traces them: leaflets and papillary muscles are cavity.
        structures: (H, W) uint8, the same with the right ventricle and the mitral leaflets on top.
        amvl, pmvl: hinge points, (row, col), sub-pixel.
        la_visible_share: part of the left atrium that lies within the sector.
    """

    image: npt.NDArray[np.uint8]
    labels: npt.NDArray[np.uint8]
    structures: npt.NDArray[np.uint8]
    amvl: Point
    pmvl: Point
    la_visible_share: float

    @property
    def la_cut(self) -> bool:
        """The sector cuts the left atrium off."""
        return self.la_visible_share < 1.0 - CUT_SHARE


@dataclass(frozen=True)
class ViewSetup:
    """How one view of a patient was acquired; the same for all its frames.

    Attributes:
        sector, pose, imaging: geometry and ultrasound.
        off_centre: drawn as one of the frames centred on the ventricle, the atrium cut off.
        seed: of the scanner's random numbers.
    """

    sector: Sector
    pose: Pose
    imaging: Imaging
    off_centre: bool
    seed: int


@dataclass(frozen=True)
class Patient:
    """A simulated patient.

    Attributes:
        number: 1 for `patient0001`.
        anatomy: the heart.
        setups: one for each of the three apical views.
        sex, age, frame_rate: for the Info file.
        late_closure: how open the valve still is at end-diastole.
        diastolic_half: the recorded half beat is ES → ED, as in part of CAMUS.
    """

    number: int
    anatomy: Anatomy
    setups: dict[View, ViewSetup]
    sex: str
    age: int
    frame_rate: float
    late_closure: float
    diastolic_half: bool

    @property
    def patient_id(self) -> str:
        """`patient0001`."""
        return f"patient{self.number:04d}"

    def frame_count(self, view: View) -> int:
        """Frames of the recorded half beat."""
        beat_s = 60.0 / (55 + self.setups[view].seed % 40)
        share = 1.0 - SYSTOLE_SHARE if self.diastolic_half else SYSTOLE_SHARE
        return max(8, round(beat_s * share * self.frame_rate))


def draw_patient(number: int, seed: int, off_centre_share: float) -> Patient:
    """Patient `number` of the data set `seed`: the same whatever the other patients, the views or the workers."""
    rng = np.random.default_rng([seed, number])
    anatomy = draw_anatomy(rng)
    quality = str(rng.choice(QUALITIES, p=QUALITY_SHARES))
    setups = {view: _draw_setup(rng, anatomy, view, quality, off_centre_share) for view in VIEWS}
    return Patient(
        number=number,
        anatomy=anatomy,
        setups=setups,
        sex=str(rng.choice(("F", "M"))),
        age=int(np.clip(rng.normal(65, 14), 20, 95)),
        frame_rate=float(np.round(rng.uniform(42.0, 62.0), 1)),
        late_closure=float(rng.uniform(0.05, 0.8)) if rng.random() < 0.4 else 0.0,
        diastolic_half=bool(rng.random() < 0.2),
    )


def simulate_view(patient: Patient, view: View, cycles: Sequence[float]) -> Iterator[Frame]:
    """Frames of one view at moments of the beat (see `heart_state`), lazily."""
    setup = patient.setups[view]
    scanner = Scanner(setup.sector, setup.pose, setup.imaging, np.random.default_rng(setup.seed))
    for cycle in cycles:
        state = heart_state(cycle, patient.late_closure)
        plane = cut_plane(patient.anatomy, view, state)
        left, right = setup.sector.to_pixels(setup.pose.to_image(np.array([plane.left_hinge, plane.right_hinge])))
        anterior_on_right = patient.anatomy.views[view].anterior_on_right
        amvl, pmvl = (right, left) if anterior_on_right else (left, right)
        labels, structures = _label_maps(plane, setup, left, right)
        yield Frame(
            image=scanner.image(plane, state.contraction),
            labels=labels,
            structures=structures,
            amvl=(float(amvl[0]), float(amvl[1])),
            pmvl=(float(pmvl[0]), float(pmvl[1])),
            la_visible_share=_visible_share(plane, setup),
        )


def annulus_diameter_mm(frame: Frame, pitch_mm: float) -> float:
    """Distance between the constructed hinge points."""
    return float(np.hypot(frame.amvl[0] - frame.pmvl[0], frame.amvl[1] - frame.pmvl[1]) * pitch_mm)


def _label_maps(
    plane: Plane, setup: ViewSetup, left: FloatArray, right: FloatArray
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
    """(labels, structures) of a plane whose hinge points are the pixels (row, col) `left` and `right`."""
    shape = setup.sector.shape
    structures = np.zeros(shape, np.uint8)
    leaflets = np.zeros(shape, bool)
    for region in plane.regions:
        if region.structure is None:
            continue
        mask = fill_polygon(shape, setup.sector.to_pixels(setup.pose.to_image(region.outline)))
        if region.structure is Structure.MV:
            leaflets |= mask
        else:
            structures[mask] = region.structure
    beyond_right = Structure.BACKGROUND if plane.aorta_at_right_hinge else Structure.MYO
    _seat_hinge(structures, left, right, Structure.MYO)
    _seat_hinge(structures, right, left, beyond_right)
    labels = np.where(structures == Structure.RV, np.uint8(Structure.BACKGROUND), structures)
    structures[leaflets] = Structure.MV
    return labels, structures


def _seat_hinge(labels: npt.NDArray[np.uint8], hinge: FloatArray, other: FloatArray, beyond: Structure) -> None:
    """Makes the border of LV and LA end at the pixel corner nearest to a hinge point, in place.

    Where three outlines meet at a sharp angle, sampling them at pixel centres can let two of them touch a pixel further
    on than they do. Here the atrium is kept from reaching beyond the hinge within three pixels of it, and of the four
    pixels around the corner the two on the annulus's side become LV (towards the apex) and LA.

    Args:
        labels: (H, W) `Structure` codes.
        hinge: (row, col) of this hinge point.
        other: (row, col) of the other one.
        beyond: what lies behind the hinge point.
    """
    corner = np.floor(hinge) + 0.5
    near = np.array([(row, col) for row in range(-3, 5) for col in range(-3, 5)]) - 1.0 + np.floor(hinge)
    near = near[((near >= 0) & (near < labels.shape)).all(axis=1)].astype(np.int64)
    inwards = (other - hinge) / np.linalg.norm(other - hinge)
    up = np.array([-abs(inwards[1]), inwards[0] * np.sign(inwards[1])])
    along, above = (near - hinge) @ inwards, (near - hinge) @ up
    rows, cols = near.T
    outside = (along < 0.0) & (np.hypot(along, above) < 3.0) & (labels[rows, cols] == Structure.LA)
    labels[rows[outside], cols[outside]] = beyond
    axis = int(np.argmax(np.abs(inwards)))
    for row, col in near[(np.abs(near - corner) < 1.0).all(axis=1)]:
        offset = np.array([row, col]) - corner
        upper = offset[1 - axis] * up[1 - axis] > 0
        if offset[axis] * inwards[axis] > 0:
            labels[row, col] = Structure.LV if upper else Structure.LA
        elif labels[row, col] == Structure.LA or (labels[row, col] == Structure.LV and not upper):
            labels[row, col] = beyond


def _visible_share(plane: Plane, setup: ViewSetup) -> float:
    """Part of the left atrium's area inside the sector, on a 1 mm grid that reaches beyond the image."""
    outline = next(region.outline for region in plane.regions if region.structure is Structure.LA)
    image = setup.pose.to_image(outline)
    origin = np.floor(image.min(axis=0))
    size = np.ceil(image.max(axis=0) - origin).astype(int) + 1
    rows, cols = np.nonzero(fill_polygon((int(size[1]), int(size[0])), (image - origin)[:, ::-1]))
    x, y = cols + origin[0], rows + origin[1]
    half = np.deg2rad(setup.sector.opening_deg / 2)
    seen = (np.hypot(x, y) <= setup.sector.depth_mm) & (np.abs(np.arctan2(x, y)) <= half)
    return float(seen.mean())


def _draw_setup(
    rng: np.random.Generator, anatomy: Anatomy, view: View, quality: str, off_centre_share: float
) -> ViewSetup:
    """Sector and pose: the apex at its usual depth, the annulus at about two thirds of the image, or much deeper."""
    off_centre = bool(rng.random() < off_centre_share)
    length = anatomy.length_mm * anatomy.views[view].foreshortening
    rotation = float(np.clip(rng.normal(9.0, 8.0), -20.0, 32.0))
    apex_mm = float(np.clip(rng.normal(30.0, 6.5), 18.0, 47.0))
    base_mm = apex_mm + length * np.cos(np.deg2rad(rotation))
    plane_share = rng.uniform(0.82, 0.95) if off_centre else float(np.clip(rng.normal(0.71, 0.07), 0.56, 0.88))
    opening = 75.0 if rng.random() < 0.55 else rng.uniform(60.0, 90.0)
    pitch_mm = float(np.round(rng.uniform(0.31, 0.37), 4))
    aside = rng.normal(0.02, 0.035) + (rng.choice((-1.0, 1.0)) * rng.uniform(0.0, 0.08) if off_centre else 0.0)
    depth = float(np.clip(base_mm / plane_share, *DEPTH_MM))
    middle_x = aside * 2.0 * depth * np.sin(np.deg2rad(opening / 2.0))
    pose = Pose(rotation, (float(middle_x + length / 2.0 * np.sin(np.deg2rad(rotation))), float(base_mm)))
    pose, depth = _with_hinges_in_view(pose, depth, opening, cut_plane(anatomy, view, heart_state(0.0)))
    return ViewSetup(
        sector=Sector(depth_mm=depth, opening_deg=opening, pitch_mm=pitch_mm),
        pose=pose,
        imaging=draw_imaging(rng, quality),
        off_centre=off_centre,
        seed=int(rng.integers(2**31)),
    )


def _with_hinges_in_view(pose: Pose, depth: float, opening: float, plane: Plane) -> tuple[Pose, float]:
    """Moves the heart aside, deepens the sector and at last lifts the heart until both hinge points lie in the sector.

    They are looked at at end-diastole, where they are deepest and furthest apart.
    """
    x, y = pose.origin_mm
    hinges = pose.to_image(np.array([plane.left_hinge, plane.right_hinge]))
    reach = hinges[:, 1] * np.tan(np.deg2rad(opening / 2.0 - EDGE_MARGIN_DEG))
    aside = max(0.0, float((-reach - hinges[:, 0]).max())) - max(0.0, float((hinges[:, 0] - reach).max()))
    deepest = float(np.hypot(hinges[:, 0] + aside, hinges[:, 1]).max()) + ARC_MARGIN_MM
    depth = min(max(depth, deepest), DEPTH_MM[1])
    return Pose(pose.rotation_deg, (x + aside, y - max(0.0, deepest - depth))), depth
