"""Read what DICOM files say about their frames, without pixel data: classic and enhanced multi-frame MR."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np

from CardiacLib.errors import InputError
from CardiacLib.progress import Progress, silent
from CardiacLib.types.patient import Patient

from .kinds import component_of, is_localizer, modality_of
from .log import warnings_to_log

TAGS = [
    "SpecificCharacterSet", "ImageType", "ComplexImageComponent", "Manufacturer", "SOPClassUID", "SOPInstanceUID",
    "Modality", "SeriesDescription", "AcquisitionDate", "AcquisitionTime", "ContentDate", "ContentTime",
    "AcquisitionDateTime", "SeriesDate", "SeriesTime", "AcquisitionNumber", "MRAcquisitionType", "ProtocolName",
    "StudyDate", "StudyTime", "StudyDescription", "PatientName", "PatientID", "PatientSex", "PatientAge",
    "PatientSize", "PatientWeight", "ScanningSequence", "SequenceVariant", "SequenceName", "PulseSequenceName",
    "SliceThickness", "TriggerTime", "NominalInterval", "HeartRate", "StudyInstanceUID", "SeriesInstanceUID",
    "SeriesNumber", "InstanceNumber", "ImagePositionPatient", "ImageOrientationPatient", "TemporalPositionIdentifier",
    "SamplesPerPixel", "NumberOfFrames", "Rows", "Columns", "BitsAllocated", "PhotometricInterpretation",
    "PixelSpacing", "RescaleSlope", "RescaleIntercept", "SharedFunctionalGroupsSequence",
    "PerFrameFunctionalGroupsSequence", "DimensionIndexSequence", (0x0043, 0x102F),
]  # fmt: skip
PIXEL_CLASSES = ("1.2.840.10008.5.1.4.1.1.4", "1.2.840.10008.5.1.4.1.1.4.1", "1.2.840.10008.5.1.4.1.1.2")
"""MR, enhanced MR and CT image storage: without an image part such a file is damaged."""
TIME_DIMENSIONS = (0x00209128, 0x00209153, 0x00209252, 0x0020930D, 0x00189074, 0x00181060)
"""Temporal position index, nominal and actual trigger delay, time offset, time of acquisition, trigger time."""
DAY_ZERO = 730000
"""Days are counted from here, so that seconds keep microseconds."""
NO_GROUPS = " without functional groups, which would tell the place and time of each frame"
NOT_DICOM = {".txt", ".xml", ".json", ".csv", ".pdf", ".html", ".md", ".py", ".cfg", ".zip", ".png", ".jpg", ".log"}


@dataclass(frozen=True)
class StudyHeader:
    """The examination that an image belongs to: StudyInstanceUID, date and time as in the file, description."""

    uid: str = ""
    date: str = ""
    time: str = ""
    description: str = ""


@dataclass(frozen=True)
class FrameHeader:
    """One frame: where it lies, when it was taken, how its pixels are scaled.

    ``index`` is the frame's number in a multi-frame file, None in a classic one. ``geometry`` is position (3),
    row direction (3), column direction (3), spacing along i and j (2), or None where the file has none.
    ``clocks`` are seconds of the date and time of acquisition (frame's or file's), of the acquisition time alone, and
    of the content; ``temporal`` and ``instance`` are numbers that count frames; ``acquisition`` is the number of the
    acquisition. All are None where the file does not say. ``acquired`` sorts acquisitions of one plane by time.
    """

    path: Path
    index: int | None
    uid: str
    series_uid: str
    series_number: int
    description: str
    modality: str
    component: str
    technique: str
    geometry: tuple[float, ...] | None
    thickness_mm: float
    shape: tuple[int, int]
    trigger_ms: float | None
    beat_ms: float | None
    temporal: float | None
    clocks: tuple[float | None, float | None, float | None]
    instance: float | None
    acquisition: float | None
    acquired: tuple[float, float, float]
    scaling: tuple[float, float]
    inverted: bool = False
    volumetric: bool = False
    localizer: bool = False
    patient: Patient = Patient()
    study: StudyHeader = StudyHeader()


def read_headers(paths: list[Path], progress: Progress = silent) -> tuple[list[FrameHeader], list[str]]:
    """Headers of all frames of the DICOM files among ``paths``, and why other DICOM objects are left out.

    Raises:
        InputError: a DICOM file ends within its header.
    """
    frames: list[FrameHeader] = []
    left_out = []
    for number, path in enumerate(paths):
        if number % 20 == 0:
            progress(number / len(paths), "Reading DICOM headers")
        try:
            with warnings_to_log(path):
                frames += _frames_in(path, left_out)
        except OSError as error:
            raise InputError(f"{path}: cannot be read ({error.strerror or 'no such file'}).") from error
        except Exception as error:
            # Whatever the parser trips over, here or when a value is first looked at, the reason is a damaged file.
            raise InputError(
                f"{path}: the DICOM file is truncated or damaged ({reason_of(error)}); copy or export it again."
            ) from error
    progress(1.0, "DICOM headers read")
    return frames, left_out


def reason_of(error: Exception) -> str:
    """The first words of an exception, on one line."""
    return " ".join(str(error).split())[:120].rstrip(" .;") or type(error).__name__


def _frames_in(path: Path, left_out: list[str]) -> list[FrameHeader]:
    dataset = _header_of(path)
    if dataset is None:
        return []
    if dataset.get("SOPClassUID") in PIXEL_CLASSES and "BitsAllocated" not in dataset:
        raise ValueError("the header ends before the description of the pixels")
    if "Rows" not in dataset:
        if dataset.get("Modality") not in (None, ""):
            left_out.append(f"{path.name}: DICOM object without images ({dataset.Modality})")
        return []
    if not dataset.get("PerFrameFunctionalGroupsSequence") and int(dataset.get("NumberOfFrames") or 1) != 1:
        left_out.append(
            f"{path.name}: a multi-frame DICOM file of {dataset.NumberOfFrames} frames (NumberOfFrames){NO_GROUPS}"
        )
        return []
    return list(frames_of(dataset, path))


def _header_of(path: Path):
    """The header, or None for a file that is not DICOM."""
    import pydicom

    if path.suffix.lower() in NOT_DICOM or path.name.upper() == "DICOMDIR":
        return None
    with open(path, "rb") as stream:
        start = stream.read(132)
    preamble = start[128:132] == b"DICM"
    # Old exports have no preamble: they begin with a low group number in little endian.
    bare = len(start) >= 8 and start[:2] in (b"\x08\x00", b"\x02\x00") and start[3:4] == b"\x00"
    if not preamble and not bare:
        return None
    return pydicom.dcmread(path, stop_before_pixels=True, force=not preamble, specific_tags=TAGS)


def frames_of(dataset, path: Path) -> Iterator[FrameHeader]:
    """Headers of the frames of one pydicom dataset, which was read from ``path``."""
    shared = _first(dataset, "SharedFunctionalGroupsSequence")
    groups = dataset.get("PerFrameFunctionalGroupsSequence")
    if not groups:
        yield _frame(dataset, path, None, lambda sequence: None)
        return
    for index, group in enumerate(groups):

        def item(sequence, group=group):
            return _first(group, sequence) or _first(shared, sequence)

        yield _frame(dataset, path, index, item)


def _first(dataset, keyword):
    sequence = dataset.get(keyword) if dataset is not None else None
    return sequence[0] if sequence else None


def _number(dataset, keyword) -> float | None:
    """A single finite number, or None where it is absent, empty or text."""
    value = dataset.get(keyword) if dataset is not None else None
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if np.isfinite(number) else None


def _frame(dataset, path: Path, index: int | None, item) -> FrameHeader:
    """The header of one frame; ``item(sequence)`` gives a functional group of an enhanced file, else None."""
    content = item("FrameContentSequence")
    scaling = item("PixelValueTransformationSequence") or dataset
    beat = _beat(dataset, item)
    clocks = _clocks(dataset, content)
    series_number = _number(dataset, "SeriesNumber") or 0.0
    acquisition = _any(_number(content, "FrameAcquisitionNumber"), _number(dataset, "AcquisitionNumber"))
    when = _any(*clocks, _seconds(dataset.get("SeriesDate"), dataset.get("SeriesTime")), 0.0)
    slope, intercept = _number(scaling, "RescaleSlope"), _number(scaling, "RescaleIntercept")
    measures = item("PixelMeasuresSequence") or dataset
    description = str(dataset.get("SeriesDescription") or "")
    return FrameHeader(
        path=path,
        index=index,
        uid=str(dataset.get("SOPInstanceUID") or path),
        series_uid=str(dataset.get("SeriesInstanceUID") or ""),
        series_number=int(series_number),
        description=description,
        modality=modality_of(dataset),
        component=component_of(dataset, item("MRImageFrameTypeSequence")),
        technique=_technique(dataset),
        geometry=_geometry(dataset, item, measures),
        thickness_mm=_number(measures, "SliceThickness") or 1.0,
        shape=(int(dataset.Rows), int(dataset.get("Columns") or 0)),
        trigger_ms=_trigger(dataset, item),
        beat_ms=beat,
        temporal=_temporal(dataset, content),
        clocks=clocks,
        # The number of a frame within its file is no time.
        instance=_number(dataset, "InstanceNumber"),
        acquisition=acquisition,
        acquired=(when, series_number, acquisition or 0.0),
        scaling=(1.0 if slope is None else slope, 0.0 if intercept is None else intercept),
        inverted=str(dataset.get("PhotometricInterpretation") or "").upper() == "MONOCHROME1",
        volumetric=str(dataset.get("MRAcquisitionType") or "").upper() == "3D",
        localizer=is_localizer(description, str(dataset.get("ProtocolName") or "")),
        patient=_patient(dataset, beat),
        study=StudyHeader(
            *(str(dataset.get(f"Study{name}") or "") for name in ("InstanceUID", "Date", "Time", "Description"))
        ),
    )


def _trigger(dataset, item) -> float | None:
    heart, content = item("CardiacSynchronizationSequence"), item("FrameContentSequence")
    return _any(
        _number(heart, "NominalCardiacTriggerDelayTime"),
        _number(heart, "ActualCardiacTriggerDelayTime"),
        _number(content, "NominalCardiacTriggerDelayTime"),
        _number(dataset, "TriggerTime"),
    )


def _beat(dataset, item) -> float | None:
    """RR interval in ms."""
    heart = item("CardiacSynchronizationSequence")
    beat = _any(_number(heart, "RRIntervalTimeNominal"), _number(dataset, "NominalInterval"))
    rate = _number(dataset, "HeartRate")
    if not beat and rate:
        beat = 60000.0 / rate
    return beat if beat and beat > 0 else None


def _temporal(dataset, content) -> float | None:
    """A number that counts frames in time; of an enhanced file also its index in a dimension of time."""
    value = _any(_number(content, "TemporalPositionIndex"), _number(dataset, "TemporalPositionIdentifier"))
    values = content.get("DimensionIndexValues") if content is not None else None
    if value is not None or values is None:
        return value
    values = [values] if isinstance(values, int) else list(values)
    for dimension, index in zip(dataset.get("DimensionIndexSequence") or (), values, strict=False):
        if dimension.get("DimensionIndexPointer") in TIME_DIMENSIONS:
            return float(index)
    return None


def _clocks(dataset, content) -> tuple[float | None, float | None, float | None]:
    """Seconds of acquisition by date and time, of acquisition by time alone, of content."""
    frame = content.get("FrameAcquisitionDateTime") or content.get("FrameReferenceDateTime") if content else None
    moment = str(frame or dataset.get("AcquisitionDateTime") or "")
    date = dataset.get("AcquisitionDate")
    return (
        _seconds(moment[:8], moment[8:]),
        _seconds(date, dataset.get("AcquisitionTime")),
        _seconds(dataset.get("ContentDate"), dataset.get("ContentTime")),
    )


def _seconds(date, time) -> float | None:
    """Seconds of a DICOM date (may be absent or no date) and a time (HHMMSS.F); None where there is no time."""
    match = re.match(r"(\d\d):?(\d\d)?:?(\d\d(?:\.\d*)?)?", str(time or ""))
    if not match:
        return None
    hours, minutes, seconds = (float(part or 0) for part in match.groups())
    try:
        day = datetime.strptime(re.sub(r"\D", "", str(date or "")), "%Y%m%d").toordinal() - DAY_ZERO
    except ValueError:
        day = 0
    return day * 86400.0 + hours * 3600.0 + minutes * 60.0 + seconds


def _any(*values: float | None) -> float | None:
    return next((value for value in values if value is not None), None)


def _geometry(dataset, item, measures) -> tuple[float, ...] | None:
    position = (item("PlanePositionSequence") or dataset).get("ImagePositionPatient")
    orientation = (item("PlaneOrientationSequence") or dataset).get("ImageOrientationPatient")
    spacing = measures.get("PixelSpacing")
    if not position or not orientation or not spacing or len(position) != 3 or len(orientation) != 6:
        return None
    # PixelSpacing is row spacing (along j) first.
    numbers = tuple(float(v) for v in (*position, *orientation, spacing[1], spacing[0]))
    usable = np.isfinite(numbers).all() and min(numbers[9:]) > 0 and np.linalg.norm(numbers[3:6]) > 0.5
    return numbers if usable else None


def _technique(dataset) -> str:
    """What kind of sequence made the image: planes of different kinds are not stacked."""

    def words(keyword):
        value = dataset.get(keyword) or ()
        return "+".join(sorted([value] if isinstance(value, str) else map(str, value)))

    name = str(dataset.get("SequenceName") or dataset.get("PulseSequenceName") or "")
    family = re.match(r"\W*([A-Za-z]*)", name).group(1).lower()
    return "/".join((words("ScanningSequence"), words("SequenceVariant"), family))


def _patient(dataset, beat: float | None) -> Patient:
    def text(keyword: str) -> str | None:
        return str(dataset.get(keyword) or "") or None

    return Patient(
        name=text("PatientName"),
        id=text("PatientID"),
        sex=text("PatientSex"),
        age=text("PatientAge"),
        height_m=_number(dataset, "PatientSize") or None,
        weight_kg=_number(dataset, "PatientWeight") or None,
        heart_rate_bpm=(60000.0 / beat if beat else _number(dataset, "HeartRate")) or None,
    )
