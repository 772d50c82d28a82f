"""DICOM files of a cine and contours in text files beside them."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from data_pipeline.cache import build_cache
from data_pipeline.datasets import sunnybrook
from data_pipeline.preprocess import Preprocessing
from data_pipeline.sample import Phase, Structure, View, VolumeSlice
from data_pipeline.spec import open_dataset
from shell.errors import UserError
from tests.data_pipeline.mr_dicom_files import DISTANCE_MM, PITCH_MM, RATE_MS, corner_of, write_image

TIMES, SLICES, SHAPE = 4, 3, (30, 40)
ED, ES = 3, 1
CENTRE = (14, 22)  # row, col
RADII = {ED: (6.0, 9.0), ES: (4.0, 8.5)}
PATIENT = "SC-HYP-1"


def number_of(index: int, time: int) -> int:
    return 1 + index * TIMES + time


def circle(radius: float) -> np.ndarray:
    """(N, 2) x, y."""
    angles = np.linspace(0, 2 * np.pi, 100, endpoint=False)
    return np.stack([CENTRE[1] + radius * np.cos(angles), CENTRE[0] + radius * np.sin(angles)], axis=1)


def disc(radius: float) -> np.ndarray:
    rows, cols = np.mgrid[: SHAPE[0], : SHAPE[1]]
    return np.hypot(rows - CENTRE[0], cols - CENTRE[1]) <= radius


def contour_path(root: Path, patient: str, number: int, kind: str) -> Path:
    folder = root / patient / "contours-manual" / "IRCCI-expert"
    return folder / f"IM-0001-{number:04d}-{kind}contour-manual.txt"


def write_contour(root: Path, patient: str, number: int, kind: str, points: np.ndarray) -> Path:
    path = contour_path(root, patient, number, kind)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{x:.2f} {y:.2f}\n" for x, y in points))
    return path


def write_patient(root: Path, patient: str = PATIENT) -> Path:
    """A beating disc; contours at ED (both) and at ES (the inner one), the last slice without."""
    for index in range(SLICES):
        for time in range(TIMES):
            pixels = 100 + 900 * disc(RADII.get(time, (5.0, 9.0))[0])
            number = number_of(index, time)
            write_image(
                root / patient / "DICOM" / f"IM-0004-{number:04d}.dcm",
                pixels + index,
                corner_mm=corner_of(index),
                time_ms=time * RATE_MS,
                number=number,
            )
        if index < SLICES - 1:
            for time in (ED, ES):
                write_contour(root, patient, number_of(index, time), "i", circle(RADII[time][0]))
            write_contour(root, patient, number_of(index, ED), "o", circle(RADII[ED][1]))
    return root


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return write_patient(tmp_path / "sunnybrook")


def test_every_slice_of_the_contoured_times_is_a_case(root: Path):
    dataset = open_dataset(f"sunnybrook:{root}")
    assert [case.case_id for case in dataset.cases] == [
        f"{PATIENT}_SAX_{phase}_s{index:02d}" for phase in ("ED", "ES") for index in range(SLICES)
    ]
    assert {(case.view, case.diagnosis) for case in dataset.cases} == {(View.SAX, "HYP")}
    assert [case.label_path is not None for case in dataset.cases] == [True, True, False, False, False, False]
    assert dataset.structures == (Structure.LV, Structure.MYO)


def test_without_myocardium_es_is_labelled_too(root: Path):
    dataset = open_dataset(f"sunnybrook:{root}", structures=(Structure.BACKGROUND, Structure.LV))
    assert [case.label_path is not None for case in dataset.cases] == [True, True, False, True, True, False]
    labels = dataset.load(dataset.cases[3]).labels
    assert np.count_nonzero(labels != np.where(disc(RADII[ES][0]), Structure.LV, 0)) <= 4  # a polygon cuts corners


def test_contours_become_masks(root: Path):
    dataset = open_dataset(f"sunnybrook:{root}")
    sample = dataset.load(dataset.cases[1])
    assert sample.labels is not None
    assert (
        np.count_nonzero((sample.labels == Structure.LV) != disc(RADII[ED][0])) <= 8
    )  # of 113; a polygon cuts corners
    ring = disc(RADII[ED][1]) & ~disc(RADII[ED][0])
    assert np.count_nonzero((sample.labels == Structure.MYO) != ring) <= 16
    np.testing.assert_array_equal(sample.image, 100 + 900 * disc(RADII[ED][0]) + 1)
    assert (sample.phase, sample.spacing_mm) == (Phase.ED, PITCH_MM)
    assert sample.volume_slice == VolumeSlice(1, SLICES, pytest.approx(DISTANCE_MM))
    assert sample.heart_centre == pytest.approx(CENTRE, abs=1)


def test_images_may_lie_in_a_tree_of_their_own(root: Path, tmp_path: Path):
    (root / "contours").mkdir()
    (root / PATIENT / "contours-manual").rename(root / "contours" / "contours-manual")
    (root / "contours").rename(tmp_path / "moved")
    (tmp_path / "both" / "contours" / PATIENT).parent.mkdir(parents=True)
    (tmp_path / "moved").rename(tmp_path / "both" / "contours" / PATIENT)
    (root / PATIENT).rename(tmp_path / "both" / PATIENT)
    assert len(open_dataset(f"sunnybrook:{tmp_path / 'both'}").cases) == 2 * SLICES


def test_another_outer_contour_is_another_cache_entry(root: Path):
    structures = (Structure.BACKGROUND, Structure.LV, Structure.MYO)

    def entries() -> set[str]:
        dataset = open_dataset(f"sunnybrook:{root}")
        build_cache(dataset.labelled([PATIENT]), dataset.load, Preprocessing(8, 8), structures, root / "cache")
        return {path.name for path in (root / "cache").iterdir() if path.is_dir()}

    first = entries()
    write_contour(root, PATIENT, number_of(0, ED), "o", circle(8.0))
    assert len(entries() - first) == 1


# What is wrong --------------------------------------------------------------------------------------------------------


def no_images(root: Path) -> None:
    for path in root.rglob("*.dcm"):
        path.unlink()


def an_image_missing(root: Path) -> None:
    next(root.rglob(f"*-{number_of(1, ES):04d}.dcm")).unlink()


def two_series(root: Path) -> None:
    for path in list(root.rglob("IM-0004-*.dcm")):
        path.with_name(path.name.replace("IM-0004", "IM-0005")).write_bytes(path.read_bytes())


def three_times(root: Path) -> None:
    write_contour(root, PATIENT, number_of(0, 2), "i", circle(5.0))


def no_numbers(root: Path) -> None:
    contour_path(root, PATIENT, number_of(0, ED), "i").write_text("a b\n")


def two_points(root: Path) -> None:
    contour_path(root, PATIENT, number_of(0, ED), "i").write_text("1 2\n3 4\n")


def beyond(root: Path) -> None:
    write_contour(root, PATIENT, number_of(0, ED), "i", circle(6.0) + np.array([20, 0]))


def beside(root: Path) -> None:
    write_contour(root, PATIENT, number_of(0, ED), "o", circle(6.0) - np.array([10, 0]))


DAMAGES: dict[Callable[[Path], None], str] = {
    no_images: r"the contours of SC-HYP-1 need their images.*Received: none with number 2, 4, 6, 8\. Copy",
    an_image_missing: r"Received: none with number 6\. Copy the patient's short-axis series",
    two_series: r"belong to one stack of slices\. Received: 2 such series",
    three_times: r"the contours of SC-HYP-1 are of two times, ED and ES\. Received: 3 times",
    no_numbers: r"icontour-manual\.txt: a contour is text, `x y` on each line",
    two_points: r"a contour is three points or more, `x y` on each line\. Received: 2 line\(s\)",
    beyond: r"a contour lies in its image, 30 × 40 pixels\. Received: a point at x 4\d(\.\d+)?, y",
    beside: r"the epicardium is around the endocardium\. Received: one beside it",
}


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
def test_damage_has_a_name(damage: Callable[[Path], None], root: Path):
    damage(root)
    with pytest.raises(UserError, match=DAMAGES[damage]):
        list(sunnybrook.iter_samples(root))


def test_what_is_no_sunnybrook(tmp_path: Path):
    with pytest.raises(UserError, match=r"nowhere: no such folder"):
        sunnybrook.list_cases(tmp_path / "nowhere")
    with pytest.raises(UserError, match=r"no contours\. Expected files like SC-HF-I-1/contours-manual/IRCCI-expert"):
        sunnybrook.list_cases(tmp_path)
