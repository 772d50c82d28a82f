"""`python -m cart`, as the cart runs it: TensorFlow and Keras not only unused but not there."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

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
