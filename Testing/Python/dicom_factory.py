"""Write small synthetic DICOM MR studies for tests: one series per slice, one per stack, enhanced multi-frame."""

from pathlib import Path

import numpy as np
import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

MR_IMAGE = "1.2.840.10008.5.1.4.1.1.4"
ENHANCED_MR = "1.2.840.10008.5.1.4.1.1.4.1"


def oblique_matrix(spacing=(1.4, 1.4, 10.0), origin=(-40.0, 12.5, 31.25), seed=3) -> np.ndarray:
    """A right-handed 4x4 index-to-LPS matrix with a random orientation."""
    q, _ = np.linalg.qr(np.random.default_rng(seed).normal(size=(3, 3)))
    q[:, 2] *= np.sign(np.linalg.det(q))
    matrix = np.eye(4)
    matrix[:3, :3] = q * np.asarray(spacing)
    matrix[:3, 3] = origin
    return matrix


def write_planes(folder, frames, matrix, times_ms, beat_ms=900.0, **options) -> list[Path]:
    """Write frames (T, K, J, I) as classic DICOM, all slices in one series unless ``series_per_slice``.

    Options: description, number, series_per_slice, trigger (False: no trigger times), modality, slope, intercept,
    acquired (time of acquisition as text), sequence, image_type, study_uid, change (called with each dataset, its slice
    and its frame before it is written).
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    number = options.get("number", 1)
    uid = options.get("series_uid") or generate_uid()
    paths = []
    for k in range(frames.shape[1]):
        if options.get("series_per_slice"):
            number, uid = options.get("number", 1) + k, generate_uid()
        for t in range(frames.shape[0]):
            dataset = _base(frames[t, k], uid, number, MR_IMAGE, options)
            dataset.InstanceNumber = k * frames.shape[0] + t + 1
            if options.get("trigger", True):
                dataset.TriggerTime = round(float(times_ms[t]), 4)
            if beat_ms:
                dataset.NominalInterval = round(beat_ms)
            _place(dataset, dataset, dataset, matrix, k)
            if "change" in options:
                options["change"](dataset, k, t)
            # Names that do not sort in any useful order, as archives give them.
            path = folder / f"{number:03d}_{(7 * t + 3 * k) % 101:03d}_{k:02d}_{t:03d}.dcm"
            dataset.save_as(path, enforce_file_format=True)
            paths.append(path)
    return paths


def write_enhanced(folder, frames, matrix, times_ms, beat_ms=900.0, **options) -> Path:
    """Write frames (T, K, J, I) as one enhanced multi-frame file, the slices fastest."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    n_t, n_k = frames.shape[:2]
    dataset = _base(frames[0, 0], generate_uid(), options.get("number", 1), ENHANCED_MR, options)
    dataset.NumberOfFrames = n_t * n_k
    dataset.InstanceNumber = 1
    dataset.PixelData = np.ascontiguousarray(frames, np.uint16).tobytes()
    del dataset.RescaleSlope, dataset.RescaleIntercept
    shared, groups = Dataset(), []
    orientation = Dataset()
    measures = Dataset()
    scaling = Dataset()
    scaling.RescaleSlope = options.get("slope", 1.0)
    scaling.RescaleIntercept = options.get("intercept", 0.0)
    scaling.RescaleType = "US"
    for t in range(n_t):
        for k in range(n_k):
            position, heart, content, group = Dataset(), Dataset(), Dataset(), Dataset()
            _place(position, orientation, measures, matrix, k)
            if options.get("trigger", True):
                heart.NominalCardiacTriggerDelayTime = float(times_ms[t])
                group.CardiacSynchronizationSequence = Sequence([heart])
            heart.RRIntervalTimeNominal = float(beat_ms)
            content.TemporalPositionIndex = t + 1
            group.PlanePositionSequence = Sequence([position])
            group.FrameContentSequence = Sequence([content])
            groups.append(group)
    shared.PlaneOrientationSequence = Sequence([orientation])
    shared.PixelMeasuresSequence = Sequence([measures])
    shared.PixelValueTransformationSequence = Sequence([scaling])
    dataset.SharedFunctionalGroupsSequence = Sequence([shared])
    dataset.PerFrameFunctionalGroupsSequence = Sequence(groups)
    path = folder / "enhanced.dcm"
    dataset.save_as(path, enforce_file_format=True)
    return path


def _base(pixels: np.ndarray, uid: str, number: int, sop_class: str, options: dict) -> Dataset:
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.file_meta.MediaStorageSOPClassUID = sop_class
    dataset.SOPClassUID = sop_class
    dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    dataset.ImageType = options.get("image_type", ["ORIGINAL", "PRIMARY", "M"])
    dataset.Modality = options.get("modality", "MR")
    dataset.SeriesInstanceUID = uid
    if "study_uid" in options:
        dataset.StudyInstanceUID, dataset.PatientID = options["study_uid"], "phantom"
    dataset.SeriesNumber = number
    dataset.SeriesDescription = options.get("description", "")
    dataset.SequenceName = options.get("sequence", "*tfi2d1")
    dataset.AcquisitionTime = options.get("acquired", "120000")
    dataset.PatientName, dataset.PatientSize, dataset.PatientWeight = "Phantom", 1.75, 70
    dataset.Rows, dataset.Columns = pixels.shape
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated = dataset.BitsStored = 16
    dataset.HighBit, dataset.PixelRepresentation = 15, 0
    dataset.RescaleSlope, dataset.RescaleIntercept = options.get("slope", 1.0), options.get("intercept", 0.0)
    dataset.PixelData = np.ascontiguousarray(pixels, np.uint16).tobytes()
    return dataset


def _place(position: Dataset, orientation: Dataset, measures: Dataset, matrix: np.ndarray, k: int) -> None:
    spacing = np.linalg.norm(matrix[:3, :3], axis=0)
    direction = matrix[:3, :3] / spacing
    position.ImagePositionPatient = [_text(v) for v in matrix[:3, 3] + k * matrix[:3, 2]]
    orientation.ImageOrientationPatient = [_text(v) for v in (*direction[:, 0], *direction[:, 1])]
    measures.PixelSpacing = [_text(spacing[1]), _text(spacing[0])]
    measures.SliceThickness = _text(spacing[2])


def _text(value: float) -> pydicom.valuerep.DSfloat:
    return pydicom.valuerep.DSfloat(float(value), auto_format=True)
