"""A Keras network as a TensorFlow function with one fixed signature: what every TensorFlow-based format starts from."""

import keras
import tensorflow as tf

from cart.bundle import INPUT_NAME
from shell.errors import UserError
from training.run_folder import named_outputs


def require_tensorflow() -> None:
    """Refuses to export with Keras on another backend.

    Raises:
        UserError: it is.
    """
    if keras.backend.backend() != "tensorflow":
        raise UserError(
            f"export goes through TensorFlow, but Keras runs on {keras.backend.backend()}; unset KERAS_BACKEND"
        )


class NetworkGraph(tf.Module):
    """`function(image)` → the network's outputs by name, e.g. `{"probabilities": …}`, in inference mode.

    It holds the weights itself. TensorFlow's savers and converters find them in a plain module; of a Keras model the
    TFLite converter would leave them to be read, uninitialised, at run time.

    Args:
        model: (n, h, w, 1) → probabilities (n, h, w, classes), or several outputs by name; float32.
        batch: fixed batch size, or None for any.

    Raises:
        UserError: Keras runs on another backend than TensorFlow.
    """

    def __init__(self, model: keras.Model, batch: int | None) -> None:
        super().__init__()
        require_tensorflow()
        height, width = model.input_shape[1:3]
        self.weights = [weight.value for weight in model.weights]
        self.function = tf.function(
            lambda image: named_outputs(model(image, training=False)),
            input_signature=[tf.TensorSpec((batch, height, width, 1), tf.float32, name=INPUT_NAME)],
        )
