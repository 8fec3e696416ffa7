"""The muscle's law: passive Guccione, nearly incompressible, with an active stress along the fibre."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Guccione:
    """Transversely isotropic exponential law (Guccione et al. 1991, doi 10.1115/1.2894084), nearly incompressible.

    W = c/2 (exp Q - 1) + kappa/4 (J^2 - 1 - 2 ln J) + T Eff with
    Q = bf Eff^2 + bt (Ess^2 + Enn^2 + 2 Esn^2) + 2 bfs (Efs^2 + Efn^2).
    Default: c = 2 kPa, 8, 2, 4 as in Problem 3 of Land et al. 2015 (doi 10.1098/rspa.2015.0641).

    T is the active tension: stress along the fibre only, added to the passive one (Guccione, Costa and McCulloch 1995,
    doi 10.1016/0021-9290(94)00174-3). As in Land et al. it is a second Piola-Kirchhoff stress, T f0 f0.
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

    def stress(self, f: np.ndarray, tension: float = 0.0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Energy density (...), first Piola-Kirchhoff stress (..., 3, 3) and E (..., 3, 3).

        Args:
            f: (..., 3, 3) deformation gradient, columns along fibre, sheet, normal. tension: T, kPa.
        """
        b = self.weights()
        strain = 0.5 * (np.swapaxes(f, -1, -2) @ f - np.eye(3))
        power = np.exp((b * strain**2).sum((-1, -2)))
        j = np.linalg.det(f)
        second = self.c * power[..., None, None] * b * strain
        second[..., 0, 0] += tension
        pressure = 0.5 * self.kappa * (j**2 - 1.0)
        inverse_t = np.swapaxes(np.linalg.inv(f), -1, -2)
        with np.errstate(invalid="ignore", divide="ignore"):
            energy = 0.5 * self.c * (power - 1.0) + 0.25 * self.kappa * (j**2 - 1.0 - 2.0 * np.log(j))
        return energy + tension * strain[..., 0, 0], f @ second + pressure[..., None, None] * inverse_t, strain

    def tangent(self, f: np.ndarray, tension: float = 0.0) -> np.ndarray:
        """(..., 3, 3, 3, 3) derivative of the stress by f."""
        b, eye = self.weights(), np.eye(3)
        strain = 0.5 * (np.swapaxes(f, -1, -2) @ f - eye)
        scale = self.c * np.exp((b * strain**2).sum((-1, -2)))[..., None, None]
        second = scale * b * strain
        j2 = np.linalg.det(f)[..., None, None, None, None] ** 2
        inverse_t = np.swapaxes(np.linalg.inv(f), -1, -2)
        fs = f @ (b * strain)
        left = (f[..., None, :, :] * b[:, None, :]) @ np.swapaxes(f, -1, -2)[..., None, :, :]  # (a, i, k)
        second[..., 0, 0] += tension
        found = np.einsum("ik,...ab->...iakb", eye, second)
        found += 0.5 * np.einsum("...aik,ab->...iakb", scale[..., None] * left, eye)
        found += 0.5 * np.einsum("ab,...ib,...ka->...iakb", b, scale * f, f)
        found += 2.0 * np.einsum("...ia,...kb->...iakb", scale * fs, fs)
        pair = np.einsum("...ia,...kb->...iakb", inverse_t, inverse_t)
        return found + self.kappa * (j2 * pair - 0.5 * (j2 - 1.0) * np.einsum("...iakb->...kaib", pair))
