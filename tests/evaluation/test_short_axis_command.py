"""Short-axis volumes through the evaluation command: masks written, corrected, measured again, bad folders refused."""

from pathlib import Path

import nibabel
import numpy as np
import pytest

import evaluate
from cart.measure import MeasurementSpec
from data_pipeline.preprocess import Preprocessing
from data_pipeline.sample import Structure
from data_pipeline.spec import open_dataset
from evaluation.bounds import Bounds
from evaluation.rows import read_cases
from recipes.cmr import CMR_WCE
from shell.errors import UsageError, UserError
from shell.files import read_json
from tests.data_pipeline.acdc_files import ED, SHAPE, SLICES, drawn_volume, write_dataset

STRUCTURES = (Structure.BACKGROUND, Structure.LV, Structure.MYO, Structure.RV)
SPEC = MeasurementSpec(
    structures=STRUCTURES,
    preprocessing=Preprocessing(*SHAPE, normalise="unit"),
    contact_line="subpixel",
    largest_component=False,
    anterior_sides={},
    calibration=None,
)
MASK = f"patient001/patient001_frame{ED:02d}_gt.nii"


def by_brightness(images):
    """Blood is LV, the right ventricle's too; half as bright is MYO. Slices without heart are noise: all of it LV."""
    codes = np.where(images[..., 0] > 0.6, 1, np.where(images[..., 0] > 0.2, 2, 0))
    return {"probabilities": np.eye(4, dtype=np.float32)[codes]}


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("cmr")
    dataset = open_dataset(f"acdc:{write_dataset(root / 'data', ['patient001', 'patient002'])}")
    (root / "data" / "patient002" / "patient002_frame09_gt.nii").write_bytes(b"broken")
    source = evaluate.Source("drawn", root, CMR_WCE, by_brightness, SPEC, None, dataset.spec)
    evaluate.evaluate(source, dataset, list(dataset.cases), "all", root / "out", bounds=Bounds())
    return root / "out"


def test_an_evaluation_of_volumes(evaluated: Path) -> None:
    summary, rows = read_json(evaluated / "summary.json"), read_cases(evaluated / "cases.csv")
    assert summary["n_cases"] == 4 * SLICES
    assert not any("A4C" in row.status for row in rows)
    found = {(row.patient, row.structure, row.metric): row for row in rows if row.case == row.patient}
    assert found["patient001", "LV", "ef_predicted"].status == "ok"
    assert found["patient001", "RV", "edv_predicted"].status == "no_volume"
    assert found["patient001", "RV", "edv_reference"].status == "ok"
    assert found["patient002", "LV", "esv_reference"].status == "unreadable"
    assert found["patient002", "LV", "edv_reference"].status == "ok"
    assert not any(row.structure == "OUTLIER" for row in rows)
    assert summary["clinical"]["edv"]["n"] == 2
    assert (summary["clinical"]["esv"]["n"], summary["clinical"]["esv"]["failed"]) == (1, 1)
    assert sorted(path.name for path in (evaluated / "masks").rglob("*.nii")) == [
        "patient001_frame01_gt.nii",
        "patient001_frame09_gt.nii",
        "patient002_frame01_gt.nii",
    ]
    page = (evaluated / "report.html").read_text(encoding="utf-8")
    assert "short-axis cine MR" in page
    assert "unreadable" in page


def test_corrected_masks_are_a_third_column_that_stays(evaluated: Path, tmp_path: Path) -> None:
    given = tmp_path / "given"
    (given / MASK).parent.mkdir(parents=True)
    image = nibabel.Nifti1Image.from_bytes((evaluated / "masks" / MASK).read_bytes())
    corrected = np.asarray(image.dataobj).copy()
    corrected[..., 0] = drawn_volume("ED")[0].T
    (given / MASK).write_bytes(nibabel.Nifti1Image(corrected, image.affine, image.header).to_bytes())
    out = tmp_path / "out"
    # One case cannot be read, so the command says so and ends with 1.
    assert evaluate.main(["--again", str(evaluated), "--corrected", str(given), "--out", str(out)]) == 1
    block = read_json(out / "summary.json")["short_axis"]["corrected"]
    assert (block["changed"], block["patients_changed"]) == (1, 1)
    assert read_json(out / "run.json")["corrected"]["slices"] == SLICES
    assert block["metrics"]["RV"]["dice"]["n"] > 0
    assert evaluate.main(["--again", str(out)]) == 1
    assert read_json(out / "summary.json")["short_axis"]["corrected"] == block
    assert "corrected by hand" in (out / "report.html").read_text(encoding="utf-8")


def test_what_cannot_be_corrected_is_refused(evaluated: Path, tmp_path: Path) -> None:
    before = (evaluated / "summary.json").read_bytes()
    with pytest.raises(UserError, match="no such folder"):
        evaluate.main(["--again", str(evaluated), "--corrected", str(tmp_path / "nowhere")])
    assert (evaluated / "summary.json").read_bytes() == before
    with pytest.raises(UsageError, match="leave --corrected out"):
        evaluate.main(["--compare", str(evaluated), str(evaluated), "--corrected", str(tmp_path)])
