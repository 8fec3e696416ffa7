"""Guarded smoothing: nodes move to better places unless that makes a tet worse.

Inner nodes go to the volume-weighted centroid of their tets, surface nodes to the mean of their neighbours on
the surface and back onto it, nodes of the base stay in its plane and nodes of its rims on both.
"""

from dataclasses import replace

import numpy as np
import scipy

from BiVMeshLib.check.quality import scaled_jacobian, signed_volumes
from BiVMeshLib.check.topology import boundary_faces, edge_counts, with_any
from BiVMeshLib.shape.field import Field

from .stuffing import Stuffed, slid

GOOD = 0.45
"""A tet may get worse as long as its scaled Jacobian stays above this."""
CLEARANCE = 0.4
"""Inner nodes keep this distance (in mean edge lengths) from the surface: in a thin wall they go to its middle."""


def smooth(mesh: Stuffed, myocardium: Field, *, rounds: int = 3, step: float = 0.5) -> Stuffed:
    """Smooth a mesh; the surface stays on the field's zero level, the base in its plane."""
    faces = boundary_faces(mesh.tets)
    surface = np.zeros(len(mesh.points), bool)
    surface[faces.ravel()] = True
    on_wall = mesh.side > 0
    average = surface_average(faces, len(mesh.points), mesh.on_base & on_wall)
    points, inner = mesh.points, ~on_wall
    clear = CLEARANCE * float(np.sqrt(_mean_square_edge(points, faces)))
    for _ in range(rounds):
        target = np.where(surface[:, None], average @ points, tet_centroids(points, mesh.tets))
        moved = points + step * (target - points)
        moved[inner] = kept_clear(moved[inner], myocardium, clear)
        moved[mesh.on_base, 2] = 0.0
        bound = on_wall & ~mesh.loose
        moved[bound] = slid(points[bound], moved[bound], myocardium, mesh.on_base[bound])
        points = guarded(points, moved, mesh.tets)
    return replace(mesh, points=points)


def kept_clear(points: np.ndarray, myocardium: Field, clear: float) -> np.ndarray:
    """Points nearer to the surface than ``clear`` (mm) moved inwards along the field's gradient."""
    value, gradient = myocardium.with_gradient(points)
    slope = np.maximum(np.linalg.norm(gradient, axis=1), 0.5)
    return points - (np.clip(value + clear, 0.0, clear) / slope**2)[:, None] * gradient


def _mean_square_edge(points, faces) -> float:
    return float(((points[faces[:, 0]] - points[faces[:, 1]]) ** 2).sum(1).mean())


def surface_average(faces: np.ndarray, n_points: int, rim: np.ndarray) -> "scipy.sparse.csr_matrix":
    """Sparse (N, N) mean over surface neighbours; rim nodes take only rim neighbours."""
    edges = edge_counts(faces)[0]
    rows, columns = np.concatenate([edges, edges[:, ::-1]]).T
    keep = ~rim[rows] | rim[columns]
    matrix = scipy.sparse.coo_matrix(
        (np.ones(int(keep.sum())), (rows[keep], columns[keep])), shape=(n_points, n_points)
    ).tocsr()
    degree = np.maximum(np.asarray(matrix.sum(1)).ravel(), 1.0)
    return scipy.sparse.csr_matrix(matrix.multiply(1.0 / degree[:, None]))


def tet_centroids(points: np.ndarray, tets: np.ndarray) -> np.ndarray:
    """(N, 3) volume-weighted mean centroid of the tets at each node."""
    volume = np.maximum(signed_volumes(points, tets), 1e-12)
    across = np.ascontiguousarray(points.T)
    moment = 0.25 * volume * sum(across.take(tets[:, n], axis=1) for n in range(4))
    weight, sums = np.zeros(len(points)), np.zeros((3, len(points)))
    for n in range(4):
        weight += np.bincount(tets[:, n], volume, len(points))
        for k in range(3):
            sums[k] += np.bincount(tets[:, n], moment[k], len(points))
    return (sums / np.maximum(weight, 1e-30)).T


def guarded(points: np.ndarray, moved: np.ndarray, tets: np.ndarray, measure=scaled_jacobian) -> np.ndarray:
    """``moved``, with every node put back whose worst tet by ``measure`` would get worse (and worse than GOOD)."""
    worst = np.full(len(points), np.inf)
    before = measure(points, tets)
    for n in range(4):
        np.minimum.at(worst, tets[:, n], before)
    worst = np.minimum(worst, GOOD) - 1e-9
    return put_back(points, moved, tets, np.maximum.reduce([worst[tets[:, n]] for n in range(4)]), measure)


def put_back(
    points: np.ndarray, moved: np.ndarray, tets: np.ndarray, floor: np.ndarray, measure, check: np.ndarray | None = None
) -> np.ndarray:
    """``moved``, with the nodes put back where they are in ``points`` of tets that would fall below their ``floor``.

    Args:
        points: (N, 3), where no tet is below its floor.
        floor: (M,) least value of ``measure``, which takes points and tets.
        check: numbers of the tets that may have fallen below it, by default all.
    """
    result, check = moved.copy(), np.arange(len(tets)) if check is None else check
    while True:
        spoilt = check[measure(result, tets[check]) < floor[check]]
        back = np.zeros(len(points), bool)
        back[tets[spoilt].ravel()] = True
        near = np.flatnonzero(back)
        back[near] = (result[near] != points[near]).any(1)
        if not back.any():
            return result
        result[back] = points[back]
        check = np.flatnonzero(with_any(back, tets))
