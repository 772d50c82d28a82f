"""Masks out to a physician and back, on a small data set in ACDC's layout."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from data_pipeline.readers.nifti import read_nifti_volume, write_nifti
from data_pipeline.sample import Structure
from data_pipeline.spec import open_dataset
from evaluation.corrections import read_corrections, require_correctable, take_corrections, write_masks
from evaluation.predictions import prediction_of, save_prediction
from postprocessing.measurement import FrameMeasurement
from shell.errors import UsageError, UserError
from tests.data_pipeline.acdc_files import ED, PITCH_MM, SHAPE, SLICES, drawn_volume, write_dataset, write_volume

MASK_ED = f"patient001/patient001_frame{ED:02d}_gt.nii"


@pytest.fixture
def dataset(tmp_path: Path):
    return open_dataset(f"acdc:{write_dataset(tmp_path / 'data', ['patient001', 'patient002'])}")


@pytest.fixture
def cases(dataset):
    return [case for case in dataset.cases if case.patient_id == "patient001"]


@pytest.fixture
def folder(tmp_path: Path, dataset, cases) -> Path:
    """An evaluation of patient001 whose predictions are the reference, shifted by a column."""
    for case in cases:
        labels = dataset.load(case).labels
        measurement = FrameMeasurement(np.roll(labels, 1, axis=1), None, None, None, "mm", "no_la_class", ())
        save_prediction(tmp_path / "evaluation" / "predictions" / f"{case.case_id}.npz", prediction_of(measurement))
    return tmp_path / "evaluation"


def corrected(given: Path, name: str = MASK_ED, mask: np.ndarray | None = None, **about) -> Path:
    write_volume(given / name, drawn_volume("ED") if mask is None else mask, **about)
    return given


def test_the_masks_written_are_what_is_read(dataset, cases, folder: Path):
    """Nothing is corrected in them: what comes back is the prediction, in the project's codes."""
    write_masks(folder, dataset, cases)
    there = read_nifti_volume(folder / "masks" / MASK_ED)
    assert (there.spacing_mm, there.slice_distance_mm) == (PITCH_MM, 10.0)
    assert np.array_equal(there.array[0], np.roll(drawn_volume("ED"), 1, axis=2))  # ACDC's own codes
    about = take_corrections(folder / "masks", dataset, cases, folder)
    assert about == {"folder": str(folder / "masks"), "files": 2, "slices": 2 * SLICES, "passed_over": 0}
    kept = read_corrections(folder, [case.case_id for case in cases])
    assert kept is not None
    for case in cases:
        labels = dataset.load(case).labels
        assert np.array_equal(kept[case.case_id], np.roll(labels, 1, axis=1))
    assert {int(code) for code in np.unique(kept["patient001_SAX_ED_s00"])} == {0, 1, 2, int(Structure.RV)}


@pytest.mark.parametrize(
    "name", [MASK_ED, Path(MASK_ED).name, "patient001_SAX_ED.nii", "patient001/patient001_SAX_ED.nii"]
)
def test_a_volume_may_lie_in_the_layout_or_beside(dataset, cases, folder: Path, tmp_path: Path, name: str):
    about = take_corrections(corrected(tmp_path / "given", name), dataset, cases, folder)
    assert (about["files"], about["slices"]) == (1, SLICES)
    kept = read_corrections(folder, [case.case_id for case in cases])
    assert sorted(kept) == [f"patient001_SAX_ED_s{index:02d}" for index in range(SLICES)]


def test_one_slice_alone(dataset, cases, folder: Path, tmp_path: Path):
    given = tmp_path / "given"
    write_nifti(given / "patient001_SAX_ES_s01.nii.gz", drawn_volume("ES")[1], PITCH_MM)
    about = take_corrections(given, dataset, cases, folder)
    assert (about["files"], about["slices"]) == (1, 1)
    kept = read_corrections(folder, [case.case_id for case in cases])
    by_id = {case.case_id: case for case in cases}
    assert np.array_equal(kept["patient001_SAX_ES_s01"], dataset.load(by_id["patient001_SAX_ES_s01"]).labels)


def test_other_patients_and_images_are_passed_over(dataset, cases, folder: Path, tmp_path: Path):
    given = tmp_path / "given"
    shutil.copytree(dataset.root, given)
    about = take_corrections(given, dataset, cases, folder)
    assert (about["files"], about["passed_over"]) == (2, 2)


def test_new_corrections_replace_the_old_and_none_is_none(dataset, cases, folder: Path, tmp_path: Path):
    names = [case.case_id for case in cases]
    assert read_corrections(folder, names) is None
    take_corrections(corrected(tmp_path / "first"), dataset, cases, folder)
    take_corrections(
        corrected(tmp_path / "second", "patient001_SAX_ES.nii", drawn_volume("ES")), dataset, cases, folder
    )
    assert all("_ES_" in case for case in read_corrections(folder, names))
    path = folder / "corrected" / "patient001_SAX_ES_s00.npz"
    path.write_bytes(path.read_bytes()[:60])
    with pytest.raises(UserError, match=r"patient001_SAX_ES_s00\.npz: damaged"):
        read_corrections(folder, names)


def test_bad_folders_are_named(dataset, cases, folder: Path, tmp_path: Path):
    def refused(given: Path, message: str):
        with pytest.raises(UserError, match=message):
            take_corrections(given, dataset, cases, folder)

    refused(tmp_path / "nowhere", "nowhere: no such folder")
    (tmp_path / "empty").mkdir()
    refused(tmp_path / "empty", "no corrected mask. Expected files such as .*patient001")
    refused(corrected(tmp_path / "named", "patient01_frame01_gt.nii"), "named as the data set's own.*patient01_frame01")
    refused(corrected(tmp_path / "other", "patient002_SAX_ED.nii"), "no mask of a case that is evaluated")
    twice = corrected(corrected(tmp_path / "twice"), "patient001_SAX_ED.nii")
    refused(twice, "corrected once. Received: .* and ")
    refused(dataset.root, "the reference is no correction")
    with pytest.raises(UsageError, match="for short-axis volumes"):
        require_correctable(replace(dataset, name="camus", spec="camus:x"))


def test_bad_masks_are_named(dataset, cases, folder: Path, tmp_path: Path):
    def refused(given: Path, message: str):
        with pytest.raises(UserError, match=message):
            take_corrections(given, dataset, cases, folder)

    mask = drawn_volume("ED")
    refused(corrected(tmp_path / "codes", mask=np.where(mask == 1, np.uint8(4), mask)), "labels are .*Received: 4")
    refused(corrected(tmp_path / "fewer", mask=mask[:-1]), "as many slices and pixels")
    refused(corrected(tmp_path / "smaller", mask=mask[:, :-1]), "as many slices and pixels")
    refused(corrected(tmp_path / "pitch", spacing_mm=(2.0, 1.6)), "pitch and slice distance")
    cut = corrected(tmp_path / "cut") / MASK_ED
    cut.write_bytes(cut.read_bytes()[:500])
    refused(tmp_path / "cut", "not a complete NIfTI file")
    write_nifti(tmp_path / "slice" / "patient001_SAX_ED_s00.nii", mask[0, :-1], PITCH_MM)
    refused(tmp_path / "slice", f"as many pixels as its slice, {SHAPE[0]} × {SHAPE[1]}")
