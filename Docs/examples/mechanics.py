"""Two linear solves with scikit-fem on the files of ``cineheart mesh --format msh``: Laplace and elasticity.

Lengths in mm, stresses and pressures in kPa, so forces in mN. Filling, contraction and the unloaded shape are in the
library: ``cineheart.fem.mechanics``.
"""

from dataclasses import dataclass
from pathlib import Path

import meshio
import numpy as np
from skfem import (
    Basis,
    BilinearForm,
    ElementTetP0,
    ElementTetP1,
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

from BiVMeshLib.check.fidelity import distance_to_triangles
from cineheart.fem.mechanics.solid import SolidHeart

KPA_PER_MMHG = 0.133322


def read_heart(folder: str | Path) -> SolidHeart:
    """Read ``mesh.msh`` and ``fields.msh``."""
    folder = Path(folder)
    fields = meshio.read(folder / "fields.msh")
    axes = np.stack([fields.cell_data[name][0] for name in ("fibre", "sheet", "normal")], axis=2)
    return SolidHeart(MeshTet.load(folder / "mesh.msh"), axes)


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


def lv_wall_mm(heart: SolidHeart, displacement: np.ndarray | None = None) -> float:
    """Median distance in mm from the nodes of ENDO_LV to the muscle's other walls, of the deformed heart."""
    nodes = heart.mesh.p.T + (0.0 if displacement is None else displacement)
    corners = {name: heart.mesh.facets[:, facets].T for name, facets in heart.mesh.boundaries.items()}
    inner = np.setdiff1d(corners["ENDO_LV"], corners["BASE"])
    outer = np.concatenate([corners[name] for name in ("EPI", "ENDO_RV") if name in corners])
    return float(np.median(distance_to_triangles(nodes[inner], nodes, outer)))
