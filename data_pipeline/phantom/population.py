"""Hearts at random, as adults have them."""

from dataclasses import replace

import numpy as np

from data_pipeline.phantom.anatomy import VIEWS, Anatomy, Blob, ViewShape
from data_pipeline.sample import View


def draw_anatomy(rng: np.random.Generator) -> Anatomy:
    """One patient's heart at random: healthy and failing, small and large, within what adults' apical views show."""
    length = _normal(rng, 80.0, 11.0, 58.0, 110.0)
    failing = rng.random() < 0.4
    ef = _normal(rng, 36.0, 8.0, 15.0, 52.0) if failing else _normal(rng, 58.0, 6.0, 45.0, 72.0)
    diameter = length / _normal(rng, 1.72 if failing else 1.84, 0.15, 1.4, 2.2)
    annulus = _normal(rng, 30.5, 4.0, 21.0, 42.0)
    wall = _normal(rng, 11.2, 1.9, 7.0, 16.5)
    anatomy = Anatomy(
        length_mm=length,
        widest_at=rng.uniform(0.25, 0.5),
        apex_exponent=rng.uniform(1.8, 2.7),
        base_power=rng.uniform(1.0, 1.3),
        shortening=(0.03 + 0.0024 * ef) * rng.uniform(0.8, 1.2),
        apex_share=rng.uniform(0.0, 0.15),
        annulus_shortening=rng.uniform(0.02, 0.22),
        narrowing=0.0,
        thickening=rng.uniform(0.05, 0.3) * ef / 60.0,
        atrial_emptying=rng.uniform(0.1, 0.28),
        ef_percent=ef,
        views={view: _draw_view(rng, view, length, diameter, annulus, wall) for view in VIEWS},
    )
    return replace(anatomy, narrowing=_narrowing_for(anatomy))


def _narrowing_for(anatomy: Anatomy) -> float:
    """The loss of diameter that gives the wanted ejection fraction, by bisection on the continuous volume."""
    target = anatomy.volume_ml(0.0) * (1.0 - anatomy.ef_percent / 100.0)
    low, high = -0.3, 0.9
    for _ in range(60):
        middle = (low + high) / 2.0
        if replace(anatomy, narrowing=middle).volume_ml(1.0) > target:
            low = middle
        else:
            high = middle
    return (low + high) / 2.0


def _draw_view(
    rng: np.random.Generator, view: View, length: float, diameter: float, annulus: float, wall: float
) -> ViewShape:
    """One view of a heart whose overall size is given."""
    a3c = view is View.A3C
    outflow = rng.uniform(14.0, 20.0) if a3c else 0.0
    annulus *= rng.normal(1.0, 0.06) * (0.92 if a3c else 1.0)
    width = max(diameter * rng.normal({View.A2C: 1.04, View.A3C: 1.0, View.A4C: 0.98}[view], 0.05), annulus + outflow)
    thick = wall * (1.28 if view is View.A2C else 1.05)
    wall_mm = tuple(float(np.clip(thick * rng.normal(1.0, 0.14), 6.5, 21.0)) for _ in range(3))
    shoulder = (wall_mm[0] * rng.uniform(0.75, 1.25), wall_mm[2] * rng.uniform(0.75, 1.25))
    atrium_width = max(_normal(rng, 40.0, 5.0, 28.0, 56.0), 1.05 * annulus)
    bend = {View.A2C: 0.5, View.A3C: -1.0, View.A4C: 1.5}[view]
    return ViewShape(
        diameter_mm=width,
        annulus_mm=annulus,
        outflow_mm=outflow,
        width_waves=(rng.normal(0.0, 0.02), rng.normal(0.0, 0.012), rng.normal(0.0, 0.01)),
        axis_waves_mm=(rng.normal(bend, 2.0), rng.normal(0.0, 1.0), rng.normal(0.0, 0.6)),
        tilt_deg=_normal(rng, -4.5 if view is View.A4C else 0.0, 6.0, -18.0, 16.0),
        foreshortening=1.0 - abs(rng.normal(0.0, 0.06)) if rng.random() < 0.6 else 1.0,
        wall_mm=(wall_mm[0], wall_mm[1] * rng.uniform(0.65, 1.1), wall_mm[2]),
        shoulder_mm=shoulder,
        foot_drop_mm=rng.uniform(0.0, 3.0),
        groove_mm=(
            (rng.uniform(2.0, 8.0), rng.uniform(1.5, 6.0)),
            (rng.uniform(2.0, 8.0), rng.uniform(1.5, 6.0)),
        ),
        atrium_mm=(atrium_width, _normal(rng, 48.0, 8.0, 32.0, 68.0)),
        atrium_tilt_deg=rng.normal(4.0, 7.0),
        right_heart_mm=(rng.uniform(10.0, 18.0), 0.0) if a3c else (rng.uniform(22.0, 46.0), rng.uniform(30.0, 48.0)),
        septum_drop_mm=rng.uniform(2.0, 8.0),
        coaptation=rng.uniform(0.5, 0.68),
        tenting_mm=rng.uniform(0.0, 7.0),
        leaflet_mm=rng.uniform(1.2, 3.0),
        anterior_on_right=a3c,
        blobs=_draw_blobs(rng, width / length),
    )


def _draw_blobs(rng: np.random.Generator, fatness: float) -> tuple[Blob, ...]:
    """Up to two papillary muscles at mid-height and trabeculae near the apex."""
    papillary = [
        Blob(
            side,
            rng.uniform(0.35, 0.65),
            rng.uniform(1.5, 6.0) * fatness / 0.57,
            (rng.uniform(2.0, 4.0), rng.uniform(4.0, 9.0)),
        )
        for side in (-1, 1)
        if rng.random() < 0.5
    ]
    trabeculae = [
        Blob(
            int(rng.choice((-1, 1))),
            rng.uniform(0.3, 0.97),
            rng.uniform(-0.5, 2.0),
            (rng.uniform(0.8, 2.2), rng.uniform(1.0, 4.0)),
        )
        for _ in range(rng.integers(4, 24))
    ]
    return tuple(papillary + trabeculae)


def _normal(rng: np.random.Generator, mean: float, sd: float, low: float, high: float) -> float:
    return float(np.clip(rng.normal(mean, sd), low, high))
