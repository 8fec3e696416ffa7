"""The distortion of many tets at once brought to a minimum, nodes of the walls sliding along them.

Limited-memory BFGS (Nocedal and Wright, Numerical Optimization, 2006, algorithm 7.4), scaled by each node's curvature.
No tet is turned over: there the distortion has no bound. Where thousands of tets are poor for one reason, as in a wall
that thickens, this mends together what a hill climb would mend one by one.
"""

from dataclasses import dataclass, replace

import numpy as np

from BiVMeshLib.check.quality import shape_quality
from BiVMeshLib.check.topology import with_any
from BiVMeshLib.shape.field import Field

from .distortion import Distortion
from .smoothing import put_back
from .stuffing import Stuffed, slid

POWER, ROUNDS = 4.0, 15
"""Of the distortion whose sum is brought to a minimum, and steps towards it."""
MEMORY = 8
SHORTER, SHORTEST = 0.4, 1e-3
"""Times a step that does not lower the energy is taken shorter, and the share of it with which the search ends."""
FALL = 1e-4
"""Least fall of the energy against what the slope promises."""
FIRST = 0.3
"""Share of each node's own Newton step that is tried first."""


@dataclass(frozen=True)
class Ways:
    """Directions in which nodes may go.

    Attributes:
        normal: (N, 3) unit vectors along which nodes stay, zero where they need not; across z for nodes on the base.
        on_base: bool (N,) nodes that keep their z.
        fixed: bool (N,) nodes that stay.
    """

    normal: np.ndarray
    on_base: np.ndarray
    fixed: np.ndarray

    def part(self, nodes: np.ndarray, active: np.ndarray) -> "_Part":
        """Of some nodes (n,), those that are not ``active`` bool (n,) fixed."""
        free = np.repeat((active & ~self.fixed[nodes])[None], 3, axis=0)
        free[2, self.on_base[nodes]] = False
        return _Part(free, np.ascontiguousarray(self.normal[nodes].T))


@dataclass(frozen=True)
class _Part:
    """``Ways`` of some nodes by direction: free bool (3, n), normal (3, n)."""

    free: np.ndarray
    normal: np.ndarray

    def along(self, vectors: np.ndarray) -> np.ndarray:
        """The part of vectors (3, n) along which nodes may go."""
        return (vectors - self.normal * (self.normal * vectors).sum(0)) * self.free


def evened(points: np.ndarray, tets: np.ndarray, ways: Ways, below: float, rounds: int = ROUNDS) -> np.ndarray:
    """(N, 3) places at which the tets round those of a shape quality ``below`` are least distorted.

    Nodes of those tets move. All tets round them must be positive, and stay so. ``rounds``: steps towards the least.
    """
    active = np.zeros(len(points), bool)
    active[tets[shape_quality(points, tets) < below].ravel()] = True
    near = tets[with_any(active, tets)]
    if not len(near):
        return points
    nodes, local = np.unique(near, return_inverse=True)
    distortion = Distortion(local.reshape(-1, 4), len(nodes), POWER)
    found = points.copy()
    across = np.ascontiguousarray(points[nodes].T)
    found[nodes] = minimise(across, distortion, ways.part(nodes, active[nodes]), rounds).T
    return found


def even_out(mesh: Stuffed, myocardium: Field, below: float, keep: float, rounds: int = ROUNDS) -> Stuffed:
    """``mesh`` after ``evened``; surface nodes slide on the zero level, those of repaired topology stay.

    No tet falls below ``keep``, and below what it is, by putting nodes back onto the surface.
    """
    bound, normal = (mesh.side > 0) & ~mesh.loose, np.zeros_like(mesh.points)
    slope = myocardium.with_gradient(mesh.points[bound])[1]
    slope[mesh.on_base[bound], 2] = 0.0
    normal[bound] = slope / np.maximum(np.linalg.norm(slope, axis=1, keepdims=True), 1e-9)
    places = evened(mesh.points, mesh.tets, Ways(normal, mesh.on_base, mesh.loose), below, rounds)
    return slid_back(mesh, places, myocardium, keep)


def slid_back(mesh: Stuffed, points: np.ndarray, myocardium: Field, keep: float) -> Stuffed:
    """The mesh at ``points``, with surface nodes that moved put back onto the zero level; ``keep`` as above."""
    moved = (points != mesh.points).any(1)
    bound = (mesh.side > 0) & ~mesh.loose & moved
    back = points.copy()
    back[bound] = slid(mesh.points[bound], points[bound], myocardium, mesh.on_base[bound])
    near = np.flatnonzero(with_any(moved, mesh.tets))
    floor = np.full(len(mesh.tets), -np.inf)
    floor[near] = np.minimum(shape_quality(points, mesh.tets[near]), keep)
    return replace(mesh, points=put_back(points, back, mesh.tets, floor, shape_quality, near))


def minimise(across: np.ndarray, distortion: Distortion, ways: _Part, rounds: int) -> np.ndarray:
    """Places (3, N) of less distortion; those given, where all tets must be positive, if none are found."""
    energy, gradient, curvature = distortion.with_slopes(across)
    if not np.isfinite(energy):
        return across
    gradient, pairs = ways.along(gradient), []
    for _ in range(rounds):
        way = -ways.along(_newton(gradient, curvature, pairs))
        slope = float(np.vdot(gradient, way))
        if slope >= 0.0:
            break
        step, found = _lower(across, way, distortion, energy, slope)
        if found is None:
            break
        across, last = across + step, gradient
        energy, gradient, curvature = found
        gradient = ways.along(gradient)
        if np.vdot(step, gradient - last) > 0.0:
            pairs = [*pairs[1 - MEMORY :], (step, gradient - last)]
    return across


def _lower(across, way, distortion: Distortion, energy: float, slope: float):
    """The part of a ``way`` (3, N) that lowers the energy enough, and energy and slopes there; None if no part does.

    The whole way, which is mostly it, is measured with its slopes at once.
    """
    length, found = 1.0, distortion.with_slopes(across + way)
    if found[0] <= energy + FALL * slope:
        return way, found
    while (length := SHORTER * length) >= SHORTEST:
        step = length * way
        if distortion.energy(across + step) <= energy + FALL * length * slope:
            return step, distortion.with_slopes(across + step)
    return way, None


def _newton(gradient: np.ndarray, curvature: np.ndarray, pairs: list[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
    """(3, N) the inverse second derivative, as the last steps show it, times the gradient."""
    found, shares = gradient.copy(), []
    for step, change in reversed(pairs):
        shares.append(np.vdot(step, found) / np.vdot(step, change))
        found -= shares[-1] * change
    scale = FIRST
    if pairs:
        step, change = pairs[-1]
        scale = np.vdot(step, change) / np.vdot(change, change / curvature)
    found *= scale / curvature
    for (step, change), share in zip(pairs, reversed(shares), strict=True):
        found += (share - np.vdot(change, found) / np.vdot(step, change)) * step
    return found
