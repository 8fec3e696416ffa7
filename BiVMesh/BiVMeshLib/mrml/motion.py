"""Meshes between worker and scene; the surfaces of a moving one are model sequences in the browser of the cine."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from CardiacLib.mrml.nodes.frames import points_ras
from CardiacLib.mrml.nodes.markups import landmarks_from_nodes
from CardiacLib.mrml.nodes.sequences import add_sequence, sequence_of
from CardiacLib.mrml.panel.module_panel import require_in_scene
from CardiacLib.mrml.panel.processes import JobRequest
from CardiacLib.mrml.panel.results import keep_result, result_of, take_place
from CardiacLib.types.bivmesh import PATCHES, BiVMesh, MovingMesh
from CardiacLib.types.labels import LabelMap
from CardiacLib.types.landmarks import Landmarks

from .models import link_models, mesh_to_scene
from .summaries import mesh_text
from .tables import mesh_quality_to_scene


def mesh_options(edge_mm: float | None, rv_wall_mm: float, helix_deg, align_slices: bool) -> dict[str, object]:
    """Fields of ``BiVMeshLib.MeshOptions``, ``fibre_angles`` as a dict; without fibres where ``helix_deg`` is None."""
    options = {"edge_length_mm": edge_mm, "rv_wall_mm": rv_wall_mm, "align_slices": align_slices}
    options["fibres"] = helix_deg is not None
    if helix_deg is not None:
        options["fibre_angles"] = {"alpha_endo": helix_deg[0], "alpha_epi": helix_deg[1]}
    return options


def mesh_request(
    labels: LabelMap,
    frame: int,
    options: dict[str, object],
    motion: bool = False,
    valves: Landmarks | None = None,
    phase: float | None = None,
) -> JobRequest:
    """The mesh worker's job for one frame, counted from 0, or for the motion of its mesh over all frames.

    Args:
        labels: of all frames.
        frame: to be meshed.
        options: as of :func:`mesh_options`.
        motion: carry the mesh over all frames.
        valves: valve points of all frames, or of one where ``motion`` is not asked for: they give the base.
        phase: of labels of one frame, as share of the beat, where it is known.
    """
    count = len(labels.labels)
    phases = np.arange(count) / count if phase is None or count > 1 else np.array([phase])
    points = None if valves is None else at_phases(valves, phases)
    if motion:
        inputs = {"labels": labels} | ({} if points is None else {"valves": points})
        return JobRequest("BiVMeshLib", "motion", inputs, {"frame": frame, "mesh_options": options})
    only = slice(frame, frame + 1)
    inputs = {"labels": replace(labels, labels=labels.labels[only], times_ms=labels.times_ms[only])}
    if points is not None:
        inputs["valves"] = Landmarks(points.points[only], points.times_ms[only])
    return JobRequest("BiVMeshLib", "mesh", inputs, {"mesh_options": options})


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


def mesh_result_to_scene(
    found: BiVMesh | MovingMesh, segmentation, name: str, output, translate: Callable[[str], str]
) -> dict[str, object]:
    """Put what the mesh worker gave into the scene.

    Args:
        found: a mesh, or one that moves: its surfaces play in the segmentation's sequence browser.
        segmentation: that was meshed.
        name: start of the names of new nodes; made from the segmentation's name if empty.
        output: tetrahedra of an earlier result to update in place, with all its models; None makes new nodes.
        translate: of the module.

    Returns:
        the models by name, as of :func:`~BiVMeshLib.mrml.models.mesh_to_scene`, and under ``QUALITY`` a table.

    Raises:
        InputError: segmentation or output were removed meanwhile.
    """
    require_in_scene(segmentation, translate("The segmentation"))
    if output is not None:
        require_in_scene(output, translate("The mesh to update"))
    earlier = result_of(output)
    name = earlier.facts.get("name") or name or translate("{name} mesh").format(name=segmentation.GetName())
    mesh = found.mesh if isinstance(found, MovingMesh) else found
    models = mesh_to_scene(mesh, name)
    if isinstance(found, MovingMesh):
        motion_to_scene(found, models, sequence_of(segmentation)[0])
    models["QUALITY"] = mesh_quality_to_scene(mesh.quality, name)
    if output is not None:
        models = take_place(earlier.nodes or {"VOLUME": output}, models)
        link_models(models)
    keep_result(models["VOLUME"], models, {"name": name, "summary": mesh_text(found, translate)}, segmentation)
    return models


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
