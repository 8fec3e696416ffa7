"""What fibres and coordinates share: the apex, the long axis, and potentials across the wall and along it."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import scipy

from CardiacLib.types.bivmesh import REGIONS, BiVMesh

from .laplace import DirichletProblem, LinearElements, even_conductivity


@dataclass(frozen=True)
class LongAxis:
    """The LV's long axis, LPS mm.

    Attributes:
        base: (3,) middle of the LV cavity's rim in the base plane.
        apex: (3,) epicardial apex: the EPI node of the LV that is farthest below the base plane.
        up: (3,) unit vector from apex to base.
        apex_nodes: nodes along the line through the wall from the epicardial apex to the nearest ENDO_LV node.
        cavity_end: (3,) that ENDO_LV node.
    """

    base: np.ndarray
    apex: np.ndarray
    up: np.ndarray
    apex_nodes: np.ndarray
    cavity_end: np.ndarray


@dataclass(frozen=True)
class Potentials:
    """Potentials at the nodes, each the share of the way between its patches.

    Attributes:
        elements: the linear elements they were solved with.
        lv, rv, epi: (N,) 1 on ENDO_LV, ENDO_RV, EPI and 0 on the other two; their sum is 1.
        apicobasal: (N,) 0 on the apex nodes, 1 on BASE.
        axis: the long axis.
    """

    elements: LinearElements
    lv: np.ndarray
    rv: np.ndarray
    epi: np.ndarray
    apicobasal: np.ndarray
    axis: LongAxis

    def rv_share(self) -> np.ndarray:
        """(M,) 0 beside the LV cavity to 1 beside the RV cavity: rv / (lv + rv) at the centre of each tet."""
        lv, rv = (u[self.elements.tets].mean(1) for u in (self.lv, self.rv))
        return np.divide(rv, lv + rv, out=np.zeros_like(rv), where=lv + rv > 0)


def on_patch(mesh: BiVMesh, name: str) -> np.ndarray:
    """bool (N,) nodes of one patch."""
    on = np.zeros(len(mesh.nodes), bool)
    on[mesh.patch(name)] = True
    return on


def nodes_of(mesh: BiVMesh, cells: np.ndarray) -> np.ndarray:
    """bool (N,) nodes of some of the tets, given as bool (M,)."""
    of = np.zeros(len(mesh.nodes), bool)
    of[mesh.tets[cells]] = True
    return of


def long_axis(mesh: BiVMesh) -> LongAxis:
    """Long axis of a mesh; needs its nodes, regions and patches only, in whatever position it lies."""
    corners = mesh.nodes[mesh.patch("BASE")]
    normal = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]).sum(0)
    endo, epi = on_patch(mesh, "ENDO_LV"), on_patch(mesh, "EPI")
    epi &= nodes_of(mesh, mesh.regions != REGIONS["RV_WALL"])
    base = mesh.nodes[endo & on_patch(mesh, "BASE")].mean(0)
    apex = mesh.nodes[epi][np.argmin(mesh.nodes[epi] @ normal)]
    endo_nodes = mesh.nodes[endo]
    end = endo_nodes[np.argmin(((endo_nodes - apex) ** 2).sum(1))]
    # One node per half edge on the way: a line of nodes holds no tet by all its four corners.
    edge = np.linalg.norm(mesh.nodes[mesh.tets[:, 1]] - mesh.nodes[mesh.tets[:, 0]], axis=1).mean()
    steps = np.linspace(0.0, 1.0, 2 + int(2 * np.linalg.norm(end - apex) / edge))[:, None]
    line = np.unique(scipy.spatial.cKDTree(mesh.nodes).query(apex + steps * (end - apex))[1])
    return LongAxis(
        base=base, apex=apex, up=(base - apex) / np.linalg.norm(base - apex), apex_nodes=line, cavity_end=end
    )


def solve_potentials(mesh: BiVMesh) -> Potentials:
    """Solve the potentials of Bayer et al. 2012, then once more with even slopes (see ``even_conductivity``).

    Raises:
        ArithmeticError: a solve did not converge.
    """
    elements, axis = LinearElements.on(mesh.nodes, mesh.tets), long_axis(mesh)
    patches = {name: on_patch(mesh, name) for name in ("ENDO_LV", "ENDO_RV", "EPI", "BASE")}
    stiffness = elements.stiffness()
    walls = [patches[name].astype(float) for name in ("ENDO_LV", "ENDO_RV") if patches[name].any()]
    on_walls = patches["ENDO_LV"] | patches["ENDO_RV"] | patches["EPI"]
    held = patches["BASE"].copy()
    held[axis.apex_nodes] = True
    height = np.clip((mesh.nodes - axis.apex) @ axis.up / np.linalg.norm(axis.base - axis.apex), 0.0, 1.0)
    along = np.where(held, patches["BASE"], height)
    with ThreadPoolExecutor(2) as two:
        across = two.submit(_evenly, elements, stiffness, on_walls, walls)
        (along,) = _evenly(elements, stiffness, held, [along], places=mesh.nodes)
        solved = across.result()
    lv, rv = solved if len(solved) == 2 else (*solved, np.zeros(len(mesh.nodes)))
    return Potentials(
        elements=elements, lv=lv, rv=rv, epi=np.clip(1.0 - lv - rv, 0.0, 1.0), apicobasal=along, axis=axis
    )


def _evenly(elements, stiffness, held, values, places=None) -> list[np.ndarray]:
    """Harmonic solutions for ``values``, then those with even slopes.

    Along the wall, where ``places`` (N, 3) of the nodes are given; else across it, where 1 minus their sum is one more.
    """
    for _ in range(2):
        problem = DirichletProblem(stiffness, held, places)
        values = [problem.solve(v) for v in values]
        every = [*values, 1.0 - sum(values)] if places is None else values
        stiffness = elements.stiffness(even_conductivity([elements.gradient(v) for v in every]))
    return [np.clip(v, 0.0, 1.0) for v in values]
