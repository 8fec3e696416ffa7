"""Read image files (NIfTI, NRRD, MetaImage) and folders of them."""

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from CardiacLib.datasets.mouse.hdf5 import read_animal
from CardiacLib.errors import InputError
from CardiacLib.geometry import matrix_of
from CardiacLib.progress import Progress, silent
from CardiacLib.readers.view.views import LAX_VIEWS, hint_of
from CardiacLib.types.cine import Cine
from CardiacLib.types.patient import Patient

from .axes import checked
from .info_cfg import patient_beside
from .nifti import read_nifti
from .nrrd import read_nrrd
from .one_cine import require_one_cine
from .planes import Plane
from .raw import RawImage, even_times_ms, require_numbers

AS_FRAMES = "save the file with time as its fourth axis (columns x rows x 1 x frames)"
NIFTI = (".nii", ".nii.gz")
NRRD = (".nrrd", ".nhdr")
META = (".mha", ".mhd")
HDF5 = (".h5", ".hdf5")
PICTURES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff")
LABEL_NAME = re.compile(r"(?<![a-z])(gt|seg|segmentation|label|labels|mask)(?![a-z])")


class Files(NamedTuple):
    """Files of a study folder by kind; hidden files are not looked at."""

    images: list[Path]
    pictures: list[Path]
    others: list[Path]


@dataclass(frozen=True, eq=False)
class Volume:
    """A Cine of several slices that came as one, with the names a user may call it by."""

    cine: Cine
    name: str
    keys: tuple[str, ...]
    hint: str


def list_files(path: Path) -> Files:
    """Files below a folder (or the one file), images and pictures by their name, the others perhaps DICOM.

    Raises:
        InputError: the path does not exist or the folder is empty.
    """
    if not path.exists():
        raise InputError(f"{path}: does not exist.")
    files = _files_below(path) if path.is_dir() else [path]
    if not files:
        raise InputError(f"{path}: the folder is empty.")
    images = [p for p in files if p.name.lower().endswith(NIFTI + NRRD + META + HDF5)]
    pictures = [p for p in files if p.name.lower().endswith(PICTURES)]
    known = {*images, *pictures}
    return Files(images, pictures, [p for p in files if p not in known])


def _files_below(folder: Path) -> list[Path]:
    """Files that are not hidden, in the order of their paths. Links are followed, no folder is entered twice.

    Raises:
        InputError: a link to nothing.
    """
    found: list[Path] = []
    entered: set[str] = set()
    for parent, folders, names in os.walk(folder, followlinks=True):
        true = os.path.realpath(parent)
        if true in entered:
            folders.clear()
            continue
        entered.add(true)
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for path in (Path(parent, name) for name in names if not name.startswith(".")):
            if path.is_symlink() and not path.exists():
                raise InputError(f"{path}: is a link to a file that does not exist; copy the files themselves.")
            if path.is_file():
                found.append(path)
    return sorted(found)


def read_raw(path: Path) -> RawImage:
    """Voxels of one image file, by its suffix.

    Raises:
        InputError: missing, unknown kind, 2-D picture, damaged, or channels of a segmentation instead of frames.
    """
    name = path.name.lower()
    if not path.is_file():
        raise InputError(f"{path}: " + ("is a folder, not an image file." if path.exists() else "does not exist."))
    if name.endswith(NIFTI):
        raw = read_nifti(path)
    elif name.endswith(NRRD):
        raw = read_nrrd(path)
    elif name.endswith(META):
        raw = _read_meta(path)
    elif name.endswith(HDF5):
        raw = _read_hdf5(path)
    elif name.endswith(PICTURES):
        raise InputError(f"{path}: is a 2-D picture without position in space; use DICOM, NIfTI or NRRD.")
    else:
        raise InputError(f"{path}: is no DICOM, NIfTI, NRRD or MetaImage file.")
    require_numbers(raw.array, path)
    return checked(raw, path)


def _read_hdf5(path: Path) -> RawImage:
    """The images of an animal in the published layout."""
    cine = read_animal(path).cine
    rate = cine.patient.heart_rate_bpm
    return RawImage(cine.frames, cine.ijk_to_lps, cine.times_ms, cine.notes, heart_rate_bpm=rate)


def _read_meta(path: Path) -> RawImage:
    import SimpleITK as sitk

    try:
        image = sitk.ReadImage(str(path))
    except RuntimeError as error:
        raise InputError(f"{path}: cannot be read as MetaImage; it may be truncated, export it again.") from error
    if image.GetNumberOfComponentsPerPixel() > 1 or image.GetDimension() not in (3, 4):
        raise InputError(f"{path}: is not a grey-value volume or cine (3-D or 4-D).")
    array = sitk.GetArrayFromImage(image)
    array = array if array.ndim == 4 else array[None]
    step = image.GetSpacing()[3] if image.GetDimension() == 4 else 0.0
    times, notes = even_times_ms(len(array), step, None)
    return RawImage(array, matrix_of(image), times, notes)


def cine_of(raw: RawImage, view: str, path) -> Cine:
    """The Cine of one file on the file's own grid; of ACDC's files with what ``Info.cfg`` says of the patient."""
    patient = _patient(raw).completed_by(patient_beside(Path(path)))
    return Cine(raw.array, raw.ijk_to_lps, raw.times_ms, view, str(path), raw.notes, patient, grid=raw.grid)


def require_frames(cine: Cine, view: str) -> None:
    """Raise InputError for a long-axis file of one frame and several slices: no cine, or its third axis is time."""
    if view in LAX_VIEWS and cine.n_frames == 1 and cine.n_slices > 1:
        raise InputError(
            f"{cine.source}: has {cine.n_slices} slices of one frame, where a long-axis cine has frames of one slice; "
            f"if these are frames, {AS_FRAMES}."
        )


def _patient(raw: RawImage) -> Patient:
    """The heart rate, if the file states it or frame times: a retrospectively gated cine spans one beat."""
    if raw.heart_rate_bpm is not None:
        return Patient(heart_rate_bpm=raw.heart_rate_bpm)
    n = len(raw.array)
    if n < 2 or raw.times_ms is None or any("was taken in" in note for note in raw.notes):
        return Patient()
    span = float(raw.times_ms[-1] - raw.times_ms[0])
    return Patient(heart_rate_bpm=60000.0 * (n - 1) / (span * n) if span > 0 else None)


def read_image_items(paths: list[Path], progress: Progress = silent) -> tuple[list[Plane], list[Volume], list[str]]:
    """Planes (one slice) and volumes (several slices) of image files, and what was left out.

    Files of one frame that lie in one folder on one grid and are named alike except for a number are the
    frames of one cine, in the order of these numbers.

    Raises:
        InputError: a file is damaged, or such files are of several patients.
    """
    cines: list[tuple[Path, Cine]] = []
    left_out = []
    for number, path in enumerate(paths):
        progress(number / len(paths), f"Reading {path.name}")
        if LABEL_NAME.search(path.name.lower()):
            left_out.append(f"{path.name}: labels by its name, not an image")
            continue
        cines.append((path, cine_of(read_raw(path), "other", path)))
    planes: list[Plane] = []
    volumes: list[Volume] = []
    for path, cine in _joined(cines):
        keys = (path.name, _stem(path), path.parent.name)
        hint = hint_of(_stem(path), path.parent.name)
        if cine.n_slices > 1:
            volumes.append(Volume(cine, path.name, keys, hint))
        else:
            planes.append(_plane_of(cine, path, keys, hint))
    return planes, volumes, left_out


def _stem(path: Path) -> str:
    return re.sub(r"(\.seq|\.seg)?(\.nii\.gz|\.[A-Za-z]+)$", "", path.name)


def _joined(cines: list[tuple[Path, Cine]]) -> list[tuple[Path, Cine]]:
    """Single-frame files of one series joined to cines.

    Raises:
        InputError: the files are of several patients, or otherwise no frames of one cine.
    """
    result, series = [], {}
    for path, cine in cines:
        grid = (cine.frames.shape, np.round(cine.ijk_to_lps, 3).tobytes())
        if cine.n_frames == 1:
            series.setdefault((path.parent, re.sub(r"\d+", "#", path.name), grid), []).append((path, cine))
        else:
            result.append((path, cine))
    for group in series.values():
        group.sort(key=lambda item: [int(n) for n in re.findall(r"\d+", item[0].name)])
        path, first = group[0]
        if len(group) > 1:
            require_one_cine([path for path, _ in group], [cine.frames[0] for _, cine in group])
            times, notes = even_times_ms(len(group), 0.0, None)
            note = f"{len(group)} single-frame files taken as frames in the order of their numbers"
            frames = np.concatenate([cine.frames for _, cine in group])
            first = first.with_changes(frames=frames, times_ms=times, notes=(*first.notes, note, *notes))
        result.append((path, first))
    return result


def _plane_of(cine: Cine, path: Path, keys: tuple[str, ...], hint: str) -> Plane:
    matrix = cine.ijk_to_lps.copy()
    thickness = float(np.linalg.norm(matrix[:3, 2]))
    normal = np.cross(matrix[:3, 0], matrix[:3, 1])
    matrix[:3, 2] = normal / np.linalg.norm(normal)
    rate = cine.patient.heart_rate_bpm
    return Plane(
        matrix=matrix,
        shape=cine.frames.shape[2:],
        times_ms=np.arange(cine.n_frames, dtype=float) if cine.times_ms is None else cine.times_ms,
        timed=cine.times_ms is not None,
        beat_ms=60000.0 / rate if rate else None,
        load=lambda: cine.frames[:, 0],
        name=path.name,
        thickness_mm=thickness,
        keys=keys,
        hint=hint,
        notes=cine.notes,
        patient=cine.patient,
        fault="" if cine.n_frames > 1 else "a single image, not a cine",
        last_resort=cine.n_frames == 1,
        sized=cine.grid.sized,
    )
