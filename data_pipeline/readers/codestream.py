"""What a JPEG, JPEG-LS or JPEG 2000 stream says of itself, read before a decoder sees it.

GDCM ends the whole process when a stream and the DICOM header disagree on size or depth, as they do after damage.
"""

import struct
from dataclasses import dataclass

JPEG_START, JPEG_2000_START = b"\xff\xd8", b"\xff\x4f\xff\x51"
JP2_START, WITHIN = b"\0\0\0\x0cjP  ", 4096
"""A whole JP2 file instead of its stream, as some writers have it: the stream begins within so many bytes."""

SIZ = struct.Struct(">HHIIIIIIIIHB")  # Lsiz, Rsiz, Xsiz, Ysiz, XOsiz, YOsiz, tiles (4), Csiz, Ssiz of the first
FRAME_HEADERS = frozenset({0xC0, 0xC1, 0xC2, 0xC3, 0xC5, 0xC6, 0xC7, 0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF, 0xF7})
"""Second bytes of the markers before size and depth; F7 is JPEG-LS."""

SCAN = 0xDA


@dataclass(frozen=True)
class StreamSize:
    """Size and depth by a stream's own header.

    Attributes:
        rows, columns: pixels.
        samples: of a pixel.
        bits: of a sample.
    """

    rows: int
    columns: int
    samples: int
    bits: int


def stream_size(content: bytes) -> StreamSize:
    """Reads the header of a stream.

    Raises:
        ValueError: it is none, or breaks off.
    """
    if content.startswith(JP2_START):
        content = content[max(0, content.find(JPEG_2000_START, 0, WITHIN)) :]
    try:
        if content.startswith(JPEG_2000_START):
            _, _, right, bottom, left, top, *_, samples, depth = SIZ.unpack_from(content, len(JPEG_2000_START))
            return StreamSize(bottom - top, right - left, samples, (depth & 0x7F) + 1)
        if content.startswith(JPEG_START):
            return _jpeg_size(content)
    except struct.error:
        raise ValueError("its header breaks off") from None
    raise ValueError("no start mark")


def _jpeg_size(content: bytes) -> StreamSize:
    place = len(JPEG_START)
    while True:
        mark, kind, length = struct.unpack_from(">BBH", content, place)
        if mark != 0xFF or kind == SCAN or length < 2:
            raise ValueError("its header is damaged")
        if kind in FRAME_HEADERS:
            bits, rows, columns, samples = struct.unpack_from(">BHHB", content, place + 4)
            return StreamSize(rows, columns, samples, bits)
        place += 2 + length
