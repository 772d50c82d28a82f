"""Volumes of simulated patients, from their reference masks, against the volumes that they were constructed with."""

from dataclasses import replace

import pytest

from data_pipeline.phantom.motion import SYSTOLE_SHARE
from data_pipeline.phantom.patient import draw_patient, simulate_view
from data_pipeline.sample import FrameTruth, Phase, Sample, View
from evaluation.patients import patient_rows
from postprocessing.measurement import measure_labels

SEED = 7
VIEWS = (View.A4C, View.A2C)


def rows_of(number):
    """The rows of one simulated patient, each reference mask taken for its own prediction."""
    patient = draw_patient(number, SEED, 0.0)
    edv_ml, esv_ml = patient.anatomy.volume_ml(0.0), patient.anatomy.volume_ml(1.0)
    frames = []
    for view in VIEWS:
        spacing_mm = (patient.setups[view].sector.pitch_mm,) * 2
        for phase, frame in zip(Phase, simulate_view(patient, view, (0.0, SYSTOLE_SHARE)), strict=True):
            truth = FrameTruth(
                frame.amvl, frame.pmvl, 30.0, frame.la_cut, edv_ml, esv_ml, 100 * (edv_ml - esv_ml) / edv_ml
            )
            sample = Sample(
                frame.image.astype("float32"), frame.labels, spacing_mm, patient.patient_id, view, phase, "phantom"
            )
            measured = measure_labels(frame.labels, spacing_mm=spacing_mm, anterior_side="left", image=sample.image)
            frames.append((replace(sample, truth=truth), measured))
    return patient, {row.metric: row.value for row in patient_rows(frames)}


@pytest.mark.parametrize("number", [1, 4, 5, 8])
def test_volumes_are_the_constructed_ones_shortened_as_the_views_are(number):
    """Of 120 such patients, each of whose views is whole: EDV −0.2 to +1.1 %, ESV −0.3 to +1.4 %, EF within 0.3.

    The longer of the two axes counts, so one whole view is enough; where both are foreshortened, the volume lacks what
    the longer one lacks of the ventricle's length, and the ejection fraction does not change.
    """
    patient, found = rows_of(number)
    seen = max(patient.anatomy.views[view].foreshortening for view in VIEWS)
    for quantity in ("edv", "esv"):
        assert found[f"{quantity}_reference"] == pytest.approx(seen * found[f"{quantity}_constructed"], rel=0.02)
        assert found[f"{quantity}_predicted"] == found[f"{quantity}_reference"]
    assert found["ef_reference"] == pytest.approx(found["ef_constructed"], abs=0.5)
    # the atrium has no constructed volume: it fills while the ventricle empties, and both formulas tell nearly the same
    assert found["lav_es_reference"] > found["lav_ed_reference"] > 5
    for phase in ("ed", "es"):
        assert found[f"lav_discs_{phase}_reference"] == pytest.approx(found[f"lav_{phase}_reference"], rel=0.08)
