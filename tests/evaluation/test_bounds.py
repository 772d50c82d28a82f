import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from data_pipeline.datasets import camus
from data_pipeline.sample import Structure
from evaluation.bounds import Bound, Bounds, lowest_shapes, main, read_bounds
from postprocessing.shape import shape_of
from shell.errors import UserError
from tests.evaluation.drawn import labels, sample

DOCS = Path(__file__).parents[2] / "docs" / "outliers.md"


def written(folder, values):
    path = folder / "bounds.json"
    path.write_text(json.dumps(values))
    return path


def test_the_default_is_the_papers_mean_and_two_sd():
    bounds = Bounds()
    intra_observer = {  # Table II, mean and sd
        ("LV", "mean_absolute_distance"): (1.4, 0.5),
        ("LV", "hausdorff"): (4.5, 1.8),
        ("EPI", "mean_absolute_distance"): (1.7, 0.8),
        ("EPI", "hausdorff"): (5.0, 2.2),
    }
    for (structure, distance), (mean, sd) in intra_observer.items():
        assert bounds.largest(structure, distance) == pytest.approx(mean + 2 * sd)
    assert bounds.smallest("LV", "simplicity") == 0.687
    assert all("ASSUMED" in getattr(bounds, f.name).source for f in dataclasses.fields(bounds) if "_mm" in f.name)
    assert Bounds.from_dict(json.loads(json.dumps(bounds.to_dict()))) == bounds


def test_a_file_changes_what_it_names_and_nothing_else(tmp_path):
    path = written(tmp_path, {"lv_hausdorff_mm": {"value": 7, "source": "our two readers"}})
    assert read_bounds(path) == dataclasses.replace(Bounds(), lv_hausdorff_mm=Bound(7.0, "our two readers"))
    assert read_bounds(written(tmp_path, {})) == Bounds()


def test_the_example_in_the_docs_can_be_read(tmp_path):
    example = DOCS.read_text().split("```json\n")[1].split("```")[0]
    path = tmp_path / "bounds.json"
    path.write_text(example)
    bounds = read_bounds(path)
    named = json.loads(example)
    assert named.keys() == {"lv_hausdorff_mm", "epi_hausdorff_mm"}
    assert bounds.largest("LV", "hausdorff") == named["lv_hausdorff_mm"]["value"]
    assert bounds.lv_convexity == Bounds().lv_convexity


def test_the_table_in_the_docs_is_the_one_in_force():
    lines = [line.split("|") for line in DOCS.read_text().splitlines() if line.startswith("| `")]
    table = {cells[1].strip(" `"): float(cells[2]) for cells in lines if cells[1].strip(" `") in Bounds().to_dict()}
    assert table == {name: bound["value"] for name, bound in Bounds().to_dict().items()}


GOOD = {"value": 0.8, "source": "x"}


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"lv_hausdorf_mm": GOOD}, r"`lv_hausdorf_mm` is no bound; did you mean `lv_hausdorff_mm`\?"),
        ({"zzz": GOOD}, r"`zzz` is no bound; known: lv_mean_absolute_distance_mm, .*epi_convexity"),
        ([1], r"must be a JSON object of bounds\. Received: list"),
        ({"lv_simplicity": 0.8}, r"`lv_simplicity` must be .*source.*Received: 0\.8"),
        ({"lv_simplicity": {"value": 0.8}}, "where it comes from"),
        ({"lv_simplicity": {**GOOD, "value": "0.8"}}, "a number as `value`"),
        ({"lv_simplicity": {**GOOD, "value": True}}, "a number as `value`"),
        ({"lv_simplicity": {**GOOD, "source": 3}}, "a text as `source`"),
        ({"lv_simplicity": {**GOOD, "source": " "}}, r"`lv_simplicity` must say where it comes from"),
        ({"lv_simplicity": {**GOOD, "value": 1.2}}, r"`lv_simplicity` must be at most 1\. Received: 1\.2"),
        ({"epi_hausdorff_mm": {**GOOD, "value": 0}}, r"`epi_hausdorff_mm` must be a positive number\. Received: 0\.0"),
        ({"epi_hausdorff_mm": {**GOOD, "value": float("nan")}}, "must be a positive number"),
    ],
)
def test_what_are_no_bounds_is_refused_with_the_file_and_the_mend(tmp_path, values, message):
    path = written(tmp_path, values)
    with pytest.raises(UserError, match=message) as error:
        read_bounds(path)
    assert str(error.value).startswith(f"{path}: ")
    assert str(error.value).endswith("docs/outliers.md has an example")


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(UserError, match=r"nothing\.json: no such file"):
        read_bounds(tmp_path / "nothing.json")


def drawn(patient, *, dent=0, spur=False):
    """The LV of 10 × 10 pixels twice as large, dented by so many pixels from the left, or with a spur of a pixel."""
    reference = labels().repeat(2, axis=0).repeat(2, axis=1)
    reference[26:34, 20 : 20 + dent] = Structure.BACKGROUND
    if spur:
        reference[22, 42:60] = Structure.LV
    return sample(reference, patient=patient)


def test_the_lowest_of_the_references():
    samples = [drawn("p1"), drawn("p2", dent=6), drawn("p3", dent=2), sample(None, patient="p4")]
    found = {(item.structure, item.measure): item for item in lowest_shapes(samples)}
    assert set(found) == {
        (structure, measure) for structure in ("LV", "EPI") for measure in ("simplicity", "convexity")
    }
    lowest = found["LV", "convexity"]
    assert (lowest.case, lowest.frames, lowest.defective) == ("p2_4CH_ED", 3, ())
    assert lowest.value == shape_of(samples[1].labels == Structure.LV, samples[1].spacing_mm).convexity
    assert lowest.bound == pytest.approx(lowest.value, abs=1e-3)
    assert lowest.bound <= lowest.value
    assert np.median([0.8, lowest.median, 1.1]) == lowest.median


def test_a_spur_thinner_than_three_pixels_is_no_shape_that_an_expert_drew():
    lowest = {(item.structure, item.measure): item for item in lowest_shapes([drawn("p1"), drawn("p2", spur=True)])}
    assert lowest["LV", "convexity"].defective == ("p2_4CH_ED",)
    assert lowest["LV", "convexity"].value > 0.98


def test_the_command_prints_the_table_and_writes_bounds(tmp_path, capsys):
    out = tmp_path / "bounds.json"
    assert main(["phantom?patients=2&seed=3", "--out", str(out)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].split()[:2] == ["LV", "simplicity"]
    assert lines[1].endswith("(of 8 frames)")
    bounds = read_bounds(out)
    assert bounds.lv_hausdorff_mm == Bounds().lv_hausdorff_mm
    assert bounds.lv_simplicity.source.startswith("lowest of 8 reference masks (phantom ")


@pytest.mark.data
def test_the_committed_shapes_are_those_of_the_real_references(camus_subset):
    """The frames that the lowest figures of the whole set come from."""
    lowest_in = {"patient0360_2CH_ES", "patient0124_2CH_ES", "patient0102_4CH_ES", "patient0313_2CH_ED"}
    cases = [case for case in camus.list_cases(camus_subset) if case.case_id in lowest_in]
    found = lowest_shapes(camus.load_sample(case) for case in cases)
    assert {f"{item.structure.lower()}_{item.measure}": item.bound for item in found} == {
        name: bound["value"] for name, bound in Bounds().to_dict().items() if not name.endswith("_mm")
    }
    assert found[0].defective == ("patient0360_2CH_ES",)
