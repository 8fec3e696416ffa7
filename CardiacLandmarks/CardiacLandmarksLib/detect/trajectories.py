"""Valve points through the cycle: smooth, periodic paths through what a network found frame by frame.

Each point's path is a Fourier series over one beat, fitted to its frames by least squares with weights (confidence,
and Tukey's biweight of the residual, iterated) and a penalty that grows with the sixth power of the harmonic, as of a
periodic smoothing spline with a penalised third derivative. The first iterations are stiffer. Wrong frames do not move
the path, even several in a row; fast true motion does.
"""

from dataclasses import dataclass

import numpy as np

from CardiacLib.types.values import job_value

HARMONICS = 8
HALF_HARMONIC = 5.0
"""Harmonic that the penalty halves: of a beat of 900 ms, a motion of 180 ms. Of the third a twentieth is lost."""
TUKEY = 4.685
"""Residual in standard deviations beyond which a frame counts nothing (95 % efficiency for normal errors)."""
LEAST_SPREAD = 0.3
"""Pixels; a standard deviation below it is not believed."""
STIFF_START = (0.5, 0.5, 0.5, 0.5, 0.5, 1.0, 1.0, 2.0, 2.0, 3.0)
"""HALF_HARMONIC of the first iterations: a path that is free at once would follow wrong frames that come in rows."""
HUBER_ITERATIONS = 5
"""First iterations, with weights that never vanish: the biweight needs a fair start."""
ITERATIONS = 18
LEAST_FRAMES = 3
"""Frames from which a path is fitted; fewer keep the points as they were found."""
LEAST_SHARE = 0.5
"""Share of the frames in which a point must have been found; else it stays missing."""


@job_value
@dataclass(frozen=True)
class Trajectories:
    """Periodic paths of P points.

    Attributes:
        coefficients: (P, 1 + 2 K, D), constant, then cosine and sine of each harmonic; NaN for missing points.
        weights: (T, P), what each frame counted in the fit, 0 to 1; near 0 for frames judged wrong.
    """

    coefficients: np.ndarray
    weights: np.ndarray

    def at(self, phases: np.ndarray) -> np.ndarray:
        """(N, P, D) positions at phases (N,), one beat being 1."""
        return np.einsum("nc,pcd->npd", _basis(phases, self._harmonics), self.coefficients)

    def velocity(self, phases: np.ndarray) -> np.ndarray:
        """(N, P, D) change of position per beat at phases (N,)."""
        return np.einsum("nc,pcd->npd", _basis_slope(phases, self._harmonics), self.coefficients)

    @property
    def _harmonics(self) -> int:
        return (self.coefficients.shape[1] - 1) // 2


def fit_trajectories(
    points: np.ndarray, confidence: np.ndarray, phases: np.ndarray, robust: bool = True
) -> Trajectories:
    """Fit the paths of points.

    Args:
        points: (T, P, D) positions in pixels, NaN where not found.
        confidence: (T, P), 0 to 1.
        phases: (T,), one beat being 1.
        robust: whether frames far from the path lose their weight.

    Returns:
        Paths; a point that was found in less than LEAST_SHARE of the frames is missing. With fewer than LEAST_FRAMES
        frames the paths go through the points as they were found.
    """
    points = np.asarray(points, float)
    if len(points) < LEAST_FRAMES:
        return _through(points, np.asarray(confidence))
    harmonics = min(HARMONICS, (len(points) - 1) // 2)
    basis = _basis(phases, harmonics)
    coefficients = np.full((points.shape[1], basis.shape[1], points.shape[2]), np.nan)
    weights = np.zeros(points.shape[:2])
    for p in range(points.shape[1]):
        found = np.isfinite(points[:, p]).all(1)
        if found.mean() < LEAST_SHARE or not (confidence[found, p] > 0).any():
            continue
        coefficients[p], weights[found, p] = _fit(basis[found], points[found, p], confidence[found, p], robust)
    return Trajectories(coefficients, weights)


def _through(points: np.ndarray, confidence: np.ndarray) -> Trajectories:
    """Paths through the points (T, P, D) of one frame, or of two half a beat apart: a constant and one cosine."""
    usable = np.isfinite(points).all(2) & (confidence > 0)
    first, last = (np.where(usable[t, :, None], points[t], points[-1 - t]) for t in (0, -1))
    missing = ~usable.any(0)
    coefficients = np.stack([(first + last) / 2.0, (first - last) / 2.0, np.zeros_like(first)], 1)
    coefficients[missing] = np.nan
    return Trajectories(coefficients if len(points) > 1 else coefficients[:, :1], usable.astype(float))


def _fit(basis, positions, confidence, robust: bool) -> tuple[np.ndarray, np.ndarray]:
    """Coefficients (C, D), and the weight of each frame (N,)."""
    weights = np.ones(len(positions))
    if not robust:
        return _penalised_fit(basis, positions, confidence, HALF_HARMONIC), weights
    for iteration in range(ITERATIONS):
        half = STIFF_START[iteration] if iteration < len(STIFF_START) else HALF_HARMONIC
        coefficients = _penalised_fit(basis, positions, weights * confidence, half)
        residual = np.linalg.norm(positions - basis @ coefficients, axis=1)
        # The median distance of a normal error in the plane is 1.18 standard deviations of one coordinate.
        spread = max(float(np.median(residual)) / 1.18, LEAST_SPREAD)
        if iteration < HUBER_ITERATIONS:
            weights = 1.0 / np.maximum(residual / spread, 1.0)
        else:
            weights = np.clip(1.0 - (residual / (TUKEY * spread)) ** 2, 0.0, 1.0) ** 2
    return coefficients, weights


def _penalised_fit(basis: np.ndarray, positions: np.ndarray, weights: np.ndarray, half_harmonic: float) -> np.ndarray:
    harmonic = np.repeat(np.arange(1, (basis.shape[1] - 1) // 2 + 1), 2)
    penalty = np.concatenate([[0.0], 0.5 * weights.sum() * (harmonic / half_harmonic) ** 6])
    weighted = basis * weights[:, None]
    return np.linalg.solve(weighted.T @ basis + np.diag(penalty), weighted.T @ positions)


def _basis(phases: np.ndarray, harmonics: int) -> np.ndarray:
    angle = 2.0 * np.pi * np.asarray(phases, float)[:, None] * np.arange(1, harmonics + 1)
    waves = np.stack([np.cos(angle), np.sin(angle)], 2).reshape(len(angle), -1)
    return np.column_stack([np.ones(len(angle)), waves])


def _basis_slope(phases: np.ndarray, harmonics: int) -> np.ndarray:
    rate = 2.0 * np.pi * np.arange(1, harmonics + 1)
    angle = np.asarray(phases, float)[:, None] * rate
    waves = np.stack([-rate * np.sin(angle), rate * np.cos(angle)], 2).reshape(len(angle), -1)
    return np.column_stack([np.zeros(len(angle)), waves])
