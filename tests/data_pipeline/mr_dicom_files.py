"""Writes small DICOM series of short-axis MR, for the tests."""

from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage, generate_uid

PITCH_MM = (2.0, 1.5)  # (row, col)
DISTANCE_MM = 10.0
TILT = np.deg2rad(30.0)
ROW_DIRECTION = np.array([np.cos(TILT), np.sin(TILT), 0.0])  # in which columns grow, patient LPS
COLUMN_DIRECTION = np.array([0.0, 0.0, -1.0])
NORMAL = np.cross(ROW_DIRECTION, COLUMN_DIRECTION)
CORNER_MM = np.array([-30.0, 12.0, 55.0])
RATE_MS = 40.0


def corner_of(index: int) -> np.ndarray:
    return CORNER_MM + index * DISTANCE_MM * NORMAL


def _decimals(values: object) -> list[str]:
    """As DICOM keeps them: at most 16 characters."""
    return [f"{value:.8g}" for value in np.asarray(values, float).ravel()]


def write_image(
    path: Path,
    pixels: np.ndarray,
    *,
    corner_mm: np.ndarray = CORNER_MM,
    time_ms: float | None = None,
    number: int | None = 1,
    slope: float = 1.0,
    intercept: float = 0.0,
) -> Path:
    """One slice at one time."""
    data = _new(path, pixels)
    data.ImageOrientationPatient = _decimals([*ROW_DIRECTION, *COLUMN_DIRECTION])
    data.ImagePositionPatient = _decimals(corner_mm)
    data.PixelSpacing = list(PITCH_MM)
    data.SliceThickness = 8.0
    data.RescaleSlope, data.RescaleIntercept = slope, intercept
    if time_ms is not None:
        data.TriggerTime = time_ms
    if number is not None:
        data.InstanceNumber = number
    return _saved(path, data)


def write_series(folder: Path, cine: np.ndarray, *, with_times: bool = True) -> Path:
    """(T, S, H, W): a file for each slice and time, named so that the names' order is nobody's."""
    for time, volume in enumerate(cine):
        for index, pixels in enumerate(volume):
            number = index * len(cine) + time + 1
            write_image(
                folder / f"IM{(number * 7) % 100:04d}-{number:04d}.dcm",
                pixels,
                corner_mm=corner_of(index),
                time_ms=time * RATE_MS if with_times else None,
                number=number,
            )
    return folder


def write_enhanced(path: Path, cine: np.ndarray) -> Path:
    """(T, S, H, W): one multi-frame file, slices fastest, what all frames share said once."""
    times, slices = cine.shape[:2]
    data = _new(path, cine.reshape(times * slices, *cine.shape[2:]))
    data.NumberOfFrames = times * slices
    measures, orientation, shared = Dataset(), Dataset(), Dataset()
    measures.PixelSpacing, measures.SliceThickness = list(PITCH_MM), 8.0
    orientation.ImageOrientationPatient = _decimals([*ROW_DIRECTION, *COLUMN_DIRECTION])
    shared.PixelMeasuresSequence = Sequence([measures])
    shared.PlaneOrientationSequence = Sequence([orientation])
    data.SharedFunctionalGroupsSequence = Sequence([shared])
    groups: list[Dataset] = []
    for time in range(times):
        for index in range(slices):
            position, cardiac, group = Dataset(), Dataset(), Dataset()
            position.ImagePositionPatient = _decimals(corner_of(index))
            cardiac.NominalCardiacTriggerDelayTime = time * RATE_MS
            group.PlanePositionSequence = Sequence([position])
            group.CardiacSynchronizationSequence = Sequence([cardiac])
            groups.append(group)
    data.PerFrameFunctionalGroupsSequence = Sequence(groups)
    return _saved(path, data)


def _saved(path: Path, data: FileDataset) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    data.save_as(path, enforce_file_format=True)
    return path


def _new(path: Path, pixels: np.ndarray) -> FileDataset:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = MRImageStorage
    meta.MediaStorageSOPInstanceUID = generate_uid(entropy_srcs=[path.name])
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data = FileDataset(str(path), {}, file_meta=meta, preamble=b"\0" * 128)
    data.SOPClassUID, data.SOPInstanceUID = MRImageStorage, meta.MediaStorageSOPInstanceUID
    data.Modality = "MR"
    data.Rows, data.Columns = pixels.shape[-2:]
    data.SamplesPerPixel, data.PhotometricInterpretation = 1, "MONOCHROME2"
    data.BitsAllocated, data.BitsStored, data.HighBit, data.PixelRepresentation = 16, 16, 15, 0
    data.PixelData = np.ascontiguousarray(pixels, np.uint16).tobytes()
    return data
