"""DICOM files, still or cine: grey frames one by one, the B-mode region, the pixel pitch, times, the coded view.

Only what is needed is taken out of the header, and none of it is about the patient: no name, date or number of theirs
is read, so none can be printed or written.

JPEG of 8 bits, which is what carts write, is decoded by OpenCV, other codings by pydicom with GDCM (BSD licence) or its
own RLE decoder, whatever else is installed: the same file gives the same pixels everywhere. GDCM gives the same of
JPEG, but a damaged frame can make it end the whole process; so what it is given is looked at first (codestream.py).
"""

import io
import itertools
import logging
import math
import struct
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import cv2
import numpy as np

from data_pipeline.readers.codestream import JPEG_START, stream_size
from data_pipeline.readers.dicom_grey import CONVERSIONS, ONE_SAMPLE, Array, ToGrey, number_of, numbers_of
from data_pipeline.readers.frame import (
    PITCH_RANGE_MM,
    CineFrame,
    PixelRegion,
    RawCine,
    bad_file,
    checked_shape,
    require_file,
    require_package,
)
from data_pipeline.readers.png import quiet
from data_pipeline.readers.ultrasound_regions import UltrasoundRegion, b_mode_of
from data_pipeline.sample import View
from shell.errors import UserError

if TYPE_CHECKING:
    from pydicom.dataset import Dataset
    from pydicom.uid import UID

TAGS = (
    "SOPClassUID",
    "Modality",
    "NumberOfFrames",
    "Rows",
    "Columns",
    "SamplesPerPixel",
    "PhotometricInterpretation",
    "PlanarConfiguration",
    "BitsAllocated",
    "BitsStored",
    "HighBit",
    "PixelRepresentation",
    "RedPaletteColorLookupTableDescriptor",
    "GreenPaletteColorLookupTableDescriptor",
    "BluePaletteColorLookupTableDescriptor",
    "RedPaletteColorLookupTableData",
    "GreenPaletteColorLookupTableData",
    "BluePaletteColorLookupTableData",
    "SegmentedRedPaletteColorLookupTableData",
    "SegmentedGreenPaletteColorLookupTableData",
    "SegmentedBluePaletteColorLookupTableData",
    "RescaleSlope",
    "RescaleIntercept",
    "ModalityLUTSequence",
    "SequenceOfUltrasoundRegions",
    "PixelSpacing",
    "PixelAspectRatio",
    "SharedFunctionalGroupsSequence",
    "FrameIncrementPointer",
    "FrameTime",
    "FrameTimeVector",
    "CineRate",
    "RecommendedDisplayFrameRate",
    "ViewCodeSequence",
    "ExtendedOffsetTable",
    "ExtendedOffsetTableLengths",
)
"""All that is read of a header."""

GDCM, OWN, OPENCV = "gdcm", "pydicom", "opencv"

DECODERS: Mapping[str, str] = {
    "1.2.840.10008.1.2.5": OWN,  # RLE Lossless
    "1.2.840.10008.1.2.4.50": OPENCV,  # JPEG Baseline
    "1.2.840.10008.1.2.4.51": OPENCV,  # JPEG Extended, of 8 bits
    "1.2.840.10008.1.2.4.57": GDCM,  # JPEG Lossless; of 8 bits OpenCV
    "1.2.840.10008.1.2.4.70": GDCM,  # JPEG Lossless, selection value 1; of 8 bits OpenCV
    "1.2.840.10008.1.2.4.80": GDCM,  # JPEG-LS Lossless
    "1.2.840.10008.1.2.4.81": GDCM,  # JPEG-LS Near-Lossless
    "1.2.840.10008.1.2.4.90": GDCM,  # JPEG 2000 Lossless
    "1.2.840.10008.1.2.4.91": GDCM,  # JPEG 2000
}
"""Transfer syntax of compressed pixels → what decodes it. Others (MPEG, HEVC, HTJ2K, JPEG XL) are refused by name."""

JPEG_EXTENDED = "1.2.840.10008.1.2.4.51"
JPEG_LOSSLESS = ("1.2.840.10008.1.2.4.57", "1.2.840.10008.1.2.4.70")

JPEG_END = b"\xff\xd9"
ADOBE_WITHIN = 4096  # bytes from the start of a stream, where its markers are
ADOBE_RGB = b"\xff\xee\x00\x0eAdobe\x00\x64\x00\x00\x00\x00\x00"
"""The marker by which a JPEG stream says that its three samples are red, green and blue."""

VIEWS: Mapping[tuple[str, str], View] = {
    ("SCT", "399214001"): View.A4C,
    ("SCT", "399232001"): View.A2C,
    ("SCT", "399339008"): View.A3C,  # apical long axis
    ("SRT", "G-A19C"): View.A4C,
    ("SRT", "G-A19B"): View.A2C,
    ("SRT", "G-0395"): View.A3C,
    ("SNM3", "G-A19C"): View.A4C,
    ("SNM3", "G-A19B"): View.A2C,
    ("SNM3", "G-0395"): View.A3C,
}
"""(coding scheme, code) of the view → view. Source: DICOM PS3.16, CID 12226, and SNOMED's older codes of the same."""

PIXEL_DATA, FLOAT_PIXELS, DOUBLE_PIXELS = 0x7FE00010, 0x7FE00008, 0x7FE00009
ITEM, SEQUENCE_END = 0xFFFEE000, 0xFFFEE0DD
UNDEFINED = 0xFFFFFFFF
FRAME_TIME = 0x00181063
DAMAGED_HEADER = "the DICOM header is damaged or truncated"
COPY_AGAIN = "Copy or export the file again."


@dataclass(frozen=True)
class PixelElement:
    """Where the pixels are.

    Attributes:
        start: of the value, bytes from the beginning of `content` or of the file.
        length: of the value in bytes, or `UNDEFINED` where it comes in items.
        vr: OB or OW.
        content: the data set where the file holds it deflated; None where the file itself is read.
    """

    start: int
    length: int
    vr: str
    content: bytes | None = None


@dataclass(frozen=True)
class Layout:
    """How the pixels of one frame become an array.

    Attributes:
        syntax: transfer syntax.
        options: what pydicom's decoder is told of a single frame.
        count: of frames.
        rows, columns: of a frame.
        photometric: the photometric interpretation.
    """

    syntax: "UID"
    options: Mapping[str, Any]
    count: int
    rows: int
    columns: int
    photometric: str

    @property
    def decoder(self) -> str | None:
        """What decodes compressed pixels; None where they are not compressed."""
        if self.syntax in JPEG_LOSSLESS and self.options["bits_allocated"] == 8:
            return OPENCV
        return DECODERS[self.syntax] if self.syntax.is_encapsulated else None

    @property
    def frame_bytes(self) -> int:
        """Of an uncompressed frame."""
        samples = 2 if self.photometric == "YBR_FULL_422" else self.options["samples_per_pixel"]
        return self.rows * self.columns * samples * self.options["bits_allocated"] // 8


def read_dicom(path: Path) -> RawCine:
    """Opens a DICOM file. Its frames are read and decoded one by one, cut to the B-mode region where one is stated.

    The pitch is of the B-mode region (see ultrasound_regions.py), else of `PixelSpacing`; it is never guessed. Times
    are of `FrameTimeVector` or `FrameTime`; without them evenly by `CineRate` or `RecommendedDisplayFrameRate`. The
    view is the file's own code; patient orientation and descriptions say nothing of it.

    Raises:
        UserError: not DICOM, truncated, without pixels, of a kind that is no image, or of pixels that nothing here
            decodes. A frame that cannot be decoded is one of the frames, and says so.
    """
    require_file(path)
    require_package(path, "pydicom")
    with _quietly(), _named_damage(path):
        header, position = _header(path)
        layout = _layout(path, header)
        element = _pixel_element(path, header, layout, position)
        _require_complete(path, element, layout)
        to_grey = CONVERSIONS[layout.photometric](path, header)
        picture = b_mode_of(_regions(path, header), layout.rows, layout.columns)
        spacing_mm, spacing_note = picture.spacing_mm, picture.spacing_note
        if spacing_mm is None and spacing_note is None:
            spacing_mm, spacing_note = _stated_pitch(header)
        times, frame_rate_hz = _times(header, layout.count)
        view, offsets = _view(header), _offsets(header)
    return RawCine(
        _frames(path, element, layout, to_grey, picture.region, times, offsets),
        count=layout.count,
        frame_rate_hz=frame_rate_hz if layout.count > 1 else None,
        spacing_mm=spacing_mm,
        spacing_note=spacing_note,
        region=picture.region,
        region_note=picture.region_note,
        view=view,
        is_still=layout.count == 1,
    )


# --- header ---


def _header(path: Path) -> tuple["Dataset", int]:
    """The elements of `TAGS`, and where in the file what comes after them begins; of a deflated one also the pixels."""
    from pydicom import dcmread
    from pydicom.errors import InvalidDicomError
    from pydicom.uid import DeflatedExplicitVRLittleEndian

    try:
        with path.open("rb") as file:
            header = dcmread(file, stop_before_pixels=True, specific_tags=list(TAGS))
            position = file.tell()
        if header.file_meta.get("TransferSyntaxUID") == DeflatedExplicitVRLittleEndian:
            header = dcmread(path, specific_tags=[*TAGS, "PixelData"])
    except InvalidDicomError:
        mend = "Check what it is, or export it as DICOM."
        raise bad_file(path, "not a DICOM file", "no DICM mark after the preamble", mend) from None
    return header, position


def _layout(path: Path, header: "Dataset") -> Layout:
    from pydicom.uid import UID

    syntax = header.file_meta.get("TransferSyntaxUID")
    if not syntax:
        raise bad_file(path, "the file says how its pixels are coded", "no TransferSyntaxUID", "Export it again.")
    syntax = UID(str(syntax))
    if not all(name in header for name in ("Rows", "Columns", "BitsAllocated", "PhotometricInterpretation")):
        raise _no_image(path, header)
    try:
        count = int(header.get("NumberOfFrames") or 1)
        whole = {name: int(header[name].value) for name in ("Rows", "Columns", "BitsAllocated")}
        samples = int(header.get("SamplesPerPixel", 1))
        stored = int(header.get("BitsStored", whole["BitsAllocated"]))
        high_bit = int(header.get("HighBit", stored - 1))
        signed = int(header.get("PixelRepresentation", 0))
        planar = int(header.get("PlanarConfiguration") or 0)
    except (KeyError, TypeError, ValueError):
        received = "a missing or a damaged number"
        raise bad_file(path, "the header tells size, number and depth of the frames", received, COPY_AGAIN) from None
    photometric = str(header.PhotometricInterpretation).strip().upper()
    rows, columns = checked_shape(path, (whole["Rows"], whole["Columns"]))
    allocated = whole["BitsAllocated"]
    if photometric not in CONVERSIONS:
        raise bad_file(
            path, "the kind of colour is not known here", photometric or "none", f"Known: {', '.join(CONVERSIONS)}."
        )
    if samples != (1 if photometric in ONE_SAMPLE else 3):
        raise bad_file(path, f"{photometric} has {3 - 2 * (photometric in ONE_SAMPLE)} samples", samples, COPY_AGAIN)
    if allocated not in (8, 16) or not 1 <= stored <= allocated or high_bit != stored - 1 or signed not in (0, 1):
        received = f"{stored} bits in {allocated}, the highest {high_bit}"
        raise bad_file(path, "a pixel has 8 or 16 bits, or fewer at their lower end", received, "Export as 8 bit.")
    if count < 1:
        raise bad_file(path, "a DICOM image has frames", f"NumberOfFrames {count}", COPY_AGAIN)
    _require_decoder(path, syntax, stored)
    options = {
        "transfer_syntax_uid": syntax,
        "pixel_keyword": "PixelData",
        "number_of_frames": 1,
        "rows": rows,
        "columns": columns,
        "samples_per_pixel": samples,
        "photometric_interpretation": photometric,
        "bits_allocated": allocated,
        "bits_stored": stored,
        "pixel_representation": signed,
    }
    if samples > 1:
        options["planar_configuration"] = planar
    return Layout(syntax, options, count, rows, columns, photometric)


def _no_image(path: Path, header: "Dataset") -> UserError:
    """The complaint about a file without pixels: another kind of DICOM file, or an image that breaks off."""
    from pydicom.uid import UID

    uid = header.get("SOPClassUID") or header.file_meta.get("MediaStorageSOPClassUID")
    name = UID(str(uid)).name if uid else "no SOP class"
    if name.endswith("Image Storage"):
        return bad_file(path, "the file ends before its pixels", name, COPY_AGAIN)
    return bad_file(path, "a DICOM image is needed", name, "Give the file that holds the images.")


def _require_decoder(path: Path, syntax: "UID", stored_bits: int) -> None:
    from pydicom.pixels import get_decoder

    if not syntax.is_transfer_syntax or syntax.is_private:
        raise bad_file(path, "the coding of the pixels is not known", syntax, "Export it uncompressed.")
    if not syntax.is_encapsulated:
        return
    mend = "Export the file uncompressed, as JPEG, or as a video."
    if syntax not in DECODERS or (syntax == JPEG_EXTENDED and stored_bits > 8):
        raise bad_file(path, "nothing here decodes these pixels", f"{syntax.name}, {stored_bits} bits", mend)
    if DECODERS[syntax] == GDCM and not get_decoder(syntax).is_available:
        mend = "Install it with `pip install python-gdcm`, or export the file uncompressed."
        raise bad_file(path, "GDCM is needed to decode the pixels", syntax.name, mend)


# --- pixels in the file ---


def _pixel_element(path: Path, header: "Dataset", layout: Layout, position: int) -> PixelElement:
    vr = "OW" if layout.options["bits_allocated"] > 8 else "OB"
    if "PixelData" in header:  # of a deflated data set
        value = bytes(header["PixelData"].value)
        return PixelElement(0, len(value), vr, value)
    order = "<" if layout.syntax.is_little_endian else ">"
    with path.open("rb") as file:
        file.seek(position)
        start = file.read(12)
    implicit = layout.syntax.is_implicit_VR
    if len(start) < (8 if implicit else 12):
        raise _no_image(path, header)
    group, number = struct.unpack(f"{order}HH", start[:4])
    tag = group << 16 | number
    if tag in (FLOAT_PIXELS, DOUBLE_PIXELS):
        raise bad_file(path, "pixels must be whole numbers", "floating-point pixels", "Export it as 8 or 16 bit.")
    if tag != PIXEL_DATA:
        raise _no_image(path, header)
    if not implicit:
        vr = start[4:6].decode("ascii", "replace")
    (length,) = struct.unpack(f"{order}L", start[4:8] if implicit else start[8:12])
    return PixelElement(position + (8 if implicit else 12), length, vr)


def _require_complete(path: Path, element: PixelElement, layout: Layout) -> None:
    """Refuses a file that breaks off within its pixels, before the first frame is measured."""
    file_end = len(element.content) if element.content is not None else path.stat().st_size
    if layout.syntax.is_encapsulated:
        with _opened(path, element) as file:
            items = _count_items(path, file, file_end)
        if items < layout.count:
            raise bad_file(
                path, "compressed pixels come in an item per frame or more", f"{items} for {layout.count}", COPY_AGAIN
            )
        return
    needed = layout.frame_bytes * layout.count
    there = min(element.length, file_end - element.start)
    if there < needed:
        received = f"{there} bytes of pixels, {needed} needed"
        raise bad_file(path, "the pixels are truncated", received, COPY_AGAIN)


def _count_items(path: Path, file: BinaryIO, file_end: int) -> int:
    """Items of compressed pixels after the table of offsets."""
    count = -1  # the table is one
    while True:
        place = file.tell()
        head = file.read(8)
        if not head and count >= 0:
            return count  # nothing after the last item, not even the end mark: all of it is there
        if len(head) < 8:
            raise bad_file(path, "the compressed pixels are truncated", f"the end at byte {file_end}", COPY_AGAIN)
        group, number, length = struct.unpack("<HHL", head)
        tag = group << 16 | number
        if tag == SEQUENCE_END:
            return max(count, 0)
        if tag != ITEM or length == UNDEFINED:
            received = f"({group:04X},{number:04X}) at byte {place}"
            raise bad_file(path, "compressed pixels come in items", received, COPY_AGAIN)
        if place + 8 + length > file_end:
            received = f"an item of {length} bytes at byte {place}, the end at {file_end}"
            raise bad_file(path, "the compressed pixels are truncated", received, COPY_AGAIN)
        file.seek(length, io.SEEK_CUR)
        count += 1


@contextmanager
def _opened(path: Path, element: PixelElement) -> Iterator[BinaryIO]:
    """The file, or its inflated pixels, at the start of the pixels."""
    with path.open("rb") if element.content is None else io.BytesIO(element.content) as file:
        file.seek(element.start)
        yield file


def _frames(
    path: Path,
    element: PixelElement,
    layout: Layout,
    to_grey: ToGrey,
    region: PixelRegion | None,
    times: Sequence[float | None],
    offsets: tuple[bytes, bytes] | None,
) -> Iterator[CineFrame]:
    with _opened(path, element) as file:
        coded = _coded_frames(file, layout, offsets)
        for time_ms in times:
            image = error = None
            with _quietly():
                try:
                    content = next(coded, None)
                    if content is None:
                        error = "it is not in the file"
                    else:
                        image = to_grey(_cut(_decode(content, layout, element.vr), region))
                except Exception as cause:  # a decoder raises whatever the damaged bytes lead to
                    error = f"it cannot be decoded ({_reason(cause)})"
            yield CineFrame(image, time_ms, error)


def _cut(array: Array, region: PixelRegion | None) -> Array:
    return array if region is None else array[region[0] : region[1], region[2] : region[3]]


def _coded_frames(file: BinaryIO, layout: Layout, offsets: tuple[bytes, bytes] | None) -> Iterator[bytes]:
    """The bytes of each frame, as they are in the file."""
    if layout.syntax.is_encapsulated:
        from pydicom.encaps import generate_frames

        frames = generate_frames(file, number_of_frames=layout.count, extended_offsets=offsets)
        return itertools.islice(frames, layout.count)
    return (file.read(layout.frame_bytes) for _ in range(layout.count))


def _decode(content: bytes, layout: Layout, vr: str) -> Array:
    """(H, W) or (H, W, 3), before any conversion of colours but a codec's own."""
    if layout.decoder in (OPENCV, GDCM):
        _require_sound(content, layout)
    array = _by_opencv(content, layout) if layout.decoder == OPENCV else _by_pydicom(content, layout, vr)
    if array.shape[:2] != (layout.rows, layout.columns):
        height, width = array.shape[:2]
        raise ValueError(f"{height} × {width} pixels instead of {layout.rows} × {layout.columns}")
    return array


def _require_sound(content: bytes, layout: Layout) -> None:
    """Refuses a stream that breaks off, which a decoder fills up in silence, or that is of another size or depth."""
    if not content.rstrip(b"\0\xff").endswith(JPEG_END):  # what stands after it makes the length even
        raise ValueError("no end mark")
    size = stream_size(content)
    if (size.rows, size.columns) != (layout.rows, layout.columns):
        raise ValueError(f"{size.rows} × {size.columns} pixels instead of {layout.rows} × {layout.columns}")
    samples, bits = layout.options["samples_per_pixel"], layout.options["bits_allocated"]
    if size.samples != samples or not 2 <= size.bits <= bits:
        raise ValueError(f"{size.samples} samples of {size.bits} bits instead of {samples} of {bits}")


def _by_opencv(content: bytes, layout: Layout) -> Array:
    """A JPEG of 8 bits: (H, W), or (H, W, 3) of RGB. Of YBR it is Y: the grey level that the codec itself gives."""
    colour = layout.photometric in ("RGB", "YBR_ICT", "YBR_RCT")
    # Without a marker that says otherwise a decoder takes three samples for YBR; the DICOM header knows better.
    if colour and b"JFIF" not in content[:ADOBE_WITHIN] and b"Adobe" not in content[:ADOBE_WITHIN]:
        content = content.replace(JPEG_START, JPEG_START + ADOBE_RGB, 1)
    flags = cv2.IMREAD_COLOR if colour else cv2.IMREAD_GRAYSCALE
    with quiet():
        array = cv2.imdecode(np.frombuffer(content, np.uint8), flags | cv2.IMREAD_IGNORE_ORIENTATION)
    if array is None:
        raise ValueError("damaged data")
    if colour:
        return array[..., ::-1]
    return array.view(np.int8) if layout.options["pixel_representation"] else array


def _by_pydicom(content: bytes, layout: Layout, vr: str) -> Array:
    from pydicom.encaps import encapsulate
    from pydicom.pixels import get_decoder

    if layout.syntax.is_encapsulated:
        content = encapsulate([content], has_bot=False)
    options = {**layout.options, "pixel_vr": vr}
    plugin = layout.decoder or ""
    array, _ = get_decoder(layout.syntax).as_array(content, index=0, raw=True, decoding_plugin=plugin, **options)
    return array


def _reason(error: Exception) -> str:
    """The last line of what a decoder said: the innermost cause."""
    if "NoneType" in str(error):
        return "damaged data"  # GDCM gives nothing, and pydicom stumbles over it
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1].rstrip(".") if lines else type(error).__name__


# --- region and pitch ---


def _regions(path: Path, header: "Dataset") -> list[UltrasoundRegion]:
    try:
        return [_region(item) for item in header.get("SequenceOfUltrasoundRegions") or ()]
    except (KeyError, TypeError, ValueError):
        received = "a missing or a damaged number"
        raise bad_file(path, "an ultrasound region tells its place and kind", received, "Export it again.") from None


def _region(item: "Dataset") -> UltrasoundRegion:
    def whole(name: str) -> int | None:
        value = item.get(name)
        return None if value is None else int(value)

    return UltrasoundRegion(
        spatial_format=whole("RegionSpatialFormat"),
        data_type=whole("RegionDataType"),
        rows=(int(item["RegionLocationMinY0"].value), int(item["RegionLocationMaxY1"].value)),
        columns=(int(item["RegionLocationMinX0"].value), int(item["RegionLocationMaxX1"].value)),
        units=(whole("PhysicalUnitsYDirection"), whole("PhysicalUnitsXDirection")),
        delta=(number_of(item, "PhysicalDeltaY"), number_of(item, "PhysicalDeltaX")),
    )


def _stated_pitch(header: "Dataset") -> tuple[tuple[float, float] | None, str | None]:
    """`PixelSpacing`, of the frame or of all frames together: of MR, and of the rare ultrasound file that has it."""
    holder = header
    if "PixelSpacing" not in header:
        groups = header.get("SharedFunctionalGroupsSequence") or ()
        measures = groups[0].get("PixelMeasuresSequence") or () if groups else ()
        holder = measures[0] if measures else header
    pitch = numbers_of(holder, "PixelSpacing")
    if pitch is None:
        aspect = numbers_of(header, "PixelAspectRatio")
        if aspect and len(aspect) == 2 and aspect[0] != aspect[1]:
            sides = f"{aspect[0]:g}:{aspect[1]:g}"
            return (
                None,
                f"only the shape of its pixels is stated, {sides} (row, column), so lengths in px are distorted",
            )
        return None, None
    low, high = PITCH_RANGE_MM
    if len(pitch) != 2 or not all(low <= value <= high for value in pitch):
        return None, f"its PixelSpacing cannot be: ({', '.join(f'{value:g}' for value in pitch)}) mm"
    return (pitch[0], pitch[1]), None


# --- times and view ---


def _times(header: "Dataset", count: int) -> tuple[list[float | None], float | None]:
    """Milliseconds of each frame since the first, and frames per second; None where the file does not say."""
    steps = numbers_of(header, "FrameTimeVector")
    if steps is not None and (len(steps) != count or not all(0 <= step < math.inf for step in steps)):
        steps = None
    step = _positive(header, "FrameTime")
    pointer = header.get("FrameIncrementPointer")
    if step is not None and steps is not None and pointer == FRAME_TIME:
        steps = None
    if steps is not None and sum(steps[1:]) > 0:
        times = list(itertools.accumulate(steps[1:], initial=0.0))
        return [*times], 1000 * (count - 1) / times[-1]
    if step is None:
        rate = _positive(header, "CineRate") or _positive(header, "RecommendedDisplayFrameRate")
        step = 1000 / rate if rate else None
    if step is None:
        return [None] * count, None
    return [index * step for index in range(count)], 1000 / step


def _positive(header: "Dataset", name: str) -> float | None:
    value = number_of(header, name)
    return value if value is not None and 0 < value < math.inf else None


def _view(header: "Dataset") -> View | None:
    codes = header.get("ViewCodeSequence") or ()
    if not codes:
        return None
    scheme, value = (str(codes[0].get(name, "")).strip() for name in ("CodingSchemeDesignator", "CodeValue"))
    return VIEWS.get((scheme, value))


def _offsets(header: "Dataset") -> tuple[bytes, bytes] | None:
    table, lengths = header.get("ExtendedOffsetTable"), header.get("ExtendedOffsetTableLengths")
    return (table, lengths) if table and lengths else None


@contextmanager
def _named_damage(path: Path) -> Iterator[None]:
    """Whatever pydicom raises when damaged bytes are looked at, in our words: its own may quote the patient."""
    try:
        yield
    except UserError:
        raise
    except OSError as error:
        if error.errno is not None:
            raise
        raise bad_file(path, DAMAGED_HEADER, "an early end", COPY_AGAIN) from None
    except Exception as error:
        raise bad_file(path, DAMAGED_HEADER, type(error).__name__, COPY_AGAIN) from None


@contextmanager
def _quietly() -> Iterator[None]:
    """The library warns of what is unusual in a file and quotes it: not on a screen, and never a name of a patient."""
    logger = logging.getLogger("pydicom")
    level = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
