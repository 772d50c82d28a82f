"""What smoothing the hinge points in time brings and costs: jitter, error and added delay against simulated truth.

    python -m benchmarks.smoothing --bundle bundles/phantom/tflite-float32 --keep build/smoothing.npz

Two beats of each simulated patient, A4C, frame by frame as a probe would give them, measured with a bundle's network;
their hinge points are known to a fraction of a pixel. Patients are not those of the phantom data set that networks are
trained on: another seed. Filters see the points alone, in mm, and nothing of the future. Constants are chosen on the
patients of odd number, and the table is of those of even number.

- jitter: root mean square, over frames, of the change of a point's error from one frame to the next
- error: root mean square distance of a point from the truth
- diameter: root mean square error of the annulus diameter
- delay: by how much the truth must be moved in time to fit the points best, less the same of the points as measured
"""

import argparse
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt

from cart.device import Cart
from cart.smoothing import PointSmoother, Smoothing
from data_pipeline.phantom.patient import draw_patient, simulate_view
from data_pipeline.sample import View
from postprocessing.hinge_points import HingePoints
from shell.command import run_command
from shell.progress import progress

SEED = 77
OFF_CENTRE_SHARE = 0.12  # as in the phantom data set
BEATS = 2
SETTLED = 5
"""Frames at the start that are left out: every filter begins with what was measured."""
LAGS_S = np.arange(-0.05, 0.15, 0.001)

Points = npt.NDArray[np.float64]
"""(frames, 4): aMVL row, column, pMVL row, column in mm; NaN where there are none."""
Filter = Callable[[float, Points], Points]
"""(frames per second, as measured) → filtered."""


@dataclass(frozen=True)
class Beats:
    """One patient's beats.

    Attributes:
        rate_hz: frames per second.
        truth: where the points are.
        measured: by the network; NaN where it found none, or the tool abstains.
    """

    rate_hz: float
    truth: Points
    measured: Points


@dataclass(frozen=True)
class Score:
    """What a filter makes of sequences, each counting alike; mm and ms."""

    jitter_mm: float
    error_mm: float
    diameter_mm: float
    delay_ms: float


def simulated(cart: Cart, number: int) -> Beats:
    """The sequence of one simulated patient, measured."""
    patient = draw_patient(number, SEED, OFF_CENTRE_SHARE)
    setup = patient.setups[View.A4C]
    beat_s = 60.0 / (55 + setup.seed % 40)  # as `Patient.frame_count`
    frames, pitch = round(beat_s * patient.frame_rate), setup.sector.pitch_mm
    truth, measured = [], []
    for frame in simulate_view(patient, View.A4C, [(n % frames) / frames for n in range(BEATS * frames)]):
        found = cart.measure(frame.image, view=View.A4C, spacing_mm=(pitch, pitch))
        abstained = found.judgement is not None and found.judgement.abstained
        points = None if abstained else found.hinge_points
        truth.append([*frame.amvl, *frame.pmvl])
        measured.append([*points.amvl, *points.pmvl] if points else [math.nan] * 4)
    return Beats(patient.frame_rate, np.array(truth) * pitch, np.array(measured) * pitch)


def as_measured(rate_hz: float, points: Points) -> Points:  # noqa: ARG001
    """No filter."""
    return points


def exponential(rate_hz: float, points: Points, *, cutoff_hz: float) -> Points:
    """A low-pass filter of first order."""
    share = 1 / (1 + rate_hz / (2 * math.pi * cutoff_hz))
    filtered, last = np.full_like(points, math.nan), None
    for index, point in enumerate(points):
        if np.isfinite(point).all():
            last = point if last is None else last + share * (point - last)
            filtered[index] = last
    return filtered


def one_euro(rate_hz: float, points: Points, *, cutoff_hz: float, per_speed: float) -> Points:
    """A low-pass filter whose cut-off rises with the speed.

    Source: G. Casiez, N. Roussel, D. Vogel, 1€ Filter, CHI 2012; the speed's own cut-off is the paper's 1 Hz, and a
    point's speed is that of both its coordinates.
    """

    def share(cutoff: npt.ArrayLike) -> npt.NDArray[np.float64]:
        return 1 / (1 + rate_hz / (2 * math.pi * np.asarray(cutoff, np.float64)))

    filtered, last, before, speed = np.full_like(points, math.nan), None, None, np.zeros(4)
    for index, point in enumerate(points):
        if not np.isfinite(point).all():
            continue
        if last is None or before is None:
            last = point
        else:
            speed = speed + share(1.0) * ((point - before) * rate_hz - speed)
            fast = np.repeat(np.hypot(speed[[0, 2]], speed[[1, 3]]), 2)
            last = last + share(cutoff_hz + per_speed * fast) * (point - last)
        before, filtered[index] = point, last
    return filtered


def kalman(rate_hz: float, points: Points, *, smoothing: Smoothing) -> Points:
    """The cart's own, outliers left out and bridged."""
    smoother, filtered = PointSmoother(smoothing), np.full_like(points, math.nan)
    for index, point in enumerate(points):
        a_row, a_col, p_row, p_col = point.tolist()
        given = HingePoints((a_row, a_col), (p_row, p_col)) if np.isfinite(point).all() else None
        found = smoother.take(index / rate_hz, given, (1.0, 1.0))
        if found is not None:
            filtered[index] = (*found.hinge_points.amvl, *found.hinge_points.pmvl)
    return filtered


def score(filtering: Filter, sequences: Sequence[Beats]) -> Score:
    """A filter's mean over sequences, on the frames where the network has points; `delay_ms` not yet less anything."""
    figures = []
    for sequence in sequences:
        found, truth = filtering(sequence.rate_hz, sequence.measured), sequence.truth
        counted = np.isfinite(sequence.measured).all(axis=1) & np.isfinite(found).all(axis=1)
        counted[:SETTLED] = False
        errors = np.where(counted[:, np.newaxis], found - truth, math.nan)
        changes = np.diff(errors, axis=0)
        figures.append(
            (
                _rms_of_points(changes[np.isfinite(changes).all(axis=1)]),
                _rms_of_points(errors[counted]),
                float(np.sqrt(np.mean((_diameters(found) - _diameters(truth))[counted] ** 2))),
                _delay_ms(found[counted], truth, np.flatnonzero(counted), sequence.rate_hz),
            )
        )
    return Score(*np.mean(figures, axis=0).tolist())


def candidates() -> Iterator[tuple[str, str, Filter]]:
    """(family, constants, filter) of all that are tried."""
    for hz in (2.0, 3.0, 5.0, 8.0, 12.0):
        yield "exponential", f"cut-off {hz:g} Hz", partial(exponential, cutoff_hz=hz)
    for hz in (1.0, 2.0, 4.0, 8.0):
        for slope in (0.02, 0.05, 0.1, 0.2, 0.4):
            yield (
                "one euro",
                f"cut-off {hz:g} Hz + {slope:g} Hz per mm/s",
                partial(one_euro, cutoff_hz=hz, per_speed=slope),
            )
    for acceleration in (60.0, 100.0, 140.0, 200.0, 300.0, 400.0):
        for gate in (2.0, 4.0, 6.0):
            constants = f"acceleration {acceleration:g}, gate {gate:g}"
            smoothing = Smoothing(acceleration=acceleration, gate=gate)
            yield "kalman", constants, partial(kalman, smoothing=smoothing)


def chosen(sequences: Sequence[Beats], most_delay_ms: float) -> dict[str, tuple[str, Filter]]:
    """Of each family the filter with the least jitter among those that add no more delay than so much."""
    base = score(as_measured, sequences).delay_ms
    best: dict[str, tuple[float, str, Filter]] = {}
    for family, constants, filtering in candidates():
        found = score(filtering, sequences)
        late = found.delay_ms - base > most_delay_ms
        if not late and (family not in best or found.jitter_mm < best[family][0]):
            best[family] = (found.jitter_mm, constants, filtering)
    return {family: (constants, filtering) for family, (_, constants, filtering) in best.items()}


def table(sequences: Sequence[Beats], most_delay_ms: float) -> str:
    """The filters chosen on half of the sequences, and what is set in cart/smoothing.py, measured on the other half."""
    tuning, held_out = sequences[0::2], sequences[1::2]
    rows: list[tuple[str, Filter]] = [("as measured", as_measured)]
    rows += [(f"{family}, {constants}", f) for family, (constants, f) in chosen(tuning, most_delay_ms).items()]
    rows.append(("cart/smoothing.py", partial(kalman, smoothing=Smoothing())))
    lines = ["| filter | jitter mm | error mm | diameter mm | delay ms |", "|---|---|---|---|---|"]
    base = score(as_measured, held_out).delay_ms
    for name, filtering in rows:
        s = score(filtering, held_out)
        lines.append(
            f"| {name} | {s.jitter_mm:.2f} | {s.error_mm:.2f} | {s.diameter_mm:.2f} | {s.delay_ms - base:.0f} |"
        )
    frames = sum(len(sequence.truth) for sequence in held_out)
    return "\n".join([*lines, f"{len(held_out)} sequences, {frames} frames; constants chosen on {len(tuning)} others"])


def bridged_errors_mm(sequences: Sequence[Beats], smoothing: Smoothing, frames: int = 5) -> list[float]:
    """Root mean square error of the points on the last frame before a gap, and on each frame of it; gaps everywhere."""
    smoothing = replace(smoothing, bridge=frames)
    squares: list[list[float]] = [[] for _ in range(frames + 1)]
    for sequence in sequences:
        for gap in range(15, len(sequence.truth) - frames):
            points = sequence.measured[: gap + frames].copy()
            points[gap:] = math.nan
            found = kalman(sequence.rate_hz, points, smoothing=smoothing)
            offsets = (found - sequence.truth[: gap + frames])[gap - 1 :]
            for missing, offset in enumerate(offsets):
                if np.isfinite(offset).all():
                    squares[missing].append(float((offset**2).sum()) / 2)
    return [math.sqrt(sum(of) / len(of)) if of else math.nan for of in squares]


def _rms_of_points(offsets: Points) -> float:
    return float(np.sqrt((offsets.reshape(-1, 2, 2) ** 2).sum(axis=-1).mean()))


def _diameters(points: Points) -> npt.NDArray[np.float64]:
    return np.hypot(points[:, 0] - points[:, 2], points[:, 1] - points[:, 3])


def _delay_ms(found: Points, truth: Points, frames: npt.NDArray[np.intp], rate_hz: float) -> float:
    """The shift of the truth in time whose motion, each coordinate about its mean, fits best."""
    every = np.arange(len(truth))

    def misfit(lag_s: float) -> float:
        moved = np.stack([np.interp(frames - lag_s * rate_hz, every, column) for column in truth.T], axis=1)
        left = found - moved
        return float(((left - left.mean(axis=0)) ** 2).sum())

    return float(LAGS_S[int(np.argmin([misfit(float(lag)) for lag in LAGS_S]))]) * 1000


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog="example: python -m benchmarks.smoothing --bundle bundles/phantom/tflite-float32 --patients 16",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--bundle", type=Path, required=True, metavar="DIR", help="written by `python -m export`")
    parser.add_argument("--patients", type=int, default=16, metavar="N", help="simulated patients; default: 16")
    parser.add_argument("--threads", type=int, metavar="N", help="CPU threads; default: all cores")
    parser.add_argument(
        "--most-delay-ms", type=float, default=20.0, metavar="MS", help="that a filter may add; default: 20, a frame"
    )
    parser.add_argument("--keep", type=Path, metavar="FILE", help=".npz of the measured points: read if it is there")
    arguments = parser.parse_args(argv)
    kept: Path | None = arguments.keep
    stored = dict(np.load(kept)) if kept is not None and kept.is_file() else {}
    cart = None
    sequences = []
    for number in progress(range(1, arguments.patients + 1), label="simulate and measure", unit="patients"):
        key = f"patient{number:04d}"
        if key not in stored:
            cart = cart or Cart.open(arguments.bundle, threads=arguments.threads)
            made = simulated(cart, number)
            stored[key] = np.concatenate([made.truth, made.measured], axis=1)
            stored[f"{key}_rate"] = np.array(made.rate_hz)
            if kept is not None:
                kept.parent.mkdir(parents=True, exist_ok=True)
                np.savez(kept, **stored)
        points = stored[key]
        sequences.append(Beats(float(stored[f"{key}_rate"]), points[:, :4], points[:, 4:]))
    print(table(sequences, arguments.most_delay_ms))
    before, *missing = bridged_errors_mm(sequences, Smoothing())
    after = ", ".join(f"{error:.2f}" for error in missing)
    print(f"all {len(sequences)} sequences: error before a gap {before:.2f} mm, on its frames {after} mm")
    return 0


if __name__ == "__main__":
    run_command(main)
