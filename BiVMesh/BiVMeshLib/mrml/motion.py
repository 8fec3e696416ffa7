"""Meshes between worker and scene; the surfaces of a moving one are model sequences in the browser of the cine."""

from dataclasses import replace

import numpy as np

from BiVMeshLib.result import MeshChoice, MeshResult
from CardiacLib.mrml.nodes.frames import points_ras
from CardiacLib.mrml.nodes.hierarchy import Nodes
from CardiacLib.mrml.nodes.markups import landmarks_from_nodes
from CardiacLib.mrml.nodes.sequences import add_sequence, sequence_of
from CardiacLib.mrml.panel.module_panel import require_in_scene
from CardiacLib.mrml.panel.processes import JobRequest
from CardiacLib.mrml.panel.results import keep_result, result_of, take_place
from CardiacLib.mrml.translation import _
from CardiacLib.types.bivmesh import PATCHES, VALVE_PATCHES, MovingMesh
from CardiacLib.types.labels import LabelMap
from CardiacLib.types.landmarks import Landmarks

from .models import link_models, mesh_to_scene
from .rings import ring_line
from .summaries import mesh_text
from .tables import mesh_quality_to_scene


def mesh_request(
    labels: LabelMap, choice: MeshChoice, valves: Landmarks | None = None, *, phase: float | None = None
) -> JobRequest:
    """The worker's job for one frame, or for the motion of its mesh over all frames.

    Args:
        labels: of all frames.
        choice: its frame is a number, counted from 0.
        valves: valve points of all frames, or of one where no motion is asked for: they give the base.
        phase: of labels of one frame, as share of the beat, where it is known.
    """
    count = labels.n_frames
    phases = np.arange(count) / count if phase is None or count > 1 else np.array([phase])
    points = None if valves is None else at_phases(valves, phases)
    if not choice.motion:  # the other frames need not travel
        labels = labels.only([choice.frame])
        points = None if points is None else points.only([choice.frame])
        choice = replace(choice, frame=0)
    return JobRequest("mesh", {"labels": labels, "choice": choice, "valves": points})


def valve_points_of(node) -> Landmarks:
    """The valve points of a point list and, if it is part of a landmarks result, of that result's other lists.

    Raises:
        InputError: the list holds no point with the name of a valve point.
    """
    lists = [other for other in result_of(node).nodes.values() if other.IsA("vtkMRMLMarkupsFiducialNode")]
    return landmarks_from_nodes(lists or [node])


def at_phases(valves: Landmarks, phases: np.ndarray) -> Landmarks:
    """Points at phases (T,), shares of the beat: frames of equal phase match, between them points move evenly."""
    at = np.round(phases * len(valves.points), 6)  # a frame's own points must not be mixed by rounding
    before = at.astype(int)
    share = (at - before)[:, None, None]
    after = np.where(share[:, 0, 0] > 0, before + 1, before) % len(valves.points)  # a missing one must not spread
    points = (1 - share) * valves.points[before] + share * valves.points[after]
    return Landmarks(points, np.arange(len(phases), dtype=float))


def mesh_result_to_scene(found: MeshResult, segmentation, *, name: str = "", output=None) -> Nodes:
    """Put what the mesh worker gave into the scene.

    Args:
        found: a mesh; of one that moves, the surfaces play in the segmentation's sequence browser.
        segmentation: that was meshed.
        name: start of the names of new nodes; made from the segmentation's name if empty.
        output: tetrahedra of an earlier result to update in place, with all its models; None makes new nodes.

    Returns:
        the models by name, as of :func:`~BiVMeshLib.mrml.models.mesh_to_scene`, and under ``QUALITY`` a table.

    Raises:
        InputError: segmentation or output were removed meanwhile.
    """
    require_in_scene(segmentation, _("The segmentation"))
    if output is not None:
        require_in_scene(output, _("The mesh to update"))
    earlier = result_of(output)
    name = earlier.facts.get("name") or name or _("{name} mesh").format(name=segmentation.GetName())
    models = mesh_to_scene(found.mesh, name)
    if found.moving is not None:
        motion_to_scene(found.moving, models, sequence_of(segmentation)[0])
    models["QUALITY"] = mesh_quality_to_scene(found.mesh.quality, name)
    if output is not None:
        models = take_place(earlier.nodes or {"VOLUME": output}, models)
        link_models(models)
    keep_result(models["VOLUME"], models, {"name": name, "summary": mesh_text(found)}, segmentation)
    return models


def motion_to_scene(moving: MovingMesh, models: Nodes, browser) -> Nodes:
    """Make the surfaces and the valve rings of a mesh the proxies of model sequences.

    The tetrahedra stay those of the mesh's own frame.

    Args:
        moving: the motion, with as many frames as the cine.
        models: of ``moving.mesh``, as ``models.mesh_to_scene`` returned them.
        browser: the cine's sequence browser.

    Returns:
        sequence node by patch name, and by the valve's.
    """
    made = {patch: _moments(moving, patch, models[patch]) for patch in PATCHES if patch in models}
    if moving.rings:
        made |= {valve: _ring_moments(moving, valve, models[valve]) for valve in VALVE_PATCHES if valve in models}
    return {name: add_sequence(models[name], moving, moments, browser) for name, moments in made.items()}


def _moments(moving: MovingMesh, patch: str, model):
    """One model node (RAS) per frame, in none of the scenes."""
    import vtk

    used = np.unique(moving.mesh.patch(patch))
    for t in range(len(moving)):
        surface = vtk.vtkPolyData()
        surface.ShallowCopy(model.GetPolyData())
        surface.SetPoints(points_ras(moving.nodes(t)[used]))
        yield _moment(surface, model)


def _ring_moments(moving: MovingMesh, valve: str, model):
    """The same of the ring of a valve; a node without a line in a frame that has none."""
    for rings in moving.rings:
        yield _moment(ring_line(next((ring for ring in rings if ring.name == valve), None)), model)


def _moment(surface, model):
    import slicer

    node = slicer.vtkMRMLModelNode()
    node.SetName(model.GetName())
    node.SetAndObserveMesh(surface)
    return node
