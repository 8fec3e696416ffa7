"""The shape without load, of which the imaged one is the inflated: inverse elastostatics, then a fixed point."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
from skfem import MeshTet

from CardiacLib.errors import InputError
from CardiacLib.progress import Progress, part, silent

from .carried import carried_axes, edge_columns
from .inverse import LEAST_VOLUME, ImagedSolid, Slackened, slacken
from .loading import newton, stiffened
from .materials import Guccione
from .solid import Load, Solid, SolidHeart

PATIENCE = 4
"""Corrections without a smaller distance after which the search is given up."""
SLOW = 0.5
"""Share of the residual before that an iteration may leave, else the guess is a poor one."""
FIRST = 0.8
"""Of the progress, what the inverse equations take."""


@dataclass(frozen=True)
class UnloadOptions:
    """How the unloaded shape is found.

    Attributes:
        law: of the muscle.
        tolerance_mm: greatest distance of a node of the inflated shape from the imaged one.
        most: corrections.
        solid: the elements, see :func:`~.loading.deform`.
    """

    law: Guccione = field(default_factory=Guccione)
    tolerance_mm: float = 0.05
    most: int = 40
    solid: Callable[[SolidHeart, Guccione], Solid] = Solid


@dataclass(frozen=True)
class Unloaded:
    """The unloaded heart.

    Attributes:
        heart: without load, in the imaged one's place (the base is held), fibres carried along.
        inflation: (N, 3) mm from its nodes to where the pressures move them.
        errors_mm: greatest node distance of the inflated from the imaged shape, before each correction.
        unloaded_ml, inflated_ml: cavities by patch.
        way: how the first shape was found.
    """

    heart: SolidHeart
    inflation: np.ndarray
    errors_mm: list[float]
    unloaded_ml: dict[str, float]
    inflated_ml: dict[str, float]
    way: Slackened


def unload(
    imaged: SolidHeart,
    pressures: dict[str, float],
    options: UnloadOptions | None = None,
    *,
    progress: Progress = silent,
) -> Unloaded:
    """Find the shape that the pressures inflate to the imaged one.

    The unloaded shape is first found with linear elements from the equilibrium of the imaged one (``inverse``), where a
    guess need not be inflated. Then it is inflated with the elements that are asked for, and its nodes are moved back
    by what they come to lie away from the imaged ones, again and again (Sellier 2011, doi
    10.1016/j.jfluidstructs.2011.08.002). That way is turned and stretched back by the inflation, and its length is
    Aitken's.

    Args:
        imaged: under the pressures; its springs bear what they do in the imaged place.
        pressures: kPa, by patch.

    Raises:
        InputError: no such shape was found.
    """
    options = options or UnloadOptions()
    full = Load(dict(pressures))
    try:
        way = slacken(ImagedSolid(imaged, options.law), full, progress=part(progress, 0.0, FIRST))
        search = _Search(imaged, way.places, options)
        errors = search.settle(full, part(progress, FIRST, 1.0))
    except ArithmeticError as error:
        raise InputError(
            f"No unloaded shape was found for {_said(full)}; choose a lower pressure, a stiffer muscle or stiffer "
            f"springs on the epicardium ({error})"
        ) from error
    progress(1.0, f"{errors[-1]:.3f} mm from the imaged shape")
    return search.result(errors, way)


def _aitken(share: float, before: np.ndarray, away: np.ndarray) -> float:
    """Length of the next correction from the last two distances."""
    change = away - before
    return float(np.clip(-share * (before * change).sum() / (change**2).sum(), 0.2, 1.5))


def _said(load: Load) -> str:
    return " and ".join(f"{value:.2f} kPa in {name}" for name, value in load.pressure.items())


class _Search:
    """Shapes with the imaged heart's tets, from first places (N, 3) on."""

    def __init__(self, imaged: SolidHeart, nodes: np.ndarray, options: UnloadOptions):
        self.imaged, self.options, self.nodes = imaged, options, nodes
        self.image, self.tets = imaged.mesh.p.T.copy(), imaged.mesh.t.T
        self.volumes = _volumes(self.image, self.tets)
        self.last = options.solid(self.heart(), options.law)
        self.u = (self.last.coarse @ (self.image - nodes).ravel()).reshape(-1, 3)

    def settle(self, load: Load, progress: Progress) -> list[float]:
        """Correct the nodes; the greatest distance from the imaged shape, mm, after each inflation.

        Raises:
            ArithmeticError: an inflation does not converge, or the distances do not fall to the tolerance.
        """
        errors: list[float] = []
        before, length = None, 1.0
        for n in range(self.options.most + 1):
            away = self.inflated(load) - self.image
            errors.append(float(np.linalg.norm(away, axis=1).max()))
            progress(n / (self.options.most + 1), f"Inflated again {errors[-1]:.3f} mm from the imaged shape")
            if errors[-1] <= self.options.tolerance_mm:
                return errors
            if len(errors) > PATIENCE and min(errors[-PATIENCE:]) > min(errors[:-PATIENCE]):
                break
            back = self.turned_back(away)
            length = 1.0 if before is None else _aitken(length, before, back)
            before = back
            self.correct(length * back, length * away)
        raise ArithmeticError(f"The inflated shape stays {min(errors):.2f} mm from the imaged one.")

    def heart(self) -> SolidHeart:
        """The shape, the fibres carried along from the imaged one."""
        mesh = self.imaged.mesh
        moved = MeshTet(np.ascontiguousarray(self.nodes.T), mesh.t, sort_t=False, _boundaries=mesh.boundaries)
        axes = carried_axes(self.imaged.axes, self.image, self.nodes, self.tets)
        return replace(self.imaged, mesh=moved, axes=axes)

    def inflated(self, load: Load) -> np.ndarray:
        """(N, 3) places of the nodes under the load, from the displacement that is expected.

        Raises:
            ArithmeticError: no convergence.
        """
        problem, start = self.options.solid(self.heart(), self.options.law), self.u.copy()
        problem.factors, self.last.factors = self.last.factors, None
        try:
            with np.errstate(over="ignore", invalid="ignore"):
                newton(problem, start, load, slow=SLOW)
        except ArithmeticError:
            start = self.u.copy()
            stiffened(problem, start, load)
        self.u, self.last = start, problem
        return self.nodes + problem.at_nodes(start)

    def turned_back(self, away: np.ndarray) -> np.ndarray:
        """(N, 3) ``away`` by the mean inverse deformation gradient of the tets round each node."""
        deformed = edge_columns(self.nodes + self.last.at_nodes(self.u), self.tets)
        inverse = edge_columns(self.nodes, self.tets) @ np.linalg.inv(deformed)
        weights = np.repeat(np.abs(self.volumes), 4)
        corners, values = self.tets.ravel(), np.repeat(inverse.reshape(-1, 9), 4, axis=0)
        total = [np.bincount(corners, weights * values[:, k], len(away)) for k in range(9)]
        mean = np.stack(total, axis=1) / np.bincount(corners, weights, len(away))[:, None]
        return (mean.reshape(-1, 3, 3) @ away[..., None])[..., 0]

    def correct(self, back: np.ndarray, away: np.ndarray) -> None:
        """Move nodes back by ``back``, and what they are inflated to by ``away``; less far where a tet would be lost.

        Raises:
            ArithmeticError: one would be lost by the shortest way.
        """
        for share in 0.5 ** np.arange(10):
            moved = self.nodes - share * back
            if (_volumes(moved, self.tets) / self.volumes > LEAST_VOLUME).all():
                self.nodes = moved
                self.u += share * (self.last.coarse @ (back - away).ravel()).reshape(-1, 3)
                return
        raise ArithmeticError("Tetrahedra would turn inside out.")

    def result(self, errors: list[float], way: Slackened) -> Unloaded:
        unloaded = self.last.cavities_ml(np.zeros_like(self.u))
        return Unloaded(
            heart=self.heart(),
            inflation=self.last.at_nodes(self.u),
            errors_mm=errors,
            unloaded_ml=unloaded,
            inflated_ml=self.last.cavities_ml(self.u),
            way=way,
        )


def _volumes(nodes: np.ndarray, tets: np.ndarray) -> np.ndarray:
    """(M,) six times the volume, negative where scikit-fem has sorted the corners so."""
    return np.linalg.det(edge_columns(nodes, tets))
