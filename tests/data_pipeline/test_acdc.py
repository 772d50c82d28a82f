"""Short-axis volumes, slice by slice."""

import gzip
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from data_pipeline import check
from data_pipeline.cache import build_cache
from data_pipeline.class_shares import balancing_weights, class_shares
from data_pipeline.class_shares import main as print_class_shares
from data_pipeline.datasets import acdc
from data_pipeline.preprocess import Preprocessing
from data_pipeline.readers.nifti import read_nifti_volume
from data_pipeline.regions import HeartCrop
from data_pipeline.sample import Phase, Structure, View, VolumeSlice
from data_pipeline.spec import open_dataset
from shell.command import run_command
from shell.errors import UsageError, UserError
from tests.data_pipeline.acdc_files import (
    DISTANCE_MM,
    PITCH_MM,
    SHAPE,
    SLICES,
    drawn_volume,
    intensities,
    write_dataset,
    write_patient,
    write_volume,
)

STRUCTURES = (Structure.BACKGROUND, Structure.LV, Structure.MYO, Structure.RV)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Two whole patients with nothing wrong."""
    return write_dataset(tmp_path / "acdc", ["patient001", "patient002"])


def findings(capsys: pytest.CaptureFixture[str], root: Path) -> tuple[int, list[str], str]:
    """Exit code, findings, summary of the check."""
    with pytest.raises(SystemExit) as ended:
        run_command(check.main, [f"acdc:{root}"])
    *lines, summary = capsys.readouterr().out.splitlines() or [""]
    return int(ended.value.code or 0), lines, summary


def load(root: Path, name: str):
    dataset = open_dataset(f"acdc:{root}", complete=False)
    return dataset.load(next(case for case in dataset.cases if case.case_id == name))


def test_every_slice_of_both_volumes_is_a_case(root: Path):
    cases = acdc.list_cases(root)
    expected = [
        f"patient{patient:03d}_SAX_{phase}_s{index:02d}"
        for patient in (1, 2)
        for phase in ("ED", "ES")
        for index in range(SLICES)
    ]
    assert [case.case_id for case in cases] == expected
    assert [case.diagnosis for case in cases] == ["DCM"] * 8 + ["HCM"] * 8
    assert {case.view for case in cases} == {View.SAX}


def test_a_slice_knows_where_it_lies(root: Path):
    sample = load(root, "patient001_SAX_ES_s02")
    mask = drawn_volume("ES")[2]
    translated = np.array([Structure.BACKGROUND, Structure.RV, Structure.MYO, Structure.LV], np.uint8)[mask]
    np.testing.assert_array_equal(sample.labels, translated)
    np.testing.assert_array_equal(sample.image, intensities(drawn_volume("ES"), "patient001", "ES")[2])
    assert sample.image.dtype == np.float32
    assert sample.spacing_mm == PITCH_MM
    assert sample.volume_slice == VolumeSlice(2, SLICES, DISTANCE_MM)
    assert (sample.patient_id, sample.phase, sample.diagnosis) == ("patient001", Phase.ES, "DCM")
    assert sample.source.endswith("patient001_frame09.nii slice 2")
    assert sample.case_id == "patient001_SAX_ES_s02"


def test_a_slice_without_heart_is_a_sample_that_says_so(root: Path):
    assert [sample.is_without_heart for sample in acdc.iter_samples(root)][:8] == [False, False, False, True] * 2
    assert len(build_cache(acdc.list_cases(root)[3:4], acdc.load_sample, Preprocessing(8, 8), STRUCTURES, root)) == 1


def test_the_heart_is_where_the_volumes_differ(root: Path):
    centre = load(root, "patient001_SAX_ED_s00").heart_centre
    assert centre == load(root, "patient001_SAX_ES_s03").heart_centre  # one for all slices of a patient
    assert centre == pytest.approx((24, 20), abs=2)  # the ring of MYO: the middle of the image is (19.5, 23.5)


def test_a_cine_tells_better_than_two_volumes(root: Path):
    still = intensities(drawn_volume("ED"), "still")
    cine = np.stack([still] * 3)
    cine[1, :, 4:12, 30:40] += 3000  # moves above and right of the heart that is drawn
    write_volume(root / "patient001" / "patient001_4d.nii", cine)
    assert load(root, "patient001_SAX_ED_s00").heart_centre == pytest.approx((7.5, 34.5), abs=2)
    assert load(root, "patient002_SAX_ED_s00").heart_centre == pytest.approx((24, 20), abs=2)


def test_a_lone_volume_has_no_centre(root: Path):
    for name in ("patient001_frame09.nii", "patient001_frame09_gt.nii"):
        (root / "patient001" / name).unlink()
    sample = load(root, "patient001_SAX_ED_s00")
    assert sample.heart_centre is None
    top, bottom, left, right = HeartCrop(30.0)(sample)
    assert (top + bottom, left + right) == SHAPE  # about the middle of the image
    assert (bottom - top) * PITCH_MM[0] == pytest.approx(30) == (right - left) * PITCH_MM[1]


def test_the_cache_crops_around_the_heart(root: Path):
    cases = acdc.list_cases(root)[:1]
    sample = acdc.load_sample(cases[0])
    assert sample.labels is not None
    cache = build_cache(cases, acdc.load_sample, Preprocessing(30, 40), STRUCTURES, root / "cache", HeartCrop(60.0))
    _, labels = cache.read(np.array([0]))
    for index, structure in enumerate(STRUCTURES[1:], start=1):  # 2 × 1.5 mm are a native and a network pixel alike
        assert np.count_nonzero(labels == index) == np.count_nonzero(sample.labels == structure)


def test_a_changed_cine_is_another_cache_entry(root: Path):
    cases = acdc.list_cases(root)[:1]

    def entries() -> set[str]:
        case = acdc.list_cases(root)[:1]
        build_cache(case, acdc.load_sample, Preprocessing(8, 8), STRUCTURES, root / "cache", HeartCrop(60.0))
        return {path.name for path in (root / "cache").iterdir() if path.is_dir()}

    first = entries()
    write_volume(cases[0].cine_paths[1], intensities(drawn_volume("ES"), "another"))
    assert len(entries() - first) == 1


@pytest.mark.parametrize("with_cine", [False, True])
@pytest.mark.parametrize("turned", [False, True])
def test_one_pass_decodes_each_volume_once(root: Path, monkeypatch: pytest.MonkeyPatch, with_cine: bool, turned: bool):
    if with_cine:
        for patient in ("patient001", "patient002"):
            write_volume(root / patient / f"{patient}_4d.nii", np.stack([drawn_volume("ED"), drawn_volume("ES")]))
    decoded: list[str] = []

    def counted(path: Path):
        decoded.append(path.name)
        return read_nifti_volume(path)

    monkeypatch.setattr(acdc, "read_nifti_volume", counted)
    cases = acdc.list_cases(root)
    if turned:  # slice by slice across volumes, the worst order there is
        cases.sort(key=lambda case: case.slice_index or 0)
    cache = build_cache(cases, acdc.load_sample, Preprocessing(8, 8), STRUCTURES, root / "cache", HeartCrop(60.0))
    assert Counter(decoded) == Counter(path.name for path in root.glob("*/*.nii"))
    assert cache.case_ids == tuple(case.case_id for case in cases)
    images, _ = cache.read(np.array([5]))
    alone = build_cache(cases[5:6], acdc.load_sample, Preprocessing(8, 8), STRUCTURES, root / "cache", HeartCrop(60.0))
    np.testing.assert_array_equal(images, alone.images)


def test_the_official_suffix_is_read_alike(root: Path):
    expected = load(root, "patient001_SAX_ED_s01")
    for path in list((root / "patient001").glob("*.nii")):
        path.with_name(f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes()))
        path.unlink()
    sample = load(root, "patient001_SAX_ED_s01")
    np.testing.assert_array_equal(sample.image, expected.image)
    np.testing.assert_array_equal(sample.labels, expected.labels)
    assert sample.heart_centre == expected.heart_centre


def test_without_masks_it_can_be_measured(root: Path):
    for path in root.glob("*/*_gt.nii"):
        path.unlink()
    assert all(case.label_path is None for case in acdc.list_cases(root))
    assert load(root, "patient001_SAX_ED_s00").labels is None


def test_es_may_come_before_ed(root: Path):
    info = root / "patient001" / "Info.cfg"
    info.write_text("ED: 9\nES: 1\nGroup: RV\n")
    first = acdc.list_cases(root)[0]
    assert (first.phase, first.image_path.name, first.diagnosis) == (Phase.ED, "patient001_frame09.nii", "RV")


# What is wrong --------------------------------------------------------------------------------------------------------


def test_nothing_wrong_but_slices_beyond_the_heart(root: Path, capsys: pytest.CaptureFixture[str]):
    code, lines, summary = findings(capsys, root)
    assert code == 0
    assert len(lines) == 1
    assert "masks show a structure. Received: 4 of 16 without any" in lines[0]
    assert "16 frames of 2 patients, 0 error(s), 1 warning(s)" in summary


def test_exchanged_phases_are_seen_in_the_volume(root: Path, capsys: pytest.CaptureFixture[str]):
    (root / "patient001" / "Info.cfg").write_text("ED: 9\nES: 1\n")
    _, lines, _ = findings(capsys, root)
    assert any("patient001_SAX_ED_s03" in line and "Are ED and ES exchanged?" in line for line in lines)
    voxel_ml = PITCH_MM[0] * PITCH_MM[1] * DISTANCE_MM / 1000
    volumes = [np.count_nonzero(drawn_volume(phase) == 3) * voxel_ml for phase in ("ES", "ED")]
    assert any(f"{volumes[0]:.0f} ml at ED, {volumes[1]:.0f} ml at ES" in line for line in lines)


def test_two_patients_that_are_one_are_found(root: Path, capsys: pytest.CaptureFixture[str]):
    for number in ("01", "09"):
        twin = root / "patient002" / f"patient002_frame{number}.nii"
        twin.write_bytes((root / "patient001" / f"patient001_frame{number}.nii").read_bytes())
    code, lines, _ = findings(capsys, root)
    (line,) = (line for line in lines if line.startswith("error"))  # one of both volumes, not one of each slice
    assert code == 1
    assert (
        f"the same pixels in patient001, patient002, {2 * SLICES} slice(s), the first as patient002_SAX_ED_s00" in line
    )
    assert "It may be trained and tested on: remove one." in line


def test_one_volume_for_both_phases_is_found(root: Path, capsys: pytest.CaptureFixture[str]):
    folder = root / "patient001"
    (folder / "patient001_frame09.nii").write_bytes((folder / "patient001_frame01.nii").read_bytes())
    code, lines, _ = findings(capsys, root)
    (line,) = (line for line in lines if "same pixels" in line)
    assert code == 0
    assert line.startswith("warning  patient001_SAX_ED_s00")
    assert f"twice, {SLICES} slice(s), the first as patient001_SAX_ES_s00. Is one of them the wrong volume?" in line


def test_blank_slices_are_alike_and_mean_nothing(root: Path, capsys: pytest.CaptureFixture[str]):
    for path in root.glob("*/*_frame??.nii"):
        volume = intensities(drawn_volume("ED"), path.name)
        volume[-1] = 0
        write_volume(path, volume)
    _, lines, _ = findings(capsys, root)
    assert not any("same pixels" in line for line in lines)


def test_slices_of_two_kinds_of_range_are_told(root: Path, capsys: pytest.CaptureFixture[str]):
    path = root / "patient001" / "patient001_frame01.nii"
    volume = intensities(drawn_volume("ED"), "dim")
    volume[0] //= 20
    write_volume(path, volume)
    _, lines, _ = findings(capsys, root)
    (line,) = (line for line in lines if "0..255" in line)
    assert f"within 0..255 and beyond in 1 volume(s): {path}" in line
    assert "normalise=minmax" in line


def image_of_another_size(folder: Path) -> None:
    write_volume(folder / f"{folder.name}_frame01_gt.nii", drawn_volume("ED", shape=(40, 44)))


def too_few_slices(folder: Path) -> None:
    write_volume(folder / f"{folder.name}_frame01_gt.nii", drawn_volume("ED", slices=3))


def wrong_codes(folder: Path) -> None:
    mask = drawn_volume("ED")
    mask[0, 0, 0] = 4
    write_volume(folder / f"{folder.name}_frame01_gt.nii", mask)


def no_pitch(folder: Path) -> None:
    write_volume(folder / f"{folder.name}_frame01.nii", drawn_volume("ED"), spacing_mm=(0.0, 1.5))


def no_distance(folder: Path) -> None:
    write_volume(folder / f"{folder.name}_frame01.nii", drawn_volume("ED"), distance_mm=0.0)


def another_distance(folder: Path) -> None:
    write_volume(folder / f"{folder.name}_frame01_gt.nii", drawn_volume("ED"), distance_mm=5.0)


def other_phase_of_another_size(folder: Path) -> None:
    mask = drawn_volume("ES", slices=3)
    write_volume(folder / f"{folder.name}_frame09_gt.nii", mask)
    write_volume(folder / f"{folder.name}_frame09.nii", intensities(mask, "three"))


def cine_of_another_size(folder: Path) -> None:
    cine = np.stack([drawn_volume("ED", shape=(40, 44)), drawn_volume("ES", shape=(40, 44))])
    write_volume(folder / f"{folder.name}_4d.nii", cine)


def several_times(folder: Path) -> None:
    write_volume(folder / f"{folder.name}_frame01.nii", np.stack([drawn_volume("ED")] * 2))


def not_finite(folder: Path) -> None:
    array = intensities(drawn_volume("ED"), "nan").astype(np.float32)
    array[0, 3, 3] = np.nan
    write_volume(folder / f"{folder.name}_frame01.nii", array)


def cut_off(folder: Path) -> None:
    path = folder / f"{folder.name}_frame01.nii"
    path.write_bytes(path.read_bytes()[:-100])


def missing_es(folder: Path) -> None:
    (folder / f"{folder.name}_frame09.nii").unlink()


def missing_mask(folder: Path) -> None:
    (folder / f"{folder.name}_frame01_gt.nii").unlink()


DAMAGES = {
    image_of_another_size: r"frame01_gt\.nii: a mask has as many slices and pixels as .*4 × 40 × 48.*4 × 40 × 44",
    too_few_slices: r"frame01_gt\.nii: a mask has as many slices and pixels as .*4 × 40 × 48.*3 × 40 × 48",
    wrong_codes: r"frame01_gt\.nii: labels are 0 BACKGROUND, 1 RV, 2 MYO, 3 LV\. Received: 4\. Map",
    no_pitch: r"frame01\.nii: the pixel pitch must be two positive numbers of mm .*Received: \(0, 1\.5\)\. Write",
    no_distance: r"frame01\.nii: the distance of slices must be a positive number of mm\. Received: 0\. Write",
    another_distance: r"frame01_gt\.nii: a mask has the pitch .*\(2, 1\.5, 10\) mm\. Received: \(2, 1\.5, 5\) mm",
    other_phase_of_another_size: r"frame09\.nii: a volume has as many slices .*4 × 40 × 48.*Received: 3 × 40 × 48",
    cine_of_another_size: r"4d\.nii: a cine has its volumes' size 40 × 48\. Received: 40 × 44\. Remove it",
    several_times: r"frame01\.nii: one volume is needed, not a cine\. Received: 2 times\. Save one",
    not_finite: r"frame01\.nii.*: every pixel must be a finite number\. Received: .*NaN or infinite\. Export",
    cut_off: r"frame01\.nii: not a complete NIfTI file.*Copy or convert it again",
    missing_es: r"frame09\.nii: no such image, though its mask is there\. Restore it",
    missing_mask: r"frame01_gt\.nii: no such mask, though its image is there\. Restore it",
}
"""What is done to a patient, and what the check then says of one of its slices."""


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
def test_damage_has_a_name(damage, root: Path, capsys: pytest.CaptureFixture[str]):
    damage(root / "patient001")
    code, lines, _ = findings(capsys, root)
    errors = "\n".join(line for line in lines if line.startswith("error"))
    assert code == 1
    assert "patient002" not in errors
    with pytest.raises(UserError, match=DAMAGES[damage]):
        raise UserError(errors)


def test_missing_files_are_refused_before_training(root: Path):
    missing_es(root / "patient001")
    with pytest.raises(UserError, match=r"Missing: \S+patient001_frame09\.nii\. Restore"):  # once, not once a slice
        open_dataset(f"acdc:{root}")


INFO = {
    "ED: 1\nGroup: NOR\n": r"Info\.cfg: ED and ES are frame numbers from 1\. Received: no ES\. Add",
    "Group: NOR\n": r"Received: no ED and no ES\. Add",
    "ED: 1\nES: 1\n": r"Info\.cfg: ED and ES are two frames\. Received: 1 for both\. Correct",
    "ED: 1\nES: 9\nNbFrame: 8\n": r"Info\.cfg: the cine has 8 frames\. Received: ES 9\. Correct",
    "ED: 1\nES: 12\n": r"Info\.cfg: ED is frame 1 and ES is frame 12\. Received: a volume of frame 9\. Correct",
    "ED: one\nES: 9\n": r"Info\.cfg: `ed` must be a number\. Received: one\. Correct",
}


@pytest.mark.parametrize("text", INFO)
def test_an_info_file_that_does_not_fit(text: str, root: Path):
    (root / "patient001" / "Info.cfg").write_text(text)
    with pytest.raises(UserError, match=INFO[text]):
        acdc.list_cases(root)


def test_what_is_no_acdc(root: Path, tmp_path: Path):
    with pytest.raises(UserError, match=r"nowhere: no such folder\. Expected an ACDC root"):
        acdc.list_cases(tmp_path / "nowhere")
    with pytest.raises(UserError, match=rf"no ACDC volumes\. .*Did you mean {root}\?"):
        acdc.list_cases(tmp_path)
    with pytest.raises(UserError, match=r"no ACDC volumes\. .*Did you mean .*\.\.\?"):
        acdc.list_cases(root / "patient001")
    stray = root / "patient001" / "patient002_frame01.nii"
    stray.write_bytes(b"")
    with pytest.raises(UserError, match=r"lies in its own patient's folder\. Received: patient001\. Move it"):
        acdc.list_cases(root)
    stray.unlink()
    (root / "patient001" / "patient001_frame01.nii.gz").write_bytes(b"")
    with pytest.raises(UserError, match=r"a frame is there once\. Received: also patient001_frame01\.nii\. Remove"):
        acdc.list_cases(root)
    (root / "patient001" / "patient001_frame01.nii.gz").unlink()
    (root / "patient001" / "Info.cfg").unlink()
    with pytest.raises(UserError, match=r"Info\.cfg: no such file, and it tells which frames are ED and ES"):
        acdc.list_cases(root)


def test_patients_can_be_left_out(root: Path):
    assert {case.patient_id for case in open_dataset(f"acdc:{root}?without=patient002").cases} == {"patient001"}
    with pytest.raises(UsageError, match=r"Received: patient003, which are not there"):
        open_dataset(f"acdc:{root}?without=patient001,patient003")
    with pytest.raises(UsageError, match=r"`without` must leave a patient"):
        open_dataset(f"acdc:{root}?without=patient001, patient002")
    with pytest.raises(UserError, match=r"its labels have LV, MYO, RV\. Received: classes with LA"):
        open_dataset(f"acdc:{root}", structures=(Structure.LV, Structure.LA))


# Splits and shares ----------------------------------------------------------------------------------------------------


def test_the_split_is_by_patient_and_balanced_in_diagnosis(tmp_path: Path):
    for number in range(40):
        write_patient(
            tmp_path, f"patient{number:03d}", group=("DCM", "HCM", "MINF", "NOR", "RV")[number // 8], slices=1
        )
    dataset = open_dataset(f"acdc:{tmp_path}")
    split = dataset.split(None, train_share=0.7, val_share=0.15, seed=0)
    assert [len(part) for part in (split.train, split.val, split.test)] == [28, 6, 6]
    group = {case.patient_id: case.diagnosis for case in dataset.cases}
    for part in (split.val, split.test):
        assert set(Counter(group[patient] for patient in part).values()) <= {1, 2}
    assert set(Counter(group[patient] for patient in split.train).values()) <= {4, 5, 6}


def test_shares_by_hand(root: Path, capsys: pytest.CaptureFixture[str]):
    dataset = open_dataset(f"acdc:{root}")
    crop_mm = 60.0  # 30 × 40 native pixels, which hold all that is drawn
    shares = class_shares(dataset, ["patient001", "patient002"], STRUCTURES, 120, HeartCrop(crop_mm))
    volumes = [drawn_volume(phase) for phase in ("ED", "ES")]
    for code, structure in acdc.CODE_BOOK.items():
        if structure:
            pixels = sum(np.count_nonzero(volume == code) for volume in volumes)
            assert shares[structure] == pytest.approx(pixels / (2 * SLICES * 30 * 40), rel=0.02)
    assert sum(shares.values()) == pytest.approx(1)
    weights = balancing_weights(shares, 0.5)
    assert sum(weights[structure] * share for structure, share in shares.items()) == pytest.approx(1)
    assert weights[Structure.LV] / weights[Structure.RV] == pytest.approx(
        (shares[Structure.RV] / shares[Structure.LV]) ** 0.5
    )
    assert list(balancing_weights(shares, 0.0).values()) == pytest.approx([1.0] * 4)
    arguments = [f"acdc:{root}", "--structures", "LV", "MYO", "RV", "--crop-mm", "60", "--side", "120"]
    assert print_class_shares(arguments) == 0
    printed = capsys.readouterr().out.splitlines()
    assert printed[1].split() == [
        "LV",
        "share",
        f"{shares[Structure.LV]:.4f}",
        "weight",
        f"{weights[Structure.LV]:.2f}",
    ]
    assert printed[-1] == "2 patients, power 0.5"


def test_a_structure_that_is_nowhere_has_no_weight():
    with pytest.raises(UserError, match="Received: no pixel of RV"):
        balancing_weights({Structure.BACKGROUND: 0.5, Structure.LV: 0.5, Structure.RV: 0.0}, 0.5)


# Real volumes ---------------------------------------------------------------------------------------------------------


@pytest.mark.data
def test_no_heart_of_the_real_volumes_is_cut(real_data: Path):
    root = real_data / "acdc_subset"
    if not root.is_dir():
        pytest.skip(f"no real ACDC volumes at {root}")
    crop = HeartCrop(200.0)  # of the recipes
    cut: list[str] = []
    count = 0
    for sample in acdc.iter_samples(root):
        count += 1
        assert sample.labels is not None
        rows, cols = np.nonzero(sample.labels)
        top, bottom, left, right = crop(sample)
        if len(rows) and not (
            top <= rows.min() and rows.max() + 1 <= bottom and left <= cols.min() and cols.max() + 1 <= right
        ):
            cut.append(sample.case_id)
    assert (count, cut) == (1552, [])
