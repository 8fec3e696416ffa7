"""Where the heart lies in the patient, and the planes that are imaged."""

from dataclasses import dataclass

import numpy as np

from CardiacLib.geometry import matrix_from

from .anatomy import HeartShape, view_direction
from .options import PhantomOptions

HEART_LPS = (36.0, -48.0, -14.0)  # where the middle of the LV lies, relative to the middle of the chest
REFERENCE_X = (-0.815, -0.577, -0.056)  # towards the middle of the septum: right and forward, as in a patient


@dataclass(frozen=True)
class Grid:
    """Voxels of one view: ``ijk_to_lps`` 4x4, shape (K, J, I), thickness of a slice in mm, view name."""

    ijk_to_lps: np.ndarray
    shape: tuple[int, int, int]
    thickness: float
    view: str

    def points(self, k: float, offset_mm: float = 0.0) -> np.ndarray:
        """(J, I, 3) LPS of slice ``k``'s pixel centres, moved ``offset_mm`` along the slice normal."""
        m = self.ijk_to_lps
        i, j = np.arange(self.shape[2]), np.arange(self.shape[1])
        plane = m[:3, 3] + k * m[:3, 2] + offset_mm * m[:3, 2] / np.linalg.norm(m[:3, 2])
        return plane + j[:, None, None] * m[:3, 1] + i[None, :, None] * m[:3, 0]


def heart_to_lps(options: PhantomOptions, ed: HeartShape) -> np.ndarray:
    """4x4 from the heart frame to LPS (proper rotation): long axis and roll as asked, LV middle at its usual place."""
    z = -np.asarray(options.long_axis_lps, float)
    z /= np.linalg.norm(z)
    x = np.asarray(REFERENCE_X) - np.dot(REFERENCE_X, z) * z
    x /= np.linalg.norm(x)
    y = np.cross(z, x)
    c, s = np.cos(np.deg2rad(options.roll_deg)), np.sin(np.deg2rad(options.roll_deg))
    axes = np.column_stack([c * x + s * y, c * y - s * x, z])
    matrix = np.eye(4)
    matrix[:3, :3] = axes
    matrix[:3, 3] = np.asarray(HEART_LPS) - axes @ (0.0, 0.0, 0.5 * ed.base[0])
    return matrix


def sax_grid(options: PhantomOptions, to_lps: np.ndarray, ed: HeartShape) -> Grid:
    """The short-axis stack, apex first, right-handed: rows run to the patient's left, columns to the back."""
    normal = to_lps[:3, 2]
    across = np.cross((0.0, 1.0, 0.0), normal)
    across /= np.linalg.norm(across)
    down = np.cross(normal, across)
    c, s = np.cos(np.deg2rad(options.image_rotation_deg)), np.sin(np.deg2rad(options.image_rotation_deg))
    i_axis, j_axis = c * across + s * down, c * down - s * across
    n = options.n_slices or _covering(options, ed)
    center = (to_lps @ (14.0, 0.0, options.first_slice_mm, 1.0))[:3]
    center = center + 10.0 * across + 22.0 * down  # the field of view is centred between the heart and the chest
    half = 0.5 * (options.sax_size - 1) * options.sax_pixel_mm
    spacing = (options.sax_pixel_mm, options.sax_pixel_mm, options.slice_spacing_mm)
    matrix = matrix_from(center - half * (i_axis + j_axis), np.column_stack([i_axis, j_axis, normal]), spacing)
    return Grid(matrix, (n, options.sax_size, options.sax_size), options.slice_thickness_mm, "sax")


def _covering(options: PhantomOptions, ed: HeartShape) -> int:
    """Slices until one lies wholly above both valve planes, the outflow tract included."""
    top = ed.base[0] + 0.5 * options.slice_thickness_mm + 14.0
    return int(np.ceil((top - options.first_slice_mm) / options.slice_spacing_mm)) + 1


def lax_grid(options: PhantomOptions, to_lps: np.ndarray, ed: HeartShape, view: str) -> Grid:
    """One long-axis plane through the LV axis, displayed as usual: 4CH from below, 2CH and 3CH with the apex left."""
    cx, cy = view_direction(view)
    trace, axis = to_lps[:3, 0] * cx + to_lps[:3, 1] * cy, to_lps[:3, 2]
    normal = np.cross(trace, axis)
    right_wards, down_wards = ((1, 0, 0), (0, 1, 0)) if view == "4ch" else ((0, 1, 0), (0, 0, -1))
    i_axis = np.asarray(right_wards) - np.dot(right_wards, normal) * normal
    i_axis /= np.linalg.norm(i_axis)
    j_axis = np.cross(normal, i_axis)
    if np.dot(j_axis, down_wards) < 0:
        normal, j_axis = -normal, -j_axis
    offset = 18.0 if view == "4ch" else 0.0
    center = (to_lps @ (cx * offset, cy * offset, 0.62 * ed.base[0], 1.0))[:3]
    center = center + 22.0 * (j_axis if view == "4ch" else i_axis)  # the chest is centred, not the heart
    half = 0.5 * (options.lax_size - 1) * options.lax_pixel_mm
    spacing = (options.lax_pixel_mm, options.lax_pixel_mm, options.lax_thickness_mm)
    matrix = matrix_from(center - half * (i_axis + j_axis), np.column_stack([i_axis, j_axis, normal]), spacing)
    return Grid(matrix, (1, options.lax_size, options.lax_size), options.lax_thickness_mm, view)
