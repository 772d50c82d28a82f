"""The surface metrics of a frame, ours against MONAI's and surface-distance's on the same masks, in one process.

d_m, d_H, HD95 and surface Dice of LV, MYO, LA and EPI of frames of 549 × 389 with anisotropic pixels. Each tool is used
as its manual shows: MONAI is given the four structures as one tensor and asked for each metric, surface-distance
measures each structure once and derives the metrics. Ours is timed with the surface Dice that the tool at hand defines.
MONAI is in requirements.txt of this folder, surface-distance in requirements-dev.txt: a tool that is not installed is
left out. The name begins with an underscore since `python -m benchmarks.evaluate` calls `main` at its end.
"""

import importlib
import math
import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from benchmarks.hinge_points import drawn_frames
from data_pipeline.sample import Structure
from metrics import surface

Mask = npt.NDArray[np.bool_]
Pair = tuple[Mask, Mask]
"""(structures, H, W) of the reference and of the prediction."""

SPACING_MM = (0.154, 0.308)  # the CAMUS MetaImage release, (row, col)
TOLERANCE_MM = 2.0
FRAMES = 8
ROUNDS = 5
NEEDED_RATIO = 3.0
AGREE = 1e-5  # MONAI computes in single precision


@dataclass(frozen=True)
class Comparison:
    """CPU time per frame of four structures, the median of the rounds, and how many times ours is faster."""

    ours_ms: float
    theirs_ms: float

    @property
    def ratio(self) -> float:
        return self.theirs_ms / self.ours_ms


def main() -> None:
    """Prints the comparison, a line for each tool, and whether the aim is met."""
    compared = compare_surfaces()
    print("d_m, d_H, HD95 and surface Dice of four structures of 549x389, CPU time of one thread:")
    for name, tool in compared.items():
        print(
            f"  ours {tool.ours_ms:.2f} ms a frame, {name} {tool.theirs_ms:.2f} ms: {tool.ratio:.1f} times faster "
            f"(at least {NEEDED_RATIO:.0f}: {'met' if tool.ratio >= NEEDED_RATIO else 'MISSED'})"
        )
    for name in sorted(set(TOOLS) - set(compared)):
        print(f"  {name} is not installed")


def compare_surfaces(frames: int = FRAMES, rounds: int = ROUNDS) -> Mapping[str, Comparison]:
    """Tool → its time and ours. What both define the same is checked to agree first: AssertionError where it does not.

    CPU time of the process, since the machine may be busy; PyTorch is held to one thread while it is timed. The tools
    take turns frame by frame, so a machine that slows down slows all of them.
    """
    pairs: list[Pair] = []
    compared: dict[str, Comparison] = {}
    for name, (modules, prepare, ours, same) in TOOLS.items():
        try:
            imported = [importlib.import_module(module) for module in modules]
        except ImportError:
            continue
        pairs = pairs or drawn_masks(frames)
        theirs, restore = prepare(*imported)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the tools' own deprecations
            try:
                compared[name] = _timed(pairs, ours, theirs, same, rounds)
            finally:
                restore()
    return compared


def drawn_masks(count: int) -> list[Pair]:
    """Reference and prediction of LV, MYO, LA and EPI: drawn hearts, and the same bent by some pixels."""
    chance = np.random.default_rng(1)
    pairs: list[Pair] = []
    for soft in drawn_frames(count):
        labels = soft.argmax(axis=-1).astype(np.uint8)
        height, width = labels.shape
        bend = [
            cv2.resize(chance.normal(0, 5, (5, 4)).astype(np.float32), (width, height), interpolation=2) for _ in "xy"
        ]
        cols, rows = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
        bent = cv2.remap(labels, cols + bend[0], rows + bend[1], cv2.INTER_NEAREST)
        pairs.append((_structures(labels), _structures(bent)))
    return pairs


def ours_by_length(pair: Pair) -> list[list[float]]:
    """Per structure d_m, d_H, HD95 (medpy's) and surface Dice by contour length."""
    found: list[list[float]] = []
    for reference, prediction in zip(*pair, strict=True):
        distances = surface.surface_distances(reference, prediction, SPACING_MM)
        found.append([*_lengths(distances), surface.surface_dice(distances, TOLERANCE_MM)])
    return found


def ours_by_pixels(pair: Pair) -> list[list[float]]:
    """Per structure d_m, d_H, HD95 (medpy's) and surface Dice by pixels, all from one measurement."""
    found: list[list[float]] = []
    for reference, prediction in zip(*pair, strict=True):
        distances = surface.surface_distances(reference, prediction, SPACING_MM)
        found.append([*_lengths(distances), surface.surface_dice_of_pixels(distances, TOLERANCE_MM)])
    return found


def _lengths(distances: surface.SurfaceDistances) -> tuple[float, float, float]:
    return (
        surface.mean_absolute_distance(distances),
        surface.hausdorff(distances),
        surface.hausdorff95(distances),
    )


def _monai(monai: Any, torch: Any) -> tuple[Callable[[Pair], list[list[float]]], Callable[[], None]]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)

    def measure(pair: Pair) -> list[list[float]]:
        reference, prediction = (torch.from_numpy(masks)[None] for masks in pair)
        common = {"include_background": True, "spacing": SPACING_MM}
        metrics = [
            monai.compute_average_surface_distance(prediction, reference, symmetric=True, **common),
            monai.compute_hausdorff_distance(prediction, reference, **common),
            monai.compute_hausdorff_distance(prediction, reference, percentile=95, **common),
            monai.compute_surface_dice(prediction, reference, [TOLERANCE_MM] * len(pair[0]), **common),
        ]
        return torch.cat(metrics).T.tolist()

    return measure, lambda: torch.set_num_threads(threads)


def _surface_distance(tool: Any) -> tuple[Callable[[Pair], list[list[float]]], Callable[[], None]]:
    def measure(pair: Pair) -> list[list[float]]:
        found: list[list[float]] = []
        for reference, prediction in zip(*pair, strict=True):
            distances = tool.compute_surface_distances(reference, prediction, SPACING_MM)
            found.append(
                [
                    sum(tool.compute_average_surface_distance(distances)) / 2,
                    tool.compute_robust_hausdorff(distances, 100),
                    tool.compute_robust_hausdorff(distances, 95),
                    tool.compute_surface_dice_at_tolerance(distances, TOLERANCE_MM),
                ]
            )
        return found

    return measure, lambda: None


# Per tool: what it imports, how it is made ready, ours beside it, and which of the four metrics are one definition.
TOOLS: dict[str, tuple[tuple[str, ...], Any, Callable[[Pair], list[list[float]]], tuple[int, ...]]] = {
    "MONAI": (("monai.metrics", "torch"), _monai, ours_by_pixels, (1, 3)),
    "surface-distance": (("surface_distance",), _surface_distance, ours_by_length, (3,)),
}


def _timed(
    pairs: list[Pair],
    ours: Callable[[Pair], list[list[float]]],
    theirs: Callable[[Pair], list[list[float]]],
    same: tuple[int, ...],
    rounds: int,
) -> Comparison:
    for pair in pairs:  # which also warms both up
        for mine, other in zip(ours(pair), theirs(pair), strict=True):
            for metric in same:
                assert math.isclose(mine[metric], other[metric], rel_tol=AGREE), (metric, mine, other)
    seconds: dict[int, list[float]] = {0: [], 1: []}
    for _ in range(rounds):
        for pair in pairs:
            for side, measure in enumerate((ours, theirs)):
                begun = time.process_time()
                measure(pair)
                seconds[side].append(time.process_time() - begun)
    return Comparison(*(float(np.median(seconds[side])) * 1000 for side in (0, 1)))


def _structures(labels: npt.NDArray[np.uint8]) -> Mask:
    lv, myo, la = (labels == code for code in (Structure.LV, Structure.MYO, Structure.LA))
    return np.stack([lv, myo, la, lv | myo])
