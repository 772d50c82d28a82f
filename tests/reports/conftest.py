from pathlib import Path

import pytest

from reports.report import write_report
from tests.reports.synthetic import calibration_of, many_frames, many_volumes, write_evaluation


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
