"""Three solves with scikit-fem on the files of ``cineheart mesh --format msh``: Laplace, elasticity, passive inflation.

Lengths in mm, stresses and pressures in kPa, so forces in mN. The base is held, the pressure stays normal to the
deformed endocardium, the epicardium is free.
"""

from dataclasses import dataclass, field
from pathlib import Path

import meshio
import numpy as np
from scipy.sparse import csc_matrix, csr_matrix, diags
from scipy.sparse.linalg import LinearOperator, cg, splu
from skfem import (
    Basis,
    BilinearForm,
    ElementTetP0,
    ElementTetP1,
    ElementTetP2,
    ElementVector,
    FacetBasis,
    LinearForm,
    MeshTet,
    condense,
    solve,
)
from skfem.helpers import dot, grad
from skfem.models.elasticity import lame_parameters, linear_elasticity
from skfem.utils import solver_iter_pcg

KPA_PER_MMHG = 0.133322
DIRECT = 15_000
"""Up to so many unknowns a factorisation is faster than iterations."""
LEVI_CIVITA = np.zeros((3, 3, 3))
LEVI_CIVITA[[0, 1, 2], [1, 2, 0], [2, 0, 1]], LEVI_CIVITA[[0, 2, 1], [2, 1, 0], [1, 0, 2]] = 1.0, -1.0


@dataclass(frozen=True)
class Heart:
    """What was read.

    Attributes:
        mesh: scikit-fem's mesh with boundaries BASE, EPI, ENDO_LV, ENDO_RV.
        axes: (M, 3, 3) per tet, columns fibre, sheet, normal.
        fields: the other node fields by name, (N,).
    """

    mesh: MeshTet
    axes: np.ndarray
    fields: dict[str, np.ndarray]


def read_heart(folder: str | Path) -> Heart:
    """Read ``mesh.msh`` and ``fields.msh``."""
    folder = Path(folder)
    fields = meshio.read(folder / "fields.msh")
    axes = np.stack([fields.cell_data[name][0] for name in ("fibre", "sheet", "normal")], axis=2)
    return Heart(MeshTet.load(folder / "mesh.msh"), axes, dict(fields.point_data))


def laplace(mesh: MeshTet, ones: str, zeros: list[str], conductivity: np.ndarray | None = None) -> np.ndarray:
    """(N,) linear elements: 1 on one patch, 0 on others, no flux elsewhere; ``conductivity`` (M,) per tet or 1."""
    basis = Basis(mesh, ElementTetP1())
    factor = np.ones(mesh.nelements) if conductivity is None else conductivity
    form = BilinearForm(lambda u, v, w: w["k"] * dot(grad(u), grad(v)))
    stiffness = form.assemble(basis, k=basis.with_element(ElementTetP0()).interpolate(factor))
    values = basis.zeros()
    values[basis.get_dofs(ones)] = 1.0
    held = basis.get_dofs([ones, *zeros])
    return solve(*condense(stiffness, x=values, D=held), solver=solver_iter_pcg(rtol=1e-10))


@dataclass(frozen=True)
class Elasticity:
    """Small displacements under a pressure.

    Attributes:
        displacement: (N, 3) mm. reaction: (3,) mN, what holds the base. load: (3,) mN, the pressure's resultant.
        work: 1/2 load times displacement, mN mm (1e-6 J). energy: the stored energy, integrated over the tets.
    """

    displacement: np.ndarray
    reaction: np.ndarray
    load: np.ndarray
    work: float
    energy: float


def elasticity(mesh: MeshTet, patch: str, pressure: float, young: float = 30.0, poisson: float = 0.4) -> Elasticity:
    """Isotropic linear elasticity, linear elements, ``pressure`` on one patch, base held."""
    basis = Basis(mesh, ElementVector(ElementTetP1()))
    inside = FacetBasis(mesh, ElementVector(ElementTetP1()), facets=mesh.boundaries[patch])
    stiffness = linear_elasticity(*lame_parameters(young, poisson)).assemble(basis)
    load = LinearForm(lambda v, w: -pressure * dot(w.n, v)).assemble(inside)
    held = basis.get_dofs("BASE").all()
    u = solve(*condense(stiffness, load, D=held), solver=solver_iter_pcg(rtol=1e-10))
    residual = stiffness @ u - load
    reaction = np.array([residual[np.intersect1d(held, basis.nodal_dofs[i])].sum() for i in range(3)])
    strain = np.einsum("mni,mnj->mij", *_linear(mesh, u[basis.nodal_dofs].T))
    strain = 0.5 * (strain + strain.transpose(0, 2, 1))
    lam, mu = lame_parameters(young, poisson)
    density = 0.5 * lam * np.trace(strain, axis1=1, axis2=2) ** 2 + mu * (strain**2).sum((1, 2))
    energy = float(density @ basis.dx.sum(1))
    resultant = load[basis.nodal_dofs].sum(1)
    return Elasticity(u[basis.nodal_dofs].T, reaction, resultant, 0.5 * float(load @ u), energy)


def _linear(mesh: MeshTet, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(M, 4, 3) values at the corners of each tet and gradients of the corners' shape functions."""
    basis = Basis(mesh, ElementTetP1(), intorder=0)
    gradients = np.stack([basis.basis[n][0].grad[:, :, 0].T for n in range(4)], axis=1)
    return values[mesh.t.T], gradients


@dataclass(frozen=True)
class Guccione:
    """Transversely isotropic exponential law (Guccione et al. 1991, doi 10.1115/1.2894084), nearly incompressible.

    W = c/2 (exp Q - 1) + kappa/4 (J^2 - 1 - 2 ln J) with
    Q = bf Eff^2 + bt (Ess^2 + Enn^2 + 2 Esn^2) + 2 bfs (Efs^2 + Efn^2).
    Default: c = 2 kPa, 8, 2, 4 as in Problem 3 of Land et al. 2015 (doi 10.1098/rspa.2015.0641).
    """

    c: float = 2.0
    bf: float = 8.0
    bt: float = 2.0
    bfs: float = 4.0
    kappa: float = 200.0

    def weights(self) -> np.ndarray:
        """(3, 3) factor of each squared strain in Q."""
        b = np.full((3, 3), self.bt)
        b[0, 0], b[0, 1:], b[1:, 0] = self.bf, self.bfs, self.bfs
        return b

    def stress(self, f: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Energy density (...), first Piola-Kirchhoff stress (..., 3, 3) and E; f (..., 3, 3), columns fibre axes."""
        b = self.weights()
        strain = 0.5 * (np.swapaxes(f, -1, -2) @ f - np.eye(3))
        power = np.exp((b * strain**2).sum((-1, -2)))
        j = np.linalg.det(f)
        second = self.c * power[..., None, None] * b * strain
        pressure = 0.5 * self.kappa * (j**2 - 1.0)
        inverse_t = np.swapaxes(np.linalg.inv(f), -1, -2)
        with np.errstate(invalid="ignore"):
            energy = 0.5 * self.c * (power - 1.0) + 0.25 * self.kappa * (j**2 - 1.0 - 2.0 * np.log(j))
        return energy, f @ second + pressure[..., None, None] * inverse_t, strain

    def tangent(self, f: np.ndarray) -> np.ndarray:
        """(..., 3, 3, 3, 3) derivative of the stress by f."""
        b, eye = self.weights(), np.eye(3)
        _, _, strain = self.stress(f)
        scale = self.c * np.exp((b * strain**2).sum((-1, -2)))[..., None, None]
        j2 = np.linalg.det(f)[..., None, None, None, None] ** 2
        inverse_t = np.swapaxes(np.linalg.inv(f), -1, -2)
        fs = f @ (b * strain)
        left = (f[..., None, :, :] * b[:, None, :]) @ np.swapaxes(f, -1, -2)[..., None, :, :]  # (a, i, k)
        found = np.einsum("ik,...ab->...iakb", eye, scale * b * strain)
        found += 0.5 * np.einsum("...aik,ab->...iakb", scale[..., None] * left, eye)
        found += 0.5 * np.einsum("ab,...ib,...ka->...iakb", b, scale * f, f)
        found += 2.0 * np.einsum("...ia,...kb->...iakb", scale * fs, fs)
        pair = np.einsum("...ia,...kb->...iakb", inverse_t, inverse_t)
        return found + self.kappa * (j2 * pair - 0.5 * (j2 - 1.0) * np.einsum("...iakb->...kaib", pair))


@dataclass
class Step:
    """One load step: pressures (kPa), Newton residuals (relative), cavity volumes (ml), work done so far and stored."""

    pressure: dict[str, float]
    residuals: list[float]
    volume: dict[str, float]
    work: float
    energy: float


@dataclass
class Inflation:
    """Result of :func:`inflate`.

    Attributes:
        steps: one per load step, the first without load.
        displacement: (N, 3) mm at the mesh's nodes.
        jacobian: (M,) mean J of each tet. fibre_stress: (M,) mean Cauchy stress along the fibre, kPa.
        reaction, load: (3,) mN, what holds the base, and the resultant of the pressures.
    """

    steps: list[Step] = field(default_factory=list)
    displacement: np.ndarray | None = None
    jacobian: np.ndarray | None = None
    fibre_stress: np.ndarray | None = None
    reaction: np.ndarray | None = None
    load: np.ndarray | None = None


class Inflater:
    """Quadratic displacements (P2), four integration points per tet, which with a penalty for J does not lock."""

    def __init__(self, heart: Heart, law: Guccione, element=None):
        self.heart, self.law = heart, law
        element = element or ElementTetP2()
        self.basis = Basis(heart.mesh, element, intorder=2)
        self.dofs, self.n = self.basis.element_dofs.T, self.basis.N
        gradients = np.stack([b[0].grad for b in self.basis.basis[: self.basis.Nbfun]])  # (a, i, m, q)
        # In the fibre axes of each tet, (q, m, a, 3).
        self.gradients = np.einsum("aimq,mij->qmaj", gradients, heart.axes)
        self.weights = self.basis.dx.T  # (q, m)
        self.faces = {
            name: FacetBasis(heart.mesh, element, facets=heart.mesh.boundaries[name], intorder=4)
            for name in ("ENDO_LV", "ENDO_RV")
            if name in heart.mesh.boundaries
        }
        held = np.zeros(self.n, bool)
        held[self.basis.get_dofs("BASE").all()] = True
        self.free = np.flatnonzero(np.repeat(~held, 3))
        self.origin = heart.mesh.p[:, np.unique(heart.mesh.facets[:, heart.mesh.boundaries["BASE"]])].mean(1)
        self.coarse = self._from_corners()

    def _from_corners(self) -> csr_matrix:
        """(3n, 3N) values at all nodes from those at the corners: the edges' middles take the mean."""
        corners = self.basis.nodal_dofs[0]
        rows, columns, values = [corners], [np.arange(len(corners))], [np.ones(len(corners))]
        for side in self.heart.mesh.edges if self.n > len(corners) else ():
            rows, columns = rows + [self.basis.edge_dofs[0]], columns + [side]
            values.append(np.full(len(side), 0.5))
        rows, columns, values = (np.concatenate(part) for part in (rows, columns, values))
        rows, columns = ((3 * part[:, None] + np.arange(3)).ravel() for part in (rows, columns))
        return csr_matrix((np.repeat(values, 3), (rows, columns)), shape=(3 * self.n, 3 * len(corners)))

    def deformation(self, u: np.ndarray) -> np.ndarray:
        """(q, m, 3, 3) deformation gradient, columns along the fibre axes; u (n, 3)."""
        return self.heart.axes + np.swapaxes(u[self.dofs], 1, 2) @ self.gradients

    def internal(self, u: np.ndarray) -> tuple[np.ndarray, float]:
        """(n, 3) forces of the stress, and the stored energy."""
        energy, stress, _ = self.law.stress(self.deformation(u))
        local = (self.gradients @ np.swapaxes(stress * self.weights[..., None, None], -1, -2)).sum(0)
        return self._gathered(self.dofs, local), float((energy * self.weights).sum())

    def stiffness(self, u: np.ndarray, pressure: dict[str, float]) -> csr_matrix:
        """(3n, 3n) tangent of stress and pressure."""
        size = self.dofs.shape[1]
        local = np.zeros((len(self.dofs), size, 3, size, 3))
        for f, gradient, weight in zip(self.deformation(u), self.gradients, self.weights, strict=True):
            tangent = self.law.tangent(f) * weight[:, None, None, None, None]
            half = gradient[:, None] @ np.swapaxes(tangent.reshape(-1, 3, 3, 9), 2, 1).swapaxes(1, 2)  # (m, i, a, kb)
            half = half.reshape(len(f), 3, size, 3, 3) @ np.swapaxes(gradient, 1, 2)[:, None, None]  # (m, i, a, k, b)
            local += half.transpose(0, 2, 1, 4, 3)
        total = self._matrix(self.dofs, local)
        for name, value in pressure.items():
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
        """Solution on the free unknowns: factorised if small, else conjugate gradients with the linear elements below.

        Raises:
            ArithmeticError: no convergence.
        """
        matrix = matrix[self.free][:, self.free]
        if len(self.free) <= DIRECT:
            return _factorised(matrix).solve(right)
        down = self.coarse[self.free]
        down = down[:, np.flatnonzero(np.diff(down.tocsc().indptr))]
        below = _factorised(down.T @ matrix @ down)
        jacobi = diags(1.0 / matrix.diagonal())
        operator = LinearOperator(
            matrix.shape, matvec=lambda residual: jacobi @ residual + down @ below.solve(down.T @ residual)
        )
        found, failed = cg(matrix, right, rtol=1e-6, maxiter=2000, M=operator)
        if failed:
            raise ArithmeticError("Conjugate gradients did not converge.")
        return found


def _factorised(matrix):
    """Factors of a symmetric matrix."""
    return splu(csc_matrix(matrix), permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options={"SymmetricMode": True})


def inflate(
    heart: Heart, pressures: dict[str, float], steps: int, law: Guccione | None = None, element=None, say=lambda _: None
) -> Inflation:
    """Raise the pressures (kPa, by patch) in even steps, each solved by Newton's method to a residual of 1e-8.

    Raises:
        ArithmeticError: a step does not converge.
    """
    problem = Inflater(heart, law or Guccione(), element)
    u, result = np.zeros((problem.n, 3)), Inflation()
    volume = {name: problem.cavity_ml(name, u) for name in problem.faces}
    result.steps.append(Step(dict.fromkeys(pressures, 0.0), [], volume, 0.0, 0.0))
    for n in range(1, steps + 1):
        now = {name: value * n / steps for name, value in pressures.items()}
        residuals = _newton(problem, u, now)
        volume = {name: problem.cavity_ml(name, u) for name in problem.faces}
        last = result.steps[-1]
        work = last.work + sum(
            0.5 * (now[name] + last.pressure[name]) * (volume[name] - last.volume[name]) * 1000.0 for name in now
        )
        result.steps.append(Step(now, residuals, volume, work, problem.internal(u)[1]))
        say(result.steps[-1])
    external = sum(value * problem.pressure_forces(name, u) for name, value in now.items())
    left = (problem.internal(u)[0] - external).ravel()
    left[problem.free] = 0.0
    result.load, result.reaction = external.sum(0), left.reshape(-1, 3).sum(0)
    f = problem.deformation(u)
    j = np.linalg.det(f)
    cauchy = problem.law.stress(f)[1] @ np.swapaxes(f, -1, -2) / j[..., None, None]
    # deformation() has the fibre axes as columns, so that its first column is the deformed fibre.
    along = f[..., 0] / np.linalg.norm(f[..., 0], axis=-1, keepdims=True)
    result.fibre_stress = np.einsum("qmi,qmij,qmj->qm", along, cauchy, along).mean(0)
    result.jacobian = j.mean(0)
    result.displacement = u[problem.basis.nodal_dofs[0]]
    return result


def _newton(problem: Inflater, u: np.ndarray, pressure: dict[str, float], tolerance=1e-8, most=15) -> list[float]:
    """Newton's method with halved steps where a tet would turn inside out; changes ``u``. Returns the residuals."""

    def residual(u):
        outer = sum(value * problem.pressure_forces(name, u) for name, value in pressure.items())
        return (outer - problem.internal(u)[0]).ravel()[problem.free], np.linalg.norm(outer)

    history = []
    for _ in range(most):
        right, scale = residual(u)
        history.append(float(np.linalg.norm(right) / scale))
        if history[-1] < tolerance:
            return history
        step = np.zeros(u.size)
        step[problem.free] = problem.solve_linear(problem.stiffness(u, pressure), right)
        step = step.reshape(-1, 3)
        while np.linalg.det(problem.deformation(u + step)).min() < 0.2:
            step *= 0.5
        u += step
    raise ArithmeticError(f"Newton's method did not converge: residuals {history}.")
