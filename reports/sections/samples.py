"""Sample frames, drawn by the evaluation: the failed, worst, typical and best ones."""

import cv2

from reports.cells import Missing, number
from reports.evaluation_folder import Evaluation, Overlay
from reports.html import Gallery, Picture, data_uri

JPEG_QUALITY = 90
KINDS = {"failed": "Failed", "worst": "Worst", "median": "Typical", "best": "Best"}
"""In the order of showing: what went wrong first."""


def overlay_gallery(evaluation: Evaluation) -> Gallery | Missing:
    """Failed, worst, typical and best frames, in that order; of the worst the very worst first."""
    if not evaluation.overlays:
        return Missing("Sample frames", "The evaluation folder holds no overlays (overlays/overlays.json).")
    ranked = sorted(evaluation.overlays, key=lambda o: list(KINDS).index(o.kind) if o.kind in KINDS else len(KINDS))
    drawn = _drawn(evaluation)
    return Gallery(tuple(_overlay_picture(index, overlay, drawn) for index, overlay in enumerate(ranked)), small=True)


def _drawn(evaluation: Evaluation) -> str:
    """What the pictures show, in words."""
    parts = [
        "predicted contours (solid), reference contours (dashed)"
        if evaluation.segments
        else "reference contours (dashed)",
        *(["the located box (solid) and the reference's (dashed)"] if evaluation.locates else []),
        *(["hinge points", "annulus diameter"] if evaluation.no_hinge_points is None else []),
    ]
    return f"{', '.join(parts[:-1])} and {parts[-1]}" if len(parts) > 1 else parts[0]


def _overlay_picture(index: int, overlay: Overlay, drawn: str) -> Picture | Missing:
    title = f"{KINDS.get(overlay.kind, overlay.kind)}."
    pixels = cv2.imread(str(overlay.path)) if overlay.path.is_file() else None
    if pixels is None:
        return Missing(
            f"{title[:-1]}: {overlay.case}", f"Its picture overlays/{overlay.path.name} is missing or damaged."
        )
    # JPEG without colour subsampling: thin coloured lines stay sharp at a fifth of the PNG's size.
    options = [
        cv2.IMWRITE_JPEG_QUALITY,
        JPEG_QUALITY,
        cv2.IMWRITE_JPEG_SAMPLING_FACTOR,
        cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444,
    ]
    _, content = cv2.imencode(".jpg", pixels, options)
    error = "" if overlay.hinge_error_mm is None else f" Mean hinge distance {number(overlay.hinge_error_mm, 1)} mm."
    return Picture(
        f"overlay-{index}",
        title,
        overlay.caption,
        f"{'Slice' if '_SAX' in overlay.case else 'Echo frame'} {overlay.case} with {drawn}.{error}",
        data_uri("image/jpeg", content.tobytes()),
        pixels.shape[1],
        pixels.shape[0],
    )
