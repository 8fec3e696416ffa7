"""Conjugate gradients for a step of the moving mesh, with two levels.

What a step solves is Laplace's matrix for each direction, and 3 x 3 blocks that pull nodes of the walls onto their
surfaces. Those leave whole regions of a wall free to slide, which a diagonal preconditioner brings in line only
slowly. Here cubes of nodes that move as one are solved for besides (additive Schwarz with an aggregated coarse space;
Nicolaides, SIAM J Numer Anal 1987, doi 10.1137/0724027).
"""

from dataclasses import dataclass

import numpy as np
import scipy

CUBE = 16.0
"""mm. Side of the cubes whose nodes move as one on the coarse level."""
TOLERANCE, MAX_ITERATIONS = 3e-3, 400
"""Relative residual that is left; what a step leaves over the next one takes up. It leaves less of the displacement
(0.001 to 0.005 mm) than a diagonal preconditioner with 1e-3."""


@dataclass(frozen=True)
class System:
    """(stiffness + pull) u = load for displacements u (3, N), the z of nodes on the base not among them.

    Attributes:
        stiffness: sparse (N, N), the same for each direction.
        pull: (N, 3, 3) blocks, zero of most nodes.
        load: (N, 3).
        on_base: bool (N,).
    """

    stiffness: "scipy.sparse.csr_matrix"
    pull: np.ndarray
    load: np.ndarray
    on_base: np.ndarray

    def held(self) -> np.ndarray:
        """Numbers of the nodes with a block of ``pull``."""
        return np.flatnonzero(np.trace(self.pull, axis1=1, axis2=2))


class Cubes:
    """Pieces of the mesh within cubes of CUBE mm: connected, so that the walls of a cavity do not move as one."""

    def __init__(self, points: np.ndarray, start: np.ndarray, end: np.ndarray):
        """``points`` (N, 3) mm; ``start``, ``end`` (E,) nodes of the edges."""
        place = np.floor(points / CUBE).astype(np.int64)
        number = np.ravel_multi_index(tuple((place - place.min(0)).T), tuple(np.ptp(place, axis=0) + 1))
        same = number[start] == number[end]
        within = scipy.sparse.coo_matrix(
            (np.ones(int(same.sum()), np.int8), (start[same], end[same])), shape=(len(points),) * 2
        )
        count, piece = scipy.sparse.csgraph.connected_components(within, directed=False)
        ones = np.ones(len(points), np.float32)
        self.spread = scipy.sparse.csr_matrix((ones, (np.arange(len(points)), piece)), shape=(len(points), count))
        self.gather = self.spread.T.tocsr()

    def inverse(self, system: System) -> np.ndarray:
        """float32 (3 C, 3 C) inverse of the system's matrix for motions of whole pieces."""
        count, held = self.gather.shape[0], system.held()
        free = scipy.sparse.diags((~system.on_base).astype(np.float32))
        by_axis = (self.spread, self.spread, free @ self.spread)
        whole = np.zeros((3, count, 3, count))
        for i, ways in enumerate(by_axis):
            whole[i, :, i] = (ways.T @ (system.stiffness @ ways)).toarray()
            for j in range(3):
                weighted = scipy.sparse.diags(system.pull[held, i, j]) @ by_axis[j].tocsr()[held]
                whole[i, :, j] += (ways.tocsr()[held].T @ weighted).toarray()
        whole = whole.reshape(3 * count, 3 * count)
        diagonal = np.diag(whole)
        # A piece without anything that holds it, or all in the base, is left out.
        whole[np.diag_indices_from(whole)] = np.where(diagonal > 0, diagonal * (1 + 1e-6), 1.0)
        return np.linalg.inv(whole).astype(np.float32)

    def solve(self, system: System, inverse: np.ndarray) -> np.ndarray:
        """float64 (N, 3) displacements, by arithmetic in float32; ``inverse`` may be that of a system near to it."""
        matrix, held = system.stiffness.astype(np.float32), system.held()
        blocks = np.ascontiguousarray(system.pull[held].transpose(1, 2, 0), np.float32)
        diagonal = system.stiffness.diagonal() + np.einsum("nii->in", system.pull)
        weight, fixed = (1.0 / diagonal).astype(np.float32), np.flatnonzero(system.on_base)
        weight[2, fixed] = 0.0

        def apply(flat):
            u = flat.reshape(3, -1)
            out, (x, y, z) = np.stack([matrix @ part for part in u]), u[:, held]
            for i, row in enumerate(blocks):
                out[i, held] += row[0] * x + row[1] * y + row[2] * z
            out[2, fixed] = 0.0
            return out.ravel()

        def precondition(flat):
            rest = flat.reshape(3, -1)
            coarse = inverse @ np.concatenate([self.gather @ part for part in rest])
            found = weight * rest
            for part, moved in zip(found, coarse.reshape(3, -1), strict=True):
                part += self.spread @ moved
            found[2, fixed] = 0.0
            return found.ravel()

        right = np.ascontiguousarray(system.load.T, np.float32)
        right[2, fixed] = 0.0
        linalg = scipy.sparse.linalg
        whole, near = (
            linalg.LinearOperator((right.size,) * 2, matvec=of, dtype=np.float32) for of in (apply, precondition)
        )
        found, _ = linalg.cg(whole, right.ravel(), rtol=TOLERANCE, maxiter=MAX_ITERATIONS, M=near)
        return found.reshape(3, -1).T.astype(float)
