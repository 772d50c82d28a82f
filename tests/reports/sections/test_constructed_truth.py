import dataclasses

from reports.evaluation_folder import read_evaluation
from reports.sections import constructed_truth
from tests.reports.synthetic import write_evaluation
from tests.reports.worked import FRAMES, values


def test_constructed_truth_beside_the_mask_derived(tmp_path):
    frame = dataclasses.replace(FRAMES[0], constructed=(10.0, 10.0, 10.0, 38.0))
    table = constructed_truth.constructed_table(read_evaluation(write_evaluation(tmp_path, [frame])))
    # Prediction (10, 11), (10, 41): 1 and 1 mm from the reference, 1 and 3 mm from the truth; diameters 30, 30, 28.
    expected = ["1", "0", "1.00", "1.00", "1.00", "0.00", "0.00", "0.00"]
    assert values(table, "A4C-ED", "Prediction against the mask-derived reference") == expected
    expected = ["1", "0", "2.00", "2.00", "2.00", "0.00", "+2.00", "2.00"]
    assert values(table, "A4C-ED", "Prediction against the constructed truth") == expected
    expected = ["1", "0", "1.00", "1.00", "1.00", "0.00", "+2.00", "2.00"]
    assert values(table, "all", "Mask-derived reference against the constructed truth") == expected


def test_real_data_has_no_constructed_table(evaluation):
    assert constructed_truth.constructed_table(evaluation) is None
