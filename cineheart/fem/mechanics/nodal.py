"""Linear tetrahedra that do not lock: the volume ratio is averaged at the nodes.

Average nodal pressure (Bonet and Burton 1998, doi 10.1002/(SICI)1099-0887(199805)14:5<437::AID-CNM162>3.0.CO;2-W):
the penalty on J acts on the volume of all tets round a node, one condition for each node instead of one for each of
five times as many tets. A small share of the penalty stays with the tets, against modes that the mean does not see.
"""

from dataclasses import replace

import numpy as np
from scipy.sparse import csr_matrix, diags
from skfem import ElementTetP1

from .materials import Guccione
from .solid import Load, Solid, SolidHeart

OWN_SHARE = 0.05
"""Of the penalty, what stays with each tet."""
NEAR_SHARE = 0.3
"""The same in the preconditioner's matrix."""


class NodalSolid(Solid):
    """Linear displacements, volume ratio averaged at the nodes; arguments as of :class:`Solid`."""

    intorder = 0
    few, keep, most, whole = 12_000, 60, 400, 1_500_000

    def __init__(self, heart: SolidHeart, law: Guccione):
        super().__init__(heart, replace(law, kappa=OWN_SHARE * law.kappa), ElementTetP1())
        self.kappa = self.averaged = (1.0 - OWN_SHARE) * law.kappa
        self.around = 0.25 * np.bincount(self.dofs.ravel(), np.repeat(self.weights[0], 4), self.n)
        """(N,) mm^3 of muscle that each node stands for."""
        self.sparse = csr_matrix((3 * self.n, 3 * self.n))

    def penalise(self, share: float) -> None:
        super().penalise(share)
        self.kappa = share * self.averaged

    def internal(self, u: np.ndarray, tension: float = 0.0) -> tuple[np.ndarray, float]:
        forces, energy = super().internal(u, tension)
        f = self.deformation(u)[0]
        ratio = self._ratios(f)
        pushes = self.pressures(ratio)[:, None, None] * self._volume_slopes(f)
        with np.errstate(invalid="ignore", divide="ignore"):
            stored = 0.25 * self.kappa * (self.around * (ratio**2 - 1.0 - 2.0 * np.log(ratio))).sum()
        return forces + self._gathered(self.dofs, pushes), energy + float(stored)

    def stiffness(self, u: np.ndarray, load: Load) -> csr_matrix:
        total, f = super().stiffness(u, load), self.deformation(u)[0]
        ratio, slopes = self._ratios(f), self._volume_slopes(f)
        inverse_t = np.swapaxes(np.linalg.inv(f), -1, -2)
        towards = self.gradients[0] @ np.swapaxes(inverse_t, 1, 2)  # (m, a, 3)
        # Second derivative of a tet's volume: slopes times directions, less the same with the axes exchanged.
        bent = np.einsum("mai,mbk->maibk", slopes, towards)
        total = total + self._matrix(
            self.dofs, self.pressures(ratio)[:, None, None, None, None] * (bent - bent.transpose(0, 1, 4, 3, 2))
        )
        squares = np.einsum("mai,mbk->maibk", slopes, slopes / self.weights[0][:, None, None])
        self.sparse = total + NEAR_SHARE * self.kappa * self._matrix(self.dofs, squares)
        shared = self.shared(slopes)
        stiff = 0.5 * self.kappa * (1.0 + ratio**-2) / (16.0 * self.around)
        return (total + shared.T @ diags(stiff) @ shared).tocsr()

    def near(self, matrix: csr_matrix) -> csr_matrix:
        """One whose penalty is each tet's own, which makes it much sparser."""
        return self.sparse[self.free][:, self.free]

    def _ratios(self, f: np.ndarray) -> np.ndarray:
        """(N,) deformed over undeformed volume of the tets round each node."""
        volume = np.linalg.det(f) * self.weights[0]
        return 0.25 * np.bincount(self.dofs.ravel(), np.repeat(volume, 4), self.n) / self.around

    def shared(self, slopes: np.ndarray) -> csr_matrix:
        """(N, 3N) sums over the tets round each node of derivatives (M, 4, 3) by the tets' corners."""
        nodes = np.broadcast_to(self.dofs[:, :, None, None], (len(slopes), 4, 4, 3))
        columns = np.broadcast_to((3 * self.dofs[:, :, None] + np.arange(3))[:, None], nodes.shape)
        values = np.broadcast_to(slopes[:, None], nodes.shape)
        return csr_matrix((values.ravel(), (nodes.ravel(), columns.ravel())), shape=(self.n, 3 * self.n))

    def pressures(self, ratio: np.ndarray) -> np.ndarray:
        """(M,) mean of its nodes' pressures on each tet, kPa, from the nodes' volume ratios (N,)."""
        return (0.5 * self.kappa * (ratio - 1.0 / ratio))[self.dofs].mean(1)

    def _volume_slopes(self, f: np.ndarray) -> np.ndarray:
        """(M, 4, 3) derivative of each tet's volume by the places of its nodes, mm^2."""
        cofactor = np.linalg.det(f)[:, None, None] * np.swapaxes(np.linalg.inv(f), -1, -2)
        return self.weights[0][:, None, None] * (self.gradients[0] @ np.swapaxes(cofactor, 1, 2))
