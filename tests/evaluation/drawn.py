"""Drawn frames whose measurements can be worked out by hand. Rows are 0.5 mm apart, columns 2 mm."""

import numpy as np

from data_pipeline.sample import FrameTruth, Phase, Sample, Structure, View
from evaluation.frames import frame_rows
from postprocessing.hinge_points import HingePoints
from postprocessing.measurement import FrameMeasurement, measure_labels

SPACING_MM = (0.5, 2.0)
SHAPE = (40, 32)
LV_LA = (Structure.BACKGROUND, Structure.LV, Structure.LA)
ALL_FOUR = (Structure.BACKGROUND, Structure.LV, Structure.MYO, Structure.LA)

AMVL = (19.5, 9.5)
PMVL = (19.5, 19.5)
"""The ends of the contact line of `labels()`: between rows 19 and 20, at the edges of columns 10 and 19."""
AMVL_MM = (9.75, 19.0)
PMVL_MM = (9.75, 39.0)


def labels(*, touching=True):
    """LV of 10 × 10 pixels, MYO one column on its right, LA of 10 × 6 pixels right below (or two rows further)."""
    drawn = np.zeros(SHAPE, dtype=np.uint8)
    drawn[10:20, 10:20] = Structure.LV
    drawn[10:20, 20] = Structure.MYO
    top = 20 if touching else 22
    drawn[top : top + 6, 10:20] = Structure.LA
    return drawn


def sample(reference, *, patient="p1", view=View.A4C, phase=Phase.ED, spacing_mm=SPACING_MM, truth=None, quality=None):
    image = np.ones(SHAPE if reference is None else reference.shape, dtype=np.float32)
    return Sample(image, reference, spacing_mm, patient, view, phase, "drawn", quality=quality, truth=truth)


def measured(label_map, spacing_mm=SPACING_MM):
    return measure_labels(label_map, spacing_mm=spacing_mm, anterior_side="left")


def prediction(*, shift_amvl=(0.0, 0.0), shift_pmvl=(0.0, 0.0), label_map=None, flags=()):
    """A prediction whose hinge points lie so many (rows, cols) from the reference's."""
    return FrameMeasurement(
        label_map=labels() if label_map is None else label_map,
        contact_line=None,
        hinge_points=HingePoints(
            amvl=(AMVL[0] + shift_amvl[0], AMVL[1] + shift_amvl[1]),
            pmvl=(PMVL[0] + shift_pmvl[0], PMVL[1] + shift_pmvl[1]),
        ),
        annulus_diameter=None,
        unit="mm",
        status="ok",
        flags=flags,
    )


def truth(*, amvl=(19.0, 10.0), pmvl=(20.0, 19.0), la_cut=False, **volumes):
    return FrameTruth(amvl, pmvl, annulus_diameter_mm=18.0, la_cut=la_cut, **volumes)


def by_metric(rows, structure="ANNULUS"):
    return {row.metric: row for row in rows if row.structure == structure}


def values(rows, structure="ANNULUS"):
    return {metric: row.value for metric, row in by_metric(rows, structure).items()}


def rows_of(the_sample, the_prediction, *, structures=ALL_FOUR, calibration=None):
    return frame_rows(the_sample, the_prediction, structures=structures, anterior_side="left", calibration=calibration)
