"""Pairs of triangles of a surface that pass through each other.

Two triangles are apart if one of 17 directions separates them: their normals, the cross products of their edges and,
for triangles of one plane, the normals of the edges in it (separating axes; Gottschalk, Lin and Manocha, SIGGRAPH 1996,
doi 10.1145/237170.237244). Neighbours, which share an edge or a vertex, are separated with no gap between them.
"""

import numpy as np
import scipy

TOUCH = 1e-6
"""mm. Triangles intersect if they overlap by more than this along every direction."""


def self_intersections(points: np.ndarray, triangles: np.ndarray, near: np.ndarray | None = None) -> np.ndarray:
    """(P, 2) numbers of the triangles that cross, fold onto each other or overlap in a plane.

    Args:
        points: (N, 3) mm.
        triangles: (F, 3) of about one size: all that lie nearer to each other than the largest is wide are compared.
        near: numbers of the triangles round which to look, by default all; every pair with one of these is found.
    """
    if not len(triangles):
        return np.zeros((0, 2), np.int64)
    corners = np.asarray(points, np.float64)[triangles]
    if near is not None:
        around = _around(corners, near)
        return around[self_intersections(points, triangles[around])]
    sides = np.roll(corners, -1, axis=1) - corners
    normals = np.cross(sides[:, 0], sides[:, 1])
    pairs = _near_pairs(corners)
    for own in (0, 1):
        pairs = pairs[~_separated(corners, pairs, normals[pairs[:, own]])]
        for side in range(3):
            outwards = np.cross(sides[pairs[:, own], side], normals[pairs[:, own]])
            pairs = pairs[~_separated(corners, pairs, outwards)]
    for first in range(3):
        for second in range(3):
            across = np.cross(sides[pairs[:, 0], first], sides[pairs[:, 1], second])
            pairs = pairs[~_separated(corners, pairs, across)]
    return pairs


def _around(corners: np.ndarray, near: np.ndarray) -> np.ndarray:
    """Numbers of the triangles that may touch one of ``near``, these included."""
    if not len(near):
        return np.zeros(0, np.int64)
    centre = corners.mean(1)
    radius = np.linalg.norm(corners - centre[:, None], axis=2).max()
    return np.flatnonzero(
        scipy.spatial.cKDTree(centre[near]).query(centre, distance_upper_bound=2.0 * radius + TOUCH)[0] < np.inf
    )


def _near_pairs(corners: np.ndarray) -> np.ndarray:
    """(P, 2) triangles whose boxes overlap or touch."""
    centre = corners.mean(1)
    radius = np.linalg.norm(corners - centre[:, None], axis=2).max()
    pairs = scipy.spatial.cKDTree(centre).query_pairs(2.0 * radius, output_type="ndarray")
    low, high = corners.min(1), corners.max(1)
    for axis in range(3):
        a, b = pairs.T
        pairs = pairs[(low[a, axis] <= high[b, axis]) & (low[b, axis] <= high[a, axis])]
    return pairs


def _separated(corners: np.ndarray, pairs: np.ndarray, direction: np.ndarray) -> np.ndarray:
    """bool (P,) whether the triangles lie on either side of a plane across ``direction`` (P, 3) of any length.

    Not if both lie in that plane, nor if the direction is none (edges are parallel).
    """
    length = np.linalg.norm(direction, axis=1, keepdims=True)
    axis = direction / np.maximum(length, 1e-12)
    a, b = (np.einsum("pnk,pk->pn", corners[pairs[:, n]], axis) for n in (0, 1))
    gap = np.maximum(a.min(1) - b.max(1), b.min(1) - a.max(1))
    extent = np.maximum(a.max(1), b.max(1)) - np.minimum(a.min(1), b.min(1))
    return (gap >= -TOUCH) & (extent > 2.0 * TOUCH)
