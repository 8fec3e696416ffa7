"""Read label maps: NIfTI or NRRD with CineHeart's values, Slicer segmentations (``.seg.nrrd``), DICOM SEG."""

from pathlib import Path

import numpy as np

from CardiacLib.errors import InputError
from CardiacLib.readers.images import LABEL_NAME, META, NIFTI, NRRD, list_files, read_raw
from CardiacLib.readers.raw import RawImage
from CardiacLib.types.label_order import in_order, is_acdc_labels, require_order
from CardiacLib.types.labels import RV_WALL, LabelMap

from .dicom_segmentations import find_segmentations, read_segmentation
from .names import Segment, labels_of_masks, type_code

KNOWN = "0 background, 1 LV blood pool, 2 LV myocardium, 3 RV blood pool, 4 RV wall"
ROUNDING = 1e-3
"""Distance from a whole number within which a value is that number."""


def find_label_files(folder: str | Path) -> list[Path]:
    """Label maps below a folder, sorted: those named so (``_gt``, ``seg``, ``label``, ``mask``), else all images.

    Raises:
        InputError: the folder does not exist or holds no image.
    """
    images = list_files(Path(folder)).images
    named = [path for path in images if LABEL_NAME.search(path.name.lower())]
    if not images:
        raise InputError(f"{folder}: holds no label maps (.nii, .nii.gz, .nrrd).")
    return named or images


def read_labels(path: str | Path, order: str = "auto") -> LabelMap:
    """Read labels of one volume or of every frame.

    Args:
        path: ``.nii``, ``.nii.gz`` or ``.nrrd`` (3-D or 4-D) with values 0 to 4, or ``.seg.nrrd``, whose segments
            are told by name, else by SNOMED CT code; or a DICOM Segmentation of one frame.
        order: of the label values, see :func:`~CardiacLib.types.label_order.in_order`; auto: acdc for a
            ``patientNNN_frameNN_gt.nii.gz`` with its ``Info.cfg`` beside it, else cineheart.

    Returns:
        Labels with slices along k; ``notes`` says what was repaired, assumed, or drawn in some frames only.

    Raises:
        InputError: unreadable, values that are no labels of CineHeart, unknown segments, or labels in another order.

    Example:
        >>> from CardiacLib.phantom import PhantomOptions, make_phantom
        >>> from CardiacLib.writers.images import write_labels
        >>> write_labels("labels.nii.gz", make_phantom(PhantomOptions.small()).labels)
        >>> read_labels("labels.nii.gz").volume_ml(1).round(1)[:2].tolist()  # LV blood pool of the first frames
        [138.9, 114.6]
    """
    path = Path(path)
    if path.is_file() and not path.name.lower().endswith(NIFTI + NRRD + META) and find_segmentations(path):
        return read_segmentation(path)
    raw = read_raw(path)
    notes, times = list(raw.notes), raw.times_ms
    if raw.segments:
        labels = from_segments(raw, path, notes)[None]
        times = np.zeros(1)
    else:
        labels = whole_numbers(raw.array, path)
        acdc = order == "acdc" or (order == "auto" and is_acdc_labels(path))
        labels = in_order(labels, "acdc" if acdc else order, path)
    require_order(labels, str(path))
    notes += _drawn_notes(labels)
    return LabelMap(labels, raw.ijk_to_lps, times, str(path), tuple(notes), raw.grid)


def whole_numbers(array: np.ndarray, path, highest: int = RV_WALL) -> np.ndarray:
    """Values as uint8; those within ROUNDING of whole numbers, as a scale factor leaves them, are these.

    Raises:
        InputError: fractions, NaN, or values beyond 0 and ``highest``.
    """
    if not np.isfinite(array).all():
        raise InputError(f"{path}: contains NaN or infinite values, so it is no label map.")
    low, high = float(array.min()), float(array.max())
    whole = np.rint(array)
    if array.dtype.kind == "f" and np.abs(array - whole).max() > ROUNDING:
        raise InputError(f"{path}: holds fractions ({low:g} to {high:g}): an image or probabilities, not labels.")
    if whole.min() < 0 or whole.max() > highest:
        values = np.unique(whole)
        shown = ", ".join(f"{v:g}" for v in values[:6]) + (", ..." if len(values) > 6 else "")
        raise InputError(f"{path}: holds the values {shown}; known labels are {KNOWN}.")
    return whole.astype(np.uint8)


def _drawn_notes(labels: np.ndarray) -> list[str]:
    """Which frames are drawn, where others are empty."""
    drawn = labels.any((1, 2, 3))
    if drawn.all() or not drawn.any():
        return []
    frames = ", ".join(str(t + 1) for t in np.flatnonzero(drawn))
    return [
        f"Labels are drawn in {drawn.sum()} of {len(drawn)} frames only ({frames}, counted from 1): "
        "end-diastole and end-systole are the largest and the smallest LV of these."
    ]


def from_segments(raw: RawImage, path, notes: list[str]) -> np.ndarray:
    """(K, J, I) labels from the layers of a segmentation file."""
    masks = []
    for segment in raw.segments:
        try:
            layer, value = int(segment.get("Layer", 0)), int(segment.get("LabelValue", 1))
        except ValueError as error:
            name = segment.get("Name")
            raise InputError(f"{path}: the header of segment '{name}' is damaged; export the file again.") from error
        if layer >= len(raw.array):
            raise InputError(f"{path}: segment '{segment.get('Name')}' lies on layer {layer}, which the file lacks.")
        named = Segment(segment.get("Name", segment.get("ID", "")), type_code(segment.get("Tags", "")))
        masks.append((named, raw.array[layer] == value))
    return labels_of_masks(masks, path, notes)
