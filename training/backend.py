"""Starts what Keras runs on, TensorFlow or JAX, without its greeting, and hides where the two train differently."""

import importlib.util
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np

from shell.errors import UsageError

if TYPE_CHECKING:
    import keras

STANDARD_ERROR = 2
BACKENDS = ("tensorflow", "jax")


def start_backend() -> None:
    """Imports TensorFlow and lets it look for devices, holding back what its C++ part logs meanwhile.

    Keras runs on what `KERAS_BACKEND` says, on TensorFlow where it says nothing, whatever the user's keras.json has.
    On JAX TensorFlow still makes the batches, on the processor; the GPU is JAX' alone.

    TensorFlow logs before its log level can take effect. If it fails to start, everything held back is shown.
    `TF_CPP_MIN_LOG_LEVEL=0` in the environment shows it all.

    From then on the networks of this process train with the backend's fused kernels (`training.kernels`).

    Raises:
        UsageError: `KERAS_BACKEND` names something else, or JAX is not installed.
    """
    wanted = os.environ.setdefault("KERAS_BACKEND", BACKENDS[0])
    if wanted not in BACKENDS:
        raise UsageError(f"`KERAS_BACKEND` must be {' or '.join(BACKENDS)}. Received: {wanted}")
    if wanted == "jax" and importlib.util.find_spec("jax") is None:
        raise UsageError(
            "KERAS_BACKEND is jax, but JAX is not installed; install requirements-dev.txt "
            "(on a GPU `pip install 'jax[cuda12]'` of the same version), or unset KERAS_BACKEND"
        )
    if os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3") == "0":
        _start_tensorflow(wanted)
    else:
        with _standard_error_held_back():
            _start_tensorflow(wanted)
    from training.kernels import use_fused_kernels

    use_fused_kernels()


def set_learning_rate(model: "keras.Model", rate: float) -> None:
    """Sets the optimizer's learning rate for the next step, also between the steps of one epoch.

    On JAX `fit` holds all variables in a state of its own from an epoch's first step to its last, and what is assigned
    to a variable meanwhile is lost. Its public way out is `jax_state_sync()`: the variables get the state's values, and
    the next step takes its state from them again. That costs a millisecond or two, so call this only for another rate.

    Args:
        model: compiled; in `fit` or not.
        rate: the new learning rate.
    """
    synchronise = getattr(model, "jax_state_sync", None)
    if synchronise is not None:
        synchronise()
    model.optimizer.learning_rate = rate


def put_averaged_weights(model: "keras.Model") -> None:
    """Puts the optimizer's averaged weights into the model, as values of its own.

    JAX shares one array between two variables where TensorFlow copies, and Keras' `predict_on_batch` gives the arrays
    of a model's weights away to be overwritten. The optimizer's averages would be gone with them.

    Args:
        model: compiled with an optimizer that averages weights.
    """
    model.optimizer.finalize_variable_values(model.trainable_variables)
    if hasattr(model, "jax_state_sync"):
        for variable in model.trainable_variables:
            variable.assign(np.array(variable))


def _start_tensorflow(keras_backend: str) -> None:
    import tensorflow as tf

    tf.config.list_physical_devices()
    if keras_backend == "jax":
        tf.config.set_visible_devices([], "GPU")


@contextmanager
def _standard_error_held_back() -> Iterator[None]:
    """Sends file descriptor 2 into a temporary file; shows it after an exception."""
    original = os.dup(STANDARD_ERROR)
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), STANDARD_ERROR)
        failed = True
        try:
            yield
            failed = False
        finally:
            os.dup2(original, STANDARD_ERROR)
            os.close(original)
            if failed:
                held.seek(0)
                os.write(STANDARD_ERROR, held.read())
