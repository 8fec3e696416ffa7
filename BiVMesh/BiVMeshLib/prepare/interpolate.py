"""Shape-based interpolation of one structure between thick slices.

In every slice the structure's contour becomes a signed distance; distances are interpolated along the slice
axis with monotone cubics (shape-based interpolation, Raya and Udupa 1990; PCHIP, Fritsch and Carlson 1980).
"""

from dataclasses import dataclass

import numpy as np
import scipy

from .frame import HeartFrame, along_slices, is_parallel, slice_maps
from .labels_check import LabelStack

CAP = (0.3, 0.8)
"""The tip of a structure lies between these fractions of the slice distance beyond its last section."""
PIXEL_SMOOTHING = 0.7
"""Standard deviation, in pixels, that takes the steps out of a contour."""
MOST_SHIFT = 3.0
"""mm by which a section between slices may be widened or narrowed to have the area between those of the slices."""
UPRIGHT = 2.0
"""mm below the base over which the section at the base does not change."""


@dataclass(frozen=True)
class Grid:
    """Isotropic grid in the local frame; arrays on it are (z, y, x).

    Attributes:
        origin: (3,) local x, y, z of voxel (0, 0, 0).
        spacing: mm.
        shape: (nz, ny, nx).
    """

    origin: np.ndarray
    spacing: float
    shape: tuple[int, int, int]

    def axis(self, i: int) -> np.ndarray:
        """Coordinates along local axis i (0 x, 1 y, 2 z)."""
        return self.origin[i] + self.spacing * np.arange(self.shape[2 - i])


def make_grid(stack: LabelStack, frame: HeartFrame, spacing: float, margin: float, above: float) -> Grid:
    """Grid round all labels: ``margin`` on the sides and below the deepest possible tip, ``above`` over the base."""
    anything = stack.lv_epi | stack.rv | (stack.wall if stack.wall is not None else False)
    k, j, i = np.nonzero(anything)
    if is_parallel(stack, frame):
        heights, steps, offsets = slice_maps(stack, frame)
        xy = np.stack([i, j], 1) @ steps.T + offsets[k]
        gap, bottom = heights[1] - heights[0], heights[k.min()]
    else:
        places = frame.from_lps(stack.to_lps(i, j, k))
        xy, bottom = places[:, :2], places[:, 2].min()
        gap = np.linalg.norm(stack.ijk_to_lps[:3, 2])
    low = np.array([*xy.min(0) - margin, bottom - gap * CAP[1] - margin])
    high = np.array([*xy.max(0) + margin, above])
    first, last = np.floor(low / spacing), np.ceil(high / spacing)
    nx, ny, nz = (last - first).astype(int) + 1
    return Grid(first * spacing, spacing, (int(nz), int(ny), int(nx)))


def slice_distance(mask: np.ndarray, spacing: tuple[float, float]) -> np.ndarray:
    """(J, I) signed distance in mm to the border between voxels, smoothed a little, negative inside the mask."""
    half = 0.5 * float(np.mean(spacing))
    inside = scipy.ndimage.distance_transform_edt(mask, sampling=spacing)
    outside = scipy.ndimage.distance_transform_edt(~mask, sampling=spacing)
    return scipy.ndimage.gaussian_filter(np.where(mask, half - inside, outside - half), PIXEL_SMOOTHING, mode="nearest")


def slab_volume(masks: np.ndarray, stack: LabelStack, frame: HeartFrame) -> float:
    """Volume (mm^3) of a structure's sections under the base, each a slab of the slice distance."""
    k, j, i = np.nonzero(masks)
    rise = frame.axes[:, 2] @ stack.ijk_to_lps[:3, 2]
    share = np.clip(0.5 - frame.from_lps(stack.to_lps(i, j, k))[:, 2] / rise, 0.0, 1.0)
    return float(share.sum() * abs(np.linalg.det(stack.ijk_to_lps[:3, :3])))


def interpolate_structure(
    masks: np.ndarray, stack: LabelStack, frame: HeartFrame, grid: Grid, upright_base: bool = True
) -> np.ndarray:
    """Implicit function of one structure on the grid, negative inside; not a distance in 3-D.

    Below the structure's most apical section it is closed by a paraboloid cap, above the base it goes on
    unchanged. Slices without the structure between others are bridged.

    Args:
        masks: bool (K, J, I), sections of the structure in the order of ``stack``.
        upright_base: let the walls meet the base at a right angle, as a mesh needs it; see :func:`upright`.
    """
    if not is_parallel(stack, frame):
        return _across_slices(masks, stack, frame, grid, upright_base)
    heights, steps, offsets = slice_maps(stack, frame)
    present = np.flatnonzero(masks.any((1, 2)))
    spacing = tuple(np.linalg.norm(steps, axis=0)[::-1])
    sections = np.stack([_on_grid(slice_distance(masks[k], spacing), steps, offsets[k], grid) for k in present])
    areas = masks[present].sum((1, 2)) * abs(float(np.linalg.det(steps)))
    sections = np.stack([_with_area(*pair, grid.spacing) for pair in zip(sections, areas, strict=True)])
    z, levels = grid.axis(2), heights[present]
    z = upright(z) if upright_base else z
    values = np.empty(grid.shape, np.float32)
    between = np.flatnonzero((z >= levels[0]) & (z <= levels[-1]))
    if len(present) > 1:
        values[between] = scipy.interpolate.PchipInterpolator(levels, sections, axis=0)(z[between])
        for n, area in zip(between, np.interp(z[between], levels, areas), strict=True):
            values[n] = _with_area(values[n], area, grid.spacing)
    values[z > levels[-1]] = sections[-1]
    below = z < levels[0]
    lift = cap_lift(levels[0] - z[below], sections, levels, heights[1] - heights[0])
    values[below] = sections[0] + lift[:, None, None]
    return values


def _across_slices(masks, stack: LabelStack, frame: HeartFrame, grid: Grid, upright_base: bool) -> np.ndarray:
    """:func:`interpolate_structure` for a base that is tilted against the slices: made along these, then resampled."""
    slices = along_slices(stack, frame)
    turn = frame.axes.T @ slices.axes
    z = upright(grid.axis(2)) if upright_base else grid.axis(2)
    ends = [(a[0], a[-1]) for a in (grid.axis(0), grid.axis(1), z)]
    corners = np.stack(np.meshgrid(*ends), axis=-1).reshape(-1, 3) @ turn
    first, last = np.floor(corners.min(0) / grid.spacing), np.ceil(corners.max(0) / grid.spacing)
    nx, ny, nz = (last - first).astype(int) + 1
    along = Grid(first * grid.spacing, grid.spacing, (int(nz), int(ny), int(nx)))
    values = interpolate_structure(masks, stack, slices, along, upright_base=False)
    found = np.empty(grid.shape, np.float32)
    x, y = np.meshgrid(grid.axis(0), grid.axis(1))
    for n, height in enumerate(z):
        places = np.stack([x.ravel(), y.ravel(), np.full(x.size, height)], axis=1) @ turn
        index = (places - along.origin) / grid.spacing
        found[n] = scipy.ndimage.map_coordinates(values, index.T[::-1], order=1, mode="nearest").reshape(x.shape)
    return found


def _with_area(section: np.ndarray, area: float, spacing: float) -> np.ndarray:
    """A section's distance with a constant taken off, MOST_SHIFT at most, so that it encloses ``area`` (mm^2)."""
    count = min(max(area / spacing**2, 1.0), section.size - 2.0)
    first = int(count)
    low, high = np.partition(section.ravel(), (first - 1, first))[first - 1 : first + 1]
    level = low + (count - first + 0.5) * (high - low)
    return section - np.float32(np.clip(level, -MOST_SHIFT, MOST_SHIFT))


def upright(z: np.ndarray) -> np.ndarray:
    """Heights at which the shape is read for grid heights z: that of the base for all above -UPRIGHT.

    So walls meet the base at a right angle; without it a shallow wall would force flat tetrahedra at its rim.
    """
    return np.where(z >= -UPRIGHT, 0.0, np.where(z > -2 * UPRIGHT, 2 * z + 2 * UPRIGHT, z))


def _on_grid(distance, steps, offset, grid) -> np.ndarray:
    """Resample a slice's distance from its voxels to the grid's (y, x)."""
    x, y = np.meshgrid(grid.axis(0), grid.axis(1))
    index = np.linalg.solve(steps, np.stack([x.ravel(), y.ravel()]) - offset[:, None])
    sampled = scipy.ndimage.map_coordinates(distance, index[::-1], order=1, mode="nearest")
    return sampled.reshape(x.shape).astype(np.float32)


def cap_lift(depth: np.ndarray, sections: np.ndarray, levels: np.ndarray, gap: float) -> np.ndarray:
    """What is added to the last section's distance at ``depth`` below it, so that it closes as a paraboloid.

    The tip's depth follows from the inscribed radii of the last two sections (r^2 linear in z).

    Args:
        depth: (n,) mm below the last section, not negative.
        sections: (N, Y, X) signed distances in mm, the last section first; one is enough.
        levels: (N,) their heights in mm.
        gap: distance of the slices in mm; the tip lies within the fractions CAP of it.
    """
    r0 = max(float(-sections[0].min()), 0.1)
    r1 = float(-sections[1].min()) if len(sections) > 1 else r0
    run = levels[1] - levels[0] if len(sections) > 1 else gap
    tip = r0**2 * run / (r1**2 - r0**2) if r1 > 1.05 * r0 else np.inf
    tip = float(np.clip(tip, CAP[0] * gap, CAP[1] * gap))
    inside = np.sqrt(np.clip(1.0 - depth / tip, 0.0, None))
    return (r0 * (1.0 - inside) + np.maximum(depth - tip, 0.0)).astype(np.float32)
