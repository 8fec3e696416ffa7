"""Load steps solved by Newton's method: passive filling, active contraction."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from .materials import Guccione
from .solid import Load, Solid, SolidHeart

TOLERANCE = 1e-8
"""Of the residual, relative to the pressures' forces."""
MOST_ITERATIONS = 15
HALVINGS = 4
"""How often a load step that does not converge is halved."""
LEAST_JACOBIAN = 0.2
"""An iteration that would press a point of a tet to less than this share of its volume is shortened."""

SOFTEST, STIFFER, LOOSE = 0.025, 2.0, 1e-2
"""Share of the penalty on J that a poor guess is given first, times that it rises, and residuals on the way."""
MOST_GROWTH = 5.0
"""An iteration after which the residual would be more times larger is shortened."""


@dataclass
class Step:
    """One load step: pressures and tension (kPa), Newton residuals (relative), cavity volumes (ml), work and energy.

    ``work`` is that of the pressures so far (trapezoids), ``energy`` the stored one with the active part, mN mm.
    """

    pressure: dict[str, float]
    tension: float
    residuals: list[float]
    volume: dict[str, float]
    work: float
    energy: float


@dataclass
class Deformed:
    """A heart under load.

    Attributes:
        steps: one per load step, the first without load.
        displacement: (N, 3) mm at the mesh's nodes.
        jacobian: (M,) mean J of each tet. fibre_stress: (M,) mean Cauchy stress along the fibre, kPa.
        fibre_stretch: (M,) mean.
        reaction, load: (3,) mN, what holds the base, and the resultant of the pressures.
    """

    steps: list[Step] = field(default_factory=list)
    displacement: np.ndarray | None = None
    jacobian: np.ndarray | None = None
    fibre_stress: np.ndarray | None = None
    fibre_stretch: np.ndarray | None = None
    reaction: np.ndarray | None = None
    load: np.ndarray | None = None


def filling(pressures: dict[str, float], steps: int) -> list[Load]:
    """Pressures (kPa, by patch) raised in even steps."""
    return [Load().towards(Load(dict(pressures)), n / steps) for n in range(1, steps + 1)]


def contraction(filled: Load, end_systole: Load, steps: int) -> list[Load]:
    """From the filled heart to end-systole, pressures and tension together in even steps."""
    return [filled.towards(end_systole, n / steps) for n in range(1, steps + 1)]


def deform(
    heart: SolidHeart,
    loads: Sequence[Load],
    law: Guccione | None = None,
    solid: Callable[[SolidHeart, Guccione], Solid] = Solid,
    *,
    say: Callable[[Step], None] = lambda _: None,
) -> Deformed:
    """Put a heart under one load after the other, each solved by Newton's method to a residual of 1e-8.

    Args:
        heart: without load.
        loads: the steps.
        law: of the muscle. solid: the elements, :class:`Solid` or :class:`~.nodal.NodalSolid`.
        say: called after each step.

    Raises:
        ArithmeticError: a step does not converge, not even in sixteenths.
    """
    problem = solid(heart, law or Guccione())
    u, result, last = np.zeros((problem.n, 3)), Deformed(), Load()
    result.steps.append(Step(dict.fromkeys(loads[0].pressure, 0.0), 0.0, [], problem.cavities_ml(u), 0.0, 0.0))
    for load in loads:
        residuals = advance(problem, u, last, load)
        volume, before = problem.cavities_ml(u), result.steps[-1]
        work = before.work + sum(
            0.5 * (value + before.pressure.get(name, 0.0)) * (volume[name] - before.volume[name]) * 1000.0
            for name, value in load.pressure.items()
        )
        energy = problem.internal(u, load.tension)[1]
        result.steps.append(Step(load.pressure, load.tension, residuals, volume, work, energy))
        say(result.steps[-1])
        last = load
    _finish(result, problem, u, last)
    return result


def _finish(result: Deformed, problem: Solid, u: np.ndarray, load: Load) -> None:
    external = problem.external(u, load)
    left = (problem.internal(u, load.tension)[0] - external).ravel()
    left[problem.free] = 0.0
    result.load, result.reaction = external.sum(0), left.reshape(-1, 3).sum(0)
    f = problem.deformation(u)
    j = np.linalg.det(f)
    cauchy = problem.law.stress(f, load.tension)[1] @ np.swapaxes(f, -1, -2) / j[..., None, None]
    # deformation() has the fibre axes as columns, so that its first column is the deformed fibre.
    stretch = np.linalg.norm(f[..., 0], axis=-1)
    along = f[..., 0] / stretch[..., None]
    result.fibre_stress = np.einsum("qmi,qmij,qmj->qm", along, cauchy, along).mean(0)
    result.fibre_stretch, result.jacobian = stretch.mean(0), j.mean(0)
    result.displacement = problem.at_nodes(u)


def advance(problem: Solid, u: np.ndarray, last: Load, load: Load, halvings: int = HALVINGS) -> list[float]:
    """From equilibrium under one load to that under another; changes ``u`` (n, 3).

    A step that does not converge is made in two halves. Returns the residuals of the last one.

    Raises:
        ArithmeticError: no convergence.
    """
    start = u.copy()
    try:
        # What grows beyond all bounds ends the iterations.
        with np.errstate(over="ignore", invalid="ignore"):
            return newton(problem, u, load)
    except ArithmeticError:
        if halvings == 0:
            raise
    u[:] = start
    middle = last.towards(load, 0.5)
    advance(problem, u, last, middle, halvings - 1)
    return advance(problem, u, middle, load, halvings - 1)


def stiffened(problem: Solid, u: np.ndarray, load: Load) -> list[float]:
    """Equilibrium under a load from a poor guess ``u`` (n, 3), which is changed; returns the last residuals.

    What a guess leaves of volume errors would be stresses far beyond the true ones. So the penalty on J is small
    first, and raised in steps.

    Raises:
        ArithmeticError: no convergence.
    """
    share = SOFTEST
    try:
        while True:
            problem.penalise(share)
            with np.errstate(over="ignore", invalid="ignore"):
                residuals = newton(problem, u, load, TOLERANCE if share == 1.0 else LOOSE)
            if share == 1.0:
                return residuals
            share = min(1.0, STIFFER * share)
    finally:
        problem.penalise(1.0)


def newton(
    problem: Solid, u: np.ndarray, load: Load, tolerance: float = TOLERANCE, slow: float = np.inf
) -> list[float]:
    """Newton's method with halved steps where a tet would turn inside out; changes ``u``. Returns the residuals.

    Args:
        slow: share of the residual before which an iteration that leaves more ends the attempt.

    Raises:
        ArithmeticError: no convergence.
    """
    history: list[float] = []
    for _ in range(MOST_ITERATIONS):
        outer, inner = problem.external(u, load), problem.internal(u, load.tension)[0]
        right = (outer - inner).ravel()[problem.free]
        scale = np.linalg.norm(outer) or np.linalg.norm(inner) or 1.0
        history.append(float(np.linalg.norm(right) / scale))
        if history[-1] < tolerance:
            return history
        if not history[-1] < 1e6 or (len(history) > 1 and history[-1] > slow * history[-2]):
            break
        step = np.zeros(u.size)
        step[problem.free] = problem.solve_linear(problem.stiffness(u, load), right)
        step = step.reshape(-1, 3)
        for _ in range(20):
            if np.linalg.det(problem.deformation(u + step)).min() >= LEAST_JACOBIAN:
                ahead = problem.external(u + step, load) - problem.internal(u + step, load.tension)[0]
                if np.linalg.norm(ahead.ravel()[problem.free]) <= MOST_GROWTH * np.linalg.norm(right):
                    break
            step *= 0.5
        else:
            break
        u += step
    raise ArithmeticError(f"Newton's method did not converge: residuals {history}.")
