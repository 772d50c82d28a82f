"""A folder of MR DICOM files becomes a cine of volumes, whatever the files are called."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
import pytest

from data_pipeline.readers.dicom_series import read_dicom_series
from shell.errors import UserError
from tests.data_pipeline.mr_dicom_files import (
    COLUMN_DIRECTION,
    CORNER_MM,
    DISTANCE_MM,
    NORMAL,
    PITCH_MM,
    RATE_MS,
    ROW_DIRECTION,
    corner_of,
    write_enhanced,
    write_image,
    write_series,
)

TIMES, SLICES, SHAPE = 3, 4, (6, 5)


@pytest.fixture
def cine() -> np.ndarray:
    return np.random.default_rng(3).integers(0, 4000, (TIMES, SLICES, *SHAPE)).astype(np.uint16)


@pytest.mark.parametrize("with_times", [True, False])
def test_slices_by_position_and_times_by_trigger_or_number(tmp_path: Path, cine: np.ndarray, with_times: bool):
    series = read_dicom_series(write_series(tmp_path / "sax", cine, with_times=with_times))
    np.testing.assert_array_equal(series.volume.array, cine)
    assert series.volume.array.dtype == np.float32
    assert series.volume.spacing_mm == PITCH_MM
    assert series.volume.slice_distance_mm == pytest.approx(DISTANCE_MM)  # of positions, not the 8 mm of thickness
    assert series.times_ms == ((0.0, RATE_MS, 2 * RATE_MS) if with_times else None)


def test_the_affine_leads_to_the_patient(tmp_path: Path, cine: np.ndarray):
    affine = read_dicom_series(write_series(tmp_path, cine)).affine
    col, row, index = 3, 5, 2
    lps = (
        CORNER_MM
        + col * PITCH_MM[1] * ROW_DIRECTION
        + row * PITCH_MM[0] * COLUMN_DIRECTION
        + index * DISTANCE_MM * NORMAL
    )
    np.testing.assert_allclose(affine @ [col, row, index, 1], [-lps[0], -lps[1], lps[2], 1], atol=1e-6)


def test_one_multi_frame_file(tmp_path: Path, cine: np.ndarray):
    path = write_enhanced(tmp_path / "enhanced.dcm", cine)
    for source in (path, tmp_path):
        series = read_dicom_series(source)
        np.testing.assert_array_equal(series.volume.array, cine)
        assert series.times_ms == (0.0, RATE_MS, 2 * RATE_MS)
        assert series.volume.slice_distance_mm == pytest.approx(DISTANCE_MM)


def test_rescaled_as_the_header_says(tmp_path: Path):
    write_image(tmp_path / "a", np.full(SHAPE, 7), slope=2.0, intercept=-10.0)
    series = read_dicom_series(tmp_path)
    np.testing.assert_array_equal(series.volume.array, np.full((1, 1, *SHAPE), 4.0))
    assert series.volume.slice_distance_mm == 8.0  # one slice: its own thickness


def test_other_files_are_left_alone(tmp_path: Path, cine: np.ndarray):
    write_series(tmp_path, cine)
    (tmp_path / "notes.txt").write_text("a walk in the park")
    (tmp_path / ".DS_Store").write_bytes(b"\0")
    assert read_dicom_series(tmp_path).volume.array.shape == cine.shape


# What is wrong --------------------------------------------------------------------------------------------------------


def file_at(folder: Path, index: int, time: int) -> Path:
    number = index * TIMES + time + 1
    return next(folder.glob(f"*-{number:04d}.dcm"))


def changed(path: Path, **tags: object) -> None:
    data = pydicom.dcmread(path)
    for name, value in tags.items():
        if value is None:
            delattr(data, name)
        else:
            setattr(data, name, value)
    data.save_as(path)


def one_time_missing(folder: Path) -> None:
    file_at(folder, 1, 2).unlink()


def one_slice_missing(folder: Path) -> None:
    for time in range(TIMES):
        file_at(folder, 1, time).unlink()


def twice(folder: Path) -> None:
    path = file_at(folder, 1, 2)
    path.with_name("copy.dcm").write_bytes(path.read_bytes())


def another_size(folder: Path) -> None:
    pixels = np.zeros((8, 5))
    write_image(file_at(folder, 2, 0), pixels, corner_mm=corner_of(2), time_ms=0.0, number=7)


def another_pitch(folder: Path) -> None:
    changed(file_at(folder, 2, 0), PixelSpacing=[2.0, 1.0])


def pitch_of_zero(folder: Path) -> None:
    changed(file_at(folder, 2, 0), PixelSpacing=[0.0, 1.5])


def another_orientation(folder: Path) -> None:
    changed(file_at(folder, 2, 0), ImageOrientationPatient=[1.0, 0.0, 0.0, 0.0, 1.0, 0.0])


def no_position(folder: Path) -> None:
    changed(file_at(folder, 2, 0), ImagePositionPatient=None)


def beside(folder: Path) -> None:
    for time in range(TIMES):
        changed(file_at(folder, 2, time), ImagePositionPatient=list(corner_of(2) + 9 * ROW_DIRECTION))


def times_not_told(folder: Path) -> None:
    for time in range(TIMES):
        changed(file_at(folder, 1, time), TriggerTime=5.0, InstanceNumber=None)


def cut_off(folder: Path) -> None:
    path = file_at(folder, 0, 0)
    path.write_bytes(path.read_bytes()[:-20])


def colour(folder: Path) -> None:
    for path in folder.iterdir():
        if path != file_at(folder, 0, 0):
            path.unlink()
    path = file_at(folder, 0, 0)
    changed(path, SamplesPerPixel=3, PhotometricInterpretation="RGB", PlanarConfiguration=0, BitsAllocated=8)
    changed(path, BitsStored=8, HighBit=7, PixelData=bytes(3 * SHAPE[0] * SHAPE[1]))


DAMAGES: dict[Callable[[Path], None], str] = {
    one_time_missing: r"every slice has the same times, here 3\. Received: 2 at .* mm\. Copy the missing files",
    one_slice_missing: r"slices lie evenly, here every 10\.0 mm\. Received: 20\.0 mm between .*\.dcm and .*\.dcm\.",
    twice: r"a slice is there once at each time\. Received: the same place and time as .*\.dcm, .* mm\. Remove",
    another_size: r"as many pixels as .*\.dcm, 6 × 5\. Received: 8 × 5\. Put each series",
    another_pitch: r"the pixel pitch of .*\(2, 1\.5\) mm\. Received: \(2, 1\) mm\. Put",
    pitch_of_zero: r"the pixel pitch must be two positive numbers of mm .*Received: \(0, 1\.5\)",
    another_orientation: r"slices of a stack are parallel, here to .*Received: another orientation\. Put the",
    no_position: r"states its size, pixel pitch, position and orientation\. Received: a header without them",
    beside: r"slices of a stack lie in a straight line\. Received: one that is [789]\.\d mm beside it",
    times_not_told: r"\. Received: the same place and time as",
    cut_off: r"the pixels of this DICOM file cannot be decoded\. Received: .*Export it again",
    colour: r"a slice of an MR series is grey\. Received: colour\. Leave pictures",
}


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
def test_damage_has_a_name(damage: Callable[[Path], None], tmp_path: Path, cine: np.ndarray):
    folder = write_series(tmp_path / "sax", cine + 1)
    damage(folder)
    with pytest.raises(UserError, match=DAMAGES[damage]):
        read_dicom_series(folder)


def test_no_dicom_there(tmp_path: Path, cine: np.ndarray):
    write_series(tmp_path / "sax", cine)
    with pytest.raises(
        UserError, match=r"a DICOM series is needed\. Received: no image .*Give one of its folders: sax"
    ):
        read_dicom_series(tmp_path)
    (tmp_path / "text.dcm").write_text("no DICOM")
    with pytest.raises(UserError, match=r"text\.dcm: a DICOM file is needed\. Received: another format"):
        read_dicom_series(tmp_path / "text.dcm")
