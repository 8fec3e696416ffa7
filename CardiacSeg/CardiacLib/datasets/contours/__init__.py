"""Contours that other programs drew, as labels: workspaces of cvi42 and folders of plain polygon files."""

from pathlib import Path

import numpy as np

from CardiacLib.errors import InputError
from CardiacLib.types.cine import Cine

from .cvi42 import SUFFIX, read_cvi42
from .fill import labels_of
from .polygons import read_polygons

CONTOUR_SUFFIXES = (SUFFIX,)


def is_contour_source(path: Path) -> bool:
    """Whether labels are contours: a cvi42 workspace, or a folder of polygon files."""
    return path.name.lower().endswith(CONTOUR_SUFFIXES) or path.is_dir()


def read_contours(path: Path, cine: Cine) -> tuple[np.ndarray, tuple[str, ...]]:
    """Labels that contours enclose, and which structures they draw.

    Args:
        path: ``.cvi42wsx``, whose images are told by their SOP Instance UIDs, so that the cine must have been read from
            DICOM; or a folder of polygon files, see :func:`CardiacLib.datasets.contours.polygons.read_polygons`.
        cine: what they were drawn on.

    Returns:
        uint8 (T, K, J, I) in CineHeart's order, 255 in slices that nobody drew in; names of the drawn structures.

    Raises:
        InputError: the file is damaged, or none of its contours lies on these images.
    """
    contours = read_cvi42(path, cine) if path.name.lower().endswith(SUFFIX) else read_polygons(path, cine)
    if not contours:
        raise InputError(f"{path}: has no contour of a ventricle on the images {cine.source}.")
    return labels_of(contours, cine.frames.shape)
