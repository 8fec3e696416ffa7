"""The local heart frame: z towards the base and perpendicular to it, base plane at z = 0, mm.

The base is parallel to the slices, unless valve points say otherwise.
"""

from dataclasses import dataclass

import numpy as np

from CardiacLib import geometry

from .labels_check import LabelStack

TURN_DEG = 22.0
"""Angle from the direction LV to RV to the local x axis: flat walls then lie askew to the lattice."""
PARALLEL = 1.0 - 1e-9
"""Least cosine between the local z axis and the slice normal of a base that is parallel to the slices."""


@dataclass(frozen=True)
class HeartFrame:
    """Rigid map between LPS and the local frame.

    Attributes:
        axes: (3, 3) right-handed, columns are the local x, y, z in LPS.
        origin: (3,) LPS of the local origin: centroid of the LV pool in the base slice, on the base plane.
    """

    axes: np.ndarray
    origin: np.ndarray

    def to_lps(self, points: np.ndarray) -> np.ndarray:
        """Local (N, 3) to LPS."""
        return points @ self.axes.T + self.origin

    def from_lps(self, points: np.ndarray) -> np.ndarray:
        """LPS (N, 3) to local."""
        return (np.asarray(points) - self.origin) @ self.axes


def heart_frame(
    stack: LabelStack, *, beyond_mm: float = 0.0, plane: tuple[np.ndarray, np.ndarray] | None = None
) -> HeartFrame:
    """Frame of a stack: x turned by TURN_DEG from LV to RV, base plane ``beyond_mm`` above the base slice.

    ``plane``: a point (3,) and the unit normal (3,), towards the base, of another base plane, LPS.
    """
    matrix = stack.ijk_to_lps
    z = geometry.slice_normal(matrix)
    z = z * np.sign(z @ matrix[:3, 2])
    centre = _centroid(stack.lv, stack)
    if plane is not None:
        point, normal = plane
        centre, z = centre + ((point - centre) @ normal) / (z @ normal) * z, normal
    x = matrix[:3, 0]
    if stack.has_rv:
        x = _centroid(stack.rv, stack) - centre
    x = x - (x @ z) * z
    x /= np.linalg.norm(x)
    y = np.cross(z, x)
    turn = np.deg2rad(TURN_DEG)
    x, y = np.cos(turn) * x + np.sin(turn) * y, np.cos(turn) * y - np.sin(turn) * x
    axes = np.stack([x, y, z], axis=1)
    return HeartFrame(axes, centre + beyond_mm * z)


def _centroid(masks: np.ndarray, stack: LabelStack) -> np.ndarray:
    """(3,) LPS centroid of a structure's section at the base."""
    j, i = np.nonzero(masks[stack.base])
    return stack.to_lps(i.mean(), j.mean(), stack.base)


def is_parallel(stack: LabelStack, frame: HeartFrame) -> bool:
    """Whether the base plane is parallel to the slices."""
    return abs(float(frame.axes[:, 2] @ geometry.slice_normal(stack.ijk_to_lps))) > PARALLEL


def along_slices(stack: LabelStack, frame: HeartFrame) -> HeartFrame:
    """The frame turned by the least angle to have its z axis along the slice normal; the origin stays."""
    z = geometry.slice_normal(stack.ijk_to_lps)
    z = z * np.sign(z @ frame.axes[:, 2])
    x = frame.axes[:, 0] - (frame.axes[:, 0] @ z) * z
    x /= np.linalg.norm(x)
    return HeartFrame(np.stack([x, np.cross(z, x), z], axis=1), frame.origin)


def slice_maps(stack: LabelStack, frame: HeartFrame) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Where each slice lies in a local frame whose base is parallel to the slices.

    Returns:
        heights (K,) local z of the slices; in_plane (2, 2) local (x, y) step per index (i, j);
        offsets (K, 2) local (x, y) of voxel (0, 0, k).
    """
    local = frame.from_lps(stack.to_lps(0, 0, np.arange(len(stack.lv))))
    steps = frame.axes.T @ stack.ijk_to_lps[:3, :2]
    return local[:, 2], steps[:2], local[:, :2]
