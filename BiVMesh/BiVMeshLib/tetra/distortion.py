"""Distortion of tets: the inverse mean ratio, 1 for a regular tet; a power of it weighs the worst tets more.

The sum of squared edges over 12 (3 V)^(2/3); Knupp, SIAM J Sci Comput 2001, doi 10.1137/S1064827500371499.
"""

import numpy as np

BLOCK = 8192
"""Tets that are worked on at once: what is between fits into a processor's own memory."""


class Distortion:
    """The sum over tets of a power of their distortion, as a function of the places of the nodes."""

    def __init__(self, tets: np.ndarray, n_nodes: int, power: float = 1.0):
        """``tets`` int (M, 4), corners of ``n_nodes`` nodes."""
        self.corners, self.n_nodes, self.power = np.ascontiguousarray(tets.T), n_nodes, power

    def energy(self, across: np.ndarray) -> float:
        """Of places (3, N); infinite where a tet is not positive."""
        total = 0.0
        for block in self._blocks():
            edge, _, squares = _measured(across, block)
            lift = _cross(edge[0], edge[1])
            six_volume = edge[2][0] * lift[0] + edge[2][1] * lift[1] + edge[2][2] * lift[2]
            if not six_volume.min() > 0.0:
                return np.inf
            total += float(((squares / (12.0 * np.cbrt(0.5 * six_volume) ** 2)) ** self.power).sum())
        return total

    def slopes(self, across: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Gradient (3, N), and (N,) the second derivative of its numerator, the same in all directions."""
        return self.with_slopes(across, positive=False)[1:]

    def with_slopes(self, across: np.ndarray, positive: bool = True) -> tuple[float, np.ndarray, np.ndarray]:
        """Energy and ``slopes`` at once; an infinite energy and no slopes where a tet is not ``positive``."""
        size, total = self.corners.shape[1], 0.0
        slope, bend = np.empty((4, 3, size)), np.empty(size)
        for first, block in zip(range(0, size, BLOCK), self._blocks(), strict=True):
            part = slice(first, first + BLOCK)
            edge, spokes, squares = _measured(across, block)
            lifts = [_cross(edge[1], edge[2]), _cross(edge[2], edge[0]), _cross(edge[0], edge[1])]
            lifts = [-(lifts[0] + lifts[1] + lifts[2]), *lifts]  # 6 dV / d corner
            six_volume = (edge[0] * lifts[1]).sum(0)
            if positive and not six_volume.min() > 0.0:
                return np.inf, np.zeros((3, 0)), np.zeros(0)
            six_volume = np.maximum(six_volume, 1e-9)
            scale = 1.0 / (12.0 * np.cbrt(0.5 * six_volume) ** 2)
            share = 2.0 / 3.0 * squares / six_volume
            if self.power == 1.0:
                total += float((squares * scale).sum())
            else:
                weight = (squares * scale) ** (self.power - 1.0)
                total += float((squares * scale * weight).sum())
                scale *= self.power * weight
            for n in range(4):
                slope[n, :, part] = (8.0 * spokes[n] - share * lifts[n]) * scale
            bend[part] = 6.0 * scale
        curvature, gradient = np.zeros(self.n_nodes), np.zeros((3, self.n_nodes))
        for n, nodes in enumerate(self.corners):
            curvature += np.bincount(nodes, bend, self.n_nodes)
            for k in range(3):
                gradient[k] += np.bincount(nodes, slope[n, k], self.n_nodes)
        return total, gradient, np.maximum(curvature, 1e-30)

    def _blocks(self):
        return (self.corners[:, n : n + BLOCK] for n in range(0, self.corners.shape[1], BLOCK))


def _measured(across: np.ndarray, corners: np.ndarray) -> tuple[list, list, np.ndarray]:
    """Three edges and four spokes (3, M) from the middle of each tet, and (M,) the sum of its six squared edges."""
    corner = [across.take(nodes, axis=1) for nodes in corners]
    edge = [corner[n] - corner[0] for n in (1, 2, 3)]
    middle = 0.25 * (corner[0] + corner[1] + corner[2] + corner[3])
    spokes = [c - middle for c in corner]
    return edge, spokes, 4.0 * sum((spoke**2).sum(0) for spoke in spokes)


def _cross(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Cross products of (3, M) vectors."""
    return np.stack([a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]])
