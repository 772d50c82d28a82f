"""The pictures of cases that evaluate.py puts beside its figures, for evaluation folders made of known figures."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from data_pipeline.sample import Phase, Sample, Structure, View
from evaluation.pictures import case_entry
from evaluation.predictions import Prediction
from postprocessing.hinge_points import HingePoints
from shell.files import write_json
from tests.reports.synthetic import Frame, drawn_labels

STRUCTURES = (Structure.BACKGROUND, Structure.LV, Structure.MYO, Structure.LA)


def add_pictures(folder: Path, frames: Sequence[Frame], *, height: int = 180, width: int = 150) -> Path:
    """Writes cases/CASE.webp and cases/cases.json: a drawn heart, predicted a little to the right; returns `folder`.

    A frame without predicted points has no contact line either; pixels are 0.8 × 0.6 mm.
    """
    random = np.random.default_rng(5)
    rows, cols = np.mgrid[:height, :width]
    sector = np.abs(np.arctan2(cols - width / 2, rows + 5)) < 0.6
    image = (random.gamma(2.0, 25.0, (height, width)) * sector).astype(np.float32)
    base, left, right = round(0.6 * height) - 0.5, width * 0.38, width * 0.62
    entries = []
    for number, frame in enumerate(frames):
        shift = 1 + number % 5
        line = np.stack([np.full(20, base), np.linspace(left + shift, right + shift, 20)], axis=1)
        found = frame.predicted is not None
        sample = Sample(
            image=image,
            labels=drawn_labels(height, width, 0),
            spacing_mm=(0.8, 0.6),
            patient_id=frame.patient,
            view=View(frame.view),
            phase=Phase(frame.phase),
            source="drawn",
        )
        entry = case_entry(
            sample,
            Prediction(
                drawn_labels(height, width, shift),
                line if found else None,
                HingePoints((base, left + shift), (base, right + shift)) if found else None,
                None if frame.box is None else (5.0, 120.0, 30.0, 110.0),
            ),
            None,
            folder / "cases",
            structures=STRUCTURES,
            reference_box=None if frame.box is None else (4.0, 118.0, 28.0, 112.0),
        )
        assert entry["case"] == frame.case
        if frame.reference is not None:
            entry["reference_hinge_points"] = {"amvl": [base, left], "pmvl": [base, right]}
        entries.append(entry)
    write_json(folder / "cases" / "cases.json", entries)
    return folder
