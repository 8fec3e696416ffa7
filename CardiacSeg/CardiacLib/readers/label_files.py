"""Read label maps: NIfTI or NRRD with CineHeart's values, and Slicer segmentations (``.seg.nrrd``)."""

from pathlib import Path

import numpy as np

from CardiacLib.errors import InputError
from CardiacLib.types.label_order import in_order, is_acdc_labels, require_order
from CardiacLib.types.labels import LV, MYO, RV, RV_WALL, LabelMap, structures

from .images import LABEL_NAME, list_files, read_raw
from .raw import RawImage

SYNONYMS = {
    1: ("lv", "lv pool", "lv blood", "left ventricle", "left ventricular blood pool", "lv cavity", "lv endocardium"),
    2: ("myo", "myocardium", "lv myo", "lvm", "lv wall", "left ventricular myocardium"),
    3: ("rv", "rv pool", "rv blood", "right ventricle", "right ventricular blood pool", "rv cavity"),
    4: ("rv myocardium", "rv myo", "right ventricular myocardium", "right ventricular wall"),
}
KNOWN = "0 background, 1 LV blood pool, 2 LV myocardium, 3 RV blood pool, 4 RV wall"
ROUNDING = 1e-3
"""Distance from a whole number within which a value is that number."""
INNERMOST = (LV, RV, MYO, RV_WALL)
"""Of overlapping segments the first of these wins: a myocardium may be drawn filled."""


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
            are told by name, else by SNOMED CT code.
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
    raw = read_raw(Path(path))
    notes, times = list(raw.notes), raw.times_ms
    if raw.segments:
        labels = _from_segments(raw, path, notes)[None]
        times = np.zeros(1)
    else:
        labels = _whole_numbers(raw.array, path)
        acdc = order == "acdc" or (order == "auto" and is_acdc_labels(path))
        labels = in_order(labels, "acdc" if acdc else order, path)
    require_order(labels, str(path))
    notes += _drawn_notes(labels)
    return LabelMap(labels, raw.ijk_to_lps, times, str(path), tuple(notes), raw.grid)


def _whole_numbers(array: np.ndarray, path) -> np.ndarray:
    """Values as uint8; those within ROUNDING of whole numbers, as a scale factor leaves them, are these."""
    if not np.isfinite(array).all():
        raise InputError(f"{path}: contains NaN or infinite values, so it is no label map.")
    low, high = float(array.min()), float(array.max())
    whole = np.rint(array)
    if array.dtype.kind == "f" and np.abs(array - whole).max() > ROUNDING:
        raise InputError(f"{path}: holds fractions ({low:g} to {high:g}): an image or probabilities, not labels.")
    if whole.min() < 0 or whole.max() > RV_WALL:
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


def _from_segments(raw: RawImage, path, notes: list[str]) -> np.ndarray:
    """(K, J, I) labels from the layers of a segmentation file; where segments overlap the first of INNERMOST wins."""
    masks: dict[int, np.ndarray] = {}
    for segment in raw.segments:
        try:
            layer, value = int(segment.get("Layer", 0)), int(segment.get("LabelValue", 1))
        except ValueError as error:
            name = segment.get("Name")
            raise InputError(f"{path}: the header of segment '{name}' is damaged; export the file again.") from error
        if layer >= len(raw.array):
            raise InputError(f"{path}: segment '{segment.get('Name')}' lies on layer {layer}, which the file lacks.")
        label = _label_of(segment, path)
        masks[label] = masks.get(label, False) | (raw.array[layer] == value)
    labels = np.zeros(raw.array.shape[1:], np.uint8)
    for label in INNERMOST:
        mask = masks.get(label, np.zeros(labels.shape, bool))
        for kept in INNERMOST[: INNERMOST.index(label)]:
            if count := int((mask & (labels == kept)).sum()):
                inner, outer = structures()[kept].name, structures()[label].name
                notes.append(f"Segments overlap: {count} voxels of {outer} that lie in {inner} count as {inner}.")
        labels[mask & (labels == 0)] = label
    return labels


def _label_of(segment: dict[str, str], path) -> int:
    name = segment.get("Name", segment.get("ID", "")).strip().lower()
    for label, structure in structures().items():
        if label and (name == structure.name.lower() or name in SYNONYMS[label]):
            return label
    code = _type_code(segment.get("Tags", ""))
    right = name.startswith(("rv", "right"))
    matches = [label for label, s in structures().items() if label and code and s.type[:2] == code]
    if len(matches) > 1:
        # Both walls carry the code of myocardium: the name tells the side.
        matches = [label for label in matches if (label == 4) == right]
    if len(matches) != 1:
        raise InputError(
            f"{path}: segment '{segment.get('Name')}' is none that CineHeart knows; name it "
            f"{', '.join(s.name for label, s in structures().items() if label)}, or delete it."
        )
    return matches[0]


def _type_code(tags: str) -> tuple[str, str] | None:
    """(scheme, value) of the type in Slicer's terminology tag ``context~category~type~modifier~...``."""
    for tag in tags.split("|"):
        key, _, value = tag.partition(":")
        parts = value.split("~")
        if key == "TerminologyEntry" and len(parts) > 2 and parts[2].count("^") >= 2:
            scheme, code, _ = parts[2].split("^")[:3]
            return scheme, code
    return None
