"""Surfaces of a moving mesh kept from passing through each other, as the walls of a cavity that closes do.

The cavity is not meshed, so no element tells when its walls meet.
"""

import numpy as np
import scipy

from BiVMeshLib.check.intersections import self_intersections
from BiVMeshLib.check.quality import EDGES, shape_quality
from BiVMeshLib.check.topology import with_any
from BiVMeshLib.tetra.smoothing import put_back

from .follow import Follower

PUSH = 0.25
"""mm by which walls that cross are drawn back in one round."""
ROUNDS, PATIENCE = 12, 3
"""Rounds at most, and without fewer crossings."""
SPREAD = 12
"""Layers of nodes that give way with a wall that is drawn back."""


def parted(follower: Follower, points: np.ndarray) -> np.ndarray:
    """(N, 3) local places at which no surface triangles cross, or fewer than at ``points``.

    Walls that cross are drawn back along their normals, the muscle behind gives way; no tet falls below FLOOR (and
    below what it is) by it. ``points`` itself where nothing crosses.
    """
    pairs = self_intersections(points, follower.triangles)
    best, least, waited = points, len(pairs), 0
    average = _neighbour_average(follower.tets, len(points)) if least else None
    for _ in range(ROUNDS):
        if not len(pairs) or waited == PATIENCE:
            break
        points = _drawn_back(follower, points, pairs, average)
        pairs = self_intersections(points, follower.triangles)
        waited += 1
        if len(pairs) < least:
            best, least, waited = points, len(pairs), 0
    return best


def _drawn_back(
    follower: Follower, points: np.ndarray, pairs: np.ndarray, average: "scipy.sparse.csr_matrix"
) -> np.ndarray:
    """``points`` after one round for the given pairs of triangles."""
    crossing = _corners(follower, pairs)
    push = np.zeros_like(points)
    for wall in follower.walls:
        push[wall.nodes] -= PUSH * wall.normals(points, follower.on_base)[0]
    push[~crossing] = 0.0
    given = push
    for _ in range(SPREAD):
        given = np.where(crossing[:, None], push, average @ given) * follower.free
    return follower.kept_good(points, points + given)


def kept_apart(follower: Follower, points: np.ndarray, moved: np.ndarray) -> np.ndarray:
    """``moved``, with the nodes of triangles put back where ``points`` has them that cross, if they do not there.

    Then also those of tets that would fall below FLOOR (and below what they are) by that.
    """
    triangles, tets = follower.triangles, follower.tets
    result, changed = moved, np.flatnonzero((moved != points).any(1)[triangles].any(1))
    pairs = self_intersections(moved, triangles, changed)
    if not len(pairs):
        return moved
    known = _codes(self_intersections(points, triangles, changed), len(triangles))
    floor = follower.floor(points)
    while len(pairs := pairs[~np.isin(_codes(pairs, len(triangles)), known)]):
        crossing = _corners(follower, pairs)
        before, result = result, np.where(crossing[:, None], points, result)
        around = np.flatnonzero(with_any(crossing, tets))
        result = put_back(points, result, tets, floor, shape_quality, around)
        changed = np.flatnonzero((result != before).any(1)[triangles].any(1))
        pairs = self_intersections(result, triangles, changed)
    return result


def _corners(follower: Follower, pairs: np.ndarray) -> np.ndarray:
    """bool (N,) nodes of the triangles of pairs (P, 2)."""
    found = np.zeros(len(follower.free), bool)
    found[follower.triangles[pairs].ravel()] = True
    return found


def _codes(pairs: np.ndarray, count: int) -> np.ndarray:
    """(P,) one number for each pair of ``count`` triangles, in either order."""
    return pairs.min(1) * count + pairs.max(1) if len(pairs) else np.zeros(0, np.int64)


def _neighbour_average(tets: np.ndarray, count: int) -> "scipy.sparse.csr_matrix":
    """Sparse (N, N) mean over the nodes that share an edge."""
    ends = tets[:, EDGES].reshape(-1, 2)
    rows, columns = np.concatenate([ends, ends[:, ::-1]]).T
    matrix = scipy.sparse.coo_matrix((np.ones(len(rows)), (rows, columns)), shape=(count, count)).tocsr()
    matrix.data[:] = 1.0
    return scipy.sparse.csr_matrix(matrix.multiply(1.0 / np.maximum(np.asarray(matrix.sum(1)), 1.0)))
