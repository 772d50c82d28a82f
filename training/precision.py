"""Which arithmetic a network trains in, chosen by what the hardware has."""

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import keras

AMPERE = (8, 0)
"""The first compute capability of NVIDIA's GPUs that multiplies bfloat16."""


def resolve_precision(wanted: str) -> str:
    """The Keras dtype policy for a recipe's `precision`.

    Args:
        wanted: `auto`, `float32` or `mixed_bfloat16`.

    Returns:
        `mixed_bfloat16` where asked or, for `auto`, where Keras' backend multiplies bfloat16 faster than float32 on
        the device it trains on; else `float32`.
    """
    if wanted != "auto":
        return wanted
    return "mixed_bfloat16" if GAINS_BY_BFLOAT16[keras.backend.backend()]() else "float32"


@contextmanager
def dtype_policy(name: str) -> Iterator[None]:
    """What is built meanwhile computes in this Keras dtype policy; the one before is back afterwards."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(name)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def resolve_jit() -> bool:
    """Whether XLA pays: on a GPU; on a CPU it was measured slower than TensorFlow's own kernels.

    Op determinism, which every training run switches on, excludes XLA in TensorFlow, so a GPU run has it through JAX.
    """
    return keras.backend.backend() == "jax"


def processor_multiplies_bfloat16(cpu_info: Path = Path("/proc/cpuinfo")) -> bool:
    """Whether this processor multiplies bfloat16 by itself; False where nobody says so (not Linux).

    Without that, oneDNN converts to float32 and back, and TensorFlow in bfloat16 was measured slower than in float32
    (docs/PERFORMANCE.md).

    Args:
        cpu_info: where Linux lists the processor's abilities.
    """
    try:
        lines = cpu_info.read_text(encoding="ascii", errors="ignore").splitlines()
    except OSError:
        return False
    flags = {flag for line in lines if line.startswith("flags") for flag in line.partition(":")[2].split()}
    return bool({"avx512_bf16", "amx_bf16"} & flags)


def _tensorflow_gains() -> bool:
    import tensorflow as tf

    gpus = tf.config.get_visible_devices("GPU")
    if gpus:
        details = [tf.config.experimental.get_device_details(gpu) for gpu in gpus]
        return all(tuple(one.get("compute_capability", (0, 0))) >= AMPERE for one in details)
    has_onednn = os.environ.get("TF_ENABLE_ONEDNN_OPTS", "1") != "0"  # the only kernels that use the instructions
    return has_onednn and processor_multiplies_bfloat16()


def _jax_gains() -> bool:
    """On a processor XLA converts bfloat16 to float32 before it multiplies: no gain, measured."""
    import jax

    device = jax.devices()[0]
    if device.platform == "gpu":
        capability = str(getattr(device, "compute_capability", "0.0"))
        return _version(capability) >= AMPERE
    return device.platform == "tpu"


def _version(text: str) -> tuple[int, ...]:
    """`8.6` → (8, 6); what is not such a version (AMD's `gfx942`) → (0,)."""
    parts = text.split(".")
    return tuple(map(int, parts)) if all(part.isdigit() for part in parts) else (0,)


GAINS_BY_BFLOAT16: Mapping[str, Callable[[], bool]] = {"tensorflow": _tensorflow_gains, "jax": _jax_gains}
"""Keras backend → whether it trains faster in mixed bfloat16 on the device it trains on."""
