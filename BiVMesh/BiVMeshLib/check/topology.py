"""Topology of the surface of a tetrahedral mesh."""

from dataclasses import dataclass

import numpy as np
import scipy

FACES = np.array([(1, 2, 3), (0, 3, 2), (0, 1, 3), (0, 2, 1)])
"""Faces of a positive tet, oriented outwards."""


def boundary_faces(tets: np.ndarray) -> np.ndarray:
    """(F, 3) faces that belong to one tet only, oriented outwards (tets of positive volume)."""
    faces = tets[:, FACES].reshape(-1, 3)
    a, b, c = np.ascontiguousarray(faces.T)
    low, high = np.minimum(np.minimum(a, b), c), np.maximum(np.maximum(a, b), c)
    size = tets.max() + 1
    key = (low * size + (a + b + c - low - high)) * size + high
    order = np.argsort(key)
    key = key[order]
    new = np.append(True, key[1:] != key[:-1])
    alone = new & np.append(new[1:], True)
    return faces[np.sort(order[alone])]


@dataclass(frozen=True)
class Defects:
    """Where a surface is not a closed 2-manifold.

    Attributes:
        open_edges, nonmanifold_edges: edges of one triangle, of more than two.
        nonmanifold_vertices: vertices whose triangles form more than one fan (ends of bad edges included).
        vertices: numbers of all vertices at a defect.
    """

    open_edges: int
    nonmanifold_edges: int
    nonmanifold_vertices: int
    vertices: np.ndarray


def edge_counts(triangles: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Unique edges (E, 2) lower vertex first, how many triangles have each, and each triangle edge's number (3F,)."""
    ends = triangles[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2)
    size = int(triangles.max()) + 1 if len(triangles) else 1
    key = np.minimum(ends[:, 0], ends[:, 1]) * size + np.maximum(ends[:, 0], ends[:, 1])
    unique, number, count = np.unique(key, return_inverse=True, return_counts=True)
    return np.stack([unique // size, unique % size], axis=1), count, number


def surface_defects(triangles: np.ndarray, n_vertices: int) -> Defects:
    """Count open edges, non-manifold edges and non-manifold vertices of triangles (F, 3)."""
    edges, count, number = edge_counts(triangles)
    fans = _fans_per_vertex(triangles, number, count, n_vertices)
    bad_edge = count > 2
    bad = np.zeros(n_vertices, bool)
    bad[edges[bad_edge].ravel()] = True
    bad |= fans > 1
    at_open = np.unique(edges[count == 1].ravel())
    return Defects(
        open_edges=int((count == 1).sum()),
        nonmanifold_edges=int(bad_edge.sum()),
        nonmanifold_vertices=int(bad.sum()),
        vertices=np.union1d(np.flatnonzero(bad), at_open),
    )


def _fans_per_vertex(triangles, number, count, n_vertices) -> np.ndarray:
    """(n_vertices,) into how many fans, joined across two-triangle edges, each vertex's triangles fall."""
    corner = np.arange(3 * len(triangles)).reshape(-1, 3)
    side_corners = corner[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2)
    vertex = triangles.ravel()
    flip = vertex[side_corners[:, 0]] > vertex[side_corners[:, 1]]
    side_corners[flip] = side_corners[flip][:, ::-1]
    order = np.argsort(number, kind="stable")
    order = order[count[number[order]] == 2]
    first, second = side_corners[order[0::2]], side_corners[order[1::2]]
    links = scipy.sparse.coo_matrix(
        (np.ones(first.size, np.int8), (first.ravel(), second.ravel())), shape=(vertex.size,) * 2
    )
    fans, label = scipy.sparse.csgraph.connected_components(links, directed=False)
    owner = np.zeros(fans, np.int64)
    owner[label] = vertex
    return np.bincount(owner, minlength=n_vertices)


def with_any(state: np.ndarray, cells: np.ndarray) -> np.ndarray:
    """bool (M,) cells (M, n) with at least one corner whose ``state`` (N,) is true."""
    return np.logical_or.reduce([state[cells[:, n]] for n in range(cells.shape[1])])


def with_all(state: np.ndarray, cells: np.ndarray) -> np.ndarray:
    """bool (M,) cells (M, n) all of whose corners' ``state`` (N,) is true."""
    return np.logical_and.reduce([state[cells[:, n]] for n in range(cells.shape[1])])


def euler(triangles: np.ndarray) -> int:
    """Vertices - edges + triangles."""
    return len(np.unique(triangles)) - len(edge_counts(triangles)[0]) + len(triangles) if len(triangles) else 0


def component_count(triangles: np.ndarray) -> int:
    """Pieces of a surface connected through vertices."""
    if not len(triangles):
        return 0
    vertices, local = np.unique(triangles, return_inverse=True)
    local = local.reshape(-1, 3)
    rows, columns = np.concatenate([local[:, 0], local[:, 1]]), np.concatenate([local[:, 1], local[:, 2]])
    graph = scipy.sparse.coo_matrix((np.ones(len(rows), np.int8), (rows, columns)), shape=(len(vertices),) * 2)
    return int(scipy.sparse.csgraph.connected_components(graph, directed=False)[0])
