"""Info files of CAMUS and ACDC: text beside the images, `key: value` lines."""

from dataclasses import dataclass
from pathlib import Path

from data_pipeline.splits import QUALITIES
from shell.errors import UserError


@dataclass(frozen=True)
class Info:
    """What an Info file says; None where it says nothing.

    Attributes:
        ed_frame, es_frame: 1-based frame numbers within the sequence; ES may come before ED.
        frames: length of the sequence.
        quality: `Good`, `Medium` or `Poor`.
        ef_percent: ejection fraction of the patient.
        group: diagnosis of the patient, in the file's own word (ACDC).
    """

    ed_frame: int | None = None
    es_frame: int | None = None
    frames: int | None = None
    quality: str | None = None
    ef_percent: float | None = None
    group: str | None = None


def read_info(path: Path) -> Info:
    """Reads an Info file of either release: `EF` and `LVef` are the same thing; unknown keys are left alone.

    Raises:
        UserError: not text, a number that is none, an unknown image quality, an EF outside 0..100 %.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise UserError(
            f"{path}: an Info file is text, `key: value` lines. Received: {error}. Copy it again."
        ) from None
    values = {key.strip().lower(): value.strip() for key, _, value in (line.partition(":") for line in lines)}

    def number(*keys: str) -> float | None:
        text = next((values[key] for key in keys if values.get(key)), None)
        if text is None or text.lower() in ("nan", "na", "n/a"):
            return None
        try:
            return float(text)
        except ValueError:
            raise UserError(f"{path}: `{keys[0]}` must be a number. Received: {text}. Correct the line.") from None

    def frame_number(key: str) -> int | None:
        value = number(key)
        if value is not None and not (value >= 1 and value.is_integer()):
            raise UserError(f"{path}: `{key}` counts frames from 1. Received: {value:g}. Correct the line.")
        return None if value is None else int(value)

    quality = values.get("imagequality") or None
    if quality is not None and quality.capitalize() not in QUALITIES:
        raise UserError(f"{path}: `ImageQuality` is Good, Medium or Poor. Received: {quality}. Correct the line.")
    ef_percent = number("ef", "lvef")
    if ef_percent is not None and not 0 <= ef_percent <= 100:
        raise UserError(f"{path}: an ejection fraction is 0..100 %. Received: {ef_percent:g}. Correct the line.")
    return Info(
        ed_frame=frame_number("ed"),
        es_frame=frame_number("es"),
        frames=frame_number("nbframe"),
        quality=quality.capitalize() if quality else None,
        ef_percent=ef_percent,
        group=values.get("group") or None,
    )
