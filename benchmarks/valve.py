"""How near the hinge points come to the constructed ones where the mitral leaflets are a class of their own.

    python -m benchmarks.valve

Simulated frames of the three apical views. The reference mask and, as a stand-in for a network, its blurred one-hot
probabilities are measured by the rule of postprocessing/valve.py, and for comparison with the leaflets as they are
(torn), and without them, the other classes competing for their pixels (compete). `closed`: as experts draw it, LA up to
the leaflets, so that closed ones part the cavities everywhere. Lengths in mm.
"""

import argparse
from collections import defaultdict
from collections.abc import Callable, Iterator

import cv2
import numpy as np
import numpy.typing as npt

from data_pipeline.datasets.phantom import load_structures, with_structures
from data_pipeline.sample import Sample, Structure
from data_pipeline.spec import open_dataset
from postprocessing.contact_line import ContactLine, ContactLineNotFound, pixel_contact_line, subpixel_contact_line
from postprocessing.hinge_points import ANTERIOR_SIDE, HingePoints, find_hinge_points
from postprocessing.measurement import measure_frame, measure_labels

CLASSES = (Structure.BACKGROUND, Structure.LV, Structure.MYO, Structure.LA, Structure.MV)
LV, LA = CLASSES.index(Structure.LV), CLASSES.index(Structure.LA)  # channels
BLURS_PX = (1.0, 2.0, 4.0)


def measured(sample: Sample, labels: npt.NDArray[np.uint8]) -> Iterator[tuple[str, HingePoints | None]]:
    """(rule, its hinge points) of one frame."""
    assert sample.view is not None
    side = ANTERIOR_SIDE[sample.view]

    def points(line: ContactLine | None) -> HingePoints | None:
        return None if line is None else find_hinge_points(line, side)

    yield "reference", measure_labels(labels, spacing_mm=sample.spacing_mm, anterior_side=side).hinge_points
    yield "reference, torn", points(line_or_none(pixel_contact_line, labels))
    channel = np.zeros(256, np.uint8)
    channel[list(CLASSES)] = np.arange(len(CLASSES))
    sharp = np.eye(len(CLASSES), dtype=np.float32)[channel[labels]]
    for blur in BLURS_PX:
        soft = cv2.GaussianBlur(sharp, (0, 0), blur)
        for method in ("subpixel", "pixel"):
            frame = measure_frame(
                soft, structures=CLASSES, spacing_mm=sample.spacing_mm, anterior_side=side, method=method
            )
            yield f"blur {blur:g} px, {method}", frame.hinge_points
        rest = soft[..., :-1] / np.maximum(soft[..., :-1].sum(axis=-1, keepdims=True), 1e-9)
        for rule, probabilities in (("torn", soft), ("compete", rest)):
            yield f"blur {blur:g} px, {rule}", points(line_or_none(subpixel_contact_line, probabilities, LV, LA))


def line_or_none(trace: Callable[..., ContactLine], *arguments: object) -> ContactLine | None:
    try:
        return trace(*arguments)
    except ContactLineNotFound:
        return None


def closed(labels: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """The mask with what the leaflets part from the ventricle as atrium."""
    lv = (labels == Structure.LV).astype(np.uint8)
    _, components, stats, _ = cv2.connectedComponentsWithStats(lv, connectivity=4)
    drawn = labels.copy()
    drawn[(components > 0) & (components != 1 + int(stats[1:, cv2.CC_STAT_AREA].argmax()))] = Structure.LA
    return drawn


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="phantom?views=A2C,A3C,A4C&patients=60", help="(default %(default)s)")
    dataset = open_dataset(parser.parse_args().data)
    errors: defaultdict[str, list[list[float]]] = defaultdict(list)
    for case in with_structures(dataset.cases):
        sample = load_structures(case)
        assert sample.labels is not None
        assert sample.truth is not None
        assert sample.spacing_mm is not None
        truth = np.array([sample.truth.amvl, sample.truth.pmvl]) * sample.spacing_mm
        along = (truth[1] - truth[0]) / np.linalg.norm(truth[1] - truth[0])
        labels = np.where(sample.labels == Structure.RV, np.uint8(0), sample.labels)
        for name, mask in (("", labels), ("closed ", closed(labels))):
            for rule, points in measured(sample, mask):
                if points is None:
                    errors[name + rule].append([np.nan] * 4)
                    continue
                offsets = np.array([points.amvl, points.pmvl]) * sample.spacing_mm - truth
                inward = offsets @ along * (1, -1)
                errors[name + rule].append([*np.linalg.norm(offsets, axis=1), *inward])
    print(f"{len(dataset.cases)} frames of {dataset.spec}")
    print(f"{'':34} lines  median     p85     p95  inward  diameter")
    for rule, rows in errors.items():
        found = np.array([row for row in rows if not np.isnan(row[0])])
        distances, inward = found[:, :2].ravel(), found[:, 2:]
        median, p85, p95 = np.percentile(distances, [50, 85, 95])
        print(
            f"{rule:34} {len(found):5d} {median:7.2f} {p85:7.2f} {p95:7.2f} {np.median(inward):+7.2f}"
            f" {np.median(-inward.sum(axis=1)):+9.2f}"
        )


if __name__ == "__main__":
    main()
