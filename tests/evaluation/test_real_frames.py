import json

import pytest

from data_pipeline.datasets import camus
from evaluation.frames import frame_rows
from evaluation.summary import summarise
from postprocessing.measurement import measure_labels
from tests.evaluation.drawn import ALL_FOUR


@pytest.mark.data
def test_a_reference_against_itself_has_no_error(camus_subset):
    rows = []
    for case in camus.list_cases(camus_subset)[:12]:
        sample = camus.load_sample(case)
        perfect = measure_labels(sample.labels, spacing_mm=sample.spacing_mm, anterior_side="left", image=sample.image)
        rows += frame_rows(sample, perfect, structures=ALL_FOUR, anterior_side="left", calibration=None)
    found = summarise(rows, data="camus", split="all")
    json.dumps(found, allow_nan=False)
    assert found["n_cases"] == 12
    assert found["failures"] == []
    for structure in ("LV", "MYO", "LA", "EPI"):
        assert found["metrics"][structure]["dice"]["mean"] == 1.0
        assert found["metrics"][structure]["hausdorff_mm"]["mean"] == 0.0
    assert found["hinge"]["all"]["distance_mm"]["before"]["mean"] == 0.0
    assert 20 < found["annulus"]["all"]["diameter_mm"]["median_reference"] < 45
