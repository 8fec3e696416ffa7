"""Read valve points: ``landmarks.json``, and Slicer's Markups JSON (``.mrk.json``), one file for each frame."""

import json
from pathlib import Path

import numpy as np

from CardiacLib.errors import InputError
from CardiacLib.types.landmarks import LANDMARK_NAMES, Landmarks, read_landmarks

MARKUPS = ".mrk.json"
TO_LPS = {"LPS": np.ones(3), "RAS": np.array([-1.0, -1.0, 1.0])}


def read_points(path: str | Path) -> Landmarks:
    """Read the valve points of one frame or of several.

    Args:
        path: a ``landmarks.json``; a ``.mrk.json`` of one frame; or a folder of ``.mrk.json``, one for each frame in
            the order of their names (as ``landmarks/markups`` of ``cineheart run``). Control points are told by their
            labels, the names of LANDMARK_NAMES; points without position are not known.

    Returns:
        Points in LPS mm; those of markups have no times and no confidence.

    Raises:
        InputError: nothing of the kind is there, a file is damaged, or it holds none of these names.
    """
    path = Path(path)
    if path.is_dir():
        files = sorted(file for file in path.iterdir() if file.name.endswith(MARKUPS))
        if not files:
            raise InputError(f"{path}: holds no {MARKUPS} files; give landmarks.json, or the folder of its markups.")
        return Landmarks(np.stack([_points_of(file) for file in files]), None)
    if path.name.endswith(MARKUPS):
        return Landmarks(_points_of(path)[None], None)
    return read_landmarks(path)


def _points_of(path: Path) -> np.ndarray:
    """(10, 3) LPS mm of one file, NaN where it has no such point."""
    points = np.full((len(LANDMARK_NAMES), 3), np.nan)
    found = 0
    try:
        for markup in json.loads(path.read_text(encoding="utf-8"))["markups"]:
            to_lps = TO_LPS[markup.get("coordinateSystem", "LPS")]
            for control in markup["controlPoints"]:
                if control.get("label") not in LANDMARK_NAMES:
                    continue
                found += 1
                if control.get("positionStatus", "defined") == "defined":
                    points[LANDMARK_NAMES.index(control["label"])] = np.array(control["position"], float) * to_lps
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or 'no such file'}).") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{path}: is no Markups JSON of points; save the point list in Slicer again.") from error
    if not found:
        names = ", ".join(LANDMARK_NAMES)
        raise InputError(f"{path}: none of its points has the name of a valve point; name them {names}.")
    return points
