"""A bundle is checked before anything in it is loaded."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cart.bundle import BUNDLE_FILE, FORMAT_VERSION, digest_of, read_bundle
from cart.engines import load_runner
from shell.errors import UserError
from tests.cart.drawn import MODEL
from tests.export.drawn_heart import CALIBRATION, heart_spec


@pytest.fixture
def bundle(tflite_bundle: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tflite_bundle, tmp_path / "bundle"))


def rewrite(folder: Path, change: Callable[[dict[str, Any]], None], *, with_digest: bool) -> None:
    path = folder / BUNDLE_FILE
    values = json.loads(path.read_text())
    change(values)
    if with_digest:
        values["sha256"] = digest_of(values)
    path.write_text(json.dumps(values))


def test_says_how_to_measure(bundle: Path) -> None:
    spec = read_bundle(bundle)
    assert (spec.format, spec.model, spec.artefact) == ("tflite-float32", "unet1", bundle / "model.tflite")
    expected = heart_spec()
    assert spec.measurement.structures == expected.structures
    assert spec.measurement.preprocessing == expected.preprocessing
    assert spec.measurement.calibration == CALIBRATION
    assert spec.measurement.anterior_sides == {"A4C": "left", "A2C": "left", "A3C": "right"}
    assert spec.recipe["model"] == "unet1"


def test_layout_of_the_file_does_not_matter(bundle: Path) -> None:
    path = bundle / BUNDLE_FILE
    path.write_text(json.dumps(json.loads(path.read_text()), sort_keys=True))
    assert read_bundle(bundle).model == "unet1"


def test_a_bundle_written_before_networks_had_several_outputs(bundle: Path) -> None:
    def forget(values: dict[str, Any]) -> None:
        del values["outputs"], values["box"], values["oracle"]

    rewrite(bundle, forget, with_digest=True)
    spec = read_bundle(bundle)
    assert (spec.measurement.outputs, spec.measurement.box) == (("probabilities",), None)
    assert load_runner(spec).output_shapes == {"probabilities": (64, 64, 4)}


def test_a_bundle_carries_the_judgement_of_trust(bundle: Path) -> None:
    assert read_bundle(bundle).measurement.quality is None  # of a run that has none
    rewrite(bundle, lambda values: values.update(quality=MODEL.to_dict()), with_digest=True)
    assert read_bundle(bundle).measurement.quality == MODEL
    rewrite(bundle, lambda values: values["quality"].update(spread=-1), with_digest=True)
    with pytest.raises(UserError, match=r"not a complete bundle description .*`spread` and `limit` must be positive"):
        read_bundle(bundle)
    rewrite(bundle, lambda values: values.pop("quality"), with_digest=True)  # as older programs wrote it
    assert read_bundle(bundle).measurement.quality is None


def test_a_model_that_does_not_give_what_its_bundle_says(bundle: Path) -> None:
    def promise_a_box(values: dict[str, Any]) -> None:
        values["outputs"] = ["box", "probabilities"]

    rewrite(bundle, promise_a_box, with_digest=True)
    with pytest.raises(UserError, match=r"gives probabilities with 4 classes, but its bundle says .*box, prob"):
        load_runner(read_bundle(bundle))


def flip_a_bit(folder: Path) -> None:
    path = folder / "model.tflite"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def truncate_model(folder: Path) -> None:
    path = folder / "model.tflite"
    path.write_bytes(path.read_bytes()[:-100])


def truncate_description(folder: Path) -> None:
    path = folder / BUNDLE_FILE
    path.write_text(path.read_text()[:-100])


def change_calibration(values: dict[str, Any]) -> None:
    values["calibration"]["bias"]["all"]["amvl_row"] = 9.0


def raise_version(values: dict[str, Any]) -> None:
    values["format_version"] = FORMAT_VERSION + 1


def drop_classes(values: dict[str, Any]) -> None:
    del values["classes"]


def leave_the_folder(values: dict[str, Any]) -> None:
    values["artefact"] = "../elsewhere.tflite"


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (flip_a_bit, r"model\.tflite: its SHA-256 is not the one in bundle\.json"),
        (truncate_model, r"model\.tflite: its SHA-256"),
        (
            lambda folder: (folder / "model.tflite").unlink(),
            r"model\.tflite: a file .* missing",
        ),
        (lambda folder: (folder / "parity.json").write_text("{}"), r"parity\.json: its SHA-256"),
        (lambda folder: (folder / BUNDLE_FILE).unlink(), "not a bundle, it has no bundle.json"),
        (lambda folder: (folder / BUNDLE_FILE).write_text(""), r"bundle\.json: not valid JSON"),
        (lambda folder: (folder / BUNDLE_FILE).write_text("[]"), "bundle format version None"),
        (truncate_description, r"bundle\.json: not valid JSON"),
        (
            lambda folder: rewrite(folder, change_calibration, with_digest=False),
            "do not match its own SHA-256",
        ),
        (
            lambda folder: rewrite(folder, raise_version, with_digest=True),
            f"version {FORMAT_VERSION + 1}, this",
        ),
        (lambda folder: rewrite(folder, drop_classes, with_digest=True), r"not a complete bundle .*'classes'"),
        (lambda folder: rewrite(folder, leave_the_folder, with_digest=True), "must stay inside the bundle"),
        (shutil.rmtree, "no such folder"),
    ],
)
def test_refuses_a_damaged_bundle(bundle: Path, damage: Callable[[Path], Any], message: str) -> None:
    damage(bundle)
    with pytest.raises(UserError, match=message) as caught:
        read_bundle(bundle)
    assert str(bundle) in str(caught.value)


def test_refuses_a_file_slipped_into_the_saved_model(saved_model_bundle: Path, tmp_path: Path) -> None:
    bundle = Path(shutil.copytree(saved_model_bundle, tmp_path / "bundle"))
    read_bundle(bundle)
    (bundle / "saved_model" / "saved_model.cpb").write_bytes(b"TensorFlow would load this one first")
    with pytest.raises(UserError, match=r"saved_model\.cpb: not a file of this bundle"):
        read_bundle(bundle)
