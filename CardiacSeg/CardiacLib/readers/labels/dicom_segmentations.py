"""Read DICOM Segmentations of one frame of a cine each, by highdicom."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from CardiacLib.errors import InputError
from CardiacLib.types.labels import LabelMap

from .names import Segment, labels_of_masks

SEGMENTATION_STORAGE = "1.2.840.10008.5.1.4.1.1.66.4"


@dataclass(frozen=True)
class SegFile:
    """One segmentation object.

    Attributes:
        path: of the file.
        number: its instance number.
        images: SOPInstanceUIDs of the images that it says it was made from.
    """

    path: Path
    number: int
    images: frozenset[str]


def find_segmentations(path: Path) -> list[SegFile]:
    """The DICOM Segmentations of a file or folder by their instance numbers; none where it holds no such file."""
    import pydicom
    from pydicom.errors import InvalidDicomError

    files = sorted(file for file in path.rglob("*") if file.is_file()) if path.is_dir() else [path]
    found = []
    for file in files:
        if file.name.startswith("."):
            continue
        try:
            header = pydicom.dcmread(file, stop_before_pixels=True)
        except (InvalidDicomError, OSError, EOFError, ValueError):
            continue
        if header.get("SOPClassUID") == SEGMENTATION_STORAGE:
            found.append(SegFile(file, int(header.get("InstanceNumber") or 0), frozenset(_images(header))))
    return sorted(found, key=lambda seg: (seg.number, seg.path))


def _images(header) -> set[str]:
    uids = {
        str(image.ReferencedSOPInstanceUID)
        for series in header.get("ReferencedSeriesSequence") or ()
        for image in series.get("ReferencedInstanceSequence") or ()
    }
    for frame in header.get("PerFrameFunctionalGroupsSequence") or ():
        for derivation in frame.get("DerivationImageSequence") or ():
            uids |= {str(i.ReferencedSOPInstanceUID) for i in derivation.get("SourceImageSequence") or ()}
    return uids


def read_segmentation(path: Path) -> LabelMap:
    """The labels (1, K, J, I) of one DICOM Segmentation; slices that it leaves out between others are empty.

    Raises:
        InputError: highdicom is missing, the file is damaged, its slices do not lie on a grid, or it holds segments
            that CineHeart does not know.
    """
    try:
        import highdicom as hd
    except ImportError as error:
        raise InputError(
            f"{path}: reading DICOM segmentations needs highdicom: 'pip install cineheart[dicom]'."
        ) from error
    try:
        dataset = hd.seg.segread(path)
        volume = dataset.get_volume(combine_segments=False, dtype=np.uint8)
        segments = [_segment(dataset.get_segment_description(n)) for n in dataset.segment_numbers]
    except (ValueError, RuntimeError, AttributeError, KeyError, TypeError) as error:
        reason = " ".join(str(error).split())[:120]
        raise InputError(
            f"{path}: cannot be read as a DICOM segmentation of a stack ({reason}); export it again."
        ) from error
    notes: list[str] = []
    masks = [volume.array[..., n] > 0 for n in range(len(segments))]
    labels = labels_of_masks(list(zip(segments, masks, strict=True)), path, notes)
    # highdicom's volumes have slices, rows, columns as axes, and their affines count them in the same order.
    matrix = volume.affine[:, [2, 1, 0, 3]]
    return LabelMap(labels[None], matrix, None, str(path), tuple(notes))


def _segment(description) -> Segment:
    code = description.segmented_property_type
    return Segment(str(description.segment_label), (code.scheme_designator, code.value))
