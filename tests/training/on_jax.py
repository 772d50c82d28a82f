"""What tests/training/test_jax.py looks at, all in one process on JAX: `python -m tests.training.on_jax FOLDER DATA`.

Leaves in FOLDER: `whole`, a run trained, calibrated and evaluated; `probabilities.npy`, what its network makes of
`frames()`; `said.json`, what the rest gave.
"""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

from shell.errors import UserError
from tests.training.conftest import new_run

EPOCHS = "epochs=3"


def frames() -> np.ndarray:
    return np.random.default_rng(3).random((2, 32, 32, 1), dtype=np.float32)


def main(folder: Path, data: str) -> None:
    import evaluate
    import train
    from export.__main__ import main as export
    from training.run_folder import load_run

    whole = folder / "whole"
    said: dict[str, Any] = {"trained": train.main([str(part) for part in new_run(whole, data, EPOCHS)])}
    said["evaluated"] = evaluate.main(["--run", str(whole)])
    try:
        export(["--run", str(whole), "--out", str(folder / "bundles")])
    except UserError as error:
        said["export"] = str(error)
    np.save(folder / "probabilities.npy", load_run(whole).predict(frames())["probabilities"])
    said["moved"] = moved_by_each_step([1e-3, 0.0, 1e-3, 0.0])
    (folder / "said.json").write_text(json.dumps(said))


def moved_by_each_step(rates: list[float]) -> list[bool]:
    """Whether the weights moved in each step of one epoch of `fit`, whose learning rate is set before it."""
    import keras

    from training.backend import set_learning_rate

    moved: list[bool] = []

    class Rates(keras.callbacks.Callback):
        def on_train_batch_begin(self, batch: int, logs: object = None) -> None:
            set_learning_rate(self.model, rates[batch])
            self.before = self.model.get_weights()

        def on_train_batch_end(self, batch: int, logs: object = None) -> None:
            self.model.jax_state_sync()
            moved.append(any(np.any(a != b) for a, b in zip(self.before, self.model.get_weights(), strict=True)))

    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse", jit_compile=True)
    count = len(rates)
    model.fit(np.ones((count, 3)), np.ones((count, 1)), batch_size=1, callbacks=[Rates()], shuffle=False, verbose=0)
    return moved


if __name__ == "__main__":
    from training.backend import start_backend

    start_backend()
    main(Path(sys.argv[1]), sys.argv[2])
