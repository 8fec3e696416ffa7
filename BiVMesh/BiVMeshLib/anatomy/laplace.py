"""Laplace's equation on the tetrahedra with linear elements: stiffness, Dirichlet problems, gradients. scipy only."""

from dataclasses import dataclass

import numpy as np
import scipy

TOLERANCE = 1e-8
"""Of the conjugate gradients, relative to the right-hand side."""
MAX_ITERATIONS = 5000
CUBES = 8
"""Cubes of the coarse level along the longest side of a mesh: 14 mm of a human heart."""
PAIRS = ((0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3))
"""Corners of a tet's edges."""


class Pattern:
    """Which entries of a stiffness matrix are not zero, found once for a mesh: assembly then is six sums over tets."""

    def __init__(self, tets: np.ndarray, n_nodes: int):
        """``tets`` int (M, 4), corners of ``n_nodes`` nodes."""
        one, two = (np.concatenate([tets[:, pair[n]] for pair in PAIRS]).astype(np.int64) for n in (0, 1))
        keys, number = np.unique(np.minimum(one, two) * n_nodes + np.maximum(one, two), return_inverse=True)
        self.n_nodes, self.edges = n_nodes, number.reshape(6, -1)
        self.start, self.end = keys // n_nodes, keys % n_nodes
        nodes = np.arange(n_nodes)
        rows = np.concatenate([self.start, self.end, nodes])
        columns = np.concatenate([self.end, self.start, nodes])
        order = np.argsort(rows * n_nodes + columns)
        self.source = np.concatenate([np.arange(len(keys)), np.arange(len(keys)), len(keys) + nodes])[order]
        self.indices = columns[order].astype(np.int32)
        self.indptr = np.append(0, np.cumsum(np.bincount(rows, minlength=n_nodes))).astype(np.int32)

    def matrix(self, entries: list[np.ndarray]) -> "scipy.sparse.csr_matrix":
        """Sparse (N, N) symmetric matrix without row sums; ``entries``: (M,) of each tet for its six edges, PAIRS."""
        count = len(self.start)
        off = sum(np.bincount(self.edges[n], entries[n], count) for n in range(6))
        sums = np.bincount(self.start, off, self.n_nodes) + np.bincount(self.end, off, self.n_nodes)
        values = np.concatenate([off, -sums])[self.source]
        return scipy.sparse.csr_matrix((values, self.indices, self.indptr), shape=(self.n_nodes, self.n_nodes))


@dataclass(frozen=True)
class LinearElements:
    """Linear (P1) elements on a mesh.

    Attributes:
        tets: int (M, 4) node indices, positive volume.
        slopes: (4, 3, M) gradient of each corner's shape function, 1/mm.
        volumes: (M,) mm^3.
        pattern: of the mesh's stiffness matrices.
    """

    tets: np.ndarray
    slopes: np.ndarray
    volumes: np.ndarray
    pattern: Pattern

    @classmethod
    def on(cls, nodes: np.ndarray, tets: np.ndarray, pattern: Pattern | None = None) -> "LinearElements":
        """Elements on nodes (N, 3) mm and tets (M, 4) of positive volume; ``pattern`` of these tets, if it is known."""
        across = np.ascontiguousarray(nodes.T)
        corner = [across.take(tets[:, n], axis=1) for n in range(4)]
        b, c, d = (corner[n] - corner[0] for n in (1, 2, 3))
        slopes = np.empty((4, 3, len(tets)))
        for n, (one, two) in enumerate(((c, d), (d, b), (b, c)), start=1):
            for k in range(3):
                i, j = (k + 1) % 3, (k + 2) % 3
                slopes[n, k] = one[i] * two[j] - one[j] * two[i]
        six_volume = (b * slopes[1]).sum(0)
        slopes[1:] /= six_volume
        slopes[0] = -(slopes[1] + slopes[2] + slopes[3])
        return cls(tets, slopes, six_volume / 6.0, pattern or Pattern(tets, len(nodes)))

    @property
    def n_nodes(self) -> int:
        return self.pattern.n_nodes

    @property
    def gradients(self) -> np.ndarray:
        """(M, 4, 3) gradient of each corner's shape function, 1/mm."""
        return self.slopes.transpose(2, 0, 1)

    def stiffness(self, conductivity: np.ndarray | None = None) -> "scipy.sparse.csr_matrix":
        """Sparse (N, N) matrix of -div(k grad u); ``conductivity`` k (M,) per tet, 1 if not given."""
        weight = self.volumes if conductivity is None else self.volumes * conductivity
        return self.pattern.matrix([weight * (self.slopes[i] * self.slopes[j]).sum(0) for i, j in PAIRS])

    def gradient(self, values: np.ndarray) -> np.ndarray:
        """(M, 3) gradient in each tet of a field given at the nodes (N,)."""
        return sum(self.slopes[n] * values[self.tets[:, n]] for n in range(4)).T

    def divergence(self, vectors: np.ndarray) -> np.ndarray:
        """(N,) integral of each node's shape function's gradient times vectors (M, 3): the load of a given gradient."""
        flux = vectors.T * self.volumes
        return sum(np.bincount(self.tets[:, n], (self.slopes[n] * flux).sum(0), self.n_nodes) for n in range(4))


class DirichletProblem:
    """A stiffness matrix with some nodes held; assembled and preconditioned once, solved for any values.

    Preconditioned conjugate gradients: Jacobi, and where few nodes are held also a coarse level, of cubes of nodes that
    change as one (additive Schwarz; Nicolaides, SIAM J Numer Anal 1987, doi 10.1137/0724027). It takes a third of the
    iterations along the wall, and none off across it, where every node is near to a held one.
    """

    def __init__(self, stiffness: "scipy.sparse.csr_matrix", held: np.ndarray, places: np.ndarray | None = None):
        """``stiffness`` (N, N); ``held`` bool (N,), at least one node; ``places`` (N, 3) of the nodes: coarse level."""
        self.held, self.free = np.flatnonzero(held), np.flatnonzero(~held)
        rows = stiffness[self.free]
        self.inner, self.coupling = rows[:, self.free], rows[:, self.held]
        jacobi = 1.0 / self.inner.diagonal()
        self.near = scipy.sparse.diags(jacobi)
        if places is not None and len(self.free):
            self.near = _two_levels(self.inner, jacobi, cubes_of(places[self.free]))

    def solve(self, values: np.ndarray, load: np.ndarray | None = None) -> np.ndarray:
        """(N,) solution for a ``load`` (N,) or none; ``values`` (N,) holds the held nodes' values, kept exactly, and
        the others' first guess.

        Raises:
            ArithmeticError: no convergence, as on a part of the mesh without a held node.
        """
        right = -(self.coupling @ values[self.held])
        if load is not None:
            right += load[self.free]
        found, info = scipy.sparse.linalg.cg(
            self.inner, right, values[self.free], rtol=TOLERANCE, maxiter=MAX_ITERATIONS, M=self.near
        )
        if info or not np.isfinite(found).all():
            raise ArithmeticError(f"Conjugate gradients did not converge in {MAX_ITERATIONS} iterations.")
        solution = values.copy()
        solution[self.free] = found
        return solution


def cubes_of(places: np.ndarray) -> np.ndarray:
    """(N,) number, without gaps, of the cube that each of some places (N, 3) lies in; CUBES along the longest side."""
    low, size = places.min(0), np.ptp(places, axis=0)
    cell = np.minimum((places - low) / max(float(size.max()), 1e-30) * CUBES, CUBES - 1).astype(np.int64)
    return np.unique(np.ravel_multi_index(tuple(cell.T), (CUBES,) * 3), return_inverse=True)[1]


def _two_levels(matrix, jacobi: np.ndarray, cube: np.ndarray) -> "scipy.sparse.linalg.LinearOperator":
    """Inverse diagonal and inverse of ``matrix`` (N, N) for changes of whole cubes, ``cube`` (N,), added."""
    size, count = len(cube), int(cube.max()) + 1
    spread = scipy.sparse.csr_matrix((np.ones(size), (np.arange(size), cube)), shape=(size, count))
    whole = (spread.T @ matrix @ spread).toarray()
    whole[np.diag_indices(count)] *= 1.0 + 1e-9
    inverse = np.linalg.inv(whole)
    return scipy.sparse.linalg.LinearOperator(
        (size, size), lambda rest: jacobi * rest + (inverse @ np.bincount(cube, rest, count))[cube], dtype=np.float64
    )


def even_conductivity(gradients: list[np.ndarray]) -> np.ndarray:
    """(M,) conductivity for which a potential rises evenly along its field lines.

    The flux of a harmonic potential along a tube of field lines is constant: area times gradient. With the
    gradient's length as conductivity the same flux needs the same slope all along the tube, so that the new potential
    is the share of the way along the line (exactly so between planes, cylinders and spheres). It keeps the maximum
    principle: no extrema inside. ``gradients``: (M, 3) of the harmonic potentials of one set of patches.
    """
    length = np.sqrt(sum((g**2).sum(1) for g in gradients))
    middle = np.median(length)
    return np.clip(length / middle, 0.02, 50.0)
