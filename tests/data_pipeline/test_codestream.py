"""Size and depth by the streams' own headers."""

import struct

import cv2
import numpy as np
import pytest

from data_pipeline.readers.codestream import StreamSize, stream_size

SIZ = b"\xff\x4f\xff\x51" + struct.pack(">HHIIIIIIIIHB", 41, 0, 50, 40, 2, 10, 50, 40, 0, 0, 1, 0x80 | 11)
JPEG_LS = b"\xff\xd8\xff\xf7" + struct.pack(">HBHHB", 11, 12, 30, 48, 3)


@pytest.mark.parametrize("samples", [1, 3])
def test_a_jpeg(samples: int) -> None:
    picture = np.zeros((30, 48) if samples == 1 else (30, 48, 3), np.uint8)
    assert stream_size(cv2.imencode(".jpg", picture)[1].tobytes()) == StreamSize(30, 48, samples, 8)


def test_jpeg_2000_and_jpeg_ls() -> None:
    """40 − 10 rows, 50 − 2 columns; the highest bit of the depth is the sign."""
    assert stream_size(SIZ) == StreamSize(30, 48, 1, 12)
    assert stream_size(b"\0\0\0\x0cjP  \r\n" + bytes(60) + SIZ) == StreamSize(30, 48, 1, 12)
    assert stream_size(JPEG_LS) == StreamSize(30, 48, 3, 12)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "no start mark"),
        (b"no picture", "no start mark"),
        (b"\0\0\0\x0cjP  \r\n" + bytes(60), "no start mark"),
        (SIZ[:20], "breaks off"),
        (JPEG_LS[:9], "breaks off"),
        (b"\xff\xd8\xff\xda\x00\x08", "damaged"),
        (b"\xff\xd8\xff\xe0\x00\x00\x00\x00", "damaged"),
    ],
)
def test_no_stream(content: bytes, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        stream_size(content)
