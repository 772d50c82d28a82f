"""Starts TensorFlow without its greeting: what a command prints is then its own."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

STANDARD_ERROR = 2


def start_backend() -> None:
    """Imports TensorFlow and lets it look for devices, holding back what its C++ part logs meanwhile.

    TensorFlow logs before its log level can take effect. If it fails to start, everything held back is shown.
    `TF_CPP_MIN_LOG_LEVEL=0` in the environment shows it all.
    """
    if os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3") == "0":
        return
    with _standard_error_held_back():
        import tensorflow as tf

        tf.config.list_physical_devices()


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
