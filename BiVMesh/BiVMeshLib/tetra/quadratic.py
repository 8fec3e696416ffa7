"""Ten-node tetrahedra: middles of the edges, on the smooth surface where the element stays valid.

Nodes of an element: four corners, then the middles of the edges in the order of EDGES (VTK, Abaqus and FEBio).
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from itertools import product

import numpy as np

from CardiacLib.types.bivmesh import PATCHES, BiVMesh

EDGES = np.array([(0, 1), (1, 2), (0, 2), (0, 3), (1, 3), (2, 3)])
"""Corners of each edge of a tet, in the order of its middle nodes 4 to 9."""
SIDES = np.array([(0, 1), (1, 2), (2, 0)])
"""The same of a six-node triangle."""
LEAST = 0.2
"""Least Jacobian of a curved tet anywhere, as a share of the straight tet's."""
FARTHEST = 0.25
"""A middle that would move by more than this share of its edge stays: the surface there is not what the edge spans."""
SHARES = (1.0, 0.5, 0.0)
"""Of the way from the straight middle to the surface that are tried."""


@dataclass(frozen=True)
class Elements:
    """Nodes and elements of a mesh as they are written, linear or quadratic.

    Attributes:
        nodes: (N, 3), corners first. tets: (M, 4 or 10). triangles: (F, 3 or 6).
        point_fields: (N,) by name.
        order: 1 or 2.
    """

    nodes: np.ndarray
    tets: np.ndarray
    triangles: np.ndarray
    point_fields: dict[str, np.ndarray]

    @property
    def order(self) -> int:
        return 1 if self.tets.shape[1] == 4 else 2


def mesh_edges(tets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(E, 2) edges, sorted, and (M, 6) the number of each tet's edges in the order of EDGES."""
    ends = np.sort(tets[:, EDGES].reshape(-1, 2), axis=1).astype(np.int64)
    size = int(tets.max()) + 1
    keys, number = np.unique(ends[:, 0] * size + ends[:, 1], return_inverse=True)
    return np.stack([keys // size, keys % size], axis=1), number.reshape(-1, 6)


def edge_numbers(edges: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """(...,) number in ``edges`` of each pair of nodes (..., 2)."""
    size = int(edges.max()) + 1
    low, high = np.sort(ends, axis=-1).astype(np.int64).reshape(-1, 2).T
    return np.searchsorted(edges[:, 0] * size + edges[:, 1], low * size + high).reshape(ends.shape[:-1])


def elements(mesh: BiVMesh) -> Elements:
    """The elements to write: linear ones, or quadratic ones of a mesh with middles.

    Point fields are continued to the middles by the mean of the edge's ends.
    """
    if mesh.middles is None:
        return Elements(mesh.nodes, mesh.tets, mesh.triangles, mesh.point_fields)
    edges, of_tet = mesh_edges(mesh.tets)
    count = len(mesh.nodes)
    tets = np.concatenate([mesh.tets, of_tet + count], axis=1)
    triangles = np.concatenate([mesh.triangles, edge_numbers(edges, mesh.triangles[:, SIDES]) + count], axis=1)
    fields = {name: np.concatenate([v, v[edges].mean(1)]) for name, v in mesh.point_fields.items()}
    return Elements(np.concatenate([mesh.nodes, mesh.middles]), tets, triangles, fields)


@dataclass(frozen=True)
class Curved:
    """Middles of the edges.

    Attributes:
        middles: (E, 3). curved, eased, straight: how many edges of the walls lie on the surface, half way to it, or
            stay straight, because a curved one would spoil a tet.
        least: least Jacobian of a tet anywhere, as a share of the straight tet's.
    """

    middles: np.ndarray
    curved: int
    eased: int
    straight: int
    least: float


def curve(mesh: BiVMesh, project: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> Curved:
    """Put the middles of the walls' edges onto the surface, as far as every tet stays valid.

    Args:
        mesh: linear.
        project: places (P, 3) and whether each is bound to the base plane (P,), to places on the surface, mesh's frame.
    """
    edges, of_tet = mesh_edges(mesh.tets)
    straight = mesh.nodes[edges].mean(1)
    on = {base: edge_numbers(edges, _sides(mesh, base)) for base in (False, True)}
    wall = np.unique(on[False])
    target = project(straight[wall], np.isin(wall, on[True]))
    offset = target - straight[wall]
    length = np.linalg.norm(mesh.nodes[edges[wall, 0]] - mesh.nodes[edges[wall, 1]], axis=1)
    level = np.zeros(len(edges), int)
    level[wall[np.linalg.norm(offset, axis=1) > FARTHEST * length]] = len(SHARES) - 1
    every = np.zeros((len(edges), 3))
    every[wall] = offset
    shares = np.array(SHARES)
    near = np.flatnonzero(np.isin(of_tet, wall).any(1))
    while True:
        middles = straight + shares[level][:, None] * every
        least = least_jacobian(mesh.nodes, mesh.tets[near], middles[of_tet[near]])
        bent = np.unique(of_tet[near[least < LEAST]])
        bent = bent[(level[bent] < len(SHARES) - 1) & (every[bent] != 0).any(1)]
        if not len(bent):
            break
        level[bent] += 1
    found = np.bincount(level[wall], minlength=len(SHARES))
    return Curved(middles, int(found[0]), int(found[1]), int(found[2]), float(least.min()))


def _sides(mesh: BiVMesh, base: bool) -> np.ndarray:
    """(S, 2) sides of the base's triangles, or of all others."""
    chosen = (mesh.patches == PATCHES["BASE"]) == base
    return mesh.triangles[chosen][:, SIDES].reshape(-1, 2)


def least_jacobian(nodes: np.ndarray, tets: np.ndarray, middles: np.ndarray) -> np.ndarray:
    """(M,) lower bound of the Jacobian over each ten-node tet, as a share of that of the straight tet.

    The Jacobian's determinant is a cubic polynomial; its least Bernstein coefficient bounds it from below everywhere,
    integration points included (Johnen et al., J Comput Phys 2013, doi 10.1016/j.jcp.2012.08.051).

    Args:
        nodes: (N, 3). tets: (M, 4). middles: (M, 6, 3) in the order of EDGES.
    """
    places = np.concatenate([nodes[tets], middles], axis=1)
    gradients, inverse = _cubic()
    columns = places.transpose(1, 0, 2).reshape(10, -1)
    found = np.empty((len(gradients), len(tets)))
    for n, gradient in enumerate(gradients):
        x, y, z = (gradient.T @ columns).reshape(3, -1, 3)
        found[n] = np.einsum("ij,ij->i", np.cross(x, y), z)
    a, b, c, d = (nodes[tets[:, n]] for n in range(4))
    straight = np.einsum("ij,ij->i", np.cross(b - a, c - a), d - a)
    return (inverse @ found).min(0) / straight


def shape_gradients(points: np.ndarray) -> np.ndarray:
    """(P, 10, 3) derivatives of the quadratic shape functions at reference points (P, 3)."""
    corners = np.concatenate([1.0 - points.sum(1, keepdims=True), points], axis=1)
    slopes = np.concatenate([-np.ones((1, 3)), np.eye(3)])
    of_corners = (4.0 * corners - 1.0)[:, :, None] * slopes
    i, j = EDGES.T
    of_middles = 4.0 * (corners[:, i, None] * slopes[j] + corners[:, j, None] * slopes[i])
    return np.concatenate([of_corners, of_middles], axis=1)


@cache
def _cubic() -> tuple[np.ndarray, np.ndarray]:
    """(20, 10, 3) gradients at the points of a cubic tet, and (20, 20) from values there to Bernstein coefficients."""
    powers = np.array([p for p in product(range(4), repeat=4) if sum(p) == 3])
    points = powers / 3.0
    factorial = np.array([1.0, 1.0, 2.0, 6.0])
    several = 6.0 / factorial[powers].prod(1)
    bernstein = several * (points[:, None] ** powers[None]).prod(2)
    return shape_gradients(points[:, 1:]), np.linalg.inv(bernstein)
