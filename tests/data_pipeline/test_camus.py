from pathlib import Path

import numpy as np
import pytest

from data_pipeline.datasets import camus
from data_pipeline.readers.nifti import write_nifti
from data_pipeline.sample import Phase, Structure, View
from shell.errors import UsageError, UserError
from tests.data_pipeline.camus_files import (
    METAIMAGE_MM,
    NIFTI_MM,
    drawn_mask,
    speckle,
    write_dataset,
    write_frame,
    write_lists,
    write_metaimage,
)

NIFTI_INFO = "ED: 1\nES: 19\nNbFrame: 19\nSex: F\nAge: 57\nImageQuality: Good\nEF: 56\nFrameRate: 53.9\n"
METAIMAGE_INFO = (
    "ED: 15\r\nES: 1\r\nNbFrame: 18\r\nSex: M\r\nAge: 70\r\nImageQuality: Poor\r\n"
    "LVedv: 94.2\r\nLVesv: 60.1\r\nLVef: 36.2\r\n"
)


# --- Both releases, whole and in part ---


@pytest.mark.parametrize(("suffix", "pitch"), [(".nii.gz", NIFTI_MM), (".nii", NIFTI_MM), (".mhd", METAIMAGE_MM)])
def test_a_release_is_read(tmp_path: Path, suffix: str, pitch: tuple[float, float]):
    write_dataset(tmp_path, ["patient0002", "patient0001"], suffix=suffix)
    cases = camus.list_cases(tmp_path)
    assert [case.case_id for case in cases] == [
        f"patient000{n}_{view}_{phase}" for n in (1, 2) for view in ("2CH", "4CH") for phase in ("ED", "ES")
    ]
    samples = list(camus.iter_samples(tmp_path))
    assert len(samples) == 8
    sample = samples[3]
    assert (sample.patient_id, sample.view, sample.phase) == ("patient0001", View.A4C, Phase.ES)
    np.testing.assert_array_equal(sample.image, speckle("patient0001", "4CH", "ES"))
    np.testing.assert_array_equal(sample.labels, drawn_mask(4))
    assert sample.image.dtype == np.float32
    assert sample.labels is not None
    assert sample.labels.dtype == np.uint8
    assert sample.spacing_mm == pitch
    assert sample.source.endswith(f"patient0001_4CH_ES{suffix}")
    assert (sample.quality, sample.ef_percent, sample.truth) == (None, None, None)


def test_code_book():
    assert dict(camus.CODE_BOOK) == {0: Structure.BACKGROUND, 1: Structure.LV, 2: Structure.MYO, 3: Structure.LA}


def test_partial_folders(tmp_path: Path):
    write_frame(tmp_path, "patient0001", "2CH", "ES")
    write_frame(tmp_path, "patient0007", "4CH", "ED")
    write_frame(tmp_path, "patient0007", "3CH", "ED")
    (tmp_path / "patient0009").mkdir()
    (tmp_path / "SOURCE.md").write_text("where it is from")
    assert [case.case_id for case in camus.list_cases(tmp_path)] == [
        "patient0001_2CH_ES",
        "patient0007_3CH_ED",
        "patient0007_4CH_ED",
    ]


def test_sequences_and_hidden_files_are_not_frames(tmp_path: Path):
    write_frame(tmp_path, "patient0001", "2CH", "ED")
    folder = tmp_path / "patient0001"
    for name in ("patient0001_2CH_half_sequence", "patient0001_2CH_half_sequence_gt"):
        (folder / f"{name}.nii.gz").write_bytes(b"a sequence")
    write_metaimage(folder / "patient0001_2CH_sequence.mhd", speckle("sequence"))
    (folder / "._patient0001_4CH_ED.nii.gz").write_bytes(b"left by another system")
    assert [case.case_id for case in camus.list_cases(tmp_path)] == ["patient0001_2CH_ED"]


def test_a_release_without_any_mask_is_unlabelled(tmp_path: Path):
    """The older release's testing part."""
    write_dataset(tmp_path, ["patient0001"], suffix=".mhd")
    for mask in tmp_path.glob("*/*_gt.*"):
        mask.unlink()
    cases = camus.list_cases(tmp_path)
    assert [case.label_path for case in cases] == [None] * 4
    assert camus.load_sample(cases[0]).labels is None


# --- Info files ---


def test_nifti_info(tmp_path: Path):
    (tmp_path / "Info_2CH.cfg").write_text(NIFTI_INFO)
    assert camus.read_info(tmp_path / "Info_2CH.cfg") == camus.Info(1, 19, 19, "Good", 56.0)


def test_metaimage_info_with_ed_after_es(tmp_path: Path):
    (tmp_path / "Info_2CH.cfg").write_bytes(METAIMAGE_INFO.encode())
    assert camus.read_info(tmp_path / "Info_2CH.cfg") == camus.Info(15, 1, 18, "Poor", 36.2)


def test_info_reaches_the_sample_and_ef_the_other_view(tmp_path: Path):
    write_dataset(tmp_path, ["patient0001"])
    (tmp_path / "patient0001" / "Info_2CH.cfg").write_text(NIFTI_INFO)
    (tmp_path / "patient0001" / "Info_4CH.cfg").write_text("ImageQuality: medium\n")
    samples = list(camus.iter_samples(tmp_path))
    assert [sample.quality for sample in samples] == ["Good", "Good", "Medium", "Medium"]
    assert [sample.ef_percent for sample in samples] == [56.0] * 4


@pytest.mark.parametrize(
    ("text", "expected"),
    [("", camus.Info()), ("EF: NaN\nImageQuality:\n\n# no colon here\n", camus.Info()), ("es:7", camus.Info(None, 7))],
)
def test_info_may_say_little(tmp_path: Path, text: str, expected: camus.Info):
    (tmp_path / "Info_2CH.cfg").write_text(text)
    assert camus.read_info(tmp_path / "Info_2CH.cfg") == expected


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"EF: high", "`ef` must be a number. Received: high"),
        (b"EF: 156", "0..100 %. Received: 156"),
        (b"LVef: -3", "0..100 %. Received: -3"),
        (b"EF: inf", "0..100 %. Received: inf"),
        (b"ED: 0", "`ed` counts frames from 1. Received: 0"),
        (b"NbFrame: 2.5", "`nbframe` counts frames from 1. Received: 2.5"),
        (b"ES: inf", "`es` counts frames from 1. Received: inf"),
        (b"ImageQuality: Superb", "Good, Medium or Poor. Received: Superb"),
        (b"\xff\xfe\x00", "an Info file is text"),
    ],
)
def test_bad_info(tmp_path: Path, content: bytes, message: str):
    write_dataset(tmp_path, ["patient0001"])
    (tmp_path / "patient0001" / "Info_4CH.cfg").write_bytes(content)
    with pytest.raises(UserError) as caught:
        camus.list_cases(tmp_path)
    assert message in str(caught.value)
    assert "Info_4CH.cfg" in str(caught.value)


# --- What is wrong with a folder ---


def test_no_such_root(tmp_path: Path):
    with pytest.raises(UserError, match=r"nowhere: no such folder.*patient0001"):
        camus.list_cases(tmp_path / "nowhere")


def test_empty_root(tmp_path: Path):
    with pytest.raises(UserError, match=r"no CAMUS frames.*patient0001_4CH_ED\.nii\.gz"):
        camus.list_cases(tmp_path)


def test_one_level_too_high_or_too_low(tmp_path: Path):
    write_dataset(tmp_path / "database_nifti", ["patient0001"])
    with pytest.raises(UserError, match=r"Did you mean .*database_nifti\?"):
        camus.list_cases(tmp_path)
    with pytest.raises(UserError, match=r"Did you mean .*patient0001/\.\.\?"):
        camus.list_cases(tmp_path / "database_nifti" / "patient0001")


def test_a_file_in_another_patients_folder(tmp_path: Path):
    path = write_frame(tmp_path, "patient0001")
    path.rename(path.with_name("patient0002_4CH_ED.nii.gz"))
    with pytest.raises(UserError, match=r"patient0002_4CH_ED.*Received: patient0001"):
        camus.list_cases(tmp_path)


def test_one_frame_in_two_formats(tmp_path: Path):
    write_frame(tmp_path, "patient0001")
    write_frame(tmp_path, "patient0001", suffix=".mhd")
    with pytest.raises(UserError, match=r"a frame is there once.*also patient0001_4CH_ED"):
        camus.list_cases(tmp_path)


@pytest.mark.parametrize("suffix", [".nii.gz", ".mhd"])
def test_missing_counterparts(tmp_path: Path, suffix: str):
    write_dataset(tmp_path, ["patient0001"], suffix=suffix)
    folder = tmp_path / "patient0001"
    (folder / f"patient0001_2CH_ED{suffix}").unlink()
    (folder / f"patient0001_4CH_ES_gt{suffix}").unlink()
    no_image, whole, _, no_mask = camus.list_cases(tmp_path)
    with pytest.raises(UserError, match=rf"patient0001_2CH_ED\{suffix}: no such image, though its mask"):
        camus.load_sample(no_image)
    with pytest.raises(UserError, match=rf"patient0001_4CH_ES_gt\{suffix}: no such mask, though its image"):
        camus.load_sample(no_mask)
    assert camus.load_sample(whole).labels is not None


# --- What is wrong with a mask ---


def test_unknown_label(tmp_path: Path):
    mask = drawn_mask()
    mask[0, :2] = 4, 9
    write_frame(tmp_path, "patient0001", mask=mask)
    with pytest.raises(UserError, match=r"patient0001_4CH_ED_gt.*0 BACKGROUND, 1 LV, 2 MYO, 3 LA. Received: 4, 9"):
        camus.load_sample(camus.list_cases(tmp_path)[0])


def test_transposed_mask(tmp_path: Path):
    write_frame(tmp_path, "patient0001", mask=drawn_mask().T)
    with pytest.raises(UserError, match=r"_gt.*its image's size 20 × 14. Received: 14 × 20"):
        camus.load_sample(camus.list_cases(tmp_path)[0])


@pytest.mark.parametrize(("row_mm", "fits"), [(0.5002, True), (0.501, False), (0.25, False)])
def test_mask_of_another_pitch(tmp_path: Path, row_mm: float, fits: bool):
    """Headers round; a per mille is the limit."""
    path = write_frame(tmp_path, "patient0001")
    write_nifti(path.with_name("patient0001_4CH_ED_gt.nii.gz"), drawn_mask(), (row_mm, 0.25))
    case = camus.list_cases(tmp_path)[0]
    if fits:
        assert camus.load_sample(case).spacing_mm == NIFTI_MM
    else:
        with pytest.raises(UserError, match=rf"pixel pitch \(0\.5, 0\.25\) mm. Received: \({row_mm}, 0\.25\) mm"):
            camus.load_sample(case)


def test_pitch_unknown_on_one_side(tmp_path: Path):
    path = write_frame(tmp_path, "patient0001", suffix=".mhd")
    path.write_text(path.read_text().replace("ElementSpacing = 0.308 0.154 1\n", ""))
    with pytest.raises(UserError, match=r"pixel pitch unknown. Received: \(0\.154, 0\.308\) mm"):
        camus.load_sample(camus.list_cases(tmp_path)[0])


# --- Official lists ---

PATIENTS = [f"patient000{n}" for n in range(1, 7)]


def test_no_lists_no_split(tmp_path: Path):
    write_dataset(tmp_path / "camus", PATIENTS[:1])
    assert camus.official_split(tmp_path / "camus", 5) is None


@pytest.mark.parametrize(
    "place",
    ["camus", "camus/splits", "camus/camus_splits", "camus/database_split", "splits", "camus_splits", "database_split"],
)
def test_where_lists_are_looked_for(tmp_path: Path, place: str):
    write_dataset(tmp_path / "camus", PATIENTS, views=["4CH"])
    write_lists(tmp_path / place, 5, "patient0001 patient0002 patient0099", "patient0004 patient0003", "patient0006")
    split = camus.official_split(tmp_path / "camus", 5)
    assert split is not None
    assert split.train == ("patient0001", "patient0002")
    assert split.val == ("patient0003", "patient0004")
    assert split.test == ("patient0006",)
    name = "camus" if place == "camus" else place.split("/")[-1]
    assert split.source == f"official fold 5 of 10 ({name}), 1 patient(s) in no list left out"


def test_lists_of_ones_own_place(tmp_path: Path):
    write_dataset(tmp_path / "camus", PATIENTS, views=["4CH"])
    write_lists(tmp_path / "splits", 1, "patient0001", "patient0002", "patient0003")
    write_lists(tmp_path / "mine", 1, "patient0004", "patient0005", "patient0006")
    split = camus.official_split(tmp_path / "camus", 1, tmp_path / "mine")
    assert split is not None
    assert split.of("all") == ("patient0004", "patient0005", "patient0006")
    with pytest.raises(UserError, match=r"other: no official lists.*subGroup1_training\.txt"):
        camus.official_split(tmp_path / "camus", 1, tmp_path / "other")


def test_bad_lists(tmp_path: Path):
    root = tmp_path / "camus"
    write_dataset(root, PATIENTS, views=["4CH"])
    write_lists(root, 1, "patient0001", "patient0002", "patient0003")
    with pytest.raises(UserError, match=r"subGroup2_training\.txt: no such list"):
        camus.official_split(root, 2)
    for fold in (0, 11):
        with pytest.raises(UsageError, match=f"1 to 10. Received: {fold}"):
            camus.official_split(root, fold)
    write_lists(root, 1, "patient0001 patient0002", "patient0002", "patient0003")
    with pytest.raises(UserError, match=r"official fold 1.*one of train, val and test. Received twice: patient0002"):
        camus.official_split(root, 1)
    write_lists(root, 1, "patient0001", "patient0100", "patient0200")
    with pytest.raises(camus.UnusableFoldError, match=r"none of the 6 present in validation and testing.*--fold"):
        camus.official_split(root, 1)
    (root / "subGroup1_testing.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UserError, match=r"subGroup1_testing\.txt: a list is text"):
        camus.official_split(root, 1)


# --- Real frames ---


@pytest.mark.data
def test_real_frames(camus_subset: Path):
    samples = list(camus.iter_samples(camus_subset))
    assert len(samples) == 298
    assert len({sample.patient_id for sample in samples}) == 226
    for sample in samples:
        assert sample.labels is not None
        assert sample.labels.shape == sample.image.shape
        assert set(np.unique(sample.labels)) == {0, 1, 2, 3}
        lv_row = np.argwhere(sample.labels == Structure.LV)[:, 0].mean()
        la_row = np.argwhere(sample.labels == Structure.LA)[:, 0].mean()
        assert lv_row < la_row  # apex at the top: (H, W), not (W, H)
    assert samples[0].spacing_mm == (0.3303, 0.3303)


@pytest.mark.data
def test_real_lists(camus_subset: Path):
    split = camus.official_split(camus_subset, 1)
    assert split is not None
    assert [len(split.of(name)) for name in ("train", "val", "test")] == [172, 27, 27]
    after = camus.official_split(camus_subset, 2)
    assert after is not None
    assert split.val == after.test  # validation of fold k is testing of fold k + 1
    with pytest.raises(camus.UnusableFoldError, match="fold 5"):
        camus.official_split(camus_subset, 5)
