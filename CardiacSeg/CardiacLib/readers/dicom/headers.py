"""Read what DICOM files say about their frames, without pixel data: classic and enhanced multi-frame MR."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from CardiacLib.errors import InputError
from CardiacLib.progress import Progress, silent
from CardiacLib.types.patient import Patient

TAGS = [
    "SpecificCharacterSet", "ImageType", "SOPClassUID", "SOPInstanceUID", "Modality", "SeriesDescription",
    "AcquisitionDate", "AcquisitionTime", "ContentTime", "AcquisitionDateTime", "SeriesTime", "PatientName",
    "PatientID", "PatientSex", "PatientAge", "PatientSize", "PatientWeight", "ScanningSequence", "SequenceVariant",
    "SequenceName", "PulseSequenceName", "SliceThickness", "TriggerTime", "NominalInterval", "HeartRate",
    "StudyInstanceUID", "SeriesInstanceUID", "SeriesNumber", "InstanceNumber", "ImagePositionPatient",
    "ImageOrientationPatient", "TemporalPositionIdentifier", "SamplesPerPixel", "NumberOfFrames", "Rows", "Columns",
    "BitsAllocated", "PixelSpacing", "RescaleSlope", "RescaleIntercept", "SharedFunctionalGroupsSequence",
    "PerFrameFunctionalGroupsSequence",
]  # fmt: skip
IMAGE_CLASSES = ("1.2.840.10008.5.1.4.1.1.4", "1.2.840.10008.5.1.4.1.1.4.1", "1.2.840.10008.5.1.4.1.1.2")
"""MR, enhanced MR and CT image storage: without an image part such a file is damaged."""
NOT_DICOM = {".txt", ".xml", ".json", ".csv", ".pdf", ".html", ".md", ".py", ".cfg", ".zip", ".png", ".jpg", ".log"}


@dataclass(frozen=True)
class FrameHeader:
    """One frame: where it lies, when it was taken, how its pixels are scaled.

    ``index`` is the frame's number in a multi-frame file, None in a classic one. ``geometry`` is position (3),
    row direction (3), column direction (3), spacing along i and j (2), or None where the file has none.
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
    order: tuple[float, float]
    acquired: tuple[str, float]
    scaling: tuple[float, float]
    patient: Patient = Patient()


def read_headers(paths: list[Path], progress: Progress = silent) -> tuple[list[FrameHeader], list[str]]:
    """Headers of all frames of the DICOM files among ``paths``, and why other DICOM objects are left out.

    Raises:
        InputError: a DICOM file ends within its header.
    """
    frames: dict[tuple[str, int | None], FrameHeader] = {}
    left_out = []
    for number, path in enumerate(paths):
        if number % 20 == 0:
            progress(number / len(paths), "Reading DICOM headers")
        try:
            found = _frames_in(path, left_out)
        except Exception as error:
            # Whatever the parser trips over, here or when a value is first looked at, the reason is a damaged file.
            raise InputError(f"{path}: the DICOM file is truncated or damaged; copy or export it again.") from error
        for frame in found:
            # A file copied twice is one image.
            frames.setdefault((frame.uid, frame.index), frame)
    progress(1.0, "DICOM headers read")
    return list(frames.values()), left_out


def _frames_in(path: Path, left_out: list[str]) -> list[FrameHeader]:
    dataset = _header_of(path)
    if dataset is None:
        return []
    if dataset.get("SOPClassUID") in IMAGE_CLASSES and "BitsAllocated" not in dataset:
        raise ValueError("the header ends before the description of the pixels")
    if "Rows" not in dataset:
        if dataset.get("Modality") not in (None, ""):
            left_out.append(f"{path.name}: DICOM object without images ({dataset.Modality})")
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
        if int(dataset.get("NumberOfFrames") or 1) == 1:
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
    heart = item("CardiacSynchronizationSequence")
    content = item("FrameContentSequence")
    scaling = item("PixelValueTransformationSequence") or dataset
    trigger = _any(
        _number(heart, "NominalCardiacTriggerDelayTime"),
        _number(heart, "ActualCardiacTriggerDelayTime"),
        _number(content, "NominalCardiacTriggerDelayTime"),
        _number(dataset, "TriggerTime"),
    )
    beat = _any(_number(heart, "RRIntervalTimeNominal"), _number(dataset, "NominalInterval"))
    rate = _number(dataset, "HeartRate")
    if not beat and rate:
        beat = 60000.0 / rate
    temporal = _any(_number(content, "TemporalPositionIndex"), _number(dataset, "TemporalPositionIdentifier"), 0.0)
    instance = _number(dataset, "InstanceNumber") or 0.0
    when = content.get("FrameAcquisitionDateTime") if content is not None else None
    slope, intercept = _number(scaling, "RescaleSlope"), _number(scaling, "RescaleIntercept")
    measures = item("PixelMeasuresSequence") or dataset
    return FrameHeader(
        path=path,
        index=index,
        uid=str(dataset.get("SOPInstanceUID") or path),
        series_uid=str(dataset.get("SeriesInstanceUID") or ""),
        series_number=int(_number(dataset, "SeriesNumber") or 0),
        description=str(dataset.get("SeriesDescription") or ""),
        modality=str(dataset.get("Modality") or ""),
        component=_component(dataset, item("MRImageFrameTypeSequence")),
        technique=_technique(dataset),
        geometry=_geometry(dataset, item, measures),
        thickness_mm=_number(measures, "SliceThickness") or 1.0,
        shape=(int(dataset.Rows), int(dataset.get("Columns") or 0)),
        trigger_ms=trigger,
        beat_ms=beat if beat and beat > 0 else None,
        order=(temporal, float(index) if index is not None else instance),
        acquired=(_when(dataset, when), _number(dataset, "SeriesNumber") or 0.0),
        scaling=(1.0 if slope is None else slope, 0.0 if intercept is None else intercept),
        patient=_patient(dataset, beat),
    )


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


def _component(dataset, frame_type) -> str:
    """M for magnitude; what else an MR image may show: phase, velocity, a map, a picture of a document."""
    values = [str(v).upper() for v in dataset.get("ImageType") or ()]
    complex_part = str(frame_type.get("ComplexImageComponent") or "").upper() if frame_type is not None else ""
    if complex_part and complex_part not in ("MAGNITUDE", "MIXED"):
        return complex_part
    third = values[2] if len(values) > 2 else "M"
    if third in ("P", "R", "I", "REAL", "IMAGINARY") or third.startswith(("PHASE", "VELOCITY", "T1", "T2")):
        return third
    if int(dataset.get("SamplesPerPixel") or 1) != 1:
        return "colour"
    return "M"


def _technique(dataset) -> str:
    """What kind of sequence made the image: planes of different kinds are not stacked."""

    def words(keyword):
        value = dataset.get(keyword) or ()
        return "+".join(sorted([value] if isinstance(value, str) else map(str, value)))

    name = str(dataset.get("SequenceName") or dataset.get("PulseSequenceName") or "")
    family = re.match(r"\W*([A-Za-z]*)", name).group(1).lower()
    return "/".join((words("ScanningSequence"), words("SequenceVariant"), family))


def _when(dataset, frame_time) -> str:
    """A text that sorts by acquisition time."""
    date = dataset.get("AcquisitionDate") or ""
    time = dataset.get("AcquisitionTime") or dataset.get("ContentTime") or dataset.get("SeriesTime") or ""
    return str(frame_time or dataset.get("AcquisitionDateTime") or f"{date}{time}")


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
