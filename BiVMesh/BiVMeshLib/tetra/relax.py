"""Relaxation: all nodes go a step towards places where their tets are nearer to regular ones.

What falls is their distortion. The guard keeps the worst tets as they are.
"""

from dataclasses import replace

import numpy as np

from BiVMeshLib.check.quality import shape_quality
from BiVMeshLib.shape.field import Field

from .distortion import Distortion
from .smoothing import guarded
from .stuffing import Stuffed, slid

STEP = 0.6
"""Share of the step to the minimum of each node's energy, its neighbours' steps not considered."""


def relax(mesh: Stuffed, myocardium: Field, rounds: int = 1) -> Stuffed:
    """Raise the mean quality of a mesh of positive tets; the surface stays on the zero level, the base plane."""
    points, distortion = mesh.points, Distortion(mesh.tets, len(mesh.points))
    bound = (mesh.side > 0) & ~mesh.loose
    fixed = mesh.loose & mesh.on_base
    for _ in range(rounds):
        gradient, curvature = distortion.slopes(np.ascontiguousarray(points.T))
        moved = points + STEP * (-gradient / curvature).T
        moved[mesh.on_base, 2] = 0.0
        moved[fixed] = points[fixed]
        moved[bound] = slid(points[bound], moved[bound], myocardium, mesh.on_base[bound])
        points = guarded(points, moved, mesh.tets, shape_quality)
    return replace(mesh, points=points)
