"""Simplicity and convexity of the outlines of a frame, as rows."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from data_pipeline.sample import Sample, Structure
from evaluation.rows import EPI, NO_REFERENCE, NO_SPACING, CaseRow, Subject
from postprocessing.shape import Shape, shape_of
from postprocessing.valve import valve_as_blood

Bools = npt.NDArray[np.bool_]

SIMPLICITY, CONVEXITY = "simplicity", "convexity"
MEASURES = (SIMPLICITY, CONVEXITY)
REFERENCE = "_reference"
SHAPED: Mapping[str, tuple[Structure, ...]] = {
    "LV": (Structure.LV,),
    EPI: (Structure.LV, Structure.MYO),
    "LA": (Structure.LA,),
    "RV": (Structure.RV,),
}
"""The structures whose shape is measured. The myocardium's is left out: it is the EPI's and the LV's."""


def shape_rows(
    frame: Subject, sample: Sample, label_map: npt.NDArray[np.uint8], structures: Sequence[Structure]
) -> list[CaseRow]:
    """Simplicity and convexity of LV, EPI, LA and RV, as predicted and in the reference.

    Args:
        frame: what the rows have in common.
        sample: with the reference labels on the native grid, or without.
        label_map: (H, W) predicted structure codes, native grid.
        structures: the classes predicted; a structure of which one is missing has no rows.

    Returns:
        `simplicity`, `convexity` of the prediction, `simplicity_reference`, `convexity_reference`: ratios, `undefined`
        for an empty mask, `no_reference` without labels. The simplicity needs the pitch of the pixels (`no_spacing`);
        the convexity is the same whatever it is. Leaflets (MV) count as blood, as for the contact line.
    """
    rows: list[CaseRow] = []
    spacing_mm = sample.spacing_mm or (1.0, 1.0)
    predicted = valve_as_blood(label_map)
    reference = None if sample.labels is None else valve_as_blood(sample.labels)
    for name, members in SHAPED.items():
        if not set(members) <= set(structures):
            continue
        rows += _shape_rows(frame, name, "", shape_of(mask_of(predicted, members), spacing_mm), sample)
        if reference is None:
            rows += [frame.failed_row(name, measure + REFERENCE, "ratio", NO_REFERENCE) for measure in MEASURES]
        else:
            rows += _shape_rows(frame, name, REFERENCE, shape_of(mask_of(reference, members), spacing_mm), sample)
    return rows


def _shape_rows(frame: Subject, name: str, suffix: str, shape: Shape, sample: Sample) -> list[CaseRow]:
    simple = (
        frame.failed_row(name, SIMPLICITY + suffix, "ratio", NO_SPACING)
        if sample.spacing_mm is None and not math.isnan(shape.simplicity)
        else frame.row(name, SIMPLICITY + suffix, shape.simplicity, "ratio")
    )
    return [simple, frame.row(name, CONVEXITY + suffix, shape.convexity, "ratio")]


def mask_of(label_map: npt.NDArray[np.uint8], members: Sequence[Structure]) -> Bools:
    """The pixels of any of these structures; one comparison each, where `np.isin` takes many times as long."""
    mask = label_map == members[0]
    for member in members[1:]:
        mask |= label_map == member
    return mask
