"""`read_frames` of every kind of file, and one record per frame: DICOM, video, CAMUS sequence, single image."""

import json
from collections.abc import Sequence
from pathlib import Path

import cv2
import nibabel
import numpy as np
import pytest

from cart.frames import BrokenFrame, Frame, FrameSource, read_frames
from cart.records import Record, csv_row, measure_files, summary_line
from data_pipeline.readers.nifti import write_nifti
from data_pipeline.sample import Phase, View
from shell.errors import UserError
from tests.cart.drawn import SIDE, heart, network, spec
from tests.data_pipeline.dicom_files import JPEG_BASELINE, PATIENT_ID, PATIENT_NAME, code, region, write_dicom
from tests.data_pipeline.video_files import break_frame, ramp_frames, write_video

HEART = heart().astype(np.uint8)
TOP, LEFT = 20, 30


def sound(source: FrameSource) -> list[Frame]:
    frames = list(source.frames)
    assert not [frame for frame in frames if isinstance(frame, BrokenFrame)]
    return [frame for frame in frames if isinstance(frame, Frame)]


def screen(frames: Sequence[np.ndarray]) -> np.ndarray:
    """Hearts on a larger screen with a bright ECG line below them, as a cart exports them."""
    whole = np.zeros((len(frames), 150, 200), np.uint8)
    whole[:, TOP : TOP + SIDE, LEFT : LEFT + SIDE] = frames
    whole[:, 130:134] = 255
    return whole


B_MODE = region((TOP, TOP + SIDE - 1), (LEFT, LEFT + SIDE - 1), (0.05, 0.05))


def write_sequence(path: Path, frames: np.ndarray) -> Path:
    image = nibabel.Nifti1Image(frames.transpose(2, 1, 0), np.eye(4))
    image.header.set_zooms((0.308, 0.154, 1.0))
    nibabel.save(image, path)
    return path


# --- reading ---


def test_a_dicom_cine(tmp_path: Path) -> None:
    path = write_dicom(
        tmp_path / "IM_0001",  # as it comes from a cart: without a suffix
        screen([HEART, HEART // 2]),
        regions=[B_MODE],
        attributes={"FrameTime": "20", "ViewCodeSequence": code("SCT", "399214001")},
    )
    source = read_frames(path)
    assert (source.count, source.frame_rate_hz, source.is_cine) == (2, 50, True)
    first, second = sound(source)
    assert (first.index, first.time_ms, second.index, second.time_ms) == (0, 0, 1, 20)
    assert (first.view, first.phase, first.path) == (View.A4C, None, path)
    assert first.spacing_mm == pytest.approx((0.5, 0.5))
    assert first.region == (TOP, TOP + SIDE, LEFT, LEFT + SIDE)
    assert first.origin_px == (TOP, LEFT)
    np.testing.assert_array_equal(first.image, HEART)
    np.testing.assert_array_equal(second.image, HEART // 2)


def test_a_dicom_still_is_no_cine(tmp_path: Path) -> None:
    path = write_dicom(tmp_path / "a.dcm", screen([HEART]), attributes={"FrameTime": "20"})
    source = read_frames(path)
    (frame,) = sound(source)
    assert (source.count, source.is_cine, source.frame_rate_hz) == (1, False, None)
    assert (frame.index, frame.time_ms, frame.region, frame.origin_px) == (None, None, None, (0, 0))


def test_a_dicom_still_that_is_damaged_is_an_error(tmp_path: Path) -> None:
    path = write_dicom(tmp_path / "a.dcm", screen([HEART]), syntax=JPEG_BASELINE, coded=[b"\xff\xd8 none \xff\xd9"])
    with pytest.raises(UserError, match=r"a\.dcm: its only frame is damaged\. Received: it cannot be decoded \("):
        read_frames(path)


def test_the_user_overrides_a_header(tmp_path: Path) -> None:
    path = write_dicom(
        tmp_path / "a.dcm",
        screen([HEART]),
        regions=[region((0, 500), (0, 500))],
        attributes={"ViewCodeSequence": code("SCT", "399214001")},
    )
    (frame,) = sound(read_frames(path))
    assert (frame.view, frame.spacing_mm) == (View.A4C, None)
    assert "does not fit" in str(frame.spacing_note)
    (frame,) = sound(read_frames(path, view=View.A2C, spacing_mm=(0.4, 0.3)))
    assert (frame.view, frame.spacing_mm, frame.spacing_note) == (View.A2C, (0.4, 0.3), None)


def test_a_name_and_a_code_that_contradict_each_other(tmp_path: Path) -> None:
    path = write_dicom(
        tmp_path / "patient01_2CH.dcm",
        screen([HEART]),
        attributes={"ViewCodeSequence": code("SCT", "399214001")},
    )
    with pytest.raises(UserError, match="its name says A2C and its header is coded A4C; say which it is with --view"):
        read_frames(path)
    (frame,) = sound(read_frames(path, view=View.A4C))
    assert frame.view == View.A4C


def test_a_video(tmp_path: Path) -> None:
    path = break_frame(write_video(tmp_path / "patient01_4CH.avi", ramp_frames(6)), 2)
    source = read_frames(path, spacing_mm=(0.3, 0.3))
    assert (source.count, source.frame_rate_hz, source.is_cine) == (6, 25, True)
    frames = list(source.frames)
    assert [frame.index for frame in frames] == [0, 1, 2, 3, 4, 5]
    broken = frames[2]
    assert isinstance(broken, BrokenFrame)
    assert broken.error == f"{path}: frame 2: it cannot be decoded"
    assert broken.time_ms == pytest.approx(80)
    last = frames[5]
    assert isinstance(last, Frame)
    assert (last.view, last.spacing_mm) == (View.A4C, (0.3, 0.3))


@pytest.mark.parametrize("name", ["patient0001_4CH_half_sequence.nii.gz", "patient0001_4ch_sequence.nii"])
def test_a_camus_sequence(tmp_path: Path, name: str) -> None:
    frames = np.arange(3 * 4 * 5, dtype=np.uint8).reshape(3, 4, 5)
    source = read_frames(write_sequence(tmp_path / name, frames))
    assert (source.count, source.frame_rate_hz, source.is_cine) == (3, None, True)
    read = sound(source)
    np.testing.assert_array_equal([frame.image for frame in read], frames)
    assert [(frame.index, frame.time_ms) for frame in read] == [(0, None), (1, None), (2, None)]
    assert (read[0].view, read[0].phase, read[0].spacing_mm) == (View.A4C, None, (0.154, 0.308))


def test_a_camus_sequence_of_the_older_release(tmp_path: Path) -> None:
    frames = np.arange(3 * 4 * 5, dtype=np.uint8).reshape(3, 4, 5)
    path = tmp_path / "patient0001_2CH_sequence.mhd"
    (tmp_path / "patient0001_2CH_sequence.raw").write_bytes(frames.tobytes())
    header = "NDims = 3\nDimSize = 5 4 3\nElementType = MET_UCHAR\nElementSpacing = 0.308 0.154 1\n"
    path.write_text(f"ObjectType = Image\n{header}ElementDataFile = patient0001_2CH_sequence.raw\n")
    source = read_frames(path)
    assert (source.count, source.is_cine) == (3, True)
    read = sound(source)
    np.testing.assert_array_equal([frame.image for frame in read], frames)
    assert (read[0].view, read[0].spacing_mm) == (View.A2C, (0.154, 0.308))
    path.write_text(f"ObjectType = Image\n{header}ElementDataFile = none.raw\n".replace("5 4 3", "5 4"))
    with pytest.raises(UserError, match=r"a sequence has 3 axes: x, y and time\. Received: 4 × 5 values"):
        read_frames(path)


def test_frames_of_a_sequence_that_are_not_finite(tmp_path: Path) -> None:
    frames = np.ones((3, 4, 5), np.float32)
    frames[1, 2, 3] = np.nan
    source = read_frames(write_sequence(tmp_path / "patient0001_4CH_half_sequence.nii.gz", frames))
    assert [isinstance(frame, BrokenFrame) for frame in source.frames] == [False, True, False]


@pytest.mark.parametrize("name", ["patient0001_4CH_half_sequence_gt.nii.gz", "patient0001_4CH_ED_gt.nii.gz"])
def test_a_reference_is_not_measured(tmp_path: Path, name: str) -> None:
    path = write_sequence(tmp_path / name, np.zeros((3, 4, 5), np.uint8))
    with pytest.raises(UserError, match="reference label map"):
        read_frames(path)


def test_a_volume_is_no_cine(tmp_path: Path) -> None:
    path = write_sequence(tmp_path / "volume.nii.gz", np.zeros((3, 4, 5), np.uint8))
    with pytest.raises(UserError, match="one 2-D frame is needed, not a volume"):
        read_frames(path)


def test_a_single_image(tmp_path: Path) -> None:
    path = tmp_path / "patient0001_4CH_ES.nii.gz"
    write_nifti(path, HEART, (0.3, 0.2))
    source = read_frames(path)
    (frame,) = sound(source)
    assert (source.count, source.frame_rate_hz, source.is_cine) == (1, None, False)
    assert (frame.index, frame.view, frame.phase, frame.spacing_mm) == (None, View.A4C, Phase.ES, (0.3, 0.2))


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_pictures_of_any_depth_and_colour(tmp_path: Path, kind: type, channels: int) -> None:
    """8 and 16 bits, with and without colour and transparency: grey that is grey stays exact."""
    grey = HEART.astype(kind) * (257 if kind is np.uint16 else 1)
    picture = grey if channels == 1 else np.repeat(grey[..., np.newaxis], channels, axis=2)
    if channels == 4:
        picture[..., 3] = 7  # transparency
    cv2.imwrite(str(tmp_path / "frame.png"), picture)
    (frame,) = sound(read_frames(tmp_path / "frame.png"))
    np.testing.assert_array_equal(frame.image, grey.astype(np.float32))


def test_unknown_kinds_and_missing_files(tmp_path: Path) -> None:
    (tmp_path / "frame.txt").write_text("no image")
    with pytest.raises(
        UserError, match=r"unknown kind of image file\. Received: suffix '\.txt'\. Known: \.dcm, .*\.mp4"
    ):
        read_frames(tmp_path / "frame.txt")
    (tmp_path / "frame").write_text("no image")
    with pytest.raises(UserError, match="Received: no suffix"):
        read_frames(tmp_path / "frame")
    for name in ("none.dcm", "none.mp4", "none.png", "none"):
        with pytest.raises(UserError, match="no such file"):
            read_frames(tmp_path / name)


# --- records ---


def records(*paths: Path, view: View | None = None) -> list[Record]:
    return [result.record for result in measure_files(paths, predictor=network, spec=spec(), view=view)]


def test_points_are_in_the_files_own_pixels(tmp_path: Path) -> None:
    """Measured on the cut-out alone, told where they are on the screen."""
    still = tmp_path / "alone_4CH_ED.png"
    cv2.imwrite(str(still), HEART)
    cine = write_dicom(tmp_path / "cine.dcm", screen([HEART, HEART]), regions=[B_MODE], attributes={"FrameTime": "20"})
    (alone,) = records(still)
    first, second = records(cine, view=View.A4C)
    assert first["status"] == "ok"
    assert (first["frame_index"], first["time_ms"]) == (0, 0)
    assert (second["frame_index"], second["time_ms"]) == (1, 20)
    assert first["region_px"] == [TOP, TOP + SIDE, LEFT, LEFT + SIDE]
    for name in ("amvl", "pmvl"):
        row, col = alone["hinge_points_px"][name]
        assert first["hinge_points_px"][name] == [row + TOP, col + LEFT]
    assert first["annulus_diameter"] == pytest.approx(alone["annulus_diameter"] * 0.5)
    assert (alone["unit"], first["unit"]) == ("px", "mm")
    assert (alone["frame_index"], alone["time_ms"], alone["region_px"]) == (None, None, None)
    json.dumps([alone, first, second], allow_nan=False)
    assert summary_line(second).startswith(f"{cine}: frame 1 at 20 ms A4C 22.0 mm")
    row = csv_row(second)
    assert (row["frame_index"], row["time_ms"]) == (1, 20)
    assert csv_row(alone)["frame_index"] == ""


def test_what_was_not_believed_is_told(tmp_path: Path) -> None:
    """In every record, and to people once, with the first frame."""
    path = write_dicom(tmp_path / "a.dcm", screen([HEART, HEART]), regions=[region((0, 500), (0, 500))])
    first, second = records(path, view=View.A4C)
    assert first["unit"] == "px"
    (note,) = first["notes"]
    assert "does not fit the frame of 150 × 200" in note
    assert csv_row(first)["notes"] == note
    assert second["notes"] == [note]
    assert summary_line(first).endswith(f"({note})")
    assert note not in summary_line(second)


def test_a_broken_frame_is_a_failed_record_and_the_stream_goes_on(tmp_path: Path) -> None:
    video = break_frame(write_video(tmp_path / "a_4CH.avi", np.stack([HEART] * 4)), 1)
    missing, still = tmp_path / "missing.mp4", tmp_path / "alone_4CH_ED.png"
    cv2.imwrite(str(still), HEART)
    found = records(video, missing, still)
    assert [record["status"] for record in found] == ["ok", "failed", "ok", "ok", "failed", "ok"]
    broken = found[1]
    assert broken == {
        "input": str(video),
        "status": "failed",
        "error": f"{video}: frame 1: it cannot be decoded",
        "frame_index": 1,
        "time_ms": 40.0,
    }
    assert summary_line(broken) == f"failed: {video}: frame 1: it cannot be decoded"
    assert (csv_row(broken)["frame_index"], csv_row(broken)["error"]) == (1, broken["error"])
    assert csv_row(broken).keys() == csv_row(found[0]).keys()
    assert "frame_index" not in found[4]


def test_a_frame_that_cannot_be_measured_is_one_of_the_frames(tmp_path: Path) -> None:
    """The view is not known: every frame says so, with its number."""
    cine = write_dicom(tmp_path / "cine.dcm", screen([HEART, HEART]))
    found = records(cine)
    assert [(record["status"], record["frame_index"]) for record in found] == [("failed", 0), ("failed", 1)]
    assert "its view is unknown" in found[0]["error"]


def test_no_word_of_the_patient_in_a_record(tmp_path: Path) -> None:
    cine = write_dicom(tmp_path / "cine.dcm", screen([HEART, HEART]), regions=[B_MODE])
    told = json.dumps(records(cine, view=View.A4C)) + json.dumps(records(cine))
    assert PATIENT_NAME not in told
    assert PATIENT_ID not in told
