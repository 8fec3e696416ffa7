"""Plain surfaces of the labelled structures, straight from the voxels by marching cubes."""

from pathlib import Path

import numpy as np

from CardiacLib import geometry
from CardiacLib.errors import InputError
from CardiacLib.types.labels import structures

from .surfaces import write_stl_file
from .vtk import write_surface


def label_surfaces(labels_kji: np.ndarray, ijk_to_lps: np.ndarray) -> dict[int, tuple[np.ndarray, np.ndarray]]:
    """Closed surface of each structure that the labels have, steps between slices and all; nothing is smoothed.

    Args:
        labels_kji: uint8 (K, J, I) with the values of CardiacLib.types.labels.
        ijk_to_lps: (4, 4) voxel index at the voxel centre to LPS mm.

    Returns:
        by label value, points float64 (N, 3) LPS mm and triangles int64 (F, 3) that point out of the structure.
        Half a voxel beyond the centres of the outermost voxels the surface closes.

    Raises:
        InputError: the labels have no structure.
    """
    from skimage.measure import marching_cubes

    mirrored = np.linalg.det(ijk_to_lps[:3, :3]) < 0
    found = {}
    for value in structures():
        mask = labels_kji == value
        if value and mask.any():
            points, triangles, _, _ = marching_cubes(np.pad(mask, 1).astype(np.float32), 0.5)
            points = geometry.apply(ijk_to_lps, points[:, ::-1].astype(float) - 1.0)
            # skimage's triangles point out of the mask once (k, j, i) is read as (i, j, k) in a right-handed frame.
            triangles = triangles[:, ::-1] if mirrored else triangles
            found[value] = points, triangles.astype(np.int64)
    if not found:
        raise InputError("The labels are empty: there is no structure to draw a surface of.")
    return found


def write_label_surfaces(labels_kji: np.ndarray, ijk_to_lps: np.ndarray, folder: Path) -> None:
    """Write ``labels/LV_BLOOD_POOL.vtp`` and ``.stl`` and so on, LPS mm; the VTP has cell array ``label``."""
    folder = folder / "labels"
    folder.mkdir()
    for value, (points, triangles) in label_surfaces(labels_kji, ijk_to_lps).items():
        name = structures()[value].name.upper().replace(" ", "_")
        cells = {"label": np.full(len(triangles), value, np.int32)}
        write_surface(folder / f"{name}.vtp", points, triangles, {}, cells, {name: value})
        write_stl_file(folder / f"{name}.stl", points, triangles)
