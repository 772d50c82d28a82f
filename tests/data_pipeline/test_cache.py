import dataclasses
import hashlib
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from data_pipeline.cache import FrameCache, _key, build_cache
from data_pipeline.preprocess import Preprocessing, preprocess_image, preprocess_labels
from data_pipeline.regions import ReferenceBox
from data_pipeline.sample import Case, Phase, Sample, Structure, View
from shell.errors import UserError

REPOSITORY = Path(__file__).parents[2]
GRID = Preprocessing(32, 24)
CLASSES = (Structure.BACKGROUND, Structure.LA, Structure.LV)  # not the order of the codes; MYO becomes background
CLASS_OF_CODE = np.array([0, 2, 0, 1], np.uint8)


def write_cases(folder: Path, count: int, suffix: str = ".npy") -> list[Case]:
    """Frames of 50 × 40 pixels, 8-bit values, labels 0 to 3."""
    folder.mkdir(exist_ok=True)
    cases = []
    for index in range(count):
        rng = np.random.default_rng(index)
        image, labels = folder / f"{index}{suffix}", folder / f"{index}_gt{suffix}"
        for path, array in ((image, rng.integers(0, 256, (50, 40))), (labels, rng.integers(0, 4, (50, 40)))):
            with path.open("wb") as file:
                np.save(file, array.astype(np.uint8))
        cases.append(Case(f"patient{index:04d}", View.A4C, Phase.ED, image, labels))
    return cases


def load(case: Case) -> Sample:
    """Decodes a case and leaves a line in loads.log beside it; `$LOAD_SECONDS` makes it slow."""
    time.sleep(float(os.environ.get("LOAD_SECONDS", "0")))
    with (case.image_path.parent / "loads.log").open("a") as log:
        log.write(f"{case.case_id}\n")
    assert case.label_path is not None
    image, labels = np.load(case.image_path).astype(np.float32), np.load(case.label_path)
    return Sample(image, labels, (0.3, 0.2), case.patient_id, case.view, case.phase, str(case.image_path))


def loads(folder: Path) -> int:
    log = folder / "loads.log"
    return len(log.read_text().splitlines()) if log.exists() else 0


def build(cases: Sequence[Case], folder: Path) -> FrameCache:
    return build_cache(cases, load, GRID, CLASSES, folder)


def build_in_child(source: Path, cache: Path, count: int, load_seconds: float) -> subprocess.Popen[str]:
    code = (
        "import sys, pathlib, tests.data_pipeline.test_cache as t\n"
        "source, cache, count = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), int(sys.argv[3])\n"
        "print(len(t.build(t.listed(source, count), cache)))"
    )
    return subprocess.Popen(
        [sys.executable, "-c", code, str(source), str(cache), str(count)],
        cwd=REPOSITORY,
        env={**os.environ, "LOAD_SECONDS": str(load_seconds)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def listed(folder: Path, count: int) -> list[Case]:
    names = [(f"patient{index:04d}", folder / f"{index}.npy", folder / f"{index}_gt.npy") for index in range(count)]
    return [Case(patient, View.A4C, Phase.ED, image, labels) for patient, image, labels in names]


def assert_right(cache: FrameCache, cases: Sequence[Case]) -> None:
    assert cache.case_ids == tuple(case.case_id for case in cases)
    images, labels = cache.read(np.arange(len(cases)))
    for index, case in enumerate(cases):
        assert case.label_path is not None
        np.testing.assert_array_equal(
            images[index], preprocess_image(np.load(case.image_path).astype(np.float32), GRID)
        )
        codes = preprocess_labels(np.load(case.label_path), GRID)
        np.testing.assert_array_equal(labels[index], CLASS_OF_CODE[codes])


def entries(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if not path.name.endswith(".lock"))


# What it holds --------------------------------------------------------------------------------------------------------


def test_holds_preprocessed_frames_and_class_indices(tmp_path: Path) -> None:
    cases = write_cases(tmp_path / "source", 5)
    cache = build(cases, tmp_path / "cache")
    assert len(cache) == 5
    assert cache.structures == CLASSES
    assert cache.preprocessing == GRID
    assert (cache.images.shape, cache.images.dtype) == ((5, 32, 24), np.float32)
    assert (cache.labels.shape, cache.labels.dtype) == ((5, 32, 24), np.uint8)
    assert_right(cache, cases)


def test_reads_any_frames_in_any_order(tmp_path: Path) -> None:
    cache = build(write_cases(tmp_path / "source", 5), tmp_path / "cache")
    wanted = np.array([4, 0, 4, 2])
    images, labels = cache.read(wanted)
    np.testing.assert_array_equal(images, cache.images[wanted])
    np.testing.assert_array_equal(labels, cache.labels[wanted])
    with pytest.raises(ValueError, match="read-only"):
        cache.images[0] = 0


def test_second_request_decodes_nothing(tmp_path: Path) -> None:
    cases = write_cases(tmp_path / "source", 4)
    build(cases, tmp_path / "cache")
    assert_right(build(cases, tmp_path / "cache"), cases)
    assert loads(tmp_path / "source") == 4


def test_says_how_far_it_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    build(write_cases(tmp_path / "source", 4), tmp_path / "cache")
    assert "preprocessing frames: 4/4 frames done" in capsys.readouterr().err


# Keyed by content and parameters --------------------------------------------------------------------------------------


def test_a_changed_file_makes_another_entry(tmp_path: Path) -> None:
    cases = write_cases(tmp_path / "source", 3)
    build(cases, tmp_path / "cache")
    status = cases[1].image_path.stat()
    np.save(cases[1].image_path, np.full((50, 40), 7, np.uint8))
    os.utime(cases[1].image_path, ns=(status.st_atime_ns, status.st_mtime_ns))  # same size, same time
    assert_right(build(cases, tmp_path / "cache"), cases)
    assert len(entries(tmp_path / "cache")) == 2


def test_moved_files_share_the_entry(tmp_path: Path) -> None:
    build(write_cases(tmp_path / "source", 3), tmp_path / "cache")
    (tmp_path / "source").rename(tmp_path / "elsewhere")
    build(listed(tmp_path / "elsewhere", 3), tmp_path / "cache")
    assert loads(tmp_path / "elsewhere") == 3


def test_pixels_beside_a_metaimage_header_count(tmp_path: Path) -> None:
    cases = write_cases(tmp_path / "source", 1, suffix=".mhd")
    pixels = tmp_path / "source" / "0.raw"
    for content in (b"first", b"other"):
        pixels.write_bytes(content)
        build(cases, tmp_path / "cache")
    assert len(entries(tmp_path / "cache")) == 2


def test_parameters_structures_and_order_make_other_entries(tmp_path: Path) -> None:
    cases = write_cases(tmp_path / "source", 3)
    build(cases, tmp_path / "cache")
    build(cases[::-1], tmp_path / "cache")
    build_cache(cases, load, dataclasses.replace(GRID, normalise="zscore"), CLASSES, tmp_path / "cache")
    build_cache(cases, load, GRID, (Structure.BACKGROUND, Structure.LV, Structure.LA), tmp_path / "cache")
    build_cache(cases, lambda case: load(case), GRID, CLASSES, tmp_path / "cache")  # another reader
    assert len(entries(tmp_path / "cache")) == 5


# Interrupted, shared, damaged -----------------------------------------------------------------------------------------


def test_killed_at_any_moment_leaves_nothing_wrong(tmp_path: Path) -> None:
    source, cache, count = tmp_path / "source", tmp_path / "cache", 30
    cases = write_cases(source, count)
    # while writing: early, halfway, at the last frame; and after it, while files are synced, digested and renamed
    for lines_at_kill, delay in ((1, 0.0), (15, 0.0), (count, 0.0), (count, 0.004), (count, 0.02)):
        before = loads(source)
        child = build_in_child(source, cache, count, load_seconds=0.002)
        while loads(source) - before < lines_at_kill and child.poll() is None:
            time.sleep(0.0005)
        time.sleep(delay)
        child.kill()
        child.communicate()
        if [name for name in entries(cache) if not name.startswith(".")]:
            break  # this one was fast enough to finish; what it left is judged below
    assert_right(build(cases, cache), cases)
    assert len(entries(cache)) == 1  # and the remains of the killed are gone


def test_two_processes_build_it_once(tmp_path: Path) -> None:
    source, cache, count = tmp_path / "source", tmp_path / "cache", 20
    cases = write_cases(source, count)
    children = [build_in_child(source, cache, count, load_seconds=0.05) for _ in range(2)]
    outputs = [child.communicate(timeout=60) for child in children]
    assert [child.returncode for child in children] == [0, 0], outputs
    assert [output for output, _ in outputs] == [f"{count}\n"] * 2
    assert loads(source) == count
    assert sum("waiting for another process" in error for _, error in outputs) == 1
    assert_right(build(cases, cache), cases)


@pytest.mark.parametrize("file", ["images.npy", "labels.npy", "cache.json"])
@pytest.mark.parametrize("damage", ["flip", "truncate", "empty", "remove"])
def test_damage_is_noticed_and_mended(
    tmp_path: Path, file: str, damage: str, capsys: pytest.CaptureFixture[str]
) -> None:
    cases = write_cases(tmp_path / "source", 3)
    build(cases, tmp_path / "cache")
    path = tmp_path / "cache" / entries(tmp_path / "cache")[0] / file
    content = path.read_bytes()
    if damage == "flip":
        middle = len(content) // 2
        path.write_bytes(content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :])
    elif damage == "truncate":
        path.write_bytes(content[:-10])
    elif damage == "empty":
        path.write_bytes(b"")
    else:
        path.unlink()
    capsys.readouterr()
    assert_right(build(cases, tmp_path / "cache"), cases)
    assert "damaged frame cache; building it again" in capsys.readouterr().err
    assert loads(tmp_path / "source") == 6
    assert len(entries(tmp_path / "cache")) == 1


def test_json_of_another_kind_is_damage(tmp_path: Path) -> None:
    cases = write_cases(tmp_path / "source", 2)
    build(cases, tmp_path / "cache")
    description = tmp_path / "cache" / entries(tmp_path / "cache")[0] / "cache.json"
    for content in ([], {"key": 1}, {**json.loads(description.read_text()), "sha256": None}):
        description.write_text(json.dumps(content))
        assert_right(build(cases, tmp_path / "cache"), cases)


def test_cut_off_while_in_use_is_an_error_not_garbage(tmp_path: Path) -> None:
    cache = build(write_cases(tmp_path / "source", 3), tmp_path / "cache")
    path = Path(str(cache.images.filename))
    path.write_bytes(path.read_bytes()[:-4])
    with pytest.raises(OSError, match="ends before frame 2"):
        cache.read(np.array([0, 2]))


def test_full_disk_is_an_error_that_leaves_nothing(tmp_path: Path) -> None:
    cases = write_cases(tmp_path / "source", 4)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2 * 32 * 24 * 4, hard))  # room for two frames
    try:
        with pytest.raises(OSError, match="too large") as caught:
            build(cases, tmp_path / "cache")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert str(tmp_path / "cache") in str(caught.value.filename)
    assert entries(tmp_path / "cache") == []
    assert_right(build(cases, tmp_path / "cache"), cases)


def test_a_failing_reader_leaves_nothing(tmp_path: Path) -> None:
    cases = write_cases(tmp_path / "source", 4)
    cases[2].image_path.write_bytes(b"not an array")
    with pytest.raises(ValueError, match=r"pickled|allow_pickle"):
        build(cases, tmp_path / "cache")
    assert entries(tmp_path / "cache") == []


def peak_memory_mib(source: Path, cache: Path, count: int) -> float:
    """Peak resident memory of a process that builds a cache of `count` frames of 256 × 256 and reads all of it."""
    code = """
import dataclasses, pathlib, resource, sys
import numpy as np
from data_pipeline.cache import build_cache
from data_pipeline.preprocess import Preprocessing
from tests.data_pipeline.test_cache import CLASSES, listed, load
[case], count = listed(pathlib.Path(sys.argv[1]), 1), int(sys.argv[3])
cases = [dataclasses.replace(case, patient_id=f"patient{index:04d}") for index in range(count)]
cache = build_cache(cases, load, Preprocessing(256, 256), CLASSES, pathlib.Path(sys.argv[2]))
for start in range(0, count, 8):
    cache.read(np.arange(start, min(start + 8, count)))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
"""
    command = [sys.executable, "-c", code, str(source), str(cache), str(count)]
    return float(subprocess.run(command, cwd=REPOSITORY, check=True, capture_output=True, text=True).stdout)


def test_memory_stays_flat(tmp_path: Path) -> None:
    write_cases(tmp_path / "source", 1)
    few, many = (peak_memory_mib(tmp_path / "source", tmp_path / "cache", count) for count in (8, 400))
    assert many - few < 16  # the 392 further frames are 122 MiB


# Refused --------------------------------------------------------------------------------------------------------------


def test_bad_arguments_are_refused(tmp_path: Path) -> None:
    cases = write_cases(tmp_path / "source", 1)
    with pytest.raises(ValueError, match="`cases` must hold at least one case"):
        build([], tmp_path / "cache")
    for structures in ((), (Structure.LV,), (Structure.BACKGROUND, Structure.LV, Structure.LV)):
        with pytest.raises(ValueError, match=r"`structures` must be BACKGROUND and then others, each once. Received: "):
            build_cache(cases, load, GRID, structures, tmp_path / "cache")


def test_cases_that_cannot_be_cached_are_named(tmp_path: Path) -> None:
    cases = write_cases(tmp_path / "source", 2)
    unlabelled = dataclasses.replace(cases[1], label_path=None)
    with pytest.raises(UserError, match="patient0001_4CH_ED: has no label file"):
        build([cases[0], unlabelled], tmp_path / "cache")
    with pytest.raises(UserError, match=r"0\.npy: has no labels"):
        build_cache(cases, lambda case: dataclasses.replace(load(case), labels=None), GRID, CLASSES, tmp_path / "cache")
    np.save(cases[1].image_path, np.zeros((50, 41), np.uint8))
    with pytest.raises(UserError, match=r"1\.npy: labels must have the image's size \(50, 41\), received \(50, 40\)"):
        build(cases, tmp_path / "cache")


BOX = ReferenceBox((Structure.LV, Structure.LA), margin=0.1)


def test_a_region_is_cut_from_image_and_labels_alike_and_has_an_entry_of_its_own(tmp_path: Path) -> None:
    cases = write_cases(tmp_path / "data", 2)
    whole = build(cases, tmp_path / "cache")
    cut = build_cache(cases, load, GRID, CLASSES, tmp_path / "cache", BOX)
    wider = build_cache(cases, load, GRID, CLASSES, tmp_path / "cache", dataclasses.replace(BOX, margin=0.2))
    assert len(list((tmp_path / "cache").glob("*/cache.json"))) == 3
    sample = load(cases[1])
    region = BOX(sample)
    np.testing.assert_array_equal(cut.images[1], preprocess_image(sample.image, GRID, region))
    np.testing.assert_array_equal(
        cut.labels[1], CLASS_OF_CODE[preprocess_labels(np.asarray(sample.labels), GRID, region)]
    )
    assert not np.array_equal(cut.images[1], whole.images[1])
    assert not np.array_equal(cut.images[1], wider.images[1])


def test_an_entry_of_whole_frames_keeps_its_name() -> None:
    """Of what was cached before regions came, nothing has to be made again."""
    assert (
        _key([], load, GRID, CLASSES, None)
        == hashlib.sha256(
            json.dumps(
                {
                    "format": 1,
                    "loader": f"{load.__module__}.load",
                    "preprocessing": GRID.to_dict(),
                    "structures": ["BACKGROUND", "LA", "LV"],
                },
                sort_keys=True,
            ).encode()
        ).hexdigest()
    )


def test_a_frame_without_the_boxs_structures_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"0\.npy: has a reference without MV, so there is no box to crop it to"):
        build_cache(
            write_cases(tmp_path / "data", 1),
            load,
            GRID,
            CLASSES,
            tmp_path / "cache",
            ReferenceBox((Structure.MV,), margin=0.1),
        )
    assert not list((tmp_path / "cache").glob("*/cache.json"))
