"""Which arithmetic a network trains in, chosen by what the hardware has."""

from pathlib import Path

import keras
import tensorflow as tf


def resolve_precision(wanted: str) -> str:
    """The Keras dtype policy for a recipe's `precision`.

    Args:
        wanted: `auto`, `float32` or `mixed_bfloat16`.

    Returns:
        `mixed_bfloat16` where asked or, for `auto`, where the processor multiplies bfloat16 by itself; else `float32`.
    """
    if wanted != "auto":
        return wanted
    return "mixed_bfloat16" if _has_bfloat16() else "float32"


def resolve_jit() -> bool:
    """Whether XLA pays: on a GPU; on a CPU it was measured slower than TensorFlow's own kernels.

    Op determinism, which every training run switches on, excludes XLA in TensorFlow, so a GPU run has it through JAX.
    """
    return keras.backend.backend() == "jax"


def _has_bfloat16() -> bool:
    for gpu in tf.config.list_physical_devices("GPU"):
        capability = tf.config.experimental.get_device_details(gpu).get("compute_capability", (0, 0))
        return capability >= (8, 0)
    try:
        flags = Path("/proc/cpuinfo").read_text(encoding="ascii", errors="ignore")
    except OSError:
        return False
    return "avx512_bf16" in flags or "amx_bf16" in flags
