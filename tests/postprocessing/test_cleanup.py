import numpy as np
import pytest

from data_pipeline.sample import Structure
from postprocessing import codes
from postprocessing.cleanup import BLOCK_ROWS, label_map_of, largest_components
from tests.postprocessing.drawn import STRUCTURES, label_map


def test_codes_are_those_of_the_samples() -> None:
    for name in ("BACKGROUND", "LV", "MYO", "LA", "MV"):
        assert getattr(codes, name) == Structure[name]


def test_likeliest_structure_in_any_order_of_channels() -> None:
    probabilities = np.random.default_rng(0).random((9, 7, 4)).astype(np.float32)
    np.testing.assert_array_equal(label_map_of(probabilities, STRUCTURES), probabilities.argmax(axis=-1))
    structures = (0, 3, 1, 2)
    np.testing.assert_array_equal(
        label_map_of(probabilities, structures), np.array(structures)[probabilities.argmax(axis=-1)]
    )


@pytest.mark.parametrize("rows", [1, BLOCK_ROWS, BLOCK_ROWS + 1, 3 * BLOCK_ROWS - 1])
@pytest.mark.parametrize("channels_first", [False, True])
def test_likeliest_structure_of_any_height_and_memory_order(rows: int, channels_first: bool) -> None:
    probabilities = np.random.default_rng(0).random((4, rows, 7) if channels_first else (rows, 7, 4))
    if channels_first:
        probabilities = np.moveaxis(probabilities, 0, -1)
    before = probabilities.copy()
    np.testing.assert_array_equal(label_map_of(probabilities, STRUCTURES), probabilities.argmax(axis=-1))
    np.testing.assert_array_equal(probabilities, before)


def test_of_equals_the_first_channel_wins() -> None:
    assert (label_map_of(np.full((2, 2, 3), 1 / 3), (0, 1, 3)) == 0).all()


def test_smaller_components_become_background() -> None:
    labels = label_map("""
        VV..mm
        VV..mm
        ..V..m
        AA...V
        A..AA.
    """)
    expected = label_map("""
        VV..mm
        VV..mm
        ..V..m
        AA....
        A.....
    """)  # (2, 2) hangs on by its corner; the other V and the other A do not
    before = labels.copy()
    np.testing.assert_array_equal(largest_components(labels, STRUCTURES), expected)
    np.testing.assert_array_equal(labels, before)


def test_only_the_named_structures_are_cleaned() -> None:
    labels = label_map("VV.V AA.A")
    np.testing.assert_array_equal(largest_components(labels, (3,)), label_map("VV.V AA.."))


def test_of_equal_components_the_first_is_kept() -> None:
    np.testing.assert_array_equal(largest_components(label_map("V.V V.V"), (1,)), label_map("V.. V.."))


def test_clean_and_empty_maps_come_back_as_they_are() -> None:
    for labels in (label_map("VV. AA."), label_map("... ...")):
        assert largest_components(labels, STRUCTURES) is labels
