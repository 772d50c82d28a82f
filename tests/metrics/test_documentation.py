"""docs/metrics.md lists every metric there is, and none that is not."""

import importlib
import inspect
import re
from pathlib import Path

import pytest

PAGE = (Path(__file__).parents[2] / "docs" / "metrics.md").read_text(encoding="utf-8")
MODULES = ("overlap", "surface", "boxes", "agreement", "bootstrap", "paired", "selective")
# What metrics are made of, and checks.
PARTS = {
    "confusion_counts", "check_masks", "surface_distances", "volume_distances", "boundary_pixels", "box_of_mask",
    "box_in_pixels", "mean",
    "standard_deviation", "finite_values", "paired_values",
}  # fmt: skip


def functions(module):
    found = vars(importlib.import_module(module)).items()
    return {
        name for name, thing in found if inspect.isfunction(thing) and thing.__module__ == module and name[0] != "_"
    }


def listed(text):
    """Names in the second column of the tables."""
    rows = [line.split(" | ") for line in text.splitlines() if line.startswith("| ")]
    return {name for row in rows for name in re.findall(r"`([\w.]+)`", row[1])}


@pytest.mark.parametrize("module", MODULES)
def test_every_metric_is_listed(module):
    section = next(part for part in PAGE.split("\n## ") if f"`{module}`" in part.partition("\n")[0])
    assert functions(f"metrics.{module}") - PARTS - listed(section) == set()


def test_every_function_that_is_listed_exists():
    known = set().union(*(functions(f"metrics.{module}") for module in MODULES))
    known |= functions("postprocessing.shape")
    for name in listed(PAGE):
        module, _, function = name.rpartition(".")
        assert function in (functions(f"postprocessing.{module}") if module else known), name
