"""Read the image and the labels of one case."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from CardiacLib.errors import InputError
from CardiacLib.file_grid import FileGrid
from CardiacLib.readers.image import read_image
from CardiacLib.readers.images import cine_of, read_raw
from CardiacLib.readers.labels.label_files import from_segments, whole_numbers
from CardiacLib.readers.raw import RawImage
from CardiacLib.types.cine import Cine
from CardiacLib.types.label_order import in_order, is_acdc_labels, require_order
from CardiacLib.types.labels import BACKGROUND, RV_WALL, LabelMap

from .contours import is_contour_source, read_contours
from .layouts.npz import read_slices
from .records import NAMES, UNKNOWN, CaseRecord

SAME_GRID_MM = 1e-2
"""Images and labels whose corners lie no farther apart are on one grid."""


@dataclass(frozen=True)
class LabelledCase:
    """One case, read.

    Attributes:
        record: where it came from.
        cine: its frames, T >= 1.
        labels: uint8 (T, K, J, I) on the grid of the cine: CineHeart's values of the drawn structures, 0 where none of
            them is, and :data:`UNKNOWN` where nobody looked.
        source: file of the labels, for messages.
    """

    record: CaseRecord
    cine: Cine
    labels: np.ndarray
    source: str

    @property
    def known(self) -> np.ndarray:
        """(T, K) whether a slice was looked at, at least in part."""
        return (self.labels != UNKNOWN).any((2, 3))

    def labelled(self) -> LabelMap:
        """The labels as a LabelMap, where everything is known.

        Raises:
            InputError: structures were not drawn, or slices not looked at.
        """
        if not self.record.complete or (self.labels == UNKNOWN).any():
            raise InputError(
                f"{self.source}: draws {', '.join(self.record.structures)} only, or leaves slices out; this network is "
                "trained and evaluated on complete labels."
            )
        return LabelMap.of(self.labels, self.cine)


def read_case(record: CaseRecord) -> LabelledCase:
    """Image and labels of a case, in CineHeart's order, structures that the data set does not draw left out.

    Raises:
        InputError: a file is missing or damaged, holds values that its order does not name, or lies on another grid.
    """
    source = record.label
    if source is None:
        raise InputError(f"{record.image}: has no labels beside it.")
    if record.rows is not None:
        images, labels, matrix, sized = read_slices(record.image, record.rows)
        cine = Cine(images[None], matrix, np.zeros(1), record.view, str(record.image), grid=FileGrid(sized=sized))
        return LabelledCase(record, cine, _mapped(labels[None], record, record.image), str(record.image))
    cine = _image(record)
    if is_contour_source(source):
        labels, drawn = read_contours(source, cine)
        record = replace(record, structures=tuple(n for n in record.structures if n in drawn), order="cineheart")
        labels = _mapped(labels, record, source)
    else:
        labels = _label_frames(read_raw(source), cine, record)
    if record.frame is not None:
        if cine.n_frames > 1 and record.frame >= cine.n_frames:
            raise InputError(f"{record.image}: has no frame {record.frame + 1}, only {cine.n_frames}.")
        labels = labels[[record.frame]] if len(labels) == cine.n_frames > 1 else labels
        cine = cine.only([record.frame]) if cine.n_frames > 1 else cine
    if len(labels) != cine.n_frames:
        raise InputError(f"{source}: has {len(labels)} frames, its image {cine.n_frames}; name the frame.")
    return LabelledCase(record, cine, without_borders(labels, record, cine), str(source))


def without_borders(labels: np.ndarray, record: CaseRecord, cine: Cine) -> np.ndarray:
    """Labels (T, K, J, I), UNKNOWN where a drawn border is too near to be trusted, as the record says."""
    if not record.uncertain_mm:
        return labels
    from scipy.ndimage import distance_transform_edt

    labels, spacing = labels.copy(), cine.spacing[[1, 0]]
    for section in labels.reshape(-1, *labels.shape[2:]):
        drawn, near = section.copy(), np.zeros(section.shape, bool)
        for value in NAMES.values():
            inside = drawn == value
            if inside.any():
                away = distance_transform_edt(inside, spacing) + distance_transform_edt(~inside, spacing)
                near |= away - spacing.min() / 2 <= record.uncertain_mm  # the border lies between two pixels
        section[near] = UNKNOWN
    return labels


def _image(record: CaseRecord) -> Cine:
    """The cine of an image file or of a DICOM folder."""
    if record.image.is_dir():
        return read_image(record.image, record.view)
    return cine_of(read_raw(record.image), record.view, record.image)


def _label_frames(raw: RawImage, cine: Cine, record: CaseRecord) -> np.ndarray:
    path = record.label
    assert path is not None
    if raw.segments:
        values = from_segments(raw, path, [])[None]
        record = replace(record, order="cineheart")
    else:
        values = whole_numbers(raw.array, path, highest=UNKNOWN)
    if values.shape[1:] != cine.frames.shape[1:]:
        raise InputError(f"{path}: its voxels are {_size(values)}, those of the image {_size(cine.frames)}.")
    apart = np.abs(_corners(raw.ijk_to_lps, values.shape) - _corners(cine.ijk_to_lps, values.shape)).max()
    if apart > max(SAME_GRID_MM, 0.1 * float(cine.spacing.min())):
        raise InputError(f"{path}: lies up to {apart:.1f} mm beside its image; export both on one grid.")
    return _mapped(values, record, path)


def _mapped(values: np.ndarray, record: CaseRecord, path: Path) -> np.ndarray:
    """Values in CineHeart's order; what the record does not draw becomes background, UNKNOWN stays."""
    unknown = values == UNKNOWN
    order = "acdc" if record.order == "auto" and is_acdc_labels(path) else record.order
    mapped = in_order(np.where(unknown, np.uint8(0), values), order, path)
    if record.complete and not unknown.any():
        require_order(mapped, str(path))
    keep = np.zeros(256, np.uint8)
    for name in record.structures:
        keep[NAMES[name]] = NAMES[name]
    keep[RV_WALL] = BACKGROUND
    mapped = keep[mapped]
    mapped[unknown] = UNKNOWN
    return mapped


def _corners(matrix: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    ends = np.array(np.meshgrid(*([0, n - 1] for n in shape[:0:-1]))).reshape(3, -1)
    return matrix[:3, :3] @ ends + matrix[:3, 3:]


def _size(array: np.ndarray) -> str:
    return " x ".join(str(n) for n in array.shape[:0:-1])
