"""Labels on the grid of images: of a scene, of another program, or cut down to what is drawn."""

from dataclasses import replace

import numpy as np

from CardiacLib.errors import InputError
from CardiacLib.geometry import apply
from CardiacLib.types.cine import Cine
from CardiacLib.types.labels import BACKGROUND, LabelMap

SAME_GRID_MM = 0.1
"""Voxel centres this close are the same: other readers of DICOM round the headers differently."""


def nearest_labels(labelmap: LabelMap, cine: Cine) -> tuple[LabelMap, float]:
    """The labels at the voxel centres of a cine's images, background beyond their own grid.

    Returns:
        labels (T', K, J, I) on the grid of the cine, and how far (mm) its voxel centres lie from the nearest ones of
        the labels at most.
    """
    i, j, k = np.indices(cine.frames.shape[:0:-1])
    points = apply(np.linalg.inv(labelmap.ijk_to_lps) @ cine.ijk_to_lps, np.stack([i, j, k], -1).transpose(2, 1, 0, 3))
    index = np.rint(points).astype(int)
    size = np.array(labelmap.labels.shape[:0:-1])
    inside = ((index >= 0) & (index < size)).all(-1)
    apart = float(np.abs((points - index) @ labelmap.ijk_to_lps[:3, :3].T).max())
    labels = np.zeros((len(labelmap.labels), *cine.frames.shape[1:]), np.uint8)
    i, j, k = index[inside].T
    labels[:, inside] = labelmap.labels[:, k, j, i]
    return replace(labelmap, labels=labels, ijk_to_lps=cine.ijk_to_lps, grid=cine.grid), apart


def on_images(labelmap: LabelMap, cine: Cine) -> LabelMap:
    """Labels that a person has corrected, on the grid of the images that they are of.

    Their voxels must be those of the images. The axes may run another way, and slices, rows and columns that hold no
    label may be missing or more, as Slicer leaves them.

    Raises:
        InputError: other voxels, or labels beyond the images.
    """
    on_grid, apart = nearest_labels(labelmap, cine)
    if apart > SAME_GRID_MM:
        raise InputError(
            f"{labelmap.source}: its voxels are not those of the short axis {cine.source}; give labels on the grid of "
            "these images (in Slicer: with the cine as reference geometry)."
        )
    lost = int((labelmap.labels != BACKGROUND).sum() - (on_grid.labels != BACKGROUND).sum())
    if lost:
        raise InputError(
            f"{labelmap.source}: {lost} of its labelled voxels lie outside the short axis {cine.source}; give the "
            "labels of this study."
        )
    return on_grid
