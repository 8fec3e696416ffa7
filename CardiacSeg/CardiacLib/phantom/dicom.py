"""Write a phantom study as DICOM MR images the way scanners deliver cines: one series per slice, one file per frame."""

from pathlib import Path

import numpy as np

from CardiacLib.geometry import direction_of
from CardiacLib.types.cine import Cine

MR_IMAGE_STORAGE = "1.2.840.10008.5.1.4.1.1.4"
DESCRIPTIONS = {"sax": "cine_sax", "2ch": "cine_2ch", "3ch": "cine_3ch", "4ch": "cine_4ch"}


def write_dicom(phantom, directory: str | Path) -> list[Path]:
    """Write every slice as a series folder ``series_NNN`` of one file per frame; geometry and trigger times are exact.

    Identifiers depend on the options only, so the same phantom gives the same files.
    """
    from pydicom.uid import generate_uid

    directory = Path(directory)
    study = str(sorted(phantom.options.to_dict().items()))
    number, paths = 0, []
    for view in DESCRIPTIONS:
        cine = phantom.cines[view]
        for k in range(cine.n_slices):
            number += 1
            folder = directory / f"series_{number:03d}"
            folder.mkdir(parents=True)
            series = f"{study} {number}"
            for t in range(cine.n_frames):
                dataset = _instance(generate_uid(entropy_srcs=[f"{series} {t}"]))
                dataset.StudyInstanceUID = generate_uid(entropy_srcs=[study])
                dataset.FrameOfReferenceUID = generate_uid(entropy_srcs=[study, "frame"])
                dataset.SeriesInstanceUID = generate_uid(entropy_srcs=[series])
                dataset.SeriesNumber, dataset.InstanceNumber = number, t + 1
                _describe(dataset, phantom, cine, t)
                _place(dataset, cine, k, phantom.options)
                _set_pixels(dataset, cine.frames[t, k])
                paths.append(folder / f"frame_{t:03d}.dcm")
                dataset.save_as(paths[-1], enforce_file_format=True)
    return paths


def _instance(uid: str):
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian

    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID = MR_IMAGE_STORAGE
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID = uid
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return dataset


def _describe(dataset, phantom, cine: Cine, t: int) -> None:
    options = phantom.options
    dataset.Modality, dataset.Manufacturer = "MR", "CineHeart phantom"
    dataset.ImageType = ["DERIVED", "PRIMARY", "M"]
    dataset.PatientName, dataset.PatientID = "Phantom", f"phantom-{options.seed}"
    dataset.PatientBirthDate = dataset.PatientSex = dataset.AccessionNumber = dataset.ReferringPhysicianName = ""
    dataset.StudyID, dataset.StudyDate, dataset.StudyTime = "1", "20000101", "120000"
    dataset.StudyDescription = "Synthetic cine cardiac MR"
    dataset.SeriesDescription = DESCRIPTIONS[cine.view]
    dataset.ScanningSequence, dataset.SequenceVariant, dataset.ScanOptions = "GR", "SS", "CG"
    dataset.MRAcquisitionType = "2D"
    dataset.RepetitionTime, dataset.EchoTime, dataset.FlipAngle = "3.0", "1.5", "60"
    dataset.TriggerTime = round(float(cine.times_ms[t]), 3)
    dataset.NominalInterval = round(options.rr_ms)
    dataset.HeartRate = round(60000.0 / options.rr_ms)
    dataset.CardiacNumberOfImages = cine.n_frames


def _place(dataset, cine: Cine, k: int, options) -> None:
    matrix, spacing = cine.ijk_to_lps, cine.spacing
    direction = direction_of(matrix)
    position = matrix[:3, 3] + k * matrix[:3, 2]
    dataset.ImageOrientationPatient = [_decimal(c) for c in (*direction[:, 0], *direction[:, 1])]
    dataset.ImagePositionPatient = [_decimal(c) for c in position]
    dataset.PixelSpacing = [_decimal(spacing[1]), _decimal(spacing[0])]
    sax = cine.view == "sax"
    dataset.SliceThickness = _decimal(options.slice_thickness_mm if sax else options.lax_thickness_mm)
    if sax:
        dataset.SpacingBetweenSlices = _decimal(spacing[2])


def _decimal(value: float) -> str:
    """A decimal string of at most 16 characters."""
    return f"{value:.10f}"[:16]


def _set_pixels(dataset, pixels: np.ndarray) -> None:
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.Rows, dataset.Columns = pixels.shape
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 16, 12, 11, 0
    dataset.PixelData = np.clip(np.rint(pixels), 0, 4095).astype("<u2").tobytes()
