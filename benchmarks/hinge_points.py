"""How long the hinge points of a frame take, from probabilities at 549 × 389 (a CAMUS frame): median and p99.

    python -m benchmarks.hinge_points

Wall time is what a user waits, CPU time of the one thread what the work costs: on a busy machine they differ.
"""

import argparse
import time
from collections.abc import Callable

import cv2
import numpy as np
import numpy.typing as npt

from postprocessing.cleanup import label_map_of
from postprocessing.codes import LA, LV
from postprocessing.contact_line import pixel_contact_line, subpixel_contact_line
from postprocessing.hinge_points import find_hinge_points
from postprocessing.measurement import measure_frame

SHAPE = (549, 389)
SPACING_MM = (0.308, 0.308)
STRUCTURES = (0, 1, 2, 3)
LIMIT_MS = 2.0


def drawn_frames(count: int) -> list[npt.NDArray[np.float32]]:
    """Soft probabilities of a ventricle in its myocardium above an atrium, each of its own tilt, place and size."""
    generator = np.random.default_rng(0)
    frames: list[npt.NDArray[np.float32]] = []
    for _ in range(count):
        labels = np.zeros(SHAPE, dtype=np.uint8)
        base = np.array([195.0, 300.0]) + generator.uniform(-15, 15, 2)  # x, y
        tilt = generator.uniform(-20, 20)
        turn = cv2.getRotationMatrix2D((0, 0), -tilt, 1)[:, :2]
        for code, up, axes, part in (
            (2, 0, (90, 215), (180, 360)),  # myocardium, above the annulus
            (LV, 0, (65, 190), (180, 360)),
            (LA, 0, (58, 150), (0, 180)),  # below it
        ):
            centre = base + turn @ (0, up)
            axes = tuple(int(axis * generator.uniform(0.9, 1.1)) for axis in axes)
            cv2.ellipse(labels, centre.astype(int).tolist(), axes, tilt, *part, code, -1)
        soft = cv2.GaussianBlur(np.eye(4, dtype=np.float32)[labels], (0, 0), generator.uniform(1, 3))
        frames.append(soft)
    return frames


def times_ms(work: Callable[[int], object], count: int) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Wall and CPU times of `work(0)` to `work(count − 1)`, after a warm-up."""
    for index in range(20):
        work(index)
    wall, cpu = np.empty(count), np.empty(count)
    for index in range(count):
        wall_start, cpu_start = time.perf_counter(), time.thread_time()
        work(index)
        wall[index], cpu[index] = time.perf_counter() - wall_start, time.thread_time() - cpu_start
    return wall * 1000, cpu * 1000


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog="example: python -m benchmarks.hinge_points --frames 1000",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--frames", type=int, default=2000, help="how many frames to time per line (default 2000)")
    count = parser.parse_args().frames
    cv2.setNumThreads(1)
    frames = drawn_frames(20)
    images = [(frame[..., 1:].sum(axis=-1) * 100 + 20).astype(np.float32) for frame in frames]
    labels = [label_map_of(frame, STRUCTURES) for frame in frames]

    def measured(method: str, with_image: bool = False) -> Callable[[int], object]:
        return lambda index: measure_frame(
            frames[index % len(frames)],
            structures=STRUCTURES,
            spacing_mm=SPACING_MM,
            anterior_side="left",
            method=method,
            image=images[index % len(images)] if with_image else None,
        )

    def hinge_points_of_labels(index: int) -> object:
        return find_hinge_points(pixel_contact_line(labels[index % len(labels)]), "left")

    def hinge_points_of_probabilities(index: int) -> object:
        each = index % len(frames)
        masks = labels[each] == LV, labels[each] == LA
        return find_hinge_points(subpixel_contact_line(frames[each], LV, LA, masks), "left")

    print(f"{SHAPE[0]} x {SHAPE[1]} x {len(STRUCTURES)}, {count} frames, one thread")
    print(f"{'':44}  wall ms: median    p99   CPU ms: median    p99")
    slow = False
    for name, work in {
        "pixel contact line + hinge points": hinge_points_of_labels,
        "sub-pixel contact line + hinge points": hinge_points_of_probabilities,
        "measure_frame, pixel": measured("pixel"),
        "measure_frame, sub-pixel": measured("subpixel"),
        "measure_frame, sub-pixel, with the image": measured("subpixel", with_image=True),
    }.items():
        wall, cpu = times_ms(work, count)
        slow = slow or float(np.percentile(cpu, 99)) > LIMIT_MS
        print(
            f"{name:44} {np.median(wall):16.3f} {np.percentile(wall, 99):6.3f} "
            f"{np.median(cpu):16.3f} {np.percentile(cpu, 99):6.3f}"
        )
    print(f"limit {LIMIT_MS} ms of CPU time at p99: {'MISSED' if slow else 'kept'}")


if __name__ == "__main__":
    main()
