"""Walls of a coarse mesh moved so that they enclose what its shape does.

Flat triangles between nodes on a curved surface cut its corners: large ones take several per cent off a small cavity.
"""

from dataclasses import replace

import numpy as np

from BiVMeshLib.check.quality import shape_quality
from BiVMeshLib.check.topology import boundary_faces
from BiVMeshLib.shape.field import Field
from BiVMeshLib.shape.heart_shape import Shape
from CardiacLib.types.bivmesh import PATCHES

from .hill_climb import DONE
from .smoothing import put_back
from .stuffing import Stuffed

MOST = 0.5
"""mm by which a wall is moved."""
ROUNDS = 3


def with_volumes(mesh: Stuffed, shape: Shape) -> Stuffed:
    """Each wall moved along its surface's normals by one distance, nodes of the base within it.

    No tet falls below the quality with which the hill climb ends, and below what it is.
    """
    faces = boundary_faces(mesh.tets)
    faces = faces[~mesh.on_base[faces].all(1)]
    surfaces = {"EPI": shape.outer, "ENDO_LV": shape.lv, "ENDO_RV": shape.rv}
    walls = [(faces[(mesh.side[faces] == PATCHES[name]).all(1)], f) for name, f in surfaces.items() if f is not None]
    points = mesh.points
    for _ in range(ROUNDS):
        moved = points.copy()
        for triangles, field in walls:
            nodes = np.unique(triangles)
            nodes = nodes[~mesh.loose[nodes]]
            outwards = field.with_gradient(points[nodes])[1]
            outwards[mesh.on_base[nodes], 2] = 0.0
            outwards /= np.maximum(np.linalg.norm(outwards, axis=1, keepdims=True), 0.1)
            moved[nodes] += _gap(points, triangles, field) * outwards
        floor = np.minimum(shape_quality(points, mesh.tets), DONE) - 1e-9
        points = put_back(points, moved, mesh.tets, floor, shape_quality)
    return replace(mesh, points=points)


def _gap(points: np.ndarray, triangles: np.ndarray, field: Field) -> float:
    """mm by which a wall must move outwards to enclose under the base what its field does."""
    a, b, c = (points[triangles[:, n]] for n in range(3))
    cross = np.cross(b - a, c - a)
    enclosed = abs(float(cross[:, 2] @ (a + b + c)[:, 2])) / 6.0
    area = 0.5 * float(np.linalg.norm(cross, axis=1).sum())
    return float(np.clip((enclosed_by(field) - enclosed) / max(area, 1.0), -MOST, MOST))


def enclosed_by(field: Field) -> float:
    """mm^3 inside the zero level under the base."""
    h = field.spacing
    weight = np.clip(0.5 - (field.origin[2] / h + np.arange(len(field.values))), 0.0, 1.0)
    return float(np.clip(0.5 - field.values / h, 0.0, 1.0).sum((1, 2)) @ weight) * h**3
