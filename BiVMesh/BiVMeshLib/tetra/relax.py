"""Relaxation: all nodes go a step towards places where their tets are nearer to regular ones.

What falls is the inverse mean ratio of the tets, the sum of squared edges over 12 (3 V)^(2/3), which is 1 for a
regular tet (Knupp, SIAM J Sci Comput 2001, doi 10.1137/S1064827500371499). The guard keeps the worst tets as they are.
"""

from dataclasses import replace

import numpy as np

from BiVMeshLib.check.quality import shape_quality
from BiVMeshLib.shape.field import Field

from .smoothing import guarded
from .stuffing import Stuffed, project

STEP = 0.6
"""Share of the step to the minimum of each node's energy, its neighbours' steps not considered."""


def relax(mesh: Stuffed, myocardium: Field, rounds: int = 1) -> Stuffed:
    """Raise the mean quality of a mesh of positive tets; the surface stays on the zero level, the base plane."""
    points = mesh.points
    bound = (mesh.side > 0) & ~mesh.loose
    fixed = mesh.loose & mesh.on_base
    for _ in range(rounds):
        moved = points + STEP * _newton_step(points, mesh.tets)
        moved[mesh.on_base, 2] = 0.0
        moved[fixed] = points[fixed]
        moved[bound] = project(moved[bound], myocardium, mesh.on_base[bound])
        points = guarded(points, moved, mesh.tets, shape_quality)
    return replace(mesh, points=points)


def _newton_step(points: np.ndarray, tets: np.ndarray) -> np.ndarray:
    """(N, 3) minus the energy's gradient over the second derivative of its numerator."""
    corner = [np.ascontiguousarray(points.T).take(tets[:, n], axis=1) for n in range(4)]
    edge = [corner[n] - corner[0] for n in (1, 2, 3)]
    lifts = [_cross(edge[1], edge[2]), _cross(edge[2], edge[0]), _cross(edge[0], edge[1])]
    lifts = [-(lifts[0] + lifts[1] + lifts[2]), *lifts]  # 6 dV / d corner
    six_volume = np.maximum((edge[0] * lifts[1]).sum(0), 1e-9)
    middle = 0.25 * (corner[0] + corner[1] + corner[2] + corner[3])
    spokes = [c - middle for c in corner]
    squares = 4.0 * sum((spoke**2).sum(0) for spoke in spokes)
    scale = 1.0 / (12.0 * np.cbrt(0.5 * six_volume) ** 2)
    share = 2.0 / 3.0 * squares / six_volume
    curvature, gradient = np.zeros(len(points)), np.zeros((3, len(points)))
    for n in range(4):
        slope = (8.0 * spokes[n] - share * lifts[n]) * scale
        curvature += np.bincount(tets[:, n], 6.0 * scale, len(points))
        for k in range(3):
            gradient[k] += np.bincount(tets[:, n], slope[k], len(points))
    return (-gradient / np.maximum(curvature, 1e-30)).T


def _cross(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Cross products of (3, M) vectors."""
    return np.stack([a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]])
