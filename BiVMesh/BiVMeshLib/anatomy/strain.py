"""Strain of a moving surface."""

import numpy as np

FLAT = 0.3
"""Sine of the angle between wall and long axis below which the wall has no direction of its own round the axis."""


def circumferential_strain_percent(
    triangles: np.ndarray, reference: np.ndarray, nodes: np.ndarray, up: np.ndarray
) -> np.ndarray:
    """How much longer the wall is, round the ventricle, than in the reference: 100 (|F c| - 1), the engineering strain.

    F is the deformation of each triangle in its plane; c lies in it, at right angles to the long axis. At the apex and
    at the base, whose planes nearly are, c runs round the middle of the surface. A node has the mean of its triangles,
    weighted by their area: a sliver's own strain says little.

    Args:
        triangles: (F, 3) node indices.
        reference: (N, 3) mm, where the strain is 0. nodes: (N, 3) mm, of the moment asked for.
        up: (3,) along the long axis.

    Returns:
        float32 (N,); 0 at a node of no triangle that has an area in the reference.
    """
    corners = reference[triangles]
    one, two = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    across = np.cross(one, two)
    normal = _unit(across)
    around = np.cross(up, normal)
    middle = np.cross(up, corners.mean(1) - reference[np.unique(triangles)].mean(0))
    flat = np.linalg.norm(around, axis=1) < FLAT * np.linalg.norm(up)
    around = _unit(np.where(flat[:, None], middle - (middle * normal).sum(1, keepdims=True) * normal, around))
    # around = a one + b two; material lines keep a and b.
    gram = np.stack([(one * one).sum(1), (one * two).sum(1), (two * two).sum(1)])
    of_one, of_two = (around * one).sum(1), (around * two).sum(1)
    size = gram[0] * gram[2] - gram[1] ** 2
    size = np.where(size > 0, size, np.inf)
    a, b = (gram[2] * of_one - gram[1] * of_two) / size, (gram[0] * of_two - gram[1] * of_one) / size
    now = nodes[triangles]
    moved = a[:, None] * (now[:, 1] - now[:, 0]) + b[:, None] * (now[:, 2] - now[:, 0])
    weight = np.linalg.norm(across, axis=1) * np.linalg.norm(around, axis=1)
    strain = 100.0 * (np.linalg.norm(moved, axis=1) - 1.0) * weight
    sums = [np.bincount(triangles.ravel(), np.repeat(values, 3), len(nodes)) for values in (strain, weight)]
    return (sums[0] / np.where(sums[1] > 0, sums[1], 1.0)).astype(np.float32)


def _unit(vectors: np.ndarray) -> np.ndarray:
    """(M, 3) of length 1; 0 where there is no length."""
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / np.where(length > 0, length, 1.0)
