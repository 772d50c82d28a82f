"""`python -m cart`, as the cart runs it: TensorFlow and Keras not only unused but not there."""

import gzip
import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import cv2
import nibabel
import numpy as np
import pytest

from cart.__main__ import MOST_FAILURES_SHOWN, main
from cart.device import Cart
from tests.cart.drawn import heart as heart_of
from tests.cart.drawn import network, spec
from tests.command import call
from tests.export.drawn_heart import DIAMETER_MM, write_heart_nifti

ROOT = Path(__file__).parents[2]

WITHOUT_TENSORFLOW = """
import importlib.abc, runpy, sys
class Absent(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("tensorflow", "keras", "tf_keras", "jax", "torch"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Absent())
sys.argv = ["cart", *sys.argv[1:]]
runpy.run_module("cart", run_name="__main__", alter_sys=True)
"""


def cart(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", WITHOUT_TENSORFLOW, *map(str, arguments)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@pytest.fixture(scope="module")
def heart(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_heart_nifti(tmp_path_factory.mktemp("hearts") / "patient0001_4CH_ED.nii.gz")


def test_importing_everything_of_it_imports_no_tensorflow() -> None:
    code = (
        "import sys, pkgutil, importlib, cart\n"
        "for module in pkgutil.iter_modules(cart.__path__): importlib.import_module('cart.' + module.name)\n"
        "heavy = {'tensorflow', 'keras', 'tf_keras', 'jax', 'torch', 'matplotlib', 'sklearn', 'pandas'}\n"
        "print(sorted(heavy & {name.split('.')[0] for name in sys.modules}))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_measures_a_frame_without_tensorflow(tflite_bundle: Path, heart: Path) -> None:
    done = cart("--bundle", tflite_bundle, heart, "--json", "--threads", "1")
    assert done.returncode == 0, done.stderr
    (record,) = json.loads(done.stdout)
    assert (record["input"], record["view"], record["phase"]) == (str(heart), "A4C", "ED")
    assert record["status"] == "ok"
    assert record["unit"] == "mm"
    assert record["annulus_diameter"] == pytest.approx(DIAMETER_MM, abs=0.9)
    assert record["calibrated"]["annulus_diameter"] < record["annulus_diameter"]
    assert record["spacing_mm"] == pytest.approx([0.5, 0.3])
    assert {"annulus", "python", "ai-edge-litert"} <= set(record["software"])
    assert "tensorflow" not in record["software"]


def test_one_line_per_input_for_people(tflite_bundle: Path, heart: Path) -> None:
    done = cart("--bundle", tflite_bundle, heart)
    assert done.returncode == 0
    assert done.stdout.startswith(f"{heart}: A4C ED 14.")
    assert " mm (calibrated " in done.stdout


def test_one_bad_input_does_not_stop_the_others(tflite_bundle: Path, heart: Path, tmp_path: Path) -> None:
    truncated = tmp_path / "patient0002_4CH_ED.nii.gz"
    truncated.write_bytes(heart.read_bytes()[:200])
    done = cart("--bundle", tflite_bundle, truncated, heart, "--json")
    assert done.returncode == 1
    failed, measured = json.loads(done.stdout)
    assert failed["status"] == "failed"
    assert str(truncated) in failed["error"]
    assert measured["status"] == "ok"
    assert f"failed: {truncated}: " in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--bundle", "nowhere", "frame.png"], 1, "nowhere: no such folder"),
        (["frame.png"], 2, "required: --bundle"),
        (["--bundle", "nowhere"], 2, "required: INPUT"),
        (["--bundle", "nowhere", "frame.png", "--threads", "0"], 2, "1 or more"),
    ],
)
def test_mistakes(arguments: list[str], code: int, message: str) -> None:
    done = cart(*arguments)
    assert done.returncode == code
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_a_saved_model_bundle_names_the_mend(saved_model_bundle: Path, heart: Path) -> None:
    done = cart("--bundle", saved_model_bundle, heart)
    assert done.returncode == 1
    assert "--format tflite-float32" in done.stderr


# Cines, with a network of NumPy ---------------------------------------------------------------------------------------


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Cart, "open", lambda *_arguments, **_options: Cart(network, spec(), "drawn"))


def cine_file(folder: Path, *frames: np.ndarray) -> Path:
    path = folder / "patient0001_4CH_half_sequence.nii.gz"
    image = nibabel.Nifti1Image(np.stack(frames, axis=-1).astype(np.float32).swapaxes(0, 1), np.diag([0.5, 0.5, 1, 1]))
    path.write_bytes(gzip.compress(image.to_bytes()))
    return path


def lines_of(text: str) -> tuple[list[dict], dict]:
    *frames, summary = (json.loads(line) for line in text.splitlines())
    return frames, summary["summary"]


@pytest.mark.usefixtures("drawn")
def test_a_cine_goes_on_past_a_corrupt_frame(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = cine_file(tmp_path, heart_of(), np.full((96, 96), np.nan), heart_of(), heart_of(gap=True))
    assert call(main, "--bundle", "drawn", path, "--json-lines", "-") == 1
    said = capsys.readouterr()
    frames, summary = lines_of(said.out)
    assert [frame["status"] for frame in frames] == ["ok", "failed", "ok", "no_contact_line"]
    assert [frame["frame_index"] for frame in frames] == [0, 1, 2, 3]
    assert summary == {"frames": 4, "failed": 1, "without_points": 1, "abstained": 1, "predicted": 0, "dropped": 0}
    assert f"failed: {path}: frame 1: " in said.err
    assert f"{path}: 4 frames measured, 0 dropped, 1 failed, 1 without points, 1 abstained" in said.err


@pytest.mark.usefixtures("drawn")
def test_a_cine_smoothed_with_its_overlay_and_lines(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = cine_file(tmp_path, heart_of(), heart_of(gap=True), heart_of())
    outputs = ("--overlay", tmp_path / "o.mp4", "--json-lines", tmp_path / "o.jsonl")
    assert call(main, "--bundle", "drawn", path, "--smooth", "--frame-rate", "40", *outputs) == 0
    frames, summary = lines_of((tmp_path / "o.jsonl").read_text())
    assert [frame["time_ms"] for frame in frames] == [0, 25, 50]
    assert [frame["smoothed"]["predicted"] for frame in frames] == [False, True, False]
    assert frames[1]["annulus_diameter"] is None
    assert frames[1]["smoothed"]["annulus_diameter"] == pytest.approx(22)
    assert summary["predicted"] == 1
    video = cv2.VideoCapture(str(tmp_path / "o.mp4"))
    assert (video.get(cv2.CAP_PROP_FRAME_COUNT), video.get(cv2.CAP_PROP_FPS)) == (3, 40)
    video.release()
    assert capsys.readouterr().out.startswith(f"{path}: 3 frames measured, 0 dropped, 1 without points, 1 abstained")


@pytest.mark.usefixtures("drawn")
def test_a_cine_line_by_line_for_people(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = cine_file(tmp_path, heart_of(), heart_of())
    assert call(main, "--bundle", "drawn", path, "--frame-rate", "50") == 0
    first, second, last = capsys.readouterr().out.splitlines()
    assert first.startswith(f"{path}: frame 0 at 0 ms A4C 22.0 mm")
    assert second.startswith(f"{path}: frame 1 at 20 ms A4C 22.0 mm")
    assert last == f"{path}: 2 frames measured, 0 dropped, diameter 22.0 (22.0 to 22.0)"


@pytest.mark.usefixtures("drawn")
def test_in_real_time_frames_are_measured_or_dropped(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = cine_file(tmp_path, *[heart_of()] * 20)
    assert call(main, "--bundle", "drawn", path, "--realtime", "--frame-rate", "200", "--json-lines", "-") == 0
    frames, summary = lines_of(capsys.readouterr().out)
    assert summary["frames"] + summary["dropped"] == 20
    assert frames[-1]["frame_index"] == 19
    assert frames[-1]["dropped"] == summary["dropped"]


@pytest.mark.usefixtures("drawn")
def test_real_time_needs_a_frame_rate(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(main, "--bundle", "drawn", cine_file(tmp_path, heart_of(), heart_of()), "--realtime") == 1
    assert "says no frame rate to play it at; give --frame-rate" in capsys.readouterr().err


@pytest.mark.usefixtures("drawn")
def test_an_empty_video_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "empty.mp4"
    cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), 25.0, (64, 64)).release()
    for empty in (path, tmp_path / "nothing.mp4"):
        assert call(main, "--bundle", "drawn", empty, "--view", "A4C") == 1
        said = capsys.readouterr()
        assert f"failed: {empty}" in said.err
        assert said.out == ""


@pytest.mark.usefixtures("drawn")
def test_a_cine_that_fails_throughout_does_not_flood(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = cine_file(tmp_path, *[np.full((96, 96), np.nan)] * 12)
    assert call(main, "--bundle", "drawn", path) == 1
    said = capsys.readouterr()
    assert said.err.count("failed: ") == MOST_FAILURES_SHOWN
    assert "12 frames measured, 0 dropped, 12 failed" in said.out


def test_ctrl_c_keeps_what_was_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    calls = iter(range(3))

    def interrupted(images: np.ndarray) -> dict[str, np.ndarray]:
        if next(calls) == 2:
            raise KeyboardInterrupt
        return network(images)

    monkeypatch.setattr(Cart, "open", lambda *_arguments, **_options: Cart(interrupted, spec(), "drawn"))
    path = cine_file(tmp_path, *[heart_of()] * 5)
    outputs = ("--overlay", tmp_path / "o.mp4", "--json-lines", tmp_path / "o.jsonl")
    assert call(main, "--bundle", "drawn", path, "--frame-rate", "50", *outputs) == 130
    frames, summary = lines_of((tmp_path / "o.jsonl").read_text())
    assert len(frames) == summary["frames"] == 2
    assert (tmp_path / "o.mp4").stat().st_size > 0
    assert "interrupted; what was measured until then is kept" in capsys.readouterr().err


@pytest.mark.usefixtures("drawn")
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["x.png", "--json", "--json-lines", "-"], "both want standard output"),
        (["x.png", "--overlay", "o.avi"], "its name ends in .mp4"),
        (["x.png", "--frame-rate", "0"], "a frame rate is a number of Hz from 1 to 1000. Received: 0"),
    ],
)
def test_options_that_do_not_fit(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(main, "--bundle", "drawn", *arguments) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(("options", "said"), [(("--json",), '{\n  "frames": 3\n}\n'), ((), "3 frames\n")])
def test_bench_is_asked_for_the_speed(
    options: tuple[str, ...], said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = {}

    def bench(bundle: Path, inputs: list[Path], **given: object) -> SimpleNamespace:
        asked.update(given, bundle=bundle, inputs=inputs)
        return SimpleNamespace(to_dict=lambda: {"frames": 3}, text=lambda: "3 frames")

    monkeypatch.setattr("cart.bench.run_bench", bench)
    assert call(main, "--bundle", "drawn", "--bench", "--threads", "2", "--spacing-mm", "0.3", "0.4", *options) == 0
    assert capsys.readouterr().out == said
    assert (asked["bundle"], asked["inputs"], asked["threads"]) == (Path("drawn"), [], 2)
    assert (asked["spacing_mm"], asked["engine"]) == ((0.3, 0.4), None)
