"""Files of a kind whose library is not installed: on a cart where the wheel came without its readers."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from data_pipeline.readers.dicom import read_dicom
from data_pipeline.readers.metaimage import read_metaimage
from data_pipeline.readers.nifti import read_nifti
from shell.errors import UserError

HEADER = "ObjectType = Image\nNDims = 2\nDimSize = 2 1\nElementType = MET_UCHAR\nElementDataFile = LOCAL\n"


@pytest.mark.parametrize(
    ("name", "read", "module"),
    [("a.nii", read_nifti, "nibabel"), ("a.mha", read_metaimage, "SimpleITK"), ("a.dcm", read_dicom, "pydicom")],
)
def test_the_package_is_named(
    name: str, read: Callable[[Path], object], module: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / name
    path.write_bytes(HEADER.encode() + b"ab")

    def find_spec(wanted: str) -> None:
        assert wanted == module

    monkeypatch.setattr("importlib.util.find_spec", find_spec)
    monkeypatch.delitem(sys.modules, module, raising=False)
    with pytest.raises(
        UserError, match=rf"{name}: .* read with {module}\. Received: it is not installed\. `pip install"
    ):
        read(path)
