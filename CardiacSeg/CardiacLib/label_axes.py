"""What labels say of their slices: whether these are short-axis slices, and whether the stack ends too soon."""

from dataclasses import replace
from typing import NamedTuple

import numpy as np
from scipy import ndimage

from CardiacLib.errors import InputError
from CardiacLib.geometry import apply, index_of, spacing_of
from CardiacLib.types.labels import LV, MYO, RV, LabelMap, largest_piece

MOST_TILT_DEG = 35.0
"""Angle between the slice normal and the LV's axis beyond which slices are no short-axis slices."""
OPENS_ONE_WAY = 0.5
"""Least share of the faces of the pool's surface that no muscle covers that is left when opposite ones cancel."""
COARSE_MM = 3.5
"""Voxels up to this size can be cut anew across the LV's axis."""
MARGIN_MM = 12.0
"""Room round the heart of one frame in labels that were cut anew; other frames move within it."""
APEX_AREA = 0.45
"""LV pool of the apical end slice over its largest slice's from which the apex is missing. Experts: at most 0.42."""
BASE_AREA = 0.9
"""LV pool of the last slice of the stack at the base over its largest slice's from which the base may be missing."""


def opening(labels_kji: np.ndarray, ijk_to_lps: np.ndarray) -> tuple[np.ndarray, float]:
    """Unit LPS direction (3,) in which the LV pool opens, from apex to base, and how clearly, 0 to 1.

    The summed normals of the pool's surface that no myocardium covers. For an opening of any form this is the normal of
    a surface that closes it (Gauss), whatever the axes of the voxels; a pool cut by the border of its slices
    counts as covered there. NaN and 0 where all is covered.
    """
    pool = np.pad(labels_kji == LV, 1)
    inside = np.pad(np.isin(labels_kji, (LV, MYO)), ((0, 0), (1, 1), (1, 1)), mode="edge")
    inside = np.pad(inside, ((1, 1), (0, 0), (0, 0)))
    spacing = spacing_of(ijk_to_lps)
    area, total = np.zeros(3), 0.0
    for axis in range(3):
        face = np.prod(np.delete(spacing, axis))
        for way in (1, -1):
            bare = np.count_nonzero(pool & ~np.roll(inside, -way, 2 - axis)) * face
            area[axis] += way * bare
            total += bare
    normal = (np.asarray(ijk_to_lps, float)[:3, :3] / spacing) @ area
    length = float(np.linalg.norm(normal))
    return (normal / length, float(np.abs(area).sum() / total)) if length > 0 else (np.full(3, np.nan), 0.0)


def tilt_deg(labels_kji: np.ndarray, ijk_to_lps: np.ndarray) -> float:
    """Angle between the slices' normal and the LV's axis in degrees; 0 where the labels do not tell the axis."""
    axis, clear = opening(labels_kji, ijk_to_lps)
    if clear < OPENS_ONE_WAY:
        return 0.0
    normal = np.cross(ijk_to_lps[:3, 0], ijk_to_lps[:3, 1])
    return float(np.degrees(np.arccos(np.clip(abs(axis @ normal) / np.linalg.norm(normal), 0.0, 1.0))))


def on_short_axis(labels: LabelMap, frame: int = 0) -> LabelMap:
    """Labels on slices across the long axis of the LV; the same where they are that already.

    Labels of a whole heart on other axes (isotropic, along the patient) are cut anew, nearest voxel by nearest voxel,
    across the axis of the LV in one frame, in slices as thick as their smallest voxels; a note says so.

    Raises:
        InputError: the slices lie along the LV, and are too thick to be cut anew.
    """
    tilt = tilt_deg(labels.labels[frame], labels.ijk_to_lps)
    if tilt <= MOST_TILT_DEG:
        return labels
    spacing = spacing_of(labels.ijk_to_lps)
    if spacing.max() > COARSE_MM:
        raise InputError(
            f"{labels.source or 'the labels'}: not drawn on short-axis slices (the LV's axis lies {tilt:.0f} degrees "
            f"from the slices' normal), and slices {spacing.max():.1f} mm apart are too coarse to be cut anew; give "
            "labels of the short axis."
        )
    axis, _ = opening(labels.labels[frame], labels.ijk_to_lps)
    matrix, shape = _grid(labels.labels[frame], labels.ijk_to_lps, axis, float(spacing.min()))
    k, j, i = np.indices(shape)
    places = index_of(labels.ijk_to_lps, apply(matrix, np.stack([i, j, k], -1)))
    at = np.moveaxis(places[..., ::-1], -1, 0)
    cut = np.stack([ndimage.map_coordinates(volume, at, order=0, mode="grid-constant") for volume in labels.labels])
    note = (
        f"The labels are not drawn on short-axis slices: they were cut anew across the axis of the LV, "
        f"{tilt:.0f} degrees from the normal of their slices, in slices of {spacing.min():.2f} mm."
    )
    return replace(labels, labels=cut, ijk_to_lps=matrix, notes=(*labels.notes, note))


def _grid(
    section: np.ndarray, ijk_to_lps: np.ndarray, axis: np.ndarray, step: float
) -> tuple[np.ndarray, tuple[int, int, int]]:
    """(4, 4) matrix and (K, J, I) of cubes of ``step`` mm round all that is labelled, k along ``axis``."""
    across = np.eye(3)[np.argmin(np.abs(axis))]
    i = np.cross(across, axis) / np.linalg.norm(np.cross(across, axis))
    directions = np.stack([i, np.cross(axis, i), axis], 1)
    local = apply(ijk_to_lps, np.argwhere(section)[:, ::-1]) @ directions
    low, high = local.min(0) - MARGIN_MM, local.max(0) + MARGIN_MM
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = directions * step, directions @ low
    return matrix, tuple((np.ceil((high - low) / step).astype(int) + 1)[::-1])


def trend(slices: np.ndarray, sizes: np.ndarray) -> float:
    """Median slope of sizes over slices (Theil and Sen): half a slice at the base does not turn it."""
    first, second = np.triu_indices(len(slices), 1)
    return float(np.median((sizes[second] - sizes[first]) / (slices[second] - slices[first])))


class StackEnds(NamedTuple):
    """What the ends of a short-axis stack leave out of the LV, one sentence each; empty where nothing."""

    apex: str = ""
    base: str = ""


def stack_ends(labels_kji: np.ndarray, apex_first: bool | None = None) -> StackEnds:
    """What the ends of a stack leave out.

    Args:
        labels_kji: (K, J, I) at end-diastole.
        apex_first: the order of the slices; None tells it from the pools, which narrow towards the apex.
    """
    area = (labels_kji == LV).sum((1, 2))
    held = np.flatnonzero(area)
    if len(held) < 2:
        return StackEnds()
    if apex_first is None:
        apex_first = trend(held, (area + (labels_kji == RV).sum((1, 2)))[held]) >= 0
    if not apex_first:
        labels_kji, area = labels_kji[::-1], area[::-1]
        held = np.flatnonzero(area)
    lowest, share, apex, base = int(held[0]), area[held[0]] / area.max(), "", ""
    closed = lowest > 0 and _covers(labels_kji[lowest - 1] == MYO, labels_kji[lowest] == LV)
    if share > APEX_AREA and not closed:
        apex = (
            f"The labels end above the apex: their lowest slice still has {share:.0%} of the largest LV pool area. "
            "What lies below is not measured; volumes and mass are too small, and the apex of a mesh is invented."
        )
    if held[-1] == len(area) - 1 and area[-1] > BASE_AREA * area.max():
        base = (
            "The stack may end below the base: the LV pool is as large as ever in its last slice. "
            "What lies above is not measured, and volumes and mass may be too small."
        )
    return StackEnds(apex, base)


def stack_end_notes(labels_kji: np.ndarray, apex_first: bool | None = None) -> tuple[str, ...]:
    """The sentences of :func:`stack_ends`."""
    return tuple(filter(None, stack_ends(labels_kji, apex_first)))


def _covers(muscle: np.ndarray, pool: np.ndarray) -> bool:
    """Whether a section of myocardium without pool lies under a pool."""
    return bool(muscle.any()) and bool((largest_piece(muscle) & pool).sum() > 0.3 * pool.sum())
