"""The images that a DICOM segmentation or report is made from: their headers, with every attribute that it copies."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from CardiacLib import __version__
from CardiacLib.errors import InputError
from CardiacLib.types.cine import Cine

from .dicom_values import is_permitted

IDENTITY = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "SOPClassUID", "FrameOfReferenceUID")
MAY_BE_EMPTY = (
    "PatientID", "PatientName", "PatientBirthDate", "PatientSex", "AccessionNumber", "StudyID", "StudyDate",
    "StudyTime", "ReferringPhysicianName",
)  # fmt: skip
"""Attributes that every image must have but that may be empty; files of de-identified studies often lack them."""


MADE_BY = {
    "manufacturer": "CineHeart",
    "manufacturer_model_name": "CineHeart",
    "software_versions": __version__,
    "device_serial_number": "0",
    "instance_number": 1,
}
"""What highdicom is told of the program."""


@contextmanager
def names_as_they_are() -> Iterator[None]:
    """De-identified studies have names of patients that are not in DICOM's form; they are copied, without a warning."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The string", category=UserWarning)
        yield


class DicomObject(NamedTuple):
    """What is to be written, for messages: its name, and the option that asks for it."""

    name: str
    option: str


SEGMENTATION = DicomObject("DICOM segmentation", "--dicom-seg")
REPORT = DicomObject("DICOM report", "--dicom-sr")


def highdicom_for(wanted: DicomObject):
    """The library highdicom; InputError where it is not installed."""
    try:
        import highdicom
    except ImportError as error:
        raise InputError(
            f"{wanted.name}s need highdicom: it is part of Slicer 5.12; elsewhere 'pip install cineheart[dicom]'."
        ) from error
    return highdicom


def headers_of(cine: Cine, wanted: DicomObject) -> dict[str, object]:
    """pydicom dataset of each file of a cine by path, without pixels, with every attribute that ``wanted`` copies.

    Raises:
        InputError: not read from DICOM, images without identity or of several studies, or no highdicom.
    """
    import pydicom

    highdicom_for(wanted)
    if not cine.files:
        raise InputError(f"{cine.source}: a {wanted.name} needs the DICOM files of the cine, not another format.")
    headers = {}
    for path in dict.fromkeys(file[0] for row in cine.files for file in row if file is not None):
        dataset = pydicom.dcmread(path, stop_before_pixels=True, force=True)
        missing = [name for name in IDENTITY if not dataset.get(name)]
        if missing:
            raise InputError(f"{path}: lacks {', '.join(missing)}, which a {wanted.name} refers to.")
        if wrong := [name for name in IDENTITY if not is_permitted(dataset[name])]:
            raise InputError(
                f"{path}: {wrong[0]} '{dataset.get(wrong[0])}' is no UID that a {wanted.name} can refer to."
            )
        for name in MAY_BE_EMPTY:
            if name not in dataset:
                setattr(dataset, name, "")
        headers[path] = dataset
    uids = {dataset.SOPInstanceUID for dataset in headers.values()}
    if len(uids) < len(headers):
        raise InputError(
            f"{cine.source}: its {len(headers)} files have only {len(uids)} different SOPInstanceUID, by which a "
            f"{wanted.name} names its images; export the images again with one UID each, or leave out {wanted.option}."
        )
    for name in ("StudyInstanceUID", "FrameOfReferenceUID"):
        if len({dataset.get(name) for dataset in headers.values()}) > 1:
            raise InputError(f"{next(iter(headers))}: the slices differ in {name}; a {wanted.name} has only one.")
    return headers
