"""predict.py on short-axis volumes and on cines of echo frames, with networks that need no TensorFlow."""

import csv
import json
from pathlib import Path

import cv2
import nibabel
import numpy as np
import pytest

import predict
from shell.command import run_command
from tests.cart.short_axis import SPEC, beating, grey_levels, labels_of, write_heart
from tests.data_pipeline.acdc_files import write_volume
from tests.data_pipeline.mr_dicom_files import write_series


@pytest.fixture(autouse=True)
def _network(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(predict, "load_bundle_network", lambda _folder: ("dense_unet", grey_levels, SPEC))


def run(*arguments: str | Path) -> int:
    with pytest.raises(SystemExit) as caught:
        run_command(predict.main, ["--bundle", "drawn", *map(str, arguments)])
    assert isinstance(caught.value.code, int)
    return caught.value.code


def measurements(out: Path) -> list[dict]:
    return json.loads((out / "measurements.json").read_text())


def test_a_patients_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder, out = write_heart(tmp_path / "acdc"), tmp_path / "out"
    assert run(folder, "--out", out) == 0
    (record,) = measurements(out)
    assert (record["kind"], record["model"], record["status"]) == ("short_axis_volume", "dense_unet", "ok")
    assert sorted(path.name for path in out.iterdir()) == [
        "measurements.csv",
        "measurements.json",
        "patient001_frame01_labels.nii.gz",
        "patient001_frame09_labels.nii.gz",
        "patient001_overlay.png",
    ]
    for volume, phase in zip(record["volumes"], ("ED", "ES"), strict=True):
        written = nibabel.load(out / volume["labels"])
        image = nibabel.load(volume["file"])
        assert written.header["pixdim"].tolist() == image.header["pixdim"].tolist()
        np.testing.assert_array_equal(written.affine, image.affine)
        assert np.count_nonzero(labels_of(phase) != np.asarray(written.dataobj).T) < 0.02 * labels_of(phase).size
    assert cv2.imread(str(out / record["overlay"])) is not None
    with (out / "measurements.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["phase"] for row in rows] == ["ED", "ES"]
    assert float(rows[0]["lv_ef_percent"]) == record["LV"]["ef_percent"]
    assert "EF LV" in capsys.readouterr().out


def test_a_cine_a_series_a_slice_and_what_cannot_be_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cine = write_volume(tmp_path / "cine.nii", beating())
    series = write_series(tmp_path / "series", beating())
    single = tmp_path / "patient001_SAX_ED_s01.nii"
    flat = nibabel.Nifti1Image(beating()[1, 1].T, np.diag([1.5, 2.0, 1.0, 1.0]))
    single.write_bytes(flat.to_bytes())
    out = tmp_path / "out"
    assert run(cine, series, tmp_path / "missing.nii", single, "--out", out) == 1
    of_cine, of_series, failed, of_slice = measurements(out)
    assert of_cine["LV"] == pytest.approx(of_series["LV"])
    assert (out / of_series["volumes"][0]["labels"]).name == "series_labels.nii.gz"
    assert nibabel.load(out / "cine_labels.nii.gz").shape == nibabel.load(cine).shape
    assert (failed["status"], of_slice["status"]) == ("failed", "no_la_class")
    assert "missing.nii: no such file" in capsys.readouterr().err
    with (out / "measurements.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["input"] for row in rows] == [str(cine)] * 4 + [str(series)] * 4 + [failed["input"], str(single)]
    assert rows[0]["annulus_diameter"] == ""


def test_a_cine_of_frames_gets_a_video(tmp_path: Path) -> None:
    """The frames of an echo cine; that this network finds no hinge points in them does not matter here."""
    path = tmp_path / "patient0001_4CH_half_sequence.nii"
    frames = nibabel.Nifti1Image(np.repeat(beating()[1, 1][np.newaxis], 5, axis=0).T, np.diag([1.5, 2.0, 1.0, 1.0]))
    path.write_bytes(frames.to_bytes())
    out = tmp_path / "out"
    arguments = predict.argparse.Namespace(view=None, spacing_mm=None, anterior_side=None, tta=0, out=out)
    records = predict.measured_frames([path], arguments, grey_levels, SPEC, {"model": "drawn"})
    assert [record["frame_index"] for record in records] == list(range(5))
    assert {record["overlay"] for record in records} == {"patient0001_4CH_half_sequence_overlay.mp4"}
    video = cv2.VideoCapture(str(out / records[0]["overlay"]))
    assert int(video.get(cv2.CAP_PROP_FRAME_COUNT)) == 5
    video.release()
