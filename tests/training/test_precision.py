"""`auto` takes bfloat16 only where the hardware multiplies it and Keras' backend makes use of that."""

from types import SimpleNamespace

import keras
import pytest
import tensorflow as tf

from training import precision
from training.precision import processor_multiplies_bfloat16, resolve_precision


@pytest.fixture
def backend(monkeypatch):
    """Pretends Keras to run on another backend."""
    return lambda name: monkeypatch.setattr(keras.backend, "backend", lambda: name)


@pytest.fixture
def gpus(monkeypatch):
    """Pretends GPUs of these compute capabilities."""

    def pretend(*capabilities):
        monkeypatch.setattr(tf.config, "get_visible_devices", lambda kind: list(capabilities))
        monkeypatch.setattr(
            tf.config.experimental, "get_device_details", lambda one: {"compute_capability": one} if one else {}
        )

    return pretend


@pytest.mark.parametrize("wanted", ["float32", "mixed_bfloat16"])
@pytest.mark.parametrize("name", ["tensorflow", "jax"])
def test_what_is_asked_for_is_taken(backend, name, wanted):
    backend(name)
    assert resolve_precision(wanted) == wanted


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("processor : 0\nflags\t\t: fpu avx512f avx512_bf16 clzero\n", True),
        ("flags\t\t: fpu amx_bf16 amx_tile\n", True),
        ("flags\t\t: fpu avx512f avx512_vnni\n", False),
        ("model name : an avx512_bf16 of a name\nflags : fpu\n", False),
        ("Features : fp asimd bf16\n", False),  # Arm: TensorFlow's kernels there were not measured
        ("", False),
    ],
)
def test_processors(tmp_path, text, expected):
    (tmp_path / "cpuinfo").write_text(text, encoding="ascii")
    assert processor_multiplies_bfloat16(tmp_path / "cpuinfo") is expected


def test_no_list_of_flags_no_bfloat16(tmp_path):
    assert processor_multiplies_bfloat16(tmp_path / "missing") is False


@pytest.mark.parametrize(
    ("onednn", "has", "expected"),
    [(None, True, "mixed_bfloat16"), (None, False, "float32"), ("0", True, "float32")],
)
def test_tensorflow_on_a_processor(monkeypatch, backend, gpus, onednn, has, expected):
    backend("tensorflow")
    gpus()
    monkeypatch.setattr(precision, "processor_multiplies_bfloat16", lambda: has)
    monkeypatch.delenv("TF_ENABLE_ONEDNN_OPTS", raising=False)
    if onednn is not None:
        monkeypatch.setenv("TF_ENABLE_ONEDNN_OPTS", onednn)
    assert resolve_precision("auto") == expected


@pytest.mark.parametrize(
    ("capabilities", "expected"),
    [
        ([(8, 0)], "mixed_bfloat16"),
        ([(9, 0), (8, 6)], "mixed_bfloat16"),
        ([(7, 5)], "float32"),
        ([(9, 0), (7, 0)], "float32"),
        ([None], "float32"),  # not NVIDIA's
    ],
)
def test_tensorflow_on_gpus(monkeypatch, backend, gpus, capabilities, expected):
    backend("tensorflow")
    gpus(*capabilities)
    monkeypatch.setattr(precision, "processor_multiplies_bfloat16", lambda: pytest.fail("the GPU decides"))
    assert resolve_precision("auto") == expected


@pytest.mark.parametrize(
    ("device", "expected"),
    [
        ({"platform": "cpu"}, "float32"),
        ({"platform": "gpu", "compute_capability": "9.0"}, "mixed_bfloat16"),
        ({"platform": "gpu", "compute_capability": "8.0"}, "mixed_bfloat16"),
        ({"platform": "gpu", "compute_capability": "7.5"}, "float32"),
        ({"platform": "gpu", "compute_capability": "gfx942"}, "float32"),
        ({"platform": "gpu"}, "float32"),
        ({"platform": "tpu"}, "mixed_bfloat16"),
    ],
)
def test_jax(monkeypatch, backend, device, expected):
    jax = pytest.importorskip("jax")
    backend("jax")
    monkeypatch.setattr(jax, "devices", lambda: [SimpleNamespace(**device)])
    assert resolve_precision("auto") == expected
