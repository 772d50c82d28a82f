from dataclasses import replace
from pathlib import Path

import pytest

from reports import figures
from reports.cells import Missing
from reports.evaluation_folder import Evaluation, read_evaluation
from reports.report import write_report
from tests.reports.synthetic import calibration_of, many_frames, many_volumes, volume_rows, write_evaluation
from tests.reports.worked import CALIBRATION, DRAWN_FRAMES, FRAMES

EVERY_FIGURE = (*figures.OF_OUTLINES, *figures.OF_HINGE_POINTS, *figures.OF_BOXES)
VOLUMES = volume_rows("patient0001", (100, 110), (50, 50)) + volume_rows("patient0002", (120, 120), (60, 48))


@pytest.fixture
def without_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Drawing is slow, and some tests are about the words alone."""
    monkeypatch.setattr(figures, "draw_figures", lambda _: dict.fromkeys(EVERY_FIGURE, Missing("A figure", "None.")))


@pytest.fixture(scope="session")
def full_report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """report.html of 60 simulated frames with everything that an evaluation can have."""
    folder = write_evaluation(
        tmp_path_factory.mktemp("full"),
        many_frames(15),
        volumes=many_volumes(15),
        calibration=calibration_of((0.4, 0.5, 0.4, 0.1)),
    )
    return write_report(folder)


@pytest.fixture(scope="session")
def located_report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """report.html of a network that locates, segments twice and outlines the valve: every table there is."""
    folder = write_evaluation(
        tmp_path_factory.mktemp("located"),
        [
            replace(
                frame,
                box=(0.9, 1.0, -2.0, 3.0, -4.0, number % 3 == 0),
                first={"LV": 0.8, "EPI": 0.9},
                dice={**frame.dice, "MV": 0.7},
            )
            for number, frame in enumerate(many_frames(6))
        ],
        recipe={"name": "lu_net", "model": "lu_net", "box_margin": 0.05, "paper": "Leclerc et al.: LU-Net"},
    )
    return write_report(folder)


@pytest.fixture(scope="session")
def evaluation(tmp_path_factory: pytest.TempPathFactory) -> Evaluation:
    """The evaluation of `FRAMES`."""
    folder = tmp_path_factory.mktemp("hand")
    return read_evaluation(write_evaluation(folder, FRAMES, volumes=VOLUMES, calibration=CALIBRATION))


@pytest.fixture(scope="session")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Evaluation:
    """The evaluation of `DRAWN_FRAMES`."""
    folder = tmp_path_factory.mktemp("figures")
    return read_evaluation(write_evaluation(folder, DRAWN_FRAMES, volumes=VOLUMES, calibration=CALIBRATION))
