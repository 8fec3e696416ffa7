"""Pairs of triangles of a surface that pass through each other.

Two triangles are apart if one of 17 directions separates them: their normals, the cross products of their edges and,
for triangles of one plane, the normals of the edges in it (separating axes; Gottschalk, Lin and Manocha, SIGGRAPH 1996,
doi 10.1145/237170.237244). Neighbours, which share an edge or a vertex, are separated with no gap between them.
"""

import numpy as np
import scipy

TOUCH = 1e-6
"""mm. Triangles intersect if they overlap by more than this along every direction."""
BLOCK = 16384
"""Pairs that are worked on at once."""
LARGE = 0.9
"""Share of the triangles up to whose size pairs are looked for within that size; larger ones are looked for apart."""


def self_intersections(points: np.ndarray, triangles: np.ndarray, near: np.ndarray | None = None) -> np.ndarray:
    """(P, 2) numbers of the triangles that cross, fold onto each other or overlap in a plane.

    Args:
        points: (N, 3) mm.
        triangles: (F, 3).
        near: numbers of the triangles round which to look, by default all: of each pair that is found one is of these.
    """
    corners = np.asarray(points, np.float64)[triangles]
    if not len(corners) or (near is not None and not len(near)):
        return np.zeros((0, 2), np.int64)
    around = np.arange(len(corners)) if near is None else _around(corners, near)
    corners = corners[around]
    pairs = _near_pairs(corners)
    if near is not None:
        asked = np.zeros(len(triangles), bool)
        asked[near] = True
        asked = asked[around]
        pairs = pairs[asked[pairs[:, 0]] | asked[pairs[:, 1]]]
    across = np.ascontiguousarray(corners.transpose(1, 2, 0))
    blocks = (pairs[first : first + BLOCK] for first in range(0, len(pairs), BLOCK))
    pairs = around[np.concatenate([_crossing(across, block) for block in blocks] or [pairs])]
    return pairs[np.lexsort(pairs.T[::-1])]


def _around(corners: np.ndarray, near: np.ndarray) -> np.ndarray:
    """Numbers of the triangles that may touch one of ``near``, these included."""
    centre = corners.mean(1)
    radius = np.linalg.norm(corners - centre[:, None], axis=2).max(1)
    reach = radius.max() + radius[near].max() + TOUCH
    distance = scipy.spatial.cKDTree(centre[near]).query(centre, distance_upper_bound=reach)[0]
    return np.flatnonzero(np.isfinite(distance))


def _near_pairs(corners: np.ndarray) -> np.ndarray:
    """(P, 2) triangles whose boxes overlap or touch, the lower number first."""
    centre = corners.mean(1)
    radius = np.linalg.norm(corners - centre[:, None], axis=2).max(1)
    usual = np.quantile(radius, LARGE)
    small, large = np.flatnonzero(radius <= usual), np.flatnonzero(radius > usual)
    tree = scipy.spatial.cKDTree(centre[small])
    pairs = [small[tree.query_pairs(2.0 * usual, output_type="ndarray")]]
    if len(large):
        big, most = scipy.spatial.cKDTree(centre[large]), radius.max()
        pairs.append(large[big.query_pairs(2.0 * most, output_type="ndarray")])
        mixed = big.sparse_distance_matrix(tree, most + usual, output_type="ndarray")
        pairs.append(np.stack([large[mixed["i"]], small[mixed["j"]]], axis=1))
    one, two = (np.concatenate([part[:, n] for part in pairs]) for n in (0, 1))
    for axis in range(3):
        low, high = _extent([corners[:, n, axis] for n in range(3)])
        kept = np.flatnonzero((low.take(one) <= high.take(two)) & (low.take(two) <= high.take(one)))
        one, two = one.take(kept), two.take(kept)
    return np.stack([np.minimum(one, two), np.maximum(one, two)], axis=1)


def _crossing(across: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    """Those of pairs (P, 2) that no direction separates; ``across`` (3, 3, F): by corner and axis."""
    corner = [[across[n].take(pairs[:, own], axis=1) for n in range(3)] for own in (0, 1)]
    left = np.arange(len(pairs))
    for number in range(17):
        apart = _separated(corner, _direction(corner, number))
        if apart.any():
            kept = np.flatnonzero(~apart)
            left, corner = left[kept], [[place.take(kept, axis=1) for place in one] for one in corner]
        if not len(left):
            break
    return pairs[left]


def _direction(corner: list[list[np.ndarray]], number: int) -> np.ndarray:
    """(3, P) of each pair's 17 directions: two normals, six normals of sides within them, nine across two sides."""

    def side(own, n):
        return corner[own][(n + 1) % 3] - corner[own][n]

    if number < 2:
        return _cross(side(number, 0), side(number, 1))
    if number < 8:
        own, n = divmod(number - 2, 3)
        return _cross(side(own, n), _cross(side(own, 0), side(own, 1)))
    first, second = divmod(number - 8, 3)
    return _cross(side(0, first), side(1, second))


def _separated(corner: list[list[np.ndarray]], direction: np.ndarray) -> np.ndarray:
    """bool (P,) whether the triangles lie on either side of a plane across ``direction`` (3, P) of any length.

    Not if both lie in that plane, nor if the direction is none (edges are parallel).
    """
    (a_low, a_high), (b_low, b_high) = (_extent([_dot(place, direction) for place in one]) for one in corner)
    touch = TOUCH * np.maximum(np.sqrt(_dot(direction, direction)), 1e-12)
    gap = np.maximum(a_low - b_high, b_low - a_high)
    return (gap >= -touch) & (np.maximum(a_high, b_high) - np.minimum(a_low, b_low) > 2.0 * touch)


def _extent(values: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    a, b, c = values
    return np.minimum(np.minimum(a, b), c), np.maximum(np.maximum(a, b), c)


def _dot(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


def _cross(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.stack([a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]])
