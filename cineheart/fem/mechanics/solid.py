"""Forces and stiffness of the heart's muscle on scikit-fem's elements."""

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
from scipy.sparse import csc_matrix, csr_matrix
from scipy.sparse.linalg import LinearOperator, cg, splu
from skfem import Basis, ElementTetP2, FacetBasis, MeshTet

from .materials import Guccione

ENDOCARDIA = ("ENDO_LV", "ENDO_RV")
LEVI_CIVITA = np.zeros((3, 3, 3))
LEVI_CIVITA[[0, 1, 2], [1, 2, 0], [2, 0, 1]], LEVI_CIVITA[[0, 2, 1], [2, 1, 0], [1, 0, 2]] = 1.0, -1.0


@dataclass(frozen=True)
class SolidHeart:
    """A heart to deform.

    Attributes:
        mesh: scikit-fem's mesh, mm, with boundaries BASE, EPI, ENDO_LV and, if it has one, ENDO_RV.
        axes: (M, 3, 3) per tet, columns fibre, sheet, normal.
        springs: None, or (N, 3, 3) mN/mm, what pulls each node back to its place without load, see :func:`held_along`.
    """

    mesh: MeshTet
    axes: np.ndarray
    springs: np.ndarray | None = None

    @property
    def endocardia(self) -> list[str]:
        """Names of the patches that bear a pressure."""
        return [name for name in ENDOCARDIA if name in self.mesh.boundaries]


@dataclass(frozen=True)
class Load:
    """Pressures by patch and active tension, kPa."""

    pressure: dict[str, float] = field(default_factory=dict)
    tension: float = 0.0

    def towards(self, other: "Load", share: float) -> "Load":
        """So far on the way to another load."""
        names = self.pressure | other.pressure
        between = {n: (1 - share) * self.pressure.get(n, 0.0) + share * other.pressure.get(n, 0.0) for n in names}
        return Load(between, (1 - share) * self.tension + share * other.tension)


def held_along(heart: SolidHeart, stiffness: float, patch: str = "EPI") -> SolidHeart:
    """The heart with springs of a stiffness in kPa/mm along the normals of a patch: the pericardium.

    Each node bears those of the area round it.
    """
    mesh = heart.mesh
    corners = mesh.facets[:, mesh.boundaries[patch]].T
    a, b, c = (mesh.p.T[corners[:, n]] for n in range(3))
    cross = 0.5 * np.cross(b - a, c - a)
    inner = mesh.p[:, mesh.t[:, mesh.f2t[0, mesh.boundaries[patch]]]].mean(1).T
    cross *= np.sign(np.einsum("fi,fi->f", cross, a - inner))[:, None]
    count = mesh.p.shape[1]
    normal = np.stack([np.bincount(corners.ravel(), np.repeat(cross[:, k] / 3.0, 3), count) for k in range(3)], axis=1)
    area = np.linalg.norm(normal, axis=1)[:, None, None]
    blocks = stiffness * normal[:, :, None] * normal[:, None, :] / np.where(area > 0, area, 1.0)
    return replace(heart, springs=blocks)


class Solid:
    """Quadratic displacements (P2), four integration points per tet, which with a penalty for J does not lock.

    Args:
        heart: what deforms.
        law: of its muscle.
        element: of scikit-fem, for one component of the displacement; None: ``ElementTetP2``.
    """

    intorder = 2
    """Polynomials of this order are integrated exactly over a tet."""
    few, keep, most = 15_000, 25, 200
    """Unknowns up to which the whole matrix is factorised; iterations with kept factors, and with new ones."""
    whole, slowest = 150_000, 2000
    """Unknowns up to which a preconditioner is of the whole matrix (3 GB), and iterations with one that is not."""

    def __init__(self, heart: SolidHeart, law: Guccione, element=None):
        self.heart, self.law, self.given = heart, law, law
        element = element or ElementTetP2()
        self.basis = Basis(heart.mesh, element, intorder=self.intorder)
        self.dofs, self.n = self.basis.element_dofs.T, self.basis.N
        gradients = np.stack([b[0].grad for b in self.basis.basis[: self.basis.Nbfun]])  # (a, i, m, q)
        # In the fibre axes of each tet, (q, m, a, 3).
        self.gradients = np.einsum("aimq,mij->qmaj", gradients, heart.axes)
        self.weights = self.basis.dx.T  # (q, m)
        self.faces = {
            name: FacetBasis(heart.mesh, element, facets=heart.mesh.boundaries[name], intorder=4)
            for name in heart.endocardia
        }
        held = np.zeros(self.n, bool)
        held[self.basis.get_dofs("BASE").all()] = True
        self.free = np.flatnonzero(np.repeat(~held, 3))
        self.factors: Any = None
        """Of an earlier stiffness, or of one near to it: may be those of another shape of the same mesh."""
        self.origin = heart.mesh.p[:, np.unique(heart.mesh.facets[:, heart.mesh.boundaries["BASE"]])].mean(1)

    @cached_property
    def coarse(self) -> csr_matrix:
        """(3n, 3N) values at all nodes from those at the corners: the edges' middles take the mean."""
        corners = self.basis.nodal_dofs[0]
        rows, columns, values = [corners], [np.arange(len(corners))], [np.ones(len(corners))]
        for side in self.heart.mesh.edges if self.n > len(corners) else ():
            rows, columns = rows + [self.basis.edge_dofs[0]], columns + [side]
            values.append(np.full(len(side), 0.5))
        rows, columns, values = (np.concatenate(part) for part in (rows, columns, values))
        rows, columns = ((3 * part[:, None] + np.arange(3)).ravel() for part in (rows, columns))
        return csr_matrix((np.repeat(values, 3), (rows, columns)), shape=(3 * self.n, 3 * len(corners)))

    def penalise(self, share: float) -> None:
        """Let the penalty on J be this share of the law's."""
        self.law = replace(self.given, kappa=share * self.given.kappa)

    def deformation(self, u: np.ndarray) -> np.ndarray:
        """(q, m, 3, 3) deformation gradient, columns along the fibre axes; u (n, 3)."""
        return self.heart.axes + np.swapaxes(u[self.dofs], 1, 2) @ self.gradients

    def internal(self, u: np.ndarray, tension: float = 0.0) -> tuple[np.ndarray, float]:
        """(n, 3) forces of the stress, and the stored energy."""
        energy, stress, _ = self.law.stress(self.deformation(u), tension)
        local = (self.gradients @ np.swapaxes(stress * self.weights[..., None, None], -1, -2)).sum(0)
        pull, stored = self._springs(u)
        return self._gathered(self.dofs, local) + pull, float((energy * self.weights).sum()) + stored

    def _springs(self, u: np.ndarray) -> tuple[np.ndarray, float]:
        """(n, 3) forces of the springs, and the energy in them."""
        pull = np.zeros_like(u)
        if self.heart.springs is None:
            return pull, 0.0
        corners = self.basis.nodal_dofs[0]
        pull[corners] = np.einsum("nij,nj->ni", self.heart.springs, u[corners])
        return pull, 0.5 * float((pull * u).sum())

    def external(self, u: np.ndarray, load: Load) -> np.ndarray:
        """(n, 3) forces of the pressures on the deformed patches."""
        total = np.zeros((self.n, 3))
        for name, value in load.pressure.items():
            total += value * self.pressure_forces(name, u)
        return total

    def stiffness(self, u: np.ndarray, load: Load) -> csr_matrix:
        """(3n, 3n) tangent of stress and pressures."""
        size = self.dofs.shape[1]
        local = np.zeros((len(self.dofs), size, 3, size, 3))
        for f, gradient, weight in zip(self.deformation(u), self.gradients, self.weights, strict=True):
            tangent = self.law.tangent(f, load.tension) * weight[:, None, None, None, None]
            half = gradient[:, None] @ np.swapaxes(tangent.reshape(-1, 3, 3, 9), 2, 1).swapaxes(1, 2)  # (m, i, a, kb)
            half = half.reshape(len(f), 3, size, 3, 3) @ np.swapaxes(gradient, 1, 2)[:, None, None]  # (m, i, a, k, b)
            local += half.transpose(0, 2, 1, 4, 3)
        total = self._matrix(self.dofs, local)
        if self.heart.springs is not None:
            corners = self.basis.nodal_dofs[0][:, None]
            total = total + self._matrix(corners, self.heart.springs[:, None, :, None, :])
        for name, value in load.pressure.items():
            faces = self.faces[name]
            total = total + self._matrix(faces.element_dofs.T, value * self._turning(faces, u))
        return total

    def pressure_forces(self, name: str, u: np.ndarray) -> np.ndarray:
        """(n, 3) forces of a unit pressure on the deformed patch."""
        faces, size = self.faces[name], self.dofs.shape[1]
        area, _, _ = self._deformed(faces, u)
        values = np.stack([faces.basis[a][0].value for a in range(size)])
        return self._gathered(faces.element_dofs.T, -np.einsum("amq,imq,mq->mai", values, area, faces.dx))

    def cavity_ml(self, name: str, u: np.ndarray) -> float:
        """Volume between the deformed patch and the base plane, ml."""
        faces = self.faces[name]
        area, _, place = self._deformed(faces, u)
        return float(-np.einsum("imq,imq,mq->", place - self.origin[:, None, None], area, faces.dx)) / 3000.0

    def cavities_ml(self, u: np.ndarray) -> dict[str, float]:
        """Of every cavity."""
        return {name: self.cavity_ml(name, u) for name in self.faces}

    def at_nodes(self, u: np.ndarray) -> np.ndarray:
        """(N, 3) displacement of the mesh's nodes."""
        return u[self.basis.nodal_dofs[0]]

    def _deformed(self, faces: FacetBasis, u: np.ndarray):
        """Normal times area ratio, deformation gradient and place at the points of faces, each (3, ..., m, q)."""
        size = self.dofs.shape[1]
        local = u[faces.element_dofs]  # (a, m, 3)
        gradients = np.stack([faces.basis[a][0].grad for a in range(size)])
        values = np.stack([np.broadcast_to(faces.basis[a][0].value, faces.dx.shape) for a in range(size)])
        f = np.eye(3)[..., None, None] + np.einsum("ami,ajmq->ijmq", local, gradients)
        cofactors = [np.cross(f[:, j - 2], f[:, j - 1], axis=0) for j in range(3)]
        area = sum(c * faces.normals[j] for j, c in enumerate(cofactors))
        return area, f, faces.global_coordinates().value + np.einsum("ami,amq->imq", local, values)

    def _turning(self, faces: FacetBasis, u: np.ndarray) -> np.ndarray:
        """(m, a, 3, b, 3) derivative of the deformed normals' integral by the displacement."""
        size = self.dofs.shape[1]
        _, f, _ = self._deformed(faces, u)
        gradients = np.stack([faces.basis[b][0].grad for b in range(size)])
        values = np.stack([np.broadcast_to(faces.basis[a][0].value, faces.dx.shape) for a in range(size)])
        across = np.cross(gradients, faces.normals[None], axis=1)
        turned = np.einsum("jkmq,bkmq->bjmq", f, across)
        weighted = np.einsum("amq,bjmq->mabj", values * faces.dx, turned)
        return np.einsum("mabj,ijk->maibk", weighted, LEVI_CIVITA)

    def _gathered(self, dofs: np.ndarray, local: np.ndarray) -> np.ndarray:
        return np.stack([np.bincount(dofs.ravel(), local[:, :, i].ravel(), self.n) for i in range(3)], axis=1)

    def _matrix(self, dofs: np.ndarray, local: np.ndarray) -> csr_matrix:
        every = (3 * dofs[:, :, None] + np.arange(3)).reshape(len(dofs), -1)
        size = every.shape[1]
        rows, columns = np.repeat(every, size, axis=1), np.tile(every, (1, size))
        return csr_matrix((local.ravel(), (rows.ravel(), columns.ravel())), shape=(3 * self.n,) * 2)

    def solve_linear(self, matrix: csr_matrix, right: np.ndarray) -> np.ndarray:
        """Solution on the free unknowns: factorised if small, else conjugate gradients.

        They are preconditioned with factors in float32, of the matrix or of one near to it; those of earlier
        iterations are kept as long as they serve. Beyond ``whole`` unknowns, with those of the linear elements below.

        Raises:
            ArithmeticError: no convergence, or a singular matrix.
        """
        matrix = matrix[self.free][:, self.free]
        if len(self.free) <= self.few:
            return factorised(matrix).solve(right)
        small = len(self.free) <= self.whole
        if small and self.factors is not None:
            found, failed = self._iterate(matrix, right, self.keep)
            if not failed:
                return found
        self.factors = None  # two at once would take twice the memory
        self.factors = factorised(self.near(matrix).astype(np.float32)) if small else self._below(matrix)
        found, failed = self._iterate(matrix, right, self.most if small else self.slowest)
        if failed:
            raise ArithmeticError("Conjugate gradients did not converge.")
        return found

    def near(self, matrix: csr_matrix) -> csr_matrix:
        """What is factorised for iterations with a ``matrix`` of the free unknowns."""
        return matrix

    def _below(self, matrix: csr_matrix) -> "TwoLevels":
        down = self.coarse[self.free]
        return TwoLevels(matrix, down[:, np.flatnonzero(np.diff(down.tocsc().indptr))])

    def _iterate(self, matrix: csr_matrix, right: np.ndarray, most: int) -> tuple[np.ndarray, int]:
        def back(residual):
            return self.factors.solve(residual.astype(np.float32)).astype(float)

        return cg(matrix, right, rtol=1e-7, maxiter=most, M=LinearOperator(matrix.shape, matvec=back, dtype=float))


class TwoLevels:
    """Preconditioner of little memory: the diagonal, and factors of the matrix that coarser elements have.

    Args:
        matrix: (n, n) symmetric.
        down: (n, m) displacements of coarser elements to those of the matrix.
    """

    def __init__(self, matrix: csr_matrix, down: csr_matrix):
        self.diagonal, self.down, self.below = matrix.diagonal(), down, factorised(down.T @ matrix @ down)

    def solve(self, residual: np.ndarray) -> np.ndarray:
        """(n,) what the preconditioner makes of a residual (n,)."""
        return residual / self.diagonal + self.down @ self.below.solve((self.down.T @ residual).astype(float))


def factorised(matrix):
    """Factors of a symmetric matrix."""
    try:
        return splu(
            csc_matrix(matrix), permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options={"SymmetricMode": True}
        )
    except RuntimeError as error:
        raise ArithmeticError(f"The stiffness matrix is singular ({error}).") from error
