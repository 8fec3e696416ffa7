"""The shape of the myocardium as three distance fields: LV pool, RV pool and the outer body.

Myocardium is where the outer body is not pool. Wall thickness is guarded by combining the fields, so that
no wall can vanish: the outer body always reaches a wall's thickness beyond either pool.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from BiVMeshLib.prepare.frame import HeartFrame
from BiVMeshLib.prepare.interpolate import UPRIGHT, Grid, interpolate_structure, make_grid, slab_volume
from BiVMeshLib.prepare.labels_check import LabelStack
from CardiacLib.types.labels import largest_piece
from CardiacLib.types.mesh_options import MeshOptions

from .field import Field

MARGIN = 9.0
"""mm of grid beyond the labels: RV wall, smoothing and one lattice cell fit in."""
ABOVE = 12.0
"""mm of grid over the base, so that distances at the base do not see an end of the structure."""
MOST_SHIFT = 0.5
"""mm by which a surface may be moved as a whole to keep its structure's volume."""
SHEET_RADIUS = 2.0
"""Muscle inside a pool thinner than twice this (mm) becomes pool: no layer of good tetrahedra fits in it."""
TIP_RADIUS = 1.5
"""Parts of the RV pool thinner than twice this (mm) are rounded off: the cusps at the insertions."""
SMOOTHED = 3.0
"""Standard deviations as far as which smoothing reads a field."""
CLEFT_RADIUS = 4.0
"""The outer surface is closed by a ball of this radius (mm): grooves between LV and RV and at the RV tip."""

FAR = np.float32(50.0)
"""mm. Where nobody asks how far."""
EDGE = 4
"""Voxels: what reads a surface from a distance map reads no more than so many on either side of it."""


@dataclass(frozen=True)
class Shape:
    """Signed distances in mm in the local frame, negative inside.

    Attributes:
        lv, rv, outer: LV pool, RV pool (None without one), outer body (pools and myocardium).
        lv_body: LV pool and LV myocardium, which tells the LV's and the septum's cells from the RV wall's; outside it
            right near its surface only.
    """

    lv: Field
    rv: Field | None
    outer: Field
    lv_body: Field

    def myocardium(self) -> Field:
        """Field of the myocardium; pools are far enough apart for one sampled maximum to be exact at the surface."""
        values = np.maximum(self.outer.values, -self.lv.values)
        if self.rv is not None:
            values = np.maximum(values, -self.rv.values)
        return Field(values, self.outer.origin, self.outer.spacing)


def make_shape(stack: LabelStack, frame: HeartFrame, options: MeshOptions) -> Shape:
    """Distance fields of a cleaned label stack on an isotropic grid of ``options.grid_mm``."""
    grid = make_grid(stack, frame, options.grid_mm, MARGIN + options.rv_wall_mm, ABOVE)
    parts = _Parts(stack, frame, grid)
    h, sigma = grid.spacing, options.smoothing_mm
    with ThreadPoolExecutor(1) as other_core:
        body = other_core.submit(
            lambda: _smoothed(distance(_solid(parts.values(stack.lv_epi)), h, SMOOTHED * sigma), h, sigma)
        )
        rv_values = other_core.submit(parts.values, stack.rv) if stack.has_rv else None
        closed = _surface_closed(_solid(parts.values(stack.lv)), h, SHEET_RADIUS)
    lv = _upright(_smoothed(distance(_solid(closed), h), h, sigma), grid)
    lv = _with_volume(lv, grid, parts.volume(stack.lv), lambda pool: pool)
    lv = _half_ball(lv, grid, options.min_lv_wall_mm)
    lv_body = _upright(body.result(), grid)
    volume = parts.volume(stack.lv_epi)
    lv_body = _with_volume(lv_body, grid, volume, lambda body: np.minimum(body, lv - options.min_lv_wall_mm))
    rv = None if rv_values is None else _rv_pool(rv_values.result(), parts, lv, lv_body, options)
    outer = _outer_body(parts, lv, lv_body, rv, options)
    return Shape(
        lv=Field(lv, grid.origin, h),
        rv=None if rv is None else Field(rv, grid.origin, h),
        outer=Field(outer, grid.origin, h),
        lv_body=Field(lv_body, grid.origin, h),
    )


@dataclass(frozen=True)
class _Parts:
    """The structures of a label stack, to be had on a grid in the heart's frame."""

    stack: LabelStack
    frame: HeartFrame
    grid: Grid

    def values(self, sections: np.ndarray) -> np.ndarray:
        """Field on the grid, negative inside the structure of bool sections (K, J, I)."""
        return interpolate_structure(sections, self.stack, self.frame, self.grid)

    def volume(self, sections: np.ndarray) -> float:
        """mm^3 under the base plane."""
        return slab_volume(sections, self.stack, self.frame)


def _rv_pool(values: np.ndarray, parts: _Parts, lv, lv_body, options) -> np.ndarray:
    """RV pool of ``values`` beside the LV: cut free of its body and of the septum, rounded, in one piece."""
    grid, h = parts.grid, parts.grid.spacing
    values = np.maximum(_surface_closed(values, h, SHEET_RADIUS), -lv_body)
    values = np.maximum(values, options.min_septum_mm - lv)
    values = distance(_solid(_opened(values, h)), h)
    values = np.maximum(_smoothed(values, h, options.smoothing_mm), options.min_septum_mm - lv)
    values, volume = _upright(_solid(values), grid), parts.volume(parts.stack.rv)
    values = _with_volume(values, grid, volume, lambda pool: np.maximum(pool, options.min_septum_mm - lv))
    return _half_ball(values, grid, options.min_septum_mm)


def _outer_body(parts: _Parts, lv, lv_body, rv, options) -> np.ndarray:
    """Union of the LV and of the RV pool with its wall, labelled or grown, with its creases rounded.

    With a labelled wall it encloses what the labels do: what rounding the creases adds is taken off all over.
    """
    labelled, grid, h = parts.stack.wall, parts.grid, parts.grid.spacing
    outer = lv_body
    if labelled is not None:
        outer = np.minimum(outer, distance(_solid(parts.values(labelled)), h))
        wall = min(options.rv_wall_mm, 2.0)
    else:
        wall = options.rv_wall_mm
    if rv is not None:
        rv_distance = distance(np.minimum(rv, 50.0), h)
        outer = np.minimum(outer, rv_distance - wall)
    outer = _smoothed(_closed(distance(_solid(outer), h), h, CLEFT_RADIUS), h, options.smoothing_mm)

    def guarded(body):
        body = np.minimum(body, lv - options.min_lv_wall_mm)
        return _upright(body if rv is None else np.minimum(body, rv_distance - wall), grid)

    if labelled is None:
        return guarded(outer)
    return _with_volume(outer, grid, parts.volume(labelled), guarded)


def distance(values: np.ndarray, spacing: float, reach: float | None = None) -> np.ndarray:
    """Signed distance to the zero level of ``values`` on an isotropic grid, float32, negative inside.

    Away from the surface the Euclidean distance transform between voxels; within two voxels of it the
    first-order distance f / |grad f|, which keeps the level's sub-voxel place.

    Args:
        reach: mm outside up to which, and EDGE voxels more, the distance is asked for; at least FAR beyond.
    """
    inside = values < 0
    if not inside.any() or inside.all():
        return np.where(inside, -FAR, FAR).astype(np.float32)
    if reach is not None:
        found, box = np.full(values.shape, FAR, np.float32), _round(inside, int(np.ceil(reach / spacing)) + EDGE)
        found[box] = distance(values[box], spacing)
        return found
    out = _voxels_from(inside)
    box = _round(inside)
    out[box] = np.where(inside[box], -_voxels_from(~inside[box]), out[box])
    far = (out - 0.5 * np.sign(out)) * np.float32(spacing)
    z, y, x = np.nonzero(np.abs(out) <= 2.0)
    slope = np.zeros(len(z), np.float32)
    for axis, index in enumerate((z, y, x)):
        low, high = [z, y, x], [z, y, x]
        low[axis], high[axis] = np.maximum(index - 1, 0), np.minimum(index + 1, values.shape[axis] - 1)
        step = (values[tuple(high)] - values[tuple(low)]) / ((high[axis] - low[axis]) * spacing)
        slope += step**2
    near = values[z, y, x] / np.maximum(np.sqrt(slope), 0.2)
    guess = far[z, y, x]
    far[z, y, x] = np.clip(near, guess - spacing, guess + spacing)
    return far


def _round(mask: np.ndarray, margin: int = 1) -> tuple[slice, ...]:
    """The box of a mask with so many voxels round it; with one the nearest voxel outside the mask is never farther."""
    found = []
    for axis in range(3):
        hit = np.flatnonzero(mask.any(tuple(n for n in range(3) if n != axis)))
        found.append(slice(max(int(hit[0]) - margin, 0), int(hit[-1]) + 1 + margin))
    return tuple(found)


def _voxels_from(mask: np.ndarray) -> np.ndarray:
    """float32 distance in voxels of every voxel outside ``mask`` to the nearest one in it; not meaningful inside.

    Maurer's algorithm as in ITK: a third of the time of the distance transform in scipy, and on all cores.
    """
    import SimpleITK

    image = SimpleITK.GetImageFromArray(mask.view(np.uint8))
    return SimpleITK.GetArrayFromImage(
        SimpleITK.SignedMaurerDistanceMap(image, squaredDistance=False, useImageSpacing=False)
    )


def _smoothed(values: np.ndarray, spacing: float, sigma: float) -> np.ndarray:
    """Gaussian smoothing whose zero level encloses as many voxels as before."""
    if sigma <= 0:
        return values
    smooth = ndimage.gaussian_filter(values, sigma / spacing, mode="nearest", truncate=SMOOTHED)
    count = int((values < 0).sum())
    level = np.partition(smooth.ravel(), count)[count]
    return smooth - np.float32(np.clip(level, -0.5 * spacing, 0.5 * spacing))


def _with_volume(values: np.ndarray, grid: Grid, volume: float, guard: Callable) -> np.ndarray:
    """A field moved by a constant, MOST_SHIFT at most, and guarded, to enclose ``volume`` (mm^3) under the base.

    Makes up for what clean-up, smoothing and guards of the shape take off thin parts or add to them.

    Args:
        guard: takes the moved field and returns it with a wall's thickness guarded.
    """
    weight = np.clip(0.5 - grid.axis(2) / grid.spacing, 0.0, 1.0)
    level = 0.0
    for _ in range(3):
        share = np.clip(0.5 - guard(values - np.float32(level)) / grid.spacing, 0.0, 1.0)
        enclosed = (share.sum((1, 2)) @ weight) * grid.spacing**3
        area = (((share > 0) & (share < 1)).sum((1, 2)) @ weight) * grid.spacing**2
        level = float(np.clip(level + (volume - enclosed) / max(area, 1.0), -MOST_SHIFT, MOST_SHIFT))
    return guard(values - np.float32(level))


def _solid(values: np.ndarray) -> np.ndarray:
    """One piece without cavities: other pieces become outside, enclosed cavities inside."""
    inside = values < 0
    if not inside.any():
        return values
    box = _round(inside)  # all beyond is outside, in one piece with the border of the grid
    keep, out = largest_piece(inside[box]), values.copy()
    part = out[box]
    part[inside[box] & ~keep] = 0.5
    part[_cavities(keep)] = -0.5
    return out


def _cavities(solid: np.ndarray, axes: Sequence[int] = range(3)) -> np.ndarray:
    """bool: what lies outside ``solid`` without a way along these axes to the border of the grid."""
    ways = np.zeros((3, 3, 3), bool)
    for axis in axes:
        ways[tuple(slice(None) if n == axis else 1 for n in range(3))] = True
    pieces, count = ndimage.label(~solid, ways)
    enclosed = np.ones(count + 1, bool)
    enclosed[0] = False
    for axis in axes:
        for end in (0, -1):
            enclosed[pieces.take(end, axis=axis)] = False
    return enclosed[pieces]


def _opened(values: np.ndarray, spacing: float) -> np.ndarray:
    """Morphological opening by a ball of TIP_RADIUS, by two distance transforms; right near the surface."""
    eroded = distance(values, spacing, 0.0) + np.float32(TIP_RADIUS)
    if not (eroded < 0).any():
        return values
    return np.maximum(values, distance(_solid(eroded), spacing, TIP_RADIUS) - np.float32(TIP_RADIUS))


def _surface_closed(values: np.ndarray, spacing: float, radius: float) -> np.ndarray:
    """A field closed by a ball as by :func:`_closed`, but right near its surface only."""
    near = distance(values, spacing, radius)
    return np.minimum(near, distance(_solid(near - radius), spacing, 0.0) + np.float32(radius))


def _closed(values: np.ndarray, spacing: float, radius: float) -> np.ndarray:
    """Morphological closing of a distance field by a ball, by two distance transforms."""
    return np.minimum(values, distance(_solid(values - radius), spacing) + np.float32(radius))


def _upright(values: np.ndarray, grid: Grid) -> np.ndarray:
    """The section UPRIGHT mm below the base taken for all above it: the surface meets the base at a right angle.

    The sections that are read are upright there, but a wall grown over a ledge of the RV pool is not: no good
    tetrahedron fits into the sharp rim where it would cross the base.
    """
    out = values.copy()
    level = int(np.searchsorted(grid.axis(2), -UPRIGHT, side="right")) - 1
    out[level + 1 :] = values[level]
    return out


def _half_ball(values: np.ndarray, grid: Grid, clear: float) -> np.ndarray:
    """A pool whose sections have no holes and that stands on the base with one piece.

    Columns of muscle that stand in the pool become pool. A second horn of the pool that rises to the base ends
    ``clear`` mm below it.
    """
    out, height = values.copy(), grid.axis(2)
    out[_cavities(out < 0, (1, 2))] = -0.5 * grid.spacing
    base = int(np.searchsorted(height, 0.0))
    pieces, count = ndimage.label(out[base] < 0)
    if count < 2:
        return out
    keep = 1 + np.argmax(np.bincount(pieces.ravel())[1:])
    nearest = ndimage.distance_transform_edt(pieces == 0, return_distances=False, return_indices=True)
    horn = pieces[tuple(nearest)] != keep
    lid = (height + clear)[:, None, None].astype(np.float32)
    return np.where(horn, np.maximum(out, lid), out)
