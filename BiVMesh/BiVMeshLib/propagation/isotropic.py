"""A short-axis stack on an isotropic grid round the heart, from apex to base: images, and labels with an RV wall."""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from BiVMeshLib.prepare.frame import HeartFrame
from BiVMeshLib.prepare.interpolate import Grid, cap_lift, interpolate_structure, slice_distance
from BiVMeshLib.prepare.labels_check import LabelStack
from CardiacLib import geometry
from CardiacLib.types.labels import LV, MYO, RV, RV_WALL

SPACING = 1.25
"""mm, as published."""
STEP = 4
"""Slices that the propagation network labels at once."""
SIDE = 128
"""Pixels of a slice: 160 mm."""
ON_END = 1e-6
"""Slice distances by which a slice of the grid may miss one of the stack, by rounding."""
BEYOND = 0.6
"""Slice distances by which the grid goes on beyond the apical end of the stack: the apex may lie there."""


@dataclass(frozen=True)
class IsotropicGrid:
    """Cubic voxels in the axes of a stack; arrays on it are (Z, side, side), slice 0 at the apical end.

    Attributes:
        stack_to_lps: (4, 4) voxel index of the stack, ordered from apex to base, to LPS mm.
        counts: slices, rows and columns of the stack.
        corner: row and column index of the stack, fractions, at row 0 and column 0 of the grid.
        first: slice index of the stack, a fraction, at slice 0 of the grid; negative beyond the apical end.
        depth, side: slices, and rows and columns, of the grid.
    """

    stack_to_lps: np.ndarray
    counts: tuple[int, int, int]
    corner: tuple[float, float]
    first: float
    depth: int
    side: int = SIDE

    @classmethod
    def round_heart(
        cls, stack_to_lps: np.ndarray, counts: tuple[int, int, int], centre: tuple[float, float], side: int = SIDE
    ) -> "IsotropicGrid":
        """Grid of ``side`` voxels round ``centre`` (row, column of the stack), over all its slices."""
        spacing = geometry.spacing_of(stack_to_lps)
        corner = tuple(float(c - 0.5 * (side - 1) * SPACING / s) for c, s in zip(centre, spacing[1::-1], strict=True))
        below = int(BEYOND * spacing[2] / SPACING)
        depth = below + int(np.floor((counts[0] - 1) * spacing[2] / SPACING + 1e-6)) + 1
        return cls(np.asarray(stack_to_lps, float), counts, corner, -below * SPACING / spacing[2], depth, side)

    @property
    def ijk_to_lps(self) -> np.ndarray:
        """(4, 4) voxel index of the grid to LPS mm."""
        directions = geometry.direction_of(self.stack_to_lps)
        origin = geometry.apply(self.stack_to_lps, [self.corner[1], self.corner[0], self.first])
        return geometry.matrix_from(origin, directions, [SPACING] * 3)

    def is_like(self, other: "IsotropicGrid") -> bool:
        """Whether the voxels are the same."""
        same = (self.depth, self.side) == (other.depth, other.side)
        return same and np.array_equal(self.ijk_to_lps, other.ijk_to_lps)

    def slice_at(self, stack_slice: float) -> int:
        """The grid's slice nearest to a slice of the stack."""
        step = SPACING / geometry.spacing_of(self.stack_to_lps)[2]
        return int(np.clip(round((stack_slice - self.first) / step), 0, self.depth - 1))

    def slice_under(self, stack_slice: float) -> int:
        """The grid's last slice that is not over a place of the stack, or its very last one."""
        return int(np.searchsorted(self.stack_slices(), stack_slice + ON_END, side="right")) - 1

    def stack_slices(self) -> np.ndarray:
        """(Z,) index in the stack, with fractions, of every slice of the grid."""
        return self.first + np.arange(self.depth) * SPACING / geometry.spacing_of(self.stack_to_lps)[2]

    def images(self, frame: np.ndarray, shifts: np.ndarray | None = None) -> np.ndarray:
        """One frame (K, J, I), slices from apex to base, interpolated linearly: float32 (Z, side, side).

        Zero outside the field of view; beyond the apical end the last slice goes on.

        Args:
            frame: intensities.
            shifts: (K, 3) LPS mm by which each slice is moved in its plane, as of :class:`LabelStack`.
        """
        spacing = geometry.spacing_of(self.stack_to_lps)
        rows, columns = (
            start + np.arange(self.side) * SPACING / s for start, s in zip(self.corner, spacing[1::-1], strict=True)
        )
        where = np.stack(np.meshgrid(rows, columns, indexing="ij"))
        moved = np.zeros((len(frame), 2))
        if shifts is not None:
            moved = (shifts @ geometry.direction_of(self.stack_to_lps)[:, :2] / spacing[:2])[:, ::-1]
        flat = np.stack(
            [
                ndimage.map_coordinates(f, where - by[:, None, None], order=1, mode="constant")
                for f, by in zip(frame.astype(np.float32), moved, strict=True)
            ]
        )
        place = np.clip(self.stack_slices(), 0, len(frame) - 1)
        low = np.minimum(place.astype(int), len(frame) - 2)
        share = (place - low)[:, None, None].astype(np.float32)
        return (1 - share) * flat[low] + share * flat[low + 1]

    def labels(self, stack: LabelStack, rv_wall_mm: float) -> np.ndarray:
        """Labels of a cleaned stack by shape-based interpolation, uint8 (Z, side, side), an RV wall grown if needed.

        Above the last slice of a structure it goes on unchanged; a mesh, and the truth of training, end at the base.

        Args:
            stack: in the slice order of the grid.
            rv_wall_mm: thickness of the RV wall where the labels have none.
        """
        matrix = self.ijk_to_lps
        # Heights count from the stack's most basal slice, as the interpolation has them from a mesh's base.
        top = geometry.apply(self.stack_to_lps, [0.0, 0.0, self.counts[0] - 1.0])
        frame = HeartFrame(geometry.direction_of(matrix), top)
        grid = Grid(frame.from_lps(matrix[:3, 3][None])[0], SPACING, (self.depth, self.side, self.side))

        def inside(masks):
            return interpolate_structure(masks, stack, frame, grid, upright_base=False) < 0

        lv, body = inside(stack.lv), inside(stack.lv_epi)
        body |= lv
        out = np.where(lv, LV, np.where(body, MYO, 0)).astype(np.uint8)
        if not stack.has_rv:
            return out
        rv = inside(stack.rv) & ~body
        wall = inside(stack.wall) if stack.wall is not None else grown(rv, rv_wall_mm)
        out[wall & ~body] = RV_WALL
        out[rv] = RV
        return out


def grown(pool: np.ndarray, thickness_mm: float) -> np.ndarray:
    """Voxels within a thickness of a pool, both bool (Z, Y, X) on cubic voxels; borders lie half-way between voxels."""
    near = np.zeros_like(pool)
    if not pool.any():
        return near
    reach = int(thickness_mm / SPACING + 0.5) + 1
    held = ndimage.find_objects(pool.astype(np.uint8))[0]
    box = tuple(slice(max(side.start - reach, 0), side.stop + reach) for side in held)
    near[box] = (ndimage.distance_transform_edt(~pool[box]) - 0.5) * SPACING <= thickness_mm
    return near


def apex_first(frames: np.ndarray, stack_to_lps: np.ndarray, stack: LabelStack) -> tuple[np.ndarray, np.ndarray, bool]:
    """Frames (..., K, J, I) in the slice order of ``stack``, their matrix, and whether that is not the order they had.

    ``stack`` was made of labels on the same grid.
    """
    turned = not np.allclose(stack.ijk_to_lps, stack_to_lps, atol=1e-6)
    return (frames[..., ::-1, :, :] if turned else frames), stack.ijk_to_lps, turned


def with_apex(labels: np.ndarray, grid: IsotropicGrid) -> np.ndarray:
    """Labels (Z, H, W) closed beyond the apical end of the stack, where there are no images, by their shape.

    As shape-based interpolation has it: each structure tapers as a paraboloid from its section in the last image.
    """
    end = int(np.searchsorted(grid.stack_slices(), -ON_END))
    if not end:
        return labels
    gap = float(geometry.spacing_of(grid.stack_to_lps)[2])
    depth = (end - np.arange(end)) * SPACING
    sections = labels[[end, min(end + round(gap / SPACING), len(labels) - 1)]]

    def inside(*values):
        masks = np.isin(sections, values)
        if not masks[0].any():
            return np.zeros((end, *labels.shape[1:]), bool)
        distances = np.stack([slice_distance(mask, (SPACING, SPACING)) for mask in masks if mask.any()])
        return distances[0] + cap_lift(depth, distances, np.array([0.0, gap]), gap)[:, None, None] < 0

    out, body = labels.copy(), inside(LV, MYO)
    out[:end] = np.select([inside(LV), body, inside(RV), inside(RV, RV_WALL)], [LV, MYO, RV, RV_WALL], 0)
    return out


def heart_centre(stack: LabelStack) -> tuple[float, float]:
    """Row and column, in the stack's pixels, of the middle of both ventricles over all slices."""
    heart = (stack.lv_epi | stack.rv).any(0)
    rows, columns = np.nonzero(heart)
    return float(rows.min() + rows.max()) / 2, float(columns.min() + columns.max()) / 2
