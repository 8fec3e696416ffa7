"""Plane triangulations without folds: free nodes and nodes on lines move until no triangle covers another.

The regularised barrier of Garanzha et al. (Foldover-free maps in 50 lines of code, ACM TOG 40, 2021, doi
10.1145/3450626.3459847): the energy of a triangle that is inside out is finite, and grows as the barrier sharpens.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy

ROUNDS, ITERATIONS = 12, 150
"""Sharpenings of the barrier, and steps of the optimiser for each."""
SHARPER = 0.3
"""Share to which the barrier's width falls each round."""
AREA, EVEN = 0.2, 2.0
"""Weights of kept area, and of even distances along the lines, against kept shape."""


@dataclass(frozen=True)
class Tracks:
    """Where the first nodes of a triangulation lie: on closed lines.

    Attributes:
        curves: (P, 2) mm each.
        along: for each curve the lengths along it (C,) of its nodes, in their order. Those of the first do not move.
    """

    curves: Sequence[np.ndarray]
    along: Sequence[np.ndarray]

    def places(self) -> np.ndarray:
        """(H, 2) of all these nodes."""
        return np.concatenate([at(curve, along) for curve, along in zip(self.curves, self.along, strict=True)])

    def directions(self) -> np.ndarray:
        """(H, 2) unit vectors along the lines."""
        return np.concatenate([_towards(curve, along) for curve, along in zip(self.curves, self.along, strict=True)])

    def moved(self, along: np.ndarray) -> "Tracks":
        """The same with other lengths (H,)."""
        return Tracks(self.curves, np.split(along, np.cumsum([len(part) for part in self.along])[:-1]))


def doubled_area(points: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    """(F,) twice the area of triangles (F, 3) of points (P, 2), negative for clockwise ones."""
    a, b, c = (points[triangles[:, n]] for n in range(3))
    return (b[:, 0] - a[:, 0]) * (c[:, 1] - a[:, 1]) - (b[:, 1] - a[:, 1]) * (c[:, 0] - a[:, 0])


def unfolded(tracks: Tracks, free: np.ndarray, triangles: np.ndarray, rest: np.ndarray) -> np.ndarray:
    """(P, 2) places of all nodes, those of the lines first, with no triangle folded over others if that is found.

    Args:
        tracks: of the nodes on lines, which they do not leave.
        free: (E, 2) first places of the others.
        triangles: (F, 3). rest: (P, 2) places whose triangles have good shapes, all counterclockwise.
    """
    a, b, c = (rest[triangles[:, n]] for n in range(3))
    inverse = np.linalg.inv(np.stack([b - a, c - a], axis=-1))
    weight = doubled_area(rest, triangles)
    whole = max(float(doubled_area(np.concatenate([tracks.places(), free]), triangles).sum()), 1e-9)
    scale = np.sqrt(whole / weight.sum())
    inverse, weight = inverse / scale, weight / weight.sum()
    held, still = sum(len(part) for part in tracks.along), len(tracks.along[0])
    unknowns = np.concatenate([*tracks.along, free.ravel()])

    def energy(values: np.ndarray, width: float):
        on = tracks.moved(values[:held])
        places = np.concatenate([on.places(), values[held:].reshape(-1, 2)])
        value, slope = _energy(places, triangles, inverse, (weight, width))
        uneven, along = _uneven(on)
        along += (slope[:held] * on.directions()).sum(1)
        along[:still] = 0.0
        return value + uneven, np.concatenate([along, slope[held:].ravel()])

    width, best, found = 1.0, -np.inf, np.concatenate([tracks.places(), free])
    for _ in range(ROUNDS):
        options = {"maxiter": ITERATIONS, "maxfun": 2 * ITERATIONS}
        unknowns = scipy.optimize.minimize(energy, unknowns, (width,), method="L-BFGS-B", jac=True, options=options).x
        places = np.concatenate([tracks.moved(unknowns[:held]).places(), unknowns[held:].reshape(-1, 2)])
        least = float(doubled_area(places, triangles).min())
        if least > best:
            best, found = least, places
        if least > 0:
            break
        width *= SHARPER
    return found


def _energy(places: np.ndarray, triangles: np.ndarray, inverse: np.ndarray, made: tuple[np.ndarray, float]):
    """Energy, and its derivative (P, 2): of each triangle's map J, (|J|^2 + AREA (det^2 + 1)) over a barrier."""
    weight, width = made
    a, b, c = (places[triangles[:, n]] for n in range(3))
    j = np.stack([b - a, c - a], axis=-1) @ inverse
    det = j[:, 0, 0] * j[:, 1, 1] - j[:, 0, 1] * j[:, 1, 0]
    root = np.sqrt(det**2 + width**2)
    barrier = 0.5 * np.where(det > 0, det + root, width**2 / (root - np.minimum(det, 0.0)))  # without cancellation
    top = (j**2).sum((1, 2)) + AREA * (det**2 + 1.0)
    cofactor = np.stack([np.stack([j[:, 1, 1], -j[:, 1, 0]], 1), np.stack([-j[:, 0, 1], j[:, 0, 0]], 1)], 1)
    by_det = 2.0 * AREA * det / barrier - top / (barrier * root)  # the barrier's own slope is barrier / root
    slope = 2.0 * j / barrier[:, None, None] + by_det[:, None, None] * cofactor
    sides = (weight[:, None, None] * slope) @ np.swapaxes(inverse, 1, 2)
    forces = np.stack([-sides.sum(-1), sides[..., 0], sides[..., 1]], axis=1)
    found = np.stack([np.bincount(triangles.ravel(), forces[..., k].ravel(), len(places)) for k in (0, 1)], axis=1)
    return float((weight * top / barrier).sum()), found


def _uneven(tracks: Tracks) -> tuple[float, np.ndarray]:
    """Mean square of the distances along each line over their mean, times EVEN, and its derivative (H,)."""
    value, slopes = 0.0, []
    for curve, along in zip(tracks.curves, tracks.along, strict=True):
        whole, count = lengths(curve)[-1], len(along)
        gaps = (np.append(along[1:], along[0] + whole) - along) * count / whole
        value += EVEN * float((gaps**2).mean())
        slopes.append(2.0 * EVEN / whole * (np.roll(gaps, 1) - gaps))
    return value, np.concatenate(slopes)


def lengths(curve: np.ndarray) -> np.ndarray:
    """(P + 1,) lengths from the first point of a closed curve to each, and back to it."""
    return np.append(0.0, np.linalg.norm(np.roll(curve, -1, axis=0) - curve, axis=1).cumsum())


def at(curve: np.ndarray, along: np.ndarray) -> np.ndarray:
    """(P, 2) places at lengths along a closed curve, any number of turns."""
    length, closed = lengths(curve), np.concatenate([curve, curve[:1]])
    along = np.mod(along, length[-1])
    return np.stack([np.interp(along, length, closed[:, n]) for n in (0, 1)], axis=1)


def _towards(curve: np.ndarray, along: np.ndarray) -> np.ndarray:
    length = lengths(curve)
    side = np.clip(np.searchsorted(length, np.mod(along, length[-1]), side="right") - 1, 0, len(curve) - 1)
    way = np.roll(curve, -1, axis=0) - curve
    return way[side] / np.maximum(np.linalg.norm(way[side], axis=1, keepdims=True), 1e-12)
