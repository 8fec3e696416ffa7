"""What every image file goes through: slices along k, volumes that are frames, and whether the voxel size is known."""

from dataclasses import replace

import numpy as np

from CardiacLib.errors import InputError
from CardiacLib.file_grid import USUAL_GRID, FileGrid, with_slices_along
from CardiacLib.geometry import has_patient_axes, spacing_of

from .raw import RawImage

THICKER = 1.5
"""Slices lie along the axis whose spacing is so many times the others'."""
ALIKE = 1.25
"""Spacings that differ by less than this factor set no axis apart; the axis of fewest voxels then is the slices'."""
MANY_SLICES = 30
"""A stack has fewer slices than this, and than half its pixels in a row."""
LEAST_HEART_MM = 60.0
"""Voxels of 1 x 1 x 1 mm are believed where the image is at least so large along every axis."""
NEAR = 0.05
"""Distance from 0 and 1 within which a value counts as that of a mask."""
RARE = 0.005
"""Share of the voxels that may break a rule."""

LOST_SIZE = (
    "the file has lost its voxel size (1 x 1 x 1 mm without orientation): nothing is known in mm or ml; "
    "export it again with its voxel size"
)
NO_SIZE = "the header has no voxel size along some axis: 1 mm assumed; nothing is known in mm or ml"


def checked(raw: RawImage, path) -> RawImage:
    """The image with its slices along k, and a note on what its header lacks.

    Raises:
        InputError: its volumes are channels of a segmentation, not frames.
    """
    _refuse_channels(raw, path)
    raw = _slices_last(raw)
    matrix = raw.ijk_to_lps
    default = has_patient_axes(matrix) and np.allclose(spacing_of(matrix), 1.0, atol=1e-6)
    if raw.grid.sized and default and min(raw.array.shape[1:]) < LEAST_HEART_MM:
        notes = (*raw.notes, LOST_SIZE)
        return replace(raw, notes=notes, grid=replace(raw.grid, sized=False))
    return raw


def _slices_last(raw: RawImage) -> RawImage:
    array, matrix, grid, note = slices_last(raw.array, raw.ijk_to_lps)
    if not note:
        return raw
    grid = replace(grid, sized=raw.grid.sized)
    return replace(raw, array=np.ascontiguousarray(array), ijk_to_lps=matrix, notes=(*raw.notes, note), grid=grid)


def slices_last(array: np.ndarray, ijk_to_lps: np.ndarray) -> tuple[np.ndarray, np.ndarray, FileGrid, str]:
    """Voxels (T, K, J, I) with the slices along k, their matrix, how they lay before, and a note if that was not so."""
    axis = _slice_axis(np.array(array.shape[:0:-1]), spacing_of(ijk_to_lps))
    if axis == 2:
        return array, ijk_to_lps, USUAL_GRID, ""
    name = ("first", "second")[axis]
    note = f"the slices lie along the {name} axis of the file: its axes were permuted (results are on the file's grid)"
    return (*with_slices_along(array, ijk_to_lps, axis), note)


def _slice_axis(count: np.ndarray, spacing: np.ndarray) -> int:
    """The axis that slices lie along, set apart by its spacing or its number; the third unless another one is."""
    fewest, thickest, sizes = int(np.argmin(count)), int(np.argmax(spacing)), np.sort(spacing)
    if sizes[2] >= THICKER * sizes[1]:
        return thickest if count[thickest] < np.delete(count, thickest).min() else 2
    if count[fewest] == 1:
        return 2 if count[2] == 1 else fewest
    alike = sizes[2] <= ALIKE * sizes[0]
    few = 2 * count[fewest] < np.delete(count, fewest).min() and count[fewest] < MANY_SLICES
    return fewest if alike and few else 2


def _refuse_channels(raw: RawImage, path) -> None:
    """Masks or probabilities of several structures exclude each other; frames of one heart do not."""
    array = raw.array
    if len(array) < 2 or raw.segments:
        return
    high = float(array.max())
    if not high > 0 or float(array.min()) < -NEAR or any(volume.max() < 0.5 * high for volume in array):
        return
    masks = bool(((array == 0) | (array == high)).all())
    if not masks and (array.dtype.kind != "f" or high > 1.0 + NEAR):
        return
    total = array.sum(axis=0, dtype=np.float64) / (high if masks else 1.0)
    exclude = np.mean(total > 1.0 + NEAR) <= RARE
    whole = np.mean(np.abs(total - 1.0) > NEAR) <= RARE
    sure = np.mean((array > NEAR) & (array < 1.0 - NEAR)) <= NEAR
    if exclude and (masks or whole or sure):
        what = "masks" if masks else "probabilities"
        raise InputError(
            f"{path}: its {len(array)} volumes are {what} of structures that exclude each other, not frames of a cine; "
            "save one label map with the values of all structures."
        )
