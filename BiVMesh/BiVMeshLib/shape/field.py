"""A scalar field on a grid, sampled between its nodes."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Field:
    """Trilinear field.

    Attributes:
        values: float32 (nz, ny, nx).
        origin: (3,) x, y, z of values[0, 0, 0].
        spacing: mm, the same along all axes.
    """

    values: np.ndarray
    origin: np.ndarray
    spacing: float

    def __call__(self, points: np.ndarray) -> np.ndarray:
        """Values at points (N, 3); outside the grid the nearest border's."""
        corners, (fx, fy, fz) = self._cells(points)
        c00, c01, c10, c11 = (corners[i] + fx * (corners[i + 1] - corners[i]) for i in (0, 2, 4, 6))
        c0, c1 = c00 + fy * (c01 - c00), c10 + fy * (c11 - c10)
        return c0 + fz * (c1 - c0)

    def with_gradient(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Values (N,) and gradient (N, 3) of the trilinear field."""
        corners, (fx, fy, fz) = self._cells(points)
        dx = [corners[i + 1] - corners[i] for i in (0, 2, 4, 6)]
        c00, c01, c10, c11 = (corners[2 * i] + fx * dx[i] for i in range(4))
        dy0, dy1 = c01 - c00, c11 - c10
        c0, c1 = c00 + fy * dy0, c10 + fy * dy1
        gx0, gx1 = dx[0] + fy * (dx[1] - dx[0]), dx[2] + fy * (dx[3] - dx[2])
        gradient = np.stack([gx0 + fz * (gx1 - gx0), dy0 + fz * (dy1 - dy0), c1 - c0], axis=1)
        return c0 + fz * (c1 - c0), gradient / self.spacing

    def _cells(self, points) -> tuple[list[np.ndarray], np.ndarray]:
        """The 8 corner values of each point's cell (x fastest) and its fractions (3, N)."""
        nz, ny, nx = self.values.shape
        index = (np.asarray(points, np.float64) - self.origin) / self.spacing
        index = np.clip(index, 0.0, np.array([nx, ny, nz]) - 1.0)
        cell = np.minimum(index.astype(np.int64), np.array([nx, ny, nz]) - 2)
        fractions = (index - cell).T
        first = (cell[:, 2] * ny + cell[:, 1]) * nx + cell[:, 0]
        flat = self.values.ravel()
        corners = [flat[first + dz * ny * nx + dy * nx + dx] for dz in (0, 1) for dy in (0, 1) for dx in (0, 1)]
        return corners, fractions
