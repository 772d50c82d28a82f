"""Where in a cine the heart is: it is what moves."""

import cv2
import numpy as np
import numpy.typing as npt

from data_pipeline.sample import Point

SMOOTHING_MM = 5.0  # standard deviation: noise and the edges of vessels are narrower, the heart's walls are not
PRIOR_MM = 100.0  # standard deviation about the middle of the image, where the heart is planned to lie
STILL_SHARE = 0.8  # of the pixels, which count as not moving


def motion_centre(cine: npt.NDArray[np.floating], spacing_mm: tuple[float, float]) -> Point | None:
    """The middle of what changes over time, one point for all slices of a stack.

    A pixel's standard deviation over the times, root mean square over the slices, smoothed, weighed by a Gaussian about
    the middle of the image; of that, what exceeds the 80th percentile is averaged in position. No reference is looked
    at. The times are brought to one mean first, so that they may come from files of different intensity scales.

    Args:
        cine: (T, S, H, W) intensities: times, slices, rows, columns.
        spacing_mm: (row, col) pixel pitch.

    Returns:
        (row, col), pixel centres at integers; None where there is one time only, or nothing changes.

    Source: none; after the cmr_dense_unet paper's §2.3, which crops and does not say how. The three constants are
    ASSUMED; docs/data.md has how far the centre lies from the references' of 80 ACDC patients.
    """
    times = cine.astype(np.float32, copy=False)
    means = np.abs(times).mean(axis=(1, 2, 3), keepdims=True)
    if len(times) < 2 or not (means > 0).all():
        return None
    deviation = (times / means).std(axis=0)
    moving = np.sqrt(np.square(deviation).mean(axis=0))
    down, across = (SMOOTHING_MM / pitch for pitch in spacing_mm)
    moving = cv2.GaussianBlur(moving, (0, 0), sigmaX=across, sigmaY=down).astype(np.float64)
    weights = [
        np.exp(-0.5 * np.square((np.arange(side) - (side - 1) / 2) * pitch / PRIOR_MM))
        for side, pitch in zip(moving.shape, spacing_mm, strict=True)
    ]
    moving *= np.outer(*weights)
    moving = np.maximum(moving - np.quantile(moving, STILL_SHARE), 0)
    total = moving.sum()
    if not total > 0:
        return None
    row = float(moving.sum(axis=1) @ np.arange(moving.shape[0]) / total)
    return row, float(moving.sum(axis=0) @ np.arange(moving.shape[1]) / total)
