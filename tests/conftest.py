"""Shared by all tests: where the real frames are, and a cache folder that is not the user's."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from data_pipeline.readers.video import hush_ffmpeg

hush_ffmpeg()  # OpenCV asks once per process: whichever test comes first, none finds FFmpeg's words in its output


@pytest.fixture(scope="session", autouse=True)
def _own_cache_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """`$ANNULUS_CACHE` lies in a temporary folder for the whole session, child processes included."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ANNULUS_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of the real frames: `$ANNULUS_DATA` or `../shared/data` beside the repository."""
    beside = Path(__file__).parents[2] / "shared" / "data"
    folder = Path(os.environ.get("ANNULUS_DATA", beside))
    if not folder.is_dir():
        pytest.skip(f"no real frames at {folder}; set $ANNULUS_DATA")
    return folder


@pytest.fixture(scope="session")
def camus_subset(real_data: Path) -> Path:
    """The real CAMUS frames."""
    folder = real_data / "camus_subset"
    if not folder.is_dir():
        pytest.skip(f"no real CAMUS frames at {folder}")
    return folder
