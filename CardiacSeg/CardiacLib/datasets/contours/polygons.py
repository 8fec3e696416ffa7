"""Folders of polygon files, one contour a file, a point ``x y`` (column, row) a line, as of the Sunnybrook data.

A name says what and where: ``icontour``, ``endo`` or ``lv`` is the LV endocardium, ``ocontour`` or ``epi`` the
epicardium, ``rcontour`` or ``rv`` the RV endocardium. The place is the name of the DICOM image it begins with
(``IM-0001-0048-icontour-manual.txt`` is on ``IM-0001-0048.dcm``), or ``slice3`` and, in a cine, ``frame0``, from 0.
"""

import re
from pathlib import Path

import numpy as np

from CardiacLib.errors import InputError
from CardiacLib.types.cine import Cine

from .fill import ENDO, EPI, RIGHT, Contour

KINDS = (
    (re.compile(r"rcontour|(?<![a-z])rv"), RIGHT),
    (re.compile(r"ocontour|(?<![a-z])epi"), EPI),
    (re.compile(r"icontour|(?<![a-z])(endo|lv)"), ENDO),
)
SLICE = re.compile(r"(?<![a-z])slice[-_]?(\d+)")
FRAME = re.compile(r"(?<![a-z])frame[-_]?(\d+)")
FEWEST_POINTS = 3


def read_polygons(folder: Path, cine: Cine) -> list[Contour]:
    """Contours of a folder that lie on a cine; papillary muscles (``p1contour``, ...) are passed over.

    Raises:
        InputError: a file holds something else than points, or names no place of the cine.
    """
    files = {
        Path(file[0]).stem.lower(): (t, k)
        for t, slices in enumerate(cine.files)
        for k, file in enumerate(slices)
        if file is not None
    }
    contours = []
    for path in sorted(folder.rglob("*.txt")):
        name = path.stem.lower()
        kind = next((kind for pattern, kind in KINDS if pattern.search(name)), None)
        if kind is not None:
            frame, slice_ = _place(path, files, cine)
            contours.append(Contour(kind, frame, slice_, _points(path)))
    return contours


def _place(path: Path, files: dict[str, tuple[int, int]], cine: Cine) -> tuple[int, int]:
    name = path.stem.lower()
    own = [stem for stem in files if name.startswith(stem)]
    if own:
        return files[max(own, key=len)]
    slice_, frame = SLICE.search(name), FRAME.search(name)
    place = int(frame[1]) if frame else 0, int(slice_[1]) if slice_ else 0
    if slice_ is None or place[0] >= cine.n_frames or place[1] >= cine.n_slices:
        raise InputError(
            f"{path}: names no image of {cine.source}; its name must begin with that of a DICOM image, or hold slice3 "
            "(and frame0), from 0."
        )
    return place


def _points(path: Path) -> np.ndarray:
    try:
        points = np.loadtxt(path, delimiter="," if "," in path.read_text(encoding="utf-8") else None, ndmin=2)
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: holds no points (two numbers a line).") from error
    if points.shape[1] != 2 or len(points) < FEWEST_POINTS:
        raise InputError(f"{path}: must hold at least three lines of two numbers, column and row.")
    return points
