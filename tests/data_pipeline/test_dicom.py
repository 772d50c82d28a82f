"""DICOM files written by hand, pydicom's own, and the real ones: grey levels, region, pitch, times, view, bad files."""

import logging
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pydicom
import pytest
from pydicom import examples
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from data_pipeline.readers import dicom
from data_pipeline.readers.dicom import read_dicom
from data_pipeline.readers.frame import CineFrame, RawCine
from data_pipeline.sample import View
from shell.errors import UserError
from tests.data_pipeline.dicom_files import (
    BIRTH_DATE,
    JPEG_2000,
    JPEG_BASELINE,
    MPEG_4,
    PATIENT_ID,
    PATIENT_NAME,
    RLE,
    STRUCTURED_REPORT,
    code,
    region,
    write_dicom,
)

ROOT = Path(__file__).parents[2]
GREY = np.arange(2 * 6 * 8, dtype=np.uint8).reshape(2, 6, 8)
COLOUR = np.random.default_rng(5).integers(0, 256, (2, 6, 8, 3), dtype=np.uint8)
BT601 = np.array([0.299, 0.587, 0.114])


def images(cine: RawCine) -> npt.NDArray[np.float32]:
    frames = list(cine.frames)
    assert [frame.error for frame in frames] == [None] * len(frames)
    return np.stack([frame.image for frame in frames if frame.image is not None])


def jpeg(frame: npt.NDArray[np.uint8], quality: int = 95) -> bytes:
    done, content = cv2.imencode(".jpg", frame, [cv2.IMWRITE_JPEG_QUALITY, quality])
    assert done
    return content.tobytes()


# --- grey levels ---


@pytest.mark.parametrize(
    "syntax",
    [ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian, RLE],
)
@pytest.mark.parametrize("kind", [np.uint8, np.int8, np.uint16, np.int16])
def test_stored_numbers_stay_what_they_are(tmp_path: Path, syntax: str, kind: type) -> None:
    frames = (GREY * np.array(300 if np.dtype(kind).itemsize > 1 else 1, np.int64)).astype(kind)
    frames -= np.array(40 if np.dtype(kind).kind == "i" else 0, kind)
    if syntax == ExplicitVRBigEndian:
        path = write_dicom(tmp_path / "a.dcm", frames.astype(np.dtype(kind).newbyteorder(">")), syntax=syntax)
    else:
        path = write_dicom(tmp_path / "a.dcm", frames, syntax=syntax)
    cine = read_dicom(path)
    assert (cine.count, cine.is_still) == (2, False)
    read = images(cine)
    np.testing.assert_array_equal(read, frames.astype(np.float32))
    assert read.dtype == np.float32


def test_twelve_bits_in_sixteen(tmp_path: Path) -> None:
    """What stands above the stored bits is no part of the pixel."""
    frames = GREY.astype(np.uint16) * 40
    path = write_dicom(tmp_path / "a.dcm", frames | 0xF000, attributes={"BitsStored": 12, "HighBit": 11})
    np.testing.assert_array_equal(images(read_dicom(path)), frames)


def test_monochrome1_is_turned_round(tmp_path: Path) -> None:
    path = write_dicom(tmp_path / "a.dcm", GREY, photometric="MONOCHROME1")
    np.testing.assert_array_equal(images(read_dicom(path)), 255.0 - GREY)
    signed = GREY.astype(np.int16) - 40
    path = write_dicom(
        tmp_path / "b.dcm", signed, photometric="MONOCHROME1", attributes={"BitsStored": 12, "HighBit": 11}
    )
    np.testing.assert_array_equal(images(read_dicom(path)), -1.0 - signed)  # −2048 and 2047 change places


def test_rescale(tmp_path: Path) -> None:
    rescale = {"RescaleSlope": "0.5", "RescaleIntercept": "-10"}
    path = write_dicom(tmp_path / "a.dcm", GREY, attributes=rescale)
    np.testing.assert_array_equal(images(read_dicom(path)), GREY * 0.5 - 10)
    path = write_dicom(tmp_path / "b.dcm", GREY, photometric="MONOCHROME1", attributes=rescale)
    np.testing.assert_array_equal(images(read_dicom(path)), (255 - GREY) * 0.5 - 10)


def test_a_display_window_changes_nothing(tmp_path: Path) -> None:
    path = write_dicom(tmp_path / "a.dcm", GREY, attributes={"WindowCenter": "10", "WindowWidth": "5"})
    np.testing.assert_array_equal(images(read_dicom(path)), GREY)


@pytest.mark.parametrize(
    ("syntax", "planar"),
    [(ExplicitVRLittleEndian, 0), (ExplicitVRLittleEndian, 1), (ImplicitVRLittleEndian, 1), (RLE, 0)],
)
def test_colour_becomes_luma(tmp_path: Path, syntax: str, planar: int) -> None:
    attributes = {"PlanarConfiguration": planar}
    path = write_dicom(tmp_path / "a.dcm", COLOUR, photometric="RGB", syntax=syntax, attributes=attributes)
    np.testing.assert_allclose(images(read_dicom(path)), COLOUR @ BT601, atol=1e-4)


def test_grey_in_colour_stays_exact(tmp_path: Path) -> None:
    path = write_dicom(tmp_path / "a.dcm", np.repeat(GREY[..., np.newaxis], 3, axis=3), photometric="RGB")
    np.testing.assert_array_equal(images(read_dicom(path)), GREY)


def test_ybr_full_is_y(tmp_path: Path) -> None:
    path = write_dicom(tmp_path / "a.dcm", COLOUR, photometric="YBR_FULL")
    np.testing.assert_array_equal(images(read_dicom(path)), COLOUR[..., 0])


def test_uncompressed_ybr_full_422(tmp_path: Path) -> None:
    """Y Y Cb Cr of two pixels side by side."""
    path = write_dicom(tmp_path / "a.dcm", COLOUR, photometric="YBR_FULL_422")
    header = pydicom.dcmread(path)
    pairs = np.stack([GREY[..., ::2], GREY[..., 1::2], GREY[..., ::2] // 2, GREY[..., ::2] // 3], axis=-1)
    header.PixelData = pairs.tobytes()
    header.save_as(path)
    np.testing.assert_array_equal(images(read_dicom(path)), GREY)


def palette(bits: int, colours: npt.NDArray[np.integer[Any]], first: int = 0) -> dict[str, Any]:
    attributes: dict[str, Any] = {}
    for channel, name in enumerate(("Red", "Green", "Blue")):
        attributes[f"{name}PaletteColorLookupTableDescriptor"] = [len(colours), first, bits]
        table = colours[:, channel].astype(np.uint8 if bits == 8 else np.uint16)
        attributes[f"{name}PaletteColorLookupTableData"] = table.tobytes()
    return attributes


@pytest.mark.parametrize("bits", [8, 16])
def test_palette_of_8_and_16_bits(tmp_path: Path, bits: int) -> None:
    """Entries 0..255 or 0..65535 both become 0..255; indices beyond the table take its last colour."""
    colours = np.random.default_rng(6).integers(0, 256, (64, 3))
    attributes = palette(bits, colours * (1 if bits == 8 else 257))
    path = write_dicom(tmp_path / "a.dcm", GREY, photometric="PALETTE COLOR", attributes=attributes)
    expected = (colours @ BT601)[np.minimum(GREY, 63)]
    np.testing.assert_allclose(images(read_dicom(path)), expected, atol=1e-4)


def test_a_palette_of_8_bit_colours_that_says_16(tmp_path: Path) -> None:
    colours = np.repeat(np.arange(256)[:, np.newaxis], 3, axis=1)
    path = write_dicom(tmp_path / "a.dcm", GREY, photometric="PALETTE COLOR", attributes=palette(16, colours))
    np.testing.assert_array_equal(images(read_dicom(path)), GREY)


def test_jpeg(tmp_path: Path) -> None:
    """Smooth frames: JPEG keeps them to two grey levels."""
    ramp = np.add.outer(np.arange(32), np.arange(48)).astype(np.uint8)
    frames = np.stack([ramp, ramp + 60])
    path = write_dicom(tmp_path / "a.dcm", frames, syntax=JPEG_BASELINE, coded=[jpeg(frame) for frame in frames])
    np.testing.assert_allclose(images(read_dicom(path)), frames, atol=2)


@pytest.mark.parametrize(
    "name",
    [
        "SC_rgb_dcmtk_+eb+cr.dcm",
        "SC_rgb_dcmtk_+eb+cy+n1.dcm",
        "SC_rgb_dcmtk_+eb+cy+np.dcm",
        "SC_rgb_dcmtk_+eb+cy+s4.dcm",
        "SC_rgb_gdcm_KY.dcm",
        "SC_rgb_jls_lossy_line.dcm",
        "SC_rgb_jpeg_gdcm.dcm",
        "SC_rgb_jpeg_lossy_gdcm.dcm",
        "SC_rgb_rle.dcm",
        "SC_ybr_full_422_uncompressed.dcm",
        "examples_jpeg2k.dcm",
        "MR_small_jp2klossless.dcm",
        "MR_small_jpeg_ls_lossless.dcm",
        "MR_small_RLE.dcm",
        "J2K_pixelrep_mismatch.dcm",
    ],
)
def test_pydicoms_own_files_are_read_as_pydicom_does(name: str) -> None:
    """Codecs, colour spaces and byte orders of many writers; pydicom's way is RGB by whatever decoder, then luma."""
    path = Path(pydicom.__file__).parent / "data" / "test_files" / name
    expected = pydicom.dcmread(path).pixel_array.astype(np.float64)
    if expected.ndim == 3:
        expected = expected @ BT601
    else:
        header = pydicom.dcmread(path, stop_before_pixels=True)
        expected = expected * float(header.get("RescaleSlope", 1)) + float(header.get("RescaleIntercept", 0))
    (image,) = images(read_dicom(path))
    assert np.abs(image - expected).mean() < 0.6
    assert np.abs(image - expected).max() < 12  # of saturated colours, which lie outside RGB


# --- frames ---


def test_frames_are_decoded_as_they_are_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    decoded = []
    decode = dicom._decode
    monkeypatch.setattr(dicom, "_decode", lambda *given: decoded.append(1) or decode(*given))
    cine = read_dicom(write_dicom(tmp_path / "a.dcm", GREY))
    assert decoded == []
    next(cine.frames)
    assert decoded == [1]


def test_a_broken_frame_in_the_middle(tmp_path: Path) -> None:
    """It is marked in its place; those after it are read."""
    ramp = np.add.outer(np.arange(32), np.arange(48)).astype(np.uint8)
    coded = [jpeg(ramp), b"\xff\xd8 no picture \xff\xd9", jpeg(ramp)[:-20], jpeg(ramp)]
    path = write_dicom(
        tmp_path / "a.dcm",
        np.stack([ramp] * 4),
        syntax=JPEG_BASELINE,
        coded=coded,
        attributes={"FrameTime": "20"},
    )
    frames = list(read_dicom(path).frames)
    assert [frame.image is None for frame in frames] == [False, True, True, False]
    assert [frame.time_ms for frame in frames] == [0, 20, 40, 60]
    assert str(frames[1].error).startswith("it cannot be decoded (")
    assert frames[2].error == "it cannot be decoded (no end mark)"
    np.testing.assert_allclose(frames[3].image, ramp, atol=2)


@pytest.mark.parametrize("marker", [b"", b"\xff\xee\x00\x0eAdobe\x00d\x00\x00\x00\x00\x00"])
def test_a_jpeg_of_rgb(tmp_path: Path, marker: bytes) -> None:
    """Three samples without a marker of their colours: the header says that they are red, green and blue."""
    flat = np.empty((16, 16, 3), np.uint8)
    flat[:] = (10, 200, 60)  # blue, green, red for OpenCV, which writes Y, Cb and Cr of them
    content = jpeg(flat, 100)
    start = content.index(b"\xff\xe0")
    bare = content[:start] + marker + content[start + 18 :]  # without its JFIF marker
    y, cb, cr = cv2.cvtColor(flat[:1, :1], cv2.COLOR_BGR2YCrCb)[0, 0][[0, 2, 1]].astype(float)
    frames = np.zeros((1, 16, 16, 3), np.uint8)
    path = write_dicom(tmp_path / "a.dcm", frames, photometric="RGB", syntax=JPEG_BASELINE, coded=[bare])
    (image,) = images(read_dicom(path))
    np.testing.assert_allclose(image, 0.299 * y + 0.587 * cb + 0.114 * cr, atol=1.5)
    path = write_dicom(tmp_path / "b.dcm", frames, photometric="YBR_FULL", syntax=JPEG_BASELINE, coded=[content])
    (image,) = images(read_dicom(path))
    np.testing.assert_allclose(image, y, atol=1.5)


def test_several_fragments_of_a_frame(tmp_path: Path) -> None:
    ramp = np.add.outer(np.arange(32), np.arange(48)).astype(np.uint8)
    path = write_dicom(tmp_path / "a.dcm", ramp[np.newaxis], syntax=JPEG_BASELINE, coded=[jpeg(ramp)])
    header = pydicom.dcmread(path)
    header.PixelData = pydicom.encaps.encapsulate([jpeg(ramp)], fragments_per_frame=3, has_bot=False)
    header.save_as(path)
    (image,) = images(read_dicom(path))
    np.testing.assert_allclose(image, ramp, atol=2)


# --- region and pitch ---


def test_the_frame_is_cut_to_the_b_mode_region(tmp_path: Path) -> None:
    path = write_dicom(tmp_path / "a.dcm", GREY, regions=[region((1, 4), (2, 6))])
    cine = read_dicom(path)
    assert cine.region == (1, 5, 2, 7)
    assert cine.spacing_mm == pytest.approx((0.3, 0.2))  # 0.03 cm down, 0.02 cm across
    np.testing.assert_array_equal(images(cine), GREY[:, 1:5, 2:7])


def test_the_trap_of_the_halved_file() -> None:
    """A real echo cine whose region lies outside its frame: no mm, and why."""
    cine = read_dicom(Path(examples.get_path("ybr_color")))
    assert cine.spacing_mm is None
    assert "rows 31 to 414 and columns 84 to 595, does not fit the frame of 240 × 320" in str(cine.spacing_note)
    assert cine.region is None
    frames = list(cine.frames)
    assert len(frames) == cine.count == 30
    assert cine.frame_rate_hz == pytest.approx(30.0, abs=0.001)
    assert frames[29].time_ms == pytest.approx(29 * 33.333)


def test_zero_delta(tmp_path: Path) -> None:
    cine = read_dicom(write_dicom(tmp_path / "a.dcm", GREY, regions=[region((1, 4), (2, 6), (0.0, 0.0))]))
    assert cine.spacing_mm is None
    assert cine.spacing_note == "the pixel pitch of the B-mode region cannot be: (0, 0) mm"


def test_a_region_without_place_is_refused(tmp_path: Path) -> None:
    bad = region((1, 4), (2, 6))
    del bad.RegionLocationMaxX1
    with pytest.raises(UserError, match="an ultrasound region tells its place and kind"):
        read_dicom(write_dicom(tmp_path / "a.dcm", GREY, regions=[bad]))


def test_pixel_spacing_where_there_are_no_regions(tmp_path: Path) -> None:
    cine = read_dicom(write_dicom(tmp_path / "a.dcm", GREY, attributes={"PixelSpacing": [1.5, 1.25]}))
    assert (cine.spacing_mm, cine.spacing_note) == ((1.5, 1.25), None)  # row first
    cine = read_dicom(write_dicom(tmp_path / "b.dcm", GREY, attributes={"PixelSpacing": [0, 0]}))
    assert (cine.spacing_mm, cine.spacing_note) == (None, "its PixelSpacing cannot be: (0, 0) mm")


def test_pixel_spacing_does_not_stand_in_for_a_region_that_is_wrong(tmp_path: Path) -> None:
    cine = read_dicom(
        write_dicom(
            tmp_path / "a.dcm", GREY, regions=[region((1, 40), (2, 60))], attributes={"PixelSpacing": [1.5, 1.25]}
        )
    )
    assert cine.spacing_mm is None


def test_pixel_spacing_of_all_frames_together(tmp_path: Path) -> None:
    measures, group = pydicom.Dataset(), pydicom.Dataset()
    measures.PixelSpacing = [1.5, 1.25]
    group.PixelMeasuresSequence = [measures]
    cine = read_dicom(write_dicom(tmp_path / "a.dcm", GREY, attributes={"SharedFunctionalGroupsSequence": [group]}))
    assert cine.spacing_mm == (1.5, 1.25)


def test_only_the_shape_of_the_pixels(tmp_path: Path) -> None:
    cine = read_dicom(write_dicom(tmp_path / "a.dcm", GREY, attributes={"PixelAspectRatio": ["4", "3"]}))
    assert cine.spacing_mm is None
    assert "4:3" in str(cine.spacing_note)


def test_nothing_is_guessed(tmp_path: Path) -> None:
    attributes = {"ImagerPixelSpacing": [0.3, 0.3], "NominalScannedPixelSpacing": [0.3, 0.3]}
    cine = read_dicom(write_dicom(tmp_path / "a.dcm", GREY, attributes=attributes))
    assert (cine.spacing_mm, cine.view, cine.frame_rate_hz) == (None, None, None)


# --- times and view ---


@pytest.mark.parametrize(
    ("attributes", "times", "rate"),
    [
        ({}, [None] * 4, None),
        ({"FrameTime": "20"}, [0, 20, 40, 60], 50),
        ({"FrameTimeVector": [0, 10, 20, 30]}, [0, 10, 30, 60], 50),
        ({"FrameTimeVector": [0, 10, 20, 30], "FrameTime": "5"}, [0, 10, 30, 60], 50),
        (
            {"FrameTimeVector": [0, 10, 20, 30], "FrameTime": "5", "FrameIncrementPointer": 0x00181063},
            [0, 5, 10, 15],
            200,
        ),
        ({"FrameTimeVector": [0, 10]}, [None] * 4, None),  # of another number of frames
        ({"FrameTimeVector": [0, -10, 20, 30], "CineRate": "40"}, [0, 25, 50, 75], 40),
        ({"CineRate": "40"}, [0, 25, 50, 75], 40),
        ({"RecommendedDisplayFrameRate": "25"}, [0, 40, 80, 120], 25),
        ({"FrameTime": "0", "CineRate": "0"}, [None] * 4, None),
    ],
)
def test_times(tmp_path: Path, attributes: dict[str, Any], times: list[float | None], rate: float | None) -> None:
    cine = read_dicom(write_dicom(tmp_path / "a.dcm", np.concatenate([GREY, GREY]), attributes=attributes))
    assert cine.frame_rate_hz == (None if rate is None else pytest.approx(rate))
    assert [frame.time_ms for frame in cine.frames] == times


@pytest.mark.parametrize(
    ("codes", "view"),
    [
        (code("SCT", "399214001"), View.A4C),
        (code("SCT", "399232001"), View.A2C),
        (code("SRT", "G-0395"), View.A3C),
        (code("SCT", "399139001"), None),  # parasternal long axis
        (code("99LOCAL", "399214001"), None),
    ],
)
def test_the_coded_view(tmp_path: Path, codes: Sequence[Any], view: View | None) -> None:
    attributes = {"ViewCodeSequence": codes, "PatientOrientation": ["L", "F"], "SeriesDescription": "A2C"}
    assert read_dicom(write_dicom(tmp_path / "a.dcm", GREY, attributes=attributes)).view == view


# --- patients ---


def test_no_word_of_the_patient_is_read(tmp_path: Path) -> None:
    assert not [name for name in dicom.TAGS if name.startswith(("Patient", "Study", "Institution", "Other"))]
    path = write_dicom(tmp_path / "a.dcm", GREY, regions=[region((1, 4), (2, 6))])
    cine = read_dicom(path)
    shown = repr(cine) + repr([frame for frame in cine.frames if frame.error])
    for secret in (PATIENT_NAME, PATIENT_ID, BIRTH_DATE):
        assert secret not in shown


def test_what_pydicom_thinks_of_a_file_stays_unsaid(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    """Its warnings quote the file; here they would be errors too."""
    path = write_dicom(tmp_path / "a.dcm", GREY, attributes={"CineRate": "40"})
    content = path.read_bytes().replace(b"Secret^Name", b"Secret\xff\xfeame")
    path.write_bytes(content.replace(b"IS\x02\x0040", b"IS\x02\x004x"))
    level = logging.getLogger("pydicom").level
    assert read_dicom(path).frame_rate_hz is None
    assert logging.getLogger("pydicom").level == level
    assert capfd.readouterr() == ("", "")
    assert caplog.records == []


# --- bad files ---


def refused(path: Path) -> str:
    """The complaint: it names the file first."""
    with pytest.raises(UserError) as caught:
        list(read_dicom(path).frames)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    return message.removeprefix(f"{path}: ")


def test_not_dicom(tmp_path: Path) -> None:
    path = tmp_path / "a.dcm"
    path.write_bytes(b"\x89PNG" + bytes(500))
    assert refused(path) == (
        "not a DICOM file. Received: no DICM mark after the preamble. Check what it is, or export it as DICOM."
    )
    path.write_bytes(b"")
    assert "the file is empty" in refused(path)
    assert "no such file" in refused(tmp_path / "b.dcm")


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
def test_truncated_in_the_pixels(tmp_path: Path, syntax: str) -> None:
    path = write_dicom(tmp_path / "a.dcm", GREY, syntax=syntax)
    path.write_bytes(path.read_bytes()[:-10])
    assert refused(path) == (
        "the pixels are truncated. Received: 86 bytes of pixels, 96 needed. Copy or export the file again."
    )


def test_truncated_in_compressed_pixels(tmp_path: Path) -> None:
    path = write_dicom(tmp_path / "a.dcm", GREY, syntax=JPEG_BASELINE, coded=[jpeg(frame) for frame in GREY])
    path.write_bytes(path.read_bytes()[:-100])
    message = refused(path)
    assert message.startswith("the compressed pixels are truncated. Received: an item of ")
    assert message.endswith(" Copy or export the file again.")


def test_fewer_frames_than_stated(tmp_path: Path) -> None:
    path = write_dicom(tmp_path / "a.dcm", GREY, attributes={"NumberOfFrames": 3})
    assert "96 bytes of pixels, 144 needed" in refused(path)
    path = write_dicom(tmp_path / "b.dcm", GREY, syntax=JPEG_BASELINE, coded=[jpeg(GREY[0])])
    assert "compressed pixels come in an item per frame or more. Received: 1 for 2" in refused(path)


def test_truncated_in_the_header(tmp_path: Path) -> None:
    """Wherever it breaks off, it is one of our messages."""
    path = write_dicom(tmp_path / "a.dcm", GREY, regions=[region((1, 4), (2, 6))])
    content = path.read_bytes()
    end = content.index(GREY.tobytes())
    for length in range(133, end, 7):
        path.write_bytes(content[:length])
        message = refused(path)
        assert PATIENT_ID not in message
        assert message.endswith((" Copy or export the file again.", "that holds the images.", "Export it again."))


@pytest.mark.parametrize("value", [0, 0x7F, 0xFF])
def test_a_damaged_byte_of_the_header_never_escapes_as_another_error(tmp_path: Path, value: int) -> None:
    path = write_dicom(tmp_path / "a.dcm", GREY, regions=[region((1, 4), (2, 6))])
    content = path.read_bytes()
    for place in range(132, content.index(GREY.tobytes()), 5):
        path.write_bytes(content[:place] + bytes([value]) + content[place + 1 :])
        with suppress(UserError):
            for frame in read_dicom(path).frames:
                assert isinstance(frame, CineFrame)


def test_no_pixels(tmp_path: Path) -> None:
    path = write_dicom(tmp_path / "a.dcm", None)
    assert refused(path) == (
        "the file ends before its pixels. Received: Ultrasound Multi-frame Image Storage. "
        "Copy or export the file again."
    )


def test_a_structured_report(tmp_path: Path) -> None:
    path = write_dicom(tmp_path / "a.dcm", None, sop_class=STRUCTURED_REPORT)
    assert refused(path) == (
        "a DICOM image is needed. Received: Comprehensive SR Storage. Give the file that holds the images."
    )


def test_no_decoder_for_the_coding(tmp_path: Path) -> None:
    path = write_dicom(tmp_path / "a.dcm", GREY, syntax=MPEG_4, coded=[b"12", b"34"])
    assert refused(path) == (
        "nothing here decodes these pixels. Received: MPEG-4 AVC/H.264 High Profile / Level 4.1, 8 bits. "
        "Export the file uncompressed, as JPEG, or as a video."
    )


def test_a_decoder_that_is_not_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_dicom(tmp_path / "a.dcm", GREY, syntax=JPEG_2000, coded=[b"12", b"34"])
    monkeypatch.setattr("pydicom.pixels.decoders.base.Decoder.is_available", False)
    assert refused(path) == (
        "GDCM is needed to decode the pixels. Received: JPEG 2000 Image Compression. "
        "Install it with `pip install python-gdcm`, or export the file uncompressed."
    )


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        ({"PhotometricInterpretation": "HSV"}, "the kind of colour is not known here. Received: HSV. Known: MONO"),
        ({"SamplesPerPixel": 3, "PlanarConfiguration": 0}, "MONOCHROME2 has 1 samples. Received: 3."),
        ({"BitsStored": 12}, "Received: 12 bits in 8"),
        ({"BitsStored": 6, "HighBit": 7}, "Received: 6 bits in 8, the highest 7. Export as 8 bit."),
        ({"BitsAllocated": 32}, "a pixel has 8 or 16 bits"),
        ({"Rows": 0}, "the frame's size is impossible. Received: 0 × 8 pixels."),
        ({"RescaleSlope": "0"}, "the slope is not 0. Received: slope 0, intercept 0."),
        ({"PhotometricInterpretation": "PALETTE COLOR"}, "the palette of a PALETTE COLOR image is complete."),
    ],
)
def test_headers_that_contradict_themselves(tmp_path: Path, attributes: dict[str, Any], message: str) -> None:
    path = write_dicom(tmp_path / "a.dcm", GREY)
    header = pydicom.dcmread(path)
    for name, value in attributes.items():
        setattr(header, name, value)
    header.save_as(path)
    assert message in refused(path)


def test_reading_other_files_imports_no_pydicom() -> None:
    code = (
        "import sys, cart.frames, cart.records, data_pipeline.readers.cine\n"
        "print(sorted({'pydicom', 'gdcm', 'nibabel', 'SimpleITK'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# --- the real files ---


@pytest.fixture(scope="module")
def real_files(real_data: Path) -> Path:
    folder = real_data / "dicom_us"
    if not folder.is_dir():
        pytest.skip(f"no real DICOM files at {folder}")
    return folder


@pytest.mark.data
@pytest.mark.parametrize(
    ("name", "count", "shape", "spacing_mm", "note"),
    [
        ("JPGLosslessP14SV1_1s_1f_8b.dcm", 1, (721, 997), 0.25477, None),
        ("OBXXXX1A.dcm", 1, (459, 680), 0.26229, None),
        ("OBXXXX1A_2frame.dcm", 2, (459, 680), 0.26229, None),
        ("color-pl.dcm", 1, (120, 256), None, "only the shape of its pixels is stated, 4:3"),
        ("examples_palette.dcm", 1, (350, 800), None, "does not fit the frame of 350 × 800"),
        ("examples_rgb_color.dcm", 1, (240, 320), None, None),
        ("examples_ybr_color.dcm", 30, (240, 320), None, "does not fit the frame of 240 × 320"),
        ("gdcm-US-ALOKA-16.dcm", 1, (480, 640), 0.38265, None),
    ],
)
def test_real_ultrasound(
    real_files: Path,
    name: str,
    count: int,
    shape: tuple[int, int],
    spacing_mm: float | None,
    note: str | None,
) -> None:
    cine = read_dicom(real_files / name)
    read = images(cine)
    assert read.shape == (count, *shape)
    assert 0 <= read.min() < read.max() <= 255
    assert cine.spacing_mm == (None if spacing_mm is None else pytest.approx((spacing_mm, spacing_mm), rel=1e-4))
    assert (note or "") in (cine.spacing_note or "")
    assert (cine.spacing_note is None) == (note is None)
    assert cine.is_still == (count == 1)


@pytest.mark.data
def test_two_sectors_side_by_side_are_not_cut(real_files: Path) -> None:
    cine = read_dicom(real_files / "gdcm-US-ALOKA-16.dcm")
    assert cine.region is None
    assert cine.region_note == "2 B-mode images share the frame, and it is not said which is meant"
