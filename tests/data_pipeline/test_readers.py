import gzip
import struct
from pathlib import Path

import cv2
import nibabel
import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from data_pipeline.readers.image import READERS, read_image, read_labels
from data_pipeline.readers.nifti import count_slices, read_nifti_volume, write_nifti
from shell.errors import UserError
from tests.data_pipeline.camus_files import speckle, write_metaimage

RAMP = np.arange(12, dtype=np.uint8).reshape(3, 4)  # 3 rows, 4 columns


# --- NIfTI ---


def test_nifti_is_transposed_to_row_col(tmp_path: Path):
    """A file written by hand as CAMUS has it: nibabel's array is (x, y), zooms are (x, y)."""
    image = nibabel.Nifti1Image(RAMP.T, np.eye(4))
    image.header.set_zooms((0.308, 0.154))
    nibabel.save(image, tmp_path / "frame.nii.gz")
    frame = read_image(tmp_path / "frame.nii.gz")
    np.testing.assert_array_equal(frame.array, RAMP)
    assert frame.array.dtype == np.float32
    assert frame.spacing_mm == (0.154, 0.308)


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_written_nifti_is_read_back(tmp_path: Path, suffix: str):
    path = tmp_path / f"frame{suffix}"
    write_nifti(path, RAMP, (0.3, 0.15))
    assert nibabel.load(path).shape == (4, 3)
    frame = read_image(path)
    np.testing.assert_array_equal(frame.array, RAMP)
    assert frame.spacing_mm == (0.3, 0.15)
    assert [one.name for one in tmp_path.iterdir()] == [path.name]


def test_the_same_frame_gives_the_same_bytes(tmp_path: Path):
    for name in ("a.nii.gz", "b.nii.gz"):
        write_nifti(tmp_path / name, RAMP, (0.3, 0.15))
    assert (tmp_path / "a.nii.gz").read_bytes() == (tmp_path / "b.nii.gz").read_bytes()


def test_writing_refuses_a_zero_pitch_and_leaves_nothing(tmp_path: Path):
    with pytest.raises(UserError, match=r"positive numbers of mm"):
        write_nifti(tmp_path / "frame.nii.gz", RAMP, (0.3, 0.0))
    assert list(tmp_path.iterdir()) == []


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    array=hnp.arrays(
        st.sampled_from([np.uint8, np.int16, np.uint16, np.float32]),
        hnp.array_shapes(min_dims=2, max_dims=2, max_side=9),
        elements=st.integers(0, 250),
    ),
    row=st.floats(0.0625, 5, width=32),
    col=st.floats(0.0625, 5, width=32),
)
def test_nifti_round_trip(tmp_path: Path, array: np.ndarray, row: float, col: float):
    path = tmp_path / "frame.nii.gz"
    write_nifti(path, array, (row, col))
    frame = read_image(path)
    np.testing.assert_array_equal(frame.array, array)
    assert frame.spacing_mm == pytest.approx((row, col), rel=1e-6)
    labels, pitch = read_labels(path)
    np.testing.assert_array_equal(labels, array)
    assert labels.dtype == np.uint8
    assert pitch == frame.spacing_mm


def test_trailing_axes_of_one_are_dropped(tmp_path: Path):
    nibabel.save(nibabel.Nifti1Image(RAMP.T[..., None, None], np.diag([0.3, 0.2, 1, 1])), tmp_path / "f.nii.gz")
    frame = read_image(tmp_path / "f.nii.gz")
    np.testing.assert_array_equal(frame.array, RAMP)
    assert frame.spacing_mm == (0.2, 0.3)


def test_nifti_2_and_big_endian(tmp_path: Path):
    nibabel.save(nibabel.Nifti2Image(RAMP.T, np.diag([0.3, 0.2, 1, 1])), tmp_path / "two.nii.gz")
    big = nibabel.Nifti1Image(RAMP.T.astype(">i2"), np.diag([0.3, 0.2, 1, 1]), nibabel.Nifti1Header(endianness=">"))
    nibabel.save(big, tmp_path / "big.nii")
    for name in ("two.nii.gz", "big.nii"):
        frame = read_image(tmp_path / name)
        np.testing.assert_array_equal(frame.array, RAMP)
        assert frame.spacing_mm == (0.2, 0.3)


def test_scaled_intensities_and_metres(tmp_path: Path):
    image = nibabel.Nifti1Image(RAMP.T, np.diag([0.0003, 0.0002, 1, 1]))
    image.header.set_xyzt_units("meter")
    image.header.set_slope_inter(2, 10)
    nibabel.save(image, tmp_path / "f.nii")
    content = bytearray((tmp_path / "f.nii").read_bytes())
    content[112:120] = struct.pack("<ff", 2.0, 10.0)  # scl_slope, scl_inter: nibabel resets them on saving
    (tmp_path / "f.nii").write_bytes(content)
    stored = nibabel.load(tmp_path / "f.nii").dataobj.get_unscaled()
    frame = read_image(tmp_path / "f.nii")
    np.testing.assert_allclose(frame.array, 2.0 * stored.T + 10.0)
    assert frame.spacing_mm == pytest.approx((0.2, 0.3))


@pytest.mark.parametrize(("axis", "value"), [(1, 0.0), (2, 0.0), (1, -0.3), (2, np.nan), (1, np.inf)])
def test_nifti_pitch_must_be_positive(tmp_path: Path, axis: int, value: float):
    path = tmp_path / "frame.nii"
    write_nifti(path, RAMP, (0.3, 0.15))
    content = bytearray(path.read_bytes())
    content[76 + 4 * axis : 80 + 4 * axis] = struct.pack("<f", value)  # pixdim
    path.write_bytes(content)
    with pytest.raises(
        UserError, match=r"frame\.nii: the pixel pitch must be two positive numbers of mm.*Received.*true pitch"
    ):
        read_image(path)


def test_nifti_volume_is_refused(tmp_path: Path):
    nibabel.save(nibabel.Nifti1Image(np.zeros((4, 3, 5), np.uint8), np.eye(4)), tmp_path / "volume.nii.gz")
    with pytest.raises(UserError, match=r"volume\.nii\.gz: one 2-D frame is needed.*5 × 3 × 4"):
        read_image(tmp_path / "volume.nii.gz")


@pytest.mark.parametrize("times", [1, 3])
@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_nifti_volume_is_transposed_to_time_slice_row_col(tmp_path: Path, times: int, suffix: str):
    """As nibabel has it: (x, y, z) or (x, y, z, t), zooms in the same order."""
    volume = np.arange(times * 5 * 3 * 4, dtype=np.int16).reshape(times, 5, 3, 4)
    path = tmp_path / f"volume{suffix}"
    image = nibabel.Nifti1Image(volume.T if times > 1 else volume[0].T, np.eye(4))
    image.header.set_zooms((0.308, 0.154, 10.0, 1.0)[: image.ndim])
    nibabel.save(image, path)
    read = read_nifti_volume(path)
    np.testing.assert_array_equal(read.array, volume)
    assert (read.spacing_mm, read.slice_distance_mm) == ((0.154, 0.308), 10.0)
    assert count_slices(path) == 5


@pytest.mark.parametrize(("axis", "message"), [(2, "the pixel pitch must be"), (3, "the distance of slices must be")])
def test_nifti_volume_pitch_and_distance_must_be_positive(tmp_path: Path, axis: int, message: str):
    image = nibabel.Nifti1Image(np.zeros((4, 3, 5), np.uint8), np.eye(4))
    image.header["pixdim"][axis] = 0.0
    (tmp_path / "volume.nii").write_bytes(image.to_bytes())
    with pytest.raises(UserError, match=rf"volume\.nii: {message}.*Received: .*0.*Write the true"):
        read_nifti_volume(tmp_path / "volume.nii")


@pytest.mark.parametrize("shape", [(4, 3), (4, 3, 5, 2, 2)])
def test_what_is_no_volume(tmp_path: Path, shape: tuple[int, ...]):
    nibabel.save(nibabel.Nifti1Image(np.zeros(shape, np.uint8), np.eye(4)), tmp_path / "a.nii.gz")
    for read in (read_nifti_volume, count_slices):
        with pytest.raises(UserError, match=r"a\.nii\.gz: a volume is needed, or a cine of volumes\. Received: 4 × 3"):
            read(tmp_path / "a.nii.gz")


@pytest.mark.parametrize("kept", [5, 30, -4])
def test_truncated_volume(tmp_path: Path, kept: int):
    path = tmp_path / "volume.nii.gz"
    nibabel.save(nibabel.Nifti1Image(np.random.default_rng(0).random((9, 9, 9)), np.eye(4)), path)
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(UserError, match=r"volume\.nii\.gz: the compressed file is damaged or truncated"):
        read_nifti_volume(path)


@pytest.mark.parametrize("kept", [5, 30, -4])
def test_truncated_gz(tmp_path: Path, kept: int):
    path = tmp_path / "frame.nii.gz"
    write_nifti(path, speckle("cut"), (0.3, 0.15))
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(UserError, match=r"frame\.nii\.gz: the compressed file is damaged or truncated"):
        read_image(path)


@pytest.mark.parametrize("kept", [3, 100, 350, -2])
def test_truncated_nii(tmp_path: Path, kept: int):
    path = tmp_path / "frame.nii"
    write_nifti(path, RAMP, (0.3, 0.15))
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(UserError, match=r"frame\.nii: not a complete NIfTI file"):
        read_image(path)


def test_pixels_that_would_be_header_bytes(tmp_path: Path):
    write_nifti(tmp_path / "frame.nii", RAMP, (0.3, 0.15))
    content = bytearray((tmp_path / "frame.nii").read_bytes())
    content[108:112] = struct.pack("<f", 100.0)  # vox_offset
    (tmp_path / "frame.nii").write_bytes(content)
    with pytest.raises(UserError, match="pixels come after the header"):
        read_image(tmp_path / "frame.nii")


def test_what_is_no_nifti(tmp_path: Path):
    (tmp_path / "a.nii").write_bytes(b"hello " * 100)
    (tmp_path / "b.nii.gz").write_bytes(b"hello " * 100)
    (tmp_path / "c.nii.gz").write_bytes(gzip.compress(b"hello " * 100))
    for name in ("a.nii", "b.nii.gz", "c.nii.gz"):
        with pytest.raises(UserError, match=name):
            read_image(tmp_path / name)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(position=st.integers(0, 400), value=st.integers(0, 255))
def test_a_damaged_nifti_byte_never_escapes_as_another_error(tmp_path: Path, position: int, value: int):
    path = tmp_path / "frame.nii"
    write_nifti(path, speckle("damage"), (0.3, 0.15))
    content = bytearray(path.read_bytes())
    content[position] = value
    path.write_bytes(content)
    # Either a frame, or one clear line; never a library's own error, and nothing logged beside it.
    try:
        frame = read_image(path)
    except UserError:
        return
    assert frame.array.ndim == 2
    assert np.isfinite(frame.array).all()


# --- MetaImage ---


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("suffix", [".mhd", ".mha"])
def test_metaimage_leading_axis_and_pitch(tmp_path: Path, suffix: str, compressed: bool):
    """(1, 3, 4) as SimpleITK has it, pitch (x, y, z) = (0.308, 0.154, 1)."""
    image = sitk.GetImageFromArray(RAMP[None])
    image.SetSpacing((0.308, 0.154, 1.0))
    sitk.WriteImage(image, str(tmp_path / f"frame{suffix}"), useCompression=compressed)
    frame = read_image(tmp_path / f"frame{suffix}")
    np.testing.assert_array_equal(frame.array, RAMP)
    assert frame.spacing_mm == (0.154, 0.308)


def test_metaimage_of_two_dimensions(tmp_path: Path):
    image = sitk.GetImageFromArray(RAMP.astype(np.int16))
    image.SetSpacing((0.308, 0.154))
    sitk.WriteImage(image, str(tmp_path / "frame.mhd"))
    frame = read_image(tmp_path / "frame.mhd")
    np.testing.assert_array_equal(frame.array, RAMP)
    assert frame.spacing_mm == (0.154, 0.308)


def change(path: Path, old: str, new: str) -> Path:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    return path


def test_metaimage_without_pitch_has_none(tmp_path: Path):
    write_metaimage(tmp_path / "f.mhd", RAMP)
    change(tmp_path / "f.mhd", "ElementSpacing = 0.308 0.154 1\n", "")
    assert read_image(tmp_path / "f.mhd").spacing_mm is None


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("0.308 0.154 1", "0 0.154 1", r"f\.mhd: `ElementSpacing` must be positive"),
        ("0.308 0.154 1", "-0.3 0.154 1", r"f\.mhd: `ElementSpacing` must be positive"),
        ("0.308 0.154 1", "nan 0.154 1", r"f\.mhd: `ElementSpacing` must be positive"),
        ("0.308 0.154 1", "0.308 0.154 0", r"f\.mhd: `ElementSpacing` must be positive"),
        ("0.308 0.154 1", "inf 0.154 1", r"f\.mhd: the pixel pitch must be two positive"),
        ("0.308 0.154 1", "0.308", r"f\.mhd: `ElementSpacing` must be positive"),
        ("0.308 0.154 1", "wide 0.154 1", r"f\.mhd: `ElementSpacing` must be numbers"),
        ("DimSize = 4 3 1", "DimSize = 4 x 1", r"f\.mhd: `DimSize` must be numbers"),
        ("DimSize = 4 3 1", "DimSize = 2 3 2", r"f\.mhd: one 2-D frame is needed.*2 × 3 × 2"),
        ("DimSize = 4 3 1", "DimSize = 12 1", r"f\.mhd: not a complete MetaImage"),
        ("DimSize = 4 3 1", "DimSize = 0 3 1", r"f\.mhd: the frame's size is impossible"),
        ("DimSize = 4 3 1", "DimSize = 99999 99999 1", r"f\.mhd: the frame's size is impossible"),
        ("DimSize = 4 3 1", "DimSize = 4 30 1", r"f\.raw: the pixel file is truncated.*12 bytes, 120 needed"),
        ("f.raw", "gone.raw", r"gone\.raw: no such file"),
        ("MET_UCHAR", "MET_WORD", r"f\.mhd: unknown `ElementType`.*MET_WORD"),
        ("ElementDataFile = f.raw", "", r"f\.mhd: not a MetaImage header.*ElementDataFile"),
    ],
)
def test_bad_metaimage(tmp_path: Path, old: str, new: str, message: str):
    write_metaimage(tmp_path / "f.mhd", RAMP)
    change(tmp_path / "f.mhd", old, new)
    with pytest.raises(UserError, match=message):
        read_image(tmp_path / "f.mhd")


def test_metaimage_of_bytes_that_are_no_text(tmp_path: Path):
    (tmp_path / "f.mhd").write_bytes(bytes(range(256)) * 4)
    with pytest.raises(UserError, match="not a MetaImage header"):
        read_image(tmp_path / "f.mhd")


def test_truncated_compressed_metaimage(tmp_path: Path):
    sitk.WriteImage(sitk.GetImageFromArray(speckle("z")[None]), str(tmp_path / "f.mha"), useCompression=True)
    (tmp_path / "f.mha").write_bytes((tmp_path / "f.mha").read_bytes()[:-20])
    with pytest.raises(UserError, match=r"f\.mha: not a complete MetaImage file"):
        read_image(tmp_path / "f.mha")


# --- Pictures ---


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".tif", ".tiff", ".PNG"])
def test_lossless_pictures(tmp_path: Path, suffix: str):
    picture = speckle(suffix, shape=(9, 7))
    path = tmp_path / f"frame{suffix}"
    path.write_bytes(cv2.imencode(suffix.lower(), picture)[1].tobytes())
    frame = read_image(path)
    np.testing.assert_array_equal(frame.array, picture)
    assert frame.spacing_mm is None
    labels, pitch = read_labels(path)
    np.testing.assert_array_equal(labels, picture)
    assert pitch is None


def test_jpeg_is_near(tmp_path: Path):
    ramp = np.tile(np.linspace(0, 255, 64, dtype=np.uint8), (48, 1))
    cv2.imwrite(str(tmp_path / "frame.jpg"), ramp)
    frame = read_image(tmp_path / "frame.jpg")
    assert frame.array.shape == (48, 64)
    assert np.abs(frame.array - ramp).max() <= 4


def test_16_bit_keeps_its_range(tmp_path: Path):
    cv2.imwrite(str(tmp_path / "frame.png"), RAMP.astype(np.uint16) * 5000)
    assert read_image(tmp_path / "frame.png").array.max() == 55000


def test_colour_becomes_luma_and_grey_colour_stays_exact(tmp_path: Path):
    colour = np.zeros((2, 3, 3), np.uint8)
    colour[:, 0, 2], colour[:, 1, 1], colour[:, 2, 0] = 200, 200, 200  # OpenCV writes blue, green, red
    cv2.imwrite(str(tmp_path / "colour.png"), colour)
    np.testing.assert_allclose(read_image(tmp_path / "colour.png").array[0], [59.8, 117.4, 22.8], rtol=1e-5)
    for channels in (3, 4):
        cv2.imwrite(str(tmp_path / "grey.png"), np.dstack([RAMP] * channels))
        np.testing.assert_array_equal(read_image(tmp_path / "grey.png").array, RAMP)


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".bmp", ".tif"])
@pytest.mark.parametrize("share", [0.02, 0.5, 0.9])
def test_truncated_pictures(tmp_path: Path, capfd: pytest.CaptureFixture[str], suffix: str, share: float):
    path = tmp_path / f"frame{suffix}"
    content = cv2.imencode(suffix, speckle("cut", shape=(64, 80)))[1].tobytes()
    path.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(UserError, match=rf"frame\{suffix}: .*Received"):
        read_image(path)
    assert capfd.readouterr().err == ""


def test_pages_are_refused(tmp_path: Path):
    cv2.imwritemulti(str(tmp_path / "frame.tif"), [RAMP, RAMP])
    with pytest.raises(UserError, match="2 pages"):
        read_image(tmp_path / "frame.tif")


# --- What holds for all ---


@pytest.mark.parametrize("suffix", READERS)
def test_missing_and_empty_files(tmp_path: Path, suffix: str):
    path = tmp_path / f"frame{suffix}"
    with pytest.raises(UserError, match=r"no such file"):
        read_image(path)
    path.write_bytes(b"")
    with pytest.raises(UserError, match=r"the file is empty"):
        read_image(path)


def test_unknown_suffix_and_folder(tmp_path: Path):
    (tmp_path / "frame.gif").write_bytes(b"GIF89a")
    with pytest.raises(UserError, match=r"frame\.gif: unknown kind of image file.*'\.gif'.*\.nii\.gz"):
        read_image(tmp_path / "frame.gif")
    with pytest.raises(UserError, match="a folder"):
        read_image(tmp_path)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_pixels_must_be_finite(tmp_path: Path, value: float):
    array = RAMP.astype(np.float32)
    array[1, 2] = value
    write_nifti(tmp_path / "f.nii.gz", array, (0.3, 0.15))
    write_metaimage(tmp_path / "f.mhd", array)
    for name in ("f.nii.gz", "f.mhd"):
        with pytest.raises(UserError, match=r"every pixel must be a finite number\. Received: 1 NaN or infinite"):
            read_image(tmp_path / name)
        with pytest.raises(UserError, match="label codes are whole numbers"):
            read_labels(tmp_path / name)


def test_complex_pixels(tmp_path: Path):
    nibabel.save(nibabel.Nifti1Image(RAMP.T.astype(np.complex64), np.eye(4)), tmp_path / "f.nii")
    with pytest.raises(UserError, match="real numbers"):
        read_image(tmp_path / "f.nii")


@pytest.mark.parametrize(("value", "received"), [(0.5, r"0\.5, 1 such"), (-1, "-1, 1 such"), (256, "256, 1 such")])
def test_label_codes(tmp_path: Path, value: float, received: str):
    array = RAMP.astype(np.float32)
    array[2, 3] = value
    write_nifti(tmp_path / "f.nii.gz", array, (0.3, 0.15))
    with pytest.raises(UserError, match=rf"whole numbers in 0\.\.255\. Received: {received}"):
        read_labels(tmp_path / "f.nii.gz")


def test_labels_are_neither_jpeg_nor_colour(tmp_path: Path):
    cv2.imwrite(str(tmp_path / "f.jpg"), RAMP)
    cv2.imwrite(str(tmp_path / "f.png"), np.dstack([RAMP] * 3))
    with pytest.raises(UserError, match="lossless"):
        read_labels(tmp_path / "f.jpg")
    with pytest.raises(UserError, match="one channel"):
        read_labels(tmp_path / "f.png")
