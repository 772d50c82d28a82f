"""Which region of a frame a network sees, where it is not the whole."""

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from data_pipeline.preprocess import Region, square_around
from data_pipeline.sample import Sample, Structure
from metrics.boxes import box_of_mask
from shell.errors import UserError


class RegionOf(Protocol):
    """Chooses the region of a frame."""

    def __call__(self, sample: Sample) -> Region:
        """The region, pixel edges on the native grid."""
        ...

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values that tell this choice from every other one: a cache entry is named after them."""
        ...


@dataclass(frozen=True)
class ReferenceBox:
    """The box of the reference, as of an oracle that knows where to look.

    Attributes:
        structures: the box encloses their union.
        margin: on each side, as a share of the box's height above and below, of its width left and right.

    Source: lu_net paper §III-A (BB-m5, BB-m15, BB-m30). Deviation: as `metrics.boxes.box_of_mask`.
    """

    structures: tuple[Structure, ...]
    margin: float

    def __call__(self, sample: Sample) -> Region:
        """The reference's box with its margin.

        Raises:
            UserError: the frame has no reference, or none of the structures in it.
        """
        names = ", ".join(structure.name for structure in self.structures)
        if sample.labels is None or not (mask := np.isin(sample.labels, self.structures)).any():
            lacks = "no reference" if sample.labels is None else f"a reference without {names}"
            raise UserError(
                f"{sample.source}: has {lacks}, so there is no box to crop it to (oracle_margin); "
                "leave this case out, or train without oracle_margin"
            )
        return box_of_mask(mask, self.margin)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {"box_of": [structure.name for structure in self.structures], "margin": self.margin}


@dataclass(frozen=True)
class HeartCrop:
    """A square of fixed size about the heart, as its cine tells where that is, or else about the middle of the frame.

    No reference is looked at, so a new frame is cropped as those that were trained on. All slices of a volume get the
    same square.

    Attributes:
        side_mm: of the square.
    """

    side_mm: float

    def __call__(self, sample: Sample) -> Region:
        """The square.

        Raises:
            UserError: the frame's pixel pitch is not known.
        """
        height, width = sample.image.shape
        try:
            return square_around(sample.heart_centre, (height, width), sample.spacing_mm, self.side_mm)
        except UserError as error:
            raise UserError(f"{sample.source}: {error}") from None

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {"heart_crop_mm": self.side_mm}


def chosen_region(*, oracle: ReferenceBox | None, crop_mm: float | None) -> RegionOf | None:
    """What a network sees of each frame; None: all of it. An oracle's box goes before a crop around the heart."""
    if oracle is not None or crop_mm is None:
        return oracle
    return HeartCrop(crop_mm)
