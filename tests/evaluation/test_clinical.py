import math

import pytest

from evaluation.clinical import clinical_block
from evaluation.rows import CaseRow


def patient(name, structure, **values):
    """The rows of a patient: None is a failure."""
    return {
        (structure, metric): CaseRow(
            name, name, "", "", structure, metric, value, "ml", "ok" if value is not None else "no_contact_line"
        )
        for metric, value in values.items()
    }


PATIENTS = [
    patient("p1", "LA", lav_es_reference=40.0, lav_es_predicted=44.0),
    patient("p2", "LA", lav_es_reference=50.0, lav_es_predicted=52.0),
    patient("p3", "LA", lav_es_reference=60.0, lav_es_predicted=66.0),
    patient("p4", "LA", lav_es_reference=70.0, lav_es_predicted=None),
    patient("p5", "LA", lav_es_reference=70.0),
    patient("p6", "LV", lav_es_reference=40.0, lav_es_predicted=90.0),
]


def test_any_structure_worked_by_hand():
    blocks = clinical_block(PATIENTS, "_reference", "_predicted", structure="LA", quantities=("lav_es", "lav_ed"))
    found = blocks["lav_es"]
    assert (found["n"], found["failed"]) == (3, 1)
    # differences 4, 2, 6: mean 4, sd 2
    assert (found["bias"], found["mae"], found["loa"]) == pytest.approx((4.0, 4.0, 1.96 * 2))
    assert (found["loa_lower"], found["loa_upper"]) == pytest.approx((4 - 3.92, 4 + 3.92))
    # reference −10, 0, 10 and prediction −10, −2, 12 about their means: Σ 220, 200, 248
    assert found["r"] == pytest.approx(220 / math.sqrt(200 * 248))
    assert found["r2"] == pytest.approx(220**2 / (200 * 248))
    assert found["determination"] == pytest.approx(1 - (16 + 4 + 36) / 200)
    assert (found["mean_reference"], found["mean_predicted"]) == (50.0, 54.0)
    assert blocks["lav_ed"]["n"] == blocks["lav_ed"]["failed"] == 0
    assert math.isnan(blocks["lav_ed"]["r2"])


def test_nobody_and_one_patient_have_no_correlation():
    assert clinical_block([], "_reference", "_predicted")["edv"]["n"] == 0
    one = clinical_block(PATIENTS[:1], "_reference", "_predicted", structure="LA", quantities=("lav_es",))["lav_es"]
    assert one["bias"] == 4.0
    assert all(math.isnan(one[key]) for key in ("r", "r2", "determination", "loa"))
