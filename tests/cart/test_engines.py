"""One interface, several engines: the same numbers, the same refusals, and none imported that is not used."""

import importlib.util
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import onnx
import onnxruntime
import pytest

import cart.runtime
import models
from cart import engines
from cart.bundle import read_bundle
from cart.engines import ENGINES, Runner, load_runner
from data_pipeline.sample import Structure
from export.onnx import export_onnx
from export.tflite import export_tflite_float32
from shell.errors import UsageError, UserError
from tests.export.drawn_heart import GREY, heart_labels, source_of, write_heart_bundle


@pytest.fixture(scope="module")
def artefacts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One network as `model.onnx` and `model.tflite`."""
    folder = tmp_path_factory.mktemp("artefacts")
    keras.utils.set_random_seed(9)
    source = source_of(models.build("lu_net", input_shape=(64, 64, 1), classes=4, width=0.0625))
    export_onnx(source, folder)
    export_tflite_float32(source, folder)
    return folder


@pytest.fixture(scope="module")
def onnx_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_heart_bundle(tmp_path_factory.mktemp("bundles") / "onnx", "onnx")


NEEDS_OPENVINO = pytest.mark.skipif(importlib.util.find_spec("openvino") is None, reason="openvino is not installed")
RUNS = [("litert", "model.tflite"), ("onnxruntime", "model.onnx"), ("openvino", "model.onnx")]
EACH = pytest.mark.parametrize(
    ("engine", "artefact"), [pytest.param(*r, marks=NEEDS_OPENVINO if r[0] == "openvino" else ()) for r in RUNS]
)


@EACH
def test_engines_agree(artefacts: Path, engine: str, artefact: str) -> None:
    images = np.random.default_rng(10).random((2, 64, 64, 1), dtype=np.float32)
    first = ENGINES["litert"].open(artefacts / "model.tflite", 1)(images)
    assert sorted(first) == ["box", "crop_probabilities", "first_probabilities", "probabilities"]
    for threads in (1, 2):
        runner = ENGINES[engine].open(artefacts / artefact, threads)
        found = runner(images)
        assert runner.input_shape == (64, 64)
        assert {name: values.shape[1:] for name, values in found.items()} == dict(runner.output_shapes)
        assert sorted(found) == sorted(first)
        for name, values in found.items():
            assert values.dtype == np.float32
            assert np.abs(values - first[name]).max() <= 1e-4, (threads, name)
        assert np.array_equal(runner(images[1:])["probabilities"], found["probabilities"][1:])


@EACH
def test_outputs_outlive_the_next_call(artefacts: Path, engine: str, artefact: str) -> None:
    """Engines reuse their memory; what a caller was given stays as it was."""
    images = np.random.default_rng(11).random((2, 64, 64, 1), dtype=np.float32)
    runner = ENGINES[engine].open(artefacts / artefact, 1)
    found = runner(images[:1])["probabilities"]
    before = found.copy()
    runner(images[1:])
    assert np.array_equal(found, before)


@pytest.mark.parametrize("engine", [None, "litert"])
def test_runs_a_tflite_bundle(tflite_bundle: Path, engine: str | None) -> None:
    runner = load_runner(read_bundle(tflite_bundle), threads=1, engine=engine)
    grey = np.array([GREY.get(Structure(code), 0) / 255 for code in range(4)], np.float32)
    found = runner(grey[heart_labels()][np.newaxis, ..., np.newaxis])["probabilities"]
    assert np.array_equal(found[0].argmax(-1), heart_labels())


@pytest.mark.parametrize("engine", [None, "onnxruntime", pytest.param("openvino", marks=NEEDS_OPENVINO)])
def test_runs_an_onnx_bundle(onnx_bundle: Path, engine: str | None) -> None:
    runner = load_runner(read_bundle(onnx_bundle), threads=1, engine=engine)
    assert (runner.input_shape, runner.output_shapes) == ((64, 64), {"probabilities": (64, 64, 4)})


def test_threads_reach_onnxruntime(artefacts: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    session, seen = onnxruntime.InferenceSession, []

    def opened(path, options, **rest):
        seen.append((options.intra_op_num_threads, options.inter_op_num_threads))
        return session(path, options, **rest)

    monkeypatch.setattr(onnxruntime, "InferenceSession", opened)
    ENGINES["onnxruntime"].open(artefacts / "model.onnx", 2)
    assert seen == [(2, 1)]


def test_threads_reach_litert(artefacts: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    interpreter, seen = cart.runtime.Interpreter, []

    def opened(**rest):
        seen.append(rest["num_threads"])
        return interpreter(**rest)

    monkeypatch.setattr(cart.runtime, "Interpreter", opened)
    ENGINES["litert"].open(artefacts / "model.tflite", 2)
    assert seen == [2]


@NEEDS_OPENVINO
def test_threads_and_precision_reach_openvino(artefacts: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import openvino

    compile_model, seen = openvino.Core.compile_model, []

    def compiled(core, model, device, settings):
        found = compile_model(core, model, device, settings)
        seen.append((found.get_property("INFERENCE_NUM_THREADS"), found.get_property("INFERENCE_PRECISION_HINT")))
        return found

    monkeypatch.setattr(openvino.Core, "compile_model", compiled)
    ENGINES["openvino"].open(artefacts / "model.onnx", 1)
    assert seen == [(1, openvino.Type.f32)]


def test_all_cores_unless_told(tflite_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = read_bundle(tflite_bundle)
    asked: list[int] = []

    def opened(path: Path, threads: int) -> Runner:
        asked.append(threads)
        return Runner((64, 64), {"probabilities": (64, 64, 4)}, lambda image: {})

    monkeypatch.setitem(ENGINES, "litert", replace(ENGINES["litert"], open=opened))
    monkeypatch.setattr(engines.os, "cpu_count", lambda: 7)
    load_runner(spec)
    load_runner(spec, threads=3)
    assert asked == [7, 3]


def test_the_grid_is_checked(artefacts: Path) -> None:
    runner = ENGINES["onnxruntime"].open(artefacts / "model.onnx", 1)
    with pytest.raises(ValueError, match=r"must be \(n, 64, 64, 1\)\. Received: \(1, 32, 64, 1\)"):
        runner(np.zeros((1, 32, 64, 1), np.float32))


def test_an_unknown_engine_is_wrong_usage(tflite_bundle: Path) -> None:
    with pytest.raises(UsageError, match=r"must be among litert, .* Received: openvion\. Did you mean openvino\?"):
        load_runner(read_bundle(tflite_bundle), engine="openvion")


@pytest.mark.parametrize(
    ("format_name", "engine", "message"),
    [
        ("onnx", "litert", "an? onnx bundle, which litert does not run; take --engine onnxruntime or openvino"),
        ("tflite-int8-integer", "openvino", "which openvino does not run; take --engine litert$"),
        ("saved_model", None, "needs TensorFlow; export the run again with --format tflite-float32"),
        ("saved_model", "litert", "needs TensorFlow; export"),
    ],
)
def test_formats_that_an_engine_does_not_run(
    tflite_bundle: Path, format_name: str, engine: str | None, message
) -> None:
    spec = replace(read_bundle(tflite_bundle), format=format_name)
    with pytest.raises(UserError, match=message):
        load_runner(spec, engine=engine)


@pytest.mark.parametrize(("format_name", "package"), [("onnx", "onnxruntime"), ("tflite-float32", "ai-edge-litert")])
def test_an_engine_that_is_not_installed(
    tflite_bundle: Path, monkeypatch: pytest.MonkeyPatch, format_name: str, package: str
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=f"not installed; `python -m pip install {package}`"):
        load_runner(replace(read_bundle(tflite_bundle), format=format_name))


def linear_onnx(shape: list, *, name: str = "image", output: str = "probabilities") -> bytes:
    value = [onnx.helper.make_tensor_value_info(n, onnx.TensorProto.FLOAT, shape) for n in (name, output)]
    graph = onnx.helper.make_graph([onnx.helper.make_node("Identity", [name], [output])], "g", value[:1], value[1:])
    opset = [onnx.helper.make_opsetid("", 18)]
    return onnx.helper.make_model(graph, opset_imports=opset, ir_version=8).SerializeToString()


@pytest.mark.parametrize("engine", ["onnxruntime", pytest.param("openvino", marks=NEEDS_OPENVINO)])
@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"not a model",
        linear_onnx(["n", 8, 8, 1]),
        linear_onnx([1, 8, 8, 3]),
        linear_onnx([1, 8, 8, 1], name="picture"),
        linear_onnx([1, 8, 8, 1], output="edges"),
    ],
    ids=["empty", "text", "any batch", "colour", "another input", "another output"],
)
def test_onnx_of_something_else_is_refused(tmp_path: Path, engine: str, content: bytes) -> None:
    (tmp_path / "model.onnx").write_bytes(content)
    with pytest.raises(UserError, match=r"model\.onnx: not an ONNX model"):
        ENGINES[engine].open(tmp_path / "model.onnx", 1)


SCRIPT = """
import sys
from pathlib import Path
from cart.bundle import read_bundle
from cart.engines import load_runner
heavy = {"ai_edge_litert", "onnxruntime", "openvino", "tensorflow", "keras", "onnx"}
print(*sorted(heavy & set(sys.modules)))
load_runner(read_bundle(Path(sys.argv[1])), threads=1)
print(*sorted(heavy & set(sys.modules)))
"""


@pytest.mark.parametrize(("fixture", "used"), [("tflite_bundle", "ai_edge_litert"), ("onnx_bundle", "onnxruntime")])
def test_only_the_engine_that_runs_is_imported(request: pytest.FixtureRequest, fixture: str, used: str) -> None:
    bundle = request.getfixturevalue(fixture)
    command = [sys.executable, "-c", SCRIPT, str(bundle)]
    run = subprocess.run(command, check=True, capture_output=True, text=True, cwd=Path(__file__).parents[2])
    assert run.stdout.splitlines() == ["", used]
