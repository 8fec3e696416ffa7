"""Affine geometry. All world coordinates are LPS in mm; matrices map voxel index (i, j, k) at voxel centres."""

import numpy as np

SQUARE_TOLERANCE = 1e-3
"""Entries of D^T D - 1 above this count as axes that are not perpendicular; float32 headers stay below 1e-6."""

FLAT = 0.15
"""Second over first spread of points below which they lie on a line and give no plane."""

HUMAN_APEX = np.array([0.62, -0.55, -0.56])
"""LPS direction from base to apex of a typical heart: left, anterior, inferior."""

FORWARD_AND_UP = np.array([0.0, -1.0, 1.0]) / np.sqrt(2.0)
"""LPS. The anterior wall of the heart faces the breastbone, the inferior one the diaphragm."""


def matrix_from(origin, direction, spacing) -> np.ndarray:
    """4x4 index-to-LPS matrix from origin (3,), direction cosines as columns (3, 3) and spacing (3,) mm."""
    matrix = np.eye(4)
    matrix[:3, :3] = np.asarray(direction, float).reshape(3, 3) * np.asarray(spacing, float)
    matrix[:3, 3] = origin
    return matrix


def spacing_of(matrix: np.ndarray) -> np.ndarray:
    """(3,) column lengths: mm between voxel centres along i, j, k."""
    return np.linalg.norm(np.asarray(matrix, float)[:3, :3], axis=0)


def voxel_ml(matrix: np.ndarray) -> float:
    """Volume that one voxel stands for, slice gap included, in ml."""
    return float(abs(np.linalg.det(np.asarray(matrix, float)[:3, :3])) / 1000.0)


def direction_of(matrix: np.ndarray) -> np.ndarray:
    """(3, 3) unit direction of each index axis, as columns."""
    return np.asarray(matrix, float)[:3, :3] / spacing_of(matrix)


def origin_of(matrix: np.ndarray) -> np.ndarray:
    """(3,) LPS position of voxel (0, 0, 0)."""
    return np.asarray(matrix, float)[:3, 3].copy()


def apply(matrix: np.ndarray, points) -> np.ndarray:
    """Map points (..., 3) by a 4x4 matrix."""
    points = np.asarray(points, float)
    return points @ np.asarray(matrix, float)[:3, :3].T + np.asarray(matrix, float)[:3, 3]


def index_of(matrix: np.ndarray, points) -> np.ndarray:
    """Continuous voxel index (..., 3) of LPS points (..., 3)."""
    return apply(np.linalg.inv(np.asarray(matrix, float)), points)


def slice_normal(matrix: np.ndarray) -> np.ndarray:
    """Unit normal of the i-j plane, i x j (not necessarily the direction of increasing k)."""
    d = direction_of(matrix)
    normal = np.cross(d[:, 0], d[:, 1])
    return normal / np.linalg.norm(normal)


def fit_plane(points: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    """Middle (3,) and unit normal (3,), of either sign, of the least-squares plane of points (N, 3).

    None for fewer than three points, or where they lie nearly on a line.
    """
    if len(points) < 3:
        return None
    middle = points.mean(axis=0)
    _, spread, axes = np.linalg.svd(points - middle)
    return None if spread[1] < FLAT * spread[0] else (middle, axes[2])


def has_patient_axes(matrix: np.ndarray) -> bool:
    """Whether the index axes are exactly the patient's, as those of no short axis are: a file without orientation."""
    return bool(np.allclose(np.abs(direction_of(matrix)).max(axis=0), 1.0, atol=1e-6))


def towards_anterior(matrix: np.ndarray) -> np.ndarray:
    """LPS unit vector to which the heart's anterior wall is nearer than its inferior one.

    Forward and up; in files without orientation towards the first image row, as short-axis images are displayed.
    """
    return -direction_of(matrix)[:, 1] if has_patient_axes(matrix) else FORWARD_AND_UP


def nearest_orthonormal(direction) -> np.ndarray:
    """The orthonormal (3, 3) frame nearest in the Frobenius norm, handedness kept (polar decomposition)."""
    u, _, vt = np.linalg.svd(np.asarray(direction, float).reshape(3, 3))
    return u @ vt


def orthonormality_error(direction) -> float:
    """Largest absolute entry of D^T D - 1 for a (3, 3) direction matrix."""
    d = np.asarray(direction, float).reshape(3, 3)
    return float(np.abs(d.T @ d - np.eye(3)).max())


def with_square_axes(matrix: np.ndarray) -> tuple[np.ndarray, tuple[str, ...]]:
    """The (4, 4) matrix with the nearest orthonormal directions, and a note if its own were not orthonormal."""
    direction = direction_of(matrix)
    error = orthonormality_error(direction)
    note = f"direction cosines were not orthonormal (by {error:.2g}): the nearest orthonormal frame is used"
    square = matrix_from(matrix[:3, 3], nearest_orthonormal(direction), spacing_of(matrix))
    return square, (note,) if error > SQUARE_TOLERANCE else ()


def to_sitk(array: np.ndarray, matrix: np.ndarray):
    """SimpleITK image from (K, J, I) and its index-to-LPS matrix (axes must be orthogonal)."""
    import SimpleITK as sitk

    image = sitk.GetImageFromArray(np.ascontiguousarray(array))
    image.SetOrigin(origin_of(matrix).tolist())
    image.SetSpacing(spacing_of(matrix).tolist())
    image.SetDirection(nearest_orthonormal(direction_of(matrix)).ravel().tolist())
    return image


def matrix_of(image) -> np.ndarray:
    """4x4 index-to-LPS matrix of a SimpleITK image; of a 4-D image, its spatial part."""
    n = image.GetDimension()
    direction = np.asarray(image.GetDirection(), float).reshape(n, n)[:3, :3]
    return matrix_from(image.GetOrigin()[:3], direction, image.GetSpacing()[:3])
