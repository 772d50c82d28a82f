"""All slices of a heart on one sheet, with what was outlined in them, for people to judge."""

import cv2
import numpy as np
import numpy.typing as npt

from cart.examinations import IMAGE_MIDDLE, Examination
from cart.overlay import BLACK, WHITEST_PERCENTILE, Picture
from cart.screen import SCREEN_GROUND, SCREEN_STRUCTURES, SCREEN_TEXT, Colour
from cart.volumes import SHOWN, VENTRICLES, MeasuredExamination, MeasuredStack
from data_pipeline.sample import Phase, Structure

TILE_PX, GAP_PX, TEXT_PX = 236, 4, 26
COLUMNS = 6
MARGIN_MM, LEAST_MM = 20.0, 90.0
"""Around all that is outlined, and the least side of what is shown: ASSUMED, to see the heart's surroundings too."""

Window = tuple[int, int, int, int]
"""(row, end row, col, end col) of what is shown, native pixels."""


def draw_sheet(measured: MeasuredExamination) -> Picture:
    """The slices of ED and of ES, or of the one volume there is, from the file's first slice to its last.

    Args:
        measured: what was found.

    Returns:
        (rows, cols, 3) uint8, red-green-blue: for each volume a line of what was measured and its slices, each with its
        number and its contours; a legend and the ejection fractions below.
    """
    examination = measured.examination
    shown = [one for phase in Phase if (one := measured.at(phase)) is not None] or list(measured.stacks[:1])
    window = _window(measured)
    columns = min(COLUMNS, len(shown[0].label_maps))
    width = max(columns * (TILE_PX + GAP_PX) + GAP_PX, 3 * (TILE_PX + GAP_PX))
    bands = [_text_band(_title(examination), width)]
    for one in shown:
        bands.append(_text_band(_heading(one), width))
        tiles = [_tile(one, index, examination, window) for index in range(len(one.label_maps))]
        for start in range(0, len(tiles), columns):
            bands.append(_row(tiles[start : start + columns], width))
    fractions = [f"{name.name} {ef:.0f} %" for name in VENTRICLES if (ef := measured.ef_percent.get(name)) is not None]
    if fractions:
        bands.append(_text_band(f"EF {', '.join(fractions)}; ED and ES by {examination.phases_from}", width))
    bands.append(_legend(width))
    return np.concatenate(bands)


def _title(examination: Examination) -> str:
    text = f"{examination.name}: {len(examination.stacks[0].array)} slices, {examination.slice_distance_mm:g} mm apart"
    return text + ("; cropped about the image's middle" if examination.centre_from == IMAGE_MIDDLE else "")


def _heading(one: MeasuredStack) -> str:
    values = {f"{name.name.lower()}_ml": volume for name, volume in one.volume_ml.items()}
    values["myo_mass_g"] = one.myocardial_mass_g
    words = [f"{name} {value:.0f} {unit}" for name, key, unit in SHOWN if (value := values.get(key)) is not None]
    stack = one.stack
    which = stack.phase.value if stack.phase else "phase unknown"
    if stack.number is not None:
        which += f" (frame {stack.number})"
    return f"{which}: {', '.join(words) or 'no heart found'}"


def _window(measured: MeasuredExamination) -> Window:
    """What is shown of every slice: all that is outlined at any time and some more; the whole where nothing is."""
    height, width = measured.stacks[0].label_maps.shape[1:]
    marked = np.zeros((height, width), bool)
    for one in measured.stacks:
        marked |= one.label_maps.any(axis=0)
    if not marked.any():
        return 0, height, 0, width
    edges: list[int] = []
    pitch = measured.examination.spacing_mm
    spans = [(int(found[0]), int(found[-1]) + 1) for axis in (1, 0) if len(found := np.flatnonzero(marked.any(axis)))]
    side_mm = max(
        LEAST_MM, *((end - start) * one + 2 * MARGIN_MM for (start, end), one in zip(spans, pitch, strict=True))
    )
    for (start, end), one, most in zip(spans, pitch, (height, width), strict=True):
        size = min(most, round(side_mm / one))
        first = min(max(0, round((start + end - size) / 2)), most - size)
        edges += [first, first + size]
    return edges[0], edges[1], edges[2], edges[3]


def _tile(one: MeasuredStack, index: int, examination: Examination, window: Window) -> Picture:
    top, bottom, left, right = window
    pitch = examination.spacing_mm
    high_mm, wide_mm = (bottom - top) * pitch[0], (right - left) * pitch[1]
    scale = TILE_PX / max(high_mm, wide_mm)
    rows, cols = max(1, round(high_mm * scale)), max(1, round(wide_mm * scale))
    grey = one.stack.array[index].astype(np.float32)[top:bottom, left:right]
    low, high = float(grey.min()), float(np.percentile(grey, WHITEST_PERCENTILE))
    grey = np.clip((grey - low) / max(high - low, 1e-6), 0, 1)
    levels = np.clip(cv2.resize(grey, (cols, rows), interpolation=cv2.INTER_CUBIC) * 255 + 0.5, 0, 255).astype(np.uint8)
    pixels = np.repeat(levels[:, :, np.newaxis], 3, axis=2)
    labels = one.label_maps[index, top:bottom, left:right]
    for structure in (Structure.RV, Structure.MYO, Structure.LV):  # the LV's border goes last, over the others
        _outline(pixels, labels == structure, SCREEN_STRUCTURES[structure.name])
    tile = np.zeros((TILE_PX, TILE_PX, 3), np.uint8)
    y, x = (TILE_PX - rows) // 2, (TILE_PX - cols) // 2
    tile[y : y + rows, x : x + cols] = pixels
    _write(tile, f"s{index:02d}", (6, TEXT_PX), SCREEN_TEXT)
    return tile


def _outline(pixels: Picture, mask: npt.NDArray[np.bool_], colour: Colour) -> None:
    if not mask.any():
        return
    rows, cols = pixels.shape[:2]
    larger = cv2.resize(mask.astype(np.float32), (cols, rows), interpolation=cv2.INTER_LINEAR)
    smooth = cv2.GaussianBlur(larger, (0, 0), sigmaX=cols / mask.shape[1] / 3, sigmaY=rows / mask.shape[0] / 3)
    contours, _ = cv2.findContours((smooth >= 0.5).astype(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
    cv2.polylines(pixels, list(contours), True, BLACK, 3, cv2.LINE_AA)
    cv2.polylines(pixels, list(contours), True, colour, 2, cv2.LINE_AA)


def _row(tiles: list[Picture], width: int) -> Picture:
    band = np.empty((TILE_PX + GAP_PX, width, 3), np.uint8)
    band[:] = SCREEN_GROUND
    for number, tile in enumerate(tiles):
        left = GAP_PX + number * (TILE_PX + GAP_PX)
        band[:TILE_PX, left : left + TILE_PX] = tile
    return band


def _text_band(text: str, width: int) -> Picture:
    band = np.empty((TEXT_PX + 18, width, 3), np.uint8)
    band[:] = SCREEN_GROUND
    size = TEXT_PX
    while size > TEXT_PX // 2 and _text_width(text, size) > width - 2 * GAP_PX:
        size -= 1
    _write(band, text, (GAP_PX + 4, TEXT_PX + 4), SCREEN_TEXT, size)
    return band


def _legend(width: int) -> Picture:
    band = _text_band("", width)
    x = GAP_PX + 4
    for structure in (Structure.LV, Structure.MYO, Structure.RV):
        cv2.line(band, (x, TEXT_PX - 4), (x + 30, TEXT_PX - 4), SCREEN_STRUCTURES[structure.name], 3, cv2.LINE_AA)
        _write(band, structure.name, (x + 38, TEXT_PX + 4), SCREEN_TEXT)
        x += 38 + _text_width(structure.name, TEXT_PX) + 24
    return band


def _text_width(text: str, size: int) -> int:
    return int(cv2.getTextSize((1 << 14, 1 << 14), text, (0, 0), cv2.FontFace("sans"), size, 420)[2])


def _write(target: Picture, text: str, at: tuple[int, int], colour: Colour, size: int = TEXT_PX) -> None:
    font = cv2.FontFace("sans")
    for dx, dy in ((-1, -1), (-1, 1), (1, -1), (1, 1)):
        cv2.putText(target, text, (at[0] + dx, at[1] + dy), BLACK, font, size, 420)
    cv2.putText(target, text, at, colour, font, size, 420)
