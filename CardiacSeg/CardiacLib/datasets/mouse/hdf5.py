"""Read and write one animal in HDF5: ``Images``, ``Masks`` and ``Frames_with_ROI``.

``Images`` is (row, column, slice, frame), usually 256 x 256 x 8-11 x 17-36; ``Masks`` has the same shape with 0
background, 1 LV myocardium and 2 LV blood pool; ``Frames_with_ROI`` names the frames that an expert drew, ED first.
MATLAB writes the axes in the other order, other programs in further ones: the shape tells.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from CardiacLib.errors import InputError
from CardiacLib.files import atomic_file
from CardiacLib.types.cine import Cine
from CardiacLib.types.labels import BACKGROUND, LV, MYO, LabelMap
from CardiacLib.types.patient import Patient

SUFFIXES = (".h5", ".hdf5", ".mat")
IMAGES, MASKS, DRAWN = "Images", "Masks", "Frames_with_ROI"
PUBLISHED_MM = (0.1, 0.1, 1.0)
"""Pixel and slice of the published data, for files that state none."""
PUBLISHED_FRAME_MS = 5.0
MOST_SLICES = 14
"""More of them are frames, where they are more than what the order of the axes makes the frames."""
SPACING, FRAME_MS, HEART_RATE, GROUP, SYNTHETIC = "spacing_mm", "frame_ms", "heart_rate_bpm", "group", "synthetic"
"""Attributes of ``Images`` that CineHeart adds; readers of the published layout do not look at them."""
OF_MASK = np.array([BACKGROUND, MYO, LV], np.uint8)
"""CineHeart's labels of the mask's values."""
IN_MASK = {BACKGROUND: 0, MYO: 1, LV: 2}


@dataclass(frozen=True)
class Animal:
    """One animal.

    Attributes:
        name: of its file, without the suffix.
        cine: short-axis stack.
        labels: of all frames, in CineHeart's order; None where the file has no masks.
        drawn: frames, from 0, that an expert has drawn, ED first; empty where the file names none.
        group: of animals that it belongs to, empty if unknown.
        synthetic: whether its file says that it is a phantom.
    """

    name: str
    cine: Cine
    labels: LabelMap | None
    drawn: tuple[int, ...]
    group: str = ""
    synthetic: bool = False


def is_animal_file(path: str | Path) -> bool:
    """Whether a file has a suffix of HDF5."""
    return Path(path).suffix.lower() in SUFFIXES


def read_animal(path: str | Path) -> Animal:
    """Read one file.

    Raises:
        InputError: h5py is missing, the file cannot be read, or its arrays do not fit one another.
    """
    path = Path(path)
    h5py = _h5py(path)
    try:
        with h5py.File(path, "r") as file:
            if not isinstance(file.get(IMAGES), h5py.Dataset):
                there = ", ".join(sorted(file)) or "nothing"
                raise InputError(f"{path}: holds {there}, but no array '{IMAGES}'; give a file with {IMAGES}.")
            attributes = dict(file[IMAGES].attrs)
            images = np.asarray(file[IMAGES])
            masks = np.asarray(file[MASKS]) if isinstance(file.get(MASKS), h5py.Dataset) else None
            drawn = np.asarray(file[DRAWN]) if isinstance(file.get(DRAWN), h5py.Dataset) else None
    except OSError as error:
        raise InputError(f"{path}: is no readable HDF5 file ({error}); save or copy it again.") from error
    return _animal(path, images, masks, drawn, attributes)


def _h5py(path: Path):
    try:
        import h5py
    except ImportError as error:
        raise InputError(f"{path}: HDF5 files need the package h5py; get it with 'pip install h5py'.") from error
    return h5py


def _animal(path: Path, images, masks, drawn, attributes: dict) -> Animal:
    axes, order = _axes(images.shape, path)
    if images.dtype.kind not in "uif":
        raise InputError(f"{path}: '{IMAGES}' holds {images.dtype}, not numbers; save magnitudes.")
    frames = images.transpose(axes).astype(np.float32)
    if not np.isfinite(frames).all():
        raise InputError(f"{path}: '{IMAGES}' holds values that are no finite numbers; export it again without them.")
    notes = [] if order == "published" else [f"The axes lie as {order}; they were put in order."]
    matrix, times, said = _sampling(path, len(frames), attributes)
    labels = None if masks is None else _labels(path, masks, frames.shape)
    chosen = _drawn(path, drawn, labels, len(frames))
    rate = _number(attributes, HEART_RATE)
    cine = Cine(frames, matrix, times, "sax", str(path), (*notes, *said), Patient(id=path.stem, heart_rate_bpm=rate))
    found = None if labels is None else LabelMap.of(labels, cine)
    group = attributes.get(GROUP, "")
    group = group.decode() if isinstance(group, bytes) else str(group)
    return Animal(path.stem, cine, found, chosen, group, bool(_number(attributes, SYNTHETIC)))


def _axes(shape: Sequence[int], path: Path) -> tuple[tuple[int, ...], str]:
    """Transposition to (frame, slice, row, column), and what the order is called.

    The two neighbouring axes of one length, the longest, are the image. Slices come before frames in the order that
    the image's axes tell, unless there would be more of them than anybody takes.
    """
    if len(shape) != 4:
        raise InputError(f"{path}: '{IMAGES}' has the shape {_text(shape)}; it must be row x column x slice x frame.")
    places = [n for n in range(3) if shape[n] == shape[n + 1] and shape[n] > max(_others(shape, n))]
    if len(places) != 1:
        raise InputError(
            f"{path}: the shape {_text(shape)} of '{IMAGES}' does not tell which axes are the image's; "
            "it must have two neighbouring ones of one length, longer than the numbers of slices and frames."
        )
    first = places[0]
    a, b = (n for n in range(4) if n not in (first, first + 1))
    reverse = first == 2  # as MATLAB writes them: frame, slice, column, row
    slices, frames = (b, a) if reverse else (a, b)
    if shape[slices] > max(shape[frames], MOST_SLICES if first != 1 else 0):
        slices, frames = frames, slices
    image = (first + 1, first) if reverse and frames < slices else (first, first + 1)
    axes = (frames, slices, *image)
    names = {frames: "frame", slices: "slice", image[0]: "row", image[1]: "column"}
    return axes, "published" if axes == (3, 2, 0, 1) else " x ".join(names[n] for n in range(4))


def _others(shape: Sequence[int], first: int) -> list[int]:
    return [shape[n] for n in range(4) if n not in (first, first + 1)]


def _labels(path: Path, masks: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    axes, _ = _axes(masks.shape, path) if masks.ndim == 4 else ((), "")
    if not axes or masks.transpose(axes).shape != shape:
        raise InputError(f"{path}: '{MASKS}' has the shape {_text(masks.shape)}, which is not that of '{IMAGES}'.")
    values = np.unique(masks)
    if not np.isin(values, (0, 1, 2)).all():
        other = ", ".join(f"{v:g}" for v in values if v not in (0, 1, 2))[:60]
        raise InputError(
            f"{path}: '{MASKS}' holds the value {other}; it must be 0 background, 1 myocardium or 2 LV blood pool."
        )
    return OF_MASK[masks.transpose(axes).astype(np.uint8)]


def _drawn(path: Path, drawn: np.ndarray | None, labels: np.ndarray | None, count: int) -> tuple[int, ...]:
    """Frames from 0 that are drawn: those named, counted from 0 or 1 as the masks tell, or else those with a mask."""
    masked = () if labels is None else tuple(int(t) for t in np.flatnonzero(labels.any((1, 2, 3))))
    if drawn is None or not drawn.size:
        return masked
    values = [float(v) for v in np.ravel(drawn)]
    if len(values) == count and set(values) <= {0.0, 1.0} and count > 2:
        named = [t for t, value in enumerate(values) if value]
    else:
        named = [int(v) for v in values]
        if any(v != int(v) for v in values):
            raise InputError(f"{path}: '{DRAWN}' holds {values[0]:g}; it must be whole numbers of frames.")
    for first in (0, 1):
        frames = tuple(dict.fromkeys(v - first for v in named))
        there = all(0 <= t < count for t in frames)
        if there and (labels is None or set(frames) <= set(masked)):
            return frames
    raise InputError(
        f"{path}: '{DRAWN}' names the frames {', '.join(str(v) for v in named[:8])}, which '{MASKS}' does not draw "
        f"({count} frames, drawn from 1: {', '.join(str(t + 1) for t in masked[:8]) or 'none'})."
    )


def _sampling(path: Path, count: int, attributes: dict) -> tuple[np.ndarray, np.ndarray, list[str]]:
    notes = []
    spacing = np.ravel(attributes.get(SPACING, ()))
    if spacing.size == 0:
        spacing = np.array(PUBLISHED_MM)
        notes.append(
            f"The file states no voxel size: {' x '.join(f'{mm:g}' for mm in spacing)} mm, as published, is assumed."
        )
    if spacing.shape != (3,) or not (np.isfinite(spacing.astype(float)) & (spacing.astype(float) > 0)).all():
        raise InputError(f"{path}: its attribute '{SPACING}' must be three positive numbers, of row, column and slice.")
    rate, frame_ms = _number(attributes, HEART_RATE), _number(attributes, FRAME_MS)
    if frame_ms is None:
        frame_ms = 60000.0 / rate / count if rate else PUBLISHED_FRAME_MS
        if not rate:
            notes.append(f"The file states no times: {PUBLISHED_FRAME_MS:g} ms from frame to frame is assumed.")
    row, column, thick = (float(mm) for mm in spacing)
    return np.diag([column, row, thick, 1.0]), np.arange(count) * frame_ms, notes


def _number(attributes: dict, name: str) -> float | None:
    value = attributes.get(name)
    if value is None or np.size(value) != 1:
        return None
    number = float(np.ravel(value)[0])
    return number if np.isfinite(number) and number > 0 else None


def _text(shape: Sequence[int]) -> str:
    return " x ".join(str(n) for n in shape)


def write_animal(path: str | Path, animal: Animal) -> None:
    """Write one animal in the published layout: uint16, (row, column, slice, frame), whole or not at all.

    Voxel size, time from frame to frame, heart rate, group and whether it is a phantom are attributes of ``Images``.
    """
    path = Path(path)
    h5py, cine = _h5py(path), animal.cine
    frames = np.clip(np.rint(cine.frames - min(float(cine.frames.min()), 0.0)), 0, 65535)
    column, row, thick = cine.spacing
    attributes: dict[str, object] = {SPACING: [row, column, thick]}
    if cine.times_ms is not None and cine.n_frames > 1:
        attributes[FRAME_MS] = float(np.diff(cine.times_ms).mean())
    if cine.patient.heart_rate_bpm:
        attributes[HEART_RATE] = cine.patient.heart_rate_bpm
    if animal.group:
        attributes[GROUP] = animal.group
    if animal.synthetic:
        attributes[SYNTHETIC] = 1
    with atomic_file(path) as work, h5py.File(work, "w") as file:
        images = file.create_dataset(
            IMAGES, data=_published(frames).astype(np.uint16), compression="gzip", shuffle=True
        )
        images.attrs.update(attributes)
        if animal.labels is not None:
            masks = np.zeros(animal.labels.labels.shape, np.uint16)
            for label, value in IN_MASK.items():
                masks[animal.labels.labels == label] = value
            masks[[t for t in range(len(masks)) if t not in animal.drawn]] = 0
            file.create_dataset(MASKS, data=_published(masks), compression="gzip")
            file.create_dataset(DRAWN, data=np.array(animal.drawn, np.int64))


def _published(array: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(array.transpose(2, 3, 1, 0))


def animal_files(folder: str | Path) -> list[Path]:
    """The files of a folder of animals, by name; a single file is itself.

    Raises:
        InputError: there is none.
    """
    folder = Path(folder)
    if folder.is_file() and is_animal_file(folder):
        return [folder]
    files = sorted(p for p in folder.glob("*") if is_animal_file(p)) if folder.is_dir() else []
    if not files:
        raise InputError(f"{folder}: holds no HDF5 files ({', '.join(SUFFIXES)}); give the folder of the animals.")
    return files
