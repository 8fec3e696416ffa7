"""The shape without load as the unknown: equilibrium is known to hold in the imaged place, under the pressures.

Inverse elastostatics (Govindjee and Mihalic 1996, Comput Methods Appl Mech Eng 136, 47-57). The forces of the pressures
are those on the imaged surface and do not change, and the muscle that is looked at bears its load: walls so thin that
they would fold when a guess of the unloaded shape is inflated are stretched here.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.sparse import csr_matrix, diags
from scipy.sparse.linalg import LinearOperator, gmres

from CardiacLib.progress import Progress, silent

from .carried import carried_by
from .loading import MOST_GROWTH, TOLERANCE
from .materials import Guccione
from .nodal import NEAR_SHARE, NodalSolid
from .solid import Load, SolidHeart, factorised

LEAST_VOLUME = 0.1
"""An iteration that would leave a tet less than this share of its imaged volume is shortened."""
MOST_ITERATIONS, SHORTENED = 20, 12
"""Of Newton's method, and how often one of them is halved."""
WORSE = 30.0
"""Times the first residual beyond which Newton's method is given up."""
HALVINGS = 5
"""How often the rise of the pressure is halved before the search is given up."""
FIRST_RISE = 0.25
"""Share of the load that is tried first."""
EASY, FASTER = 7, 2.0
"""Iterations up to which a load was easy, and how many times larger the next rise then is."""
BIT = 1.2
"""Times the rise that may be taken to reach the full load."""
STEP = 1e-7
"""Of the differences that give the derivative of the stress."""
RESTART = 80
"""Iterations of a linear solve after which it starts anew from what it has."""
KEEP, MOST = 2, 5
"""Such starts with kept factors, and with new ones."""


class ImagedSolid:
    """Equilibrium of the imaged heart as a function of its nodes' places without load.

    Elements as of :class:`NodalSolid`. All places (N, 3) mm.

    Attributes:
        image: places under the load.
        tried: iterations of Newton's method so far at one load.
    """

    def __init__(self, imaged: SolidHeart, law: Guccione):
        self.solid = NodalSolid(imaged, law)
        self.axes, self.dofs, self.free = imaged.axes, self.solid.dofs, self.solid.free
        self.volumes = self.solid.weights[0]
        self.slopes = self.solid.gradients[0] @ np.swapaxes(imaged.axes, 1, 2)
        """(M, 4, 3) gradients of the shape functions in the imaged place."""
        self.pull = self.volumes[:, None, None] * self.slopes
        self.gathers = self.solid.shared(self.pull)
        self.image, self.springs = imaged.mesh.p.T.copy(), imaged.springs
        self.factors: Any = None
        self.tried = 0

    def outer(self, load: Load) -> np.ndarray:
        """(N, 3) forces of the pressures."""
        return self.solid.external(np.zeros((self.solid.n, 3)), load)

    def back(self, places: np.ndarray) -> np.ndarray:
        """(M, 3, 3) derivative of the places without load by the imaged ones."""
        return np.swapaxes(places[self.dofs], 1, 2) @ self.slopes

    def inner(self, places: np.ndarray) -> np.ndarray:
        """(N, 3) forces of the stress."""
        f = self.back(places)
        pressure = self.solid.pressures(self._ratios(f))
        stress = self._stress(f) + pressure[:, None, None] * np.eye(3)
        forces = self.solid._gathered(self.dofs, self.pull @ np.swapaxes(stress, 1, 2))
        if self.springs is not None:
            forces += np.einsum("nij,nj->ni", self.springs, self.image - places)
        return forces

    def slackening(self, places: np.ndarray) -> tuple[csr_matrix, csr_matrix]:
        """(3N, 3N) derivative of the forces, negative; and one near to it that is much sparser."""
        f = self.back(places)
        base, tangent = self._stress(f), np.empty((len(f), 3, 3, 3, 3))
        for k, m in np.ndindex(3, 3):
            moved = f.copy()
            moved[:, k, m] += STEP
            tangent[..., k, m] = (base - self._stress(moved)) / STEP
        half = self.pull[:, None] @ tangent.reshape(-1, 3, 3, 9)  # (m, i, a, kl)
        local = half.reshape(len(f), 3, 4, 3, 3) @ np.swapaxes(self.slopes, 1, 2)[:, None, None]  # (m, i, a, k, b)
        total = self.solid._matrix(self.dofs, local.transpose(0, 2, 1, 4, 3))
        if self.springs is not None:
            total = total + self.solid._matrix(np.arange(self.solid.n)[:, None], self.springs[:, None, :, None, :])
        # (M, 4, 3) derivative of each tet's volume without load.
        grows = self.pull @ np.linalg.inv(f) * np.linalg.det(f)[:, None, None]
        volume, kappa = np.linalg.det(f) * self.volumes, self.solid.kappa
        pairs = np.einsum("mai,mbk->maibk", self.pull, grows / volume[:, None, None])
        near = total + NEAR_SHARE * kappa * self.solid._matrix(self.dofs, pairs)
        ratio = self._ratios(f)
        stiff = 0.5 * kappa * (1.0 + ratio**-2) * ratio**2 / (16.0 * self.solid.around)
        return (total + self.gathers.T @ diags(stiff) @ self.solid.shared(grows)).tocsr(), near

    def solve(self, places: np.ndarray, right: np.ndarray) -> np.ndarray:
        """Change of the free places that takes away the forces ``right``.

        Raises:
            ArithmeticError: no convergence, or a singular matrix.
        """
        matrix, near = (part[self.free][:, self.free] for part in self.slackening(places))
        if len(self.free) <= NodalSolid.few:
            return factorised(matrix).solve(right)
        if self.factors is not None:
            found, failed = self._iterate(matrix, right, KEEP)
            if not failed:
                return found
        self.factors = factorised(near)
        found, failed = self._iterate(matrix, right, MOST)
        if failed:
            raise ArithmeticError("The iterations of a linear solve did not converge.")
        return found

    def _iterate(self, matrix: csr_matrix, right: np.ndarray, most: int) -> tuple[np.ndarray, int]:
        near = LinearOperator(matrix.shape, matvec=self.factors.solve)
        return gmres(matrix, right, rtol=1e-4, restart=RESTART, maxiter=most, M=near)

    def _stress(self, f: np.ndarray) -> np.ndarray:
        """(M, 3, 3) Cauchy stress, kPa, without the part of the nodes' pressures."""
        deformed = np.linalg.inv(f) @ carried_by(f, self.axes)
        first = self.solid.law.stress(deformed)[1]
        return np.linalg.det(f)[:, None, None] * (first @ np.swapaxes(deformed, 1, 2))

    def _ratios(self, f: np.ndarray) -> np.ndarray:
        """(N,) imaged over unloaded volume of the tets round each node."""
        volume = np.linalg.det(f) * self.volumes
        return self.solid.around / (0.25 * np.bincount(self.dofs.ravel(), np.repeat(volume, 4), self.solid.n))


def slackened(problem: ImagedSolid, places: np.ndarray, load: Load) -> tuple[np.ndarray, int]:
    """Places without load (N, 3), from a first guess, and Newton's iterations.

    Raises:
        ArithmeticError: no convergence.
    """
    outer, history = problem.outer(load), []
    scale = np.linalg.norm(outer) or 1.0
    for n in range(MOST_ITERATIONS):
        problem.tried = n
        right = (problem.inner(places) - outer).ravel()[problem.free]
        history.append(float(np.linalg.norm(right) / scale))
        if history[-1] < TOLERANCE:
            return places, n
        if not history[-1] < WORSE * history[0]:
            break
        step = np.zeros(places.size)
        step[problem.free] = problem.solve(places, right)
        step = step.reshape(-1, 3)
        for _ in range(SHORTENED):
            if np.linalg.det(problem.back(places + step)).min() >= LEAST_VOLUME:
                ahead = (problem.inner(places + step) - outer).ravel()[problem.free]
                if np.linalg.norm(ahead) <= MOST_GROWTH * np.linalg.norm(right):
                    break
            step *= 0.5
        else:
            break
        places = places + step
    raise ArithmeticError(f"Newton's method did not converge: residuals {[f'{r:.1e}' for r in history]}.")


@dataclass(frozen=True)
class Slackened:
    """Places without load, and the way to them.

    Attributes:
        places: (N, 3) mm.
        shares: of the full load, those at which equilibrium was found.
        iterations: of Newton's method, at all loads that were tried.
        halved: how often the rise of the load was halved.
    """

    places: np.ndarray
    shares: tuple[float, ...]
    iterations: int
    halved: int


def slacken(problem: ImagedSolid, full: Load, *, rise: float = FIRST_RISE, progress: Progress = silent) -> Slackened:
    """Places without load of a heart that is imaged under ``full``.

    The load rises from none; one at which there is no convergence is tried again half as far from the last one that
    was found, and from its places. A thin wall moves most under the first small load, so rises grow.

    Args:
        rise: first share of the load.

    Raises:
        ArithmeticError: no convergence with the least rise.
    """
    places, reached, least = problem.image, 0.0, rise * 0.5**HALVINGS
    shares: list[float] = []
    iterations = halved = 0
    while reached < 1.0:
        share = 1.0 if reached + BIT * rise > 1.0 else reached + rise
        try:
            with np.errstate(all="ignore"):  # what grows beyond all bounds ends the iterations
                found, count = slackened(problem, places, Load().towards(full, share))
        except ArithmeticError as error:
            rise, halved = 0.5 * rise, halved + 1
            iterations += problem.tried
            if rise < 0.9 * least:
                raise ArithmeticError(f"at {share:.0%} of the load: {error}") from error
            progress(reached, f"No shape under {share:.0%} of the load; half the rise is tried")
            continue
        places, reached = found, share
        shares.append(share)
        iterations += count
        rise *= FASTER if count <= EASY else 1.0
        progress(reached, f"Shape without {share:.0%} of the load after {count} iterations")
    return Slackened(places, tuple(shares), iterations, halved)
