"""Training steps of each network at its paper's size: mixed bfloat16 against float32, and peak memory.

`python -m benchmarks.training [--batch 8] [--steps 4]`; each measurement is a process of its own.
"""

import argparse
import json
import resource
import subprocess
import sys
import time

from shell.command import add_debug_option, run_command

PRECISIONS = ("float32", "mixed_bfloat16")


def main(argv=None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--steps", type=int, default=4, help="measured steps, after one that compiles")
    parser.add_argument("--one", nargs=2, metavar=("MODEL", "PRECISION"), help=argparse.SUPPRESS)
    add_debug_option(parser)
    arguments = parser.parse_args(argv)
    if arguments.one:
        print(json.dumps(measure(*arguments.one, arguments.batch, arguments.steps)))
        return 0
    from training.backend import start_backend

    start_backend()
    import models

    print(f"batch {arguments.batch}, 256x256, {arguments.steps} steps")
    print(f"{'network':<12} {'precision':<15} {'images/s':>9} {'against float32':>16} {'peak memory':>12}")
    for name in models.MODELS:
        baseline = None
        for precision in PRECISIONS:
            options = ["--one", name, precision, "--batch", str(arguments.batch), "--steps", str(arguments.steps)]
            command = [sys.executable, "-m", "benchmarks.training", *options]
            output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
            result = json.loads(output.splitlines()[-1])
            baseline = baseline or result["images_per_s"]
            ratio = result["images_per_s"] / baseline
            memory = f"{result['peak_bytes'] / 1e9:.2f} GB"
            print(f"{name:<12} {precision:<15} {result['images_per_s']:>9.1f} {ratio:>15.2f}x {memory:>12}", flush=True)
    return 0


def measure(name: str, precision: str, batch: int, steps: int) -> dict[str, float]:
    """Images a second and peak memory of this process."""
    from training.backend import start_backend

    start_backend()
    import keras
    import numpy as np

    import models
    from models.losses import loss_by_name

    keras.config.set_dtype_policy(precision)
    model = models.build(name, classes=4)
    model.compile("adam", loss_by_name("categorical_crossentropy"), jit_compile=False)
    chance = np.random.default_rng(0)
    images = chance.random((batch, 256, 256, 1), dtype=np.float32)
    labels = np.eye(4, dtype=np.float32)[chance.integers(0, 4, (batch, 256, 256))]
    model.train_on_batch(images, labels)
    begun = time.perf_counter()
    for _ in range(steps):
        model.train_on_batch(images, labels)
    seconds = time.perf_counter() - begun
    return {
        "images_per_s": steps * batch / seconds,
        "peak_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    }


if __name__ == "__main__":
    run_command(main)
