"""predict.py: overlays and measurements from image files, and the same numbers as the cart's."""

import csv
import json
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

import predict
from shell.command import run_command
from tests.export.drawn_heart import (
    BOX_NATIVE,
    DIAMETER_MM,
    heart_image,
    localiser_bundle,
    saved_model_bundle,
    tflite_bundle,
    write_heart_nifti,
)

__all__ = ["localiser_bundle", "saved_model_bundle", "tflite_bundle"]  # fixtures

ROOT = Path(__file__).parents[1]


@pytest.fixture
def heart(tmp_path: Path) -> Path:
    return write_heart_nifti(tmp_path / "in" / "patient0001_4CH_ED.nii.gz")


def run(*arguments: str | Path) -> int:
    with pytest.raises(SystemExit) as caught:
        run_command(predict.main, [str(argument) for argument in arguments])
    assert isinstance(caught.value.code, int)
    return caught.value.code


def measurements(out: Path) -> list[dict]:
    return json.loads((out / "measurements.json").read_text())


def test_overlay_and_measurements(tflite_bundle: Path, heart: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert run("--bundle", tflite_bundle, heart, "--out", out) == 0
    (record,) = measurements(out)
    assert (record["input"], record["view"], record["phase"], record["status"]) == (str(heart), "A4C", "ED", "ok")
    assert record["annulus_diameter"] == pytest.approx(DIAMETER_MM, abs=0.9)
    assert record["unit"] == "mm"
    assert record["hinge_points_px"]["amvl"][1] < record["hinge_points_px"]["pmvl"][1]
    assert record["calibrated"]["annulus_diameter"] != record["annulus_diameter"]
    assert record["model"] == "unet1"
    assert "annulus" in record["software"]
    overlay = cv2.imread(str(out / record["overlay"]))
    assert overlay is not None
    assert overlay.shape[0] > 128
    with (out / "measurements.csv").open(newline="") as file:
        (row,) = csv.DictReader(file)
    assert float(row["annulus_diameter"]) == record["annulus_diameter"]
    assert float(row["amvl_row_px_calibrated"]) == record["calibrated"]["hinge_points_px"]["amvl"][0]
    assert sorted(path.name for path in out.iterdir()) == [
        "measurements.csv",
        "measurements.json",
        "patient0001_4CH_ED_overlay.png",
    ]


def test_the_cart_gives_the_same_digits(tflite_bundle: Path, heart: Path, tmp_path: Path) -> None:
    other = write_heart_nifti(tmp_path / "in" / "patient0002_4CH_ES.nii.gz", contact=False)
    assert run("--bundle", tflite_bundle, heart, other, "--out", tmp_path / "out") == 0
    cart = subprocess.run(
        [sys.executable, "-m", "cart", "--bundle", tflite_bundle, heart, other, "--json"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    ours = [{k: v for k, v in r.items() if k not in ("overlay", "software")} for r in measurements(tmp_path / "out")]
    of_the_cart = ("software", "timing_ms", "dropped")
    theirs = [{k: v for k, v in r.items() if k not in of_the_cart} for r in json.loads(cart.stdout)]
    assert ours == theirs


def test_saved_model_and_tflite_agree(
    tflite_bundle: Path, saved_model_bundle: Path, heart: Path, tmp_path: Path
) -> None:
    for bundle in (tflite_bundle, saved_model_bundle):
        assert run("--bundle", bundle, heart, "--out", tmp_path / bundle.name) == 0
    (a,), (b,) = (measurements(tmp_path / bundle.name) for bundle in (tflite_bundle, saved_model_bundle))
    assert a["annulus_diameter"] == pytest.approx(b["annulus_diameter"], abs=1e-6)


def test_a_picture_needs_its_view_and_has_no_mm(
    tflite_bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    picture = tmp_path / "frame.png"
    cv2.imwrite(str(picture), heart_image().astype(np.uint8))
    out = tmp_path / "out"
    assert run("--bundle", tflite_bundle, picture, "--out", out) == 1
    assert f"failed: {picture}: its view is unknown" in capsys.readouterr().err
    assert not out.exists()
    assert run("--bundle", tflite_bundle, picture, "--view", "A4C", "--out", out) == 0
    (record,) = measurements(out)
    assert (record["unit"], record["spacing_mm"], record["calibrated"]) == ("px", None, None)
    assert record["annulus_diameter"] == pytest.approx(48, abs=3)
    assert run("--bundle", tflite_bundle, picture, "--view", "A4C", "--spacing-mm", "0.5", "0.3", "--out", out) == 0
    (record,) = measurements(out)
    assert (record["unit"], record["spacing_mm"]) == ("mm", [0.5, 0.3])
    assert record["annulus_diameter"] == pytest.approx(DIAMETER_MM, abs=0.9)


def test_anterior_side_swaps_the_points(tflite_bundle: Path, heart: Path, tmp_path: Path) -> None:
    for side in ("left", "right"):
        assert run("--bundle", tflite_bundle, heart, "--anterior-side", side, "--out", tmp_path / side) == 0
    (left,), (right,) = measurements(tmp_path / "left"), measurements(tmp_path / "right")
    assert left["hinge_points_px"]["amvl"] == right["hinge_points_px"]["pmvl"]
    assert right["calibrated"] is None


def test_a_localiser_gives_its_box_and_needs_no_view(
    localiser_bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    picture = tmp_path / "frame.png"
    cv2.imwrite(str(picture), heart_image().astype(np.uint8))
    out = tmp_path / "out"
    assert run("--bundle", localiser_bundle, picture, "--out", out) == 0
    (record,) = measurements(out)
    assert record["box_px"] == pytest.approx(BOX_NATIVE, abs=1e-4)
    assert (record["status"], record["annulus_diameter"], record["anterior_side"]) == ("no_segmentation", None, None)
    said = capsys.readouterr().out
    assert f"{picture}: nothing outlined; box rows 16-72, columns 60-132 px" in said
    with (out / "measurements.csv").open(newline="") as file:
        (row,) = csv.DictReader(file)
    assert float(row["box_col_max_px"]) == record["box_px"][3]
    assert row["anterior_side"] == ""
    overlay = cv2.imread(str(out / record["overlay"])).astype(int)
    reddish = (overlay[..., 2] > 150) & (overlay[..., 1] < 110)
    rows, cols = np.flatnonzero(reddish[:640].any(1)), np.flatnonzero(reddish[:640].any(0))  # above the legend
    # 128 × 192 pixels are drawn five times as large: edges at rows 80 and 360, columns 300 and 660, 3 pixels wide.
    assert (rows[0], rows[-1], cols[0], cols[-1]) == pytest.approx((79, 360, 299, 660), abs=2)


def test_failures_are_reported_and_the_rest_is_measured(
    tflite_bundle: Path, heart: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    volume = tmp_path / "patient0003_4CH_ED.png"
    volume.write_bytes(b"no picture")
    inputs = (tmp_path / "missing_4CH_ED.nii.gz", heart, volume)
    assert run("--bundle", tflite_bundle, *inputs, "--out", tmp_path / "out") == 1
    records = measurements(tmp_path / "out")
    assert [record["status"] for record in records] == ["failed", "ok", "failed"]
    said = capsys.readouterr()
    for path, record in ((inputs[0], records[0]), (inputs[2], records[2])):
        assert record["error"].startswith(str(path))
        assert f"failed: {record['error']}" in said.err
    assert f"{heart}: A4C ED 14." in said.out
    with (tmp_path / "out" / "measurements.csv").open(newline="") as file:
        assert [row["status"] for row in csv.DictReader(file)] == ["failed", "ok", "failed"]


def test_no_contact_line_is_a_measurement_not_a_failure(tflite_bundle: Path, tmp_path: Path) -> None:
    apart = write_heart_nifti(tmp_path / "patient0001_2CH_ES.nii.gz", contact=False)
    assert run("--bundle", tflite_bundle, apart, "--out", tmp_path / "out") == 0
    (record,) = measurements(tmp_path / "out")
    assert (record["status"], record["annulus_diameter"], record["hinge_points_px"]) == ("no_contact_line", None, None)
    assert (tmp_path / "out" / record["overlay"]).exists()


def test_inputs_of_one_name_get_overlays_of_their_own(tflite_bundle: Path, heart: Path, tmp_path: Path) -> None:
    twin = Path(shutil.copy(heart, tmp_path))
    assert run("--bundle", tflite_bundle, heart, twin, "--out", tmp_path / "out") == 0
    assert [record["overlay"] for record in measurements(tmp_path / "out")] == [
        "patient0001_4CH_ED_overlay.png",
        "patient0001_4CH_ED_2_overlay.png",
    ]


def test_default_place(tflite_bundle: Path, heart: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert run("--bundle", tflite_bundle, heart) == 0
    assert (tmp_path / "measurements" / "measurements.json").exists()


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["frame.png"], 2, "one of the arguments --run --bundle is required"),
        (["--run", "a", "--bundle", "b", "frame.png"], 2, "not allowed with"),
        (["--run", "nowhere", "frame.png"], 1, "nowhere: not a run folder"),
        (["--bundle", "nowhere", "frame.png"], 1, "nowhere: no such folder"),
        (["--bundle", "b", "frame.png", "--spacing-mm", "0", "1"], 2, "a pixel pitch is a number of mm"),
    ],
)
def test_mistakes(
    arguments: list[str], code: int, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*arguments, "--out", tmp_path / "out") == code
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_full_disk_leaves_nothing_half_written(
    tflite_bundle: Path,
    heart: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def full(self: Path, _content: bytes) -> int:
        raise OSError(28, "No space left on device", str(self))

    monkeypatch.setattr(Path, "write_bytes", full)
    assert run("--bundle", tflite_bundle, heart, "--out", tmp_path / "out") == 1
    assert "No space left on device" in capsys.readouterr().err
    assert list((tmp_path / "out").iterdir()) == []


def test_a_tflite_bundle_needs_no_tensorflow(tflite_bundle: Path, heart: Path, tmp_path: Path) -> None:
    code = (
        "import sys, predict\n"
        "predict.main(sys.argv[1:])\n"
        "print(sorted({'tensorflow', 'keras'} & {name.split('.')[0] for name in sys.modules}))"
    )
    arguments = ["--bundle", tflite_bundle, heart, "--out", tmp_path / "out"]
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.data
def test_a_real_frame(tflite_bundle: Path, camus_subset: Path, tmp_path: Path) -> None:
    """The drawn network means nothing on it, but the file is read and every output is there."""
    image = next(camus_subset.glob("*/*_4CH_ED.nii.gz"))
    assert run("--bundle", tflite_bundle, image, "--out", tmp_path / "out") == 0
    (record,) = measurements(tmp_path / "out")
    assert (record["view"], record["phase"]) == ("A4C", "ED")
    assert all(0.1 < pitch < 0.6 for pitch in record["spacing_mm"])
    assert (tmp_path / "out" / record["overlay"]).exists()
