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
    corner = points[tets]
    edge = corner[:, 1:] - corner[:, :1]
    lifts = np.cross(edge[:, [1, 2, 0]], edge[:, [2, 0, 1]])
    lifts = np.concatenate([-lifts.sum(1, keepdims=True), lifts], axis=1)  # 6 dV / d corner
    six_volume = np.maximum(np.einsum("mk,mk->m", edge[:, 0], lifts[:, 1]), 1e-9)
    spokes = corner - corner.mean(1, keepdims=True)
    squares = 4.0 * np.einsum("mnk,mnk->m", spokes, spokes)
    scale = 1.0 / (12.0 * (0.5 * six_volume) ** (2.0 / 3.0))
    slope = 8.0 * spokes - (2.0 / 3.0 * squares / six_volume)[:, None, None] * lifts
    slope *= scale[:, None, None]
    corners = tets.ravel()
    curvature = np.bincount(corners, np.repeat(6.0 * scale, 4), len(points))
    gradient = np.stack([np.bincount(corners, slope[..., k].ravel(), len(points)) for k in range(3)], axis=1)
    return -gradient / np.maximum(curvature, 1e-30)[:, None]
