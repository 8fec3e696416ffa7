"""Meshes between worker and scene; the surfaces of a moving one are model sequences in the browser of the cine."""

from dataclasses import replace

import numpy as np

from ..bivmesh import PATCHES, BiVMesh, MovingMesh
from ..labels import LabelMap
from .frames import points_ras
from .models import mesh_to_scene
from .processes import JobRequest
from .sequences import add_sequence
from .tables import mesh_quality_to_scene


def mesh_request(labels: LabelMap, frame: int, options: dict[str, object], motion: bool = False) -> JobRequest:
    """The mesh worker's job for one frame, counted from 0, or for the motion of its mesh over all frames.

    ``options`` are fields of ``BiVMeshLib.MeshOptions``, ``fibre_angles`` as a dict.
    """
    if motion:
        return JobRequest("BiVMeshLib", "motion", {"labels": labels}, {"frame": frame, "mesh_options": options})
    only = slice(frame, frame + 1)
    alone = replace(labels, labels=labels.labels[only], times_ms=labels.times_ms[only])
    return JobRequest("BiVMeshLib", "mesh", {"labels": alone}, {"mesh_options": options})


def mesh_result_to_scene(found: BiVMesh | MovingMesh, name: str, browser=None) -> dict[str, object]:
    """Put what the mesh worker gave into the scene.

    Args:
        found: a mesh, or one that moves.
        name: start of the nodes' names.
        browser: the sequence browser in which a moving mesh plays.

    Returns:
        the models by name, as of :func:`~CardiacLib.mrml.models.mesh_to_scene`, and under ``QUALITY`` a table.
    """
    mesh = found.mesh if isinstance(found, MovingMesh) else found
    models = mesh_to_scene(mesh, name)
    if isinstance(found, MovingMesh):
        motion_to_scene(found, models, browser)
    return models | {"QUALITY": mesh_quality_to_scene(mesh.quality, name)}


def motion_to_scene(moving: MovingMesh, models: dict[str, object], browser) -> dict[str, object]:
    """Make the surfaces of a mesh the proxies of model sequences.

    The tetrahedra stay those of the mesh's own frame.

    Args:
        moving: the motion, with as many frames as the cine.
        models: of ``moving.mesh``, as ``models.mesh_to_scene`` returned them.
        browser: the cine's sequence browser.

    Returns:
        sequence node by patch name.
    """
    patches = [patch for patch in PATCHES if patch in models]
    return {
        patch: add_sequence(models[patch], moving.times_ms, _moments(moving, patch, models[patch]), browser)
        for patch in patches
    }


def _moments(moving: MovingMesh, patch: str, model):
    """One model node (RAS) per frame, in none of the scenes."""
    import slicer
    import vtk

    used = np.unique(moving.mesh.patch(patch))
    for t in range(len(moving)):
        surface = vtk.vtkPolyData()
        surface.ShallowCopy(model.GetPolyData())
        surface.SetPoints(points_ras(moving.nodes(t)[used]))
        node = slicer.vtkMRMLModelNode()
        node.SetName(model.GetName())
        node.SetAndObserveMesh(surface)
        yield node
