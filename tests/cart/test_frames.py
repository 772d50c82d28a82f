"""What a file's name says, and what the user adds."""

import argparse
from pathlib import Path

import cv2
import numpy as np
import pytest

from cart.frames import add_frame_arguments, parse_camus_name, read_frame
from data_pipeline.sample import Phase, View
from shell.errors import UserError
from tests.export.drawn_heart import SPACING_MM, write_heart_nifti


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("patient0001_4CH_ED.nii.gz", (View.A4C, Phase.ED, False)),
        ("patient0001_2CH_ES.mhd", (View.A2C, Phase.ES, False)),
        ("patient0001_3CH.png", (View.A3C, None, False)),
        ("patient001_SAX_ED_s03.nii.gz", (View.SAX, Phase.ED, False)),
        ("patient0001_4ch_es.nii", (View.A4C, Phase.ES, False)),
        ("patient0001_4CH_ED_gt.nii.gz", (View.A4C, Phase.ED, True)),
        ("patient0001_4CH_ED_structures.nii.gz", (View.A4C, Phase.ED, True)),
        ("patient0001_2CH_half_sequence.nii.gz", (View.A2C, None, False)),
        ("patient0001_2CH_half_sequence_gt.nii.gz", (View.A2C, None, True)),
        ("patient0001_2CH_sequence_gt.mhd", (View.A2C, None, True)),
        ("4CH_ED.png", (View.A4C, Phase.ED, False)),
        ("study.1_4CH_ED.nii.gz", (View.A4C, Phase.ED, False)),
        ("14CH_ED.png", (None, None, False)),
        ("4CHEST.png", (None, None, False)),
        ("frame.png", (None, None, False)),
    ],
)
def test_camus_names(name: str, expected: tuple[View | None, Phase | None, bool]) -> None:
    assert parse_camus_name(name) == expected


def test_the_file_speaks_for_itself(tmp_path: Path) -> None:
    frame = read_frame(write_heart_nifti(tmp_path / "patient0001_4CH_ED.nii.gz"))
    assert (frame.view, frame.phase) == (View.A4C, Phase.ED)
    assert frame.spacing_mm == pytest.approx(SPACING_MM)
    assert frame.image.shape == (128, 192)


def test_the_user_overrides_it(tmp_path: Path) -> None:
    path = write_heart_nifti(tmp_path / "patient0001_4CH_ED.nii.gz")
    frame = read_frame(path, view=View.A2C, spacing_mm=(0.2, 0.1))
    assert (frame.view, frame.phase, frame.spacing_mm) == (View.A2C, Phase.ED, (0.2, 0.1))


def test_a_picture_has_no_spacing(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "frame.png"), np.full((6, 8), 7, np.uint8))
    frame = read_frame(tmp_path / "frame.png")
    assert (frame.view, frame.phase, frame.spacing_mm) == (None, None, None)


def test_a_reference_is_not_measured_as_an_image(tmp_path: Path) -> None:
    path = write_heart_nifti(tmp_path / "patient0001_4CH_ED_gt.nii.gz")
    with pytest.raises(UserError, match="reference label map"):
        read_frame(path)


@pytest.mark.parametrize(
    ("option", "message"),
    [
        (["--view", "SAX"], "one of A2C, A3C, A4C"),
        (["--spacing-mm", "0", "0.3"], "number of mm from"),
        (["--spacing-mm", "nan", "0.3"], "number of mm from"),
        (["--spacing-mm", "a", "0.3"], "number of mm from"),
        (["--spacing-mm", "0.3"], "expected 2 arguments"),
        (["--anterior-side", "up"], "invalid choice"),
    ],
)
def test_wrong_options_are_wrong_usage(option: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    parser = argparse.ArgumentParser()
    add_frame_arguments(parser)
    with pytest.raises(SystemExit) as caught:
        parser.parse_args(["frame.png", *option])
    assert caught.value.code == 2
    assert message in capsys.readouterr().err
