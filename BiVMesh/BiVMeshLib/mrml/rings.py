"""Annuli of the valves as models of closed lines, and kept with the tetrahedra so that a mesh comes back with them."""

import json

import numpy as np

from CardiacLib.mrml.nodes.frames import cell_array, named_array, points_ras, swap_points
from CardiacLib.mrml.nodes.hierarchy import Nodes
from CardiacLib.types.bivmesh import ALL_PATCH_RGB, BiVMesh, ValveRing

ATTRIBUTE, POINTS = "CineHeart.rings", "ring_points"
"""Of the tetrahedra's model: what is known of each ring as JSON, and a field array of their points, RAS mm."""


def add_rings(mesh: BiVMesh, name: str) -> Nodes:
    """A model node of a closed line for each ring of the mesh, by the name of its valve, in the valve's colour."""
    import slicer

    models = {}
    for ring in mesh.rings:
        model = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLModelNode", f"{name} {ring.name} ring")
        model.SetAndObserveMesh(ring_line(ring))
        model.CreateDefaultDisplayNodes()
        display = model.GetDisplayNode()
        display.SetColor(*ALL_PATCH_RGB[ring.name])
        display.SetLineWidth(4)
        display.SetLighting(False)
        models[ring.name] = model
    return models


def ring_line(ring: ValveRing | None):
    """vtkPolyData of one closed line in RAS; empty where a frame has no ring."""
    import vtk

    line = vtk.vtkPolyData()
    points = np.zeros((0, 3)) if ring is None else ring.points
    line.SetPoints(points_ras(points))
    if len(points):
        line.SetLines(cell_array(np.append(np.arange(len(points)), 0)[None]))
    return line


def keep_rings(volume, rings: tuple[ValveRing, ...]) -> None:
    """Store rings in the model of the tetrahedra."""
    facts = [
        {
            "name": ring.name,
            "used": ring.used,
            "rms_mm": ring.rms_mm,
            "cap_mm2": ring.cap_mm2,
            "cap_perimeter_mm": ring.cap_perimeter_mm,
            "points": len(ring.points),
        }
        for ring in rings
    ]
    volume.SetAttribute(ATTRIBUTE, json.dumps(facts))
    if rings:
        points = swap_points(np.concatenate([ring.points for ring in rings]))
        volume.GetUnstructuredGrid().GetFieldData().AddArray(named_array(POINTS, points))


def rings_of(volume) -> tuple[ValveRing, ...]:
    """The rings that :func:`keep_rings` stored; none in a scene of an earlier version."""
    from vtk.util.numpy_support import vtk_to_numpy

    facts = json.loads(volume.GetAttribute(ATTRIBUTE) or "[]")
    if not facts:
        return ()
    points = swap_points(vtk_to_numpy(volume.GetUnstructuredGrid().GetFieldData().GetArray(POINTS)))
    ends = np.cumsum([fact.pop("points") for fact in facts])
    parts = np.split(points, ends[:-1])
    return tuple(
        ValveRing(**fact | {"used": tuple(fact["used"])}, points=part) for fact, part in zip(facts, parts, strict=True)
    )
