"""Short-axis volumes: the chain of evaluate.py slice by slice, and what is made of the slices together."""

import json
import shutil
from pathlib import Path

import nibabel
import numpy as np
import pytest

from cart.__main__ import main
from cart.device import Cart
from cart.examinations import is_volume, requests_of
from cart.measure import MeasurementSpec
from cart.volume_sheet import draw_sheet
from cart.volumes import (
    LARGEST_AND_SMALLEST,
    ExaminationResult,
    measure_examinations,
    mixed_scales,
    sees_short_axis,
    volume_csv_rows,
    volume_summary_line,
    write_label_volumes,
)
from data_pipeline.datasets import acdc
from data_pipeline.preprocess import Preprocessing
from data_pipeline.sample import Phase, Structure
from evaluation.measure import predict_frame
from tests.cart.short_axis import CROP_MM, SPEC, beating, grey_levels, grey_volume, labels_of, volume_ml, write_heart
from tests.data_pipeline.acdc_files import DISTANCE_MM, PITCH_MM, SLICES, write_volume
from tests.data_pipeline.mr_dicom_files import write_series


@pytest.fixture
def heart(tmp_path: Path) -> Path:
    return write_heart(tmp_path / "acdc")


def measure(*paths: Path, spec: MeasurementSpec = SPEC) -> list[ExaminationResult]:
    return list(measure_examinations(paths, predictor=grey_levels, spec=spec))


def measure_one(*paths: Path, spec: MeasurementSpec = SPEC) -> ExaminationResult:
    (result,) = measure(*paths, spec=spec)
    assert result.measured is not None, result.record["error"]
    json.dumps(result.record, allow_nan=False)
    return result


def label_maps(result: ExaminationResult, phase: Phase) -> np.ndarray:
    assert result.measured is not None
    stack = result.measured.at(phase)
    assert stack is not None
    return stack.label_maps


def test_every_slice_is_what_evaluating_the_data_set_gives(heart: Path):
    result = measure_one(heart)
    for case in acdc.list_cases(heart.parent):
        prediction = predict_frame(acdc.load_sample(case), predictor=grey_levels, spec=SPEC)
        assert case.phase is not None
        assert case.slice_index is not None
        np.testing.assert_array_equal(label_maps(result, case.phase)[case.slice_index], prediction.label_map)


@pytest.mark.parametrize("with_cine", [False, True])
def test_one_volume_of_a_patient_is_cropped_as_the_data_set_is(heart: Path, with_cine: bool):
    if with_cine:
        moving = np.roll(beating(20), 5, axis=3)  # elsewhere than in the volumes, to see what is looked at
        write_volume(heart / "patient001_4d.nii", moving)
    result = measure_one(heart / "patient001_frame09.nii")
    sample = acdc.load_sample(acdc.list_cases(heart.parent)[0])
    assert result.record["crop"]["centre_px"] == pytest.approx(sample.heart_centre, abs=1e-9)
    assert ("4d" in result.record["crop"]["centre_from"]) == with_cine
    assert [volume["phase"] for volume in result.record["volumes"]] == ["ES"]
    assert result.record["LV"] == {"edv_ml": None, "esv_ml": result.record["volumes"][0]["lv_ml"], "ef_percent": None}


def test_volumes_mass_and_fractions_by_hand(heart: Path):
    record = measure_one(heart).record
    ed, es = record["volumes"]
    for key, structure in (("lv_ml", Structure.LV), ("rv_ml", Structure.RV)):
        assert ed[key] == pytest.approx(volume_ml("ED", structure), rel=0.03)
        assert es[key] == pytest.approx(volume_ml("ES", structure), rel=0.03)
    assert ed["myo_mass_g"] == pytest.approx(1.05 * volume_ml("ED", Structure.MYO), rel=0.03)
    assert (record["LV"]["edv_ml"], record["LV"]["esv_ml"]) == (ed["lv_ml"], es["lv_ml"])
    assert record["LV"]["ef_percent"] == pytest.approx(100 * (1 - es["lv_ml"] / ed["lv_ml"]))
    edv, esv = (volume_ml(phase, Structure.RV) for phase in ("ED", "ES"))  # the smaller wall leaves it more room
    assert record["RV"]["ef_percent"] == pytest.approx(100 * (1 - esv / edv), abs=3)
    assert (record["phases_from"], record["slices"], record["slice_distance_mm"]) == ("Info.cfg", SLICES, DISTANCE_MM)
    assert record["label_codes"] == {"0": "BACKGROUND", "1": "LV", "2": "MYO", "4": "RV"}
    assert record["crop"]["side_mm"] == CROP_MM
    assert (ed["frame"], es["frame"], ed["flags"]) == (1, 9, [])
    rows = volume_csv_rows(record)
    assert [(row["phase"], row["lv_ml"]) for row in rows] == [("ED", ed["lv_ml"]), ("ES", es["lv_ml"])]
    line = volume_summary_line(record)
    assert f"SAX {SLICES} slices of 10 mm, 2 times; ED LV {ed['lv_ml']:.0f} ml, RV" in line
    assert "(ED and ES by Info.cfg)" in line


def test_files_of_one_heart_belong_together(heart: Path, tmp_path: Path):
    both = (heart / "patient001_frame01.nii", heart / "patient001_frame09.nii")
    (request,) = requests_of(both)
    assert (request.name, request.inputs) == ("patient001", both)
    named = [
        Path(shutil.copy(path, tmp_path / name)) for path, name in zip(both, ("h_ED.nii", "h_ES.nii"), strict=True)
    ]
    result = measure_one(*named)
    assert (result.record["name"], result.record["phases_from"]) == ("h", "file names")
    assert result.record["LV"]["ef_percent"] == measure_one(*both).record["LV"]["ef_percent"]
    assert "h_ED.nii, h_ES.nii" in result.record["crop"]["centre_from"]
    lone = measure_one(named[0]).record
    assert (lone["volumes"][0]["phase"], lone["crop"]["centre_from"]) == ("ED", "middle of the image")
    assert len(requests_of([named[0], both[0], tmp_path])) == 3


def test_a_cine_says_its_phases_by_the_predicted_lv(tmp_path: Path):
    path = write_volume(tmp_path / "cine.nii", beating())
    record = measure_one(path).record
    assert [volume["phase"] for volume in record["volumes"]] == [None, "ED", None, "ES"]
    assert (record["phases_from"], record["times"]) == (LARGEST_AND_SMALLEST, 4)
    assert record["LV"]["edv_ml"] == pytest.approx(volume_ml("ED", Structure.LV), rel=0.03)
    assert "what moves in cine.nii" in record["crop"]["centre_from"]


def test_a_cine_beside_its_info_file_has_its_phases(tmp_path: Path):
    path = write_volume(tmp_path / "patient001" / "patient001_4d.nii", beating())
    (path.parent / "Info.cfg").write_text("ED: 1\nES: 4\nNbFrame: 4\n")
    for source in (path, path.parent):
        record = measure_one(source).record
        assert [volume["phase"] for volume in record["volumes"]] == ["ED", None, None, "ES"]
        assert record["phases_from"] == "Info.cfg"


def test_a_dicom_series(tmp_path: Path):
    cine = beating()
    folder = write_series(tmp_path / "sax", cine)
    assert is_volume(folder)
    result = measure_one(folder)
    assert result.record["LV"] == pytest.approx(measure_one(write_volume(tmp_path / "cine.nii", cine)).record["LV"])
    assert [volume["time_ms"] for volume in result.record["volumes"]] == [0.0, 40.0, 80.0, 120.0]
    assert result.measured is not None
    (name,) = write_label_volumes(tmp_path, result.measured, set()).values()
    written = nibabel.load(tmp_path / name)
    assert written.shape == (48, 40, SLICES, 4)
    assert written.header["pixdim"][1:5] == pytest.approx([PITCH_MM[1], PITCH_MM[0], DISTANCE_MM, 40.0], rel=1e-5)


# What is written ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_labels_lie_over_their_image(tmp_path: Path, suffix: str):
    affine = np.array([[1.3, 0.2, 0, -5], [0.1, -1.2, 0.3, 7], [0, 0.3, 8, 9], [0, 0, 0, 1]])
    image = nibabel.Nifti1Image(grey_volume("ED").T.astype(np.int16), affine)
    image.header.set_xyzt_units("mm", "sec")
    image.header["descrip"] = b"as scanned"
    image.header.set_slope_inter(2.0, 1.0)
    path = tmp_path / f"heart_ED{suffix}"
    nibabel.save(image, path)
    result = measure_one(path)
    assert result.measured is not None
    taken = {"heart_ED_labels.nii.gz"}
    names = write_label_volumes(tmp_path / "out", result.measured, taken)
    assert names == {path: "heart_ED_2_labels.nii.gz"}
    written, before = nibabel.load(tmp_path / "out" / names[path]), nibabel.load(path)
    np.testing.assert_array_equal(written.affine, before.affine)
    assert written.shape == before.shape
    assert written.get_data_dtype() == np.uint8
    for field in ("pixdim", "xyzt_units", "descrip", "qform_code", "sform_code", "srow_x", "quatern_b", "dim"):
        np.testing.assert_array_equal(written.header[field], before.header[field])
    assert written.dataobj.slope == 1
    np.testing.assert_array_equal(np.asarray(written.dataobj), label_maps(result, Phase.ED).T)


def test_a_sheet_shows_every_slice_of_both_phases(heart: Path):
    result = measure_one(heart)
    assert result.measured is not None
    sheet = draw_sheet(result.measured)
    assert sheet.dtype == np.uint8
    assert sheet.shape[1] >= SLICES * 200
    blue = (np.abs(sheet.astype(int) - (86, 196, 255)).sum(axis=2) < 30).any(axis=1)  # the LV's outline
    runs = np.count_nonzero(np.diff(blue.astype(int)) == 1)
    assert runs == 3  # a row of slices for ED, one for ES, and the legend


def test_nothing_outlined_is_no_failure(tmp_path: Path):
    empty = write_volume(tmp_path / "empty.nii", np.zeros((3, 40, 48), np.uint16))
    result = measure_one(empty)
    (volume,) = result.record["volumes"]
    assert (volume["lv_ml"], volume["rv_ml"], volume["myo_mass_g"]) == (None, None, None)
    assert volume["flags"] == ["lv_missing", "rv_missing", "myo_missing"]
    assert "phase unknown: no heart found" in volume_summary_line(result.record)
    assert result.measured is not None
    assert draw_sheet(result.measured).shape[2] == 3


# What is flagged, what is refused -------------------------------------------------------------------------------------


def test_flags(tmp_path: Path):
    array = grey_volume("ED")
    array[1], array[3] = 0, array[0] // 16  # up to 187: 8-bit by its range, where the others are not
    (volume,) = measure_one(write_volume(tmp_path / "a.nii", array)).record["volumes"]
    assert volume["flags"] == ["slices_without_lv_between", "mixed_intensity_scales"]
    small = MeasurementSpec(**{**vars(SPEC), "crop_mm": 24.0})
    (volume,) = measure_one(write_volume(tmp_path / "b.nii", grey_volume("ED")), spec=small).record["volumes"]
    assert "at_edge_of_crop" in volume["flags"]


def test_scales_are_mixed_only_where_both_kinds_are(tmp_path: Path):
    one, other = np.full((1, 4, 4), 9), np.full((1, 4, 4), 900)
    one[0, 0, 0] = other[0, 0, 0] = 0
    assert mixed_scales(np.concatenate([one, other]))
    assert not mixed_scales(np.concatenate([one, one]))
    assert not mixed_scales(np.concatenate([other, np.zeros((1, 4, 4))]))  # an empty slice is of no kind


def test_each_slice_by_its_own_range(tmp_path: Path):
    """`minmax` sees a dim slice as the others; `unit` takes it for an 8-bit one and leaves it dim."""
    array = grey_volume("ED")
    array[2] //= 16
    path = write_volume(tmp_path / "dim_ED.nii", array)
    minmax = MeasurementSpec(**{**vars(SPEC), "preprocessing": Preprocessing(132, 176, normalise="minmax")})
    found = label_maps(measure_one(path, spec=minmax), Phase.ED)
    np.testing.assert_array_equal(found[2], found[1])
    dim = label_maps(measure_one(path), Phase.ED)
    assert np.count_nonzero(dim[2] == Structure.LV) < 0.1 * np.count_nonzero(dim[1] == Structure.LV)
    assert np.count_nonzero(found != labels_of("ED")) < 0.02 * found.size


def test_what_is_wrong_has_a_name_and_the_next_is_measured(heart: Path, tmp_path: Path):
    mask = heart / "patient001_frame01_gt.nii"
    flat = write_volume(tmp_path / "flat.nii", grey_volume("ED"), distance_mm=0.0)
    pitch = write_volume(tmp_path / "pitch.nii", grey_volume("ED"), spacing_mm=(0.0, 1.5))
    ed = write_volume(tmp_path / "h_ED.nii", grey_volume("ED"))
    es = write_volume(tmp_path / "h_ES.nii", grey_volume("ES")[:3])
    nan = write_volume(tmp_path / "nan.nii", np.where(grey_volume("ED") == 3000, np.nan, 1.0).astype(np.float32))
    folder = tmp_path / "nothing"
    folder.mkdir()
    *failed, last = measure(mask, flat, pitch, ed, es, nan, folder, heart)
    assert last.record["status"] == "ok"
    expected = [
        "a reference label map by its name",
        "the distance of slices must be a positive number of mm. Received: 0",
        "the pixel pitch must be two positive numbers of mm (row, col). Received: (0, 1.5)",
        "h_ES.nii: a volume has as many slices and pixels as h_ED.nii, 4 × 40 × 48. Received: 3 × 40 × 48",
        "every pixel must be a finite number",
        "a DICOM series is needed. Received: no image in DICOM format there",
    ]
    assert len(failed) == len(expected)
    for result, message in zip(failed, expected, strict=True):
        assert result.record["status"] == "failed"
        assert message in result.record["error"]
        assert volume_summary_line(result.record).startswith("failed: ")
        assert volume_csv_rows(result.record)[0]["error"] == result.record["error"]


def test_a_missing_es_is_said_and_ed_is_measured(heart: Path):
    (heart / "patient001_frame09.nii").unlink()
    record = measure_one(heart).record
    assert [volume["phase"] for volume in record["volumes"]] == ["ED"]
    assert (record["LV"]["esv_ml"], record["LV"]["ef_percent"]) == (None, None)
    assert record["crop"]["centre_from"] == "middle of the image"


def test_which_networks_take_volumes():
    assert sees_short_axis(SPEC)
    echo = (Structure.BACKGROUND, Structure.LV, Structure.MYO, Structure.LA)
    assert not sees_short_axis(MeasurementSpec(**{**vars(SPEC), "structures": echo, "crop_mm": None}))
    assert not sees_short_axis(MeasurementSpec(**{**vars(SPEC), "structures": echo[:3], "crop_mm": None}))


def test_what_is_a_volume(tmp_path: Path):
    flat = nibabel.Nifti1Image(np.zeros((5, 6), np.uint8), np.eye(4))
    (tmp_path / "flat.nii").write_bytes(flat.to_bytes())
    assert not is_volume(tmp_path / "flat.nii")
    assert not is_volume(tmp_path / "missing.nii")
    assert is_volume(write_volume(tmp_path / "volume.nii", grey_volume("ED")))
    assert is_volume(tmp_path)


# The command of the cart ----------------------------------------------------------------------------------------------


def cart_command(monkeypatch: pytest.MonkeyPatch, *arguments: str | Path) -> int:
    monkeypatch.setattr(Cart, "open", lambda *_args, **_options: Cart(grey_levels, SPEC, "dense_unet"))
    return main(["--bundle", "drawn", *map(str, arguments)])


def test_the_cart_measures_a_volume(heart: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    assert cart_command(monkeypatch, heart) == 0
    said = capsys.readouterr().out
    assert f"{heart}: SAX {SLICES} slices of 10 mm, 2 times; ED LV" in said
    assert cart_command(monkeypatch, heart, "--json") == 0
    (record,) = json.loads(capsys.readouterr().out)
    assert record["LV"] == measure_one(heart).record["LV"]
    assert record["model"] == "dense_unet"
    assert cart_command(monkeypatch, heart / "patient001_frame01_gt.nii") == 1
    assert "a reference label map by its name" in capsys.readouterr().err


def test_the_cart_on_a_slice_says_what_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    path = tmp_path / "patient001_SAX_ED_s01.nii"
    image = nibabel.Nifti1Image(grey_volume("ED")[1].T, np.diag([PITCH_MM[1], PITCH_MM[0], 1, 1]))
    path.write_bytes(image.to_bytes())
    assert cart_command(monkeypatch, path) == 0
    assert f"{path}: SAX ED no hinge points: this network outlines no left atrium" in capsys.readouterr().out
    measured = Cart(grey_levels, SPEC).measure(path)
    assert measured.mask is not None
    assert {int(code) for code in np.unique(measured.mask)} == {0, 1, 2, 4}
    assert (measured.hinge_points, measured.status) == (None, "no_la_class")
