"""The shape without load, of which the imaged one is the inflated: a fixed point on the nodes' coordinates."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from skfem import MeshTet

from CardiacLib.errors import InputError
from CardiacLib.progress import Progress, silent

from .loading import advance
from .materials import Guccione
from .solid import Load, Solid, SolidHeart

LEAST_VOLUME = 0.1
"""A correction that would shrink a tet below this share of its imaged volume is halved."""


@dataclass(frozen=True)
class UnloadOptions:
    """How the unloaded shape is found.

    Attributes:
        law: of the muscle.
        tolerance_mm: greatest distance of a node of the inflated shape from the imaged one.
        most: corrections at full pressure.
        steps: pressures on the way to the full one, with one correction each.
        solid: the elements, see :func:`~.loading.deform`.
    """

    law: Guccione = field(default_factory=Guccione)
    tolerance_mm: float = 0.05
    most: int = 40
    steps: int = 4
    solid: Callable[[SolidHeart, Guccione], Solid] = Solid


@dataclass(frozen=True)
class Unloaded:
    """The unloaded heart.

    Attributes:
        heart: without load, in the imaged one's place (the base is held), fibres carried along.
        inflation: (N, 3) mm from its nodes to where the pressures move them.
        errors_mm: greatest node distance of the inflated from the imaged shape, by correction at full pressure.
        unloaded_ml, inflated_ml: cavities by patch.
    """

    heart: SolidHeart
    inflation: np.ndarray
    errors_mm: list[float]
    unloaded_ml: dict[str, float]
    inflated_ml: dict[str, float]


def unload(
    imaged: SolidHeart,
    pressures: dict[str, float],
    options: UnloadOptions | None = None,
    *,
    progress: Progress = silent,
) -> Unloaded:
    """Find the shape that the pressures inflate to the imaged one.

    Fixed-point iteration (Sellier 2011, doi 10.1016/j.jfluidstructs.2011.08.002): the nodes of the unloaded shape are
    moved back by what the inflated shape is away from the imaged one. The length of the correction is Aitken's.

    Args:
        imaged: under the pressures.
        pressures: kPa, by patch.

    Raises:
        InputError: no such shape was found.
    """
    options = options or UnloadOptions()
    image, full = imaged.mesh.p.T.copy(), Load(dict(pressures))
    search = _Search(imaged, options)
    nodes, errors, before, share = image.copy(), [], None, 1.0
    for n in range(options.steps + options.most):
        load = Load().towards(full, min(1.0, (n + 1) / options.steps))
        try:
            found = search.inflated(nodes, load)
        except ArithmeticError as error:
            raise InputError(
                f"No unloaded shape was found: the muscle's equations have no solution under {_said(load)}; "
                f"choose a lower pressure or a stiffer muscle ({error})"
            ) from error
        away = nodes + found - image
        greatest = float(np.linalg.norm(away, axis=1).max())
        progress(n / (options.steps + options.most), f"{_said(load)}: {greatest:.3f} mm from the imaged shape")
        if n + 1 >= options.steps:
            errors.append(greatest)
            if greatest <= options.tolerance_mm:
                break
        share = _aitken(share, before, away) if len(errors) > 1 else 1.0
        before = away if errors else None
        nodes = search.corrected(nodes, share * away)
    else:
        raise InputError(
            f"No unloaded shape was found: after {options.most} corrections the inflated shape is still "
            f"{errors[-1]:.2f} mm from the imaged one; choose a lower pressure or a stiffer muscle."
        )
    progress(1.0, f"{errors[-1]:.3f} mm from the imaged shape")
    return Unloaded(search.heart(nodes), found, errors, search.cavities(nodes), search.last.cavities_ml(search.u))


def _aitken(share: float, before: np.ndarray, away: np.ndarray) -> float:
    """Length of the next correction from the last two distances."""
    change = away - before
    return float(np.clip(-share * (before * change).sum() / (change**2).sum(), 0.2, 1.5))


def _said(load: Load) -> str:
    return " and ".join(f"{value:.2f} kPa in {name}" for name, value in load.pressure.items())


class _Search:
    """Shapes with the imaged heart's tets."""

    def __init__(self, imaged: SolidHeart, options: UnloadOptions):
        self.imaged, self.options = imaged, options
        self.u: np.ndarray | None = None
        self.last: Solid | None = None
        self.volumes = _volumes(imaged.mesh.p.T, imaged.mesh.t.T)

    def heart(self, nodes: np.ndarray) -> SolidHeart:
        """With other nodes (N, 3), the fibres carried along from the imaged one."""
        mesh = self.imaged.mesh
        moved = MeshTet(np.ascontiguousarray(nodes.T), mesh.t, sort_t=False, _boundaries=mesh.boundaries)
        return SolidHeart(moved, carried_axes(self.imaged.axes, mesh.p.T, nodes, mesh.t.T))

    def inflated(self, nodes: np.ndarray, load: Load) -> np.ndarray:
        """(N, 3) displacement of the nodes under the load, from that of the last shape if it can be."""
        problem = self.options.solid(self.heart(nodes), self.options.law)
        if self.u is None:
            self.u = np.zeros((problem.n, 3))
        start = self.u.copy()
        try:
            advance(problem, start, load, load, halvings=0)
        except ArithmeticError:
            start[:] = 0.0
            advance(problem, start, Load(), load)
        self.u, self.last = start, problem
        return problem.at_nodes(start)

    def corrected(self, nodes: np.ndarray, away: np.ndarray) -> np.ndarray:
        """Nodes moved back, less far where a tet would be lost."""
        for _ in range(10):
            moved = nodes - away
            if (_volumes(moved, self.imaged.mesh.t.T) / self.volumes > LEAST_VOLUME).all():
                return moved
            away = 0.5 * away
        raise InputError(
            "No unloaded shape was found: tetrahedra would turn inside out; choose a lower pressure or a stiffer "
            "muscle."
        )

    def cavities(self, nodes: np.ndarray) -> dict[str, float]:
        return self.last.cavities_ml(np.zeros_like(self.u))


def carried_axes(axes: np.ndarray, before: np.ndarray, after: np.ndarray, tets: np.ndarray) -> np.ndarray:
    """(M, 3, 3) fibre, sheet, normal of the moved tets.

    The fibre turns and stretches with its tet, the sheet stays in the plane of both; again orthonormal.
    """
    gradient = _edges(after, tets) @ np.linalg.inv(_edges(before, tets))
    fibre, sheet = np.moveaxis(gradient @ axes[:, :, :2], 2, 0)
    fibre = fibre / np.linalg.norm(fibre, axis=1, keepdims=True)
    sheet = sheet - (sheet * fibre).sum(1, keepdims=True) * fibre
    sheet /= np.linalg.norm(sheet, axis=1, keepdims=True)
    return np.stack([fibre, sheet, np.cross(fibre, sheet)], axis=2)


def _edges(nodes: np.ndarray, tets: np.ndarray) -> np.ndarray:
    """(M, 3, 3) columns: edges from the first corner."""
    return np.swapaxes(nodes[tets[:, 1:]] - nodes[tets[:, :1]], 1, 2)


def _volumes(nodes: np.ndarray, tets: np.ndarray) -> np.ndarray:
    """(M,) six times the volume, negative where scikit-fem has sorted the corners so."""
    return np.linalg.det(_edges(nodes, tets))
