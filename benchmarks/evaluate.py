"""How long everything takes that follows the network: measures, outliers, figures and the report of many frames.

Writes simulated frames of 549×389 pixels in the CAMUS layout, with stored predictions that are somewhat off, and times
`python evaluate.py --again` on them, a fourth of them and all: the whole command in a process of its own, its seconds
and the peak memory of it and its workers. Then the surface measures alone, beside MONAI's and surface-distance's
where they are installed (benchmarks/requirements.txt), in one process.
"""

import argparse
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from benchmarks._surfaces import main as compare_surfaces
from cart.measure import MeasurementSpec
from data_pipeline.phantom.writer import PhantomOptions, write_phantom, write_volume
from data_pipeline.preprocess import Preprocessing
from data_pipeline.sample import Structure, View
from data_pipeline.spec import Dataset, open_dataset
from evaluation.bounds import Bounds
from evaluation.folder import BOUNDS_FILE, MEASUREMENT_FILE, RUN_FILE, UNREADABLE_FILE
from evaluation.predictions import prediction_of, save_prediction
from evaluation.stored import PREDICTIONS
from postprocessing.hinge_points import ANTERIOR_SIDE
from postprocessing.measurement import measure_labels
from shell.command import add_debug_option, run_command
from shell.files import write_json

NATIVE = (549, 389)
SIMULATED = 12  # patients; the others are these, moved
STRUCTURES = (Structure.BACKGROUND, Structure.LV, Structure.MYO, Structure.LA)
FRAMES_OF_PATIENT = 4
NEEDED_S = 60.0
ROOT = Path(__file__).parents[1]
Labels = npt.NDArray[np.uint8]


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.evaluate", description=__doc__, epilog="example: python -m benchmarks.evaluate"
    )
    parser.add_argument("--frames", type=int, default=2000, help="(default: %(default)s)")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="leave data and evaluations here")
    add_debug_option(parser)
    arguments = parser.parse_args(argv)
    with tempfile.TemporaryDirectory(prefix="evaluate-") as temporary:
        folder = (arguments.keep or Path(temporary)).resolve()
        hearts = simulated(folder / "hearts")
        found: dict[int, tuple[float, int]] = {}
        for frames in (arguments.frames // 4, arguments.frames):
            patients = frames // FRAMES_OF_PATIENT
            data, evaluation = folder / f"data-{frames}", folder / f"evaluation-{frames}"
            write_data(data, hearts, patients)
            write_evaluation(evaluation, data)
            found[frames] = timed([sys.executable, "evaluate.py", "--again", str(evaluation)])
            seconds, peak = found[frames]
            size = (evaluation / "report.html").stat().st_size
            print(
                f"{frames} frames of {NATIVE[0]}x{NATIVE[1]}: {seconds:.1f} s, "
                f"{1000 * seconds / frames:.1f} ms a frame, peak memory {peak / 2**20:.0f} MB of all processes, "
                f"report {size / 1e6:.1f} MB",
                flush=True,
            )
    (few_s, few_peak), (many_s, many_peak) = found.values()
    print(f"four times the frames: {many_s / few_s:.2f} times the time, {many_peak / few_peak:.2f} times the memory")
    compare_surfaces()
    return 0 if many_s <= NEEDED_S * arguments.frames / 2000 else 1


def simulated(folder: Path) -> list[dict[str, tuple[npt.NDArray[np.uint8], Labels]]]:
    """Frames of some simulated patients at the native size: name of view and phase → image, labels."""
    if not folder.exists():
        write_phantom(folder, PhantomOptions(patients=SIMULATED, seed=4), workers=2)
    dataset = open_dataset(f"phantom:{folder}", structures=STRUCTURES)
    hearts: dict[str, dict[str, tuple[npt.NDArray[np.uint8], Labels]]] = {}
    for case in dataset.cases:
        sample = dataset.load(case)
        assert sample.labels is not None
        size = (NATIVE[1], NATIVE[0])
        image = cv2.resize(sample.image, size, interpolation=cv2.INTER_LINEAR).astype(np.uint8)
        labels = cv2.resize(sample.labels, size, interpolation=cv2.INTER_NEAREST).astype(np.uint8)
        hearts.setdefault(case.patient_id, {})[case.case_id.removeprefix(case.patient_id)] = (image, labels)
    return list(hearts.values())


def write_data(folder: Path, hearts: Sequence[dict[str, tuple[npt.NDArray[np.uint8], Labels]]], patients: int) -> None:
    """So many patients in the CAMUS layout, no two of them the same pixels."""
    if folder.exists():
        return
    for number in range(patients):
        patient = f"patient{number + 1:04d}"
        (folder / patient).mkdir(parents=True)
        shift = (number // len(hearts) % 15 - 7, number // len(hearts) // 15 - 1)
        for name, (image, labels) in hearts[number % len(hearts)].items():
            write_volume(folder / patient / f"{patient}{name}.nii.gz", moved(image, shift), 0.308)
            write_volume(folder / patient / f"{patient}{name}_gt.nii.gz", moved(labels, shift), 0.308)
        for view in ("2CH", "4CH"):
            (folder / patient / f"Info_{view}.cfg").write_text("ED: 1\nES: 2\nNbFrame: 2\nImageQuality: Good\nEF: 55\n")


def moved(array: npt.NDArray[np.uint8], shift: tuple[int, int]) -> npt.NDArray[np.uint8]:
    """An image moved by whole pixels; what comes in at the edge is black."""
    transform = np.array([[1, 0, shift[1]], [0, 1, shift[0]]], np.float32)
    return cv2.warpAffine(array, transform, (array.shape[1], array.shape[0]), flags=cv2.INTER_NEAREST).astype(np.uint8)


def write_evaluation(folder: Path, data: Path) -> None:
    """What the network's part of an evaluation leaves: a prediction of each frame, smoothed and moved a little."""
    dataset: Dataset = open_dataset(f"camus:{data}", structures=STRUCTURES)
    spec = MeasurementSpec(STRUCTURES, Preprocessing(256, 256), "pixel", True, ANTERIOR_SIDE, None)
    chance = np.random.default_rng(3)
    for case in dataset.cases:
        sample = dataset.load(case)
        assert sample.labels is not None
        assert case.view in (View.A2C, View.A4C)
        shift = tuple(int(value) for value in chance.integers(-6, 7, 2))
        labels = cv2.medianBlur(moved(sample.labels, (shift[0], shift[1])), 5).astype(np.uint8)
        side = ANTERIOR_SIDE[case.view]
        measurement = measure_labels(labels, spacing_mm=sample.spacing_mm, anterior_side=side, image=sample.image)
        prediction = prediction_of(measurement, anterior_side=side)
        save_prediction(folder / PREDICTIONS / f"{case.case_id}.npz", prediction)
    write_json(folder / MEASUREMENT_FILE, spec.to_dict())
    write_json(folder / BOUNDS_FILE, Bounds().to_dict())
    write_json(folder / UNREADABLE_FILE, {})
    about = {
        "model": "benchmark",
        "data": dataset.spec,
        "data_digest": dataset.digest(),
        "split": "all",
        "n_cases": len(dataset.cases),
        "cases": [case.case_id for case in dataset.cases],
    }
    write_json(folder / RUN_FILE, about)
    write_json(folder / "summary.json", {})  # the mark by which the folder may be replaced


def timed(command: Sequence[str]) -> tuple[float, int]:
    """Seconds that a command takes, and the most memory (bytes) that it and its children have held at one time."""
    begun = time.perf_counter()
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL)
    peaks = [0]
    done = threading.Event()

    def watch() -> None:
        while not done.wait(0.1):
            peaks.append(sum(resident_bytes(pid) for pid in family(process.pid)))

    watcher = threading.Thread(target=watch)
    watcher.start()
    status = process.wait()
    seconds = time.perf_counter() - begun
    done.set()
    watcher.join()
    if status != 0:
        raise SystemExit(f"error: exit code {status} of {' '.join(command)}; its message is above")
    return seconds, max(peaks)


def family(pid: int) -> list[int]:
    """A process and all below it; those that end meanwhile are left out."""
    found = [pid]
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            children = task.read_text().split()
        except OSError:
            continue
        for child in children:
            found += family(int(child))
    return found


def resident_bytes(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))  # shared pages once


if __name__ == "__main__":
    run_command(main)
