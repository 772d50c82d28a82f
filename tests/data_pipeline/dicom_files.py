"""Writes small DICOM files for tests, with patient data in them that must never come out again."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.sequence import Sequence as Items
from pydicom.uid import UID, ExplicitVRLittleEndian, generate_uid

ULTRASOUND = "1.2.840.10008.5.1.4.1.1.6.1"
ULTRASOUND_CINE = "1.2.840.10008.5.1.4.1.1.3.1"
STRUCTURED_REPORT = "1.2.840.10008.5.1.4.1.1.88.33"
JPEG_BASELINE = "1.2.840.10008.1.2.4.50"
JPEG_2000 = "1.2.840.10008.1.2.4.91"
RLE = "1.2.840.10008.1.2.5"
MPEG_4 = "1.2.840.10008.1.2.4.102"

PATIENT_NAME, PATIENT_ID, BIRTH_DATE = "Secret^Name", "ID-SECRET-42", "19010203"


def region(
    rows: tuple[int, int],
    columns: tuple[int, int],
    delta_cm: tuple[float | None, float | None] = (0.03, 0.02),
    *,
    spatial_format: int = 1,
    data_type: int = 1,
    units: tuple[int, int] = (3, 3),
) -> Dataset:
    """One ultrasound region; pairs are (row, col)."""
    item = Dataset()
    item.RegionSpatialFormat, item.RegionDataType, item.RegionFlags = spatial_format, data_type, 0
    item.RegionLocationMinY0, item.RegionLocationMaxY1 = rows
    item.RegionLocationMinX0, item.RegionLocationMaxX1 = columns
    item.PhysicalUnitsYDirection, item.PhysicalUnitsXDirection = units
    if delta_cm[0] is not None:
        item.PhysicalDeltaY = delta_cm[0]
    if delta_cm[1] is not None:
        item.PhysicalDeltaX = delta_cm[1]
    return item


def code(scheme: str, value: str) -> Items:
    item = Dataset()
    item.CodingSchemeDesignator, item.CodeValue, item.CodeMeaning = scheme, value, "a view"
    return Items([item])


def write_dicom(
    path: Path,
    frames: npt.NDArray[Any] | None,
    *,
    photometric: str = "MONOCHROME2",
    regions: Sequence[Dataset] = (),
    syntax: str = ExplicitVRLittleEndian,
    coded: Sequence[bytes] | None = None,
    sop_class: str = ULTRASOUND_CINE,
    attributes: Mapping[str, Any] | None = None,
) -> Path:
    """Writes frames (N, H, W) or (N, H, W, 3) of integers.

    Args:
        path: file.
        frames: None for a file without pixels. With planar configuration 1 in `attributes` still (N, H, W, 3).
        photometric: the photometric interpretation.
        regions: of `region`.
        syntax: transfer syntax; a compressed one takes its pixels from `coded`, or writes RLE itself.
        coded: a compressed frame each.
        sop_class: what kind of object it is.
        attributes: further elements, or others than these.
    """
    header = Dataset()
    header.file_meta = FileMetaDataset()
    header.file_meta.TransferSyntaxUID = UID(syntax)
    header.file_meta.MediaStorageSOPClassUID = UID(sop_class)
    header.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    header.SOPClassUID, header.SOPInstanceUID = sop_class, header.file_meta.MediaStorageSOPInstanceUID
    header.PatientName, header.PatientID, header.PatientBirthDate = PATIENT_NAME, PATIENT_ID, BIRTH_DATE
    header.Modality = "US"
    if regions:
        header.SequenceOfUltrasoundRegions = Items(regions)
    if frames is not None:
        if len(frames) > 1:
            header.NumberOfFrames = len(frames)
        header.Rows, header.Columns = frames.shape[1:3]
        header.SamplesPerPixel = 3 if frames.ndim == 4 else 1
        header.PhotometricInterpretation = photometric
        bits = 8 * frames.dtype.itemsize
        header.BitsAllocated, header.BitsStored, header.HighBit = bits, bits, bits - 1
        header.PixelRepresentation = int(frames.dtype.kind == "i")
        if frames.ndim == 4:
            header.PlanarConfiguration = 0
    for name, value in (attributes or {}).items():
        setattr(header, name, value)
    if frames is not None:
        if header.get("PlanarConfiguration") == 1:
            frames = np.moveaxis(frames, 3, 1)
        if coded is not None:
            header.PixelData = encapsulate(list(coded))
            header["PixelData"].VR = "OB"
            header["PixelData"].is_undefined_length = True
        else:
            content = frames.tobytes()
            header.PixelData = content + b"\0" * (len(content) % 2)
            header["PixelData"].VR = "OB" if header.BitsAllocated == 8 else "OW"
            if syntax == RLE:
                header.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
                header.compress(RLE, generate_instance_uid=False)
    header.save_as(path, enforce_file_format=True)
    return path
